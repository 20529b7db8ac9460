"""Sliding windows of 1, 10 and 60 s over requests: exact, so no window of that length ever holds more than its limit.

(A token bucket would pass up to twice its limit in one window.)
"""

from libc.stdint cimport int64_t, uint32_t


cdef inline int64_t length_ns(int window) noexcept nogil:
    return 1_000_000_000 if window == 0 else 10_000_000_000 if window == 1 else 60_000_000_000


cdef void expire(Throttle *throttle, int64_t now_ns) noexcept nogil:
    cdef int window
    for window in range(THROTTLE_WINDOWS):
        while (throttle.tail[window] != throttle.head
               and now_ns - throttle.times_mono_ns[throttle.tail[window] & (THROTTLE_TIMES - 1)] >= length_ns(window)):
            throttle.tail[window] += 1


cdef uint32_t used(const Throttle *throttle, int window) noexcept nogil:
    return throttle.head - throttle.tail[window]


cdef bint has_room(const Throttle *throttle, const uint32_t *limits) noexcept nogil:
    cdef int window
    for window in range(THROTTLE_WINDOWS):
        if used(throttle, window) >= limits[window]:
            return False
    return True


cdef void count(Throttle *throttle, int64_t now_ns) noexcept nogil:
    throttle.times_mono_ns[throttle.head & (THROTTLE_TIMES - 1)] = now_ns
    throttle.head += 1
    # More requests than are remembered: the oldest counts as expired. Limits are far below, has_room() holds them.
    cdef int window
    for window in range(THROTTLE_WINDOWS):
        if used(throttle, window) > THROTTLE_TIMES:
            throttle.tail[window] += 1


cdef class SlidingWindows:
    """A throttle for tools and tests; the gateway embeds the struct. limits: requests per 1, 10 and 60 s."""

    cdef Throttle throttle
    cdef uint32_t[THROTTLE_WINDOWS] limits

    def __init__(self, limits):
        for i, limit in enumerate(limits):
            if not 0 <= limit < THROTTLE_TIMES:
                raise ValueError(f"limit {limit}, expected 0..{THROTTLE_TIMES - 1}")
            self.limits[i] = limit

    def request(self, int64_t now_ns):
        """Count a request and return True, or return False when a window is full."""
        expire(&self.throttle, now_ns)
        if not has_room(&self.throttle, self.limits):
            return False
        count(&self.throttle, now_ns)
        return True

    def used(self, int64_t now_ns):
        """Return the requests counted in the last 1, 10 and 60 s."""
        expire(&self.throttle, now_ns)
        return tuple(used(&self.throttle, window) for window in range(THROTTLE_WINDOWS))
