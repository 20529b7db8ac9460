"""When one amend is better than cancel and place.

An amend goes to the end of the queue and costs an order count, like a placement; a cancel costs none. So where there is
room for the old order and the new one side by side, cancel and place lose nothing: both leave at once. Reduce-only
orders may not add up to more than the position. Where the new one finds no room beside the old one it would have to
wait for the confirmed cancel, two round trips without a quote; an amend takes one, and there is never more than the
larger of the two. Adding orders are never in that place: a quoter leaves out what does not fit beside what is live.

The order that a rung was placed for is amended to what the rung wants now, if it is plainly open: the venue has said
all there is to say about it, and no fill of it is missing. What the venue refused to amend once is replaced from then
on. Equal prices are not amended: what is left smaller would lose its place all the same.
"""

from phx._core.enums cimport ORDER_OPEN
from phx._core.records cimport NO_LAYER


cdef int partner(const Changes *changes, Order **live, uint8_t layer) noexcept nogil:
    """Return where among the cancels the reduce-only order of a rung is, -1 = nowhere."""
    cdef int i
    for i in range(changes.cancels):
        if live[changes.cancel[i]].layer == layer and live[changes.cancel[i]].reduce_only:
            return i
    return -1


cdef bint may_amend(const Order *order, int64_t price_ticks) noexcept nogil:
    """Return whether an order is plainly open and may still be amended, to another price."""
    return (
        order.state == ORDER_OPEN and order.reduce_only and order.layer != NO_LAYER
        and order.request_mono_ns == 0 and order.ts_ack_ns != 0 and order.reported_lots <= order.filled_lots
        and not order.amend_refused and order.amends < AMENDS_MOST and order.price_ticks != price_ticks
    )


def amendable(dict order, int64_t price_ticks):
    """Return whether an order, given as a dict of all its fields, may be amended to a price; for tests."""
    cdef Order given = order
    return may_amend(&given, price_ticks)
