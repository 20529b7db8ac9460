# The only place where a record's layout is written. numpy dtypes are asked of the compiler (records.pyx), the
# reference in docs/records.md is rendered from these comments, an attaching process proves that it agrees.
#
# Names end in their unit: _ns, _ticks, _lots, _e8 (1e-8 of the quote currency, or of one for a rate), _e6 (1e-6).
# ts_*_ns is UTC epoch, *_mono_ns is monotonic. Ring records begin with `seq`, have no implicit padding and a size
# that is a multiple of 64. bid/buy is +1, ask/sell is -1.

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    BOOK_LEVELS = 20
    LADDER_LAYERS = 32
    OWN_ORDERS = 128
    MAX_SYMBOLS = 64
    HISTOGRAM_BUCKETS = 1024
    MODES = 8                             # words of Mode, MODE_NONE included
    MARK_OUT_LAYERS = 33                  # rungs 0..31, then takes
    MARK_OUT_HORIZONS = 3                 # 1 s, 10 s, 60 s
    MARK_OUT_CELLS = 792                  # [mode][layer][horizon]
    STOIKOV_CELLS = 40                    # imbalance buckets times spreads of the fitted micro-price
    FLATTEN_STEPS = 3                     # limits of a flattening's slices before it goes to market

cdef enum:
    SEGMENT_MAGIC = 0x50485831            # "PHX1"
    SEGMENT_HEADER_BYTES = 256
    NO_LAYER = 255

cdef extern from *:
    """
    #define PHX_NO_PRICE INT64_MIN
    """
    const int64_t NO_PRICE "PHX_NO_PRICE"

cdef struct SegmentHeader:
    uint64_t magic                        # SEGMENT_MAGIC
    uint64_t layout_hash                  # of the record's dtype: names, types, offsets, size
    uint64_t record_bytes
    uint64_t capacity                     # slots, a power of two
    uint64_t boot_id_hash                 # of this boot: a file that outlived a reboot is refused
    uint64_t generation                   # the segment's re-creation count
    uint64_t writer_pid
    uint64_t writer_start_ticks           # field 22 of /proc/<pid>/stat: a reused pid is not the writer
    uint64_t scope_hash                   # instance and segment name: a renamed or foreign file is refused
    uint64_t units_hash                   # of the tick and lot its records count in; 0 = none, or not said yet
    uint64_t reserved0[6]                 # zero
    uint64_t cursor                       # newest published sequence number
    uint64_t reserved1[7]                 # zero; keeps the cursor on its own cache line
    int64_t heartbeat_mono_ns             # "still alive"; 0 until the writer is ready
    uint64_t reserved2[6]                 # zero
    uint64_t state                        # ProcessState; written last

cdef struct Bbo:
    uint64_t seq                          # ring sequence; 0 while the slot is being written
    int64_t update_id                     # venue sequence number (Binance `u`)
    int64_t ts_event_ns                   # venue matching-engine time, UTC epoch
    int64_t recv_mono_ns                  # receipt, monotonic
    int64_t bid_price_ticks               # best bid; NO_PRICE when the side is empty
    int64_t ask_price_ticks               # best ask; NO_PRICE when the side is empty
    uint32_t bid_qty_lots                 # saturating
    uint32_t ask_qty_lots                 # saturating
    uint32_t sync_id                      # the book's resync count at this update
    uint16_t symbol_id                    # index into the instrument table
    uint8_t flags                         # BookFlag bits
    uint8_t reserved0                     # zero

cdef struct Book:
    uint64_t seq                          # ring sequence; 0 while the slot is being written
    int64_t ts_event_ns                   # venue matching-engine time, UTC epoch
    int64_t ts_recv_ns                    # receipt, UTC epoch: to compare with the venue
    int64_t recv_mono_ns                  # the same moment, monotonic: ages and timeouts
    int64_t update_id                     # venue sequence number (Binance `u`)
    uint16_t symbol_id                    # index into the instrument table
    uint8_t bid_levels                    # valid levels, 0..BOOK_LEVELS
    uint8_t ask_levels                    # valid levels, 0..BOOK_LEVELS
    uint32_t sync_id                      # the book's resync count
    uint8_t flags                         # BookFlag bits
    uint8_t reserved0[15]                 # zero
    int64_t bid_price_ticks[BOOK_LEVELS]  # best first
    int64_t bid_qty_lots[BOOK_LEVELS]
    int64_t ask_price_ticks[BOOK_LEVELS]  # best first
    int64_t ask_qty_lots[BOOK_LEVELS]

