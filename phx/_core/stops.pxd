# What the symbol has gained, how far that is below its peak, and which stop strikes.
from libc.stdint cimport int64_t, uint8_t, uint64_t

from phx._core.records cimport Own, Params

cdef struct Gains:                   # in tick-lots
    bint known                       # valued at least once, or restored
    double net_ticklots              # realised + unrealised - fees + funding
    double peak_ticklots             # of net since the last COOLING
    double unrealised_ticklots
    uint64_t fills                   # in the gateway's totals; fewer than before = its totals began anew

cdef void value_gains(Gains *gains, const Own *own, double mark_ticks, const Params *params) noexcept nogil
cdef void forget_peak(Gains *gains) noexcept nogil
cdef uint8_t stop_reason(const Gains *gains, const Own *own, double mark_ticks, const Params *params) noexcept nogil
