"""What the gateway does with words it does not know, orders that are not its own, and a venue that does not answer."""

import asyncio
import time
from types import SimpleNamespace

import pytest
from gateway_rig import SECOND_NS, cancels
from test_gateway_life import Life
from test_gateway_shell import FakeVenue, Shell, coid, order_of, trade_of, unknown_order

from phx._core import questions
from phx._core.enums import OrderState
from phx.gateway import reconcile
from phx.gateway.session import Fallback
from phx.latches import Latches
from phx.venue.binance.messages import api_reply
from phx.venue.interface import Order, Position, VenueDown, VenueReject

FOREIGN = Order("SYM0", "web_1", 5, 1, "NEW", "9999", "0.01", "0", "LIMIT", "GTC", False, 1)


@pytest.fixture
def shell() -> Shell:
    return Shell()


# ---- words nobody knows --------------------------------------------------------------------------------------------


def test_an_execution_that_nobody_knows_makes_an_open_order_unknown_and_asked_about(shell):
    (order,) = shell.placed([(99_990, 10)])
    shell.update(order, "TELEPORTED", "SOMEWHERE")
    assert shell.live()[order["intent_id"]]["state"] == OrderState.ORDER_UNKNOWN
    assert cancels(shell.step()) == [order["intent_id"]]
    assert questions.open_questions(shell.core, shell.now_ns) == [(order["intent_id"], 0)]


def test_a_new_kind_of_event_and_new_fields_are_survived(shell):
    (order,) = shell.placed([(99_990, 10)])
    shell.hear('{"e":"SOMETHING_NEW","E":1,"x":{"deep":[1,2]}}')
    shell.update(order, "EXPIRED", "EXPIRED_IN_MATCH", er='5","novel":"field')
    assert shell.live() == {}


def test_a_cancel_answered_with_filled_waits_for_the_fills(shell):
    (order,) = shell.placed([(99_990, 10)])
    shell.quote([])
    shell.answer(order["intent_id"] * 4 + 3, shell.row(order["intent_id"], "FILLED", "0.010"))
    assert shell.live()[order["intent_id"]]["reported_lots"] == 10
    shell.fill(order)
    assert shell.live() == {}


@pytest.mark.parametrize("request_id", ["null", "0", "-3", '"x"', "true"])
def test_a_rate_limit_without_a_request_of_ours_is_heard_all_the_same(shell, request_id):
    body = f'{{"id":{request_id},"status":429,"error":{{"code":-1003,"msg":"Too many requests"}}}}'
    try:
        shell.replies.handle(api_reply(body.encode()), shell.now_ns)
    except ValueError:
        assert request_id == "true"  # such a reply cannot even be read
    else:
        assert shell.limits == [(False, 0)]


def test_an_answer_by_rest_with_a_number_that_is_none_keeps_no_other_from_being_heard(shell):
    placed = shell.placed([(99_990, 10), (99_980, 10)])
    shell.ladder([])
    shell.core.step(shell.now_ns)
    ids = [order["intent_id"] for order in placed]
    answers = [order_of(ids[0], "CANCELED", "1e400"), order_of(ids[1], "CANCELED")]
    fallback = Fallback(
        shell.core, FakeVenue(cancel_batch=answers), shell.instruments, shell.replies, "sim", lambda: None
    )

    async def send():
        assert fallback.send() == 2
        await asyncio.gather(*fallback.tasks)

    asyncio.run(send())
    assert list(shell.live()) == [ids[0]]
    shell.wait(2 * SECOND_NS)
    shell.step()
    assert shell.live()[ids[0]]["state"] == OrderState.ORDER_UNKNOWN


# ---- orders that are not ours --------------------------------------------------------------------------------------


def test_a_foreign_order_is_counted_once_whoever_tells_and_never_touched(shell):
    shell.reconciliation.on_foreign = shell.events.foreign
    shell.venue.answers["open_orders"] = [FOREIGN]
    for _ in range(2):
        shell.update({"intent_id": 5, "side": 1}, "NEW", "NEW", c="web_1")
        asyncio.run(shell.reconciliation.compare_open_orders())
    assert shell.events.foreign_seen == 1
    assert not [asked for asked in shell.venue.asked if asked[0].startswith("cancel")]


