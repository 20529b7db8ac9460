"""C20, independent post-trade reconciliation: one fill or order tampered with at the gateway is found within 10 s.

The guardian's check runs on a gateway's record written by hand and a venue of two lists; time is the test's, one period
a look. `start_s` is how long after the tampering the first look comes: at most a period.
"""

import asyncio
from types import SimpleNamespace

import pytest
from written_instance import Written

from phx._core.coid import format_coid
from phx.differences import Differences
from phx.guardian import cross_check
from phx.guardian.cross_check import LATCH_NS, ORDERS_AT_ONCE, PERIOD_S, CrossCheck
from phx.latches import Latches
from phx.process import Process
from phx.venue.binance.weights import WEIGHT_PER_MINUTE
from phx.venue.interface import Order, Position, VenueDown


class Scene:
    """`fills`: called while an answer of the venue is on its way."""

    def __init__(self, config, monkeypatch):
        self.written = Written(config)
        self.config = config
        self.run_folder = config.run_folder()
        self.run_folder.mkdir(parents=True, exist_ok=True)
        self.now_ns = 10**15
        monkeypatch.setattr(cross_check, "time", SimpleNamespace(monotonic_ns=lambda: self.now_ns))
        ids = {symbol: config.instrument_ids()[symbol] for symbol in config.traded()}
        self.ids = ids
        self.held = {"BTCUSDC": "0.005", "ETHUSDC": "-0.010"}
        self.open = {"BTCUSDC": [7, 8], "ETHUSDC": []}
        self.fills, self.failing = lambda: None, False
        self.asked: list[str] = []
        self.gateway("BTCUSDC", 5, [7, 8])
        self.gateway("ETHUSDC", -10, [])
        self.latches = Latches(self.run_folder)
        self.check = CrossCheck(Process("guardian", config), self, ids, self.latches, lambda: True)

    def gateway(self, symbol: str, lots: int, intents: list[int], **fields):
        rows = {"orders": len(intents), "intent_id": intents, "ts_ack_ns": [1] * len(intents)}
        self.written.publish(f"own.{symbol}", ready=1, epoch=3, position_lots=lots, **(rows | fields))

    async def positions(self):
        self.asked.append("positions")
        if self.failing:
            raise VenueDown("no answer")
        self.fills()
        found = [Position(symbol, qty, "0", "BOTH", 0) for symbol, qty in self.held.items()]
        return [*found, Position("BTCUSDC", "0.900", "0", "LONG", 0)]

    async def open_orders(self, symbol: str):
        self.asked.append(symbol)
        coids = [format_coid("sim", self.ids[symbol], 3, i) for i in self.open[symbol]]
        return [order(symbol, coid) for coid in [*coids, "web_somebody"]]

    def look(self, times: int = 1) -> list[tuple[str, str]]:
        """Look so often, a period apart; return what is told afterwards."""

        async def run():
            for _ in range(times):
                self.now_ns += int(PERIOD_S * 1e9)
                await self.check.look()
                await self.check.conclude()

        asyncio.run(run())
        return [(d.symbol, d.kind) for d in self.told()]

    def told(self):
        return Differences(self.run_folder).read()


def order(symbol: str, coid: str) -> Order:
    return Order(symbol, coid, 1, 1, "NEW", "1", "1", "0", "LIMIT", "GTX", False, 0)


@pytest.fixture
def scene(instance_config, monkeypatch):
    return Scene(instance_config, monkeypatch)


def test_what_agrees_is_not_told(scene):
    assert scene.look(10) == [] and scene.latches.all() == []


def test_one_tampered_fill_is_found_within_ten_seconds_with_its_lots_and_latches_when_it_stays(scene):
    scene.gateway("BTCUSDC", 4, [7, 8], newest_trade_id=77)
    assert 2 * PERIOD_S <= 10
    assert scene.look() == []
    assert scene.look() == [("BTCUSDC", "position")]
    assert scene.told()[0].text == "position 5 lots at the venue, 4 at the gateway, newest fill 77"
    assert scene.latches.all() == []
    scene.look(round(LATCH_NS / 1e9 / PERIOD_S))
    (latch,) = scene.latches.all()
    assert (latch.process, latch.symbol) == ("guardian", "BTCUSDC")
    assert latch.reason == "the venue differs: position 5 lots at the venue, 4 at the gateway, newest fill 77"


def test_it_is_told_while_trading_goes_on_as_long_as_it_stays_as_far_apart(scene):
    scene.gateway("BTCUSDC", 4, [7, 8])
    scene.look()
    scene.held["BTCUSDC"] = "0.009"
    scene.gateway("BTCUSDC", 8, [7, 8])
    assert scene.look() == [("BTCUSDC", "position")]


