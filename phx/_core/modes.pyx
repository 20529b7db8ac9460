"""The state machine of a quoter. HALTED > FLATTENING > COOLING > PAUSED > GRINDING > PINNING > NORMAL.

Towards risk control at once, back after a while. Three things are followed apart, each by itself simple: the level
(NORMAL, PINNING, GRINDING, by inventory), the stop (FLATTENING, then COOLING or a latch), and what pauses or halts. The
mode is the first of them that has something to say, so a pause over GRINDING ends in GRINDING.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset

from phx._core.enums cimport (
    BOOK_CROSSED, BOOK_ONE_SIDED, BOOK_UNSYNCED, MODE_COOLING, MODE_FLATTENING, MODE_GRINDING, MODE_HALTED, MODE_NONE,
    MODE_NORMAL, MODE_PAUSED, MODE_PINNING, OPERATOR_FLATTEN, OPERATOR_KILL, OPERATOR_PAUSE, REASON_BOOK_CROSSED,
    REASON_BOOK_ONE_SIDED, REASON_BOOK_STALE, REASON_BOOK_UNSYNCED, REASON_COOLED, REASON_DAILY_LOSS, REASON_DISABLED,
    REASON_FEED_LOST, REASON_FLAT, REASON_GATEWAY_NOT_READY, REASON_LATCH, REASON_LOSS_BUDGET, REASON_NONE,
    REASON_OPERATOR, REASON_OWN_FREEZE, REASON_PATIENCE, REASON_RATIO_FELL, REASON_RATIO_ROSE, REASON_TOXIC,
    REASON_THROTTLE, REASON_VENUE_RULE, REASON_VOLATILITY, REASON_WARMING_UP, REJECT_LATCHED, REJECT_PROTECTION,
    REJECT_THROTTLE, REJECT_VENUE_RULE,
)
from phx._core.records cimport Params, QuoterState

# Quotes that were pulled come back no sooner, so that a flickering book cannot burn the account's order budget.
cdef int64_t PAUSE_DWELL_NS = 1_000_000_000


cdef bint advance(ModeState *state, const Conditions *c, const Params *params, int64_t now_ns) noexcept nogil:
    cdef uint8_t halt, pause = pause_reason(c)
    cdef bint leaves = c.operator_wants == OPERATOR_FLATTEN and c.measured and not c.flat
    follow_stop(state, c, params, now_ns)
    if state.stop == REASON_NONE and c.measured:
        follow_inventory(state, c, params, now_ns)
    halt = halt_reason(state, c)
    # A latch stops quoting, not leaving: what a human has flattened is closed under it, too.
    if halt != REASON_NONE and not (halt == REASON_LATCH and leaves):
        return move(state, MODE_HALTED, halt, now_ns)
    if state.stop != REASON_NONE and state.cooling_until_mono_ns == 0:
        return move(state, MODE_FLATTENING, state.stop, now_ns)
    if leaves:
        return move(state, MODE_FLATTENING, REASON_OPERATOR, now_ns)
    if state.stop != REASON_NONE:
        return move(state, MODE_COOLING, REASON_FLAT, now_ns)
    if pause != REASON_NONE:
        return move(state, MODE_PAUSED, pause, now_ns)
    if state.mode == MODE_PAUSED and now_ns - state.since_mono_ns < PAUSE_DWELL_NS:
        return False
    return move(state, state.level, state.level_reason, now_ns)


cdef bint move(ModeState *state, uint8_t mode, uint8_t reason, int64_t now_ns) noexcept nogil:
    cdef bint changed = state.mode != mode or state.reason != reason
    if state.mode != mode:
        state.since_mono_ns = now_ns
    state.mode, state.reason = mode, reason
    return changed


# ---- what halts and what pauses

cdef uint8_t halt_reason(const ModeState *state, const Conditions *c) noexcept nogil:
    if c.latched:
        return REASON_LATCH
    if c.operator_wants == OPERATOR_KILL:
        return REASON_OPERATOR
    if state.latch_wanted:
        return state.stop
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
    if c.wide:
        return REASON_VOLATILITY
    if not c.gateway_ready:
        return REASON_GATEWAY_NOT_READY
    if c.gateway_blocked == REJECT_LATCHED:
        return REASON_LATCH                  # it adds nothing, and the stops go on
    if c.gateway_blocked == REJECT_PROTECTION or c.gateway_blocked == REJECT_THROTTLE:
        return REASON_THROTTLE
    if c.gateway_blocked == REJECT_VENUE_RULE:
        return REASON_VENUE_RULE
    if c.toxic:
        return REASON_TOXIC
    return REASON_NONE


# ---- the stop: close the position, then cool or latch

cdef void follow_stop(ModeState *state, const Conditions *c, const Params *params, int64_t now_ns) noexcept nogil:
    if c.latched or c.operator_wants == OPERATOR_KILL:
        # A human decides what comes next; whoever enables the symbol again begins anew.
        state.stop, state.cooling_until_mono_ns, state.latch_wanted = REASON_NONE, 0, False
        return
    if not c.measured or state.latch_wanted:
        return
    if state.stop == REASON_NONE:
        state.stop, state.cooling_until_mono_ns = c.stop, 0
    if c.stop == REASON_DAILY_LOSS:
        state.stop = c.stop                  # it always latches, whatever stopped first
    if state.stop == REASON_NONE:
        return
    if not c.flat:
        state.cooling_until_mono_ns = 0      # also what a late fill brings back
    elif state.stop == REASON_DAILY_LOSS or params.stop_latches:
        state.latch_wanted = True
    elif state.cooling_until_mono_ns == 0:
        state.cooling_until_mono_ns = now_ns + params.halt_ns
    elif now_ns >= state.cooling_until_mono_ns:
        state.stop, state.cooling_until_mono_ns = REASON_NONE, 0
        state.level, state.level_reason = MODE_NORMAL, REASON_COOLED


# ---- the level: NORMAL, PINNING, GRINDING

cdef inline void set_level(ModeState *state, uint8_t level, uint8_t reason) noexcept nogil:
    state.level, state.level_reason = level, reason
    state.patient = reason == REASON_PATIENCE


cdef void follow_inventory(ModeState *state, const Conditions *c, const Params *params, int64_t now_ns) noexcept nogil:
    cdef bint dwelt = state.mode == state.level and now_ns - state.since_mono_ns >= params.mode_dwell_ns
    if state.level == MODE_NONE:
        set_level(state, MODE_NORMAL, REASON_NONE)
    if state.level == MODE_GRINDING:
        leave_grinding(state, c, params, now_ns, dwelt)
    elif may_grind(state, c, params, now_ns) and c.ratio >= params.grind_enter:
        set_level(state, MODE_GRINDING, REASON_RATIO_ROSE)
    elif state.level == MODE_NORMAL:
        if params.pin_enabled and c.ratio >= params.pin_enter:
            set_level(state, MODE_PINNING, REASON_RATIO_ROSE)
    elif may_grind(state, c, params, now_ns) and c.patience_over:
        set_level(state, MODE_GRINDING, REASON_PATIENCE)
    elif dwelt and (c.ratio < params.pin_exit or not params.pin_enabled):
        set_level(state, MODE_NORMAL, REASON_RATIO_FELL)


cdef inline bint may_grind(
    const ModeState *state, const Conditions *c, const Params *params, int64_t now_ns
) noexcept nogil:
    return (
        params.grind_enabled and not c.budget_empty and c.sigma_30m < params.grind_max_sigma
        and now_ns >= state.grind_barred_mono_ns
    )


cdef void leave_grinding(
    ModeState *state, const Conditions *c, const Params *params, int64_t now_ns, bint dwelt
) noexcept nogil:
    """Give up at once when it is too dangerous or too dear, but then not begin anew before the dwell time is over."""
    cdef uint8_t calmer = MODE_PINNING if params.pin_enabled else MODE_NORMAL
    cdef double exit = params.pin_exit if state.patient else params.grind_exit
    if c.sigma_30m > params.grind_leave_sigma or c.budget_empty:
        set_level(state, calmer, REASON_LOSS_BUDGET if c.budget_empty else REASON_VOLATILITY)
        state.grind_barred_mono_ns = now_ns + params.mode_dwell_ns
    elif dwelt and (c.ratio < exit or not params.grind_enabled):
        set_level(state, calmer, REASON_RATIO_FELL)


cdef void save_mode(const ModeState *state, QuoterState *left) noexcept nogil:
    left.mode, left.reason, left.mode_since_mono_ns = state.mode, state.reason, state.since_mono_ns
    left.level, left.level_reason, left.patient = state.level, state.level_reason, state.patient
    left.stop, left.cooling_until_mono_ns = state.stop, state.cooling_until_mono_ns
    left.grind_barred_mono_ns = state.grind_barred_mono_ns


cdef void resume_mode(ModeState *state, const QuoterState *left) noexcept nogil:
    """Keep the level and the stop of an earlier life; the conditions say anew what pauses or halts."""
    state.level, state.level_reason, state.patient = left.level, left.level_reason, left.patient
    state.stop, state.cooling_until_mono_ns = left.stop, left.cooling_until_mono_ns
    state.grind_barred_mono_ns = left.grind_barred_mono_ns
    # A stop is halted by nothing but itself: the position was closed, and the latch may not be on disk yet.
    state.latch_wanted = left.mode == MODE_HALTED and left.stop != REASON_NONE


def next_mode(dict state, Conditions conditions, const Params[::1] params, int64_t now_ns):
    """Return the state after `now_ns` as a dict of ModeState; `state` may name some of its fields. For tests."""
    cdef ModeState filled
    memset(&filled, 0, sizeof(ModeState))
    fields = dict(filled) | state
    filled = fields
    advance(&filled, &conditions, &params[0], now_ns)
    return filled
