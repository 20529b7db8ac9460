# Snapshot plus deltas make a book: the state machine of one instrument.
from libc.stdint cimport int64_t, uint32_t

from phx._core.binance.decode cimport phx_event
from phx._core.book cimport OrderBook, phx_level

cpdef enum SyncResult:
    SYNC_NONE = 0
    SYNC_APPLIED = 1                     # the delta changed the book
    SYNC_BUFFERED = 2                    # kept until a snapshot comes
    SYNC_OLD = 3                         # nothing in it is newer than the book
    SYNC_GAP = 4                         # deltas are missing: the book is void, the delta is the first of a new buffer
    SYNC_DONE = 5                        # the snapshot and the buffered deltas make the book
    SYNC_REFUSED = 6                     # the snapshot is older than the buffer: another one is wanted

cdef enum:
    BUFFER_DELTAS = 1024
    BUFFER_LEVELS = 65536

cdef struct Delta:
    int64_t first_update_id              # `U`
    int64_t update_id                    # `u`
    int64_t previous_update_id           # `pu`
    int64_t start                        # its levels in the buffer: bids, then asks
    uint32_t levels[2]

cdef class Sequencer:
    cdef readonly OrderBook book
    cdef readonly bint synced
    cdef readonly int64_t update_id      # of the book: the last delta's `u`, or the snapshot's lastUpdateId
    cdef readonly uint32_t sync_id       # the book's resync count: grows whenever a book becomes void
    cdef readonly int tries              # snapshots asked for since the book was last good for long
    cdef bint bridged                    # a delta has followed the snapshot: from now on `pu` must be update_id
    cdef bint asked                      # a snapshot is on its way
    cdef int64_t want_at_ns              # no snapshot is wanted before, monotonic
    cdef int64_t synced_at_ns
    cdef int deltas                      # buffered, an unbroken chain
    cdef int64_t buffered_levels
    cdef Delta *delta                    # [BUFFER_DELTAS]
    cdef phx_level *level                # [BUFFER_LEVELS]
    cdef int on_delta(self, const phx_event *event, int64_t now_ns) noexcept nogil          # SyncResult
    cdef int on_snapshot(self, const phx_event *event, int64_t now_ns) noexcept nogil       # SyncResult
    cdef void on_no_snapshot(self, int64_t now_ns) noexcept nogil                           # the request failed
    cdef void make_void(self, int64_t now_ns) noexcept nogil
    cdef bint wants_snapshot(self, int64_t now_ns) noexcept nogil
    cdef void ask(self) noexcept nogil                                                      # a request is being sent
    cdef void buffer(self, const phx_event *event) noexcept nogil
