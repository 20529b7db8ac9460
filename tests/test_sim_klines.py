"""Candles and 24 h statistics against plain sums over all trades, whatever the times of the trades."""

from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phx.sim.streams.klines import CLOSE_LAG_MS, DAY_MS, INTERVALS, MAX_CANDLES, MINUTE_MS, Klines, next_ms, opened_ms
from phx.sim.streams.tickers import DayWindow

START_MS = 1_795_000_000_123


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


# Open times as the venue has them: weeks begin on Mondays, 3d counts from 1970, months are those of the calendar.
@pytest.mark.parametrize(
    ("interval", "inside", "begins", "next_one"),
    [
        ("1s", "2026-11-22T21:47:13.999", "2026-11-22T21:47:13", "2026-11-22T21:47:14"),
        ("1m", "2026-11-22T21:47:59.999", "2026-11-22T21:47:00", "2026-11-22T21:48:00"),
        ("3m", "2026-11-22T21:47:59.999", "2026-11-22T21:45:00", "2026-11-22T21:48:00"),
        ("8h", "2026-11-22T21:47:00", "2026-11-22T16:00:00", "2026-11-23T00:00:00"),
        ("1d", "2026-11-22T00:00:00", "2026-11-22T00:00:00", "2026-11-23T00:00:00"),
        ("3d", "2019-09-10T23:59:59", "2019-09-08T00:00:00", "2019-09-11T00:00:00"),
        ("1w", "2026-11-22T21:47:00", "2026-11-16T00:00:00", "2026-11-23T00:00:00"),
        ("1w", "2026-11-23T00:00:00", "2026-11-23T00:00:00", "2026-11-30T00:00:00"),
        ("1M", "2026-11-22T21:47:00", "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
        ("1M", "2026-12-31T23:59:59.999", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("1M", "2028-02-29T12:00:00", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
    ],
)
def test_candles_begin_where_the_venues_do(interval, inside, begins, next_one):
    assert opened_ms(interval, at(inside)) == at(begins)
    assert next_ms(interval, at(begins)) == at(next_one)


PRICES, LOTS = st.integers(90, 110), st.integers(1, 9)
# (wait since the trade before in ms, price, lots, the taker buys)
trades = st.lists(
    st.tuples(st.sampled_from([0, 1, 400, 999, 60_000, 200_000]), PRICES, LOTS, st.booleans()), min_size=1, max_size=40
)


def timed(steps):
    at_ms, found = START_MS, []
    for number, (wait_ms, ticks, lots, buys) in enumerate(steps, 700):
        at_ms += wait_ms
        found.append((at_ms, ticks, lots, buys, number))
    return found


@given(trades, st.sampled_from([i for i in INTERVALS if i not in ("1s", "1M")]))
def test_every_candle_is_the_sum_of_its_trades(steps, interval):
    klines, told = Klines(), timed(steps)
    for trade in told:
        klines.add(*trade)
    now_ms = told[-1][0]
    candles = klines.query(interval, now_ms, limit=MAX_CANDLES)
    assert [c.open_ms for c in candles] == sorted({c.open_ms for c in candles})
    close = None
    for candle in candles:
        own = [t for t in told if candle.open_ms <= t[0] <= candle.close_ms]
        assert candle.close_ms + 1 == next_ms(interval, candle.open_ms)
        assert candle.trades == len(own)
        if own:
            prices = [t[1] for t in own]
            assert (candle.open_ticks, candle.high_ticks) == (prices[0], max(prices))
            assert (candle.low_ticks, candle.close_ticks) == (min(prices), prices[-1])
            assert (candle.first_id, candle.last_id) == (own[0][4], own[-1][4])
        else:
            assert candle.open_ticks == candle.high_ticks == candle.low_ticks == candle.close_ticks == close
            assert (candle.first_id, candle.last_id) == (-1, -1)
        assert candle.lots == sum(t[2] for t in own)
        assert candle.ticklots == sum(t[1] * t[2] for t in own)
        assert candle.taker_lots == sum(t[2] for t in own if t[3])
        assert candle.taker_ticklots == sum(t[1] * t[2] for t in own if t[3])
        close = candle.close_ticks
    assert sum(c.trades for c in candles) == len(told)
    # No hole: each candle begins where the one before ended.
    assert all(a.close_ms + 1 == b.open_ms for a, b in pairwise(candles))


def test_a_candle_closes_a_little_late_and_then_never_changes():
    klines, minute = Klines(), opened_ms("1m", START_MS)
    klines.add(minute + 59_000, 100, 1, True, 1)
    end = minute + MINUTE_MS
    assert len(klines.candles("1m", end + CLOSE_LAG_MS - 1)) == 1
    klines.add(end - 1, 101, 1, True, 2)  # on its way when the minute ended
    closed = klines.candles("1m", end + CLOSE_LAG_MS)[0]
    assert (closed.close_ticks, closed.trades) == (101, 2)
    klines.add(end - 1, 200, 1, True, 3)  # too late: counts to the next one
    first, second = klines.candles("1m", end + CLOSE_LAG_MS)
    assert (first.trades, second.trades, second.open_ticks) == (2, 1, 200)


def test_a_late_trade_counts_to_the_same_time_in_every_interval():
    klines, hour = Klines(), opened_ms("1h", START_MS)
    klines.add(hour + 3_599_000, 100, 1, True, 1)
    end = hour + 3_600_000
    klines.candles("1m", end + CLOSE_LAG_MS)  # the minute is asked for, the hour is not
    klines.add(end - 1, 200, 1, True, 2)
    for interval in ("1m", "1h"):
        assert [c.trades for c in klines.candles(interval, end + CLOSE_LAG_MS)] == [1, 1]
    last = SimpleNamespace(ts_ms=end - 1, ticks=200, lots=1)
    for later_ms in (60_000, 3_600_000, 3 * 3_600_000):
        assert DayWindow().statistics(klines, last, end + later_ms + CLOSE_LAG_MS).trades == 2


def test_a_long_silence_leaves_no_more_candles_than_are_kept():
    klines = Klines()
    klines.add(START_MS, 100, 1, True, 1)
    candles = klines.query("1s", START_MS + 30 * DAY_MS, limit=10**6)
    assert len(candles) == MAX_CANDLES
    assert candles[-1].open_ms == opened_ms("1s", START_MS + 30 * DAY_MS - CLOSE_LAG_MS)
    assert len(klines.query("1d", START_MS + 30 * DAY_MS, limit=10**6)) in (30, 31)


def test_queries_take_the_earliest_from_a_start_and_else_the_newest():
    klines = Klines()
    for minute in range(10):
        klines.add(START_MS + minute * MINUTE_MS, 100 + minute, 1, True, minute)
    now_ms, first = START_MS + 9 * MINUTE_MS, opened_ms("1m", START_MS)

    def opens(**asked):
        return [candle.open_ticks for candle in klines.query("1m", now_ms, **asked)]

    assert opens(limit=2) == [108, 109]
    assert opens(start_ms=first + 1, limit=2) == [101, 102]
    assert opens(end_ms=first + 3 * MINUTE_MS, limit=2) == [102, 103]
    assert opens(start_ms=first, end_ms=first + MINUTE_MS) == [100, 101]
    assert opens(limit=0) == []
    with pytest.raises(KeyError):
        klines.query("7m", now_ms)


@given(st.lists(st.tuples(st.integers(0, 3 * 3_600_000), PRICES, LOTS), min_size=1, max_size=40))
def test_the_day_is_the_sum_of_its_trades_and_rolls_with_the_minute(steps):
    klines, window, told, at_ms = Klines(), DayWindow(), [], START_MS
    for number, (wait_ms, ticks, lots) in enumerate(steps, 1):
        at_ms += wait_ms
        klines.add(at_ms, ticks, lots, True, number)
        told.append((at_ms, ticks, lots, number))
        last = SimpleNamespace(ts_ms=at_ms, ticks=ticks, lots=lots)
        day = window.statistics(klines, last, at_ms)
        begin_ms = (at_ms - DAY_MS) // MINUTE_MS * MINUTE_MS
        own = [t for t in told if t[0] >= begin_ms]
        assert day.open_ms == max(begin_ms, opened_ms("1m", START_MS + steps[0][0]))
        assert (day.open_ticks, day.last_ticks) == (own[0][1], ticks)
        assert (day.high_ticks, day.low_ticks) == (max(t[1] for t in own), min(t[1] for t in own))
        assert (day.lots, day.ticklots) == (sum(t[2] for t in own), sum(t[1] * t[2] for t in own))
        assert (day.first_id, day.last_id, day.trades) == (own[0][3], number, len(own))


def test_the_change_in_percent_is_rounded_as_the_venue_does():
    klines = Klines()
    klines.add(START_MS, 5_864, 1, True, 1)
    klines.add(START_MS, 7_832, 1, True, 2)
    day = DayWindow().statistics(klines, SimpleNamespace(ts_ms=START_MS, ticks=7_832, lots=1), START_MS)
    assert (day.change_ticks, day.change_millipercent) == (1_968, 33_561)  # of a captured frame
    assert day._replace(last_ticks=5_864 - 1_968).change_millipercent == -33_561


def test_a_day_without_a_trade_is_flat_at_the_last_price():
    klines = Klines()
    klines.add(START_MS, 100, 4, True, 1)
    later = START_MS + DAY_MS + 2 * MINUTE_MS
    day = DayWindow().statistics(klines, SimpleNamespace(ts_ms=START_MS, ticks=100, lots=4), later)
    assert (day.open_ticks, day.last_ticks, day.lots, day.trades, day.first_id) == (100, 100, 0, 0, -1)
