"""What the live orders of one symbol come to: everything that may still fill, side by side."""

from libc.string cimport memset

from phx._core.enums cimport ORDER_UNKNOWN
from phx._core.orders cimport Order, OrderTable, nearest_ticks, remaining_lots
from phx._core.records cimport NO_PRICE


cdef void measure_all(Measure *measure, OrderTable table, int symbol_id) noexcept nogil:
    cdef int i
    memset(measure, 0, sizeof(Measure))
    measure.best_ticks[0] = measure.best_ticks[1] = NO_PRICE
    for i in range(table.live_count[symbol_id]):
        add_order(measure, &table.slots[table.live[symbol_id][i]])


cdef void add_order(Measure *measure, const Order *order) noexcept nogil:
    cdef int s = 0 if order.side > 0 else 1
    measure.orders += 1
    measure.lots[s] += remaining_lots(order)
    measure.in_flight += order.request_mono_ns != 0
    measure.unknown[s] += order.state == ORDER_UNKNOWN
    if order.price_ticks != NO_PRICE and (
            measure.best_ticks[s] == NO_PRICE or order.side * (nearest_ticks(order) - measure.best_ticks[s]) > 0):
        measure.best_ticks[s] = nearest_ticks(order)
