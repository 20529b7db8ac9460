"""Loops over the order encoder and the signer without Python in between."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from phx._core.action cimport ACTION_PLACE, GTX, Action
from phx._core.binance.encode cimport REQUEST_BYTES, OrderEncoder
from phx._core.binance.sign cimport SIGNATURE_BYTES, Signer


def orders(OrderEncoder encoder, uint64_t count):
    """Encode `count` different orders of symbol 0; return the bytes written."""
    cdef Action action
    cdef char[REQUEST_BYTES] out
    cdef uint64_t i, written = 0
    cdef int64_t timestamp_ms = 1790526538939
    action.symbol_id, action.kind, action.time_in_force, action.side, action.reduce_only = 0, ACTION_PLACE, GTX, 1, 0
    action.epoch = 1
    with nogil:
        for i in range(count):
            action.intent_id = i + 1
            action.price_ticks = <int64_t>(645000 + (i & 255))
            action.qty_lots = <int64_t>(5 + (i & 15))
            written += encoder.encode(&action, timestamp_ms + <int64_t>i, out)
    return written


def signatures(Signer signer, bytes text, uint64_t count):
    """Sign `count` texts that differ in their first byte; return the last signature."""
    cdef char[512] copy
    cdef char[SIGNATURE_BYTES] out
    cdef size_t size = len(text)
    cdef uint64_t i
    if size > sizeof(copy):
        raise ValueError(f"{size} bytes to sign, at most {sizeof(copy)}")
    memcpy(copy, <const char *>text, size)
    with nogil:
        for i in range(count):
            copy[0] = <char>(c'a' + (i & 15))
            signer.sign(copy, size, out)
    return out[:SIGNATURE_BYTES]
