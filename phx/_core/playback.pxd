# Recorded frames move overlays, one per instrument, as they once moved the venue's books.
from libc.stdint cimport int64_t

from phx._core.binance.decode cimport Decoder, FrameCopy, phx_event
from phx._core.overlay cimport Overlay
from phx._core.sequencer cimport Sequencer

cdef class PlayedInstrument:
    cdef readonly Overlay overlay
    cdef readonly Sequencer sequencer        # the recorded book without us, complete and in order
    cdef bint has_trades                     # single trades are recorded: aggregated ones would count twice
    cdef int64_t last_trade_id
    cdef void on_depth(self, const phx_event *event, int64_t now_ns)
    cdef void on_trade(self, const phx_event *event)
    cdef void lay_down(self)

cdef class Playback:
    cdef readonly Decoder decoder
    cdef readonly list instruments           # PlayedInstrument by index
    cdef readonly int64_t ahead_ns           # by how much the venue's clock runs ahead of the recorder's, at least
    cdef bint timed                          # that is known
    cdef FrameCopy copy
