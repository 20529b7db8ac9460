"""The order book against a dict of prices: the same levels after any sequence of updates, wherever the market goes."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.book import OrderBook
from phx._core.records import LEVELS

WINDOW = 32768  # ticks; the tests go far beyond it


class DictBook:
    """The model: a dict per side."""

    def __init__(self):
        self.sides = {1: {}, -1: {}}

    def update(self, side, price, lots):
        if lots:
            self.sides[side][price] = lots
        else:
            self.sides[side].pop(price, None)

    def levels(self, side):
        return sorted(self.sides[side].items(), reverse=side > 0)[:LEVELS]

    def top(self):
        bid = self.levels(1)[0] if self.sides[1] else (None, 0)
        ask = self.levels(-1)[0] if self.sides[-1] else (None, 0)
        return (*bid, *ask)


def assert_same(book: OrderBook, model: DictBook):
    assert book.top() == model.top()
    assert book.levels(1) == model.levels(1)
    assert book.levels(-1) == model.levels(-1)
    for side in (1, -1):
        whole = sorted(model.sides[side].items(), reverse=side > 0)
        assert book.deep_levels(side, 10**9) == whole and book.deep_levels(side, 3) == whole[:3]
    assert book.sizes() == (len(model.sides[1]), len(model.sides[-1]), 0)


# Prices that crowd around a few places, so that levels meet, empty and leave windows.
PLACES = st.sampled_from([1, 10_000, 10_000 + WINDOW // 2, 10_000 + WINDOW, 10**6, 10**9, 10**12])
PRICES = st.builds(lambda place, offset: max(1, place + offset), PLACES, st.integers(-200, 200))
UPDATES = st.lists(
    st.tuples(st.sampled_from([1, -1]), PRICES, st.one_of(st.just(0), st.integers(1, 10**15))), max_size=80
)


@settings(max_examples=200, deadline=None)
@given(UPDATES)
def test_a_book_holds_what_a_dict_holds(updates):
    book, model = OrderBook(), DictBook()
    for side, price, lots in updates:
        book.update(side, price, lots)
        model.update(side, price, lots)
        assert book.top() == model.top()
    assert_same(book, model)


@pytest.mark.parametrize("step", [3, 400, 20_000])
def test_a_market_that_walks_far_away_stays_exact(step):
    dice = random.Random(step)
    book, model = OrderBook(), DictBook()
    centre = 5_000_000
    for n in range(6_000):
        centre = max(1_000, centre + dice.randint(-step, step))
        side = dice.choice((1, -1))
        price = max(1, centre - side * dice.choice((0, 1, 2, 5, 50, 3_000, 40_000)))
        lots = dice.choice((0, 0, 1, 7, 10**9))
        book.update(side, price, lots)
        model.update(side, price, lots)
        if n % 7 == 0:
            # Empty the top, as a sweep does.
            for best in model.levels(side)[:2]:
                book.update(side, best[0], 0)
                model.update(side, best[0], 0)
        if n % 50 == 0:
            assert_same(book, model)
    assert_same(book, model)


def test_a_side_that_empties_completely_begins_anew_elsewhere():
    book = OrderBook()
    book.update(1, 100, 5)
    book.update(1, 100, 0)
    assert book.top() == (None, 0, None, 0) and book.levels(1) == []
    book.update(1, 10**12, 1)
    assert book.top() == (10**12, 1, None, 0)
    book.update(-1, 7, 3)
    assert book.top() == (10**12, 1, 7, 3)


def test_removing_a_level_never_seen_changes_nothing():
    book = OrderBook()
    for price in (1, 50_000, 10**9):
        book.update(1, price, 0)
    book.update(1, 50_000, 2)
    for price in (1, 49_999, 50_001, 10**9):
        book.update(1, price, 0)
    assert book.levels(1) == [(50_000, 2)] and book.sizes() == (1, 0, 0)


def test_levels_beyond_the_store_are_forgotten_from_the_far_end_and_counted():
    book = OrderBook()
    book.update(1, 10**9, 1)
    for price in range(1, 70_000):
        book.update(1, price, 1)
    levels, _, forgotten = book.sizes()
    assert forgotten > 0 and levels + forgotten == 70_000
    assert book.levels(1)[:3] == [(10**9, 1), (69_999, 1), (69_998, 1)]


def test_reset_removes_everything():
    book = OrderBook()
    for price in (5, 100_000):
        book.update(1, price, 1)
        book.update(-1, price + 1, 1)
    book.reset()
    assert book.top() == (None, 0, None, 0) and book.sizes()[:2] == (0, 0)


@pytest.mark.parametrize("arguments", [(0, 5, 1), (2, 5, 1), (1, 0, 1), (1, -5, 1), (1, 5, -1)])
def test_senseless_updates_are_refused(arguments):
    with pytest.raises(ValueError, match="order book"):
        OrderBook().update(*arguments)
