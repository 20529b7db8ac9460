"""Frames of Binance market data become events in ticks, lots and nanoseconds; the fixed-order reader goes first."""

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

cdef extern from "binance/decode_fast.h" nogil:
    int phx_decode_fast(const phx_symbols *, const char *, const char *, phx_event *)

cdef extern from "binance/decode_any.h" nogil:
    int phx_add_symbol(phx_symbols *, const char *, size_t, phx_scale)
    int phx_decode_any(const phx_symbols *, const char *, const char *, phx_event *)
    int phx_decode_depth_answer(const phx_scale *, const char *, const char *, phx_event *)


cdef class Decoder:
    """Reads the frames of up to 64 instruments; the index of an instrument is the order in which it was added."""

    def __cinit__(self):
        self.event = <phx_event *>calloc(1, sizeof(phx_event))
        if self.event == NULL:
            raise MemoryError("decoder: no room for an event")
        self.event.symbol = -1

    def __dealloc__(self):
        free(self.event)

    def add(self, str symbol, int price_decimals, int64_t price_units, int qty_decimals, int64_t qty_units):
        """Follow one more instrument; return its index. Its tick is price_units * 10**-price_decimals."""
        cdef bytes name = symbol.encode()
        cdef phx_scale scale = phx_scale(price_units, qty_units, price_decimals, qty_decimals)
        cdef int index = phx_add_symbol(&self.symbols, name, len(name), scale)
        if index < 0:
            raise ValueError(
                f"decoder: cannot add {symbol!r} with tick {price_units}e-{price_decimals} and lot "
                f"{qty_units}e-{qty_decimals}: expected a new name of 1 to 23 bytes, at most 64 of them, "
                "0 to 8 decimals and positive units"
            )
        return index

    cdef int decode(self, const char *frame, size_t size, size_t slack) noexcept nogil:
        cdef phx_event *event = self.event
        event.symbol = -1
        event.reason = REFUSED_NONE
        event.slow = 1
        if size > DECODE_FRAME_BYTES:
            event.reason = REFUSED_LENGTH
        elif slack >= DECODE_SLACK and phx_decode_fast(&self.symbols, frame, frame + size, event):
            event.slow = 0
        else:
            event.symbol = -1
            event.reason = phx_decode_any(&self.symbols, frame, frame + size, event)
        if event.reason != REFUSED_NONE:
            event.kind = EVENT_NONE
        return event.kind

    cdef int decode_snapshot(self, int index, const char *body, size_t size) noexcept nogil:
        cdef phx_event *event = self.event
        event.symbol = index
        event.slow = 1
        event.reason = phx_decode_depth_answer(&self.symbols.symbol[index].scale, body, body + size, event)
        event.kind = EVENT_NONE if event.reason != REFUSED_NONE else EVENT_SNAPSHOT
        return event.kind

    def read(self, bytes frame, bint fast=True):
        """Return the event of a frame as a dict of its fields; kind EVENT_NONE and a reason when it is refused."""
        cdef FrameCopy copy = FrameCopy(len(frame))
        copy.put(frame)
        self.decode(copy.text, copy.size, DECODE_SLACK if fast else 0)
        return self.fields()

    def read_view(self, const unsigned char[::1] memory, size_t size):
        """Return the event of the frame in the first `size` bytes of memory, read in place; what follows is slack."""
        if not 0 < size <= <size_t>memory.shape[0]:
            raise ValueError(f"decoder: a frame of {size} bytes in {memory.shape[0]} bytes of memory")
        self.decode(<const char *>&memory[0], size, memory.shape[0] - size)
        return self.fields()

    def read_snapshot(self, int index, bytes body):
        """Return the answer to GET /fapi/v1/depth of an instrument as a dict."""
        if not 0 <= index < <int>self.symbols.count:
            raise IndexError(f"decoder: no instrument {index}, there are {self.symbols.count}")
        self.decode_snapshot(index, body, len(body))
        return self.fields()

    def read_many(self, list frames, bint fast=True):
        """Return (kinds, reasons) of many frames as bytes, one byte each: to time the reader, or to torment it."""
        cdef bytes frame
        cdef FrameCopy copy = FrameCopy(max(map(len, frames), default=0))
        cdef bytearray kinds = bytearray(len(frames)), reasons = bytearray(len(frames))
        cdef Py_ssize_t i
        for i, frame in enumerate(frames):
            copy.put(frame)
            kinds[i] = self.decode(copy.text, copy.size, DECODE_SLACK if fast else 0)
            reasons[i] = self.event.reason
        return bytes(kinds), bytes(reasons)

    def fields(self):
        """Return the last event as a dict."""
        cdef phx_event *event = self.event
        cdef uint32_t i
        found = {"kind": EventKind(event.kind), "reason": RefuseReason(event.reason), "slow": bool(event.slow)}
        if event.kind in (EVENT_NONE, EVENT_CONTROL, EVENT_UNKNOWN):
            return found
        found |= {"symbol": event.symbol, "ts_event_ns": event.ts_event_ns, "ts_push_ns": event.ts_push_ns}
        if event.kind == EVENT_BOOK_TICKER:
            found |= {"update_id": event.update_id, "price_ticks": list(event.price_ticks),
                      "qty_lots": list(event.qty_lots)}
        elif event.kind in (EVENT_DEPTH, EVENT_SNAPSHOT):
            found |= {"update_id": event.update_id}
            for name, side in (("bids", 0), ("asks", 1)):
                found[name] = [(event.level[<int>side][i].price_ticks, event.level[<int>side][i].qty_lots)
                               for i in range(event.levels[<int>side])]
            if event.kind == EVENT_DEPTH:
                found |= {"first_update_id": event.first_update_id, "previous_update_id": event.previous_update_id}
        elif event.kind == EVENT_MARK:
            found |= {"price_ticks": event.price_ticks[0], "funding_rate_e8": event.funding_rate_e8,
                      "next_funding_s": event.next_funding_s}
        else:
            found |= {"price_ticks": event.price_ticks[0], "qty_lots": event.qty_lots[0], "trade_id": event.trade_id,
                      "aggressor": event.aggressor, "origin": event.origin}
        return found


cdef class FrameCopy:
    """A copy of a frame with DECODE_SLACK readable bytes behind it (whatever was there before), as in a read buffer."""

    def __cinit__(self, size_t most):
        self.text = <char *>calloc(1, most + DECODE_SLACK)
        if self.text == NULL:
            raise MemoryError("decoder: no room for a frame")
        self.most = most

    def __dealloc__(self):
        free(self.text)

    cdef void put(self, bytes frame) noexcept:
        # A frame that is longer than any may be keeps its length, so that it is refused for it.
        self.size = len(frame)
        memcpy(self.text, <const char *>frame, min(self.size, self.most))


SLACK_BYTES = DECODE_SLACK
FRAME_BYTES = DECODE_FRAME_BYTES
