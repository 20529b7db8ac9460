"""The gateway's life in one process: freezes, doubts, bans, leaving with an order on its way, books that survive."""

import asyncio
import time
from types import SimpleNamespace

import numpy as np
import pytest
from gateway_rig import SECOND_NS, places
from test_gateway_shell import Shell, order_of, trade_of

from phx._core import records
from phx.gateway import doubt, process, startup
from phx.gateway import epoch as lives
from phx.gateway.doubt import Doubt
from phx.gateway.on_disk import OnDisk
from phx.gateway.process import Gateway
from phx.gateway.surroundings import GUARDIAN_GONE_NS, Surroundings
from phx.latches import ONLY_REDUCE, Latches
from phx.process import HUNG_NS, StayDown
from phx.venue.binance.weights import Weights
from phx.venue.interface import Balance, Position, VenueDown


class Life(Gateway):
    """A gateway at work around a test's core and venue; what it would send is in `sent`."""

    def __init__(self, shell: Shell, run_folder):
        shell.now_ns = time.monotonic_ns()
        shell.market()
        shell.prove(60 * SECOND_NS)
        self.frozen = False
        self.process = SimpleNamespace(
            run_folder=run_folder,
            stopping=False,
            counters=np.zeros(1, records.PROCESS_COUNTERS),
            bell=SimpleNamespace(park_now=lambda: None),
            beat=lambda: None,
            froze=lambda: self.frozen,
        )
        self.core, self.rest, self.instruments = shell.core, shell.venue, shell.instruments
        self.rest.weights, self.rest.mind_others, self.rest.key_lost = Weights(1.0), lambda venue_ns: None, False
        self.rest.clock = SimpleNamespace(venue_ns=lambda mono_ns: mono_ns, timestamp_ms=lambda: 1_000_000)
        self.rest.limited = lambda *told: self.rest.weights.refused(*told, time.monotonic_ns())
        self.endpoints = SimpleNamespace(coid_prefix="phxs-")
        self.reconciliation, self.replies = shell.reconciliation, shell.replies
        self.surroundings = SimpleNamespace(look=lambda now_ns: None, latches=Latches(run_folder))
        self.contracts, self.events = SimpleNamespace(holds=lambda symbol: False), SimpleNamespace(foreign_seen=0)
        self.budgets = SimpleNamespace(mind_weight=lambda venue_ns: None)
        self.connection = SimpleNamespace(up=False, suspect_silence=lambda now_ns: None)
        self.stream = SimpleNamespace(up=True, last_event_mono_ns=0)
        self.fallback = SimpleNamespace(send=self._send)
        self.ringers = {0: []}
        self.by_rest = True
        self.anew = ""
        self.banned = self.failed = False
        self.looked_ns = 0
        self.absent_after_ns = SECOND_NS // 2
        self.epoch = 7
        self.tasks, self.sent = set(), []
        self.doubt = Doubt(self.core, self.stream, self.replies, self.reconciliation, self._start, self.turn)
        self.doubt.working = True
        funding, counters = self.reconciliation.funding, self.process.counters[0]
        self.on_disk = OnDisk(run_folder, self.core, self.instruments, funding, lives.Day(), counters)

    def _send(self) -> None:
        while (action := self.core.pop_action()) is not None:
            self.sent.append(action)


# ---- freezes, doubts, bans -----------------------------------------------------------------------------------------


async def test_after_a_freeze_nothing_in_hand_is_acted_on(tmp_path):
    shell = Shell(positions=[])
    gateway = Life(shell, tmp_path)
    shell.ladder([(99_990, 10)])
    gateway.frozen = True  # whoever wakes it first: a bell, the venue, the clock
    gateway.turn()
    gateway.frozen = False
    gateway.turn()
    assert gateway.sent == [] and not shell.core.desk(0).user_stream_up
    shell.ladder([(99_990, 10)])
    gateway.turn()
    assert gateway.sent == []
    await asyncio.gather(*gateway.tasks)
    assert ("open_orders", "SYM0") in shell.venue.asked and shell.core.desk(0).user_stream_up
    shell.ladder([(99_990, 10)])
    gateway.turn()
    assert places(gateway.sent) == [(1, 99_990, 10)]


async def test_a_doubt_that_comes_while_one_is_settled_is_settled_too(tmp_path, monkeypatch):
    shell = Shell()
    gateway = Life(shell, tmp_path)
    rounds, go_on = [], asyncio.Event()

    async def everything():
        rounds.append(1)
        await go_on.wait()
        if len(rounds) == 2:
            raise VenueDown("not now")

    monkeypatch.setattr(gateway.reconciliation, "everything", everything)
    monkeypatch.setattr(doubt, "AGAIN_S", (0.1, 0.1))
    monkeypatch.setattr(doubt, "SPACE_S", 0.0)
    gateway.doubt.on_stream(True)
    await asyncio.sleep(0)
    gateway.doubt.on_stream(False)
    gateway.doubt.on_stream(True)
    go_on.set()
    await asyncio.sleep(0.05)
    assert not shell.core.desk(0).user_stream_up
    await asyncio.gather(*gateway.tasks)
    assert len(rounds) == 3 and shell.core.desk(0).user_stream_up


