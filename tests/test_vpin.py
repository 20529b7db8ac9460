"""VPIN against a model of ten lines, at the edges of buckets, and what it asks of the quotes."""

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quoting import SECOND_NS, bbo, book, own, params

from phx._core import records
from phx._core.enums import Side, TapeKind, TradeOrigin
from phx._core.signals import Signals

T = 1_000 * SECOND_NS
BUY, SELL = int(Side.BUY), int(Side.SELL)


@pytest.fixture
def plain(tmp_path):
    return on(params(tmp_path))


def on(plain, **changes):
    """Parameters with VPIN switched on; the mean is over the fewest buckets that count."""
    for name, value in {
        "vpin_enabled": 1, "vpin_bucket_lots": 100, "vpin_buckets": 5, "vpin_multiplier": 0.2, "vpin_widen": 0.7,
        "vpin_narrow": 0.65, "vpin_pause": 0.9, "vpin_resume": 0.8, "vpin_pause_ns": 5 * SECOND_NS,
    }.items():  # fmt: skip
        plain[name] = value
    for name, value in changes.items():
        plain[name] = value
    return plain


def trades(*flow, at_ns=T, origin=TradeOrigin.ORIGIN_MARKET):
    """TAPE from (side, lots), all at one time."""
    record = np.zeros(len(flow), records.TAPE)
    record["kind"], record["origin"], record["recv_mono_ns"] = TapeKind.TAPE_TRADE, origin, at_ns
    record["ts_event_ns"], record["price_ticks"] = at_ns, 1000
    for i, (side, lots) in enumerate(flow):
        record["aggressor"][i], record["qty_lots"][i] = side, lots
    return record


def seen(signals, plain, now_ns=T):
    return signals.market(book([(999, 5)], [(1001, 5)], update_id=1), bbo((1, 1), (2, 1)), own(), plain, now_ns)


def vpin(signals, plain):
    return seen(signals, plain)["vpin"]


