# A market-data socket's listener: frames go into the feed's core, bells are rung for those who read what came out.
from libc.stdint cimport int64_t, uint64_t

from picows.picows cimport WSListener, WSTransport

from phx._core.feed cimport FeedCore

cdef class MarketListener(WSListener):
    cdef FeedCore core
    cdef list bells                      # by instrument index: the Ringers of those who sleep until it is published
    cdef object on_end                   # called once with (this listener, why)
    cdef readonly WSTransport transport  # None until connected
    cdef readonly uint64_t frames        # data frames received on this connection
    cdef uint64_t published              # bit per instrument published since the last ring
    cdef bint mid_buffer                 # more frames of the same read are to come
    cdef int64_t recv_mono_ns            # receipt of that read
    cdef int64_t recv_utc_ns
    cdef void ring(self)
