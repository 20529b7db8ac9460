"""Mark-outs: hand numbers, both sides of every limit, and random fills against a slow reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core import records
from phx._core.mark_outs import HORIZONS_S, MarkOuts, table

MS = 1_000_000
SECOND_NS = 1000 * MS
NORMAL, PINNING, GRINDING = 1, 2, 3
TAKE = 32  # the row of takes
ROOM = 4096


class Book:
    """Mark-outs and the counters they fill."""

    def __init__(self):
        self.counters = np.zeros(1, records.QUOTER_COUNTERS)
        self.mark_outs = MarkOuts()

    def fill(self, at_ns, side, price, lots, mode=NORMAL, layer=0):
        self.mark_outs.add_fill(self.counters, at_ns, side, price, lots, mode, layer)

    def judge(self, now_ns, mid_half_ticks, trusted=True):
        return self.mark_outs.judge_at(self.counters, now_ns, mid_half_ticks, trusted)

    def cell(self, mode, layer, horizon):
        fields = ("fills", "lots", "half_ticklots", "ticklots")
        return tuple(int(table(self.counters[0], field)[mode, layer, horizon]) for field in fields)

    @property
    def dropped(self):
        return int(self.counters["mark_outs_dropped"][0])

    def all_fills(self):
        return int(self.counters["mark_out_fills"].sum())


def test_the_horizons_are_one_ten_and_sixty_seconds():
    assert HORIZONS_S == (1, 10, 60)


def test_a_buy_gains_when_the_mid_is_above_its_price_and_a_sell_when_it_is_below():
    book = Book()
    book.fill(100 * SECOND_NS, 1, 649_990, 6)  # bought at 649 990
    book.fill(100 * SECOND_NS, -1, 650_010, 4, layer=2)  # sold at 650 010
    book.judge(101 * SECOND_NS, 2 * 650_000 + 1)  # mid 650 000.5
    assert book.cell(NORMAL, 0, 0) == (1, 6, 2 * 63, 6 * 649_990)  # 10.5 ticks x 6 lots, in half ticks
    assert book.cell(NORMAL, 2, 0) == (1, 4, 2 * 38, 4 * 650_010)  # 9.5 ticks x 4 lots
    book.judge(110 * SECOND_NS, 2 * 649_980)
    assert book.cell(NORMAL, 0, 1)[2] == -2 * 10 * 6 and book.cell(NORMAL, 2, 1)[2] == 2 * 30 * 4
    book.judge(160 * SECOND_NS, 2 * 650_020)
    assert book.cell(NORMAL, 0, 2)[2] == 2 * 30 * 6 and book.cell(NORMAL, 2, 2)[2] == -2 * 10 * 4
    assert book.all_fills() == 6 and book.dropped == 0


@pytest.mark.parametrize(("horizon", "seconds"), list(enumerate(HORIZONS_S)))
def test_a_fill_is_judged_from_its_horizon_on_and_not_before(horizon, seconds):
    book = Book()
    book.fill(0, 1, 1000, 1)
    for past in range(horizon):
        book.judge(HORIZONS_S[past] * SECOND_NS, 2000)
    assert not book.judge(seconds * SECOND_NS - 1, 2000)
    assert book.cell(NORMAL, 0, horizon)[0] == 0
    assert book.judge(seconds * SECOND_NS, 2000)
    assert book.cell(NORMAL, 0, horizon)[0] == 1


def test_a_fill_waits_for_a_mid_that_can_be_trusted_up_to_a_second_and_is_then_given_up():
    for late_ns, judged in ((SECOND_NS, 1), (SECOND_NS + 1, 0)):
        book = Book()
        book.fill(0, 1, 1000, 1)
        book.judge(SECOND_NS, 2100, trusted=False)
        book.judge(SECOND_NS + 500 * MS, 2100, trusted=False)
        assert book.all_fills() == book.dropped == 0
        book.judge(SECOND_NS + late_ns, 2040)
        assert (book.all_fills(), book.dropped) == (judged, 1 - judged)
        assert book.cell(NORMAL, 0, 0)[2] == judged * 40


def test_a_later_horizon_is_judged_although_an_earlier_one_was_given_up():
    book = Book()
    book.fill(0, -1, 1000, 3)
    book.judge(5 * SECOND_NS, 1980)
    book.judge(10 * SECOND_NS, 1980)
    assert book.dropped == 1 and book.cell(NORMAL, 0, 1) == (1, 3, 60, 3000)


def test_modes_layers_and_takes_have_cells_of_their_own():
    book = Book()
    book.fill(0, 1, 1000, 1, mode=PINNING, layer=0)
    book.fill(0, 1, 1000, 2, mode=GRINDING, layer=255)
    book.fill(0, 1, 1000, 3, mode=NORMAL, layer=31)
    book.fill(0, 1, 1000, 4, mode=200, layer=7)  # no mode that this code knows
    book.judge(SECOND_NS, 2002)
    lots = table(book.counters[0], "lots")[:, :, 0]
    found = {(int(m), int(n)): int(lots[m, n]) for m, n in zip(*lots.nonzero(), strict=True)}
    assert found == {(PINNING, 0): 1, (GRINDING, TAKE): 2, (NORMAL, 31): 3, (0, 7): 4}


def test_the_oldest_fills_are_given_up_and_counted_when_too_many_wait():
    book = Book()
    for n in range(ROOM + 2):
        book.fill(n, 1, 1000 + n, 1)
    assert book.dropped == 3 * 2
    book.judge(SECOND_NS + ROOM + 2, 2000)
    assert book.cell(NORMAL, 0, 0)[3] == sum(1000 + n for n in range(2, ROOM + 2))


steps = st.lists(
    st.tuples(
        st.sampled_from([1, 40 * MS, 700 * MS, SECOND_NS, 3 * SECOND_NS, 9 * SECOND_NS, 60 * SECOND_NS]),
        st.integers(1900, 2100),  # mid, half ticks
        st.booleans(),
        st.lists(
            st.tuples(
                st.sampled_from([1, -1]), st.integers(900, 1100), st.integers(1, 50), st.integers(1, 3),
                st.sampled_from([0, 1, 31, 255]),
            ),
            max_size=3,
        ),
    ),
    max_size=40,
)  # fmt: skip


@given(steps)
@settings(max_examples=300, deadline=None)
def test_random_fills_are_judged_as_a_slow_reference_judges_them(script):
    book, now_ns, waiting = Book(), 0, []
    expected = {field: np.zeros((8, 33, 3), np.int64) for field in ("fills", "lots", "half_ticklots", "ticklots")}
    dropped = 0
    for elapsed_ns, mid, trusted, fills in script:
        now_ns += elapsed_ns
        book.judge(now_ns, mid, trusted)
        left = []
        for fill in waiting:
            at_ns, horizon, side, price, lots, mode, layer = fill
            late_ns = now_ns - at_ns - HORIZONS_S[horizon] * SECOND_NS
            if late_ns > SECOND_NS:
                dropped += 1
            elif late_ns < 0 or not trusted:
                left.append(fill)
            else:
                at = (mode, min(layer, TAKE), horizon)
                expected["fills"][at] += 1
                expected["lots"][at] += lots
                expected["half_ticklots"][at] += side * (mid - 2 * price) * lots
                expected["ticklots"][at] += price * lots
        waiting = left
        for side, price, lots, mode, layer in fills:
            book.fill(now_ns, side, price, lots, mode, layer)
            waiting += [(now_ns, horizon, side, price, lots, mode, layer) for horizon in range(3)]
    for field, values in expected.items():
        np.testing.assert_array_equal(table(book.counters[0], field), values)
    assert book.dropped == dropped
