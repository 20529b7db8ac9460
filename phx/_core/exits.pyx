"""Exits: what PINNING, GRINDING and FLATTENING quote and take, put together from their small rules.

Every order here reduces: a reduce-only bit on each layer, and all that is live plus all that is wanted within the
inventory. The one exception, protective layers on the adding side, is off unless the configuration asks for it.
"""

cimport cython
from libc.math cimport fabs, floor
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport llabs

from phx._core.enums cimport (
    BUY, MODE_FLATTENING, MODE_GRINDING, MODE_PAUSED, MODE_PINNING, ORDER_CLOSED, ORDER_NONE, ORDER_UNKNOWN, SELL,
)
from phx._core.flattening cimport begin_flattening, escalate, note_slice, slice_due
from phx._core.grid cimport away, through, whole
from phx._core.grinding cimport (
    depth_lots, grind_maker_price, safety, safety_scale, slice_limit, slice_lots,
)
from phx._core.ladder_finish cimport capacity_lots
from phx._core.live cimport Live, LiveSide, side_index
from phx._core.loss_budget cimport LossBudget, affordable_lots, loss_per_lot
from phx._core.pinning cimport far_mid, far_price, pin_price, pin_target
from phx._core.records cimport (
    FLATTEN_STEPS, LADDER_LAYERS, NO_LAYER, NO_PRICE, OWN_ORDERS, ExecEvent, Ladder, Own, Params, QuoterState,
)
from phx._core.reducing cimport Reducing, add_reducing, begin_reducing, show_reducing
from phx._core.takes cimport read_answer, want_take, withdraw_take

cdef int64_t TAKE_NS = 1_000_000_000         # a slice that has not left by then is decided anew
cdef double ONE_E8 = 1e8
cdef double REARM = 0.5                      # of the budget: an empty one counts as empty until so much is free
cdef int PINNED, RESTING, FIRST_FAR
PINNED, RESTING, FIRST_FAR = 0, 1, 16        # rungs; far layers follow from FIRST_FAR on


cdef inline int reducing_side(const Live *live) noexcept nogil:
    return SELL if live.position_lots > 0 else BUY


cdef inline int64_t touch_of(const Market *market, int side) noexcept nogil:
    """Return the price that an order of this side would take first."""
    return market.ask_price_ticks if side > 0 else market.bid_price_ticks


cdef inline int64_t take_limit(const Surroundings *s, int side, double slip) noexcept nogil:
    """Return the worst price of a take, on the venue's grid."""
    return through(side, slice_limit(side, touch_of(s.market, side), slip), s.params.price_step_ticks)


cdef inline int64_t largest_order(int64_t price_ticks, const Params *params) noexcept nogil:
    """Return how many lots one order may have by the limits on its quantity and its value (C02, C03)."""
    cdef double lot_e8 = price_ticks * <double>params.ticklot_e8
    if lot_e8 <= 0:
        return params.max_order_lots
    return min(params.max_order_lots, <int64_t>floor(params.max_order_notional_e8 / lot_e8))


