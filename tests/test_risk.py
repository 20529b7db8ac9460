"""Every pre-trade limit, on both sides: the last value that passes and the first that does not."""

import numpy as np
import pytest
from gateway_rig import NO_PRICE, PARAMS, RULES, SECOND_NS
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core import records
from phx._core.enums import OperatorState, RejectReason
from phx._core.risk import adopted, check_intent

E8 = 10**8
INTENT = {
    "price_ticks": 99_990,
    "qty_lots": 10,
    "adding_lots": 10,
    "side": 1,
    "layer": 0,
    "post_only": 1,
    "reduce_only": 0,
}
SITUATION = {
    "now_ns": 100 * SECOND_NS,
    "bid_price_ticks": 99_999,
    "ask_price_ticks": 100_001,
    "mark_price_ticks": 100_000,
    "market_mono_ns": 100 * SECOND_NS,
    "book_usable": 1,
    "ready": 1,
    "operator_state": OperatorState.OPERATOR_RUN,
    "latched": 0,
    "user_stream_up": 1,
    "quoter_alive": 1,
    "ladder_fresh": 1,
    "backing_off": 0,
    "same_order_live": 0,
    "journal_room": 1,
    "proof_deadline_mono_ns": 102 * SECOND_NS,
    "proof_period_ns": SECOND_NS,
    "must_see_seq": 5,
    "ladder_own_seq": 5,
    "ladder_params_version": 1,
    "position_lots": 0,
    "side_lots": 0,
    "opposite_lots": 0,
    "opposite_best_ticks": NO_PRICE,
    "others_notional_e8": 0,
    "others_margin_e8": 0,
    "equity_e8": 1_000_000 * E8,
    "leverage": 1,
    "worst_price_ticks": 100_000,
    "open_orders": 0,
    "in_flight": 0,
    "order_rate_full": 0,
}
R = RejectReason


def params(**changes) -> np.ndarray:
    record = np.zeros(1, records.PARAMS)
    for name, value in (PARAMS | changes).items():
        record[name] = value
    return record


LIMITS = adopted(params())


def verdict(intent=None, situation=None, limits=None, rules=None) -> RejectReason:
    return R(
        check_intent(
            INTENT | (intent or {}), SITUATION | (situation or {}), LIMITS | (limits or {}), RULES | (rules or {})
        )
    )


def test_a_plain_quote_passes():
    assert verdict() == R.REJECT_NONE


WIDE = {"bid_price_ticks": 90_000, "ask_price_ticks": 110_000}

