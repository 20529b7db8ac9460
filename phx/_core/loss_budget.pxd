# What grinding may lose: a sliding window of losses, and the arithmetic of what one order could lose.
from libc.stdint cimport int64_t

cdef enum:
    LOSSES = 1024                            # fills remembered one by one; more are added to the newest

# What a fill of one lot loses against the average cost, fee included; gains count as nothing. inventory_side: +1 long.
cdef inline double loss_per_lot(int inventory_side, double cost_ticks, double price_ticks, double fee) noexcept nogil:
    return max(0.0, inventory_side * (cost_ticks - price_ticks)) + max(0.0, fee) * price_ticks

# How many of `lots` may be lost on when each loses so much.
cdef int64_t affordable_lots(int64_t lots, double per_lot, double room) noexcept nogil

cdef class LossBudget:
    cdef int64_t[LOSSES] at_ns
    cdef double[LOSSES] loss_ticklots
    cdef long oldest, count
    cdef double used_ticklots                # sum of those in the window
    cdef void add(self, double loss_ticklots, int64_t now_ns) noexcept nogil
    cdef double used(self, int64_t now_ns, int64_t window_ns) noexcept nogil
