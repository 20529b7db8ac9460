"""The latent price of the synthetic market: what an asset is worth, and how busy its market is."""

import math
import random
from typing import NamedTuple

from phx.sim.fitted import Fitted

BUY, SELL = 1, -1
NS_PER_S = 1_000_000_000


class Regime(NamedTuple):
    mean_s: float
    volatility: float  # factor on the fitted one
    trend: float  # factor on the fitted drift


# Durations and factors are a modeller's choice: eight recorded minutes cannot tell them. Their shares make the fitted
# volatility the long-run mean.
REGIMES = (Regime(180.0, 0.7, 0.0), Regime(60.0, 1.7, 0.0), Regime(90.0, 1.0, 1.0))


class LatentPrice:
    """What the asset is worth and how busy its market is, as a path on a grid of 10 ms, made when asked for."""

    STEP_NS = 10_000_000
    KEPT_STEPS = 6000
    HOME_S = 6 * 3600.0  # time constant of the pull to the start
    QUIET_ACTIVITY = 0.3  # what remains of the mean activity between bursts

    def __init__(self, fitted: Fitted, seed: object):
        self._random = random.Random(f"latent/{seed}")
        self._start = fitted.start_price
        self._step_s = self.STEP_NS / NS_PER_S
        shares = [regime.mean_s / sum(r.mean_s for r in REGIMES) for regime in REGIMES]
        mean_square = sum(share * regime.volatility**2 for share, regime in zip(shares, REGIMES, strict=True))
        self._sigma = fitted.sigma_1s_bps * 1e-4 / math.sqrt(mean_square)  # per square root of a second
        # What the 60 s volatility has beyond a random walk is attributed to trends.
        trend_share = sum(share * regime.trend**2 for share, regime in zip(shares, REGIMES, strict=True))
        excess = max(0.0, fitted.sigma_60s_bps**2 - 60 * fitted.sigma_1s_bps**2)
        self._drift = math.sqrt(excess / trend_share) / 60 * 1e-4  # per second
        # Activity is shot noise on a quiet base, mean 1: bursts arrive at random and decay exponentially.
        self._keep = math.exp(-fitted.activity_decay_per_s * self._step_s)
        self._burst = fitted.activity_variance / (1 - self.QUIET_ACTIVITY)
        self._bursts_per_step = fitted.activity_decay_per_s * (1 - self.QUIET_ACTIVITY) / self._burst * self._step_s
        self._regime, self._direction, self._regime_steps = REGIMES[0], 0, 0
        self._shots, self._offset = 1 - self.QUIET_ACTIVITY, 0.0
        self._first = 0  # grid index of _path[0]
        self._path: list[tuple[float, float]] = []

    def at(self, time_ns: int) -> tuple[float, float]:
        """Return price in quote currency and activity (mean 1). A time older than the path kept gives its oldest."""
        index = time_ns // self.STEP_NS - self._first
        while index >= len(self._path):
            self._path.append(self._step())
        if len(self._path) > 2 * self.KEPT_STEPS:
            del self._path[: self.KEPT_STEPS]
            self._first += self.KEPT_STEPS
            index -= self.KEPT_STEPS
        return self._path[max(0, index)]

    def _step(self) -> tuple[float, float]:
        rng = self._random
        if self._regime_steps <= 0:
            self._regime = rng.choices(REGIMES, [1 / 3] * 3)[0]
            self._regime_steps = rng.expovariate(1 / self._regime.mean_s) / self._step_s
            self._direction = rng.choice((BUY, SELL))
        self._regime_steps -= 1
        self._shots *= self._keep
        if rng.random() < self._bursts_per_step:
            self._shots += rng.expovariate(1 / self._burst)
        activity = self.QUIET_ACTIVITY + self._shots
        sigma = self._sigma * self._regime.volatility * math.sqrt(activity * self._step_s)
        drift = self._drift * self._regime.trend * self._direction - self._offset / self.HOME_S
        self._offset += rng.gauss(drift * self._step_s, sigma)
        return self._start * math.exp(self._offset), activity