@pytest.mark.parametrize(("quiet_s", "up", "asked"), [(5, True, True), (-5, True, False), (5, False, False)])
async def test_open_orders_are_compared_while_the_stream_is_quiet(tmp_path, monkeypatch, quiet_s, up, asked):
    shell = Shell()
    gateway = Life(shell, tmp_path)
    shell.placed([(99_990, 10)])
    gateway.stream.up, gateway.stream.last_event_mono_ns = up, time.monotonic_ns() - quiet_s * SECOND_NS
    compared = []

    async def compare():
        compared.append(1)
        raise VenueDown("GET /fapi/v1/openOrders: no answer")  # and the next time is asked all the same

    monkeypatch.setattr(gateway.reconciliation, "compare_open_orders", compare)
    monkeypatch.setattr(doubt, "QUIET_S", 0.001)
    minding = asyncio.create_task(gateway.doubt.mind_quiet())
    async with asyncio.timeout(5):
        while len(compared) < 2 and asked:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    assert bool(compared) == asked and not minding.done()
    minding.cancel()


def test_a_stream_is_suspected_when_it_did_not_tell_and_only_while_it_seems_up(tmp_path):
    gateway = Life(Shell(), tmp_path)
    suspected = []
    gateway.stream.suspect = suspected.append
    gateway.doubt.on_untold("SYM0")
    gateway.stream.last_event_mono_ns = time.monotonic_ns()  # it has just spoken: the word may be on its way
    gateway.doubt.on_untold("SYM0")
    gateway.stream.last_event_mono_ns, gateway.stream.up = 0, False
    gateway.doubt.on_untold("SYM0")
    gateway.stream.up = gateway.doubt.settling = True  # it ended while the stream was down
    gateway.doubt.on_untold("SYM0")
    assert suspected == ["orders of SYM0 ended without a word"]


async def test_while_banned_nothing_is_sent_and_while_limited_nothing_is_placed(tmp_path):
    shell = Shell()
    gateway = Life(shell, tmp_path)
    shell.ladder([(99_990, 10)])
    gateway.turn()
    shell.accept(gateway.sent)
    gateway.sent.clear()
    gateway._on_limited(False, 0)
    shell.ladder([], [(100_010, 10)])
    gateway.looked_ns = 0
    gateway.turn()
    assert [action["kind"] for action in gateway.sent] == [3]  # the cancel only
    gateway._on_limited(True, 0)
    for desk in shell.core.desks:
        desk.cancel_all = True
    gateway.sent.clear()
    gateway.looked_ns = 0
    gateway.turn()
    assert gateway.sent == []


def test_a_guardian_that_is_gone_is_told_to_every_desk_long_before_its_timer_ends():
    shell = Shell()
    around = object.__new__(Surroundings)
    around.core, around.desks = shell.core, {"SYM0": shell.core.desk(0)}
    around.guardian = SimpleNamespace(heartbeat_age_ns=lambda now_ns: None, alive=lambda: False)
    around.guardian_seen_ns, around.proof_reader = 0, None
    around._look_at_guardian(GUARDIAN_GONE_NS)
    assert shell.core.desk(0).guardian_alive
    around._look_at_guardian(GUARDIAN_GONE_NS + 1)
    assert not shell.core.desk(0).guardian_alive
    # One that hangs is gone since its last sign of life, not since that was found too old.
    around.guardian = SimpleNamespace(heartbeat_age_ns=lambda now_ns: HUNG_NS, alive=lambda: True)
    around._look_at_guardian(SECOND_NS)
    around.guardian = SimpleNamespace(heartbeat_age_ns=lambda now_ns: 2 * HUNG_NS, alive=lambda: True)
    around._look_at_guardian(SECOND_NS - HUNG_NS + GUARDIAN_GONE_NS)
    assert shell.core.desk(0).guardian_alive
    around._look_at_guardian(SECOND_NS - HUNG_NS + GUARDIAN_GONE_NS + 1)
    assert not shell.core.desk(0).guardian_alive


# ---- an account that may only be left ------------------------------------------------------------------------------


async def test_it_adds_again_only_when_a_human_has_said_so_and_the_account_is_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "FITNESS_S", 0.001)
    gateway = Life(Shell(), tmp_path)
    answers = ["still poor", StayDown("still poor, and flat"), ""]

    async def admit():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    gateway._admit = admit
    latches = gateway.surroundings.latches
    gateway._only_reduce("poor")
    minding = asyncio.create_task(gateway._mind_fitness())
    for told in ("poor", "still poor", "still poor, and flat"):
        async with asyncio.timeout(5):
            while latches.stops("") is None:
                await asyncio.sleep(0.001)
        asked = len(answers)
        await asyncio.sleep(0.02)
        assert latches.stops("").reason == f"{ONLY_REDUCE}{told}" and not gateway.surroundings.may_add
        assert len(answers) == asked
        latches.clear()
    await asyncio.wait_for(minding, 5)
    assert gateway.surroundings.may_add and latches.all() == []


