"""Whether the venue still trades each symbol as it said: asked when it does not act like it, and once a minute.

What makes us ask at once is an order that ended because its symbol stopped trading, a refusal that would be ours if the
filters were still the old ones, and a feed that reads the market in other units. Other filters are adopted while phx
runs, as long as they can be counted in the same ticks and lots; finer ones begin a new life of every process concerned
(requantise.py).
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from phx._core.gateway import GatewayCore
from phx.gateway import requantise
from phx.instruments import Instrument, InstrumentError, Tables, Units, in_units
from phx.venue.binance.errors import Advice
from phx.venue.interface import AccountRest, VenueError

LOOK_S = 2.0  # between two looks, at least
REGULAR_S = 60.0  # exchangeInfo is large, though it weighs little
TABLES_S = 0.2  # between two looks at what the feeds wrote
TRADING = "TRADING"
STOPPED_TRADING = "7"  # expiry reason of orders whose symbol trades no more
DOUBTS = (Advice.GRID, Advice.NOTIONAL, Advice.SYMBOL_CLOSED)
# What orders are rounded and limited to; quoted on, a change of any makes orders wrong that look right.
FILTERS = (
    "price_grid", "qty_grid", "min_qty", "max_qty", "min_notional", "min_price", "max_price", "percent_up",
    "percent_down", "max_orders",
)  # fmt: skip

log = logging.getLogger("phx.gateway")


class Contracts:
    """`closed`: the symbols that the venue does not trade now; nothing is quoted on them, and it resumes by itself.

    on_anew(why): the venue's grid is finer than this life's units; only a new life can count in it. on_misfit(symbol,
    why): nothing can.
    """

    def __init__(
        self,
        core: GatewayCore,
        rest: AccountRest,
        instruments: dict[str, Instrument],
        tables: Tables,
        on_anew: Callable[[str], None],
        on_misfit: Callable[[str, str], None],
    ):
        self.core = core
        self.rest = rest
        self.instruments = instruments
        self.tables = tables
        self.on_anew = on_anew
        self.on_misfit = on_misfit
        self.closed: dict[str, str] = {}  # symbol → status
        self.suspected: set[str] = set()  # a refusal doubts their filters, and nobody has looked yet
        self.adopting: dict[str, int] = {}  # symbol → params_version of before its filters were others
        self.misfits: dict[str, str] = {}  # symbol → what was told of it
        self.doubted = asyncio.Event()
        for symbol, instrument in instruments.items():
            if instrument.status != TRADING:
                self.close(symbol, instrument.status)

    # ---- what makes us ask ----

    def refused(self, advice: Advice, symbol_id: int | None) -> None:
        """The venue refused an order: ask when the reason may be a contract that is another now."""
        if advice not in DOUBTS:
            return
        self.doubted.set()
        if advice is not Advice.SYMBOL_CLOSED:
            # All of them at once, before the next one is refused.
            self.suspected |= {s for s, i in self.instruments.items() if i.symbol_id == symbol_id}
            self._cancel(*self.suspected)

    def ended(self, symbol: str, expiry_reason: str) -> None:
        """An order of ours has expired: one that did because its symbol stopped trading is not placed again."""
        if expiry_reason == STOPPED_TRADING:
            self.close(symbol, "its orders expired")

    def close(self, symbol: str, status: str) -> None:
        """Quote nothing on a symbol until the venue trades it again."""
        self.doubted.set()
        if self.closed.get(symbol) != status:
            self.closed[symbol] = status
            log.warning("%s: the venue does not trade it now (%.40s); waiting until it does", symbol, status)
        self._cancel(symbol)

    def holds(self, symbol: str) -> bool:
        """Return whether nothing may be quoted on a symbol now: it is closed, in doubt, or being adopted."""
        if symbol in self.adopting:
            desk = self._desk(symbol)
            # The quoter's sizes and prices are the new ones from its next parameters on.
            if desk.limits_in_force["params_version"] > self.adopting[symbol] and not self._open_orders(symbol):
                del self.adopting[symbol]
                log.info("%s: quoted by the new filters", symbol)
        return symbol in self.closed or symbol in self.suspected or symbol in self.adopting

    # ---- asking ----

    async def run(self) -> None:
        """Look whenever there is a doubt, until every symbol trades again, and regularly."""
        watching = asyncio.create_task(self._watch_tables())
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.doubted.wait(), REGULAR_S)
                self.doubted.clear()
                try:
                    await self.look()
                except (VenueError, ValueError) as error:
                    log.warning("exchangeInfo: %s", error)
                    self.doubted.set()
                if self.closed:
                    self.doubted.set()
                await asyncio.sleep(LOOK_S)
        finally:
            watching.cancel()

    async def _watch_tables(self) -> None:
        while True:
            if self.tables.look() and any(self._in_units(i) != i for i in self.instruments.values()):
                self.doubted.set()
            await asyncio.sleep(TABLES_S)

    async def look(self) -> None:
        """Compare what the venue lists with what this life trades by, and trade by the former."""
        suspected = set(self.suspected)
        listed = await self.rest.exchange_info({s: i.symbol_id for s, i in self.instruments.items()})
        self.suspected -= suspected
        finer = {}
        for symbol, ours in list(self.instruments.items()):
            status = listed[symbol].status
            if status != TRADING:
                self.close(symbol, status)
            elif symbol in self.closed:
                del self.closed[symbol]
                log.warning("%s: the venue trades it again", symbol)
            try:
                theirs = self._in_units(listed[symbol])
            except InstrumentError as error:
                self._misfit(symbol, str(error))
                continue
            what = differences(ours, theirs)
            if Units.of(theirs) != Units.of(ours):
                finer[symbol] = theirs
                log.warning("%s: the venue changed %s", symbol, what or "nothing, the market is on a finer grid")
            elif what:
                self._adopt(symbol, theirs, what)
        if finer:
            self._cancel(*finer)
            # First of all, for the others begin anew with it.
            requantise.keep(self.tables, self.instruments | finer)
            self.on_anew(f"{', '.join(finer)}: counted in finer ticks or lots from now on")

    def _in_units(self, listed: Instrument) -> Instrument:
        ours = self.instruments[listed.symbol]
        return in_units(listed, Units.of(ours), *self.tables.units(listed.symbol))

    def _adopt(self, symbol: str, theirs: Instrument, what: str) -> None:
        """Trade by other filters in the same units: no order of the old ones stays, none of the new ones comes before
        the quoter knows them."""
        desk = self._desk(symbol)
        log.warning("%s: the venue changed %s; adopted", symbol, what)
        self.adopting[symbol] = desk.limits_in_force["params_version"]
        self._cancel(symbol)
        self.instruments[symbol] = theirs
        desk.adopt_rules(theirs.order_rules())
        requantise.keep(self.tables, self.instruments)

    def _misfit(self, symbol: str, why: str) -> None:
        if self.misfits.get(symbol) != why:
            self.misfits[symbol] = why
            self._cancel(symbol)
            self.on_misfit(symbol, why)

    def _cancel(self, *symbols: str) -> None:
        for symbol in symbols:
            self._desk(symbol).cancel_all = True

    def _desk(self, symbol: str):
        return self.core.desk(self.instruments[symbol].symbol_id)

    def _open_orders(self, symbol: str) -> int:
        return len(self.core.live_orders(self.instruments[symbol].symbol_id))


def differences(ours: Instrument, theirs: Instrument) -> str:
    """Return which filters differ, as "price_grid 0.1 -> 1", "" when none does."""
    pairs = {name: (getattr(ours, name), getattr(theirs, name)) for name in FILTERS}
    return ", ".join(f"{name} {old} -> {new}" for name, (old, new) in pairs.items() if old != new)
