"""The diff against a model of ten lines: cancels and places that make what exists equal what is wanted."""

from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.diff import diff
from phx._core.enums import OrderState

OPEN, NEW = OrderState.ORDER_OPEN, OrderState.ORDER_PENDING_NEW
LEAVING = (OrderState.ORDER_PENDING_CANCEL, OrderState.ORDER_UNKNOWN)


def layer(price, qty=10, reduce_only=False):
    return price, qty, reduce_only


def order(price, qty=10, state=OPEN, side=1, reduce_only=False):
    return side, price, qty, state, reduce_only


def test_equal_prices_and_sizes_need_nothing():
    assert diff([layer(100), layer(99)], [order(99), order(100, state=NEW)], 1) == ([], [], [])


def test_only_exact_prices_serve():
    assert diff([layer(100)], [order(101)], 1) == ([0], [0], [])


def test_smaller_within_the_tolerance_stays_and_beyond_it_is_replaced():
    assert diff([layer(100, 10)], [order(100, 5)], 1, 0.5) == ([], [], [])
    # The old one still holds the price until the venue has confirmed.
    assert diff([layer(100, 10)], [order(100, 4)], 1, 0.5) == ([0], [], [0])


def test_larger_than_wanted_is_cut():
    assert diff([layer(100, 10)], [order(100, 11)], 1, 0.5) == ([0], [], [0])


def test_the_other_side_is_none_of_its_business():
    assert diff([layer(100)], [order(100, side=-1)], 1) == ([], [0], [])


def test_an_order_with_another_reduce_only_flag_is_replaced():
    assert diff([layer(100, 10, True)], [order(100)], 1) == ([0], [], [0])


def test_a_leaving_order_serves_nothing_but_its_price_stays_taken():
    for state in LEAVING:
        assert diff([layer(100), layer(99)], [order(100, state=state)], 1) == ([], [1], [0])


def test_cancels_come_nearest_first_on_either_side():
    assert diff([], [order(97), order(99), order(98)], 1)[0] == [1, 2, 0]
    assert diff([], [order(p, side=-1) for p in (97, 99, 98)], -1)[0] == [0, 2, 1]


def test_of_two_orders_at_one_price_one_serves_and_the_other_goes():
    cancels, places, _ = diff([layer(100)], [order(100), order(100)], 1)
    assert cancels == [1] and places == []


wanted_sides = st.lists(
    st.tuples(st.integers(1, 12), st.integers(1, 8), st.booleans()), max_size=8, unique_by=lambda w: w[0]
)
live_orders = st.lists(
    st.tuples(
        st.sampled_from([1, -1]),
        st.integers(1, 12),
        st.integers(1, 8),
        st.sampled_from([NEW, OPEN, *LEAVING]),
        st.booleans(),
    ),
    max_size=12,
)


@given(wanted_sides, live_orders, st.sampled_from([1, -1]))
@settings(max_examples=500, deadline=None)
def test_after_the_changes_every_layer_is_served_once_or_waits_for_its_price(wanted, live, side):
    cancels, places, occupied = diff(wanted, live, side, 0.5)
    staying = [o for i, o in enumerate(live) if o[0] == side and o[3] not in LEAVING and i not in cancels]
    for index, (price, qty, reduce_only) in enumerate(wanted):
        serving = [o for o in staying if o[1] == price]
        held = any(o[0] == side and o[1] == price for i, o in enumerate(live) if o[3] in LEAVING or i in cancels)
        if serving:
            ((_, _, remaining, _, flag),) = serving
            assert qty / 2 <= remaining <= qty and flag == reduce_only
            assert index not in places
        else:
            assert (index in places) == (not held) and (index in occupied) == held
    assert {o[1] for o in staying} <= {w[0] for w in wanted}
    assert all(live[i][0] == side and live[i][3] not in LEAVING for i in cancels)
    assert places == sorted(places)
