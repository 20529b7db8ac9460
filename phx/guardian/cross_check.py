"""The guardian's own look at the venue: do its positions and orders agree with what the gateway publishes?

Another process, another connection, other code than the gateway's reconciliation, and no correction: what differs is
told (differences.py, from where ops alerts), and latches its symbol when it stays. A position that is not known is a
risk that is not known, so nothing may add to it; a flattening still goes.

Only still readings count: taken before and after the venue's answer, with nothing moved between. A fill on its way then
looks like a difference at one look at most.
"""

import asyncio
import logging
import time

import numpy as np
from msgspec import Struct

from phx._core.coid import format_coid, own_prefix
from phx._core.ring import RingReader
from phx.differences import Difference, Differences
from phx.instruments import InstrumentError, read_table
from phx.latches import Latches
from phx.venue.interface import AccountRest, VenueError, VenueLimited

PERIOD_S = 4.0  # positions weigh 5, a symbol's orders 1: at most 150 a minute, whatever is traded
ORDERS_AT_ONCE = 5  # symbols whose orders are asked for at one look, in turn
SETTLED_NS = 2_000_000_000  # an order that the venue acknowledged is missed when it is as it is for so long
TOLD_LOOKS = 2  # in a row that found the same
LATCH_LOOKS, LATCH_NS = 3, 30_000_000_000  # within twenty the gateway takes the venue's word by itself
GAP_TURNS = 2.5  # a look that comes later than so many turns of its symbol proves nothing of the time between

log = logging.getLogger("phx.guardian")


class Suspicion(Struct):
    """One difference since its first look. size: how far apart, or which orders; another size, another difference.

    stays_ns: how long it has stayed while looks were taken as planned. While the venue answers nobody, or this host
    sleeps, the gateway cannot correct itself either.
    """

    size: object
    text: str
    seen_mono_ns: int
    looks: int = 1
    stays_ns: int = 0


