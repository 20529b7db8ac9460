"""Actions that share a request: which do, what an answer says of each, and what the venue counts for them."""

import asyncio
import json
import time
from itertools import count

import pytest
from fault_venue import FaultVenue
from gateway_rig import SECOND_NS, places
from stub_venue import Reply, StubVenue, order
from test_gateway_shell import INSTRUMENT, Shell, coid
from test_venue_rest import client_of

from phx._core.action import ActionKind, TimeInForce
from phx._core.enums import OrderState
from phx.gateway import session
from phx.gateway.batches import affordable, batched
from phx.gateway.session import QUOTES_AT_ONCE, Fallback
from phx.venue.binance.endpoints import Endpoints
from phx.venue.binance.keys import Credentials
from phx.venue.binance.rest import Rest
from phx.venue.interface import Order, Placement, VenueLimited, VenueReject, VenueUnknown

BATCH = "/fapi/v1/batchOrders"
CANCEL, PLACE = ActionKind.ACTION_CANCEL, ActionKind.ACTION_PLACE


def actions(*words: str) -> list[dict]:
    """Return actions of words such as c0, p1, r0, t0: cancel, quote, reduce-only quote or take of symbol 0 or 1."""
    number = count(1)
    return [
        {
            "kind": CANCEL if word[0] == "c" else PLACE,
            "symbol_id": int(word[1]),
            "reduce_only": word[0] == "r",
            "time_in_force": TimeInForce.IOC if word[0] == "t" else TimeInForce.GTX,
            "intent_id": next(number),
        }
        for word in words
    ]


def groups(place_batches: int, *words: str) -> list[list[int]]:
    return [[a["intent_id"] for a in group] for group in batched(actions(*words), place_batches)]


# ---- which share a request


def test_cancels_of_a_symbol_go_by_tens_and_never_wait_behind_an_order():
    assert groups(0, "c0", "c1", "c0", "p0", "c0", "p1") == [[1, 3, 5], [2], [4], [6]]
    assert [len(group) for group in batched(actions(*["c0"] * 21), 0)] == [10, 10, 1]


def test_quotes_go_by_fives_where_that_pays_and_what_is_left_over_alone():
    assert groups(9, *["p0"] * 7) == [[1, 2, 3, 4, 5], [6], [7]]
    assert groups(0, *["p0"] * 5) == [[i] for i in range(1, 6)]
    assert [len(group) for group in batched(actions(*["p0"] * 15), 2)] == [5, 5, 1, 1, 1, 1, 1]
    assert groups(9, *["p0"] * 4) == [[1], [2], [3], [4]]


def test_takes_go_alone_and_nothing_passes_them():
    assert groups(9, "p0", "p0", "t0", "p0", "p0", "p0") == [[i] for i in range(1, 7)]


def test_what_reduces_shares_no_request_with_what_adds():
    assert groups(9, *["r0"] * 3, *["p0"] * 3) == [[i] for i in range(1, 7)]
    assert groups(9, *["p0"] * 5, *["p1"] * 5) == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]


@pytest.mark.parametrize(
    ("weight_left", "orders_left", "batches"),
    [(360, 960, 0), (360, 288, 0), (360, 287, 72), (359, 288, 0), (5, 3, 1), (4, 0, 0), (0, 0, 0), (23, 18, 4)],
)
def test_orders_share_a_request_when_the_minute_is_scarcer_than_the_weight(weight_left, orders_left, batches):
    assert affordable(weight_left, orders_left) == batches


# ---- what an answer says


@pytest.fixture
def venue():
    with StubVenue() as stub:
        yield stub


@pytest.fixture
async def rest(venue):
    client = client_of(venue.url, share=1.0)
    yield client
    await client.close()


def new(name: str, **fields) -> Placement:
    return Placement(name, 1, "0.010", "9999.0", **fields)


def no(code: int, msg: str = "no") -> dict:
    return {"code": code, "msg": msg}


