"""What only the history of the venue tells: whose fills they were, what it closed by itself, fees that are late."""

import asyncio
import time

import pytest
from gateway_rig import SECOND_NS
from test_gateway_shell import Shell, coid, order_of, trade_of

from phx._core import questions
from phx.gateway import epoch as lives
from phx.gateway import reconcile
from phx.gateway.startup import restore_books
from phx.gateway.user_events import FORCED
from phx.venue.interface import Order, Position, VenueDown, VenueReject


def venue_order(client_id: str, order_id: int = 77, status: str = "FILLED") -> Order:
    return Order("SYM0", client_id, order_id, -1, status, "9999", "0.004", "0.004", "LIMIT", "IOC", False, 1)


class Told(Shell):
    """A gateway that notes what its reconciliation found to be the venue's own doing, or others'."""

    def __init__(self, **answers):
        super().__init__(**answers)
        self.foreign = []
        self.reconciliation.on_forced = lambda *forced: self.forced.append(forced)
        self.reconciliation.on_foreign = lambda *foreign: self.foreign.append(foreign)

    def read(self) -> None:
        asyncio.run(self.reconciliation.read_trades("SYM0"))
        asyncio.run(self.reconciliation.attribute())

    def asked(self, name: str) -> list:
        return [asked for asked in self.venue.asked if asked[0] == name]


# ---- whose fill it was ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", FORCED)
def test_what_the_venue_closed_while_the_stream_was_down_is_told_like_from_the_stream(prefix):
    shell = Told(user_trades=[trade_of(1), trade_of(2)], order_by_id=venue_order(prefix + "1"))
    shell.read()
    shell.read()
    assert shell.core.desk(0).position_lots == 8
    assert shell.forced == [("SYM0", prefix + "1")] and len(shell.asked("order_by_id")) == 1


def test_a_fill_of_somebody_elses_order_is_told():
    shell = Told(user_trades=[trade_of(1)], order_by_id=venue_order("web_1"))
    shell.read()
    assert shell.foreign == [("SYM0", "web_1")] and shell.forced == []


def test_our_order_whose_answer_was_lost_is_recognised_by_its_fill():
    shell = Told(user_trades=[trade_of(1, "0.010")], order_by_id=lambda *_: order_of(intent, "FILLED", "0.01"))
    (order,) = shell.quote([(99_990, 10)])
    intent = order["intent_id"]
    shell.read()
    assert shell.live() == {} and shell.forced == shell.foreign == []


def test_a_fill_that_the_stream_told_needs_no_question():
    shell = Told(user_trades=[trade_of(1)])
    (order,) = shell.placed([(99_990, 10)])
    shell.update(order, "TRADE", "PARTIALLY_FILLED", l="0.004", z="0.004", L="9999", n="0.001", t=1)
    shell.read()
    assert shell.asked("order_by_id") == []


def test_a_question_without_an_answer_is_asked_again_and_one_refused_is_not():
    shell = Told(user_trades=[trade_of(1)], order_by_id=VenueDown("no answer"))
    with pytest.raises(VenueDown):
        shell.read()
    shell.venue.answers["order_by_id"] = VenueReject(-2013, "Order does not exist.", 400)
    for _ in range(2):
        asyncio.run(shell.reconciliation.attribute())
    assert len(shell.asked("order_by_id")) == 2


def test_what_the_venue_closed_between_two_lives_is_told_before_the_second_trades():
    answers = {"user_trades": [trade_of(i, order_id=70 + i) for i in range(1, 9)]}
    orders = {70 + i: venue_order(coid(i, 3), 70 + i) for i in range(1, 8)} | {78: venue_order("adl_autoclose", 78)}
    position = Position("SYM0", "0.032", "9999", "BOTH", 1)
    shell = Told(positions=[position], order_by_id=lambda symbol, order_id: orders[order_id], **answers)
    former = lives.Inherited(dict.fromkeys(lives.TOTALS, 0), set(), 0, 1)
    asyncio.run(restore_books(shell.reconciliation, {"SYM0": former}))
    assert shell.forced == [("SYM0", "adl_autoclose")] and shell.core.desk(0).position_lots == 32


# ---- what others do on the account, with every event of it lost -----------------------------------------------------


def test_a_trade_of_somebody_else_is_found_by_the_position_booked_and_told():
    shell = Told(order_by_id=venue_order("web_1"), positions=[Position("SYM0", "0.004", "9999", "BOTH", 1)])
    shell.venue.answers["user_trades"] = [trade_of(1)]
    asyncio.run(shell.reconciliation.compare_positions())
    asyncio.run(shell.reconciliation.attribute())
    assert shell.core.desk(0).position_lots == 4 and shell.foreign == [("SYM0", "web_1")]
    assert int(shell.symbols[0].counters["position_drift"][0]) == 0  # explained by a fill, not taken over


def test_what_others_do_is_looked_for_often_enough_to_be_told_within_ten_seconds():
    # A look, an answer that takes its longest, and the question whose order it was.
    answer_s = 3.0 - reconcile.STRANGERS_S
    assert max(reconcile.OPEN_ORDERS_S, reconcile.POSITIONS_S) + answer_s < 10
    assert reconcile.STRIKES * reconcile.POSITIONS_S <= 10


# ---- fees that are late --------------------------------------------------------------------------------------------


def quickly_told(shell: Shell, at_ns: int) -> dict:
    """A fill of which only TRADE_LITE was heard."""
    (order,) = shell.placed([(99_990, 10)])
    shell.now_ns = at_ns
    shell.hear(
        '{"e":"TRADE_LITE","E":1788231624647,"T":1788231624647,"s":"SYM0","q":"0.010","p":"9999.0","m":true,'
        f'"c":"{coid(order["intent_id"])}","S":"BUY","L":"9999.0","l":"0.004","t":1,"i":77}}'
    )
    return order


def test_a_fee_that_does_not_follow_its_fill_is_looked_up_within_two_seconds():
    shell = Told(user_trades=[trade_of(1)])
    quickly_told(shell, time.monotonic_ns() - SECOND_NS // 2)
    asyncio.run(shell.reconciliation.ask_questions())
    assert shell.asked("user_trades") == []
    shell.core.fees_missing[0, 1] = time.monotonic_ns() - questions.FEE_SETTLE_NS - 1
    asyncio.run(shell.reconciliation.ask_questions())
    assert shell.core.desk(0).totals()["fees_e8"] == 100_000 and shell.core.desk(0).position_lots == 4
    assert shell.core.fees_missing == {} and questions.FEE_SETTLE_NS <= SECOND_NS


def test_a_fee_that_follows_is_not_looked_up():
    shell = Told()
    order = quickly_told(shell, time.monotonic_ns() - 10 * SECOND_NS)
    shell.update(order, "TRADE", "PARTIALLY_FILLED", l="0.004", z="0.004", L="9999", n="0.001", t=1)
    asyncio.run(shell.reconciliation.ask_questions())
    assert shell.asked("user_trades") == [] and shell.core.fees_missing == {}


def test_a_fee_that_never_comes_is_left_to_the_regular_reading():
    shell = Told(user_trades=[])
    quickly_told(shell, 1)
    now_ns = 1 + questions.FEE_SETTLE_NS
    assert questions.missing_fees(shell.core, now_ns) == set()
    assert questions.missing_fees(shell.core, now_ns + 1) == {0}
    assert questions.missing_fees(shell.core, 1 + questions.FEE_GIVEN_UP_NS + 1) == set()
    assert shell.core.fees_missing == {}