# (reason, what passes, what does not), each a dict of changes to (intent, situation, limits)
EDGES = [
    (R.REJECT_NOT_FINITE, ({"qty_lots": 6}, {}, {}), ({"qty_lots": 0}, {}, {})),
    (R.REJECT_NOT_FINITE, ({"price_ticks": 99_000}, {}, {}), ({"price_ticks": 0}, {}, {})),
    (R.REJECT_NOT_FINITE, ({}, {}, {}), ({"price_ticks": -5}, {}, {})),
    (R.REJECT_NOT_FINITE, ({}, {}, {}), ({"price_ticks": 2**62}, {}, {})),
    (R.REJECT_NOT_FINITE, ({}, {}, {}), ({"qty_lots": 2**62}, {}, {})),
    (R.REJECT_NOT_FINITE, ({}, {}, {}), ({"side": 0}, {}, {})),
    (R.REJECT_NOT_FINITE, ({}, {}, {}), ({"post_only": 0}, {}, {})),
    (R.REJECT_NOT_FINITE, ({}, {}, {}), ({"price_ticks": NO_PRICE}, {}, {})),
    (R.REJECT_NOT_READY, ({}, {"ready": 1}, {}), ({}, {"ready": 0}, {})),
    (R.REJECT_NOT_ALLOWED, ({}, {}, {"enabled": 1}), ({}, {}, {"enabled": 0})),
    (R.REJECT_NOT_ALLOWED, ({}, {}, {}), ({}, {"ladder_params_version": 0}, {"params_version": 0})),
    (R.REJECT_PARAMS_VERSION, ({}, {"ladder_params_version": 1}, {}), ({}, {"ladder_params_version": 2}, {})),
    (
        R.REJECT_STALE_MARKET,
        ({}, {"market_mono_ns": 99 * SECOND_NS}, {}),
        ({}, {"market_mono_ns": 99 * SECOND_NS - 1}, {}),
    ),
    (R.REJECT_STALE_MARKET, ({}, {}, {}), ({}, {"book_usable": 0}, {})),
    (R.REJECT_STALE_MARKET, ({}, {}, {}), ({}, {"mark_price_ticks": NO_PRICE}, {})),
    (R.REJECT_STALE_MARKET, ({}, {}, {}), ({}, {"bid_price_ticks": NO_PRICE}, {})),
    (R.REJECT_STALE_MARKET, ({}, {}, {}), ({}, {"ask_price_ticks": 99_999}, {})),
    (R.REJECT_ORDER_VOLUME, ({"qty_lots": 500}, {}, {}), ({"qty_lots": 501}, {}, {})),
    (R.REJECT_ORDER_VOLUME, ({}, {}, {}), ({}, {}, {"max_order_lots": 0})),
    (
        R.REJECT_ORDER_VALUE,
        ({}, {}, {"max_order_notional_e8": 99_990 * 10 * 10_000}),
        ({}, {}, {"max_order_notional_e8": 99_990 * 10 * 10_000 - 1}),
    ),
    (R.REJECT_ORDER_VALUE, ({}, {}, {}), ({}, {}, {"max_order_notional_e8": 0})),
    (
        R.REJECT_MIN_NOTIONAL,
        ({"qty_lots": 6, "price_ticks": 99_000}, {}, {}),
        ({"qty_lots": 5, "price_ticks": 99_000}, {}, {}),
    ),
    (R.REJECT_POST_ONLY, ({"price_ticks": 100_000}, {}, {}), ({"price_ticks": 100_001}, {}, {})),
    (
        R.REJECT_POST_ONLY,
        ({"side": -1, "price_ticks": 100_000}, {}, {}),
        ({"side": -1, "price_ticks": 99_999}, {}, {}),
    ),
    (R.REJECT_SELF_CROSS, ({}, {"opposite_best_ticks": 99_991}, {}), ({}, {"opposite_best_ticks": 99_990}, {})),
    (
        R.REJECT_SELF_CROSS,
        ({"side": -1, "price_ticks": 100_010}, {"opposite_best_ticks": 100_009}, {}),
        ({"side": -1, "price_ticks": 100_010}, {"opposite_best_ticks": 100_010}, {}),
    ),
    (R.REJECT_DUPLICATE, ({}, {"same_order_live": 0}, {}), ({}, {"same_order_live": 1}, {})),
    (R.REJECT_OPEN_ORDERS, ({}, {"open_orders": 63}, {}), ({}, {"open_orders": 64}, {})),
    (R.REJECT_IN_FLIGHT, ({}, {"in_flight": 63}, {}), ({}, {"in_flight": 64}, {})),
    (R.REJECT_MESSAGE_RATE, ({}, {}, {}), ({}, {"order_rate_full": 1}, {})),
    (R.REJECT_BACK_OFF, ({}, {}, {}), ({}, {"backing_off": 1}, {})),
    (R.REJECT_OPERATOR, ({}, {"operator_state": 0}, {}), ({}, {"operator_state": OperatorState.OPERATOR_PAUSE}, {})),
    (R.REJECT_OPERATOR, ({}, {}, {}), ({}, {"operator_state": OperatorState.OPERATOR_KILL}, {})),
    (R.REJECT_LATCHED, ({}, {}, {}), ({}, {"latched": 1}, {})),
    (R.REJECT_USER_STREAM, ({}, {}, {}), ({}, {"user_stream_up": 0}, {})),
    (R.REJECT_STALE_LADDER, ({}, {}, {}), ({}, {"quoter_alive": 0}, {})),
    (R.REJECT_STALE_LADDER, ({}, {}, {}), ({}, {"ladder_fresh": 0}, {})),
    (R.REJECT_OLD_LADDER, ({}, {"ladder_own_seq": 5}, {}), ({}, {"ladder_own_seq": 4}, {})),
    (
        R.REJECT_NO_PROOF,
        ({}, {"proof_deadline_mono_ns": 101 * SECOND_NS}, {}),
        ({}, {"proof_deadline_mono_ns": 101 * SECOND_NS - 1}, {}),
    ),
    (R.REJECT_NO_PROOF, ({}, {}, {}), ({}, {"proof_period_ns": 0}, {})),
    (R.REJECT_JOURNAL_FULL, ({}, {}, {}), ({}, {"journal_room": 0}, {})),
    (R.REJECT_POSITION, ({}, {"side_lots": 990}, {}), ({}, {"side_lots": 991}, {})),
    (R.REJECT_POSITION, ({}, {"position_lots": 990}, {}), ({}, {"position_lots": 991}, {})),
    (
        R.REJECT_POSITION,
        ({"side": -1, "price_ticks": 100_010}, {"position_lots": -990}, {}),
        ({"side": -1, "price_ticks": 100_010}, {"position_lots": -991}, {}),
    ),
    (
        R.REJECT_GROSS_NOTIONAL,
        ({}, {"others_notional_e8": 999_900 * E8}, {}),
        ({}, {"others_notional_e8": 999_900 * E8 + 1}, {}),
    ),
    # A market of nonsense is worth more than any limit, however little the order adds.
    (R.REJECT_GROSS_NOTIONAL, ({}, {}, {}), ({}, {"worst_price_ticks": 2**62, "position_lots": 10}, {})),
    # An order worth 100: at leverage 4 it needs a margin of 25, at one that is not known 100.
    (
        R.REJECT_MARGIN,
        ({}, {"equity_e8": 5 * E8}, {"max_leverage_e6": 20 * 10**6, "max_margin_e6": 2 * 10**8}),
        ({}, {"equity_e8": 5 * E8 - 1}, {"max_leverage_e6": 20 * 10**6, "max_margin_e6": 2 * 10**8}),
    ),
    (
        R.REJECT_MARGIN,
        ({}, {"equity_e8": 50 * E8, "leverage": 4}, {"max_margin_e6": 500_000}),
        ({}, {"equity_e8": 50 * E8 - 1, "leverage": 4}, {"max_margin_e6": 500_000}),
    ),
    (
        R.REJECT_MARGIN,
        ({}, {"equity_e8": 200 * E8, "leverage": 0}, {"max_margin_e6": 500_000}),
        ({}, {"equity_e8": 200 * E8 - 1, "leverage": 0}, {"max_margin_e6": 500_000}),
    ),
    (
        R.REJECT_MARGIN,
        ({}, {"equity_e8": 200 * E8, "leverage": 4, "others_margin_e8": 75 * E8}, {"max_margin_e6": 500_000}),
        ({}, {"equity_e8": 200 * E8, "leverage": 4, "others_margin_e8": 75 * E8 + 1}, {"max_margin_e6": 500_000}),
    ),
    (R.REJECT_MARGIN, ({}, {}, {}), ({}, {}, {"max_leverage_e6": 0})),
    (R.REJECT_MARGIN, ({}, {}, {}), ({}, {}, {"max_margin_e6": 0})),
    (R.REJECT_MARGIN, ({}, {}, {}), ({}, {"equity_e8": 0}, {})),
    (R.REJECT_MARGIN, ({}, {}, {}), ({}, {"equity_e8": -5 * E8}, {})),
    (R.REJECT_NOT_ALLOWED, ({}, {}, {}), ({}, {}, {"throttle_cycles": 0})),
    (R.REJECT_NOT_ALLOWED, ({}, {}, {}), ({}, {}, {"protect_lots": 0})),
    # A book so wide that post-only leaves room up to the collar: 3 % of the mid, near layers and far ones.
    (R.REJECT_PRICE_COLLAR, ({"price_ticks": 103_000}, WIDE, {}), ({"price_ticks": 103_001}, WIDE, {})),
    (
        R.REJECT_PRICE_COLLAR,
        ({"price_ticks": 97_000, "side": -1, "layer": 20}, WIDE, {}),
        ({"price_ticks": 96_999, "side": -1, "layer": 20}, WIDE, {}),
    ),
    (R.REJECT_PRICE_COLLAR, ({}, {}, {}), ({}, {}, {"collar_mid_e6": 0})),
    (R.REJECT_PRICE_COLLAR, ({}, {}, {}), ({}, {}, {"collar_mark_e6": 0})),
    (R.REJECT_PRICE_COLLAR, ({}, {}, {}), ({}, {}, {"collar_far_e6": 0})),
]


