"""Amends: only where a reduce-only order finds no room beside the one it replaces; the test is quoter and venue."""

import asyncio

import msgspec
import pytest
from closed_loop import Loop
from gateway_rig import SECOND_NS, Rig, cancels, places
from quoting import params, sides
from still_market import StillVenue
from test_gateway_shell import FakeVenue, Shell, coid

from phx._core.action import ActionKind
from phx._core.amend import amendable
from phx._core.amend_answers import on_amend_reject, on_amended
from phx._core.binance.encode import OrderEncoder
from phx._core.enums import ExecKind, JournalKind, Mode, OrderState, RejectReason
from phx.gateway.session import Fallback
from phx.venue.interface import Order, VenueReject, VenueUnknown

PINNING = int(Mode.MODE_PINNING)


def amends(actions) -> list[tuple]:
    """(intent, price, whole quantity) of what is amended."""
    return [(a["intent_id"], a["price_ticks"], a["qty_lots"]) for a in actions if a["kind"] == ActionKind.ACTION_AMEND]


def pinned(lots: int = 10, held: int = 10, **options) -> tuple[Rig, int]:
    """A rig that holds a position all of which a sell at 100 010 reduces; returns it with the sell's intent."""
    rig = Rig(**options)
    rig.hold(held)
    (order,) = rig.placed(asks=[(100_010, lots, True)], mode=PINNING)
    return rig, order["intent_id"]


def follow(rig: Rig, price: int = 100_008, lots: int = 10) -> list[dict]:
    return rig.quote(asks=[(price, lots, True)], mode=PINNING)


def done(rig: Rig, intent: int, price: int = 100_008, lots: int = 10) -> bool:
    return on_amended(rig.core, intent, price, lots, rig.now_ns, rig.now_ns)


def own_row(rig: Rig, intent: int) -> dict:
    own = rig.symbols[0].own.newest()
    at = list(own["intent_id"][: own["orders"]]).index(intent)
    return {name: int(own[name][at]) for name in ("price_ticks", "remaining_lots", "ts_ack_ns", "state")}


# ---- when


def test_a_pinned_order_that_follows_the_touch_is_amended_by_one_message():
    rig, intent = pinned()
    (action,) = follow(rig)
    assert amends([action]) == [(intent, 100_008, 10)] and action["reduce_only"] == 1
    assert rig.live()[intent]["state"] == OrderState.ORDER_PENDING_AMEND
    assert rig.step() == [] and follow(rig) == []
    assert done(rig, intent)
    order = rig.live()[intent]
    assert (order["state"], order["price_ticks"], order["qty_lots"]) == (OrderState.ORDER_OPEN, 100_008, 10)
    assert follow(rig) == [] and amends(follow(rig, 100_006)) == [(intent, 100_006, 10)]
    assert rig.symbols[0].counters["amends"][0] == 2 and rig.symbols[0].counters["places"][0] == 1


def test_it_is_journalled_and_counted_before_it_leaves():
    rig, intent = pinned()
    rig.journal.all()
    before = rig.account_ring.newest()["orders_10s"]
    rig.ladder(asks=[(100_008, 10, True)], mode=PINNING)
    rig.core.step(rig.now_ns)
    (entry,) = [e for e in rig.journal.all() if e["kind"] == JournalKind.JOURNAL_AMEND]
    assert (entry["intent_id"], entry["price_ticks"], entry["qty_lots"]) == (intent, 100_008, 10)
    rig.core.tell_account(rig.now_ns)
    assert rig.account_ring.newest()["orders_10s"] == before + 1


def test_with_room_for_both_it_is_cancelled_and_placed_at_once():
    rig, intent = pinned(held=20)
    actions = follow(rig)
    assert cancels(actions) == [intent] and places(actions) == [(-1, 100_008, 10)] and amends(actions) == []
    rig, intent = pinned(held=19)
    assert amends(follow(rig)) == [(intent, 100_008, 10)]


