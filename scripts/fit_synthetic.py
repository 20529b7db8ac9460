#!/usr/bin/env python3
"""Fit the numbers of the synthetic market to recordings and write phx/sim/markets/fitted.json.

    scripts/fit_synthetic.py RECORDING [RECORDING …]

One recording per asset, with its depth snapshot, every depth change, bookTicker and trades. Assets that are not among
the recordings but in SCALED are made from the last recording given, in relative prices and in quote currency.
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from phx.instruments import Instrument
from phx.recording import Recording, symbols
from phx.sim.markets.fitted import (
    FARTHEST,
    FITTED,
    PROBABILITIES,
    Band,
    Fitted,
    FittedFile,
    asset_of,
    band_edges,
    scaled,
)
from phx.sim.markets.recorded import Kind, Recorded, RecordedMarket

NS = 1e9
ROUND_START = {"BTC": 64000.0, "ETH": 3400.0}  # where the market begins; the mean recorded mid for others
TICKS = {"BTC": ("0.1", "0.001"), "ETH": ("0.01", "0.001"), "SOL": ("0.01", "0.01"), "XRP": ("0.0001", "0.1")}
# Assets without a recording: start price, tick, lot, depth and volume, volatility relative to the recorded asset.
SCALED = {
    "SOL": (160.0, 0.01, 0.01, 0.35, 1.4),
    "XRP": (0.56, 0.0001, 0.1, 0.25, 1.3),
    "DOGE": (0.12, 0.00001, 1.0, 0.2, 1.5),
}
METHODS = {
    "start_price": "a round number near the recorded price",
    "spread_ticks": "mean over time of best ask - best bid in bookTicker",
    "sigma_1s_bps": "standard deviation of log mid over 1 s, last bookTicker of each second",
    "sigma_60s_bps": "root mean square of the log mid's change over 60 s, overlapping windows",
    "taker_orders_per_s": "runs of trades of the same millisecond and aggressor count as one taker order",
    "taker_same_side": "share of taker orders with the side of the one before",
    "taker_lots": f"quantiles of the taker orders' quantities at {PROBABILITIES}",
    "trade_lots": "the same quantiles of single trades",
    "taker_gap_ms": "the same quantiles of the times between taker orders, in whole ms",
    "move_1s_bps": "the same quantiles of the absolute change of log mid over 1 s",
    "fano_100ms": "variance over mean of the number of taker orders per 100 ms",
    "fano_1s": "variance over mean of the number of taker orders per 1 s",
    "activity_decay_per_s": "of the exponential autocovariance that a doubly stochastic Poisson process needs to have "
    "both Fano factors",
    "activity_variance": "of the same process, relative to a mean of 1",
    "place_lots_sigma": "standard deviation of the logarithm of increases of a level's quantity, first 1000 ticks",
    "bands": "they double in width. depth_lots and levels: mean over both sides of the rebuilt book, once a second "
    "(too small far away, where the snapshot of 1000 levels does not reach). placed_per_s: increases of a level's "
    "quantity, per side. orders: at the touch depth over mean increase; else such that as many orders at random prices "
    "occupy as many levels (at most 1.6 per tick)",
}


def measure(records: Iterable[Recorded], tick_size: float, lot_size: float, source: str = "") -> Fitted:
    """Return the numbers of one symbol's records."""
    book = ({}, {})
    tops, trades, samples, placed_sizes = [], [], [], []
    placed, placed_lots = Counter(), Counter()
    next_sample_ns, end_ns = 0, 0
    edges = [0, 1]
    for end_ns, _, kind, payload in records:
        if kind == Kind.SNAPSHOT:
            book = (dict(payload.bids), dict(payload.asks))
            edges = band_edges(FARTHEST * max(book[0]))
        elif kind == Kind.DELTA:
            for side, levels, change in zip(book, (max, min), (payload.bids, payload.asks), strict=True):
                best_ticks = levels(side) if side else 0
                for price_ticks, qty_lots in change:
                    added = qty_lots - side.get(price_ticks, 0)
                    if qty_lots:
                        side[price_ticks] = qty_lots
                    else:
                        side.pop(price_ticks, None)
                    distance = (best_ticks - price_ticks) * (1 if levels is max else -1)
                    if added > 0 and distance >= 0:
                        band = distance.bit_length()
                        placed[band] += 1
                        placed_lots[band] += added
                        if distance < 1000:
                            placed_sizes.append(added)
        elif kind == Kind.TOP:
            mid_ticks = (payload.bid_ticks + payload.ask_ticks) / 2
            tops.append((end_ns, payload.ask_ticks - payload.bid_ticks, mid_ticks))
        else:
            trades.append((end_ns, payload.qty_lots, payload.aggressor))
        if end_ns >= next_sample_ns and book[0] and book[1]:
            next_sample_ns = end_ns + NS
            samples.append([_profile(side, best(side), edges) for side, best in zip(book, (max, min), strict=True)])
    seconds = end_ns / NS

    at, spread, mid = np.array(tops, dtype=float).T
    held = np.diff(at, append=end_ns)
    log_mid = np.log(mid[np.searchsorted(at, np.arange(at[0], end_ns, NS), "right") - 1]) * 1e4
    long = min(60, len(log_mid) - 1)
    traded_ns, traded_lots, aggressor = np.array(trades, dtype=float).T
    first = np.flatnonzero(np.r_[True, (np.diff(traded_ns) != 0) | (np.diff(aggressor) != 0)])
    taker_lots, taker_ns, taker_side = np.add.reduceat(traded_lots, first), traded_ns[first], aggressor[first]
    fano_100ms, fano_1s = (_fano(taker_ns / NS, seconds, window_s) for window_s in (0.1, 1.0))
    rate = len(first) / seconds
    decay, variance = activity(rate, fano_100ms, fano_1s)
    depth, levels = np.array(samples).mean(axis=(0, 1))
    bands = []
    for band, (from_ticks, to_ticks) in enumerate(pairwise(edges)):
        width = to_ticks - from_ticks
        orders = -width * math.log(1 - min(levels[band] / width, 0.8))
        if band == 0:
            orders = depth[0] * placed[0] / placed_lots[0] if placed_lots[0] else 1.0
        per_s = placed[band] / 2 / seconds
        bands.append(Band(from_ticks, to_ticks, *_rounded(depth[band], levels[band], max(orders, 0.1), per_s)))
    numbers = (
        held @ spread / held.sum(), np.diff(log_mid).std(), np.sqrt(np.mean((log_mid[long:] - log_mid[:-long]) ** 2)),
        rate, np.mean(taker_side[1:] == taker_side[:-1]),
        np.quantile(taker_lots, PROBABILITIES), np.quantile(traded_lots, PROBABILITIES),
        np.quantile(np.diff(taker_ns // 1_000_000), PROBABILITIES), np.quantile(abs(np.diff(log_mid)), PROBABILITIES),
        fano_100ms, fano_1s, decay, variance, np.log(placed_sizes).std(),
    )  # fmt: skip
    return Fitted(source, float(mid.mean() * tick_size), tick_size, lot_size, *_rounded(*numbers), bands)


def activity(rate: float, fano_100ms: float, fano_1s: float) -> tuple[float, float]:
    """Return decay (1/s) and variance of the activity whose counts have these Fano factors.

    With autocovariance v·exp(-bt): fano(T) = 1 + rate · v · 2 (bT - 1 + exp(-bT)) / (b² T).
    """

    def excess(decay, window_s):
        x = decay * window_s
        return 2 * (x - 1 + math.exp(-x)) / (decay * x)

    wanted = max(fano_1s - 1, 1e-3) / max(fano_100ms - 1, 1e-4)
    low, high = 0.05, 50.0
    for _ in range(60):
        decay = math.sqrt(low * high)
        if excess(decay, 1.0) / excess(decay, 0.1) > wanted:
            low = decay
        else:
            high = decay
    return decay, max(fano_1s - 1, 1e-3) / (rate * excess(decay, 1.0))


def _profile(side: dict[int, int], best_ticks: int, edges: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return quantity and number of levels per band."""
    prices, lots = np.fromiter(side.keys(), float), np.fromiter(side.values(), float)
    band = np.searchsorted(edges, abs(prices - best_ticks), "right") - 1
    inside = band < len(edges) - 1
    count = len(edges) - 1
    return np.bincount(band[inside], lots[inside], count), np.bincount(band[inside], minlength=count).astype(float)


def _fano(at_s: np.ndarray, seconds: float, window_s: float) -> float:
    counts = np.bincount((at_s / window_s).astype(int), minlength=int(seconds / window_s))
    return counts.var() / counts.mean()


def _rounded(*numbers) -> list:
    return [[_four(x) for x in n] if np.ndim(n) else _four(n) for n in numbers]


def _four(number: float) -> float:
    """Return four significant digits, as a plain float."""
    return float(f"{number:.4g}")


def fit(path: Path) -> tuple[str, Fitted, dict[str, str]]:
    """Return asset, its numbers, and where they come from."""
    found = symbols(path)
    asset = asset_of(found[0])
    if len(found) != 1 or asset not in TICKS:
        raise SystemExit(f"{path}: holds {', '.join(found)}; expected one symbol of {', '.join(TICKS)}")
    tick, lot = (Decimal(text) for text in TICKS[asset])
    instrument = Instrument(found[0], 0, tick, lot, tick, Decimal(10**9), lot, Decimal(10**9), Decimal(5), 8, 8)
    market = RecordedMarket([path], {found[0]: instrument}, loop=False)
    fitted = measure(market, float(tick), float(lot), path.name)
    fitted = msgspec.structs.replace(fitted, start_price=ROUND_START.get(asset, _four(fitted.start_price)))
    times = [item.recv_ns for item in Recording(path)]
    begin, end = (
        datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S") for ns in (times[0], times[-1])
    )
    return asset, fitted, {"file": path.name, "symbol": found[0], "from_utc": begin, "to_utc": end}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, default=FITTED)
    arguments = parser.parse_args()
    assets, recordings = {}, []
    for path in arguments.recordings:
        asset, assets[asset], recording = fit(path)
        recordings.append(recording)
    for asset, numbers in SCALED.items():
        if asset not in assets:
            assets[asset] = scaled(assets[asset_of(recordings[-1]["symbol"])], *numbers)
    about = "Written by scripts/fit_synthetic.py; do not edit, run it again. Lots and ticks are of the sizes given."
    content = msgspec.json.encode(FittedFile(about, recordings, METHODS, assets))
    arguments.output.write_bytes(msgspec.json.format(content, indent=1) + b"\n")


if __name__ == "__main__":
    main()
