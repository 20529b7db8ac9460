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
    BOOK_CROSSED, BOOK_ONE_SIDED, BOOK_UNSYNCED, BUY, EXEC_FILL, EXEC_REJECT, MODE_COOLING, MODE_FLATTENING,
    MODE_GRINDING, MODE_HALTED, MODE_NORMAL, MODE_PAUSED, MODE_PINNING, OPERATOR_NONE,
    REASON_BOOK_STALE, REASON_BOOK_UNSYNCED, REASON_DAILY_LOSS, REASON_NONE, REASON_WARMING_UP, SELL, TAPE_MARK,
    TAPE_TRADE, TOLD_FEED_ALIVE, TOLD_FROZE, TOLD_LATCHED, TOLD_LOSS_LATCHED,
)
from phx._core.exits cimport Exits, Surroundings
from phx._core.histogram cimport record
from phx._core.live cimport sort_live
from phx._core.mark_outs cimport MarkOuts
from phx._core.modes cimport advance, resume_mode, save_mode
from phx._core.pinning cimport out_of_patience
from phx._core.own_queue cimport follow_orders, front_lots, see_book, see_new_orders, see_top, see_trade
from phx._core.post_only cimport note_refused, refused_ticks
from phx._core.quoter_inputs cimport QuoterInputs, refresh
from phx._core.records cimport LADDER_LAYERS, MAX_SYMBOLS, Decision, ExecEvent, QuoterState, TapeEvent
from phx._core.ring cimport RING_LAPPED, RING_OK
from phx._core.signals cimport foreign_touch
from phx._core.stops cimport forget_peak, stop_reason, value_gains
from phx._core.takes cimport show_take
from phx._core.top_error cimport count_top, measure_top

from phx._core import records

cdef int64_t STATE_NS = 100_000_000          # state for people and for the next life: at most ten times a second
cdef int64_t REPUBLISH_NS = 500_000_000      # as long as no parameters are known
cdef int64_t EXITS_NS = 20_000_000           # modes that reduce are thought about at least so often
cdef int64_t MARK_MAX_AGE_NS = 10_000_000_000    # the mark comes every second
cdef double ONE_E8 = 1e8
cdef int POST_ONLY_REFUSED = -5022           # the venue's code


