"""The quoter as a real process; feed, gateway and ops are played by this test through their segments."""

import multiprocessing
import os
import signal
import sys
import threading
import time

import msgspec
import numpy as np
import pytest
from quoting import INSTRUMENT, bbo, book, own

from phx import topology
from phx._core import records
from phx._core.enums import Mode, Reason
from phx._core.ring import RingReader, RingWriter
from phx.instruments import write_table
from phx.latches import Latches
from phx.params import params_record
from phx.process import EXIT_ANEW, EXIT_OK
from phx.quoter.process import last_state, main
from phx.segment import Segment, SegmentMissing

PATIENCE_S = 20.0


def live(config):
    sys.exit(main(config, "BTCUSDC"))


class World:
    """The processes around one quoter, as far as it can see them."""

    def __init__(self, config):
        self.config = config
        self.folder = config.shm_folder()
        self.folder.mkdir(parents=True, mode=0o700)
        self.folder.parent.chmod(0o700)
        self.segments: dict[str, Segment] = {}
        self.writers: dict[str, RingWriter] = {}
        self.update_id = 0
        self.instrument = None  # in whose units everything is counted, where that is said
        self.stopping = threading.Event()
        self.feeder = threading.Thread(target=self.feed, daemon=True)
        self.quoter = None

    def begin(self, name: str) -> None:
        """Write a segment from now on; a second time is a restart of its writer."""
        row = topology.kind_of(name)
        self.segments[name] = Segment.create(self.folder, name, row.record, row.slots)
        if self.instrument is not None and name.endswith(".BTCUSDC"):
            self.segments[name].count_in(self.instrument.units_hash)
        if name.partition(".")[0] != "process":
            self.writers[name] = RingWriter(self.segments[name].memory, row.record)

    def feed(self) -> None:
        while not self.stopping.wait(0.005):
            self.update_id += 1
            now = time.monotonic_ns()
            stamps = {"update_id": self.update_id, "recv_mono_ns": now, "ts_event_ns": now}
            bids, asks = [(649_999 - i, 50) for i in range(20)], [(650_001 + i, 50) for i in range(20)]
            self.writers["book.BTCUSDC"].write(book(bids, asks, **stamps))
            self.writers["bbo.BTCUSDC"].write(bbo(bids[0], asks[0], **stamps))
            self.segments["process.feed.main"].beat(now)

    def begin_feed(self) -> None:
        for kind in ("bbo", "book", "tape"):
            self.begin(f"{kind}.BTCUSDC")
        self.begin("process.feed.main")
        self.feeder.start()

    def begin_gateway(self, epoch: int) -> None:
        self.begin("own.BTCUSDC")
        self.writers["own.BTCUSDC"].write(own(epoch=epoch))

    def begin_ops(self) -> None:
        self.begin("params.BTCUSDC")
        record = params_record(self.config.symbols["BTCUSDC"], self.config, INSTRUMENT, 1)
        self.writers["params.BTCUSDC"].write(record)

    def begin_quoter(self) -> None:
        self.quoter = multiprocessing.get_context("spawn").Process(target=live, args=(self.config,))
        self.quoter.start()

    def newest(self, kind: str):
        dtype = topology.kind_of(kind).record
        try:
            return RingReader(Segment.attach(self.folder, f"{kind}.BTCUSDC", dtype).memory, dtype).read_newest()
        except SegmentMissing:
            return None

    def wait_for(self, what, condition):
        """Return the first newest ladder that meets a condition."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            ladder = self.newest("ladder")
            if ladder is not None and condition(ladder):
                return ladder
            assert self.quoter.exitcode is None, f"the quoter ended with {self.quoter.exitcode}"
            time.sleep(0.005)
        pytest.fail(f"no ladder {what} within {PATIENCE_S} s; newest: {ladder}")

    def wait_until_quoting(self, **fields):
        return self.wait_for(
            f"with layers and {fields}",
            lambda ladder: (
                ladder["bid_layers"] and ladder["ask_layers"] and all(ladder[k] == fields[k] for k in fields)
            ),
        )

    def quoting_state(self):
        """Return the newest state once it tells of a decision."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            state = self.newest("state")
            if state is not None and state["sigma_30m"] > 0:
                return state
            time.sleep(0.005)
        pytest.fail(f"no state of a quoting quoter within {PATIENCE_S} s")

    def end(self) -> None:
        self.stopping.set()
        if self.feeder.ident:
            self.feeder.join()
        if self.quoter is not None and self.quoter.exitcode is None:
            self.quoter.kill()
            self.quoter.join()


@pytest.fixture
def world(instance_config):
    made = World(instance_config)
    yield made
    made.end()


