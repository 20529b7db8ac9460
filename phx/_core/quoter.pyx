"""QuoterCore: one step reads what is new, decides if something changed, and publishes what follows from it.

All that a decision depends on comes in through the rings and `step(now_ns)`, so that a recorded run replays bit for
bit: give another core the same records in the order of `decisions` and it decides the same ladders.
"""

cimport cython
from libc.math cimport fabs
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport llabs
from libc.string cimport memcmp, memset

from phx._core.asmm cimport anchored
from phx._core.decide cimport decide, ladder_hash
from phx._core.enums cimport (
    BUY, MODE_COOLING, MODE_FLATTENING, MODE_GRINDING, MODE_HALTED, MODE_NORMAL, MODE_PINNING, REASON_BOOK_STALE,
    REASON_BOOK_UNSYNCED, REASON_NONE, SELL, TOLD_FEED_ALIVE, TOLD_FROZE, TOLD_LATCHED, TOLD_LOSS_LATCHED,
)
from phx._core.exits cimport Surroundings
from phx._core.histogram cimport record
from phx._core.live cimport Live
from phx._core.modes cimport Conditions, advance, resume_mode, save_mode
from phx._core.own_queue cimport front_lots
from phx._core.quoter_view cimport QuoterView
from phx._core.records cimport LADDER_LAYERS, Decision, Ladder, QuoterCounters, QuoterState
from phx._core.ring cimport RingWriter
from phx._core.stops cimport forget_peak
from phx._core.takes cimport show_take
from phx._core.top_error cimport count_top, measure_top

from phx._core import records

cdef int64_t STATE_NS = 100_000_000          # state for people and for the next life: at most ten times a second
cdef int64_t REPUBLISH_NS = 500_000_000      # as long as no parameters are known
cdef int64_t EXITS_NS = 20_000_000           # modes that reduce are thought about at least so often


