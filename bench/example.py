"""An ordinary configuration and instrument for benchmarks that need one."""

import tempfile
from decimal import Decimal
from pathlib import Path

from phx import config as configuration
from phx.instruments import Instrument
from phx.params import params_record

CONFIG = """
symbols:
  BTCUSDC: {net_max: 0.30, ladder: {near: {size: 0.006}, far: {size: 0.012}}}
limits: {max_gross_notional: 60000, max_daily_loss: 500}
"""
BTCUSDC = Instrument(
    symbol="BTCUSDC",
    symbol_id=0,
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    min_price=Decimal("261.1"),
    max_price=Decimal("809484"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal("1000"),
    min_notional=Decimal("50"),
    price_precision=2,
    qty_precision=3,
    base_asset="BTC",
)


def btcusdc_params():
    """Return the PARAMS record of BTCUSDC as an array of one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(CONFIG)
        loaded = configuration.load(path)
    return params_record(loaded.symbols["BTCUSDC"], loaded, BTCUSDC, 1).reshape(1)
