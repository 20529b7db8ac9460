"""Match orders of one symbol by price, then time; report what happened as events.

Accepted, amended, cancelled and expired are reported for owners other than the agents (owner 0), trades and level
changes for everybody. A reduce-only order trades what is left of its position at that moment and expires beyond; how
large it may be when it enters, margins and filters are the business of whoever calls.
"""

from libc.stdlib cimport abort, free, malloc, realloc

from phx._core.levels cimport levels_add, levels_best, levels_find, levels_free, levels_init, levels_remove, levels_top
from phx._core.matching cimport (
    EVENT_ACCEPTED,
    EVENT_AMENDED,
    EVENT_CANCELED,
    EVENT_EXPIRED,
    EVENT_LEVEL,
    EVENT_TRADE,
    EXPIRY_REDUCE_ONLY,
    REFUSED_FILL_OR_KILL,
    REFUSED_POST_ONLY,
    REFUSED_UNKNOWN,
    SELF_TRADE_EXPIRE_MAKER,
    SELF_TRADE_EXPIRE_TAKER,
    SELF_TRADE_NONE,
    TIF_FOK,
    TIF_GTC,
    TIF_GTX,
    MatchEvent,
    Positions,
    expiry_of,
)


cdef inline int64_t mixed(int64_t order_id) noexcept nogil:
    # Fibonacci hashing: consecutive ids land far apart.
    return <int64_t>(<unsigned long long>order_id * <unsigned long long>0x9E3779B97F4A7C15 >> 20)


