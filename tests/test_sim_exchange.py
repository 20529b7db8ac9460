"""Orders at the simulated venue, from the request to what the account is told; the same on both kinds of market."""

import random
import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from still_market import BTC, CONTRACTS, KINDS, NOW_NS, StillMarket, StillPlayer, StillVenue, code

from phx.sim.exchange.account import Account
from phx.sim.exchange.exchange import Exchange
from phx.sim.exchange.settlement import matches
from phx.sim.refusals import Refused
from phx.sim.streams.hub import Hub


@pytest.fixture(params=KINDS)
def venue(request):
    return StillVenue(request.param)


def test_a_resting_order_and_its_cancel_are_one_event_each(venue):
    ack = venue.place()
    assert venue.heard() == ["OTU NEW NEW"]
    answer = venue.exchange.cancel(venue.account, {"symbol": "BTCUSDC", "orderId": ack["orderId"]}, NOW_NS)
    assert answer["status"] == "CANCELED"
    assert venue.heard() == ["OTU CANCELED CANCELED"]
    assert code(venue.exchange.cancel, venue.account, {"symbol": "BTCUSDC", "orderId": ack["orderId"]}, 0) == -2011


def test_a_taker_hears_trade_lite_first_then_new_then_each_fill(venue):
    venue.place(price="64002.0", quantity="0.700")
    assert venue.heard() == [
        "TRADE_LITE", "TRADE_LITE", "OTU NEW NEW", "AU ORDER", "OTU TRADE PARTIALLY_FILLED", "AU ORDER",
        "OTU TRADE FILLED",
    ]  # fmt: skip


def test_a_market_order_shows_no_price_and_gtc():
    venue = StillVenue()
    ack = venue.market("BUY", "0.010", newOrderRespType="RESULT")
    assert (ack["status"], ack["price"], ack["executedQty"], ack["timeInForce"]) == ("FILLED", "0.0", "0.010", "GTC")
    lite, new, update, filled = venue.told
    assert (lite["p"], new["o"]["p"], new["o"]["f"], new["o"]["b"]) == ("0.0", "0", "GTC", "0")
    assert (filled["o"]["n"], filled["o"]["m"], filled["o"]["L"]) == ("0.256004", False, "64001")
    assert update["a"]["P"][0]["pa"] == "0.01"


@pytest.mark.parametrize(
    ("change", "ends", "executed"),
    [
        ({"timeInForce": "IOC", "price": "64001.0", "quantity": "0.600"}, "OTU EXPIRED EXPIRED 2", "0.5"),
        ({"timeInForce": "IOC", "price": "64000.0"}, "OTU EXPIRED EXPIRED 2", "0"),
        ({"timeInForce": "GTC", "price": "64001.0", "quantity": "0.600"}, "OTU TRADE PARTIALLY_FILLED", "0.5"),
        ({"timeInForce": "FOK", "price": "64002.0", "quantity": "0.900"}, "OTU TRADE FILLED", "0.9"),
    ],
)
def test_what_an_order_cannot_take_rests_or_expires(venue, change, ends, executed):
    venue.place(**change)
    last = venue.told[-1]["o"]
    assert (venue.heard()[-1], last["z"]) == (ends, executed)


def test_a_market_order_beyond_the_whole_book_expires_with_reason_nine():
    venue = StillVenue(bids=[(640_000, 500)], asks=[(640_010, 300)])
    venue.market("BUY", "0.500")
    assert venue.heard()[-1] == "OTU EXPIRED EXPIRED 9"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"timeInForce": "GTX", "price": "64001.0"}, -5022),
        ({"timeInForce": "FOK", "price": "64001.0", "quantity": "0.501"}, -5021),
        ({"price": "67200.6"}, -4016),
        ({"side": "SELL", "price": "60800.4"}, -4024),
        ({"quantity": "0.000"}, -4003),
        ({"price": "63990.0", "quantity": "0.001"}, 0),
        ({"price": "49990.0", "quantity": "0.001"}, -4164),
        ({"priceMatch": "QUEUE"}, -1106),
        ({"priceMatch": "NEAREST", "price": None}, -5037),
        ({"priceMatch": "OPPONENT_20", "price": None}, -5037),
        ({"priceMatch": "QUEUE", "price": None, "type": "MARKET", "timeInForce": None}, -5038),
        ({"positionSide": "LONG"}, -4061),
        ({"positionSide": "UP"}, -4060),
        ({"reduceOnly": "true"}, -2022),
        ({"type": "TAKE_PROFIT_MARKET"}, -4120),
        ({"timeInForce": "RPI"}, -1115),
    ],
)
def test_refused_orders_leave_no_event(venue, change, expected):
    assert code(venue.place, **change) == expected
    assert (venue.heard() == []) == (expected != 0)


