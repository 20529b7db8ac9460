"""The shipped configuration at work: parameters as ops publishes them, contracts as the venue lists them, a gateway."""

from pathlib import Path

import msgspec
import numpy as np
from gateway_rig import Rig

from phx import config as configuration
from phx.params import params_record
from phx.venue.binance.listed import instruments

EXAMPLE = Path(__file__).resolve().parents[2] / "config.yaml.example"
CONFIG = configuration.load(EXAMPLE)
INSTRUMENTS = instruments({symbol: CONFIG.instrument_ids()[symbol] for symbol in CONFIG.traded()})
LIMITS, BTC = CONFIG.limits, CONFIG.symbols["BTCUSDC"]
PRICE = 64_000  # of BTCUSDC, so that its ticks are a round number


def published(config=CONFIG, **changes) -> dict[str, np.void]:
    """Return the parameters of every traded symbol as ops publishes them at first; changes: to the record's fields."""
    found = {s: params_record(config.symbols[s], config, INSTRUMENTS[s], 1) for s in config.traded()}
    for record in found.values():
        for name, value in changes.items():
            record[name] = value
    return found


def changed(path: str, value, config=CONFIG, symbol: str = "BTCUSDC"):
    """Return the configuration with one key of a symbol changed, for example "risk.max_order_qty"."""
    tree = msgspec.to_builtins(config)
    section, (*steps, last) = tree["symbols"][symbol], path.split(".")
    for step in steps:
        section = section[step]
    section[last] = value
    return msgspec.convert(tree, type(config), strict=False)


class Shipped(Rig):
    """A gateway with the shipped limits; every symbol's market is `bid` / `ask` with `mark`, in ticks."""

    def __init__(self, config=CONFIG, symbols=("BTCUSDC",), mid: int = PRICE * 10):
        self.bid, self.ask, self.mark = mid - 1, mid + 1, mid
        super().__init__(
            len(symbols),
            [INSTRUMENTS[s].order_rules() for s in symbols],
            {"adding_share": config.limits.adding_share, "reducing_share": config.limits.reducing_share},
        )
        found = published(config)
        for symbol, name in zip(self.symbols, symbols, strict=True):
            symbol.params.write(**{field: found[name][field] for field in found[name].dtype.names})
        self.core.wallet_e8 = int(config.sim.wallet) * 10**8
        self.step()
        self.limits = self.symbols[0].desk.limits_in_force

    def market(self, bid=None, ask=None, mark=None, flags: int = 0):
        self.bid, self.ask, self.mark = bid or self.bid, ask or self.ask, mark or self.mark
        super().market(self.bid, self.ask, self.mark, flags)