@cython.final
cdef class QuoterCore(QuoterView):
    """One symbol's quoter.

    symbol_id: index in records. epoch: this life's number, larger than any earlier one's. ladder, state, decisions:
    writable ring memory. counters: array of one QUOTER_COUNTERS record. feed_silent_ns: how old the feed's heartbeat
    may be.
    """

    def __init__(self, int symbol_id, uint64_t epoch, ladder, state, decisions, QuoterCounters[::1] counters,
                 int64_t feed_silent_ns=250_000_000):
        QuoterView.__init__(self, symbol_id, epoch, counters, feed_silent_ns)
        self.ladder_ring = RingWriter(ladder, records.LADDER)
        self.state_ring = RingWriter(state, records.QUOTER_STATE)
        self.decisions_ring = RingWriter(decisions, records.DECISION)

    def restore(self, const QuoterState[::1] state):
        """Begin warm with what an earlier life published; the caller knows that it is young enough."""
        self.signals.restore(&state[0])
        self.skew_anchor = state[0].skew_anchor
        self.exits.restore(&state[0])
        resume_mode(&self.mode_state, &state[0])

    def note_freeze(self):
        """Say that this process did not run for longer than its limit: the next step pulls the quotes."""
        self.froze = True
        self.counters.freezes += 1

    def take_transitions(self):
        """Return the mode changes since the last call as dicts, oldest first; at most the newest TRANSITIONS."""
        first = max(self.transitions_told, self.transitions_made - min(self.transitions_made, TRANSITIONS))
        self.transitions_told = self.transitions_made
        return [self.transitions[n % TRANSITIONS] for n in range(first, self.transitions_made)]

    def step_at(self, int64_t now_ns):
        """Step from Python, for tests, replay and backtest; return whether a ladder was published."""
        return self.step(now_ns)

    def run_steps(self, int64_t now_ns, int64_t period_ns, int count):
        """Take `count` steps `period_ns` apart without returning to Python; return how many published a ladder."""
        cdef int i, published = 0
        with nogil:
            for i in range(count):
                published += self.step(now_ns + i * period_ns)
                self.stamp(now_ns + i * period_ns)
        return published

    @property
    def latch_wanted(self):
        """The Reason to latch this symbol for, now that its position is closed; REASON_NONE = no latch is wanted."""
        return self.mode_state.stop if self.mode_state.latch_wanted else REASON_NONE

    @property
    def flatten_step(self):
        """How far a flattening has gone: 0..FLATTEN_STEPS."""
        return self.exits.flattening.step

    @property
    def mode(self):
        return self.mode_state.mode

    @property
    def reason(self):
        return self.mode_state.reason

    # ---- the step, from top to bottom

    cdef bint step(self, int64_t now_ns) noexcept nogil:
        # Own orders first: quote on the inventory we have, not on the one we had.
        cdef bint own_changed = self.read_own(now_ns)
        cdef bint news = self.read_control() or own_changed
        news = self.read_exec() or news
        cdef bint ticked = self.read_market(own_changed)
        cdef bint published = False
        self.count_time(now_ns)
        self.judge_fills(now_ns)
        news = self.read_tape() or news
        self.see_queues()
        news = self.sample(now_ns) or news
        if news or ticked:
            self.see_market(now_ns)
        self.weigh(now_ns)
        news = self.advance_mode(now_ns) or news
        self.cause_recv_mono_ns = 0
        self.decided = news or ticked or self.idle_ns(now_ns) <= 0
        if self.decided:
            self.counters.steps += 1
            self.consider(now_ns)
            published = self.must_publish(now_ns)
            if published:
                if self.mode_state.mode == MODE_GRINDING:
                    self.write_state(now_ns)     # what may be lost stands there before anything can lose it
                self.publish(now_ns, ticked)
            self.write_decision(now_ns, self.published.seq if published else 0)
            measure_top(&self.top_error, &self.verdict, &self.live)
        if now_ns - self.state_mono_ns >= STATE_NS:
            self.write_state(now_ns)
        return published

    cdef void stamp(self, int64_t end_ns) noexcept nogil:
        """Count how long the step took; the loop reads the clock, the core may not."""
        if self.decided:
            record(self.counters.decide_ns, end_ns - self.step_mono_ns)
        if self.cause_recv_mono_ns:
            record(self.counters.tick_to_ladder_ns, end_ns - self.cause_recv_mono_ns)

    cdef int64_t idle_ns(self, int64_t now_ns) noexcept nogil:
        """Return how long nothing is due of itself: the next republication, or a price change that had to wait."""
        cdef int64_t wait_ns = self.params.republish_ns if self.params.seq else REPUBLISH_NS
        if self.deferred:
            wait_ns = min(wait_ns, self.params.min_requote_ns)
        if self.published.seq == 0:
            return 0
        wait_ns = self.published_mono_ns + wait_ns - now_ns
        if MODE_PINNING <= self.mode_state.mode <= MODE_FLATTENING:
            wait_ns = min(wait_ns, self.decided_mono_ns + EXITS_NS - now_ns)
        return wait_ns

    # ---- the mode

    cdef bint advance_mode(self, int64_t now_ns) noexcept nogil:
        cdef Conditions now
        cdef Transition *transition
        cdef uint8_t old = self.mode_state.mode
        self.look(&now, now_ns)
        self.told = (
            TOLD_FEED_ALIVE * now.feed_alive | TOLD_LATCHED * now.latched
            | TOLD_LOSS_LATCHED * self.loss_latched | TOLD_FROZE * now.froze
        )
        self.froze = False
        if not advance(&self.mode_state, &now, &self.params, now_ns):
            return False
        if old != self.mode_state.mode:
            self.exits.change_mode(old, self.mode_state.mode, fabs(self.verdict.ratio), now_ns)
            if old == MODE_COOLING or old == MODE_HALTED:
                forget_peak(&self.exits.gains)
            self.state_mono_ns = 0           # the next life must know, so it is written in this step
        self.counters.mode_changes += old != self.mode_state.mode
        self.counters.mode_entries[self.mode_state.mode] += old != self.mode_state.mode
        transition = &self.transitions[self.transitions_made % TRANSITIONS]
        transition.at_mono_ns, transition.old, transition.new = now_ns, old, self.mode_state.mode
        transition.reason, transition.ratio = self.mode_state.reason, self.verdict.ratio
        transition.sigma_30m = self.market.sigma_30m
        self.transitions_made += 1
        return True

    # ---- deciding

    cdef void consider(self, int64_t now_ns) noexcept nogil:
        """Make `wanted`: what the mode shows, and the take that is wanted."""
        cdef uint8_t mode = self.mode_state.mode
        cdef Surroundings s
        self.decided_mono_ns = now_ns
        if mode != MODE_NORMAL or not self.quote(now_ns):
            self.blank(now_ns)
        if MODE_PINNING <= mode <= MODE_FLATTENING and self.own.seq:
            self.surround(&s, now_ns)
            if mode == MODE_PINNING:
                self.exits.pin_ladder(&s, &self.wanted)
            elif mode == MODE_GRINDING:
                self.exits.grind_ladder(&s, &self.wanted)
            else:
                self.exits.flatten(&s)
        show_take(&self.exits.take, &self.wanted)
        self.count_exits()
        self.wanted.symbol_id = self.symbol_id
        self.wanted.quoter_epoch = self.epoch
        self.wanted.own_seq = self.own.seq
        self.wanted.own_epoch = self.own.epoch
        self.wanted.sync_id = self.book.sync_id

    cdef void blank(self, int64_t now_ns) noexcept nogil:
        memset(&self.wanted, 0, sizeof(Ladder))
        self.wanted.decided_mono_ns = now_ns
        self.wanted.params_version = self.params.params_version
        self.wanted.mode = self.mode_state.mode
        self.wanted.reason = self.mode_state.reason
        self.counters.stale_books += (
            self.mode_state.reason == REASON_BOOK_UNSYNCED or self.mode_state.reason == REASON_BOOK_STALE
        )

    cdef bint quote(self, int64_t now_ns) noexcept nogil:
        if self.params.net_max_lots <= 0 or self.params.near_layers == 0:
            return False
        cdef double ratio = self.live.position_lots / <double>self.params.net_max_lots
        self.skew_anchor = anchored(self.skew_anchor, ratio, self.params.skew_dead_band)
        self.market.skew_anchor = self.skew_anchor
        self.market.inventory_sizes = self.live.position_lots / <double>max(1, self.params.near_size_lots)
        if self.seen_mono_ns != now_ns:
            self.see_market(now_ns)
        self.recall(now_ns)
        decide(&self.market, &self.live, &self.learned, &self.params, now_ns, &self.wanted, &self.verdict)
        self.count_verdict()
        return True

    cdef void count_exits(self) noexcept nogil:
        self.counters.takes, self.counters.takes_filled_lots = self.exits.takes, self.exits.takes_filled_lots
        self.counters.stops, self.counters.escalations = self.exits.stops, self.exits.escalations

    cdef void count_verdict(self) noexcept nogil:
        cdef QuoterCounters *counters = self.counters
        counters.decisions += 1
        counters.kept_layers += self.verdict.kept_layers
        counters.queue_kept += self.verdict.queue_kept_layers
        counters.trimmed_layers += self.verdict.trimmed_layers
        counters.clamped_layers += self.verdict.clamped_layers
        counters.merged_layers += self.verdict.merged_layers
        counters.dropped_layers += self.verdict.dropped_layers
        counters.own_cross += self.verdict.crossing_layers
        counters.empty_sides += (self.wanted.bid_layers == 0) + (self.wanted.ask_layers == 0)

    # ---- publishing

    cdef bint must_publish(self, int64_t now_ns) noexcept nogil:
        cdef const Ladder *new = &self.wanted
        cdef const Ladder *old = &self.published
        cdef int64_t age_ns = now_ns - self.published_mono_ns
        if old.seq == 0 or differ_in_shape(new, old):
            return True
        # After a fill or a reject the gateway adds nothing until a ladder shows that it has seen it.
        if new.own_epoch != old.own_epoch or self.own.must_see_seq > old.own_seq:
            return True
        self.deferred = differ_in_price(new, old)
        if self.deferred and age_ns >= self.params.min_requote_ns:
            return True
        self.counters.ladders_unchanged += not self.deferred
        return age_ns >= (self.params.republish_ns if self.params.seq else REPUBLISH_NS)

    cdef void publish(self, int64_t now_ns, bint ticked) noexcept nogil:
        if ticked:
            self.cause_recv_mono_ns = self.wanted.cause_recv_mono_ns = self.tick_recv_mono_ns
            self.wanted.cause_update_id = self.tick_update_id
        self.published = self.wanted
        self.published.seq = self.ladder_ring.publish(&self.published)
        self.published_mono_ns = now_ns
        self.deferred = False
        self.counters.ladders += 1

    cdef void write_decision(self, int64_t now_ns, uint64_t ladder_seq) noexcept nogil:
        cdef Decision decision
        memset(&decision, 0, sizeof(Decision))
        decision.now_mono_ns = now_ns
        decision.bbo_seq, decision.book_seq, decision.tape_seq = self.bbo.seq, self.book.seq, self.tape_seq
        decision.leader_bbo_seq, decision.own_seq = self.leader.seq, self.own.seq
        decision.params_version = self.params.params_version
        decision.ladder_seq, decision.ladder_hash = ladder_seq, ladder_hash(&self.wanted)
        decision.fair_ticks = self.market.fair_ticks
        decision.reservation_ticks = self.verdict.quote.reservation_ticks
        decision.half_spread_ticks = self.verdict.quote.half_spread_ticks
        decision.sigma_30m = self.market.sigma_30m
        decision.symbol_id, decision.mode, decision.reason = self.symbol_id, self.wanted.mode, self.wanted.reason
        decision.bid_layers, decision.ask_layers = self.wanted.bid_layers, self.wanted.ask_layers
        if self.wanted.mode == MODE_NORMAL:
            decision.kept_orders = self.verdict.kept_layers
            decision.trimmed_layers = self.verdict.trimmed_layers
        decision.lost = self.counters.lost_records + self.counters.exec_lost
        decision.exec_seq, decision.operator_seq, decision.told = self.exec_seq, self.operator.seq, self.told
        self.decisions_ring.publish(&decision)

    cdef void write_state(self, int64_t now_ns) noexcept nogil:
        cdef QuoterState state
        memset(&state, 0, sizeof(QuoterState))
        state.now_mono_ns, state.ts_ns = now_ns, now_ns + self.utc_minus_mono_ns
        state.params_version = self.params.params_version
        state.symbol_id, state.inventory_lots = self.symbol_id, self.live.position_lots
        state.mid_ticks, state.micro_ticks = self.market.mid_ticks, self.market.micro_ticks
        state.fair_ticks, state.spread_ticks = self.market.fair_ticks, self.market.spread_ticks
        state.reservation_ticks = self.verdict.quote.reservation_ticks
        state.skew_ticks = self.verdict.quote.skew_ticks
        state.funding_bias_ticks = self.verdict.quote.funding_bias_ticks
        state.half_spread_ticks = self.verdict.quote.half_spread_ticks
        state.distance_0_ticks = self.verdict.quote.distance_0_ticks
        state.vol_scale, state.ratio = self.verdict.quote.vol_scale, self.verdict.ratio
        self.signals.save(&self.market, &state)
        state.skew_anchor = self.skew_anchor
        state.worst_buy_lots, state.worst_sell_lots = self.verdict.worst_buy_lots, self.verdict.worst_sell_lots
        state.quoted_both_ns, state.quotable_ns = self.quoted_both_ns, self.quotable_ns
        state.gap_ticks = gap_ticks(&self.live)
        self.exits.save(&state)
        save_mode(&self.mode_state, &state)
        state.front_buy_lots = front_lots(&self.own_queue, BUY)
        state.front_sell_lots = front_lots(&self.own_queue, SELL)
        state.top_bid_error_ticks, state.top_ask_error_ticks = self.top_error.ticks[0], self.top_error.ticks[1]
        self.state_ring.publish(&state)
        self.state_mono_ns = now_ns

    cdef void count_time(self, int64_t now_ns) noexcept nogil:
        cdef int64_t elapsed_ns = now_ns - self.step_mono_ns if self.step_mono_ns else 0
        self.step_mono_ns = now_ns
        self.counters.mode_ns[self.mode_state.mode] += elapsed_ns
        if self.mode_state.mode == MODE_NORMAL:
            self.quotable_ns += elapsed_ns
            if self.published.bid_layers and self.published.ask_layers:
                self.quoted_both_ns += elapsed_ns
            count_top(&self.top_error, elapsed_ns, self.counters)


