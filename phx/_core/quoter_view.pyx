"""What a quoter knows: the newest of each source and all that follows from it. Nothing is decided here."""

from libc.math cimport fabs
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport llabs

from phx._core.enums cimport (
    BOOK_CROSSED, BOOK_ONE_SIDED, BOOK_UNSYNCED, EXEC_FILL, EXEC_REJECT, MODE_NORMAL, MODE_PAUSED, MODE_PINNING,
    OPERATOR_NONE, REASON_DAILY_LOSS, REASON_WARMING_UP, TAPE_MARK, TAPE_TRADE,
)
from phx._core.exits cimport Exits, Surroundings
from phx._core.live cimport sort_live
from phx._core.mark_outs cimport MarkOuts
from phx._core.modes cimport Conditions
from phx._core.own_queue cimport follow_orders, see_book, see_new_orders, see_top, see_trade
from phx._core.pinning cimport out_of_patience
from phx._core.post_only cimport note_refused, refused_ticks
from phx._core.quoter_inputs cimport QuoterInputs, refresh
from phx._core.records cimport MAX_SYMBOLS, Bbo, Book, ExecEvent, Own, QuoterCounters, TapeEvent
from phx._core.ring cimport RING_LAPPED, RING_OK
from phx._core.signals cimport Signals, foreign_touch
from phx._core.stops cimport stop_reason, value_gains

cdef int64_t MARK_MAX_AGE_NS = 10_000_000_000    # the mark comes every second
cdef double ONE_E8 = 1e8
cdef int POST_ONLY_REFUSED = -5022           # the venue's code


cdef class QuoterView(QuoterInputs):
    """The knowing half of QuoterCore, which alone makes one.

    symbol_id: index in records. epoch: this life's number. counters: array of one QUOTER_COUNTERS record.
    feed_silent_ns: how old the feed's heartbeat may be.
    """

    def __init__(self, int symbol_id, uint64_t epoch, QuoterCounters[::1] counters, int64_t feed_silent_ns):
        if not 0 <= symbol_id < MAX_SYMBOLS:
            raise ValueError(f"symbol_id {symbol_id}, expected 0..{MAX_SYMBOLS - 1}")
        if counters.shape[0] != 1:
            raise ValueError(f"{counters.shape[0]} counter blocks, expected one")
        self.symbol_id = symbol_id
        self.epoch = epoch
        self.feed_silent_ns = feed_silent_ns
        self.counters = &counters[0]
        self.counters_memory = counters
        self.signals = Signals()
        self.mark_outs = MarkOuts()
        self.exits = Exits(epoch)
        self.mode_state.mode = MODE_PAUSED
        self.mode_state.reason = REASON_WARMING_UP

    # ---- our own orders and what happened to them

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

    cdef void judge_fills(self, int64_t now_ns) noexcept nogil:
        """Compare the fills that have reached a horizon with the mid now."""
        if self.mark_outs.due(now_ns):
            self.mark_outs.judge(
                now_ns, self.touch.bids.price_ticks[0] + self.touch.asks.price_ticks[0], self.mid_trusted(now_ns),
                self.counters,
            )

    # ---- the market

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

    cdef bint mid_trusted(self, int64_t now_ns) noexcept nogil:
        """Whether the market without us has a middle that is fresh and of a synced book."""
        cdef Conditions now
        self.look(&now, now_ns)
        if not now.known or not now.two_sided or now.book_flags & (BOOK_UNSYNCED | BOOK_CROSSED):
            return False
        return now.data_age_ns <= now.data_max_age_ns

    cdef double leader_mid_ticks(self, int64_t now_ns) noexcept nogil:
        """Return the leader's mid in its own ticks, 0 when there is none or it is stale."""
        if self.leader.seq == 0 or self.leader.flags & (BOOK_UNSYNCED | BOOK_CROSSED | BOOK_ONE_SIDED):
            return 0
        if now_ns - self.leader.recv_mono_ns > self.params.book_max_age_ns:
            return 0
        return (self.leader.bid_price_ticks + self.leader.ask_price_ticks) / 2.0

    cdef double valuation_ticks(self, int64_t now_ns) noexcept nogil:
        """Return the price that stops are judged by: the mark, else a trusted mid, else 0."""
        if self.mark_ticks > 0 and now_ns - self.mark_mono_ns <= MARK_MAX_AGE_NS:
            return self.mark_ticks
        cdef int64_t age_ns = now_ns - max(self.bbo.recv_mono_ns, self.book.recv_mono_ns)
        return self.market.mid_ticks if self.two_sided and age_ns <= self.params.book_max_age_ns else 0

    # ---- what modes and exits go by

    cdef void look(self, Conditions *now, int64_t now_ns) noexcept nogil:
        cdef int64_t bid_ticks = self.touch.bids.price_ticks[0], ask_ticks = self.touch.asks.price_ticks[0]
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
        # C17: between prices so far apart is no market, and we would be the only ones in it.
        now.wide = self.two_sided and 2 * (ask_ticks - bid_ticks) > self.params.collar_mid * (bid_ticks + ask_ticks)
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
