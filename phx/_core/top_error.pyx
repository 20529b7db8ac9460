"""The top layer against its target, weighted by time, both sides added up, in NORMAL only.

Target: the price the newest decision gave the nearest layer of a side before the keep rule. Ours: the nearest order
that rests or is on its way in. Within: no farther from the target, outward or inward, than the first layer's
tolerance. A side that wants no layer is not measured; one without an order is not within. An order kept for its place
in the queue counts as it lies: outside.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport llabs

from phx._core.decide cimport Verdict
from phx._core.live cimport Live, LiveSide
from phx._core.records cimport NO_PRICE, QuoterCounters


cdef void measure_top(TopError *error, const Verdict *verdict, const Live *live) noexcept nogil:
    cdef int s, order
    cdef int64_t off_ticks
    cdef const LiveSide *own
    for s in range(2):
        own = &live.sides[s]
        error.wanted[s], error.within[s], error.ticks[s] = verdict.top_target_ticks[s] != NO_PRICE, False, 0
        order = 0
        while order < own.orders and not own.keepable[order]:
            order += 1
        if order < own.orders and error.wanted[s]:
            off_ticks = (1 - 2 * s) * (verdict.top_target_ticks[s] - own.price_ticks[order])
            error.ticks[s] = off_ticks
            error.within[s] = llabs(off_ticks) <= verdict.top_tolerance_ticks


cdef void count_top(const TopError *error, int64_t elapsed_ns, QuoterCounters *counters) noexcept nogil:
    cdef int s
    for s in range(2):
        if error.wanted[s]:
            counters.top_ns += elapsed_ns
        if error.within[s]:
            counters.top_within_ns += elapsed_ns
