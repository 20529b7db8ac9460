# The hot half of a feed process: frames in; top of book, book and tape records out.
from libc.stdint cimport int64_t, uint64_t

from phx._core.binance.decode cimport Decoder, FrameCopy, phx_event
from phx._core.records cimport Bbo, Book, FeedCounters, TapeEvent
from phx._core.ring cimport RingWriter
from phx._core.sequencer cimport Sequencer
from phx._core.top_check cimport Top, TopCheck

cpdef enum Stream:                       # kinds of market streams, as indices
    STREAM_BOOK_TICKER = 0
    STREAM_DEPTH = 1
    STREAM_TRADE = 2
    STREAM_MARK = 3
    STREAM_KINDS = 4

cdef class InstrumentFeed:
    cdef readonly str symbol
    cdef readonly Sequencer sequencer
    cdef readonly TopCheck check
    cdef RingWriter bbo_ring
    cdef RingWriter book_ring
    cdef RingWriter tape_ring
    cdef FeedCounters *counters
    cdef object counters_view            # keeps them alive
    cdef Bbo bbo                         # as last published
    cdef Book book
    cdef TapeEvent tape
    cdef bint news                       # something was published since the event being taken came
    cdef bint connected                  # its depth stream delivers: a snapshot can be continued
    cdef bint has_trades                 # single trades are delivered: aggregated ones would count twice
    cdef int64_t last_trade_id
    cdef int64_t last_mark_ns
    cdef int64_t last_mono_ns[4]         # by Stream: receipt of the last frame, 0 = none yet
    cdef int64_t frames[4]               # by Stream: frames received
    cdef void on_book_ticker(self, const phx_event *event, int64_t recv_mono_ns) noexcept nogil
    cdef bint on_depth(self, const phx_event *event, int64_t recv_mono_ns, int64_t recv_utc_ns) noexcept nogil
    cdef void on_trade(self, const phx_event *event, int64_t recv_mono_ns) noexcept nogil
    cdef void on_mark(self, const phx_event *event, int64_t recv_mono_ns) noexcept nogil
    cdef int on_snapshot(self, const phx_event *event, int64_t recv_mono_ns, int64_t recv_utc_ns) noexcept nogil
    cdef void make_void(self, int64_t now_mono_ns) noexcept nogil
    cdef void lose(self, int64_t now_mono_ns) noexcept nogil
    cdef void count_tops(self) noexcept nogil
    cdef void publish_void(self, int64_t now_mono_ns) noexcept nogil
    cdef void take_top(self, int64_t recv_mono_ns) noexcept nogil
    cdef void publish_bbo(self) noexcept nogil
    cdef void publish_book(self) noexcept nogil

cdef class FeedCore:
    cdef readonly Decoder decoder
    cdef readonly list instruments       # InstrumentFeed by index
    cdef FrameCopy copy                  # of frames given as bytes
    cdef void *instrument[64]            # the same, for the hot path
    cdef uint64_t dirty                  # bit per index: the book changed since it was published
    cdef readonly uint64_t frames
    cdef readonly uint64_t refused       # frames that could not be read
    cdef readonly uint64_t unknown       # sound frames of a kind we do not know
    cdef readonly uint64_t foreign       # frames of instruments that we do not follow
    cdef readonly uint64_t controls      # answers to subscriptions
    # Take a frame with `slack` readable bytes behind it; return a bit per index of the instruments published.
    # Books are published when last_in_buffer is set: what follows in the same read would overtake them at once.
    cdef uint64_t on_frame(self, const char *frame, size_t size, size_t slack, bint last_in_buffer,
                           int64_t recv_mono_ns, int64_t recv_utc_ns) noexcept nogil
    cdef uint64_t take_event(self, int64_t recv_mono_ns, int64_t recv_utc_ns) noexcept nogil
    cdef uint64_t publish_books(self) noexcept nogil
    cdef int check_index(self, int index) except -1
