# One side of a book: price levels in a sorted array, the best one last, so that work at the touch moves little memory.
from libc.stdint cimport int32_t, int64_t

cdef struct Level:
    int64_t price_ticks
    int64_t lots                # quantity resting here
    int64_t consumed_lots       # overlay: what our takers took since the recording last changed the level
    int32_t head                # engine: first order of the queue, -1 = none
    int32_t tail                # engine: last order of the queue

cdef struct Levels:
    Level *levels
    int64_t count
    int64_t capacity
    int64_t side                # +1 bids, -1 asks

cdef void levels_init(Levels *side, int64_t sign) noexcept nogil
cdef void levels_free(Levels *side) noexcept nogil
# Index of the first level that is at least as good as the price; count when none is.
cdef int64_t levels_place(const Levels *side, int64_t price_ticks) noexcept nogil
cdef Level *levels_best(const Levels *side) noexcept nogil                          # NULL: empty
cdef Level *levels_find(const Levels *side, int64_t price_ticks) noexcept nogil     # NULL: no such level
cdef Level *levels_add(Levels *side, int64_t price_ticks) noexcept nogil            # found or new; valid until the next
cdef void levels_remove(Levels *side, int64_t price_ticks) noexcept nogil
cdef list levels_top(const Levels *side, int64_t limit)                             # (price_ticks, lots), best first