cdef struct TapeEvent:
    uint64_t seq                          # ring sequence; 0 while the slot is being written
    int64_t ts_event_ns                   # venue time, UTC epoch
    int64_t recv_mono_ns                  # receipt, monotonic
    int64_t price_ticks                   # trade price; mark price rounded to the nearest tick
    int64_t qty_lots                      # trade quantity
    int64_t trade_id                      # venue trade id
    uint32_t next_funding_s               # mark: next funding time, UTC epoch seconds
    int32_t funding_rate_e8               # mark: predicted rate of the running interval
    uint16_t symbol_id                    # index into the instrument table
    uint8_t kind                          # TapeKind
    uint8_t origin                        # TradeOrigin
    int8_t aggressor                      # Side of the taker
    uint8_t reserved0[3]                  # zero

cdef struct Ladder:
    uint64_t seq                          # ring sequence; 0 while the slot is being written
    int64_t decided_mono_ns               # when the ladder was decided
    int64_t cause_recv_mono_ns            # receipt of the tick that caused it: tick-to-wire starts here
    int64_t cause_update_id               # venue sequence number of that tick
    uint64_t own_seq                      # the newest own record it saw
    uint64_t params_version               # the parameters it was decided with
    uint64_t quoter_epoch                 # the quoter's life
    uint32_t sync_id                      # the book's resync count it was decided on
    uint16_t symbol_id                    # index into the instrument table
    uint8_t mode                          # Mode
    uint8_t reason                        # Reason
    uint8_t bid_layers                    # valid layers, 0..LADDER_LAYERS
    uint8_t ask_layers                    # valid layers, 0..LADDER_LAYERS
    uint8_t reserved0[2]                  # zero
    uint32_t own_epoch                    # the gateway's life that own_seq belongs to: another life counts anew
    uint32_t bid_reduce_only              # bit per layer
    uint32_t ask_reduce_only              # bit per layer
    uint64_t take_n                       # the take's number in this quoter epoch; 0 = no take wanted
    int64_t take_qty_lots                 # positive
    int64_t take_limit_ticks              # worst price; NO_PRICE = market order
    int64_t take_deadline_mono_ns         # past it the gateway drops the take
    uint64_t take_own_seq                 # the own record the take was decided on
    int64_t take_side                     # Side
    uint8_t bid_layer[LADDER_LAYERS]      # which rung, 0 = nearest; rungs may be missing
    uint8_t ask_layer[LADDER_LAYERS]
    int64_t bid_price_ticks[LADDER_LAYERS]   # nearest first
    int64_t bid_qty_lots[LADDER_LAYERS]
    int64_t ask_price_ticks[LADDER_LAYERS]   # nearest first
    int64_t ask_qty_lots[LADDER_LAYERS]

cdef struct Own:
    uint64_t seq                          # ring sequence; 0 while the slot is being written
    int64_t now_mono_ns                   # when it was written
    uint64_t epoch                        # the gateway's life
    uint64_t must_see_seq                 # the own record of the newest fill or reject: a ladder must have seen it
    int64_t position_lots                 # signed
    int64_t open_cost_ticklots            # what the position cost: average cost times lots, signed like it
    int64_t realised_ticklots             # closed profit before fees
    int64_t fees_e8                       # paid, positive; rebates negative
    int64_t funding_e8                    # received positive, paid negative
    int64_t volume_ticklots               # filled notional, both sides
    uint64_t fills                        # count
    int64_t allowance_buy_lots            # buys, live ones included, may add so much by the account's limits
    int64_t allowance_sell_lots           # sells likewise
    uint64_t last_take_epoch              # the newest take answered: its quoter epoch,
    uint64_t last_take_n                  # and its number
    int64_t last_take_filled_lots
    uint32_t orders_10s                   # order counts used by the account in the last 10 s
    uint32_t orders_60s                   # in the last 60 s
    uint32_t orders_10s_limit             # the venue's limit
    uint32_t orders_60s_limit
    uint16_t symbol_id                    # index into the instrument table
    uint16_t orders                       # valid rows, 0..OWN_ORDERS
    uint8_t ready                         # 1 after the start-up path: orders may be sent
    uint8_t blocked                       # RejectReason that stops adding orders now, 0 = none
    uint8_t reserved0[10]                 # zero
    int64_t newest_trade_id               # largest trade id in the totals above
    int64_t taker_volume_ticklots         # of volume_ticklots: filled as taker
    int64_t frozen_until_mono_ns          # C15: both sides are pulled until then, 0 = they are not
    int32_t maker_fee_e8                  # the account's commission rates, 1e-8 of the notional; negative = rebate
    int32_t taker_fee_e8
    uint64_t intent_id[OWN_ORDERS]        # client order id's counter, unique in an epoch
    int64_t price_ticks[OWN_ORDERS]
    int64_t remaining_lots[OWN_ORDERS]    # what may still fill; pending amend: the larger of old and new
    int64_t since_mono_ns[OWN_ORDERS]     # when it entered its state
    int64_t ts_ack_ns[OWN_ORDERS]         # venue time of its acknowledgement, 0 = none yet
    int8_t side[OWN_ORDERS]               # Side
    uint8_t layer[OWN_ORDERS]             # the ladder's rung; NO_LAYER for a take
    uint8_t state[OWN_ORDERS]             # OrderState
    uint8_t reduce_only[OWN_ORDERS]       # 1 = reduce-only

