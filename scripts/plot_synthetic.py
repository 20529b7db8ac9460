#!/usr/bin/env python3
"""Draw docs/synthetic.svg: the synthetic market on the venue's own engine beside the recordings it was fitted to.

    scripts/plot_synthetic.py [--seconds 1200] [--output docs/synthetic.svg]

The recorded side are the numbers in phx/sim/markets/fitted.json, so no recording is needed. Written by hand, as few
shapes as possible: the file is small enough to be read in a diff.

"""

import argparse
import math
import sys
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import fit_synthetic

from phx.sim.contracts import listed
from phx.sim.markets.fitted import PROBABILITIES, Fitted, load_fitted
from phx.sim.markets.flows import order_flows
from phx.sim.markets.recorded import Book, Delta, Kind, Recorded, Top, Trade
from phx.sim.markets.synthetic_market import SyntheticMarket
from phx.sim.streams.hub import Hub

OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "synthetic.svg"
FLUSH_NS = 50_000_000
SEED = 3
WIDTH, HEIGHT, GAP, TOP = 250, 150, 60, 56
QUANTILE_CHARTS = (  # title, field of Fitted, first quantile shown
    ("trade size, lots by quantile", "trade_lots", 1),
    ("taker order, lots by quantile", "taker_lots", 1),
    ("between taker orders, ms by quantile", "taker_gap_ms", 1),
    ("mid's move in 1 s, bp by quantile", "move_1s_bps", 5),
)
RECORDED, SYNTHETIC, GREY = "#1f6fb2", "#d9662b", "#888888"


class Tape:
    """What a market tells its streams, as records of a recording."""

    def __init__(self, symbol: str):
        self.symbol = symbol
        self.records: list[Recorded] = []

    def _keep(self, ts_ms: int, kind: Kind, payload) -> None:
        self.records.append(Recorded(ts_ms * 1_000_000, self.symbol, kind, payload))

    def on_book(self, update_id, bids, asks, ts_ms) -> None:
        self._keep(ts_ms, Kind.SNAPSHOT, Book(update_id, bids, asks))

    def on_diff(self, first_id, last_id, prev_id, bids, asks, ts_ms, now_ms) -> None:
        self._keep(ts_ms, Kind.DELTA, Delta(first_id, last_id, prev_id, bids, asks))

    def on_top(self, update_id, bid, ask, ts_ms, now_ms) -> None:
        self._keep(ts_ms, Kind.TOP, Top(update_id, *bid, *ask))

    def on_trade(self, trade_id, ticks, lots, aggressor, origin, ts_ms, now_ms) -> None:
        self._keep(ts_ms, Kind.TRADE, Trade(trade_id, ticks, lots, aggressor, origin))


def played(symbol: str, seconds: float) -> list[Recorded]:
    """Return what a synthetic market on its engine shows in virtual time."""
    contract = listed({symbol: 0})[symbol]
    flow = order_flows([contract.instrument], SEED)[symbol]
    market = SyntheticMarket(contract, flow, Hub(), 1.0)
    market.streams = tape = Tape(symbol)
    market.start(0)
    flush_ns = FLUSH_NS
    while market.due_ns < seconds * 1e9:
        if market.due_ns >= flush_ns:
            market.flush(flush_ns)
            flush_ns += FLUSH_NS
        market.act()
    return tape.records


def measured(symbol: str, seconds: float) -> Fitted:
    instrument = listed({symbol: 0})[symbol].instrument
    grid = (float(Decimal(instrument.tick_size)), float(Decimal(instrument.lot_size)))
    return fit_synthetic.measure(played(symbol, seconds), *grid)


