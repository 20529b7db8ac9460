# What a quoter knows, as far as it has read: the half of QuoterCore that decides and publishes nothing.
from libc.stdint cimport int64_t, uint64_t

from phx._core.decide cimport Learned, Verdict
from phx._core.exits cimport Exits, Surroundings
from phx._core.mark_outs cimport MarkOuts
from phx._core.model cimport Market
from phx._core.modes cimport Conditions, ModeState
from phx._core.post_only cimport Refused
from phx._core.quoter_inputs cimport QuoterInputs
from phx._core.records cimport LADDER_LAYERS, ExecEvent, QuoterCounters
from phx._core.signals cimport Signals, Touch

cdef class QuoterView(QuoterInputs):
    cdef readonly int symbol_id
    cdef readonly uint64_t epoch             # this quoter's life
    cdef int64_t feed_silent_ns              # a feed heartbeat older than this is a lost feed
    cdef QuoterCounters *counters
    cdef object counters_memory              # keeps the block alive

    # Given by the shell before each step.
    cdef public int64_t feed_heartbeat_mono_ns
    cdef public int64_t utc_minus_mono_ns    # state is stamped with UTC
    cdef public bint latched                 # a latch stops this symbol as it is
    cdef public bint loss_latched            # likewise: the account's daily loss, so close the position first
    cdef bint froze                          # this process did not run for too long

    # The market.
    cdef readonly Signals signals
    cdef Touch touch                         # of book, top of book and `live`
    cdef bint two_sided                      # `touch` has somebody else's order on both sides
    cdef int64_t tick_recv_mono_ns           # receipt of the newest tick, the leader's included
    cdef int64_t tick_update_id              # its venue sequence number
    cdef bint saw_book                       # in this step: a new book,
    cdef bint saw_top                        # or a new top of book
    cdef int64_t mark_ticks                  # the venue's mark price,
    cdef int64_t mark_mono_ns                # and when it came
    cdef Market market                       # of the newest look
    cdef int64_t seen_mono_ns                # when that was

    # Ourselves.
    cdef readonly MarkOuts mark_outs         # fills that wait for their judgement
    cdef Refused refused                     # what post-only refusals taught
    cdef int64_t refused_ticks[2][LADDER_LAYERS]
    cdef Learned learned                     # of refusals, places and the order budget, as a decision is given it
    cdef Exits exits                         # what PINNING, GRINDING and FLATTENING do
    cdef ModeState mode_state
    cdef Verdict verdict                     # of the newest decision
    cdef int64_t step_mono_ns                # of the step before
    cdef int64_t state_mono_ns               # when the state was written; 0 = the next life must know, so it is due

    cdef bint read_own(self, int64_t now_ns) noexcept nogil
    cdef bint read_exec(self) noexcept nogil
    cdef void on_exec(self, const ExecEvent *event) noexcept nogil
    cdef void recall(self, int64_t now_ns) noexcept nogil
    cdef void judge_fills(self, int64_t now_ns) noexcept nogil
    cdef bint read_market(self, bint own_changed) noexcept nogil
    cdef bint read_tape(self) noexcept nogil
    cdef void see_queues(self) noexcept nogil
    cdef bint sample(self, int64_t now_ns) noexcept nogil
    cdef bint see_market(self, int64_t now_ns) noexcept nogil
    cdef bint mid_trusted(self, int64_t now_ns) noexcept nogil
    cdef double leader_mid_ticks(self, int64_t now_ns) noexcept nogil
    cdef double valuation_ticks(self, int64_t now_ns) noexcept nogil
    cdef void look(self, Conditions *conditions, int64_t now_ns) noexcept nogil
    cdef void look_at_inventory(self, Conditions *conditions, int64_t now_ns) noexcept nogil
    cdef void weigh(self, int64_t now_ns) noexcept nogil
    cdef void surround(self, Surroundings *surroundings, int64_t now_ns) noexcept nogil
