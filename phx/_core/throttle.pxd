# Sliding windows over our own requests: never more than the share of the venue's limits that we allow ourselves.
from libc.stdint cimport int64_t, uint32_t

cdef enum:
    THROTTLE_TIMES = 4096               # requests remembered, a power of two larger than any limit
    THROTTLE_WINDOWS = 3                # 1 s, 10 s, 60 s

cdef struct Throttle:
    int64_t times_mono_ns[THROTTLE_TIMES]
    uint32_t head                       # requests counted so far
    uint32_t tail[THROTTLE_WINDOWS]     # of them, those older than the window

cdef void expire(Throttle *throttle, int64_t now_ns) noexcept nogil                        # move the windows on
cdef uint32_t used(const Throttle *throttle, int window) noexcept nogil                    # after expire()
cdef bint has_room(const Throttle *throttle, const uint32_t *limits) noexcept nogil        # after expire()
cdef void count(Throttle *throttle, int64_t now_ns) noexcept nogil
