"""The queue of each live order: what stands ahead of it and what behind, told by the same model as the simulator's.

The rule behind everything: who comes later stands behind us, so the lots ahead never grow. An estimate is therefore an
upper bound wherever we did not look, and forgetting is never needed, only not looking closer:

- an order begins between two books, the last before the venue acknowledged it and the first after: what others have
  in the second stands ahead of it at most. Of those who came between the two, the share of the time until the
  acknowledgement was faster than us. Without the first book all of them were;
- our own orders at the price, as far as such a book holds them, are nobody's queue;
- trades come before the depth that holds them and are taken off the front; the rest of a level's shrinking were
  cancels, which the model splits. A trade that is told late gives back what the depth had taken for a cancel;
- the top of book only bounds: it is told before the trades that moved it. What it has passed is empty;
- a level inside the visible book that is missing is empty. One beyond it is out of sight: nothing changes;
- after a resync, what happened in between is not known: only the bound holds. An amended order begins anew.

Rows lie like the LiveSide they follow, nearest first; every walk ends where orders are out of view or of reach.
"""

from libc.math cimport ceil
from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from libc.string cimport memcpy, memset

from phx._core.enums cimport BUY, ORDER_PENDING_AMEND, ORIGIN_MARKET, SELL, TAPE_TRADE
from phx._core.live cimport Live, LiveSide, side_index, sort_live
from phx._core.queue_position cimport QueueModel, queue_on_level, queue_on_trade
from phx._core.records cimport BOOK_LEVELS, NO_PRICE, Bbo, Book, Own, Params, TapeEvent


# ---- our orders

cdef void follow_orders(OwnQueue *queue, const Live *live, uint64_t epoch) noexcept nogil:
    """Let the rows be those of a new own record; what is known of an order goes with it."""
    cdef int s
    for s in range(2):
        if epoch != queue.epoch:
            queue.sides[s].orders = 0        # another gateway's life counts its intents anew
        follow_side(&queue.sides[s], &queue.scratch, &live.sides[s])
    queue.epoch = epoch


cdef void follow_side(QueueSide *side, QueueSide *before, const LiveSide *live) noexcept nogil:
    cdef int order, old, seen, hint = 0
    cdef QueuedOrder *row
    before.orders = side.orders
    memcpy(before.rows, side.rows, side.orders * sizeof(QueuedOrder))
    side.orders = side.in_view = live.orders
    for order in range(live.orders):
        row = &side.rows[order]
        memset(row, 0, sizeof(QueuedOrder))
        # Both lists run outward, so the search mostly ends where it begins.
        for seen in range(before.orders):
            old = hint + seen if hint + seen < before.orders else hint + seen - before.orders
            if before.rows[old].intent_id == live.intent_id[order]:
                if still_the_same(&before.rows[old], live, order):
                    row[0] = before.rows[old]
                else:
                    row.amended = True
                hint = old + 1 if old + 1 < before.orders else 0
                break
        if row.known and live.remaining_lots[order] < row.remaining_lots:
            row.queue.front_lots = 0         # whoever is filled was first
        row.intent_id, row.price_ticks = live.intent_id[order], live.price_ticks[order]
        row.remaining_lots, row.ts_ack_ns = live.remaining_lots[order], live.ts_ack_ns[order]
        if live.state[order] == ORDER_PENDING_AMEND:
            row.ts_ack_ns = INT64_MAX        # not there yet: it goes to the end of a queue
        weigh(side, order)


cdef inline bint still_the_same(const QueuedOrder *row, const LiveSide *live, int order) noexcept nogil:
    return (
        row.price_ticks == live.price_ticks[order] and live.remaining_lots[order] <= row.remaining_lots
        and (row.ts_ack_ns == live.ts_ack_ns[order] or row.ts_ack_ns == 0)
        and live.state[order] != ORDER_PENDING_AMEND
    )


cdef inline void weigh(QueueSide *side, int order) noexcept nogil:
    """Say how much the order's place is worth: the share of the level, itself included, that stands behind it."""
    cdef const QueuedOrder *row = &side.rows[order]
    cdef double behind = row.level_lots - row.queue.front_lots
    side.place[order] = 0
    if row.known and row.in_view and behind > 0:
        side.place[order] = behind / (row.level_lots + row.remaining_lots)


