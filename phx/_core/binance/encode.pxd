# Orders as WS-API requests: JSON with its signature, written straight into the buffer the socket sends.
from libc.stdint cimport int64_t, uint8_t, uint64_t

from phx._core.action cimport Action
from phx._core.binance.sign cimport Signer
from phx._core.records cimport MAX_SYMBOLS

cdef enum:
    HEADROOM_BYTES = 14                 # in front of a request, for the WebSocket header that picows writes there
    REQUEST_BYTES = 1024                # more than any request of ours
    ID_KINDS = 4                        # a request's id is intent_id * ID_KINDS + ActionKind

cdef struct WireSymbol:                 # how an instrument's integers are written
    char[24] name
    int name_size
    int price_decimals
    int qty_decimals
    int64_t price_units                 # a tick in units of 10**-price_decimals
    int64_t qty_units                   # a lot in units of 10**-qty_decimals

cdef class OrderEncoder:
    cdef WireSymbol[MAX_SYMBOLS] symbols
    cdef char[256] api_key
    cdef int api_key_size
    cdef char environment
    cdef int recv_window_ms
    cdef Signer signer                  # None: requests go unsigned, after session.logon
    cdef public bint signs              # false after session.logon
    cdef int encode(self, const Action *action, int64_t timestamp_ms, char *out) noexcept nogil    # size; 0 = refused
