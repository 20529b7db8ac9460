"""Conditional orders: what triggers them, what they become, what is told of them."""

import msgspec
import pytest
from still_market import BTC, KINDS, NOW_NS, StillVenue, code

from phx._core.enums import TradeOrigin

MS = 1_000_000


@pytest.fixture(params=KINDS)
def venue(request):
    return StillVenue(request.param)


def algo(venue, **change) -> dict:
    """Place a sell stop below the market; None leaves a parameter out."""
    params = {"algoType": "CONDITIONAL", "symbol": "BTCUSDC", "side": "SELL", "type": "STOP_MARKET"}
    params |= {"quantity": "0.010", "triggerPrice": "63900.0"} | change
    params = {name: value for name, value in params.items() if value is not None}
    return venue.exchange.algos.place(venue.account, params, NOW_NS)


def last_price(venue, ticks: int) -> None:
    """Let somebody else's trade happen at a price, and the venue look at it."""
    ms = NOW_NS // MS
    streams = venue.exchange.player.markets["BTCUSDC"].streams
    streams.on_trade(1, ticks, 1, 1, TradeOrigin.ORIGIN_MARKET, ms, ms)
    venue.exchange.algos.check(NOW_NS)


def statuses(venue) -> list[str]:
    return [t["o"]["X"] for t in venue.told if t["e"] == "ALGO_UPDATE"]


def test_an_algo_order_is_answered_and_told_with_the_venues_keys():
    venue = StillVenue()
    answer = algo(venue, type="TAKE_PROFIT", triggerPrice="64100.0", price="64090.0", clientAlgoId="mine")
    assert list(answer) == [
        "algoId", "clientAlgoId", "algoType", "orderType", "symbol", "side", "positionSide", "timeInForce", "quantity",
        "algoStatus", "triggerPrice", "price", "icebergQuantity", "selfTradePreventionMode", "workingType",
        "priceMatch", "closePosition", "priceProtect", "reduceOnly", "activatePrice", "callbackRate", "createTime",
        "updateTime", "triggerTime", "goodTillDate",
    ]  # fmt: skip
    (event,) = venue.told
    assert list(event["o"]) == [
        "caid", "aid", "at", "o", "s", "S", "ps", "f", "q", "X", "ai", "tp", "p", "V", "wt", "pm", "cp", "pP", "R",
        "tt", "gtd", "ia",
    ]  # fmt: skip
    assert (event["o"]["caid"], event["o"]["aid"], event["o"]["tp"]) == ("mine", answer["algoId"], "64100")
    row = venue.exchange.algos.query(venue.account, {"clientAlgoId": "mine"})
    assert msgspec.json.decode(msgspec.json.encode(row)) == row
    assert venue.exchange.algos.open_rows(venue.account)[0]["tpTriggerPrice"] == "0.0"


@pytest.mark.parametrize(
    ("change", "trigger", "spared"),
    [
        ({}, 639_000, 639_001),
        ({"side": "BUY", "triggerPrice": "64100.0"}, 641_000, 640_999),
        ({"type": "TAKE_PROFIT_MARKET", "triggerPrice": "64100.0"}, 641_000, 640_999),
        ({"type": "TAKE_PROFIT_MARKET", "side": "BUY"}, 639_000, 639_001),
        ({"type": "STOP", "price": "63890.0"}, 639_000, 639_001),
        ({"type": "TAKE_PROFIT", "side": "BUY", "price": "63890.0"}, 639_000, 639_001),
    ],
)
def test_it_triggers_at_its_price_and_not_before(venue, change, trigger, spared):
    algo(venue, **change)
    last_price(venue, spared)
    assert statuses(venue) == ["NEW"]
    last_price(venue, trigger)
    expected = ["NEW", "TRIGGERING", "TRIGGERED"]
    rests = change.get("type") == "TAKE_PROFIT"
    assert statuses(venue) == (expected if rests else [*expected, "FINISHED"])
    events = [t["e"] for t in venue.told]
    assert events.index("ALGO_UPDATE", 2) < events.index("ORDER_TRADE_UPDATE")
    new = next(t["o"] for t in venue.told if t["e"] == "ORDER_TRADE_UPDATE")
    assert (new["o"], new["ot"]) == ("LIMIT" if "price" in change else "MARKET", change.get("type", "STOP_MARKET"))


def test_the_mark_price_triggers_what_asks_for_it(venue):
    algo(venue, workingType="MARK_PRICE")
    last_price(venue, 600_000)
    assert statuses(venue) == ["NEW"]
    venue.set_mark("BTCUSDC", "63900")
    venue.exchange.algos.check(NOW_NS)
    assert statuses(venue)[-1] == "FINISHED"


def test_protection_holds_it_back_while_mark_and_contract_price_are_apart(venue):
    algo(venue, priceProtect="true")
    last_price(venue, 600_000)  # more than five percent below the mark
    assert statuses(venue) == ["NEW"]
    last_price(venue, 638_000)
    assert statuses(venue)[-1] == "FINISHED"


