"""The online fit of A and k: recovered from simulated exponential arrivals, and by hand."""

import math

import numpy as np
import pytest
from quoting import SECOND_NS, bbo, book, own, params

from phx._core import records
from phx._core.enums import Side, TapeKind, TradeOrigin
from phx._core.signals import Signals

T = 1_000 * SECOND_NS
BID, ASK = 10_000, 10_001


@pytest.fixture
def plain(tmp_path):
    return params(
        tmp_path, intensity_fitted=1, intensity_min_trades=200, intensity_half_life_s=600.0, intensity_a_per_s=7.0,
        intensity_k_per_tick=0.7,
    )  # fmt: skip


def trade(at_ns, side, price_ticks, origin=TradeOrigin.ORIGIN_MARKET, lots=1):
    record = np.zeros(1, records.TAPE)
    record["kind"], record["origin"], record["aggressor"] = TapeKind.TAPE_TRADE, origin, side
    record["ts_event_ns"] = record["recv_mono_ns"] = at_ns
    record["price_ticks"], record["qty_lots"] = price_ticks, lots
    return record


def fitted(signals, plain, now_ns=T):
    market = signals.market(book([(BID, 5)], [(ASK, 5)], update_id=1), bbo((1, 1), (2, 1)), own(), plain, now_ns)
    return market["intensity_a_per_s"], market["intensity_k_per_tick"]


def sample(signals, plain, now_ns, spread=1):
    signals.sample_now(now_ns, BID + ASK, plain, 0.0, spread)


def live_through(signals, plain, seconds, a_per_s, k_per_tick, spread, seed, begin_ns=T, every_price=False):
    """Let orders arrive on both sides with A exp(-k distance), and the venue print what they reach on its grid."""
    random = np.random.default_rng(seed)
    sample(signals, plain, begin_ns, spread)
    events = []
    for side in (1, -1):
        times = np.cumsum(random.exponential(1 / a_per_s, int(a_per_s * seconds * 1.5)))
        reach = random.exponential(1 / k_per_tick, len(times))
        events += [(t, side, d) for t, d in zip(times, reach, strict=True) if t < seconds and d >= spread / 2]
    next_second = 1
    for at_s, side, distance in sorted(events):
        while next_second <= at_s:
            now_ns = begin_ns + next_second * SECOND_NS
            signals.mark(now_ns, 0.0, 7, plain)
            sample(signals, plain, now_ns, spread)
            next_second += 1
        at_ns = begin_ns + int(at_s * 1e9)
        behind = int(distance - spread / 2)
        touch = BID + spread if side == 1 else BID
        for ticks in range(behind + 1) if every_price else {0, behind}:
            signals.trade(trade(at_ns, side, touch + side * ticks), plain)
    sample(signals, plain, begin_ns + (next_second + 1) * SECOND_NS, spread)


@pytest.mark.parametrize(
    ("a_per_s", "k_per_tick", "spread"),
    [(8.0, 0.05, 1), (8.0, 0.05, 6), (5.0, 0.4, 1), (20.0, 0.4, 3), (4.0, 1.5, 1), (30.0, 0.01, 2)],
)
def test_a_and_k_are_recovered_from_exponential_arrivals(plain, a_per_s, k_per_tick, spread):
    plain["intensity_half_life_s"] = 3600.0
    signals = Signals()
    live_through(signals, plain, 6_000 / a_per_s, a_per_s, k_per_tick, spread, seed=5)
    a, k = fitted(signals, plain)
    assert k == pytest.approx(k_per_tick, rel=0.04)
    assert a == pytest.approx(a_per_s, rel=0.05)


def test_prints_in_between_change_nothing(plain):
    ends, all_prices = Signals(), Signals()
    for signals, every_price in ((ends, False), (all_prices, True)):
        live_through(signals, plain, 120, 5.0, 0.3, 1, seed=8, every_price=every_price)
    assert fitted(ends, plain) == fitted(all_prices, plain) != (7.0, 0.7)


def test_it_forgets_a_market_that_was_another(plain):
    plain["intensity_half_life_s"] = 60.0
    signals = Signals()
    live_through(signals, plain, 300, 4.0, 0.1, 1, seed=1)
    live_through(signals, plain, 400, 16.0, 0.4, 1, seed=2, begin_ns=T + 400 * SECOND_NS)
    a, k = fitted(signals, plain)
    assert k == pytest.approx(0.4, rel=0.12)
    assert a == pytest.approx(16, rel=0.12)


def test_by_hand(plain):
    """Four orders in 10 s, 0 + 3 + 1 + 2 ticks behind the touch, spread 4: k = ln(1 + 4/6), A = 0.2 e^(2k)."""
    plain["intensity_min_trades"], plain["intensity_half_life_s"] = 1, 1e12
    signals = Signals()
    sample(signals, plain, T, 4)
    signals.mark(T, 0.0, 7, plain)
    for second, side, deepest in ((1, 1, 0), (3, -1, 3), (5, 1, 1), (7, -1, 2)):
        for ticks in {0, deepest}:
            signals.trade(trade(T + second * SECOND_NS, side, BID + side * ticks), plain)
    signals.trade(trade(T + 9 * SECOND_NS, 1, BID), plain)  # only now the one before is known to be over
    signals.mark(T + 10 * SECOND_NS, 0.0, 7, plain)
    sample(signals, plain, T + 10 * SECOND_NS, 4)
    a, k = fitted(signals, plain)
    assert k == pytest.approx(math.log(1 + 4 / 6))
    assert a == pytest.approx(4 / 2 / 10 * math.exp(2 * k))


