"""Pre-trade limits: what every order must pass before it is counted and sent. Integers only; products are 128-bit.

A new check is one function, one line in CHECKS, one reject reason and a test for each side of its limit. Checks of the
first list concern every order; those of the second only orders that could add to the position: the part of a quantity
that can't cross zero is free of exposure limits. A take that cannot add gets out whatever is stale, full or unset: of
all limits only the venue's own rules, our own orders in its way and the wait after a refusal hold it back.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t
from libc.string cimport memset

from phx._core.enums cimport (
    OPERATOR_NONE, OPERATOR_RUN, REJECT_BACK_OFF, REJECT_DUPLICATE, REJECT_GROSS_NOTIONAL, REJECT_IN_FLIGHT,
    REJECT_JOURNAL_FULL, REJECT_LATCHED, REJECT_MARGIN, REJECT_MESSAGE_RATE, REJECT_MIN_NOTIONAL, REJECT_NO_PROOF,
    REJECT_NONE, REJECT_NOT_ALLOWED, REJECT_NOT_FINITE, REJECT_NOT_READY, REJECT_OLD_LADDER, REJECT_OPEN_ORDERS,
    REJECT_OPERATOR,
    REJECT_ORDER_VALUE, REJECT_ORDER_VOLUME, REJECT_PARAMS_VERSION, REJECT_POSITION, REJECT_POST_ONLY,
    REJECT_PRICE_COLLAR, REJECT_SELF_CROSS, REJECT_STALE_LADDER, REJECT_STALE_MARKET, REJECT_UNKNOWN_ORDER,
    REJECT_USER_STREAM)
from phx._core.records cimport NO_LAYER, NO_PRICE, Params

cdef extern from *:
    ctypedef long long int128_t "__int128"

# No configuration can raise a limit above these.
cdef int64_t CEILING_ORDER_NOTIONAL_E8 = 1_000_000 * 100_000_000
cdef int64_t CEILING_GROSS_NOTIONAL_E8 = 20_000_000 * 100_000_000
cdef int64_t CEILING_DAILY_LOSS_E8 = 1_000_000 * 100_000_000
cdef int64_t CEILING_COLLAR_E6 = 100_000
cdef int64_t CEILING_COLLAR_FAR_E6 = 200_000     # what lies so far out is passive by nature
cdef int64_t CEILING_LEVERAGE_E6 = 20_000_000
cdef int64_t CEILING_MARGIN_E6 = 900_000
cdef int64_t CEILING_AGE_NS = 60_000_000_000
cdef uint32_t CEILING_CYCLES = 1_000
cdef uint32_t CEILING_REJECTS = 100
cdef int64_t ONE_E6 = 1_000_000

ctypedef const Intent *IntentPtr
ctypedef const Situation *SituationPtr
ctypedef const Limits *LimitsPtr
ctypedef const Rules *RulesPtr
ctypedef uint8_t (*Check)(IntentPtr, SituationPtr, LimitsPtr, RulesPtr) noexcept nogil


cdef inline int64_t saturated(int128_t value) noexcept nogil:
    if value > INT64_MAX:
        return INT64_MAX
    return <int64_t>value if value > -INT64_MAX else -INT64_MAX


cdef int64_t notional_e8(int64_t price_ticks, int64_t qty_lots, int64_t ticklot_e8) noexcept nogil:
    # What makes no sense is worth more than any limit.
    if price_ticks < 0 or qty_lots < 0 or ticklot_e8 < 0:
        return INT64_MAX
    return saturated(<int128_t>saturated(<int128_t>price_ticks * qty_lots) * ticklot_e8)


cdef int64_t add_saturating(int64_t a, int64_t b) noexcept nogil:
    return saturated(<int128_t>a + b)


cdef int64_t margin_e8(int64_t value_e8, int64_t leverage) noexcept nogil:
    # Rounded up. A leverage that is not known counts as none.
    return value_e8 if leverage <= 1 else value_e8 // leverage + (value_e8 % leverage != 0)


cdef inline int128_t magnitude(int128_t value) noexcept nogil:
    return value if value >= 0 else -value


cdef int64_t worst_lots(int64_t position_lots, int64_t buy_lots, int64_t sell_lots) noexcept nogil:
    # The largest position, long or short, that live orders could lead to.
    return saturated(max(magnitude(<int128_t>position_lots + buy_lots), magnitude(<int128_t>position_lots - sell_lots)))


cdef int64_t largest_lots(int64_t price_ticks, const Limits *limits, const Rules *rules) noexcept nogil:
    cdef int64_t most = min(limits.max_order_lots, rules.max_qty_lots)
    cdef int64_t lot_e8 = notional_e8(price_ticks, 1, rules.ticklot_e8)
    if lot_e8 > 0:
        most = min(most, limits.max_order_notional_e8 // lot_e8)
    return max(most, max(<int64_t>1, rules.min_qty_lots))


cdef bint only_leaves(const Intent *intent) noexcept nogil:
    return intent.layer == NO_LAYER and intent.reduce_only and intent.adding_lots == 0


cdef uint8_t is_sane(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    cdef bint priced = intent.price_ticks != NO_PRICE
    if intent.qty_lots <= 0 or intent.qty_lots > <int64_t>MAX_QTY_LOTS or intent.side * intent.side != 1:
        return REJECT_NOT_FINITE
    if priced and (intent.price_ticks <= 0 or intent.price_ticks > <int64_t>MAX_PRICE_TICKS):
        return REJECT_NOT_FINITE
    if priced and not rules.min_price_ticks <= intent.price_ticks <= rules.max_price_ticks:
        return REJECT_NOT_FINITE
    if intent.qty_lots % max(<int64_t>1, rules.qty_step_lots):
        return REJECT_NOT_FINITE
    if priced and intent.price_ticks % max(<int64_t>1, rules.price_step_ticks):
        return REJECT_NOT_FINITE
    # Only a take may be a market order or come without post-only (C28).
    if intent.layer != NO_LAYER and (not priced or not intent.post_only):
        return REJECT_NOT_FINITE
    return REJECT_NONE


cdef uint8_t is_ready(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    return REJECT_NONE if now.ready else REJECT_NOT_READY


cdef uint8_t is_allowed(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # A symbol that is traded no more may still be left.
    return REJECT_NONE if limits.params_version and (limits.enabled or only_leaves(intent)) else REJECT_NOT_ALLOWED


cdef uint8_t has_known_params(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    if now.ladder_params_version <= limits.params_version or only_leaves(intent):
        return REJECT_NONE
    return REJECT_PARAMS_VERSION


cdef inline bint book_is_fresh(SituationPtr now, LimitsPtr limits) noexcept nogil:
    return (now.book_usable and now.now_ns - now.market_mono_ns <= limits.book_max_age_ns
            and now.bid_price_ticks > 0 and now.ask_price_ticks > now.bid_price_ticks)


cdef uint8_t has_fresh_market(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # Leaving needs no market: it is wanted most when there is none.
    if only_leaves(intent) or (book_is_fresh(now, limits) and now.mark_price_ticks > 0):
        return REJECT_NONE
    return REJECT_STALE_MARKET


cdef uint8_t is_within_collar(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C01. Twice the mid stays an integer. Aggressive: a buy above, a sell below.
    if intent.price_ticks == NO_PRICE:
        return REJECT_NONE
    if limits.collar_mid_e6 <= 0 or limits.collar_mark_e6 <= 0 or limits.collar_far_e6 <= 0:
        return REJECT_NONE if only_leaves(intent) else REJECT_PRICE_COLLAR
    if not book_is_fresh(now, limits) or now.mark_price_ticks <= 0:
        return REJECT_NONE                   # a take that leaves: what is not known binds nothing
    cdef int128_t mid2 = <int128_t>now.bid_price_ticks + now.ask_price_ticks
    cdef int128_t beyond_mid2 = intent.side * (2 * <int128_t>intent.price_ticks - mid2)
    cdef int128_t beyond_mark = intent.side * (<int128_t>intent.price_ticks - now.mark_price_ticks)
    cdef int128_t bound = limits.collar_mid_e6
    if intent.layer != NO_LAYER and intent.layer >= limits.near_layers:
        bound = min(limits.collar_mid_e6, limits.collar_far_e6)
    if beyond_mid2 * ONE_E6 > bound * mid2 or -beyond_mid2 * ONE_E6 > limits.collar_far_e6 * mid2:
        return REJECT_PRICE_COLLAR
    if beyond_mark * ONE_E6 > <int128_t>limits.collar_mark_e6 * now.mark_price_ticks:
        return REJECT_PRICE_COLLAR
    # The venue's own PERCENT_PRICE: buys not too high, sells not too low.
    cdef int128_t price_e6 = <int128_t>intent.price_ticks * ONE_E6
    if intent.side > 0 and price_e6 > <int128_t>rules.percent_up_e6 * now.mark_price_ticks:
        return REJECT_PRICE_COLLAR
    if intent.side < 0 and price_e6 < <int128_t>rules.percent_down_e6 * now.mark_price_ticks:
        return REJECT_PRICE_COLLAR
    return REJECT_NONE


cdef uint8_t has_allowed_volume(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C03. An unset limit is zero and lets nothing through. A take that leaves was cut to it before (largest_lots).
    cdef int64_t most = rules.max_qty_lots if only_leaves(intent) else min(limits.max_order_lots, rules.max_qty_lots)
    return REJECT_NONE if rules.min_qty_lots <= intent.qty_lots <= most else REJECT_ORDER_VOLUME


cdef uint8_t has_allowed_value(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C02
    cdef int64_t price_ticks = intent.price_ticks if intent.price_ticks != NO_PRICE else now.ask_price_ticks
    if only_leaves(intent):
        return REJECT_NONE
    if notional_e8(price_ticks, intent.qty_lots, rules.ticklot_e8) > limits.max_order_notional_e8:
        return REJECT_ORDER_VALUE
    if not intent.reduce_only and <int128_t>price_ticks * intent.qty_lots < rules.min_notional_ticklots:
        return REJECT_MIN_NOTIONAL
    return REJECT_NONE


cdef uint8_t is_maker(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    if not intent.post_only:
        return REJECT_NONE
    if intent.side > 0:
        return REJECT_POST_ONLY if intent.price_ticks >= now.ask_price_ticks else REJECT_NONE
    return REJECT_POST_ONLY if intent.price_ticks <= now.bid_price_ticks else REJECT_NONE


cdef uint8_t meets_no_own_order(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C16. Orders on their way out count: they may still be there.
    if now.opposite_best_ticks == NO_PRICE:
        return REJECT_NONE
    if intent.price_ticks == NO_PRICE or intent.side * (intent.price_ticks - now.opposite_best_ticks) >= 0:
        return REJECT_SELF_CROSS
    return REJECT_NONE


cdef uint8_t is_no_duplicate(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C09
    return REJECT_DUPLICATE if now.same_order_live else REJECT_NONE


cdef uint8_t fits_open_orders(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C27
    cdef uint32_t most = rules.max_orders if only_leaves(intent) else min(limits.max_open_orders, rules.max_orders)
    return REJECT_NONE if now.open_orders < most else REJECT_OPEN_ORDERS


cdef uint8_t fits_in_flight(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C29
    return REJECT_NONE if now.in_flight < limits.max_in_flight or only_leaves(intent) else REJECT_IN_FLIGHT


cdef uint8_t fits_message_rate(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C04
    return REJECT_MESSAGE_RATE if now.order_rate_full else REJECT_NONE


cdef uint8_t has_journal_room(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    return REJECT_NONE if now.journal_room else REJECT_JOURNAL_FULL


cdef uint8_t may_add(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    if now.operator_state != OPERATOR_NONE and now.operator_state != OPERATOR_RUN:
        return REJECT_OPERATOR
    if now.latched:
        return REJECT_LATCHED
    return REJECT_NONE if now.user_stream_up else REJECT_USER_STREAM


cdef uint8_t has_living_quoter(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    return REJECT_NONE if now.quoter_alive and now.ladder_fresh else REJECT_STALE_LADDER


cdef uint8_t has_seen_own(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    return REJECT_NONE if now.ladder_own_seq >= now.must_see_seq else REJECT_OLD_LADDER


cdef uint8_t has_proof(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    if now.proof_period_ns <= 0 or now.proof_deadline_mono_ns - now.now_ns < now.proof_period_ns:
        return REJECT_NO_PROOF
    return REJECT_NONE


cdef uint8_t is_past_back_off(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    return REJECT_BACK_OFF if now.backing_off else REJECT_NONE


cdef uint8_t has_own_watch(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C06, C15: what would stop too much trading is set. The desk watches it.
    if limits.throttle_window_ns <= 0 or limits.throttle_cycles == 0 or limits.throttle_rejects == 0:
        return REJECT_NOT_ALLOWED
    if limits.protect_window_ns <= 0 or limits.protect_lots <= 0 or limits.protect_delta_lots <= 0:
        return REJECT_NOT_ALLOWED
    return REJECT_NONE


cdef uint8_t fits_position(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C07: the position if every live, pending and unknown order of this side filled.
    cdef int128_t worst = <int128_t>intent.side * now.position_lots + now.side_lots + intent.qty_lots
    return REJECT_NONE if worst <= limits.max_position_lots else REJECT_POSITION


cdef uint8_t fits_gross_notional(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C08: this symbol's worst case with the order, plus the others', against its own cap and against the equity.
    cdef int64_t buys = now.side_lots if intent.side > 0 else now.opposite_lots
    cdef int64_t sells = now.opposite_lots if intent.side > 0 else now.side_lots
    cdef int64_t before = worst_lots(now.position_lots, buys, sells)
    cdef int64_t after
    if intent.side > 0:
        after = worst_lots(now.position_lots, add_saturating(buys, intent.qty_lots), sells)
    else:
        after = worst_lots(now.position_lots, buys, add_saturating(sells, intent.qty_lots))
    # An order far from the market is worth what it would fill at.
    cdef int64_t value_e8 = notional_e8(max(now.worst_price_ticks, intent.price_ticks), after, rules.ticklot_e8)
    if after <= before and value_e8 <= notional_e8(max(<int64_t>0, now.worst_price_ticks), before, rules.ticklot_e8):
        return REJECT_NONE
    cdef int128_t total = <int128_t>now.others_notional_e8 + value_e8
    cdef int128_t margin = <int128_t>now.others_margin_e8 + margin_e8(value_e8, now.leverage)
    if total > limits.max_gross_notional_e8:
        return REJECT_GROSS_NOTIONAL
    if total * ONE_E6 > <int128_t>limits.max_leverage_e6 * now.equity_e8:
        return REJECT_MARGIN
    return REJECT_MARGIN if margin * ONE_E6 > <int128_t>limits.max_margin_e6 * now.equity_e8 else REJECT_NONE


cdef enum:
    CHECKS_OF_ALL = 14
    CHECKS_OF_ADDING = 8

cdef Check[CHECKS_OF_ALL] FOR_ALL
FOR_ALL[0] = is_sane
FOR_ALL[1] = is_ready
FOR_ALL[2] = is_allowed
FOR_ALL[3] = has_known_params
FOR_ALL[4] = has_fresh_market
FOR_ALL[5] = is_within_collar
FOR_ALL[6] = has_allowed_volume
FOR_ALL[7] = has_allowed_value
FOR_ALL[8] = is_maker
FOR_ALL[9] = meets_no_own_order
FOR_ALL[10] = is_no_duplicate
FOR_ALL[11] = fits_open_orders
FOR_ALL[12] = fits_in_flight
FOR_ALL[13] = fits_message_rate

cdef Check[CHECKS_OF_ADDING] FOR_ADDING
FOR_ADDING[0] = may_add
FOR_ADDING[1] = has_living_quoter
FOR_ADDING[2] = has_seen_own
FOR_ADDING[3] = has_proof
FOR_ADDING[4] = has_journal_room
FOR_ADDING[5] = fits_position
FOR_ADDING[6] = fits_gross_notional
FOR_ADDING[7] = has_own_watch


cdef bint passes_by_itself(uint8_t reason) noexcept nogil:
    # Nothing is wrong with the order: what it needs is not there yet, or not there now.
    return reason in (
        REJECT_NOT_READY, REJECT_STALE_MARKET, REJECT_USER_STREAM, REJECT_STALE_LADDER, REJECT_OLD_LADDER,
        REJECT_PARAMS_VERSION, REJECT_NO_PROOF, REJECT_BACK_OFF, REJECT_MESSAGE_RATE, REJECT_JOURNAL_FULL,
        REJECT_SELF_CROSS, REJECT_DUPLICATE, REJECT_IN_FLIGHT, REJECT_UNKNOWN_ORDER)


cdef uint8_t check(IntentPtr intent, SituationPtr situation, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    cdef uint8_t reason
    cdef int i
    for i in range(CHECKS_OF_ALL):
        reason = FOR_ALL[i](intent, situation, limits, rules)
        if reason:
            return reason
    # After rejects both kinds wait: a reduce-only that was refused must be reconciled before its second try.
    reason = is_past_back_off(intent, situation, limits, rules)
    if reason or intent.adding_lots == 0:
        return reason
    for i in range(CHECKS_OF_ADDING):
        reason = FOR_ADDING[i](intent, situation, limits, rules)
        if reason:
            return reason
    return REJECT_NONE


cdef int64_t lower_unless(bint may_rise, int64_t present, int64_t wanted) noexcept nogil:
    return wanted if may_rise else min(present, wanted)


cdef int64_t longer_unless(bint may_fall, int64_t present, int64_t wanted) noexcept nogil:
    # For times in which something is counted: the longer the stricter.
    return wanted if may_fall else max(present, wanted)


cdef inline int64_t e6(double fraction) noexcept nogil:
    # What is no fraction is an unset limit.
    return <int64_t>(fraction * 1e6 + 0.5) if 0 < fraction <= 1 else 0


cdef void adopt(Limits *limits, const Params *params) noexcept nogil:
    # Lowered limits at once, raised ones only with the audited confirmation; the first parameters as they are.
    cdef bint may_rise = limits.params_version == 0 or params.raised_limits_by != 0
    limits.max_position_lots = lower_unless(may_rise, limits.max_position_lots, params.net_max_lots)
    limits.max_order_lots = lower_unless(may_rise, limits.max_order_lots, params.max_order_lots)
    limits.max_order_notional_e8 = min(CEILING_ORDER_NOTIONAL_E8, lower_unless(
        may_rise, limits.max_order_notional_e8, params.max_order_notional_e8))
    limits.max_gross_notional_e8 = min(CEILING_GROSS_NOTIONAL_E8, lower_unless(
        may_rise, limits.max_gross_notional_e8, params.max_gross_notional_e8))
    limits.max_daily_loss_e8 = min(CEILING_DAILY_LOSS_E8, lower_unless(
        may_rise, limits.max_daily_loss_e8, params.max_daily_loss_e8))
    limits.collar_mid_e6 = min(CEILING_COLLAR_E6, lower_unless(
        may_rise, limits.collar_mid_e6, e6(params.collar_mid)))
    limits.collar_mark_e6 = min(CEILING_COLLAR_E6, lower_unless(
        may_rise, limits.collar_mark_e6, e6(params.collar_mark)))
    limits.collar_far_e6 = min(CEILING_COLLAR_FAR_E6, lower_unless(
        may_rise, limits.collar_far_e6, e6(params.collar_far)))
    limits.max_open_orders = <uint32_t>lower_unless(may_rise, limits.max_open_orders, params.max_open_orders)
    limits.max_in_flight = <uint32_t>lower_unless(may_rise, limits.max_in_flight, params.max_in_flight)
    limits.max_leverage_e6 = min(CEILING_LEVERAGE_E6, lower_unless(
        may_rise, limits.max_leverage_e6, params.max_leverage_e6))
    limits.max_margin_e6 = min(CEILING_MARGIN_E6, lower_unless(may_rise, limits.max_margin_e6, params.max_margin_e6))
    limits.throttle_cycles = min(CEILING_CYCLES, <uint32_t>lower_unless(
        may_rise, limits.throttle_cycles, params.throttle_cycles))
    limits.throttle_rejects = min(CEILING_REJECTS, <uint32_t>lower_unless(
        may_rise, limits.throttle_rejects, params.throttle_rejects))
    limits.throttle_window_ns = longer_unless(may_rise, limits.throttle_window_ns, params.throttle_window_ns)
    limits.protect_window_ns = longer_unless(may_rise, limits.protect_window_ns, params.protect_window_ns)
    limits.protect_lots = lower_unless(may_rise, limits.protect_lots, params.protect_lots)
    limits.protect_delta_lots = lower_unless(may_rise, limits.protect_delta_lots, params.protect_delta_lots)
    # Zero is the strictest: only a human ends it.
    if may_rise or params.protect_frozen_ns == 0:
        limits.protect_frozen_ns = params.protect_frozen_ns
    elif limits.protect_frozen_ns:
        limits.protect_frozen_ns = max(limits.protect_frozen_ns, params.protect_frozen_ns)
    limits.book_max_age_ns = min(CEILING_AGE_NS, params.book_max_age_ns)
    limits.near_layers = params.near_layers
    limits.enabled = params.enabled
    limits.params_version = params.params_version


def check_intent(dict intent, dict situation, dict limits, dict rules):
    """Return the RejectReason for an intent, every struct given as a dict of all its fields; for tools and tests."""
    cdef Intent i = intent
    cdef Situation s = situation
    cdef Limits adopted_limits = limits
    cdef Rules r = rules
    return check(&i, &s, &adopted_limits, &r)


def adopted(params, dict limits=None):
    """Return the limits as a dict after adopting a PARAMS record on top of `limits` (None: the first parameters)."""
    cdef Limits present
    cdef const Params[::1] view = params.reshape(1)
    if limits is None:
        memset(&present, 0, sizeof(Limits))
    else:
        present = limits
    adopt(&present, &view[0])
    return present
