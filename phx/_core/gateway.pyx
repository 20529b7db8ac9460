"""The gateway's core: every order of the account, from the wanted ladder to the booked fill, without any I/O.

The shell calls step(now_ns) when a bell rings, a timer expires or the venue has spoken; sends what next_action() hands
out; and reports answers and events through the on_… methods, each of which may be told the same thing twice or in any
order. now_ns is monotonic, ts_ns is the venue's UTC.
"""

from libc.stdint cimport INT64_MAX, int8_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from phx._core.action cimport ACTION_AMEND, ACTION_CANCEL, ACTION_PLACE, Action
from phx._core.back_off cimport BACK_OFF_ACCOUNT, BACK_OFF_ADDING, BACK_OFF_LATCH, BACK_OFF_SIDE, BackOff, back_off
from phx._core.desk cimport Desk
from phx._core.desk_books cimport side_index
from phx._core.enums cimport (
    EXEC_ACK, EXEC_CANCEL, EXEC_EXPIRE, EXEC_FILL, EXEC_REJECT, EXEC_UNKNOWN, JOURNAL_FILL, JOURNAL_REPLY,
    ORDER_CLOSED, ORDER_PENDING_AMEND, ORDER_UNKNOWN, REJECT_LATCHED)
from phx._core.gateway_books cimport GatewayBooks
from phx._core.histogram cimport record
from phx._core.orders cimport (
    ORDER_ABSENT, ORDER_ACCEPTED, ORDER_AMEND_REFUSED, ORDER_DOUBTED, ORDER_ENDED, ORDER_NOT_FOUND, ORDER_REFUSED,
    ORDER_UNANSWERED, Order, is_leaving, is_live)
from phx._core.position cimport add_fill
from phx._core.records cimport NO_LAYER, ExecEvent, JournalEntry
from phx._core.trade_ids cimport TRADE_DONE, TRADE_FEE_MISSING

cdef enum:
    UNATTRIBUTED_KEPT = 1024                # orders not known yet whose booked fills are remembered

cdef int64_t REDUCE_AGAIN_NS = 200_000_000      # before another order while the venue lets the account only reduce
cdef int64_t ACCOUNT_EVERY_NS = 100_000_000
cdef int64_t SECOND_NS = 1_000_000_000
cdef int POST_ONLY_REFUSED = -5022


