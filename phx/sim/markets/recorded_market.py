"""The recorded market at work: a recording moves the books, the accounts' orders are laid over it."""

import time

from phx._core.enums import TradeOrigin
from phx._core.matching import Event, EventKind
from phx._core.overlay import Overlay
from phx.overlaid import OverlaidView, SeenDelta, SeenTop
from phx.sim.contracts import Contract
from phx.sim.markets.market import FIRST_ORDER_ID, FIRST_OVERLAID_TRADE_ID, NEVER_NS, first_id
from phx.sim.markets.recorded import Kind, Recorded
from phx.sim.streams.streams import Hub, SymbolStreams


class OverlaidMarket:
    """One symbol of a recording. Its public streams show the recording and the accounts' orders.

    A trade that an account takes is printed between the recorded ones, whose ids make room for it. What fills a resting
    order is not: the recorded trade that did it is told already.
    """

    def __init__(self, contract: Contract, hub: Hub, queue_model: str, queue_power: float):
        self.contract = contract
        self.streams = SymbolStreams(contract, hub)
        bases = (FIRST_ORDER_ID, FIRST_OVERLAID_TRADE_ID)
        self.book = Overlay(queue_model, queue_power, *(first_id(base, time.time_ns()) for base in bases))
        self.view = OverlaidView(self.book)
        self._printed = 0  # trades of our takers
        self._trade_id = 0  # newest told
        self._ts_ms = 0  # of the newest message: printed times never go back

    def play(self, record: Recorded, ts_ms: int, now_ms: int) -> None:
        """Apply one record: first to our orders, then to the public streams."""
        kind, p = record.kind, record.payload
        ts_ms = self._ts_ms = max(self._ts_ms, ts_ms)
        if kind == Kind.TOP:
            self.book.best(p.update_id, p.bid_ticks, p.bid_lots, p.ask_ticks, p.ask_lots)
            seen = self.view.top(p.update_id, (p.bid_ticks, p.bid_lots), (p.ask_ticks, p.ask_lots), now_ms)
            self._tell(seen, ts_ms, now_ms)
        elif kind == Kind.DELTA:
            self.book.delta(p.last_id, p.bids, p.asks)
            self._tell(self.view.delta(p.first_id, p.last_id, p.bids, p.asks, now_ms), ts_ms, now_ms)
        elif kind == Kind.TRADE:
            self.book.trade(p.price_ticks, p.qty_lots, p.aggressor, p.origin)
            self._trade_id = p.trade_id + self._printed
            self.streams.on_trade(self._trade_id, *p[1:], ts_ms, now_ms)
            self._tell(self.view.changed(now_ms), ts_ms, now_ms)
        else:
            self.book.snapshot(p.update_id, p.bids, p.asks)
            self.view.book(p.update_id, p.bids, p.asks)
            self.streams.on_book(p.update_id, p.bids, p.asks, ts_ms)

    def _tell(self, seen: list[SeenTop | SeenDelta], ts_ms: int, now_ms: int) -> None:
        for one in seen:
            if isinstance(one, SeenTop):
                self.streams.on_top(*one, ts_ms, now_ms)
            else:
                self.streams.on_diff(*one, ts_ms, now_ms)

    def drain(self, now_ns: int) -> list[Event]:
        events = self.book.drain()
        if not events and not self.view.waits:
            return events
        now_ms = self._ts_ms = max(self._ts_ms, now_ns // 1_000_000)
        self._tell(self.view.changed(now_ms), now_ms, now_ms)
        for event in events:
            if event.kind == EventKind.EVENT_TRADE and event.order_id:
                self._printed += 1
                self._trade_id += 1
                traded = event.price_ticks, event.qty_lots, event.side
                self.streams.on_trade(self._trade_id, *traded, TradeOrigin.ORIGIN_MARKET, now_ms, now_ms)
        return events


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