cdef int64_t gap_ticks(const Live *live) noexcept nogil:
    """Return the distance between our nearest live bid and ask, 0 while a side has none."""
    if live.sides[0].orders == 0 or live.sides[1].orders == 0:
        return 0
    return llabs(live.sides[0].price_ticks[0] - live.sides[1].price_ticks[0])


cdef bint differ_in_shape(const Ladder *a, const Ladder *b) noexcept nogil:
    """Whether anything but prices differs; unused layers are zero in both."""
    return (
        a.mode != b.mode or a.reason != b.reason or a.params_version != b.params_version
        or a.take_n != b.take_n or a.take_deadline_mono_ns != b.take_deadline_mono_ns
        or a.bid_reduce_only != b.bid_reduce_only or a.ask_reduce_only != b.ask_reduce_only
        or a.bid_layers != b.bid_layers or a.ask_layers != b.ask_layers
        or memcmp(a.bid_layer, b.bid_layer, LADDER_LAYERS) != 0 or memcmp(a.ask_layer, b.ask_layer, LADDER_LAYERS) != 0
        or memcmp(a.bid_qty_lots, b.bid_qty_lots, sizeof(a.bid_qty_lots)) != 0
        or memcmp(a.ask_qty_lots, b.ask_qty_lots, sizeof(a.ask_qty_lots)) != 0
    )


cdef bint differ_in_price(const Ladder *a, const Ladder *b) noexcept nogil:
    return (
        memcmp(a.bid_price_ticks, b.bid_price_ticks, sizeof(a.bid_price_ticks)) != 0
        or memcmp(a.ask_price_ticks, b.ask_price_ticks, sizeof(a.ask_price_ticks)) != 0
    )
