# Sliding windows over our own requests: never more than the share of the venue's limits that we allow ourselves.
from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:
    THROTTLE_TIMES = 4096               # requests remembered, a power of two larger than any limit
    THROTTLE_WINDOWS = 3                # 1 s, 10 s, 60 s
    THROTTLE_SYMBOLS = 32               # traded symbols have ids below
    THROTTLE_OTHERS = 32                # requests of a former life, or of others on the account

cdef struct Throttle:
    int64_t[THROTTLE_TIMES] times_mono_ns
    uint8_t[THROTTLE_TIMES] symbol      # whose request it was
    uint32_t head                       # requests counted so far
    uint32_t[THROTTLE_WINDOWS] tail     # of them, those older than the window
    uint32_t[THROTTLE_WINDOWS][THROTTLE_SYMBOLS + 1] used_by    # of those within the window, by symbol

cdef void expire(Throttle *throttle, int64_t now_ns) noexcept nogil                        # move the windows on
cdef uint32_t used(const Throttle *throttle, int window) noexcept nogil                    # after expire()
cdef bint has_room(const Throttle *throttle, const uint32_t *limits) noexcept nogil        # after expire()
# Whether a symbol may have one more: within its own share by value, or of what the others keep no claim to.
cdef bint has_share(const Throttle *throttle, const uint32_t *limits, const int64_t *values, int symbol) noexcept nogil
cdef void count(Throttle *throttle, int64_t now_ns, int symbol) noexcept nogil
# Forget so many requests of a window, the oldest: those that stay expire later, so it never counts too few.
cdef void forgive(Throttle *throttle, int window, int requests) noexcept nogil
