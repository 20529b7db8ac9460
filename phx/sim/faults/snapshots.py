"""Snapshots of depth that are older than they should be, as from a server that lags behind the streams."""

from typing import NamedTuple

from phx.sim.faults.switchboard import Active

LEVELS = 1000


class OldBook(NamedTuple):
    """A book as it was."""

    taken_ms: int
    update_id: int
    ts_ms: int
    bids: list
    asks: list

    def top(self, limit: int) -> tuple[list, list]:
        return self.bids[:limit], self.asks[:limit]


def stale_snapshot(venue, active: Active, now_ns: int, overlay) -> None:
    """Remember every book as it is when the fault begins."""
    for symbol in venue.exchange.contracts:
        active.memory[symbol] = taken(venue.exchange, symbol, now_ns // 1_000_000)


def taken(exchange, symbol: str, now_ms: int) -> OldBook:
    public = exchange.player.markets[symbol].streams.book
    bids, asks = public.top(LEVELS)
    return OldBook(now_ms, public.update_id, public.ts_ms, list(bids), list(asks))


def old_book(active: Active, exchange, symbol: str, now_ms: int) -> OldBook:
    """Return the book that was remembered, and remember a newer one when it has its age."""
    old = active.memory.get(symbol) or taken(exchange, symbol, now_ms)
    if symbol not in active.memory or now_ms - old.taken_ms >= active["lag_s"] * 1000:
        active.memory[symbol] = taken(exchange, symbol, now_ms)
    return old
