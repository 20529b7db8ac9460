"""A contract that changes while it is traded: halted, trading again, or on another grid."""

import asyncio
from decimal import Decimal

import msgspec
import pytest
from gateway_rig import Rig

from phx.gateway import contracts
from phx.gateway.contracts import Contracts, differences
from phx.instruments import Instrument, Tables, write_table
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
    def __init__(self, folder):
        self.rig = Rig(symbols=2)
        self.venue = Venue()
        self.anew: list[str] = []
        self.misfits: list[tuple[str, str]] = []
        self.tables = Tables(folder, folder)
        self.contracts = Contracts(
            self.rig.core,
            self.venue,
            dict(self.venue.listed),
            self.tables,
            self.anew.append,
            lambda *what: self.misfits.append(what),
        )

    def stopped(self) -> list[bool]:
        return [bool(symbol.desk.cancel_all) for symbol in self.rig.symbols]

    def held(self) -> list[bool]:
        return [self.contracts.holds(symbol) for symbol in ("SYM0", "SYM1")]

    def refuse(self, advice: Advice = Advice.GRID) -> None:
        """Have the venue refuse an order of SYM0."""
        self.contracts.refused(advice, 0)

    async def change(self, symbol: str, **fields) -> None:
        self.venue.change(
            symbol, **{n: value if isinstance(value, int) else Decimal(value) for n, value in fields.items()}
        )
        await self.contracts.look()


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


async def test_an_order_that_expired_because_its_symbol_stopped_closes_that_symbol_at_once(scene):
    scene.contracts.ended("SYM0", "7")
    assert scene.stopped() == [True, False] and list(scene.contracts.closed) == ["SYM0"]


@pytest.mark.parametrize("reason", ["0", "1", "6", "8", "9"])
async def test_an_order_that_expired_for_another_reason_closes_nothing(scene, reason):
    scene.contracts.ended("SYM0", reason)
    assert scene.stopped() == [False, False] and not scene.contracts.doubted.is_set()


async def test_a_symbol_is_closed_until_the_venue_trades_it_again(scene):
    scene.venue.change("SYM0", status="SETTLING")
    scene.refuse(Advice.SYMBOL_CLOSED)
    await scene.contracts.look()
    assert scene.stopped() == [True, False] and scene.contracts.closed == {"SYM0": "SETTLING"}
    scene.venue.change("SYM0", status="TRADING")
    await scene.contracts.look()
    assert scene.contracts.closed == {} and scene.held() == [False, False]


async def test_a_refusal_that_says_nothing_of_the_contract_asks_nothing(scene):
    for advice in set(Advice) - set(contracts.DOUBTS):
        scene.contracts.refused(advice, 0)
    assert not scene.contracts.doubted.is_set()


@pytest.mark.parametrize("advice", [Advice.GRID, Advice.NOTIONAL])
async def test_a_refusal_that_doubts_the_filters_pulls_that_symbol_until_the_venue_was_asked(scene, advice):
    scene.refuse(advice)
    assert scene.stopped() == [True, False] and scene.held() == [True, False]
    await scene.contracts.look()
    assert scene.held() == [False, False] and scene.anew == []


@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        ({"tick_size": "0.5"}, {"price_step_ticks": 5}),
        ({"lot_size": "0.01", "min_qty": "0.01"}, {"qty_step_lots": 10, "min_qty_lots": 10}),
        ({"min_qty": "0.002"}, {"min_qty_lots": 2}),
        ({"max_qty": "5"}, {"max_qty_lots": 5_000}),
        ({"min_notional": "100"}, {"min_notional_ticklots": 1_000_000}),
        ({"percent_up": "1.1"}, {"percent_up_e6": 1_100_000}),
    ],
)
async def test_filters_in_the_same_units_are_adopted_and_quoted_by_from_the_next_parameters_on(scene, fields, rules):
    await scene.change("SYM1", **fields)
    adopted = scene.contracts.instruments["SYM1"]
    assert adopted.order_rules().items() >= rules.items()
    assert (adopted.tick_size, adopted.lot_size) == (Decimal("0.1"), Decimal("0.001"))
    assert scene.stopped() == [False, True] and scene.held() == [False, True] and scene.anew == []
    scene.tables.look()
    assert scene.tables.traded["SYM1"] == adopted
    scene.rig.params["params_version"] += 1
    scene.rig.symbols[1].params.write(**scene.rig.params)
    scene.rig.step()
    assert scene.held() == [False, False]


async def test_a_finer_grid_ends_this_life_after_it_was_written_for_the_next(scene):
    await scene.change("SYM0", tick_size="0.05", price_precision=2)
    assert scene.anew == ["SYM0: counted in finer ticks or lots from now on"] and scene.stopped() == [True, False]
    assert scene.contracts.instruments["SYM0"].tick_size == Decimal("0.1")  # this life still counts in it
    scene.tables.look()
    assert scene.tables.traded["SYM0"].tick_size == Decimal("0.05")


async def test_a_coarser_grid_that_is_no_multiple_is_finer_too(scene):
    await scene.change("SYM0", tick_size="0.25", price_precision=2)
    scene.tables.look()
    found = scene.tables.traded["SYM0"]
    assert (found.tick_size, found.price_step) == (Decimal("0.05"), 5) and scene.anew


async def test_a_feed_that_reads_finer_units_makes_it_ask(scene):
    watching = asyncio.create_task(scene.contracts.run())
    finer = msgspec.structs.replace(scene.venue.listed["SYM0"], tick_size=Decimal("0.01"), price_step=10)
    write_table(scene.tables.shm_folder / "instruments.main.json", [finer])
    async with asyncio.timeout(10):
        while not scene.anew:
            await asyncio.sleep(0.01)
    watching.cancel()
    scene.tables.look()
    assert scene.tables.traded["SYM0"].tick_size == Decimal("0.01")


async def test_units_too_fine_to_count_money_in_stop_the_symbol_once_and_nothing_else(scene):
    await scene.change("SYM0", tick_size="0.000001", price_precision=6, lot_size="0.01", min_qty="0.01")
    await scene.contracts.look()
    ((symbol, why),) = scene.misfits
    assert symbol == "SYM0" and "expected a positive multiple of 1e-8" in why and scene.anew == []


def test_the_same_number_written_otherwise_is_no_difference():
    ours = instrument("SYM0", 0)
    assert differences(ours, msgspec.structs.replace(ours, tick_size=Decimal("0.10"), max_qty=Decimal("1E3"))) == ""


async def test_it_looks_only_when_in_doubt_and_again_while_a_symbol_is_closed_or_the_venue_is_down(scene, monkeypatch):
    monkeypatch.setattr(contracts, "LOOK_S", 0.0)
    looking = asyncio.create_task(scene.contracts.run())
    await turns()
    assert scene.venue.asked == 0
    scene.venue.is_down = True
    scene.refuse()
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
