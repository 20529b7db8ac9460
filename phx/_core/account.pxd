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
    cdef uint32_t[3] far_limits                      # per 1, 10, 60 s: adding orders of far layers,
    cdef uint32_t[3] adding_limits                   # of any layer,
    cdef uint32_t[3] reducing_limits                 # quotes that only reduce,
    cdef uint32_t[3] leaving_limits                  # and takes
    cdef double adding_share                         # of the venue's order counts
    cdef double reducing_share
    cdef uint32_t[3] cancel_limits                   # routine cancels; protective ones always go
    cdef uint32_t orders_10s_limit                   # the venue's
    cdef uint32_t orders_60s_limit
    cdef int64_t[MAX_SYMBOLS] worst_notional_e8      # each symbol's worst case, as it last measured itself
    cdef int64_t[MAX_SYMBOLS] pnl_e8                 # each symbol's, since the gateway took over its books
    cdef int64_t[MAX_SYMBOLS] unrealised_e8
    cdef int64_t[MAX_SYMBOLS] value_e8               # of each symbol's largest position; order counts are shared by it
    cdef uint64_t[MAX_SYMBOLS] params_version        # of the limits in force, for the journal
    cdef int64_t[MAX_SYMBOLS] leverage               # the account's own setting; 0 = not known, counts as 1
    cdef public int64_t wallet_e8                    # margin asset balance last seen
    cdef uint64_t journal_slots
    cdef uint64_t journal_drained                    # newest entry that is safe on disk
    cdef Action *actions
    cdef uint32_t first_action
    cdef uint32_t last_action
    cdef void share_out(self, uint32_t *limits, double share) noexcept nogil
    cdef bint push(self, const Action *action) noexcept nogil
    cdef bint pop(self, Action *out) noexcept nogil
    cdef bint journal_room(self) noexcept nogil
    cdef uint64_t write_journal(self, JournalEntry *entry, int64_t now_ns) noexcept nogil
    cdef uint64_t journal_order(self, int kind, const Order *order, int64_t now_ns, int venue_code) noexcept nogil
    cdef int64_t others_notional_e8(self, int symbol_id) noexcept nogil
    cdef int64_t others_margin_e8(self, int symbol_id) noexcept nogil
    cdef int64_t equity_e8(self) noexcept nogil
