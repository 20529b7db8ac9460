"""Instruments: the only place (with the venue's decoder) where decimal text, ticks and lots meet."""

import contextlib
import math
from decimal import Decimal
from pathlib import Path

import msgspec

from phx._core.records import fnv1a
from phx.durable import write_whole

ONE_E8 = 10**8
FINEST = 12  # decimals; no price or quantity of the venue has more
LARGEST = 2**62  # what records count in has 64 bits


class InstrumentError(ValueError):
    """A price, quantity or filter that does not fit the instrument; names value, symbol and rule."""


class Instrument(msgspec.Struct, frozen=True):
    """One instrument as the venue describes it: filters as exact decimals, plus our small integer for it.

    symbol_id: index used in records; traded symbols from 0, watched ones from 32 (topology.py).
    tick_size, lot_size: the units that records count in. price_step, qty_step: so many of them lie between two prices
    or quantities that the venue accepts; more than 1 once its grid was made coarser than what rests there and what we
    hold (in_units).
    percent_up, percent_down: PERCENT_PRICE multipliers against the mark price.
    """

    symbol: str
    symbol_id: int
    tick_size: Decimal
    lot_size: Decimal
    min_price: Decimal
    max_price: Decimal
    min_qty: Decimal
    max_qty: Decimal
    min_notional: Decimal
    price_precision: int  # decimals the venue prints
    qty_precision: int
    max_orders: int = 200
    percent_up: Decimal = Decimal("1.05")
    percent_down: Decimal = Decimal("0.95")
    base_asset: str = ""
    quote_asset: str = "USDC"
    status: str = "TRADING"
    price_step: int = 1
    qty_step: int = 1

    def __post_init__(self):
        for name in ("tick_size", "lot_size", "min_qty", "max_qty"):
            if getattr(self, name) <= 0:
                raise InstrumentError(f"{self.symbol}: {name} is {getattr(self, name)}, expected a positive number")
        value = self.tick_size * self.lot_size * ONE_E8
        if value != int(value) or value < 1:
            raise InstrumentError(
                f"{self.symbol}: a tick times a lot is worth {self.tick_size * self.lot_size} in quote currency, "
                "expected a positive multiple of 1e-8"
            )

    @property
    def price_decimals(self) -> int:
        """Decimals of the tick size without trailing zeros: the scale the decoder reads prices at."""
        return max(0, -self.tick_size.normalize().as_tuple().exponent)

    @property
    def price_units(self) -> int:
        """The tick size in units of 10**-price_decimals."""
        return int(self.tick_size.scaleb(self.price_decimals))

    @property
    def qty_decimals(self) -> int:
        """Decimals of the lot size without trailing zeros."""
        return max(0, -self.lot_size.normalize().as_tuple().exponent)

    @property
    def qty_units(self) -> int:
        """The lot size in units of 10**-qty_decimals."""
        return int(self.lot_size.scaleb(self.qty_decimals))

    @property
    def ticklot_e8(self) -> int:
        """What one tick times one lot is worth, in 1e-8 of the quote currency."""
        return int(self.tick_size * self.lot_size * ONE_E8)

    @property
    def price_grid(self) -> Decimal:
        """What orders' prices are multiples of."""
        return self.tick_size * self.price_step

    @property
    def qty_grid(self) -> Decimal:
        """What orders' quantities are multiples of."""
        return self.lot_size * self.qty_step

    @property
    def units_hash(self) -> int:
        """What segments carry whose records count in these ticks and lots; never 0."""
        return Units.of(self).hash

    @property
    def min_qty_lots(self) -> int:
        return -int(-self.min_qty // self.qty_grid) * self.qty_step

    @property
    def max_qty_lots(self) -> int:
        return int(self.max_qty / self.qty_grid) * self.qty_step

    @property
    def min_notional_ticklots(self) -> int:
        """The smallest order value, in tick·lot, rounded up."""
        return -int(-self.min_notional * ONE_E8 // self.ticklot_e8)

    def order_rules(self) -> dict[str, int]:
        """Return what the venue demands of an order, in the integers of the gateway's core (risk.Rules)."""
        return {
            "ticklot_e8": self.ticklot_e8,
            "min_qty_lots": self.min_qty_lots,
            "max_qty_lots": self.max_qty_lots,
            "min_notional_ticklots": self.min_notional_ticklots,
            "min_price_ticks": max(1, self.ticks_floor(self.min_price)),
            "max_price_ticks": self.ticks_floor(self.max_price),
            "price_step_ticks": self.price_step,
            "qty_step_lots": self.qty_step,
            "percent_up_e6": int(self.percent_up * 10**6),
            "percent_down_e6": int(self.percent_down * 10**6),
            "max_orders": self.max_orders,
        }

    @property
    def scale(self) -> tuple[int, int, int, int]:
        """How text becomes ticks and lots: the decoder's (price_decimals, price_units, qty_decimals, qty_units)."""
        return self.price_decimals, self.price_units, self.qty_decimals, self.qty_units

    def ticks(self, price) -> int:
        """Return decimal text (or a Decimal) as ticks; a price off the grid raises InstrumentError."""
        return self._whole(price, self.tick_size, "price")

    def lots(self, qty) -> int:
        """Return decimal text (or a Decimal) as lots; a quantity off the grid raises InstrumentError."""
        return self._whole(qty, self.lot_size, "quantity")

    def ticks_floor(self, price) -> int:
        """Return a price as ticks, rounded towards zero: for prices that nobody trades on."""
        return int(Decimal(price) / self.tick_size)

    def lots_floor(self, qty) -> int:
        """Return a quantity as lots, rounded towards zero: for configured sizes."""
        return int(Decimal(qty) / self.lot_size)

    def order_lots(self, qty) -> int:
        """Return decimal text as lots that one order may have, rounded towards zero: for configured layers."""
        lots = self.lots_floor(qty)
        return lots - lots % self.qty_step

    def price_text(self, ticks: int) -> str:
        """Return ticks as the decimal text the venue expects."""
        return f"{ticks * self.tick_size:.{self.price_decimals}f}"

    def qty_text(self, lots: int) -> str:
        """Return lots as the decimal text the venue expects."""
        return f"{lots * self.lot_size:.{self.qty_decimals}f}"

    def price(self, ticks: float) -> float:
        """Return (fractional) ticks as a price, for people and metrics only."""
        return ticks * float(self.tick_size)

    def qty(self, lots: float) -> float:
        """Return lots as a quantity, for people and metrics only."""
        return lots * float(self.lot_size)

    def quote(self, ticklots: float) -> float:
        """Return a tick·lot amount in quote currency, for people and metrics only."""
        return ticklots * self.ticklot_e8 / ONE_E8

    def _whole(self, value, step: Decimal, what: str) -> int:
        try:
            count = Decimal(value) / step
        except ArithmeticError:
            count = Decimal("NaN")
        if not count.is_finite() or abs(count) > LARGEST:
            raise InstrumentError(f"{self.symbol}: {what} {str(value)[:40]} is not a finite number that can be counted")
        if count != int(count):
            raise InstrumentError(f"{self.symbol}: {what} {value} is no multiple of {step}")
        return int(count)


class Units(msgspec.Struct, frozen=True):
    """What prices and quantities are counted in."""

    tick_size: Decimal
    lot_size: Decimal

    @classmethod
    def of(cls, instrument: Instrument) -> "Units":
        return cls(instrument.tick_size, instrument.lot_size)

    @classmethod
    def printed(cls, instrument: Instrument) -> "Units":
        """Return the finest that the venue prints, and so takes."""
        return cls(Decimal(1).scaleb(-instrument.price_precision), Decimal(1).scaleb(-instrument.qty_precision))

    @property
    def hash(self) -> int:
        return fnv1a(f"{self.tick_size.normalize()} {self.lot_size.normalize()}".encode()) or 1

    def within(self, finer: "Units") -> tuple[int, int]:
        """Return how many of the finer ticks and lots make one of ours. InstrumentError when they make no whole one."""
        factors = self.tick_size / finer.tick_size, self.lot_size / finer.lot_size
        if any(factor != int(factor) for factor in factors):
            raise InstrumentError(f"tick and lot {self.tick_size}, {self.lot_size} are no multiples of {finer}")
        return int(factors[0]), int(factors[1])


def in_units(listed: Instrument, *others: Units) -> Instrument:
    """Return a listed instrument counted in units that its grid and all others are multiples of.

    Units only ever become finer: orders that rest at the venue stay on the grid they were placed on, and so does what
    we hold. What was counted in coarser units is counted in these without a remainder.
    InstrumentError when the units would be too fine to count money in.
    """
    # A price with more decimals than the venue prints is refused, however fine its tick is.
    finest = Units.printed(listed)
    price_grid = common_multiple(listed.price_grid, finest.tick_size)
    qty_grid = common_multiple(listed.qty_grid, finest.lot_size)
    tick = common_divisor(price_grid, *(units.tick_size for units in others))
    lot = common_divisor(qty_grid, *(units.lot_size for units in others))
    return msgspec.structs.replace(
        listed,
        tick_size=tick,
        lot_size=lot,
        price_step=int(price_grid / tick),
        qty_step=int(qty_grid / lot),
    )


def common_divisor(*steps: Decimal) -> Decimal:
    """Return the largest step that all are multiples of."""
    return Decimal(math.gcd(*(int(step.scaleb(FINEST)) for step in steps))).scaleb(-FINEST).normalize()


def common_multiple(*steps: Decimal) -> Decimal:
    """Return the smallest step that is a multiple of all."""
    return Decimal(math.lcm(*(int(step.scaleb(FINEST)) for step in steps))).scaleb(-FINEST).normalize()


def converted(name: str, value, price_factor: int, qty_factor: int):
    """Return a number counted in finer units; its name says what it counts (…_ticks, …_lots, …_ticklots)."""
    if name.endswith("_ticklots"):
        return value * price_factor * qty_factor
    if name.endswith("_ticks"):
        return value * price_factor
    if name.endswith("_lots"):
        return value * qty_factor
    return value / price_factor if name.endswith("_per_tick") else value


def write_table(path: Path, instruments) -> None:
    """Write the instrument table for processes without a connection to the venue; the file appears whole or not."""
    write_whole(path, msgspec.json.encode(list(instruments)))


def read_table(path: Path) -> dict[str, Instrument]:
    """Return the instruments of a written table by symbol."""
    return {i.symbol: i for i in msgspec.json.decode(path.read_bytes(), type=list[Instrument])}


class Tables:
    """The instruments as an instance's processes have written them: each feed its own, the gateway those it trades.

    The gateway's word counts: it is what orders are made by. `look` reads again what was written anew.
    """

    def __init__(self, shm_folder: Path, run_folder: Path):
        self.shm_folder = shm_folder
        self.traded_path = run_folder / "contracts.json"
        self.stamps: dict[Path, int] = {}
        self.feeds: dict[str, Instrument] = {}
        self.traded: dict[str, Instrument] = {}

    @property
    def by_symbol(self) -> dict[str, Instrument]:
        return self.feeds | self.traded

    def look(self) -> bool:
        """Return whether any table was written since the last look."""
        found = {}
        for path in (*sorted(self.shm_folder.glob("instruments.*.json")), self.traded_path):
            with contextlib.suppress(FileNotFoundError):
                found[path] = path.stat().st_mtime_ns
        if found == self.stamps:
            return False
        tables = {}
        for path in found:
            with contextlib.suppress(FileNotFoundError):  # the instance ends
                tables[path] = read_table(path)
        self.traded = tables.pop(self.traded_path, {})
        self.feeds = {symbol: i for table in tables.values() for symbol, i in table.items()}
        self.stamps = found
        return True

    def units(self, symbol: str) -> list[Units]:
        """Return every unit that is in use for a symbol."""
        return [Units.of(table[symbol]) for table in (self.feeds, self.traded) if symbol in table]

    def units_hash(self, symbol: str) -> int:
        """Return what a symbol's segments are to carry; 0 while nobody has said."""
        instrument = self.by_symbol.get(symbol)
        return 0 if instrument is None else instrument.units_hash
