# The quoter's pure half: rings in, ladder, state and decisions out. It is told the time, opens and waits for nothing.
from libc.stdint cimport int64_t, uint8_t, uint64_t

from phx._core.decide cimport Learned, Verdict
from phx._core.exits cimport Exits, Surroundings
from phx._core.live cimport Live
from phx._core.mark_outs cimport MarkOuts
from phx._core.model cimport Market
from phx._core.modes cimport Conditions, ModeState, Transition
from phx._core.post_only cimport Refused
from phx._core.quoter_inputs cimport QuoterInputs
from phx._core.records cimport LADDER_LAYERS, Bbo, Book, ExecEvent, Ladder, Operator, Own, Params, QuoterCounters
from phx._core.ring cimport RingReader, RingWriter
from phx._core.signals cimport Signals, Touch
from phx._core.top_error cimport TopError

cdef enum:
    TRANSITIONS = 16                         # kept for the shell to log

cdef class QuoterCore(QuoterInputs):
    # Given by the shell before each step.
    cdef public int64_t feed_heartbeat_mono_ns      # given by the shell before each step
    cdef public int64_t utc_minus_mono_ns           # given by the shell: state is stamped with UTC
    cdef public bint latched                        # given by the shell: a latch stops this symbol as it is
    cdef public bint loss_latched                   # likewise: the account's daily loss, so close the position first
    cdef bint froze                                 # given by the shell: this process did not run for too long
    cdef uint64_t told                              # Told bits of this step: the four above, as it took them

    # What it knows.
    cdef readonly Signals signals
    cdef readonly MarkOuts mark_outs         # fills that wait for their judgement
    cdef Touch touch                         # of book, top of book and `live`
    cdef int64_t tick_recv_mono_ns           # receipt of the newest tick, the leader's included
    cdef int64_t tick_update_id              # its venue sequence number
    cdef bint two_sided                      # `touch` has somebody else's order on both sides
    cdef double skew_anchor
    cdef bint saw_book                       # in this step: a new book,
    cdef bint saw_top                        # or a new top of book
    cdef Refused refused                     # what post-only refusals taught
    cdef int64_t refused_ticks[2][LADDER_LAYERS]
    cdef Learned learned                     # the same two, as a decision is given them
    cdef TopError top_error                  # our nearest orders against where they should be
    cdef ModeState mode_state
    cdef Exits exits                         # what PINNING, GRINDING and FLATTENING do
    cdef int64_t mark_ticks                  # the venue's mark price,
    cdef int64_t mark_mono_ns                # and when it came
    cdef int64_t decided_mono_ns             # the newest decision
    cdef int64_t seen_mono_ns                # when the signals were read
    cdef Market market                       # of the newest decision
    cdef Verdict verdict                     # likewise

    # What it writes.
    cdef RingWriter ladder_ring, state_ring, decisions_ring
    cdef Ladder wanted                       # as decided last
    cdef Ladder published                    # as published last; seq 0 = nothing yet
    cdef int64_t published_mono_ns
    cdef int64_t state_mono_ns
    cdef bint deferred                       # a price change waits for min_requote
    cdef QuoterCounters *counters
    cdef object counters_memory              # keeps the block alive
    cdef Transition[TRANSITIONS] transitions
    cdef uint64_t transitions_made
    cdef uint64_t transitions_told
    cdef readonly int symbol_id
    cdef readonly uint64_t epoch             # this quoter's life
    cdef int64_t feed_silent_ns              # a feed heartbeat older than this is a lost feed
    cdef int64_t step_mono_ns                # of the step before
    cdef int64_t cause_recv_mono_ns          # of the tick that caused this step's ladder; 0 = no tick, or no ladder
    cdef bint decided                        # in this step
    cdef int64_t quoted_both_ns
    cdef int64_t quotable_ns

    # The loop's part. step returns whether it published a ladder; `decided` says whether it had work at all.
    cdef bint step(self, int64_t now_ns) noexcept nogil
    cdef void stamp(self, int64_t end_ns) noexcept nogil
    cdef int64_t idle_ns(self, int64_t now_ns) noexcept nogil

    # Leaves.
    cdef bint read_own(self, int64_t now_ns) noexcept nogil
    cdef bint read_exec(self) noexcept nogil
    cdef void on_exec(self, const ExecEvent *event) noexcept nogil
    cdef bint read_market(self, bint own_changed) noexcept nogil
    cdef bint read_tape(self) noexcept nogil
    cdef void see_queues(self) noexcept nogil
    cdef void recall(self, int64_t now_ns) noexcept nogil
    cdef bint sample(self, int64_t now_ns) noexcept nogil
    cdef bint mid_trusted(self, int64_t now_ns) noexcept nogil
    cdef void judge_fills(self, int64_t now_ns) noexcept nogil
    cdef bint see_market(self, int64_t now_ns) noexcept nogil
    cdef void weigh(self, int64_t now_ns) noexcept nogil
    cdef double valuation_ticks(self, int64_t now_ns) noexcept nogil
    cdef void surround(self, Surroundings *surroundings, int64_t now_ns) noexcept nogil
    cdef bint advance_mode(self, int64_t now_ns) noexcept nogil
    cdef void look(self, Conditions *conditions, int64_t now_ns) noexcept nogil
    cdef double leader_mid_ticks(self, int64_t now_ns) noexcept nogil
    cdef void consider(self, int64_t now_ns) noexcept nogil
    cdef void look_at_inventory(self, Conditions *conditions, int64_t now_ns) noexcept nogil
    cdef void count_exits(self) noexcept nogil
    cdef void blank(self, int64_t now_ns) noexcept nogil
    cdef bint quote(self, int64_t now_ns) noexcept nogil
    cdef void count_verdict(self) noexcept nogil
    cdef bint must_publish(self, int64_t now_ns) noexcept nogil
    cdef void publish(self, int64_t now_ns, bint ticked) noexcept nogil
    cdef void write_decision(self, int64_t now_ns, uint64_t ladder_seq) noexcept nogil
    cdef void write_state(self, int64_t now_ns) noexcept nogil
    cdef void count_time(self, int64_t now_ns) noexcept nogil
