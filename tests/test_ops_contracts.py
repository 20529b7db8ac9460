"""Parameters by other filters of the venue: published again, or the symbol latched with what does not fit."""

from decimal import Decimal
from types import SimpleNamespace

import msgspec
import pytest
from quoting import INSTRUMENT, config

from phx.latches import Latches
from phx.ops.contracts import Contracts

BTC = "BTCUSDC"


class Scene:
    """What ops sees of feeds and gateway, and the publisher it publishes by."""

    def __init__(self, folder):
        self.table = {BTC: INSTRUMENT}
        self.price_ticks, self.counted_in = 650_000, INSTRUMENT.units_hash
        self.version, self.published = 1, []
        self.config = config(folder)
        self.latches = Latches(folder)
        self.contracts = Contracts(self, self, self.latches)
        self.contracts.follow(self.config)

    def instruments(self):
        return self.table

    def segment(self, name):
        return SimpleNamespace(units_hash=self.counted_in)

    def newest(self, name):
        return {"bid_price_ticks": self.price_ticks} if self.price_ticks else None

    def publish(self, config, instruments, prices_ticks, symbols):
        self.published.append((symbols, instruments[BTC]))
        self.version += 1
        return self.version

    def change(self, **fields):
        self.table = {BTC: msgspec.structs.replace(self.table[BTC], **fields)}
        self.contracts.follow(self.config)
        self.contracts.follow(self.config)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def test_other_filters_are_published_by_once(scene):
    scene.change(price_step=10)
    assert scene.published == [([BTC], scene.table[BTC])] and scene.latches.all() == []


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"qty_step": 100, "min_qty": Decimal("0.1")}, "ladder.near.size: 0 lots"),
        ({"min_notional": Decimal(500)}, "least"),
    ],
)
def test_sizes_that_fit_no_more_latch_the_symbol_with_what_is_wrong(scene, fields, why):
    scene.change(**fields)
    (latch,) = scene.latches.all()
    assert (latch.process, latch.symbol) == ("ops", BTC) and why in latch.reason
    assert scene.published == []


def test_other_units_wait_for_a_price_that_is_counted_in_them(scene):
    finer = {"tick_size": Decimal("0.01"), "price_step": 10}
    scene.change(**finer)
    assert scene.published == [] and scene.latches.all() == []
    scene.price_ticks, scene.counted_in = 6_500_000, scene.table[BTC].units_hash
    scene.contracts.follow(scene.config)
    assert len(scene.published) == 1
