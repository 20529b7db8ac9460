"""Avellaneda & Stoikov (2008), "High-frequency trading in a limit order book", Quant. Finance 8(3), 217-224.

With the equation numbers of the authors' version:

    reservation  r = s - q gamma sigma^2 (T - t)                                      equation (29)
    spread       d_a + d_b = gamma sigma^2 (T - t) + (2 / gamma) ln(1 + gamma / k)     equation (30)

Takers reach a distance d from the mid at the rate A exp(-k d). The papers end the day at T; a market that never closes
has no end, so T - t is a rolling horizon, `as_horizon_s`. Units: q in near sizes, prices in ticks, sigma in ticks per
square root of a second, k per tick; gamma then is per tick and near size. Traders call r the reservation or
indifference price, the half of the second sum the half spread, its first term the price of risk.
"""

from libc.math cimport log1p

from phx._core.model cimport Market, ModelQuote, clamp, quote_around
from phx._core.records cimport Params

# Beyond these nothing is meant seriously; within them no formula overflows.
cdef double SMALLEST = 1e-12
cdef double LARGEST = 1e9
cdef double LINEAR = 1e-9                # below it ln(1 + x) is x to the last digit


cdef double fill_term(double risk_aversion, double k) noexcept nogil:
    """Return (1 / gamma) ln(1 + gamma / k), in ticks: what a fill must earn whatever the risk; 1 / k for gamma -> 0."""
    cdef double x = risk_aversion / k
    return log1p(x) / x / k if x > LINEAR else 1 / k


cdef double risk_term(double gamma, double sigma, double horizon_s) noexcept nogil:
    """Return gamma sigma^2 (T - t), in ticks per near size."""
    return gamma * sigma * sigma * horizon_s


cdef void avellaneda_stoikov(
    const Market *market, double d_0_ticks, const Params *params, ModelQuote *quote
) noexcept nogil:
    cdef double gamma = clamp(params.as_gamma, SMALLEST, LARGEST)
    cdef double k = clamp(market.intensity_k_per_tick, SMALLEST, LARGEST)
    cdef double risk_ticks = risk_term(gamma, market.sigma_1s_ticks, params.as_horizon_s)
    quote_around(market, risk_ticks, risk_ticks / 2 + fill_term(gamma, k), params, quote)


def reservation_and_spread(
    double fair_ticks, double inventory_sizes, double gamma, double sigma_ticks, double horizon_s, double k_per_tick
):
    """Return (reservation price, bid-ask spread) in ticks, by the bare formulas; for tests and research."""
    cdef double risk_ticks = risk_term(gamma, sigma_ticks, horizon_s)
    return fair_ticks - inventory_sizes * risk_ticks, risk_ticks + 2 * fill_term(gamma, k_per_tick)
