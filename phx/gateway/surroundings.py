"""What the gateway sees of the other processes: markets, ladders, parameters, proof, and who is alive."""

import logging
import time
from collections.abc import Callable

from phx._core.enums import RejectReason
from phx._core.ring import RingReader
from phx.instruments import Instrument
from phx.latches import DAILY_LOSS, Latches
from phx.process import HUNG_NS, Peer, Process

ATTACH_NS = 100_000_000
LATCHES_NS = 250_000_000
GUARDIAN_GONE_NS = 500_000_000  # nothing is added from then on,
GUARDIAN_LOST_NS = 5_000_000_000  # and everything is cancelled

log = logging.getLogger("phx.gateway")


class Followed:
    """A segment of another process, attached anew whenever its writer made a new one.

    units_hash: in which ticks and lots its records have to count, None = they count in none.
    """

    def __init__(self, process: Process, name: str, units_hash: int | None = None):
        self.process = process
        self.name = name
        self.units_hash = units_hash
        self.segment = None

    def renew(self) -> bool:
        """Return whether there is another segment than before (or none any more)."""
        if self.segment is not None and not self.segment.replaced():
            return False
        before, self.segment = self.segment, self.process.try_attach(self.name, self.units_hash)
        return self.segment is not None or before is not None

    def reader(self, from_start: bool) -> RingReader | None:
        if self.segment is None:
            return None
        reader = RingReader(self.segment.memory, self.segment.dtype)
        if from_start:
            reader.attach(self.segment.memory, self.segment.dtype, True)
        return reader


def wants_latch(desk) -> bool:
    return (desk.latch_wanted or desk.loss_stop) and not desk.latched


def why_latched(desk) -> str:
    """Return what the core has noticed of the desk's own trading; "" = it was the venue."""
    if desk.latch_reason == RejectReason.REJECT_PROTECTION:
        return "market-maker protection: filled too much too fast"
    if desk.latch_reason != RejectReason.REJECT_THROTTLE:
        return ""
    of = "fills with new orders after them" if desk.too_many_cycles else "refusals of the venue in a row"
    return f"execution throttle: too many {of}"


