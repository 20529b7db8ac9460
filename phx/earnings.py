"""What a symbol earned and why: profit under three fees, what fills were worth later, where the time went.

Whoever reports it, live or from a backtest, reads the same records through the same few lines. Amounts are in the
quote currency, shares and bps of the value of the fills; positive is good for us.
"""

import math

from msgspec import Struct

from phx._core.enums import Mode
from phx._core.mark_outs import HORIZONS_S, table
from phx.instruments import ONE_E8, Instrument

TAKE_ROW = 32  # of the mark-out tables: takes; the rows before are rungs of the ladder
MARK_OUT_FIELDS = ("fills", "lots", "half_ticklots", "ticklots")


class Profit(Struct, frozen=True):
    """Realised + unrealised - fees + funding, with the fees that were paid, with none, and with the base tier's."""

    own_fees: float = 0.0
    no_fees: float = 0.0
    base_fees: float = 0.0


def profit(totals, instrument: Instrument, value_ticks: float, maker_fee: float, taker_fee: float) -> Profit:
    """Return the profit of one symbol.

    totals: fields of Position, from `own` or a desk. value_ticks: what the inventory is valued at, mid or mark.
    maker_fee, taker_fee: the base tier, fractions.
    """
    lots = int(totals["position_lots"])
    unrealised_ticklots = lots * value_ticks - int(totals["open_cost_ticklots"]) if lots else 0.0
    gained = instrument.quote(int(totals["realised_ticklots"]) + unrealised_ticklots)
    return under_fees(gained + int(totals["funding_e8"]) / ONE_E8, totals, instrument, maker_fee, taker_fee)


def under_fees(no_fees: float, totals, instrument: Instrument, maker_fee: float, taker_fee: float) -> Profit:
    """Return the three profits of one that was measured without fees."""
    taken = instrument.quote(int(totals["taker_volume_ticklots"]))
    made = instrument.quote(int(totals["volume_ticklots"])) - taken
    base_fees = no_fees - made * maker_fee - taken * taker_fee
    return Profit(no_fees - int(totals["fees_e8"]) / ONE_E8, no_fees, base_fees)


class MarkOut(Struct, frozen=True):
    """What the fills of one mode and layer were worth after one horizon."""

    mode: str
    layer: str  # 0 is the nearest rung; "take"
    horizon_s: int
    fills: int
    volume: float  # of those fills, at their own prices
    gain: float  # against the mid then
    bps: float  # the gain in basis points of the volume

    @classmethod
    def of(cls, mode: str, layer: str, horizon_s: int, fills: int, volume: float, gain: float) -> "MarkOut":
        return cls(mode, layer, horizon_s, fills, volume, gain, 1e4 * gain / volume if volume else math.nan)


def mark_outs(counters, instrument: Instrument) -> list[MarkOut]:
    """Return the cells of a QUOTER_COUNTERS record that hold fills, by mode, layer and horizon."""
    tables = {field: table(counters, field) for field in MARK_OUT_FIELDS}
    found = []
    for mode, layer, horizon in zip(*tables["fills"].nonzero(), strict=True):
        fills, _, half_ticklots, ticklots = (int(tables[field][mode, layer, horizon]) for field in MARK_OUT_FIELDS)
        found.append(
            MarkOut.of(
                mode_word(mode),
                "take" if layer == TAKE_ROW else str(layer),
                HORIZONS_S[horizon],
                fills,
                instrument.quote(ticklots),
                instrument.quote(half_ticklots / 2),
            )
        )
    return found


def added_up(found: list[MarkOut], horizon_s: int) -> MarkOut:
    """Return the mark-outs of one horizon over all modes and layers as one."""
    of_horizon = [m for m in found if m.horizon_s == horizon_s]
    fills = sum(m.fills for m in of_horizon)
    volume, gain = sum(m.volume for m in of_horizon), sum(m.gain for m in of_horizon)
    return MarkOut.of("all", "all", horizon_s, fills, volume, gain)


def mark_out_lines(found: list[MarkOut]) -> list[str]:
    """Return mark-outs as lines of text: a row for all fills, then one per mode and layer."""
    if not found:
        return []
    rows = {("all", ""): [added_up(found, horizon_s) for horizon_s in HORIZONS_S]}
    for m in found:
        rows.setdefault((m.mode, m.layer), [added_up([], horizon_s) for horizon_s in HORIZONS_S])
        rows[m.mode, m.layer][HORIZONS_S.index(m.horizon_s)] = m
    titles = "".join(f"{f'after {horizon_s} s':>26}" for horizon_s in HORIZONS_S)
    lines = [f"{'mark-outs':<16}{'fills':>6}{titles}"]
    for (mode, layer), cells in rows.items():
        words = "".join(f"{mark_out_text(cell):>26}" for cell in cells)
        lines.append(f"{f'{mode} {layer}':<16}{max(cell.fills for cell in cells):>6}{words}")
    return lines


def mark_out_text(m: MarkOut) -> str:
    return f"{m.bps:+.2f} bps {m.gain:+.4f}" if m.fills else "-"


def mode_seconds(counters) -> dict[str, float]:
    """Return the time spent in each mode that was entered or lasted, seconds."""
    return {mode_word(i): int(ns) / 1e9 for i, ns in enumerate(counters["mode_ns"]) if ns}


def mode_entries(counters) -> dict[str, int]:
    """Return the transitions into each mode that was entered."""
    return {mode_word(i): int(n) for i, n in enumerate(counters["mode_entries"]) if n}


def mode_share_text(seconds: dict[str, float]) -> str:
    """Return the modes with their shares of the time, the longest first."""
    total = sum(seconds.values())
    by_share = sorted(seconds.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{mode} {s / total:.1%}" for mode, s in by_share) if total else "-"


def mode_word(number: int) -> str:
    return Mode(int(number)).name.removeprefix("MODE_").lower()
