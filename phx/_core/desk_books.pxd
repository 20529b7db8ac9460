# What one symbol's desk has and owes, and tells: the half of it that knows; the other half (desk.pxd) acts.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from phx._core.account cimport Account
from phx._core.market_view cimport MarketView
from phx._core.measure cimport Measure
from phx._core.orders cimport Order
from phx._core.position cimport Position
from phx._core.protection cimport Cycles, Rush
from phx._core.records cimport ExecEvent, GatewayCounters, Ladder, Own, Params
from phx._core.ring cimport RingReader, RingWriter
from phx._core.risk cimport Limits, Rules
from phx._core.trade_ids cimport TradeIds

cdef struct Take:                       # the one-shot order of the quoter
    uint64_t epoch                      # of the quoter
    uint64_t n
    uint64_t intent_id                  # the order that carries it out; 0 = not sent
    int64_t filled_lots
    uint8_t waiting                     # 1 = wanted or sent, not answered

cdef inline int side_index(int side) noexcept nogil:
    return 0 if side > 0 else 1

cdef class DeskBooks:
    cdef readonly object symbol
    cdef readonly uint16_t symbol_id
    cdef readonly Account account
    cdef Rules rules
    cdef Limits limits
    cdef Position position
    cdef TradeIds trades
    cdef Own own                                     # as last published
    cdef readonly MarketView market
    cdef Params params
    cdef Ladder ladder
    cdef Measure measure
    cdef Take take
    cdef RingReader ladder_reader
    cdef RingReader params_reader
    cdef RingWriter own_writer
    cdef RingWriter exec_writer
    cdef GatewayCounters *counters
    cdef object counters_memory
    # What the shell knows and says.
    cdef public uint8_t ready                        # start-up path finished, not stopping
    cdef public uint8_t operator_state               # OperatorState
    cdef public bint latched                         # a latch is set for the symbol or for all
    cdef public bint quoter_alive
    cdef public bint user_stream_up
    cdef public bint guardian_alive                  # else nothing is added, however long the venue's timer still runs
    cdef public bint cancel_all                      # cancel everything and place nothing
    cdef public int64_t proof_deadline_mono_ns
    cdef public int64_t proof_period_ns
    cdef public bint loss_stop                       # C10 has struck
    # What it keeps for itself.
    cdef readonly bint latch_wanted                  # the shell sets the latch,
    cdef readonly uint8_t latch_reason               # for this RejectReason
    cdef Rush rush                                   # C15
    cdef int64_t frozen_until_mono_ns                # C15: no quote before; INT64_MAX = until a human enables
    cdef Cycles[2] cycles                            # C06, by side
    cdef int64_t venue_rule_until_mono_ns            # the venue lets this account only reduce
    cdef uint64_t must_see_seq                       # the own record of the newest fill or reject
    cdef uint64_t placed_seq                         # the own record that shows the newest order that was placed,
    cdef uint64_t placed_ladder_seq                  # and the ladder that wanted it
    cdef bint dirty                                  # own must be published
    cdef uint8_t blocked                             # RejectReason, as last published
    cdef bint ladder_void                            # the ladder in hand may not be followed
    cdef bint takes_seen                             # the newest take at start is marked done
    cdef int64_t[2] back_off_until_mono_ns           # quotes of a side,
    cdef int64_t take_back_off_until_mono_ns         # and takes: a refused quote holds up no way out
    cdef int refusals_in_a_row
    cdef uint64_t tried_ladder_seq
    cdef uint32_t[2] tried                           # ladder indexes that were tried, by side
    cdef uint64_t waiting                            # bit per RejectReason that placing waited for in the last turn
    cdef uint64_t waiting_now                        # the same, of this turn
    cdef void measure_orders(self) noexcept nogil
    cdef int64_t reducible_lots(self, int side, const Order *instead) noexcept nogil
    cdef int64_t allowance_lots(self, int side) noexcept nogil
    cdef void value(self) noexcept nogil
    cdef void hold(self, int64_t until_mono_ns) noexcept nogil
    cdef void back_off_one(self, const Order *order, int64_t until_mono_ns) noexcept nogil
    cdef void want_latch(self, uint8_t reason) noexcept nogil
    cdef void note_fill(self, const Order *order, int side, int64_t qty_lots, int64_t now_ns) noexcept nogil
    cdef void note_refusal(self) noexcept nogil
    cdef void protect(self, int64_t now_ns) noexcept nogil
    cdef void must_see(self) noexcept nogil
    cdef void publish_exec(self, ExecEvent *event, const Order *order, int kind, int64_t now_ns) noexcept nogil
    cdef void publish_own(self, int64_t now_ns) noexcept nogil
