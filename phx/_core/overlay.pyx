"""Fill orders against a recorded market: its depth for takers, its trades and book changes for makers.

A resting order fills when a recorded trade reaches it after the quantity ahead of it is used up, when a trade goes
through its price, or when the recorded opposite side crosses it. The recording itself never changes: what our takers
took is remembered on the level until the recording changes that level's quantity.
"""

from libc.math cimport ceil
from libc.stdlib cimport abort, free, realloc
from libc.string cimport memmove

from phx._core.levels cimport levels_add, levels_best, levels_find, levels_free, levels_init, levels_remove, levels_top
from phx._core.matching cimport (
    EVENT_ACCEPTED,
    EVENT_AMENDED,
    EVENT_CANCELED,
    EVENT_EXPIRED,
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
from phx._core.queue_position cimport queue_on_level, queue_on_trade

from phx._core.enums import TradeOrigin
from phx._core.queue_position import MODELS

cdef int ORIGIN_FILLS = TradeOrigin.ORIGIN_MARKET    # insurance, ADL, RPI and empty trades never met the book


cdef class Overlay:
    """A recorded book, fed event by event, and the accounts' orders on it. Ids start above the given ones."""

    def __init__(self, str model="power3", double power=3.0, int64_t first_order_id=1, int64_t first_trade_id=1):
        if model not in MODELS:
            raise ValueError(f"queue model {model!r}: expected one of {', '.join(MODELS)}")
        levels_init(&self.bids, 1)
        levels_init(&self.asks, -1)
        levels_init(&self.changed_bids, 1)
        levels_init(&self.changed_asks, -1)
        self.log = EventLog()
        self.positions = Positions()
        self.probe = Positions()
        self.model = MODELS[model]
        self.power = power
        self.order_ids = first_order_id - 1
        self.trade_ids = first_trade_id - 1

    def __dealloc__(self):
        levels_free(&self.bids)
        levels_free(&self.asks)
        levels_free(&self.changed_bids)
        levels_free(&self.changed_asks)
        free(self.buys.orders)
        free(self.sells.orders)

    cdef Levels *levels_of(self, int64_t side) noexcept nogil:
        return &self.bids if side > 0 else &self.asks

    cdef OverlaySide *orders_of(self, int64_t side) noexcept nogil:
        return &self.buys if side > 0 else &self.sells

    cdef void mark(self, int64_t side, int64_t price_ticks) noexcept nogil:
        """Remember that accounts show or took another quantity at a price."""
        levels_add(&self.changed_bids if side > 0 else &self.changed_asks, price_ticks)

    # ---- our orders ---------------------------------------------------------------------------------------------

    cdef void report_order(self, int64_t kind, const OverlayOrder *order, int64_t reason) noexcept nogil:
        cdef MatchEvent *event = self.log.push(kind)
        event.order_id = order.order_id
        event.owner = order.owner
        event.side = order.side
        event.price_ticks = order.price_ticks
        event.qty_lots = order.remaining_lots + order.filled_lots
        event.remaining_lots = order.remaining_lots
        event.reason = reason

    cdef void report_trade(
            self, int64_t side, OverlayOrder *taker, OverlayOrder *maker, int64_t price_ticks, int64_t lots
    ) noexcept nogil:
        """side: the taker's. NULL: the recorded market."""
        self.trade_ids += 1
        cdef MatchEvent *event = self.log.push(EVENT_TRADE)
        event.side = side
        event.price_ticks = price_ticks
        event.qty_lots = lots
        event.trade_id = self.trade_ids
        if taker != NULL:
            taker.remaining_lots -= lots
            taker.filled_lots += lots
            event.order_id = taker.order_id
            event.owner = taker.owner
            event.remaining_lots = taker.remaining_lots
            self.positions.add(taker.position, taker.side * lots)
        if maker != NULL:
            maker.remaining_lots -= lots
            maker.filled_lots += lots
            event.maker_id = maker.order_id
            event.maker_owner = maker.owner
            event.maker_remaining_lots = maker.remaining_lots
            self.mark(maker.side, maker.price_ticks)
            self.positions.add(maker.position, maker.side * lots)

    cdef void rest(self, OverlayOrder *order) noexcept nogil:
        cdef OverlaySide *own = self.orders_of(order.side)
        cdef int32_t place = own.count
        cdef Level *level = levels_find(self.levels_of(order.side), order.price_ticks)
        if own.count == own.capacity:
            own.capacity = max(own.capacity * 2, 64)
            own.orders = <OverlayOrder *>realloc(own.orders, own.capacity * sizeof(OverlayOrder))
            if own.orders == NULL:
                abort()
        while place > 0 and order.side * (order.price_ticks - own.orders[place - 1].price_ticks) > 0:
            place -= 1
        memmove(&own.orders[place + 1], &own.orders[place], (own.count - place) * sizeof(OverlayOrder))
        own.count += 1
        self.mark(order.side, order.price_ticks)
        own.orders[place] = order[0]
        own.orders[place].level_lots = level.lots if level != NULL else 0
        own.orders[place].queue.front_lots = own.orders[place].level_lots
        own.orders[place].queue.traded_lots = 0

    cdef void drop(self, OverlaySide *own, int32_t place) noexcept nogil:
        self.mark(own.orders[place].side, own.orders[place].price_ticks)
        own.count -= 1
        memmove(&own.orders[place], &own.orders[place + 1], (own.count - place) * sizeof(OverlayOrder))

    cdef void knock_out(self, OverlaySide *own, int32_t place, int64_t reason) noexcept nogil:
        """Expire a resting order."""
        self.report_order(EVENT_EXPIRED, &own.orders[place], reason)
        self.drop(own, place)

    cdef void drop_spent(self, OverlaySide *own) noexcept nogil:
        """Remove what is filled, and expire what has nothing left to reduce."""
        cdef int32_t place = 0
        while place < own.count:
            if own.orders[place].remaining_lots == 0:
                self.drop(own, place)
            elif self.most(self.positions, &own.orders[place]) == 0:
                self.knock_out(own, place, EXPIRY_REDUCE_ONLY)
            else:
                place += 1

    cdef OverlayOrder *find(self, int64_t order_id, OverlaySide **own, int32_t *place) noexcept nogil:
        cdef int side
        for side in range(1, -2, -2):
            own[0] = self.orders_of(side)
            for place[0] in range(own[0].count):
                if own[0].orders[place[0]].order_id == order_id:
                    return &own[0].orders[place[0]]
        return NULL

    # ---- taking -------------------------------------------------------------------------------------------------

    cdef Level *best_left(self, int64_t side) noexcept nogil:
        """Return a side's best recorded level of which our takers left something, NULL when there is none."""
        cdef Levels *levels = self.levels_of(side)
        cdef int64_t i
        for i in range(levels.count - 1, -1, -1):
            if levels.levels[i].lots > levels.levels[i].consumed_lots:
                return &levels.levels[i]
        return NULL

    cdef bint would_take(self, int64_t side, int64_t price_ticks) noexcept nogil:
        cdef Level *level = self.best_left(-side)
        cdef OverlaySide *own = self.orders_of(-side)
        if level != NULL and side * (price_ticks - level.price_ticks) >= 0:
            return True
        return own.count > 0 and side * (price_ticks - own.orders[0].price_ticks) >= 0

    cdef int64_t most(self, Positions positions, const OverlayOrder *order) noexcept nogil:
        """Return how much of an order may trade."""
        if not order.reduces:
            return order.remaining_lots
        return min(order.remaining_lots, positions.room(order.position, order.side))

    cdef bint fillable(self, const OverlayOrder *taker) noexcept nogil:
        """Whether recorded quantity and accounts' orders down to the price cover an order."""
        cdef Levels *levels = self.levels_of(-taker.side)
        cdef OverlaySide *own = self.orders_of(-taker.side)
        cdef int64_t left = taker.remaining_lots
        cdef int64_t i = levels.count - 1
        cdef int64_t lots
        cdef int32_t place
        self.probe.copy(self.positions)
        if self.most(self.probe, taker) < left:
            return False
        while i >= 0 and taker.side * (taker.price_ticks - levels.levels[i].price_ticks) >= 0:
            left -= max(levels.levels[i].lots - levels.levels[i].consumed_lots, 0)
            i -= 1
        for place in range(own.count):
            if left <= 0 or taker.side * (taker.price_ticks - own.orders[place].price_ticks) < 0:
                break
            lots = min(left, self.most(self.probe, &own.orders[place]))
            self.probe.add(own.orders[place].position, -taker.side * lots)
            left -= lots
        return left <= 0

    cdef int64_t take(self, OverlayOrder *taker) noexcept nogil:
        """Trade down to the taker's price; return why that ended the taker, 0 if it did not."""
        cdef OverlaySide *own = self.orders_of(-taker.side)
        cdef Level *level
        cdef OverlayOrder *maker
        cdef int64_t lots, room
        while taker.remaining_lots > 0 and self.would_take(taker.side, taker.price_ticks):
            level = self.best_left(-taker.side)
            maker = own.orders if own.count > 0 else NULL
            room = self.most(self.positions, taker)
            if room == 0:
                return EXPIRY_REDUCE_ONLY
            if level != NULL and (
                    maker == NULL or taker.side * (maker.price_ticks - level.price_ticks) >= 0):
                # On equal prices the recorded quantity goes first.
                lots = min(room, level.lots - level.consumed_lots)
                level.consumed_lots += lots
                self.mark(-taker.side, level.price_ticks)
                self.report_trade(taker.side, taker, NULL, level.price_ticks, lots)
            elif self.most(self.positions, maker) == 0:
                self.knock_out(own, 0, EXPIRY_REDUCE_ONLY)
            elif maker.owner == taker.owner and taker.self_trade != SELF_TRADE_NONE:
                if taker.self_trade != SELF_TRADE_EXPIRE_TAKER:
                    self.knock_out(own, 0, expiry_of(TIF_GTC, True))
                if taker.self_trade != SELF_TRADE_EXPIRE_MAKER:
                    return expiry_of(taker.tif, True)
            else:
                lots = min(room, self.most(self.positions, maker))
                self.report_trade(taker.side, taker, maker, maker.price_ticks, lots)
                self.drop_spent(own)
        return 0

    cdef void run(self, OverlayOrder *order) noexcept nogil:
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

    cdef int64_t place(self, OverlayOrder *order) noexcept nogil:
        """Give a new order, complete but for its id, its id and its place. Self-trade prevention leaves FOK alone."""
        if order.tif == TIF_FOK:
            order.self_trade = SELF_TRADE_NONE
        if order.tif == TIF_GTX and self.would_take(order.side, order.price_ticks):
            return REFUSED_POST_ONLY
        if order.tif == TIF_FOK and not self.fillable(order):
            return REFUSED_FILL_OR_KILL
        self.order_ids += 1
        order.order_id = self.order_ids
        self.report_order(EVENT_ACCEPTED, order, 0)
        self.run(order)
        return order.order_id

    cdef int64_t end(self, int64_t order_id, int64_t kind, int64_t reason) noexcept nogil:
        cdef OverlaySide *own
        cdef int32_t place
        cdef OverlayOrder *order = self.find(order_id, &own, &place)
        if order == NULL:
            return REFUSED_UNKNOWN
        self.report_order(kind, order, reason)
        self.drop(own, place)
        return order_id

    cdef int64_t amend(self, int64_t order_id, int64_t price_ticks, int64_t lots) noexcept nogil:
        """Give an order a new price and total quantity; it always goes to the end of its queue."""
        cdef OverlaySide *own
        cdef int32_t place
        cdef OverlayOrder *found = self.find(order_id, &own, &place)
        cdef OverlayOrder order
        if found == NULL:
            return REFUSED_UNKNOWN
        order = found[0]
        if lots <= order.filled_lots or (order.tif == TIF_GTX and self.would_take(order.side, price_ticks)):
            return self.end(order_id, EVENT_CANCELED, 0)
        self.drop(own, place)
        order.price_ticks = price_ticks
        order.remaining_lots = lots - order.filled_lots
        self.report_order(EVENT_AMENDED, &order, 0)
        self.run(&order)
        return order_id

    # ---- the recording ------------------------------------------------------------------------------------------

    cdef void set_level(self, int64_t side, int64_t price_ticks, int64_t lots, bint from_depth) noexcept nogil:
        """Set a recorded level; what our takers took of it is back if its quantity changes.

        Best prices are told before the trades that moved them, depth after. So only depth says how much of a change was
        cancelled; of the best prices only a level that is gone counts. Else a trade would be taken off the queue twice.
        """
        cdef Levels *levels = self.levels_of(side)
        cdef OverlaySide *own = self.orders_of(side)
        cdef OverlayOrder *order
        cdef Level *level
        cdef int32_t i
        for i in range(own.count):
            order = &own.orders[i]
            if order.price_ticks != price_ticks:
                continue
            if from_depth:
                queue_on_level(&order.queue, self.model, self.power, order.level_lots, lots)
                order.level_lots = lots
            elif lots == 0:
                order.queue.front_lots = 0
        level = levels_find(levels, price_ticks) if lots == 0 else levels_add(levels, price_ticks)
        if level == NULL or level.lots == lots:
            return
        if level.consumed_lots:
            self.mark(side, price_ticks)
        if lots == 0:
            levels_remove(levels, price_ticks)
        else:
            level.lots = lots
            level.consumed_lots = 0

    cdef void set_top(self, int64_t side, int64_t price_ticks, int64_t lots) noexcept nogil:
        """Make this the best level of a side: what the recorded depth still shows beyond it is gone."""
        cdef Level *best = levels_best(self.levels_of(side))
        while best != NULL and side * (best.price_ticks - price_ticks) > 0:
            self.set_level(side, best.price_ticks, 0, False)
            best = levels_best(self.levels_of(side))
        self.set_level(side, price_ticks, lots, False)

    cdef void end_delta(self, int64_t update_id) noexcept nogil:
        """The levels of a depth change are set: number it, and let the book be as new as the best prices seen."""
        self.update_id = update_id
        if self.top_update_id > update_id:
            # The change is older than the best prices already seen.
            self.set_top(1, self.top_ticks[0], self.top_lots[0])
            self.set_top(-1, self.top_ticks[1], self.top_lots[1])
        self.match_crossed()

    cdef void match_crossed(self) noexcept nogil:
        """Fill resting orders that the recorded opposite side has reached, at their own price."""
        cdef OverlaySide *own
        cdef OverlayOrder *maker
        cdef Level *level
        cdef int64_t lots
        cdef int side
        for side in range(1, -2, -2):
            own = self.orders_of(side)
            while own.count > 0:
                maker = own.orders
                level = self.best_left(-side)
                if level == NULL or side * (maker.price_ticks - level.price_ticks) < 0:
                    break
                lots = min(self.most(self.positions, maker), level.lots - level.consumed_lots)
                if lots > 0:
                    level.consumed_lots += lots
                    self.mark(-side, level.price_ticks)
                    self.report_trade(-side, NULL, maker, maker.price_ticks, lots)
                if maker.remaining_lots == 0:
                    self.drop(own, 0)
                elif self.most(self.positions, maker) == 0:
                    self.knock_out(own, 0, EXPIRY_REDUCE_ONLY)

    cdef void on_trade(self, int64_t price_ticks, int64_t lots, int64_t aggressor) noexcept nogil:
        """Let a recorded trade fill what it passes, best price first, then what it reaches at its own price."""
        cdef int64_t side = -aggressor
        cdef OverlaySide *own = self.orders_of(side)
        cdef OverlayOrder *maker
        cdef int64_t left = lots    # of the trade, not yet used by our orders
        cdef int64_t fill
        cdef int32_t i
        for i in range(own.count):
            maker = &own.orders[i]
            if side * (maker.price_ticks - price_ticks) < 0:
                break
            fill = left
            if maker.price_ticks == price_ticks:
                fill = left - <int64_t>ceil(maker.queue.front_lots)
                queue_on_trade(&maker.queue, lots)
            fill = min(fill, self.most(self.positions, maker))
            if fill > 0:
                left -= fill
                self.report_trade(aggressor, NULL, maker, maker.price_ticks, fill)
        self.drop_spent(own)

    # ---- for the shell ------------------------------------------------------------------------------------------

    def place_order(self, int owner, int side, int64_t price_ticks, int64_t lots, int tif=1, int self_trade=2,
                    int position=0, bint reduces=False):
        """Place an order; return its id, or a Refusal (negative) when nothing happened.

        position: the number of the position it trades for, 0 if none is kept. reduces: it trades no more than reduces
        that position.
        """
        cdef OverlayOrder order
        if (side not in (1, -1) or lots <= 0 or price_ticks <= 0 or owner <= 0 or not 1 <= tif <= 5 or position < 0
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
        return self.end(order_id, EVENT_CANCELED, 0)

    def expire_order(self, int64_t order_id, int64_t reason):
        """End a resting order for a reason of the venue's; return its id, or REFUSED_UNKNOWN."""
        return self.end(order_id, EVENT_EXPIRED, reason)

    def amend_order(self, int64_t order_id, int64_t price_ticks, int64_t lots):
        """Change a resting order's price and total quantity; return its id, or REFUSED_UNKNOWN."""
        if price_ticks <= 0 or lots <= 0:
            raise ValueError(f"amend of {order_id}: price {price_ticks}, lots {lots}, expected both positive")
        return self.amend(order_id, price_ticks, lots)

    def snapshot(self, int64_t update_id, bids, asks):
        """Replace the recorded book by (price_ticks, lots) of both sides."""
        for side, levels in ((1, bids), (-1, asks)):
            fresh = dict(levels)
            for price_ticks, _ in levels_top(self.levels_of(side), self.levels_of(side).count):
                if price_ticks not in fresh:
                    self.set_level(side, price_ticks, 0, True)
            for price_ticks, lots in fresh.items():
                self.set_level(side, price_ticks, lots, True)
        self.update_id = update_id
        self.top_update_id = 0
        self.match_crossed()

    def delta(self, int64_t update_id, bids, asks):
        """Apply a recorded depth change: absolute (price_ticks, lots), 0 removes."""
        for price_ticks, lots in bids:
            self.set_level(1, price_ticks, lots, True)
        for price_ticks, lots in asks:
            self.set_level(-1, price_ticks, lots, True)
        self.end_delta(update_id)

    def best(self, int64_t update_id, int64_t bid_ticks, int64_t bid_lots, int64_t ask_ticks, int64_t ask_lots):
        """Apply recorded best prices, unless the book already is newer."""
        if update_id <= self.update_id or update_id <= self.top_update_id or bid_lots <= 0 or ask_lots <= 0:
            return
        self.top_update_id = update_id
        self.top_ticks[0], self.top_lots[0] = bid_ticks, bid_lots
        self.top_ticks[1], self.top_lots[1] = ask_ticks, ask_lots
        self.set_top(1, bid_ticks, bid_lots)
        self.set_top(-1, ask_ticks, ask_lots)
        self.match_crossed()

    def trade(self, int64_t price_ticks, int64_t lots, int aggressor, int origin):
        """Let a recorded trade meet our orders, if it was one that met the book at all."""
        if origin == ORIGIN_FILLS and price_ticks > 0 and lots > 0 and aggressor in (1, -1):
            self.on_trade(price_ticks, lots, aggressor)

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
        cdef OverlaySide *own
        cdef int32_t place
        cdef OverlayOrder *o = self.find(order_id, &own, &place)
        return None if o == NULL else (o.owner, o.side, o.price_ticks, o.remaining_lots, o.filled_lots)

    def front_lots(self, int64_t order_id):
        """Return the estimate of recorded lots ahead of a resting order, None when it is gone."""
        cdef OverlaySide *own
        cdef int32_t place
        cdef OverlayOrder *o = self.find(order_id, &own, &place)
        return None if o == NULL else o.queue.front_lots

    def top(self, int side, int64_t limit=1):
        """Return up to `limit` recorded (price_ticks, lots) of a side, best first."""
        return levels_top(self.levels_of(side), limit)

    def standing(self, int side, int64_t limit=1):
        """Return up to `limit` (price_ticks, lots) of a side that a taker would find, best first.

        The recorded levels less what our takers took of them, and the accounts' orders.
        """
        cdef Levels *levels = self.levels_of(side)
        cdef OverlaySide *own = self.orders_of(side)
        cdef int64_t i, left
        cdef int32_t place
        found = {}
        for i in range(levels.count - 1, -1, -1):
            left = levels.levels[i].lots - levels.levels[i].consumed_lots
            if left > 0:
                found[levels.levels[i].price_ticks] = left
                if len(found) == limit:
                    break
        for place in range(own.count):
            price_ticks = own.orders[place].price_ticks
            found[price_ticks] = found.get(price_ticks, 0) + own.orders[place].remaining_lots
        return sorted(found.items(), reverse=side > 0)[:limit]

    def resting(self):
        """Return how many orders of accounts rest."""
        return self.buys.count + self.sells.count

    def changes(self):
        """Return (side, price_ticks, own_lots, taken_lots) of the prices where these changed since the last call.

        own_lots: what accounts' orders show there now. taken_lots: what they took of the recorded level there.
        """
        cdef Levels *changed
        cdef OverlaySide *own
        cdef Level *level
        cdef int64_t i, price_ticks, lots
        cdef int32_t place
        cdef int side
        found = []
        for side in range(1, -2, -2):
            changed = &self.changed_bids if side > 0 else &self.changed_asks
            own = self.orders_of(side)
            for i in range(changed.count):
                price_ticks = changed.levels[i].price_ticks
                lots = 0
                for place in range(own.count):
                    if own.orders[place].price_ticks == price_ticks:
                        lots += own.orders[place].remaining_lots
                level = levels_find(self.levels_of(side), price_ticks)
                found.append((side, price_ticks, lots, level.consumed_lots if level != NULL else 0))
            changed.count = 0
        return found

    def drain(self):
        """Return the events since the last call, oldest first."""
        return self.log.drain()
