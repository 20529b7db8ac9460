"""Other units than the last life's: the venue's grid became finer, and all that is kept counts in it from now on.

Units only ever become finer (instruments.in_units), so every conversion is a multiplication and nothing is rounded.
Each thing that is kept says itself what it is counted in: a life that ends half-way converts nothing twice.
"""

from decimal import Decimal

import msgspec

from phx.gateway.epoch import Books
from phx.instruments import FINEST, Instrument, InstrumentError, Tables, Units, converted, in_units, write_table
from phx.process import StayDown

TICK, LOT = "tick_e12", "lot_e12"  # with limits: what they are counted in, in 1e-12


def traded(listed: dict[str, Instrument], tables: Tables, books: Books) -> dict[str, Instrument]:
    """Return the instruments this life trades by, in units that everything it finds can be counted in."""
    try:
        return {s: in_units(i, *tables.units(s), *units_of(books, s)) for s, i in listed.items()}
    except InstrumentError as error:
        raise StayDown(str(error)) from None


def units_of(books: Books, symbol: str) -> list[Units]:
    former = books.get(symbol)
    return [] if former is None or former.units is None else [former.units]


def keep(tables: Tables, instruments: dict[str, Instrument]) -> None:
    """Write what this life trades by, for everybody else and for the lives to come."""
    write_table(tables.traded_path, instruments.values())


def in_use(tables: Tables, books: Books) -> dict[str, list[Units]]:
    """Return by symbol the units that a former life may have counted in."""
    symbols = {*tables.by_symbol, *books}
    return {symbol: [*tables.units(symbol), *units_of(books, symbol)] for symbol in symbols}


def books_in(books: Books, instruments: dict[str, Instrument]) -> Books:
    """Return books counted in the instruments' units. Those that do not say theirs are taken to be in them."""
    found = {}
    for symbol, former in books.items():
        if symbol not in instruments:
            continue
        units = Units.of(instruments[symbol])
        factors = (former.units or units).within(units)
        totals = {name: converted(name, value, *factors) for name, value in former.totals.items()}
        found[symbol] = msgspec.structs.replace(former, totals=totals, units=units)
    return found


def limits_kept(limits: dict[str, int], instrument: Instrument) -> dict[str, int]:
    """Return limits as they are kept: with what they are counted in."""
    return limits | {TICK: scaled(instrument.tick_size), LOT: scaled(instrument.lot_size)}


def limits_in(kept: dict[str, int], instrument: Instrument) -> dict[str, int]:
    """Return kept limits counted in an instrument's units."""
    price_factor = kept.get(TICK, scaled(instrument.tick_size)) // scaled(instrument.tick_size)
    qty_factor = kept.get(LOT, scaled(instrument.lot_size)) // scaled(instrument.lot_size)
    return {n: converted(n, v, price_factor, qty_factor) for n, v in kept.items() if n not in (TICK, LOT)}


def scaled(step: Decimal) -> int:
    return int(step.scaleb(FINEST))
