"""The 24 hour statistics of one contract, rolling from minute to minute as the venue's do."""

from dataclasses import replace
from typing import NamedTuple

from phx.sim.streams.klines import DAY_MS, HOUR_MS, MINUTE_MS, Candle, Klines


class DayStatistics(NamedTuple):
    """What happened from open_ms, a whole minute, to close_ms, the newest trade. Prices in ticks, volumes in lots."""

    open_ms: int
    close_ms: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    last_ticks: int
    last_lots: int
    lots: int
    ticklots: int
    first_id: int
    last_id: int
    trades: int

    @property
    def change_ticks(self) -> int:
        return self.last_ticks - self.open_ticks

    @property
    def change_millipercent(self) -> int:
        """Return the change in thousandths of a percent, rounded half away from zero."""
        sign = -1 if self.change_ticks < 0 else 1
        return sign * ((abs(self.change_ticks) * 200_000 + self.open_ticks) // (2 * self.open_ticks))


class DayWindow:
    """The last 24 hours of one contract. What is over is summed once a minute, whole hours at a time."""

    def __init__(self):
        self._summed = (0, 0)  # when the window and the minute in progress began
        self._over = Candle(0, 0, 0, 0, 0, 0)

    def _sum(self, klines: Klines, now_ms: int, begin_ms: int, current_ms: int) -> None:
        """Sum what began from begin_ms on, up to the minute in progress."""
        self._summed = begin_ms, current_ms
        first_hour_ms, last_hour_ms = -(-begin_ms // HOUR_MS) * HOUR_MS, current_ms // HOUR_MS * HOUR_MS
        minutes = [c for c in klines.candles("1m", now_ms) if begin_ms <= c.open_ms < current_ms]
        hours = [c for c in klines.candles("1h", now_ms) if first_hour_ms <= c.open_ms < last_hour_ms]
        if hours:
            before = [c for c in minutes if c.open_ms < hours[0].open_ms]
            after = [c for c in minutes if c.open_ms > hours[-1].close_ms]
            minutes = [*before, *hours, *after]
        self._over = Candle(begin_ms, 0, 0, 0, 0, 0)
        for candle in minutes:
            self._over.merge(candle)

    def statistics(self, klines: Klines, last, now_ms: int) -> DayStatistics | None:
        """Return the statistics since the whole minute 24 hours ago, None before the first trade. last: the newest."""
        minutes = klines.candles("1m", now_ms)
        if not minutes:
            return None
        begin_ms = (now_ms - DAY_MS) // MINUTE_MS * MINUTE_MS
        current = minutes[-1]
        if self._summed != (begin_ms, current.open_ms):
            self._sum(klines, now_ms, begin_ms, current.open_ms)
        day = replace(self._over)
        day.merge(current)
        if not day.trades:
            day = replace(current)  # flat at the price before
        return DayStatistics(
            max(begin_ms, minutes[0].open_ms),
            last.ts_ms,
            day.open_ticks,
            day.high_ticks,
            day.low_ticks,
            last.ticks,
            last.lots,
            day.lots,
            day.ticklots,
            day.first_id,
            day.last_id,
            day.trades,
        )
