# The state machine of a quoter: which mode, since when, and why.
from libc.stdint cimport int64_t, uint8_t

from phx._core.records cimport Params, QuoterState

cdef struct Conditions:              # what the mode depends on, as the quoter knows it now
    bint latched                     # a latch stops this symbol as it is
    uint8_t operator_wants           # OperatorState
    bint known                       # own record, parameters, book and top of book are all there
    bint enabled                     # Params.enabled
    bint froze                       # this process did not run for longer than its limit
    bint feed_alive                  # the feed's heartbeat is young
    bint gateway_ready               # Own.ready
    uint8_t gateway_blocked          # Own.blocked
    uint8_t book_flags               # BookFlag bits of the newest market data
    int64_t data_age_ns              # of the newest market data
    int64_t data_max_age_ns
    bint two_sided                   # somebody else's orders on both sides
    bint wide                        # farther apart than collar_mid: nobody makes a market
    bint toxic                       # vpin asks for a pause
    bint measured                    # the gateway's books and parameters are there: ratio, flat and stop say something
    double ratio                     # |inventory / net_max|
    double sigma_30m
    bint patience_over               # pinning brought nothing for pin_patience
    bint budget_empty                # grinding has lost what it may
    uint8_t stop                     # Reason of a stop that strikes now, REASON_NONE = none
    bint flat                        # nothing is left that could be closed, and no order is live

cdef struct ModeState:
    uint8_t mode                     # Mode
    uint8_t reason                   # Reason
    int64_t since_mono_ns
    # What lies beneath: a pause over GRINDING ends in GRINDING.
    uint8_t level                    # NORMAL, PINNING or GRINDING, by inventory
    uint8_t level_reason
    uint8_t patient                  # 1 = GRINDING for patience: it ends at pin_exit
    uint8_t stop                     # Reason of the stop that closes the position, or cools since; REASON_NONE = none
    uint8_t latch_wanted             # 1 = the position is closed and the shell must latch
    int64_t cooling_until_mono_ns    # 0 = not cooling
    int64_t grind_barred_mono_ns     # GRINDING was given up: not again before this

cdef struct Transition:
    int64_t at_mono_ns
    double ratio
    double sigma_30m
    uint8_t old
    uint8_t new
    uint8_t reason

# Moves to the mode that the conditions ask for; returns whether mode or reason changed.
cdef bint advance(ModeState *state, const Conditions *conditions, const Params *params, int64_t now_ns) noexcept nogil
# Says what the next life must know.
cdef void save_mode(const ModeState *state, QuoterState *left) noexcept nogil
# Goes on where an earlier life was.
cdef void resume_mode(ModeState *state, const QuoterState *left) noexcept nogil
