# The words and events of a matching venue, shared by the engine (endogenous book) and the overlay (recorded book).
from libc.stdint cimport int32_t, int64_t

cpdef enum TimeInForce:
    TIF_GTC = 1                 # rests until cancelled
    TIF_IOC = 2                 # what does not trade at once expires
    TIF_FOK = 3                 # trades whole at once or is refused
    TIF_GTX = 4                 # post only: refused if it would take
    TIF_MARKET = 5              # as IOC, with the price as the outer bound

cpdef enum SelfTrade:           # what gives way when an owner would trade with itself; the taker's choice
    SELF_TRADE_NONE = 0         # they trade
    SELF_TRADE_EXPIRE_TAKER = 1
    SELF_TRADE_EXPIRE_MAKER = 2
    SELF_TRADE_EXPIRE_BOTH = 3

cpdef enum EventKind:
    EVENT_ACCEPTED = 1          # order_id is in the venue
    EVENT_TRADE = 2             # order_id took maker_id's quantity at price_ticks
    EVENT_CANCELED = 3
    EVENT_EXPIRED = 4           # why: reason
    EVENT_AMENDED = 5
    EVENT_LEVEL = 6             # a level's total is now qty_lots; numbered by update_id

cpdef enum Expiry:              # the venue's own numbers for why an order expired
    EXPIRY_NONE = 0
    EXPIRY_SELF_TRADE = 1
    EXPIRY_IOC = 2
    EXPIRY_IOC_SELF_TRADE = 3
    EXPIRY_REDUCE_ONLY = 4      # nothing left to reduce
    EXPIRY_LIQUIDATION = 5
    EXPIRY_MARKET = 9

cpdef enum Refusal:             # instead of an order id: nothing happened
    REFUSED_POST_ONLY = -1
    REFUSED_FILL_OR_KILL = -2
    REFUSED_UNKNOWN = -3        # no such order

cdef struct MatchEvent:
    int64_t kind
    int64_t order_id            # of a trade: the taker; 0 = the recorded market
    int64_t owner
    int64_t side                # of order_id; of the level
    int64_t price_ticks
    int64_t qty_lots            # traded; accepted or amended quantity; a level's total
    int64_t remaining_lots      # of order_id
    int64_t maker_id
    int64_t maker_owner
    int64_t maker_remaining_lots
    int64_t trade_id
    int64_t update_id
    int64_t reason

cdef class EventLog:
    cdef MatchEvent *events
    cdef int64_t count
    cdef int64_t capacity
    # Append a zeroed event of this kind and return it; valid until the next push.
    cdef MatchEvent *push(self, int64_t kind) noexcept nogil

cdef class Positions:           # of accounts in one symbol, so that a reduce-only order never crosses zero in a match
    cdef int64_t *lots          # signed, by number; number 0 is nobody's and stays flat
    cdef int32_t count
    cdef void reserve(self, int32_t number) noexcept nogil
    cdef void add(self, int32_t number, int64_t lots) noexcept nogil
    # Return the lots by which a trade of this side may still reduce a position.
    cdef int64_t room(self, int32_t number, int64_t side) noexcept nogil
    cdef void copy(self, Positions other) noexcept nogil

cdef int64_t expiry_of(int tif, bint self_trade) noexcept nogil
