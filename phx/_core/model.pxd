# What a quoting model is given and what it answers. A model is one function of this shape (asmm.pyx is the first);
# ladder, modes and risk are the same for all of them.
from libc.stdint cimport int64_t

from phx._core.records cimport Params

cdef struct Market:                  # what a decision knows of the market; doubles are ticks unless named otherwise
    int64_t bid_price_ticks          # the venue's best, our own orders included: post-only is judged against it
    int64_t ask_price_ticks
    double spread_ticks              # between the best prices of others
    double mid_ticks                 # of the best prices of others
    double micro_ticks               # the same, weighted by the opposite quantity
    double imbalance                 # -1..1, others' quantity over params.imbalance_levels
    double fair_ticks                # by params.fair_source
    double sigma_30m                 # fraction of the mid
    double sigma_1s_ticks
    double funding                   # predicted rate per venue interval, smoothed; 0 when the mark is stale
    double tox_scale                 # >= 1: widening while the flow is toxic
    double skew_anchor               # the ratio the skew is anchored at, -1..1
    double inventory_sizes           # q of the model papers: inventory in near sizes, signed
    double vpin                      # 0..1; 0.5 until enough buckets are full
    double stoikov_ticks             # fitted micro-price minus mid; 0 without a table
    double intensity_a_per_s         # arrivals at distance 0: lambda = A * exp(-k * distance)
    double intensity_k_per_tick

cdef struct ModelQuote:              # what a model answers, in ticks
    double skew_ticks
    double funding_bias_ticks
    double reservation_ticks         # where we are indifferent to our inventory
    double vol_scale
    double half_spread_ticks
    double distance_0_ticks          # from the reservation to the nearest layer
    double scale                     # s: how far the ladder is stretched behind its nearest layer

# d_0_ticks: the shape's own offset of the nearest layer.
ctypedef void (*Model)(const Market *, double d_0_ticks, const Params *, ModelQuote *) noexcept nogil

cdef inline double clamp(double value, double low, double high) noexcept nogil:
    # Written so that what is no number becomes `low`.
    return low if not value >= low else high if value > high else value

# Funding shades the price, inventory decides it: at most this share of asmm's full skew.
cdef inline double funding_bias_ticks(const Market *market, const Params *params) noexcept nogil:
    cdef double limit_ticks = 0.25 * params.skew_coeff * market.mid_ticks
    # A positive funding rate means longs pay, so it lowers the reservation price whatever our side.
    return clamp(-market.funding * params.funding_coeff * market.mid_ticks, -limit_ticks, limit_ticks)

# The answer of a model that names its own skew per near size and half spread: the frame around the papers' formulas.
cdef void quote_around(
    const Market *, double skew_per_size_ticks, double half_spread_ticks, const Params *, ModelQuote *
) noexcept nogil
