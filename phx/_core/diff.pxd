# Wanted ladder against existing orders, one side at a time: what to cancel, what to place.
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memmove

from phx._core.orders cimport Order
from phx._core.records cimport LADDER_LAYERS, OWN_ORDERS

cdef struct Wanted:                     # one side of a ladder, nearest first
    const int64_t *price_ticks
    const int64_t *qty_lots
    uint32_t reduce_only                # bit per index
    int layers

cdef struct Changes:
    int cancels
    int places
    uint8_t cancel[OWN_ORDERS]          # indexes into the live orders given, nearest first
    uint8_t place[LADDER_LAYERS]        # indexes into the wanted side, nearest first
    uint32_t served                     # wanted indexes that a live order serves
    uint32_t occupied                   # wanted indexes whose price a leaving order still holds: try again later

cdef inline void drop_change(uint8_t *indexes, int *count, int at) noexcept nogil:
    # Neither cancels nor places what is done otherwise.
    count[0] -= 1
    memmove(&indexes[at], &indexes[at + 1], count[0] - at)

cdef void diff_side(const Wanted *wanted, Order **live, int live_count, int side, double qty_tolerance,
                    Changes *out) noexcept nogil
