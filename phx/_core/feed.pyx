"""The hot half of a feed process: frames in; top of book, book and tape records out. Pure: no socket, no clock.

Top of book comes from whichever is newer, bookTicker or the rebuilt book; both count in the same update ids. The book
is void from the moment a delta is missing or the stream is gone: then one record of each ring says so, and none is
good again before a snapshot was joined to the deltas.
"""

from phx._core cimport histogram
from phx._core.binance.decode cimport (
    DECODE_FRAME_BYTES, DECODE_SLACK, EVENT_AGG_TRADE, EVENT_BOOK_TICKER, EVENT_CONTROL, EVENT_DEPTH, EVENT_MARK,
    EVENT_NONE, EVENT_SNAPSHOT, EVENT_TRADE, REFUSED_OFF_GRID, REFUSED_SYMBOL, FrameCopy)
from phx._core.enums cimport (
    BOOK_CROSSED, BOOK_ONE_SIDED, BOOK_SATURATED, BOOK_UNSYNCED, ORIGIN_NONE, TAPE_MARK, TAPE_TRADE)
from phx._core.records cimport NO_PRICE
from phx._core.sequencer cimport SYNC_APPLIED, SYNC_DONE, SYNC_GAP, SYNC_OLD, SYNC_REFUSED

from phx._core import records
from phx._core.sequencer import SyncResult

cdef extern from *:
    """
    static inline int phx_low_bit(unsigned long long word) { return __builtin_ctzll(word); }
    """
    int phx_low_bit(uint64_t) noexcept nogil

cdef enum:
    MOST_LOTS = 0xFFFFFFFF               # a bbo's quantity saturates here
    DIFFERENT_IN_ROW = 3                 # so many tops in a row unlike bookTicker: the book is wrong


