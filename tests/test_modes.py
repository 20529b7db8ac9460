"""The state machine, walked along every edge that exists."""

import pytest
from quoting import SECOND_NS

from phx._core.enums import BookFlag, Mode, OperatorState, Reason
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
    "book_flags": 0,
    "data_age_ns": 0,
    "data_max_age_ns": SECOND_NS,
    "two_sided": True,
}
NORMAL = {"mode": Mode.MODE_NORMAL, "reason": Reason.REASON_NONE, "since_mono_ns": 0}

PAUSES = [
    ({"operator_wants": OperatorState.OPERATOR_PAUSE}, Reason.REASON_OPERATOR),
    ({"operator_wants": OperatorState.OPERATOR_FLATTEN}, Reason.REASON_OPERATOR),
    ({"known": False}, Reason.REASON_WARMING_UP),
    ({"enabled": False}, Reason.REASON_DISABLED),
    ({"froze": True}, Reason.REASON_OWN_FREEZE),
    ({"feed_alive": False}, Reason.REASON_FEED_LOST),
    ({"book_flags": BookFlag.BOOK_UNSYNCED}, Reason.REASON_BOOK_UNSYNCED),
    ({"data_age_ns": SECOND_NS + 1}, Reason.REASON_BOOK_STALE),
    ({"book_flags": BookFlag.BOOK_CROSSED}, Reason.REASON_BOOK_CROSSED),
    ({"book_flags": BookFlag.BOOK_ONE_SIDED}, Reason.REASON_BOOK_ONE_SIDED),
    ({"two_sided": False}, Reason.REASON_BOOK_ONE_SIDED),
    ({"gateway_ready": False}, Reason.REASON_GATEWAY_NOT_READY),
]
HALTS = [
    ({"latched": True}, Reason.REASON_LATCH),
    ({"operator_wants": OperatorState.OPERATOR_KILL}, Reason.REASON_OPERATOR),
]


def after(state, now_ns=NOW, **changes):
    return next_mode(state, GOOD | changes, now_ns)


def test_good_conditions_stay_normal():
    assert after(NORMAL) == NORMAL


@pytest.mark.parametrize(("changes", "reason"), PAUSES)
def test_each_bad_condition_pauses_at_once_with_its_reason(changes, reason):
    assert after(NORMAL, **changes) == {"mode": Mode.MODE_PAUSED, "reason": reason, "since_mono_ns": NOW}


@pytest.mark.parametrize(("changes", "reason"), HALTS)
def test_latch_and_kill_halt_at_once(changes, reason):
    assert after(NORMAL, **changes) == {"mode": Mode.MODE_HALTED, "reason": reason, "since_mono_ns": NOW}


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
    assert after(paused, NOW + SECOND_NS) == {
        "mode": Mode.MODE_NORMAL,
        "reason": Reason.REASON_NONE,
        "since_mono_ns": NOW + SECOND_NS,
    }


def test_another_reason_does_not_begin_the_pause_anew():
    paused = after(NORMAL, feed_alive=False)
    still = after(paused, NOW + 5, gateway_ready=False)
    assert still == {"mode": Mode.MODE_PAUSED, "reason": Reason.REASON_GATEWAY_NOT_READY, "since_mono_ns": NOW}


def test_no_operator_record_means_run():
    assert after(NORMAL, operator_wants=OperatorState.OPERATOR_NONE) == NORMAL
