# A matching engine of one symbol: price-time priority over an endogenous book. Owner 0 is the market's agents.
from libc.stdint cimport int32_t, int64_t

from phx._core.levels cimport Level, Levels
from phx._core.matching cimport EventLog, Positions

cdef struct EngineOrder:
    int64_t order_id            # 0 = free
    int64_t price_ticks
    int64_t remaining_lots
    int64_t filled_lots
    int32_t owner
    int32_t side                # +1, -1
    int32_t tif
    int32_t self_trade
    int32_t previous            # in the level's queue, -1 = none
    int32_t next
    int32_t position            # number of the position it trades for; 0 = none is kept
    int32_t reduces             # 1 = only as much as reduces that position

cdef class Engine:
    cdef Levels bids
    cdef Levels asks
    cdef readonly EventLog log
    cdef Positions positions
    cdef Positions probe        # scratch: positions while an order is tried out
    cdef EngineOrder *orders    # the pool; a slot is the order's identity inside the engine
    cdef int32_t capacity
    cdef int32_t free_slot      # head of the list of free slots, linked by `next`
    cdef readonly int32_t live  # resting orders
    cdef int32_t *index         # open addressing: order id -> slot, -1 = empty; at most half full
    cdef int64_t index_mask
    cdef int64_t order_ids      # newest given
    cdef int64_t trade_ids
    cdef readonly int64_t update_id  # newest; ids are sparse, as on the venue

    cdef void grow(self) noexcept nogil
    cdef void remember(self, int32_t slot) noexcept nogil
    cdef int32_t slot_of(self, int64_t order_id) noexcept nogil
    cdef void forget(self, int64_t order_id) noexcept nogil
    cdef Levels *side_of(self, int64_t side) noexcept nogil
    cdef void report_level(self, int side, int64_t price_ticks, int64_t lots) noexcept nogil
    cdef void report_order(self, int64_t kind, const EngineOrder *order, int64_t reason) noexcept nogil
    cdef void rest(self, const EngineOrder *order) noexcept nogil
    cdef void unlink(self, int32_t slot, Level *level) noexcept nogil
    cdef void leave(self, int32_t slot) noexcept nogil
    cdef bint would_take(self, int side, int64_t price_ticks) noexcept nogil
    cdef bint fillable(self, const EngineOrder *taker) noexcept nogil
    cdef int64_t most(self, Positions positions, const EngineOrder *order) noexcept nogil
    cdef int64_t take(self, EngineOrder *taker) noexcept nogil
    cdef void knock_out(self, int32_t slot, Level *level, int64_t reason) noexcept nogil
    cdef void trade(self, EngineOrder *taker, int32_t slot, Level *level, int64_t lots) noexcept nogil
    cdef void run(self, EngineOrder *order) noexcept nogil
    cdef int64_t place(self, EngineOrder *order) noexcept nogil
    cdef int64_t cancel(self, int64_t order_id) noexcept nogil
    cdef int64_t end(self, int64_t order_id, int64_t kind, int64_t reason) noexcept nogil
    cdef int64_t amend(self, int64_t order_id, int64_t price_ticks, int64_t lots) noexcept nogil