@cython.final
cdef class Exits:
    """One symbol's way out. epoch: the quoter's life, which numbers its takes."""

    def __init__(self, uint64_t epoch):
        self.epoch = epoch
        self.budget = LossBudget()
        self.safety = 1

    # ---- what is learnt

    cdef void read_own(self, const Own *own, int64_t now_ns) noexcept nogil:
        """Learn from a new own record: fees, what the inventory cost, what could meet a take, and the take's answer."""
        cdef int64_t filled
        cdef int i
        self.maker_fee, self.taker_fee = own.maker_fee_e8 / ONE_E8, own.taker_fee_e8 / ONE_E8
        if own.position_lots:
            self.former_cost_ticks = self.cost_ticks
            self.cost_ticks = own.open_cost_ticklots / <double>own.position_lots
            if self.inventory_side * own.position_lots <= 0:
                self.former_cost_ticks = self.cost_ticks
            self.inventory_side = 1 if own.position_lots > 0 else -1
        self.takes_live = self.unknown = 0
        self.adding_lots = 0
        for i in range(min(<int>own.orders, OWN_ORDERS)):
            if own.state[i] == ORDER_NONE or own.state[i] == ORDER_CLOSED or own.remaining_lots[i] <= 0:
                continue
            self.takes_live += own.layer[i] == NO_LAYER
            self.unknown += own.state[i] == ORDER_UNKNOWN
            if own.side[i] * self.inventory_side > 0:
                self.adding_lots += own.remaining_lots[i]
        filled = read_answer(&self.take, own, self.epoch)
        if filled >= 0:
            self.takes_filled_lots += filled
            note_slice(&self.flattening, filled, now_ns)

    cdef void on_fill(self, const ExecEvent *event, const Params *params) noexcept nogil:
        """Book what a fill of an order placed in GRINDING lost; gains count as nothing."""
        cdef double cost = self.cost_ticks
        cdef double fee = self.maker_fee if event.maker else self.taker_fee
        cdef double told
        if event.mode != MODE_GRINDING or event.side * self.inventory_side >= 0:
            return
        # Of the two costs that the fill may have met the dearer one; likewise of the fee that is expected and told.
        if self.inventory_side * (self.former_cost_ticks - cost) > 0:
            cost = self.former_cost_ticks
        if event.price_ticks > 0 and params.ticklot_e8 > 0:
            told = event.fee_e8 / (<double>params.ticklot_e8 * event.price_ticks * event.qty_lots)
            fee = max(fee, told)
        self.budget.add(
            event.qty_lots * loss_per_lot(self.inventory_side, cost, event.price_ticks, fee), event.recv_mono_ns
        )

    cdef void on_lost_fills(self, int64_t now_ns) noexcept nogil:
        """Fills may have been missed: count all that live orders of GRINDING could have lost as lost."""
        self.budget.add(self.reserved_ticklots, now_ns)

    cdef void restore(self, const QuoterState *state) noexcept nogil:
        """Go on with what an earlier life remembered. What its live orders could lose counts as lost."""
        self.gains.known = state.peak_pnl_ticklots != 0 or state.net_pnl_ticklots != 0
        self.gains.peak_ticklots = state.peak_pnl_ticklots
        self.gains.net_ticklots = state.net_pnl_ticklots
        self.budget.add(state.grind_loss_ticklots + state.grind_reserved_ticklots, state.now_mono_ns)
        self.slice_mono_ns = state.now_mono_ns
        self.pin.patience_mono_ns, self.pin.patience_ratio = state.patience_mono_ns, state.patience_ratio
        if state.mode == MODE_FLATTENING:
            # Quotes that the earlier life cancelled may still be there, so waiting for them begins anew.
            begin_flattening(&self.flattening, state.flatten_step, state.now_mono_ns)

    cdef void save(self, QuoterState *state) noexcept nogil:
        state.net_pnl_ticklots, state.peak_pnl_ticklots = self.gains.net_ticklots, self.gains.peak_ticklots
        state.unrealised_ticklots = self.gains.unrealised_ticklots
        state.grind_loss_ticklots, state.grind_budget_ticklots = self.used_ticklots, self.allowed_ticklots
        state.grind_reserved_ticklots, state.safety = self.reserved_ticklots, self.safety
        state.take_lots = self.take.side * self.take.qty_lots if self.take.wanted else 0
        state.flatten_step = <uint8_t>self.flattening.step
        state.patience_mono_ns, state.patience_ratio = self.pin.patience_mono_ns, self.pin.patience_ratio

    cdef void change_mode(self, uint8_t old, uint8_t new, double ratio, int64_t now_ns) noexcept nogil:
        """Begin and end what belongs to a mode. ratio: |inventory / net_max|."""
        cdef bint pinned_on = (new == MODE_PINNING or new == MODE_GRINDING) and (
            old == MODE_PINNING or old == MODE_GRINDING
        )
        if not pinned_on:
            self.pin.side = 0
        if new != MODE_PINNING and new != MODE_PAUSED:
            self.pin.patience_mono_ns = 0
        elif new == MODE_PINNING and self.pin.patience_mono_ns == 0:
            self.pin.patience_ratio, self.pin.patience_mono_ns = ratio, now_ns
        if old != MODE_GRINDING:
            self.maker_ticks = 0
        if new == MODE_FLATTENING:
            self.stops += 1
            if self.flattening.since_mono_ns == 0:
                begin_flattening(&self.flattening, 0, now_ns)
        else:
            self.flattening.since_mono_ns = 0
            self.flattening.step = 0
        if new != MODE_GRINDING and new != MODE_FLATTENING:
            withdraw_take(&self.take)

    # ---- the loss budget

    cdef double worst_cost(self, const Surroundings *s) noexcept nogil:
        """Return the average cost if every adding order that is live filled and made it worse."""
        cdef int side = -reducing_side(s.live), i
        cdef const LiveSide *adding = &s.live.sides[side_index(side)]
        cdef double lots = fabs(<double>s.live.position_lots)
        cdef double cost = lots * self.cost_ticks
        if lots == 0:
            return self.cost_ticks
        for i in range(adding.orders):
            if side * (adding.price_ticks[i] - self.cost_ticks) > 0:
                lots += adding.remaining_lots[i]
                cost += adding.remaining_lots[i] * <double>adding.price_ticks[i]
        return cost / lots

    cdef double reserved(self, const Surroundings *s, double cost_ticks) noexcept nogil:
        """Return what the reducing orders that are live, or wanted as a take, could lose."""
        cdef const LiveSide *live = &s.live.sides[side_index(reducing_side(s.live))]
        cdef double total = 0
        cdef int i
        cdef double fee
        for i in range(live.orders):
            fee = self.taker_fee if live.layer[i] == NO_LAYER else self.maker_fee
            total += live.remaining_lots[i] * loss_per_lot(
                self.inventory_side, cost_ticks, live.price_ticks[i], fee)
        if self.take.wanted and not self.takes_live and self.take.limit_ticks != NO_PRICE:
            total += self.take.qty_lots * loss_per_lot(
                self.inventory_side, cost_ticks, self.take.limit_ticks, self.taker_fee)
        return total

    cdef void weigh(self, const Surroundings *s) noexcept nogil:
        """Renew what the budget allows and has used, and whether it still pays for the smallest slice."""
        cdef int side = reducing_side(s.live)
        cdef double cost, room
        cdef int64_t limit_ticks
        self.allowed_ticklots = s.params.grind_loss_budget * s.params.net_max_lots * s.market.mid_ticks
        self.used_ticklots = self.budget.used(s.now_ns, s.params.grind_budget_window_ns)
        self.reserved_ticklots = 0
        if s.live.position_lots == 0 or not s.sees:
            return
        cost = self.worst_cost(s)
        self.reserved_ticklots = self.reserved(s, cost)
        room = self.allowed_ticklots - self.used_ticklots
        limit_ticks = take_limit(s, side, s.params.grind_max_slip)
        if room < s.params.min_qty_lots * loss_per_lot(-side, cost, limit_ticks, self.taker_fee):
            self.exhausted = True
        elif room >= REARM * self.allowed_ticklots:
            self.exhausted = False

    # ---- PINNING

    cdef void add_pinned(self, Reducing *reducing, const Surroundings *s) noexcept nogil:
        cdef int side = reducing.side
        cdef int64_t bid = s.touch.bids.price_ticks[0], ask = s.touch.asks.price_ticks[0]
        cdef int64_t foreign = bid if side > 0 else ask
        cdef int64_t limit = touch_of(s.market, side) - side
        cdef int64_t improve_ticks = max(<int64_t>1, s.params.price_step_ticks) if s.params.pin_improve else 0
        cdef int64_t target = pin_target(side, foreign, ask if side > 0 else bid, limit, improve_ticks)
        cdef int64_t price = pin_price(&self.pin, side, target, foreign, limit, s.params, s.now_ns)
        add_reducing(
            reducing, s.live, PINNED, price, <int64_t>(s.params.pin_size * s.params.near_size_lots), s.params
        )

    cdef void pin_ladder(self, const Surroundings *s, Ladder *ladder) noexcept nogil:
        """The pinned order, then protective layers; the adding side shows nothing near the touch."""
        cdef Reducing reducing
        cdef double mid = far_mid(&self.pin, s.market.mid_ticks, s.params)
        cdef int layer
        self.maker_ticks = 0
        if s.live.position_lots == 0:
            return
        begin_reducing(&reducing, s.live)
        self.add_pinned(&reducing, s)
        for layer in range(min(<int>s.params.pin_far_layers, LADDER_LAYERS - FIRST_FAR)):
            add_reducing(
                &reducing, s.live, FIRST_FAR + layer, far_price(reducing.side, mid, layer, s.params),
                s.params.pin_far_size_lots, s.params,
            )
        show_reducing(&reducing, ladder)
        if s.params.pin_far_adding:
            self.show_far_adding(s, ladder)

    cdef void show_far_adding(self, const Surroundings *s, Ladder *ladder) noexcept nogil:
        """Protective layers on the adding side, inside the worst case, live orders of that side included."""
        cdef int side = -reducing_side(s.live), layer, shown = 0
        cdef int64_t room = capacity_lots(
            side, s.live.position_lots, s.live.allowance_lots[side_index(side)], s.params
        ) - s.live.sides[side_index(side)].total_lots
        cdef const LiveSide *live = &s.live.sides[side_index(side)]
        cdef int64_t price, qty
        cdef int i
        for layer in range(min(<int>s.params.pin_far_layers, LADDER_LAYERS - FIRST_FAR)):
            price = away(side, far_price(side, self.pin.far_mid_ticks, layer, s.params), s.params.price_step_ticks)
            qty = s.params.pin_far_size_lots
            for i in range(live.orders):
                if live.price_ticks[i] == price and live.keepable[i]:
                    room += min(qty, live.remaining_lots[i])       # counted already: it is this layer
                    break
            if price <= 0 or room < qty or qty * price < s.params.min_notional_ticklots:
                continue
            room -= qty
            if side > 0:
                ladder.bid_layer[shown], ladder.bid_price_ticks[shown] = <uint8_t>(FIRST_FAR + layer), price
                ladder.bid_qty_lots[shown] = qty
            else:
                ladder.ask_layer[shown], ladder.ask_price_ticks[shown] = <uint8_t>(FIRST_FAR + layer), price
                ladder.ask_qty_lots[shown] = qty
            shown += 1
        if side > 0:
            ladder.bid_layers = <uint8_t>shown
        else:
            ladder.ask_layers = <uint8_t>shown

    # ---- GRINDING

    cdef void grind_ladder(self, const Surroundings *s, Ladder *ladder) noexcept nogil:
        """A slice when one is due, the pinned order, and a second maker order, all within inventory and budget."""
        cdef Reducing reducing
        cdef int side = reducing_side(s.live)
        cdef double cost, loss_share, slice_ticklots = 0, held = fabs(<double>s.live.position_lots)
        cdef int64_t limit, lots = 0
        if s.live.position_lots == 0:
            return
        cost = self.worst_cost(s)
        self.consider_slice(s, cost)

        # What the slice needs, now or next, comes first: the makers share what is left.
        if self.take.wanted:
            lots = self.take.qty_lots
        else:
            limit = take_limit(s, side, s.params.grind_max_slip)
            slice_ticklots = slice_lots(<int64_t>held, s.params) * loss_per_lot(
                -side, cost, limit, self.taker_fee)
        begin_reducing(&reducing, s.live)
        reducing.room_lots -= lots
        if not self.takes_live:
            reducing.fresh_lots -= lots
        reducing.budgeted, reducing.cost_ticks, reducing.fee = True, cost, self.maker_fee
        reducing.room_ticklots = self.allowed_ticklots - self.used_ticklots - slice_ticklots
        if self.take.wanted:
            reducing.room_ticklots -= lots * loss_per_lot(
                -side, cost, self.take.limit_ticks, self.taker_fee)
        self.reserved_ticklots = self.reserved(s, cost)
        reducing.fresh_ticklots = (
            self.allowed_ticklots - self.used_ticklots - slice_ticklots - self.reserved_ticklots
        )
        cdef double fresh = reducing.fresh_ticklots
        loss_share = max(0.0, -self.gains.unrealised_ticklots) / (held * s.market.mid_ticks)
        self.safety = safety_scale(safety(
            held / s.params.net_max_lots, loss_share, s.market.sigma_30m, s.params))
        self.add_pinned(&reducing, s)
        limit = touch_of(s.market, side) - side
        self.maker_ticks = grind_maker_price(side, s.market.fair_ticks, limit, self.maker_ticks, s.params)
        lots = <int64_t>(s.params.grind_maker_size * s.params.near_size_lots * self.safety)
        add_reducing(&reducing, s.live, RESTING, self.maker_ticks, lots, s.params)
        self.reserved_ticklots += fresh - reducing.fresh_ticklots
        show_reducing(&reducing, ladder)

    cdef void consider_slice(self, const Surroundings *s, double cost_ticks) noexcept nogil:
        """Want a slice if one is due, nothing is open about the last, and nothing of ours could meet it."""
        cdef int side = reducing_side(s.live)
        cdef int64_t held = llabs(s.live.position_lots), lots, limit
        cdef double per_lot
        if s.now_ns - self.slice_mono_ns < s.params.grind_interval_ns and self.slice_mono_ns:
            return
        if self.take.wanted or self.takes_live or self.unknown or self.adding_lots or self.exhausted:
            return
        limit = take_limit(s, side, s.params.grind_max_slip)
        per_lot = loss_per_lot(-side, cost_ticks, limit, self.taker_fee)
        lots = min(slice_lots(held, s.params), depth_lots(s.book, side, limit))
        lots = min(lots, largest_order(touch_of(s.market, side), s.params))
        lots = min(lots, held - s.live.sides[side_index(side)].total_lots)
        lots = affordable_lots(
            lots, per_lot, self.allowed_ticklots - self.used_ticklots - self.reserved(s, cost_ticks)
        )
        lots = whole(max(lots, <int64_t>0), s.params.qty_step_lots)
        if lots <= 0 or lots < s.params.min_qty_lots:
            return
        self.slice_mono_ns = s.now_ns
        self.takes += 1
        want_take(&self.take, side, lots, limit, s.now_ns + TAKE_NS, s.own.seq)

    # ---- FLATTENING

    cdef void flatten(self, const Surroundings *s) noexcept nogil:
        """Want the next slice of a flattening, if it may go."""
        cdef int side = reducing_side(s.live)
        cdef int64_t held = llabs(s.live.position_lots)
        cdef int64_t limit = NO_PRICE, lots = held - s.live.sides[side_index(side)].total_lots
        cdef bint quotes_gone = s.live.sides[0].total_lots == 0 and s.live.sides[1].total_lots == 0
        self.escalations += escalate(&self.flattening, s.sees, s.params, s.now_ns)
        if self.take.wanted or self.takes_live or not slice_due(&self.flattening, quotes_gone, s.params, s.now_ns):
            return
        lots = min(lots, held - s.params.flatten_target_lots)
        if s.sees:
            lots = min(lots, largest_order(touch_of(s.market, side), s.params))
        else:
            lots = min(lots, largest_order(<int64_t>s.market.mid_ticks, s.params))
        if self.flattening.step < FLATTEN_STEPS:
            limit = take_limit(s, side, s.params.flatten_slip[self.flattening.step])
            lots = min(lots, depth_lots(s.book, side, limit))
        lots = whole(max(lots, <int64_t>0), s.params.qty_step_lots)
        if lots <= 0 or lots < s.params.min_qty_lots or not s.own.ready:
            return
        self.takes += 1
        want_take(&self.take, side, lots, limit, s.now_ns + max(s.params.flatten_step_ns, TAKE_NS), s.own.seq)
