"""The quoter's loop: step, beat, ring the gateway, wait as the policy says; back to Python every now and then."""

cimport cython
from libc.stdint cimport int64_t, uint64_t

from phx._core.edge.bell cimport Bell, Ringer
from phx._core.edge.clock cimport mono_ns
from phx._core.quoter cimport QuoterCore
from phx._core.records cimport ProcessCounters, SegmentHeader
from phx._core.ring cimport phx_load_acquire, phx_store_release

cdef extern from "sched.h" nogil:
    int sched_yield()

cdef extern from *:
    """
    #if defined(__x86_64__) || defined(__i386__)
    #define phx_pause() __builtin_ia32_pause()
    #else
    #define phx_pause() ((void)0)
    #endif
    """
    void phx_pause() nogil

cdef enum:
    BLOCK, YIELD, SPIN

POLICIES = {"block": BLOCK, "yield": YIELD, "spin": SPIN}

cdef int64_t BEAT_NS = 10_000_000            # a heartbeat is at most this old while the loop turns


cdef SegmentHeader *header_of(memory, bint writable) except NULL:
    cdef const unsigned char[::1] readable = memoryview(memory).cast("B")
    if readable.shape[0] < <Py_ssize_t>sizeof(SegmentHeader):
        raise ValueError(f"{readable.shape[0]} bytes, a segment's header has {sizeof(SegmentHeader)}")
    if writable and memoryview(memory).readonly:
        raise ValueError("the heartbeat needs writable memory")
    return <SegmentHeader *>&readable[0]


@cython.final
cdef class QuoterLoop:
    """Turns the core's step into a process.

    core: the QuoterCore. bell: its own; ringers: of those who read its ladder. own_memory: the mapping of
    `process.<name>`, whose heartbeat it beats and whose loops it counts. wait: "block", "yield" or "spin".
    """

    cdef QuoterCore core
    cdef Bell bell
    cdef Ringer gateway
    cdef SegmentHeader *own
    cdef ProcessCounters *process
    cdef const SegmentHeader *feed
    cdef object own_memory, feed_memory      # keep the mappings alive
    cdef int policy

    def __init__(self, QuoterCore core, Bell bell, Ringer gateway, own_memory, wait):
        if wait not in POLICIES:
            raise ValueError(f"wait: {wait!r}, expected one of {', '.join(POLICIES)}")
        self.core = core
        self.bell = bell
        self.gateway = gateway
        self.own_memory = own_memory
        self.own = header_of(own_memory, True)
        self.process = <ProcessCounters *>(self.own + 1)
        self.policy = POLICIES[wait]

    def watch_feed(self, memory):
        """Take the feed's heartbeat from this mapping of its process segment; None: the feed is not there."""
        self.feed_memory = memory
        self.feed = NULL if memory is None else header_of(memory, False)

    def run(self, int64_t span_ns):
        """Turn the loop for about span_ns without the interpreter, then return for signals and slow work."""
        cdef int64_t now_ns = mono_ns()
        cdef int64_t end_ns = now_ns + span_ns
        with nogil:
            while now_ns < end_ns:
                self.turn(now_ns)
                now_ns = mono_ns()

    cdef void turn(self, int64_t now_ns) noexcept nogil:
        phx_store_release(<uint64_t *>&self.own.heartbeat_mono_ns, <uint64_t>now_ns)
        self.process.loops += 1
        self.core.feed_heartbeat_mono_ns = 0
        if self.feed != NULL:
            self.core.feed_heartbeat_mono_ns = <int64_t>phx_load_acquire(<uint64_t *>&self.feed.heartbeat_mono_ns)
        cdef bint published = self.core.step(now_ns)
        if not self.core.decided:
            self.wait(now_ns)
            return
        cdef int64_t end_ns = mono_ns()      # before the bell: waking the gateway is its time, not ours
        if published:
            self.gateway.ring()
        self.core.stamp(end_ns)

    cdef void wait(self, int64_t now_ns) noexcept nogil:
        cdef unsigned int seen
        if self.policy == SPIN:
            phx_pause()
        elif self.policy == YIELD:
            sched_yield()
        else:
            # Parked first, then a last look: whoever publishes after the look sees that we are parked (bell.pyx).
            seen = self.bell.park()
            if not self.core.has_news():
                self.bell.wait(seen, max(0, min(BEAT_NS, self.core.idle_ns(now_ns))))
            self.bell.unpark()
