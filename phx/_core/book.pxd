# The order book of one instrument, in ticks and lots: fast where the market is, exact everywhere.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from phx._core.records cimport Book

cdef extern from "level.h" nogil:
    ctypedef struct phx_level:
        int64_t price_ticks
        int64_t qty_lots                 # 0 = the level is gone

cdef enum:
    BOOK_WINDOW = 32768                  # ticks a side's window spans; its best level is put in the middle
    BOOK_FAR_LEVELS = 65536              # levels a side keeps outside its window
    WINDOW_WORDS = BOOK_WINDOW // 64
    WINDOW_SUMMARY = WINDOW_WORDS // 64

cdef struct FarLevel:
    int64_t key
    int64_t qty_lots

# One side. A level's key is side * price_ticks, so that a larger key is a better price on either side.
cdef struct BookSide:
    int64_t base                         # key of the window's first slot
    int64_t best                         # largest key in use; NO_PRICE when the side is empty
    int64_t levels                       # levels in use, near and far
    int64_t forgotten                    # far levels dropped because BOOK_FAR_LEVELS were in use
    int64_t far_count
    uint64_t summary[WINDOW_SUMMARY]     # bit per word of `used` that is not zero
    uint64_t used[WINDOW_WORDS]          # bit per slot with a quantity
    int64_t *qty_lots                    # [BOOK_WINDOW], valid where `used`
    FarLevel *far                        # ascending keys, all below the window's base

cdef class OrderBook:
    cdef BookSide bid
    cdef BookSide ask
    cdef void clear(self) noexcept nogil
    cdef void apply(self, int side, const phx_level *levels, uint32_t count) noexcept nogil
    cdef void set_level(self, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil   # 0 lots remove it
    cdef int64_t best_ticks(self, int side) noexcept nogil           # NO_PRICE when the side is empty
    cdef int64_t best_lots(self, int side) noexcept nogil            # 0 when the side is empty
    cdef bint crossed(self) noexcept nogil
    cdef void fill(self, Book *record) noexcept nogil                # its levels, counts and flags of shape
