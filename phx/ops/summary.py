"""The end of a run: what each symbol did, and whether the run was healthy."""

import math
import time

import msgspec
from msgspec import Struct

from phx import earnings, topology
from phx.ops.figures import Figures, figures

QUOTED_SHARE = 0.95


class Quoting:
    """What is followed while a run quotes: how often both sides were live, how many cancels that took."""

    def __init__(self):
        self.began_s = time.monotonic()
        self.seconds = 0.0
        self.looks: dict[str, list[bool]] = {}
        self.cancels: dict[str, tuple[int, int]] = {}  # at the first and at the newest look
        self.starting_errors: dict[str, int] = {}  # before it quoted: mostly others that were not up yet

    def look(self, instance) -> None:
        """Take in this moment."""
        if not self.looks:
            self.starting_errors = errors_by_process(instance)
        self.seconds = time.monotonic() - self.began_s
        for symbol in instance.config.traded():
            f = figures(instance, symbol)
            if not f.wants_less:
                self.looks.setdefault(symbol, []).append(f.quotes_both_sides)
            first, newest = self.cancels.get(symbol, (f.cancels, f.cancels))
            # A restarted gateway counts from zero: what it had counted before belongs to the run as well.
            first -= newest if f.cancels < newest else 0
            self.cancels[symbol] = (first, f.cancels)

    def live_share(self, symbol: str) -> float:
        looks = self.looks.get(symbol)
        return sum(looks) / len(looks) if looks else math.nan

    def cancels_per_minute(self, symbol: str) -> float:
        first, newest = self.cancels.get(symbol, (0, 0))
        return (newest - first) * 60 / max(self.seconds, 1.0)


class Summary(Struct):
    """What a run leaves behind, also as JSON. faults: why it was not healthy; none = exit status 0."""

    instance: str
    environment: str
    seconds: float  # from the first quotes on both sides of every symbol to the stop
    symbols: list[Figures]
    restarts: dict[str, int]
    errors: dict[str, int]  # while quoting, by process: errors logged, REST errors, refused frames
    starting_errors: dict[str, int]  # the same before it quoted
    own_orders_at_venue: int | None  # at the exit; None: nobody could tell
    faults: list[str]


def summarise(instance, watched, own_orders: int | None, unplanned: dict[str, int], faults) -> Summary:
    """Return the summary of a run.

    watched: what was followed while it quoted. own_orders: left at the venue. unplanned: process → exits that nobody
    asked for. faults: those known already.
    """
    found = [figures(instance, symbol) for symbol in instance.config.traded()]
    counted = errors_by_process(instance)
    for f in found:
        f.live_share = watched.live_share(f.symbol)
        f.cancels_per_minute = watched.cancels_per_minute(f.symbol)
    summary = Summary(
        instance=instance.config.global_.instance,
        environment=instance.config.venue.environment,
        seconds=watched.seconds,
        symbols=found,
        restarts={name: max(n, unplanned.get(name, 0)) for name, n in (unplanned | instance.restarts()).items()},
        errors={name: since(n, watched.starting_errors.get(name, 0)) for name, n in counted.items()},
        starting_errors=watched.starting_errors,
        own_orders_at_venue=own_orders,
        faults=list(faults),
    )
    summary.faults += [fault for f in found for fault in symbol_faults(f)]
    summary.faults += [f"{name} was restarted {n} times unplanned" for name, n in summary.restarts.items()]
    if own_orders is None:
        summary.faults.append("nobody could tell whether own orders are left at the venue")
    elif own_orders:
        summary.faults.append(f"{own_orders} own orders left at the venue")
    return summary


def symbol_faults(f: Figures) -> list[str]:
    faults = []
    if math.isnan(f.live_share):
        if not f.wants_less:
            faults.append(f"{f.symbol} never quoted")
    elif f.live_share < QUOTED_SHARE:
        faults.append(f"{f.symbol} had both sides live {f.live_share:.1%} of the time, expected {QUOTED_SHARE:.0%}")
    if f.unknown_orders:
        faults.append(f"{f.symbol} has {f.unknown_orders} orders with an unknown outcome")
    return faults


def since(count: int, before: int) -> int:
    """Return how much a counter grew; one that is smaller than before belongs to a new life and began at zero."""
    return count - before if count >= before else count


def errors_by_process(instance) -> dict[str, int]:
    found = {}
    for process in topology.processes(instance.config):
        block = instance.block(f"process.{process}")
        if block is not None:
            found[process] = int(block["errors"]) + int(block["rest_errors"]) + int(block["frames_refused"])
    return found


def lines(summary: Summary) -> list[str]:
    """Return the summary as text for people."""
    out = [f"{summary.seconds:.0f} s quoting on {summary.environment}"]
    for f in summary.symbols:
        fill_rate = f"{f.near_filled / f.near_placed:.1%}" if f.near_placed else "-"
        live = "-" if math.isnan(f.live_share) else f"{f.live_share:.1%}"
        wanted = f"{f.quoted_share:.1%} of {f.quotable_s:.0f} s" if f.quotable_s else "-"
        out += [
            f"{f.symbol}",
            f"  both sides live {live} of the time, wanted {wanted}, mode {f.mode.lower()}{because(f)}",
            f"  time {earnings.mode_share_text(f.mode_s)}; entered {entries_text(f.mode_entries)}",
            f"  ladders {f.ladders}, orders {f.places}, amends {f.amends}, cancels {f.cancels} "
            f"({f.cancels_per_minute:.1f}/min while quoting)",
            f"  fills {f.fills}, nearest layer filled {fill_rate}, volume {f.volume:,.2f}",
            f"  position {f.position:+.6g}, PnL {f.pnl:+.4f} (realised {f.realised:+.4f}, unrealised "
            f"{f.unrealised:+.4f}, fees {f.fees:.4f}, funding {f.funding:+.4f})",
            f"  PnL without fees {f.pnl_no_fees:+.4f}, at the public lowest tier's {f.pnl_base_fees:+.4f}",
            *(f"  {line}" for line in earnings.mark_out_lines(f.mark_outs)),
            *([f"  {f.mark_outs_dropped} mark-outs without a trusted mid in time"] if f.mark_outs_dropped else []),
            f"  tick-to-ladder p50/p99 {f.tick_to_ladder.text()}, tick-to-wire {f.tick_to_wire.text()}, "
            f"acknowledged {f.ack.text()}",
            f"  gaps {f.gaps}, resyncs {f.resyncs}, refused by phx {f.rejects_own}, by the venue {f.rejects_venue}, "
            f"unknown outcomes {f.unknown_outcomes}",
        ]
    out.append(f"errors {by_process(summary.errors)} (while starting {by_process(summary.starting_errors)})")
    orders = summary.own_orders_at_venue
    out.append(f"own orders left at the venue: {'unknown' if orders is None else orders}")
    out += [f"not healthy: {fault}" for fault in summary.faults] or ["healthy"]
    return out


def because(f: Figures) -> str:
    return "" if f.reason == "NONE" else f" ({f.reason.lower().replace('_', ' ')})"


def entries_text(entries: dict[str, int]) -> str:
    return ", ".join(f"{mode} {n}" for mode, n in entries.items()) or "-"


def by_process(errors: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in errors.items() if n) or "0"


def to_json(summary: Summary) -> bytes:
    """Return the summary as JSON; durations stay in nanoseconds, unknown numbers become null."""
    return msgspec.json.format(msgspec.json.encode(summary), indent=2)
