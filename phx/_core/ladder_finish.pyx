"""The six finishing steps: from layers the model would like to layers that may be shown.

Each step only narrows what the one before left: prices move away from the market or onto an order of ours that rests
already, quantities shrink, layers go. Deciding again on what a decision brought about changes nothing.
"""

from libc.math cimport floor, isfinite
from libc.stdint cimport int16_t, int64_t, uint8_t
from libc.stdlib cimport llabs

from phx._core.grid cimport away
from phx._core.ladder_shape cimport layer_lots
from phx._core.live cimport Live, LiveSide, side_index, sort_live
from phx._core.records cimport LADDER_LAYERS, OWN_ORDERS, Own, Params


# ---- 1. round away from the market

cdef void round_away(
    LadderSide *side, double reservation_ticks, const double *distance_ticks, int layers, const Params *params
) noexcept nogil:
    """Bids down, asks up, to the venue's grid. A price of zero or less is no price: it and all layers behind it go."""
    cdef int s = side.side
    cdef int layer
    cdef double price, step = max(<int64_t>1, params.price_step_ticks)
    side.layers = 0
    for layer in range(layers):
        price = s * step * floor((s * reservation_ticks - distance_ticks[layer]) / step)
        if not isfinite(price) or price < 1:
            return
        side.layer[layer] = <uint8_t>layer
        side.price_ticks[layer] = <int64_t>price
        side.qty_lots[layer] = layer_lots(params, layer)
        side.order[layer] = NO_ORDER
        side.layers += 1


# ---- 2. post-only clamp

cdef int64_t clamp_post_only(LadderSide *side, int64_t limit_ticks) noexcept nogil:
    """Shift the whole side if its nearest layer lies beyond the limit: one tick short of the best opposite price.

    Moving only what crosses would pile all near layers on one tick when the skew is strong.
    """
    cdef int s = side.side
    cdef int layer
    cdef int64_t beyond = s * (side.price_ticks[0] - limit_ticks) if side.layers else 0
    if beyond <= 0:
        return 0
    for layer in range(side.layers):
        side.price_ticks[layer] -= s * beyond
    return beyond


cdef void widen_refused(LadderSide *side, const int64_t *ticks, int64_t price_step_ticks) noexcept nogil:
    """Move the layers that the venue refused farther out, after the clamp: it would bring them back to the touch."""
    cdef int layer, at
    for layer in range(side.layers):
        side.price_ticks[layer] = away(
            side.side, side.price_ticks[layer] - side.side * ticks[side.layer[layer]], price_step_ticks)
    for layer in range(1, side.layers):
        at = layer
        while at > 0 and side.side * (side.price_ticks[at] - side.price_ticks[at - 1]) > 0:
            swap_layers(side, at)
            at -= 1
    while side.layers and side.price_ticks[side.layers - 1] < 1:
        side.layers -= 1


# ---- 3. merge and minima

cdef inline void copy_layer(LadderSide *side, int source, int target) noexcept nogil:
    side.layer[target] = side.layer[source]
    side.price_ticks[target] = side.price_ticks[source]
    side.qty_lots[target] = side.qty_lots[source]
    side.order[target] = side.order[source]


cdef int merge_ticks(LadderSide *side, int64_t most_lots) noexcept nogil:
    """Join layers on one tick in the nearest of them, up to most_lots (or its own size if that is larger)."""
    cdef int layer, last = -1
    cdef int merged = 0
    for layer in range(side.layers):
        if last >= 0 and side.price_ticks[layer] == side.price_ticks[last]:
            side.qty_lots[last] = max(
                side.qty_lots[last], min(side.qty_lots[last] + side.qty_lots[layer], most_lots)
            )
            merged += 1
        else:
            last += 1
            copy_layer(side, layer, last)
    side.layers = last + 1
    return merged


cdef inline bint large_enough(
    int64_t qty_lots, int64_t price_ticks, int64_t min_lots, int64_t min_ticklots
) noexcept nogil:
    return qty_lots > 0 and qty_lots >= min_lots and qty_lots * price_ticks >= min_ticklots


