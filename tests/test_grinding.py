"""GRINDING in numbers worked out by hand: safety, the maker order, slices, and what a budget affords."""

import pytest
from quoting import SECOND_NS, book, params

from phx._core.enums import Side
from phx._core.grinding import depth_within, limit_of, maker_price, safety_of, slice_of
from phx._core.loss_budget import LossBudget, affordable, loss_of_lot


@pytest.mark.parametrize(
    ("ratio", "loss", "sigma", "safety", "scale"),
    [
        (0.80, 0.01, 0.002, 0.5 * 0.9 * 0.8, 0.75),  # the example that the strategy page prints
        (0.90, 0.02, 0.004, 0.25 * 0.8 * 0.6, 0.5),
        (0.75, 0.0, 0.0, 0.625, 1.0),
        (0.50, 0.0, 0.0, 1.0, 1.0),  # below the exit: clamped
        (1.20, 0.0, 0.0, 0.0, 0.5),  # beyond full inventory: clamped
        (0.60, 0.20, 0.0, 0.5, 0.75),  # a loss beyond the stop takes half at most
        (0.60, 0.0, 0.05, 0.5, 0.75),  # so does a storm
    ],
)
def test_safety_is_the_product_of_three_and_scales_in_steps(tmp_path, ratio, loss, sigma, safety, scale):
    found, found_scale = safety_of(ratio, loss, sigma, params(tmp_path))
    assert (found, found_scale) == (pytest.approx(safety), scale)


def test_the_maker_order_rests_beyond_fair_rounded_away(tmp_path):
    p = params(tmp_path)  # 0.00042 of 650,000 = 273 ticks
    assert maker_price(Side.SELL, 650_000.0, 649_000, p) == 650_273
    assert maker_price(Side.SELL, 650_000.5, 649_000, p) == 650_274
    assert maker_price(Side.BUY, 650_000.5, 651_000, p) == 649_727
    assert maker_price(Side.SELL, 650_000.0, 650_500, p) == 650_500, "one tick above the best bid at least"


def test_the_maker_order_is_left_alone_while_near_its_place(tmp_path):
    p = params(tmp_path)  # 0.9 of 273 ticks = 245.7
    assert maker_price(Side.SELL, 650_000.0, 649_000, p, 650_273 + 245) == 650_273 + 245
    assert maker_price(Side.SELL, 650_000.0, 649_000, p, 650_273 + 246) == 650_273
    assert maker_price(Side.SELL, 650_000.0, 649_000, p, 650_273 - 246) == 650_273


@pytest.mark.parametrize(("inventory", "lots"), [(200, 15), (213, 15), (214, 16), (40, 3), (13, 1), (1, 1)])
def test_a_slice_is_a_share_of_the_inventory_at_least_the_smallest_order(tmp_path, inventory, lots):
    assert slice_of(inventory, params(tmp_path)) == lots


def test_the_smallest_order_is_never_more_than_there_is(tmp_path):
    assert slice_of(3, params(tmp_path, min_qty_lots=5)) == 3


@pytest.mark.parametrize(
    ("side", "touch", "slip", "limit"),
    [
        (Side.SELL, 650_000, 0.0005, 649_675),
        (Side.SELL, 650_001, 0.0005, 649_676),  # 649,675.9995: never farther than the slip
        (Side.BUY, 650_000, 0.0005, 650_325),
        (Side.BUY, 650_001, 0.0005, 650_326),
        (Side.SELL, 1000, 0.0, 1000),
    ],
)
def test_a_limit_lies_the_slip_through_the_touch_rounded_towards_it(side, touch, slip, limit):
    assert limit_of(side, touch, slip) == limit


def test_a_slice_sees_only_what_its_limit_reaches():
    there = book([(100, 5), (99, 7), (97, 50)], [(101, 3), (104, 4)])
    assert [depth_within(there, Side.SELL, limit) for limit in (101, 100, 99, 98, 97)] == [0, 5, 12, 12, 62]
    assert [depth_within(there, Side.BUY, limit) for limit in (100, 101, 103, 104)] == [0, 3, 3, 7]


# ---- the loss budget


def test_a_loss_is_against_cost_with_the_fee_and_a_gain_is_nothing():
    assert loss_of_lot(1, 1000.0, 990.0, 0.0004) == pytest.approx(10 + 0.396)
    assert loss_of_lot(1, 1000.0, 1010.0, 0.0004) == pytest.approx(0.404)
    assert loss_of_lot(-1, 1000.0, 1010.0, 0.0004) == pytest.approx(10 + 0.404)
    assert loss_of_lot(-1, 1000.0, 990.0, -0.0001) == 0, "a rebate refills nothing"


def test_what_is_affordable_is_cut_to_whole_lots():
    assert [affordable(10, 3.0, room) for room in (30.0, 29.9, 3.0, 2.9, 0.0, -5.0)] == [10, 9, 1, 0, 0, 0]
    assert affordable(10, 0.0, 0.0) == 10, "what loses nothing needs no budget"


def test_losses_leave_the_window_when_they_are_as_old_as_it_and_gains_add_nothing():
    budget, hour = LossBudget(), 3600 * SECOND_NS
    budget.add_at(5.0, 1 * SECOND_NS)
    budget.add_at(-100.0, 2 * SECOND_NS)
    budget.add_at(7.0, 3 * SECOND_NS)
    assert budget.used_at(3 * SECOND_NS, hour) == 12.0
    assert budget.used_at(3601 * SECOND_NS - 1, hour) == 12.0
    assert budget.used_at(3601 * SECOND_NS, hour) == 7.0
    assert budget.used_at(3603 * SECOND_NS, hour) == 0.0


def test_more_losses_than_remembered_one_by_one_leave_late_rather_than_early():
    budget = LossBudget()
    for i in range(3000):
        budget.add_at(1.0, i)
    assert budget.used_at(2999, 10_000) == 3000.0
    assert budget.used_at(12_000, 10_000) == 3000.0 - 1023, "those added to the newest leave with it"
    assert budget.used_at(12_999, 10_000) == 0.0
