# What the market did after each fill: judged at 1, 10 and 60 s, added up by mode, layer and horizon.
from libc.stdint cimport int8_t, int64_t, uint8_t, uint64_t

from phx._core.records cimport MARK_OUT_HORIZONS, ExecEvent, QuoterCounters

cdef enum:
    PENDING_FILLS = 4096                     # a power of two: 68 fills a second, sustained, wait 60 s each

cdef struct Pending:                         # a fill that not every horizon has judged
    int64_t at_ns                            # when we heard of it, monotonic
    int64_t price_ticks
    int64_t qty_lots
    int8_t side                              # Side
    uint8_t mode                             # Mode of the ladder that asked for the order
    uint8_t layer                            # 0..MARK_OUT_LAYERS - 1, the last one for takes

cdef class MarkOuts:
    cdef Pending[PENDING_FILLS] pending      # of fill n at n % PENDING_FILLS
    cdef uint64_t fills                      # so many were added
    cdef uint64_t[MARK_OUT_HORIZONS] judged  # horizon h has done with the fills before this number
    cdef void add(self, const ExecEvent *event, QuoterCounters *counters) noexcept nogil
    cdef bint due(self, int64_t now_ns) noexcept nogil
    cdef void judge(
        self, int64_t now_ns, int64_t mid_half_ticks, bint trusted, QuoterCounters *counters
    ) noexcept nogil
