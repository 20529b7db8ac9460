"""The public trades of one contract as the venue keeps them for its queries: the newest, single and aggregated."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

KEPT = 20_000  # per contract; more than any answer shows, and some minutes of a wild market


class Print(NamedTuple):
    """One public trade."""

    id: int
    price_ticks: int
    lots: int
    buyer_is_maker: bool
    ts_ms: int
    is_rpi: bool = False


class Aggregate(NamedTuple):
    """Trades of one taker order at one price."""

    id: int
    price_ticks: int
    lots: int
    first_id: int
    last_id: int
    buyer_is_maker: bool
    ts_ms: int


class Tape:
    """What was traded, oldest first."""

    def __init__(self):
        self.prints: deque[Print] = deque(maxlen=KEPT)
        self.aggregates: deque[Aggregate] = deque(maxlen=KEPT)


def newest(rows: deque, count: int) -> list:
    """Return the last rows, oldest first."""
    return [rows[number] for number in range(max(0, len(rows) - count), len(rows))]


def from_id(rows: Iterable, first_id: int, count: int) -> list:
    """Return rows from an id on."""
    found = []
    for row in rows:
        if row.id >= first_id:
            found.append(row)
            if len(found) == count:
                break
    return found
