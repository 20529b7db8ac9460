from libc.stdint cimport int64_t

cdef int64_t mono_ns() noexcept nogil      # CLOCK_MONOTONIC
cdef int64_t utc_ns() noexcept nogil       # CLOCK_REALTIME
cdef int64_t boot_ns() noexcept nogil      # CLOCK_BOOTTIME: also counts time in suspend
