"""Funding as a recording tells it: what was predicted last before a funding time is paid for what is held then."""

from decimal import ROUND_DOWN, Decimal

import msgspec

from phx.instruments import ONE_E8, Instrument


class _Mark(msgspec.Struct):
    price: str = msgspec.field(name="p")
    rate: str = msgspec.field(name="r", default="")
    next_funding_ms: int = msgspec.field(name="T", default=0)


_decode = msgspec.json.Decoder(_Mark).decode


class Funding:
    """One recorded symbol. A mark that names a later funding time says that the earlier one has passed."""

    def __init__(self, instrument: Instrument):
        self.instrument = instrument
        self._before: _Mark | None = None

    def due(self, payload: bytes) -> "Due | None":
        """Take in a mark price event; return what is to be paid if a funding time has passed since the last one."""
        mark, before = _decode(payload), self._before
        self._before = mark
        if before is None or not before.rate or not 0 < before.next_funding_ms < mark.next_funding_ms:
            return None
        return Due(self.instrument, Decimal(before.price), Decimal(before.rate))


class Due:
    """One funding time: mark price and rate as they were last said before it."""

    def __init__(self, instrument: Instrument, price: Decimal, rate: Decimal):
        self.instrument, self.price, self.rate = instrument, price, rate

    def amount_e8(self, position_lots: int) -> int:
        """Return what a position receives, 1e-8 of the quote currency: at a positive rate longs pay. Cut off."""
        value = position_lots * self.instrument.lot_size * self.price
        return int((-value * self.rate * ONE_E8).to_integral_value(ROUND_DOWN))
