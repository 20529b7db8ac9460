# Everything that brings inventory down: what PINNING, GRINDING and FLATTENING quote and take, and what they remember.
from libc.stdint cimport int64_t, uint8_t, uint64_t

from phx._core.flattening cimport Flattening
from phx._core.live cimport Live
from phx._core.loss_budget cimport LossBudget
from phx._core.model cimport Market
from phx._core.pinning cimport Pin
from phx._core.records cimport Book, ExecEvent, Ladder, Own, Params, QuoterState
from phx._core.reducing cimport Reducing
from phx._core.signals cimport Touch
from phx._core.stops cimport Gains
from phx._core.takes cimport TakeState

cdef struct Surroundings:                    # of one decision
    const Own *own
    const Live *live
    const Book *book
    const Touch *touch
    const Market *market
    const Params *params
    bint sees                                # there is a good book
    int64_t now_ns

cdef class Exits:
    cdef Pin pin
    cdef Flattening flattening
    cdef TakeState take
    cdef Gains gains
    cdef LossBudget budget
    cdef uint64_t epoch                      # the quoter's life, which numbers its takes
    # Of the newest own record.
    cdef int inventory_side                  # +1 long, -1 short; of the last inventory there was
    cdef double cost_ticks                   # its average cost
    cdef double former_cost_ticks            # the same, one own record before
    cdef double maker_fee, taker_fee         # the account's commission rates, fractions
    cdef int takes_live
    cdef int unknown                         # orders with an unknown outcome
    cdef int64_t adding_lots                 # live orders of the side that adds
    # Of grinding.
    cdef int64_t maker_ticks                 # where its maker order rests; 0 = nowhere yet
    cdef int64_t slice_mono_ns               # when its newest slice was wanted
    cdef bint exhausted                      # the budget is empty, until half of it is free again
    cdef double used_ticklots, reserved_ticklots, allowed_ticklots
    cdef double safety
    # Counted by the shell of the core.
    cdef uint64_t takes, takes_filled_lots, stops, escalations

    cdef void read_own(self, const Own *own, int64_t now_ns) noexcept nogil
    cdef void on_fill(self, const ExecEvent *event, const Params *params) noexcept nogil
    cdef void on_lost_fills(self, int64_t now_ns) noexcept nogil
    cdef void weigh(self, const Surroundings *s) noexcept nogil
    cdef void change_mode(self, uint8_t old, uint8_t new, double ratio, int64_t now_ns) noexcept nogil
    cdef void pin_ladder(self, const Surroundings *s, Ladder *ladder) noexcept nogil
    cdef void grind_ladder(self, const Surroundings *s, Ladder *ladder) noexcept nogil
    cdef void flatten(self, const Surroundings *s) noexcept nogil
    cdef void add_pinned(self, Reducing *reducing, const Surroundings *s) noexcept nogil
    cdef void show_far_adding(self, const Surroundings *s, Ladder *ladder) noexcept nogil
    cdef double worst_cost(self, const Surroundings *s) noexcept nogil
    cdef double reserved(self, const Surroundings *s, double cost_ticks) noexcept nogil
    cdef void consider_slice(self, const Surroundings *s, double cost_ticks) noexcept nogil
    cdef void restore(self, const QuoterState *state) noexcept nogil
    cdef void save(self, QuoterState *state) noexcept nogil