cdef struct ExecEvent:
    uint64_t seq                          # ring sequence; 0 while the slot is being written
    int64_t ts_event_ns                   # venue time, UTC epoch; 0 when ours
    int64_t recv_mono_ns                  # receipt, monotonic
    uint64_t intent_id                    # client order id's counter
    int64_t venue_order_id
    int64_t trade_id                      # fills: the venue's; else 0
    int64_t price_ticks                   # fill or order price
    int64_t qty_lots                      # fill or order quantity
    int64_t remaining_lots                # of the order, after the event
    int64_t fee_e8                        # fills: paid, positive
    int64_t position_lots                 # after the event
    int32_t venue_code                    # the venue's error code, 0 = none
    uint32_t epoch                        # the gateway's life the order belongs to
    uint16_t symbol_id                    # index into the instrument table
    uint8_t kind                          # ExecKind
    int8_t side                           # Side
    uint8_t layer                         # the ladder's rung
    uint8_t maker                         # fills: 1 = maker
    uint8_t reason                        # RejectReason when phx refused it
    uint8_t mode                          # Mode of the ladder that asked for the order
    int64_t cause_recv_mono_ns            # receipt of the tick that caused the order
    uint64_t reserved0[2]                 # zero

cdef struct Params:
    uint64_t seq                          # ring sequence; 0 while the slot is being written
    uint64_t params_version               # a configuration's number, the same for all symbols
    int64_t net_max_lots                  # inventory at which ratio is 1
    int64_t near_size_lots                # near layer quantity
    int64_t far_size_lots                 # far layer quantity
    int64_t book_max_age_ns               # oldest market data to quote on
    int64_t max_order_lots                # C03
    int64_t max_order_notional_e8         # C02
    int64_t max_gross_notional_e8         # C08, over all symbols
    int64_t max_daily_loss_e8             # C10, over all symbols
    int64_t min_requote_ns                # shortest time between two ladders that differ only by price
    int64_t republish_ns                  # an unchanged ladder is published again this often
    int64_t raised_limits_by              # non-zero: an audited confirmation let limits rise in this version
    uint32_t vol_window_s                 # sigma_30m: window
    uint32_t vol_min_samples              # before so many samples: vol_initial
    uint32_t near_layers                  # 1..LADDER_LAYERS
    uint32_t far_layers                   # near + far <= LADDER_LAYERS
    uint32_t max_open_orders              # C27
    uint32_t max_in_flight                # C29
    uint16_t symbol_id                    # index into the instrument table
    uint8_t fair_source                   # FairSource
    uint8_t ladder_shape                  # 0 near_far, 1 geometric
    uint8_t far_shape                     # 0 linear, 1 geometric
    uint8_t enabled                       # 0 = traded no more: cancel and stay out
    uint8_t imbalance_levels              # n of the imbalance signal, 1..BOOK_LEVELS
    uint8_t model                         # QuotingModel
    double vol_initial                    # fraction
    double vol_gain
    double vol_ref                        # fraction
    double vol_scale_min
    double vol_scale_max
    double sigma_1s_half_life_s
    double funding_half_life_s
    double funding_coeff
    double skew_coeff                     # of the mid, at ratio 1
    double skew_dead_band
    double min_spread                     # fraction of the mid, both sides together
    double leader_weight
    double leader_max_dev                 # fraction
    double leader_half_life_s
    double near_start                     # fraction of the price
    double near_ratio
    double far_start                      # fraction of the price
    double far_end                        # fraction of the price
    double geometric_start_ticks
    double geometric_first_ticks
    double geometric_mult
    double geometric_max_spacing_ticks
    double max_merge                      # of near_size
    double keep_tolerance                 # of distance_0
    double keep_growth                    # per layer
    double worst_case                     # of net_max
    double adding_layer_cut               # layers that add: n * (1 - this * |ratio|)
    double collar_mid                     # C01, near layers, fraction in the aggressive direction
    double collar_mark                    # C01, likewise against the mark price
    double collar_far                     # C01, outer bound of any layer, fraction of mid
    double qty_tolerance                  # a smaller remaining quantity than wanted is replaced beyond this fraction
    int64_t min_qty_lots                  # the venue's smallest order
    int64_t min_notional_ticklots         # the venue's smallest order value, rounded up
    int64_t ticklot_e8                    # what one tick times one lot is worth
    double base_maker_fee                 # fraction: the venue's lowest public tier, to compare with
    double base_taker_fee
    double as_gamma                       # risk aversion, per near_size and tick
    double as_horizon_s                   # rolling horizon
    double glft_gamma
    double glft_xi                        # of the fill term; equal to gamma in the standard model
    double intensity_a_per_s              # A of A * exp(-k * distance), before it is fitted
    double intensity_k_per_tick           # k likewise
    double intensity_half_life_s          # of the online fit
    double vpin_multiplier                # tox_scale = 1 + this * vpin while widening
    double vpin_widen                     # widens above,
    double vpin_narrow                    # until below
    double vpin_pause                     # pauses above,
    double vpin_resume                    # re-armed below
    double pin_enter                      # |ratio| thresholds of the modes
    double pin_exit
    double pin_size                       # of near_size
    double pin_far_start                  # fraction of the mid
    double pin_far_end
    double grind_enter
    double grind_exit
    double grind_max_sigma                # sigma_30m above which it is not entered,
    double grind_leave_sigma              # and above which it is left
    double grind_maker_offset             # second reducing order: fraction from the fair price
    double grind_maker_size               # of near_size, before the safety factor
    double grind_slice                    # taker slice: share of |inventory|
    double grind_max_slip                 # fraction through the touch
    double grind_loss_budget              # of net_max * mid, in grind_budget_window
    double stop_loss                      # of |inventory| * mark
    double stop_min_notional              # of net_max * mark: smaller positions are not stopped
    double stop_drawdown                  # of stop_loss * net_max * mark
    double stop_emergency                 # |ratio| beyond it flattens
    double max_equity_loss                # stop_loss * net_max * mark may be this share of the equity, checked at start
    double flatten_slip[FLATTEN_STEPS]    # fraction through the touch, step by step; then market orders
    double post_only_step_ticks           # a layer refused as post-only widens by so much,
    double post_only_half_life_s          # and forgets it so fast
    double queue_power                    # of the queue model
    double keep_queue_value               # price edge, per lot, that a queue place at the front is worth, of distance_0
    double stoikov_ticks[STOIKOV_CELLS]   # fitted: fair minus mid, by spread then imbalance bucket
    int64_t vpin_bucket_lots
    int64_t vpin_pause_ns
    int64_t pin_min_requote_ns
    int64_t pin_patience_ns
    int64_t grind_interval_ns
    int64_t grind_budget_window_ns
    int64_t mode_dwell_ns
    int64_t halt_ns                       # time in COOLING
    int64_t flatten_blind_ns              # without a synced book, then market orders
    int64_t flatten_cancel_wait_ns
    int64_t flatten_step_ns
    int64_t flatten_target_lots
    int64_t pin_far_size_lots
    int64_t max_leverage_e6               # C08: worst case of all symbols, of the equity
    int64_t max_margin_e6                 # C08: initial margin that it needs, of the equity
    int64_t throttle_window_ns            # C06: so many throttle_cycles within this time latch
    int64_t protect_window_ns             # C15: fills within this time,
    int64_t protect_lots                  # of more than this, both sides together,
    int64_t protect_delta_lots            # or that move the position by more than this, pull both sides
    int64_t protect_frozen_ns             # for this long; 0 = until a human enables the symbol
    uint32_t throttle_cycles              # C06: fills of a side that were followed by a new order on it
    uint32_t throttle_rejects             # C06: refusals of the venue in a row
    uint32_t pin_back_ticks               # outward only when so much better than the foreign touch
    uint32_t pin_far_layers
    uint32_t vpin_buckets                 # in the mean
    uint32_t intensity_min_trades         # before so many, A and k of the configuration hold
    uint32_t flatten_empty_slices         # a step further after so many
    uint16_t stoikov_buckets              # of the imbalance; 0 = no table
    uint16_t stoikov_spreads              # 1, 2, … ticks; the last one holds all wider
    uint8_t pin_enabled
    uint8_t pin_improve                   # 1 = one tick inside a foreign spread of two ticks or more
    uint8_t pin_far_adding                # 1 = protective layers on the adding side too
    uint8_t pin_far_shape                 # 0 linear, 1 geometric
    uint8_t grind_enabled
    uint8_t vpin_enabled
    uint8_t stop_latches                  # 1 = a stop ends in a latch instead of COOLING
    uint8_t intensity_fitted              # 1 = A and k follow the trades
    uint8_t queue_model                   # QueueModel of the keep rule
    uint8_t queue_valued                  # 1 = the keep rule weighs the place in the queue
    uint8_t reserved1[14]                 # zero
    int64_t price_step_ticks              # orders' prices are multiples of it; 0 counts as 1
    int64_t qty_step_lots                 # their quantities likewise

