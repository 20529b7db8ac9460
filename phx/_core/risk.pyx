"""Pre-trade limits: what every order must pass before it is counted and sent. Integers only; products are 128-bit.

A new check is one function, one line in CHECKS, one reject reason and a test for each side of its limit. Checks of the
first list concern every order; those of the second only orders that could add to the position: the part of a quantity
that can't cross zero is free of exposure limits.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport llabs
from libc.string cimport memset

from phx._core.enums cimport (
    OPERATOR_NONE, OPERATOR_RUN, REJECT_BACK_OFF, REJECT_DUPLICATE, REJECT_GROSS_NOTIONAL, REJECT_IN_FLIGHT,
    REJECT_JOURNAL_FULL, REJECT_LATCHED, REJECT_MESSAGE_RATE, REJECT_MIN_NOTIONAL, REJECT_NO_PROOF, REJECT_NONE,
    REJECT_NOT_ALLOWED, REJECT_NOT_FINITE, REJECT_NOT_READY, REJECT_OLD_LADDER, REJECT_OPEN_ORDERS, REJECT_OPERATOR,
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
cdef int64_t ONE_E6 = 1_000_000

ctypedef const Intent *IntentPtr
ctypedef const Situation *SituationPtr
ctypedef const Limits *LimitsPtr
ctypedef const Rules *RulesPtr
ctypedef uint8_t (*Check)(IntentPtr, SituationPtr, LimitsPtr, RulesPtr) noexcept nogil


cdef int64_t notional_e8(int64_t price_ticks, int64_t qty_lots, int64_t ticklot_e8) noexcept nogil:
    cdef int128_t value = <int128_t>price_ticks * qty_lots * ticklot_e8
    return <int64_t>value if value < <int64_t>0x7fffffffffffffff else <int64_t>0x7fffffffffffffff


cdef int64_t worst_lots(int64_t position_lots, int64_t buy_lots, int64_t sell_lots) noexcept nogil:
    # The largest position, long or short, that live orders could lead to.
    return max(llabs(position_lots + buy_lots), llabs(position_lots - sell_lots))


cdef uint8_t is_sane(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    cdef bint priced = intent.price_ticks != NO_PRICE
    if intent.qty_lots <= 0 or intent.qty_lots > MAX_QTY_LOTS or intent.side * intent.side != 1:
        return REJECT_NOT_FINITE
    if priced and (intent.price_ticks <= 0 or intent.price_ticks > MAX_PRICE_TICKS):
        return REJECT_NOT_FINITE
    if priced and not rules.min_price_ticks <= intent.price_ticks <= rules.max_price_ticks:
        return REJECT_NOT_FINITE
    # Only a take may be a market order or come without post-only (C28).
    if intent.layer != NO_LAYER and (not priced or not intent.post_only):
        return REJECT_NOT_FINITE
    return REJECT_NONE


cdef uint8_t is_ready(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    return REJECT_NONE if now.ready else REJECT_NOT_READY


cdef inline bint only_leaves(IntentPtr intent) noexcept nogil:
    # A take that cannot add.
    return intent.layer == NO_LAYER and intent.reduce_only and intent.adding_lots == 0


cdef uint8_t is_allowed(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # A symbol that is traded no more may still be left.
    return REJECT_NONE if limits.params_version and (limits.enabled or only_leaves(intent)) else REJECT_NOT_ALLOWED


cdef uint8_t has_known_params(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    return REJECT_NONE if now.ladder_params_version <= limits.params_version else REJECT_PARAMS_VERSION


cdef uint8_t has_fresh_market(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    if intent.price_ticks == NO_PRICE and only_leaves(intent):
        return REJECT_NONE                   # the last resort of a flattening, which needs no book to leave
    if not now.book_usable or now.now_ns - now.market_mono_ns > limits.book_max_age_ns:
        return REJECT_STALE_MARKET
    if now.bid_price_ticks <= 0 or now.ask_price_ticks <= now.bid_price_ticks or now.mark_price_ticks <= 0:
        return REJECT_STALE_MARKET
    return REJECT_NONE


cdef uint8_t is_within_collar(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C01. Twice the mid stays an integer. Aggressive: a buy above, a sell below.
    if intent.price_ticks == NO_PRICE:
        return REJECT_NONE
    cdef int128_t mid2 = now.bid_price_ticks + now.ask_price_ticks
    cdef int128_t beyond_mid2 = intent.side * (2 * intent.price_ticks - (now.bid_price_ticks + now.ask_price_ticks))
    cdef int128_t beyond_mark = intent.side * (intent.price_ticks - now.mark_price_ticks)
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
    # C03. An unset limit is zero and lets nothing through.
    if not rules.min_qty_lots <= intent.qty_lots <= min(limits.max_order_lots, rules.max_qty_lots):
        return REJECT_ORDER_VOLUME
    return REJECT_NONE


cdef uint8_t has_allowed_value(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C02
    cdef int64_t price_ticks = intent.price_ticks if intent.price_ticks != NO_PRICE else now.ask_price_ticks
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
    return REJECT_NONE if now.open_orders < min(limits.max_open_orders, rules.max_orders) else REJECT_OPEN_ORDERS


cdef uint8_t fits_in_flight(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C29
    return REJECT_NONE if now.in_flight < limits.max_in_flight else REJECT_IN_FLIGHT


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


cdef uint8_t fits_position(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C07: the position if every live, pending and unknown order of this side filled.
    cdef int64_t worst = intent.side * now.position_lots + now.side_lots + intent.qty_lots
    return REJECT_NONE if worst <= limits.max_position_lots else REJECT_POSITION


cdef uint8_t fits_gross_notional(IntentPtr intent, SituationPtr now, LimitsPtr limits, RulesPtr rules) noexcept nogil:
    # C08: this symbol's worst case with the order, plus the others'.
    cdef int64_t buys = now.side_lots if intent.side > 0 else now.opposite_lots
    cdef int64_t sells = now.opposite_lots if intent.side > 0 else now.side_lots
    cdef int64_t before = worst_lots(now.position_lots, buys, sells)
    cdef int64_t after
    if intent.side > 0:
        after = worst_lots(now.position_lots, buys + intent.qty_lots, sells)
    else:
        after = worst_lots(now.position_lots, buys, sells + intent.qty_lots)
    cdef int128_t total = now.others_notional_e8
    total += notional_e8(max(now.worst_price_ticks, intent.price_ticks), after, rules.ticklot_e8)
    return REJECT_GROSS_NOTIONAL if after > before and total > limits.max_gross_notional_e8 else REJECT_NONE


cdef enum:
    CHECKS_OF_ALL = 14
    CHECKS_OF_ADDING = 7

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
        may_rise, limits.collar_mid_e6, <int64_t>(params.collar_mid * 1e6)))
    limits.collar_mark_e6 = min(CEILING_COLLAR_E6, lower_unless(
        may_rise, limits.collar_mark_e6, <int64_t>(params.collar_mark * 1e6)))
    limits.collar_far_e6 = min(CEILING_COLLAR_FAR_E6, lower_unless(
        may_rise, limits.collar_far_e6, <int64_t>(params.collar_far * 1e6)))
    limits.max_open_orders = <uint32_t>lower_unless(may_rise, limits.max_open_orders, params.max_open_orders)
    limits.max_in_flight = <uint32_t>lower_unless(may_rise, limits.max_in_flight, params.max_in_flight)
    limits.book_max_age_ns = params.book_max_age_ns
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
