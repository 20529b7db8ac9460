# Signals of one symbol: updated on events, O(1) each, without allocation.
from libc.stdint cimport int64_t, uint32_t

from phx._core.intensity cimport Intensity
from phx._core.live cimport Live
from phx._core.model cimport Market
from phx._core.records cimport BOOK_LEVELS, Bbo, Book, Params, QuoterState, TapeEvent
from phx._core.vpin cimport Vpin

cdef enum:
    WINDOW_SAMPLES = 7200                    # the longest sigma_30m window, in samples of one second

cdef struct Depth:                           # one side of the book without our own orders, best first
    int levels
    int64_t price_ticks[BOOK_LEVELS]
    int64_t qty_lots[BOOK_LEVELS]

cdef struct Touch:                           # the market without us, and the venue's own best prices with us
    bint top_is_newer                        # the top-of-book stream is ahead of the depth stream
    int64_t venue_bid_ticks
    int64_t venue_ask_ticks
    Depth bids
    Depth asks

# Returns whether both sides hold somebody else's order.
cdef bint foreign_touch(const Book *book, const Bbo *bbo, const Live *live, int levels, Touch *touch) noexcept nogil

cdef class Window:                           # sigma_30m: exact sums over the samples of the last window_s seconds
    cdef readonly int64_t samples
    cdef int64_t oldest                      # ring position of the oldest sample
    cdef int64_t origin                      # the first sample; sums are relative to it so that they stay small
    cdef int64_t sum
    cdef int64_t sum_of_squares
    cdef int64_t second[WINDOW_SAMPLES]
    cdef int64_t half_ticks[WINDOW_SAMPLES]
    cdef void add(self, int64_t second, int64_t half_ticks, int64_t window_s) noexcept nogil
    cdef void drop_oldest(self) noexcept nogil
    cdef double deviation_ticks(self) noexcept nogil
    cdef void clear(self) noexcept nogil

cdef class Signals:
    cdef readonly Window window
    cdef readonly Vpin vpin
    cdef readonly Intensity intensity
    cdef int64_t last_second                 # of the newest sample; 0 = none yet
    cdef int64_t last_half_ticks             # the mid then
    cdef double deviation_ticks              # of the window, renewed with each sample
    cdef double warm_sigma_30m               # of an earlier life; 0 = none
    cdef double variance_1s                  # EWMA of squared changes over one second, ticks squared; < 0 = none yet
    cdef double funding_ema
    cdef bint funding_known
    cdef uint32_t next_funding_s             # the interval the EMA belongs to; 0 = unknown
    cdef int64_t mark_recv_mono_ns
    cdef double leader_ratio_ema             # own mid over leader mid; 0 = none yet
    cdef int64_t leader_second               # of its newest sample
    cdef bint leader_led                     # it took part in the newest fair price
    cdef void sample(self, int64_t now_ns, const Touch *, double leader_mid_ticks, const Params *) noexcept nogil
    cdef void add_sample(
        self, int64_t now_ns, int64_t half_ticks, double spread_ticks, double leader_mid_ticks, const Params *
    ) noexcept nogil
    cdef void on_trade(self, const TapeEvent *trade, const Params *) noexcept nogil
    cdef bint toxic(self, int64_t now_ns) noexcept nogil             # vpin asks for a pause now
    cdef bint sample_due(self, int64_t now_ns) noexcept nogil
    cdef void on_mark(self, int64_t recv_mono_ns, double rate, uint32_t next_funding_s, const Params *) noexcept nogil
    cdef void read(
        self, const Touch *, double leader_mid_ticks, const Params *, int64_t now_ns, Market *
    ) noexcept nogil
    cdef double sigma_30m(self, double mid_ticks, const Params *) noexcept nogil
    cdef double fair_ticks(self, const Market *, double leader_mid_ticks, const Params *) noexcept nogil
    cdef void save(self, const Market *, QuoterState *state) noexcept nogil
    cdef void restore(self, const QuoterState *state) noexcept nogil
