"""The gateway's own reading of a symbol's market, by other code than the quoter's: limits are checked against it."""

from libc.stdint cimport int64_t
from libc.string cimport memset

from phx._core.enums cimport BOOK_CROSSED, BOOK_ONE_SIDED, BOOK_UNSYNCED, TAPE_MARK
from phx._core.records cimport NO_PRICE, TapeEvent
from phx._core.ring cimport RING_EMPTY, RING_OK, RingReader


cdef class MarketView:
    """Nothing is known until attach(); what was known of a feed's former life is void."""

    def __init__(self):
        self.attach(None, None, None)

    def attach(self, RingReader bbo, RingReader book, RingReader tape):
        """Read these rings from here on; three times None: there is no market."""
        self.bbo_reader, self.book_reader, self.tape_reader = bbo, book, tape
        memset(&self.bbo, 0, sizeof(self.bbo))
        memset(&self.book, 0, sizeof(self.book))
        self.bbo.flags = BOOK_UNSYNCED
        self.book.flags = BOOK_UNSYNCED
        self.mark_price_ticks = NO_PRICE

    cdef void read(self) noexcept nogil:
        cdef TapeEvent event
        cdef int got
        if self.bbo_reader is None:
            return
        if self.bbo_reader.has_news():
            self.bbo_reader.newest(&self.bbo)
        if self.book_reader.has_news():
            self.book_reader.newest(&self.book)
        while self.tape_reader.has_news():
            got = self.tape_reader.read(&event)
            if got == RING_EMPTY:
                break
            if got == RING_OK and event.kind == TAPE_MARK:
                self.mark_price_ticks, self.mark_mono_ns = event.price_ticks, event.recv_mono_ns
        # Without a market exposure has not gone away: the last value stays.
        if max(self.mark_price_ticks, self.bbo.ask_price_ticks) > 0:
            self.value_ticks = max(self.mark_price_ticks, self.bbo.ask_price_ticks)

    cdef bint usable(self) noexcept nogil:
        return not (self.bbo.flags | self.book.flags) & (BOOK_UNSYNCED | BOOK_CROSSED | BOOK_ONE_SIDED)

    cdef int64_t newest_mono_ns(self) noexcept nogil:
        return max(self.bbo.recv_mono_ns, self.book.recv_mono_ns)
