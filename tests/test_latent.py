"""The latent price: regimes that switch as their weights say or stay as they are told."""

from collections import Counter
from itertools import pairwise

import pytest

from phx.sim.markets.fitted import load_fitted
from phx.sim.markets.latent import REGIME_NAMES, REGIMES, LatentPrice, long_run

FITTED = load_fitted()["BTC"]
SECOND_NS = 1_000_000_000


def test_regimes_share_time_as_the_long_run_means_assume():
    latent, time_s, visits = LatentPrice(FITTED, 1), Counter(), Counter()
    latent.at(0)
    for _ in range(40_000):
        before = latent._name
        latent._switch()
        assert latent._name != before, "another one follows"
        visits[latent._name] += 1
        time_s[latent._name] += latent._regime_steps * latent._step_s
    assert set(visits) == set(REGIMES)
    for quantity in (lambda r: r.depth, lambda r: r.takers, lambda r: r.volatility**2):
        mean = sum(time_s[name] * quantity(regime) for name, regime in REGIMES.items()) / time_s.total()
        assert mean == pytest.approx(long_run(quantity), rel=0.03)


@pytest.mark.parametrize("name", list(REGIMES))
def test_a_forced_regime_stays_and_its_trend_turns(name):
    latent, directions = LatentPrice(FITTED, 2, name), set()
    for second in range(600):
        assert latent.at(second * SECOND_NS).regime == name
        directions.add(latent._direction)
    if REGIMES[name].mean_s < 100:
        assert directions == {1, -1}


def test_a_regime_is_forced_and_released_while_time_passes():
    latent = LatentPrice(FITTED, 3)
    assert latent.at(0).regime in REGIMES
    latent.force("sweep")
    assert {latent.at(second * SECOND_NS).regime for second in range(1, 60)} == {"sweep"}
    latent.force("auto")
    assert len({latent.at(second * SECOND_NS).regime for second in range(60, 3600)}) > 2
    with pytest.raises(ValueError, match=f"regime 'party': expected one of {', '.join(REGIME_NAMES)}"):
        latent.force("party")


def test_regimes_come_from_the_seed():
    latents = [LatentPrice(FITTED, seed) for seed in (4, 4, 5)]
    paths = [[latent.at(second * SECOND_NS) for second in range(0, 600, 30)] for latent in latents]
    assert paths[0] == paths[1] != paths[2]


def test_a_sweep_moves_further_than_calm_and_no_regime_leaves_the_price():
    def moves(name):
        latent = LatentPrice(FITTED, 6, name)
        prices = [latent.at(second * SECOND_NS).price for second in range(600)]
        assert 0.8 * FITTED.start_price < min(prices) < max(prices) < 1.25 * FITTED.start_price
        return sum(abs(b / a - 1) for a, b in pairwise(prices)) / 600 * 1e4

    found = {name: moves(name) for name in REGIMES}
    assert found["calm"] < found["volatile"] < found["sweep"]
    assert found["sweep"] > 3 * found["calm"]
