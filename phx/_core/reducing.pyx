"""Reduce-only layers: what is live and what is wanted never reduce more than there is, nor lose more than allowed.

Two sums must fit, as in the worst case of a ladder. `room`: the wanted layers alone, once orders on their way out are
gone. `fresh`: everything that is live, whether it stays or leaves, plus what is new now; what is live cannot be
un-sent, so only new quantity gives way; what one amend moves is not new. Reduce-only orders are exempt from the
venue's minimum notional.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport llabs

from phx._core.enums cimport BUY, ORDER_OPEN, ORDER_PENDING_AMEND, ORDER_PENDING_NEW, SELL
from phx._core.grid cimport away, whole
from phx._core.live cimport Live, LiveSide, side_index
from phx._core.loss_budget cimport affordable_lots, loss_per_lot
from phx._core.records cimport LADDER_LAYERS, Ladder, Params


cdef void begin_reducing(Reducing *reducing, const Live *live) noexcept nogil:
    cdef int64_t inventory = live.position_lots
    reducing.side = SELL if inventory > 0 else BUY
    reducing.layers = 0
    reducing.budgeted = False
    reducing.room_lots = llabs(inventory)
    reducing.fresh_lots = max(<int64_t>0, llabs(inventory) - live.sides[side_index(reducing.side)].total_lots)


cdef int64_t standing_lots(const LiveSide *live, int layer, int64_t price_ticks) noexcept nogil:
    """Return what a reduce-only order of ours at this price, or on its way there, still has, if it stays."""
    cdef int i
    cdef uint8_t state
    for i in range(live.orders):
        state = live.state[i]
        if not live.reduce_only[i]:
            continue
        if state == ORDER_PENDING_AMEND and live.layer[i] == layer:
            return live.remaining_lots[i]
        if live.price_ticks[i] == price_ticks and (state == ORDER_OPEN or state == ORDER_PENDING_NEW):
            return live.remaining_lots[i]
    return 0


cdef int64_t movable_lots(const LiveSide *live, int layer) noexcept nogil:
    """Return what the order of a rung has that the gateway can bring to another price by one amend."""
    cdef int i
    for i in range(live.orders):
        if live.layer[i] == layer and live.reduce_only[i] and live.state[i] == ORDER_OPEN:
            return live.remaining_lots[i]
    return 0


cdef bint add_reducing(
    Reducing *reducing, const Live *live, int layer, int64_t price_ticks, int64_t lots, const Params *params
) noexcept nogil:
    """Add a layer, cut to what still fits; one whose price is taken goes a step outward. Returns whether it fits."""
    cdef int at = reducing.layers, i
    cdef int side = reducing.side
    cdef int64_t qty = min(lots, reducing.room_lots), standing, placed
    cdef double per_lot = 0
    price_ticks = away(side, price_ticks, params.price_step_ticks)
    for i in range(reducing.layers):          # nearest first, so one look outward meets each taken price in turn
        if reducing.price_ticks[i] == price_ticks:
            price_ticks -= side * max(<int64_t>1, params.price_step_ticks)
    standing = min(qty, standing_lots(&live.sides[side_index(side)], layer, price_ticks))
    if reducing.budgeted:
        per_lot = loss_per_lot(-side, reducing.cost_ticks, price_ticks, reducing.fee)
        qty = affordable_lots(qty, per_lot, reducing.room_ticklots)
        standing = min(standing, qty)
        qty = standing + affordable_lots(qty - standing, per_lot, reducing.fresh_ticklots)
    # Where both have room the gateway cancels and places, so only the room is shared with the order that moves: the
    # budget pays for either.
    placed = standing or min(qty, movable_lots(&live.sides[side_index(side)], layer))
    qty = whole(placed + min(qty - placed, reducing.fresh_lots), params.qty_step_lots)
    if qty <= 0 or qty < params.min_qty_lots or reducing.layers == LADDER_LAYERS or price_ticks <= 0:
        return False
    reducing.room_lots -= qty
    standing, placed = min(standing, qty), min(placed, qty)
    reducing.fresh_lots -= qty - placed
    reducing.room_ticklots -= qty * per_lot
    reducing.fresh_ticklots -= (qty - standing) * per_lot
    while at > 0 and side * (price_ticks - reducing.price_ticks[at - 1]) > 0:
        reducing.layer[at], reducing.price_ticks[at] = reducing.layer[at - 1], reducing.price_ticks[at - 1]
        reducing.qty_lots[at] = reducing.qty_lots[at - 1]
        at -= 1
    reducing.layer[at], reducing.price_ticks[at], reducing.qty_lots[at] = <uint8_t>layer, price_ticks, qty
    reducing.layers += 1
    return True


cdef void show_reducing(const Reducing *reducing, Ladder *ladder) noexcept nogil:
    """Make these layers their side of a ladder that has none there yet."""
    cdef int i
    cdef uint32_t bits = 0
    for i in range(reducing.layers):
        bits |= <uint32_t>1 << i
        if reducing.side > 0:
            ladder.bid_layer[i], ladder.bid_price_ticks[i] = reducing.layer[i], reducing.price_ticks[i]
            ladder.bid_qty_lots[i] = reducing.qty_lots[i]
        else:
            ladder.ask_layer[i], ladder.ask_price_ticks[i] = reducing.layer[i], reducing.price_ticks[i]
            ladder.ask_qty_lots[i] = reducing.qty_lots[i]
    if reducing.side > 0:
        ladder.bid_layers, ladder.bid_reduce_only = <uint8_t>reducing.layers, bits
    else:
        ladder.ask_layers, ladder.ask_reduce_only = <uint8_t>reducing.layers, bits