def test_an_open_client_id_is_refused_and_a_closed_one_free_again(venue):
    ack = venue.place(newClientOrderId="mine")
    assert code(venue.place, newClientOrderId="mine") == -4116
    venue.exchange.cancel(venue.account, {"symbol": "BTCUSDC", "orderId": ack["orderId"]}, NOW_NS)
    again = venue.place(newClientOrderId="mine")
    assert again["orderId"] > ack["orderId"]
    found = venue.exchange.order(venue.account, {"symbol": "BTCUSDC", "origClientOrderId": "mine"})
    assert found.order_id == again["orderId"]


@pytest.mark.parametrize(
    ("side", "mode", "price"),
    [
        ("BUY", "OPPONENT", "64001.0"), ("BUY", "OPPONENT_5", "64005.0"), ("BUY", "QUEUE", "64000.0"),
        ("BUY", "QUEUE_5", "63996.0"), ("SELL", "QUEUE_10", "64010.0"), ("SELL", "QUEUE_20", "64020.0"),
        ("SELL", "OPPONENT", "64000.0"),
    ],
)  # fmt: skip
def test_a_matched_price_comes_from_the_book_and_is_told(venue, side, mode, price):
    ack = venue.place(side=side, priceMatch=mode, price=None)
    assert (ack["price"], ack["priceMatch"]) == (price, mode)
    new = next(t["o"] for t in venue.told if t["e"] == "ORDER_TRADE_UPDATE")
    assert (new["p"] + ".0", new["pm"]) == (price, mode)


def test_a_price_match_needs_that_many_levels():
    venue = StillVenue(bids=[(640_000, 500)] * 1, asks=[(640_010, 500)])
    assert code(venue.place, priceMatch="QUEUE_5", price=None) == -5041


# ---- amending ---------------------------------------------------------------------------------------------------


def test_an_amended_order_keeps_its_ids_and_takes_when_it_crosses(venue):
    ack = venue.place(newClientOrderId="mine")
    venue.heard()
    changed = venue.amend(ack["orderId"], price="63995.0", quantity="0.020")
    assert (changed["orderId"], changed["clientOrderId"], changed["price"]) == (ack["orderId"], "mine", "63995.0")
    assert venue.heard() == ["OTU AMENDMENT NEW"]
    venue.amend(ack["orderId"], price="64001.0", quantity="0.021")
    assert (venue.told[0]["p"], venue.told[0]["q"]) == ("64001.0", "0.021")
    assert venue.heard() == ["TRADE_LITE", "OTU AMENDMENT NEW", "AU ORDER", "OTU TRADE FILLED"]
    rows = [(a.ticks_before, a.ticks_after, a.lots_before, a.lots_after) for a in
            venue.account.find("BTCUSDC", ack["orderId"], "").amendments]  # fmt: skip
    assert rows == [(639_900, 639_950, 10, 20), (639_950, 640_010, 20, 21)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, -5027),
        ({"price": "63990.05"}, -1111),
        ({"price": "67201.0"}, -4016),
        ({"quantity": "0.0005"}, -1111),
        ({"quantity": None}, -1102),
        ({"price": None}, -1102),
        ({"side": None}, -1102),
        ({"orderId": 7}, -2013),
        ({"reduceOnly": "true", "price": "63991.0"}, -5047),
        ({"price": "49000.0", "quantity": "0.001"}, -5029),
        ({"quantity": "700"}, -2019),
        ({"priceMatch": "QUEUE"}, -1106),
        ({"priceMatch": "QUEUE", "price": None}, 0),
        ({"price": "63991.0"}, 0),
    ],
)
def test_a_refused_amendment_leaves_the_order_as_it_was(venue, change, expected):
    order_id = venue.place()["orderId"]
    before = venue.book.order(order_id)
    venue.heard()
    params = {"orderId": order_id} | change
    assert code(venue.amend, params.pop("orderId"), **params) == expected
    if expected:
        assert (venue.book.order(order_id), venue.heard()) == (before, [])


def test_ten_thousand_amendments_are_the_end():
    venue = StillVenue()
    order_id = venue.place()["orderId"]
    order = venue.account.find("BTCUSDC", order_id, "")
    order.amendments = [None] * (BTC.max_amendments - 1)
    assert code(venue.amend, order_id, price="63991.0") == 0
    assert code(venue.amend, order_id, price="63992.0") == -5026


