# What all symbols of one account share: the order table, the rate budgets, the queue of actions, the journal.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from phx._core.action cimport Action
from phx._core.orders cimport Order, OrderTable
from phx._core.records cimport MAX_SYMBOLS, JournalEntry
from phx._core.ring cimport RingWriter
from phx._core.throttle cimport Throttle

cdef enum:
    ACTIONS = 4096                      # actions waiting to be sent, a power of two
    JOURNAL_RESERVE = 4096              # slots kept free for cancels, replies and fills

cdef class Account:
    cdef readonly OrderTable table
    cdef readonly uint64_t epoch                     # the gateway's life
    cdef RingWriter journal
    cdef Throttle orders_sent                        # places and amends
    cdef Throttle cancels_sent
    cdef uint32_t[3] adding_limits                   # per 1, 10, 60 s
    cdef uint32_t[3] reducing_limits
    cdef uint32_t[3] cancel_limits                   # routine cancels; protective ones always go
    cdef uint32_t orders_10s_limit                   # the venue's
    cdef uint32_t orders_60s_limit
    cdef int64_t[MAX_SYMBOLS] worst_notional_e8      # each symbol's worst case, as it last measured itself
    cdef int64_t[MAX_SYMBOLS] pnl_e8                 # each symbol's, since the gateway took over its books
    cdef uint64_t journal_slots
    cdef uint64_t journal_drained                    # newest entry that is safe on disk
    cdef Action *actions
    cdef uint32_t first_action
    cdef uint32_t last_action
    cdef bint push(self, const Action *action) noexcept nogil
    cdef bint pop(self, Action *out) noexcept nogil
    cdef bint journal_room(self) noexcept nogil
    cdef uint64_t write_journal(self, JournalEntry *entry, int64_t now_ns) noexcept nogil
    cdef uint64_t journal_order(self, int kind, const Order *order, int64_t now_ns, int venue_code) noexcept nogil
    cdef int64_t others_notional_e8(self, int symbol_id) noexcept nogil
