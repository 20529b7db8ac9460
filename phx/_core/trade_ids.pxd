# The trade ids of one symbol that were booked: a fill is applied once, whatever channel it comes on.
from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:
    TRADES_KEPT = 8192                  # newest trade ids remembered
    TRADE_SLOTS = 32768                 # hash slots, a power of two

cdef enum BookedTrade:
    TRADE_NEW = 0                       # never seen: book quantity and fee
    TRADE_FEE_MISSING = 1               # booked from a channel without fees: book the fee now
    TRADE_DONE = 2                      # seen in full, or older than everything remembered

cdef class TradeIds:
    cdef int64_t *keys                  # TRADE_SLOTS; 0 = free
    cdef uint8_t *with_fee              # TRADE_SLOTS
    cdef int64_t *order                 # TRADES_KEPT, ring in order of arrival
    cdef uint32_t next_order            # where the next one goes
    cdef int64_t floor                  # every id up to here counts as booked
    cdef readonly int64_t newest        # largest id booked
    cdef int note(self, int64_t trade_id, bint with_fee) noexcept nogil    # BookedTrade before this call
    cdef void remember(self, int64_t trade_id) noexcept nogil
    cdef void forget(self, int64_t trade_id) noexcept nogil