cdef int drop_small(LadderSide *side, int64_t min_lots, int64_t min_ticklots) noexcept nogil:
    """Drop layers below the venue's minimum quantity, or below its minimum value at their own price."""
    cdef int layer, kept = 0
    for layer in range(side.layers):
        if large_enough(side.qty_lots[layer], side.price_ticks[layer], min_lots, min_ticklots):
            copy_layer(side, layer, kept)
            kept += 1
    layer = side.layers - kept
    side.layers = kept
    return layer


# ---- 4. the worst case

cdef int match_orders(
    LadderSide *side, const LiveSide *live, const double *place, const KeepBand *band
) noexcept nogil:
    """Find for each layer the live order whose price it will keep; return how many are kept for their place alone.

    The keep rule. An order that is left alone keeps its place in the queue and uses no order of the account's budget.
    So a layer takes over the price of a live order while moving it would gain less than it loses:

    - up to the layer's tolerance, outward or inward, a better price is not worth an order; the caller doubles the
      tolerance while the account's orders are scarce, so that they go where risk or a larger gain asks for them;
    - beyond it, what a better price gains is held against the place in the queue. An order with a whole level behind it
      is worth `queue_ticks` per lot, the last one of a level nothing, one in between the share of the level that stands
      behind it. Where the level is empty or out of sight there is no place to lose.

    Never kept is what would take, lies nearer the reservation price than allowed, or is larger than its layer; and what
    is kept counts in the worst case like everything else. One order serves one layer.

    First come the orders that lie exactly where a layer wants them, then, from the nearest layer outward, the one that
    a layer gives up least for. In that order the result is its own fixed point: a layer that found nothing gets an
    order at its exact price, which nobody else may claim the next time.
    """
    cdef uint8_t[OWN_ORDERS] taken
    cdef int order, layer = 0, valued = 0
    # Layers and orders both run outward, so each list is walked once. What lies exactly where a layer wants to be is
    # that layer's or nobody's: two layers never end on one price.
    for order in range(live.orders):
        taken[order] = not live.keepable[order]
        while layer < side.layers and side.side * (side.price_ticks[layer] - live.price_ticks[order]) > 0:
            layer += 1
        if layer == side.layers or side.price_ticks[layer] != live.price_ticks[order]:
            continue
        if side.order[layer] == NO_ORDER and not taken[order] and live.remaining_lots[order] <= side.qty_lots[layer]:
            side.order[layer] = <int16_t>order
        taken[order] = True
    cdef double tolerance = band.tolerance_ticks
    cdef int rung = 0
    for layer in range(side.layers):
        while rung < side.layer[layer]:
            tolerance *= band.growth
            rung += 1
        if side.order[layer] == NO_ORDER:
            order = cheapest(side, layer, live, place, band, tolerance, taken)
            if order != NO_ORDER:
                side.order[layer] = <int16_t>order
                valued += llabs(side.price_ticks[layer] - live.price_ticks[order]) > tolerance
                take_price(live, live.price_ticks[order], taken)
    return valued


cdef int cheapest(
    const LadderSide *side, int layer, const LiveSide *live, const double *place, const KeepBand *band,
    double tolerance_ticks, const uint8_t *taken,
) noexcept nogil:
    cdef int s = side.side
    cdef int order, best = NO_ORDER
    cdef int64_t off
    cdef double cost, best_cost = tolerance_ticks
    for order in range(live.orders):
        off = s * (side.price_ticks[layer] - live.price_ticks[order])      # positive: outward
        if off > tolerance_ticks + band.queue_ticks:
            break                                                           # nearest first: only farther ones follow
        cost = off if off >= 0 else -off
        if place != NULL:
            cost -= place[order] * band.queue_ticks
        if taken[order] or cost > tolerance_ticks or live.remaining_lots[order] > side.qty_lots[layer]:
            continue
        if s * (live.price_ticks[order] - band.limit_ticks) > 0:
            continue
        if s * (band.reservation_ticks - live.price_ticks[order]) < band.nearest_ticks:
            continue
        if best == NO_ORDER or cost < best_cost:
            best, best_cost = order, cost
    return best


