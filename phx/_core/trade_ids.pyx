"""The trade ids already booked for one symbol: a bounded set that forgets the oldest and refuses what it forgot.

Trade ids of a symbol grow with time, so once an id is forgotten everything up to it counts as booked: a duplicate
can come as late as it likes and is never booked twice.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free


cdef inline uint32_t home(int64_t trade_id) noexcept nogil:
    # Fibonacci hashing (Knuth, TAOCP 6.4): the top bits of a product with 2**64 / phi.
    return <uint32_t>((<uint64_t>trade_id * <uint64_t>0x9E3779B97F4A7C15) >> 49)


cdef class TradeIds:
    """Remembers TRADES_KEPT ids. watermark: ids up to it are in the position the venue reported at start."""

    def __cinit__(self):
        self.keys = <int64_t *>calloc(TRADE_SLOTS, sizeof(int64_t))
        self.with_fee = <uint8_t *>calloc(TRADE_SLOTS, 1)
        self.order = <int64_t *>calloc(TRADES_KEPT, sizeof(int64_t))
        if self.keys == NULL or self.with_fee == NULL or self.order == NULL:
            raise MemoryError()

    def __init__(self, int64_t watermark=0):
        self.floor = watermark
        self.newest = watermark

    def __dealloc__(self):
        free(self.keys)
        free(self.with_fee)
        free(self.order)

    cdef int note(self, int64_t trade_id, bint with_fee) noexcept nogil:
        cdef uint32_t slot
        if trade_id <= self.floor:
            return TRADE_DONE
        slot = home(trade_id)
        while self.keys[slot]:
            if self.keys[slot] == trade_id:
                if self.with_fee[slot] or not with_fee:
                    return TRADE_DONE
                self.with_fee[slot] = 1
                return TRADE_FEE_MISSING
            slot = (slot + 1) & (TRADE_SLOTS - 1)
        self.keys[slot] = trade_id
        self.with_fee[slot] = with_fee
        self.newest = max(self.newest, trade_id)
        self.remember(trade_id)
        return TRADE_NEW

    cdef void remember(self, int64_t trade_id) noexcept nogil:
        cdef uint32_t at = self.next_order & (TRADES_KEPT - 1)
        cdef int64_t oldest = self.order[at]
        self.order[at] = trade_id
        self.next_order += 1
        if oldest:
            self.forget(oldest)
            self.floor = max(self.floor, oldest)

    cdef void forget(self, int64_t trade_id) noexcept nogil:
        # Backward-shift deletion for linear probing (Knuth, TAOCP 6.4, algorithm R): no tombstones, bounded probes.
        cdef uint32_t hole = home(trade_id), slot, wanted
        while self.keys[hole] and self.keys[hole] != trade_id:
            hole = (hole + 1) & (TRADE_SLOTS - 1)
        if self.keys[hole] == 0:
            return
        slot = hole
        while True:
            slot = (slot + 1) & (TRADE_SLOTS - 1)
            if self.keys[slot] == 0:
                break
            wanted = home(self.keys[slot])
            if ((slot - wanted) & (TRADE_SLOTS - 1)) >= ((slot - hole) & (TRADE_SLOTS - 1)):
                self.keys[hole] = self.keys[slot]
                self.with_fee[hole] = self.with_fee[slot]
                hole = slot
        self.keys[hole] = 0
        self.with_fee[hole] = 0

    def raise_watermark(self, int64_t trade_id):
        """Count every id up to trade_id as booked: the position was taken from the venue after them."""
        self.floor = max(self.floor, trade_id)
        self.newest = max(self.newest, trade_id)

    def see(self, int64_t trade_id, bint with_fee=True):
        """Note a trade; return 0 when new, 1 when only its fee was missing, 2 when it was booked already."""
        if trade_id <= 0:
            raise ValueError(f"trade id {trade_id}, expected a positive number")
        return self.note(trade_id, with_fee)
