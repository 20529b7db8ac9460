# The one table of orders: everything that was sent and may still be at the venue, and for a minute what was.
from libc.stdint cimport int8_t, int64_t, uint8_t, uint16_t, uint64_t

from phx._core.enums cimport ORDER_CLOSED, ORDER_NONE, ORDER_PENDING_CANCEL, ORDER_UNKNOWN
from phx._core.records cimport MAX_SYMBOLS, OWN_ORDERS

cpdef enum OrderEvent:                  # what is learnt about an order, or done to it
    ORDER_ACCEPTED = 0                  # the venue has it: reply, stream, query or open-orders list
    ORDER_REFUSED = 1                   # the venue refused to place it
    ORDER_UNANSWERED = 2                # a request about it has no usable answer
    ORDER_CANCEL_SENT = 3
    ORDER_NOT_FOUND = 4                 # cancel or amend answered "no such order": filled, closed or not there yet
    ORDER_AMEND_SENT = 5
    ORDER_AMENDED = 6
    ORDER_AMEND_REFUSED = 7             # the order stays as it was
    ORDER_FILLED = 8                    # nothing remains
    ORDER_ENDED = 9                     # canceled or expired at the venue, by its own word
    ORDER_ABSENT = 10                   # proven never placed
    ORDER_DOUBTED = 11                  # the venue said something about it that phx does not understand
    ORDER_EVENTS = 12

cdef enum:
    ORDER_SLOTS = 8192                  # orders remembered; six minutes at the venue's highest order rate
    LATE_FILLS_NS = 60_000_000_000      # how long a closed order still accepts fills

cdef struct Order:
    uint64_t intent_id                  # client order id's counter; 0 = slot never used
    int64_t price_ticks                 # NO_PRICE for a market order
    int64_t qty_lots                    # as placed, or as last amended
    int64_t amend_price_ticks           # wanted by the amend on its way,
    int64_t amend_qty_lots              # and its whole quantity; 0 = none is on its way
    int64_t filled_lots                 # 0 <= filled <= qty
    int64_t sent_mono_ns                # when it was placed
    int64_t since_mono_ns               # when it entered its state
    int64_t request_mono_ns             # when the last request about it was sent; 0 = answered
    int64_t cancel_mono_ns              # when its newest cancel was sent; 0 = never
    int64_t first_cancel_mono_ns        # when its first cancel was sent
    int64_t asked_mono_ns               # when the venue was last asked about it; 0 = never
    int64_t ts_ack_ns                   # venue time of its acknowledgement, 0 = none yet
    int64_t cause_recv_mono_ns          # receipt of the tick that caused it
    int64_t venue_order_id
    int64_t reported_lots               # filled by the venue's own count; more than filled_lots = fills are missing
    int64_t reported_mono_ns            # when that count was told
    uint64_t take_n                     # the take it carries out; 0 = a quote
    uint16_t symbol_id
    uint16_t amends                     # sent so far
    int8_t side                         # Side
    uint8_t layer                       # the ladder's rung; NO_LAYER for a take
    uint8_t state                       # OrderState
    uint8_t reduce_only
    uint8_t mode                        # Mode of the ladder that asked for it
    uint8_t absent                      # 1 = closed as never placed: should it appear, cancel it
    uint8_t zombie                      # 1 = it did appear, and its end is not known yet
    uint8_t over                        # 1 = the venue said that it ended, but fills of it are missing
    uint8_t refusals_before             # of its desk in a row, when it was acknowledged
    uint8_t amend_refused               # 1 = the venue refused to amend it: it is replaced instead
    uint8_t unanswered                  # 1 = unknown because a request got no usable answer

cdef inline bint is_live(const Order *order) noexcept nogil:
    # May still fill.
    return order.state != ORDER_NONE and order.state != ORDER_CLOSED

cdef inline bint is_leaving(const Order *order) noexcept nogil:
    # On its way out: counts in full, serves no wanted layer.
    return order.state == ORDER_PENDING_CANCEL or order.state == ORDER_UNKNOWN

cdef inline int64_t remaining_lots(const Order *order) noexcept nogil:
    # What may still fill; while an amend is on its way the larger of old and new.
    return max(<int64_t>0, max(order.qty_lots, order.amend_qty_lots) - order.filled_lots)

cdef inline int64_t coming_ticks(const Order *order) noexcept nogil:
    # Its price once the venue has done what it was asked,
    return order.amend_price_ticks if order.amend_qty_lots else order.price_ticks

cdef inline int64_t coming_lots(const Order *order) noexcept nogil:
    # and what will remain of it.
    return max(<int64_t>0, (order.amend_qty_lots or order.qty_lots) - order.filled_lots)

cdef inline int64_t nearest_ticks(const Order *order) noexcept nogil:
    # While an amend is on its way it may fill at either price: the one nearer to the market.
    return order.side * max(order.side * order.price_ticks, order.side * coming_ticks(order))

cdef inline bint holds_price(const Order *order, int64_t price_ticks) noexcept nogil:
    return order.price_ticks == price_ticks or coming_ticks(order) == price_ticks

cdef class OrderTable:
    cdef Order *slots                            # slot = intent id mod ORDER_SLOTS
    cdef uint64_t next_intent_id
    cdef uint16_t live[MAX_SYMBOLS][OWN_ORDERS]  # slots of a symbol's live orders, oldest first
    cdef int live_count[MAX_SYMBOLS]
    cdef readonly uint64_t refused_events        # events that fit no state, ignored
    cdef readonly uint64_t overfilled            # fills beyond an order's quantity
    cdef uint64_t unanswered[MAX_SYMBOLS]        # orders that a request without a usable answer made unknown
    cdef uint64_t resolved[MAX_SYMBOLS]          # of them resolved by evidence
    cdef Order *create(self, int symbol_id, int64_t now_ns) noexcept nogil    # NULL = full; pending new, counted
    cdef Order *find(self, uint64_t intent_id) noexcept nogil                 # NULL = unknown or forgotten
    cdef uint64_t first_recent(self) noexcept nogil
    cdef bint apply(self, Order *order, int event, int64_t now_ns) noexcept nogil    # true = its state changed
    cdef bint fill(self, Order *order, int64_t qty_lots, int64_t now_ns) noexcept nogil
    cdef void remove_live(self, Order *order) noexcept nogil