cdef class Engine:
    """The book and its orders. Ids start above the given ones; ints only, ticks and lots."""

    def __init__(self, int64_t first_order_id=1, int64_t first_trade_id=1, int64_t first_update_id=1):
        levels_init(&self.bids, 1)
        levels_init(&self.asks, -1)
        self.log = EventLog()
        self.positions = Positions()
        self.probe = Positions()
        self.order_ids = first_order_id - 1
        self.trade_ids = first_trade_id - 1
        self.update_id = first_update_id - 1
        self.free_slot = -1
        self.grow()

    def __dealloc__(self):
        free(self.orders)
        free(self.index)
        levels_free(&self.bids)
        levels_free(&self.asks)

    # ---- orders by id -------------------------------------------------------------------------------------------

    cdef void grow(self) noexcept nogil:
        cdef int32_t old = self.capacity
        cdef int32_t slot
        self.capacity = max(old * 2, 1024)
        self.orders = <EngineOrder *>realloc(self.orders, self.capacity * sizeof(EngineOrder))
        free(self.index)
        self.index_mask = self.capacity * 2 - 1
        self.index = <int32_t *>malloc((self.index_mask + 1) * sizeof(int32_t))
        if self.orders == NULL or self.index == NULL:
            abort()
        for slot in range(<int32_t>self.index_mask + 1):
            self.index[slot] = -1
        for slot in range(old):
            self.remember(slot)
        for slot in range(self.capacity - 1, old - 1, -1):
            self.orders[slot].order_id = 0
            self.orders[slot].next = self.free_slot
            self.free_slot = slot

    cdef void remember(self, int32_t slot) noexcept nogil:
        cdef int64_t place = mixed(self.orders[slot].order_id) & self.index_mask
        while self.index[place] >= 0:
            place = (place + 1) & self.index_mask
        self.index[place] = slot

    cdef int32_t slot_of(self, int64_t order_id) noexcept nogil:
        cdef int64_t place = mixed(order_id) & self.index_mask
        while self.index[place] >= 0:
            if self.orders[self.index[place]].order_id == order_id:
                return self.index[place]
            place = (place + 1) & self.index_mask
        return -1

    cdef void forget(self, int64_t order_id) noexcept nogil:
        cdef int64_t hole = mixed(order_id) & self.index_mask
        cdef int64_t place, home
        while self.orders[self.index[hole]].order_id != order_id:
            hole = (hole + 1) & self.index_mask
        # Close the gap: an entry may move back unless its home lies after the hole.
        place = hole
        while True:
            place = (place + 1) & self.index_mask
            if self.index[place] < 0:
                break
            home = mixed(self.orders[self.index[place]].order_id) & self.index_mask
            if ((place - home) & self.index_mask) >= ((place - hole) & self.index_mask):
                self.index[hole] = self.index[place]
                hole = place
        self.index[hole] = -1

    # ---- the queue of a level -----------------------------------------------------------------------------------

    cdef Levels *side_of(self, int64_t side) noexcept nogil:
        return &self.bids if side > 0 else &self.asks

    cdef void report_level(self, int side, int64_t price_ticks, int64_t lots) noexcept nogil:
        self.update_id += 1
        cdef MatchEvent *event = self.log.push(EVENT_LEVEL)
        event.side = side
        event.price_ticks = price_ticks
        event.qty_lots = lots
        event.update_id = self.update_id

    cdef void report_order(self, int64_t kind, const EngineOrder *order, int64_t reason) noexcept nogil:
        if order.owner == 0:
            return
        cdef MatchEvent *event = self.log.push(kind)
        event.order_id = order.order_id
        event.owner = order.owner
        event.side = order.side
        event.price_ticks = order.price_ticks
        event.qty_lots = order.remaining_lots + order.filled_lots
        event.remaining_lots = order.remaining_lots
        event.reason = reason

    cdef void rest(self, const EngineOrder *order) noexcept nogil:
        if self.free_slot < 0:
            self.grow()
        cdef int32_t slot = self.free_slot
        cdef EngineOrder *mine = &self.orders[slot]
        self.free_slot = mine.next
        mine[0] = order[0]
        cdef Levels *levels = self.side_of(order.side)
        cdef Level *level = levels_add(levels, order.price_ticks)
        mine.previous = level.tail
        mine.next = -1
        if level.tail >= 0:
            self.orders[level.tail].next = slot
        else:
            level.head = slot
        level.tail = slot
        level.lots += order.remaining_lots
        self.remember(slot)
        self.live += 1
        self.report_level(order.side, order.price_ticks, level.lots)

    cdef void unlink(self, int32_t slot, Level *level) noexcept nogil:
        """Take an order out of its level's queue and out of the pool; the level's total is the caller's."""
        cdef EngineOrder *order = &self.orders[slot]
        if order.previous >= 0:
            self.orders[order.previous].next = order.next
        else:
            level.head = order.next
        if order.next >= 0:
            self.orders[order.next].previous = order.previous
        else:
            level.tail = order.previous
        self.forget(order.order_id)
        order.order_id = 0
        order.next = self.free_slot
        self.free_slot = slot
        self.live -= 1

    cdef void leave(self, int32_t slot) noexcept nogil:
        """Remove a resting order from the book and report its level."""
        cdef EngineOrder order = self.orders[slot]
        cdef Levels *levels = self.side_of(order.side)
        cdef Level *level = levels_find(levels, order.price_ticks)
        self.unlink(slot, level)
        level.lots -= order.remaining_lots
        self.report_level(order.side, order.price_ticks, level.lots)
        if level.head < 0:
            levels_remove(levels, order.price_ticks)

    # ---- matching -----------------------------------------------------------------------------------------------

    cdef bint would_take(self, int side, int64_t price_ticks) noexcept nogil:
        cdef Levels *levels = self.side_of(-side)
        cdef Level *best = levels_best(levels)
        return best != NULL and side * (price_ticks - best.price_ticks) >= 0

    cdef int64_t most(self, Positions positions, const EngineOrder *order) noexcept nogil:
        """Return how much of an order may trade."""
        if not order.reduces:
            return order.remaining_lots
        return min(order.remaining_lots, positions.room(order.position, order.side))

    cdef bint fillable(self, const EngineOrder *taker) noexcept nogil:
        """Whether the book down to the price covers an order. Positions are tried out as the match would move them."""
        cdef Levels *levels = self.side_of(-taker.side)
        cdef int64_t i = levels.count - 1
        cdef int64_t left = taker.remaining_lots
        cdef int64_t lots
        cdef EngineOrder *maker
        cdef int32_t slot
        self.probe.copy(self.positions)
        if self.most(self.probe, taker) < left:
            return False
        while i >= 0 and left > 0 and taker.side * (taker.price_ticks - levels.levels[i].price_ticks) >= 0:
            slot = levels.levels[i].head
            while slot >= 0 and left > 0:
                maker = &self.orders[slot]
                lots = min(left, self.most(self.probe, maker))
                self.probe.add(maker.position, maker.side * lots)
                self.probe.add(taker.position, taker.side * lots)
                left -= lots
                slot = maker.next
            i -= 1
        return left <= 0

    cdef int64_t take(self, EngineOrder *taker) noexcept nogil:
        """Trade with the opposite side down to the taker's price; return why that ended the taker, 0 if it did not."""
        cdef Levels *levels = self.side_of(-taker.side)
        cdef Level *level
        cdef int32_t slot
        cdef int64_t price_ticks, lots
        cdef int64_t ended = 0
        while taker.remaining_lots > 0 and ended == 0 and self.would_take(taker.side, taker.price_ticks):
            level = levels_best(levels)
            price_ticks = level.price_ticks
            while level.head >= 0 and taker.remaining_lots > 0 and ended == 0:
                slot = level.head
                if self.most(self.positions, &self.orders[slot]) == 0:
                    self.knock_out(slot, level, EXPIRY_REDUCE_ONLY)
                elif self.most(self.positions, taker) == 0:
                    ended = EXPIRY_REDUCE_ONLY
                elif (taker.owner != 0 and self.orders[slot].owner == taker.owner
                        and taker.self_trade != SELF_TRADE_NONE):
                    if taker.self_trade != SELF_TRADE_EXPIRE_TAKER:
                        self.knock_out(slot, level, expiry_of(TIF_GTC, True))
                    if taker.self_trade != SELF_TRADE_EXPIRE_MAKER:
                        ended = expiry_of(taker.tif, True)
                else:
                    lots = min(self.most(self.positions, taker), self.most(self.positions, &self.orders[slot]))
                    self.trade(taker, slot, level, lots)
            self.report_level(-taker.side, price_ticks, level.lots)
            if level.head < 0:
                levels_remove(levels, price_ticks)
        return ended

    cdef void knock_out(self, int32_t slot, Level *level, int64_t reason) noexcept nogil:
        """Expire a resting order while its level is matched."""
        self.report_order(EVENT_EXPIRED, &self.orders[slot], reason)
        level.lots -= self.orders[slot].remaining_lots
        self.unlink(slot, level)

    cdef void trade(self, EngineOrder *taker, int32_t slot, Level *level, int64_t lots) noexcept nogil:
        cdef EngineOrder *maker = &self.orders[slot]
        taker.remaining_lots -= lots
        taker.filled_lots += lots
        maker.remaining_lots -= lots
        maker.filled_lots += lots
        level.lots -= lots
        self.positions.add(taker.position, taker.side * lots)
        self.positions.add(maker.position, maker.side * lots)
        self.trade_ids += 1
        cdef MatchEvent *event = self.log.push(EVENT_TRADE)
        event.order_id = taker.order_id
        event.owner = taker.owner
        event.side = taker.side
        event.price_ticks = level.price_ticks
        event.qty_lots = lots
        event.remaining_lots = taker.remaining_lots
        event.maker_id = maker.order_id
        event.maker_owner = maker.owner
        event.maker_remaining_lots = maker.remaining_lots
        event.trade_id = self.trade_ids
        if maker.remaining_lots == 0:
            self.unlink(slot, level)
        elif self.most(self.positions, maker) == 0:
            self.knock_out(slot, level, EXPIRY_REDUCE_ONLY)

    cdef void run(self, EngineOrder *order) noexcept nogil:
        """Let an order take what it may, then rest or expire."""
        cdef int64_t ended = self.take(order)
        if order.remaining_lots == 0:
            return
        if ended == 0 and self.most(self.positions, order) == 0:
            ended = EXPIRY_REDUCE_ONLY
        if ended == 0 and order.tif != TIF_GTC and order.tif != TIF_GTX:
            ended = expiry_of(order.tif, False)
        if ended:
            self.report_order(EVENT_EXPIRED, order, ended)
        else:
            self.rest(order)

    cdef int64_t place(self, EngineOrder *order) noexcept nogil:
        """Give a new order, complete but for its id, its id and its place. Self-trade prevention leaves FOK alone."""
        if order.tif == TIF_FOK:
            order.self_trade = SELF_TRADE_NONE
        if order.tif == TIF_GTX and self.would_take(order.side, order.price_ticks):
            return REFUSED_POST_ONLY
        if order.tif == TIF_FOK and not self.fillable(order):
            return REFUSED_FILL_OR_KILL
        self.order_ids += 1
        self.update_id += 1
        order.order_id = self.order_ids
        self.report_order(EVENT_ACCEPTED, order, 0)
        self.run(order)
        return order.order_id

    cdef int64_t cancel(self, int64_t order_id) noexcept nogil:
        return self.end(order_id, EVENT_CANCELED, 0)

    cdef int64_t end(self, int64_t order_id, int64_t kind, int64_t reason) noexcept nogil:
        cdef int32_t slot = self.slot_of(order_id)
        if slot < 0:
            return REFUSED_UNKNOWN
        self.report_order(kind, &self.orders[slot], reason)
        self.leave(slot)
        return order_id

    cdef int64_t amend(self, int64_t order_id, int64_t price_ticks, int64_t lots) noexcept nogil:
        """Give an order a new price and total quantity; it always goes to the end of its queue."""
        cdef int32_t slot = self.slot_of(order_id)
        if slot < 0:
            return REFUSED_UNKNOWN
        cdef EngineOrder order = self.orders[slot]
        if lots <= order.filled_lots or (order.tif == TIF_GTX and self.would_take(order.side, price_ticks)):
            return self.cancel(order_id)
        self.leave(slot)
        order.price_ticks = price_ticks
        order.remaining_lots = lots - order.filled_lots
        self.report_order(EVENT_AMENDED, &order, 0)
        self.run(&order)
        return order_id

    # ---- for the shell ------------------------------------------------------------------------------------------

    def place_order(self, int owner, int side, int64_t price_ticks, int64_t lots, int tif=1, int self_trade=2,
                    int position=0, bint reduces=False):
        """Place an order; return its id, or a Refusal (negative) when nothing happened.

        position: the number of the position it trades for, 0 if none is kept. reduces: it trades no more than reduces
        that position.
        """
        cdef EngineOrder order
        if (side not in (1, -1) or lots <= 0 or price_ticks <= 0 or owner < 0 or not 1 <= tif <= 5 or position < 0
                or (reduces and position == 0)):
            raise ValueError(f"order owner={owner} side={side} price={price_ticks} lots={lots} tif={tif} "
                             f"position={position} reduces={reduces}")
        self.positions.reserve(position)
        order.price_ticks = price_ticks
        order.remaining_lots = lots
        order.filled_lots = 0
        order.owner = owner
        order.side = side
        order.tif = tif
        order.self_trade = self_trade
        order.position = position
        order.reduces = reduces
        return self.place(&order)

    def cancel_order(self, int64_t order_id):
        """Cancel a resting order; return its id, or REFUSED_UNKNOWN."""
        return self.cancel(order_id)

    def expire_order(self, int64_t order_id, int64_t reason):
        """End a resting order for a reason of the venue's; return its id, or REFUSED_UNKNOWN."""
        return self.end(order_id, EVENT_EXPIRED, reason)

    def amend_order(self, int64_t order_id, int64_t price_ticks, int64_t lots):
        """Change a resting order's price and total quantity; return its id, or REFUSED_UNKNOWN."""
        if price_ticks <= 0 or lots <= 0:
            raise ValueError(f"amend of {order_id}: price {price_ticks}, lots {lots}, expected both positive")
        return self.amend(order_id, price_ticks, lots)

    def position_lots(self, int position):
        """Return the signed lots of a position."""
        self.positions.reserve(position)
        return self.positions.lots[position]

    def set_position(self, int position, int64_t lots):
        """Set a position that changed outside of this book."""
        if position <= 0:
            raise ValueError(f"position number {position}, expected a positive one")
        self.positions.reserve(position)
        self.positions.lots[position] = lots

    def next_trade_id(self):
        """Return the id of a trade that happens outside of the book, as a liquidation's takeover does."""
        self.trade_ids += 1
        return self.trade_ids

    def order(self, int64_t order_id):
        """Return (owner, side, price_ticks, remaining_lots, filled_lots) of a resting order, None when it is gone."""
        cdef int32_t slot = self.slot_of(order_id)
        if slot < 0:
            return None
        cdef EngineOrder *o = &self.orders[slot]
        return (o.owner, o.side, o.price_ticks, o.remaining_lots, o.filled_lots)

    def top(self, int side, int64_t limit=1):
        """Return up to `limit` (price_ticks, lots) of a side, best first."""
        return levels_top(self.side_of(side), limit)

    def standing(self, int side, int64_t limit=1):
        """Return up to `limit` (price_ticks, lots) of a side that a taker would find, best first: here, of the book."""
        return levels_top(self.side_of(side), limit)

    def drain(self):
        """Return the events since the last call, oldest first."""
        return self.log.drain()
