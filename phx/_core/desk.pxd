# One symbol's half of the gateway: what it reads, what it wants sent, what it publishes.
from libc.stdint cimport int64_t, uint8_t, uint64_t

from phx._core.desk_books cimport DeskBooks
from phx._core.diff cimport Changes
from phx._core.orders cimport Order
from phx._core.risk cimport Intent, Situation

cdef class Desk(DeskBooks):
    cdef void see_market(self) noexcept nogil
    cdef void read_ladder(self, int64_t now_ns) noexcept nogil
    cdef void step(self, int64_t now_ns) noexcept nogil
    cdef void sweep(self, int64_t now_ns) noexcept nogil
    cdef uint8_t halt_reason(self, int64_t now_ns) noexcept nogil
    cdef void follow_ladder(self, int64_t now_ns) noexcept nogil
    cdef bint is_too_near(self, const Order *order) noexcept nogil
    cdef int collect_live(self, Order **out) noexcept nogil
    cdef void cancel_everything(self, int64_t now_ns) noexcept nogil
    cdef bint cancel(self, Order *order, int64_t now_ns, bint protective) noexcept nogil
    cdef void amend_layers(self, int side, Order **live, Changes *changes, int64_t now_ns) noexcept nogil
    cdef bint amend(self, Order *order, const Intent *wanted, int64_t now_ns) noexcept nogil
    cdef void place_layer(self, int side, int index, int64_t now_ns) noexcept nogil
    cdef Intent intent_of(self, int side, int index) noexcept nogil
    cdef bint ladder_reduces(self, int side, int index) noexcept nogil
    cdef uint8_t place(self, Intent *intent, uint64_t take_n, int64_t now_ns) noexcept nogil
    cdef uint8_t allow(self, Intent *intent, const Order *instead, int64_t now_ns) noexcept nogil
    cdef uint8_t throttle_reason(self, const Intent *intent, int64_t now_ns) noexcept nogil
    cdef bint request(self, int kind, const Order *order, const Intent *intent) noexcept nogil
    cdef void look_around(
        self, const Intent *intent, const Order *instead, Situation *out, int64_t now_ns) noexcept nogil
    cdef void refuse(self, const Intent *intent, uint8_t reason, int64_t now_ns) noexcept nogil
    cdef bint begins_to_wait(self, uint8_t reason) noexcept nogil
    cdef void step_take(self, int64_t now_ns) noexcept nogil
    cdef void answer_take(self, int64_t filled_lots, int64_t now_ns) noexcept nogil
    cdef bint way_is_clear(self, const Intent *take, int64_t now_ns) noexcept nogil
    cdef bint has_seen_all(self) noexcept nogil
    cdef bint allowance_moved(self) noexcept nogil
