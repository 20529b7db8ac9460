# One side of a ladder in the making, and the six steps that make it fit to be published, in their order.
# Every step is pure and works in place; side = ±1 turns one arithmetic into both sides.
from libc.stdint cimport int16_t, int64_t, uint8_t

from phx._core.live cimport LiveSide
from phx._core.records cimport LADDER_LAYERS, Params

cdef enum:
    NO_ORDER = -1

cdef struct LadderSide:
    int side                                 # Side
    int layers
    uint8_t layer[LADDER_LAYERS]             # which rung of the shape
    int64_t price_ticks[LADDER_LAYERS]       # nearest first
    int64_t qty_lots[LADDER_LAYERS]
    int16_t order[LADDER_LAYERS]             # the live order that serves the layer, an index into its LiveSide

cdef struct KeepBand:                        # which live prices a layer may reuse
    double reservation_ticks
    double tolerance_ticks                   # of layer 0, outward or inward
    double growth                            # per layer
    double queue_ticks                       # beyond the tolerance: what the front of a queue is worth; 0 = nothing
    double nearest_ticks                     # from the reservation: never nearer than this
    int64_t limit_ticks                      # the post-only limit

# 1. away from the market to the venue's grid
cdef void round_away(
    LadderSide *side, double reservation_ticks, const double *distance_ticks, int layers, const Params *params
) noexcept nogil
# 2. post-only; returns the ticks by which the whole side was shifted
cdef int64_t clamp_post_only(LadderSide *side, int64_t limit_ticks) noexcept nogil
# and farther out by ticks[rung] where the venue refused
cdef void widen_refused(LadderSide *side, const int64_t *ticks, int64_t price_step_ticks) noexcept nogil
# 3. one layer per tick, none below the venue's minima (reduce-only orders have no smallest value: min_ticklots 0);
# both return the layers that went
cdef int merge_ticks(LadderSide *side, int64_t most_lots) noexcept nogil
cdef int drop_small(LadderSide *side, int64_t min_lots, int64_t min_ticklots) noexcept nogil
# 4. the worst case, after finding which live orders will serve. place: how well each live order stands in its queue,
# 0..1, or NULL. match_orders returns the layers that keep an order only for its place, trim the layers that went.
cdef int match_orders(
    LadderSide *side, const LiveSide *live, const double *place, const KeepBand *band
) noexcept nogil
cdef int64_t capacity_lots(
    int side, int64_t position_lots, int64_t allowance_lots, const Params *params
) noexcept nogil
cdef int trim_worst_case(
    LadderSide *side, const LiveSide *live, int64_t capacity, int64_t min_lots, int64_t min_ticklots
) noexcept nogil
# 5. never through our own orders on the other side; returns the layers that went
cdef int drop_own_cross(LadderSide *side, const LiveSide *live, const LiveSide *opposite) noexcept nogil
# 6. orders in place keep their price, and with it their place in the queue; returns how many
cdef int keep_prices(LadderSide *side, const LiveSide *live) noexcept nogil
