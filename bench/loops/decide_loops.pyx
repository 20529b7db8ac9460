"""A loop over the whole decision of a quoter without Python in between."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from phx._core.decide cimport Learned, Verdict, decide
from phx._core.live cimport Live
from phx._core.model cimport Market
from phx._core.records cimport Ladder, Params


def decisions(const Params[::1] params, double mid_ticks, uint64_t count):
    """Decide `count` ladders on a market that moves by a tick each time, without live orders; return their layers."""
    cdef Market market
    cdef Live live
    cdef Ladder ladder
    cdef Verdict verdict
    cdef Learned learned
    cdef uint64_t i, layers = 0
    memset(&market, 0, sizeof(market))
    memset(&live, 0, sizeof(live))
    memset(&learned, 0, sizeof(learned))
    live.allowance_lots[0] = live.allowance_lots[1] = <int64_t>1 << 40
    market.spread_ticks, market.tox_scale, market.sigma_30m, market.sigma_1s_ticks = 1, 1, 0.001, 3
    with nogil:
        for i in range(count):
            market.bid_price_ticks = <int64_t>mid_ticks + <int64_t>(i & 15)
            market.ask_price_ticks = market.bid_price_ticks + 1
            market.mid_ticks = <double>market.bid_price_ticks + 0.5
            market.micro_ticks = market.fair_ticks = market.mid_ticks + 0.1
            decide(&market, &live, &learned, &params[0], <int64_t>i, &ladder, &verdict)
            layers += ladder.bid_layers + ladder.ask_layers
    return layers
