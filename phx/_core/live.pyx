"""Our live orders by side, nearest first, made once from each own record."""

from phx._core.enums cimport (
    BUY, ORDER_CLOSED, ORDER_NONE, ORDER_OPEN, ORDER_PENDING_AMEND, ORDER_PENDING_NEW, SELL,
)
from phx._core.records cimport NO_LAYER, NO_PRICE


cdef void sort_live(const Own *own, Live *live) noexcept nogil:
    cdef int row
    live.position_lots = own.position_lots
    live.allowance_lots[side_index(BUY)] = own.allowance_buy_lots
    live.allowance_lots[side_index(SELL)] = own.allowance_sell_lots
    for row in range(2):
        live.sides[row].orders = 0
        live.sides[row].total_lots = 0
    for row in range(min(<int>own.orders, OWN_ORDERS)):
        if own.state[row] != ORDER_NONE and own.state[row] != ORDER_CLOSED and own.remaining_lots[row] > 0:
            insert(&live.sides[side_index(own.side[row])], own, row)


cdef void insert(LiveSide *live, const Own *own, int row) noexcept nogil:
    cdef int side = own.side[row]
    cdef int64_t price = own.price_ticks[row]
    cdef int at = live.orders
    live.total_lots += own.remaining_lots[row]
    if price == NO_PRICE:        # a market order: it may fill, but rests nowhere
        return
    # Insertion sort: the gateway's table is nearly sorted, and this runs once per own record, not per tick.
    while at > 0 and side * (price - live.price_ticks[at - 1]) > 0:
        live.price_ticks[at] = live.price_ticks[at - 1]
        live.remaining_lots[at] = live.remaining_lots[at - 1]
        live.ts_ack_ns[at] = live.ts_ack_ns[at - 1]
        live.keepable[at] = live.keepable[at - 1]
        live.intent_id[at] = live.intent_id[at - 1]
        live.layer[at] = live.layer[at - 1]
        live.state[at] = live.state[at - 1]
        live.reduce_only[at] = live.reduce_only[at - 1]
        at -= 1
    live.price_ticks[at] = price
    live.remaining_lots[at] = own.remaining_lots[row]
    live.ts_ack_ns[at] = own.ts_ack_ns[row]
    live.intent_id[at] = own.intent_id[row]
    live.layer[at] = own.layer[row]
    live.state[at] = own.state[row]
    live.reduce_only[at] = own.reduce_only[row]
    live.keepable[at] = own.layer[row] != NO_LAYER and not own.reduce_only[row] and (
        own.state[row] == ORDER_OPEN or own.state[row] == ORDER_PENDING_NEW or own.state[row] == ORDER_PENDING_AMEND
    )
    live.orders += 1
