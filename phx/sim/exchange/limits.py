"""The venue's rate limits: fixed windows aligned to the wall clock, for weight and for orders."""

from collections import defaultdict

from phx.sim.exchange.ban import Ban
from phx.sim.refusals import Refused

WEIGHT_PER_MINUTE = 2400
ORDERS_PER_10S = 300
ORDERS_PER_MINUTE = 1200
RATE_LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": WEIGHT_PER_MINUTE},
    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": ORDERS_PER_MINUTE},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": ORDERS_PER_10S},
]


class Window:
    """A counter that starts at zero in every window of `seconds`."""

    def __init__(self, limit: int, seconds: int):
        self.limit = limit
        self.length_ms = seconds * 1000
        self.window = -1
        self.used = 0

    def count(self, now_ms: int) -> int:
        """Return what is used in the current window."""
        window = now_ms // self.length_ms
        if window != self.window:
            self.window, self.used = window, 0
        return self.used

    def add(self, now_ms: int, amount: int) -> bool:
        """Count; return whether that stayed within the limit. What exceeds it is counted too."""
        self.count(now_ms)
        self.used += amount
        return self.used <= self.limit

    def left_s(self, now_ms: int) -> int:
        """Return the whole seconds until the next window, at least 1."""
        return max(1, -(-(self.length_ms - now_ms % self.length_ms) // 1000))


class OrderWindows:
    """The order counts of one account."""

    def __init__(self):
        self.in_10s = Window(ORDERS_PER_10S, 10)
        self.in_1m = Window(ORDERS_PER_MINUTE, 60)


class Limits:
    """Weight of one address, which all clients of a loopback share, and order counts of each account."""

    def __init__(self, enforced: bool = True):
        self.enforced = enforced  # otherwise it is only counted
        self.weight = Window(WEIGHT_PER_MINUTE, 60)
        self.listed = RATE_LIMITS  # as exchangeInfo shows them
        self.ban = Ban()
        self.orders: dict[int, OrderWindows] = defaultdict(OrderWindows)  # by the account's number

    def use_weight(self, now_ms: int, weight: int) -> None:
        """Admit a request and count its weight; to be asked before anything else, whatever the weight.

        Raises Refused: 429 beyond the limit, 418 while banned, Blocked (403) when that was ignored.
        """
        if self.enforced:
            self.ban.check(now_ms)
        if weight and not self.weight.add(now_ms, weight) and self.enforced:
            self.ban.refused(now_ms)
            raise Refused(-1003, self.weight.limit, retry_after_s=self.weight.left_s(now_ms))

    def use_orders(self, now_ms: int, owner: int, in_10s: int = 1, in_1m: int = 1) -> None:
        """Count a place or modify. Refused orders count as well, as on the venue."""
        windows = self.orders[owner]
        fits_10s = windows.in_10s.add(now_ms, in_10s)
        fits_1m = windows.in_1m.add(now_ms, in_1m)
        if not self.enforced or (fits_10s and fits_1m):
            return
        self.ban.refused(now_ms)
        if not fits_10s:
            raise Refused(-1015, windows.in_10s.limit, "10 SECOND", retry_after_s=windows.in_10s.left_s(now_ms))
        raise Refused(-1015, windows.in_1m.limit, "1 MINUTE", retry_after_s=windows.in_1m.left_s(now_ms))

    def return_orders(self, now_ms: int, owner: int, in_10s: int = 1, in_1m: int = 1) -> None:
        """Take back what use_orders counted, for a refusal that does not use order count."""
        windows = self.orders[owner]
        windows.in_10s.add(now_ms, -min(in_10s, windows.in_10s.count(now_ms)))
        windows.in_1m.add(now_ms, -min(in_1m, windows.in_1m.count(now_ms)))

    def weight_rows(self, now_ms: int, weight: int) -> list[dict]:
        """Return the rateLimits rows of a WS-API answer; methods without weight show no count."""
        shown = (self.weight.limit, self.weight.count(now_ms)) if weight else (-1, -1)
        return [row("REQUEST_WEIGHT", "MINUTE", 1, *shown)]

    def order_rows(self, now_ms: int, owner: int) -> list[dict]:
        windows = self.orders[owner]
        return [
            row("REQUEST_WEIGHT", "MINUTE", 1, -1, -1),
            row("ORDERS", "SECOND", 10, windows.in_10s.limit, windows.in_10s.count(now_ms)),
            row("ORDERS", "MINUTE", 1, windows.in_1m.limit, windows.in_1m.count(now_ms)),
        ]


def row(kind: str, interval: str, number: int, limit: int, count: int) -> dict:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit, "count": count}