def test_an_order_of_ours_that_the_table_has_forgotten_is_cancelled_when_it_appears(shell, monkeypatch):
    # Its name was given long ago: thousands of orders have come since.
    monkeypatch.setattr("phx.gateway.user_events.questions", SimpleNamespace(never_sent=lambda core, intent_id: False))
    shell.update({"intent_id": 4711, "side": 1}, "NEW", "NEW", c=coid(4711))
    assert shell.zombies == [("SYM0", coid(4711))]
    shell.update({"intent_id": 4711, "side": 1}, "NEW", "FILLED", c=coid(4711))
    assert len(shell.zombies) == 1


@pytest.mark.parametrize("name", ["autoclose-1", "adl_autoclose", "settlement_autoclose-7", "delivery_autoclose-7"])
def test_the_fastest_word_of_a_forced_order_is_enough(shell, name):
    shell.hear(
        '{"e":"TRADE_LITE","E":1,"T":1,"s":"SYM0","q":"0.010","p":"9999.0","m":false,'
        f'"c":"{name}","S":"SELL","L":"9999.0","l":"0.010","t":8716,"i":8187}}'
    )
    assert shell.forced == [("SYM0", name)] and shell.core.desk(0).position_lots == -10


def test_a_forced_order_stops_the_symbol_at_once_and_for_the_lives_to_come(tmp_path):
    shell = Shell()
    gateway = Life(shell, tmp_path)
    gateway._on_forced("SYM0", "autoclose-1")
    assert shell.core.desk(0).latched
    assert [latch.symbol for latch in Latches(tmp_path).all()] == ["SYM0"]


@pytest.mark.parametrize("asked", ["ask", "compare_open_orders"])
def test_what_somebody_made_of_an_order_while_nobody_listened_is_seen_when_the_venue_is_asked(shell, asked):
    (order,) = shell.placed([(99_990, 10)])
    amended = Order("SYM0", coid(order["intent_id"]), 77, 1, "NEW", "9999.5", "0.9", "0", "LIMIT", "GTX", False, 2)
    shell.venue.answers |= {"open_orders": [amended], "order_status": amended}
    look = getattr(shell.reconciliation, asked)
    asyncio.run(look(order["intent_id"], 0) if asked == "ask" else look())
    known = shell.live()[order["intent_id"]]
    assert (known["price_ticks"], known["qty_lots"]) == (99_995, 900)
    assert cancels(shell.step()) == [order["intent_id"]]


# ---- fills that are missing ----------------------------------------------------------------------------------------


def test_a_fill_that_the_stream_lost_is_missed_by_the_next_ones_count(shell):
    (order,) = shell.placed([(99_990, 10)])
    shell.update(order, "TRADE", "PARTIALLY_FILLED", l="0.002", z="0.006", L="9999", n="0", t=502)
    later_ns = shell.now_ns + SECOND_NS
    assert questions.missing_fills(shell.core, later_ns) == {0: [(order["intent_id"], 4)]}


def test_missing_fills_are_read_from_the_history_but_not_again_and_again(shell):
    shell.now_ns = time.monotonic_ns() - 10 * SECOND_NS
    shell.market()
    shell.prove()
    (order,) = shell.placed([(99_990, 10)])
    shell.core.note_venue_order_id(order["intent_id"], 77, shell.now_ns)
    shell.core.on_reported(order["intent_id"], 4, shell.now_ns)
    for _ in range(3):
        asyncio.run(shell.reconciliation.ask_questions())
    assert len([asked for asked in shell.venue.asked if asked[0] == "user_trades"]) == 1
    shell.venue.answers["user_trades"] = [trade_of(1, "0.004")]
    shell.reconciliation.looked_ns[0] = 0
    shell.core.on_reported(order["intent_id"], 4, shell.now_ns)
    asyncio.run(shell.reconciliation.read_trades("SYM0"))
    assert shell.live()[order["intent_id"]]["filled_lots"] == 4