@pytest.mark.parametrize(("reason", "passes", "fails"), EDGES)
def test_both_sides_of_the_limit(reason, passes, fails):
    assert verdict(*passes) == R.REJECT_NONE
    assert verdict(*fails) == reason


def test_every_reason_that_a_check_can_give_has_an_edge_here():
    elsewhere = {R.REJECT_NONE, R.REJECT_TABLE_FULL, R.REJECT_UNKNOWN_ORDER}
    # Why a desk halts, not checks of one order.
    elsewhere |= {R.REJECT_DAILY_LOSS, R.REJECT_THROTTLE, R.REJECT_PROTECTION, R.REJECT_VENUE_RULE}
    assert set(R) - elsewhere == {reason for reason, _, _ in EDGES}


ADDING_ONLY = {
    "operator_state": OperatorState.OPERATOR_PAUSE,
    "latched": 1,
    "quoter_alive": 0,
    "ladder_own_seq": 0,
    "proof_deadline_mono_ns": 0,
    "journal_room": 0,
    "others_notional_e8": 10**17,
}


def test_what_only_reduces_is_free_of_exposure_limits():
    reducing = {"side": -1, "price_ticks": 100_010, "adding_lots": 0}
    assert verdict(reducing, ADDING_ONLY | {"position_lots": 2000, "side_lots": 0}) == R.REJECT_NONE


