"""What the venue says of amends: done, refused, or made by somebody else.

Reply and stream tell the same, in any order; the answers go to GatewayCore. now_ns is monotonic, ts_ns is the venue's
UTC. A venue that ends an order instead of amending it says so like any other end (GatewayCore.on_end).
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from phx._core.desk cimport Desk
from phx._core.enums cimport EXEC_AMEND, JOURNAL_REPLY, ORDER_CLOSED
from phx._core.gateway cimport GatewayCore
from phx._core.histogram cimport record
from phx._core.orders cimport ORDER_AMENDED, ORDER_NOT_FOUND, Order, nearest_ticks
from phx._core.records cimport NO_LAYER, ExecEvent

cdef int NOTHING_TO_AMEND = -5027               # the order is as wanted already
cdef tuple ONLY_AMENDS = (-5024, -5025, -5026, -5029, -5043, -5047)     # a cancel and a place may pass


def on_amended(GatewayCore core, uint64_t intent_id, int64_t price_ticks, int64_t qty_lots, int64_t ts_ns,
               int64_t now_ns):
    """The venue says what an order of ours was amended to, or just is, at ts_ns: by a reply, the stream, a query.

    Returns whether that was phx. What somebody else amended counts with the largest quantity, at the price nearest to
    the market, and goes.
    """
    cdef Order *order = core.account.table.find(intent_id)
    cdef Desk desk
    cdef ExecEvent event
    if order == NULL or order.state == ORDER_CLOSED or order.over or order.layer == NO_LAYER:
        return True                     # ended, or a take, which nobody amends
    if ts_ns < order.ts_ack_ns:
        return True                     # older than what is known of it
    desk = core.desk_by_id[order.symbol_id]
    if order.amend_qty_lots and (price_ticks, qty_lots) == (order.amend_price_ticks, order.amend_qty_lots):
        settle(core, desk, order, ts_ns, now_ns)
        return True
    if (price_ticks, qty_lots) == (order.price_ticks, order.qty_lots):
        return True                     # told again
    order.price_ticks = order.side * max(order.side * nearest_ticks(order), order.side * price_ticks)
    order.qty_lots = max(qty_lots, max(order.qty_lots, order.amend_qty_lots))
    order.amend_qty_lots = 0
    core.account.table.apply(order, ORDER_AMENDED, now_ns)
    memset(&event, 0, sizeof(event))
    desk.publish_exec(&event, order, EXEC_AMEND, now_ns)
    if order.cancel_mono_ns == 0:
        desk.cancel(order, now_ns, True)
    return False


cdef settle(GatewayCore core, Desk desk, Order *order, int64_t ts_ns, int64_t now_ns):
    cdef ExecEvent event
    if order.request_mono_ns and order.cancel_mono_ns == 0:
        record(desk.counters.ack_ns, now_ns - order.request_mono_ns)
    order.request_mono_ns = order.cancel_mono_ns        # a cancel may have left after it
    order.ts_ack_ns = ts_ns
    core.account.table.apply(order, ORDER_AMENDED, now_ns)
    memset(&event, 0, sizeof(event))
    event.ts_event_ns = ts_ns
    desk.publish_exec(&event, order, EXEC_AMEND, now_ns)


def on_amend_reject(GatewayCore core, uint64_t intent_id, int venue_code, int64_t now_ns):
    """The venue refused an amend: the order is as it was, unless there is none any more."""
    cdef Order *order = core.account.table.find(intent_id)
    cdef Desk desk
    if order == NULL:
        return
    desk = core.desk_by_id[order.symbol_id]
    core.account.journal_order(JOURNAL_REPLY, order, now_ns, venue_code)
    if order.amend_qty_lots == 0 or order.state == ORDER_CLOSED:
        return
    if venue_code == NOTHING_TO_AMEND:
        settle(core, desk, order, order.ts_ack_ns, now_ns)
        return
    if venue_code in (-2011, -2013):
        order.request_mono_ns = order.cancel_mono_ns
        core.account.table.apply(order, ORDER_NOT_FOUND, now_ns)
        desk.dirty = True
        return
    desk.counters.rejects_venue += 1
    order.amend_refused = True
    core.on_not_amended(intent_id, now_ns)
    if venue_code not in ONLY_AMENDS:
        # Not only this way of changing it was refused.
        core.back_off_after(desk, order, venue_code, now_ns)
