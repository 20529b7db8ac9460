"""The latent price of the synthetic market: what an asset is worth, how busy its market is, and in which regime."""

import math
import random
from collections.abc import Callable
from typing import NamedTuple

from phx.sim.markets.fitted import Fitted

BUY, SELL = 1, -1
NS_PER_S = 1_000_000_000
AUTO = "auto"


class Regime(NamedTuple):
    """How a market behaves for a while. Factors are relative to the fitted numbers and to each other."""

    mean_s: float  # of an exponential duration
    weight: float  # of being the next one, among the others
    volatility: float
    trend: float  # factor on the fitted drift
    takers: float  # factor on their rate
    taker_size: float
    depth: float  # factor on the quantity placed
    gap_bps: float  # mean spread beyond the fitted one
    one_sided: float  # least probability that a taker has the side of the one before


# Durations and factors are a modeller's choice: eight recorded minutes cannot tell them. They are scaled so that the
# long-run means of volatility, depth and takers are the fitted ones.
REGIMES = {
    "calm": Regime(180.0, 0.36, 0.7, 0.0, 0.9, 1.0, 1.1, 0.0, 0.0),
    "trending": Regime(90.0, 0.25, 1.0, 1.0, 1.1, 1.0, 1.0, 0.0, 0.0),
    "volatile": Regime(60.0, 0.25, 1.6, 0.0, 1.3, 1.0, 0.8, 0.0, 0.0),
    "thin": Regime(45.0, 0.07, 1.0, 0.0, 0.7, 0.5, 0.2, 0.2, 0.0),
    "sweep": Regime(3.0, 0.07, 2.5, 12.0, 5.0, 2.0, 0.4, 0.2, 0.97),
}
REGIME_NAMES = (AUTO, *REGIMES)


def long_run(quantity: Callable[[Regime], float]) -> float:
    """Return the mean of a regime's quantity over time, when regimes switch by their weights."""
    # Leaving i for j with probability w_j / (1 - w_i) balances in detail with visits in proportion to w_i (1 - w_i).
    time_s = {name: r.weight * (1 - r.weight) * r.mean_s for name, r in REGIMES.items()}
    return sum(time_s[name] * quantity(r) for name, r in REGIMES.items()) / sum(time_s.values())


class Moment(NamedTuple):
    """The latent state at a time."""

    price: float  # quote currency
    activity: float  # mean 1
    regime: str


class LatentPrice:
    """What the asset is worth and how busy its market is, as a path on a grid of 10 ms, made when asked for."""

    STEP_NS = 10_000_000
    KEPT_STEPS = 6000
    HOME_S = 6 * 3600.0  # time constant of the pull to the start
    QUIET_ACTIVITY = 0.3  # what remains of the mean activity between bursts

    def __init__(self, fitted: Fitted, seed: object, regime: str = AUTO):
        self._random = random.Random(f"latent/{seed}")
        self._start = fitted.start_price
        self._step_s = self.STEP_NS / NS_PER_S
        self._sigma = fitted.sigma_1s_bps * 1e-4 / math.sqrt(long_run(lambda r: r.volatility**2))  # per sqrt of 1 s
        # What the 60 s volatility has beyond a random walk is attributed to trends, the long ones.
        trend_share = long_run(lambda r: r.trend**2 if r.mean_s > 60 else 0.0)
        excess = max(0.0, fitted.sigma_60s_bps**2 - 60 * fitted.sigma_1s_bps**2)
        self._drift = math.sqrt(excess / trend_share) / 60 * 1e-4  # per second
        # Activity is shot noise on a quiet base, mean 1: bursts arrive at random and decay exponentially.
        self._keep = math.exp(-fitted.activity_decay_per_s * self._step_s)
        self._burst = fitted.activity_variance / (1 - self.QUIET_ACTIVITY)
        self._bursts_per_step = fitted.activity_decay_per_s * (1 - self.QUIET_ACTIVITY) / self._burst * self._step_s
        self.forced = regime
        self._name = "calm" if regime == AUTO else regime
        self._regime, self._direction, self._regime_steps = REGIMES[self._name], 0, 0.0
        self._shots, self._offset = 1 - self.QUIET_ACTIVITY, 0.0
        self._first = 0  # grid index of _path[0]
        self._path: list[Moment] = []

    def force(self, regime: str) -> None:
        """Stay in a regime from now on; with "auto" they switch again."""
        if regime not in REGIME_NAMES:
            raise ValueError(f"regime {regime!r}: expected one of {', '.join(REGIME_NAMES)}")
        self.forced = regime
        self._regime_steps = 0.0

    def at(self, time_ns: int) -> Moment:
        """Return the state at a time; one older than the path kept gives its oldest."""
        index = time_ns // self.STEP_NS - self._first
        while index >= len(self._path):
            self._path.append(self._step())
        if len(self._path) > 2 * self.KEPT_STEPS:
            del self._path[: self.KEPT_STEPS]
            self._first += self.KEPT_STEPS
            index -= self.KEPT_STEPS
        return self._path[max(0, index)]

    def _switch(self) -> None:
        """Enter the next regime; a forced one begins anew, so that its trend may turn."""
        rng = self._random
        names = [name for name in REGIMES if name != self._name or not self._path]
        drawn = rng.choices(names, [REGIMES[name].weight for name in names])[0]
        self._name = drawn if self.forced == AUTO else self.forced
        self._regime = REGIMES[self._name]
        self._regime_steps = rng.expovariate(1 / self._regime.mean_s) / self._step_s
        self._direction = rng.choice((BUY, SELL))

    def _step(self) -> Moment:
        rng = self._random
        if self._regime_steps <= 0:
            self._switch()
        self._regime_steps -= 1
        self._shots *= self._keep
        if rng.random() < self._bursts_per_step:
            self._shots += rng.expovariate(1 / self._burst)
        activity = self.QUIET_ACTIVITY + self._shots
        sigma = self._sigma * self._regime.volatility * math.sqrt(activity * self._step_s)
        drift = self._drift * self._regime.trend * self._direction - self._offset / self.HOME_S
        self._offset += rng.gauss(drift * self._step_s, sigma)
        return Moment(self._start * math.exp(self._offset), activity, self._name)
