"""The order table: every edge of the state machine is walked, legal and illegal, against the table in words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.enums import OrderState
from phx._core.orders import OrderEvent, OrderTable, next_state

MINUTE_NS = 60_000_000_000
LIVE = ("PENDING_NEW", "OPEN", "PENDING_AMEND", "PENDING_CANCEL", "UNKNOWN")

# What each event means, state by state; a pair that is not listed leaves the state as it is, "-" can't happen.
MEANING = {
    "ACCEPTED": {"NONE": "-", "PENDING_NEW": "OPEN", "UNKNOWN": "PENDING_CANCEL"},
    "REFUSED": {
        "NONE": "-",
        "PENDING_NEW": "CLOSED",
        "OPEN": "-",
        "PENDING_AMEND": "-",
        "PENDING_CANCEL": "CLOSED",
        "UNKNOWN": "CLOSED",
    },
    "UNANSWERED": {
        "NONE": "-",
        "PENDING_NEW": "UNKNOWN",
        "PENDING_AMEND": "UNKNOWN",
        "PENDING_CANCEL": "UNKNOWN",
    },
    "CANCEL_SENT": {
        "NONE": "-",
        "PENDING_NEW": "PENDING_CANCEL",
        "OPEN": "PENDING_CANCEL",
        "PENDING_AMEND": "PENDING_CANCEL",
    },
    "NOT_FOUND": {"NONE": "-"} | dict.fromkeys(LIVE, "UNKNOWN"),
    "AMEND_SENT": dict.fromkeys(("NONE", *LIVE, "CLOSED"), "-") | {"OPEN": "PENDING_AMEND"},
    "AMENDED": {"NONE": "-", "PENDING_NEW": "OPEN", "PENDING_AMEND": "OPEN", "UNKNOWN": "PENDING_CANCEL"},
    "AMEND_REFUSED": {"NONE": "-", "PENDING_AMEND": "OPEN"},
    "FILLED": {"NONE": "-"} | dict.fromkeys(LIVE, "CLOSED"),
    "ENDED": {"NONE": "-"} | dict.fromkeys(LIVE, "CLOSED"),
    "ABSENT": {"NONE": "-", "OPEN": "-", "PENDING_AMEND": "-"}
    | dict.fromkeys(("PENDING_NEW", "PENDING_CANCEL", "UNKNOWN"), "CLOSED"),
    "DOUBTED": {"NONE": "-"} | dict.fromkeys(LIVE, "UNKNOWN"),
}


@pytest.mark.parametrize("event", MEANING)
def test_every_event_does_in_every_state_what_the_words_say(event):
    for state in OrderState:
        name = state.name.removeprefix("ORDER_")
        wanted = MEANING[event].get(name, name)
        found = next_state(state, OrderEvent[f"ORDER_{event}"])
        assert found == (None if wanted == "-" else OrderState[f"ORDER_{wanted}"]), f"{event} in {name}"


def test_every_event_is_described():
    assert {f"ORDER_{name}" for name in MEANING} == {e.name for e in OrderEvent} - {"ORDER_EVENTS"}


@given(st.lists(st.tuples(st.sampled_from([e for e in OrderEvent if e.name != "ORDER_EVENTS"]), st.integers(0, 4))))
@settings(max_examples=300, deadline=None)
def test_closed_is_for_ever_and_filled_stays_within_the_quantity(steps):
    table = OrderTable()
    intent = table.place(0, 1, 100, 10, 1)
    closed = False
    filled = 0
    for event, lots in steps:
        if lots:
            table.book_fill(intent, lots, 2)
        else:
            table.handle(intent, event, 2)
        order = table.order(intent)
        assert filled <= order["filled_lots"] <= order["qty_lots"]
        filled = order["filled_lots"]
        closed = closed or order["state"] == OrderState.ORDER_CLOSED
        assert (order["state"] == OrderState.ORDER_CLOSED) == closed
        assert (intent in table.live_intents(0)) == (not closed)


def test_a_fill_beyond_the_quantity_is_counted_and_closes():
    table = OrderTable()
    intent = table.place(0, 1, 100, 10, 1)
    assert table.book_fill(intent, 9, 1)
    assert not table.book_fill(intent, 2, 1)
    assert table.overfilled == 1 and table.order(intent)["state"] == OrderState.ORDER_CLOSED


def test_a_symbol_has_room_for_as_many_orders_as_own_can_show():
    table = OrderTable()
    intents = [table.place(3, 1, 100 + i, 1, 1) for i in range(128)]
    assert all(intents) and table.place(3, 1, 500, 1, 1) == 0
    assert table.place(4, 1, 500, 1, 1)
    table.handle(intents[5], OrderEvent.ORDER_ENDED, 2)
    assert table.place(3, 1, 500, 1, 1)
    assert table.live_intents(3)[:6] == [*intents[:5], intents[6]]


def test_a_slot_is_used_again_only_when_late_fills_are_over():
    table = OrderTable()
    first = table.place(0, 1, 100, 1, 1)
    for _ in range(8191):
        table.handle(table.place(1, 1, 100, 1, 1), OrderEvent.ORDER_ENDED, 1)
    # The first order is still live: its slot, which is next, is passed over. So are the others, closed just now.
    assert table.place(1, 1, 100, 1, MINUTE_NS) == 0
    assert table.order(first)["state"] == OrderState.ORDER_PENDING_NEW
    later = table.place(1, 1, 100, 1, MINUTE_NS + 2)
    assert later > 8192 and table.order(first) and table.order(later)
    assert table.order(later - 8192) is None


def test_events_that_fit_nothing_are_refused_or_counted():
    table = OrderTable()
    intent = table.place(0, 1, 100, 10, 1)
    with pytest.raises(KeyError):
        table.handle(intent + 1, OrderEvent.ORDER_ACCEPTED, 1)
    with pytest.raises(ValueError, match="event 99"):
        table.handle(intent, 99, 1)
    assert table.refused_events == 0
    table.handle(intent, OrderEvent.ORDER_AMEND_SENT, 1)
    assert table.refused_events == 1
