# Frames of market data become events in ticks, lots and nanoseconds. event.h has the event's fields and their units.
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t

from phx._core.book cimport phx_level

cdef extern from "binance/event.h" nogil:
    enum:
        DECODE_SLACK
        DECODE_LEVELS
        DECODE_FRAME_BYTES

    cpdef enum EventKind:
        EVENT_NONE
        EVENT_BOOK_TICKER
        EVENT_DEPTH
        EVENT_TRADE
        EVENT_AGG_TRADE
        EVENT_MARK
        EVENT_SNAPSHOT
        EVENT_CONTROL
        EVENT_UNKNOWN

    cpdef enum RefuseReason:
        REFUSED_NONE
        REFUSED_SYNTAX
        REFUSED_UTF8
        REFUSED_NESTING
        REFUSED_DUPLICATE_KEY
        REFUSED_MISSING_KEY
        REFUSED_TYPE
        REFUSED_NUMBER
        REFUSED_RANGE
        REFUSED_OFF_GRID
        REFUSED_LEVELS
        REFUSED_SYMBOL
        REFUSED_LENGTH

    ctypedef struct phx_scale:
        int64_t price_units
        int64_t qty_units
        int32_t price_decimals
        int32_t qty_decimals

    ctypedef struct phx_symbol:
        phx_scale scale

    ctypedef struct phx_symbols:
        phx_symbol symbol[64]
        uint32_t count

    ctypedef struct phx_event:
        uint8_t kind
        uint8_t reason
        uint8_t slow
        uint8_t origin
        int8_t aggressor
        int32_t symbol
        int64_t update_id
        int64_t first_update_id
        int64_t previous_update_id
        int64_t ts_event_ns
        int64_t ts_push_ns
        int64_t price_ticks[2]
        int64_t qty_lots[2]
        int64_t trade_id
        int64_t next_funding_s
        int64_t funding_rate_e8
        uint32_t levels[2]
        phx_level level[2][16384]

cdef class Decoder:
    cdef phx_symbols symbols
    cdef phx_event *event               # the last one read; overwritten by the next
    # Read a frame or a snapshot into `event`; return its kind. slack: bytes readable behind the frame.
    cdef int decode(self, const char *frame, size_t size, size_t slack) noexcept nogil
    cdef int decode_snapshot(self, int index, const char *body, size_t size) noexcept nogil

cdef class FrameCopy:
    cdef char *text
    cdef size_t size
    cdef size_t most                    # bytes there is room for
    cdef void put(self, bytes frame) noexcept
