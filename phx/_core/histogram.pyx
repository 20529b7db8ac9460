"""Log-linear histograms: bucket edges and quantiles for those who read what the hot path counted."""

import numpy as np

from phx._core.records cimport HISTOGRAM_BUCKETS


def bucket_of(uint64_t value_ns):
    """Return the bucket a value is counted in."""
    return phx_bucket(value_ns)


def lower_edges_ns():
    """Return the smallest value of each bucket, shape (HISTOGRAM_BUCKETS,), ns."""
    edges = np.arange(HISTOGRAM_BUCKETS, dtype=np.int64)
    octave = edges // 32 + 4
    sub = edges % 32
    return np.where(edges < 32, edges, (32 + sub) << np.maximum(octave - 5, 0))


EDGES_NS = lower_edges_ns()


def quantile_ns(buckets, double share):
    """Return the value below which `share` of the counted values lie (the middle of its bucket), ns; 0 when empty."""
    if not 0 <= share <= 1:
        raise ValueError(f"quantile: share {share}, expected 0 to 1")
    counts = np.asarray(buckets, dtype=np.uint64)
    if counts.shape != (HISTOGRAM_BUCKETS,):
        raise ValueError(f"histogram: shape {counts.shape}, expected ({HISTOGRAM_BUCKETS},)")
    total = int(counts.sum())
    if total == 0:
        return 0.0
    rank = min(total - 1, int(share * total))
    bucket = int(np.searchsorted(np.cumsum(counts), rank, side="right"))
    upper = EDGES_NS[bucket + 1] if bucket + 1 < HISTOGRAM_BUCKETS else EDGES_NS[bucket]
    return (EDGES_NS[bucket] + max(upper - 1, EDGES_NS[bucket])) / 2


def count_into(uint64_t[::1] buckets, int64_t value_ns):
    """Count one value; for processes that measure from Python."""
    if buckets.shape[0] != HISTOGRAM_BUCKETS:
        raise ValueError(f"histogram: {buckets.shape[0]} buckets, expected {HISTOGRAM_BUCKETS}")
    record(&buckets[0], value_ns)
