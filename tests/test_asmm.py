"""ASMM's arithmetic against the golden numbers of the strategy, to their printed digits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quoting import market, params

from phx._core.asmm import anchored_ratio, asmm_quote

# Prices of 3000 in ticks of 0.01: a result in ticks is a hundredth of a price.
MID = 300_000.0


@pytest.fixture
def plain(tmp_path):
    return params(tmp_path, vol_ref=0.0, vol_gain=50.0, skew_coeff=0.002, funding_coeff=0.5, min_spread=0.0002)


def quote(plain, d_0=99.0, **fields):
    return asmm_quote(market(MID, **fields), d_0, plain)


def test_skew_and_reservation_are_the_golden_ones(plain):
    ratio = 0.021 / 0.30
    answer = quote(plain, skew_anchor=anchored_ratio(0.0, ratio, 0.05))
    assert answer["skew_ticks"] / 100 == pytest.approx(-0.42, abs=1e-9)
    assert answer["reservation_ticks"] / 100 == pytest.approx(2999.58, abs=1e-9)


def test_vol_scale_is_the_golden_one(plain):
    assert quote(plain, sigma_30m=0.01)["vol_scale"] == pytest.approx(1.5)


@pytest.mark.parametrize(("sigma", "expected"), [(0.0, 1.0), (0.02, 2.0), (0.5, 2.0)])
def test_vol_scale_is_clamped_above(plain, sigma, expected):
    assert quote(plain, sigma_30m=sigma)["vol_scale"] == pytest.approx(expected)


def test_vol_scale_is_clamped_below_when_the_market_is_quieter_than_its_reference(plain):
    plain["vol_ref"] = 0.01
    assert quote(plain, sigma_30m=0.0)["vol_scale"] == 0.8


def test_a_positive_funding_rate_lowers_the_reservation_whatever_our_side(plain):
    for anchor in (-0.5, 0.0, 0.5):
        flat = quote(plain, skew_anchor=anchor)["reservation_ticks"]
        assert quote(plain, skew_anchor=anchor, funding=0.0001)["reservation_ticks"] == pytest.approx(
            flat - 0.0001 * 0.5 * MID
        )
        assert quote(plain, skew_anchor=anchor, funding=-0.0001)["reservation_ticks"] > flat


@pytest.mark.parametrize("rate", [0.01, -0.01, 3.0])
def test_funding_bias_is_at_most_a_quarter_of_the_full_skew(plain, rate):
    assert abs(quote(plain, funding=rate)["funding_bias_ticks"]) == pytest.approx(0.25 * 0.002 * MID)


def test_half_spread_is_never_below_half_a_tick(plain):
    plain["min_spread"] = 0.0
    assert quote(plain)["half_spread_ticks"] == 0.5


def test_min_spread_moves_the_nearest_layer_when_it_is_wider_than_the_shape(plain):
    assert quote(plain)["distance_0_ticks"] / 100 == pytest.approx(0.99)
    plain["min_spread"] = 0.0007
    assert quote(plain)["distance_0_ticks"] / 100 == pytest.approx(1.05)


def test_volatility_and_toxicity_both_widen(plain):
    calm = quote(plain)
    wild = quote(plain, sigma_30m=0.01, tox_scale=1.16)
    assert wild["scale"] == pytest.approx(1.5 * 1.16)
    assert wild["half_spread_ticks"] == pytest.approx(calm["half_spread_ticks"] * 1.5 * 1.16)
    assert wild["distance_0_ticks"] == pytest.approx(99.0 * 1.5 * 1.16)


def test_the_anchor_stays_inside_the_dead_band():
    assert anchored_ratio(0.10, 0.149, 0.05) == 0.10
    assert anchored_ratio(0.10, 0.151, 0.05) == 0.151


def test_the_anchor_follows_a_change_of_sign_and_a_flat_inventory_at_once():
    assert anchored_ratio(0.02, -0.01, 0.05) == -0.01
    assert anchored_ratio(0.02, 0.0, 0.05) == 0.0


def test_an_anchor_that_is_no_number_is_left_at_once():
    assert anchored_ratio(math.nan, 0.3, 0.05) == 0.3


def test_a_first_small_inventory_does_not_move_the_anchor_from_zero():
    assert anchored_ratio(0.0, 0.03, 0.05) == 0.0


def test_the_anchor_is_clamped_at_full_inventory():
    assert anchored_ratio(0.98, 1.01, 0.05) == 1.0
    assert anchored_ratio(-0.98, -1.7, 0.05) == -1.0


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_anchoring_again_changes_nothing_and_the_anchor_is_never_far(anchor, ratio):
    anchor = anchored_ratio(0.0, anchor, 0.05)
    new = anchored_ratio(anchor, ratio, 0.05)
    assert anchored_ratio(new, ratio, 0.05) == new
    assert abs(new - max(-1.0, min(1.0, ratio))) < 0.05
