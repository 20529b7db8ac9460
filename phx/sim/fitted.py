"""The numbers of the synthetic market, as fitted to recordings by scripts/fit_synthetic.py and kept in fitted.json."""

from pathlib import Path

import msgspec

FITTED = Path(__file__).with_name("fitted.json")
PROBABILITIES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99, 0.997, 0.999, 1.0)  # of the quantiles below


class FittedError(ValueError):
    """No numbers for an asset."""


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
