"""The order table: states, the one table of what each event does in each state, and what is live per symbol."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memmove, memset

from phx._core.enums cimport (
    ORDER_CLOSED, ORDER_NONE, ORDER_OPEN, ORDER_PENDING_AMEND, ORDER_PENDING_CANCEL, ORDER_PENDING_NEW, ORDER_UNKNOWN)

cdef enum:
    STATES = 7
    STAYS = 254                         # the event says nothing new
    REFUSED = 255                       # the event can't happen in this state: counted, ignored

# What each event does in each state. An unknown order has had its cancel sent at once, so evidence that it is there
# makes it a pending cancel. Closed is for ever; only fills still count then.
cdef uint8_t[STATES][<int>ORDER_EVENTS] NEXT


def fill_next_states():
    """Write the table down, readable; called once at import. Rows: states; columns: events in their order."""
    n, o, a, c, u, x = (ORDER_PENDING_NEW, ORDER_OPEN, ORDER_PENDING_AMEND, ORDER_PENDING_CANCEL, ORDER_UNKNOWN,
                        ORDER_CLOSED)
    s, r = STAYS, REFUSED
    rows = {
        # in order: accepted, refused, unanswered, cancel_sent, not_found, amend_sent, amended, amend_refused, filled,
        # ended, absent, doubted
        ORDER_NONE: (r, r, r, r, r, r, r, r, r, r, r, r),
        n:          (o, x, u, c, u, r, o, s, x, x, x, u),
        o:          (s, r, s, c, u, a, s, s, x, x, r, u),
        a:          (s, r, u, c, u, r, o, o, x, x, r, u),
        c:          (s, x, u, s, u, r, s, s, x, x, x, u),
        u:          (c, x, s, s, s, r, c, s, x, x, x, s),
        x:          (s, s, s, s, s, r, s, s, s, s, s, s),
    }
    for state, row in rows.items():
        for event in range(ORDER_EVENTS):
            NEXT[<int>state][<int>event] = row[event]


fill_next_states()


cdef class OrderTable:
    """All orders of one gateway's life. Intent ids come from here, one counter for all symbols."""

    def __cinit__(self):
        self.slots = <Order *>calloc(ORDER_SLOTS, sizeof(Order))
        if self.slots == NULL:
            raise MemoryError()
        self.next_intent_id = 1

    def __dealloc__(self):
        free(self.slots)

    cdef Order *create(self, int symbol_id, int64_t now_ns) noexcept nogil:
        cdef Order *order
        cdef int _tries
        if self.live_count[symbol_id] >= OWN_ORDERS:
            return NULL
        # A slot is free once its order is closed and too old for late fills; live orders are few, so one is near.
        for _tries in range(ORDER_SLOTS):
            order = &self.slots[self.next_intent_id % ORDER_SLOTS]
            if order.intent_id == 0 or (order.state == ORDER_CLOSED and now_ns - order.since_mono_ns > LATE_FILLS_NS):
                break
            self.next_intent_id += 1
        else:
            return NULL
        memset(order, 0, sizeof(Order))
        order.intent_id = self.next_intent_id
        order.symbol_id = <uint16_t>symbol_id
        order.state = ORDER_PENDING_NEW
        order.sent_mono_ns = now_ns
        order.since_mono_ns = now_ns
        order.request_mono_ns = now_ns
        self.live[symbol_id][self.live_count[symbol_id]] = <uint16_t>(order.intent_id % ORDER_SLOTS)
        self.live_count[symbol_id] += 1
        self.next_intent_id += 1
        return order

    cdef Order *find(self, uint64_t intent_id) noexcept nogil:
        cdef Order *order = &self.slots[intent_id % ORDER_SLOTS]
        return order if order.intent_id == intent_id and intent_id else NULL

    cdef uint64_t first_recent(self) noexcept nogil:
        # How far back the questions about closed orders look: more orders than a minute can hold.
        return self.next_intent_id - 2048 if self.next_intent_id > 2048 else 1

    cdef bint apply(self, Order *order, int event, int64_t now_ns) noexcept nogil:
        cdef uint8_t next_state = NEXT[order.state][event]
        if next_state == REFUSED:
            self.refused_events += 1
            return False
        if event == ORDER_CANCEL_SENT and order.first_cancel_mono_ns == 0:
            order.first_cancel_mono_ns = now_ns
        elif event == ORDER_AMENDED and order.amend_qty_lots:
            order.price_ticks = order.amend_price_ticks
            order.qty_lots = max(order.amend_qty_lots, order.filled_lots)
            order.amend_qty_lots = 0
            if order.filled_lots >= order.qty_lots:
                next_state = NEXT[order.state][<int>ORDER_FILLED]    # the fills were told first
        elif event == ORDER_AMEND_REFUSED:
            order.amend_qty_lots = 0
        if next_state == STAYS or next_state == order.state:
            return False
        # An order is also unknown after "no such order"; that is an answer, and a fill's usual race with a cancel.
        if event == ORDER_UNANSWERED or event == ORDER_DOUBTED:
            order.unanswered = True
            self.unanswered[order.symbol_id] += 1
        elif order.unanswered:
            order.unanswered = False
            self.resolved[order.symbol_id] += 1
        order.state = next_state
        order.since_mono_ns = now_ns
        if next_state == ORDER_CLOSED:
            # A refusal is the venue's word that it is not there, like an absence; either may turn out wrong.
            order.absent = event == ORDER_ABSENT or event == ORDER_REFUSED
            self.remove_live(order)
        return True

    cdef bint fill(self, Order *order, int64_t qty_lots, int64_t now_ns) noexcept nogil:
        # Returns whether the fill fits the order. One that does not is still a fill: the position takes it in full.
        cdef int64_t qty = max(order.qty_lots, order.amend_qty_lots)
        cdef bint fits = order.filled_lots + qty_lots <= qty
        order.filled_lots = min(order.filled_lots + qty_lots, qty)
        if not fits:
            self.overfilled += 1
        if order.filled_lots >= qty:
            order.zombie = False
            self.apply(order, ORDER_FILLED, now_ns)
        elif order.state == ORDER_PENDING_NEW or order.state == ORDER_UNKNOWN:
            self.apply(order, ORDER_ACCEPTED, now_ns)
        return fits

    cdef void remove_live(self, Order *order) noexcept nogil:
        cdef uint16_t slot = <uint16_t>(order.intent_id % ORDER_SLOTS)
        cdef uint16_t *live = self.live[order.symbol_id]
        cdef int count = self.live_count[order.symbol_id], i
        for i in range(count):
            if live[i] == slot:
                memmove(&live[i], &live[i + 1], (count - i - 1) * sizeof(uint16_t))
                self.live_count[order.symbol_id] = count - 1
                return

    def place(self, int symbol_id, int side, int64_t price_ticks, int64_t qty_lots, int64_t now_ns, int layer=0):
        """Create a pending new order; return its intent id, 0 when the symbol's rows are all in use. For tests."""
        if not 0 <= symbol_id < MAX_SYMBOLS or side not in (1, -1) or qty_lots <= 0:
            raise ValueError(f"order: symbol {symbol_id}, side {side}, quantity {qty_lots} lots")
        cdef Order *order = self.create(symbol_id, now_ns)
        if order == NULL:
            return 0
        order.side, order.price_ticks, order.qty_lots, order.layer = side, price_ticks, qty_lots, layer
        return order.intent_id

    def handle(self, uint64_t intent_id, int event, int64_t now_ns):
        """Apply an event; return whether the state changed. KeyError for an order that is not in the table."""
        cdef Order *order = self.find(intent_id)
        if order == NULL:
            raise KeyError(intent_id)
        if not 0 <= event < ORDER_EVENTS:
            raise ValueError(f"order event {event}")
        return self.apply(order, event, now_ns)

    def book_fill(self, uint64_t intent_id, int64_t qty_lots, int64_t now_ns):
        """Apply a fill; return whether it fitted the order's quantity."""
        cdef Order *order = self.find(intent_id)
        if order == NULL:
            raise KeyError(intent_id)
        return self.fill(order, qty_lots, now_ns)

    def order(self, uint64_t intent_id):
        """Return an order's fields by name, None when it is not in the table."""
        cdef Order *order = self.find(intent_id)
        return None if order == NULL else order[0]

    def live_intents(self, int symbol_id):
        """Return the intent ids of a symbol's live orders, oldest first."""
        return [self.slots[self.live[symbol_id][i]].intent_id for i in range(self.live_count[symbol_id])]


def next_state(int state, int event):
    """Return the state an event leads to (the same one when it says nothing new), None when it can't happen there."""
    if not 0 <= state < STATES or not 0 <= event < ORDER_EVENTS:
        raise ValueError(f"order state {state}, event {event}")
    cdef uint8_t found = NEXT[state][event]
    return None if found == REFUSED else state if found == STAYS else found
