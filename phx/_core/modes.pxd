# The state machine of a quoter: which mode, since when, and why.
from libc.stdint cimport int64_t, uint8_t

cdef struct Conditions:              # what the mode depends on, as the quoter knows it now
    bint latched                     # a latch file stops this symbol
    uint8_t operator_wants           # OperatorState
    bint known                       # own record, parameters, book and top of book are all there
    bint enabled                     # Params.enabled
    bint froze                       # this process did not run for longer than its limit
    bint feed_alive                  # the feed's heartbeat is young
    bint gateway_ready               # Own.ready
    uint8_t book_flags               # BookFlag bits of the newest market data
    int64_t data_age_ns              # of the newest market data
    int64_t data_max_age_ns
    bint two_sided                   # somebody else's orders on both sides

cdef struct ModeState:
    uint8_t mode                     # Mode
    uint8_t reason                   # Reason
    int64_t since_mono_ns

cdef struct Transition:
    int64_t at_mono_ns
    double ratio
    double sigma_30m
    uint8_t old
    uint8_t new
    uint8_t reason

# Moves to the mode that the conditions ask for; returns whether mode or reason changed.
cdef bint advance(ModeState *state, const Conditions *conditions, int64_t now_ns) noexcept nogil