cdef struct Operator:
    uint64_t seq                          # ring sequence; 0 while the slot is being written
    int64_t ts_ns                         # when it was asked, UTC epoch
    uint64_t version                      # count of operator commands
    uint8_t wanted[MAX_SYMBOLS]           # OperatorState by symbol_id
    uint8_t reserved0[40]                 # zero

cdef struct QuoterState:
    uint64_t seq                          # ring sequence; 0 while the slot is being written
    int64_t now_mono_ns
    int64_t ts_ns                         # UTC epoch: a restored state has an age limit
    uint64_t params_version
    int64_t mode_since_mono_ns
    int64_t inventory_lots                # signed
    double mid_ticks
    double micro_ticks
    double fair_ticks
    double reservation_ticks
    double skew_ticks
    double funding_bias_ticks
    double half_spread_ticks
    double distance_0_ticks
    double vol_scale
    double tox_scale
    double sigma_30m                      # fraction
    double sigma_1s_ticks
    double imbalance                      # -1..1
    double funding_ema
    double leader_ratio_ema               # own mid over leader mid
    double ratio                          # inventory over net_max
    double skew_anchor                    # the ratio the skew is anchored at
    double spread_ticks                   # best ask minus best bid of the venue
    int64_t worst_buy_lots                # position if every live and wanted buy fills
    int64_t worst_sell_lots               # position if every live and wanted sell fills
    int64_t quoted_both_ns                # time with both sides wanted, since start
    int64_t quotable_ns                   # time in which it could have been, since start
    double vpin                           # 0..1; 0.5 until enough buckets are full
    double vpin_imbalance_lots            # of the bucket that fills: buys minus sells
    double vpin_filled_lots               # in that bucket
    double stoikov_ticks                  # fitted micro-price minus mid
    double intensity_a_per_s              # fitted, or as configured
    double intensity_k_per_tick
    double net_pnl_ticklots               # realised + unrealised - fees + funding
    double peak_pnl_ticklots              # its peak since the last COOLING
    double unrealised_ticklots
    double grind_loss_ticklots            # used of the loss budget, in its window
    double grind_reserved_ticklots        # reserved by live orders of GRINDING
    double grind_budget_ticklots          # what it may lose
    double safety                         # factor of the grinding maker's size
    double gap_ticks                      # own nearest bid to own nearest ask, 0 = a side is empty
    double top_bid_error_ticks            # nearest live bid's distance from its target, outward positive
    double top_ask_error_ticks
    int64_t cooling_until_mono_ns         # 0 = not cooling
    int64_t take_lots                     # of the take that is wanted now, signed by its side
    int64_t front_buy_lots                # estimated quantity ahead of our nearest bid, -1 = unknown
    int64_t front_sell_lots
    uint32_t intensity_trades             # in the fit so far
    uint32_t vol_samples
    uint16_t symbol_id
    uint8_t mode                          # Mode
    uint8_t reason                        # Reason
    uint8_t flatten_step                  # 0..FLATTEN_STEPS; the last is market orders
    uint8_t widening                      # 1 = vpin widens
    uint8_t leader_led                    # 1 = the leader takes part in the fair price now
    uint8_t vpin_full                     # full buckets, at most 255
    uint8_t level                         # Mode beneath a stop or a pause: NORMAL, PINNING or GRINDING
    uint8_t level_reason                  # Reason of the level
    uint8_t patient                       # 1 = GRINDING for patience: it ends at pin_exit
    uint8_t stop                          # Reason of the stop that closes the position or cools, 0 = none
    uint32_t reserved1                    # zero
    int64_t patience_mono_ns              # since when PINNING waits for progress, 0 = it does not
    double patience_ratio                 # |ratio| from which progress counts
    int64_t grind_barred_mono_ns          # GRINDING is not entered before
    uint64_t reserved0[2]                 # zero

