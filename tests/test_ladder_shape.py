"""Both shapes against the golden numbers of the strategy, to their printed digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quoting import params

from phx._core.ladder_shape import adding_layer_count, offsets


@pytest.fixture
def near_far(tmp_path):
    return params(tmp_path, ladder_shape=0, near_layers=8, near_start=0.00033, near_ratio=1.15, far_layers=0)


@pytest.fixture
def geometric(tmp_path):
    return params(
        tmp_path,
        ladder_shape=1,
        near_layers=8,
        far_layers=11,
        geometric_start_ticks=1.2,
        geometric_first_ticks=1.2,
        geometric_mult=1.15,
        geometric_max_spacing_ticks=25.0,
    )


def test_near_layers_are_the_golden_ones(near_far):
    found = offsets(near_far, 3000.0)
    assert found[:2] == pytest.approx([0.99, 1.1385])
    assert found == pytest.approx([0.99 * 1.15**i for i in range(8)])


def test_far_layers_lie_in_equal_steps(near_far):
    near_far["far_layers"], near_far["far_start"], near_far["far_end"] = 5, 0.0067, 0.02
    assert offsets(near_far, 3000.0)[8:] == pytest.approx([20.1 + (60 - 20.1) * j / 4 for j in range(5)])


def test_far_layers_lie_in_equal_ratios(near_far):
    near_far["far_layers"], near_far["far_start"], near_far["far_end"], near_far["far_shape"] = 5, 0.0067, 0.02, 1
    assert offsets(near_far, 3000.0)[8:] == pytest.approx([20.1 * (60 / 20.1) ** (j / 4) for j in range(5)])


@pytest.mark.parametrize("shape", [0, 1])
def test_a_single_far_layer_lies_at_the_start(near_far, shape):
    near_far["far_layers"], near_far["far_shape"] = 1, shape
    assert offsets(near_far, 3000.0)[8:] == pytest.approx([20.1])


def test_geometric_layers_are_the_golden_ones_while_the_cap_does_not_bind(geometric):
    found = offsets(geometric, 3000.0)
    assert [round(d, 3) for d in found[:4]] == [1.2, 2.4, 3.78, 5.367]
    assert round(found[17], 2) == 79.29


def test_geometric_layers_are_the_golden_ones_with_a_cap(geometric):
    geometric["geometric_max_spacing_ticks"] = 5.0
    found = offsets(geometric, 3000.0)
    assert [round(d, 3) for d in found[10:18]] == [25.564, 30.419, 35.419, 40.419, 45.419, 50.419, 55.419, 60.419]


def test_a_ladder_never_has_more_layers_than_its_record(near_far):
    near_far["near_layers"], near_far["far_layers"] = 30, 16
    assert len(offsets(near_far, 3000.0)) == 32


@pytest.mark.parametrize(
    ("layers", "ratio", "expected"),
    [(16, 0.0, 16), (16, 0.07, 15), (10, 0.5, 7), (10, -0.5, 7), (16, 1.0, 6), (16, 2.0, 1), (1, 1.0, 1)],
)
def test_the_adding_side_loses_layers_with_inventory_but_never_the_last(layers, ratio, expected):
    assert adding_layer_count(layers, ratio, 0.6) == expected


@given(st.integers(1, 32), st.floats(0, 3))
def test_more_inventory_never_means_more_adding_layers(layers, ratio):
    assert 1 <= adding_layer_count(layers, ratio, 0.6) <= adding_layer_count(layers, ratio / 2, 0.6) <= layers