def test_without_any_latch_a_desk_that_may_not_add_stays_latched(tmp_path):
    shell = Shell()
    around = object.__new__(Surroundings)
    around.desks, around.latches = {"SYM0": shell.core.desk(0)}, Latches(tmp_path)
    for around.may_add in (False, True):
        around._look_at_latches()
        assert shell.core.desk(0).latched is not around.may_add


# ---- leaving -------------------------------------------------------------------------------------------------------


async def test_an_order_on_its_way_when_the_gateway_leaves_is_waited_for_and_cancelled(tmp_path):
    listed = [[], [order_of(1)], []]
    shell = Shell(open_orders=lambda symbol: listed.pop(0) if listed else [])
    gateway = Life(shell, tmp_path)
    shell.ladder([(99_990, 10)])
    gateway.turn()  # sent, and never answered
    started_ns = time.monotonic_ns()
    await gateway._leave()
    assert time.monotonic_ns() - started_ns >= gateway.absent_after_ns
    assert ("cancel_all", "SYM0") in shell.venue.asked
    assert shell.core.no_open_order_proven and lives.clean_marker(tmp_path).exists()


async def test_with_every_answer_in_it_leaves_at_once(tmp_path):
    shell = Shell()
    gateway = Life(shell, tmp_path)
    gateway.absent_after_ns = 100 * SECOND_NS
    await gateway._leave()
    assert shell.core.no_open_order_proven


# ---- books ---------------------------------------------------------------------------------------------------------


async def test_a_clean_end_keeps_the_days_loss_for_the_next_life(tmp_path):
    shell = Shell()
    gateway = Life(shell, tmp_path)
    shell.ladder([(99_990, 10)])
    gateway.turn()
    shell.fill(gateway.sent[0], fee_e8=123, trade_id=900)
    await gateway._leave()
    kept = lives.read_books(tmp_path)["SYM0"]
    assert (kept.totals["position_lots"], kept.totals["fees_e8"], kept.newest_trade_id) == (10, 123, 900)

    trades = [trade_of(900, "0.010"), trade_of(901, "0.002")]
    position = Position("SYM0", "0.012", "9999", "BOTH", 1)
    later = Shell(user_trades=trades, positions=[position], balances=[Balance("USDC", "1000", "1000")])
    await startup.restore_books(later.reconciliation, {"SYM0": kept})
    totals = later.core.desk(0).totals()
    assert (totals["position_lots"], totals["fees_e8"], totals["fills"]) == (12, 123 + 100_000, 2)


async def test_a_full_disk_under_the_books_ends_nothing(tmp_path, monkeypatch):
    gateway = Life(Shell(), tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lives, "write_books", full)
    keeping = asyncio.create_task(gateway.on_disk.keep_books())
    await asyncio.sleep(0.05)
    assert not keeping.done() and gateway.process.counters["errors"][0] == 1
    keeping.cancel()


async def test_a_full_disk_is_tried_again_until_the_day_is_on_it(tmp_path, monkeypatch):
    gateway = Life(Shell(), tmp_path)
    gateway.rest.clock.venue_ns = lambda mono_ns: 20_000 * 86_400 * SECOND_NS
    full = [True]
    durably = lives.write_durably

    def write(path, text):
        if full[0]:
            raise OSError(28, "No space left on device")
        durably(path, text)

    monkeypatch.setattr(lives, "write_durably", write)
    gateway._turn_day()
    assert gateway.core.day_start_s > 0 and lives.read_day(tmp_path) == lives.Day()
    full[0] = False
    gateway._turn_day()
    assert lives.read_day(tmp_path) == lives.Day(), "not at once again"
    gateway.on_disk.again_ns = 0
    gateway._turn_day()
    assert lives.read_day(tmp_path).start_s == gateway.core.day_start_s == gateway.on_disk.day.start_s


async def test_it_leaves_in_order_though_the_disk_is_full(tmp_path, monkeypatch):
    def full(path, text):
        raise OSError(28, "No space left on device")

    gateway = Life(Shell(), tmp_path)
    monkeypatch.setattr(lives, "write_durably", full)
    await gateway._leave()
    assert gateway.core.no_open_order_proven and not lives.clean_marker(tmp_path).exists()


@pytest.mark.parametrize("text", ["", "{", '{"SYM0": 3}'])
def test_books_that_cannot_be_read_are_none(tmp_path, text):
    assert lives.read_books(tmp_path) == {}
    (tmp_path / "books.json").write_text(text)
    assert lives.read_books(tmp_path) == {}
