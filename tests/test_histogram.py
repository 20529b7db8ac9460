"""Histograms against exact values: edges, error bound, quantiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phx._core import histogram, records

LARGEST_NS = 2**36 - 1  # beyond it everything counts as about a minute


@given(value_ns=st.integers(0, LARGEST_NS))
def test_a_value_lies_between_the_edges_of_its_bucket(value_ns):
    bucket = histogram.bucket_of(value_ns)
    edges = histogram.lower_edges_ns()
    assert edges[bucket] <= value_ns
    assert bucket == records.BUCKETS - 1 or value_ns < edges[bucket + 1]


def test_edges_rise_and_no_bucket_is_wider_than_a_thirty_second_of_its_values():
    edges = histogram.lower_edges_ns()
    widths = np.diff(edges)
    assert (widths > 0).all()
    assert (widths[32:] * 32 <= edges[32:-1]).all()


def test_values_beyond_the_last_bucket_are_counted_in_it():
    for value in (LARGEST_NS, LARGEST_NS + 1, 2**63, 2**64 - 1):
        assert histogram.bucket_of(value) == records.BUCKETS - 1


def test_a_negative_duration_is_counted_as_zero():
    buckets = np.zeros(records.BUCKETS, np.uint64)
    histogram.count_into(buckets, -5)
    assert buckets[0] == 1


@given(
    values=st.lists(st.integers(0, LARGEST_NS), min_size=1, max_size=300),
    share=st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]),
)
def test_quantiles_are_within_the_error_bound_of_the_exact_ones(values, share):
    buckets = np.zeros(records.BUCKETS, np.uint64)
    for value in values:
        histogram.count_into(buckets, value)
    exact = sorted(values)[min(len(values) - 1, int(share * len(values)))]
    assert abs(histogram.quantile_ns(buckets, share) - exact) <= max(1, exact / 32)


def test_an_empty_histogram_has_quantile_zero():
    assert histogram.quantile_ns(np.zeros(records.BUCKETS, np.uint64), 0.5) == 0


def test_a_share_or_a_shape_that_makes_no_sense_is_refused():
    buckets = np.zeros(records.BUCKETS, np.uint64)
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="share"):
            histogram.quantile_ns(buckets, share)
    with pytest.raises(ValueError, match="buckets"):
        histogram.count_into(np.zeros(10, np.uint64), 1)
    with pytest.raises(ValueError, match="shape"):
        histogram.quantile_ns(np.zeros(10, np.uint64), 0.5)