@cython.final
cdef class QuoterCore(QuoterInputs):
    """One symbol's quoter.

    symbol_id: index in records. epoch: this life's number, larger than any earlier one's. ladder, state, decisions:
    writable ring memory. counters: array of one QUOTER_COUNTERS record. feed_silent_ns: how old the feed's heartbeat
    may be.
    """

    def __init__(self, int symbol_id, uint64_t epoch, ladder, state, decisions, QuoterCounters[::1] counters,
                 int64_t feed_silent_ns=250_000_000):
        if not 0 <= symbol_id < MAX_SYMBOLS:
            raise ValueError(f"symbol_id {symbol_id}, expected 0..{MAX_SYMBOLS - 1}")
        if counters.shape[0] != 1:
            raise ValueError(f"{counters.shape[0]} counter blocks, expected one")
        self.symbol_id = symbol_id
        self.epoch = epoch
        self.feed_silent_ns = feed_silent_ns
        self.ladder_ring = RingWriter(ladder, records.LADDER)
        self.state_ring = RingWriter(state, records.QUOTER_STATE)
        self.decisions_ring = RingWriter(decisions, records.DECISION)
        self.counters = &counters[0]
        self.counters_memory = counters
        self.signals = Signals()
        self.mark_outs = MarkOuts()
        self.exits = Exits(epoch)
        self.mode_state.mode = MODE_PAUSED
        self.mode_state.reason = REASON_WARMING_UP

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

    # ---- reading

    cdef bint read_own(self, int64_t now_ns) noexcept nogil:
        cdef Own scratch
        if not refresh(self.own_ring, &self.own, sizeof(Own), &scratch):
            return False
        sort_live(&self.own, &self.live)
        follow_orders(&self.own_queue, &self.live, self.own.epoch)
        if self.book.seq and self.params.seq and not self.book.flags & BOOK_UNSYNCED:
            see_new_orders(&self.own_queue, &self.book, &self.params)
        self.exits.read_own(&self.own, now_ns)
        return True

    cdef bint read_exec(self) noexcept nogil:
        """Read what happened to our orders, in order; return whether anything did. Bounded by what the ring holds."""
        cdef ExecEvent event
        cdef bint happened = False
        cdef int result
        if self.exec_ring is None:
            return False
        while self.exec_ring.has_news():
            result = self.exec_ring.read(&event)
            if result == RING_LAPPED:
                continue
            if result != RING_OK:
                break
            happened = True
            self.exec_seq = event.seq
            self.on_exec(&event)
        if self.exec_ring.lost != self.counters.exec_lost:
            self.exits.on_lost_fills(self.step_mono_ns)
        self.counters.exec_lost = self.exec_ring.lost
        return happened

    cdef void on_exec(self, const ExecEvent *event) noexcept nogil:
        """Tell everybody who learns from our own events; `own` alone says what exists."""
        self.mark_outs.add(event, self.counters)
        if event.kind == EXEC_REJECT and event.venue_code == POST_ONLY_REFUSED and self.params.seq:
            note_refused(&self.refused, event.side, event.layer, &self.params, event.recv_mono_ns)
            self.counters.post_only_learned += 1
        if event.kind == EXEC_FILL:
            self.exits.on_fill(event, &self.params)
            self.state_mono_ns = 0           # what it lost is written down in this step

    cdef bint read_market(self, bint own_changed) noexcept nogil:
        cdef Book book
        cdef Bbo bbo
        cdef bint led = refresh(self.leader_ring, &self.leader, sizeof(Bbo), &bbo)
        self.saw_book = refresh(self.book_ring, &self.book, sizeof(Book), &book)
        self.saw_top = refresh(self.bbo_ring, &self.bbo, sizeof(Bbo), &bbo)
        cdef bint ticked = self.saw_book or self.saw_top
        if (ticked or own_changed) and self.book.seq and self.bbo.seq:
            self.two_sided = foreign_touch(
                &self.book, &self.bbo, &self.live, max(1, <int>self.params.imbalance_levels), &self.touch
            )
        if ticked and not self.touch.top_is_newer:
            self.tick_recv_mono_ns, self.tick_update_id = self.book.recv_mono_ns, self.book.update_id
        elif ticked:
            self.tick_recv_mono_ns, self.tick_update_id = self.bbo.recv_mono_ns, self.bbo.update_id
        elif led:
            self.tick_recv_mono_ns, self.tick_update_id = self.leader.recv_mono_ns, self.leader.update_id
        return ticked or led

    cdef bint read_tape(self) noexcept nogil:
        """Read trades and marks in order; return whether a mark was among them. Bounded by what the ring can hold."""
        cdef TapeEvent event
        cdef bint marked = False
        cdef int result
        if self.tape_ring is None:
            return False
        while self.tape_ring.has_news():
            result = self.tape_ring.read(&event)
            if result == RING_LAPPED:
                continue
            if result != RING_OK:
                break
            self.tape_seq = event.seq
            if not self.params.seq:
                continue
            if event.kind == TAPE_TRADE:
                self.signals.on_trade(&event, &self.params)
                see_trade(&self.own_queue, &event)
            elif event.kind == TAPE_MARK:
                marked = True
                self.mark_ticks, self.mark_mono_ns = event.price_ticks, event.recv_mono_ns
                self.signals.on_mark(
                    event.recv_mono_ns, event.funding_rate_e8 / ONE_E8, event.next_funding_s, &self.params
                )
        self.counters.lost_records = self.tape_ring.lost
        return marked

    cdef void see_queues(self) noexcept nogil:
        """Follow our orders' queues through what this step read: depth comes after the trades that it holds."""
        if self.saw_book and not self.book.flags & BOOK_UNSYNCED and self.params.seq:
            see_book(&self.own_queue, &self.book, &self.params)
        if self.saw_top and self.touch.top_is_newer and not self.bbo.flags & BOOK_UNSYNCED:
            see_top(&self.own_queue, &self.bbo)

    cdef bint sample(self, int64_t now_ns) noexcept nogil:
        """Take this second's sample if the market can be trusted; return whether one was due."""
        if not self.signals.sample_due(now_ns) or not self.params.seq or not self.book.seq or not self.bbo.seq:
            return False
        if not self.mid_trusted(now_ns):
            return False
        self.signals.sample(now_ns, &self.touch, self.leader_mid_ticks(now_ns), &self.params)
        return True

    cdef bint mid_trusted(self, int64_t now_ns) noexcept nogil:
        """Whether the market without us has a middle that is fresh and of a synced book."""
        cdef Conditions now
        self.look(&now, now_ns)
        if not now.known or not now.two_sided or now.book_flags & (BOOK_UNSYNCED | BOOK_CROSSED):
            return False
        return now.data_age_ns <= now.data_max_age_ns

    cdef void judge_fills(self, int64_t now_ns) noexcept nogil:
        """Compare the fills that have reached a horizon with the mid now."""
        if self.mark_outs.due(now_ns):
            self.mark_outs.judge(
                now_ns, self.touch.bids.price_ticks[0] + self.touch.asks.price_ticks[0], self.mid_trusted(now_ns),
                self.counters,
            )

    cdef double leader_mid_ticks(self, int64_t now_ns) noexcept nogil:
        """Return the leader's mid in its own ticks, 0 when there is none or it is stale."""
        if self.leader.seq == 0 or self.leader.flags & (BOOK_UNSYNCED | BOOK_CROSSED | BOOK_ONE_SIDED):
            return 0
        if now_ns - self.leader.recv_mono_ns > self.params.book_max_age_ns:
            return 0
        return (self.leader.bid_price_ticks + self.leader.ask_price_ticks) / 2.0

    # ---- the mode

    cdef void look(self, Conditions *now, int64_t now_ns) noexcept nogil:
        cdef uint8_t wants = self.operator.wanted[self.symbol_id] if self.operator.seq else <uint8_t>OPERATOR_NONE
        now.latched = self.latched
        now.operator_wants = wants
        now.known = self.own.seq != 0 and self.params.seq != 0 and self.book.seq != 0 and self.bbo.seq != 0
        now.enabled = self.params.enabled
        now.froze = self.froze
        now.feed_alive = (
            self.feed_heartbeat_mono_ns != 0 and now_ns - self.feed_heartbeat_mono_ns <= self.feed_silent_ns
        )
        now.gateway_ready = self.own.ready
        now.gateway_blocked = self.own.blocked
        # The depth stream knows whether it is synced; the newer of the two knows the best prices.
        now.book_flags = self.book.flags
        if self.touch.top_is_newer:
            now.book_flags = self.bbo.flags | (self.book.flags & BOOK_UNSYNCED)
        now.data_age_ns = now_ns - max(self.bbo.recv_mono_ns, self.book.recv_mono_ns)
        now.data_max_age_ns = self.params.book_max_age_ns
        now.two_sided = self.two_sided
        now.toxic = self.signals.toxic(now_ns)
        # A gateway that still restores its books says nothing about the position.
        now.measured = self.own.seq != 0 and self.own.ready and self.params.net_max_lots > 0
        if now.measured:
            self.look_at_inventory(now, now_ns)

    cdef void look_at_inventory(self, Conditions *now, int64_t now_ns) noexcept nogil:
        cdef int64_t held = llabs(self.live.position_lots)
        now.ratio = held / <double>self.params.net_max_lots
        now.sigma_30m = self.market.sigma_30m
        now.budget_empty = self.exits.exhausted
        now.patience_over = self.mode_state.mode == MODE_PINNING and out_of_patience(
            &self.exits.pin, now.ratio, &self.params, now_ns)
        now.stop = stop_reason(&self.exits.gains, &self.own, self.valuation_ticks(now_ns), &self.params)
        if self.loss_latched:
            now.stop = REASON_DAILY_LOSS
        # Less than the venue's smallest order cannot be closed; what is live may still open something.
        now.flat = (held <= self.params.flatten_target_lots or held < self.params.min_qty_lots) and (
            self.live.sides[0].total_lots == 0 and self.live.sides[1].total_lots == 0
        )

    cdef bint see_market(self, int64_t now_ns) noexcept nogil:
        """Read the signals if there is a market to read; return whether there is."""
        cdef double leader_mid_ticks
        if not self.params.seq or not self.two_sided or self.params.net_max_lots <= 0:
            return False
        self.seen_mono_ns = now_ns
        leader_mid_ticks = self.leader_mid_ticks(now_ns)
        self.signals.read(&self.touch, leader_mid_ticks, &self.params, now_ns, &self.market)
        self.counters.leader_stale += self.leader_ring is not None and leader_mid_ticks <= 0
        return True

    cdef double valuation_ticks(self, int64_t now_ns) noexcept nogil:
        """Return the price that stops are judged by: the mark, else a trusted mid, else 0."""
        if self.mark_ticks > 0 and now_ns - self.mark_mono_ns <= MARK_MAX_AGE_NS:
            return self.mark_ticks
        cdef int64_t age_ns = now_ns - max(self.bbo.recv_mono_ns, self.book.recv_mono_ns)
        return self.market.mid_ticks if self.two_sided and age_ns <= self.params.book_max_age_ns else 0

    cdef void weigh(self, int64_t now_ns) noexcept nogil:
        """Value the inventory, and what grinding it may still lose."""
        cdef double price_ticks = self.valuation_ticks(now_ns)
        cdef Surroundings s
        if self.own.seq == 0 or not self.own.ready or self.params.net_max_lots <= 0:
            return
        self.verdict.ratio = self.live.position_lots / <double>self.params.net_max_lots
        if price_ticks > 0:
            value_gains(&self.exits.gains, &self.own, price_ticks, &self.params)
        if fabs(self.verdict.ratio) >= self.params.pin_exit or self.mode_state.mode != MODE_NORMAL:
            self.surround(&s, now_ns)
            self.exits.weigh(&s)

    cdef void surround(self, Surroundings *s, int64_t now_ns) noexcept nogil:
        s.own, s.live, s.book, s.touch = &self.own, &self.live, &self.book, &self.touch
        s.market, s.params, s.now_ns = &self.market, &self.params, now_ns
        s.sees = self.mid_trusted(now_ns) and now_ns - self.feed_heartbeat_mono_ns <= self.feed_silent_ns

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

    cdef void recall(self, int64_t now_ns) noexcept nogil:
        """Say what is known of our orders: their places, what was refused, and whether more of them can be afforded."""
        cdef bint refused = refused_ticks(&self.refused, &self.params, now_ns, self.refused_ticks)
        cdef int s
        for s in range(2):
            self.learned.place[s] = self.own_queue.sides[s].place
            self.learned.refused_ticks[s] = self.refused_ticks[s] if refused else NULL
        self.learned.scarce = (
            2 * self.own.orders_10s > self.own.orders_10s_limit > 0
            or 2 * self.own.orders_60s > self.own.orders_60s_limit > 0
        )

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