def panel(x: float, y: float, title: str, ticks: list[str], recorded: list[float], synthetic: list[float]) -> list[str]:
    """Return one chart of two lines over named points; the vertical axis is logarithmic."""
    values = [value for value in (*recorded, *synthetic) if value > 0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    shapes = [f'<text x="{x}" y="{y - 8}" font-weight="bold">{title}</text>']
    shapes.append(f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{GREY}"/>')

    def place(i: int, value: float) -> str:
        across = x + WIDTH * (i + 0.5) / len(ticks)
        up = (math.log10(value) - low) / (high - low) if value > 0 else 0.0
        return f"{across:.0f},{y + HEIGHT * (1 - up):.0f}"

    for power in range(low, high + 1):
        at = y + HEIGHT * (1 - (power - low) / (high - low))
        shapes.append(f'<text x="{x - 4}" y="{at + 3:.0f}" text-anchor="end" fill="{GREY}">{10.0**power:g}</text>')
    for i, text in enumerate(ticks):
        across = x + WIDTH * (i + 0.5) / len(ticks)
        at = f'x="{across:.0f}" y="{y + HEIGHT + 12}"'
        shapes.append(f'<text {at} text-anchor="middle" fill="{GREY}">{text}</text>')
    for line, colour in ((recorded, RECORDED), (synthetic, SYNTHETIC)):
        points = " ".join(place(i, value) for i, value in enumerate(line))
        shapes.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return shapes


def depth_chart(recorded: Fitted, synthetic: Fitted) -> tuple:
    """Return title, names and both lines of the depth profile."""
    pairs = list(zip(recorded.bands, synthetic.bands, strict=False))
    names = [str(band.from_ticks) for band, _ in pairs]
    return (
        "depth, lots by ticks from the touch",
        names,
        *([band.depth_lots for band in side] for side in zip(*pairs, strict=True)),
    )


def drawing(pairs: dict[str, tuple[Fitted, Fitted]], seconds: float) -> str:
    """Return the picture: a row of charts for each asset."""
    shapes = []
    for row, (asset, (recorded, synthetic)) in enumerate(pairs.items()):
        y = TOP + row * (HEIGHT + GAP + 10)
        charts = [depth_chart(recorded, synthetic)]
        for title, field, cut in QUANTILE_CHARTS:
            names = [f"{p:g}"[1:] for p in PROBABILITIES[cut:-1]]
            charts.append((title, names, getattr(recorded, field)[cut:-1], getattr(synthetic, field)[cut:-1]))
        for column, chart in enumerate(charts):
            shapes += panel(GAP + column * (WIDTH + GAP), y, f"{asset}: {chart[0]}", *chart[1:])
        text = ", ".join(
            f"{name} {getattr(recorded, field):.3g} / {getattr(synthetic, field):.3g}"
            for name, field in (
                ("spread, ticks", "spread_ticks"), ("volatility 1 s, bp", "sigma_1s_bps"), ("60 s", "sigma_60s_bps"),
                ("taker orders per s", "taker_orders_per_s"), ("Fano factor 0.1 s", "fano_100ms"), ("1 s", "fano_1s"),
                ("same side as before", "taker_same_side"),
            )
        )  # fmt: skip
        shapes.append(f'<text x="{GAP}" y="{y + HEIGHT + 32}">{asset}, recorded / synthetic: {text}</text>')
    width, height = GAP + 5 * (WIDTH + GAP), TOP + len(pairs) * (HEIGHT + GAP + 10)
    size = f'width="{width}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    legend = (
        f'<text x="{GAP}" y="20" font-size="13"><tspan fill="{RECORDED}">— recorded, 480 s</tspan>'
        f'<tspan fill="{SYNTHETIC}" dx="20">— synthetic, {seconds:.0f} s, seed {SEED}, regime auto</tspan></text>'
    )
    back = f'<rect {size} fill="white"/>'
    return "\n".join([head, back, legend, *shapes, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    fitted = load_fitted()
    pairs = {asset: (fitted[asset], measured(f"{asset}USDC", asked.seconds)) for asset in ("BTC", "ETH")}
    asked.output.write_text(drawing(pairs, asked.seconds))


if __name__ == "__main__":
    main()
