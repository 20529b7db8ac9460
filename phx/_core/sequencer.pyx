"""Snapshot plus deltas make a book, or the book is void: the state machine of one instrument.

Unsynced, deltas are buffered as an unbroken chain. A snapshot with id L takes the deltas from the first with
U <= L <= u (or pu == L) on and the book is synced. From then on each delta's `pu` must be the book's id; anything
newer that does not fit is a gap: the book is void at once, its sync_id changes, and a new snapshot is wanted, after
a growing pause. (Binance, "How to manage a local order book correctly", USD-M futures.)
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from phx._core.binance.decode cimport EVENT_DEPTH, EVENT_SNAPSHOT, Decoder

from phx._core.binance.decode import EventKind

cdef enum:
    FIRST_PAUSE_NS = 250_000_000         # before the second snapshot of a row; doubles each time,
    PAUSE_DOUBLINGS = 4                  # up to 4 s: what the weight bears while two books keep breaking
    GOOD_FOR_NS = 10_000_000_000         # a book that lived so long ends the row


cdef inline bint follows(int64_t first, int64_t last, int64_t previous, int64_t snapshot_id) noexcept nogil:
    """Return whether a delta is the one that a snapshot must be continued with."""
    return first <= snapshot_id <= last or previous == snapshot_id


cdef class Sequencer:
    """Starts unsynced, with sync_id 1."""

    def __cinit__(self):
        self.book = OrderBook()
        self.delta = <Delta *>malloc(BUFFER_DELTAS * sizeof(Delta))
        self.level = <phx_level *>malloc(BUFFER_LEVELS * sizeof(phx_level))
        if self.delta == NULL or self.level == NULL:
            raise MemoryError("sequencer: no room for its buffer")
        self.sync_id = 1
        self.update_id = 0

    def __dealloc__(self):
        free(self.delta)
        free(self.level)

    cdef int on_delta(self, const phx_event *event, int64_t now_ns) noexcept nogil:
        if not self.synced:
            self.buffer(event)
            return SYNC_BUFFERED
        # The delta after a snapshot may end where the snapshot does: then it says the same again.
        if event.update_id < self.update_id or (self.bridged and event.update_id == self.update_id):
            return SYNC_OLD
        if event.previous_update_id != self.update_id and (self.bridged or not follows(
                event.first_update_id, event.update_id, event.previous_update_id, self.update_id)):
            self.make_void(now_ns)
            self.buffer(event)
            return SYNC_GAP
        self.book.apply(1, event.level[0], event.levels[0])
        self.book.apply(-1, event.level[1], event.levels[1])
        self.update_id = event.update_id
        self.bridged = True
        if self.tries and now_ns - self.synced_at_ns > <int64_t>GOOD_FOR_NS:
            self.tries = 0
        return SYNC_APPLIED

    cdef int on_snapshot(self, const phx_event *event, int64_t now_ns) noexcept nogil:
        cdef int64_t snapshot_id = event.update_id
        cdef int first = 0, i
        cdef const Delta *delta
        cdef const phx_level *levels
        self.asked = False
        if self.synced:
            return SYNC_OLD
        while first < self.deltas and self.delta[first].update_id < snapshot_id:
            first += 1
        if first < self.deltas:
            delta = &self.delta[first]
            if not follows(delta.first_update_id, delta.update_id, delta.previous_update_id, snapshot_id):
                self.on_no_snapshot(now_ns)
                return SYNC_REFUSED
        self.book.clear()
        self.book.apply(1, event.level[0], event.levels[0])
        self.book.apply(-1, event.level[1], event.levels[1])
        self.update_id = snapshot_id
        self.bridged = first < self.deltas
        for i in range(first, self.deltas):
            delta = &self.delta[i]
            levels = self.level + delta.start
            self.book.apply(1, levels, delta.levels[0])
            self.book.apply(-1, levels + delta.levels[0], delta.levels[1])
            self.update_id = delta.update_id
        self.deltas = 0
        self.buffered_levels = 0
        self.synced = True
        self.synced_at_ns = now_ns
        return SYNC_DONE

    cdef void on_no_snapshot(self, int64_t now_ns) noexcept nogil:
        self.asked = False
        self.want_at_ns = now_ns + (<int64_t>FIRST_PAUSE_NS << min(self.tries, PAUSE_DOUBLINGS))

    cdef void make_void(self, int64_t now_ns) noexcept nogil:
        # A snapshot that is on its way may be older than what is missing: it will be refused then.
        if self.synced:
            self.sync_id += 1
            self.want_at_ns = now_ns
            if self.tries > 1:           # in a row of short-lived books: not at once again
                self.want_at_ns += <int64_t>FIRST_PAUSE_NS << min(self.tries, PAUSE_DOUBLINGS)
        self.synced = False
        self.bridged = False
        self.update_id = 0
        self.deltas = 0
        self.buffered_levels = 0
        self.book.clear()

    cdef bint wants_snapshot(self, int64_t now_ns) noexcept nogil:
        # Only with a delta in the buffer: a snapshot taken before the stream delivers could not be continued.
        return not self.synced and not self.asked and self.deltas > 0 and now_ns >= self.want_at_ns

    cdef void ask(self) noexcept nogil:
        self.asked = True
        self.tries += 1

    cdef void buffer(self, const phx_event *event) noexcept nogil:
        """Keep a delta. What breaks the chain, or finds no room, starts the buffer anew: older deltas are of no use."""
        cdef int64_t levels = <int64_t>event.levels[0] + event.levels[1]
        cdef int64_t last = self.delta[self.deltas - 1].update_id if self.deltas else 0
        cdef Delta *delta
        cdef phx_level *room
        if self.deltas and event.update_id <= last:
            return
        if self.deltas and (event.previous_update_id != last or self.deltas == BUFFER_DELTAS
                            or self.buffered_levels + levels > BUFFER_LEVELS):
            self.deltas = 0
            self.buffered_levels = 0
        delta = &self.delta[self.deltas]
        delta.first_update_id = event.first_update_id
        delta.update_id = event.update_id
        delta.previous_update_id = event.previous_update_id
        delta.start = self.buffered_levels
        delta.levels[0] = event.levels[0]
        delta.levels[1] = event.levels[1]
        room = self.level + self.buffered_levels
        memcpy(room, event.level[0], event.levels[0] * sizeof(phx_level))
        memcpy(room + event.levels[0], event.level[1], event.levels[1] * sizeof(phx_level))
        self.deltas += 1
        self.buffered_levels += levels

    # The same from Python, for tests and for those who rebuild a book by hand.

    def delta_event(self, Decoder decoder, int64_t now_ns):
        """Take the delta that the decoder has just read; return the SyncResult."""
        if decoder.event.kind != EVENT_DEPTH:
            raise ValueError(f"sequencer: the decoder holds {EventKind(decoder.event.kind).name}, expected EVENT_DEPTH")
        return SyncResult(self.on_delta(decoder.event, now_ns))

    def snapshot_event(self, Decoder decoder, int64_t now_ns):
        """Take the snapshot that the decoder has just read; return the SyncResult."""
        if decoder.event.kind != EVENT_SNAPSHOT:
            raise ValueError(
                f"sequencer: the decoder holds {EventKind(decoder.event.kind).name}, expected EVENT_SNAPSHOT")
        return SyncResult(self.on_snapshot(decoder.event, now_ns))

    def snapshot_failed(self, int64_t now_ns):
        """Take it that the snapshot asked for does not come."""
        self.on_no_snapshot(now_ns)

    def ask_if_wanted(self, int64_t now_ns):
        """Return whether a snapshot is wanted now, and take it as asked for."""
        if not self.wants_snapshot(now_ns):
            return False
        self.ask()
        return True

    def lose(self, int64_t now_ns):
        """Declare the book void."""
        self.make_void(now_ns)

    @property
    def buffered(self):
        """How many deltas wait for a snapshot."""
        return self.deltas
