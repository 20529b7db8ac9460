"""The quoter process: one symbol's QuoterCore between its rings, alive whatever comes, goes or restarts around it."""

import logging
import time
from functools import partial

import numpy as np

from phx._core.edge.quoter_loop import QuoterLoop
from phx._core.enums import Mode, Reason
from phx._core.flattening import MARKET_STEP
from phx._core.quoter import QuoterCore
from phx._core.records import QUOTER_STATE
from phx._core.ring import RingReader
from phx.instruments import Tables
from phx.latches import DAILY_LOSS, Latches
from phx.process import HUNG_NS, Anew, Process, run
from phx.segment import Segment, SegmentMissing, SegmentRefused

SLICE_NS = 50_000_000  # so often the loop returns to Python, for signals
LOOK_ROUND_NS = 100_000_000  # so often for latches and for restarted writers

# What a human should look at.
LEVELS = {
    Mode.MODE_GRINDING: logging.WARNING,
    Mode.MODE_FLATTENING: logging.WARNING,
    Mode.MODE_HALTED: logging.WARNING,
}

log = logging.getLogger("phx")


def main(config, symbol: str) -> int:
    """Live one life of a symbol's quoter; return the exit status."""
    # The new life replaces the state segment, so what the last one left is read first.
    left = last_state(config, symbol)
    return run(f"quoter.{symbol}", config, lambda process: Quoter(process, symbol, left).live())


def last_state(config, symbol: str) -> np.ndarray | None:
    """Return the state the last life published, as an array of one record, if it is there and young enough."""
    try:
        segment = Segment.attach(config.shm_folder(), f"state.{symbol}", QUOTER_STATE)
    except (SegmentMissing, SegmentRefused):
        return None
    state = RingReader(segment.memory, QUOTER_STATE).read_newest()
    # A segment of another boot is refused, so its monotonic time is ours: the wall clock may have been set meanwhile.
    if state is None or time.monotonic_ns() - int(state["now_mono_ns"]) > config.ops.snapshot_max_age_s * 1e9:
        return None
    tables = Tables(config.shm_folder(), config.run_folder())
    tables.look()
    left = np.array([state])
    return left if segment.units_hash == tables.units_hash(symbol) else without_counts(left)


def without_counts(state: np.ndarray) -> np.ndarray:
    """Return a state without what was counted in other ticks and lots: mode, fractions and times hold in all."""
    for name in state.dtype.names:
        if name.endswith(("_ticks", "_lots", "_ticklots", "_per_tick")) or name == "leader_ratio_ema":
            state[name] = 0
    return state


class Source:
    """A segment of another process: attached when it appears, and anew whenever its writer has made another one.

    units_hash(): in which ticks and lots its records have to count, None = they count in none.
    """

    def __init__(self, process: Process, segment_name: str, attach, units_hash=lambda: None):
        self.process = process
        self.segment_name = segment_name
        self.attach = attach
        self.units_hash = units_hash
        self.segment: Segment | None = None

    def look(self) -> None:
        wanted = self.units_hash()
        if self.segment is not None and not self.segment.replaced() and wanted in (None, self.segment.units_hash):
            return
        found = self.process.try_attach(self.segment_name, wanted)
        if found is None:
            return
        log.info("%s: reads %s, generation %d", self.process.name, self.segment_name, found.generation)
        self.segment = found
        self.attach(found.memory)


