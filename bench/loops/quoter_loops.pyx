"""Loops over the quoter's decision and over its whole step, without Python in between."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from phx._core.decide cimport Learned, Verdict, decide
from phx._core.live cimport Live, sort_live
from phx._core.model cimport Market
from phx._core.quoter cimport QuoterCore
from phx._core.records cimport Bbo, Ladder, Own, Params
from phx._core.ring cimport RingWriter


def decisions(Market market, const Own[::1] own, const Params[::1] params, uint64_t count):
    """Decide `count` ladders, the fair price going to and fro by a tick; return how many live orders were kept."""
    cdef Live live
    cdef Ladder ladder
    cdef Verdict verdict
    cdef Learned learned
    cdef uint64_t i, kept = 0
    memset(&learned, 0, sizeof(Learned))
    sort_live(&own[0], &live)
    with nogil:
        for i in range(count):
            market.fair_ticks += 1 if i & 1 else -1
            decide(&market, &live, &learned, &params[0], <int64_t>i, &ladder, &verdict)
            kept += verdict.kept_layers
    return kept


def ticks_to_ladders(QuoterCore core, RingWriter tops, Bbo top, int64_t now_ns, int64_t step_ns, uint64_t count):
    """Publish `count` tops of book, each a tick away from the one before, and step after each; return the ladders."""
    cdef uint64_t i, published = 0
    with nogil:
        for i in range(count):
            now_ns += step_ns
            top.update_id += 1
            top.recv_mono_ns = now_ns
            top.bid_price_ticks += 1 if i & 1 else -1
            top.ask_price_ticks = top.bid_price_ticks + 2
            tops.publish(&top)
            core.feed_heartbeat_mono_ns = now_ns
            published += core.step(now_ns)
    return published
