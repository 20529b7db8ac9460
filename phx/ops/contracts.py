"""Parameters by the venue's filters of now: published again when they change while phx runs.

Sizes count in lots and prices in ticks, and a layer must be no smaller than the venue's smallest order: so other
filters make other parameters of the same configuration. What fits them no more is latched, each symbol by itself.
"""

import logging

from phx._core.records import ABSENT_PRICE_TICKS
from phx.instruments import Instrument
from phx.latches import Latches
from phx.ops.instance import Instance
from phx.ops.publish import ParamsPublisher
from phx.params import ParamsError, params_record

log = logging.getLogger("phx")


class Contracts:
    """`known`: the instruments that the parameters in force were made by."""

    def __init__(self, instance: Instance, params: ParamsPublisher, latches: Latches):
        self.instance = instance
        self.params = params
        self.latches = latches
        self.known: dict[str, Instrument] = {}

    def follow(self, config) -> None:
        """Publish again what other filters concern, once there is a price to judge the sizes by."""
        instruments = {s: i for s, i in self.instance.instruments().items() if s in config.symbols}
        if self.params.version == 0 or not self.known:
            self.known = instruments if self.params.version else {}
            return
        changed = [s for s in instruments if instruments[s] != self.known.get(s)]
        prices_ticks = newest_prices(self.instance, instruments)
        if not changed or not all(symbol in prices_ticks for symbol in changed):
            return
        self.known = instruments
        fits = [s for s in changed if self._fits(s, config, instruments[s], prices_ticks[s])]
        version = self.params.publish(config, instruments, prices_ticks, symbols=fits) if fits else self.params.version
        log.warning("ops: other filters of %s: parameters published, version %d", ", ".join(changed), version)

    def _fits(self, symbol: str, config, instrument: Instrument, price_ticks: int) -> bool:
        try:
            params_record(config.symbols[symbol], config, instrument, 0, price_ticks)
            return True
        except ParamsError as error:
            why = f"sizes do not fit the venue's filters of now: {error.errors[0]}"
            log.error("ops: %s: latched, %s", symbol, "; ".join(error.errors))
            self.latches.set("ops", why, symbol)
            return False


def newest_prices(instance: Instance, instruments: dict[str, Instrument]) -> dict[str, int]:
    """Return a recent price of every symbol whose market is known in the ticks of its instrument."""
    found = {}
    for symbol, instrument in instruments.items():
        segment, bbo = instance.segment(f"bbo.{symbol}"), instance.newest(f"bbo.{symbol}")
        if bbo is None or bbo["bid_price_ticks"] == ABSENT_PRICE_TICKS:
            continue
        if segment.units_hash in (0, instrument.units_hash):
            found[symbol] = int(bbo["bid_price_ticks"])
    return found