cdef struct Decision:
    uint64_t seq                          # ring sequence; 0 while the slot is being written
    int64_t now_mono_ns                   # the clock the decision was given
    uint64_t bbo_seq                      # newest consumed of each ring
    uint64_t book_seq
    uint64_t tape_seq
    uint64_t leader_bbo_seq
    uint64_t own_seq
    uint64_t params_version
    uint64_t ladder_seq                   # what it published; 0 = decided to publish nothing new
    uint64_t ladder_hash                  # FNV-1a of both sides' layers, prices and quantities
    double fair_ticks
    double reservation_ticks
    double half_spread_ticks
    double sigma_30m
    uint16_t symbol_id
    uint8_t mode                          # Mode
    uint8_t reason                        # Reason
    uint8_t bid_layers
    uint8_t ask_layers
    uint8_t kept_orders                   # layers that reuse a live order's price
    uint8_t trimmed_layers                # layers lost to the worst case
    uint64_t lost                         # records lost to lapping so far: a stretch with losses is not replayable
    uint64_t exec_seq                     # newest consumed of our own events,
    uint64_t operator_seq                 # and of the operator's will
    uint64_t told                         # Told bits: what the process around the core said
    uint64_t reserved0[5]                 # zero

cdef struct Account:
    uint64_t seq                          # ring sequence; 0 while the slot is being written
    int64_t now_mono_ns
    uint64_t epoch                        # the gateway's life
    int64_t wallet_e8                     # margin asset balance last seen
    int64_t gross_notional_e8             # over all symbols
    int64_t worst_notional_e8             # if every live order filled
    int64_t daily_pnl_e8                  # realised + unrealised - fees + funding since 00:00 UTC
    int64_t day_start_s                   # that midnight, UTC epoch seconds
    uint64_t journal_seq                  # newest journal entry
    uint64_t open_orders                  # live orders of ours, all symbols
    uint64_t unknown_orders               # of them with an unknown outcome
    uint32_t orders_10s                   # order counts used, the account's view
    uint32_t orders_60s
    uint32_t weight_60s                   # IP weight used, as the venue last said
    uint32_t weight_limit
    uint8_t ready                         # 1 after the start-up path
    uint8_t user_stream_up
    uint8_t order_session_up
    uint8_t no_open_order_proven          # 1: the guardian may let the countdown lapse
    uint8_t reserved0[4]                  # zero
    int64_t equity_e8                     # wallet + unrealised, all symbols
    int64_t worst_margin_e8               # initial margin that worst_notional_e8 needs at the account's leverage

