# What the gateway's core asks its shell to send.
from libc.stdint cimport int8_t, int64_t, uint8_t, uint16_t, uint64_t

cpdef enum ActionKind:
    ACTION_NONE = 0
    ACTION_PLACE = 1
    ACTION_AMEND = 2
    ACTION_CANCEL = 3

cpdef enum TimeInForce:
    GTX = 0                             # post-only: every quote
    IOC = 1                             # a take with a limit
    MARKET = 2                          # a take without

cdef struct Action:
    uint64_t epoch                      # the gateway's life,
    uint64_t intent_id                  # and the counter: together with symbol_id the client order id
    int64_t price_ticks                 # NO_PRICE for a market order
    int64_t qty_lots
    int64_t decided_mono_ns             # when the ladder was decided; 0 = no ladder asked for it
    int64_t cause_recv_mono_ns          # receipt of the tick that caused it; 0 = none
    uint16_t symbol_id                  # index into the instrument table
    uint8_t kind                        # ActionKind
    uint8_t time_in_force               # TimeInForce
    int8_t side                         # Side
    uint8_t reduce_only
