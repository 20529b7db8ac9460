"""Sliding windows: never more than the limit in any window of that length, and no less than possible."""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.throttle import SlidingWindows

SECOND_NS = 1_000_000_000
WINDOWS_S = (1, 10, 60)


@given(
    st.lists(st.integers(0, 3 * SECOND_NS), max_size=300),
    st.tuples(st.integers(0, 6), st.integers(0, 20), st.integers(0, 50)),
)
@settings(max_examples=200, deadline=None)
def test_it_admits_exactly_what_a_list_of_times_admits(gaps, limits):
    windows = SlidingWindows(limits)
    admitted = deque()
    now = 0
    for gap in gaps:
        now += gap
        counts = [sum(now - t < s * SECOND_NS for t in admitted) for s in WINDOWS_S]
        assert windows.used(now) == tuple(counts)
        free = all(count < limit for count, limit in zip(counts, limits, strict=True))
        assert windows.request(now) == free
        if free:
            admitted.append(now)


def test_both_sides_of_a_window():
    windows = SlidingWindows((2, 100, 100))
    assert windows.request(0) and windows.request(1) and not windows.request(2)
    assert not windows.request(SECOND_NS - 1)
    assert windows.request(SECOND_NS)


def test_a_burst_of_many_never_exceeds_any_window():
    windows = SlidingWindows((50, 240, 960))
    sent = [now for now in range(0, 120 * SECOND_NS, SECOND_NS // 100) if windows.request(now)]
    for length_s, limit in zip(WINDOWS_S, (50, 240, 960), strict=True):
        start = 0
        for end, time_ns in enumerate(sent):
            while time_ns - sent[start] >= length_s * SECOND_NS:
                start += 1
            assert end - start + 1 <= limit
    assert len(sent) == 2 * 960


def test_limits_beyond_its_memory_are_refused():
    with pytest.raises(ValueError, match="4096"):
        SlidingWindows((4096, 1, 1))