async def test_a_batch_says_of_each_order_what_became_of_it(venue, rest):
    rows = [order("BTCUSDC", "a"), no(-5022), order("BTCUSDC", "c"), no(-1008), no(-1015)]
    venue.script["POST", BATCH] = [Reply(rows)]
    found = await rest.place_batch("BTCUSDC", [new(name) for name in "abcde"])
    assert [type(leg) for leg in found] == [Order, VenueReject, Order, VenueUnknown, VenueLimited]
    assert (found[0].coid, found[1].code, found[2].coid) == ("a", -5022, "c")
    (call,) = venue.of("POST", BATCH)
    assert json.loads(call.params["batchOrders"])[1] == {
        "symbol": "BTCUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "quantity": "0.010",
        "price": "9999.0", "newClientOrderId": "b", "selfTradePreventionMode": "EXPIRE_TAKER",
    }  # fmt: skip


async def test_a_batch_of_cancels_names_its_orders_and_tells_those_that_were_gone(venue, rest):
    venue.script["DELETE", BATCH] = [Reply([order("BTCUSDC", "a", status="CANCELED"), no(-2011)])]
    done, gone = await rest.cancel_batch("BTCUSDC", ["a", "b"])
    assert (done.status, gone.code) == ("CANCELED", -2011)
    (call,) = venue.of("DELETE", BATCH)
    assert call.params["origClientOrderIdList"] == '["a","b"]'


@pytest.mark.parametrize(
    ("rows", "known"),
    [
        ([order("BTCUSDC", "a"), order("BTCUSDC", "b")], "ab-"),  # one is missing
        ([order("BTCUSDC", "a"), no(-2011)], "a--"),  # whose is the refusal?
        ([], "---"),
        ([order("BTCUSDC", "b"), order("BTCUSDC", "a"), no(-2011)], "ab-"),  # not in our order
        ([order("BTCUSDC", "a"), {"strange": 1}, order("BTCUSDC", "c")], "a-c"),
        ([order("BTCUSDC", "a"), None, order("BTCUSDC", "c")], "a-c"),
        ([order("BTCUSDC", name) for name in "abcd"], "abc"),
        ([order("BTCUSDC", "x"), no(-2011), no(-2011)], "---"),
    ],
)
async def test_what_an_answer_does_not_say_stays_unknown(venue, rest, rows, known):
    venue.script["POST", BATCH] = [Reply(rows)]
    legs = await rest.place_batch("BTCUSDC", [new(name) for name in "abc"])
    assert "".join(leg.coid if isinstance(leg, Order) else "-" for leg in legs) == known
    assert all(isinstance(leg, Order | VenueUnknown) for leg in legs)


@pytest.mark.parametrize("reply", [Reply(status=0), Reply("{", 200), Reply({"code": 1}), Reply(no(-1000), 503)])
async def test_a_batch_whose_answer_is_lost_is_unknown_as_a_whole(venue, rest, reply):
    venue.script["POST", BATCH] = [reply]
    with pytest.raises(VenueUnknown):
        await rest.place_batch("BTCUSDC", [new("a"), new("b")])
    assert len(venue.of("POST", BATCH)) == 1  # and is never sent again


# ---- the gateway by REST


class ByRest(Shell):
    """A gateway core whose orders go to `rest`."""

    def __init__(self, rest, place_batches: int = 0):
        super().__init__()
        self.now_ns = time.monotonic_ns()  # by which requests are counted
        self.market()
        self.prove()
        self.fallback = Fallback(self.core, rest, {"SYM0": INSTRUMENT}, self.replies, "sim", lambda: None)
        self.fallback.place_batches = lambda: place_batches

    async def send(self) -> None:
        """One turn, and all answers to it."""
        self.core.step(self.now_ns)
        self.fallback.send()
        await asyncio.gather(*self.fallback.tasks)

    def states(self) -> list[int]:
        return [o["state"] for _, o in sorted(self.live().items())]


def listed(legs) -> list[dict]:
    return [order("SYM0", leg["newClientOrderId"]) for leg in legs]


def answering(venue, edit):
    """Have batches of orders answered by edit(rows of all orders as accepted)."""
    usual = venue._usual

    def answer(call):
        if (call.method, call.path) == ("POST", BATCH):
            return edit(listed(json.loads(call.params["batchOrders"])))
        return usual(call)

    venue._usual = answer


