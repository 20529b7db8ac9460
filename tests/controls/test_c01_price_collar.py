"""C01: no order leaves outside the collar around mid and mark, near or far, whatever numbers come in."""

import pytest
from gateway_rig import Rig, places
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.enums import RejectReason

prices = st.one_of(
    st.integers(90_000, 110_000),
    st.integers(-(2**62), 2**62),
    st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]),
)


def outside(side: int, price: int, near: bool, bid: int, ask: int, mark: int) -> bool:
    """The collar in exact fractions: 3 % of mid, 4 % of mark in the aggressive direction, 5 % of mid at most."""
    beyond_mid2, beyond_mark = side * (2 * price - bid - ask), side * (price - mark)
    return (
        beyond_mid2 * 100 > 3 * (bid + ask)
        or -beyond_mid2 * 100 > 5 * (bid + ask)
        or beyond_mark * 100 > 4 * mark
        or (side > 0 and price * 100 > 105 * mark)
        or (side < 0 and price * 100 < 95 * mark)
    )


@given(
    prices,
    st.sampled_from([1, -1]),
    st.integers(0, 15),
    st.integers(90_000, 110_000),
    st.integers(1, 50),
    st.one_of(st.integers(90_000, 110_000), st.sampled_from([0, -1])),
)
@settings(max_examples=400, deadline=None)
def test_only_prices_inside_the_collar_are_placed(price, side, rung, bid, spread, mark):
    rig = Rig()
    rig.market(bid, bid + spread, mark)
    layer = [(price, 10)]
    field = {"bid_layer": [rung] + [0] * 31} if side > 0 else {"ask_layer": [rung] + [0] * 31}
    sent = places(rig.quote(*((layer, []) if side > 0 else ([], layer)), **field))
    for sent_side, sent_price, _ in sent:
        assert mark > 0
        assert not outside(sent_side, sent_price, rung < 8, bid, bid + spread, mark)
    makes = bid < price if side < 0 else price < bid + spread
    if mark > 0 and 0 < price < 10**7 and makes and not outside(side, price, rung < 8, bid, bid + spread, mark):
        assert sent == [(side, price, 10)]


def test_both_edges_of_the_outer_bound():
    rig = Rig()
    assert places(rig.quote([(95_000, 10)])) == [(1, 95_000, 10)]
    assert rig.quote([(94_999, 10)]) == [] or places(rig.step()) == []
    assert RejectReason.REJECT_PRICE_COLLAR in rig.reasons()


@pytest.mark.parametrize(("side", "edge"), [(1, 102_000), (-1, 98_000)])
def test_the_venue_s_own_bound_on_prices_holds_where_it_is_the_narrower(side, edge):
    for price, reasons in ((edge, []), (edge + side, [RejectReason.REJECT_PRICE_COLLAR])):
        rig = Rig(rules={"percent_up_e6": 1_020_000, "percent_down_e6": 980_000})
        rig.market(95_000, 105_000, 100_000)
        layer = [(price, 10)]
        placed = places(rig.quote(*((layer, []) if side > 0 else ([], layer))))
        assert placed == ([] if reasons else [(side, price, 10)]) and rig.reasons() == reasons


def test_the_mark_price_binds_where_the_book_has_run_away():
    rig = Rig()
    rig.market(104_999, 105_001, 100_000)
    assert places(rig.quote([(104_000, 10)])) == [(1, 104_000, 10)]
    rig = Rig()
    rig.market(104_999, 105_001, 100_000)
    assert places(rig.quote([(104_001, 10)])) == []
    assert rig.reasons() == [RejectReason.REJECT_PRICE_COLLAR]
