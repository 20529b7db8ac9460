"""Mark price, predicted funding rate and funding times of one contract, as the venue's public rules describe them.

There is no spot market here: the index is a slow average of the contract's own mid.
Sources: "Mark price" and "Funding rate" in the venue's support pages: the median of three prices.
"""

import math
from statistics import median

from phx.instruments import ONE_E8
from phx.sim.markets.market import Market
from phx.sim.markets.price_history import PriceHistory

INDEX_HALF_LIFE_S = 3.0  # spot follows a jump within seconds; slower, collars would refuse quotes after one
BASIS_HALF_LIFE_S = 150.0
PREMIUM_HALF_LIFE_S = 3600.0
FUNDING_HOURS = 8
INTEREST_RATE = 0.0001
CLAMP = 0.0005
RATE_CAP = 0.003
HOUR_MS = 3_600_000
INTERVAL_MS = FUNDING_HOURS * HOUR_MS


def next_funding_ms(now_ms: int) -> int:
    """Return the next of 00:00, 08:00, 16:00 UTC."""
    return now_ms - now_ms % INTERVAL_MS + INTERVAL_MS


def predicted_rate(average_premium: float) -> float:
    """Return the funding rate of an interval from its average premium."""
    rate = average_premium + max(-CLAMP, min(CLAMP, INTEREST_RATE - average_premium))
    return max(-RATE_CAP, min(RATE_CAP, rate))


class Mark:
    """Updated once a second from the market's best prices and last trade."""

    def __init__(self, market: Market, now_ms: int):
        self.market = market
        self.tick_e8 = int(market.contract.instrument.tick_size * ONE_E8)
        self.funding_ms = next_funding_ms(now_ms)
        self._index = self._basis = self._premium = 0.0
        self._updated_ms = 0
        self.history = PriceHistory()
        self.mark_e8 = self.index_e8 = 0
        self.update(now_ms)

    @property
    def rate(self) -> float:
        return predicted_rate(self._premium)

    @property
    def rate_e8(self) -> int:
        return round(self.rate * ONE_E8)

    def update(self, now_ms: int) -> None:
        bid, ask = self.market.book.top(1), self.market.book.top(-1)
        if not bid or not ask:
            return
        mid = (bid[0][0] + ask[0][0]) / 2
        elapsed_s = (now_ms - self._updated_ms) / 1000 if self._updated_ms else math.inf
        self._updated_ms = now_ms
        self._index = average(self._index, mid, elapsed_s, INDEX_HALF_LIFE_S)
        self._basis = average(self._basis, mid - self._index, elapsed_s, BASIS_HALF_LIFE_S)
        self._premium = average(self._premium, mid / self._index - 1, elapsed_s, PREMIUM_HALF_LIFE_S)
        to_funding = max(0.0, (self.funding_ms - now_ms) / INTERVAL_MS)
        last = self.market.streams.last_ticks or mid
        mark = median((self._index * (1 + self.rate * to_funding), self._index + self._basis, last))
        self.mark_e8 = round(mark * self.tick_e8)
        self.index_e8 = round(self._index * self.tick_e8)
        self.history.add(now_ms, self.mark_e8, self.index_e8, round((mid / self._index - 1) * ONE_E8))

    def funding_due(self, now_ms: int) -> float | None:
        """Return the rate to charge when a funding time has passed, once; None otherwise."""
        if now_ms < self.funding_ms:
            return None
        rate = self.rate
        self.funding_ms = next_funding_ms(now_ms)
        return rate


def average(old: float, new: float, elapsed_s: float, half_life_s: float) -> float:
    """Return the exponential moving average after `elapsed_s`; the first value counts in full."""
    if elapsed_s == math.inf:
        return new
    keep = 0.5 ** (elapsed_s / half_life_s)
    return old * keep + new * (1 - keep)
