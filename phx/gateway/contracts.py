"""Whether the venue still trades each symbol as it said at the start: asked again when it does not act like it.

Not asked for the sake of asking: exchangeInfo is large. What makes us ask is an order that ended because its symbol
stopped trading, or a refusal that would be ours if the filters were still the old ones.
"""

import asyncio
import logging
from collections.abc import Callable

from phx._core.gateway import GatewayCore
from phx.instruments import Instrument
from phx.venue.binance.errors import Advice
from phx.venue.interface import AccountRest, VenueError

LOOK_S = 2.0  # between two looks, at least
TRADING = "TRADING"
STOPPED_TRADING = "7"  # expiry reason of orders whose symbol trades no more
DOUBTS = (Advice.GRID, Advice.NOTIONAL, Advice.SYMBOL_CLOSED)
# What orders are rounded and limited to; quoted on, a change of any makes orders wrong that look right.
FILTERS = ("tick_size", "lot_size", "min_qty", "max_qty", "min_notional", "min_price", "max_price")

log = logging.getLogger("phx.gateway")


class Contracts:
    """`closed`: the symbols that the venue does not trade now; nothing is quoted on them, and it resumes by itself.

    on_changed(symbol, what): its filters are others than this life's; only a new start can adopt them.
    """

    def __init__(
        self,
        core: GatewayCore,
        rest: AccountRest,
        instruments: dict[str, Instrument],
        on_changed: Callable[[str, str], None],
    ):
        self.core = core
        self.rest = rest
        self.instruments = instruments
        self.on_changed = on_changed
        self.closed: dict[str, str] = {}  # symbol → status
        self.changed: dict[str, str] = {}  # symbol → what was told of it
        self.doubted = asyncio.Event()
        for symbol, instrument in instruments.items():
            if instrument.status != TRADING:
                self.close(symbol, instrument.status)

    def refused(self, advice: Advice) -> None:
        """The venue refused an order: ask when the reason may be a contract that is another now."""
        if advice in DOUBTS:
            self.doubted.set()

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
        self.core.desk(self.instruments[symbol].symbol_id).cancel_all = True

    async def run(self) -> None:
        """Look whenever there is a doubt, and until every symbol trades again."""
        while True:
            await self.doubted.wait()
            self.doubted.clear()
            try:
                await self.look()
            except (VenueError, ValueError) as error:
                log.warning("exchangeInfo: %s", error)
                self.doubted.set()
            if self.closed:
                self.doubted.set()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Compare what the venue lists with what this life trades by."""
        listed = await self.rest.exchange_info({s: i.symbol_id for s, i in self.instruments.items()})
        for symbol, ours in self.instruments.items():
            theirs = listed[symbol]
            if theirs.status != TRADING:
                self.close(symbol, theirs.status)
            elif symbol in self.closed:
                del self.closed[symbol]
                log.warning("%s: the venue trades it again", symbol)
            what = differences(ours, theirs)
            if what and self.changed.get(symbol) != what:
                self.changed[symbol] = what
                self.on_changed(symbol, what)


def differences(ours: Instrument, theirs: Instrument) -> str:
    """Return which filters differ, as "tick_size 0.1 -> 1", "" when none does."""
    pairs = {name: (getattr(ours, name), getattr(theirs, name)) for name in FILTERS}
    return ", ".join(f"{name} {old} -> {new}" for name, (old, new) in pairs.items() if old != new)
