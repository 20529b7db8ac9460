"""The recorded market at work: a recording moves the books, the accounts' orders are laid over it."""

import time

from phx._core.matching import Event
from phx._core.overlay import Overlay
from phx.sim.contracts import Contract
from phx.sim.market import FIRST_ORDER_ID, FIRST_OVERLAID_TRADE_ID, NEVER_NS, first_id
from phx.sim.recorded import Kind, Recorded
from phx.sim.streams import Hub, SymbolStreams


class OverlaidMarket:
    """One symbol of a recording. Its public streams show the recording alone, never our orders."""

    def __init__(self, contract: Contract, hub: Hub, queue_model: str, queue_power: float):
        self.contract = contract
        self.streams = SymbolStreams(contract, hub)
        bases = (FIRST_ORDER_ID, FIRST_OVERLAID_TRADE_ID)
        self.book = Overlay(queue_model, queue_power, *(first_id(base, time.time_ns()) for base in bases))

    def play(self, record: Recorded, ts_ms: int, now_ms: int) -> None:
        """Apply one record: first to our orders, then to the public streams."""
        kind, p = record.kind, record.payload
        if kind == Kind.TOP:
            self.book.best(p.update_id, p.bid_ticks, p.bid_lots, p.ask_ticks, p.ask_lots)
            self.streams.on_top(p.update_id, (p.bid_ticks, p.bid_lots), (p.ask_ticks, p.ask_lots), ts_ms, now_ms)
        elif kind == Kind.DELTA:
            self.book.delta(p.last_id, p.bids, p.asks)
            self.streams.on_diff(p.first_id, p.last_id, p.prev_id, p.bids, p.asks, ts_ms, now_ms)
        elif kind == Kind.TRADE:
            self.book.trade(p.price_ticks, p.qty_lots, p.aggressor, p.origin)
            self.streams.on_trade(p.trade_id, p.price_ticks, p.qty_lots, p.aggressor, p.origin, ts_ms, now_ms)
        else:
            self.book.snapshot(p.update_id, p.bids, p.asks)
            self.streams.on_book(p.update_id, p.bids, p.asks, ts_ms)

    def drain(self, now_ns: int) -> list[Event]:
        return self.book.drain()


class RecordedPlayer:
    """Plays one stream of records, in venue time, into the markets of its symbols."""

    def __init__(
        self, contracts: list[Contract], hub: Hub, records, speed: float, queue_model: str, queue_power: float
    ):
        self.markets = {c.symbol: OverlaidMarket(c, hub, queue_model, queue_power) for c in contracts}
        self.speed = speed
        self._records = iter(records)
        self._next: Recorded | None = next(self._records, None)
        self._begin_ns = 0
        self._due_ns = NEVER_NS

    def start(self, now_ns: int) -> None:
        self._begin_ns = now_ns
        self._plan()
        # The snapshots are the state the market begins with.
        while self._next is not None and self._next.kind == Kind.SNAPSHOT:
            self._step(now_ns)

    def _plan(self) -> None:
        if self._next is None:
            self._due_ns = NEVER_NS
        else:
            self._due_ns = self._begin_ns + int(self._next.ts_ns / self.speed)

    def due_ns(self) -> int:
        return self._due_ns

    def postpone(self, by_ns: int) -> None:
        self._begin_ns += by_ns
        self._plan()

    def _step(self, now_ns: int) -> None:
        record = self._next
        self.markets[record.symbol].play(record, self._due_ns // 1_000_000, now_ns // 1_000_000)
        self._next = next(self._records, None)
        self._plan()

    def advance(self, now_ns: int, until_ns: int) -> None:
        while self._due_ns <= now_ns and time.time_ns() <= until_ns:
            self._step(now_ns)
