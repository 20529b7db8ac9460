"""The order session: the core's actions become signed WS-API requests on a warm connection, replies go to the shell.

One instance per connection. Requests are written into one buffer that picows sends and masks in place.
"""

from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport

from libc.stdint cimport int64_t

from phx._core.action cimport Action
from phx._core.binance.encode cimport HEADROOM_BYTES, REQUEST_BYTES, OrderEncoder
from phx._core.edge.clock cimport mono_ns
from phx._core.gateway cimport GatewayCore

cdef enum:
    MS = 1_000_000


cdef class OrderSession(WSListener):
    """A listener for picows.ws_connect. on_reply(bytes): every text frame; on_end(why): when it is over.

    `venue_ahead_of_mono_ns` is kept by the shell: the venue's UTC time minus our monotonic clock.
    """

    cdef GatewayCore core
    cdef OrderEncoder encoder
    cdef WSTransport transport
    cdef object on_reply
    cdef object on_end
    cdef public int64_t venue_ahead_of_mono_ns
    cdef public bint open                   # logged on, actions may be sent
    cdef readonly int64_t waiting_since_mono_ns   # since something was sent and nothing has come; 0 = nothing waits
    cdef char[HEADROOM_BYTES + REQUEST_BYTES] buffer

    def __init__(self, GatewayCore core, OrderEncoder encoder, on_reply, on_end, int64_t venue_ahead_of_mono_ns):
        self.core = core
        self.encoder = encoder
        self.on_reply = on_reply
        self.on_end = on_end
        self.venue_ahead_of_mono_ns = venue_ahead_of_mono_ns

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        if frame.msg_type == WSMsgType.TEXT and frame.fin:
            self.waiting_since_mono_ns = 0
            self.on_reply(frame.get_payload_as_bytes())
        elif frame.msg_type in (WSMsgType.TEXT, WSMsgType.CONTINUATION, WSMsgType.CLOSE):
            # A fragmented reply is as good as a lost one.
            transport.disconnect()

    cpdef on_ws_disconnected(self, WSTransport transport):
        self.open = False
        self.transport = None
        self.on_end("disconnected")

    def send_actions(self):
        """Send all actions that wait, oldest first; return how many. Nothing is sent while the session is not open."""
        cdef Action action
        cdef int64_t sent_mono_ns
        cdef int size, count = 0
        cdef char *request = self.buffer + HEADROOM_BYTES
        while self.open and self.core.next_action(&action):
            size = self.encoder.encode(&action, (mono_ns() + self.venue_ahead_of_mono_ns) // MS, request)
            self.transport.send_reuse_external_buffer(WSMsgType.TEXT, request, size)
            sent_mono_ns = mono_ns()
            self.core.note_sent(&action, sent_mono_ns)
            if self.waiting_since_mono_ns == 0:
                self.waiting_since_mono_ns = sent_mono_ns
            count += 1
        return count

    def send_text(self, bytes request):
        """Send one request as it is: the logon."""
        if self.transport is None:
            raise ConnectionError("order session: not connected")
        self.transport.send(WSMsgType.TEXT, request)

    def disconnect(self, bint graceful=True):
        """End the session; not graceful: at once, whatever the other end still does."""
        self.open = False
        if self.transport is not None:
            self.transport.disconnect(graceful)
