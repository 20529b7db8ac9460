"""The resting orders of one symbol's agents, each side by price, best first."""

from bisect import bisect_left, bisect_right, insort
from typing import NamedTuple

RANK_BITS = 40
RANK_MASK = (1 << RANK_BITS) - 1


class RestingOrder(NamedTuple):
    """side: +1, -1."""

    side: int
    price_ticks: int
    qty_lots: int


class RestingOrders:
    """Orders by a number of the agents' own. `orders`: number → order."""

    def __init__(self):
        self.orders: dict[int, RestingOrder] = {}
        # (-side * price) << 40 | number, so that the best price comes first on either side, then the oldest.
        self._ranked: dict[int, list[int]] = {1: [], -1: []}

    def add(self, n: int, order: RestingOrder) -> None:
        self.orders[n] = order
        insort(self._ranked[order.side], _rank(order.side, order.price_ticks, n))

    def remove(self, n: int) -> None:
        """Forget an order; one already forgotten is no error."""
        order = self.orders.pop(n, None)
        if order is not None:
            ranked = self._ranked[order.side]
            del ranked[bisect_left(ranked, _rank(order.side, order.price_ticks, n))]

    def count(self, side: int) -> int:
        return len(self._ranked[side])

    def best_ticks(self, side: int) -> int:
        """Return the best price of a side that has orders."""
        return -side * (self._ranked[side][0] >> RANK_BITS)

    def reached(self, side: int, price_ticks: int) -> list[int]:
        """Return the orders of a side at a price or better, best first."""
        ranked = self._ranked[side]
        return [rank & RANK_MASK for rank in ranked[: bisect_right(ranked, _rank(side, price_ticks, RANK_MASK))]]

    def at(self, side: int, price_ticks: int) -> list[int]:
        """Return the orders at a price, oldest first."""
        ranked = self._ranked[side]
        first = bisect_left(ranked, _rank(side, price_ticks, 0))
        return [rank & RANK_MASK for rank in ranked[first : bisect_right(ranked, _rank(side, price_ticks, RANK_MASK))]]

    def span(self, side: int, from_ticks: int, to_ticks: int | None) -> tuple[int, int]:
        """Return the places of the orders at from_ticks and behind it but before to_ticks (None: to the end)."""
        ranked = self._ranked[side]
        first = bisect_left(ranked, _rank(side, from_ticks, 0))
        return first, len(ranked) if to_ticks is None else bisect_left(ranked, _rank(side, to_ticks, 0), first)

    def number_at(self, side: int, place: int) -> int:
        return self._ranked[side][place] & RANK_MASK


def _rank(side: int, price_ticks: int, n: int) -> int:
    return (-side * price_ticks << RANK_BITS) | n
