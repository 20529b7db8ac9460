# The gateway's core: the account's desks, the queue of actions, and what the venue says about them.
from libc.stdint cimport int64_t, uint64_t

from phx._core.action cimport Action
from phx._core.desk cimport Desk
from phx._core.gateway_books cimport GatewayBooks
from phx._core.orders cimport Order

cdef class GatewayCore(GatewayBooks):
    cdef readonly uint64_t zombies                  # orders that appeared after their absence was proven
    cpdef int step(self, int64_t now_ns)
    cdef bint next_action(self, Action *out) noexcept nogil
    cdef void note_sent(self, const Action *action, int64_t now_ns) noexcept
    cdef close_take(self, Desk desk, Order *order, int64_t now_ns)
    cdef void know_venue_order_id(self, Order *order, int64_t venue_order_id, int64_t now_ns)
    cdef void meet_zombie(self, Desk desk, Order *order, int64_t now_ns)
    cdef back_off_after(self, Desk desk, Order *order, int venue_code, int64_t now_ns)
    cdef on_late_refusal(self, Desk desk, Order *order, int64_t now_ns)
