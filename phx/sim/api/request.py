"""One request at the venue: who asks for what, and what an endpoint demands before it answers."""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from phx.sim.exchange import rules
from phx.sim.exchange.account import Account
from phx.sim.keys.signing import Key
from phx.sim.latency import Latency
from phx.sim.refusals import Refused
from phx.sim.venue import Venue

MAX_ROWS = 1000
DAY_MS = 24 * 3_600_000
WEEK_MS = 7 * DAY_MS


class Security(IntEnum):
    """What a request must bring: nothing, an API key, a signature, a signature of a key that may trade."""

    PUBLIC = 0
    KEY_ONLY = 1
    SIGNED = 2
    TRADE = 3


class Kind(IntEnum):
    """What a request does: ORDER counts in the order windows; ORDER and CANCEL reach the book after the delay."""

    READ = 0
    ORDER = 1
    CANCEL = 2


class Call(NamedTuple):
    """One request that may be answered. key: None for public endpoints. fault: what goes wrong with it, if anything."""

    venue: Venue
    key: Key | None
    params: dict
    now_ns: int
    fault: object = None

    @property
    def account(self) -> Account:
        return self.key.account

    @property
    def exchange(self):
        return self.venue.exchange

    @property
    def now_ms(self) -> int:
        return self.now_ns // 1_000_000

    def suffers(self, name: str) -> bool:
        """Return whether a fault strikes this request that its handler has to carry out."""
        return self.fault is not None and self.fault.name == name

    def symbol(self) -> str:
        symbol = rules.text(self.params, "symbol")
        if symbol not in self.exchange.contracts:
            raise Refused(-1121)
        return symbol

    def optional_symbol(self) -> str:
        return self.symbol() if rules.text(self.params, "symbol", "") else ""

    def symbols(self) -> list[str]:
        """Return the symbol asked for, else all."""
        symbol = self.optional_symbol()
        return [symbol] if symbol else list(self.exchange.contracts)

    def contract(self):
        return self.exchange.contracts[self.symbol()]

    def limit(self, default: int, most: int = MAX_ROWS) -> int:
        """Return how many rows are wanted; -1130 outside of 1 to `most`."""
        limit = rules.whole(self.params, "limit", default)
        if not 1 <= limit <= most:
            raise Refused(-1130, "limit")
        return limit

    def times(self) -> tuple[int, int]:
        """Return startTime and endTime in ms, 0 where not given; -1023 when they are the wrong way round."""
        start_ms, end_ms = rules.whole(self.params, "startTime", 0), rules.whole(self.params, "endTime", 0)
        if start_ms and end_ms and start_ms > end_ms:
            raise Refused(-1023)
        return start_ms, end_ms

    def span(self, longest_ms: int = WEEK_MS) -> tuple[int, int]:
        """Return the times to look between: `longest_ms` up to now, or on from the start, unless given."""
        start_ms, end_ms = self.times()
        if start_ms and end_ms and end_ms - start_ms > longest_ms:
            raise Refused(-4165, longest_ms // DAY_MS)
        if not start_ms:
            return (end_ms or self.now_ms) - longest_ms, end_ms or self.now_ms
        return start_ms, end_ms or start_ms + longest_ms


class Endpoint(NamedTuple):
    handler: Callable[[Call], object]
    weight: int | Callable[[dict], int]
    security: Security = Security.PUBLIC
    kind: Kind = Kind.READ
    order_counts: tuple[int, int] = (1, 1)  # in the 10 s and the 1 min window
    work: str = ""  # place, amend, cancel, cancel_all, batch, query or depth: what faults can be meant for

    def weight_of(self, params: dict) -> int:
        return self.weight(params) if callable(self.weight) else self.weight

    def request_ns(self, latency: Latency) -> int:
        """Return how long a request travels to the book; only those that change it do."""
        if self.kind == Kind.READ:
            return 0
        return latency.place_ns() if self.kind == Kind.ORDER else latency.cancel_ns()


def by_symbol(one: int, every: int) -> Callable[[dict], int]:
    """Return the weight of an endpoint that is dearer without a symbol."""
    return lambda params: one if params.get("symbol") else every


def by_limit(steps: tuple[tuple[int, int], ...], default: int) -> Callable[[dict], int]:
    """Return the weight of an endpoint that is dearer for more rows. steps: (largest limit, weight), ascending."""

    def weight(params: dict) -> int:
        text = str(params.get("limit") or default)
        limit = int(text) if text.isdecimal() else default
        return next((cost for most, cost in steps if limit <= most), steps[-1][1])

    return weight


def per_symbol(one: Callable[[Call, str], dict]) -> Callable[[Call], object]:
    """Return a handler that answers one symbol when asked for one, else a list of all."""

    def handler(call: Call):
        symbol = call.optional_symbol()
        return one(call, symbol) if symbol else [one(call, name) for name in call.exchange.contracts]

    return handler


def every_symbol(one: Callable[[Call, str], dict]) -> Callable[[Call], list]:
    """Return a handler that answers a list, of one symbol when asked for one."""
    return lambda call: [one(call, symbol) for symbol in call.symbols()]
