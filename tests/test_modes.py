"""The state machine, walked along every edge that exists."""

import numpy as np
import pytest
from quoting import SECOND_NS

from phx._core import records
from phx._core.enums import BookFlag, Mode, OperatorState, Reason, RejectReason
from phx._core.modes import next_mode

NOW = 1000 * SECOND_NS
GOOD = {
    "latched": False,
    "operator_wants": OperatorState.OPERATOR_RUN,
    "known": True,
    "enabled": True,
    "froze": False,
    "feed_alive": True,
    "gateway_ready": True,
    "gateway_blocked": 0,
    "book_flags": 0,
    "data_age_ns": 0,
    "data_max_age_ns": SECOND_NS,
    "two_sided": True,
    "wide": False,
    "toxic": False,
    "measured": True,
    "ratio": 0.0,
    "sigma_30m": 0.001,
    "patience_over": False,
    "budget_empty": False,
    "stop": Reason.REASON_NONE,
    "flat": False,
}
NORMAL = {"mode": Mode.MODE_NORMAL, "level": Mode.MODE_NORMAL, "reason": Reason.REASON_NONE, "since_mono_ns": 0}
PARAMS = np.zeros(1, records.PARAMS)
for name, value in {
    "mode_dwell_ns": 10 * SECOND_NS,
    "pin_enabled": 1,
    "pin_enter": 0.60,
    "pin_exit": 0.50,
    "grind_enabled": 1,
    "grind_enter": 0.75,
    "grind_exit": 0.60,
    "grind_max_sigma": 0.01,
    "grind_leave_sigma": 0.012,
    "halt_ns": 300 * SECOND_NS,
}.items():
    PARAMS[name] = value

PAUSES = [
    ({"operator_wants": OperatorState.OPERATOR_PAUSE}, Reason.REASON_OPERATOR),
    ({"operator_wants": OperatorState.OPERATOR_FLATTEN, "flat": True}, Reason.REASON_OPERATOR),
    ({"known": False}, Reason.REASON_WARMING_UP),
    ({"enabled": False}, Reason.REASON_DISABLED),
    ({"froze": True}, Reason.REASON_OWN_FREEZE),
    ({"feed_alive": False}, Reason.REASON_FEED_LOST),
    ({"book_flags": BookFlag.BOOK_UNSYNCED}, Reason.REASON_BOOK_UNSYNCED),
    ({"data_age_ns": SECOND_NS + 1}, Reason.REASON_BOOK_STALE),
    ({"book_flags": BookFlag.BOOK_CROSSED}, Reason.REASON_BOOK_CROSSED),
    ({"book_flags": BookFlag.BOOK_ONE_SIDED}, Reason.REASON_BOOK_ONE_SIDED),
    ({"two_sided": False}, Reason.REASON_BOOK_ONE_SIDED),
    ({"wide": True}, Reason.REASON_VOLATILITY),
    ({"gateway_ready": False}, Reason.REASON_GATEWAY_NOT_READY),
    ({"gateway_blocked": RejectReason.REJECT_LATCHED}, Reason.REASON_LATCH),
    ({"gateway_blocked": RejectReason.REJECT_PROTECTION}, Reason.REASON_THROTTLE),
    ({"gateway_blocked": RejectReason.REJECT_THROTTLE}, Reason.REASON_THROTTLE),
    ({"gateway_blocked": RejectReason.REJECT_VENUE_RULE}, Reason.REASON_VENUE_RULE),
    ({"toxic": True}, Reason.REASON_TOXIC),
]
HALTS = [
    ({"latched": True}, Reason.REASON_LATCH),
    ({"operator_wants": OperatorState.OPERATOR_KILL}, Reason.REASON_OPERATOR),
]


def after(state, now_ns=NOW, params=PARAMS, **changes):
    return next_mode(state, GOOD | changes, params, now_ns)


def shown(state):
    return {name: state[name] for name in ("mode", "reason", "since_mono_ns")}


def test_good_conditions_stay_normal():
    assert shown(after(NORMAL)) == shown(NORMAL)


@pytest.mark.parametrize(("changes", "reason"), PAUSES)
def test_each_bad_condition_pauses_at_once_with_its_reason(changes, reason):
    assert shown(after(NORMAL, **changes)) == {"mode": Mode.MODE_PAUSED, "reason": reason, "since_mono_ns": NOW}


@pytest.mark.parametrize(("changes", "reason"), HALTS)
def test_latch_and_kill_halt_at_once(changes, reason):
    assert shown(after(NORMAL, **changes)) == {"mode": Mode.MODE_HALTED, "reason": reason, "since_mono_ns": NOW}


