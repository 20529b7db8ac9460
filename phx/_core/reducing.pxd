# The reduce-only layers of one side in the making: never more than the inventory, nor than a budget may lose.
from libc.stdint cimport int64_t, uint8_t, uint32_t

from phx._core.live cimport Live
from phx._core.records cimport LADDER_LAYERS, Ladder, Params

cdef struct Reducing:
    int side                                 # Side
    int layers
    uint8_t layer[LADDER_LAYERS]
    int64_t price_ticks[LADDER_LAYERS]       # nearest first
    int64_t qty_lots[LADDER_LAYERS]
    int64_t room_lots                        # left of the inventory for wanted layers,
    int64_t fresh_lots                       # and for what is not live yet
    bint budgeted                            # the rest holds only then
    double cost_ticks                        # average cost of the inventory
    double fee                               # maker's, fraction
    double room_ticklots                     # left of the budget for wanted layers,
    double fresh_ticklots                    # and for what is not live yet

cdef void begin_reducing(Reducing *reducing, const Live *live) noexcept nogil
cdef bint add_reducing(
    Reducing *reducing, const Live *live, int layer, int64_t price_ticks, int64_t lots, const Params *params
) noexcept nogil
cdef void show_reducing(const Reducing *reducing, Ladder *ladder) noexcept nogil
