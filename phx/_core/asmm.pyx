"""ASMM, adaptive skewed market making: where we are indifferent, and how wide we quote around it.

The shift by inventory is the linear form of Avellaneda & Stoikov (2008), r = s - q*gamma*sigma^2*(T - t), with the
product of risk terms replaced by one coefficient: `skew_coeff` of the mid at full inventory.
"""

from libc.math cimport fabs

from phx._core.model cimport Market, ModelQuote, clamp, funding_bias_ticks
from phx._core.records cimport Params

cdef double HALF_A_TICK = 0.5            # the narrowest half spread a grid of ticks can show


cdef double anchored(double anchor, double ratio, double dead_band) noexcept nogil:
    """Return the ratio that the skew uses: it follows the true one in steps, so that small fills move no quote."""
    # `not <`: an anchor that is no number is left at once, too.
    if not fabs(ratio - anchor) < dead_band or ratio * anchor < 0 or ratio == 0 or fabs(ratio) >= 1:
        return clamp(ratio, -1, 1)
    return anchor


cdef void asmm(const Market *market, double d_0_ticks, const Params *params, ModelQuote *quote) noexcept nogil:
    cdef double mid = market.mid_ticks

    quote.skew_ticks = -market.skew_anchor * params.skew_coeff * mid
    quote.funding_bias_ticks = funding_bias_ticks(market, params)
    quote.reservation_ticks = market.fair_ticks + quote.skew_ticks + quote.funding_bias_ticks

    quote.vol_scale = clamp(
        1 + params.vol_gain * (market.sigma_30m - params.vol_ref), params.vol_scale_min, params.vol_scale_max
    )
    quote.scale = quote.vol_scale * market.tox_scale
    quote.half_spread_ticks = max(params.min_spread * mid / 2 * quote.scale, HALF_A_TICK)
    quote.distance_0_ticks = max(quote.half_spread_ticks, d_0_ticks * quote.scale)


# For tests and research: the same arithmetic on plain values.

def anchored_ratio(double anchor, double ratio, double dead_band):
    """Return the anchored inventory ratio."""
    return anchored(anchor, ratio, dead_band)


def asmm_quote(Market market, double d_0_ticks, const Params[::1] params):
    """Return what the model answers as a dict, given a market as a dict and a PARAMS array of one record."""
    cdef ModelQuote quote
    asmm(&market, d_0_ticks, &params[0], &quote)
    return quote
