# bookTicker as the judge of the rebuilt book.
from libc.stdint cimport int64_t

cdef enum:
    TICKERS = 4096                       # how far the depth stream may lag behind bookTicker, in changes of the top
    PENDING = 4096                       # and bookTicker behind the depth stream, in deltas

cdef struct Top:
    int64_t update_id
    int64_t price_ticks[2]               # bid, ask; NO_PRICE = the side is empty
    int64_t qty_lots[2]

cdef class TopCheck:
    cdef readonly int64_t checked        # tops of the book compared
    cdef readonly int64_t different      # of them different
    cdef readonly int different_in_row
    cdef int64_t tickers                 # seen since the start or the last forget()
    cdef int64_t first_pending
    cdef int64_t end_pending
    cdef Top ticker[TICKERS]             # ring, ascending ids
    cdef Top pending[PENDING]            # ring, ascending ids
    cdef void on_ticker(self, const Top *ticker) noexcept nogil
    cdef void on_top(self, const Top *top) noexcept nogil
    cdef void forget(self) noexcept nogil
    cdef void finish(self) noexcept nogil          # no ticker will follow: judge what is pending
    cdef void judge(self, const Top *top) noexcept nogil