class CrossCheck:
    """symbol_ids: the traded symbols. comparable(): whether the gateway's word is meant to hold now."""

    def __init__(self, process, rest: AccountRest, symbol_ids: dict[str, int], latches: Latches, comparable):
        self.process = process
        self.config = process.config
        self.rest = rest
        self.symbol_ids = symbol_ids
        self.latches = latches
        self.comparable = comparable
        self.environment = self.config.venue.environment
        self.differences = Differences(process.run_folder)
        self.own = {symbol: OwnView(process, symbol) for symbol in symbol_ids}
        self.suspicions: dict[tuple[str, str], Suspicion] = {}  # by symbol and kind
        self.turn = 0
        turns = -(-len(symbol_ids) // ORDERS_AT_ONCE)  # looks until the orders of all symbols were asked for
        self.longest_gap_ns = int(GAP_TURNS * turns * PERIOD_S * 1e9)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        self.differences.clear()
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                if self.comparable():
                    await self.look()
                else:
                    self.suspicions.clear()
                await self.conclude()
            except VenueLimited as error:
                await asyncio.sleep(min(error.retry_after_s, 60.0))
            except (VenueError, InstrumentError, OSError) as error:
                log.info("guardian: cross check: %s", error)

    async def look(self) -> None:
        """Compare positions, and the orders of those symbols whose turn it is."""
        await self._positions()
        symbols = list(self.symbol_ids)
        for i in range(min(ORDERS_AT_ONCE, len(symbols))):
            await self._orders(symbols[(self.turn + i) % len(symbols)])
        self.turn += ORDERS_AT_ONCE

    async def conclude(self) -> None:
        """Tell what was found twice, and latch what stays."""
        found = {key: s for key, s in self.suspicions.items() if s.looks >= TOLD_LOOKS}
        self.differences.tell([Difference(*key, s.text) for key, s in sorted(found.items())])
        for (symbol, kind), s in found.items():
            if s.looks == TOLD_LOOKS:
                log.error("guardian: %s: %s differs: %s", symbol, kind, s.text)
            if s.looks >= LATCH_LOOKS and s.stays_ns >= LATCH_NS and not self.latches.stops(symbol):
                log.error("guardian: %s: latched: %s differs: %s", symbol, kind, s.text)
                await asyncio.to_thread(self.latches.set, "guardian", f"the venue differs: {s.text}", symbol)

    async def _positions(self) -> None:
        instruments = self._instruments()
        before = {symbol: own.newest() for symbol, own in self.own.items()}
        answer = {p.symbol: p.qty for p in await self.rest.positions() if p.side == "BOTH"}
        for symbol, own in self.own.items():
            ours, after = before[symbol], own.newest()
            instrument = instruments.get(symbol)
            if ours is None or after is None or instrument is None or moved(ours, after):
                continue
            if own.segment.units_hash not in (0, instrument.units_hash):
                continue  # the venue has just changed what a lot is
            try:
                theirs, lots = instrument.lots(answer.get(symbol, "0")), int(ours["position_lots"])
            except InstrumentError as error:
                self._suspect(symbol, "position", str(error), str(error))
                continue
            text = f"position {theirs} lots at the venue, {lots} at the gateway, newest fill {ours['newest_trade_id']}"
            self._suspect(symbol, "position", theirs - lots, text)

    async def _orders(self, symbol: str) -> None:
        before, asked_ns = self.own[symbol].newest(), time.monotonic_ns()
        if before is None:
            return
        prefix = own_prefix(self.environment)
        listed = {o.coid for o in await self.rest.open_orders(symbol) if o.coid.startswith(prefix)}
        after = self.own[symbol].newest()
        if after is None or after["epoch"] != before["epoch"]:
            return
        known = self._coids(symbol, before) | self._coids(symbol, after)
        untold = listed - known
        settled = (before["ts_ack_ns"] > 0) & (before["since_mono_ns"] < asked_ns - SETTLED_NS)
        missing = (self._coids(symbol, before, settled) & self._coids(symbol, after)) - listed
        self._suspect(symbol, "untold orders", frozenset(untold), f"open at the venue alone: {shown(untold)}")
        self._suspect(symbol, "missing orders", frozenset(missing), f"open at the gateway alone: {shown(missing)}")

    def _suspect(self, symbol: str, kind: str, size, text: str) -> None:
        """Remember a difference, or that there is none."""
        known, now_ns = self.suspicions.get((symbol, kind)), time.monotonic_ns()
        if not size:
            self.suspicions.pop((symbol, kind), None)
        elif known is None or not same(known.size, size):
            self.suspicions[symbol, kind] = Suspicion(size, text, now_ns)
        else:
            gap_ns = now_ns - known.seen_mono_ns
            known.stays_ns = known.stays_ns + gap_ns if gap_ns <= self.longest_gap_ns else 0
            known.size, known.text, known.looks = common(known.size, size), text, known.looks + 1
            known.seen_mono_ns = now_ns

    def _coids(self, symbol: str, own, chosen=None) -> set[str]:
        rows = np.arange(len(own["intent_id"])) < int(own["orders"])
        rows = rows if chosen is None else rows & chosen
        epoch, symbol_id = int(own["epoch"]), self.symbol_ids[symbol]
        return {format_coid(self.environment, symbol_id, epoch, int(i)) for i in own["intent_id"][rows]}

    def _instruments(self) -> dict:
        found: dict = {}
        for group in self.config.feed_groups():
            path = self.process.folder / f"instruments.{group}.json"
            found |= read_table(path) if path.exists() else {}
        return found


class OwnView:
    """The gateway's newest word on one symbol."""

    def __init__(self, process, symbol: str):
        self.process = process
        self.name = f"own.{symbol}"
        self.segment = None
        self.reader: RingReader | None = None

    def newest(self):
        """Return the newest record; None when there is none, or the gateway is not ready."""
        if self.segment is None or self.segment.replaced():
            self.segment = self.process.try_attach(self.name)
            if self.segment is None:
                return None
            self.reader = RingReader(self.segment.memory, self.segment.dtype)
        record = self.reader.read_newest()
        return record if record is not None and record["ready"] else None


def moved(before, after) -> bool:
    return any(before[name] != after[name] for name in ("epoch", "position_lots", "fills", "newest_trade_id"))


def same(one, other) -> bool:
    """Return whether two looks found the same: as many lots apart, or some orders in common."""
    return bool(one & other) if isinstance(one, frozenset) else one == other


def common(one, other):
    return one & other if isinstance(one, frozenset) else other


def shown(coids) -> str:
    return ", ".join(sorted(coids)[:5]) + (f" and {len(coids) - 5} more" if len(coids) > 5 else "")
