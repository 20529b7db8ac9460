"""The cells of a campaign: which process is hit by which signal in which stage, with which fault going on.

Also who must be gone from the venue how soon, and in which lives cells are hit together.
"""

import random
from typing import NamedTuple

from .stages import BTC, IN_FLIGHT_S, STAGES

PAIR = "gateway+guardian"
PROCESSES = ("feed.main", f"quoter.{BTC}", "gateway", "guardian", "ops", "supervisord", "sim", PAIR)
SIGNALS = ("KILL", "STOP")
COUNTDOWN_S = 6.0  # of the dead man's switch with two symbols
ROUND_TRIP_MS = 50.0  # to the venue and back on a busy host
FENCED_AFTER_S = 0.75  # a gateway that hangs longer is killed by the guardian
EXTRA_WITH_FAULT_MS = 2000.0  # two troubles at once may take so much longer than the worse of them


class Cell(NamedTuple):
    """What is hit, how, when, and which fault of the venue is on meanwhile ("" = none)."""

    process: str
    signal: str
    stage: str
    fault: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.process, self.signal, self.stage, self.fault and f"+{self.fault}")))


# What a fault of the venue adds to every bound.
EXTRA_MS = {
    "late_accept": 1500.0,  # its delay
    "lost_reply": 3000.0,  # no answer at all: the order is asked for
    "swallowed_cancel": 10_000.0,  # the venue lies: found when the open orders are compared
}
# Faults of the venue at the same time as a kill: what is set of them, and the cells they are tried with.
FAULTS: dict[str, dict] = {
    "unknown_placed": {"rate": 0.3},
    "unknown_dropped": {"rate": 0.3},
    "late_accept": {"rate": 0.3, "delay_s": 1.5},
    "lost_reply": {"of": "place", "rate": 0.3},
    "swallowed_cancel": {"rate": 0.3},
    "survivor": {"count": 2},
    "drop_event": {"event": "ORDER_TRADE_UPDATE", "rate": 0.3},
    "double_event": {"rate": 0.3},
    "swap_events": {"rate": 0.3},
    "half_open": {"route": "private", "for_s": 3.0},
    "key_expired": {},
    "key_lost": {},
    "gap": {"rate": 0.2},
}
COMBINED = (
    Cell("gateway", "KILL", "place", "unknown_placed"),
    Cell("gateway", "KILL", "place", "late_accept"),
    Cell("gateway", "STOP", "place", "lost_reply"),
    Cell("gateway", "KILL", "cancel", "survivor"),
    Cell("gateway", "KILL", "fills", "drop_event"),
    Cell("gateway", "STOP", "fills", "double_event"),
    Cell("gateway", "KILL", "quoting", "key_lost"),
    Cell(f"quoter.{BTC}", "KILL", "cancel", "swallowed_cancel"),
    Cell(f"quoter.{BTC}", "KILL", "quoting", "key_expired"),
    Cell(f"quoter.{BTC}", "STOP", "place", "unknown_dropped"),
    Cell("guardian", "KILL", "quoting", "half_open"),
    Cell("feed.main", "KILL", "quoting", "gap"),
    Cell("feed.main", "KILL", "fills", "swap_events"),
)


def is_cell(process: str, stage: str) -> bool:
    """Return whether a combination says something: supervisord is not started or stopped by itself."""
    if process == "supervisord":
        return stage not in ("start", "shutdown")
    if process == PAIR:
        return stage not in ("start", "shutdown")
    return not (process == "sim" and stage in ("start", "shutdown"))


CELLS = (
    *(Cell(p, s, stage) for stage in STAGES for p in PROCESSES for s in SIGNALS if is_cell(p, stage)),
    *COMBINED,
)


def is_last(cell: Cell) -> bool:
    """Return whether a life cannot go on after a cell: the ledger, or what restarts processes, is gone."""
    return cell.signal == "KILL" and cell.process in ("sim", "supervisord")


def plan(kills: int, seed: int, cells=CELLS) -> list[Cell]:
    """Return `kills` cells. Consecutive seeds go on where the one before stopped, so over seeds every cell comes."""
    shuffled = list(cells)
    random.Random(0).shuffle(shuffled)
    begin = seed * kills
    return [shuffled[(begin + i) % len(shuffled)] for i in range(kills)]


def lives_of(cells: list[Cell], most: int = 14) -> list[list[Cell]]:
    """Divide cells among lives: those that end one come last, one in each."""
    enders = [cell for cell in cells if is_last(cell)]
    others = [cell for cell in cells if not is_last(cell)]
    count = max(len(enders), -(-len(others) // most), 1)
    share = -(-len(others) // count)
    lives = [others[i * share : (i + 1) * share] + enders[i : i + 1] for i in range(count)]
    return [life for life in lives if life]


def short_plan(seed: int) -> list[Cell]:
    """Return the cells of one short life; over seeds every cell comes, every other time with one that ends it."""
    cells = plan(4, seed, [cell for cell in CELLS if not is_last(cell)])
    enders = [cell for cell in CELLS if is_last(cell)]
    return cells + ([enders[seed // 2 % len(enders)]] if seed % 2 else [])


class Bound(NamedTuple):
    """Whose orders must be gone from the venue, how soon."""

    symbols: tuple[str, ...]
    ms: float


def bound_of(cell: Cell, hold_s: float, traded: list[str]) -> Bound | None:
    """Return what a cell demands of the orders that were open; None: they may stay."""
    everything = tuple(traded)
    extra = EXTRA_WITH_FAULT_MS + EXTRA_MS.get(cell.fault, 0.0) if cell.fault else 0.0
    extra += 1000.0 * IN_FLIGHT_S if cell.stage in ("place", "cancel") else 0.0
    killed = cell.signal == "KILL"
    if cell.process.startswith("quoter."):
        return Bound((cell.process.partition(".")[2],), (1000.0 if killed else 300.0 + ROUND_TRIP_MS) + extra)
    if cell.process.startswith("feed."):
        return Bound(everything, 300.0 + ROUND_TRIP_MS + extra)
    if cell.process == "gateway" and (killed or hold_s > 2 * FENCED_AFTER_S):
        return Bound(everything, (1000.0 if killed else 1500.0) + extra)
    if cell.process == PAIR and (killed or hold_s > COUNTDOWN_S):
        # Stopped both, only the venue's own countdown is left.
        return Bound(everything, (3000.0 if killed else 1000.0 * COUNTDOWN_S + ROUND_TRIP_MS) + extra)
    if cell.process == "supervisord" and killed:
        return Bound(everything, 2000.0 + extra)
    return None