cdef struct Proof:
    uint64_t seq                          # ring sequence; 0 while the slot is being written
    int64_t now_mono_ns
    int64_t period_ns                     # P: refresh period; an adding order needs a deadline >= P ahead
    int64_t countdown_ns                  # T = 3P
    uint64_t refreshes                    # acknowledged by the venue
    uint64_t failures
    int64_t reserved0[2]                  # zero
    int64_t deadline_mono_ns[MAX_SYMBOLS]  # when the venue cancels all if we fall silent; 0 = not armed
    int64_t ack_mono_ns[MAX_SYMBOLS]      # the last acknowledgement

cdef struct JournalEntry:
    uint64_t seq                          # ring sequence; 0 while the slot is being written
    int64_t ts_ns                         # UTC epoch
    int64_t now_mono_ns
    uint64_t epoch                        # the gateway's life
    uint64_t intent_id                    # client order id's counter
    int64_t price_ticks
    int64_t qty_lots
    int64_t trade_id
    int64_t fee_e8
    int64_t position_lots                 # after a fill
    uint64_t take_epoch                   # take: the quoter's life,
    uint64_t take_n                       # and the take's number
    int32_t venue_code                    # reply: the venue's error code, 0 = accepted
    uint16_t symbol_id
    uint8_t kind                          # JournalKind
    int8_t side                           # Side
    uint8_t layer
    uint8_t maker
    uint8_t reduce_only
    uint8_t reserved0[5]                  # zero
    uint64_t params_version               # the limits in force when it was written, 0 = none
    uint64_t check                        # FNV-1a of all words before this one: a torn entry is recognised