cdef int64_t front_lots(const OwnQueue *queue, int side) noexcept nogil:
    cdef const QueueSide *own = &queue.sides[side_index(side)]
    if own.orders == 0 or not own.rows[0].in_view or not own.rows[0].known:
        return -1
    return <int64_t>ceil(own.rows[0].queue.front_lots)


# ---- the market

cdef void see_trade(OwnQueue *queue, const TapeEvent *trade) noexcept nogil:
    """A trade came off the front of its level, and emptied every level it passed."""
    if trade.kind != TAPE_TRADE or trade.origin != ORIGIN_MARKET or trade.qty_lots <= 0:
        return
    if trade.aggressor != BUY and trade.aggressor != SELL:
        return
    cdef int s = -trade.aggressor
    cdef QueueSide *side = &queue.sides[side_index(s)]
    cdef QueuedOrder *row
    cdef double late
    cdef int order
    for order in range(side.orders):
        row = &side.rows[order]
        if s * (row.price_ticks - trade.price_ticks) < 0:
            return
        if not row.known or trade.ts_event_ns < row.ts_ack_ns:
            continue
        if row.price_ticks != trade.price_ticks:
            row.queue.front_lots = 0
        elif trade.ts_event_ns < row.ts_level_ns:
            late = min(row.cancelled_ahead_lots, <double>trade.qty_lots)
            row.cancelled_ahead_lots -= late
            row.queue.front_lots = max(row.queue.front_lots - (trade.qty_lots - late), 0.0)
        else:
            queue_on_trade(&row.queue, trade.qty_lots)
        weigh(side, order)


cdef void see_book(OwnQueue *queue, const Book *book, const Params *params) noexcept nogil:
    """A new book: call once for each, after the trades that were read with it."""
    cdef bint resynced = book.sync_id != queue.sync_id
    queue.sync_id = book.sync_id
    see_sides(queue, book, resynced, False, params)


cdef void see_new_orders(OwnQueue *queue, const Book *book, const Params *params) noexcept nogil:
    see_sides(queue, book, False, True, params)


cdef inline void see_sides(
    OwnQueue *queue, const Book *book, bint resynced, bint only_new, const Params *params
) noexcept nogil:
    see_side(
        &queue.sides[side_index(BUY)], BUY, book.bid_price_ticks, book.bid_qty_lots, book.bid_levels,
        book.ts_event_ns, resynced, only_new, params,
    )
    see_side(
        &queue.sides[side_index(SELL)], SELL, book.ask_price_ticks, book.ask_qty_lots, book.ask_levels,
        book.ts_event_ns, resynced, only_new, params,
    )


cdef void see_side(
    QueueSide *own, int side, const int64_t *price_ticks, const int64_t *qty_lots, int levels, int64_t ts_event_ns,
    bint resynced, bint only_new, const Params *params,
) noexcept nogil:
    # Levels and orders both run outward, so each list is walked once; several of our orders may share a price.
    cdef int level = 0, order = 0, last
    cdef int64_t price, others
    while order < own.orders:
        price = own.rows[order].price_ticks
        while level < levels and side * (price_ticks[level] - price) > 0:
            level += 1
        if level == levels and (levels == BOOK_LEVELS or levels == 0):
            break                            # beyond the last level that is shown: out of sight
        others = qty_lots[level] if level < levels and price_ticks[level] == price else 0
        last = order
        while last < own.orders and own.rows[last].price_ticks == price:
            if 0 < own.rows[last].ts_ack_ns <= ts_event_ns:
                others -= own.rows[last].remaining_lots
            last += 1
        others = max(others, 0)
        while order < last:
            own.rows[order].in_view = True
            if not only_new or (own.rows[order].ts_level_ns == 0 and not own.rows[order].amended):
                see_level(&own.rows[order], others, ts_event_ns, resynced, params)
            weigh(own, order)
            order += 1
    last, own.in_view = own.in_view, order
    while order < last:
        own.rows[order].in_view = False
        own.place[order] = 0
        order += 1


