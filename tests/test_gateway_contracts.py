"""A contract that changes while it is traded: halted, trading again, or on another grid."""

import asyncio
from decimal import Decimal

import msgspec
import pytest
from gateway_rig import Rig

from phx.gateway import contracts
from phx.gateway.contracts import Contracts, differences
from phx.instruments import Instrument
from phx.venue.binance.errors import Advice
from phx.venue.interface import VenueDown

FILTERS = ("0.1", "0.001", "0.1", "1000000", "0.001", "1000", "50")  # tick, lot, prices, quantities, notional


def instrument(symbol: str, symbol_id: int, **fields) -> Instrument:
    return msgspec.structs.replace(Instrument(symbol, symbol_id, *map(Decimal, FILTERS), 1, 3), **fields)


class Venue:
    """exchangeInfo, as it is told to answer."""

    def __init__(self):
        self.listed = {"SYM0": instrument("SYM0", 0), "SYM1": instrument("SYM1", 1)}
        self.asked = 0
        self.is_down = False

    def change(self, symbol: str, **fields) -> None:
        self.listed[symbol] = msgspec.structs.replace(self.listed[symbol], **fields)

    async def exchange_info(self, symbol_ids) -> dict[str, Instrument]:
        self.asked += 1
        if self.is_down:
            raise VenueDown("GET /fapi/v1/exchangeInfo: no answer")
        return {symbol: self.listed[symbol] for symbol in symbol_ids}


class Scene:
    def __init__(self):
        self.rig = Rig(symbols=2)
        self.venue = Venue()
        self.told: list[tuple[str, str]] = []
        self.contracts = Contracts(
            self.rig.core, self.venue, dict(self.venue.listed), lambda *what: self.told.append(what)
        )

    def stopped(self) -> list[bool]:
        return [bool(symbol.desk.cancel_all) for symbol in self.rig.symbols]


@pytest.fixture
def scene():
    return Scene()


async def test_an_order_that_expired_because_its_symbol_stopped_closes_that_symbol_at_once(scene):
    scene.contracts.ended("SYM0", "7")
    assert scene.stopped() == [True, False] and list(scene.contracts.closed) == ["SYM0"]


@pytest.mark.parametrize("reason", ["0", "1", "6", "8", "9"])
async def test_an_order_that_expired_for_another_reason_closes_nothing(scene, reason):
    scene.contracts.ended("SYM0", reason)
    assert scene.stopped() == [False, False] and not scene.contracts.doubted.is_set()


async def test_a_symbol_is_closed_until_the_venue_trades_it_again(scene):
    scene.venue.change("SYM0", status="SETTLING")
    scene.contracts.refused(Advice.SYMBOL_CLOSED)
    await scene.contracts.look()
    assert scene.stopped() == [True, False] and scene.contracts.closed == {"SYM0": "SETTLING"}
    scene.venue.change("SYM0", status="TRADING")
    await scene.contracts.look()
    assert scene.contracts.closed == {} and scene.told == []


async def test_a_refusal_that_says_nothing_of_the_contract_asks_nothing(scene):
    for advice in set(Advice) - set(contracts.DOUBTS):
        scene.contracts.refused(advice)
    assert not scene.contracts.doubted.is_set()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("tick_size", "0.5", "tick_size 0.1 -> 0.5"),
        ("lot_size", "0.01", "lot_size 0.001 -> 0.01"),
        ("min_qty", "0.002", "min_qty 0.001 -> 0.002"),
        ("min_notional", "100", "min_notional 50 -> 100"),
    ],
)
async def test_another_filter_is_told_once_with_old_and_new(scene, field, value, said):
    scene.venue.change("SYM1", **{field: Decimal(value)})
    scene.contracts.refused(Advice.GRID)
    await scene.contracts.look()
    await scene.contracts.look()
    assert scene.told == [("SYM1", said)]


def test_the_same_number_written_otherwise_is_no_difference():
    ours = instrument("SYM0", 0)
    assert differences(ours, msgspec.structs.replace(ours, tick_size=Decimal("0.10"), max_qty=Decimal("1E3"))) == ""


async def test_it_looks_only_when_in_doubt_and_again_while_a_symbol_is_closed_or_the_venue_is_down(scene, monkeypatch):
    monkeypatch.setattr(contracts, "LOOK_S", 0.0)
    looking = asyncio.create_task(scene.contracts.run())
    await turns()
    assert scene.venue.asked == 0
    scene.venue.is_down = True
    scene.contracts.refused(Advice.GRID)
    await turns()
    assert scene.venue.asked > 1
    scene.venue.is_down = False
    scene.venue.change("SYM0", status="PENDING_TRADING")
    await turns()
    assert "SYM0" in scene.contracts.closed
    scene.venue.change("SYM0", status="TRADING")
    await turns()
    asked = scene.venue.asked
    await turns()
    assert scene.contracts.closed == {} and scene.venue.asked == asked
    looking.cancel()


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)
