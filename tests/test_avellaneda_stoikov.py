"""Avellaneda & Stoikov (2008): its formulas, and its table of simulated profits, by the compiled model itself."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quoting import market, params

from phx._core.avellaneda_stoikov import reservation_and_spread
from phx._core.enums import QuotingModel
from phx._core.models import quote, quote_many

SIGMA, K, A = 2.0, 1.5, 140.0


@pytest.fixture
def paper(tmp_path):
    """Parameters of the paper's world, where a tick is its unit of price and nothing of ours interferes."""
    return params(tmp_path, model=QuotingModel.MODEL_AVELLANEDA_STOIKOV, collar_far=1.0, min_spread=0.0, skew_coeff=0.0)


def world(mid=100.0, **fields):
    return market(mid, sigma_1s_ticks=SIGMA, intensity_k_per_tick=K, intensity_a_per_s=A) | fields


VECTORS = [
    (0.1, 0, 1.0, 100.0, 1.690770, 99.154615, 100.845385),
    (0.1, 3, 1.0, 98.8, 1.690770, 97.954615, 99.645385),
    (0.1, -2, 0.5, 100.4, 1.490770, 99.654615, 101.145385),
    (0.5, 3, 1.0, 94.0, 3.150728, 92.424636, 95.575364),
    (0.01, -2, 1.0, 100.08, 1.368909, 99.395546, 100.764454),
]


@pytest.mark.parametrize(("gamma", "q", "horizon_s", "reservation", "spread", "bid", "ask"), VECTORS)
def test_reservation_and_spread_are_the_papers(gamma, q, horizon_s, reservation, spread, bid, ask):
    r, s = reservation_and_spread(100.0, q, gamma, SIGMA, horizon_s, K)
    assert r == pytest.approx(reservation, abs=5e-7)
    assert s == pytest.approx(spread, abs=5e-7)
    assert (r - s / 2, r + s / 2) == pytest.approx((bid, ask), abs=1e-6)


@pytest.mark.parametrize(("gamma", "q", "horizon_s", "reservation", "spread", "bid", "ask"), VECTORS)
def test_the_model_of_the_ladder_gives_the_same(paper, gamma, q, horizon_s, reservation, spread, bid, ask):
    paper["as_gamma"], paper["as_horizon_s"] = gamma, horizon_s
    answer = quote(world(inventory_sizes=q), 0.0, paper)
    assert answer["reservation_ticks"] == pytest.approx(reservation, abs=1e-6)
    assert 2 * answer["half_spread_ticks"] == pytest.approx(spread, abs=1e-6)
    assert answer["distance_0_ticks"] == answer["half_spread_ticks"]
    assert answer["skew_ticks"] == pytest.approx(reservation - 100, abs=1e-6)


# ---- the paper's table, simulated

STEPS, PATHS = 200, 1000
DT = 1.0 / STEPS


def simulate(paper, gamma, random, symmetric_half_spread=None):
    """Return (mean spread, profits, final inventories) of PATHS paths; each quotes by the compiled model."""
    paper["as_gamma"] = gamma
    mid, inventory, cash = np.full(PATHS, 100.0), np.zeros(PATHS), np.zeros(PATHS)
    bid, ask = np.empty(PATHS), np.empty(PATHS)
    spread = 0.0
    for step in range(STEPS):
        paper["as_horizon_s"] = 1.0 - step * DT
        if symmetric_half_spread is None:
            quote_many(world(), mid, inventory, paper, bid, ask)
        else:
            bid[:], ask[:] = mid - symmetric_half_spread, mid + symmetric_half_spread
        spread += np.mean(ask - bid) / STEPS
        bought = random.random(PATHS) < np.minimum(1, A * np.exp(-K * (mid - bid)) * DT)
        sold = random.random(PATHS) < np.minimum(1, A * np.exp(-K * (ask - mid)) * DT)
        cash += sold * ask - bought * bid
        inventory += bought.astype(float) - sold
        mid += SIGMA * math.sqrt(DT) * np.where(random.random(PATHS) < 0.5, 1, -1)
    return spread, cash + inventory * mid, inventory


# gamma: spread; profit, its deviation and that of the inventory by the paper; symmetric: likewise, but the deviation of
# the profit is that of an independent run of 20 000 paths.
TABLE = [
    (0.1, 1.49, (65.0, 6.6, 2.9), (68.4, 13.5, 8.4)),
    (0.01, 1.35, (68.6, 8.7, 5.1), (68.8, 13.7, 8.7)),
    (1.0, 3.02, (31.4, 5.0, 1.7), (44.0, 10.7, 5.1)),
]


@pytest.mark.parametrize(("gamma", "spread", "inventory", "symmetric"), TABLE)
def test_the_papers_table_is_reproduced(paper, gamma, spread, inventory, symmetric):
    random = np.random.default_rng(20080401)
    mean_spread, profit, final = simulate(paper, gamma, random)
    assert mean_spread == pytest.approx(spread, abs=0.02)
    assert profit.mean() == pytest.approx(inventory[0], abs=1.5)
    assert profit.std() == pytest.approx(inventory[1], abs=1.2)
    assert final.std() == pytest.approx(inventory[2], abs=0.5)
    assert abs(final.mean()) < 5 * inventory[2] / math.sqrt(PATHS)

    same_spread, profit, final = simulate(paper, gamma, random, mean_spread / 2)
    assert same_spread == pytest.approx(spread, abs=0.02)
    assert profit.mean() == pytest.approx(symmetric[0], abs=1.5)
    assert profit.std() == pytest.approx(symmetric[1], abs=1.2)
    assert final.std() == pytest.approx(symmetric[2], abs=0.5)


# ---- what holds for any numbers

positive = st.floats(1e-4, 1e2)


@given(positive, positive, positive, positive, st.floats(-50, 50))
def test_quotes_mirror_each_other_with_the_inventory(gamma, sigma, horizon_s, k, q):
    long, spread = reservation_and_spread(0.0, q, gamma, sigma, horizon_s, k)
    short, same = reservation_and_spread(0.0, -q, gamma, sigma, horizon_s, k)
    assert long == -short and spread == same


@given(positive, positive, positive, positive, st.floats(1.01, 10))
def test_more_risk_means_more_skew_and_never_less_spread(gamma, sigma, horizon_s, k, more):
    skew, spread = reservation_and_spread(0.0, -1.0, gamma, sigma, horizon_s, k)
    for changed in ((gamma, sigma * more, horizon_s, k), (gamma, sigma, horizon_s * more, k)):
        skewed, wider = reservation_and_spread(0.0, -1.0, *changed)
        assert skewed > skew and wider >= spread
    assert reservation_and_spread(0.0, -1.0, gamma * more, sigma, horizon_s, k)[0] > skew
    assert reservation_and_spread(0.0, -1.0, gamma, sigma, horizon_s, k * more)[1] < spread


@pytest.mark.parametrize("gamma", [1e-6, 1e-9, 1e-12, 1e-300])
def test_without_risk_aversion_a_fill_earns_one_over_k(gamma):
    assert reservation_and_spread(0.0, 0.0, gamma, 0.0, 1.0, 0.25)[1] == pytest.approx(2 / 0.25, rel=1e-5)