cdef class GatewayCore(GatewayBooks):
    """One account at work; GatewayBooks says what it is made of."""

    # ---- the turn ------------------------------------------------------------------------------------------------

    cpdef int step(self, int64_t now_ns):
        """Do one turn; return how many actions wait to be sent."""
        cdef Desk desk
        cdef int64_t profit_e8 = self.day_base_e8
        cdef int64_t limit_e8 = INT64_MAX
        for desk in self.desks:
            # All of them first: what one symbol may add depends on what the others are worth now.
            desk.see_market()
        for desk in self.desks:
            profit_e8 += self.account.pnl_e8[desk.symbol_id]
            # C10: an unset limit is no loss allowed at all, like every unset limit.
            if desk.limits.params_version:
                limit_e8 = min(limit_e8, desk.limits.max_daily_loss_e8)
        for desk in self.desks:
            desk.ready = self.ready
            # Before that the books are not whole, nor is it known what belongs to today.
            if self.ready and profit_e8 < -limit_e8:
                desk.loss_stop = True
            desk.step(now_ns)
        if self.account_dirty or now_ns - self.account_written_mono_ns >= ACCOUNT_EVERY_NS:
            self.publish_account(now_ns)
        return <int>(self.account.last_action - self.account.first_action)

    cdef bint next_action(self, Action *out) noexcept nogil:
        return self.account.pop(out)

    def pop_action(self):
        """Return the next action as a dict of its fields, None when there is none; for shells that send by REST."""
        cdef Action action
        return action if self.account.pop(&action) else None

    cdef void note_sent(self, const Action *action, int64_t now_ns) noexcept:
        # Its bytes were handed to the socket.
        cdef Desk desk = <Desk>self.desk_by_id[action.symbol_id]
        cdef Order *order
        if action.kind == ACTION_PLACE:
            # From here counts how long its bytes may still be accepted: the queue may have held it for a while.
            order = self.account.table.find(action.intent_id)
            if order != NULL:
                order.sent_mono_ns = max(order.sent_mono_ns, now_ns)
        if action.kind != ACTION_CANCEL:
            if action.cause_recv_mono_ns:
                record(desk.counters.tick_to_wire_ns, now_ns - action.cause_recv_mono_ns)
            if action.decided_mono_ns:
                record(desk.counters.ladder_to_wire_ns, now_ns - action.decided_mono_ns)

    def sent(self, uint64_t intent_id, int kind, int symbol_id, int64_t cause_recv_mono_ns, int64_t decided_mono_ns,
             int64_t now_ns):
        """Note that an action left by another way than the order session."""
        cdef Action action
        memset(&action, 0, sizeof(action))
        action.intent_id, action.kind, action.symbol_id = intent_id, <uint8_t>kind, <uint16_t>symbol_id
        action.cause_recv_mono_ns, action.decided_mono_ns = cause_recv_mono_ns, decided_mono_ns
        self.note_sent(&action, now_ns)

    # ---- answers to requests -------------------------------------------------------------------------------------

    def on_accept(self, uint64_t intent_id, int64_t venue_order_id, int64_t ts_ns, int64_t now_ns):
        """The venue has the order: a place was answered, or a query or list shows it open.

        Returns whether the table knows the order.
        """
        cdef Order *order = self.account.table.find(intent_id)
        cdef Desk desk
        cdef ExecEvent event
        if order == NULL:
            return False
        desk = self.desk_by_id[order.symbol_id]
        if order.request_mono_ns and order.amend_qty_lots == 0:
            if order.cancel_mono_ns == 0:
                record(desk.counters.ack_ns, now_ns - order.request_mono_ns)
            # The place is answered; what may still be on its way is a cancel that left after it.
            order.request_mono_ns = order.cancel_mono_ns
        if order.state == ORDER_CLOSED:
            if order.absent:
                self.meet_zombie(desk, order, now_ns)
            return True
        self.know_venue_order_id(order, venue_order_id, now_ns)
        if order.ts_ack_ns == 0:
            order.ts_ack_ns = ts_ns
            desk.counters.acks += 1
            order.refusals_before = <uint8_t>min(desk.refusals_in_a_row, 255)
            desk.refusals_in_a_row = 0
        if self.account.table.apply(order, ORDER_ACCEPTED, now_ns):
            memset(&event, 0, sizeof(event))
            event.ts_event_ns = ts_ns
            desk.publish_exec(&event, order, EXEC_ACK, now_ns)
            if is_leaving(order):
                # It was unknown, and cancelled before it was there: the venue may have had nothing to cancel.
                desk.cancel(order, now_ns, True)
        return True

    cdef void meet_zombie(self, Desk desk, Order *order, int64_t now_ns):
        # Believed never placed, and there it is: what came too late must go at once.
        if not order.zombie:
            order.zombie = True
            self.zombies += 1
            desk.cancel(order, now_ns, True)

    def on_reject(self, uint64_t intent_id, int venue_code, int64_t now_ns):
        """The venue refused to place the order, for certain."""
        cdef Order *order = self.account.table.find(intent_id)
        cdef Desk desk
        cdef ExecEvent event
        if order == NULL:
            return
        desk = self.desk_by_id[order.symbol_id]
        order.request_mono_ns = 0
        self.account.journal_order(JOURNAL_REPLY, order, now_ns, venue_code)
        if venue_code == -4116:
            # Its client id is in use, so it is there: never expected, since no order is sent twice.
            self.account.table.apply(order, ORDER_UNANSWERED, now_ns)
            return
        desk.counters.rejects_venue += 1
        desk.counters.rejects_post_only += venue_code == -5022
        if not self.account.table.apply(order, ORDER_REFUSED, now_ns):
            return
        memset(&event, 0, sizeof(event))
        event.venue_code = venue_code
        desk.publish_exec(&event, order, EXEC_REJECT, now_ns)
        self.back_off_after(desk, order, venue_code, now_ns)
        self.close_take(desk, order, now_ns)

    cdef back_off_after(self, Desk desk, Order *order, int venue_code, int64_t now_ns):
        cdef BackOff wait
        desk.must_see()
        wait = back_off(venue_code)
        # What was on its way when the venue first said so tells nothing new: a ladder is refused as one.
        if now_ns >= (desk.take_back_off_until_mono_ns if order.layer == NO_LAYER
                      else desk.back_off_until_mono_ns[side_index(order.side)]):
            desk.note_refusal()
        if wait.scope == BACK_OFF_SIDE:
            desk.back_off_one(order, now_ns + wait.wait_ns)
        elif wait.scope == BACK_OFF_ACCOUNT:
            self.hold(now_ns + wait.wait_ns)
        elif wait.scope == BACK_OFF_ADDING:
            # Takes go on, and no quote is reduce-only for sure: the quoter pauses and closes what it must.
            desk.back_off_one(order, now_ns + REDUCE_AGAIN_NS)
            desk.venue_rule_until_mono_ns = max(desk.venue_rule_until_mono_ns, now_ns + wait.wait_ns)
        else:
            desk.hold(now_ns + wait.wait_ns)
            if wait.scope == BACK_OFF_LATCH:
                desk.want_latch(REJECT_LATCHED)

    def hold(self, int64_t until_mono_ns):
        """Place nothing on the whole account until then."""
        cdef Desk desk
        for desk in self.desks:
            desk.hold(until_mono_ns)

    def on_unknown(self, uint64_t intent_id, int64_t now_ns):
        """A request about the order has no usable answer: never resent, asked for evidence, cancelled at once."""
        cdef Order *order = self.account.table.find(intent_id)
        cdef Desk desk
        cdef ExecEvent event
        if order == NULL or order.state == ORDER_CLOSED:
            return
        desk = self.desk_by_id[order.symbol_id]
        order.request_mono_ns = 0
        if self.account.table.apply(order, ORDER_UNANSWERED, now_ns):
            memset(&event, 0, sizeof(event))
            desk.publish_exec(&event, order, EXEC_UNKNOWN, now_ns)
        if order.state == ORDER_UNKNOWN and order.cancel_mono_ns == 0:
            desk.cancel(order, now_ns, True)

    def on_doubt(self, uint64_t intent_id, int64_t now_ns):
        """The venue said of the order what phx does not understand: believed neither open nor closed, asked about."""
        cdef Order *order = self.account.table.find(intent_id)
        cdef Desk desk
        cdef ExecEvent event
        if order == NULL:
            return
        desk = self.desk_by_id[order.symbol_id]
        if self.account.table.apply(order, ORDER_DOUBTED, now_ns):
            memset(&event, 0, sizeof(event))
            desk.publish_exec(&event, order, EXEC_UNKNOWN, now_ns)
            if order.cancel_mono_ns == 0:
                desk.cancel(order, now_ns, True)

    def on_denied(self, uint64_t intent_id, int64_t now_ns):
        """Asked, the venue knows no such order. That proves nothing by itself, but it is not known to be open."""
        cdef Order *order = self.account.table.find(intent_id)
        if order != NULL and self.account.table.apply(order, ORDER_NOT_FOUND, now_ns):
            (<Desk>self.desk_by_id[order.symbol_id]).dirty = True

    def on_session_lost(self, int64_t now_ns):
        """The order session broke: every request that is on its way has an unknown outcome.

        Orders whose bytes were never handed over are known not to exist.
        """
        cdef Desk desk
        cdef Order *order
        cdef Action action
        cdef uint32_t waiting = self.account.last_action - self.account.first_action
        cdef int i
        while waiting and self.account.pop(&action):
            waiting -= 1
            if action.kind == ACTION_PLACE:
                self.on_absent(action.intent_id, now_ns)
                continue
            if action.kind == ACTION_AMEND:
                self.on_not_amended(action.intent_id, now_ns)
                continue
            order = self.account.table.find(action.intent_id)
            if order != NULL and order.ts_ack_ns:
                order.request_mono_ns = 0       # all that was on its way is a cancel that has not left yet
            self.account.push(&action)
        for desk in self.desks:
            for i in range(self.account.table.live_count[desk.symbol_id]):
                order = &self.account.table.slots[self.account.table.live[desk.symbol_id][i]]
                if order.request_mono_ns:
                    order.cancel_mono_ns = 0    # a cancel among them goes again at once, by another way
                    self.on_unknown(order.intent_id, now_ns)

    def drop_actions(self, int64_t now_ns):
        """Send nothing of what waits: orders are known not to exist, cancels come again while they are needed."""
        cdef Action action
        while self.account.pop(&action):
            if action.kind == ACTION_PLACE:
                self.on_absent(action.intent_id, now_ns)
            elif action.kind == ACTION_AMEND:
                self.on_not_amended(action.intent_id, now_ns)

    def on_cancel_reject(self, uint64_t intent_id, int venue_code, int64_t now_ns):
        """The venue refused a cancel. "No such order" proves nothing by itself: filled, closed, or not there yet."""
        cdef Order *order = self.account.table.find(intent_id)
        if order == NULL:
            return
        order.request_mono_ns = 0
        self.account.journal_order(JOURNAL_REPLY, order, now_ns, venue_code)
        if venue_code in (-2011, -2013):
            order.zombie = False
            if self.account.table.apply(order, ORDER_NOT_FOUND, now_ns):
                (<Desk>self.desk_by_id[order.symbol_id]).dirty = True

    def on_not_amended(self, uint64_t intent_id, int64_t now_ns):
        """An amend is known not to have been done: the order stays as it was."""
        cdef Order *order = self.account.table.find(intent_id)
        if order == NULL:
            return
        order.request_mono_ns = order.cancel_mono_ns
        self.account.table.apply(order, ORDER_AMEND_REFUSED, now_ns)
        (<Desk>self.desk_by_id[order.symbol_id]).dirty = True

    # ---- the end of an order -------------------------------------------------------------------------------------

    def on_end(self, uint64_t intent_id, bint expired, int64_t reported_lots, int64_t ts_ns, int64_t now_ns):
        """The order can fill no more by the venue's own word: stream, reply or query.

        reported_lots: filled by the venue's count. While some of it is not booked the order stays, as unknown; when
        that takes long, missing_fills() says so.
        """
        cdef Order *order = self.account.table.find(intent_id)
        cdef Desk desk
        cdef ExecEvent event
        cdef bint would_take
        if order == NULL:
            return
        desk = self.desk_by_id[order.symbol_id]
        if order.cancel_mono_ns and order.request_mono_ns:
            record(desk.counters.cancel_ack_ns, now_ns - order.cancel_mono_ns)
        order.request_mono_ns = 0
        order.zombie = False
        if reported_lots > order.reported_lots:
            order.reported_lots, order.reported_mono_ns = reported_lots, now_ns
        if order.reported_lots > order.filled_lots and is_live(order):
            order.over = True
            # It ended, but not all it filled is booked yet: that counts like an unknown outcome until it is.
            order.qty_lots, order.amend_qty_lots = order.reported_lots, 0
            self.account.table.apply(order, ORDER_NOT_FOUND, now_ns)
            desk.dirty = True
            return
        would_take = order.state == ORDER_PENDING_AMEND and order.filled_lots < order.amend_qty_lots
        if self.account.table.apply(order, ORDER_ENDED, now_ns):
            desk.counters.canceled += 1
            memset(&event, 0, sizeof(event))
            event.ts_event_ns = ts_ns
            if would_take:
                # A post-only order that would have taken where it was to go: the venue's refusal of that.
                event.venue_code, event.price_ticks, event.qty_lots = (
                    POST_ONLY_REFUSED, order.amend_price_ticks, order.amend_qty_lots)
                desk.publish_exec(&event, order, EXEC_REJECT, now_ns)
                self.on_late_refusal(desk, order, now_ns)
                return
            desk.publish_exec(&event, order, EXEC_EXPIRE if expired else EXEC_CANCEL, now_ns)
            if (expired and order.filled_lots == 0 and order.layer != NO_LAYER and not order.reduce_only
                    and now_ns - order.sent_mono_ns < SECOND_NS):
                # A post-only order that would have taken may also be reported so: the same as its refusal.
                self.on_late_refusal(desk, order, now_ns)
        self.close_take(desk, order, now_ns)

    cdef on_late_refusal(self, Desk desk, Order *order, int64_t now_ns):
        desk.counters.rejects_post_only += 1
        desk.must_see()
        if now_ns >= desk.back_off_until_mono_ns[side_index(order.side)]:       # else one with those before it
            desk.refusals_in_a_row = max(desk.refusals_in_a_row, order.refusals_before)
            desk.note_refusal()
        desk.back_off_one(order, now_ns + back_off(POST_ONLY_REFUSED).wait_ns)

    def on_reported(self, uint64_t intent_id, int64_t reported_lots, int64_t now_ns):
        """The venue counts so much of the order as filled, whether or not it is still open."""
        cdef Order *order = self.account.table.find(intent_id)
        if order != NULL and reported_lots > order.reported_lots:
            order.reported_lots, order.reported_mono_ns = reported_lots, now_ns

    def note_venue_order_id(self, uint64_t intent_id, int64_t venue_order_id, int64_t now_ns):
        """Learn the venue's id of an order: by it the history tells whose fills it holds."""
        cdef Order *order = self.account.table.find(intent_id)
        if order != NULL:
            self.know_venue_order_id(order, venue_order_id, now_ns)

    cdef void know_venue_order_id(self, Order *order, int64_t venue_order_id, int64_t now_ns):
        order.venue_order_id = venue_order_id
        if self.unattributed:
            # Its fills were in the history, and booked, before anybody knew whose they were.
            lots = self.unattributed.pop((order.symbol_id, venue_order_id), 0)
            if lots:
                self.account.table.fill(order, lots, now_ns)
                (<Desk>self.desk_by_id[order.symbol_id]).dirty = True

    def note_unattributed(self, int symbol_id, int64_t venue_order_id, int64_t qty_lots):
        """Remember a booked fill of an order that nobody knows yet by the venue's id: it may be one of ours."""
        if len(self.unattributed) >= UNATTRIBUTED_KEPT:
            self.unattributed.pop(next(iter(self.unattributed)))
        key = (symbol_id, venue_order_id)
        self.unattributed[key] = self.unattributed.get(key, 0) + qty_lots

    def on_absent(self, uint64_t intent_id, int64_t now_ns):
        """The order was never placed: "no such order" after the moment until which its bytes could be accepted."""
        cdef Order *order = self.account.table.find(intent_id)
        cdef Desk desk
        cdef ExecEvent event
        if order == NULL:
            return
        desk = self.desk_by_id[order.symbol_id]
        order.request_mono_ns = 0
        if self.account.table.apply(order, ORDER_ABSENT, now_ns):
            memset(&event, 0, sizeof(event))
            desk.publish_exec(&event, order, EXEC_CANCEL, now_ns)
        self.close_take(desk, order, now_ns)

    cdef close_take(self, Desk desk, Order *order, int64_t now_ns):
        if order.take_n and order.intent_id == desk.take.intent_id and not is_live(order):
            desk.answer_take(order.filled_lots, now_ns)

    # ---- fills ---------------------------------------------------------------------------------------------------

    def on_fill(self, int symbol_id, uint64_t epoch, uint64_t intent_id, int64_t trade_id, int side,
                int64_t price_ticks, int64_t qty_lots, fee_e8, bint maker, int64_t ts_ns, int64_t now_ns):
        """Book a fill once, whatever channel it comes on; return whether anything was booked.

        epoch and intent_id: 0 for an order that is not ours. fee_e8: None on a channel that does not say.
        """
        cdef Desk desk = self.desk_by_id[symbol_id]
        cdef Order *order = self.account.table.find(intent_id) if epoch == self.account.epoch else NULL
        cdef ExecEvent event
        cdef JournalEntry entry
        cdef int64_t fee = 0 if fee_e8 is None else fee_e8
        cdef int seen
        if side not in (1, -1) or price_ticks <= 0 or qty_lots <= 0 or trade_id <= 0:
            raise ValueError(f"fill {trade_id}: side {side}, price {price_ticks} ticks, quantity {qty_lots} lots")
        if order != NULL and order.symbol_id != symbol_id:
            order = NULL
        if fee_e8 is not None and self.fees_missing:
            self.fees_missing.pop((symbol_id, trade_id), None)
        seen = desk.trades.note(trade_id, fee_e8 is not None)
        if seen == TRADE_DONE:
            desk.counters.fills_duplicate += 1
            return False
        if fee_e8 is None:
            self.fees_missing[symbol_id, trade_id] = now_ns
        desk.position.fees_e8 += fee
        desk.dirty = True
        memset(&entry, 0, sizeof(entry))
        entry.ts_ns, entry.intent_id, entry.trade_id, entry.fee_e8 = ts_ns, intent_id, trade_id, fee
        entry.symbol_id, entry.kind, entry.side, entry.maker = symbol_id, JOURNAL_FILL, <int8_t>side, maker
        if seen == TRADE_FEE_MISSING:
            # In the journal a fee that comes later is a fill of nothing: the next life must know which are missing.
            if fee:
                entry.price_ticks, entry.position_lots = price_ticks, desk.position.position_lots
                self.account.write_journal(&entry, now_ns)
            return fee != 0
        add_fill(&desk.position, side, price_ticks, qty_lots, maker)
        desk.counters.fills += 1
        if side > 0:
            desk.counters.volume_buy_lots += qty_lots
        else:
            desk.counters.volume_sell_lots += qty_lots
        memset(&event, 0, sizeof(event))
        event.ts_event_ns, event.trade_id = ts_ns, trade_id
        event.price_ticks, event.qty_lots, event.fee_e8, event.maker = price_ticks, qty_lots, fee, maker
        if order == NULL:
            desk.counters.fills_foreign += epoch == 0
            event.side, event.layer = <int8_t>side, 255
            event.intent_id = intent_id
        else:
            self.account.table.fill(order, qty_lots, now_ns)
            if order.absent and order.filled_lots < order.qty_lots:
                self.meet_zombie(desk, order, now_ns)
            if order.layer == 0:
                desk.counters.filled_near_lots += qty_lots
        if epoch:
            desk.note_fill(order, side, qty_lots, now_ns)
        desk.publish_exec(&event, order, EXEC_FILL, now_ns)
        desk.must_see()
        entry.price_ticks, entry.qty_lots, entry.position_lots = price_ticks, qty_lots, desk.position.position_lots
        self.account.write_journal(&entry, now_ns)
        if order != NULL:
            self.close_take(desk, order, now_ns)
        self.account_dirty = True
        return True
