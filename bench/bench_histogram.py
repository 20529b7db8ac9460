"""Count one duration in a log-linear histogram: what each measurement on the hot path costs.

Topology: one thread, 1,024 buckets, durations spread log-normally around a microsecond. Measure: ns per value.
Rival: prometheus_client's Histogram.observe. A regression means the hot path pays for being watched.
"""

import numpy as np
import prometheus_client
from compiled import loops
from timing import per_operation_ns

from phx._core import records

COUNT = 100_000


def bench_histogram_record_1p(side_by_side):
    module = loops("ring_loops")
    values = np.random.default_rng(1).lognormal(7, 1.5, COUNT).astype(np.int64)
    buckets = np.zeros(records.BUCKETS, np.uint64)
    registry = prometheus_client.CollectorRegistry()
    theirs = prometheus_client.Histogram("duration", "ns", buckets=[2.0**n for n in range(24)], registry=registry)
    few = values[:2000].tolist()

    def ours():
        return per_operation_ns(lambda: module.count_values(buckets, values, 5), 5 * COUNT)

    def observe():
        for value in few:
            theirs.observe(value)

    def prometheus():
        return per_operation_ns(observe, len(few))

    side_by_side(ours, {"prometheus_client observe": prometheus})