def bucket(share_e2: int):
    """The trades of one bucket of 100 lots whose |buys - sells| is `share_e2` lots."""
    return [(BUY, (100 + share_e2) // 2), (SELL, (100 - share_e2) // 2)]


# ---- the measure


def test_it_is_the_mean_imbalance_of_full_buckets(plain):
    signals = Signals()
    for share in (100, 40, 0, 20, 60):
        signals.trade(trades(*bucket(share)), plain)
    assert vpin(signals, plain) == pytest.approx((1.0 + 0.4 + 0.0 + 0.2 + 0.6) / 5)
    signals.trade(trades((SELL, 100)), plain)
    assert vpin(signals, plain) == pytest.approx((0.4 + 0.0 + 0.2 + 0.6 + 1.0) / 5), "the oldest leaves the mean"


def test_before_five_buckets_are_full_it_is_one_half(plain):
    signals = Signals()
    plain["vpin_buckets"] = 50
    signals.trade(trades((BUY, 499)), plain)
    assert vpin(signals, plain) == 0.5
    signals.trade(trades((BUY, 1)), plain)
    assert vpin(signals, plain) == 1.0


def test_a_trade_is_split_at_the_edge_of_a_bucket(plain):
    signals = Signals()
    # 60 + 40 | 60 + 40 | 100 | 100 | 100: the second trade belongs to two buckets.
    signals.trade(trades((BUY, 60), (SELL, 100), (BUY, 340)), plain)
    assert signals.vpin.full == 5
    assert vpin(signals, plain) == pytest.approx((0.2 + 0.2 + 1 + 1 + 1) / 5)


@pytest.mark.parametrize(
    ("origin", "counts"),
    [
        (TradeOrigin.ORIGIN_MARKET, True),
        (TradeOrigin.ORIGIN_RPI, True),
        (TradeOrigin.ORIGIN_UNKNOWN, True),
        (TradeOrigin.ORIGIN_LIQUIDATION, False),
        (TradeOrigin.ORIGIN_INSURANCE, False),
        (TradeOrigin.ORIGIN_NONE, False),
    ],
)
def test_only_trades_that_somebody_chose_to_do_count(plain, origin, counts):
    signals = Signals()
    signals.trade(trades((BUY, 70), origin=origin), plain)
    assert (signals.vpin.filled_lots, signals.vpin.imbalance_lots) == ((70, 70) if counts else (0, 0))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 900)), max_size=40),
    st.integers(1, 300),
    st.integers(5, 12),
)
def test_it_equals_a_model_that_walks_every_lot(tmp_path_factory, flow, size, buckets):
    plain = on(params(tmp_path_factory.mktemp("p")), vpin_bucket_lots=size, vpin_buckets=buckets)
    signals = Signals()
    signals.trade(trades(*flow), plain)
    lots = [side for side, qty in flow for _ in range(qty)]
    shares = [abs(sum(lots[i : i + size])) / size for i in range(0, len(lots) - size + 1, size)]
    expected = statistics.fmean(shares[-buckets:]) if len(shares) >= 5 else 0.5
    assert vpin(signals, plain) == pytest.approx(expected, abs=1e-8)
    open_bucket = lots[len(lots) // size * size :]
    assert (signals.vpin.filled_lots, signals.vpin.imbalance_lots) == (len(open_bucket), sum(open_bucket))


def test_a_trade_of_ten_billion_buckets_is_no_more_work_than_one(plain):
    plain["vpin_bucket_lots"], plain["vpin_buckets"] = 1, 200
    signals = Signals()
    signals.trade(trades((SELL, 10**18), (BUY, 10**18)), plain)
    assert vpin(signals, plain) == 1.0 and signals.vpin.full == 200


# ---- what follows from it


def fill(signals, plain, *shares, at_ns=T):
    for share in shares:
        signals.trade(trades(*bucket(share), at_ns=at_ns), plain)


def test_it_widens_above_one_threshold_until_it_is_below_the_other(plain):
    signals = Signals()
    fill(signals, plain, 80, 80, 80, 80, 80)
    market = seen(signals, plain)
    assert market["vpin"] == pytest.approx(0.8)
    assert market["tox_scale"] == pytest.approx(1.16)
    fill(signals, plain, 20)
    assert seen(signals, plain)["tox_scale"] == pytest.approx(1 + 0.2 * 0.68), "between the two: it stays wide"
    fill(signals, plain, 60)
    assert seen(signals, plain)["tox_scale"] == 1
    fill(signals, plain, 100)
    assert vpin(signals, plain) == pytest.approx(0.68)
    assert seen(signals, plain)["tox_scale"] == 1, "between the two, from below: it stays narrow"


def test_at_the_threshold_nothing_happens_yet(plain):
    signals = Signals()
    fill(signals, plain, 70, 70, 70, 70, 70)
    assert seen(signals, plain)["tox_scale"] == 1
    fill(signals, plain, 72)
    assert seen(signals, plain)["tox_scale"] > 1


def test_it_pauses_once_and_is_armed_again_when_the_flow_has_calmed(plain):
    signals = Signals()
    fill(signals, plain, 90, 90, 90, 90, 90)
    assert not signals.toxic_at(T), "not above it"
    fill(signals, plain, 100)
    assert signals.toxic_at(T)
    assert signals.toxic_at(T + 5 * SECOND_NS - 1) and not signals.toxic_at(T + 5 * SECOND_NS)
    fill(signals, plain, 100, at_ns=T + 6 * SECOND_NS)
    assert not signals.toxic_at(T + 6 * SECOND_NS), "still the same excursion"
    fill(signals, plain, 40, 80, 80, 80, at_ns=T + 7 * SECOND_NS)  # 0.76: below resume
    assert vpin(signals, plain) == pytest.approx(0.76)
    fill(signals, plain, 100, 100, 100, 100, at_ns=T + 8 * SECOND_NS)
    assert signals.toxic_at(T + 8 * SECOND_NS)


def test_switched_off_it_neither_widens_nor_pauses(plain):
    signals = Signals()
    plain["vpin_enabled"] = 0
    fill(signals, plain, *[100] * 9)
    market = seen(signals, plain)
    assert (market["vpin"], market["tox_scale"], signals.toxic_at(T)) == (0.5, 1.0, False)


def test_switching_it_off_ends_what_it_did(plain):
    signals = Signals()
    fill(signals, plain, *[100] * 9)
    assert signals.toxic_at(T) and seen(signals, plain)["tox_scale"] == pytest.approx(1.2)
    plain["vpin_enabled"] = 0
    assert seen(signals, plain)["tox_scale"] == 1
    fill(signals, plain, 100)
    assert not signals.toxic_at(T)


@pytest.mark.parametrize("changed", [{"vpin_bucket_lots": 101}, {"vpin_buckets": 6}])
def test_another_size_or_number_of_buckets_begins_anew(plain, changed):
    signals = Signals()
    fill(signals, plain, *[100] * 9)
    for name, value in changed.items():
        plain[name] = value
    fill(signals, plain, 20)
    assert vpin(signals, plain) == 0.5


# ---- from one life to the next


def test_the_next_life_has_the_mean_and_the_bucket_that_fills(plain):
    first = Signals()
    fill(first, plain, 80, 60, 80, 60, 80)
    first.trade(trades((SELL, 37)), plain)
    second = Signals()
    second.begin_from(first.saved(seen(first, plain)))
    assert vpin(second, plain) == pytest.approx(0.72)
    assert seen(second, plain)["tox_scale"] == seen(first, plain)["tox_scale"] > 1
    assert (second.vpin.filled_lots, second.vpin.imbalance_lots) == (37, -37)
    for signals in (first, second):
        signals.trade(trades((SELL, 63)), plain)
    assert second.vpin.full == 5
    assert vpin(second, plain) == pytest.approx((4 * 0.72 + 1.0) / 5)


def test_a_toxic_flow_pauses_the_next_life_too(plain):
    first = Signals()
    fill(first, plain, *[100] * 5)
    second = Signals()
    second.begin_from(first.saved(seen(first, plain)))
    assert not second.toxic_at(T)
    second.trade(trades((BUY, 1)), plain)
    assert second.toxic_at(T)


def test_a_life_with_other_buckets_takes_over_what_still_fits(plain):
    first = Signals()
    fill(first, plain, 80, 60, 80, 60, 80)
    first.trade(trades((BUY, 30)), plain)
    left = first.saved(seen(first, plain))
    smaller = Signals()
    smaller.begin_from(left)
    plain["vpin_bucket_lots"] = 30
    smaller.trade(trades((BUY, 1)), plain)
    assert smaller.vpin.full == 0 and smaller.vpin.filled_lots == 1, "the open bucket would not fit"
    off = Signals()
    off.begin_from(left)
    plain["vpin_enabled"] = 0
    off.trade(trades((BUY, 1)), plain)
    assert off.vpin.full == 0


@pytest.mark.parametrize(
    "broken",
    [
        {"vpin": float("nan"), "vpin_full": 50},
        {"vpin": 1.5, "vpin_full": 50},
        {"vpin": 0.7, "vpin_full": 255},
        {"vpin": 0.7, "vpin_full": 4},
        {"vpin_filled_lots": 10.0, "vpin_imbalance_lots": 11.0},
        {"vpin_filled_lots": float("nan"), "vpin_imbalance_lots": 0.0},
    ],
)
def test_a_state_that_cannot_be_is_not_taken_over(plain, broken):
    signals = Signals()
    signals.begin_from(Signals().saved(seen(Signals(), plain)) | broken)
    assert vpin(signals, plain) == 0.5
    assert (signals.vpin.filled_lots, signals.vpin.imbalance_lots) == (0, 0)
