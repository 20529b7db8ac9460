# Our live orders as the quoter sees them: by side, nearest to the market first. Signals take them out of the book,
# the ladder keeps them in place, the worst case counts them.
from libc.stdint cimport int64_t, uint8_t, uint64_t

from phx._core.records cimport OWN_ORDERS, Own

cdef struct LiveSide:
    int orders                               # rows below, nearest first
    int64_t total_lots                       # what every order of the side may still fill, takes included
    int64_t price_ticks[OWN_ORDERS]
    int64_t remaining_lots[OWN_ORDERS]
    int64_t ts_ack_ns[OWN_ORDERS]            # venue time of the acknowledgement; 0 = none yet
    uint64_t intent_id[OWN_ORDERS]           # who it is, in the gateway's epoch
    uint8_t layer[OWN_ORDERS]                # the rung it was placed for; NO_LAYER for a take
    uint8_t state[OWN_ORDERS]                # OrderState
    uint8_t reduce_only[OWN_ORDERS]          # 1 = reduce-only
    uint8_t keepable[OWN_ORDERS]             # 1 = a quote of NORMAL may reuse its price: resting or on its way in

cdef struct Live:
    int64_t position_lots                    # signed
    int64_t allowance_lots[2]                # how much more each side may add, by the account's limits
    LiveSide sides[2]                        # [side_index(BUY)], [side_index(SELL)]

cdef inline int side_index(int side) noexcept nogil:
    return (1 - side) >> 1

cdef void sort_live(const Own *own, Live *live) noexcept nogil