def test_a_trailing_stop_follows_and_turns(venue):
    trailing = {"type": "TRAILING_STOP_MARKET", "triggerPrice": None, "callbackRate": "1", "activatePrice": "64100.0"}
    algo(venue, **trailing)
    for ticks in (640_500, 639_000):
        last_price(venue, ticks)  # not active: a fall means nothing
    assert statuses(venue) == ["NEW"]
    last_price(venue, 641_000)
    assert [t["o"]["ia"] for t in venue.told] == [False, True]
    last_price(venue, 650_000)
    last_price(venue, 643_501)
    assert statuses(venue) == ["NEW", "NEW"]
    last_price(venue, 643_500)
    assert statuses(venue)[-1] == "FINISHED"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"algoType": "TWAP"}, -1130),
        ({"algoType": None}, -1102),
        ({"symbol": "NOSUCH"}, -1121),
        ({"type": "LIMIT"}, -1116),
        ({"triggerPrice": None}, -1102),
        ({"triggerPrice": "0"}, -4006),
        ({"triggerPrice": "9000000"}, -4007),
        ({"triggerPrice": "63900.05"}, -1111),
        ({"triggerPrice": "64100.0"}, -2021),
        ({"type": "STOP"}, -1102),
        ({"price": "63900.0"}, -1106),
        ({"workingType": "INDEX"}, -4031),
        ({"closePosition": "true"}, -4137),
        ({"closePosition": "true", "quantity": None, "reduceOnly": "true"}, -1106),
        ({"closePosition": "true", "quantity": None}, 0),
        ({"type": "TRAILING_STOP_MARKET", "triggerPrice": None}, -1102),
        ({"type": "TRAILING_STOP_MARKET", "triggerPrice": None, "callbackRate": "0.05"}, -1130),
        ({"type": "TRAILING_STOP_MARKET", "triggerPrice": None, "callbackRate": "20.1"}, -1130),
        ({"type": "TRAILING_STOP_MARKET", "triggerPrice": None, "callbackRate": "20"}, 0),
        (
            {"type": "TRAILING_STOP_MARKET", "triggerPrice": None, "callbackRate": "1", "activatePrice": "63000.0"},
            -4135,
        ),
        ({"positionSide": "LONG"}, -4061),
        ({"quantity": "500"}, -4005),
        ({"quantity": "90"}, 0),  # far more than the margin allows: not looked at before the trigger
        ({"clientAlgoId": "a b"}, -4015),
    ],
)
def test_what_is_refused(venue, change, expected):
    assert code(algo, venue, **change) == expected


def test_ids_and_numbers_of_open_algo_orders_are_limited(venue):
    algo(venue, clientAlgoId="mine")
    assert code(algo, venue, clientAlgoId="mine") == -4116
    for _ in range(199):
        algo(venue)
    assert code(algo, venue) == -4045
    ids = [row["algoId"] for row in venue.exchange.algos.open_rows(venue.account, "BTCUSDC")]
    assert len(set(ids)) == 200


def test_a_cancelled_one_never_triggers(venue):
    answer = algo(venue)
    done = venue.exchange.algos.cancel(venue.account, {"algoId": answer["algoId"]}, NOW_NS)
    assert done == {"algoId": answer["algoId"], "clientAlgoId": answer["clientAlgoId"], "code": "200", "msg": "success"}
    assert code(venue.exchange.algos.cancel, venue.account, {"algoId": answer["algoId"]}, NOW_NS) == -2011
    last_price(venue, 600_000)
    assert statuses(venue) == ["NEW", "CANCELED"]
    assert code(venue.exchange.algos.query, venue.account, {"algoId": 5}) == -2013
    assert code(venue.exchange.algos.query, venue.account, {}) == -1102


def test_cancelling_all_leaves_other_symbols(venue):
    algo(venue)
    algo(venue, symbol="ETHUSDC", triggerPrice="2900.00")
    venue.exchange.algos.cancel_all(venue.account, "BTCUSDC", NOW_NS)
    assert [row["symbol"] for row in venue.exchange.algos.open_rows(venue.account)] == ["ETHUSDC"]


def test_what_the_book_refuses_is_rejected_with_its_reason(venue):
    algo(venue, quantity="90")
    last_price(venue, 639_000)
    assert statuses(venue) == ["NEW", "TRIGGERING", "REJECTED"]
    assert venue.told[-1]["o"]["rm"] == "Margin is insufficient."


@pytest.mark.parametrize(("held", "ends"), [("0.030", "FINISHED"), (None, "EXPIRED")])
def test_closing_a_position_takes_all_of_it_or_expires(venue, held, ends):
    if held:
        venue.market("BUY", held)
    venue.heard()
    algo(venue, closePosition="true", quantity=None)
    last_price(venue, 639_000)
    assert statuses(venue)[-1] == ends
    assert venue.account.held() == []
    if held:
        order = list(venue.account.orders.values())[-1]
        assert (order.orig_lots, order.close_position, order.reduce_only) == (30, True, True)


def test_a_good_till_date_expires_it(venue):
    algo(venue, timeInForce="GTD", goodTillDate=NOW_NS // MS + 700_000, type="STOP", price="63890.0")
    venue.exchange.algos.check(NOW_NS + 701_000 * MS)
    assert statuses(venue) == ["NEW", "EXPIRED"]


def test_a_triggered_order_that_rests_finishes_when_it_is_cancelled(venue):
    algo(venue, type="TAKE_PROFIT", side="BUY", price="63890.0", clientAlgoId="mine")
    last_price(venue, 639_000)
    row = venue.exchange.algos.query(venue.account, {"clientAlgoId": "mine"})
    assert row["algoStatus"] == "TRIGGERED"
    params = {"symbol": "BTCUSDC", "orderId": int(row["actualOrderId"])}
    venue.exchange.cancel(venue.account, params, NOW_NS)
    assert statuses(venue)[-1] == "FINISHED"
    assert venue.account.find("BTCUSDC", int(row["actualOrderId"]), "").orig_type == "TAKE_PROFIT"
    assert BTC.price(venue.account.find("BTCUSDC", 0, "mine").price_ticks) == "63890.0"
