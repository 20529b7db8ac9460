"""The contracts the venue lists, as captured: for where no venue can be asked, the simulated one and a backtest.

contracts.json holds one exchangeInfo entry per symbol. BTCUSDT and ETHUSDC are captures; the others take the captured
shape with tick, lot and notional known from trading.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from phx.instruments import Instrument
from phx.venue.binance import messages

TABLE = Path(__file__).with_name("contracts.json")


def entries() -> list[dict]:
    """Return the exchangeInfo entries in the order of the file."""
    return msgspec.json.decode(TABLE.read_bytes())


def instruments(symbol_ids: Mapping[str, int]) -> dict[str, Instrument]:
    """Return the instruments of the wanted symbols (name → symbol_id). Raises FrameRefused for an unlisted one."""
    return messages.instruments(b'{"symbols":' + TABLE.read_bytes() + b"}", symbol_ids)
