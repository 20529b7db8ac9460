"""The end of a run: what each symbol did, and whether the run was healthy."""

import msgspec
from msgspec import Struct

from phx import topology
from phx.ops.figures import Figures, figures

QUOTED_SHARE = 0.95
# Modes in which one side, or none, is what the strategy wants.
QUOTES_LESS = ("PINNING", "GRINDING", "FLATTENING", "COOLING", "PAUSED", "HALTED")


class Summary(Struct):
    """What a run leaves behind, also as JSON. faults: why it was not healthy; none = exit status 0."""

    instance: str
    environment: str
    seconds: float  # from the first quotes on both sides of every symbol to the stop
    symbols: list[Figures]
    restarts: dict[str, int]
    errors: dict[str, int]  # by process: errors logged, REST errors, refused frames
    own_orders_at_venue: int | None  # at the exit; None: nobody could tell
    faults: list[str]


def summarise(instance, seconds: float, own_orders: int | None, unplanned: dict[str, int], faults) -> Summary:
    """Return the summary of a run; unplanned: process → exits that nobody asked for; faults: those known already."""
    found = [figures(instance, symbol) for symbol in instance.config.traded()]
    summary = Summary(
        instance=instance.config.global_.instance,
        environment=instance.config.venue.environment,
        seconds=seconds,
        symbols=found,
        restarts={name: max(n, unplanned.get(name, 0)) for name, n in (unplanned | instance.restarts()).items()},
        errors=errors_by_process(instance),
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
    if not f.quotable_s:
        faults.append(f"{f.symbol} never quoted")
    elif f.quoted_share < QUOTED_SHARE and f.mode not in QUOTES_LESS:
        faults.append(f"{f.symbol} wanted both sides {f.quoted_share:.1%} of the time, expected {QUOTED_SHARE:.0%}")
    if f.unknown_orders:
        faults.append(f"{f.symbol} has {f.unknown_orders} orders with an unknown outcome")
    return faults


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
        share = "-" if not f.quotable_s else f"{f.quoted_share:.1%}"
        out += [
            f"{f.symbol}",
            f"  quoted both sides {share} of {f.quotable_s:.0f} s, mode {f.mode.lower()}",
            f"  ladders {f.ladders}, orders {f.places}, amends {f.amends}, cancels {f.cancels} "
            f"({f.cancels_per_minute:.1f}/min while quoting)",
            f"  fills {f.fills}, nearest layer filled {fill_rate}, volume {f.volume:,.2f}",
            f"  position {f.position:+.6g}, PnL {f.pnl:+.4f} (realised {f.realised:+.4f}, unrealised "
            f"{f.unrealised:+.4f}, fees {f.fees:.4f}, funding {f.funding:+.4f})",
            f"  tick-to-ladder p50/p99 {f.tick_to_ladder.text()}, tick-to-wire {f.tick_to_wire.text()}, "
            f"acknowledged {f.ack.text()}",
            f"  gaps {f.gaps}, resyncs {f.resyncs}, refused by phx {f.rejects_own}, by the venue {f.rejects_venue}, "
            f"unknown outcomes {f.unknown_outcomes}",
        ]
    errors = {name: n for name, n in summary.errors.items() if n}
    out.append("errors " + (", ".join(f"{name} {n}" for name, n in errors.items()) if errors else "0"))
    orders = summary.own_orders_at_venue
    out.append(f"own orders left at the venue: {'unknown' if orders is None else orders}")
    out += [f"not healthy: {fault}" for fault in summary.faults] or ["healthy"]
    return out


def to_json(summary: Summary) -> bytes:
    """Return the summary as JSON; durations stay in nanoseconds, unknown numbers become null."""
    return msgspec.json.format(msgspec.json.encode(summary), indent=2)
