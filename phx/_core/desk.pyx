"""One symbol's half of the gateway: follow the newest ladder within the limits, cancel when it may not be followed.

step() reads the market, the parameters and the ladder, asks again about orders without an answer, then makes what
exists equal what is wanted: cancels before places, near before far, reducing before adding. Every order is counted and
journalled here, before its bytes exist.
"""

from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport llabs
from libc.string cimport memset

from phx._core.action cimport ACTION_AMEND, ACTION_CANCEL, ACTION_PLACE, GTX, IOC, MARKET, Action
from phx._core.amend cimport may_amend, partner
from phx._core.desk_books cimport DeskBooks, side_index
from phx._core.diff cimport Changes, Wanted, diff_side, drop_change
from phx._core.enums cimport (
    EXEC_REJECT, EXEC_UNKNOWN, JOURNAL_AMEND, JOURNAL_CANCEL, JOURNAL_PLACE, JOURNAL_TAKE_DONE, MODE_GRINDING,
    OPERATOR_NONE, OPERATOR_RUN, REJECT_DAILY_LOSS, REJECT_LATCHED, REJECT_NO_PROOF, REJECT_NONE, REJECT_NOT_ALLOWED,
    REJECT_NOT_READY, REJECT_OLD_LADDER, REJECT_OPERATOR, REJECT_POSITION, REJECT_PROTECTION, REJECT_STALE_LADDER,
    REJECT_STALE_MARKET, REJECT_TABLE_FULL, REJECT_THROTTLE, REJECT_UNKNOWN_ORDER, REJECT_USER_STREAM,
    REJECT_VENUE_RULE)
from phx._core.grid cimport whole
from phx._core.measure cimport add_order
from phx._core.orders cimport (
    ORDER_AMEND_SENT, ORDER_CANCEL_SENT, ORDER_UNANSWERED, Order, coming_lots, holds_price, is_leaving, nearest_ticks,
    remaining_lots)
from phx._core.protection cimport Cycles, count_cycle
from phx._core.records cimport LADDER_LAYERS, NO_LAYER, NO_PRICE, OWN_ORDERS, ExecEvent, JournalEntry
from phx._core.ring cimport RING_OK, RingReader
from phx._core.risk cimport Intent, Situation, adopt, check, largest_lots, only_leaves, passes_by_itself
from phx._core.throttle cimport count, expire, has_room, has_share

cdef enum:
    MS = 1_000_000

cdef int64_t ANSWER_NS = 1_000 * MS             # a request without an answer for so long has an unknown outcome
cdef int64_t CANCEL_AGAIN_NS = 1_000 * MS       # a cancel may be repeated, first after this; an order never
cdef int64_t CANCELS_LOST_NS = 5_000_000_000     # cancels without an answer are repeated so often for so long
cdef int64_t MARK_MAX_AGE_NS = 10_000_000_000   # it comes every second
cdef int64_t LADDER_MAX_AGE_NS = 2_000 * MS     # at least; four of the quoter's republish intervals if that is more


