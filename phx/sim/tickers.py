"""The 24 hour statistics of one contract, rolling from minute to minute as the venue's do."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from phx.sim.klines import DAY_MS, MINUTE_MS, Candle


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
    """The last 24 hours of one contract. What is over is summed once a minute."""

    def __init__(self):
        self._summed = (0, 0)  # when the window and the minute in progress began
        self._over = Candle(0, 0, 0, 0, 0, 0)

    def statistics(self, minutes: Sequence[Candle], last, now_ms: int) -> DayStatistics | None:
        """Return the statistics since the whole minute 24 hours ago, None before the first trade.

        minutes: candles of 1m, oldest first, the one in progress last. last: the newest trade.
        """
        if not minutes:
            return None
        begin_ms = (now_ms - DAY_MS) // MINUTE_MS * MINUTE_MS
        current = minutes[-1]
        if self._summed != (begin_ms, current.open_ms):
            self._summed = begin_ms, current.open_ms
            self._over = Candle(begin_ms, 0, 0, 0, 0, 0)
            for candle in minutes:
                if candle.open_ms >= begin_ms and candle is not current:
                    self._over.merge(candle)
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