def test_a_post_only_order_amended_across_the_touch_is_cancelled_and_the_answer_says_so(venue):
    order_id = venue.place(timeInForce="GTX")["orderId"]
    venue.heard()
    assert venue.amend(order_id, price="64001.0")["status"] == "CANCELED"
    assert venue.heard() == ["OTU CANCELED CANCELED"]


def test_amending_to_what_is_filled_cancels(venue):
    order_id = venue.place(price="64001.0", quantity="0.600")["orderId"]
    venue.heard()
    assert venue.amend(order_id, price="64001.0", quantity="0.500")["status"] == "CANCELED"
    assert venue.heard() == ["OTU CANCELED CANCELED"]
    assert code(venue.amend, order_id) == -2013


def test_an_amended_order_goes_behind_its_level():
    venue = StillVenue()
    first, second = (venue.place(price="64000.5")["orderId"] for _ in range(2))
    venue.amend(first, price="64000.5", quantity="0.009")
    venue.heard()
    venue.market("SELL", "0.012", account=venue.rival)
    assert [t["i"] for t in venue.told if t["e"] == "TRADE_LITE"] == [second, first]


# ---- self trades ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told", "own"),
    [
        ({"selfTradePreventionMode": "EXPIRE_MAKER"}, ["OTU EXPIRED EXPIRED_IN_MATCH 1"], "taker"),
        ({}, ["OTU EXPIRED EXPIRED_IN_MATCH 1"], "taker"),
        ({"selfTradePreventionMode": "EXPIRE_TAKER"}, ["OTU EXPIRED EXPIRED_IN_MATCH 1"], "maker"),
        ({"selfTradePreventionMode": "EXPIRE_BOTH"}, ["OTU EXPIRED EXPIRED_IN_MATCH 1"] * 2, None),
        (
            {"selfTradePreventionMode": "EXPIRE_TAKER", "timeInForce": "IOC"},
            ["OTU EXPIRED EXPIRED_IN_MATCH 3"],
            "maker",
        ),
    ],
)
def test_the_takers_mode_decides_a_self_trade(venue, change, told, own):
    maker = venue.place(side="SELL", price="64000.5")["orderId"]
    venue.heard()
    taker = venue.place(price="64000.5", **change)["orderId"]
    assert venue.heard() == ["OTU NEW NEW", *told]
    left = list(venue.account.open_orders("BTCUSDC").by_id)
    assert left == [{"maker": maker, "taker": taker}[own]] if own else left == []


def test_accounts_trade_with_each_other_and_each_hears_its_side(venue):
    venue.place(price="64000.5", quantity="0.004")
    venue.heard()
    venue.place(venue.rival, side="SELL", price="64000.5", quantity="0.010", timeInForce="GTC")
    lite, update, filled = venue.told
    assert lite["t"] == filled["o"]["t"] == 501
    assert (filled["o"]["m"], filled["o"]["n"], update["a"]["P"][0]["bep"]) == (True, "0", "64000.5")
    assert [(f.maker, f.lots, f.order.side) for f in venue.rival.fills["BTCUSDC"]] == [(False, 4, -1)]


# ---- reduce only ------------------------------------------------------------------------------------------------


def test_reduce_only_never_turns_a_position(venue):
    venue.market("BUY", "0.010")
    venue.heard()
    ack = venue.place(side="SELL", price="64000.0", quantity="0.030", reduceOnly="true", timeInForce="IOC")
    assert ack["origQty"] == "0.010"
    assert venue.account.held() == []
    assert code(venue.place, side="SELL", price="64100.0", reduceOnly="true") == -2022


def test_orders_that_reduce_together_are_no_more_than_the_position(venue):
    venue.market("BUY", "0.010")
    far = venue.place(side="SELL", price="64100.0", quantity="0.007", reduceOnly="true")["orderId"]
    near = venue.place(side="SELL", price="64050.0", quantity="0.007", reduceOnly="true")
    assert near["origQty"] == "0.003"
    assert code(venue.place, side="SELL", price="64040.0", reduceOnly="true") == -2022
    venue.heard()
    venue.place(side="SELL", price="64000.0", quantity="0.005", timeInForce="IOC")
    expired = [t["o"] for t in venue.told if t.get("o", {}).get("x") == "EXPIRED"]
    assert [(o["i"], o["er"]) for o in expired] == [(far, "4")]


