"""A market-data socket's listener: frames go into the feed's core, bells are rung for those who read what came out.

All frames of one read were received at the same time: they share one stamp, and the bells are rung once, after the
last of them. Connect with enable_auto_pong=False: a ping that picows answered by itself could be the last frame of a
read, and the listener would wait for it in vain.
"""

from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport

from phx._core cimport histogram
from phx._core.binance.decode cimport DECODE_SLACK
from phx._core.edge.bell cimport Ringer
from phx._core.edge.clock cimport mono_ns, utc_ns
from phx._core.feed cimport FeedCore, InstrumentFeed


def ring_instruments(list bells, uint64_t published):
    """Ring the bells of the instruments whose bits are set; for what is published from Python."""
    cdef Ringer bell
    cdef int index
    for index in range(len(bells)):
        if published >> index & 1:
            for bell in <list>bells[index]:
                bell.ring()


cdef class MarketListener(WSListener):
    """One connection. on_end(listener, why) is called once, when the venue closes it or it breaks."""

    def __init__(self, FeedCore core not None, list bells not None, on_end):
        self.core = core
        self.bells = bells
        self.on_end = on_end

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        if not self.mid_buffer:
            self.recv_mono_ns = mono_ns()
            self.recv_utc_ns = utc_ns()
        self.mid_buffer = not frame.last_in_buffer
        if frame.msg_type == WSMsgType.TEXT and frame.fin:
            self.frames += 1
            # picows keeps 256 readable bytes behind what it has received.
            self.published |= self.core.on_frame(frame.payload_ptr, frame.payload_size, DECODE_SLACK,
                                                 frame.last_in_buffer, self.recv_mono_ns, self.recv_utc_ns)
        else:
            if frame.msg_type == WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
            elif frame.msg_type == WSMsgType.CLOSE:
                self.end("closed by the venue")
                transport.disconnect()
            elif frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
                self.core.refused += 1   # the venue sends no fragments and no binary frames
            if frame.last_in_buffer:
                self.published |= self.core.publish_books()
        if self.published and not self.mid_buffer:
            self.ring()

    cpdef on_ws_disconnected(self, WSTransport transport):
        self.end("connection lost")

    cdef void ring(self):
        cdef uint64_t published = self.published
        cdef int64_t took_ns = mono_ns() - self.recv_mono_ns
        cdef int index
        cdef InstrumentFeed feed
        self.published = 0
        ring_instruments(self.bells, published)
        for index in range(len(self.bells)):
            if published >> index & 1:
                feed = <InstrumentFeed>self.core.instrument[index]
                histogram.record(feed.counters.frame_to_publish_ns, took_ns)

    def end(self, why):
        """Say that this connection is of no more use; only the first reason counts."""
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end(self, why)
