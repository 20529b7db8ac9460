"""How well the nearest orders follow their targets: counted by time and side, in NORMAL only."""

import numpy as np
import pytest
from quoting import SECOND_NS, Rig, own, params, sides

from phx._core.enums import Mode, OperatorState, OrderState
from phx._core.records import OPERATOR

T = 100 * SECOND_NS
MS = 1_000_000


@pytest.fixture
def rig(tmp_path):
    there = Rig()
    settings = params(tmp_path, min_requote_ns=0, book_max_age_ns=10 * SECOND_NS, keep_tolerance=0.5, vol_gain=0.0)
    there.begin(settings, T)
    assert there.core.mode == Mode.MODE_NORMAL
    return there


def counted(rig):
    return int(rig.counters["top_ns"][0]), int(rig.counters["top_within_ns"][0])


def errors(rig):
    state = rig.states.read_newest()
    return float(state["top_bid_error_ticks"]), float(state["top_ask_error_ticks"])


def tops(rig):
    ladder = sides(rig.newest_ladder())
    return ladder[1][0][0], ladder[-1][0][0]


def stand(rig, now_ns, bid_off=0, ask_off=0, **fields):
    """Let one order a side stand so many ticks outward of the newest ladder's top."""
    bid, ask = tops(rig)
    orders = [
        {"side": 1, "price_ticks": bid - bid_off, "remaining_lots": 6, **fields},
        {"side": -1, "price_ticks": ask + ask_off, "remaining_lots": 6},
    ]
    rig.write("own", own(orders))
    rig.step(now_ns)


def test_a_side_without_an_order_is_wanted_but_not_within(rig):
    rig.tick(T + 40 * MS)
    rig.step(T + 40 * MS)
    assert counted(rig) == (2 * 40 * MS, 0)


# The first distance is 0.00033 of 650,000: 214.5 ticks; half of it is tolerated.
@pytest.mark.parametrize(("off", "within"), [(0, 2), (106, 2), (-106, 2), (109, 1), (-109, 1)])
def test_an_order_is_within_as_far_as_the_first_layers_tolerance_outward_and_inward(rig, off, within):
    stand(rig, T + 10 * MS, bid_off=off)
    before = counted(rig)
    rig.step(T + 130 * MS)
    assert counted(rig) == (before[0] + 2 * 120 * MS, before[1] + within * 120 * MS)
    assert errors(rig) == (pytest.approx(off, abs=1), pytest.approx(0, abs=1))


def test_the_time_counts_for_what_stood_before_the_step(rig):
    stand(rig, T + 10 * MS)
    before = counted(rig)
    rig.tick(T + 30 * MS, 651_999, 652_001)  # the market is gone, and our orders stand where they stood
    rig.step(T + 30 * MS)
    assert counted(rig) == (before[0] + 2 * 20 * MS, before[1] + 2 * 20 * MS)
    rig.step(T + 50 * MS)
    assert counted(rig) == (before[0] + 2 * 40 * MS, before[1] + 2 * 20 * MS)


def test_an_order_on_its_way_out_does_not_count_as_ours(rig):
    stand(rig, T + 10 * MS, state=OrderState.ORDER_PENDING_CANCEL)
    before = counted(rig)
    rig.step(T + 20 * MS)
    assert counted(rig) == (before[0] + 2 * 10 * MS, before[1] + 10 * MS)


def test_a_side_that_wants_nothing_is_not_measured(rig):
    rig.write("own", own(allowance=0))
    rig.step(T + 10 * MS)
    assert sides(rig.newest_ladder()) == {1: [], -1: []} and rig.core.mode == Mode.MODE_NORMAL
    before = counted(rig)
    rig.step(T + 20 * MS)
    assert counted(rig) == before


def test_outside_normal_nothing_is_measured(rig):
    stand(rig, T + 10 * MS)
    operator = np.zeros(1, OPERATOR)
    operator["wanted"] = OperatorState.OPERATOR_PAUSE
    rig.write("operator", operator)
    rig.step(T + 20 * MS)
    before = counted(rig)
    rig.tick(T + 60 * MS)
    rig.step(T + 60 * MS)
    assert rig.core.mode == Mode.MODE_PAUSED and counted(rig) == before
