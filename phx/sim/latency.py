"""How long requests, answers and events travel: constants, or drawn from a file of measured latencies.

A file is CSV. Its first line names columns, each with its unit: `place_us,cancel_us,ack_us,feed_us`, any of them, in
ns, us or ms; each line after it holds one measurement per column, empty where there is none. A file whose first line is
a number is one column of requests in ns. `place` is from request to matching, `cancel` the same for cancels (as `place`
without it), `ack` from matching to whom it concerns, answers and user events, `feed` from the market to listeners.
Columns that are not there are constants.
"""

import asyncio
import csv
import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

COLUMNS = ("place", "cancel", "ack", "feed")
UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000}
LONGEST_NS = 60 * 10**9


class LatencyError(ValueError):
    """A file of latencies that cannot be used; names the file, the line and what is wrong with it."""


class Latency:
    """Draws latencies in ns, each column from a generator of its own.

    constants_ns: by column, 0 where not given. measured: columns with samples in ns, drawn with replacement.
    """

    def __init__(self, constants_ns: Mapping[str, int], measured: Mapping[str, list[int]] | None = None, seed: int = 0):
        samples = {name: [constants_ns.get(name, 0)] for name in COLUMNS} | dict(measured or {})
        if measured and "place" in measured:
            samples["cancel"] = measured.get("cancel", measured["place"])
        self._samples = samples
        self._random = {name: random.Random(f"{seed}/latency/{name}") for name in COLUMNS}

    def place_ns(self) -> int:
        return self._drawn("place")

    def cancel_ns(self) -> int:
        return self._drawn("cancel")

    def ack_ns(self) -> int:
        return self._drawn("ack")

    def feed_ns(self) -> int:
        return self._drawn("feed")

    def _drawn(self, name: str) -> int:
        samples = self._samples[name]
        return samples[0] if len(samples) == 1 else self._random[name].choice(samples)


class Line:
    """One direction of a connection: what is sent arrives after its latency, never before what was sent earlier."""

    def __init__(self):
        self._travelling: deque[Callable[[], None]] = deque()
        self._newest_s = 0.0  # when the one sent last arrives

    def send(self, latency_ns: int, arrive: Callable[[], None]) -> None:
        if latency_ns <= 0 and not self._travelling:
            arrive()
            return
        loop = asyncio.get_running_loop()
        self._newest_s = max(self._newest_s, loop.time() + latency_ns / 1e9)
        self._travelling.append(arrive)
        loop.call_at(self._newest_s, self._next)

    def _next(self) -> None:
        # One per timer, oldest first: timers of equal time may fire in any order.
        self._travelling.popleft()()


def measured(path: Path | str) -> dict[str, list[int]]:
    """Return the columns of a file, in ns. Raises LatencyError, OSError."""
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        rows = [(number, [cell.strip() for cell in row]) for number, row in enumerate(csv.reader(file), 1) if row]
    if not rows:
        raise LatencyError(f"{path}: is empty, expected latencies")
    first = rows[0][1]
    if len(first) == 1 and not first[0][:1].isalpha():
        columns = [("place", 1)]
    else:
        columns = [_column(path, name) for name in first]
        rows = rows[1:]
    names = [name for name, _ in columns]
    if len(set(names)) < len(names):
        raise LatencyError(f"{path}:1: the same column twice in {', '.join(first)}")
    found: dict[str, list[int]] = {name: [] for name in names}
    for number, row in rows:
        if len(row) != len(columns):
            raise LatencyError(f"{path}:{number}: {len(row)} columns, expected {len(columns)}")
        for cell, (name, unit_ns) in zip(row, columns, strict=True):
            if cell:
                found[name].append(_latency_ns(path, number, cell, unit_ns))
    for name, samples in found.items():
        if not samples:
            raise LatencyError(f"{path}: column {name} holds no latency")
    return found


def _column(path, text: str) -> tuple[str, int]:
    name, _, unit = text.lower().rpartition("_")
    if name not in COLUMNS or unit not in UNITS_NS:
        expected = ", ".join(f"{column}_us" for column in COLUMNS)
        raise LatencyError(f"{path}:1: column {text!r}, expected {expected}, or these in _ns or _ms")
    return name, UNITS_NS[unit]


def _latency_ns(path, number: int, cell: str, unit_ns: int) -> int:
    try:
        latency_ns = float(cell) * unit_ns
    except ValueError:
        latency_ns = math.nan
    if not 0 <= latency_ns <= LONGEST_NS:
        raise LatencyError(f"{path}:{number}: {cell!r}, expected a latency of 0 to 60 s")
    return round(latency_ns)