def test_an_amended_reduce_only_order_may_not_outgrow_the_position(venue):
    venue.market("BUY", "0.010")
    order_id = venue.place(side="SELL", price="64100.0", quantity="0.006", reduceOnly="true")["orderId"]
    assert code(venue.amend, order_id, side="SELL", price="64100.0", quantity="0.011") == -2022
    assert code(venue.amend, order_id, side="SELL", price="64100.0", quantity="0.010") == 0
    assert code(venue.amend, order_id, side="SELL", price="49000.0", quantity="0.001") == -4024
    small = {"side": "SELL", "price": "64100.0", "quantity": "0.001"}
    assert code(venue.amend, order_id, **small) == 0


# ---- hedge mode -------------------------------------------------------------------------------------------------


@pytest.fixture
def hedged(venue):
    venue.account.hedge = True
    return venue


def test_hedged_positions_live_apart_and_are_told_apart(hedged):
    hedged.market("BUY", "0.010", positionSide="LONG")
    hedged.market("SELL", "0.004", positionSide="SHORT")
    rows = [t["a"]["P"][0] for t in hedged.told if t["e"] == "ACCOUNT_UPDATE"]
    assert [(row["ps"], row["pa"]) for row in rows] == [("LONG", "0.01"), ("SHORT", "-0.004")]
    new = [t["o"] for t in hedged.told if t["e"] == "ORDER_TRADE_UPDATE" and t["o"]["x"] == "NEW"]
    assert [(o["ps"], o["R"]) for o in new] == [("LONG", False), ("SHORT", False)]
    assert {side: p.lots for (_, side), p in hedged.account.positions.items() if p.lots} == {"LONG": 10, "SHORT": -4}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, -4061),
        ({"positionSide": "BOTH"}, -4061),
        ({"positionSide": "LONG", "reduceOnly": "false"}, -1106),
        ({"positionSide": "LONG", "side": "SELL", "price": "64100.0"}, -2022),
        ({"positionSide": "SHORT", "side": "BUY"}, -2022),
        ({"positionSide": "SHORT", "side": "SELL", "price": "64100.0"}, 0),
    ],
)
def test_hedge_mode_names_its_position_and_closes_only_what_is_there(hedged, change, expected):
    assert code(hedged.place, **change) == expected


def test_a_hedged_close_ends_at_flat_and_its_order_is_told_as_reducing(hedged):
    hedged.market("BUY", "0.010", positionSide="LONG")
    ack = hedged.place(side="SELL", price="64000.0", quantity="0.030", positionSide="LONG", timeInForce="IOC")
    assert (ack["origQty"], ack["reduceOnly"], ack["positionSide"]) == ("0.010", True, "LONG")
    assert hedged.account.held() == []


# ---- time -------------------------------------------------------------------------------------------------------


