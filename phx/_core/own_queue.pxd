# Where our live orders stand in the queues of their price levels, estimated from book, top of book and trades.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from phx._core.live cimport Live
from phx._core.queue_position cimport QueuePosition
from phx._core.records cimport OWN_ORDERS, Bbo, Book, Params, TapeEvent

cdef struct QueuedOrder:
    uint64_t intent_id
    int64_t price_ticks
    int64_t remaining_lots
    int64_t ts_ack_ns
    QueuePosition queue                      # lots of others ahead of us; holds while `known`
    int64_t level_lots                       # others' lots at our price when it was last seen; before `known` all lots
    int64_t ts_level_ns                      # venue time of that sight
    double cancelled_ahead_lots              # what the level's last change took off the front as cancels
    bint known                               # the level was seen after the venue acknowledged the order
    bint amended                             # it begins anew, with a book after the one in hand
    bint in_view                             # its price lies inside the book that is shown now

cdef struct QueueSide:
    int orders                               # the same rows as the side's LiveSide
    int in_view                              # none from this row on is in view
    QueuedOrder rows[OWN_ORDERS]
    double place[OWN_ORDERS]                 # 0 = last or not known, towards 1 = in front of a whole level

cdef struct OwnQueue:
    QueueSide sides[2]                       # [side_index(side)]
    uint64_t epoch                           # the gateway's life the intent ids belong to
    uint32_t sync_id                         # the book's resync count at its last sight
    QueueSide scratch

cdef void follow_orders(OwnQueue *queue, const Live *live, uint64_t epoch) noexcept nogil
# The book in hand, for orders that were not looked for in any yet.
cdef void see_new_orders(OwnQueue *queue, const Book *book, const Params *params) noexcept nogil
cdef void see_trade(OwnQueue *queue, const TapeEvent *trade) noexcept nogil
cdef void see_book(OwnQueue *queue, const Book *book, const Params *params) noexcept nogil
cdef void see_top(OwnQueue *queue, const Bbo *bbo) noexcept nogil
# Lots ahead of the nearest order of a side, -1 = unknown.
cdef int64_t front_lots(const OwnQueue *queue, int side) noexcept nogil