cdef inline void set_best(Bbo *bbo, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
    cdef uint64_t lots = <uint64_t>qty_lots if qty_lots < MOST_LOTS else MOST_LOTS
    if price_ticks == NO_PRICE:
        bbo.flags |= BOOK_ONE_SIDED
    if qty_lots > MOST_LOTS:
        bbo.flags |= BOOK_SATURATED
    if side > 0:
        bbo.bid_price_ticks = price_ticks
        bbo.bid_qty_lots = lots
    else:
        bbo.ask_price_ticks = price_ticks
        bbo.ask_qty_lots = lots


cdef class InstrumentFeed:
    """One instrument: its book, what was published last, and when each of its streams last delivered."""

    def __init__(self, str symbol, int symbol_id, RingWriter bbo, RingWriter book, RingWriter tape, counters):
        cdef FeedCounters[::1] view = counters
        self.symbol = symbol
        self.sequencer = Sequencer()
        self.check = TopCheck()
        self.bbo_ring, self.book_ring, self.tape_ring = bbo, book, tape
        self.counters_view = view
        self.counters = &view[0]
        self.connected = True
        self.bbo.symbol_id = self.book.symbol_id = self.tape.symbol_id = symbol_id
        self.bbo.bid_price_ticks = self.bbo.ask_price_ticks = NO_PRICE

    cdef void on_book_ticker(self, const phx_event *event, int64_t recv_mono_ns) noexcept nogil:
        cdef Top ticker
        cdef Bbo *bbo = &self.bbo
        ticker.update_id = event.update_id
        ticker.price_ticks = [event.price_ticks[0], event.price_ticks[1]]
        ticker.qty_lots = [event.qty_lots[0], event.qty_lots[1]]
        self.check.on_ticker(&ticker)
        if event.update_id <= bbo.update_id:
            return                       # the book said so already, or another connection did
        bbo.update_id = event.update_id
        bbo.ts_event_ns = event.ts_event_ns
        bbo.recv_mono_ns = recv_mono_ns
        bbo.flags = 0
        set_best(bbo, 1, event.price_ticks[0], event.qty_lots[0])
        set_best(bbo, -1, event.price_ticks[1], event.qty_lots[1])
        self.publish_bbo()

    cdef bint on_depth(self, const phx_event *event, int64_t recv_mono_ns, int64_t recv_utc_ns) noexcept nogil:
        """Take a delta; return whether the book changed."""
        cdef int result = self.sequencer.on_delta(event, recv_mono_ns)
        self.connected = True
        if result == SYNC_OLD:
            self.counters.diffs_ignored += 1
        elif result == SYNC_GAP:
            self.counters.gaps += 1
            self.publish_void(recv_mono_ns)
        elif result == SYNC_APPLIED:
            self.counters.diffs += 1
            self.book.ts_event_ns = event.ts_event_ns
            self.book.ts_recv_ns = recv_utc_ns
            self.book.recv_mono_ns = recv_mono_ns
            self.take_top(recv_mono_ns)
            return self.sequencer.synced
        return False

    cdef int on_snapshot(self, const phx_event *event, int64_t recv_mono_ns, int64_t recv_utc_ns) noexcept nogil:
        cdef int result
        if not self.connected:           # it could not be continued: whatever follows it goes nowhere
            self.sequencer.on_no_snapshot(recv_mono_ns)
            return SYNC_REFUSED
        result = self.sequencer.on_snapshot(event, recv_mono_ns)
        if result == SYNC_REFUSED:
            self.counters.snapshots_refused += 1
        elif result == SYNC_DONE:
            self.counters.resyncs += 1
            self.counters.synced = 1
            self.book.ts_event_ns = event.ts_event_ns
            self.book.ts_recv_ns = recv_utc_ns
            self.book.recv_mono_ns = recv_mono_ns
            self.take_top(recv_mono_ns)
            if self.sequencer.synced:
                self.publish_bbo()       # the flag is gone, even when bookTicker is ahead of the book
                self.publish_book()
        return result

    cdef void take_top(self, int64_t recv_mono_ns) noexcept nogil:
        """After the book changed: is it sound, does bookTicker agree, is it news?"""
        cdef Top top
        cdef Bbo *bbo = &self.bbo
        if self.sequencer.book.crossed():
            self.counters.crossed += 1
            self.make_void(recv_mono_ns)
            return
        top.update_id = self.sequencer.update_id
        top.price_ticks = [self.sequencer.book.best_ticks(1), self.sequencer.book.best_ticks(-1)]
        top.qty_lots = [self.sequencer.book.best_lots(1), self.sequencer.book.best_lots(-1)]
        self.check.on_top(&top)
        self.count_tops()
        if self.check.different_in_row >= DIFFERENT_IN_ROW:
            self.make_void(recv_mono_ns)
            return
        if top.update_id <= bbo.update_id:
            return
        bbo.update_id = top.update_id
        bbo.ts_event_ns = self.book.ts_event_ns
        bbo.recv_mono_ns = recv_mono_ns
        bbo.flags = 0
        set_best(bbo, 1, top.price_ticks[0], top.qty_lots[0])
        set_best(bbo, -1, top.price_ticks[1], top.qty_lots[1])
        self.publish_bbo()

    cdef void on_trade(self, const phx_event *event, int64_t recv_mono_ns) noexcept nogil:
        if event.kind == EVENT_TRADE and not self.has_trades:
            self.has_trades = True
            self.last_trade_id = 0       # aggregated trades are numbered apart
        if event.kind == EVENT_AGG_TRADE and self.has_trades or event.trade_id <= self.last_trade_id:
            return
        self.last_trade_id = event.trade_id
        self.counters.trades += 1
        if event.origin == ORIGIN_NONE:
            return                       # no price, no quantity: nothing was traded
        self.tape.kind = TAPE_TRADE
        self.tape.ts_event_ns = event.ts_event_ns
        self.tape.recv_mono_ns = recv_mono_ns
        self.tape.price_ticks = event.price_ticks[0]
        self.tape.qty_lots = event.qty_lots[0]
        self.tape.trade_id = event.trade_id
        self.tape.origin = event.origin
        self.tape.aggressor = event.aggressor
        self.tape.next_funding_s = 0
        self.tape.funding_rate_e8 = 0
        self.tape_ring.publish(&self.tape)
        self.news = True

    cdef void on_mark(self, const phx_event *event, int64_t recv_mono_ns) noexcept nogil:
        if event.ts_event_ns <= self.last_mark_ns:
            return
        self.last_mark_ns = event.ts_event_ns
        self.counters.marks += 1
        self.tape.kind = TAPE_MARK
        self.tape.ts_event_ns = event.ts_event_ns
        self.tape.recv_mono_ns = recv_mono_ns
        self.tape.price_ticks = event.price_ticks[0]
        self.tape.qty_lots = 0
        self.tape.trade_id = 0
        self.tape.origin = ORIGIN_NONE
        self.tape.aggressor = 0
        self.tape.next_funding_s = event.next_funding_s
        self.tape.funding_rate_e8 = event.funding_rate_e8
        self.tape_ring.publish(&self.tape)
        self.news = True

    cdef void make_void(self, int64_t now_mono_ns) noexcept nogil:
        """Declare the book void and say so, unless it is void already."""
        cdef bint was_synced = self.sequencer.synced
        self.sequencer.make_void(now_mono_ns)
        if was_synced:
            self.publish_void(now_mono_ns)

    cdef void lose(self, int64_t now_mono_ns) noexcept nogil:
        """Its streams are gone: void, and what comes next may be numbered anew (a venue that was restarted)."""
        self.make_void(now_mono_ns)
        self.connected = False
        self.check.forget()
        self.bbo.update_id = 0
        self.last_trade_id = 0

    cdef void count_tops(self) noexcept nogil:
        self.counters.top_checked = self.check.checked
        self.counters.top_different = self.check.different

    cdef void publish_void(self, int64_t now_mono_ns) noexcept nogil:
        # Prices stay as they were last, for those who look; the flag forbids quoting on them.
        self.counters.synced = 0
        self.check.different_in_row = 0
        self.bbo.recv_mono_ns = self.book.recv_mono_ns = now_mono_ns
        self.publish_bbo()
        self.publish_book()

    cdef void publish_bbo(self) noexcept nogil:
        cdef Bbo *bbo = &self.bbo
        bbo.sync_id = self.sequencer.sync_id
        bbo.flags &= ~(BOOK_UNSYNCED | BOOK_CROSSED)
        if not self.sequencer.synced:
            bbo.flags |= BOOK_UNSYNCED
        if not bbo.flags & BOOK_ONE_SIDED and bbo.bid_price_ticks >= bbo.ask_price_ticks:
            bbo.flags |= BOOK_CROSSED
        self.bbo_ring.publish(bbo)
        self.counters.bbo_records += 1
        self.news = True

    cdef void publish_book(self) noexcept nogil:
        self.book.update_id = self.sequencer.update_id
        self.book.sync_id = self.sequencer.sync_id
        self.book.flags = 0 if self.sequencer.synced else BOOK_UNSYNCED
        self.sequencer.book.fill(&self.book)
        self.book_ring.publish(&self.book)
        self.counters.book_records += 1
        self.news = True

    @property
    def last_mono_ns_by_stream(self):
        """When each stream (Stream as index) last delivered (recv_mono_ns); 0 = not yet."""
        return list(self.last_mono_ns)

    @property
    def frames_by_stream(self):
        """How many frames each stream (Stream as index) delivered."""
        return list(self.frames)


cdef class FeedCore:
    """All instruments of one feed process. Their indices are those of the decoder, in the order they were added."""

    def __init__(self):
        self.decoder = Decoder()
        self.instruments = []
        self.copy = FrameCopy(DECODE_FRAME_BYTES + 1)

    def add(self, str symbol, int symbol_id, scale, RingWriter bbo not None, RingWriter book not None,
            RingWriter tape not None, counters):
        """Follow one more instrument; return its index.

        scale: (price_decimals, price_units, qty_decimals, qty_units). counters: array of one FeedCounters record.
        """
        rings = (("bbo", bbo, records.BBO), ("book", book, records.BOOK), ("tape", tape, records.TAPE))
        for name, ring, dtype in rings:
            if ring.dtype != dtype:
                raise ValueError(f"feed: the ring for {name} of {symbol} carries {ring.dtype.itemsize}-byte records, "
                                 f"expected {dtype.itemsize}")
        feed = InstrumentFeed(symbol, symbol_id, bbo, book, tape, counters)
        index = self.decoder.add(symbol, *scale)
        self.instruments.append(feed)
        self.instrument[<int>index] = <void *>feed
        return index

    cdef uint64_t on_frame(self, const char *frame, size_t size, size_t slack, bint last_in_buffer,
                           int64_t recv_mono_ns, int64_t recv_utc_ns) noexcept nogil:
        cdef uint64_t published = 0
        cdef int kind = self.decoder.decode(frame, size, slack)
        self.frames += 1
        if self.decoder.event.symbol >= 0:
            published = self.take_event(recv_mono_ns, recv_utc_ns)
        elif kind == EVENT_CONTROL:
            self.controls += 1
        elif kind != EVENT_NONE:
            self.unknown += 1
        if kind == EVENT_NONE:
            self.foreign += self.decoder.event.reason == REFUSED_SYMBOL
            self.refused += self.decoder.event.reason != REFUSED_SYMBOL
        if last_in_buffer and self.dirty:
            published |= self.publish_books()
        return published

    cdef uint64_t take_event(self, int64_t recv_mono_ns, int64_t recv_utc_ns) noexcept nogil:
        """Hand the decoder's event to its instrument; return its bit if something was published."""
        cdef const phx_event *event = self.decoder.event
        cdef uint64_t bit = <uint64_t>1 << event.symbol
        return bit if take(<InstrumentFeed>self.instrument[event.symbol], event, &self.dirty, bit,
                           recv_mono_ns, recv_utc_ns) else 0

    cdef uint64_t publish_books(self) noexcept nogil:
        cdef uint64_t published = self.dirty
        cdef uint64_t left = published
        while left:
            publish(<InstrumentFeed>self.instrument[phx_low_bit(left)])
            left &= left - 1
        self.dirty = 0
        return published

    cdef int check_index(self, int index) except -1:
        if not 0 <= index < len(self.instruments):
            raise IndexError(f"feed: no instrument {index}, there are {len(self.instruments)}")
        return 0

    def frame(self, bytes text, int64_t recv_mono_ns, int64_t recv_utc_ns, bint last_in_buffer=True):
        """Take a frame given as bytes; return a bit per index of the instruments published."""
        self.copy.put(text)
        return self.on_frame(self.copy.text, self.copy.size, DECODE_SLACK, last_in_buffer, recv_mono_ns, recv_utc_ns)

    def snapshot(self, int index, bytes body, int64_t recv_mono_ns, int64_t recv_utc_ns):
        """Take the answer to GET /fapi/v1/depth of an instrument; return the SyncResult."""
        self.check_index(index)
        cdef InstrumentFeed feed = self.instruments[index]
        if self.decoder.decode_snapshot(index, body, len(body)) != EVENT_SNAPSHOT:
            self.refused += 1
            feed.counters.refused_frames += 1
            feed.counters.off_grid += self.decoder.event.reason == REFUSED_OFF_GRID
            feed.sequencer.on_no_snapshot(recv_mono_ns)
            return SyncResult(SYNC_REFUSED)
        return SyncResult(feed.on_snapshot(self.decoder.event, recv_mono_ns, recv_utc_ns))

    def no_snapshot(self, int index, int64_t now_mono_ns):
        """Take it that the snapshot asked for does not come; it will be wanted again after a pause."""
        self.check_index(index)
        (<InstrumentFeed>self.instruments[index]).sequencer.on_no_snapshot(now_mono_ns)

    def ask_snapshots(self, int64_t now_mono_ns):
        """Return the indices of the instruments that want a snapshot now, and take them as asked for."""
        cdef InstrumentFeed feed
        wanted = []
        for index, feed in enumerate(self.instruments):
            if feed.sequencer.wants_snapshot(now_mono_ns):
                feed.sequencer.ask()
                wanted.append(index)
        return wanted

    def lose(self, int index, int64_t now_mono_ns):
        """Take it that an instrument's public streams are gone: its book is void at once, its ids may begin anew.

        Return its bit when that was news to the readers.
        """
        self.check_index(index)
        cdef InstrumentFeed feed = self.instruments[index]
        feed.news = False
        feed.lose(now_mono_ns)
        return <uint64_t>1 << index if feed.news else 0

    def finish(self):
        """Judge every top that still waits for a later bookTicker: none will come."""
        cdef InstrumentFeed feed
        for feed in self.instruments:
            feed.check.finish()
            feed.count_tops()


cdef bint take(InstrumentFeed feed, const phx_event *event, uint64_t *dirty, uint64_t bit, int64_t recv_mono_ns,
               int64_t recv_utc_ns) noexcept nogil:
    """Take one event of an instrument; return whether something was published."""
    cdef int stream = STREAM_TRADE
    feed.news = False
    if event.slow and event.kind != EVENT_MARK:    # marks come once a second: no fast reader for them
        feed.counters.slow_frames += 1
    if event.kind == EVENT_BOOK_TICKER:
        stream = STREAM_BOOK_TICKER
        feed.on_book_ticker(event, recv_mono_ns)
    elif event.kind == EVENT_DEPTH:
        stream = STREAM_DEPTH
        if feed.on_depth(event, recv_mono_ns, recv_utc_ns):
            dirty[0] |= bit
    elif event.kind == EVENT_MARK:
        stream = STREAM_MARK
        feed.on_mark(event, recv_mono_ns)
    elif event.kind == EVENT_TRADE or event.kind == EVENT_AGG_TRADE:
        feed.on_trade(event, recv_mono_ns)
    else:
        feed.counters.refused_frames += 1
        if event.reason == REFUSED_OFF_GRID:
            # The market is on a finer grid than is read here: what is known of it is not how it is.
            feed.counters.off_grid += 1
            feed.make_void(recv_mono_ns)
        return feed.news
    feed.frames[stream] += 1
    feed.last_mono_ns[stream] = recv_mono_ns
    if stream != STREAM_MARK:
        histogram.record(feed.counters.venue_delay_ns, recv_utc_ns - event.ts_event_ns)
    return feed.news


cdef void publish(InstrumentFeed feed) noexcept nogil:
    if feed.sequencer.synced:
        feed.publish_book()
