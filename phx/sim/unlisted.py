"""Contracts that the table does not list, made from what a recording prints: decimals, tick and lot.

Limits a recording cannot tell (quantity, notional, price range) are wide; brackets are those of small contracts.
"""

import copy
import itertools
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from phx.recording import Recording, Snapshot, symbols
from phx.sim.contracts import Contract, template
from phx.sim.recorded import PROBED_FRAMES, relabelled

PROBED_ITEMS = 20_000  # frames read for texts; a REST snapshot, which prints thousands, comes long before
QUOTES = ("USDT", "USDC")
MIN_NOTIONAL = "5"


class _Depth(msgspec.Struct):
    """The decimal texts of a depth answer, a depth diff or a bookTicker; other frames have none of them."""

    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []
    b: list[tuple[str, str]] | str = ""
    a: list[tuple[str, str]] | str = ""
    B: str = ""
    A: str = ""

    def rows(self) -> Iterable[tuple[str, str]]:
        yield from self.bids
        yield from self.asks
        for price, qty in ((self.b, self.B), (self.a, self.A)):
            if isinstance(price, list):
                yield from price
            elif price and qty:
                yield price, qty


def unlisted(
    wanted: Iterable[str], paths: Iterable[Path | str], relabel: Mapping[str, str], ids: Mapping[str, int]
) -> dict[str, Contract]:
    """Return contracts for the wanted symbols from the recordings that stand for them. Raises RecordingError."""
    wanted, paths = list(wanted), list(paths)
    found = {path: symbols(path, PROBED_FRAMES) for path in paths}
    sources = relabelled([symbol for names in found.values() for symbol in names], wanted, relabel)
    contracts = {}
    for recorded, names in sources.items():
        path = next(path for path in paths if recorded in found[path])
        for name in names:
            contracts[name] = Contract(entry(name, *grid(path, recorded)), ids[name])
    return contracts


def grid(path: Path | str, symbol: str) -> tuple["Step", "Step"]:
    """Return the steps of price and quantity that a recording's texts of a symbol are multiples of."""
    prices, quantities = Step(), Step()
    decoder = msgspec.json.Decoder(_Depth)
    for item in itertools.islice(Recording(path), PROBED_ITEMS):
        if item.symbol != symbol:
            continue
        kind = "depth" if isinstance(item, Snapshot) else item.stream.partition("@")[2]
        if not kind.startswith(("depth", "bookTicker")):
            continue
        for price, qty in decoder.decode(item.payload).rows():
            prices.add(price)
            quantities.add(qty)
    return prices, quantities


class Step:
    """The greatest step that all numbers seen are multiples of, at the decimals they are printed with."""

    def __init__(self):
        self.decimals = 0
        self._units = 0

    def add(self, text: str) -> None:
        whole, _, part = text.partition(".")
        if len(part) > self.decimals:
            self._units *= 10 ** (len(part) - self.decimals)
            self.decimals = len(part)
        self._units = math.gcd(self._units, int(whole + part.ljust(self.decimals, "0")))

    def text(self, factor: int = 1) -> str:
        """Return `factor` steps as decimal text."""
        digits = str(max(1, self._units) * factor).rjust(self.decimals + 1, "0")
        return f"{digits[: len(digits) - self.decimals]}.{digits[len(digits) - self.decimals :]}".rstrip(".")


def entry(symbol: str, price: Step, qty: Step) -> dict:
    """Return an exchangeInfo entry for a symbol with these steps."""
    quote = next((quote for quote in QUOTES if symbol.endswith(quote)), "USDT")
    made = copy.deepcopy(template())
    made |= {"symbol": symbol, "pair": symbol, "baseAsset": symbol.removesuffix(quote)}
    made |= {"quoteAsset": quote, "marginAsset": quote}
    made |= {"pricePrecision": price.decimals, "quantityPrecision": qty.decimals}
    lots = {"minQty": qty.text(), "stepSize": qty.text(), "maxQty": qty.text(10**8)}
    changes = {
        "PRICE_FILTER": {"minPrice": price.text(), "maxPrice": price.text(10**9), "tickSize": price.text()},
        "LOT_SIZE": lots,
        "MARKET_LOT_SIZE": lots,
        "MIN_NOTIONAL": {"notional": MIN_NOTIONAL},
    }
    for filter_ in made["filters"]:
        filter_.update(changes.get(filter_["filterType"], {}))
    return made
