# A ring of records in memory that somebody else mapped: one writer, any number of readers.
from libc.stdint cimport int64_t, uint64_t

cdef extern from "ring.h" nogil:
    ctypedef struct phx_ring:
        unsigned char *slots
        uint64_t *cursor
        uint64_t words
        uint64_t mask
    enum:
        RING_EMPTY          # nothing newer
        RING_OK             # one record copied
        RING_LAPPED         # overtaken: the reader has moved on, `lost` has grown, call again
        RING_BUSY           # the writer was faster than every attempt; try later
    uint64_t phx_ring_publish(phx_ring *, uint64_t, const uint64_t *)
    int phx_ring_read(const phx_ring *, uint64_t, uint64_t *)
    int phx_ring_newest(const phx_ring *, uint64_t, uint64_t *)
    uint64_t phx_load_acquire(const uint64_t *)
    uint64_t phx_load_relaxed(const uint64_t *)
    void phx_store_relaxed(uint64_t *, uint64_t)
    void phx_store_release(uint64_t *, uint64_t)

cdef class RingWriter:
    cdef phx_ring ring
    cdef uint64_t seq                   # newest published
    cdef object memory                  # keeps the mapping alive
    cdef readonly object dtype
    cdef uint64_t publish(self, void *record) noexcept nogil

cdef class RingReader:
    cdef phx_ring ring
    cdef readonly uint64_t next_seq     # the record read() wants
    cdef readonly uint64_t lost         # records read() will never return: returned + lost = next_seq - first
    cdef object memory
    cdef readonly object dtype
    cdef int read(self, void *out) noexcept nogil      # the next in order: EMPTY, OK or RING_LAPPED
    cdef int newest(self, void *out) noexcept nogil    # skips to the newest, seen or not: EMPTY, OK or RING_BUSY
    cdef bint has_news(self) noexcept nogil            # something was published that neither returned yet
