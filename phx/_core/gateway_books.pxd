# What one account's gateway has, and tells: the half of it that knows; the other half (gateway.pxd) acts.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from phx._core.account cimport Account
from phx._core.records cimport MAX_SYMBOLS
from phx._core.ring cimport RingWriter

cdef class GatewayBooks:
    cdef readonly Account account
    cdef readonly list desks
    cdef dict desk_by_id                            # symbol_id → Desk
    cdef RingWriter account_writer
    cdef public int64_t day_base_e8                 # added to the totals' profit it gives the day's
    cdef public int64_t day_start_s                 # that midnight, UTC epoch seconds
    cdef public uint32_t weight_60s
    cdef public uint32_t weight_limit
    cdef public bint ready                          # start-up path finished, not stopping
    cdef public bint user_stream_up
    cdef public bint order_session_up
    cdef public bint no_open_order_proven
    cdef readonly uint64_t unknown_orders           # with an unknown outcome, as last published
    cdef dict unattributed                          # (symbol id, venue's order id) → lots booked of an unknown order
    cdef readonly dict fees_missing                 # (symbol id, trade id) → when it was booked without its fee
    cdef bint account_dirty
    cdef int64_t account_written_mono_ns
    cdef uint64_t[MAX_SYMBOLS] own_seen             # own records published when published() last looked
    cdef void publish_account(self, int64_t now_ns)
