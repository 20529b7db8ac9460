# Log-linear histograms over uint64 buckets in shared memory: 32 sub-buckets per octave, at most 3.1 % error.
from libc.stdint cimport int64_t, uint64_t

from phx._core.records cimport HISTOGRAM_BUCKETS

cdef extern from *:
    """
    #include <stdint.h>
    static inline uint64_t phx_bucket(uint64_t value) {
        if (value < 32) return value;
        uint64_t octave = 63 - (uint64_t)__builtin_clzll(value);
        uint64_t bucket = (octave - 4) * 32 + ((value >> (octave - 5)) & 31);
        return bucket < 1024 ? bucket : 1023;
    }
    """
    uint64_t phx_bucket(uint64_t) noexcept nogil

cdef inline void record(uint64_t *buckets, int64_t value_ns) noexcept nogil:
    # A negative duration is a clock that was read in the wrong order: counted as zero, it stays visible.
    buckets[phx_bucket(<uint64_t>value_ns if value_ns > 0 else 0)] += 1
