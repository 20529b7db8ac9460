"""A venue's grid of orders that is coarser than the ticks and lots we count in: nothing off it is wanted or sent."""

import pytest
from closed_loop import MS, Loop
from gateway_rig import RULES, Rig
from hypothesis import given, settings
from hypothesis import strategies as st
from quoting import SECOND_NS, market, own, params, sides

from phx._core.decide import decide_ladder
from phx._core.enums import Mode, OperatorState, RejectReason

TICKS, LOTS = 10, 2  # of one step
COARSE = {"price_step_ticks": TICKS, "qty_step_lots": LOTS}


@pytest.fixture(scope="module")
def coarse(tmp_path_factory):
    return params(tmp_path_factory.mktemp("grid"), max_daily_loss_e8=10**14, min_qty_lots=LOTS, **COARSE)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(640_000, 660_000),
    st.integers(1, 40),
    st.integers(-300, 300),
    st.lists(st.integers(1, 200), max_size=4),
)
def test_every_layer_lies_on_the_grid_and_makes(coarse, mid, spread, position, distances):
    live = [(side, mid - side * d, 6) for side in (1, -1) for d in distances]  # placed before the grid was coarser
    seen = market(mid, spread)
    ladder, _ = decide_ladder(seen, own(live, position=position), coarse, 1_000 * SECOND_NS)
    kept = {price for _, price, _ in live}
    for side, touch in ((1, seen["ask_price_ticks"]), (-1, seen["bid_price_ticks"])):
        for price, lots in sides(ladder)[side]:
            assert price % TICKS == 0 or price in kept
            assert lots % LOTS == 0 and side * (touch - price) > 0


def held(coarse, lots: int) -> Loop:
    loop = Loop(coarse)
    loop.desk.adopt_rules(RULES | COARSE | {"min_qty_lots": LOTS})
    loop.turn()
    loop.hold(lots)
    loop.pass_time(300 * MS)
    return loop


@pytest.mark.parametrize(("lots", "mode"), [(41, Mode.MODE_NORMAL), (201, Mode.MODE_PINNING), (-275, None)])
def test_quotes_and_exits_of_every_mode_lie_on_the_grid(coarse, lots, mode):
    loop = held(coarse, lots)
    assert mode is None or loop.quoter.mode == mode
    loop.pass_time(3 * SECOND_NS)
    placed = list(loop.orders.values())
    assert placed
    for order in placed:
        assert order["qty_lots"] % LOTS == 0
        assert order["price_ticks"] % TICKS == 0


def test_a_position_off_the_grid_is_left_but_for_what_no_order_can_have(coarse):
    loop = held(coarse, 31)
    loop.want(OperatorState.OPERATOR_FLATTEN)
    loop.pass_time(10 * SECOND_NS)
    assert loop.held_lots == 31 % LOTS and not loop.resting


@pytest.mark.parametrize(
    ("price", "lots", "reason"),
    [(99_990, 6, 0), (99_991, 6, RejectReason.REJECT_NOT_FINITE), (99_990, 5, RejectReason.REJECT_NOT_FINITE)],
)
def test_the_gateway_lets_nothing_off_the_grid_out(price, lots, reason):
    rig = Rig(rules=COARSE)
    actions = rig.quote(bids=[(price, lots)])
    assert [a["price_ticks"] for a in actions] == ([] if reason else [price])
    assert rig.reasons() == ([reason] if reason else [])