@pytest.mark.parametrize(("changes", "_"), PAUSES)
def test_halted_wins_over_every_pause(changes, _):
    assert after(NORMAL, latched=True, **changes)["mode"] == Mode.MODE_HALTED


@pytest.mark.parametrize("halt", [changes for changes, _ in HALTS])
def test_halted_lasts_until_the_human_takes_it_back(halt):
    halted = after(NORMAL, **halt)
    assert after(halted, NOW + 3600 * SECOND_NS, **halt) == halted
    assert after(halted, NOW + 3600 * SECOND_NS)["mode"] == Mode.MODE_NORMAL


def test_data_of_exactly_the_largest_age_may_be_quoted_on():
    assert after(NORMAL, data_age_ns=SECOND_NS)["mode"] == Mode.MODE_NORMAL


def test_quotes_come_back_only_after_the_dwell_of_a_pause():
    paused = after(NORMAL, feed_alive=False)
    assert after(paused, NOW + SECOND_NS - 1)["mode"] == Mode.MODE_PAUSED
    assert shown(after(paused, NOW + SECOND_NS)) == {
        "mode": Mode.MODE_NORMAL,
        "reason": Reason.REASON_NONE,
        "since_mono_ns": NOW + SECOND_NS,
    }


def test_another_reason_does_not_begin_the_pause_anew():
    paused = after(NORMAL, feed_alive=False)
    still = after(paused, NOW + 5, gateway_ready=False)
    assert shown(still) == {"mode": Mode.MODE_PAUSED, "reason": Reason.REASON_GATEWAY_NOT_READY, "since_mono_ns": NOW}


def test_no_operator_record_means_run():
    assert after(NORMAL, operator_wants=OperatorState.OPERATOR_NONE)["mode"] == Mode.MODE_NORMAL


# ---- the level: NORMAL, PINNING, GRINDING by inventory


def at(level, since=0, **more):
    """A state that is in a level since then."""
    reason = Reason.REASON_NONE if level == Mode.MODE_NORMAL else Reason.REASON_RATIO_ROSE
    return {"mode": level, "level": level, "reason": reason, "level_reason": reason, "since_mono_ns": since} | more


@pytest.mark.parametrize(
    ("level", "ratio", "mode", "reason"),
    [
        (Mode.MODE_NORMAL, 0.5999, Mode.MODE_NORMAL, Reason.REASON_NONE),
        (Mode.MODE_NORMAL, 0.60, Mode.MODE_PINNING, Reason.REASON_RATIO_ROSE),
        (Mode.MODE_NORMAL, 0.7499, Mode.MODE_PINNING, Reason.REASON_RATIO_ROSE),
        (Mode.MODE_NORMAL, 0.75, Mode.MODE_GRINDING, Reason.REASON_RATIO_ROSE),
        (Mode.MODE_PINNING, 0.50, Mode.MODE_PINNING, Reason.REASON_RATIO_ROSE),
        (Mode.MODE_PINNING, 0.4999, Mode.MODE_NORMAL, Reason.REASON_RATIO_FELL),
        (Mode.MODE_PINNING, 0.75, Mode.MODE_GRINDING, Reason.REASON_RATIO_ROSE),
        (Mode.MODE_GRINDING, 0.60, Mode.MODE_GRINDING, Reason.REASON_RATIO_ROSE),
        (Mode.MODE_GRINDING, 0.5999, Mode.MODE_PINNING, Reason.REASON_RATIO_FELL),
        (Mode.MODE_GRINDING, 0.10, Mode.MODE_PINNING, Reason.REASON_RATIO_FELL),
    ],
)
def test_thresholds_have_two_sides_and_a_gap(level, ratio, mode, reason):
    state = after(at(level), ratio=ratio)
    assert (state["mode"], state["reason"]) == (mode, reason)


@pytest.mark.parametrize("level", [Mode.MODE_PINNING, Mode.MODE_GRINDING])
def test_towards_risk_at_once_and_back_only_after_the_dwell(level):
    state = after(at(Mode.MODE_NORMAL, since=NOW - 1), ratio=0.8 if level == Mode.MODE_GRINDING else 0.6)
    assert (state["mode"], state["since_mono_ns"]) == (level, NOW)
    assert after(state, NOW + 10 * SECOND_NS - 1, ratio=0.2)["mode"] == level
    assert after(state, NOW + 10 * SECOND_NS, ratio=0.2)["mode"] == level - 1


def test_patience_grinds_below_its_threshold_and_ends_at_the_pins_exit():
    state = after(at(Mode.MODE_PINNING), ratio=0.55, patience_over=True)
    assert (state["mode"], state["reason"]) == (Mode.MODE_GRINDING, Reason.REASON_PATIENCE)
    assert after(state, NOW + 60 * SECOND_NS, ratio=0.50)["mode"] == Mode.MODE_GRINDING
    assert after(state, NOW + 60 * SECOND_NS, ratio=0.4999)["mode"] == Mode.MODE_PINNING