cdef struct FeedCounters:                 # counters.feed.<symbol>
    uint64_t bbo_records                  # top-of-book records published
    uint64_t book_records                 # book records published
    uint64_t trades                       # trades read
    uint64_t marks                        # mark prices read
    uint64_t diffs                        # depth deltas applied
    uint64_t diffs_ignored                # deltas older than the snapshot or the book
    uint64_t gaps                         # deltas whose `pu` was not the book's update id
    uint64_t resyncs                      # books rebuilt from a snapshot
    uint64_t snapshots_refused            # snapshots without overlap with the buffer
    uint64_t crossed                      # books found crossed after a delta
    uint64_t refused_frames               # frames no decoder could read
    uint64_t slow_frames                  # frames read by the any-order fallback
    uint64_t off_grid                     # prices or quantities that are no multiple of tick or lot
    uint64_t top_checked                  # tops compared with bookTicker
    uint64_t top_different                # of them different
    uint64_t silent_streams               # streams found silent by the watchdog
    uint64_t synced                       # gauge: 1 = the book is synced
    uint64_t reserved0[7]                 # zero
    uint64_t frame_to_publish_ns[HISTOGRAM_BUCKETS]   # from frame receipt to the published record
    uint64_t venue_delay_ns[HISTOGRAM_BUCKETS]        # from venue event time to receipt, by the wall clock

cdef struct QuoterCounters:               # counters.quoter.<symbol>
    uint64_t steps                        # turns of the loop that found work
    uint64_t decisions                    # ladders decided
    uint64_t ladders                      # ladders published
    uint64_t ladders_unchanged            # decided equal to the published one
    uint64_t kept_layers                  # layers that reused a live order's price
    uint64_t trimmed_layers               # layers dropped by the worst case
    uint64_t clamped_layers               # layers shifted by the post-only clamp
    uint64_t merged_layers                # layers merged on one tick
    uint64_t dropped_layers               # layers below the minimum quantity or notional
    uint64_t empty_sides                  # decided sides without a layer although quotable
    uint64_t own_cross                    # layers dropped because they would cross our own order
    uint64_t lost_records                 # ring records lost to lapping
    uint64_t mode_changes                 # transitions of the state machine
    uint64_t stale_books                  # decisions withheld for stale or unsynced market data
    uint64_t leader_stale                 # decisions without the leader because it was stale
    uint64_t freezes                      # turns after which the process found it had not run
    uint64_t takes                        # takes wanted
    uint64_t takes_filled_lots            # filled by them
    uint64_t stops                        # flattenings begun
    uint64_t escalations                  # steps of a flattening
    uint64_t post_only_learned            # layers widened after a post-only reject
    uint64_t queue_kept                   # layers kept outside the tolerance for their place in the queue
    uint64_t exec_lost                    # own events lost to lapping
    uint64_t top_ns                       # time with a wanted nearest layer, both sides added up
    uint64_t top_within_ns                # of it: a live order within the tolerance of its target
    uint64_t mode_ns[MODES]               # time in each mode
    uint64_t mode_entries[MODES]          # transitions into each mode
    uint64_t mark_out_fills[MARK_OUT_CELLS]    # fills judged, by mode, layer, horizon
    uint64_t mark_out_lots[MARK_OUT_CELLS]     # quantity judged
    int64_t mark_out_half_ticklots[MARK_OUT_CELLS]   # gain against the mid then, in half ticks times lots
    int64_t mark_out_ticklots[MARK_OUT_CELLS]  # what the fills judged were worth at their own prices
    uint64_t mark_outs_dropped            # judgements given up: no trusted mid in time, or too many fills pending
    uint64_t reserved0[6]                 # zero
    uint64_t tick_to_ladder_ns[HISTOGRAM_BUCKETS]     # from frame receipt to the published ladder
    uint64_t decide_ns[HISTOGRAM_BUCKETS]             # of the decision itself

