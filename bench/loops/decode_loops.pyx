"""Loops over the decoder and the book without Python in between."""

from libc.stdint cimport uint64_t

from phx._core.binance.decode cimport DECODE_SLACK, EVENT_NONE, Decoder
from phx._core.book cimport OrderBook


def decode(Decoder decoder, const char[::1] blob, const uint64_t[::1] starts, const uint64_t[::1] sizes,
           uint64_t passes, bint fast=True):
    """Read every frame `passes` times; return how many were understood."""
    cdef uint64_t _turn, good = 0
    cdef size_t slack = DECODE_SLACK if fast else 0
    cdef Py_ssize_t i
    with nogil:
        for _turn in range(passes):
            for i in range(starts.shape[0]):
                good += decoder.decode(&blob[starts[i]], sizes[i], slack) != EVENT_NONE
    return good


def decode_and_apply(Decoder decoder, OrderBook book, const char[::1] blob, const uint64_t[::1] starts,
                     const uint64_t[::1] sizes, uint64_t passes):
    """Read every depth frame `passes` times and apply its levels to a book."""
    cdef uint64_t _turn, good = 0
    cdef Py_ssize_t i
    with nogil:
        for _turn in range(passes):
            for i in range(starts.shape[0]):
                good += decoder.decode(&blob[starts[i]], sizes[i], DECODE_SLACK) != EVENT_NONE
                book.apply(1, decoder.event.level[0], decoder.event.levels[0])
                book.apply(-1, decoder.event.level[1], decoder.event.levels[1])
    return good
