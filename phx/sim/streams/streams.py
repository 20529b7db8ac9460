"""The streams of one contract: what the market tells, at the speed of each, built only when somebody listens.

Sending is by the hub; streams of all contracts together are in all_markets.
"""

from phx._core.enums import TradeOrigin
from phx.sim.contracts import Contract
from phx.sim.streams import market_wire
from phx.sim.streams.depth import DiffBatch, PublicBook
from phx.sim.streams.hub import Hub
from phx.sim.streams.klines import INTERVALS, untold
from phx.sim.streams.market_wire import Liquidation
from phx.sim.streams.tape import Tape

ORIGIN_TEXT = {
    TradeOrigin.ORIGIN_NONE: "NA",
    TradeOrigin.ORIGIN_MARKET: "MARKET",
    TradeOrigin.ORIGIN_RPI: "RPI",
    TradeOrigin.ORIGIN_LIQUIDATION: "ADL",
    TradeOrigin.ORIGIN_INSURANCE: "INSURANCE_FUND",
}
# Speed in ms → the diff streams, and the streams of the best levels with how many. The speed of 250 ms has no name but
# the bare one: @250ms is silent, as measured on the venue. Retail orders, which rpiDepth would add, do not exist here.
DIFF_STREAMS = {100: ("depth@100ms",), 250: ("depth",), 500: ("depth@500ms", "rpiDepth@500ms")}
PARTIAL_STREAMS = {
    interval_ms: tuple((f"depth{levels}{suffix}", levels) for levels in (5, 10, 20))
    for interval_ms, suffix in ((100, "@100ms"), (250, ""), (500, "@500ms"))
}
SINGLE_STREAMS = (
    "bookTicker", "trade", "depth@0ms", "aggTrade", "markPrice", "markPrice@1s", "ticker", "miniTicker", "forceOrder",
)  # fmt: skip
KLINE_MS = 250
LIQUIDATION_MS = 1000  # one is told of this time, the largest, at its end


class SymbolStreams:
    """All public streams of one contract. The market tells it what happened, with the venue's times."""

    def __init__(self, contract: Contract, hub: Hub):
        self.contract = contract
        self.hub = hub
        self.book = PublicBook()
        self.tape = Tape()
        symbol = contract.symbol.lower()
        batched = [name for names in DIFF_STREAMS.values() for name in names]
        partial = [name for rows in PARTIAL_STREAMS.values() for name, _ in rows]
        self.names = {name: f"{symbol}@{name}" for name in (*SINGLE_STREAMS, *batched, *partial)}
        continuous = f"{contract.entry['pair']}_{contract.entry['contractType']}".lower()
        self._kline_names = {
            interval: (
                # By the second there are only continuous klines.
                f"{symbol}@kline_{interval}" if interval != "1s" else "",
                f"{continuous}@continuousKline_{interval}",
            )
            for interval in INTERVALS
        }
        self._kline_due_ms = 0
        self._klines_told: dict[str, tuple[int, int]] = {}  # interval → the candle last told and its newest trade
        self.batches = {interval_ms: DiffBatch(interval_ms) for interval_ms in DIFF_STREAMS}
        self.last_ticks = 0  # of the newest trade that moved the price
        self.best: tuple | None = None  # (update_id, bid, ask, T) as last told
        self._mark: tuple = ()
        self.mark_ms = 0
        self._liquidation: Liquidation | None = None  # the largest of the interval
        self._liquidation_due_ms = 0

    # ---- what happens -------------------------------------------------------------------------------------------

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

    def on_mark(self, mark_e8, index_e8, rate_e8, next_funding_ms, now_ms: int, every_3s: bool) -> None:
        """Publish the mark price: each second, on the slow stream every third."""
        self._mark = mark_e8, index_e8, index_e8, rate_e8, next_funding_ms, now_ms
        self.mark_ms = now_ms
        for stream in ("markPrice@1s", *(("markPrice",) if every_3s else ())):
            if self.hub.wanted(self.names[stream]):
                self.hub.send(self.names[stream], self.mark_text())

    def mark_text(self) -> str:
        """Return the newest mark price as its stream tells it."""
        return market_wire.mark_price(self.contract, *self._mark)

    def on_liquidation(self, liquidation: Liquidation) -> None:
        """Take note of a forced order; the first one filled begins the interval."""
        if not liquidation.lots:
            return
        if self._liquidation is None:
            self._liquidation_due_ms = liquidation.ts_ms + LIQUIDATION_MS
        if self._liquidation is None or liquidation.lots > self._liquidation.lots:
            self._liquidation = liquidation

    # ---- what is told later -------------------------------------------------------------------------------------

    def flush(self, now_ms: int) -> None:
        """Publish what is due: aggregates, batched depth, klines, liquidations."""
        if now_ms >= self.tape.due_ms:
            self._publish_aggregates(now_ms)
        for interval_ms, batch in self.batches.items():
            # Asked of every contract every few ms, nearly always in vain: so looked at before it is called.
            if batch.last_id and now_ms >= batch.due_ms:
                self._publish_depth(interval_ms, batch, now_ms)
        if now_ms >= self._kline_due_ms:
            self._kline_due_ms = now_ms - now_ms % KLINE_MS + KLINE_MS
            self._publish_klines(now_ms)
        if self._liquidation is not None and now_ms >= self._liquidation_due_ms:
            self._publish_liquidation(now_ms)

    def _publish_aggregates(self, now_ms: int) -> None:
        name = self.names["aggTrade"]
        for aggregate in self.tape.due(now_ms):
            if self.hub.wanted(name):
                self.hub.send(name, market_wire.agg_trade(self.contract, aggregate, now_ms))

    def _publish_depth(self, interval_ms: int, batch: DiffBatch, now_ms: int) -> None:
        taken = first_id, last_id, prev_id, bids, asks, ts_ms = batch.take(now_ms)
        wanted = [self.names[name] for name in DIFF_STREAMS[interval_ms] if self.hub.wanted(self.names[name])]
        if wanted:
            text = market_wire.depth_update(self.contract, *taken, now_ms)
            for name in wanted:
                self.hub.send(name, text)
        for stream, levels in PARTIAL_STREAMS[interval_ms]:
            name = self.names[stream]
            if self.hub.wanted(name):
                # The ids are those of the diff of the same speed.
                bids, asks = self.book.top(levels)
                text = market_wire.depth_update(self.contract, first_id, last_id, prev_id, bids, asks, ts_ms, now_ms)
                self.hub.send(name, text)

    def _publish_klines(self, now_ms: int) -> None:
        for interval, (name, continuous) in self._kline_names.items():
            wanted = [
                (stream, text_of)
                for stream, text_of in ((name, market_wire.kline), (continuous, market_wire.continuous_kline))
                if self.hub.wanted(stream)
            ]
            if not wanted:
                self._klines_told.pop(interval, None)
                continue
            candles = self.tape.klines.candles(interval, now_ms)
            for candle, closed in untold(candles, self._klines_told.get(interval)):
                for stream, text_of in wanted:
                    self.hub.send(stream, text_of(self.contract, candle, interval, closed, now_ms))
            if candles:
                self._klines_told[interval] = candles[-1].open_ms, candles[-1].last_id

    def _publish_liquidation(self, now_ms: int) -> None:
        text = market_wire.force_order(self.contract, self._liquidation, now_ms)
        self._liquidation = None
        for name in (self.names["forceOrder"], "!forceOrder@arr"):
            if self.hub.wanted(name):
                self.hub.send(name, text)
