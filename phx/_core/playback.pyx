"""Recorded frames move overlays, one per instrument, as they once moved the venue's books.

The same decoder and the same sequencer as the feed's: what the venue matches against and what the feed publishes come
from the same bytes. While the recording has a hole the last book stands, until a recorded snapshot joins the deltas.
"""

from libc.stdint cimport int64_t, uint32_t

from phx._core.binance.decode cimport (
    DECODE_FRAME_BYTES, DECODE_SLACK, EVENT_AGG_TRADE, EVENT_BOOK_TICKER, EVENT_DEPTH, EVENT_SNAPSHOT, EVENT_TRADE,
    Decoder, FrameCopy, phx_event)
from phx._core.overlay cimport Overlay
from phx._core.sequencer cimport SYNC_APPLIED, SYNC_DONE, Sequencer

cdef enum:
    EVERY_LEVEL = 1 << 30


cdef class PlayedInstrument:
    """One instrument of a recording: its own book, and the overlay that it moves."""

    def __init__(self, Overlay overlay):
        self.overlay = overlay
        self.sequencer = Sequencer()

    cdef void on_depth(self, const phx_event *event, int64_t now_ns):
        cdef int s
        cdef uint32_t i
        if self.sequencer.on_delta(event, now_ns) != SYNC_APPLIED:
            return
        for s in range(2):
            for i in range(event.levels[s]):
                self.overlay.set_level(1 - 2 * s, event.level[s][i].price_ticks, event.level[s][i].qty_lots, True)
        self.overlay.end_delta(event.update_id)

    cdef void on_trade(self, const phx_event *event):
        if event.kind == EVENT_TRADE and not self.has_trades:
            self.has_trades = True
            self.last_trade_id = 0           # aggregated trades are numbered apart
        if event.kind == EVENT_AGG_TRADE and self.has_trades or event.trade_id <= self.last_trade_id:
            return
        self.last_trade_id = event.trade_id
        self.overlay.trade(event.price_ticks[0], event.qty_lots[0], event.aggressor, event.origin)

    cdef void lay_down(self):
        # A snapshot was joined to its deltas: this is the book from now on.
        book = self.sequencer.book
        bids, asks = book.deep_levels(1, EVERY_LEVEL), book.deep_levels(-1, EVERY_LEVEL)
        self.overlay.snapshot(self.sequencer.update_id, bids, asks)


cdef class Playback:
    """All instruments of a recording. Their indices are in the order in which they were added."""

    def __init__(self):
        self.decoder = Decoder()
        self.instruments = []
        self.copy = FrameCopy(DECODE_FRAME_BYTES + 1)

    def add(self, str symbol, scale, Overlay overlay not None):
        """Play one more instrument; return its index. scale: (price_decimals, price_units, qty_decimals, qty_units)."""
        index = self.decoder.add(symbol, *scale)
        self.instruments.append(PlayedInstrument(overlay))
        return index

    def frame(self, bytes text, int64_t now_ns):
        """Play a frame; return the index of the instrument it was about, -1 when of none that is played."""
        cdef const phx_event *event = self.decoder.event
        cdef PlayedInstrument played
        self.copy.put(text)
        cdef int kind = self.decoder.decode(self.copy.text, self.copy.size, DECODE_SLACK)
        if event.symbol < 0:
            return -1
        played = self.instruments[event.symbol]
        if event.ts_event_ns > 0 and (not self.timed or event.ts_event_ns - now_ns > self.ahead_ns):
            self.timed, self.ahead_ns = True, event.ts_event_ns - now_ns
        if kind == EVENT_BOOK_TICKER:
            played.overlay.best(
                event.update_id, event.price_ticks[0], event.qty_lots[0], event.price_ticks[1], event.qty_lots[1])
        elif kind == EVENT_DEPTH:
            played.on_depth(event, now_ns)
        elif kind == EVENT_TRADE or kind == EVENT_AGG_TRADE:
            played.on_trade(event)
        return event.symbol

    def snapshot(self, int index, bytes body, int64_t now_ns):
        """Play a recorded answer to GET /fapi/v1/depth; return whether it made the book."""
        cdef PlayedInstrument played = self.instruments[index]
        if self.decoder.decode_snapshot(index, body, len(body)) != EVENT_SNAPSHOT:
            return False
        if played.sequencer.on_snapshot(self.decoder.event, now_ns) != SYNC_DONE:
            return False
        played.lay_down()
        return True

    def book(self, int index, int limit):
        """Return (update id, bids, asks) of the recorded book without our orders, best first; None while it is void."""
        cdef PlayedInstrument played = self.instruments[index]
        if not played.sequencer.synced:
            return None
        book = played.sequencer.book
        return played.sequencer.update_id, book.deep_levels(1, limit), book.deep_levels(-1, limit)
