"""Position and profit against exact fractions: average cost, flips, fees and funding, nothing rounded away."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.position import PositionBook

fills = st.lists(
    st.tuples(
        st.sampled_from([1, -1]), st.integers(1, 2_000_000), st.integers(1, 100_000), st.integers(-(10**9), 10**9)
    ),
    max_size=60,
)


@given(fills, st.lists(st.integers(-(10**12), 10**12), max_size=5), st.integers(1, 2_000_000), st.integers(1, 10**6))
@settings(max_examples=400, deadline=None)
def test_profit_is_the_cash_flow_plus_the_value_held(trades, payments, mark, ticklot_e8):
    book = PositionBook(ticklot_e8)
    cash = held = fees = 0
    for side, price, lots, fee in trades:
        book.fill(side, price, lots, fee)
        cash -= side * price * lots
        held += side * lots
        fees += fee
    for payment in payments:
        book.fund(payment)
    state = book.state()
    assert state["position_lots"] == held
    assert book.pnl_e8(mark) == (cash + held * mark) * ticklot_e8 - fees + sum(payments)
    assert state["volume_ticklots"] == sum(price * lots for _, price, lots, _ in trades)
    if held == 0:
        assert state["open_cost_ticklots"] == 0 and state["realised_ticklots"] == cash


@given(fills)
@settings(max_examples=400, deadline=None)
def test_the_open_cost_is_the_average_price_within_the_rounding_of_each_close(trades):
    book = PositionBook()
    held, average, closes = 0, Fraction(0), 0
    for side, price, lots, _ in trades:
        book.fill(side, price, lots)
        if held * side >= 0:
            average = (average * abs(held) + price * lots) / (abs(held) + lots)
        else:
            closes += 1
            if lots >= abs(held):
                average, closes = (Fraction(price) if lots > abs(held) else Fraction(0)), 0
        held += side * lots
    assert abs(book.state()["open_cost_ticklots"] - average * held) <= closes


def test_volume_taken_is_told_from_volume_made():
    book = PositionBook()
    book.fill(1, 100, 10)
    book.fill(-1, 101, 4, maker=False)
    state = book.state()
    assert (state["volume_ticklots"], state["taker_volume_ticklots"]) == (1404, 404)


def test_a_flip_closes_at_the_average_and_opens_at_the_price():
    book = PositionBook()
    book.fill(1, 100, 10)
    book.fill(1, 110, 10)
    book.fill(-1, 120, 25)
    state = book.state()
    assert (state["position_lots"], state["open_cost_ticklots"]) == (-5, -600)
    assert state["realised_ticklots"] == 20 * 120 - (1000 + 1100)


def test_reducing_leaves_the_average_alone():
    book = PositionBook()
    book.fill(-1, 100, 9)
    book.fill(1, 90, 3)
    assert book.state()["open_cost_ticklots"] == -600 and book.state()["realised_ticklots"] == 30


@pytest.mark.parametrize("bad", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (2, 1, 1), (1, -5, 1)])
def test_a_fill_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match="fill"):
        PositionBook().fill(*bad)


def test_a_short_s_books_are_a_long_s_with_the_sign_changed():
    for side in (1, -1):
        book = PositionBook()
        book.fill(side, 100, 1)
        book.fill(side, 101, 2)  # 302 for 3 lots: a third is no whole number
        book.fill(-side, 100, 1)
        state = book.state()
        assert (state["open_cost_ticklots"], state["realised_ticklots"]) == (side * 202, 0)
