"""Signals against hand numbers and small reference models."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quoting import SECOND_NS, bbo, book, own, params

from phx._core.enums import OrderState, Side
from phx._core.records import ABSENT_PRICE_TICKS
from phx._core.signals import Signals, Window

T = 1_000 * SECOND_NS


@pytest.fixture
def plain(tmp_path):
    return params(tmp_path, vol_min_samples=3, vol_initial=0.001, imbalance_levels=5)


def seen(plain, bids, asks, live=(), top=None, top_id=0, **fields):
    """The Market of a book with update id 1, and of a top of book with id `top_id`."""
    top = top or (bids[0], asks[0])
    b = book(bids, asks, update_id=1, **fields)
    return Signals().market(b, bbo(*top, update_id=top_id, **fields), own(live), plain, T)


# ---- mid, micro, imbalance


def test_mid_micro_and_imbalance_are_those_of_the_book(plain):
    market = seen(plain, [(100, 30), (99, 10)], [(102, 10), (103, 10)])
    assert market["mid_ticks"] == 101
    assert market["micro_ticks"] == pytest.approx((100 * 10 + 102 * 30) / 40)
    assert market["imbalance"] == pytest.approx((40 - 20) / 60)
    assert market["spread_ticks"] == 2


def test_imbalance_looks_at_n_levels_only(plain):
    plain["imbalance_levels"] = 1
    market = seen(plain, [(100, 30), (99, 1000)], [(102, 10), (103, 10)])
    assert market["imbalance"] == pytest.approx((30 - 10) / 40)


def test_our_own_quantity_is_not_the_market(plain):
    live = [{"side": Side.BUY, "price_ticks": 100, "remaining_lots": 20, "ts_ack_ns": 5}]
    market = seen(plain, [(100, 30), (99, 10)], [(102, 10)], live, ts_event_ns=5)
    assert market["micro_ticks"] == pytest.approx((100 * 10 + 102 * 10) / 20)


def test_a_level_that_is_all_ours_is_no_touch_but_still_the_venues_best(plain):
    live = [{"side": Side.BUY, "price_ticks": 100, "remaining_lots": 30, "ts_ack_ns": 5}]
    market = seen(plain, [(100, 30), (98, 10)], [(102, 10)], live, ts_event_ns=5)
    assert market["mid_ticks"] == 100
    assert market["bid_price_ticks"] == 100


@pytest.mark.parametrize(("ts_event_ns", "ts_ack_ns", "subtracted"), [(4, 5, 0), (5, 5, 20), (6, 5, 20), (6, 0, 0)])
def test_only_updates_at_or_after_the_acknowledgement_hold_our_order(plain, ts_event_ns, ts_ack_ns, subtracted):
    live = [{"side": Side.BUY, "price_ticks": 100, "remaining_lots": 20, "ts_ack_ns": ts_ack_ns}]
    market = seen(plain, [(100, 30)], [(102, 10)], live, ts_event_ns=ts_event_ns)
    left = 30 - subtracted
    assert market["micro_ticks"] == pytest.approx((100 * 10 + 102 * left) / (10 + left))


def test_more_of_ours_than_the_book_shows_never_makes_a_negative_level(plain):
    live = [{"side": Side.BUY, "price_ticks": 100, "remaining_lots": 99, "ts_ack_ns": 1}]
    market = seen(plain, [(100, 30), (99, 7)], [(102, 10)], live, ts_event_ns=5)
    assert market["mid_ticks"] == 100.5


def test_orders_that_are_closed_are_not_subtracted(plain):
    live = [
        {
            "side": Side.BUY,
            "price_ticks": 100,
            "remaining_lots": 20,
            "ts_ack_ns": 1,
            "state": OrderState.ORDER_CLOSED,
        }
    ]
    assert seen(plain, [(100, 30)], [(102, 30)], live, ts_event_ns=5)["imbalance"] == 0


def test_a_newer_top_of_book_replaces_the_levels_it_passed(plain):
    market = seen(plain, [(100, 30), (99, 10)], [(102, 10), (104, 10)], top=((99, 5), (101, 7)), top_id=2)
    assert (market["bid_price_ticks"], market["ask_price_ticks"]) == (99, 101)
    assert market["imbalance"] == pytest.approx((5 - 27) / 32)


def test_an_older_top_of_book_is_not_looked_at(plain):
    market = seen(plain, [(100, 30)], [(102, 10)], top=((90, 5), (91, 7)), top_id=1)
    assert market["mid_ticks"] == 101


def test_the_newer_resync_wins_whatever_the_update_ids(plain):
    b = book([(100, 30)], [(102, 10)], update_id=1, sync_id=2)
    market = Signals().market(b, bbo((90, 5), (91, 7), update_id=99, sync_id=1), own(), plain, T)
    assert market["mid_ticks"] == 101


def test_a_side_with_nobody_else_has_no_market(plain):
    live = [{"side": Side.SELL, "price_ticks": 102, "remaining_lots": 10, "ts_ack_ns": 1}]
    assert seen(plain, [(100, 30)], [(102, 10)], live, ts_event_ns=5) is None
    assert seen(plain, [(100, 30)], [], top=((100, 30), (ABSENT_PRICE_TICKS, 0)), top_id=9) is None


levels = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 50)), min_size=1, max_size=20, unique_by=lambda x: x[0])
orders = st.lists(
    st.tuples(st.sampled_from([1, -1]), st.integers(1, 60), st.integers(1, 40), st.integers(0, 9)), max_size=12
)


@settings(max_examples=200, deadline=None)
@given(levels, levels, orders, st.integers(1, 9))
def test_foreign_depth_equals_a_dictionary_model(tmp_path_factory, bid_levels, ask_levels, live, ts_event_ns):
    plain = params(tmp_path_factory.mktemp("p"), imbalance_levels=20)
    bids = {30 - offset + 1: qty for offset, qty in bid_levels}
    asks = {30 + offset: qty for offset, qty in ask_levels}
    rows = [
        {"side": side, "price_ticks": price, "remaining_lots": qty, "ts_ack_ns": ack} for side, price, qty, ack in live
    ]
    b = book(sorted(bids.items(), reverse=True), sorted(asks.items()), update_id=1, ts_event_ns=ts_event_ns)
    found = Signals().market(b, bbo((1, 1), (2, 1)), own(rows), plain, T)
    for side, price, qty, ack in live:
        of_side = bids if side == 1 else asks
        if price in of_side and 0 < ack <= ts_event_ns:
            of_side[price] -= qty
    bids = {price: qty for price, qty in bids.items() if qty > 0}
    asks = {price: qty for price, qty in asks.items() if qty > 0}
    if not bids or not asks:
        assert found is None
        return
    assert found["mid_ticks"] == (max(bids) + min(asks)) / 2
    total_bid, total_ask = sum(bids.values()), sum(asks.values())
    assert found["imbalance"] == pytest.approx((total_bid - total_ask) / (total_bid + total_ask))


# ---- volatility


def test_deviation_is_the_population_standard_deviation_in_ticks():
    window = Window()
    mids = [100.0, 101.5, 99.0, 103.0]
    for second, mid in enumerate(mids):
        found = window.add_sample(second, int(mid * 2), 1800)
    assert found == pytest.approx(statistics.pstdev(mids))


def test_gaps_are_skipped_and_old_samples_leave_by_time():
    window = Window()
    window.add_sample(10, 200, 5)
    window.add_sample(11, 210, 5)
    assert window.add_sample(15, 220, 5) == pytest.approx(statistics.pstdev([105.0, 110.0]))
    assert window.samples == 2


@settings(max_examples=100, deadline=None)
@given(
    st.integers(2, 40),
    st.lists(st.tuples(st.integers(1, 8), st.integers(1_200_000, 1_400_000)), min_size=1, max_size=200),
)
def test_deviation_equals_the_statistics_module_whatever_comes_and_goes(window_s, steps):
    window, second, held = Window(), 0, []
    for gap, half_ticks in steps:
        second += gap
        held = [(s, x) for s, x in held if s > second - window_s] + [(second, half_ticks)]
        found = window.add_sample(second, half_ticks, window_s)
        assert found == pytest.approx(statistics.pstdev([x / 2 for _, x in held]), rel=1e-9, abs=1e-9)
    assert window.samples == len(held)


def test_a_price_of_another_world_begins_the_window_anew():
    window = Window()
    window.add_sample(1, 100, 1800)
    assert window.add_sample(2, 100 + (1 << 26), 1800) == 0
    assert window.samples == 1


def test_sigma_30m_is_a_fraction_of_the_current_mid(plain):
    signals = Signals()
    for i, mid in enumerate([1000, 1010, 990]):
        signals.sample_now(T + i * SECOND_NS, 2 * mid, plain)
    market = signals.market(
        book([(1999, 5)], [(2001, 5)], update_id=1), bbo((1, 1), (2, 1)), own(), plain, T + 3 * SECOND_NS
    )
    assert market["sigma_30m"] == pytest.approx(statistics.pstdev([1000, 1010, 990]) / 2000)


def test_before_enough_samples_the_initial_volatility_counts(plain):
    signals = Signals()
    signals.sample_now(T, 2000, plain)
    signals.sample_now(T + SECOND_NS, 9000, plain)
    market = signals.market(book([(999, 5)], [(1001, 5)], update_id=1), bbo((1, 1), (2, 1)), own(), plain, T)
    assert market["sigma_30m"] == 0.001


def test_sigma_1s_is_the_root_of_an_average_of_squared_changes(plain):
    """It begins with what the assumed volatility of the long window means for one second of a random walk."""
    signals = Signals()
    changes = [3.0, -2.0, 1.5]
    mid = 1000.0
    signals.sample_now(T, int(2 * mid), plain)
    variance = (0.001 * 1003) ** 2 * 6 / 1800
    for i, change in enumerate(changes):
        mid += change
        signals.sample_now(T + (i + 1) * SECOND_NS, int(2 * mid), plain)
        keep = 0.5 ** (1 / 60)
        variance = change**2 + (variance - change**2) * keep
    market = signals.market(book([(999, 5)], [(1001, 5)], update_id=1), bbo((1, 1), (2, 1)), own(), plain, T)
    assert market["sigma_1s_ticks"] == pytest.approx(math.sqrt(variance))


def test_a_change_over_a_gap_is_no_change_of_one_second(plain):
    signals = Signals()
    signals.sample_now(T, 2000, plain)
    signals.sample_now(T + 2 * SECOND_NS, 2600, plain)
    market = signals.market(book([(999, 5)], [(1001, 5)], update_id=1), bbo((1, 1), (2, 1)), own(), plain, T)
    assert market["sigma_1s_ticks"] == pytest.approx(0.001 * 1000 * math.sqrt(6 / 1800)), "only what is assumed"


def test_the_assumed_volatilities_of_a_second_and_of_the_window_belong_together(plain):
    random = np.random.default_rng(1)
    deviations = [np.std(np.cumsum(random.normal(0, 2.0, 1800))) for _ in range(2000)]
    plain["vol_initial"] = math.sqrt(np.mean(np.square(deviations))) / 50_000
    market = Signals().market(book([(49_999, 5)], [(50_001, 5)], update_id=1), bbo((1, 1), (2, 1)), own(), plain, T)
    assert market["sigma_1s_ticks"] == pytest.approx(2.0, rel=0.03)


# ---- funding


def funding(signals, plain, now_ns):
    return signals.market(book([(999, 5)], [(1001, 5)], update_id=1), bbo((1, 1), (2, 1)), own(), plain, now_ns)[
        "funding"
    ]


def test_funding_follows_the_rate_with_its_half_life(plain):
    signals = Signals()
    signals.mark(T, 0.0001, 7, plain)
    signals.mark(T + 3600 * SECOND_NS, 0.0003, 7, plain)
    assert funding(signals, plain, T + 3600 * SECOND_NS) == pytest.approx(0.0002)


def test_funding_restarts_with_the_next_interval(plain):
    signals = Signals()
    signals.mark(T, 0.0001, 7, plain)
    signals.mark(T + SECOND_NS, -0.0005, 8, plain)
    assert funding(signals, plain, T + SECOND_NS) == -0.0005


def test_a_silent_mark_stream_means_no_funding(plain):
    signals = Signals()
    signals.mark(T, 0.0001, 7, plain)
    assert funding(signals, plain, T + 15 * SECOND_NS) == 0.0001
    assert funding(signals, plain, T + 15 * SECOND_NS + 1) == 0


# ---- the leader


def fair(plain, signals, leader_mid=0.0, bid=999, ask=1001):
    b = book([(bid, 5)], [(ask, 5)], update_id=1)
    return signals.market(b, bbo((1, 1), (2, 1)), own(), plain, T, leader_mid)["fair_ticks"]


def test_fair_is_mid_or_micro_as_configured(plain):
    b = book([(100, 30)], [(102, 10)], update_id=1)
    for source, expected in ((0, 101.0), (1, 101.5), (2, 101.5)):
        plain["fair_source"] = source
        assert Signals().market(b, bbo((1, 1), (2, 1)), own(), plain, T)["fair_ticks"] == pytest.approx(expected)


def test_the_leaders_move_moves_our_fair_price_by_its_weight(plain):
    plain["fair_source"], plain["leader_weight"], plain["leader_max_dev"] = 2, 0.5, 0.01
    signals = Signals()
    signals.sample_now(T, 2000, plain, 500.0)
    assert fair(plain, signals, 500.0) == pytest.approx(1000)
    assert fair(plain, signals, 501.0) == pytest.approx(0.5 * 1000 + 0.5 * 1002)


def test_the_leader_is_kept_within_its_largest_deviation(plain):
    plain["fair_source"], plain["leader_weight"], plain["leader_max_dev"] = 2, 1.0, 0.001
    signals = Signals()
    signals.sample_now(T, 2000, plain, 500.0)
    assert fair(plain, signals, 600.0) == pytest.approx(1001)
    assert fair(plain, signals, 400.0) == pytest.approx(999)


def test_without_a_fresh_leader_the_microprice_counts(plain):
    plain["fair_source"], plain["leader_weight"] = 2, 1.0
    signals = Signals()
    signals.sample_now(T, 2000, plain, 500.0)
    assert fair(plain, signals, 0.0) == 1000


def test_the_ratio_to_the_leader_has_its_half_life(plain):
    plain["fair_source"], plain["leader_weight"], plain["leader_max_dev"] = 2, 1.0, 1.0
    plain["leader_half_life_s"] = 1.0
    signals = Signals()
    signals.sample_now(T, 2000, plain, 500.0)
    signals.sample_now(T + SECOND_NS, 2000, plain, 1000.0)
    assert fair(plain, signals, 1000.0) == pytest.approx(1000 * (2.0 + 1.0) / 2)


def test_a_leader_that_was_away_is_followed_by_the_time_it_was_away(plain):
    plain["fair_source"], plain["leader_weight"], plain["leader_max_dev"] = 2, 1.0, 1.0
    plain["leader_half_life_s"] = 10.0
    signals = Signals()
    signals.sample_now(T, 2000, plain, 500.0)
    for second in range(1, 30):
        signals.sample_now(T + second * SECOND_NS, 2000, plain, 0.0)
    signals.sample_now(T + 30 * SECOND_NS, 2000, plain, 1000.0)
    assert fair(plain, signals, 1000.0) == pytest.approx(1000 * (1.0 + (2.0 - 1.0) / 2**3))


@pytest.mark.parametrize(
    ("source", "weight", "leader_mid", "led"),
    [(2, 0.5, 500.0, 1), (2, 0.5, 0.0, 0), (2, 0.0, 500.0, 0), (1, 0.5, 500.0, 0), (0, 0.5, 500.0, 0)],
)
def test_the_state_says_whether_the_leader_leads(plain, source, weight, leader_mid, led):
    plain["fair_source"], plain["leader_weight"] = source, weight
    signals = Signals()
    signals.sample_now(T, 2000, plain, 500.0)
    b = book([(999, 5)], [(1001, 5)], update_id=1)
    market = signals.market(b, bbo((1, 1), (2, 1)), own(), plain, T, leader_mid)
    assert signals.saved(market)["leader_led"] == led


# ---- other numbers than the round ones


def test_micro_mid_and_imbalance_by_hand(plain):
    plain["imbalance_levels"] = 3
    bids, asks = [(64012, 137), (64011, 11), (64007, 903), (64000, 9999)], [(64019, 41), (64020, 77), (64033, 500)]
    market = seen(plain, bids, asks)
    assert market["mid_ticks"] == 64015.5
    assert market["spread_ticks"] == 7
    assert market["micro_ticks"] == pytest.approx((64012 * 41 + 64019 * 137) / 178)
    assert market["imbalance"] == pytest.approx((1051 - 618) / (1051 + 618))


def test_sigma_1s_by_hand(plain):
    plain["sigma_1s_half_life_s"], plain["vol_initial"] = 2.0, 0.0
    signals = Signals()
    for second, half_ticks in enumerate((4000, 4006, 4002, 4003)):
        signals.sample_now(T + second * SECOND_NS, half_ticks, plain)
    kept = 2**-0.5  # squared changes are 9, 4 and 0.25 ticks
    expected = ((9 * (1 - kept) * kept + 4 * (1 - kept)) * kept) + 0.25 * (1 - kept)
    b = book([(1999, 5)], [(2001, 5)], update_id=1)
    found = signals.market(b, bbo((1, 1), (2, 1)), own(), plain, T)
    assert found["sigma_1s_ticks"] == pytest.approx(math.sqrt(expected))


# ---- from one life to the next


def test_the_next_life_begins_with_what_this_one_knows(plain):
    plain["fair_source"], plain["leader_weight"], plain["leader_max_dev"] = 2, 0.5, 1.0
    first = Signals()
    for second, half_ticks in enumerate((2000, 2006, 1996, 2010)):
        first.sample_now(T + second * SECOND_NS, half_ticks, plain, 480.0)
    first.mark(T + 3 * SECOND_NS, 0.00013, 7, plain)
    b = book([(999, 5)], [(1001, 5)], update_id=1)

    def market(signals):
        return signals.market(b, bbo((1, 1), (2, 1)), own(), plain, T + 4 * SECOND_NS, 481.0)

    before = market(first)
    second = Signals()
    second.begin_from(first.saved(before))
    assert market(second)["funding"] == 0, "until the mark stream speaks again"
    second.mark(T + 4 * SECOND_NS, 0.00013, 7, plain)
    after = market(second)
    for name in ("sigma_30m", "sigma_1s_ticks", "funding", "fair_ticks", "vpin", "intensity_k_per_tick"):
        assert after[name] == pytest.approx(before[name]), name
    assert before["sigma_30m"] != 0.001 and before["fair_ticks"] != 1000


def test_a_state_of_nothing_changes_nothing(plain):
    fresh, restored = Signals(), Signals()
    b = book([(999, 5)], [(1001, 5)], update_id=1)
    saved = fresh.saved(fresh.market(b, bbo((1, 1), (2, 1)), own(), plain, T))
    restored.begin_from({name: value if isinstance(value, list) else 0 for name, value in saved.items()})
    assert restored.market(b, bbo((1, 1), (2, 1)), own(), plain, T) == fresh.market(
        b, bbo((1, 1), (2, 1)), own(), plain, T
    )


@pytest.mark.parametrize("field", ["sigma_30m", "sigma_1s_ticks", "funding_ema", "leader_ratio_ema"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_cannot_be_is_not_taken_over(plain, field, value):
    plain["fair_source"], plain["leader_weight"] = 2, 0.5
    signals = Signals()
    b = book([(999, 5)], [(1001, 5)], update_id=1)
    saved = signals.saved(signals.market(b, bbo((1, 1), (2, 1)), own(), plain, T))
    fresh, restored = Signals(), Signals()
    restored.begin_from(saved | {"sigma_30m": 0.0, "sigma_1s_ticks": 0.0} | {field: value})
    for one in (fresh, restored):
        one.sample_now(T, 2000, plain, 480.0)
        one.sample_now(T + SECOND_NS, 2004, plain, 481.0)
        one.mark(T + SECOND_NS, 0.0001, 7, plain)
    markets = [one.market(b, bbo((1, 1), (2, 1)), own(), plain, T + SECOND_NS, 481.0) for one in (fresh, restored)]
    assert markets[0] == markets[1]