cdef inline void take_price(const LiveSide *live, int64_t price_ticks, uint8_t *taken) noexcept nogil:
    cdef int order
    for order in range(live.orders):
        if live.price_ticks[order] == price_ticks:
            taken[order] = True


cdef int64_t capacity_lots(
    int side, int64_t position_lots, int64_t allowance_lots, const Params *params
) noexcept nogil:
    """Return the largest sum of all orders of a side, wanted and live.

    With all of them filled, |position| stays within worst_case * net_max and within the account's allowance. What only
    reduces the position is always allowed.
    """
    cdef int64_t reducing = max(-side * position_lots, 0)
    cdef int64_t most = <int64_t>floor(params.worst_case * params.net_max_lots) - side * position_lots
    return max(reducing, min(most, reducing + max(allowance_lots, 0)))


cdef int trim_worst_case(
    LadderSide *side, const LiveSide *live, int64_t capacity, int64_t min_lots, int64_t min_ticklots
) noexcept nogil:
    """Drop layers from the far end, the last one in part, until all orders of the side together fit.

    Two sums must fit. `room`: the wanted layers alone, once orders on their way out are gone. `fresh`: everything that
    is live, whether it stays or leaves, plus what is new now; what is live cannot be un-sent, so only new quantity
    gives way. A layer that an order serves already needs only the difference.
    """
    cdef int64_t room = capacity
    cdef int64_t fresh = max(capacity - live.total_lots, 0)
    cdef int64_t qty, standing
    cdef int layer, kept = 0
    for layer in range(side.layers):
        qty = min(side.qty_lots[layer], room)
        room -= qty
        standing = 0
        if side.order[layer] != NO_ORDER:
            standing = min(live.remaining_lots[side.order[layer]], qty)
        if qty - standing > fresh:
            qty = standing + fresh
        fresh -= qty - standing
        if large_enough(qty, side.price_ticks[layer], min_lots, min_ticklots):
            copy_layer(side, layer, kept)
            side.qty_lots[kept] = qty
            kept += 1
    layer = side.layers - kept
    side.layers = kept
    return layer


# ---- 5. own cross

cdef inline int64_t shown_price(const LadderSide *side, const LiveSide *live, int layer) noexcept nogil:
    return side.price_ticks[layer] if side.order[layer] == NO_ORDER else live.price_ticks[side.order[layer]]


cdef int drop_own_cross(LadderSide *side, const LiveSide *live, const LiveSide *opposite) noexcept nogil:
    """Drop layers at or through our own best live order of the other side, which may be on its way out.

    Wanted layers cannot cross each other: bids lie below the reservation price and asks above it.
    """
    cdef int layer, kept = 0
    if opposite.orders == 0:
        return 0
    for layer in range(side.layers):
        if side.side * (opposite.price_ticks[0] - shown_price(side, live, layer)) > 0:
            copy_layer(side, layer, kept)
            kept += 1
    layer = side.layers - kept
    side.layers = kept
    return layer


# ---- 6. keep

cdef int keep_prices(LadderSide *side, const LiveSide *live) noexcept nogil:
    """Move each matched layer onto its order's price, and put the side in order again, nearest first."""
    cdef int layer, at, kept = 0
    for layer in range(side.layers):
        if side.order[layer] != NO_ORDER:
            side.price_ticks[layer] = live.price_ticks[side.order[layer]]
            kept += 1
        at = layer
        while at > 0 and side.side * (side.price_ticks[at] - side.price_ticks[at - 1]) > 0:
            swap_layers(side, at)
            at -= 1
    return kept