def test_it_does_not_grind_in_a_storm_and_leaves_when_one_comes():
    assert after(at(Mode.MODE_PINNING), ratio=0.8, sigma_30m=0.01)["mode"] == Mode.MODE_PINNING
    assert after(at(Mode.MODE_PINNING), ratio=0.8, sigma_30m=0.0099)["mode"] == Mode.MODE_GRINDING
    grinding = at(Mode.MODE_GRINDING, since=NOW - 1)
    assert after(grinding, ratio=0.8, sigma_30m=0.012)["mode"] == Mode.MODE_GRINDING
    state = after(grinding, ratio=0.8, sigma_30m=0.0121)
    assert (state["mode"], state["reason"]) == (Mode.MODE_PINNING, Reason.REASON_VOLATILITY)
    assert after(state, NOW + 10 * SECOND_NS - 1, ratio=0.8)["mode"] == Mode.MODE_PINNING
    assert after(state, NOW + 10 * SECOND_NS, ratio=0.8)["mode"] == Mode.MODE_GRINDING


def test_an_empty_budget_falls_back_to_pinning_at_once_and_bars_grinding():
    state = after(at(Mode.MODE_GRINDING, since=NOW - 1), ratio=0.8, budget_empty=True)
    assert (state["mode"], state["reason"]) == (Mode.MODE_PINNING, Reason.REASON_LOSS_BUDGET)
    assert after(state, NOW + 3600 * SECOND_NS, ratio=0.8, budget_empty=True)["mode"] == Mode.MODE_PINNING
    assert after(state, NOW + 10 * SECOND_NS, ratio=0.8)["mode"] == Mode.MODE_GRINDING


def test_a_pause_over_grinding_ends_in_grinding_even_between_its_thresholds():
    paused = after(at(Mode.MODE_GRINDING), ratio=0.65, feed_alive=False)
    assert (paused["mode"], paused["level"]) == (Mode.MODE_PAUSED, Mode.MODE_GRINDING)
    assert after(paused, NOW + SECOND_NS, ratio=0.65)["mode"] == Mode.MODE_GRINDING


# ---- the stop: FLATTENING, COOLING, a latch

STOPS = [Reason.REASON_STOP_LOSS, Reason.REASON_DRAWDOWN, Reason.REASON_EMERGENCY, Reason.REASON_DAILY_LOSS]


@pytest.mark.parametrize("reason", STOPS)
@pytest.mark.parametrize("level", [Mode.MODE_NORMAL, Mode.MODE_PINNING, Mode.MODE_GRINDING])
def test_a_stop_flattens_from_every_level_and_lasts_until_flat(level, reason):
    state = after(at(level), stop=reason)
    assert (state["mode"], state["reason"]) == (Mode.MODE_FLATTENING, reason)
    assert after(state, NOW + 3600 * SECOND_NS)["mode"] == Mode.MODE_FLATTENING, "the cause may be gone by then"


@pytest.mark.parametrize(("changes", "_"), PAUSES)
def test_flattening_and_cooling_win_over_every_pause(changes, _):
    bad = {"flat": False, "stop": Reason.REASON_STOP_LOSS} | changes
    state = after(NORMAL, **(bad | {"flat": False}))
    assert state["mode"] == Mode.MODE_FLATTENING
    assert after(state, **(bad | {"flat": True}))["mode"] == Mode.MODE_COOLING


def test_after_flattening_it_cools_for_its_time_then_begins_anew():
    state = after(after(at(Mode.MODE_GRINDING), stop=Reason.REASON_DRAWDOWN), flat=True, stop=Reason.REASON_DRAWDOWN)
    assert (state["mode"], state["reason"]) == (Mode.MODE_COOLING, Reason.REASON_FLAT)
    last = NOW + 300 * SECOND_NS
    assert after(state, last - 1, flat=True, stop=Reason.REASON_DRAWDOWN)["mode"] == Mode.MODE_COOLING
    state = after(state, last, flat=True, stop=Reason.REASON_DRAWDOWN)
    assert (state["mode"], state["reason"]) == (Mode.MODE_NORMAL, Reason.REASON_COOLED)


def test_a_late_fill_while_cooling_is_closed_too_and_cooling_begins_anew():
    state = after(after(NORMAL, stop=Reason.REASON_STOP_LOSS), flat=True)
    state = after(state, NOW + 100 * SECOND_NS)
    assert state["mode"] == Mode.MODE_FLATTENING
    state = after(state, NOW + 101 * SECOND_NS, flat=True)
    assert state["cooling_until_mono_ns"] == NOW + 401 * SECOND_NS


