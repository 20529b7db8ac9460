"""GLFT: optimal quotes far from the end of the day, for a market maker with bounded inventory.

Gueant, Lehalle & Fernandez-Tapia (2013), "Dealing with the inventory risk" (arXiv 1105.3115): the closed form of the
asymptotic quotes. Gueant (2017), "Optimal market making" (arXiv 1605.01862), equations (4.6) and (4.7): the same with a
second parameter xi, the aversion to the risk that an order is not filled, beside gamma, the one to the price's. For
orders of size D:

    c1 = (1 / (xi D)) ln(1 + xi D / k)
    c2 = sqrt( gamma / (2 A D k) * (1 + xi D / k)^(k / (xi D) + 1) )
    half spread = c1 + D / 2 sigma c2            skew = sigma c2, per unit of q

Here D is 1, one near size. The bid's distance from the fair price at inventory q is half spread + skew q, the ask's
half spread - skew q. With xi = gamma that is the 2013 form,

    d_b = (1 / gamma) ln(1 + gamma / k) + (2 q + 1) / 2 sqrt(sigma^2 gamma / (2 k A) * (1 + gamma / k)^(1 + k / gamma))

and xi -> 0 is the maker who takes fills as they come. Units: q in near sizes, prices in ticks, sigma in ticks per
square root of a second, A per second, k per tick. At the bound of its inventory the paper's maker stops adding; here
that is the ladder's worst case.
"""

from libc.math cimport exp, log1p, sqrt

from phx._core.avellaneda_stoikov cimport fill_term
from phx._core.model cimport Market, ModelQuote, clamp, quote_around
from phx._core.records cimport Params

# Beyond these nothing is meant seriously; within them no formula overflows.
cdef double SMALLEST = 1e-12
cdef double LARGEST = 1e9
cdef double LINEAR = 1e-9                # below it ln(1 + x) is x to the last digit


cdef double c1(double xi, double k) noexcept nogil:
    """Return the part of the half spread that a fill must earn whatever the risk, in ticks."""
    return fill_term(xi, k)


cdef double c2(double gamma, double xi, double a, double k) noexcept nogil:
    """Return ticks per near size and unit of sigma; the power tends to e for xi -> 0."""
    cdef double x = xi / k
    cdef double exponent = (1 / x + 1) * log1p(x) if x > LINEAR else 1
    return sqrt(gamma / (2 * a * k) * exp(exponent))


cdef void glft(const Market *market, double d_0_ticks, const Params *params, ModelQuote *quote) noexcept nogil:
    cdef double gamma = clamp(params.glft_gamma, SMALLEST, LARGEST)
    cdef double xi = clamp(params.glft_xi, SMALLEST, LARGEST)
    cdef double a = clamp(market.intensity_a_per_s, SMALLEST, LARGEST)
    cdef double k = clamp(market.intensity_k_per_tick, SMALLEST, LARGEST)
    cdef double skew_ticks = market.sigma_1s_ticks * c2(gamma, xi, a, k)
    quote_around(market, skew_ticks, c1(xi, k) + skew_ticks / 2, params, quote)


def coefficients(double gamma, double xi, double a_per_s, double k_per_tick):
    """Return (c1, c2) by the bare formulas; for tests and research."""
    return c1(xi, k_per_tick), c2(gamma, xi, a_per_s, k_per_tick)


def half_spread_and_skew(double gamma, double xi, double a_per_s, double k_per_tick, double sigma_ticks):
    """Return (half spread, skew per near size) in ticks, by the bare formulas; for tests and research."""
    cdef double skew_ticks = sigma_ticks * c2(gamma, xi, a_per_s, k_per_tick)
    return c1(xi, k_per_tick) + skew_ticks / 2, skew_ticks
