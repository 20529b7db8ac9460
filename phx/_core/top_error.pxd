# How well our nearest orders follow their targets.
from libc.stdint cimport int64_t

from phx._core.decide cimport Verdict
from phx._core.live cimport Live
from phx._core.records cimport QuoterCounters

cdef struct TopError:                        # by side_index; as of the newest step
    bint wanted[2]                           # a nearest layer is wanted
    bint within[2]                           # and an order of ours lies within the tolerance of its target
    double ticks[2]                          # its distance from the target, outward positive; 0 without an order

cdef void measure_top(TopError *error, const Verdict *verdict, const Live *live) noexcept nogil
cdef void count_top(const TopError *error, int64_t elapsed_ns, QuoterCounters *counters) noexcept nogil