def test_a_stop_that_latches_asks_for_the_latch_only_when_flat():
    latching = PARAMS.copy()
    latching["stop_latches"] = 1
    state = after(NORMAL, params=latching, stop=Reason.REASON_STOP_LOSS)
    assert (state["mode"], state["latch_wanted"]) == (Mode.MODE_FLATTENING, 0)
    state = after(state, params=latching, flat=True)
    assert (state["mode"], state["reason"], state["latch_wanted"]) == (Mode.MODE_HALTED, Reason.REASON_STOP_LOSS, 1)
    state = after(state, NOW + 3600 * SECOND_NS, params=latching, flat=True)
    assert state["mode"] == Mode.MODE_HALTED
    state = after(state, NOW + 3600 * SECOND_NS, params=latching, flat=True, latched=True)
    assert (state["mode"], state["reason"]) == (Mode.MODE_HALTED, Reason.REASON_LATCH)
    assert after(state, NOW + 3601 * SECOND_NS, params=latching, flat=True)["mode"] == Mode.MODE_NORMAL


def test_the_daily_loss_latches_always_also_when_another_stop_came_first():
    state = after(NORMAL, stop=Reason.REASON_STOP_LOSS)
    state = after(state, NOW + 1, stop=Reason.REASON_DAILY_LOSS)
    state = after(state, NOW + 2, stop=Reason.REASON_DAILY_LOSS, flat=True)
    assert (state["mode"], state["reason"]) == (Mode.MODE_HALTED, Reason.REASON_DAILY_LOSS)


@pytest.mark.parametrize("halt", [changes for changes, _ in HALTS])
def test_halted_wins_over_flattening_and_forgets_it(halt):
    state = after(after(NORMAL, stop=Reason.REASON_STOP_LOSS), stop=Reason.REASON_STOP_LOSS, **halt)
    assert state["mode"] == Mode.MODE_HALTED
    assert after(state, NOW + SECOND_NS)["mode"] == Mode.MODE_NORMAL


def test_an_operators_flatten_closes_the_position_then_stays_paused_until_resume():
    asked = {"operator_wants": OperatorState.OPERATOR_FLATTEN}
    state = after(NORMAL, **asked)
    assert (state["mode"], state["reason"]) == (Mode.MODE_FLATTENING, Reason.REASON_OPERATOR)
    state = after(state, NOW + SECOND_NS, flat=True, **asked)
    assert (state["mode"], state["reason"]) == (Mode.MODE_PAUSED, Reason.REASON_OPERATOR)
    assert after(state, NOW + 3600 * SECOND_NS, flat=True, **asked)["mode"] == Mode.MODE_PAUSED
    assert after(state, NOW + 3600 * SECOND_NS, flat=True)["mode"] == Mode.MODE_NORMAL


def test_an_operators_flatten_closes_the_position_under_a_latch_too_then_halts_again():
    asked = {"operator_wants": OperatorState.OPERATOR_FLATTEN, "latched": True}
    halted = after(NORMAL, latched=True)
    state = after(halted, **asked)
    assert (state["mode"], state["reason"]) == (Mode.MODE_FLATTENING, Reason.REASON_OPERATOR)
    assert after(halted, measured=False, **asked)["mode"] == Mode.MODE_HALTED
    state = after(state, NOW + SECOND_NS, flat=True, **asked)
    assert (state["mode"], state["reason"]) == (Mode.MODE_HALTED, Reason.REASON_LATCH)


def test_without_an_own_record_nothing_is_concluded():
    stopped = after(NORMAL, stop=Reason.REASON_STOP_LOSS)
    blind = after(stopped, NOW + 1, measured=False, known=False, flat=True)
    assert (blind["mode"], blind["cooling_until_mono_ns"]) == (Mode.MODE_FLATTENING, 0)
    assert after(NORMAL, measured=False, ratio=2.0, stop=Reason.REASON_EMERGENCY)["mode"] == Mode.MODE_NORMAL


@pytest.mark.parametrize(
    ("level", "calmer"), [(Mode.MODE_PINNING, Mode.MODE_NORMAL), (Mode.MODE_GRINDING, Mode.MODE_PINNING)]
)
def test_a_mode_switched_off_is_not_entered_and_is_left(level, calmer):
    off = PARAMS.copy()
    off["pin_enabled" if level == Mode.MODE_PINNING else "grind_enabled"] = 0
    assert after(at(calmer), params=off, ratio=0.7 if level == Mode.MODE_PINNING else 0.8)["mode"] == calmer
    assert after(at(level), params=off, ratio=0.7)["mode"] == calmer