class Surroundings:
    """Looks around each turn and tells the core's desks. `may_add`: no latch is needed to keep them from adding."""

    def __init__(self, process: Process, core, instruments: dict[str, Instrument]):
        self.process = process
        self.core = core
        self.desks = {symbol: core.desk(i.symbol_id) for symbol, i in instruments.items()}
        self.latches = Latches(process.run_folder)
        self.quoters = {symbol: Peer(process, f"quoter.{symbol}") for symbol in instruments}
        self.guardian = Peer(process, "guardian")
        self.guardian_seen_ns = time.monotonic_ns()
        counted = lambda kind, s: Followed(process, f"{kind}.{s}", instruments[s].units_hash)  # noqa: E731
        self.market = {s: [counted(kind, s) for kind in ("bbo", "book", "tape")] for s in instruments}
        self.ladders = {symbol: counted("ladder", symbol) for symbol in instruments}
        self.params = {symbol: counted("params", symbol) for symbol in instruments}
        self.operator, self.proof = Followed(process, "operator"), Followed(process, "proof")
        self.ops = Followed(process, "process.ops")
        self.operator_reader = self.proof_reader = None
        self.not_allowed: Callable[[], str] = lambda: "key, permission or account"  # told by the venue's replies
        self.attach_due_ns = self.latches_due_ns = 0
        self.may_add = True
        self.quoter_was_alive = dict.fromkeys(instruments, False)

    def look(self, now_ns: int) -> None:
        """Do one turn's looking; cheap unless something has changed."""
        if now_ns >= self.attach_due_ns:
            self.attach_due_ns = now_ns + ATTACH_NS
            self._attach()
        if now_ns >= self.latches_due_ns or any(map(wants_latch, self.desks.values())):
            self.latches_due_ns = now_ns + LATCHES_NS
            self._look_at_latches()
        for symbol, quoter in self.quoters.items():
            self._look_at_quoter(symbol, quoter, now_ns)
        self._look_at_guardian(now_ns)

    def _attach(self) -> None:
        for symbol, desk in self.desks.items():
            # A list, not a generator: each of the three must be renewed.
            if any([followed.renew() for followed in self.market[symbol]]):
                readers = [followed.reader(from_start=True) for followed in self.market[symbol]]
                if all(readers):
                    desk.market.attach(*readers)
                    log.info(
                        "%s: reading the market of generation %d", symbol, self.market[symbol][0].segment.generation
                    )
                else:
                    desk.market.attach(None, None, None)
            if self.ladders[symbol].renew():
                desk.attach_ladder(self.ladders[symbol].reader(from_start=False))
            if self.params[symbol].renew() and self.params[symbol].segment is not None:
                desk.attach_params(self.params[symbol].reader(from_start=True))
        if self.operator.renew():
            self.operator_reader = self.operator.reader(from_start=True)
        if self.proof.renew():
            self.proof_reader = self.proof.reader(from_start=True)
            self.core.take_proof(None)
        self.ops.renew()
        if self.ops.segment is not None:
            self.core.account.set_journal_drained(int(self.ops.segment.records["journal_seq"][0]))
        self._look_at_operator()

    def _look_at_latches(self) -> None:
        stopped = {latch.symbol for latch in self.latches.all()}
        for symbol, desk in self.desks.items():
            was_latched = desk.latched
            desk.latched = not self.may_add or "" in stopped or symbol in stopped
            if was_latched and not desk.latched:
                desk.enable()
            elif desk.latch_wanted and not desk.latched:
                # On disk at once, so that it outlives this process however it ends.
                why = why_latched(desk) or f"the venue refuses an order: {self.not_allowed()}"
                self.latches.set("gateway", why, symbol)
                desk.latched = True
                log.error("%s: latched: %s", symbol, why)
        if any(desk.loss_stop for desk in self.desks.values()) and "" not in stopped:
            self.latches.set("gateway", DAILY_LOSS)
            log.error("latched: daily loss limit reached")
            for desk in self.desks.values():
                desk.latched = True

    def _look_at_operator(self) -> None:
        record = None if self.operator_reader is None else self.operator_reader.read_newest()
        if record is not None:
            self.core.take_operator(record)

    def _look_at_quoter(self, symbol: str, quoter: Peer, now_ns: int) -> None:
        desk = self.desks[symbol]
        age_ns = quoter.heartbeat_age_ns(now_ns)
        alive = age_ns is not None and age_ns <= HUNG_NS and quoter.alive()
        if not alive and self.quoter_was_alive[symbol]:
            desk.lose_quoter()
            log.warning("%s: quoter %s; cancelling", symbol, "hangs" if quoter.alive() else "gone")
        self.quoter_was_alive[symbol] = desk.quoter_alive = alive

    def _look_at_guardian(self, now_ns: int) -> None:
        age_ns = self.guardian.heartbeat_age_ns(now_ns)
        if age_ns is not None and age_ns <= HUNG_NS and self.guardian.alive():
            self.guardian_seen_ns = now_ns - age_ns  # its last sign of life
        alive = now_ns - self.guardian_seen_ns <= GUARDIAN_GONE_NS
        for desk in self.desks.values():
            desk.guardian_alive = alive
        record = None if self.proof_reader is None else self.proof_reader.read_newest()
        if record is None or now_ns - self.guardian_seen_ns > GUARDIAN_LOST_NS:
            record = None
        self.core.take_proof(record)

    def proven(self, now_ns: int) -> bool:
        """Return whether the dead man's switch of every symbol is armed far enough ahead."""
        return all(
            desk.proof_period_ns > 0 and desk.proof_deadline_mono_ns - now_ns >= desk.proof_period_ns
            for desk in self.desks.values()
        )
