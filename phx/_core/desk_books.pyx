"""What one symbol's desk has and owes: position and fees, limits, what it notices of its own trading, what it tells.

The desk (desk.pyx) follows ladders; these are the books it does it by.
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memset

from phx._core.account cimport Account
from phx._core.enums cimport REJECT_LATCHED, REJECT_NONE, REJECT_PROTECTION, REJECT_THROTTLE
from phx._core.market_view cimport MarketView
from phx._core.measure cimport measure_all
from phx._core.orders cimport Order, is_live, nearest_ticks, remaining_lots
from phx._core.position cimport pnl_e8, unrealised_ticklots
from phx._core.protection cimport Rush, note_rush
from phx._core.records cimport NO_LAYER, ExecEvent, GatewayCounters
from phx._core.risk cimport notional_e8, worst_lots
from phx._core.throttle cimport expire, used
from phx._core.trade_ids cimport TradeIds


cdef class DeskBooks:
    """One traded symbol of an account.

    rules: a dict of all fields of risk.Rules. Readers and writers are rings; `attach_*` and `market.attach` replace
    readers when their writer was restarted. counters: memory of one GATEWAY_COUNTERS record.
    """

    def __init__(self, Account account, str symbol, int symbol_id, dict rules, *, own, exec_, counters):
        if not 0 <= symbol_id < 32:
            raise ValueError(f"{symbol}: symbol id {symbol_id}, traded symbols have 0..31")
        self.account = account
        self.symbol = symbol
        self.symbol_id = <uint16_t>symbol_id
        self.rules = rules
        self.trades = TradeIds()
        self.own_writer = own
        self.exec_writer = exec_
        cdef unsigned char[::1] view = memoryview(counters).cast("B")
        if <size_t>view.shape[0] < sizeof(GatewayCounters):
            raise ValueError(f"{symbol}: {view.shape[0]} bytes of counters, expected {sizeof(GatewayCounters)}")
        self.counters_memory = view
        self.counters = <GatewayCounters *>&view[0]
        self.market = MarketView()
        self.ladder_void = True
        self.user_stream_up = True
        self.guardian_alive = True
        self.dirty = True

    # ---- what a life begins with ---------------------------------------------------------------------------------

    def enable(self):
        """A human has cleared the latches: begin anew."""
        if self.latch_reason == REJECT_LATCHED:      # key or account are in order again: nothing to wait for
            self.take_back_off_until_mono_ns = 0
            memset(self.back_off_until_mono_ns, 0, sizeof(self.back_off_until_mono_ns))
        self.latch_wanted = self.loss_stop = False
        self.latch_reason = REJECT_NONE
        self.refusals_in_a_row = 0
        self.frozen_until_mono_ns = 0
        memset(&self.rush, 0, sizeof(Rush))
        memset(self.cycles, 0, sizeof(self.cycles))

    def restore(self, dict totals, int64_t newest_trade_id):
        """Begin with these totals (fields of position.Position), which hold every trade up to that id.

        What was booked before is void: the trades that the totals do not hold are to be booked again.
        """
        # Books that an older phx wrote do not tell makers from takers: all of it counts as made.
        self.position = {"taker_volume_ticklots": 0} | totals
        self.trades = TradeIds(newest_trade_id)
        if self.position.position_lots and self.market.value_ticks == 0:
            # It counts as exposure also before there is a market: at what it cost.
            self.market.value_ticks = self.position.open_cost_ticklots // self.position.position_lots
        self.dirty = True

    def set_fees(self, int64_t maker_e8, int64_t taker_e8):
        """Say the account's commission rates, in 1e-8 of the notional; a negative one is a rebate."""
        self.own.maker_fee_e8, self.own.taker_fee_e8 = <int32_t>maker_e8, <int32_t>taker_e8
        self.dirty = True

    @property
    def limits_in_force(self):
        """The fields of risk.Limits, for the next life: what was not confirmed in this one is not adopted by it."""
        return self.limits

    @property
    def too_many_cycles(self):
        """Whether fills with new orders after them were too many of late (C06), on either side."""
        return any([c.head - c.tail > self.limits.throttle_cycles for c in self.cycles])

    def adopt_rules(self, dict rules):
        """Trade by other filters of the venue (fields of risk.Rules) from now on, in the same ticks and lots.

        What was refused by the old ones need not wait.
        """
        self.rules = rules
        self.take_back_off_until_mono_ns = 0
        memset(self.back_off_until_mono_ns, 0, sizeof(self.back_off_until_mono_ns))

    def restore_limits(self, dict limits):
        """Begin with the limits of a former life. ValueError, TypeError, OverflowError when they are no limits."""
        self.limits = limits

    def know_trade(self, int64_t trade_id, bint with_fee=True):
        """Count a trade as booked: the totals hold it, though perhaps not its fee."""
        self.trades.note(trade_id, with_fee)

    def totals(self):
        """Return the fields of position.Position."""
        return self.position

    @property
    def position_lots(self):
        return self.position.position_lots

    @property
    def newest_trade_id(self):
        return self.trades.newest

    # ---- adding up -----------------------------------------------------------------------------------------------

    cdef void measure_orders(self) noexcept nogil:
        measure_all(&self.measure, self.account.table, self.symbol_id)

    cdef int64_t reducible_lots(self, int side, const Order *instead) noexcept nogil:
        # What one more order of this side, or a live one itself, may have without ever crossing zero.
        cdef int64_t others = self.measure.lots[side_index(side)]
        if instead != NULL:
            others -= remaining_lots(instead)
        return max(<int64_t>0, -side * self.position.position_lots - others)

    cdef int64_t allowance_lots(self, int side) noexcept nogil:
        # By how much this side, live orders included, may add to the position until the account's limits are used up.
        cdef int64_t unit_e8 = notional_e8(self.market.value_ticks, 1, self.rules.ticklot_e8)
        cdef int64_t room_e8 = (
            self.limits.max_gross_notional_e8 - self.account.others_notional_e8(self.symbol_id))
        if unit_e8 <= 0:
            return 0
        return max(<int64_t>0, min(room_e8 // unit_e8, self.limits.max_position_lots)
                   - max(<int64_t>0, side * self.position.position_lots))

    cdef void value(self) noexcept nogil:
        cdef int64_t price = self.market.value_ticks
        cdef int64_t worst = worst_lots(self.position.position_lots, self.measure.lots[0], self.measure.lots[1])
        self.account.worst_notional_e8[self.symbol_id] = notional_e8(price, worst, self.rules.ticklot_e8)
        self.account.value_e8[self.symbol_id] = notional_e8(
            price, self.limits.max_position_lots if self.limits.enabled else 0, self.rules.ticklot_e8)
        if self.market.mark_price_ticks > 0:
            self.account.pnl_e8[self.symbol_id] = pnl_e8(
                &self.position, self.market.mark_price_ticks, self.rules.ticklot_e8)
            self.account.unrealised_e8[self.symbol_id] = (
                unrealised_ticklots(&self.position, self.market.mark_price_ticks) * self.rules.ticklot_e8)
        elif self.market.mark_mono_ns == 0:
            # No mark in this life yet: what is held is worth its cost. The day's base holds what was realised.
            self.account.pnl_e8[self.symbol_id] = (self.position.realised_ticklots * self.rules.ticklot_e8
                                                   - self.position.fees_e8 + self.position.funding_e8)

    cdef void hold(self, int64_t until_mono_ns) noexcept nogil:
        # Place nothing until then, not even a take.
        cdef int s
        self.take_back_off_until_mono_ns = max(self.take_back_off_until_mono_ns, until_mono_ns)
        for s in range(2):
            self.back_off_until_mono_ns[s] = max(self.back_off_until_mono_ns[s], until_mono_ns)

    cdef void back_off_one(self, const Order *order, int64_t until_mono_ns) noexcept nogil:
        # After a refusal of this order: what is like it waits.
        cdef int s = side_index(order.side)
        if order.layer == NO_LAYER:
            self.take_back_off_until_mono_ns = max(self.take_back_off_until_mono_ns, until_mono_ns)
        self.back_off_until_mono_ns[s] = max(self.back_off_until_mono_ns[s], until_mono_ns)

    # ---- what it notices of its own trading ----------------------------------------------------------------------

    cdef void want_latch(self, uint8_t reason) noexcept nogil:
        if not self.latch_wanted:
            self.latch_wanted, self.latch_reason = True, reason
            self.dirty = True

    cdef void note_fill(self, const Order *order, int side, int64_t qty_lots, int64_t now_ns) noexcept nogil:
        # A fill of a quote, of this life or of a former one. A take is what we wanted, not what happened to us.
        if order != NULL and order.layer == NO_LAYER:
            return
        self.refusals_in_a_row = 0
        if not self.ready:
            return
        self.cycles[side_index(side)].filled = True
        if note_rush(&self.rush, side, qty_lots, self.limits.protect_window_ns, self.limits.protect_lots,
                     self.limits.protect_delta_lots, now_ns):
            self.protect(now_ns)

    cdef void protect(self, int64_t now_ns) noexcept nogil:
        # C15: pull both sides at once, and begin counting anew.
        if now_ns < self.frozen_until_mono_ns:
            return
        self.counters.protections += 1
        memset(&self.rush, 0, sizeof(Rush))
        if self.limits.protect_frozen_ns > 0:
            self.frozen_until_mono_ns = now_ns + self.limits.protect_frozen_ns
        else:
            self.frozen_until_mono_ns = INT64_MAX
            self.want_latch(REJECT_PROTECTION)
        self.dirty = True

    cdef void note_refusal(self) noexcept nogil:
        self.refusals_in_a_row += 1
        if 0 < <int>self.limits.throttle_rejects <= self.refusals_in_a_row:
            self.want_latch(REJECT_THROTTLE)

    # ---- telling -------------------------------------------------------------------------------------------------

    cdef void must_see(self) noexcept nogil:
        # The own record that will carry this event: nothing is added until a ladder has seen it.
        self.must_see_seq = self.own_writer.seq + 1
        self.dirty = True

    cdef void publish_exec(self, ExecEvent *event, const Order *order, int kind, int64_t now_ns) noexcept nogil:
        event.kind = <uint8_t>kind
        event.recv_mono_ns = now_ns
        event.symbol_id = self.symbol_id
        event.epoch = <uint32_t>self.account.epoch
        event.position_lots = self.position.position_lots
        if order != NULL:
            event.intent_id, event.venue_order_id = order.intent_id, order.venue_order_id
            event.side, event.layer, event.mode = order.side, order.layer, order.mode
            event.cause_recv_mono_ns = order.cause_recv_mono_ns
            event.remaining_lots = remaining_lots(order) if is_live(order) else 0
            if event.qty_lots == 0:
                event.price_ticks, event.qty_lots = order.price_ticks, order.qty_lots
        self.exec_writer.publish(event)
        # What phx refused itself changed nothing that a quoter could see in `own`.
        self.dirty = self.dirty or event.reason == REJECT_NONE

    cdef void publish_own(self, int64_t now_ns) noexcept nogil:
        cdef Own *own = &self.own
        cdef Order *order
        cdef int i, count_live = self.account.table.live_count[self.symbol_id]
        own.now_mono_ns, own.epoch = now_ns, self.account.epoch
        own.symbol_id, own.must_see_seq = self.symbol_id, self.must_see_seq
        own.position_lots, own.open_cost_ticklots = self.position.position_lots, self.position.open_cost_ticklots
        own.realised_ticklots, own.fees_e8 = self.position.realised_ticklots, self.position.fees_e8
        own.funding_e8, own.volume_ticklots = self.position.funding_e8, self.position.volume_ticklots
        own.fills, own.newest_trade_id = self.position.fills, self.trades.newest
        own.taker_volume_ticklots = self.position.taker_volume_ticklots
        own.allowance_buy_lots, own.allowance_sell_lots = self.allowance_lots(1), self.allowance_lots(-1)
        if self.take.intent_id == 0:
            own.last_take_epoch, own.last_take_n = self.take.epoch, self.take.n
            own.last_take_filled_lots = self.take.filled_lots
        expire(&self.account.orders_sent, now_ns)
        own.orders_10s, own.orders_60s = used(&self.account.orders_sent, 1), used(&self.account.orders_sent, 2)
        own.orders_10s_limit, own.orders_60s_limit = self.account.orders_10s_limit, self.account.orders_60s_limit
        own.ready, own.blocked = self.ready, self.blocked
        own.frozen_until_mono_ns = self.frozen_until_mono_ns if now_ns < self.frozen_until_mono_ns else 0
        own.orders = <uint16_t>count_live
        for i in range(count_live):
            order = &self.account.table.slots[self.account.table.live[self.symbol_id][i]]
            # One that is being amended may fill at either price. Shown is the nearer one: no quote of the other side
            # may meet it, and no loss budget forget it. The book can't hold it there yet if that is the new price.
            own.intent_id[i], own.price_ticks[i] = order.intent_id, nearest_ticks(order)
            own.remaining_lots[i], own.since_mono_ns[i] = remaining_lots(order), order.since_mono_ns
            own.ts_ack_ns[i] = order.ts_ack_ns if own.price_ticks[i] == order.price_ticks else 0
            own.side[i], own.layer[i] = order.side, order.layer
            own.state[i], own.reduce_only[i] = order.state, order.reduce_only
        self.own_writer.publish(own)
        self.dirty = False
