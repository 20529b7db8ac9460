"""What a gateway wants to know of the venue: orders without an end, fills that are missing, orders that came back.

The answers go to GatewayCore. now_ns is monotonic.
"""

from libc.stdint cimport int64_t, uint64_t

from phx._core.desk cimport Desk
from phx._core.enums cimport ORDER_UNKNOWN
from phx._core.gateway cimport GatewayCore
from phx._core.orders cimport Order

cdef int64_t SECOND_NS = 1_000_000_000
cdef int64_t ASK_FIRST_NS = 250_000_000         # an order is asked about after this,
cdef int64_t ASK_AGAIN_NS = 1_500_000_000       # and then so often;
cdef int64_t ASK_PROVING_NS = 500_000_000       # where the answer would prove an absence so often,
cdef int64_t PROVING_NS = 3_000_000_000         # for so long
cdef int64_t LEAVING_NS = 2_000_000_000         # an order on its way out for so long is asked about
cdef int64_t STUCK_NS = 7_000_000_000           # one that cancels did not bring to an end for so long is stuck
cdef int64_t FILLS_SETTLE_NS = 500_000_000      # a fill may be so much later than the count that holds it
cdef int64_t FILLS_LATE_NS = 5_000_000_000      # the venue's history holds a fill sooner than this

FEE_SETTLE_NS = 1_000_000_000                   # a fee may be so much later than its fill;
FEE_GIVEN_UP_NS = 20_000_000_000                # one that the history does not show by then comes when it comes


def open_questions(GatewayCore core, int64_t now_ns):
    """Return the orders to ask the venue about, unknown or long on their way out: [(intent_id, symbol_id)]."""
    cdef Desk desk
    cdef Order *order
    found = []
    for desk in core.desks:
        for i in range(core.account.table.live_count[desk.symbol_id]):
            order = &core.account.table.slots[core.account.table.live[desk.symbol_id][i]]
            if order.state == ORDER_UNKNOWN or (
                    order.cancel_mono_ns and now_ns - order.since_mono_ns > LEAVING_NS):
                found.append((order.intent_id, order.symbol_id))
    return found


def due_questions(GatewayCore core, int64_t now_ns, int64_t absent_after_ns, int at_most):
    """Return those of the open questions that are to be asked now, the one that waits longest first.

    The first time after a moment in which the stream mostly tells, then ever again, and once more when "no such
    order" begins to prove something, absent_after_ns after the send: from then on more often for a while, since an
    answer that is lost or late keeps a whole side waiting.
    """
    cdef Order *order
    cdef int64_t wait_ns, proof_ns, waits_since_ns
    due = []
    for intent_id, symbol_id in open_questions(core, now_ns):
        order = core.account.table.find(intent_id)
        waits_since_ns = order.asked_mono_ns or order.since_mono_ns
        proof_ns = order.sent_mono_ns + absent_after_ns
        wait_ns = ASK_AGAIN_NS if order.asked_mono_ns else ASK_FIRST_NS
        if proof_ns <= order.asked_mono_ns and now_ns < proof_ns + PROVING_NS:
            wait_ns = ASK_PROVING_NS
        if now_ns - waits_since_ns >= wait_ns or order.asked_mono_ns < proof_ns <= now_ns:
            # First those about which "no such order" would be a proof.
            due.append((now_ns < proof_ns, waits_since_ns, intent_id, symbol_id))
    due.sort()
    for _, _, intent_id, _ in due[:at_most]:
        core.account.table.find(intent_id).asked_mono_ns = now_ns
    return [(intent_id, symbol_id) for _, _, intent_id, symbol_id in due[:at_most]]


def no_answer(GatewayCore core, uint64_t intent_id):
    """Note that a question got no answer: it is due again at once."""
    cdef Order *order = core.account.table.find(intent_id)
    if order != NULL:
        order.asked_mono_ns = 0


def stuck(GatewayCore core, int64_t now_ns):
    """Return the symbol ids with an order that its cancels have not brought to an end for long."""
    cdef Desk desk
    cdef Order *order
    found = set()
    for desk in core.desks:
        for i in range(core.account.table.live_count[desk.symbol_id]):
            order = &core.account.table.slots[core.account.table.live[desk.symbol_id][i]]
            if order.first_cancel_mono_ns and now_ns - order.first_cancel_mono_ns > STUCK_NS:
                found.add(order.symbol_id)
    return found


def missing_fills(GatewayCore core, int64_t now_ns):
    """Return {symbol_id: [(intent_id, lots missing)]} of orders of which the venue counts more filled than booked."""
    cdef Order *order
    cdef uint64_t intent_id
    found = {}
    for intent_id in range(core.account.table.first_recent(), core.account.table.next_intent_id):
        order = core.account.table.find(intent_id)
        if (order != NULL and order.reported_lots > order.filled_lots
                and now_ns - order.reported_mono_ns > FILLS_SETTLE_NS):
            found.setdefault(order.symbol_id, []).append((intent_id, order.reported_lots - order.filled_lots))
    return found


def missing_fees(GatewayCore core, int64_t now_ns):
    """Return the symbol ids with fills whose fee has not followed."""
    for key in [key for key, since_ns in core.fees_missing.items() if now_ns - since_ns > FEE_GIVEN_UP_NS]:
        del core.fees_missing[key]
    return {symbol_id for (symbol_id, _), since_ns in core.fees_missing.items() if now_ns - since_ns > FEE_SETTLE_NS}


def fills_accounted(GatewayCore core, int symbol_id, int64_t now_ns):
    """Note that the symbol's trades were reconciled: what is missing for long will not come any more."""
    cdef Order *order
    cdef uint64_t intent_id
    for intent_id in range(core.account.table.first_recent(), core.account.table.next_intent_id):
        order = core.account.table.find(intent_id)
        if (order != NULL and order.symbol_id == symbol_id and order.reported_lots > order.filled_lots
                and now_ns - order.reported_mono_ns > FILLS_LATE_NS):
            order.reported_lots = order.filled_lots
            if order.over:
                core.on_end(intent_id, False, 0, 0, now_ns)


def intent_of(GatewayCore core, int symbol_id, int64_t venue_order_id):
    """Return the intent id of an order known by the venue's id, 0 when it is not one of this life."""
    cdef Order *order
    for intent_id in range(core.account.table.next_intent_id - 1, core.account.table.first_recent() - 1, -1):
        order = core.account.table.find(intent_id)
        if order != NULL and order.venue_order_id == venue_order_id and order.symbol_id == symbol_id:
            return intent_id
    return 0


def chase_zombies(GatewayCore core, int64_t now_ns):
    """Cancel again what appeared after its absence was proven, until its end is known."""
    cdef Order *order
    cdef uint64_t intent_id
    if core.zombies == 0:
        return
    for intent_id in range(core.account.table.first_recent(), core.account.table.next_intent_id):
        order = core.account.table.find(intent_id)
        if order != NULL and order.zombie and now_ns - order.cancel_mono_ns >= SECOND_NS:
            (<Desk>core.desk_by_id[order.symbol_id]).cancel(order, now_ns, True)


def never_sent(GatewayCore core not None, uint64_t intent_id):
    """Return whether no order of this life has that id yet."""
    return intent_id >= core.account.table.next_intent_id
