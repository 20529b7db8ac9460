"""What Binance's error codes mean for us, and what an HTTP answer amounts to.

The venue's documents call some failures certain that users saw executed all the same. So on a request that changes
something every 5xx, timeout and overload answer is an unknown outcome, whatever its text says.
"""

import re
from enum import StrEnum

import msgspec

from phx.venue.binance.messages import UNREADABLE, ErrorBody, RateLimit
from phx.venue.interface import VenueDown, VenueError, VenueLimited, VenueReject, VenueUnknown


class Advice(StrEnum):
    """What to do after a refusal."""

    NONE = ""
    GONE = "the order is not open: wait for its final state, or ask"
    REQUOTE = "it would have taken: quote again further away"
    DUPLICATE = "an order with this client id is open: ask for it, never send it again"
    MARGIN = "margin or position cap: shrink, or stop that side"
    REDUCE_ONLY = "nothing left to reduce, or other orders already do"
    PRICE_BAND = "too far from the mark price: read it again, then reprice"
    GRID = "price, quantity or precision breaks a filter: a rounding fault of ours"
    NOTIONAL = "too small: larger, or reduce-only"
    CLOCK = "clock or latency: synchronise with the venue; never widen recvWindow"
    LIMITED = "a rate limit: silence until it has passed; cancels keep their reserve"
    NOT_ALLOWED = "key, permission or account state: stop, a human must look"
    LOCKED = "the venue allows only reduce-only orders now: pause the symbol"
    UNCHANGED = "the order already is as wanted"
    NO_AMEND = "cannot be amended: cancel it and place a new one"
    MODE = "position mode differs from one-way: correct the account"
    FULL = "the venue's limit of open orders: prune"
    SYMBOL_CLOSED = "the symbol does not trade now: stop it"
    LISTEN_KEY = "the listenKey is gone: ask for a new one"
    UNKNOWN = "the outcome is unknown: never send it again, ask for evidence"


def _table(**rows: str) -> dict[int, Advice]:
    return {-int(code): Advice[name] for name, codes in rows.items() for code in codes.split()}


ADVICE = _table(
    GONE="2011 2013",
    REQUOTE="5021 5022",
    DUPLICATE="4116",
    MARGIN="2018 2019 2027 2028 4118",
    REDUCE_ONLY="2022",
    PRICE_BAND="4016 4024 4131",
    GRID="1111 4002 4003 4004 4005 4013 4014 4015 4023",
    NOTIONAL="4164 5029",
    CLOCK="1021 5028",
    LIMITED="1003 1015",
    NOT_ALLOWED="1002 1022 2014 2015 2017 4087 4088 4109 4189 4192",
    LOCKED="4400 4401",
    UNCHANGED="5027",
    NO_AMEND="5024 5025 5026 5043 5047",
    MODE="4060 4061 4062",
    FULL="2025",
    SYMBOL_CLOSED="1016 1122 4105 4106 4107 4140 4141",
    LISTEN_KEY="1125",
    UNKNOWN="1000 1001 1006 1007 1008",
)

BAD_SIGNATURE = -1022
KEY_REFUSED = (-2014, -2015)  # the key itself, its address or its permissions
REQUEST_TIMEOUT = 408
LIMITED_STATUS = 429
BANNED_STATUS = 418
FIREWALL_STATUS = 403
LONGEST_MSG = 300  # characters of a venue's text that reach a log

_ORDERS = re.compile(r"current limit is (\d{1,9}) orders per (\d{1,4}) (SECOND|MINUTE)")
_WEIGHT = re.compile(r"current limit is (\d{1,9}) requests per minute")
_BANNED_UNTIL = re.compile(r"banned until (\d{13})\b")


def advice(code: int) -> Advice:
    """Return what to do about a code, Advice.NONE for one that is not in the table."""
    return ADVICE.get(code, Advice.NONE)


def printable(text: str) -> str:
    """Return a venue's text safe to log: one line, no control characters, bounded."""
    return "".join(c if c.isprintable() else " " for c in text[:LONGEST_MSG])


def banned_until_ms(msg: str) -> int:
    """Return the moment a ban's text names, UTC ms; 0 when it names none."""
    found = _BANNED_UNTIL.search(msg)
    return int(found[1]) if found else 0


def limits_told(msg: str) -> list[RateLimit]:
    """Return the limit that a refusal's text names, if it names one."""
    if found := _ORDERS.search(msg):
        return [RateLimit("ORDERS", found[3], int(found[2]), int(found[1]))]
    if found := _WEIGHT.search(msg):
        return [RateLimit("REQUEST_WEIGHT", "MINUTE", 1, int(found[1]))]
    return []


def failure(changes: bool, status: int, body: bytes, wait_s: float) -> VenueError:
    """Return what a failed HTTP answer means.

    changes: whether the request, executed, would change something. wait_s: how long to be silent if it is a limit.
    """
    try:
        error = msgspec.json.decode(body, type=ErrorBody)
        code, msg = error.code, printable(error.msg)
    except UNREADABLE:
        code, msg = 0, f"unreadable answer of {len(body)} bytes"
    meaning = advice(code)
    if status in (LIMITED_STATUS, BANNED_STATUS) or meaning is Advice.LIMITED:
        return VenueLimited(f"HTTP {status}, code {code}: {msg}", wait_s, banned=status == BANNED_STATUS)
    open_end = status >= 500 or status == REQUEST_TIMEOUT or meaning is Advice.UNKNOWN
    # A redirect, a firewall's page or any other answer without a code is not the venue's word either.
    if open_end or code == 0:
        why = f"HTTP {status}, code {code}: {msg}"
        return VenueUnknown(why, code, status) if changes else VenueDown(why)
    return VenueReject(code, msg, status, meaning)