cdef inline void swap_layers(LadderSide *side, int at) noexcept nogil:
    side.layer[at], side.layer[at - 1] = side.layer[at - 1], side.layer[at]
    side.price_ticks[at], side.price_ticks[at - 1] = side.price_ticks[at - 1], side.price_ticks[at]
    side.qty_lots[at], side.qty_lots[at - 1] = side.qty_lots[at - 1], side.qty_lots[at]
    side.order[at], side.order[at - 1] = side.order[at - 1], side.order[at]


cdef class Draft:
    """One side of a ladder, step by step from Python; for tests and research.

    own: an OWN array of one record. layers: (price_ticks, qty_lots) nearest first, when not made by round_away.
    """

    cdef LadderSide side
    cdef Live live

    def __init__(self, int side, const Own[::1] own, layers=()):
        if side * side != 1 or len(layers) > LADDER_LAYERS:
            raise ValueError(f"side {side} with {len(layers)} layers, expected ±1 with at most {LADDER_LAYERS}")
        sort_live(&own[0], &self.live)
        self.side.side, self.side.layers = side, len(layers)
        for i, (price_ticks, qty_lots) in enumerate(layers):
            self.side.layer[i], self.side.price_ticks[i] = <uint8_t>i, price_ticks
            self.side.qty_lots[i], self.side.order[i] = qty_lots, NO_ORDER

    @property
    def layers(self):
        """(layer, price_ticks, qty_lots, order) of each layer, nearest first; order -1 = none."""
        return [
            (self.side.layer[i], self.side.price_ticks[i], self.side.qty_lots[i], self.side.order[i])
            for i in range(self.side.layers)
        ]

    @property
    def live_orders(self):
        """(price_ticks, remaining_lots, keepable) of our live orders on this side, nearest first."""
        cdef const LiveSide *live = &self.live.sides[side_index(self.side.side)]
        return [(live.price_ticks[i], live.remaining_lots[i], bool(live.keepable[i])) for i in range(live.orders)]

    def round_away(self, double reservation_ticks, distances_ticks, const Params[::1] params):
        cdef double[LADDER_LAYERS] distances
        for i, distance in enumerate(distances_ticks[:LADDER_LAYERS]):
            distances[i] = distance
        round_away(&self.side, reservation_ticks, distances, min(len(distances_ticks), LADDER_LAYERS), &params[0])

    def clamp_post_only(self, int64_t limit_ticks):
        return clamp_post_only(&self.side, limit_ticks)

    def merge_ticks(self, int64_t most_lots):
        return merge_ticks(&self.side, most_lots)

    def drop_small(self, int64_t min_lots, int64_t min_ticklots):
        return drop_small(&self.side, min_lots, min_ticklots)

    def widen_refused(self, ticks):
        """Widen by rung; rungs beyond the list are not."""
        cdef int64_t[LADDER_LAYERS] widened
        for i in range(LADDER_LAYERS):
            widened[i] = ticks[i] if i < len(ticks) else 0
        widen_refused(&self.side, widened, 1)

    def match_orders(self, KeepBand band, places=()):
        """places: how well each live order stands in its queue, 0..1, nearest first; the rest stand last."""
        cdef double[OWN_ORDERS] place
        for i in range(OWN_ORDERS):
            place[i] = places[i] if i < len(places) else 0
        return match_orders(&self.side, &self.live.sides[side_index(self.side.side)], place, &band)

    def trim_worst_case(self, int64_t capacity, int64_t min_lots=1, int64_t min_ticklots=0):
        return trim_worst_case(
            &self.side, &self.live.sides[side_index(self.side.side)], capacity, min_lots, min_ticklots
        )

    def drop_own_cross(self):
        return drop_own_cross(
            &self.side, &self.live.sides[side_index(self.side.side)], &self.live.sides[side_index(-self.side.side)]
        )

    def keep_prices(self):
        return keep_prices(&self.side, &self.live.sides[side_index(self.side.side)])


def capacity(int side, int64_t position_lots, int64_t allowance_lots, const Params[::1] params):
    """Return the largest sum of all orders of a side, in lots; for tests and research."""
    return capacity_lots(side, position_lots, allowance_lots, &params[0])
