# Arrivals of taker orders: lambda(distance) = A * exp(-k * distance) on each side, followed online.
from libc.stdint cimport int64_t

from phx._core.records cimport Params, QuoterState

cdef class Intensity:
    # The taker order whose trades come in now: its trades share venue time and aggressor.
    cdef int64_t ts_event_ns
    cdef int aggressor
    cdef int64_t first_ticks                 # its best price: the touch it found
    cdef int64_t last_ticks                  # the deepest price it reached
    # Sums over whole orders, exponentially weighted by age.
    cdef readonly double orders
    cdef double excess_ticks                 # how far behind the touch they reached
    cdef double seconds                      # that were observed
    cdef double half_spread_seconds          # time integral of the half spread, ticks
    cdef double half_spread_ticks            # now
    cdef int64_t seen_mono_ns                # until then; 0 = nothing seen yet
    cdef bint held                           # known, when asked last
    cdef readonly double a_per_s             # the fit; 0 = none yet
    cdef readonly double k_per_tick
    cdef void on_trade(
        self, int64_t ts_event_ns, int64_t recv_mono_ns, int aggressor, int64_t price_ticks, const Params *
    ) noexcept nogil
    cdef void on_time(self, int64_t now_ns, const Params *) noexcept nogil
    cdef void on_spread(self, double spread_ticks) noexcept nogil
    cdef void fit(self) noexcept nogil
    cdef bint known(self, const Params *) noexcept nogil
    cdef void take_order(self) noexcept nogil
    cdef void restore(self, const QuoterState *state) noexcept nogil
