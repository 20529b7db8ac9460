# VPIN: how one-sided the trade flow is, on a clock of traded quantity.
from libc.stdint cimport int64_t

from phx._core.records cimport Params, QuoterState

cdef enum:
    VPIN_BUCKETS = 200                       # most in the mean
    VPIN_FULL_ENOUGH = 5                     # before so many are full, nothing is known

cdef class Vpin:
    cdef int64_t bucket_lots                 # of every bucket below; 0 = off, or as an earlier life had it
    cdef int buckets                         # in the mean, at most
    cdef readonly int full                   # in the mean now
    cdef int newest                          # ring position behind the newest full bucket
    cdef int64_t sum_e9                      # of the shares in the mean
    cdef int64_t share_e9[VPIN_BUCKETS]      # |buys - sells| of a full bucket, in 1e-9 of it
    cdef readonly int64_t filled_lots        # in the bucket that fills
    cdef readonly int64_t imbalance_lots     # of it: buys minus sells
    cdef readonly bint widening
    cdef bint disarmed                       # it paused, and has not calmed down since
    cdef int64_t toxic_until_mono_ns
    cdef void on_trade(self, int aggressor, int64_t qty_lots, int64_t now_ns, const Params *) noexcept nogil
    cdef double value(self) noexcept nogil
    cdef double scale(self, const Params *) noexcept nogil
    cdef bint toxic(self, int64_t now_ns) noexcept nogil
    cdef void adopt(self, const Params *) noexcept nogil
    cdef void fill(self, int aggressor, int64_t qty_lots) noexcept nogil
    cdef void close_bucket(self) noexcept nogil
    cdef void judge(self, int64_t now_ns, const Params *) noexcept nogil
    cdef void clear(self) noexcept nogil
    cdef void restore(self, const QuoterState *state) noexcept nogil
