"""Contracts that the table does not list, or not as recorded, made from what a recording prints: decimals, tick, lot.

Limits a recording cannot tell (quantity, notional, price range) are wide; brackets are those of small contracts.
"""

import copy
import itertools
import logging
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from phx.recording import Snapshot, symbols, up_to_cut
from phx.sim.contracts import Contract, template
from phx.sim.markets.recorded import PROBED_FRAMES, relabelled

PROBED_ITEMS = 20_000  # frames read for texts; a REST snapshot, which prints thousands, comes long before
QUOTES = ("USDT", "USDC")
MIN_NOTIONAL = "5"
INVENTED_PRICE = 2.0  # 20,000 ticks, as the synthetic market assumes


log = logging.getLogger(__name__)


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
    return {name: Contract(entry(name, *steps), ids[name]) for name, steps in grids(wanted, paths, relabel).items()}


def refined(
    contracts: Mapping[str, Contract], paths: Iterable[Path | str], relabel: Mapping[str, str]
) -> dict[str, Contract]:
    """Return listed contracts, with a finer tick or lot where the recording that stands for one has it."""
    found = {}
    for name, (price, qty) in grids(contracts, paths, relabel).items():
        contract = contracts[name]
        made = copy.deepcopy(contract.entry)
        for step, filters, key, precision in (
            (price, ("PRICE_FILTER",), "tickSize", "pricePrecision"),
            (qty, ("LOT_SIZE", "MARKET_LOT_SIZE"), "stepSize", "quantityPrecision"),
        ):
            listed = contract.filters[filters[0]][key]
            step.add(listed)
            if Decimal(step.text()) < Decimal(listed):
                log.warning("%s: recorded with a %s of %s, listed with %s", name, key, step.text(), listed)
                made[precision] = step.decimals
                for filter_ in made["filters"]:
                    if filter_["filterType"] in filters:
                        filter_[key] = step.text()
        found[name] = contract if made == contract.entry else Contract(made, contract.instrument.symbol_id)
    return found


def invented(symbol: str, symbol_id: int, start_price: float | None = None) -> Contract:
    """Return a contract for a symbol nothing is known of but perhaps its price: 10⁴ to 10⁵ ticks, lots of some quote.

    Raises ValueError for a name that is not a base asset followed by USDT or USDC.
    """
    if not any(symbol.endswith(quote) and symbol != quote for quote in QUOTES):
        raise ValueError(f"{symbol}: expected the name of a base asset followed by {' or '.join(QUOTES)}")
    magnitude = math.floor(math.log10(start_price or INVENTED_PRICE))
    price, qty = Step(), Step()
    price.add(f"{10.0 ** (magnitude - 4):.{max(0, 4 - magnitude)}f}")
    qty.add(f"{10.0 ** min(0, -magnitude):.{max(0, magnitude)}f}")
    return Contract(entry(symbol, price, qty), symbol_id)


def grids(
    wanted: Iterable[str], paths: Iterable[Path | str], relabel: Mapping[str, str]
) -> dict[str, tuple["Step", "Step"]]:
    """Return the grids of price and quantity of the recordings that stand for the wanted symbols."""
    paths = list(paths)
    found = {path: symbols(path, PROBED_FRAMES) for path in paths}
    serving = relabelled([symbol for names in found.values() for symbol in names], wanted, relabel)
    return {
        name: grid(next(path for path in paths if recorded in found[path]), recorded)
        for recorded, names in serving.items()
        for name in names
    }


def grid(path: Path | str, symbol: str) -> tuple["Step", "Step"]:
    """Return the steps of price and quantity that a recording's texts of a symbol are multiples of."""
    prices, quantities = Step(), Step()
    decoder = msgspec.json.Decoder(_Depth)
    for item in itertools.islice(up_to_cut(path), PROBED_ITEMS):
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
