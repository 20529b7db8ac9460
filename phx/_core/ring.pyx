"""Rings of records: the writer and the reader over memory that somebody else mapped (ring.h has the protocol)."""

import numpy as np

from phx._core.records cimport SEGMENT_HEADER_BYTES, SegmentHeader


cdef int bind(phx_ring *ring, const unsigned char[::1] memory, size_t record_bytes) except -1:
    # The sizes come from shared memory that another process wrote: check them against what is really mapped.
    if <size_t>memory.shape[0] < SEGMENT_HEADER_BYTES:
        raise ValueError(f"ring: {memory.shape[0]} bytes mapped, a header has {SEGMENT_HEADER_BYTES}")
    cdef SegmentHeader *header = <SegmentHeader *>&memory[0]
    cdef uint64_t slots = header.capacity
    if header.record_bytes != record_bytes or record_bytes % 64:
        raise ValueError(f"ring: records of {header.record_bytes} bytes, expected {record_bytes}, a multiple of 64")
    # One slot would leave nothing to read while it is rewritten, or after its writer died there.
    if slots < 2 or slots & (slots - 1) or slots > <uint64_t>1 << 40:
        raise ValueError(f"ring: capacity {slots}, expected a power of two from 2")
    if <uint64_t>memory.shape[0] < SEGMENT_HEADER_BYTES + slots * record_bytes:
        raise ValueError(f"ring: {memory.shape[0]} bytes mapped, {slots} records need more")
    if <size_t>&memory[0] % 8:
        raise ValueError("ring: the memory is not aligned to 8 bytes")
    if header.cursor >> 62:
        raise ValueError(f"ring: cursor {header.cursor:#x} is no count of records")
    ring.slots = <unsigned char *>&memory[0] + SEGMENT_HEADER_BYTES
    ring.cursor = &header.cursor
    ring.words = record_bytes // 8
    ring.mask = slots - 1
    return 0


cdef class RingWriter:
    """The one writer of a ring.

    memory: a writable buffer that begins with a SegmentHeader. dtype: the record's. The first record is number 1;
    a restarted writer makes a new segment instead of continuing an old one.
    """

    def __init__(self, memory, dtype):
        cdef unsigned char[::1] view = memoryview(memory).cast("B")   # refuses a read-only buffer
        bind(&self.ring, view, dtype.itemsize)
        self.memory = view
        self.dtype = dtype
        self.seq = phx_load_acquire(self.ring.cursor)
        if self.seq:
            raise ValueError(f"ring: {self.seq} records already published; a writer starts with a new segment")

    cdef uint64_t publish(self, void *record) noexcept nogil:
        self.seq += 1
        return phx_ring_publish(&self.ring, self.seq, <const uint64_t *>record)

    @property
    def published(self):
        """How many records were published."""
        return self.seq

    def write(self, record):
        """Publish one record given as a numpy array or scalar of the ring's dtype; return its sequence number."""
        array = np.ascontiguousarray(record, dtype=self.dtype).reshape(1)
        cdef const unsigned char[::1] view = array.view(np.uint8)
        return self.publish(<void *>&view[0])


cdef inline void skip_lost(RingReader reader) noexcept nogil:
    # Half a ring behind the newest, so that the next read is not lapped again at once; always forward.
    cdef uint64_t newest = phx_load_acquire(reader.ring.cursor)
    cdef uint64_t behind = reader.ring.mask >> 1
    cdef uint64_t seq = newest - behind if newest > reader.next_seq + behind else reader.next_seq + 1
    reader.lost += seq - reader.next_seq
    reader.next_seq = seq


cdef class RingReader:
    """One of the readers of a ring; begins with the next record to come.

    memory: a buffer that begins with a SegmentHeader (read-only is enough). Every read is bounded: a dead or hot
    writer never makes a reader wait.
    """

    def __init__(self, memory, dtype):
        self.lost = 0
        self.attach(memory, dtype)

    def attach(self, memory, dtype, bint from_start=False):
        """Continue on another mapping of the same kind of ring: a restarted writer's new generation."""
        cdef const unsigned char[::1] view = memoryview(memory).cast("B")
        bind(&self.ring, view, dtype.itemsize)
        self.memory = view
        self.dtype = dtype
        self.next_seq = 1 if from_start else phx_load_acquire(self.ring.cursor) + 1

    cdef bint has_news(self) noexcept nogil:
        return phx_load_acquire(self.ring.cursor) >= self.next_seq

    cdef int read(self, void *out) noexcept nogil:
        cdef int result = phx_ring_read(&self.ring, self.next_seq, <uint64_t *>out)
        if result == RING_OK:
            self.next_seq += 1
        elif result == RING_LAPPED:
            skip_lost(self)
        return result

    cdef int newest(self, void *out) noexcept nogil:
        cdef int result = phx_ring_newest(&self.ring, self.next_seq - 1, <uint64_t *>out)
        if result == RING_OK:
            self.next_seq = (<uint64_t *>out)[0] + 1
        return result

    def read_record(self):
        """Return (RING_* code, record or None): the next record in order, as a numpy scalar of the ring's dtype."""
        out = np.zeros(1, dtype=self.dtype)
        cdef unsigned char[::1] view = out.view(np.uint8)
        code = self.read(&view[0])
        return code, (out[0] if code == RING_OK else None)

    def read_newest(self):
        """Return the newest record as a numpy scalar of the ring's dtype, or None when there is none."""
        out = np.zeros(1, dtype=self.dtype)
        cdef unsigned char[::1] view = out.view(np.uint8)
        return out[0] if self.newest(&view[0]) == RING_OK else None


EMPTY, OK, LAPPED, BUSY = RING_EMPTY, RING_OK, RING_LAPPED, RING_BUSY
