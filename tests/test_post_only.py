"""What a post-only refusal teaches: farther out, for a while, on that side and rung only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quoting import SECOND_NS, params

from phx._core.post_only import RefusedLayers

T = 1_000 * SECOND_NS


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return params(tmp_path_factory.mktemp("params"), post_only_step_ticks=1.0, post_only_half_life_s=30.0)


def changed(plain, **fields):
    record = plain.copy()
    for name, value in fields.items():
        record[name] = value
    return record


def test_nothing_is_widened_before_the_first_refusal(plain):
    assert RefusedLayers().ticks(1, plain, T) == [0] * 32


def test_one_refusal_widens_its_own_side_and_rung_by_a_step(plain):
    refused = RefusedLayers()
    refused.note(-1, 3, plain, T)
    assert refused.ticks(-1, plain, T) == [0, 0, 0, 1] + [0] * 28
    assert refused.ticks(1, plain, T) == [0] * 32


def test_refusals_in_a_row_find_the_edge_of_any_zone_soon(plain):
    refused, found = RefusedLayers(), []
    for _ in range(5):
        refused.note(1, 0, plain, T)
        found.append(refused.ticks(1, plain, T)[0])
    assert found == [1, 3, 7, 15, 31]


def test_the_step_is_the_configured_one_and_no_step_learns_nothing(plain):
    refused, wide = RefusedLayers(), changed(plain, post_only_step_ticks=4.0)
    refused.note(1, 0, wide, T)
    refused.note(1, 0, wide, T)
    assert refused.ticks(1, wide, T)[0] == 12
    refused, off = RefusedLayers(), changed(plain, post_only_step_ticks=0.0)
    refused.note(1, 0, off, T)
    assert refused.ticks(1, off, T) == [0] * 32


@pytest.mark.parametrize(("after_s", "left"), [(0, 31), (30, 16), (60, 8), (150, 1), (181, 0), (10_000, 0)])
def test_it_is_forgotten_by_half_lives(plain, after_s, left):
    refused = RefusedLayers()
    for _ in range(5):
        refused.note(1, 0, plain, T)
    assert refused.ticks(1, plain, T + after_s * SECOND_NS)[0] == left


def test_looking_does_not_make_it_forget_faster(plain):
    refused = RefusedLayers()
    for _ in range(5):
        refused.note(1, 0, plain, T)
    for i in range(60):
        refused.ticks(1, plain, T + i * SECOND_NS)
    assert refused.ticks(1, plain, T + 60 * SECOND_NS)[0] == 8


def test_a_clock_that_stands_or_runs_back_widens_nothing_further(plain):
    refused = RefusedLayers()
    refused.note(1, 0, plain, T)
    assert refused.ticks(1, plain, T - 90 * SECOND_NS)[0] == 1


@pytest.mark.parametrize(("side", "layer"), [(1, 255), (1, 32), (0, 0), (2, 0), (-3, 1)])
def test_takes_and_unknown_rungs_and_sides_teach_nothing(plain, side, layer):
    refused = RefusedLayers()
    refused.note(side, layer, plain, T)
    assert refused.ticks(1, plain, T) == refused.ticks(-1, plain, T) == [0] * 32


@given(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(0, 31), st.integers(0, 60)), max_size=200))
def test_it_is_never_unbounded_and_ends_in_nothing(plain, refusals):
    refused, now = RefusedLayers(), T
    for side, layer, wait_s in refusals:
        now += wait_s * SECOND_NS
        refused.note(side, layer, plain, now)
        assert all(0 <= ticks <= 1023 for ticks in refused.ticks(side, plain, now))
        assert refused.ticks(side, plain, now)[layer] >= 1
    assert refused.ticks(1, plain, now + 600 * SECOND_NS) == [0] * 32
