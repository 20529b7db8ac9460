# Doorbells: how a process that sleeps is woken by one that published.
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef struct BellWord:                 # the only multi-writer memory there is; 64 bytes of `bell.<process>`
    uint32_t rings                    # grows with each ring; the futex word
    uint32_t parked                   # 1 = the owner is about to sleep, or sleeps
    uint64_t reserved0[7]

cdef class Ringer:
    cdef BellWord *word
    cdef int fifo
    cdef object memory
    cdef void ring(self) noexcept nogil

cdef class Bell:
    cdef BellWord *word
    cdef readonly int fifo
    cdef object memory
    cdef uint32_t park(self) noexcept nogil                                   # then re-check every ring, then wait
    cdef void unpark(self) noexcept nogil
    cdef void wait(self, uint32_t seen, int64_t timeout_ns) noexcept nogil    # futex; loops without asyncio
