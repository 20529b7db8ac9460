"""Public streams: who listens to what, and the frames of one symbol, built only when somebody listens."""

from collections import defaultdict

from phx._core.enums import TradeOrigin
from phx.sim import market_wire
from phx.sim.contracts import Contract
from phx.sim.depth import DiffBatch, PublicBook
from phx.sim.tape import Tape

ORIGIN_TEXT = {
    TradeOrigin.ORIGIN_NONE: "NA",
    TradeOrigin.ORIGIN_MARKET: "MARKET",
    TradeOrigin.ORIGIN_RPI: "RPI",
    TradeOrigin.ORIGIN_LIQUIDATION: "ADL",
    TradeOrigin.ORIGIN_INSURANCE: "INSURANCE_FUND",
}
BATCH_STREAMS = {"depth@100ms": 100, "depth": 250, "depth@250ms": 250, "depth@500ms": 500}
PARTIAL_STREAMS = {
    f"depth{levels}{suffix}": (levels, interval_ms)
    for levels in (5, 10, 20)
    for suffix, interval_ms in (("", 250), ("@100ms", 100), ("@250ms", 250), ("@500ms", 500))
}
MARKET_STREAMS = ("aggTrade", "markPrice", "markPrice@1s")


def path_of(stream: str) -> str:
    """Return the path that carries a stream: public or market; private streams are listen keys."""
    return "market" if stream.partition("@")[2] in MARKET_STREAMS else "public"


class Hub:
    """Stream name → the connections that asked for it. A connection has send(stream, payload)."""

    def __init__(self):
        self.listeners: dict[str, set] = defaultdict(set)

    def subscribe(self, stream: str, connection) -> None:
        self.listeners[stream].add(connection)

    def unsubscribe(self, stream: str, connection) -> None:
        listening = self.listeners.get(stream)
        if listening:
            listening.discard(connection)
            if not listening:
                del self.listeners[stream]

    def wanted(self, stream: str) -> bool:
        return stream in self.listeners

    def send(self, stream: str, text: str) -> None:
        """Send a payload to everybody who listens."""
        payload = text.encode()
        for connection in list(self.listeners.get(stream, ())):
            connection.send(stream, payload)


class SymbolStreams:
    """All public streams of one contract. The market tells it what happened, with the venue's times."""

    def __init__(self, contract: Contract, hub: Hub):
        self.contract = contract
        self.hub = hub
        self.book = PublicBook()
        self.tape = Tape()
        self.names = {name: f"{contract.symbol.lower()}@{name}" for name in self._all_names()}
        self.batches = {interval_ms: DiffBatch(interval_ms) for interval_ms in (100, 250, 500)}
        self.partial_due_ms = dict.fromkeys(PARTIAL_STREAMS, 0)
        self.partial_prev_id = dict.fromkeys(PARTIAL_STREAMS, 0)
        self.last_ticks = 0  # of the newest trade that moved the price
        self.best: tuple | None = None  # (update_id, bid, ask, T) as last told

    @staticmethod
    def _all_names():
        yield from ("bookTicker", "trade", "depth@0ms", *MARKET_STREAMS, *BATCH_STREAMS, *PARTIAL_STREAMS)

    def on_book(self, update_id: int, bids, asks, ts_ms: int) -> None:
        """Start from a whole book; nothing is published of it but snapshots."""
        self.book.replace(update_id, bids, asks, ts_ms)
        for batch in self.batches.values():
            batch.prev_id = update_id
        if bids and asks:
            self.best = (update_id, bids[0], asks[0], ts_ms)

    def on_diff(self, first_id: int, last_id: int, prev_id: int, bids, asks, ts_ms: int, now_ms: int) -> None:
        """Publish a depth change; both sides ascending by price."""
        self.book.apply(last_id, bids, asks, ts_ms)
        for batch in self.batches.values():
            batch.add(first_id, last_id, bids, asks, ts_ms)
        name = self.names["depth@0ms"]
        if self.hub.wanted(name):
            text = market_wire.depth_update(self.contract, first_id, last_id, prev_id, bids, asks, ts_ms, now_ms)
            self.hub.send(name, text)

    def on_top(self, update_id: int, bid: tuple[int, int], ask: tuple[int, int], ts_ms: int, now_ms: int) -> None:
        self.best = (update_id, bid, ask, ts_ms)
        name = self.names["bookTicker"]
        if self.hub.wanted(name):
            self.hub.send(name, market_wire.book_ticker(self.contract, update_id, bid, ask, ts_ms, now_ms))

    def on_trade(self, trade_id: int, ticks: int, lots: int, aggressor: int, origin: int, ts_ms: int, now_ms: int):
        name = self.names["trade"]
        if self.hub.wanted(name):
            origin_text = ORIGIN_TEXT.get(origin, "MARKET")
            self.hub.send(
                name, market_wire.trade(self.contract, trade_id, ticks, lots, aggressor < 0, origin_text, ts_ms, now_ms)
            )
        self.tape.add(trade_id, ticks, lots, aggressor, origin, ts_ms, self.book.update_id)
        if origin == TradeOrigin.ORIGIN_MARKET:
            self.last_ticks = ticks

    def _publish_aggregates(self, now_ms: int) -> None:
        name = self.names["aggTrade"]
        for aggregate in self.tape.due(now_ms):
            if self.hub.wanted(name):
                self.hub.send(name, market_wire.agg_trade(self.contract, aggregate, now_ms))

    def flush(self, now_ms: int) -> None:
        """Publish what is due on the slower streams; called every few milliseconds."""
        self._publish_aggregates(now_ms)
        for interval_ms, batch in self.batches.items():
            taken = batch.take(now_ms)
            if taken is None:
                continue
            wanted = [self.names[n] for n, ms in BATCH_STREAMS.items() if ms == interval_ms]
            wanted = [name for name in wanted if self.hub.wanted(name)]
            if wanted:
                text = market_wire.depth_update(self.contract, *taken, now_ms)
                for name in wanted:
                    self.hub.send(name, text)
        for stream, (limit, interval_ms) in PARTIAL_STREAMS.items():
            name = self.names[stream]
            if now_ms >= self.partial_due_ms[stream] and self.hub.wanted(name):
                self.partial_due_ms[stream] = now_ms - now_ms % interval_ms + interval_ms
                self._publish_partial(stream, name, limit, now_ms)

    def _publish_partial(self, stream: str, name: str, limit: int, now_ms: int) -> None:
        book = self.book
        prev_id = self.partial_prev_id[stream] or book.update_id
        if prev_id == book.update_id and self.partial_prev_id[stream]:
            return
        self.partial_prev_id[stream] = book.update_id
        bids, asks = book.top(limit)
        text = market_wire.depth_update(self.contract, prev_id, book.update_id, prev_id, bids, asks, book.ts_ms, now_ms)
        self.hub.send(name, text)

    def on_mark(self, mark_e8, index_e8, rate_e8, next_funding_ms, now_ms: int, every_3s: bool) -> None:
        """Publish the mark price: each second, on the slow stream every third."""
        for stream in ("markPrice@1s", *(("markPrice",) if every_3s else ())):
            if self.hub.wanted(self.names[stream]):
                text = market_wire.mark_price(
                    self.contract, mark_e8, index_e8, index_e8, rate_e8, next_funding_ms, now_ms
                )
                self.hub.send(self.names[stream], text)
