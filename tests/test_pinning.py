"""PINNING: where the pinned order goes and when, where the protective layers lie, when patience is over."""

import pytest
from quoting import SECOND_NS, params

from phx._core.enums import Side
from phx._core.pinning import Pinned, far_prices, target

MS = 1_000_000
T = 100 * SECOND_NS


@pytest.mark.parametrize(
    ("side", "bid", "ask", "improve", "price"),
    [
        (Side.SELL, 100, 101, False, 101),
        (Side.SELL, 100, 101, True, 101),  # a spread of one tick has no inside
        (Side.SELL, 100, 102, True, 101),
        (Side.BUY, 100, 102, True, 101),
        (Side.BUY, 100, 105, False, 100),
    ],
)
def test_it_joins_the_touch_of_others_or_improves_it_by_one_tick(side, bid, ask, improve, price):
    own, opposite = (bid, ask) if side > 0 else (ask, bid)
    assert target(side, own, opposite, opposite - side, improve) == price


def test_it_never_crosses_what_the_venue_shows():
    # Others ask 101, but the venue's best bid (an order of ours on its way out) is 103.
    assert target(Side.SELL, 101, 100, 104, False) == 104


class Rates:
    def __init__(self, tmp_path):
        self.params = params(tmp_path)  # 1500 ms, 2 ticks
        self.pinned = Pinned()

    def price(self, ms, ask, bid=900, side=Side.SELL):
        return self.pinned.price(side, ask, ask, bid - side, self.params, T + ms * MS)


def test_inward_at_most_once_in_the_shortest_time(tmp_path):
    rates = Rates(tmp_path)
    assert rates.price(0, 1000) == 1000
    assert rates.price(1499, 999) == 1000
    assert rates.price(1500, 999) == 999
    assert rates.price(2999, 998) == 999
    assert rates.price(3000, 997) == 997


def test_outward_only_when_it_stands_out_by_more_than_the_allowed_ticks(tmp_path):
    rates = Rates(tmp_path)
    rates.price(0, 1000)
    assert rates.price(60_000, 1002) == 1000
    assert rates.price(60_001, 1003) == 1003


def test_a_price_that_would_cross_is_given_up_at_once(tmp_path):
    rates = Rates(tmp_path)
    rates.price(0, 1000)
    assert rates.price(1, 1002, bid=999) == 1000, "one tick above the best bid may stay"
    assert rates.price(2, 1002, bid=1000) == 1002


def test_another_side_begins_anew(tmp_path):
    rates = Rates(tmp_path)
    rates.price(0, 1000)
    assert rates.pinned.price(Side.BUY, 990, 990, 999, rates.params, T + MS) == 990


def test_the_protective_layers_in_equal_steps_or_equal_ratios(tmp_path):
    linear = params(tmp_path)  # 4.8 % to 12 %, four layers
    assert far_prices(Side.SELL, 100_000.0, linear) == [104_800, 107_200, 109_600, 112_000]
    assert far_prices(Side.BUY, 100_000.0, linear) == [95_200, 92_800, 90_400, 88_000]
    geometric = params(tmp_path, pin_far_shape=1)  # 4.8 · 2.5^(i/3) % = 4.8, 6.5146…, 8.8417…, 12
    assert far_prices(Side.SELL, 100_000.0, geometric) == [104_800, 106_515, 108_842, 112_000]
    assert far_prices(Side.SELL, 100_000.0, params(tmp_path, pin_far_layers=1)) == [104_800]


def test_patience_ends_without_progress_of_five_hundredths(tmp_path):
    p, pinned = params(tmp_path), Pinned()
    assert not pinned.impatient(0.65, p, T)
    assert not pinned.impatient(0.601, p, T + 599 * SECOND_NS)
    assert pinned.impatient(0.601, p, T + 600 * SECOND_NS)
    assert not pinned.impatient(0.60, p, T + 600 * SECOND_NS), "progress begins the time anew"
    assert pinned.impatient(0.56, p, T + 1200 * SECOND_NS)