def test_fills_that_the_history_told_before_the_order_was_known_close_it_when_it_is():
    shell = Shell(user_trades=[trade_of(1, "0.004")])
    intent = unknown_order(shell)
    asyncio.run(shell.reconciliation.read_trades("SYM0"))  # nobody knows yet whose 77 is
    assert shell.core.desk(0).position_lots == 4 and shell.live()[intent]["filled_lots"] == 0
    shell.venue.answers["order_status"] = order_of(intent, "CANCELED", "0.004")
    asyncio.run(shell.reconciliation.ask(intent, 0))
    assert shell.live() == {}


# ---- pages ---------------------------------------------------------------------------------------------------------


def paged(trades):
    """An account's history that tells at most `limit` fills at once, from an id or a time on."""

    async def user_trades(symbol, start_ms=None, from_id=None, limit=1000):
        return [trade for trade in trades if trade.trade_id >= (from_id or 0)][:limit]

    return user_trades


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7])
def test_every_page_of_the_history_is_read(monkeypatch, count):
    monkeypatch.setattr(reconcile, "PAGE", 3)
    shell = Shell()
    shell.venue.user_trades = paged([trade_of(10 * i, "0.001") for i in range(1, count + 1)])
    asyncio.run(shell.reconciliation.read_trades("SYM0"))
    assert shell.core.desk(0).position_lots == count


def test_a_history_that_never_ends_is_refused(monkeypatch):
    monkeypatch.setattr(reconcile, "PAGE", 2)
    shell = Shell(user_trades=[trade_of(1), trade_of(2)])  # whatever is asked for
    with pytest.raises(VenueDown, match="from 3 on"):
        asyncio.run(shell.reconciliation.read_trades("SYM0"))


# ---- a venue that does not answer ----------------------------------------------------------------------------------


def test_one_question_without_an_answer_keeps_no_other_from_its_own():
    shell = Shell()
    intent = unknown_order(shell)
    shell.now_ns = time.monotonic_ns() - 9 * SECOND_NS
    shell.market()
    shell.prove()
    (other,) = [action for action in shell.quote([], [(100_010, 10)]) if action["side"] < 0]
    shell.core.on_unknown(other["intent_id"], shell.now_ns)

    async def order_status(symbol, name):
        if name == coid(intent):
            raise VenueDown("not now")
        raise VenueReject(-2013, "Order does not exist.", 400)

    shell.venue.order_status = order_status
    with pytest.raises(VenueDown):
        asyncio.run(shell.reconciliation.ask_questions())
    assert list(shell.live()) == [intent]
    assert questions.due_questions(shell.core, time.monotonic_ns(), 3 * SECOND_NS, 8) == [(intent, 0)]


def test_a_venue_that_is_down_gets_one_question_a_second():
    shell = Shell(order_status=VenueDown("down"))
    unknown_order(shell)
    asked = []
    for _ in range(12):
        try:
            asyncio.run(shell.reconciliation.ask_questions())
        except VenueDown:
            asked.append(1)
    assert len(asked) == reconcile.SILENT_ROUNDS


@pytest.mark.parametrize("answer", [order_of(1), VenueDown("questions are not answered")])
def test_orders_that_will_not_go_are_cleared_by_the_symbol_and_others_left_alone(answer, monkeypatch):
    shell = Shell(open_orders=[order_of(1), FOREIGN], order_status=answer, cancel_batch=[order_of(1)])
    shell.now_ns = time.monotonic_ns() - 8 * SECOND_NS
    shell.market()
    shell.prove()
    shell.placed([(99_990, 10)])
    shell.quote([])

    async def live():
        loops = asyncio.create_task(shell.reconciliation.run())
        while not any(asked[0].startswith("cancel") for asked in shell.venue.asked):
            await asyncio.sleep(0.01)
        loops.cancel()

    monkeypatch.setattr(reconcile, "CLEAR_S", 0.3)
    asyncio.run(asyncio.wait_for(live(), 10.0))
    cancelled = [asked for asked in shell.venue.asked if asked[0].startswith("cancel")]
    assert cancelled == [("cancel_batch", "SYM0", [coid(1)])]


def test_a_difference_of_positions_is_told_with_the_newest_fill_and_the_orders_in_question(caplog):
    shell = Shell(positions=[Position("SYM0", "0.005", "9999.5", "BOTH", 1)])
    asyncio.run(shell.reconciliation.compare_positions())
    assert "position 0 lots, the venue says 5; newest fill booked 0" in caplog.text
