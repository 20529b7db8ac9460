"""What the model-based quotes share: bounds, funding, and the place of the nearest layer."""

from phx._core.model cimport Market, ModelQuote, clamp, funding_bias_ticks
from phx._core.records cimport Params

# A formula fed with a fit gone wrong must not send a layer beyond the outer collar, where the gateway refuses it:
# skew and half spread take at most these shares of it, params.py checks that the ladder behind fits into the rest.
cdef double SKEW_SHARE = 0.5
cdef double SPREAD_SHARE = 0.25
cdef double HALF_A_TICK = 0.5            # the narrowest half spread a grid of ticks can show


cdef void quote_around(
    const Market *market, double skew_per_size_ticks, double half_spread_ticks, const Params *params,
    ModelQuote *quote,
) noexcept nogil:
    cdef double reach_ticks = params.collar_far * market.mid_ticks
    cdef double shift_ticks = clamp(skew_per_size_ticks, 0, reach_ticks) * market.inventory_sizes
    quote.skew_ticks = -clamp(shift_ticks, -SKEW_SHARE * reach_ticks, SKEW_SHARE * reach_ticks)
    quote.funding_bias_ticks = funding_bias_ticks(market, params)
    quote.reservation_ticks = market.fair_ticks + quote.skew_ticks + quote.funding_bias_ticks
    quote.vol_scale = 1                  # volatility is in the formulas already
    quote.scale = market.tox_scale
    quote.half_spread_ticks = clamp(half_spread_ticks * market.tox_scale, HALF_A_TICK, SPREAD_SHARE * reach_ticks)
    quote.distance_0_ticks = max(quote.half_spread_ticks, params.min_spread * market.mid_ticks / 2)