cdef struct GatewayCounters:              # counters.gateway.<symbol>
    uint64_t ladders                      # ladders read
    uint64_t places                       # orders sent
    uint64_t amends                       # amends sent
    uint64_t cancels                      # cancels sent
    uint64_t acks                         # orders acknowledged
    uint64_t canceled                     # orders the venue confirmed canceled or expired
    uint64_t fills                        # fills applied
    uint64_t fills_duplicate              # fills seen again on another channel
    uint64_t fills_foreign                # fills of orders that are not ours
    uint64_t rejects_venue                # orders the venue refused
    uint64_t rejects_post_only            # of them because they would have taken
    uint64_t rejects_own                  # intents phx refused itself
    uint64_t unknown_outcomes             # orders that a request without a usable answer made unknown
    uint64_t unknown_resolved             # of them resolved by evidence
    uint64_t quoter_lost                  # times the symbol was cancelled because its quoter was gone
    uint64_t stale_market                 # times it began to wait for fresh own market data
    uint64_t placed_near_lots             # quantity placed at the nearest layer
    uint64_t filled_near_lots             # quantity filled at the nearest layer
    uint64_t volume_buy_lots              # quantity bought
    uint64_t volume_sell_lots             # quantity sold
    uint64_t position_drift               # times position and the venue's truth differed
    uint64_t waits                        # times it began to wait with placing: for data, budget, an answer, a ladder
    uint64_t cycles                       # fills that were followed by a new order on their side
    uint64_t protections                  # times market-maker protection pulled both sides
    uint64_t tick_to_wire_ns[HISTOGRAM_BUCKETS]       # from frame receipt to bytes handed to the socket
    uint64_t ladder_to_wire_ns[HISTOGRAM_BUCKETS]     # from the decided ladder to the same
    uint64_t ack_ns[HISTOGRAM_BUCKETS]                # from send to acknowledgement: the API's latency
    uint64_t cancel_ack_ns[HISTOGRAM_BUCKETS]         # the same for cancels

cdef struct ProcessCounters:              # process.<name>
    uint64_t starts                       # lives of this process on this host's boot
    uint64_t loops                        # turns of the main loop
    uint64_t freezes                      # own-freeze detections
    uint64_t connects                     # sockets opened
    uint64_t disconnects                  # sockets lost
    uint64_t frames                       # WebSocket frames received
    uint64_t frames_refused               # frames that could not be read
    uint64_t frames_unknown               # events of an unknown kind, survived
    uint64_t rest_requests                # REST requests sent
    uint64_t rest_errors                  # REST requests that failed
    uint64_t rate_limited                 # answers 429 or 418
    uint64_t cancel_alls                  # symbol-wide cancels sent
    uint64_t countdowns                   # dead man's refreshes acknowledged
    uint64_t countdown_failures           # dead man's refreshes that failed
    uint64_t interventions                # times the guardian acted for a dead or hung process
    uint64_t errors                       # other errors logged
    uint64_t unknown_outcomes             # requests whose outcome is unknown now (gauge)
    uint64_t latches                      # latches set (gauge)
    uint64_t weight_60s                   # IP weight used, as the venue last said (gauge)
    uint64_t journal_seq                  # ops: newest journal entry that is safe on disk (gauge)
    uint64_t config_refused               # ops: configurations refused at reload
    uint64_t snapshots                    # ops: snapshots written
    uint64_t foreign_orders               # gateway: orders on the account that are not ours, each counted once
    uint64_t zombies                      # gateway: orders that appeared after their absence was believed
    uint64_t rest_ns[HISTOGRAM_BUCKETS]   # REST round trips
