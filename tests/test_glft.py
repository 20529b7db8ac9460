"""GLFT against the published numbers, and against the exact solution by a matrix exponential."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quoting import market, params

from phx._core.avellaneda_stoikov import reservation_and_spread
from phx._core.enums import QuotingModel
from phx._core.glft import coefficients, half_spread_and_skew
from phx._core.models import quote

EXAMPLE = {"sigma": 0.3, "a": 0.9, "k": 0.3, "gamma": 0.01, "horizon_s": 600.0, "bound": 30}


def exact(q, sigma, a, k, gamma, horizon_s, bound):
    """Return (bid's, ask's) exact distance from the fair price; inf where none is quoted. arXiv 1105.3115, theorem 1.

    v(t) = exp(-M (T - t)) 1 with M = alpha q^2 on the diagonal and -eta beside it. M is symmetric, so the exponential
    is taken of its eigenvalues.
    """
    levels = np.arange(-bound, bound + 1)
    alpha, eta = k / 2 * gamma * sigma**2, a * (1 + gamma / k) ** -(1 + k / gamma)
    beside = np.full(2 * bound, -eta)
    values, vectors = np.linalg.eigh(np.diag(alpha * levels**2.0) + np.diag(beside, 1) + np.diag(beside, -1))
    decay = np.exp(-(values - values[0]) * horizon_s)  # a common factor of v drops out of the ratios
    v = vectors @ (decay * (vectors.T @ np.ones(2 * bound + 1)))
    fill = math.log(1 + gamma / k) / gamma

    def distance(after):
        return fill + math.log(v[q + bound] / v[after + bound]) / k if abs(after) <= bound else math.inf

    return distance(q + 1), distance(q - 1)


def asymptotic(q, sigma, a, k, gamma, **_):
    half_spread, skew = half_spread_and_skew(gamma, gamma, a, k, sigma)
    return half_spread + skew * q, half_spread - skew * q


@pytest.mark.parametrize(
    ("q", "bid", "ask"), [(0, 3.313045, 3.313045), (1, 3.381168, 3.244919), (5, 3.653479, 2.972522)]
)
def test_the_oracle_gives_the_published_exact_quotes(q, bid, ask):
    assert exact(q, **EXAMPLE) == pytest.approx((bid, ask), abs=1e-6)
    assert exact(-q, **EXAMPLE) == pytest.approx((ask, bid), abs=1e-6)


def test_at_the_bound_of_the_inventory_nothing_is_added():
    assert exact(30, **EXAMPLE)[0] == math.inf and exact(-30, **EXAMPLE)[1] == math.inf


@pytest.mark.parametrize(("q", "bid", "ask"), [(0, 3.312915, 3.312915), (5, 3.652244, 2.973586)])
def test_the_published_asymptotic_quotes(q, bid, ask):
    assert asymptotic(q, **EXAMPLE) == pytest.approx((bid, ask), abs=1e-6)


@pytest.mark.parametrize("q", range(-10, 11))
def test_far_from_the_bound_the_asymptotic_quotes_are_nearly_exact(q):
    assert asymptotic(q, **EXAMPLE) == pytest.approx(exact(q, **EXAMPLE), abs=0.01)


@pytest.mark.parametrize(
    "other",
    [
        {"sigma": 0.5, "a": 1.5, "k": 0.8, "gamma": 0.02, "horizon_s": 900.0, "bound": 40},
        {"sigma": 0.1, "a": 3.0, "k": 0.1, "gamma": 0.005, "horizon_s": 3000.0, "bound": 40},
    ],
)
def test_so_they_are_with_other_numbers(other):
    for q in (-4, 0, 1, 6):
        assert asymptotic(q, **other) == pytest.approx(exact(q, **other), rel=0.01)


def test_the_published_c1_and_c2():
    a, k = 2.986162360812285, 0.04235741115084049
    assert coefficients(0.05, 0.05, a, k) == pytest.approx((15.590451013297573, 0.9133085734604556), rel=1e-14)
    assert half_spread_and_skew(0.05, 0.05, a, k, 10.69) == pytest.approx(
        (20.47208533844371, 9.76326865029227), rel=1e-14
    )


def test_the_general_form_by_hand_when_xi_is_not_gamma():
    gamma, xi, a, k = 0.2, 0.7, 1.3, 0.4
    x = xi / k
    expected = math.log(1 + x) / xi, math.sqrt(gamma / (2 * a * k) * (1 + x) ** (1 / x + 1))
    assert coefficients(gamma, xi, a, k) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("xi", [1e-5, 1e-8, 1e-10, 1e-300])
def test_without_aversion_to_missing_a_fill_the_limits_hold(xi):
    c1, c2 = coefficients(0.1, xi, 2.0, 0.5)
    assert c1 == pytest.approx(2.0, rel=1e-4)
    assert c2 == pytest.approx(math.sqrt(0.1 / (2 * 2.0 * 0.5) * math.e), rel=1e-4)


def test_both_papers_ask_the_same_for_a_fill():
    assert coefficients(0.3, 0.3, 1.0, 0.9)[0] == reservation_and_spread(0.0, 0.0, 0.3, 0.0, 1.0, 0.9)[1] / 2


positive = st.floats(1e-3, 1e2)


@given(positive, positive, positive, positive, positive, st.floats(1.01, 10))
def test_half_spread_and_skew_grow_with_risk_and_shrink_with_arrivals(gamma, xi, a, k, sigma, more):
    half_spread, skew = half_spread_and_skew(gamma, xi, a, k, sigma)
    assert half_spread > 0 and skew > 0
    for riskier in ((gamma * more, xi, a, k, sigma), (gamma, xi, a, k, sigma * more)):
        wider, steeper = half_spread_and_skew(*riskier)
        assert wider > half_spread and steeper > skew
    tighter, flatter = half_spread_and_skew(gamma, xi, a * more, k, sigma)
    assert tighter < half_spread and flatter < skew


def test_the_model_of_the_ladder_gives_the_same(tmp_path):
    plain = params(tmp_path, model=QuotingModel.MODEL_GLFT, glft_gamma=0.05, glft_xi=0.05)
    seen = market(
        650_000.0,
        sigma_1s_ticks=10.69,
        intensity_a_per_s=2.986162360812285,
        intensity_k_per_tick=0.04235741115084049,
        inventory_sizes=-3.0,
    )
    plain["min_spread"] = 0.0
    answer = quote(seen, 97.5, plain)
    assert answer["half_spread_ticks"] == pytest.approx(20.47208533844371, rel=1e-13)
    assert answer["distance_0_ticks"] == answer["half_spread_ticks"]
    assert answer["reservation_ticks"] == pytest.approx(650_000 + 3 * 9.76326865029227, rel=1e-13)