class Quoter:
    """The shell around the core: sources, latches, log."""

    def __init__(self, process: Process, symbol: str, left: np.ndarray | None = None):
        self.process = process
        self.symbol = symbol
        self.latches = Latches(process.run_folder)
        self.tables = Tables(process.folder, process.run_folder)
        leader = process.config.leader_of(symbol)
        self.units = {name: 0 for name in (symbol, leader) if name}  # by symbol: the hash of what it is counted in
        self.core = self._core(left)
        (gateway,) = process.ringers(f"ladder.{symbol}")
        wait = process.config.process_config(process.name).wait
        self.loop = QuoterLoop(self.core, process.bell, gateway, process.own.memory, wait)
        self.sources = self._sources()
        self.look_round_mono_ns = 0
        self.told_step = 0

    def _core(self, left) -> QuoterCore:
        segments = self.process.segments
        core = QuoterCore(
            self.process.config.instrument_ids()[self.symbol],
            time.time_ns(),  # larger than any earlier life's, also after shared memory was wiped
            segments[f"ladder.{self.symbol}"].memory,
            segments[f"state.{self.symbol}"].memory,
            segments[f"decisions.{self.symbol}"].memory,
            segments[f"counters.quoter.{self.symbol}"].records,
            HUNG_NS,
        )
        if left is not None:
            core.restore(left)
            log.info("%s: begins warm, sigma_30m %.5f", self.process.name, left[0]["sigma_30m"])
        return core

    def _sources(self) -> list[Source]:
        config, core = self.process.config, self.core
        names = {kind: f"{kind}.{self.symbol}" for kind in ("bbo", "book", "tape", "own", "exec", "params")}
        names["operator"] = "operator"
        if leader := config.leader_of(self.symbol):
            names["leader"] = f"bbo.{leader}"
        feed = f"process.{config.feed_of(self.symbol)}"
        return [
            *(
                Source(self.process, name, partial(core.attach, kind), self._units_of(name))
                for kind, name in names.items()
            ),
            Source(self.process, feed, self.loop.watch_feed),
        ]

    def _units_of(self, segment_name: str):
        symbol = segment_name.rpartition(".")[2]
        return partial(self.units.get, symbol if symbol in self.units else None)

    def live(self) -> None:
        """Turn the loop until asked to stop."""
        process = self.process
        process.ready()
        while not process.stopping:
            if process.froze():
                self.core.note_freeze()
            self.look_round(time.monotonic_ns())
            self.loop.run(SLICE_NS)
            self.latch()
            self.tell()

    def look_round(self, now_mono_ns: int) -> None:
        """See what only files say: restarted writers and latches. The wall clock may have been set meanwhile, too."""
        if now_mono_ns - self.look_round_mono_ns < LOOK_ROUND_NS:
            return
        self.look_round_mono_ns = now_mono_ns
        self.count_in()
        for source in self.sources:
            source.look()
        found = [latch for latch in self.latches.all() if latch.symbol in ("", self.symbol)]
        self.core.latched = any(latch.halts for latch in found)
        self.core.loss_latched = any(latch.reason == DAILY_LOSS for latch in found)
        self.core.utc_minus_mono_ns = time.time_ns() - time.monotonic_ns()

    def count_in(self) -> None:
        """Learn in which ticks and lots everything is counted. Raises Anew when they are others than those so far."""
        if not self.tables.look():
            return
        for symbol, before in self.units.items():
            units_hash = self.tables.units_hash(symbol)
            if before not in (0, units_hash):
                raise Anew(f"{symbol} is counted in other ticks or lots from now on")
            self.units[symbol] = units_hash
        for kind in ("ladder", "state", "decisions"):
            self.process.segments[f"{kind}.{self.symbol}"].count_in(self.units[self.symbol])

    def latch(self) -> None:
        """Make the stop that closed the position survive this life, if it is to."""
        reason = self.core.latch_wanted
        if reason and not self.core.latched:
            text = f"stopped for {Reason(reason).name.removeprefix('REASON_').lower()}, the position is closed"
            self.latches.set("quoter", text, self.symbol)
            self.core.latched = True
            log.error("%s: latched: %s", self.process.name, text)

    def tell(self) -> None:
        """Log the changes of mode since the last time, and how far a flattening has gone."""
        step = self.core.flatten_step
        if step > self.told_step:
            how = "market orders" if step == MARKET_STEP else f"step {step}"
            log.warning("%s: flattening goes on with %s", self.process.name, how)
        self.told_step = step
        for change in self.core.take_transitions():
            log.log(
                LEVELS.get(change["new"], logging.INFO),
                "%s: %s -> %s, %s, ratio %.3f, sigma_30m %.5f",
                self.process.name,
                Mode(change["old"]).name,
                Mode(change["new"]).name,
                Reason(change["reason"]).name,
                change["ratio"],
                change["sigma_30m"],
            )