cdef void see_level(
    QueuedOrder *row, int64_t others_lots, int64_t ts_event_ns, bint resynced, const Params *params
) noexcept nogil:
    cdef double front = row.queue.front_lots
    if row.ts_ack_ns == 0 or ts_event_ns < row.ts_ack_ns:
        if not row.known:
            row.level_lots, row.ts_level_ns = others_lots, ts_event_ns
        return
    if not row.known:
        row.known = True
        row.queue.front_lots, row.queue.traded_lots = first_front(row, others_lots, ts_event_ns), 0
    elif resynced:
        row.queue.front_lots, row.queue.traded_lots = min(front, <double>others_lots), 0
    elif others_lots == row.level_lots:
        return                               # a trade of this level may still wait for the depth that holds it
    else:
        queue_on_level(
            &row.queue, <QueueModel>params.queue_model, params.queue_power, row.level_lots, others_lots
        )
        row.cancelled_ahead_lots = front - row.queue.front_lots
    row.level_lots, row.ts_level_ns = others_lots, ts_event_ns


cdef double first_front(const QueuedOrder *row, int64_t others_lots, int64_t ts_event_ns) noexcept nogil:
    """Return the lots ahead of an order that is seen at the venue for the first time."""
    cdef double came = others_lots - row.level_lots
    if row.ts_level_ns == 0 or row.amended or came <= 0:
        return others_lots
    if row.ts_level_ns >= row.ts_ack_ns:
        return row.level_lots                # told before the acknowledgement was, but of a later time
    return row.level_lots + came * (row.ts_ack_ns - row.ts_level_ns) / (ts_event_ns - row.ts_level_ns)


cdef void see_top(OwnQueue *queue, const Bbo *bbo) noexcept nogil:
    """A top of book that is newer than the book: nobody stands at prices better than the best."""
    see_top_side(&queue.sides[side_index(BUY)], BUY, bbo.bid_price_ticks, bbo.bid_qty_lots, bbo.ts_event_ns)
    see_top_side(&queue.sides[side_index(SELL)], SELL, bbo.ask_price_ticks, bbo.ask_qty_lots, bbo.ts_event_ns)


cdef void see_top_side(
    QueueSide *own, int side, int64_t price_ticks, int64_t qty_lots, int64_t ts_event_ns
) noexcept nogil:
    cdef int order
    cdef QueuedOrder *row
    if price_ticks == NO_PRICE:
        return
    for order in range(own.orders):
        row = &own.rows[order]
        if side * (row.price_ticks - price_ticks) < 0:
            return
        if not row.known or ts_event_ns < row.ts_ack_ns:
            continue
        # Its quantity may hold ours too: as a bound that is safe.
        row.queue.front_lots = min(
            row.queue.front_lots, <double>qty_lots if row.price_ticks == price_ticks else 0.0
        )
        weigh(own, order)


cdef class OrdersInQueue:
    """The queue from Python; for tests and research."""

    cdef OwnQueue queue

    def follow(self, const Own[::1] own):
        cdef Live live
        sort_live(&own[0], &live)
        follow_orders(&self.queue, &live, own[0].epoch)

    def look_for_new(self, const Book[::1] book, const Params[::1] params):
        see_new_orders(&self.queue, &book[0], &params[0])

    def trade(self, const TapeEvent[::1] trade):
        see_trade(&self.queue, &trade[0])

    def book(self, const Book[::1] book, const Params[::1] params):
        see_book(&self.queue, &book[0], &params[0])

    def top(self, const Bbo[::1] bbo):
        see_top(&self.queue, &bbo[0])

    def front(self, int side):
        """Return the lots ahead of the nearest order of a side, -1 = unknown."""
        return front_lots(&self.queue, side)

    def rows(self, int side):
        """Return (price_ticks, front_lots or None, place) of a side's orders, nearest first."""
        cdef const QueueSide *own = &self.queue.sides[side_index(side)]
        return [
            (
                own.rows[i].price_ticks,
                own.rows[i].queue.front_lots if own.rows[i].known else None,
                own.place[i],
            )
            for i in range(own.orders)
        ]
