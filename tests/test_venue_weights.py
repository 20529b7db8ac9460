"""The weight budget and the venue's clock, with time given."""

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phx.config import Limits
from phx.venue.binance.clock import VenueClock
from phx.venue.binance.weights import (
    MINUTE_NS,
    RESERVE,
    SHORTEST_BAN_NS,
    WEIGHT_PER_MINUTE,
    Weights,
    routine_cancels_60s,
)

SECOND = 10**9
START = 1_000 * MINUTE_NS


def test_a_share_is_spent_and_comes_back_with_the_next_minute():
    weights = Weights(0.25)
    for i in range(120):
        assert weights.wait_ns(5, False, START + i) == 0
        weights.spend(5, False, START + i)
    assert weights.wait_ns(1, False, START + SECOND) == 59 * SECOND
    assert weights.wait_ns(1, True, START + SECOND) == 0
    assert weights.wait_ns(1, False, START + MINUTE_NS) == 0


def test_urgent_requests_do_not_eat_the_share_of_the_others():
    weights = Weights(0.25)
    for _ in range(60):
        weights.spend(10, True, START)
    assert weights.own == 0 and weights.all == 600
    assert weights.wait_ns(1, False, START) == 0


def test_what_others_used_keeps_a_reserve_for_what_is_urgent():
    weights = Weights(1.0)
    weights.used(int(WEIGHT_PER_MINUTE * (1 - RESERVE)), START)
    assert weights.wait_ns(1, False, START) > 0 and weights.wait_ns(10, True, START) == 0
    weights.used(WEIGHT_PER_MINUTE, START)
    assert weights.wait_ns(1, True, START) > 0 and weights.wait_ns(0, True, START) == 0


def test_what_costs_no_weight_is_stopped_by_refusals_alone():
    weights = Weights(0.25)
    weights.used(WEIGHT_PER_MINUTE, START)
    assert weights.wait_ns(0, False, START) == 0
    weights.refused(False, SECOND, 0, START)
    assert weights.wait_ns(0, False, START) == SECOND


@pytest.mark.parametrize("retry_s", [0, 7])
def test_after_a_429_only_what_is_urgent_passes(retry_s):
    weights = Weights(1.0)
    now = START + 20 * SECOND
    wait_ns = weights.refused(False, retry_s * SECOND, 0, now)
    assert wait_ns == (retry_s or 40) * SECOND
    assert weights.wait_ns(0, False, now + wait_ns - 1) == 1 and weights.wait_ns(10, True, now) == 0
    assert weights.wait_ns(0, False, now + wait_ns) == 0


@pytest.mark.parametrize(("retry_s", "until_s", "silent_s"), [(0, 0, 120), (200, 0, 200), (0, 300, 300), (9, 300, 300)])
def test_after_a_418_nothing_passes(retry_s, until_s, silent_s):
    weights = Weights(1.0)
    until_ns = START + until_s * SECOND if until_s else 0
    assert weights.refused(True, retry_s * SECOND, until_ns, START) == silent_s * SECOND
    for urgent in (True, False):
        assert weights.wait_ns(0, urgent, START + silent_s * SECOND - 1) == 1
        assert weights.wait_ns(0, urgent, START + silent_s * SECOND) == 0
    assert SHORTEST_BAN_NS == 120 * SECOND


def test_a_shorter_refusal_never_shortens_a_longer_one():
    weights = Weights(1.0)
    weights.refused(True, 500 * SECOND, 0, START)
    weights.refused(True, 3 * SECOND, 0, START)
    assert weights.wait_ns(0, True, START + 499 * SECOND) == SECOND


REQUEST = st.tuples(st.integers(0, 40), st.booleans(), st.integers(0, 3 * SECOND), st.none() | st.integers(0, 2600))


@given(st.floats(0.01, 1.0), st.lists(REQUEST, max_size=200))
def test_no_minute_holds_more_than_the_share_or_the_limit(share, requests):
    """Model: sums per wall-clock minute of what was let through."""
    weights = Weights(share)
    now, own, everything = START, {}, {}
    for weight, urgent, step_ns, header in requests:
        now += step_ns
        minute = now // MINUTE_NS
        if weights.wait_ns(weight, urgent, now):
            continue
        weights.spend(weight, urgent, now)
        everything[minute] = everything.get(minute, 0) + weight
        if not urgent:
            own[minute] = own.get(minute, 0) + weight
        if header is not None:
            # The venue's count includes ours.
            everything[minute] = max(everything[minute], header)
            weights.used(everything[minute], now)
            everything[minute] = min(everything[minute], WEIGHT_PER_MINUTE)
    assert all(spent <= share * WEIGHT_PER_MINUTE for spent in own.values())
    assert all(spent <= WEIGHT_PER_MINUTE for spent in everything.values())


def test_the_venue_s_clock_is_taken_at_the_middle_of_the_round_trip():
    clock = VenueClock()
    clock.synchronise(1_000_000 * SECOND, 100, 300)
    assert (clock.venue_ns(200), clock.error_ns) == (1_000_000 * SECOND, 100)


def test_before_it_is_synchronised_the_own_clock_stands_in():
    clock = VenueClock()
    assert abs(clock.timestamp_ms() - time.time() * 1000) < 5_000 and clock.synchronised_mono_ns == 0


@pytest.mark.parametrize(("guardian", "cancels"), [(0.25, 840), (0.60, 0), (0.0, 1440)])
def test_routine_cancels_take_what_the_other_shares_leave(guardian, cancels):
    limits = Limits(Decimal(1), Decimal(1), weight_share_guardian=guardian)
    assert routine_cancels_60s(limits) == cancels