def test_a_good_till_date_keeps_seconds_and_expires_then(venue):
    until_ms = NOW_NS // 1_000_000 + 700_999
    assert code(venue.place, timeInForce="GTD", goodTillDate=NOW_NS // 1_000_000 + 600_000) == -5040
    ack = venue.place(timeInForce="GTD", goodTillDate=until_ms)
    kept_ms = until_ms // 1000 * 1000
    assert (ack["timeInForce"], ack["goodTillDate"]) == ("GTD", kept_ms)
    venue.heard()
    venue.exchange.turn((kept_ms - 1) * 1_000_000)
    assert venue.heard() == []
    venue.exchange.turn(kept_ms * 1_000_000)
    assert venue.heard() == ["OTU EXPIRED EXPIRED"]


def test_a_countdown_cancels_in_the_order_of_arrival_and_only_its_own(venue):
    mine = [venue.place(price=price)["orderId"] for price in ("63000.0", "63500.0", "62000.0")]
    other = venue.place(venue.rival)["orderId"]
    now_ms = NOW_NS // 1_000_000
    venue.exchange.countdown(venue.account, "BTCUSDC", 5000, now_ms)
    venue.exchange.countdown(venue.rival, "BTCUSDC", 60_000, now_ms)
    venue.heard()
    venue.exchange.turn((now_ms + 4999) * 1_000_000)
    assert venue.told == []
    venue.exchange.turn((now_ms + 5000) * 1_000_000)
    assert [(t["o"]["i"], t["o"]["x"]) for t in venue.told] == [(order_id, "CANCELED") for order_id in mine]
    assert venue.book.order(other)
    assert code(venue.exchange.countdown, venue.account, "BTCUSDC", -1, now_ms) == -1130


def test_an_overloaded_venue_takes_what_reduces_only(venue):
    venue.market("BUY", "0.010")
    venue.exchange.overloaded = True
    assert code(venue.place) == -1008
    assert code(venue.place, side="SELL", price="64100.0", reduceOnly="true") == 0


@pytest.mark.parametrize(
    ("controlled", "status", "buys", "sells"),
    [
        ("NONE", "TRADING", 0, 0),
        ("BOTH", "TRADING", -4105, -4105),
        ("BUY", "TRADING", -4106, 0),
        ("SELL", "TRADING", 0, -4107),
        ("NONE", "PRE_SETTLE", -4140, -4140),
    ],
)
def test_a_controlled_symbol_takes_what_reduces_only(monkeypatch, controlled, status, buys, sells):
    venue = StillVenue()
    order_id = venue.place()["orderId"]
    venue.market("BUY", "0.010")
    monkeypatch.setitem(BTC.filters["POSITION_RISK_CONTROL"], "positionControlSide", controlled)
    monkeypatch.setitem(BTC.entry, "status", status)
    assert code(venue.place) == buys
    assert code(venue.place, side="SELL", price="64100.0") == sells
    assert code(venue.place, side="SELL", price="64100.0", reduceOnly="true") == 0
    assert code(venue.amend, order_id, price="63991.0") == (0 if status == "TRADING" else -5024)


# ---- batches ----------------------------------------------------------------------------------------------------


def test_a_batch_answers_in_order_and_legs_fail_alone(venue):
    exchange, account = venue.exchange, venue.account
    wanted = [venue.order(), venue.order(timeInForce="GTX", price="64001.0"), venue.order(price="63980.0")]
    answers = exchange.place_batch(account, wanted, NOW_NS)
    assert [answer.get("code", answer.get("status")) for answer in answers] == ["NEW", -5022, "NEW"]
    first, last = answers[0]["orderId"], answers[2]["orderId"]
    changes = [{"symbol": "BTCUSDC", "side": "BUY", "orderId": i, "quantity": "0.011", "price": "63979.0"}
               for i in (first, 1, last)]  # fmt: skip
    assert [a.get("code", a.get("origQty")) for a in exchange.amend_batch(account, changes, NOW_NS)] == [
        "0.011", -2013, "0.011",
    ]  # fmt: skip
    ends = [{"symbol": "BTCUSDC", "orderId": i} for i in (first, 1, last)]
    assert [a.get("code", a.get("status")) for a in exchange.cancel_batch(account, ends, NOW_NS)] == [
        "CANCELED", -2011, "CANCELED",
    ]  # fmt: skip
    assert code(exchange.place_batch, account, [venue.order()] * 6, NOW_NS) == -4082
    assert code(exchange.place_batch, account, [], NOW_NS) == -4082


def test_events_are_grouped_by_the_order_that_caused_them():
    venue = StillVenue()
    venue.place(price="64000.5", quantity="0.010")
    venue.book.drain()
    for lots in (4, 5):
        venue.book.place_order(0, -1, 640_005, lots)
    venue.book.place_order(2, -1, 640_005, 7)  # crosses what is left of the first, then rests
    events = [event for event in venue.book.drain() if event.owner or event.maker_owner]
    groups = [[event.qty_lots for event in group] for group in matches(events)]
    assert groups == [[4], [5], [7, 1]]


def test_numbers_on_the_user_stream_are_plain_and_in_trade_lite_padded():
    venue = StillVenue()
    venue.place(price="64001.0", quantity="0.020")
    lite, _, _, filled = venue.texts
    assert '"q":"0.020","p":"64001.0"' in lite
    assert '"q":"0.02","p":"64001","ap":"64001"' in filled
    assert list(msgspec.json.decode(lite)) == ["e", "E", "T", "s", "q", "p", "m", "c", "S", "L", "l", "t", "i"]


# ---- as captured ------------------------------------------------------------------------------------------------

FRAMES = Path(__file__).parent / "frames"
CHANGED_SINCE_2024 = ("er", "V")  # er is new; the default of V was NONE then


def plain_numbers(event):
    """Return an event with its decimal texts as numbers: in 2024 they were padded, now they are not."""
    if isinstance(event, dict):
        return {key: plain_numbers(value) for key, value in event.items() if key not in CHANGED_SINCE_2024}
    if isinstance(event, list):
        return [plain_numbers(value) for value in event]
    return Decimal(event) if isinstance(event, str) and re.fullmatch(r"-?\d+(\.\d+)?", event) else event


def test_a_captured_round_trip_happens_again():
    """The same orders against the same book: all events equal the captured ones but for ids, times and b (a little
    more than price times quantity on the venue).
    """
    captured = [msgspec.json.decode(line) for line in (FRAMES / "user_btcusdt_taker_roundtrip.jsonl").open()]
    contract, hub = CONTRACTS["BTCUSDT"], Hub()
    market = StillMarket(contract, hub, "engine", [(908_532, 50)], [(917_399, 50)])
    exchange = Exchange(StillPlayer({"BTCUSDT": market}), CONTRACTS, hub, NOW_NS // 10**6)
    wallet_e8 = 64_276_097_079 + 9_173_990  # before the first fee
    account = Account(1, wallet_e8, ["USDT"], Decimal("0.0002"), Decimal("0.0005"))
    exchange.accounts[1] = account
    told = []
    exchange.emit = lambda _, text: told.append(msgspec.json.decode(text))
    buy = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.002"}
    buy |= {"priceMatch": "OPPONENT", "newClientOrderId": captured[0]["c"]}
    exchange.place(account, buy, NOW_NS)
    sell = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.002", "reduceOnly": "true"}
    exchange.place(account, sell | {"newClientOrderId": captured[4]["c"]}, NOW_NS)
    assert len(told) == len(captured)
    for ours, theirs in zip(told, captured, strict=True):
        assert [key for key in ours.get("o", ours) if key != "er"] == list(theirs.get("o", theirs))
        for event in (ours, theirs):
            for part in (event, event.get("o", {})):
                for key in ("T", "E", "i", "t") + (("b",) if part.get("b") != "0" else ()):
                    part.pop(key, None)
            for row in event.get("a", {}).get("P", ()):
                row.pop("up")  # of the mark of that moment
        assert plain_numbers(ours) == plain_numbers(theirs)


# ---- the two kinds of market ------------------------------------------------------------------------------------


def random_step(rng, hedge: bool):
    """Return what to do next, as (method, account number, arguments), from numbers alone."""
    account = rng.choice([1, 1, 1, 2])
    what = rng.random()
    order_id = 1001 + rng.randrange(60)
    price = f"{rng.randint(63_993, 64_008)}.{rng.choice('05')}"
    quantity = f"{rng.choice([0, 0, 0, 1])}.{rng.randint(1, 700):03}"
    if what < 0.15:
        return "cancel", account, {"symbol": "BTCUSDC", "orderId": order_id}
    if what < 0.35:
        params = {"symbol": "BTCUSDC", "orderId": order_id, "price": price, "quantity": quantity}
        return "amend", account, params | {"side": rng.choice(["BUY", "SELL"])}
    params = {"symbol": "BTCUSDC", "side": rng.choice(["BUY", "SELL"]), "quantity": quantity}
    params["newClientOrderId"] = f"c{rng.randrange(10**9)}"
    params["selfTradePreventionMode"] = rng.choice(["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"])
    if hedge and account == 1:
        params["positionSide"] = rng.choice(["LONG", "SHORT"])
    elif rng.random() < 0.3:
        params["reduceOnly"] = "true"
    if rng.random() < 0.15:
        return "place", account, params | {"type": "MARKET"}
    tif = rng.choice(["GTC", "GTC", "GTX", "IOC", "FOK"])
    params |= {"type": "LIMIT", "timeInForce": tif}
    if rng.random() < 0.1:
        return "place", account, params | {"priceMatch": rng.choice(["QUEUE_5", "OPPONENT_5"])}
    return "place", account, params | {"price": price}


@pytest.mark.parametrize("seed", range(12))
def test_accounts_cannot_tell_a_recording_from_an_engine_while_nothing_else_trades(seed):
    rng, hedge = random.Random(seed), seed % 3 == 1
    venues = [StillVenue(kind, wallet=10**7) for kind in KINDS]
    for venue in venues:
        venue.account.hedge = hedge
    fills = 0
    for _ in range(120):
        method, number, params = random_step(rng, hedge)
        outcomes = []
        for venue in venues:
            account = venue.exchange.accounts[number]
            try:
                outcome = getattr(venue.exchange, method)(account, params, venue.now_ns)
            except Refused as refusal:
                outcome = refusal.code
            outcomes.append((outcome, venue.texts[:]))
            fills += sum('"x":"TRADE"' in text for text in venue.texts)
            venue.heard()
        assert outcomes[0] == outcomes[1]
    assert fills > 20
