"""The difference between the orders that are wanted and those that exist.

Prices must be equal exactly. An order that has become smaller than wanted by more than the tolerance is replaced, one
that is larger than wanted is cut; both by cancel and place, since an amend goes to the end of the queue as well. When
an amend replaces the two, amend.pyx says. An order that is being amended serves what it will be. Orders on their way
out serve nothing, but their price stays taken until the venue has confirmed, like the old price of one being amended.
"""

from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

from phx._core.orders cimport coming_lots, coming_ticks, holds_price, is_leaving


cdef bint serves(const Order *order, const Wanted *wanted, int index, double qty_tolerance) noexcept nogil:
    cdef int64_t remaining = coming_lots(order), qty = wanted.qty_lots[index]
    return (coming_ticks(order) == wanted.price_ticks[index]
            and order.reduce_only == (wanted.reduce_only >> index & 1)
            and remaining <= qty
            and <double>remaining >= <double>qty * (1.0 - qty_tolerance))


cdef void diff_side(const Wanted *wanted, Order **live, int live_count, int side, double qty_tolerance,
                    Changes *out) noexcept nogil:
    cdef int i, index
    cdef bint used
    memset(out, 0, sizeof(Changes))
    for i in range(live_count):
        if live[i].side != side:
            continue
        used = False
        for index in range(wanted.layers):
            if is_leaving(live[i]):
                if holds_price(live[i], wanted.price_ticks[index]):
                    out.occupied |= <uint32_t>1 << index
                continue
            if live[i].amend_qty_lots and live[i].price_ticks == wanted.price_ticks[index]:
                out.occupied |= <uint32_t>1 << index
            if not used and not out.served >> index & 1 and serves(live[i], wanted, index, qty_tolerance):
                out.served |= <uint32_t>1 << index
                used = True
        if not used and not is_leaving(live[i]):
            add_nearest_first(out, live, i, side)
    # What is cancelled now holds its price until the venue has confirmed, too.
    for i in range(out.cancels):
        for index in range(wanted.layers):
            if holds_price(live[out.cancel[i]], wanted.price_ticks[index]):
                out.occupied |= <uint32_t>1 << index
    for index in range(wanted.layers):
        if not (out.served | out.occupied) >> index & 1:
            out.place[out.places] = <uint8_t>index
            out.places += 1


cdef void add_nearest_first(Changes *out, Order **live, int i, int side) noexcept nogil:
    # Insertion sort: a side has few orders, and they mostly come in this order.
    cdef int at = out.cancels
    while at > 0 and side * live[out.cancel[at - 1]].price_ticks < side * live[i].price_ticks:
        out.cancel[at] = out.cancel[at - 1]
        at -= 1
    out.cancel[at] = <uint8_t>i
    out.cancels += 1


def diff(wanted, live, int side, double qty_tolerance=0.5):
    """Return (cancels, places, occupied) of one side as lists of indexes; for tools and tests.

    wanted: (price_ticks, qty_lots, reduce_only) nearest first, at most LADDER_LAYERS. live: (side, price_ticks,
    remaining_lots, state, reduce_only), at most OWN_ORDERS.
    """
    if len(wanted) > LADDER_LAYERS or len(live) > OWN_ORDERS:
        raise ValueError(f"{len(wanted)} wanted layers, {len(live)} live orders: more than a ladder and a table hold")
    cdef int64_t[LADDER_LAYERS] prices, quantities
    cdef Order[OWN_ORDERS] orders
    cdef Order *pointers[OWN_ORDERS]
    cdef Wanted side_wanted
    cdef Changes changes
    cdef int i
    side_wanted.price_ticks, side_wanted.qty_lots = prices, quantities
    side_wanted.reduce_only, side_wanted.layers = 0, len(wanted)
    for i, (price, qty, reduce_only) in enumerate(wanted):
        prices[i], quantities[i] = price, qty
        side_wanted.reduce_only |= <uint32_t>bool(reduce_only) << i
    memset(orders, 0, sizeof(orders))
    for i, (order_side, price, qty, state, reduce_only) in enumerate(live):
        orders[i].side, orders[i].price_ticks, orders[i].qty_lots = <int8_t>order_side, price, qty
        orders[i].state, orders[i].reduce_only = <uint8_t>state, <uint8_t>bool(reduce_only)
        pointers[i] = &orders[i]
    diff_side(&side_wanted, pointers, len(live), side, qty_tolerance, &changes)
    occupied = [i for i in range(side_wanted.layers) if changes.occupied >> i & 1]
    return list(changes.cancel[:changes.cancels]), list(changes.place[:changes.places]), occupied