def test_a_quote_of_normal_is_never_amended():
    rig = Rig(net_max_lots=10)
    (order,) = rig.placed(bids=[(99_990, 10)])
    actions = rig.quote(bids=[(99_992, 10)])
    assert cancels(actions) == [order["intent_id"]] and amends(actions) == [] and places(actions) == []


def test_another_rung_side_or_flag_is_no_partner():
    rig, intent = pinned()
    actions = rig.quote(asks=[(100_008, 10, True)], mode=PINNING, ask_layer=[5] + [0] * 31)
    assert cancels(actions) == [intent] and amends(actions) == []
    rig = Rig()
    rig.hold(10)
    (order,) = rig.placed(asks=[(100_010, 10)])
    assert cancels(follow(rig)) == [order["intent_id"]] and not amends(rig.sent)


@pytest.mark.parametrize(
    "change",
    [
        {"state": OrderState.ORDER_PENDING_NEW},
        {"state": OrderState.ORDER_PENDING_AMEND},
        {"state": OrderState.ORDER_PENDING_CANCEL},
        {"state": OrderState.ORDER_UNKNOWN},
        {"reduce_only": 0},
        {"layer": 255},
        {"request_mono_ns": 1},
        {"ts_ack_ns": 0},
        {"reported_lots": 3, "filled_lots": 2},
        {"amend_refused": 1},
        {"amends": 1000},
        {"price_ticks": 100_008},
    ],
)
def test_only_an_order_that_is_plainly_open_is_amended(change):
    rig, intent = pinned()
    order = rig.account.table.order(intent)
    assert amendable(order, 100_008) and amendable(order | {"amends": 999}, 100_008)
    assert not amendable(order | change, 100_008)


def test_each_layer_of_a_ladder_is_tried_once():
    rig, intent = pinned()
    follow(rig)
    on_amend_reject(rig.core, intent, -5043, rig.now_ns)
    assert cancels(rig.step()) == [intent]
    rig.core.on_end(intent, False, 0, 1, rig.now_ns)
    assert rig.step() == []
    assert places(follow(rig)) == [(-1, 100_008, 10)] and rig.reasons() == []


@pytest.mark.parametrize("price", [99_999, 90_000])
def test_what_would_take_or_is_beyond_the_collar_is_cancelled_instead(price):
    rig, intent = pinned()
    assert cancels(follow(rig, price)) == [intent] and not amends(rig.sent)


def test_a_market_that_passed_the_old_price_is_not_amended_away_from():
    rig, intent = pinned()
    rig.market(100_011, 100_013)
    assert cancels(follow(rig, 100_014)) == [intent] and not amends(rig.sent)


def test_a_full_order_count_lets_it_cancel_instead():
    rig, intent = pinned()
    rig.account.set_order_limits(1, 1)
    assert cancels(follow(rig)) == [intent] and not amends(rig.sent)


def test_while_a_take_waits_nothing_is_amended():
    rig, _ = pinned(lots=5)
    rig.quote(
        asks=[(100_008, 5, True)], mode=PINNING, take_n=1, take_side=-1, take_qty_lots=10,
        take_limit_ticks=99_990, take_deadline_mono_ns=rig.now_ns + SECOND_NS,
    )  # fmt: skip
    assert not amends(rig.sent)


def test_of_grinding_only_a_ladder_that_has_seen_all_amends():
    rig, intent = pinned()
    rig.fill({"symbol_id": 0, "intent_id": intent, "side": -1, "price_ticks": 100_010, "qty_lots": 1})
    unseen = {"mode": int(Mode.MODE_GRINDING), "own_seq": 0}
    assert cancels(rig.quote(asks=[(100_008, 9, True)], **unseen)) == [intent] and not amends(rig.sent)


# ---- what counts while it is on its way


