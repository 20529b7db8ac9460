"""Candles of the prices that are computed, not traded: mark, index and premium of one contract, in 1e-8."""

from phx.sim.streams.klines import Klines


class PriceHistory:
    """Fed once a second."""

    def __init__(self):
        self.mark = Klines()
        self.index = Klines()
        self.premium = Klines()

    def add(self, now_ms: int, mark_e8: int, index_e8: int, premium_e8: int) -> None:
        self.mark.add(now_ms, mark_e8, 0, False, -1)
        self.index.add(now_ms, index_e8, 0, False, -1)
        self.premium.add(now_ms, premium_e8, 0, False, -1)