async def test_each_leg_of_a_mixed_answer_ends_as_it_says(venue, rest):
    shell = ByRest(rest, 9)
    answering(venue, lambda rows: [rows[0], no(-5022), rows[2], no(-2019), no(-1007)])
    shell.ladder([(99_990 - i, 10) for i in range(5)])
    await shell.send()
    assert len(venue.of("POST", BATCH)) == 1 and venue.of("POST", "/fapi/v1/order") == []
    assert shell.states() == [OrderState.ORDER_OPEN, OrderState.ORDER_OPEN, OrderState.ORDER_UNKNOWN]


async def test_a_lost_batch_makes_every_leg_unknown_and_cancels_all_of_them_in_one(venue, rest):
    shell = ByRest(rest, 9)
    venue.script["POST", BATCH] = [Reply(status=0)]
    shell.ladder([(99_990 - i, 10) for i in range(5)])
    await shell.send()
    assert shell.states() == [OrderState.ORDER_UNKNOWN] * 5
    venue.script["DELETE", BATCH] = [Reply([no(-2011)] * 5)]
    await shell.send()
    (call,) = venue.of("DELETE", BATCH)
    assert json.loads(call.params["origClientOrderIdList"]) == [coid(i) for i in range(1, 6)]
    assert shell.states() == [OrderState.ORDER_UNKNOWN] * 5  # "no such order" proves nothing yet


async def test_a_batch_counts_as_one_of_the_minute_and_as_five_of_ten_seconds(venue, rest):
    shell = ByRest(rest, 9)
    answering(venue, lambda rows: rows)
    shell.ladder([(99_990 - i, 10) for i in range(6)])
    await shell.send()
    shell.ladder([(99_990 - i, 10) for i in range(6)])
    shell.step()
    own = shell.symbols[0].own.newest()
    assert (own["orders_10s"], own["orders_60s"]) == (6, 2)


async def test_a_limit_that_was_told_to_nobody_is_met_by_few_quotes_and_keeps_no_take(venue, rest):
    shell = ByRest(rest)
    place = "POST", "/fapi/v1/order"
    told = {"code": -1015, "msg": "Too many new orders; current limit is 150 orders per 10 SECOND."}
    venue.script[place] = [Reply(told, 429, {"Retry-After": "5"})] * 40
    limits = []
    rest.on_limits = limits.extend
    shell.ladder([(99_990 - i, 10) for i in range(20)], [(100_010 + i, 10) for i in range(20)])
    await shell.send()
    assert 1 <= len(venue.of(*place)) <= QUOTES_AT_ONCE
    assert shell.live() == {} and not shell.core.desk(0).latch_wanted
    assert {(r.rate_limit_type, r.window_s, r.limit) for r in limits} == {("ORDERS", 10, 150)}


async def test_a_quote_that_had_to_wait_for_long_is_not_sent_any_more(venue, rest, monkeypatch):
    monkeypatch.setattr(session, "LATE_NS", 50_000_000)
    shell = ByRest(rest)
    venue.script["POST", "/fapi/v1/order"] = [Reply(order("SYM0", coid(i)), delay_s=0.2) for i in range(1, 9)]
    shell.ladder([(99_990 - i, 10) for i in range(12)])
    await shell.send()
    assert len(venue.of("POST", "/fapi/v1/order")) == QUOTES_AT_ONCE
    assert shell.states() == [OrderState.ORDER_OPEN] * QUOTES_AT_ONCE  # the others are known not to exist


def test_what_a_batch_saves_comes_back_late_rather_than_early():
    shell = Shell()
    account = shell.account
    for turn in range(3):
        actions_ = shell.quote([(99_990 - 10 * turn - i, 10) for i in range(5)])
        assert len(places(actions_)) == 5
        shell.accept(actions_)
        account.note_batch(5, shell.now_ns)
        shell.wait(20 * SECOND_NS)
    left = []
    for _ in range(4):
        left.append(960 - account.orders_left_60s(shell.now_ns))
        shell.wait(20 * SECOND_NS)
    assert left == [3, 3, 0, 0]  # in truth 3, 2, 0, 0 with the oldest still within the window


# ---- what the venue counts


@pytest.fixture
async def sim(instance_config, tmp_path):
    async with FaultVenue(instance_config, tmp_path) as made:
        made.ours = Rest(
            Endpoints("sim", made.client.rest, made.client.ws, ""), Credentials("key", b"secret"), share=1.0
        )
        yield made
        await made.ours.close()


