"""Numbers between the venue's words and the core: which order, how many ticks, lots and 1e-8 of the quote currency."""

import logging
from decimal import ROUND_DOWN, Decimal

from phx._core.coid import parse_coid
from phx.instruments import LARGEST, ONE_E8, Instrument, InstrumentError

log = logging.getLogger("phx.gateway")


def e8(text: str) -> int:
    """Return decimal text in 1e-8, truncated like the venue does. InstrumentError for what is no amount of money."""
    try:
        amount = Decimal(text) * ONE_E8
    except ArithmeticError:
        amount = Decimal("NaN")
    if not amount.is_finite() or abs(amount) > LARGEST:
        raise InstrumentError(f"{text[:40]!r} is no amount")
    return int(amount.to_integral_value(ROUND_DOWN))


def open_cost_ticklots(instrument: Instrument, lots: int, entry_price: str) -> int:
    """Return what a position cost; the average entry price is off the tick grid."""
    return round(Decimal(entry_price) / instrument.tick_size * lots)


class Orders:
    """Which of the venue's orders are ours, of this life or of a former one."""

    def __init__(self, letter: str, symbol_ids: dict[str, int], epoch: int):
        self.letter = letter
        self.symbol_ids = symbol_ids
        self.epoch = epoch

    def intent(self, symbol: str, coid: str) -> tuple[int, int]:
        """Return (epoch, intent_id) of a client order id; (0, 0) for an order that is not ours."""
        parsed = parse_coid(coid)
        if parsed is None or parsed[0] != self.letter or parsed[1] != self.symbol_ids.get(symbol, -1):
            return 0, 0
        return parsed[2], parsed[3]