cdef class Desk(DeskBooks):
    """One traded symbol of an account at work; DeskBooks says what it is made of."""

    # ---- reading -------------------------------------------------------------------------------------------------

    def lose_quoter(self):
        """The quoter died or hangs: cancel, and follow no ladder that it published before now."""
        self.quoter_alive = False
        self.ladder_void = True
        self.counters.quoter_lost += 1

    def attach_ladder(self, RingReader ladder):
        """Follow this ladder from its next record on; None: there is none."""
        self.ladder_reader = ladder
        self.ladder_void = True

    def attach_params(self, RingReader params):
        """Take parameters from here on."""
        self.params_reader = params

    def void_ladder(self):
        """Follow the ladder in hand no longer: only one that is published from now on."""
        self.ladder_void = True

    cdef void read_ladder(self, int64_t now_ns) noexcept nogil:
        if self.params_reader is not None and self.params_reader.has_news():
            if self.params_reader.newest(&self.params) == RING_OK:
                adopt(&self.limits, &self.params)
                self.account.params_version[self.symbol_id] = self.limits.params_version
        if self.ladder_reader is None or not self.ladder_reader.has_news():
            return
        if self.ladder_reader.newest(&self.ladder) != RING_OK:
            return
        if self.ladder.bid_layers > LADDER_LAYERS or self.ladder.ask_layers > LADDER_LAYERS:
            self.ladder_void = True
            return
        self.counters.ladders += 1
        self.ladder_void = not self.quoter_alive
        if not self.takes_seen:
            # A take that was wanted before this life may have been carried out by the last one: never run it.
            self.takes_seen = True
            self.take.epoch, self.take.n = self.ladder.quoter_epoch, self.ladder.take_n
            self.dirty = True

    # ---- the turn ------------------------------------------------------------------------------------------------

    cdef void see_market(self) noexcept nogil:
        self.market.read()
        self.measure_orders()
        self.value()

    cdef void step(self, int64_t now_ns) noexcept nogil:
        cdef uint8_t reason, blocked
        self.read_ladder(now_ns)
        self.sweep(now_ns)
        self.measure_orders()
        self.waiting, self.waiting_now = self.waiting_now, 0
        self.counters.unknown_outcomes = self.account.table.unanswered[self.symbol_id]
        self.counters.unknown_resolved = self.account.table.resolved[self.symbol_id]
        reason = self.halt_reason(now_ns)
        blocked = reason if reason or self.user_stream_up else REJECT_USER_STREAM
        if blocked != self.blocked:
            self.blocked = blocked
            self.dirty = True
        self.step_take(now_ns)
        if reason == REJECT_NONE:
            self.follow_ladder(now_ns)
        elif self.measure.orders:
            self.cancel_everything(now_ns)
        self.value()
        if self.dirty or self.allowance_moved():
            self.publish_own(now_ns)

    cdef bint allowance_moved(self) noexcept nogil:
        # It breathes with the price; quoters need not hear of every breath.
        cdef int64_t grain = max(<int64_t>1, self.limits.max_position_lots // 64)
        cdef int64_t buy = self.allowance_lots(1), sell = self.allowance_lots(-1)
        return (llabs(buy - self.own.allowance_buy_lots) >= grain or (buy == 0) != (self.own.allowance_buy_lots == 0)
                or llabs(sell - self.own.allowance_sell_lots) >= grain
                or (sell == 0) != (self.own.allowance_sell_lots == 0))

    cdef uint8_t halt_reason(self, int64_t now_ns) noexcept nogil:
        # Why no quote may stand at all now. Takes have their own conditions.
        cdef int64_t max_age_ns = max(LADDER_MAX_AGE_NS, 4 * self.params.republish_ns)
        if not self.ready or self.cancel_all:
            return REJECT_NOT_READY
        if self.limits.params_version == 0 or not self.limits.enabled:
            return REJECT_NOT_ALLOWED
        if self.operator_state != OPERATOR_NONE and self.operator_state != OPERATOR_RUN:
            return REJECT_OPERATOR
        if self.loss_stop:
            return REJECT_DAILY_LOSS
        if self.latched:
            return REJECT_LATCHED
        if self.latch_wanted:
            return self.latch_reason
        if now_ns < self.frozen_until_mono_ns:
            return REJECT_PROTECTION
        if now_ns < self.venue_rule_until_mono_ns:
            return REJECT_VENUE_RULE
        if self.ladder_void or not self.quoter_alive or now_ns - self.ladder.decided_mono_ns > max_age_ns:
            return REJECT_STALE_LADDER
        if self.proof_period_ns <= 0 or self.proof_deadline_mono_ns - now_ns < self.proof_period_ns:
            return REJECT_NO_PROOF
        return REJECT_NONE

    cdef void sweep(self, int64_t now_ns) noexcept nogil:
        # Requests without an answer become unknown outcomes; orders on their way out are asked again to go.
        cdef Order *order
        cdef ExecEvent event
        cdef int64_t again_ns
        cdef int i = 0
        while i < self.account.table.live_count[self.symbol_id]:
            order = &self.account.table.slots[self.account.table.live[self.symbol_id][i]]
            i += 1
            if order.request_mono_ns and now_ns - order.request_mono_ns > ANSWER_NS:
                order.request_mono_ns = 0
                if self.account.table.apply(order, ORDER_UNANSWERED, now_ns):
                    memset(&event, 0, sizeof(event))
                    self.publish_exec(&event, order, EXEC_UNKNOWN, now_ns)
            # Each time after twice as long: a venue that forgot a hundred orders must not be asked until it bans us.
            again_ns = order.cancel_mono_ns - order.first_cancel_mono_ns
            again_ns = max(CANCEL_AGAIN_NS, again_ns - CANCELS_LOST_NS if order.unanswered else again_ns)
            if is_leaving(order) and now_ns - order.cancel_mono_ns > again_ns:
                self.cancel(order, now_ns, True)

    cdef void follow_ladder(self, int64_t now_ns) noexcept nogil:
        cdef Order *live[OWN_ORDERS]
        cdef int live_count = self.collect_live(live)
        cdef Changes[2] changes
        cdef Wanted wanted
        cdef int i, s, first
        cdef bint starved = False
        if self.tried_ladder_seq != self.ladder.seq:
            self.tried_ladder_seq = self.ladder.seq
            self.tried[0] = self.tried[1] = 0
        for s in range(2):
            wanted.price_ticks = &self.ladder.bid_price_ticks[0] if s == 0 else &self.ladder.ask_price_ticks[0]
            wanted.qty_lots = &self.ladder.bid_qty_lots[0] if s == 0 else &self.ladder.ask_qty_lots[0]
            wanted.reduce_only = self.ladder.bid_reduce_only if s == 0 else self.ladder.ask_reduce_only
            wanted.layers = self.ladder.bid_layers if s == 0 else self.ladder.ask_layers
            diff_side(&wanted, live, live_count, 1 - 2 * s, self.params.qty_tolerance, &changes[s])
            self.amend_layers(1 - 2 * s, live, &changes[s], now_ns)
        for s in range(2):
            for i in range(changes[s].cancels):
                starved |= not self.cancel(
                    live[changes[s].cancel[i]], now_ns, self.is_too_near(live[changes[s].cancel[i]]))
        if starved:
            return      # no budget to take orders away: put none there either
        # Reducing before adding; a flat book places both sides in turn.
        first = 1 if self.position.position_lots > 0 else 0
        if self.position.position_lots:
            for i in range(changes[first].places):
                self.place_layer(1 - 2 * first, changes[first].place[i], now_ns)
            for i in range(changes[1 - first].places):
                self.place_layer(2 * first - 1, changes[1 - first].place[i], now_ns)
            return
        for i in range(max(changes[0].places, changes[1].places)):
            for s in range(2):
                if i < changes[s].places:
                    self.place_layer(1 - 2 * s, changes[s].place[i], now_ns)

    cdef bint is_too_near(self, const Order *order) noexcept nogil:
        # Nearer to the market than anything the ladder wants: it goes whatever the budget; what lies farther may wait.
        if order.side > 0:
            return self.ladder.bid_layers == 0 or nearest_ticks(order) > self.ladder.bid_price_ticks[0]
        return self.ladder.ask_layers == 0 or nearest_ticks(order) < self.ladder.ask_price_ticks[0]

    cdef int collect_live(self, Order **out) noexcept nogil:
        cdef int found = 0, i
        cdef Order *order
        for i in range(self.account.table.live_count[self.symbol_id]):
            order = &self.account.table.slots[self.account.table.live[self.symbol_id][i]]
            if order.layer != NO_LAYER:
                out[found] = order
                found += 1
        return found

    # ---- cancelling ----------------------------------------------------------------------------------------------

    cdef void cancel_everything(self, int64_t now_ns) noexcept nogil:
        cdef int i
        cdef Order *order
        for i in range(self.account.table.live_count[self.symbol_id]):
            order = &self.account.table.slots[self.account.table.live[self.symbol_id][i]]
            if not is_leaving(order) and order.layer != NO_LAYER:
                self.cancel(order, now_ns, True)

    cdef bint cancel(self, Order *order, int64_t now_ns, bint protective) noexcept nogil:
        # Protective cancels always go; returns whether it went.
        cdef Action action
        expire(&self.account.cancels_sent, now_ns)
        if not protective and not has_share(
                &self.account.cancels_sent, self.account.cancel_limits, self.account.value_e8, self.symbol_id):
            return False
        memset(&action, 0, sizeof(action))
        action.epoch, action.intent_id = self.account.epoch, order.intent_id
        action.kind, action.symbol_id, action.side = ACTION_CANCEL, self.symbol_id, order.side
        if not protective:
            action.decided_mono_ns = self.ladder.decided_mono_ns
            action.cause_recv_mono_ns = self.ladder.cause_recv_mono_ns
        if not self.account.push(&action):
            return False
        count(&self.account.cancels_sent, now_ns, self.symbol_id)
        self.account.journal_order(JOURNAL_CANCEL, order, now_ns, 0)
        self.account.table.apply(order, ORDER_CANCEL_SENT, now_ns)
        order.cancel_mono_ns = now_ns
        if order.request_mono_ns == 0:
            order.request_mono_ns = now_ns
        self.counters.cancels += 1
        self.dirty = True
        return True

    # ---- amending ------------------------------------------------------------------------------------------------

    cdef void amend_layers(self, int side, Order **live, Changes *changes, int64_t now_ns) noexcept nogil:
        # What finds no room beside the order it replaces (amend.pyx). If that one can't be amended it is cancelled, and
        # the next ladder, which has seen it leave, wants the new one again.
        cdef Intent intent
        cdef Order *order
        cdef uint32_t bit
        cdef int s = side_index(side), i = 0, at
        while i < changes.places:
            bit = <uint32_t>1 << changes.place[i]
            intent = self.intent_of(side, changes.place[i])
            at = partner(changes, live, intent.layer) if intent.reduce_only else -1
            if at < 0 or self.tried[s] & bit or self.take.waiting or (
                    self.reducible_lots(side, NULL) >= intent.qty_lots):
                i += 1
                continue
            self.tried[s] |= bit
            order = live[changes.cancel[at]]
            drop_change(changes.place, &changes.places, i)
            if may_amend(order, intent.price_ticks) and self.amend(order, &intent, now_ns):
                drop_change(changes.cancel, &changes.cancels, at)

    cdef bint amend(self, Order *order, const Intent *wanted, int64_t now_ns) noexcept nogil:
        # Checks, counts, journals and queues it; returns whether it went. Until it is answered the order may fill at
        # either price: both must pass.
        cdef Intent intent = wanted[0], before
        cdef Order told
        if self.allow(&intent, order, now_ns):
            return False
        before = intent
        before.price_ticks = order.price_ticks
        if self.allow(&before, order, now_ns) or self.throttle_reason(&intent, now_ns):
            return False
        if not self.request(ACTION_AMEND, order, &intent):
            return False
        told = order[0]
        told.price_ticks, told.qty_lots = intent.price_ticks, order.filled_lots + intent.qty_lots
        self.account.journal_order(JOURNAL_AMEND, &told, now_ns, 0)
        order.amend_price_ticks, order.amend_qty_lots = told.price_ticks, told.qty_lots
        order.amends += 1
        order.request_mono_ns = now_ns
        order.mode, order.cause_recv_mono_ns = self.ladder.mode, self.ladder.cause_recv_mono_ns
        self.account.table.apply(order, ORDER_AMEND_SENT, now_ns)
        count(&self.account.orders_sent, now_ns, self.symbol_id)
        self.measure_orders()
        self.value()
        self.placed_ladder_seq, self.placed_seq = self.ladder.seq, self.own_writer.seq + 1
        self.counters.amends += 1
        self.dirty = True
        return True

    # ---- placing -------------------------------------------------------------------------------------------------

    cdef Intent intent_of(self, int side, int index) noexcept nogil:
        cdef Intent intent
        cdef int s = side_index(side)
        memset(&intent, 0, sizeof(intent))
        intent.side = <int8_t>side
        intent.post_only = True
        intent.price_ticks = self.ladder.bid_price_ticks[index] if s == 0 else self.ladder.ask_price_ticks[index]
        intent.qty_lots = self.ladder.bid_qty_lots[index] if s == 0 else self.ladder.ask_qty_lots[index]
        intent.layer = self.ladder.bid_layer[index] if s == 0 else self.ladder.ask_layer[index]
        intent.reduce_only = self.ladder_reduces(side, index)
        if intent.layer == NO_LAYER:
            intent.layer = <uint8_t>index
        return intent

    cdef void place_layer(self, int side, int index, int64_t now_ns) noexcept nogil:
        cdef int s = side_index(side)
        cdef uint32_t bit = <uint32_t>1 << index
        cdef Intent intent
        cdef uint8_t reason
        if self.tried[s] & bit or (self.take.waiting and (
                side == -self.ladder.take_side or self.ladder_reduces(side, index))):
            return      # while a take is on its way nothing may meet it or use up what it reduces
        intent = self.intent_of(side, index)
        reason = self.place(&intent, 0, now_ns)
        # To wait is not a try.
        if not passes_by_itself(reason):
            self.tried[s] |= bit
            if reason:
                self.counters.rejects_own += 1
                self.refuse(&intent, reason, now_ns)
        elif self.begins_to_wait(reason):
            self.counters.waits += 1
            self.counters.stale_market += reason == REJECT_STALE_MARKET
            self.refuse(&intent, reason, now_ns)

    cdef bint ladder_reduces(self, int side, int index) noexcept nogil:
        return (self.ladder.bid_reduce_only if side > 0 else self.ladder.ask_reduce_only) >> index & 1

    cdef uint8_t place(self, Intent *intent, uint64_t take_n, int64_t now_ns) noexcept nogil:
        # Checks, counts, journals and queues one order. Returns why it refused to.
        cdef Order *order
        cdef uint8_t reason = self.allow(intent, NULL, now_ns)
        if reason == REJECT_NONE:
            reason = self.throttle_reason(intent, now_ns)
        if reason:
            return reason
        order = self.account.table.create(self.symbol_id, now_ns)
        if order == NULL:
            return REJECT_TABLE_FULL
        order.side, order.layer, order.price_ticks = intent.side, intent.layer, intent.price_ticks
        order.qty_lots, order.reduce_only, order.take_n = intent.qty_lots, intent.reduce_only, take_n
        order.mode, order.cause_recv_mono_ns = self.ladder.mode, self.ladder.cause_recv_mono_ns
        self.account.journal_order(JOURNAL_PLACE, order, now_ns, 0)
        count(&self.account.orders_sent, now_ns, self.symbol_id)
        add_order(&self.measure, order)
        self.value()
        self.placed_ladder_seq, self.placed_seq = self.ladder.seq, self.own_writer.seq + 1
        self.request(ACTION_PLACE, order, intent)
        self.counters.places += 1
        if intent.layer == 0:
            self.counters.placed_near_lots += intent.qty_lots
        self.dirty = True
        return REJECT_NONE

    cdef uint8_t allow(self, Intent *intent, const Order *instead, int64_t now_ns) noexcept nogil:
        # Cuts an intent to what may be, and returns why it may not be. instead: the live order that would become it.
        cdef Situation situation
        cdef Intent order
        cdef uint8_t reason
        cdef int64_t reducible = self.reducible_lots(intent.side, instead)
        if intent.reduce_only:
            intent.qty_lots = whole(min(intent.qty_lots, reducible), self.rules.qty_step_lots)
            if intent.qty_lots == 0:
                return REJECT_POSITION
            if intent.layer == NO_LAYER:
                # A way out is cut to the limits of one order, never refused for them: the rest follows.
                intent.qty_lots = whole(min(intent.qty_lots, largest_lots(
                    intent.price_ticks if intent.price_ticks != NO_PRICE else max(<int64_t>0, self.market.value_ticks),
                    &self.limits, &self.rules)), self.rules.qty_step_lots)
        intent.adding_lots = max(<int64_t>0, intent.qty_lots - reducible)
        if intent.reduce_only and self.ladder.mode == MODE_GRINDING and not self.has_seen_all():
            return REJECT_OLD_LADDER
        self.look_around(intent, instead, &situation, now_ns)
        order = intent[0]
        if instead != NULL:
            order.qty_lots += instead.filled_lots       # one order is what it has filled, too
        reason = check(&order, &situation, &self.limits, &self.rules)
        if reason == REJECT_NONE and intent.adding_lots and self.measure.unknown[side_index(intent.side)]:
            return REJECT_UNKNOWN_ORDER
        return reason

    cdef uint8_t throttle_reason(self, const Intent *intent, int64_t now_ns) noexcept nogil:
        # C06: a fill that a new order follows.
        cdef Cycles *cycles = &self.cycles[side_index(intent.side)]
        if intent.layer == NO_LAYER or not cycles.filled:
            return REJECT_NONE
        self.counters.cycles += 1
        if not count_cycle(cycles, self.limits.throttle_window_ns, self.limits.throttle_cycles, now_ns):
            return REJECT_NONE
        self.want_latch(REJECT_THROTTLE)
        return REJECT_THROTTLE

    cdef bint request(self, int kind, const Order *order, const Intent *intent) noexcept nogil:
        # Queues the bytes of an order or of its amend.
        cdef Action action
        memset(&action, 0, sizeof(action))
        action.epoch, action.intent_id = self.account.epoch, order.intent_id
        action.price_ticks, action.qty_lots = intent.price_ticks, order.filled_lots + intent.qty_lots
        action.kind, action.symbol_id, action.side = <uint8_t>kind, self.symbol_id, intent.side
        action.reduce_only = intent.reduce_only
        action.time_in_force = GTX if intent.post_only else MARKET if intent.price_ticks == NO_PRICE else IOC
        action.decided_mono_ns = self.ladder.decided_mono_ns
        action.cause_recv_mono_ns = self.ladder.cause_recv_mono_ns
        return self.account.push(&action)

    cdef bint has_seen_all(self) noexcept nogil:
        # GRINDING reckons what all its orders together may lose: what one ladder wants was added up, but a ladder that
        # was decided before it could know of the newest order or fill has left that out.
        return self.ladder.own_epoch == <uint32_t>self.account.epoch and self.ladder.own_seq >= self.must_see_seq and (
            self.ladder.seq == self.placed_ladder_seq or self.ladder.own_seq >= self.placed_seq)

    cdef void look_around(
            self, const Intent *intent, const Order *instead, Situation *out, int64_t now_ns) noexcept nogil:
        cdef int s = side_index(intent.side), i
        cdef Order *order
        memset(out, 0, sizeof(Situation))
        out.now_ns = now_ns
        out.bid_price_ticks = self.market.bbo.bid_price_ticks
        out.ask_price_ticks = self.market.bbo.ask_price_ticks
        out.mark_price_ticks = self.market.mark_price_ticks
        if now_ns - self.market.mark_mono_ns > MARK_MAX_AGE_NS:
            out.mark_price_ticks = NO_PRICE
        out.market_mono_ns = self.market.newest_mono_ns()
        out.book_usable = self.market.usable()
        out.ready = self.ready
        out.operator_state = self.operator_state
        out.latched = self.latched or self.latch_wanted or self.loss_stop
        out.user_stream_up = self.user_stream_up
        out.quoter_alive = self.quoter_alive
        out.ladder_fresh = not self.ladder_void
        out.backing_off = now_ns < (
            self.take_back_off_until_mono_ns if intent.layer == NO_LAYER else self.back_off_until_mono_ns[s])
        out.journal_room = self.account.journal_room() and self.account.last_action - self.account.first_action < 2048
        out.proof_deadline_mono_ns = self.proof_deadline_mono_ns if self.guardian_alive else 0
        out.proof_period_ns = self.proof_period_ns
        # An own sequence number of another life says nothing about this one.
        cdef bint same_life = self.ladder.own_epoch == <uint32_t>self.account.epoch
        out.must_see_seq = self.must_see_seq if same_life else max(<uint64_t>1, self.must_see_seq)
        out.ladder_own_seq = self.ladder.own_seq if same_life else 0
        out.ladder_params_version = self.ladder.params_version
        out.position_lots = self.position.position_lots
        out.side_lots, out.opposite_lots = self.measure.lots[s], self.measure.lots[1 - s]
        out.opposite_best_ticks = self.measure.best_ticks[1 - s]
        out.others_notional_e8 = self.account.others_notional_e8(self.symbol_id)
        out.others_margin_e8 = self.account.others_margin_e8(self.symbol_id)
        out.equity_e8, out.leverage = self.account.equity_e8(), self.account.leverage[self.symbol_id]
        out.worst_price_ticks = self.market.value_ticks
        out.open_orders = self.measure.orders
        out.in_flight = self.measure.in_flight
        expire(&self.account.orders_sent, now_ns)
        if only_leaves(intent):
            out.order_rate_full = not has_room(&self.account.orders_sent, self.account.leaving_limits)
        elif intent.adding_lots == 0:
            out.order_rate_full = not has_room(&self.account.orders_sent, self.account.reducing_limits)
        else:
            out.order_rate_full = not has_share(
                &self.account.orders_sent, &self.account.adding_limits[0] if intent.layer < self.limits.near_layers
                else &self.account.far_limits[0], self.account.value_e8, self.symbol_id)
        for i in range(self.account.table.live_count[self.symbol_id]):
            order = &self.account.table.slots[self.account.table.live[self.symbol_id][i]]
            if (order != instead and order.side == intent.side and order.layer == intent.layer
                    and holds_price(order, intent.price_ticks)
                    and (remaining_lots(order) == intent.qty_lots or coming_lots(order) == intent.qty_lots)):
                out.same_order_live = True
        if instead != NULL:
            out.open_orders -= 1

    cdef bint begins_to_wait(self, uint8_t reason) noexcept nogil:
        # Whether neither this turn nor the last one has waited for it before.
        cdef uint64_t bit = <uint64_t>1 << reason
        cdef bint begins = not (self.waiting | self.waiting_now) & bit
        self.waiting_now |= bit
        return begins

    cdef void refuse(self, const Intent *intent, uint8_t reason, int64_t now_ns) noexcept nogil:
        cdef ExecEvent event
        cdef Order order
        memset(&event, 0, sizeof(event))
        memset(&order, 0, sizeof(order))
        order.side, order.layer, order.mode = intent.side, intent.layer, self.ladder.mode
        order.price_ticks, order.qty_lots = intent.price_ticks, intent.qty_lots
        event.reason = reason
        self.publish_exec(&event, &order, EXEC_REJECT, now_ns)

    # ---- takes ---------------------------------------------------------------------------------------------------

    cdef void step_take(self, int64_t now_ns) noexcept nogil:
        # The one-shot order of the ladder: run at most once, answered whatever becomes of it.
        cdef Intent intent
        cdef uint8_t reason
        self.take.waiting = self.take.intent_id != 0
        if not self.takes_seen or self.ladder_void or self.take.intent_id or self.ladder.take_n == 0:
            return
        if self.ladder.quoter_epoch == self.take.epoch and self.ladder.take_n <= self.take.n:
            return
        if now_ns > self.ladder.take_deadline_mono_ns or self.ladder.take_side * self.ladder.take_side != 1:
            self.answer_take(0, now_ns)     # dropped: the quoter decides anew
            return
        intent.side = <int8_t>self.ladder.take_side
        intent.layer, intent.post_only, intent.reduce_only = NO_LAYER, False, True
        intent.price_ticks, intent.qty_lots = self.ladder.take_limit_ticks, self.ladder.take_qty_lots
        if not self.ready or intent.side * self.position.position_lots >= 0:
            self.answer_take(0, now_ns)
            return
        self.take.waiting = True
        if not self.way_is_clear(&intent, now_ns) or self.ladder.own_epoch != <uint32_t>self.account.epoch:
            return
        if self.must_see_seq > self.ladder.own_seq:
            return
        reason = self.place(&intent, self.ladder.take_n, now_ns)
        if passes_by_itself(reason):
            return                          # what it needs may come before its deadline
        if reason:
            self.take.waiting = False
            self.counters.rejects_own += 1
            self.refuse(&intent, reason, now_ns)
            self.answer_take(0, now_ns)
            return
        self.take.epoch, self.take.n, self.take.filled_lots = self.ladder.quoter_epoch, self.ladder.take_n, 0
        self.take.intent_id = self.account.table.next_intent_id - 1

    cdef bint way_is_clear(self, const Intent *take, int64_t now_ns) noexcept nogil:
        """Have the orders leave that the take could meet, and those that leave it nothing to reduce; until then wait.

        Reduce-only orders beside it stay as long as all of them together fit the position.
        """
        cdef Order *order
        cdef int i
        cdef bint clear = True
        cdef bint fits = self.reducible_lots(take.side, NULL) >= min(take.qty_lots, llabs(self.position.position_lots))
        for i in range(self.account.table.live_count[self.symbol_id]):
            order = &self.account.table.slots[self.account.table.live[self.symbol_id][i]]
            if order.side == take.side and fits:
                continue
            if order.side == -take.side and take.price_ticks != NO_PRICE and (
                    take.side * (take.price_ticks - nearest_ticks(order)) < 0):
                continue
            clear = False
            if not is_leaving(order):
                self.cancel(order, now_ns, True)
        return clear

    cdef void answer_take(self, int64_t filled_lots, int64_t now_ns) noexcept nogil:
        cdef JournalEntry entry
        if self.take.intent_id == 0:
            self.take.epoch, self.take.n = self.ladder.quoter_epoch, self.ladder.take_n
        self.take.intent_id, self.take.filled_lots = 0, filled_lots
        memset(&entry, 0, sizeof(entry))
        entry.kind, entry.symbol_id = JOURNAL_TAKE_DONE, self.symbol_id
        entry.take_epoch, entry.take_n, entry.qty_lots = self.take.epoch, self.take.n, filled_lots
        self.account.write_journal(&entry, now_ns)
        self.dirty = True