def test_the_larger_quantity_and_both_prices_count_until_it_is_answered():
    rig, intent = pinned(held=10)
    (action,) = follow(rig, 100_014, 4)
    assert amends([action]) == [(intent, 100_014, 4)]
    # 6 lots more would fit beside the new one, none fits beside the old one.
    rig.ladder(asks=[(100_014, 4, True), (100_030, 6, True)], mode=PINNING)
    assert rig.step() == [] and rig.reasons() == [RejectReason.REJECT_POSITION]
    row = own_row(rig, intent)
    assert row["remaining_lots"] == 10 and row["state"] == OrderState.ORDER_PENDING_AMEND
    # A bid between the prices would meet the old one.
    actions = rig.quote(bids=[(100_011, 5)], asks=[(100_014, 4, True)], mode=PINNING)
    assert places(actions) == []
    done(rig, intent, 100_014, 4)
    rig.step()
    assert own_row(rig, intent)["remaining_lots"] == 4
    actions = follow(rig, 100_014, 4) + rig.quote(asks=[(100_014, 4, True), (100_030, 6, True)], mode=PINNING)
    assert places(actions) == [(-1, 100_030, 6)]


@pytest.mark.parametrize(("to", "shown"), [(100_014, 100_010), (100_008, 100_008)])
def test_an_order_of_ours_meets_it_at_neither_price(to, shown):
    rig, intent = pinned()
    rig.market(99_999, 100_013)
    assert amends(follow(rig, to))
    row = own_row(rig, intent)
    assert row["price_ticks"] == shown and (row["ts_ack_ns"] != 0) == (shown == 100_010)
    actions = rig.quote(bids=[(shown, 5)], asks=[(to, 10, True)], mode=PINNING)
    assert places(actions) == []
    actions = rig.quote(bids=[(shown - 1, 5)], asks=[(to, 10, True)], mode=PINNING)
    assert places(actions) == [(1, shown - 1, 5)]


def test_another_order_waits_for_both_prices():
    rig, _ = pinned()
    follow(rig, 100_008, 4)
    rig.hold(100)
    assert places(rig.quote(asks=[(100_008, 4, True), (100_010, 5, True)], mode=PINNING)) == []
    assert rig.reasons() == []


def test_fills_at_either_price_are_its_own():
    rig, intent = pinned()
    follow(rig)
    rig.fill({"symbol_id": 0, "intent_id": intent, "side": -1, "price_ticks": 100_010, "qty_lots": 3})
    done(rig, intent)
    assert rig.live()[intent]["filled_lots"] == 3 and rig.core.desk(0).position_lots == 7
    rig.fill({"symbol_id": 0, "intent_id": intent, "side": -1, "price_ticks": 100_008, "qty_lots": 7})
    assert rig.live() == {} and rig.account.table.overfilled == 0


def test_filled_to_its_new_quantity_before_that_is_known_it_is_over():
    rig, intent = pinned()
    follow(rig, lots=4)
    rig.fill({"symbol_id": 0, "intent_id": intent, "side": -1, "price_ticks": 100_008, "qty_lots": 4})
    assert intent in rig.live()
    done(rig, intent, lots=4)
    assert rig.live() == {} and rig.account.table.order(intent)["state"] == OrderState.ORDER_CLOSED


def test_what_has_filled_stays_part_of_the_quantity():
    rig, intent = pinned()
    rig.fill({"symbol_id": 0, "intent_id": intent, "side": -1, "price_ticks": 100_010, "qty_lots": 3})
    assert amends(follow(rig, lots=7)) == [(intent, 100_008, 10)]


def test_the_whole_order_stays_within_what_one_order_may_have():
    rig, intent = pinned(held=10, max_order_lots=10)
    rig.fill({"symbol_id": 0, "intent_id": intent, "side": -1, "price_ticks": 100_010, "qty_lots": 3})
    rig.hold(10)
    assert cancels(follow(rig, lots=8)) == [intent] and not amends(rig.sent)


# ---- answers


def test_a_lost_answer_makes_it_unknown_and_cancels_it_at_once():
    rig, intent = pinned()
    follow(rig, lots=4)
    rig.core.on_unknown(intent, rig.now_ns)
    order = rig.live()[intent]
    assert order["state"] == OrderState.ORDER_UNKNOWN
    assert cancels(rig.step()) == [intent]
    assert own_row(rig, intent)["remaining_lots"] == 10
    assert done(rig, intent, lots=4) and rig.live()[intent]["state"] == OrderState.ORDER_PENDING_CANCEL
    assert own_row(rig, intent) and rig.step() == []