def counted(sim) -> tuple[int, int, int]:
    """Return the weight and the orders of 10 s and of the minute that the venue has counted."""
    windows, now_ms = sim.exchange.limits.orders[1], sim.venue.now_ms()
    return sim.exchange.limits.weight.count(now_ms), windows.in_10s.count(now_ms), windows.in_1m.count(now_ms)


async def cost(sim, work) -> tuple[int, int, int]:
    """Return what a piece of work costs."""
    before = counted(sim)
    await work()
    return tuple(after - was for after, was in zip(counted(sim), before, strict=True))


async def test_costs_at_the_venue_are_those_of_the_table(sim):
    price = await sim.low()
    names = iter(f"n{i}" for i in count())
    sim.exchange.limits.weight.length_ms = 3_600_000  # no window ends within the test
    for window in (sim.exchange.limits.orders[1].in_10s, sim.exchange.limits.orders[1].in_1m):
        window.length_ms = 3_600_000

    def fresh(many: int) -> list[Placement]:
        return [Placement(next(names), 1, "0.010", price) for _ in range(many)]

    async def singly(many):
        for new_ in fresh(many):
            await sim.ours.place("BTCUSDC", new_.coid, 1, "0.010", price)

    async def by_fives(many):
        for _ in range(many // 5):
            assert all(isinstance(leg, Order) for leg in await sim.ours.place_batch("BTCUSDC", fresh(5)))

    async def gone(of_one: int):
        open_ = [o.coid for o in await sim.ours.open_orders("BTCUSDC")][:10]
        weight = sim.exchange.limits.weight.count(sim.venue.now_ms())
        for first in range(0, 10, of_one):
            if of_one == 1:
                await sim.ours.cancel("BTCUSDC", open_[first])
            else:
                legs = await sim.ours.cancel_batch("BTCUSDC", open_[first : first + of_one])
                assert [leg.status for leg in legs] == ["CANCELED"] * of_one
        return sim.exchange.limits.weight.count(sim.venue.now_ms()) - weight

    assert await cost(sim, lambda: singly(10)) == (0, 10, 10)
    assert await cost(sim, lambda: by_fives(10)) == (10, 10, 2)
    assert (await gone(1), await gone(10)) == (10, 1)
    assert await sim.ours.open_orders("BTCUSDC") == []


@pytest.mark.parametrize("fault", ["lost_reply", "torn_reply", "unknown_placed"])
async def test_a_batch_with_a_lost_answer_was_carried_out_once_and_is_found_by_asking(sim, fault):
    price = await sim.low()
    sim.ours.timeout_s = 0.5
    await sim.on(fault, of="batch")
    with pytest.raises(VenueUnknown):
        await sim.ours.place_batch("BTCUSDC", [Placement(name, 1, "0.010", price) for name in "abcde"])
    await sim.off()
    assert sorted(o.coid for o in await sim.ours.open_orders("BTCUSDC")) == list("abcde")


async def test_a_partial_batch_is_told_leg_by_leg(sim):
    price = await sim.low()
    await sim.on("partial_batch", code=-2019)
    legs = await sim.ours.place_batch("BTCUSDC", [Placement(name, 1, "0.010", price) for name in "abcde"])
    assert [leg.coid if isinstance(leg, Order) else leg.code for leg in legs] == ["a", -2019, "c", -2019, "e"]
    legs = await sim.ours.cancel_batch("BTCUSDC", ["a", "c", "e"])
    assert [leg.status if isinstance(leg, Order) else leg.code for leg in legs] == ["CANCELED", -2019, "CANCELED"]
    await sim.off()
    (gone, done) = await sim.ours.cancel_batch("BTCUSDC", ["a", "c"])
    assert (gone.code, done.status) == (-2011, "CANCELED")


async def test_order_counts_in_the_headers_are_passed_on(sim):
    told, price = [], await sim.low()
    sim.ours.on_order_counts = lambda *used: told.append(used)
    await sim.ours.place("BTCUSDC", "one", 1, "0.010", price)
    await sim.ours.cancel("BTCUSDC", "one")
    await sim.ours.open_orders("BTCUSDC")
    assert len(told) == 1 and min(told[0]) >= 1
