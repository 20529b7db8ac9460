"""The state machine of a quoter. Priority HALTED > PAUSED > NORMAL: towards safety at once, back after a while.

PINNING, GRINDING, FLATTENING and COOLING are words of the same machine (enums.pxd); whoever adds one adds its condition
to `wanted` in the order of priority, and its quotes beside decide.pyx.
"""

from libc.stdint cimport int64_t, uint8_t

from phx._core.enums cimport (
    BOOK_CROSSED, BOOK_ONE_SIDED, BOOK_UNSYNCED, MODE_HALTED, MODE_NORMAL, MODE_PAUSED, OPERATOR_FLATTEN,
    OPERATOR_KILL, OPERATOR_PAUSE, REASON_BOOK_CROSSED, REASON_BOOK_ONE_SIDED, REASON_BOOK_STALE, REASON_BOOK_UNSYNCED,
    REASON_DISABLED, REASON_FEED_LOST, REASON_GATEWAY_NOT_READY, REASON_LATCH, REASON_NONE, REASON_OPERATOR,
    REASON_OWN_FREEZE, REASON_WARMING_UP,
)

# Quotes that were pulled come back no sooner, so that a flickering book cannot burn the account's order budget.
cdef int64_t PAUSE_DWELL_NS = 1_000_000_000


cdef uint8_t halt_reason(const Conditions *c) noexcept nogil:
    if c.latched:
        return REASON_LATCH
    if c.operator_wants == OPERATOR_KILL:
        return REASON_OPERATOR
    return REASON_NONE


cdef uint8_t pause_reason(const Conditions *c) noexcept nogil:
    # The first that holds is the one that is shown, so what explains the others comes first.
    if c.operator_wants == OPERATOR_PAUSE or c.operator_wants == OPERATOR_FLATTEN:
        return REASON_OPERATOR
    if not c.known:
        return REASON_WARMING_UP
    if not c.enabled:
        return REASON_DISABLED
    if c.froze:
        return REASON_OWN_FREEZE
    if not c.feed_alive:
        return REASON_FEED_LOST
    if c.book_flags & BOOK_UNSYNCED:
        return REASON_BOOK_UNSYNCED
    if c.data_age_ns > c.data_max_age_ns:
        return REASON_BOOK_STALE
    if c.book_flags & BOOK_CROSSED:
        return REASON_BOOK_CROSSED
    if c.book_flags & BOOK_ONE_SIDED or not c.two_sided:
        return REASON_BOOK_ONE_SIDED
    if not c.gateway_ready:
        return REASON_GATEWAY_NOT_READY
    return REASON_NONE


cdef bint move(ModeState *state, uint8_t mode, uint8_t reason, int64_t now_ns) noexcept nogil:
    cdef bint changed = state.mode != mode or state.reason != reason
    if state.mode != mode:
        state.since_mono_ns = now_ns
    state.mode, state.reason = mode, reason
    return changed


cdef bint advance(ModeState *state, const Conditions *conditions, int64_t now_ns) noexcept nogil:
    cdef uint8_t halt = halt_reason(conditions), pause = pause_reason(conditions)
    if halt != REASON_NONE:
        return move(state, MODE_HALTED, halt, now_ns)
    if pause != REASON_NONE:
        return move(state, MODE_PAUSED, pause, now_ns)
    if state.mode == MODE_PAUSED and now_ns - state.since_mono_ns < PAUSE_DWELL_NS:
        return False
    return move(state, MODE_NORMAL, REASON_NONE, now_ns)


def next_mode(ModeState state, Conditions conditions, int64_t now_ns):
    """Return the state after `now_ns` as a dict; for tests."""
    advance(&state, &conditions, now_ns)
    return state
