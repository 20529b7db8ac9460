# The gateway's own reading of a symbol's market: top of book, whether the book may be trusted, mark price.
from libc.stdint cimport int64_t

from phx._core.records cimport Bbo, Book
from phx._core.ring cimport RingReader

cdef class MarketView:
    cdef Bbo bbo
    cdef Book book
    cdef int64_t mark_price_ticks       # NO_PRICE = none yet
    cdef int64_t mark_mono_ns           # its receipt
    cdef int64_t value_ticks            # at which exposure is valued: the higher of mark and ask, as last known
    cdef RingReader bbo_reader
    cdef RingReader book_reader
    cdef RingReader tape_reader
    cdef void read(self) noexcept nogil
    cdef bint usable(self) noexcept nogil               # synced, two-sided, not crossed, by both readings
    cdef int64_t newest_mono_ns(self) noexcept nogil    # receipt of the newest market data
