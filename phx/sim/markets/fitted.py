"""The numbers of the synthetic market, as fitted to recordings by scripts/fit_synthetic.py and kept in fitted.json.

An asset without a recording has the shape of a recorded one, in relative prices and in quote currency.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import msgspec

from phx.instruments import Instrument

FITTED = Path(__file__).with_name("fitted.json")
PROBABILITIES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99, 0.997, 0.999, 1.0)  # of the quantiles below


class Band(msgspec.Struct, frozen=True):
    """Resting orders at [from_ticks, to_ticks) behind the best price of their side; means per side."""

    from_ticks: int
    to_ticks: int
    depth_lots: float
    levels: float
    orders: float
    placed_per_s: float


class Fitted(msgspec.Struct, frozen=True):
    """The numbers of one asset; how each was found stands in fitted.json under "methods"."""

    source: str
    start_price: float
    tick_size: float  # ticks and lots below are of these sizes
    lot_size: float
    spread_ticks: float  # mean over time
    sigma_1s_bps: float
    sigma_60s_bps: float
    taker_orders_per_s: float
    taker_same_side: float  # probability that a taker order has the side of the one before
    taker_lots: list[float]  # quantiles at PROBABILITIES
    trade_lots: list[float]  # the same of single prints
    taker_gap_ms: list[float]  # the same of the times between taker orders
    move_1s_bps: list[float]  # the same of the mid's changes over 1 s, without sign
    fano_100ms: float  # variance over mean of taker orders per window
    fano_1s: float
    activity_decay_per_s: float
    activity_variance: float
    place_lots_sigma: float  # standard deviation of the logarithm
    bands: list[Band]  # the first one is the touch


class FittedFile(msgspec.Struct, frozen=True):
    about: str
    recordings: list[dict[str, str]]
    methods: dict[str, str]  # field of Fitted → how it was found
    assets: dict[str, Fitted]  # by base asset


def load_fitted(path: Path = FITTED) -> dict[str, Fitted]:
    """Return the fitted numbers by base asset."""
    return msgspec.json.decode(path.read_bytes(), type=FittedFile).assets


def asset_of(symbol: str) -> str:
    """Return the base asset of a USD-margined symbol."""
    return symbol.removesuffix("USDT").removesuffix("USDC")


FARTHEST = 0.02  # bands reach this fraction of the price
MODEL_ASSET = "ETH"  # whose shape an asset without numbers has
UNKNOWN = (0.1, 1.6)  # its depth and volume, and its volatility, relative to that asset
PRICE_TICKS = 20_000  # in an invented price: small contracts have 10⁴ to 10⁵


def fitted_for(instrument: Instrument, assets: Mapping[str, Fitted], start_price: float | None = None) -> Fitted:
    """Return the numbers an instrument trades by: of its asset, else invented ones that suit its tick and lot."""
    known = assets.get(asset_of(instrument.symbol))
    if known is not None and start_price is None:
        return known
    tick, lot = float(instrument.tick_size), float(instrument.lot_size)
    if known is not None:
        return scaled(known, start_price, tick, lot, 1.0, 1.0)
    return scaled(assets[MODEL_ASSET], start_price or tick * PRICE_TICKS, tick, lot, *UNKNOWN)


def scaled(fitted: Fitted, start_price: float, tick_size: float, lot_size: float, depth: float, vol: float) -> Fitted:
    """Return the numbers of an asset without a recording: same shape in relative prices and in quote currency."""
    ticks = tick_size / start_price * fitted.start_price / fitted.tick_size  # recorded ticks in one of the new
    lots = depth * fitted.start_price * fitted.lot_size / (start_price * lot_size)
    bands = []
    edges = band_edges(max(512, FARTHEST * start_price / tick_size))
    for from_ticks, to_ticks in pairwise(edges):
        depth_lots, _, orders, placed = _between(fitted.bands, from_ticks * ticks, to_ticks * ticks)
        width = to_ticks - from_ticks
        orders = max(0.1, min(orders, 20.0 if width == 1 else 1.6 * width))
        levels = width * (1 - math.exp(-orders / width))
        bands.append(Band(from_ticks, to_ticks, *map(_four, (depth_lots * lots, levels, orders, placed))))
    return msgspec.structs.replace(
        fitted,
        source=f"scaled from {fitted.source}, no recording of its own: depth and sizes in quote currency × {depth}, "
        f"volatility × {vol}",
        start_price=start_price,
        tick_size=tick_size,
        lot_size=lot_size,
        spread_ticks=round(max(1.01, fitted.spread_ticks / ticks), 4),
        sigma_1s_bps=round(fitted.sigma_1s_bps * vol, 4),
        sigma_60s_bps=round(fitted.sigma_60s_bps * vol, 4),
        move_1s_bps=[round(q * vol, 4) for q in fitted.move_1s_bps],
        taker_lots=[max(1.0, round(q * lots)) for q in fitted.taker_lots],
        trade_lots=[max(1.0, round(q * lots)) for q in fitted.trade_lots],
        bands=bands,
    )


def band_edges(farthest_ticks: float) -> list[int]:
    """Return 0, 1, 2, 4, … up to the first one beyond."""
    edges = [0, 1]
    while edges[-1] < farthest_ticks:
        edges.append(edges[-1] * 2)
    return edges


def _between(bands: list[Band], low: float, high: float) -> tuple[float, ...]:
    """Return depth, levels, orders and placed_per_s in a range; the last band goes on for ever."""
    total = [0.0] * 4
    for band in bands:
        to_ticks = math.inf if band is bands[-1] else band.to_ticks
        share = max(0.0, min(high, to_ticks) - max(low, band.from_ticks)) / (band.to_ticks - band.from_ticks)
        for i, number in enumerate((band.depth_lots, band.levels, band.orders, band.placed_per_s)):
            total[i] += share * number
    return tuple(total)


def _four(number: float) -> float:
    """Return four significant digits, as a plain float."""
    return float(f"{number:.4g}")
