# What the live orders of one symbol come to.
from libc.stdint cimport int64_t

from phx._core.orders cimport Order, OrderTable

cdef struct Measure:                    # live orders of one symbol, added up; index 0 = buys, 1 = sells
    int64_t[2] lots                     # remaining
    int64_t[2] best_ticks               # nearest to the market; NO_PRICE = none
    int[2] unknown                      # orders with an unknown outcome
    int in_flight                       # requests without an answer
    int orders

cdef void measure_all(Measure *measure, OrderTable table, int symbol_id) noexcept nogil
cdef void add_order(Measure *measure, const Order *order) noexcept nogil
