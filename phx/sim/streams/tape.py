"""The public trades of one contract: kept for queries, aggregated, and counted into candles and the 24 h statistics."""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from phx._core.enums import TradeOrigin
from phx.sim.streams.klines import Klines
from phx.sim.streams.tickers import DayStatistics, DayWindow

AGGREGATE_MS = 100  # trades of one price and taker side in this time are told as one, and as late
MAX_TRADES = 5_000  # at least these are kept for queries, of trades and of aggregates: some MB a contract
# Of the size seen on the venue. The base begins later the later the market does, so a restarted venue repeats none.
FIRST_AGGREGATE_ID = 3_400_000_000
ID_EPOCH_MS = 1_767_225_600_000  # 2026-01-01
NEVER_MS = 2**62
ON_THE_BOOK = (TradeOrigin.ORIGIN_MARKET, TradeOrigin.ORIGIN_RPI)


class PublicTrade(NamedTuple):
    """One trade. taker: +1 it bought, -1 it sold. rpi: against an order that only retail flow meets."""

    trade_id: int
    ticks: int
    lots: int
    taker: int
    ts_ms: int
    rpi: bool


class Aggregate(NamedTuple):
    """Consecutive trades of one price and taker side. lots: of all; normal_lots: without rpi. ts_ms: of the first."""

    agg_id: int
    ticks: int
    lots: int
    normal_lots: int
    first_id: int
    last_id: int
    ts_ms: int
    taker: int


class Tape:
    """Trades of one contract in the order they came. Those of insurance fund and deleveraging are not on it."""

    def __init__(self):
        self.klines = Klines()
        self.trades: list[PublicTrade] = []  # newest last
        self.aggregates: list[Aggregate] = []  # told ones, newest last
        self._open: Aggregate | None = None
        self._closed: deque[Aggregate] = deque()  # not told yet
        self._agg_id = 0
        self._day = DayWindow()

    @property
    def last(self) -> PublicTrade | None:
        return self.trades[-1] if self.trades else None

    def add(
        self, trade_id: int, ticks: int, lots: int, taker: int, origin: int, ts_ms: int, update_id: int = -1
    ) -> None:
        """Count a trade. update_id: of the book then."""
        if origin not in ON_THE_BOOK:
            return
        trade = PublicTrade(trade_id, ticks, lots, taker, ts_ms, origin == TradeOrigin.ORIGIN_RPI)
        self.trades.append(trade)
        _trim(self.trades)
        self.klines.add(ts_ms, ticks, lots, taker > 0, trade_id, update_id)
        self._aggregate(trade)

    def _aggregate(self, trade: PublicTrade) -> None:
        normal_lots = 0 if trade.rpi else trade.lots
        one = self._open
        if one is not None:
            if one.ticks == trade.ticks and one.taker == trade.taker and trade.ts_ms < one.ts_ms + AGGREGATE_MS:
                self._open = one._replace(
                    lots=one.lots + trade.lots,
                    normal_lots=one.normal_lots + normal_lots,
                    last_id=trade.trade_id,
                )
                return
            self._closed.append(one)
        self._agg_id = self._agg_id + 1 if self._agg_id else FIRST_AGGREGATE_ID + max(0, trade.ts_ms - ID_EPOCH_MS)
        self._open = Aggregate(
            self._agg_id, trade.ticks, trade.lots, normal_lots, trade.trade_id, trade.trade_id, trade.ts_ms, trade.taker
        )

    @property
    def due_ms(self) -> int:
        """When the next aggregate's time is over."""
        one = self._closed[0] if self._closed else self._open
        return NEVER_MS if one is None else one.ts_ms + AGGREGATE_MS

    def due(self, now_ms: int) -> Iterator[Aggregate]:
        """Yield the aggregates whose time is over, oldest first, each once."""
        if self._open is not None and now_ms >= self._open.ts_ms + AGGREGATE_MS:
            self._closed.append(self._open)
            self._open = None
        while self._closed and now_ms >= self._closed[0].ts_ms + AGGREGATE_MS:
            told = self._closed.popleft()
            self.aggregates.append(told)
            _trim(self.aggregates)
            yield told

    # ---- queries ------------------------------------------------------------------------------------------------

    def recent(self, limit: int) -> list[PublicTrade]:
        """Return the newest trades, oldest first."""
        return self.trades[-limit:] if limit else []

    def trades_from(self, first_id: int, limit: int) -> list[PublicTrade]:
        """Return up to `limit` trades beginning with an id, or with the next one kept."""
        start = bisect_left(self.trades, first_id, key=lambda trade: trade.trade_id)
        return self.trades[start : start + limit]

    def aggregates_from(self, first_id: int, limit: int) -> list[Aggregate]:
        """Return up to `limit` aggregates beginning with an id, or with the next one kept."""
        start = bisect_left(self.aggregates, first_id, key=lambda one: one.agg_id)
        return self.aggregates[start : start + limit]

    def aggregates_between(self, start_ms: int | None, end_ms: int | None, limit: int) -> list[Aggregate]:
        """Return aggregates of a time, both ends included: with a start the earliest of them, else the newest."""
        start = 0 if start_ms is None else bisect_left(self.aggregates, start_ms, key=lambda one: one.ts_ms)
        end = None if end_ms is None else bisect_left(self.aggregates, end_ms + 1, key=lambda one: one.ts_ms)
        found = self.aggregates[start:end]
        return found[:limit] if start_ms is not None else found[-limit:] if limit else []

    def day(self, now_ms: int) -> DayStatistics | None:
        """Return the statistics of the last 24 hours, None before the first trade."""
        return self._day.statistics(self.klines, self.last, now_ms)


def _trim(kept: list) -> None:
    """Forget the older half of what is too much."""
    if len(kept) >= 2 * MAX_TRADES:
        del kept[:MAX_TRADES]