@pytest.mark.parametrize(("price", "qty"), [("10001.4", "0.004"), ("10001.0", "0.010")])
def test_with_answer_and_event_lost_the_query_says_what_it_is(price, qty):
    shell = Shell()
    shell.hold(10)
    (order,) = shell.placed(asks=[(100_010, 10, True)], mode=PINNING)
    intent = order["intent_id"]
    assert amends(follow(shell, 100_014, 4))
    shell.core.on_unknown(intent, shell.now_ns)
    assert cancels(shell.step()) == [intent]
    found = Order("SYM0", coid(intent), 77, -1, "NEW", price, qty, "0", "LIMIT", "GTX", True, 2)
    shell.venue.answers["order_status"] = found
    asyncio.run(shell.reconciliation.ask(intent, 0))
    shell.step()
    row = own_row(shell, intent)
    # An amend that is not seen done may still be: then both count until the order has gone.
    assert (row["price_ticks"], row["remaining_lots"]) == ((100_014, 4) if qty == "0.004" else (100_010, 10))
    assert row["state"] == OrderState.ORDER_PENDING_CANCEL


def test_a_position_that_shrinks_meanwhile_has_the_order_cut():
    rig, intent = pinned()
    assert amends(follow(rig))
    rig.hold(4)
    assert places(follow(rig)) == [] and not amends(follow(rig))
    done(rig, intent)
    assert cancels(follow(rig, 100_008, 4)) == [intent]
    rig.core.on_end(intent, False, 0, 1, rig.now_ns)
    assert places(follow(rig, 100_008, 10)) == [(-1, 100_008, 4)]


def test_no_answer_for_a_second_is_a_lost_answer():
    rig, intent = pinned()
    follow(rig)
    rig.core.on_accept(intent, 5, 1, rig.now_ns)  # a late word of its placement is no answer
    rig.wait(SECOND_NS + 1)
    assert cancels(rig.step()) == [intent]


def test_what_was_never_sent_leaves_it_as_it_was():
    rig, intent = pinned()
    rig.ladder(asks=[(100_008, 10, True)], mode=PINNING)
    rig.core.step(rig.now_ns)
    rig.core.on_session_lost(rig.now_ns)
    order = rig.live()[intent]
    assert (order["state"], order["price_ticks"], order["amend_qty_lots"]) == (OrderState.ORDER_OPEN, 100_010, 0)
    assert rig.core.pop_action() is None
    assert amends(follow(rig)) == [(intent, 100_008, 10)]


def test_a_broken_session_makes_it_unknown():
    rig, intent = pinned()
    follow(rig)
    rig.core.on_session_lost(rig.now_ns)
    assert rig.live()[intent]["state"] == OrderState.ORDER_UNKNOWN and cancels(rig.step()) == [intent]


def test_the_same_price_and_quantity_are_a_success():
    rig, intent = pinned()
    follow(rig)
    on_amend_reject(rig.core, intent, -5027, rig.now_ns)
    assert rig.live()[intent]["price_ticks"] == 100_008 and follow(rig) == []


@pytest.mark.parametrize("code", [-5024, -5025, -5026, -5029, -5043, -5047])
def test_what_may_not_be_amended_is_replaced_from_then_on(code):
    rig, intent = pinned()
    follow(rig)
    on_amend_reject(rig.core, intent, code, rig.now_ns)
    order = rig.live()[intent]
    assert (order["state"], order["price_ticks"]) == (OrderState.ORDER_OPEN, 100_010)
    assert cancels(follow(rig)) == [intent]
    rig.core.on_end(intent, False, 0, 1, rig.now_ns)
    assert places(follow(rig)) == [(-1, 100_008, 10)]


