# The quoter's pure half: rings in, ladder, state and decisions out. It is told the time, opens and waits for nothing.
from libc.stdint cimport int64_t, uint64_t

from phx._core.modes cimport Transition
from phx._core.quoter_view cimport QuoterView
from phx._core.records cimport Ladder
from phx._core.ring cimport RingWriter
from phx._core.top_error cimport TopError

cdef enum:
    TRANSITIONS = 16                         # kept for the shell to log

cdef class QuoterCore(QuoterView):
    # What it decided.
    cdef Ladder wanted                       # as decided last
    cdef int64_t decided_mono_ns             # when that was
    cdef bint decided                        # in this step
    cdef double skew_anchor
    cdef TopError top_error                  # our nearest orders against where they should be
    cdef Transition[TRANSITIONS] transitions
    cdef uint64_t transitions_made
    cdef uint64_t transitions_told
    cdef uint64_t told                       # Told bits of this step: what the shell gave, as it was taken

    # What it writes.
    cdef RingWriter ladder_ring, state_ring, decisions_ring
    cdef Ladder published                    # as published last; seq 0 = nothing yet
    cdef int64_t published_mono_ns
    cdef bint deferred                       # a price change waits for min_requote
    cdef int64_t cause_recv_mono_ns          # of the tick that caused this step's ladder; 0 = no tick, or no ladder
    cdef int64_t quoted_both_ns
    cdef int64_t quotable_ns

    # The loop's part. step returns whether it published a ladder; `decided` says whether it had work at all.
    cdef bint step(self, int64_t now_ns) noexcept nogil
    cdef void stamp(self, int64_t end_ns) noexcept nogil
    cdef int64_t idle_ns(self, int64_t now_ns) noexcept nogil

    # Leaves.
    cdef bint advance_mode(self, int64_t now_ns) noexcept nogil
    cdef void consider(self, int64_t now_ns) noexcept nogil
    cdef void blank(self, int64_t now_ns) noexcept nogil
    cdef bint quote(self, int64_t now_ns) noexcept nogil
    cdef void count_exits(self) noexcept nogil
    cdef void count_verdict(self) noexcept nogil
    cdef void count_time(self, int64_t now_ns) noexcept nogil
    cdef bint must_publish(self, int64_t now_ns) noexcept nogil
    cdef void publish(self, int64_t now_ns, bint ticked) noexcept nogil
    cdef void write_decision(self, int64_t now_ns, uint64_t ladder_seq) noexcept nogil
    cdef void write_state(self, int64_t now_ns) noexcept nogil
