"""Candles of one contract in every interval the venue knows, built from its trades; streams and queries read them.

Prices are ticks and quantities lots, as the trades bring them; value is tick·lot. A candle that saw no trade is flat at
the price before it, with ids of -1, as on the venue.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

SECOND_MS = 1000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
FIRST_MONDAY_MS = 4 * DAY_MS  # 1970-01-05; weeks begin on Mondays
MONTH = "1M"

# Length of each interval in ms; months have their own rule. 1s is only offered as a continuous kline.
INTERVALS = {
    "1s": SECOND_MS,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": WEEK_MS,
    MONTH: 0,
}
MAX_CANDLES = 1501  # of each interval: the largest answer to a query and the candle in progress
CLOSE_LAG_MS = 100  # a candle closes a little after its time, so that trades on their way are in it


@dataclass(slots=True)
class Candle:
    """One candle. open_ms to close_ms, both within it; volumes in lots and tick·lots, those of buying takers too."""

    open_ms: int
    close_ms: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    lots: int = 0
    ticklots: int = 0
    taker_lots: int = 0
    taker_ticklots: int = 0
    trades: int = 0
    first_id: int = -1  # of its trades
    last_id: int = -1
    first_update_id: int = -1  # of the book at its first and last trade
    last_update_id: int = -1

    def merge(self, later: "Candle") -> None:
        """Take in a candle that comes after what is in this one."""
        if not later.trades:
            return
        if not self.trades:
            self.open_ticks = self.high_ticks = self.low_ticks = later.open_ticks
            self.first_id, self.first_update_id = later.first_id, later.first_update_id
        self.high_ticks = max(self.high_ticks, later.high_ticks)
        self.low_ticks = min(self.low_ticks, later.low_ticks)
        self.close_ticks = later.close_ticks
        self.lots += later.lots
        self.ticklots += later.ticklots
        self.taker_lots += later.taker_lots
        self.taker_ticklots += later.taker_ticklots
        self.trades += later.trades
        self.last_id, self.last_update_id = later.last_id, later.last_update_id


def opened_ms(interval: str, at_ms: int) -> int:
    """Return when the candle that holds a time began. Raises KeyError for an interval the venue does not know."""
    length_ms = INTERVALS[interval]
    if interval == MONTH:
        day = datetime.fromtimestamp(at_ms / 1000, UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * 1000
    shift_ms = FIRST_MONDAY_MS if length_ms == WEEK_MS else 0
    return at_ms - (at_ms - shift_ms) % length_ms


def next_ms(interval: str, open_ms: int) -> int:
    """Return when the candle after the one that began at open_ms begins."""
    if interval == MONTH:
        return opened_ms(MONTH, open_ms + 31 * DAY_MS)
    return open_ms + INTERVALS[interval]


class Series:
    """The candles of one interval, oldest first; the last one is in progress, all others are closed."""

    def __init__(self, interval: str):
        self.interval = interval
        self.candles: deque[Candle] = deque(maxlen=MAX_CANDLES)
        self._end_ms = 0  # when the last candle ends

    def _begin(self, at_ms: int, ticks: int) -> None:
        open_ms = opened_ms(self.interval, at_ms)
        self._end_ms = next_ms(self.interval, open_ms)
        self.candles.append(Candle(open_ms, self._end_ms - 1, ticks, ticks, ticks, ticks))

    def roll(self, now_ms: int) -> None:
        """Close what ended by now_ms; candles without trades fill a silence."""
        if not self.candles or now_ms < self._end_ms:
            return
        ticks = self.candles[-1].close_ticks
        length_ms = INTERVALS[self.interval]
        if length_ms:
            self._end_ms = max(self._end_ms, opened_ms(self.interval, now_ms) - MAX_CANDLES * length_ms)
        while now_ms >= self._end_ms:
            self._begin(self._end_ms, ticks)

    def merge(self, part: Candle) -> None:
        """Take in trades of one second. Late ones count to the candle in progress: a closed one never changes."""
        if self.candles:
            self.roll(part.open_ms)
        else:
            self._begin(part.open_ms, part.open_ticks)
        self.candles[-1].merge(part)


class Klines:
    """All candles of one contract."""

    def __init__(self):
        self._series = {interval: Series(interval) for interval in INTERVALS}
        self._second: Candle | None = None  # trades of the newest second, not yet in the series
        self._rolled_ms = 0

    def add(self, ts_ms: int, ticks: int, lots: int, taker_buys: bool, trade_id: int, update_id: int = -1) -> None:
        """Count a trade; they come in the order of time."""
        second = self._second
        if second is None or ts_ms > second.close_ms:
            self._fold()
            open_ms = ts_ms - ts_ms % SECOND_MS
            second = self._second = Candle(open_ms, open_ms + SECOND_MS - 1, ticks, ticks, ticks, ticks)
            second.first_id, second.first_update_id = trade_id, update_id
        second.high_ticks = max(second.high_ticks, ticks)
        second.low_ticks = min(second.low_ticks, ticks)
        second.close_ticks = ticks
        second.lots += lots
        second.ticklots += ticks * lots
        if taker_buys:
            second.taker_lots += lots
            second.taker_ticklots += ticks * lots
        second.trades += 1
        second.last_id, second.last_update_id = trade_id, update_id

    def _fold(self) -> None:
        if self._second is not None:
            for series in self._series.values():
                series.merge(self._second)
            self._second = None

    def candles(self, interval: str, now_ms: int) -> deque[Candle]:
        """Return the candles of an interval as of now, oldest first, the one in progress last; for reading only.

        Empty before the first trade. Raises KeyError for an interval the venue does not know.
        """
        self._fold()
        # All at once, so that a late trade counts to candles of one time in every interval.
        if now_ms - CLOSE_LAG_MS > self._rolled_ms:
            self._rolled_ms = now_ms - CLOSE_LAG_MS
            for series in self._series.values():
                series.roll(self._rolled_ms)
        return self._series[interval].candles

    def query(
        self, interval: str, now_ms: int, start_ms: int | None = None, end_ms: int | None = None, limit: int = 500
    ) -> list[Candle]:
        """Return up to `limit` candles that began from start_ms to end_ms, oldest first, the one in progress included.

        With a start the earliest of them, else the newest. Raises KeyError for an interval the venue does not know.
        """
        found = [
            candle
            for candle in self.candles(interval, now_ms)
            if (start_ms is None or candle.open_ms >= start_ms) and (end_ms is None or candle.open_ms <= end_ms)
        ]
        return found[:limit] if start_ms is not None else found[-limit:] if limit else []


def untold(candles: Sequence[Candle], told: tuple[int, int] | None) -> list[tuple[Candle, bool]]:
    """Return what a stream has to tell, oldest first: candles that closed or traded since, with whether they closed.

    told: when the candle last told began and its newest trade then; None when nothing was told.
    """
    if not candles:
        return []
    open_ms, last_id = told or (candles[-1].open_ms, -1)
    found = []
    for candle in reversed(candles):
        closed = candle is not candles[-1]
        if candle.open_ms < open_ms:
            break
        if closed or candle.last_id != (last_id if candle.open_ms == open_ms else -1):
            found.append((candle, closed))
    return found[::-1]