def test_a_refusal_that_is_not_about_amends_is_waited_for():
    rig, intent = pinned()
    follow(rig)
    on_amend_reject(rig.core, intent, -1021, rig.now_ns)
    assert cancels(follow(rig)) == [intent]
    rig.core.on_end(intent, False, 0, 1, rig.now_ns)
    assert follow(rig) == []
    rig.wait(SECOND_NS + 1)
    assert places(follow(rig)) == [(-1, 100_008, 10)]


def test_no_such_order_is_asked_about_and_cancelled():
    rig, intent = pinned()
    follow(rig)
    on_amend_reject(rig.core, intent, -2013, rig.now_ns)
    assert rig.live()[intent]["state"] == OrderState.ORDER_UNKNOWN
    assert cancels(rig.step()) == [intent]


def test_an_order_that_the_venue_ends_for_it_would_have_taken():
    rig, intent = pinned()
    follow(rig)
    rig.symbols[0].exec.all()
    rig.core.on_end(intent, False, 0, 1, rig.now_ns)
    (event,) = rig.symbols[0].exec.all()
    assert (event["kind"], event["venue_code"], event["price_ticks"]) == (ExecKind.EXEC_REJECT, -5022, 100_008)
    assert rig.symbols[0].counters["rejects_post_only"][0] == 1
    assert follow(rig) == []  # it waits like after any such refusal
    rig.wait(SECOND_NS)
    assert places(follow(rig)) == [(-1, 100_008, 10)]


def test_a_list_that_is_older_than_an_orders_end_does_not_bring_it_back():
    rig, intent = pinned()
    rig.core.on_end(intent, False, 4, 1, rig.now_ns)  # 4 lots filled, and no fill told yet
    assert rig.live()[intent]["qty_lots"] == 4
    assert done(rig, intent, 100_010, 10) and rig.live()[intent]["qty_lots"] == 4
    rig.fill({"symbol_id": 0, "intent_id": intent, "side": -1, "price_ticks": 100_010, "qty_lots": 4})
    assert rig.live() == {}


def test_old_words_do_not_undo_a_newer_amend():
    rig, intent = pinned()
    follow(rig)
    first_ns = rig.now_ns
    done(rig, intent)
    rig.wait(SECOND_NS)
    follow(rig, 100_006)
    assert on_amended(rig.core, intent, 100_008, 10, first_ns, rig.now_ns)  # the stream repeats the first
    assert rig.live()[intent]["state"] == OrderState.ORDER_PENDING_AMEND
    done(rig, intent, 100_006)
    assert on_amended(rig.core, intent, 100_008, 10, first_ns, rig.now_ns)
    order = rig.live()[intent]
    assert (order["state"], order["price_ticks"]) == (OrderState.ORDER_OPEN, 100_006) and rig.step() == []


def test_what_somebody_else_makes_of_it_meanwhile_counts_in_full_and_goes():
    rig, intent = pinned()
    follow(rig, 100_014, 12)
    assert not on_amended(rig.core, intent, 100_005, 11, rig.now_ns, rig.now_ns)
    assert cancels(rig.step()) == [intent]
    row = own_row(rig, intent)
    assert (row["price_ticks"], row["remaining_lots"]) == (100_005, 11)


# ---- by wire and by REST


def test_the_simulated_venue_does_what_is_encoded():
    venue, encoder = StillVenue(), OrderEncoder("s", b"k", None, 2000)
    encoder.add_symbol(0, "BTCUSDC", 1, 1, 3, 1)
    venue.market("BUY", "0.010")
    rig = Rig()
    rig.hold(10)
    rig.market(640_000, 640_010, 640_005)
    sent = rig.placed(asks=[(640_900, 10, True)], mode=PINNING)
    sent += rig.quote(asks=[(640_800, 1, True)], mode=PINNING)
    assert len(amends(sent)) == 1
    for action, send in zip(sent, (venue.exchange.place, venue.exchange.amend), strict=True):
        params = msgspec.json.decode(encoder.request(action, 1))["params"]
        answer = send(venue.account, {name: str(value) for name, value in params.items()}, venue.now_ns)
    assert (answer["price"], answer["origQty"], answer["reduceOnly"]) == ("64080.0", "0.001", True)
    (event,) = [e["o"] for e in venue.told if e["e"] == "ORDER_TRADE_UPDATE" and e["o"]["x"] == "AMENDMENT"]
    assert (event["p"], event["q"], event["c"]) == ("64080", "0.001", params["origClientOrderId"])


