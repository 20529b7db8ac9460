# Which change of an order is better made by an amend than by cancel and place.
from libc.stdint cimport int64_t, uint8_t

from phx._core.diff cimport Changes
from phx._core.orders cimport Order

cdef enum:
    AMENDS_MOST = 1000                  # of one order; a tenth of what the venue allows

cdef int partner(const Changes *changes, Order **live, uint8_t layer) noexcept nogil
cdef bint may_amend(const Order *order, int64_t price_ticks) noexcept nogil