LOTS = st.integers(0, 3000)


@given(st.integers(-3000, 3000), LOTS, LOTS, st.integers(1, 500), st.sampled_from([1, -1]))
@settings(max_examples=500, deadline=None)
def test_no_order_that_passes_could_lead_beyond_the_position_limit_unless_it_reduces(pos, own, other, qty, side):
    reducible = max(0, -side * pos - own)
    intent = {"side": side, "qty_lots": qty, "adding_lots": max(0, qty - reducible)}
    intent["price_ticks"] = 99_990 if side > 0 else 100_010
    situation = {"position_lots": pos, "side_lots": own, "opposite_lots": other}
    got = verdict(intent, situation, rules={"min_notional_ticklots": 0})
    worst = side * pos + own + qty
    if intent["adding_lots"] == 0:
        assert got == R.REJECT_NONE
    elif worst > 1000:
        assert got == R.REJECT_POSITION
    else:
        assert got == R.REJECT_NONE


def test_lowered_limits_are_adopted_at_once_and_raised_ones_only_with_a_confirmation():
    lowered = adopted(params(params_version=2, net_max_lots=400, max_order_lots=100), LIMITS)
    assert (lowered["max_position_lots"], lowered["max_order_lots"], lowered["params_version"]) == (400, 100, 2)
    raised = adopted(params(params_version=3), lowered)
    assert (raised["max_position_lots"], raised["max_order_lots"], raised["params_version"]) == (400, 100, 3)
    confirmed = adopted(params(params_version=4, raised_limits_by=1000), raised)
    assert (confirmed["max_position_lots"], confirmed["max_order_lots"]) == (1000, 500)


def test_no_configuration_raises_a_limit_above_the_ceilings_in_code():
    wild = adopted(
        params(
            max_order_notional_e8=2**62,
            max_gross_notional_e8=2**62,
            max_daily_loss_e8=2**62,
            collar_mid=1.0,
            collar_mark=1.0,
            collar_far=1.0,
        )
    )
    assert wild["max_order_notional_e8"] == 1_000_000 * E8
    assert wild["max_gross_notional_e8"] == 20_000_000 * E8
    assert wild["max_daily_loss_e8"] == 1_000_000 * E8
    assert wild["collar_mid_e6"] == wild["collar_mark_e6"] == 100_000
    assert wild["collar_far_e6"] == 200_000
