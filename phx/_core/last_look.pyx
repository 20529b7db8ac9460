"""The quoter's own limits on a ladder it is about to show: other code than the gateway's, on its view of the market.

A decision trims as it goes, so nothing should be left to drop. This looks at the result alone, layer by layer, and in
doubles, so that one mistake in the making or one in the gateway's integers lets nothing out. Each condition is written
so that what is no number fails it.
"""

from libc.stdint cimport int64_t, uint8_t

from phx._core.live cimport Live, LiveSide, side_index
from phx._core.model cimport Market
from phx._core.records cimport Ladder, Params


cdef int look_last(Ladder *ladder, const Market *market, const Live *live, const Params *params) noexcept nogil:
    cdef int before = ladder.bid_layers + ladder.ask_layers
    ladder.bid_layers = keep_allowed(
        1, ladder.bid_layers, ladder.bid_layer, ladder.bid_price_ticks, ladder.bid_qty_lots, market, live, params)
    ladder.ask_layers = keep_allowed(
        -1, ladder.ask_layers, ladder.ask_layer, ladder.ask_price_ticks, ladder.ask_qty_lots, market, live, params)
    return before - ladder.bid_layers - ladder.ask_layers


cdef uint8_t keep_allowed(
    int side, uint8_t layers, uint8_t *layer, int64_t *price_ticks, int64_t *qty_lots, const Market *market,
    const Live *live, const Params *params,
) noexcept nogil:
    cdef const LiveSide *own = &live.sides[side_index(side)]
    cdef double room = room_lots(side, own, live, params), standing, needed
    cdef uint8_t kept = 0
    cdef int i, order = 0
    for i in range(layers):
        # Both run outward, nearest first: what rests at the price already needs no room of its own.
        while order < own.orders and side * (own.price_ticks[order] - price_ticks[i]) > 0:
            order += 1
        standing = 0
        if order < own.orders and own.price_ticks[order] == price_ticks[i]:
            standing = own.remaining_lots[order]
            order += 1
        needed = max(0.0, <double>qty_lots[i] - standing)
        if not (needed <= room and is_allowed(side, layer[i], price_ticks[i], qty_lots[i], market, params)):
            continue
        room -= needed
        layer[kept], price_ticks[kept], qty_lots[kept] = layer[i], price_ticks[i], qty_lots[i]
        kept += 1
    return kept


cdef double room_lots(int side, const LiveSide *own, const Live *live, const Params *params) noexcept nogil:
    """Return how much may be added to what is live, by the symbol's own limit and by the account's."""
    cdef double towards = side * <double>live.position_lots
    cdef double reducible = max(0.0, -towards)
    cdef double account = max(0.0, <double>live.allowance_lots[side_index(side)]) + reducible
    return min(params.net_max_lots - towards, account) - own.total_lots


cdef bint is_allowed(
    int side, uint8_t rung, int64_t price_ticks, int64_t qty_lots, const Market *market, const Params *params
) noexcept nogil:
    cdef double price = price_ticks, qty = qty_lots, mid = market.mid_ticks
    cdef double inward = params.collar_far if rung >= params.near_layers else params.collar_mid
    cdef double beyond = side * (price - mid)
    if not (price >= 1 and qty >= 1 and qty <= params.max_order_lots):
        return False
    if not price * qty * params.ticklot_e8 <= <double>params.max_order_notional_e8:
        return False
    # Each on its own: the smaller of two is lost in one that is no number.
    if not (mid > 0 and beyond <= inward * mid and beyond <= params.collar_mid * mid):
        return False
    if not -beyond <= params.collar_far * mid:
        return False
    return price_ticks < market.ask_price_ticks if side > 0 else price_ticks > market.bid_price_ticks
