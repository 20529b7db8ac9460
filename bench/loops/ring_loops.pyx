"""Loops over RingWriter, RingReader and histograms without Python in between: what a stage's hot path sees."""

from libc.stdint cimport int64_t, uint64_t

from phx._core.histogram cimport record as count
from phx._core.records cimport Bbo
from phx._core.ring cimport RING_OK, RingReader, RingWriter

cdef extern from "stamp.h" nogil:
    uint64_t stamp()
    void stamp_wait(int)


def publish_read(RingWriter writer, RingReader reader, uint64_t rounds):
    """Publish and read back `rounds` records of 64 bytes in one process."""
    cdef Bbo record, out
    cdef uint64_t i
    with nogil:
        for i in range(1, rounds + 1):
            record.update_id = i
            writer.publish(&record)
            reader.read(&out)
    return out.update_id


def publish(RingWriter writer, uint64_t rounds):
    """Publish `rounds` records that nobody reads."""
    cdef Bbo record
    cdef uint64_t i
    with nogil:
        for i in range(1, rounds + 1):
            record.update_id = i
            writer.publish(&record)


def ping(RingWriter writer, RingReader reader, uint64_t rounds, int yields, uint64_t[::1] samples):
    """Send a record and wait for its echo, `rounds` times; stamp each round trip."""
    cdef Bbo record, out
    cdef uint64_t i, begin
    with nogil:
        for i in range(1, rounds + 1):
            begin = stamp()
            record.update_id = i
            writer.publish(&record)
            while reader.read(&out) != RING_OK:
                stamp_wait(yields)
            samples[i - 1] = stamp() - begin
    return out.update_id


def pong(RingWriter writer, RingReader reader, uint64_t rounds, int yields):
    """Echo `rounds` records."""
    cdef Bbo out
    cdef uint64_t _i
    with nogil:
        for _i in range(rounds):
            while reader.read(&out) != RING_OK:
                stamp_wait(yields)
            writer.publish(&out)


def count_values(uint64_t[::1] buckets, int64_t[::1] values, uint64_t passes):
    """Count every value `passes` times."""
    cdef uint64_t _i
    cdef Py_ssize_t j
    with nogil:
        for _i in range(passes):
            for j in range(values.shape[0]):
                count(&buckets[0], values[j])
