"""Trade ids: booked once whatever comes again, bounded, and what was forgotten counts as booked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.trade_ids import TradeIds

NEW, FEE_MISSING, DONE = 0, 1, 2
KEPT = 8192


@given(st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=200))
@settings(max_examples=200, deadline=None)
def test_it_says_the_same_as_a_dictionary(sightings):
    ids, booked = TradeIds(), {}
    for trade_id, with_fee in sightings:
        if trade_id not in booked:
            expected, booked[trade_id] = NEW, with_fee
        elif with_fee and not booked[trade_id]:
            expected, booked[trade_id] = FEE_MISSING, True
        else:
            expected = DONE
        assert ids.see(trade_id, with_fee) == expected


def test_ids_up_to_the_watermark_are_booked():
    ids = TradeIds()
    ids.raise_watermark(1000)
    assert ids.see(1000) == DONE and ids.see(1001) == NEW and ids.newest == 1001


def test_after_more_trades_than_it_keeps_none_is_booked_twice_and_new_ones_are():
    # More ids than hash slots, so that probing wraps and deletion shifts.
    ids = TradeIds()
    seen = [1 + 7919 * i for i in range(5 * KEPT)]
    assert all(ids.see(trade_id) == NEW for trade_id in seen)
    assert all(ids.see(trade_id) == DONE for trade_id in seen)
    assert ids.see(seen[-1] + 1) == NEW
    between = seen[-100] + 3
    assert ids.see(between) == NEW and ids.see(between) == DONE


def test_a_trade_id_that_is_none_is_refused():
    with pytest.raises(ValueError, match="trade id 0"):
        TradeIds().see(0)
