"""Sliding windows of 1, 10 and 60 s over requests: exact, so no window of that length ever holds more than its limit.

(A token bucket would pass up to twice its limit in one window.)

Symbols share a window by value. Each has a claim to its share of the limit; what it does not use it lends to the
others, all but half of it: a symbol that was quiet finds room at once when its market moves.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

cdef extern from *:
    ctypedef long long int128_t "__int128"


cdef inline int64_t length_ns(int window) noexcept nogil:
    return 1_000_000_000 if window == 0 else 10_000_000_000 if window == 1 else 60_000_000_000


cdef inline void drop_oldest(Throttle *throttle, int window) noexcept nogil:
    throttle.used_by[window][throttle.symbol[throttle.tail[window] & (THROTTLE_TIMES - 1)]] -= 1
    throttle.tail[window] += 1


cdef void expire(Throttle *throttle, int64_t now_ns) noexcept nogil:
    cdef int window
    for window in range(THROTTLE_WINDOWS):
        while (throttle.tail[window] != throttle.head
               and now_ns - throttle.times_mono_ns[throttle.tail[window] & (THROTTLE_TIMES - 1)] >= length_ns(window)):
            drop_oldest(throttle, window)


cdef uint32_t used(const Throttle *throttle, int window) noexcept nogil:
    return throttle.head - throttle.tail[window]


cdef bint has_room(const Throttle *throttle, const uint32_t *limits) noexcept nogil:
    cdef int window
    for window in range(THROTTLE_WINDOWS):
        if used(throttle, window) >= limits[window]:
            return False
    return True


cdef bint has_share(const Throttle *throttle, const uint32_t *limits, const int64_t *values, int symbol) noexcept nogil:
    cdef int window, other
    cdef int128_t total = 0
    cdef int64_t share, claimed
    for other in range(THROTTLE_SYMBOLS):
        total += max(<int64_t>0, values[other])
    if total <= 0:
        return has_room(throttle, limits)
    for window in range(THROTTLE_WINDOWS):
        share = <int64_t>(<int128_t>max(<int64_t>0, values[symbol]) * limits[window] // total)
        if throttle.used_by[window][symbol] < share:
            continue
        claimed = used(throttle, window)
        for other in range(THROTTLE_SYMBOLS):
            if other == symbol or values[other] <= 0:
                continue
            share = <int64_t>(<int128_t>values[other] * limits[window] // total)
            if throttle.used_by[1][other] == 0:
                share //= 2                          # it asked for nothing in the last ten seconds
            claimed += max(<int64_t>0, share - throttle.used_by[window][other])
        if claimed >= limits[window]:
            return False
    return has_room(throttle, limits)


cdef void count(Throttle *throttle, int64_t now_ns, int symbol) noexcept nogil:
    # More requests than are remembered: the oldest counts as expired. Limits are far below, has_room() holds them.
    cdef int window
    for window in range(THROTTLE_WINDOWS):
        if used(throttle, window) >= THROTTLE_TIMES:
            drop_oldest(throttle, window)
        throttle.used_by[window][symbol] += 1
    throttle.times_mono_ns[throttle.head & (THROTTLE_TIMES - 1)] = now_ns
    throttle.symbol[throttle.head & (THROTTLE_TIMES - 1)] = <unsigned char>symbol
    throttle.head += 1


cdef void forgive(Throttle *throttle, int window, int requests) noexcept nogil:
    cdef int _i
    for _i in range(min(requests, <int>used(throttle, window))):
        drop_oldest(throttle, window)


cdef class SlidingWindows:
    """A throttle for tools and tests; the gateway embeds the struct.

    limits: requests per 1, 10 and 60 s. values: what each symbol is worth; none = they do not share, first come first
    served.
    """

    cdef Throttle throttle
    cdef uint32_t[THROTTLE_WINDOWS] limits
    cdef int64_t[THROTTLE_SYMBOLS] values

    def __init__(self, limits, values=()):
        memset(&self.throttle, 0, sizeof(Throttle))
        for i, limit in enumerate(limits):
            if not 0 <= limit < THROTTLE_TIMES:
                raise ValueError(f"limit {limit}, expected 0..{THROTTLE_TIMES - 1}")
            self.limits[i] = limit
        for i in range(THROTTLE_SYMBOLS):
            self.values[i] = values[i] if i < len(values) else 0

    def request(self, int64_t now_ns, int symbol=0):
        """Count a request and return True, or return False when a window is full or others have a claim to it."""
        expire(&self.throttle, now_ns)
        if not has_share(&self.throttle, self.limits, self.values, symbol):
            return False
        count(&self.throttle, now_ns, symbol)
        return True

    def used(self, int64_t now_ns):
        """Return the requests counted in the last 1, 10 and 60 s."""
        expire(&self.throttle, now_ns)
        return tuple(used(&self.throttle, window) for window in range(THROTTLE_WINDOWS))
