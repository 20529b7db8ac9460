"""Requests without a usable answer: cancelled at once, never repeated, ended by evidence."""

import pytest
from gateway_rig import MS_NS, SECOND_NS, Rig, cancels, places

from phx._core import questions
from phx._core.enums import OrderState, RejectReason


def test_an_unknown_order_counts_in_full_is_cancelled_at_once_and_never_sent_again():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    rig.core.on_unknown(order["intent_id"], rig.now_ns)
    actions = rig.step()
    assert cancels(actions) == [order["intent_id"]] and places(actions) == []
    own = rig.symbols[0].own.newest()
    assert own["state"][0] == OrderState.ORDER_UNKNOWN and own["remaining_lots"][0] == 10
    rig.symbols[0].exec.all()
    # Its side waits, the other one does not.
    assert places(rig.quote([(99_980, 10)], [(100_010, 10)])) == [(-1, 100_010, 10)]
    assert rig.reasons() == [RejectReason.REJECT_UNKNOWN_ORDER]


def test_a_request_without_an_answer_becomes_unknown_by_itself():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    rig.wait(1100 * MS_NS)
    assert cancels(rig.step()) == [order["intent_id"]]
    assert rig.live()[order["intent_id"]]["state"] == OrderState.ORDER_UNKNOWN
    assert rig.symbols[0].counters["unknown_outcomes"][0] == 1


def test_no_such_order_on_a_cancel_proves_nothing():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    rig.quote([])
    rig.core.on_cancel_reject(order["intent_id"], -2011, rig.now_ns)
    rig.step()
    assert rig.live()[order["intent_id"]]["state"] == OrderState.ORDER_UNKNOWN
    assert questions.open_questions(rig.core, rig.now_ns) == [(order["intent_id"], 0)]
    rig.fill(order)
    assert rig.live() == {} and rig.core.desk(0).position_lots == 10


def test_an_unknown_order_that_shows_up_is_leaving_and_its_end_is_evidence():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    rig.core.on_unknown(order["intent_id"], rig.now_ns)
    rig.step()
    rig.core.on_accept(order["intent_id"], 5, 1, rig.now_ns)
    assert rig.live()[order["intent_id"]]["state"] == OrderState.ORDER_PENDING_CANCEL
    rig.core.on_end(order["intent_id"], False, 0, 1, rig.now_ns)
    assert rig.live() == {}


def test_an_order_that_appears_after_its_absence_was_proven_is_cancelled():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    rig.core.on_unknown(order["intent_id"], rig.now_ns)
    rig.step()
    rig.wait(3 * SECOND_NS)
    rig.core.on_absent(order["intent_id"], rig.now_ns)
    rig.step()
    assert rig.live() == {}
    rig.core.on_accept(order["intent_id"], 5, 1, rig.now_ns)
    assert order["intent_id"] in cancels(rig.step())


def test_a_cancel_that_is_not_confirmed_is_repeated():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    assert cancels(rig.quote([])) == [order["intent_id"]]
    again = []
    for _ in range(5):
        rig.wait(600 * MS_NS)
        rig.ladder([])
        again += cancels(rig.step())
    assert again == [order["intent_id"]] * 2


@pytest.mark.parametrize(("answered", "sent_s"), [(True, [0, 2, 5, 11, 23, 47]), (False, [0, 2, 4, 6, 8, 12, 20, 36])])
def test_cancels_of_an_order_that_will_not_go_come_ever_more_seldom_but_for_the_first_lost_ones(answered, sent_s):
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    sent = []
    for second in range(60):
        actions = rig.quote() if second == 0 else later(rig)
        sent += [second] * len(cancels(actions))
        if actions and answered:
            rig.core.on_cancel_reject(order["intent_id"], -2011, rig.now_ns)
    assert sent == sent_s


def later(rig: Rig) -> list[dict]:
    rig.wait(SECOND_NS)
    return rig.step()


def test_a_lost_session_makes_every_open_request_unknown():
    rig = Rig()
    rig.placed([(99_990, 10)])
    rig.quote([(99_990, 10), (99_980, 10)])
    rig.core.on_session_lost(rig.now_ns)
    states = sorted(o["state"] for o in rig.live().values())
    assert states == [OrderState.ORDER_OPEN, OrderState.ORDER_UNKNOWN]


def unknown_counts(rig: Rig) -> tuple[int, int]:
    rig.step()
    counters = rig.symbols[0].counters
    return int(counters["unknown_outcomes"][0]), int(counters["unknown_resolved"][0])


@pytest.mark.parametrize(
    "evidence",
    [
        lambda rig, order: rig.core.on_accept(order["intent_id"], 5, 1, rig.now_ns),
        lambda rig, order: rig.core.on_reject(order["intent_id"], -2019, rig.now_ns),
        lambda rig, order: rig.core.on_end(order["intent_id"], False, 0, 1, rig.now_ns),
        lambda rig, order: rig.core.on_absent(order["intent_id"], rig.now_ns),
        lambda rig, order: rig.fill(order),
        lambda rig, order: rig.fill(order, 3),
    ],
)
def test_an_unknown_outcome_is_counted_once_and_so_is_its_evidence(evidence):
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    rig.core.on_unknown(order["intent_id"], rig.now_ns)
    assert unknown_counts(rig) == (1, 0)
    # The cancel that went after it has no answer either: still one order.
    rig.core.on_unknown(order["intent_id"], rig.now_ns)
    assert unknown_counts(rig) == (1, 0)
    evidence(rig, order)
    assert unknown_counts(rig) == (1, 1)


def test_a_cancel_that_comes_too_late_is_no_unknown_outcome():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    rig.quote([])
    rig.core.on_cancel_reject(order["intent_id"], -2011, rig.now_ns)
    rig.core.on_end(order["intent_id"], False, 0, 1, rig.now_ns)
    assert unknown_counts(rig) == (0, 0)


def test_an_order_whose_bytes_never_left_is_no_unknown_outcome():
    rig = Rig()
    rig.ladder([(99_990, 10)])
    rig.core.step(rig.now_ns)
    rig.core.on_session_lost(rig.now_ns)
    assert rig.live() == {} and unknown_counts(rig) == (0, 0)
