"""Intensity of arrivals, A and k of lambda(distance) = A * exp(-k * distance): how often takers reach a quote.

lambda is what Avellaneda & Stoikov (2008), section 2.5 assume: on each side, taker orders that reach `distance` from
the mid or farther, per second. Exponential arrivals have no memory, so of the orders that reach the touch at all, the
ticks that each goes on behind it are geometric with ratio exp(-k), whatever the spread is. That gives the maximum
likelihood estimate on the grid of ticks, from sums alone:

    k = ln(1 + orders / ticks behind the touch)             A = orders per side and second * exp(k * mean half spread)

A taker order is a run of trades of one venue time and aggressor; its first price is the touch it found and its last
one the deepest, so no race between the trade stream and the book can misplace it. Every sum forgets with one half life.
A sum of geometric variables bears a wide error when few orders go deep: k's relative error is about
1 / sqrt(orders that went behind the touch).

Compared with a regression of log counts on distances (as in Fernandez-Tapia's thesis, 2015, chapter 4, and most
implementations): no buckets to choose, no empty one to leave out, and the weights are those of the likelihood.
"""

cimport cython
from libc.math cimport exp, expm1, log1p
from libc.stdint cimport int64_t

from phx._core.model cimport clamp
from phx._core.records cimport Params, QuoterState

cdef double LOWEST_K = 1e-6                  # per tick: bounds of any fit
cdef double HIGHEST_K = 10.0
cdef double LOWEST_A = 1e-6                  # per s
cdef double HIGHEST_A = 1e9
cdef int64_t SILENCE_NS = 15 * <int64_t>1_000_000_000    # a mark comes each 1 or 3 s: longer silence was not observed
cdef double LN_2 = 0.6931471805599453


@cython.final
cdef class Intensity:
    """The running fit of one symbol."""

    cdef void on_trade(
        self, int64_t ts_event_ns, int64_t recv_mono_ns, int aggressor, int64_t price_ticks, const Params *params
    ) noexcept nogil:
        """Add one trade, of a market order against the book. aggressor: Side of the taker."""
        self.on_time(recv_mono_ns, params)
        if ts_event_ns != self.ts_event_ns or aggressor != self.aggressor:
            self.take_order()
            self.ts_event_ns, self.aggressor = ts_event_ns, aggressor
            self.first_ticks = self.last_ticks = price_ticks
        elif aggressor * (price_ticks - self.last_ticks) > 0:
            self.last_ticks = price_ticks

    cdef void on_time(self, int64_t now_ns, const Params *params) noexcept nogil:
        """Let time pass up to an event of the tape: trades and marks together show that it was watched."""
        cdef double decay_per_s = LN_2 / params.intensity_half_life_s
        cdef double elapsed_s, kept
        if self.seen_mono_ns and 0 < now_ns - self.seen_mono_ns <= SILENCE_NS:
            elapsed_s = (now_ns - self.seen_mono_ns) / 1e9
            kept = exp(-elapsed_s * decay_per_s)
            self.orders *= kept
            self.excess_ticks *= kept
            # The integral of the weight over the time that passed, so that a rate is unbiased at any half life.
            elapsed_s = -expm1(-elapsed_s * decay_per_s) / decay_per_s
            self.seconds = self.seconds * kept + elapsed_s
            self.half_spread_seconds = self.half_spread_seconds * kept + self.half_spread_ticks * elapsed_s
        self.seen_mono_ns = max(now_ns, self.seen_mono_ns)

    cdef void on_spread(self, double spread_ticks) noexcept nogil:
        """Note the spread that holds from now on."""
        self.half_spread_ticks = spread_ticks / 2

    cdef void take_order(self) noexcept nogil:
        if self.aggressor != 0:
            self.orders += 1
            self.excess_ticks += self.aggressor * (self.last_ticks - self.first_ticks)

    cdef void fit(self) noexcept nogil:
        """Renew A and k from the sums."""
        cdef double rate_per_s
        if self.orders <= 0 or self.seconds <= 0:
            return
        self.k_per_tick = HIGHEST_K
        if self.excess_ticks > 0:
            self.k_per_tick = clamp(log1p(self.orders / self.excess_ticks), LOWEST_K, HIGHEST_K)
        rate_per_s = self.orders / 2 / self.seconds
        self.a_per_s = clamp(
            rate_per_s * exp(clamp(self.k_per_tick * self.half_spread_seconds / self.seconds, 0, 50)),
            LOWEST_A, HIGHEST_A,
        )

    cdef bint known(self, const Params *params) noexcept nogil:
        """Whether the fit holds, and not what is configured. It is given up late, lest the quotes flicker."""
        cdef double enough = params.intensity_min_trades * (0.5 if self.held else 1.0)
        self.held = params.intensity_fitted and self.a_per_s > 0 and self.orders >= enough
        return self.held

    cdef void restore(self, const QuoterState *state) noexcept nogil:
        """Begin with the sums that give an earlier life's A and k, as heavy as they were."""
        if not (LOWEST_A <= state.intensity_a_per_s <= HIGHEST_A and state.intensity_trades > 0):
            return
        if not (LOWEST_K <= state.intensity_k_per_tick <= HIGHEST_K and state.spread_ticks >= 0):
            return
        self.a_per_s, self.k_per_tick = state.intensity_a_per_s, state.intensity_k_per_tick
        self.half_spread_ticks = state.spread_ticks / 2
        self.orders = state.intensity_trades
        self.excess_ticks = self.orders / expm1(self.k_per_tick)
        self.seconds = self.orders / 2 / self.a_per_s * exp(clamp(self.k_per_tick * self.half_spread_ticks, 0, 50))
        self.half_spread_seconds = self.half_spread_ticks * self.seconds
