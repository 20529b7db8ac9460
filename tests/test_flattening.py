"""FLATTENING: how far it goes and when, walked step by step."""

import pytest
from quoting import SECOND_NS, params

from phx._core.flattening import MARKET_STEP, Steps

MS = 1_000_000
T = 100 * SECOND_NS


@pytest.fixture
def p(tmp_path):
    return params(tmp_path)


def test_each_step_has_its_second_and_the_last_one_is_market_orders(p):
    steps = Steps(T)
    assert [steps.escalate(True, p, T + ms * MS) for ms in (0, 999, 1000, 1999, 2000, 3000, 99_000)] == [
        0, 0, 1, 1, 2, MARKET_STEP, MARKET_STEP,
    ]  # fmt: skip


def test_two_empty_slices_in_a_row_are_a_step(p):
    steps = Steps(T)
    steps.note(0, T)
    assert steps.escalate(True, p, T) == 0
    steps.note(5, T)
    steps.note(0, T)
    assert steps.escalate(True, p, T) == 0, "the one before had filled something"
    steps.note(0, T)
    assert steps.escalate(True, p, T) == 1
    assert steps.escalate(True, p, T) == 1, "counted anew"


def test_the_first_slice_waits_for_the_quotes_to_go_but_not_for_ever(p):
    steps = Steps(T)
    assert not steps.due(False, p, T + 499 * MS)
    assert steps.due(False, p, T + 500 * MS)
    assert steps.due(True, p, T)


def test_blind_it_waits_then_goes_to_the_last_step(p):
    steps = Steps(T)
    assert steps.escalate(False, p, T) == 0
    assert not steps.due(True, p, T)
    assert steps.escalate(False, p, T + 1999 * MS) == 0
    assert steps.escalate(False, p, T + 2000 * MS) == MARKET_STEP
    assert steps.due(True, p, T + 2000 * MS)


def test_sight_that_comes_back_begins_the_blind_time_anew(p):
    steps = Steps(T)
    steps.escalate(False, p, T)
    steps.escalate(True, p, T + 100 * MS)
    steps.escalate(False, p, T + 200 * MS)
    assert steps.escalate(False, p, T + 2199 * MS) < MARKET_STEP
    assert steps.escalate(False, p, T + 2200 * MS) == MARKET_STEP


def test_market_orders_that_fill_nothing_are_not_hammered(p):
    steps = Steps(T, step=MARKET_STEP)
    steps.note(0, T)
    assert steps.due(True, p, T)
    steps.note(0, T + MS)
    assert not steps.due(True, p, T + MS + 999 * MS)
    assert steps.due(True, p, T + MS + 1000 * MS)
    steps.note(1, T + 1001 * MS)
    assert steps.due(True, p, T + 1001 * MS)


def test_a_new_life_goes_on_at_the_step_it_had_reached(p):
    assert Steps(T, step=2).escalate(True, p, T) == 2
    assert Steps(T, step=99).escalate(True, p, T) == MARKET_STEP