def test_before_enough_trades_the_configured_values_hold(plain):
    signals = Signals()
    live_through(signals, plain, 60, 1.0, 0.1, 1, seed=3)
    assert 0 < signals.intensity.orders < 200
    assert fitted(signals, plain) == (7.0, 0.7)
    plain["intensity_min_trades"] = int(signals.intensity.orders)
    assert fitted(signals, plain) != (7.0, 0.7)


def test_the_fit_is_given_up_only_at_half_as_many(plain):
    signals = Signals()
    live_through(signals, plain, 60, 1.0, 0.1, 1, seed=3)
    orders = int(signals.intensity.orders)
    plain["intensity_min_trades"] = orders
    held = fitted(signals, plain)
    plain["intensity_min_trades"] = 2 * orders - 1
    assert fitted(signals, plain) == held
    plain["intensity_min_trades"] = 2 * orders + 3
    assert fitted(signals, plain) == (7.0, 0.7)
    plain["intensity_min_trades"] = 2 * orders - 1
    assert fitted(signals, plain) == (7.0, 0.7)


def test_switched_off_the_configured_values_hold(plain):
    signals = Signals()
    live_through(signals, plain, 120, 8.0, 0.05, 1, seed=4)
    assert fitted(signals, plain) != (7.0, 0.7)
    plain["intensity_fitted"] = 0
    assert fitted(signals, plain) == (7.0, 0.7)


@pytest.mark.parametrize(
    "origin", [o for o in TradeOrigin if o not in (TradeOrigin.ORIGIN_MARKET, TradeOrigin.ORIGIN_NONE)]
)
def test_trades_that_reach_no_quote_of_ours_do_not_arrive(plain, origin):
    signals = Signals()
    for i in range(10):
        signals.trade(trade(T + i * SECOND_NS, 1, ASK, origin), plain)
    assert signals.intensity.orders == 0


def test_silence_is_not_time_without_arrivals(plain):
    plain["intensity_min_trades"] = 1
    signals, interrupted = Signals(), Signals()
    for one, pause_s in ((signals, 0), (interrupted, 3600)):
        live_through(one, plain, 300, 5.0, 0.2, 1, seed=6)
        begin_ns = T + (302 + pause_s) * SECOND_NS
        live_through(one, plain, 300, 5.0, 0.2, 1, seed=7, begin_ns=begin_ns)
    assert fitted(interrupted, plain) == pytest.approx(fitted(signals, plain), rel=0.02)


def test_orders_that_never_go_behind_the_touch_give_the_steepest_k(plain):
    plain["intensity_min_trades"] = 1
    signals = Signals()
    sample(signals, plain, T, 50)
    for i in range(20):
        signals.trade(trade(T + i * SECOND_NS, 1, ASK), plain)
    sample(signals, plain, T + 21 * SECOND_NS, 50)
    a, k = fitted(signals, plain)
    assert k == 10 and 0 < a <= 1e9


def test_the_next_life_begins_with_the_fit_and_its_weight(plain):
    first = Signals()
    live_through(first, plain, 300, 5.0, 0.2, 3, seed=9)
    market = first.market(book([(BID, 5)], [(BID + 3, 5)], update_id=1), bbo((1, 1), (2, 1)), own(), plain, T)
    second = Signals()
    second.begin_from(first.saved(market))
    assert fitted(second, plain) == fitted(first, plain) != (7.0, 0.7)
    for signals in (first, second):
        live_through(signals, plain, 300, 9.0, 0.1, 3, seed=10, begin_ns=T + 301 * SECOND_NS)
    assert fitted(second, plain) == pytest.approx(fitted(first, plain), rel=0.03)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -1.0, 0.0])
@pytest.mark.parametrize("field", ["intensity_a_per_s", "intensity_k_per_tick"])
def test_a_fit_that_cannot_be_is_not_taken_over(plain, field, broken):
    first = Signals()
    live_through(first, plain, 100, 5.0, 0.2, 1, seed=9)
    market = first.market(book([(BID, 5)], [(ASK, 5)], update_id=1), bbo((1, 1), (2, 1)), own(), plain, T)
    second = Signals()
    second.begin_from(first.saved(market) | {field: broken})
    assert fitted(second, plain) == (7.0, 0.7)


def test_prices_of_another_world_leave_the_fit_finite(plain):
    plain["intensity_min_trades"] = 1
    signals = Signals()
    sample(signals, plain, T)
    for i, price in enumerate((1, 2**62, 1, -(2**61), 5)):
        signals.trade(trade(T + SECOND_NS, Side.BUY if i % 2 else Side.SELL, price), plain)
        sample(signals, plain, T + (i + 2) * SECOND_NS, 10**9)
        signals.mark(T + (i + 2) * SECOND_NS, 0.0, 7, plain)
    assert all(math.isfinite(value) and value > 0 for value in fitted(signals, plain))
