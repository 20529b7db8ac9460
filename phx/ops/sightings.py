"""What ops sees of an instance from one look to the next, put so that a row of the alert table is a comparison.

Counters that rose, states and since when; nothing here judges. The first look is where counting begins: what happened
before ops lived is not news, what still goes on is.
"""

import math
import time
from collections import deque

import numpy as np

from phx import topology
from phx._core.enums import Mode, OrderState, Reason
from phx.differences import Difference, Differences
from phx.latches import Latch, Latches
from phx.ops.figures import word
from phx.overrides import Override, OverrideRefused, Overrides
from phx.process import HUNG_NS, Lock
from phx.venue.binance.silence import shared

RESPAWN_S = 2.0  # supervisord and a start take less; whoever died is back by then
STARTED_S = 60.0  # a process that was never ready, a symbol that never quoted, should be from then on
RECENT_NS = 3_000_000_000
MEANT = ("OPERATOR", "DISABLED", "LATCH", "NONE")  # no incident, or one of another row
WINDOW_S = 60.0


class Sightings:
    """Every attribute is of the newest look. *_since_s: monotonic seconds."""

    def __init__(self, instance):
        self.instance = instance
        self.config = instance.config
        self.run_folder = self.config.run_folder()
        self.traded = self.config.traded()
        self.fed = list(self.config.instrument_ids())
        self.processes = topology.processes(self.config)
        self.now_s = self.began_s = 0.0
        self.latches: list[Latch] = []
        self.differences: list[Difference] = []
        self.heartbeat_ages_ns: dict[str, int | None] = {}
        self.gone_s: dict[str, float] = {}  # process that was ready → how long it has not been; inf: it died
        self.began_anew: dict[str, int] = {}  # process → lives after the first that ops knew
        self.paused_since_s: dict[str, float] = {}  # symbols that do not quote although nobody wanted that
        self.one_sided_since_s: dict[str, float] = {}
        self.reasons: dict[str, str] = {}  # of those that are paused
        self.stops: dict[str, str] = {}  # symbols whose position is being closed → why, unless a human said so
        self.unknown_orders: list[tuple[str, int, int]] = []  # symbol, intent id, age in ns
        self.deadman_left_ns: dict[str, int] = {}
        self.deadman_period_ns = 0
        self.banned_until_ns = 0  # UTC
        self.least_lateness_ns: dict[str, int] = {}  # receipt by our clock minus venue time, the least of recent books
        self.journal_late_s = 0.0
        self.override: Override | None = None  # that is in force
        self._latches, self._silence = Latches(self.run_folder), shared(self.config)
        self._overrides = Overrides(self.run_folder)
        self._differences = Differences(self.run_folder)
        self._blocks: dict[str, np.void | None] = {}  # of this look
        self._rises: dict[tuple[str, str, str], int] = {}  # of this look, by kind, who and field
        self._counts: dict[tuple[str, str, str], int] = {}
        self._recent: dict[tuple[str, str, str], deque] = {}
        self._sim_starting = False  # at this look, or at the one before
        self._ready_before = False
        self._generations = {"ops": 1}  # its own former lives are news to it
        self._ready_s: dict[str, float] = {}  # process → when it was last seen ready
        self._quoted: set[str] = set()
        self._down_since_s: dict[str, float] = {}
        self._lateness: dict[str, dict[int, int]] = {}  # symbol → receipt of a book, monotonic → its lateness
        self._journal = (0, 0, 0.0)  # epoch, an entry that is to reach the disk, since when

    def look(self, now_s: float) -> None:
        """Take in this moment."""
        self.began_s = self.began_s or now_s
        self.now_s = now_s
        self.latches = self._latches.all()
        self.differences = self._differences.read()
        self.banned_until_ns = self._silence.heard(time.time_ns()).banned_until_ns
        self._blocks.clear()
        self._rises.clear()
        self._look_at_override()
        self._look_at_processes()
        for symbol in self.traded:
            self._look_at_quoting(symbol)
        self._look_at_orders()
        self._look_at_account()
        self._look_at_clock()

    # ---- counters ----

    def risen(self, kind: str, field: str) -> dict[str, int]:
        """Return whose counter rose since the look before, by how much."""
        rises = {who: self._rise(kind, who, field) for who in self._names(kind)}
        return {who: n for who, n in rises.items() if n}

    def risen_within(self, kind: str, field: str, who: str, window_s: float) -> int:
        """Return how much a counter rose within the last seconds; to be asked at every look."""
        recent = self._recent.setdefault((kind, who, field), deque())
        if n := self._rise(kind, who, field):
            recent.append((self.now_s, n))
        while recent and recent[0][0] < self.now_s - window_s:
            recent.popleft()
        return sum(n for _, n in recent)

    def _rise(self, kind: str, who: str, field: str) -> int:
        key = (kind, who, field)
        if key not in self._rises and (count := self._count(*key)) is not None:
            # The simulated venue begins anew with every start: what a former one left in the books is no drift.
            old = self.now_s == self.began_s or (self._sim_starting and kind == "gateway")
            before = count if old else self._counts.get(key, 0)
            self._rises[key] = count - before if count >= before else count  # a new life counts from zero
            self._counts[key] = count
        return self._rises.get(key, 0)

    def _count(self, kind: str, who: str, field: str) -> int | None:
        name = f"process.{who}" if kind == "process" else f"counters.{kind}.{who}"
        if name not in self._blocks:
            segment = self.instance.segment(name)
            self._blocks[name] = None if segment is None else segment.records[0]
        block = self._blocks[name]
        return None if block is None else int(block[field])

    def _names(self, kind: str) -> list[str]:
        return {"process": self.processes, "feed": self.fed}.get(kind, self.traded)

    # ---- processes ----

    def _look_at_processes(self) -> None:
        for name in self.processes:
            age_ns = self.heartbeat_ages_ns[name] = self.instance.heartbeat_age_ns(name)
            if age_ns is not None:
                self._ready_s[name] = self.now_s
                self.gone_s.pop(name, None)
            elif name in self._ready_s:
                gone_s = self.now_s - self._ready_s[name]
                self.gone_s[name] = math.inf if gone_s > RESPAWN_S and self._died(name) else gone_s
            elif self.now_s - self.began_s > STARTED_S:
                self.gone_s[name] = math.inf
            segment = self.instance.segment(f"process.{name}")
            if segment is not None:
                known = self._generations.setdefault(name, segment.generation)
                if segment.generation > known:
                    self.began_anew[name] = segment.generation - known

    def _died(self, name: str) -> bool:
        """Return whether a process ended in a way that it did not mean to: its start is noted until it does."""
        if not (self.run_folder / f"exits.{name}.json").exists():
            return False
        lock = Lock(self.config.shm_folder() / f"lock.{name}")
        try:
            return not lock.held_by_somebody()
        finally:
            lock.release()

    # ---- symbols ----

    def _look_at_quoting(self, symbol: str) -> None:
        state, own = self.instance.newest(f"state.{symbol}"), self.instance.newest(f"own.{symbol}")
        if state is None or own is None:
            return
        mode, reason = word(Mode, state["mode"], "MODE_"), word(Reason, state["reason"], "REASON_")
        sides = own["side"][: int(own["orders"])]
        both = bool((sides > 0).any() and (sides < 0).any())
        if both and mode == "NORMAL":
            self._quoted.add(symbol)
        expected = symbol in self._quoted or self.now_s - self.began_s > STARTED_S
        paused = expected and mode == "PAUSED" and reason not in MEANT
        self.reasons[symbol] = reason
        since(self.paused_since_s, symbol, paused, self.now_s)
        since(self.one_sided_since_s, symbol, expected and mode == "NORMAL" and not both, self.now_s)
        self.stops.pop(symbol, None)
        if mode == "FLATTENING" and reason != "OPERATOR":
            self.stops[symbol] = reason

    def _look_at_orders(self) -> None:
        self.unknown_orders = []
        for symbol in self.traded:
            own = self.instance.newest(f"own.{symbol}")
            if own is None:
                continue
            rows = np.flatnonzero(own["state"][: int(own["orders"])] == OrderState.ORDER_UNKNOWN)
            for i in rows:
                age_ns = int(self.now_s * 1e9) - int(own["since_mono_ns"][i])
                self.unknown_orders.append((symbol, int(own["intent_id"][i]), age_ns))

    # ---- account and venue ----

    def down_for_s(self, field: str) -> float:
        """Return how long a connection of the account has been down; 0 while it is up."""
        return self.now_s - self._down_since_s.get(field, self.now_s)

    def _look_at_account(self) -> None:
        account, proof = self.instance.newest("account"), self.instance.newest("proof")
        age_ns = self.heartbeat_ages_ns.get("gateway")
        ready = account is not None and bool(account["ready"])
        self._sim_starting = self.config.venue.environment == "sim" and not (ready and self._ready_before)
        self._ready_before = ready
        working = ready and age_ns is not None and age_ns < HUNG_NS
        for field in ("user_stream_up", "order_session_up"):
            by_rest = field == "order_session_up" and self.config.venue.orders_by == "rest"
            since(self._down_since_s, field, working and not by_rest and not account[field], self.now_s)
        self.deadman_left_ns = {}
        if working:
            self._look_at_journal(account)
            if proof is not None:
                now_ns, ids = int(self.now_s * 1e9), self.config.instrument_ids()
                self.deadman_period_ns = int(proof["period_ns"])
                for symbol in self.traded:
                    self.deadman_left_ns[symbol] = int(proof["deadline_mono_ns"][ids[symbol]]) - now_ns

    def _look_at_journal(self, account) -> None:
        on_disk = self._count("process", "ops", "journal_seq") or 0
        newest, epoch = int(account["journal_seq"]), int(account["epoch"])
        known, wanted, since_s = self._journal
        if epoch != known or on_disk >= wanted:
            self._journal = (epoch, newest, self.now_s)
            self.journal_late_s = 0.0
        else:
            self.journal_late_s = self.now_s - since_s

    def _look_at_override(self) -> None:
        try:
            found = self._overrides.read()
        except OverrideRefused:  # it latches, which is an incident of its own
            found = None
        self.override = found if found is not None and found.in_force(time.time_ns()) else None

    def _look_at_clock(self) -> None:
        self.least_lateness_ns = {}
        for symbol in self.fed:
            book = self.instance.newest(f"book.{symbol}")
            seen = self._lateness.setdefault(symbol, {})
            if book is not None:
                seen[int(book["recv_mono_ns"])] = int(book["ts_recv_ns"]) - int(book["ts_event_ns"])
            for recv_mono_ns in [at for at in seen if at < int(self.now_s * 1e9) - RECENT_NS]:
                del seen[recv_mono_ns]
            if seen:
                self.least_lateness_ns[symbol] = min(seen.values(), key=abs)


def since(moments: dict[str, float], what: str, so: bool, now_s: float) -> None:
    """Keep the moment since which something is so; forget it when it is not."""
    if so:
        moments.setdefault(what, now_s)
    else:
        moments.pop(what, None)