def test_what_is_put_right_is_told_no_more_and_begins_anew(scene):
    scene.gateway("BTCUSDC", 4, [7, 8])
    assert scene.look(2) == [("BTCUSDC", "position")]
    scene.gateway("BTCUSDC", 5, [7, 8])
    assert scene.look() == [] and not (scene.run_folder / "differences.json").exists()
    scene.gateway("BTCUSDC", 4, [7, 8])
    assert scene.look() == []
    assert scene.latches.all() == []


def test_fills_on_their_way_are_no_difference(scene):
    lots = 5

    def fill():
        nonlocal lots
        lots += 1
        scene.held["BTCUSDC"] = f"0.{lots:03}"
        scene.gateway("BTCUSDC", lots, [7, 8], fills=lots)

    scene.fills = fill  # one while each answer is on its way
    assert scene.look(20) == []
    scene.fills = lambda: None
    for late in range(1, 20):  # and one that the gateway does not know yet, another at every look
        scene.held["BTCUSDC"] = f"0.{lots + late:03}"
        scene.gateway("BTCUSDC", lots, [7, 8])
        scene.look()
    assert scene.told() == [] and scene.latches.all() == []


def test_an_order_of_ours_that_the_gateway_does_not_hold_is_found_by_its_id(scene):
    scene.open["BTCUSDC"] = [7, 8, 9]
    assert scene.look(2) == [("BTCUSDC", "untold orders")]
    assert format_coid("sim", scene.ids["BTCUSDC"], 3, 9) in scene.told()[0].text


def test_an_order_that_only_the_gateway_holds_is_found_once_it_must_be_there(scene):
    scene.open["BTCUSDC"] = [7]
    scene.gateway("BTCUSDC", 5, [7, 8], ts_ack_ns=[1, 0])
    assert scene.look(5) == []
    scene.gateway("BTCUSDC", 5, [7, 8], since_mono_ns=[scene.now_ns] * 2)
    assert scene.look(3) == [("BTCUSDC", "missing orders")]


def test_orders_that_come_and_go_are_no_difference(scene):
    for n in range(10, 30):
        scene.open["BTCUSDC"] = [n]  # a new one at every look, which the gateway tells a moment later
        scene.gateway("BTCUSDC", 5, [n + 1000])
        assert scene.look() == []


def test_a_venue_that_does_not_answer_proves_nothing(scene):
    scene.gateway("BTCUSDC", 4, [7, 8])
    scene.look()
    scene.failing = True
    for _ in range(10):
        with pytest.raises(VenueDown):
            scene.look()
    assert scene.told() == [] and scene.latches.all() == []


@pytest.mark.parametrize("qty", ["0.0055", "NaN", ""])
def test_a_position_that_cannot_be_counted_is_a_difference_and_hides_no_other(scene, qty):
    scene.held |= {"BTCUSDC": qty, "ETHUSDC": "-0.011"}
    assert scene.look(2) == [("BTCUSDC", "position"), ("ETHUSDC", "position")]
    scene.look(round(LATCH_NS / 1e9 / PERIOD_S))
    assert [latch.symbol for latch in scene.latches.all()] == ["BTCUSDC", "ETHUSDC"]


@pytest.mark.parametrize("answers", [False, True])
def test_a_time_in_which_nobody_could_look_latches_nothing(scene, answers):
    # A ban, an outage, a host that slept: the gateway could not ask the venue either.
    scene.gateway("BTCUSDC", 4, [7, 8])
    scene.look(2)
    scene.now_ns += 2 * LATCH_NS
    scene.failing = not answers
    if scene.failing:
        with pytest.raises(VenueDown):
            scene.look()
        scene.failing = False
    assert scene.look(round(LATCH_NS / 1e9 / PERIOD_S) - 1) == [("BTCUSDC", "position")]
    assert scene.latches.all() == []
    scene.look(3)
    assert [latch.symbol for latch in scene.latches.all()] == ["BTCUSDC"]


def test_a_gateway_that_is_not_ready_is_not_compared(scene):
    scene.gateway("BTCUSDC", 4, [7, 8])
    scene.written.publish("own.BTCUSDC", ready=0, position_lots=0)
    assert scene.look(10) == []


def test_what_a_former_guardian_told_is_forgotten(scene):
    scene.gateway("BTCUSDC", 4, [7, 8])
    scene.look(2)
    scene.check.differences.clear()
    assert scene.told() == []


@pytest.mark.parametrize("symbols", [1, 2, 5, 20])
def test_the_weight_stays_small_however_many_symbols_are_traded(symbols):
    weight = (5 + min(symbols, ORDERS_AT_ONCE)) * 60 / PERIOD_S
    assert weight <= 0.07 * WEIGHT_PER_MINUTE
