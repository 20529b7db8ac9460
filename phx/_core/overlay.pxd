# Orders of accounts laid over a recorded book of one symbol: the recording fills them, they never move it.
from libc.stdint cimport int32_t, int64_t

from phx._core.levels cimport Level, Levels
from phx._core.matching cimport EventLog, Positions
from phx._core.queue_position cimport QueueModel, QueuePosition

cdef struct OverlayOrder:
    int64_t order_id
    int64_t price_ticks
    int64_t remaining_lots
    int64_t filled_lots
    int32_t owner
    int32_t side                # +1, -1
    int32_t tif
    int32_t self_trade
    int32_t position            # number of the position it trades for; 0 = none is kept
    int32_t reduces             # 1 = only as much as reduces that position
    QueuePosition queue         # recorded lots ahead of it
    int64_t level_lots          # its recorded level as `queue` last saw it

cdef struct OverlaySide:
    OverlayOrder *orders        # resting, best price first, then oldest first
    int32_t count
    int32_t capacity

cdef class Overlay:
    cdef Levels bids            # the recording
    cdef Levels asks
    cdef OverlaySide buys       # ours
    cdef OverlaySide sells
    cdef Levels changed_bids    # prices where what accounts show or took changed since changes()
    cdef Levels changed_asks
    cdef readonly EventLog log
    cdef Positions positions
    cdef Positions probe        # scratch: positions while an order is tried out
    cdef QueueModel model
    cdef double power
    cdef int64_t order_ids      # newest given
    cdef int64_t trade_ids
    cdef readonly int64_t update_id     # newest of the recording's depth
    cdef int64_t top_update_id          # newest best bid and ask; may be ahead of the depth
    cdef int64_t top_ticks[2]           # by side: bid, ask
    cdef int64_t top_lots[2]

    cdef Levels *levels_of(self, int64_t side) noexcept nogil
    cdef OverlaySide *orders_of(self, int64_t side) noexcept nogil
    cdef void mark(self, int64_t side, int64_t price_ticks) noexcept nogil
    cdef void report_order(self, int64_t kind, const OverlayOrder *order, int64_t reason) noexcept nogil
    cdef void report_trade(
        self, int64_t side, OverlayOrder *taker, OverlayOrder *maker, int64_t price_ticks, int64_t lots
    ) noexcept nogil
    cdef void rest(self, OverlayOrder *order) noexcept nogil
    cdef void drop(self, OverlaySide *own, int32_t place) noexcept nogil
    cdef OverlayOrder *find(self, int64_t order_id, OverlaySide **own, int32_t *place) noexcept nogil
    cdef Level *best_left(self, int64_t side) noexcept nogil
    cdef bint would_take(self, int64_t side, int64_t price_ticks) noexcept nogil
    cdef int64_t most(self, Positions positions, const OverlayOrder *order) noexcept nogil
    cdef bint fillable(self, const OverlayOrder *taker) noexcept nogil
    cdef int64_t take(self, OverlayOrder *taker) noexcept nogil
    cdef void knock_out(self, OverlaySide *own, int32_t place, int64_t reason) noexcept nogil
    cdef void drop_spent(self, OverlaySide *own) noexcept nogil
    cdef void run(self, OverlayOrder *order) noexcept nogil
    cdef void set_level(self, int64_t side, int64_t price_ticks, int64_t lots, bint from_depth) noexcept nogil
    cdef void set_top(self, int64_t side, int64_t price_ticks, int64_t lots) noexcept nogil
    cdef void end_delta(self, int64_t update_id) noexcept nogil
    cdef void match_crossed(self) noexcept nogil
    cdef int64_t place(self, OverlayOrder *order) noexcept nogil
    cdef int64_t end(self, int64_t order_id, int64_t kind, int64_t reason) noexcept nogil
    cdef int64_t amend(self, int64_t order_id, int64_t price_ticks, int64_t lots) noexcept nogil
    cdef void on_trade(self, int64_t price_ticks, int64_t lots, int64_t aggressor) noexcept nogil