def test_a_quoter_started_first_waits_for_everybody_and_then_quotes(world):
    world.begin_quoter()
    ladder = world.wait_for("at all", lambda ladder: True)
    assert (ladder["mode"], ladder["reason"]) == (Mode.MODE_PAUSED, Reason.REASON_WARMING_UP)
    world.begin_gateway(epoch=3)
    world.begin_ops()
    world.begin_feed()
    ladder = world.wait_until_quoting(own_epoch=3)
    assert ladder["own_seq"] == 1
    assert world.newest("state")["mode"] == Mode.MODE_NORMAL

    heartbeat = Segment.attach(world.folder, "process.quoter.BTCUSDC", records.PROCESS_COUNTERS)
    assert heartbeat.heartbeat_mono_ns > 0

    # The gateway restarts: its old life's orders are void, and the new own ring is read.
    world.begin_gateway(epoch=4)
    assert world.wait_until_quoting(own_epoch=4)["own_seq"] == 1

    # A latch halts, and only its removal lets the quotes come back.
    latches = Latches(world.config.run_folder())
    latches.set("guardian", "a test", symbol="BTCUSDC")
    world.wait_for("halted", lambda ladder: ladder["mode"] == Mode.MODE_HALTED and not ladder["bid_layers"])
    latches.clear()
    world.wait_until_quoting()

    # The feed falls silent: its process hangs while its last record is still young enough.
    world.stopping.set()
    world.wait_for("without a feed", lambda ladder: ladder["mode"] == Mode.MODE_PAUSED)

    os.kill(world.quoter.pid, signal.SIGTERM)
    world.quoter.join(PATIENCE_S)
    assert world.quoter.exitcode == EXIT_OK


@pytest.mark.parametrize(("age_s", "believed"), [(1, True), (299, True), (302, False)])
def test_what_the_last_life_left_is_believed_while_it_is_young(world, age_s, believed):
    assert last_state(world.config, "BTCUSDC") is None
    world.begin("state.BTCUSDC")
    assert last_state(world.config, "BTCUSDC") is None
    left = np.zeros(1, records.QUOTER_STATE)
    left["now_mono_ns"], left["sigma_30m"] = time.monotonic_ns() - age_s * 10**9, 0.004
    left["ts_ns"] = time.time_ns() + 3600 * 10**9  # the wall clock was set back
    world.writers["state.BTCUSDC"].write(left)
    found = last_state(world.config, "BTCUSDC")
    assert (found is not None) == believed
    if believed:
        assert found[0]["sigma_30m"] == 0.004


def test_a_killed_quoter_comes_back_with_a_new_epoch_and_begins_warm(world):
    world.begin_gateway(epoch=3)
    world.begin_ops()
    world.begin_feed()
    world.begin_quoter()
    first = world.wait_until_quoting()
    state = world.quoting_state()
    world.quoter.kill()
    world.quoter.join()
    world.begin_quoter()
    again = world.wait_for(
        "of the new life", lambda ladder: ladder["quoter_epoch"] > first["quoter_epoch"] and ladder["bid_layers"]
    )
    assert again["bid_layers"] == first["bid_layers"]
    assert world.quoting_state()["sigma_30m"] == state["sigma_30m"]


def test_no_quoter_trades_on_a_feed_or_by_parameters_of_other_units(world):
    finer = msgspec.structs.replace(INSTRUMENT, tick_size=INSTRUMENT.tick_size / 10, price_step=10)
    world.instrument = finer
    write_table(world.folder / "instruments.main.json", [finer])
    world.begin_gateway(epoch=3)
    world.begin_ops()
    world.instrument = INSTRUMENT  # a feed of the old units, between a quoter and a gateway of the new ones
    world.begin_feed()
    world.begin_quoter()
    ladder = world.wait_for("without a market", lambda ladder: ladder["mode"] == Mode.MODE_PAUSED)
    assert not ladder["bid_layers"] and not ladder["ask_layers"]
    # Now the feed's units are everybody's: a quoter of the others does not stay.
    write_table(world.folder / "instruments.main.json", [INSTRUMENT])
    world.quoter.join(PATIENCE_S)
    assert world.quoter.exitcode == EXIT_ANEW
    world.begin_gateway(epoch=4)
    world.begin_ops()
    world.begin_quoter()
    world.wait_until_quoting()
    segment = Segment.attach(world.folder, "ladder.BTCUSDC", records.LADDER)
    assert segment.units_hash == INSTRUMENT.units_hash


def test_what_counts_in_other_units_is_not_taken_over_from_the_last_life(world):
    world.instrument = msgspec.structs.replace(INSTRUMENT, tick_size=INSTRUMENT.tick_size / 10)
    world.begin("state.BTCUSDC")
    left = np.zeros(1, records.QUOTER_STATE)
    left["now_mono_ns"], left["sigma_30m"], left["mode"] = time.monotonic_ns(), 0.004, Mode.MODE_COOLING
    left["peak_pnl_ticklots"], left["leader_ratio_ema"] = 77, 1.5
    world.writers["state.BTCUSDC"].write(left)
    write_table(world.folder / "instruments.main.json", [INSTRUMENT])
    found = last_state(world.config, "BTCUSDC")[0]
    assert (found["sigma_30m"], found["mode"]) == (0.004, Mode.MODE_COOLING)
    assert (found["peak_pnl_ticklots"], found["leader_ratio_ema"]) == (0, 0)
    write_table(world.folder / "instruments.main.json", [world.instrument])
    assert last_state(world.config, "BTCUSDC")[0]["peak_pnl_ticklots"] == 77
