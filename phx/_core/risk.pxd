# The pre-trade limits: an ordered list of small checks, each with its own reject reason.
from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t, uint64_t

from phx._core.records cimport Params

cdef enum:
    MAX_PRICE_TICKS = 1_099_511_627_776  # 2**40; bounds that keep every product below 2**127 and every sum below 2**63
    MAX_QTY_LOTS = 2_147_483_648        # 2**31

cdef struct Limits:                     # adopted from the parameters, never above the ceilings in code
    uint64_t params_version
    int64_t max_position_lots           # C07
    int64_t max_order_lots              # C03; 0 = unset: nothing passes
    int64_t max_order_notional_e8       # C02; 0 = unset: nothing passes
    int64_t max_gross_notional_e8       # C08, over all symbols
    int64_t max_leverage_e6             # C08, worst case of all symbols, of the equity; 0 = unset: nothing is added
    int64_t max_margin_e6               # C08, initial margin it needs, of the equity; 0 = unset
    int64_t max_daily_loss_e8           # C10, over all symbols
    int64_t throttle_window_ns          # C06; 0 = unset: nothing is added
    int64_t protect_window_ns           # C15; 0 = unset: nothing is added
    int64_t protect_lots
    int64_t protect_delta_lots
    int64_t protect_frozen_ns           # 0 = until a human enables the symbol
    int64_t book_max_age_ns
    int64_t collar_mid_e6               # C01
    int64_t collar_mark_e6
    int64_t collar_far_e6
    uint32_t near_layers                # rungs below are near ones
    uint32_t max_open_orders            # C27
    uint32_t max_in_flight              # C29
    uint32_t throttle_cycles            # C06; 0 = unset: nothing is added
    uint32_t throttle_rejects           # C06; 0 = unset: nothing is added
    uint8_t enabled

cdef struct Rules:                      # what the venue says about the instrument
    int64_t ticklot_e8                  # value of one tick times one lot, 1e-8 of the quote currency
    int64_t min_qty_lots
    int64_t max_qty_lots
    int64_t min_notional_ticklots
    int64_t min_price_ticks
    int64_t max_price_ticks
    int64_t percent_up_e6               # PERCENT_PRICE against the mark price
    int64_t percent_down_e6
    int64_t price_step_ticks            # prices are multiples of it, where the venue's grid is coarser than a tick here
    int64_t qty_step_lots               # quantities likewise
    uint32_t max_orders

cdef struct Intent:                     # one order phx would like to send
    int64_t price_ticks                 # NO_PRICE = market order
    int64_t qty_lots
    int64_t adding_lots                 # the part of it that could cross zero or add to the position
    int8_t side                         # Side
    uint8_t layer                       # NO_LAYER for a take
    uint8_t post_only
    uint8_t reduce_only

cdef struct Situation:                  # everything else a check may look at
    int64_t now_ns
    int64_t bid_price_ticks             # own reading of the market
    int64_t ask_price_ticks
    int64_t mark_price_ticks            # NO_PRICE = none yet
    int64_t market_mono_ns              # newest market data
    uint8_t book_usable                 # 1 = synced, two-sided, not crossed, of the feed's present generation
    uint8_t ready                       # start-up path finished, not stopping
    uint8_t operator_state              # OperatorState
    uint8_t latched
    uint8_t user_stream_up              # else fills would go unseen
    uint8_t quoter_alive
    uint8_t ladder_fresh
    uint8_t backing_off                 # orders of this kind and side wait after refusals of the venue
    uint8_t same_order_live             # C09: an identical order may still be live
    uint8_t journal_room
    int64_t proof_deadline_mono_ns      # when the dead man's switch fires; 0 = not armed
    int64_t proof_period_ns
    uint64_t must_see_seq               # the ladder must have seen this own record
    uint64_t ladder_own_seq
    uint64_t ladder_params_version
    int64_t position_lots
    int64_t side_lots                   # live and unknown orders of the intent's side
    int64_t opposite_lots
    int64_t opposite_best_ticks         # own live order that this one could meet; NO_PRICE = none
    int64_t others_notional_e8          # worst case of the other symbols
    int64_t others_margin_e8            # initial margin that it needs
    int64_t equity_e8                   # wallet + unrealised of all symbols
    int64_t leverage                    # the account's own setting for the symbol; 0 = not known, counts as 1
    int64_t worst_price_ticks           # at which this symbol's worst case is valued
    uint32_t open_orders
    uint32_t in_flight
    uint8_t order_rate_full             # C04, for this kind of order and this symbol's share

cdef uint8_t check(const Intent *intent, const Situation *situation, const Limits *limits,
                   const Rules *rules) noexcept nogil
cdef bint passes_by_itself(uint8_t reason) noexcept nogil
cdef int64_t notional_e8(int64_t price_ticks, int64_t qty_lots, int64_t ticklot_e8) noexcept nogil     # saturating
cdef int64_t add_saturating(int64_t a, int64_t b) noexcept nogil
cdef int64_t margin_e8(int64_t value_e8, int64_t leverage) noexcept nogil
# The most lots of one order that C02 and C03 allow at a price, and never less than the venue's smallest order.
cdef int64_t largest_lots(int64_t price_ticks, const Limits *limits, const Rules *rules) noexcept nogil
cdef bint only_leaves(const Intent *intent) noexcept nogil                  # a take that cannot add
cdef int64_t worst_lots(int64_t position_lots, int64_t buy_lots, int64_t sell_lots) noexcept nogil
cdef void adopt(Limits *limits, const Params *params) noexcept nogil