def answered(price: str, qty: str, status: str = "NEW", filled: str = "0") -> Order:
    return Order("SYM0", coid(1), 9, -1, status, price, qty, filled, "LIMIT", "GTX", True, 2)


@pytest.mark.parametrize(
    ("answer", "state", "price"),
    [
        (answered("10000.8", "0.010"), OrderState.ORDER_OPEN, 100_008),
        (answered("10000.8", "0.010", "CANCELED"), OrderState.ORDER_CLOSED, 100_010),
        (VenueReject(-5043, "", 400), OrderState.ORDER_OPEN, 100_010),
        (VenueReject(-5027, "", 400), OrderState.ORDER_OPEN, 100_008),
        (VenueReject(-2013, "", 400), OrderState.ORDER_UNKNOWN, 100_010),
        (VenueUnknown("timeout"), OrderState.ORDER_UNKNOWN, 100_010),
        (answered("10000.8", "0.010", "STRANGE"), OrderState.ORDER_UNKNOWN, 100_010),
        (answered("10000.7", "0.012"), OrderState.ORDER_PENDING_CANCEL, 100_007),
    ],
)
async def test_by_rest_it_goes_alone_and_says_again_that_it_only_reduces(answer, state, price):
    shell = Shell()
    shell.hold(10)
    (order,) = shell.placed(asks=[(100_010, 10, True)], mode=PINNING)
    shell.ladder(asks=[(100_008, 10, True)], mode=PINNING)
    shell.core.step(shell.now_ns)
    venue = FakeVenue(amend=answer)
    fallback = Fallback(shell.core, venue, shell.instruments, shell.replies, "sim", lambda: None)
    assert fallback.send() == 1
    await asyncio.gather(*fallback.tasks)
    assert venue.asked == [("amend", "SYM0", coid(order["intent_id"]), -1, "0.010", "10000.8", True)]
    found = shell.account.table.order(order["intent_id"])
    assert (found["state"], found["price_ticks"]) == (state, price)


# ---- quoter and gateway together


@pytest.fixture
def loop(tmp_path) -> Loop:
    """All of the inventory rests: 13 lots at the touch and 11 far away."""
    plain = params(tmp_path, max_daily_loss_e8=10**14)
    plain["net_max_lots"], plain["pin_enter"], plain["pin_exit"] = 40, 0.5, 0.4
    loop = Loop(plain)
    loop.turn()
    loop.hold(24)
    loop.pass_time(SECOND_NS)
    assert [lots for _, lots in sides(loop.ladder)[-1]] == [13, 11]
    return loop


def test_a_pinned_order_keeps_resting_while_it_follows_the_touch(loop):
    counters = loop.gateway_counters[0]
    sent = {name: int(counters[name]) for name in ("places", "amends", "cancels")}
    steps, lowest = 12, []
    original = loop.exchange
    loop.exchange = lambda action: (original(action), lowest.append(loop.live_lots(-1)))
    for _ in range(steps):
        loop.pass_time(2 * SECOND_NS, move=-1)
        assert sides(loop.ladder)[-1][0][0] in [o["price_ticks"] for o in loop.resting.values()]
    assert counters["places"] == sent["places"] and counters["cancels"] == sent["cancels"]
    assert counters["amends"] - sent["amends"] >= steps
    assert min(lowest) == 24, "a moment without an order"


def test_quotes_with_room_are_not_amended(tmp_path):
    loop = Loop(params(tmp_path))
    for move in (30, -30, 50):
        loop.pass_time(SECOND_NS, move=move)
    counters = loop.gateway_counters[0]
    assert counters["amends"] == 0 and counters["cancels"] > 0 and loop.live_lots(1) and loop.live_lots(-1)
