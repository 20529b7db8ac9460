"""What the gateway notices of its own trading: too much filled too fast (market-maker protection), and the same thing
done again and again (the repeated execution throttle). Exact rolling windows; what to do about it is the desk's.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport llabs
from libc.string cimport memset


cdef void drop_oldest(Rush *rush) noexcept nogil:
    cdef int64_t lots = rush.lots[rush.tail & (PROTECTION_EVENTS - 1)]
    rush.total_lots -= llabs(lots)
    rush.delta_lots -= lots
    rush.tail += 1


cdef bint note_rush(Rush *rush, int side, int64_t qty_lots, int64_t window_ns, int64_t allowed_lots,
                    int64_t allowed_delta_lots, int64_t now_ns) noexcept nogil:
    """Note a fill; return whether those within the window are too much. A human's or a pause's end begins anew."""
    cdef uint32_t at
    while rush.tail != rush.head and (
            now_ns - rush.times_mono_ns[rush.tail & (PROTECTION_EVENTS - 1)] >= window_ns):
        drop_oldest(rush)
    if rush.head - rush.tail >= PROTECTION_EVENTS:
        drop_oldest(rush)
        return True
    at = rush.head & (PROTECTION_EVENTS - 1)
    rush.times_mono_ns[at], rush.lots[at] = now_ns, side * qty_lots
    rush.head += 1
    rush.total_lots += qty_lots
    rush.delta_lots += side * qty_lots
    return rush.total_lots > allowed_lots or llabs(rush.delta_lots) > allowed_delta_lots


cdef bint count_cycle(Cycles *cycles, int64_t window_ns, uint32_t allowed, int64_t now_ns) noexcept nogil:
    """Count a new order that follows a fill of its side; return whether those within the window are too many."""
    while cycles.tail != cycles.head and (
            now_ns - cycles.times_mono_ns[cycles.tail & (PROTECTION_EVENTS - 1)] >= window_ns):
        cycles.tail += 1
    cycles.filled = False
    if cycles.head - cycles.tail >= PROTECTION_EVENTS:
        return True
    cycles.times_mono_ns[cycles.head & (PROTECTION_EVENTS - 1)] = now_ns
    cycles.head += 1
    return cycles.head - cycles.tail > allowed


cdef class RollingFills:
    """Market-maker protection for tools and tests; the desk embeds the struct."""

    cdef Rush rush
    cdef int64_t window_ns, allowed_lots, allowed_delta_lots

    def __init__(self, int64_t window_ns, int64_t allowed_lots, int64_t allowed_delta_lots):
        memset(&self.rush, 0, sizeof(Rush))
        self.window_ns, self.allowed_lots, self.allowed_delta_lots = window_ns, allowed_lots, allowed_delta_lots

    def fill(self, int side, int64_t qty_lots, int64_t now_ns):
        """Note a fill; return whether it was too much."""
        return note_rush(
            &self.rush, side, qty_lots, self.window_ns, self.allowed_lots, self.allowed_delta_lots, now_ns)

    @property
    def lots(self):
        """(filled, position moved by) in the window as last noted."""
        return self.rush.total_lots, self.rush.delta_lots


cdef class CycleCount:
    """The repeated execution throttle of one side for tools and tests; the desk embeds the struct."""

    cdef Cycles cycles
    cdef int64_t window_ns
    cdef uint32_t allowed

    def __init__(self, int64_t window_ns, uint32_t allowed):
        memset(&self.cycles, 0, sizeof(Cycles))
        self.window_ns, self.allowed = window_ns, allowed

    def count(self, int64_t now_ns):
        """Count a cycle; return whether it was one too many."""
        return count_cycle(&self.cycles, self.window_ns, self.allowed, now_ns)
