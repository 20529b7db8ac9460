"""What the gateway asks the venue, when, and what it does while nothing ends: by hand, to the nanosecond."""

from gateway_rig import MS_NS, SECOND_NS, Rig, cancels

from phx._core import questions
from phx._core.amend_answers import on_amended
from phx._core.enums import OrderState

PROOF_NS = 3 * SECOND_NS


def unknown(rig: Rig, bids=((99_990, 10),)) -> list[int]:
    intents = [order["intent_id"] for order in rig.quote(list(bids))]
    for intent in intents:
        rig.core.on_unknown(intent, rig.now_ns)
    rig.step()
    return intents


def due(rig: Rig, at_most: int = 8) -> list[int]:
    return [intent for intent, _ in questions.due_questions(rig.core, rig.now_ns, PROOF_NS, at_most)]


def test_an_order_is_asked_about_soon_then_seldom_and_when_absence_can_be_proven():
    rig = Rig()
    unknown(rig)
    began_ns, asked = rig.now_ns, []
    for _ in range(500):
        if due(rig):
            asked.append((rig.now_ns - began_ns) // MS_NS)
        rig.now_ns += 10 * MS_NS
    assert asked == [250, 1750, 3000, 3500, 4000, 4500]


def test_a_question_without_an_answer_is_due_again_at_once():
    rig = Rig()
    (intent,) = unknown(rig)
    rig.now_ns += 1750 * MS_NS
    assert due(rig) == [intent] and due(rig) == []
    questions.no_answer(rig.core, intent)
    assert due(rig) == [intent]
    questions.no_answer(rig.core, 12345)  # forgotten: nothing to note


def test_who_waits_longest_and_who_can_be_settled_is_asked_first():
    rig = Rig(symbols=1)
    first, second, third = unknown(rig, ((99_990, 10), (99_980, 10), (99_970, 10)))
    rig.now_ns += 300 * MS_NS
    assert due(rig, 2) == [first, second]
    assert due(rig, 2) == [third]
    rig.now_ns = rig.account.table.order(first)["sent_mono_ns"] + PROOF_NS
    assert due(rig, 2) == [first, second]


def test_absence_counts_from_when_the_bytes_left():
    rig = Rig()
    rig.ladder([(99_990, 10)])
    rig.core.step(rig.now_ns)
    action = rig.core.pop_action()
    rig.now_ns += SECOND_NS  # it stood in the queue for so long
    rig.core.sent(action["intent_id"], action["kind"], 0, 0, 0, rig.now_ns)
    assert rig.account.table.order(action["intent_id"])["sent_mono_ns"] == rig.now_ns


def test_an_order_that_will_not_go_is_stuck_after_a_while_however_often_it_changes_its_mind():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    rig.quote([])
    for _ in range(7):
        rig.core.on_cancel_reject(order["intent_id"], -2011, rig.now_ns)
        rig.core.on_accept(order["intent_id"], 5, 1, rig.now_ns)
        assert questions.stuck(rig.core, rig.now_ns) == set()
        rig.wait(SECOND_NS)
        rig.step()
    rig.now_ns += 1
    assert questions.stuck(rig.core, rig.now_ns) == {0}


def test_a_cancel_that_overtook_its_order_goes_again_the_moment_the_order_is_there():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    assert cancels(rig.quote([])) == [order["intent_id"]]
    rig.core.on_cancel_reject(order["intent_id"], -2011, rig.now_ns)
    assert rig.live()[order["intent_id"]]["state"] == OrderState.ORDER_UNKNOWN
    rig.core.on_accept(order["intent_id"], 5, 1, rig.now_ns)
    assert cancels(rig.step()) == [order["intent_id"]]
    rig.core.on_accept(order["intent_id"], 5, 1, rig.now_ns)  # told again: its cancel is on its way
    assert cancels(rig.step()) == []


def test_a_place_that_is_answered_after_its_cancel_left_leaves_only_the_cancel_open():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    rig.wait(900 * MS_NS)
    assert cancels(rig.quote([])) == [order["intent_id"]]
    rig.core.on_accept(order["intent_id"], 5, 1, rig.now_ns)
    rig.wait(200 * MS_NS)  # 1.1 s after the place, 0.2 s after the cancel
    rig.quote([])
    assert rig.live()[order["intent_id"]]["state"] == OrderState.ORDER_PENDING_CANCEL
    assert rig.symbols[0].counters["unknown_outcomes"][0] == 0


def absent(rig: Rig) -> int:
    (intent,) = unknown(rig)
    rig.core.on_absent(intent, rig.now_ns)
    rig.quote([])
    return intent


def test_an_order_that_comes_after_all_is_counted_once_and_cancelled_until_its_end_is_known():
    rig = Rig()
    intent = absent(rig)
    rig.core.on_accept(intent, 5, 1, rig.now_ns)
    rig.core.on_accept(intent, 5, 1, rig.now_ns)
    assert cancels(rig.step()) == [intent] and rig.core.zombies == 1
    questions.chase_zombies(rig.core, rig.now_ns + SECOND_NS - 1)
    assert cancels(rig.step()) == []
    rig.now_ns += SECOND_NS
    questions.chase_zombies(rig.core, rig.now_ns)
    assert cancels(rig.step()) == [intent]
    rig.core.on_end(intent, False, 0, 1, rig.now_ns)
    questions.chase_zombies(rig.core, rig.now_ns + 10 * SECOND_NS)
    assert cancels(rig.step()) == []


def test_a_refused_order_that_is_there_after_all_is_cancelled_too():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    rig.core.on_reject(order["intent_id"], -2019, rig.now_ns)
    rig.core.on_accept(order["intent_id"], 5, 1, rig.now_ns)
    assert cancels(rig.step()) == [order["intent_id"]] and rig.core.zombies == 1


def test_a_count_of_the_venue_above_the_fills_booked_names_order_and_lots():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    rig.core.on_reported(order["intent_id"], 7, rig.now_ns)
    rig.fill(order, 3)
    rig.now_ns += 500 * MS_NS
    assert questions.missing_fills(rig.core, rig.now_ns) == {}  # it may still be on its way
    rig.now_ns += 1
    assert questions.missing_fills(rig.core, rig.now_ns) == {0: [(order["intent_id"], 4)]}
    # The order is open all the same, and stays so when the rest never comes.
    questions.fills_accounted(rig.core, 0, rig.now_ns + 6 * SECOND_NS)
    assert rig.live()[order["intent_id"]]["state"] == OrderState.ORDER_OPEN
    assert questions.missing_fills(rig.core, rig.now_ns) == {}


def test_fills_read_from_the_history_before_their_order_was_known_count_for_it_once_it_is():
    rig = Rig()
    (intent,) = unknown(rig)
    rig.core.on_fill(0, 0, 0, 77, 1, 99_990, 4, 0, True, 1, rig.now_ns)
    rig.core.note_unattributed(0, 9_001, 4)
    rig.core.note_venue_order_id(intent, 9_001, rig.now_ns)
    assert rig.live()[intent]["filled_lots"] == 4 and rig.core.desk(0).position_lots == 4
    rig.core.note_venue_order_id(intent, 9_001, rig.now_ns)
    assert rig.live()[intent]["filled_lots"] == 4
    rig.core.on_end(intent, False, 4, 1, rig.now_ns)
    assert rig.live() == {}


def test_what_the_venue_says_in_words_nobody_knows_makes_the_order_unknown_cancelled_and_asked_about():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    rig.core.on_doubt(order["intent_id"], rig.now_ns)
    assert cancels(rig.step()) == [order["intent_id"]]
    assert questions.open_questions(rig.core, rig.now_ns) == [(order["intent_id"], 0)]
    assert rig.symbols[0].counters["unknown_outcomes"][0] == 1


def test_an_open_order_that_the_venue_denies_is_not_believed_open_any_more():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    rig.core.on_denied(order["intent_id"], rig.now_ns)
    assert rig.live()[order["intent_id"]]["state"] == OrderState.ORDER_UNKNOWN
    rig.core.on_absent(order["intent_id"], rig.now_ns)
    assert rig.live() == {}


def test_an_order_that_somebody_else_amended_counts_with_the_larger_quantity_and_goes():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    assert not on_amended(rig.core, order["intent_id"], 99_992, 25, rig.now_ns, rig.now_ns)
    assert cancels(rig.step()) == [order["intent_id"]]
    assert rig.symbols[0].own.newest()["remaining_lots"][0] == 25
    on_amended(rig.core, order["intent_id"], 99_980, 5, rig.now_ns, rig.now_ns)
    assert rig.live()[order["intent_id"]]["qty_lots"] == 25
    assert rig.live()[order["intent_id"]]["price_ticks"] == 99_992


def test_a_post_only_order_reported_as_expired_is_a_refusal():
    rig = Rig()
    for n in range(20):
        rig.wait(SECOND_NS)
        assert not rig.symbols[0].desk.latch_wanted
        (order,) = rig.quote([(99_000 + n, 10)])
        rig.core.on_accept(order["intent_id"], 5 + n, 1, rig.now_ns)  # told as new first: no proof of anything good
        rig.core.on_end(order["intent_id"], True, 0, 1, rig.now_ns)
        rig.step()
        if n == 0:
            assert rig.quote([(99_500, 10)]) == []
            rig.wait(200 * MS_NS)
            (again,) = rig.quote([(99_500, 10)])
            rig.core.on_end(again["intent_id"], False, 0, 1, rig.now_ns)
    assert rig.symbols[0].desk.latch_wanted


def test_a_session_that_breaks_sends_every_cancel_again_at_once_and_every_order_never():
    rig = Rig()
    first, second = rig.placed([(99_990, 10), (99_980, 10)])
    third = rig.quote([(99_980, 10), (99_970, 10)])  # the first one's cancel, and a place
    rig.core.on_session_lost(rig.now_ns)
    actions = rig.step()
    place = [a["intent_id"] for a in third if a["kind"] == 1]
    assert sorted(cancels(actions)) == sorted([first["intent_id"], *place])
    assert [a for a in actions if a["kind"] == 1] == []
    assert rig.live()[second["intent_id"]]["state"] == OrderState.ORDER_OPEN


def test_a_cancel_that_never_left_leaves_its_order_known():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    rig.ladder([])
    rig.core.step(rig.now_ns)
    rig.core.on_session_lost(rig.now_ns)
    assert rig.live()[order["intent_id"]]["state"] == OrderState.ORDER_PENDING_CANCEL
    assert cancels(rig.step()) == [order["intent_id"]]
