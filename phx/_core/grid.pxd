# Prices and quantities on the venue's grid of orders, where that is coarser than what they are counted in. A step of 0
# counts as 1. Quantities are never negative.
from libc.stdint cimport int64_t


cdef inline int64_t whole(int64_t value, int64_t step) noexcept nogil:
    return value - value % step if step > 1 else value


cdef inline int64_t away(int side, int64_t price_ticks, int64_t step) noexcept nogil:
    # From the market: bids down, asks up.
    cdef int64_t over = price_ticks % step if step > 1 else 0
    if over == 0 or side > 0:
        return price_ticks - over
    return price_ticks + step - over


cdef inline int64_t through(int side, int64_t price_ticks, int64_t step) noexcept nogil:
    # Into the market: a take's limit must still reach what it was meant to reach.
    return away(-side, price_ticks, step)
