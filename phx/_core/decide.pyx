"""decide: market, own orders and parameters in, a ladder out. The way of a decision from top to bottom."""

import numpy as np

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memset

from phx._core.enums cimport BUY, MODE_NORMAL, REASON_NONE, REASON_WORST_CASE, SELL
from phx._core.grid cimport away, whole
from phx._core.ladder_finish cimport (
    KeepBand, LadderSide, capacity_lots, clamp_post_only, drop_own_cross, drop_small, keep_prices, match_orders,
    merge_ticks, round_away, trim_worst_case, widen_refused,
)
from phx._core.ladder_shape cimport adding_layers, raw_offsets
from phx._core.last_look cimport look_last
from phx._core.live cimport Live, LiveSide, side_index, sort_live
from phx._core.model cimport Market
from phx._core.models cimport model_of
from phx._core.records cimport LADDER_LAYERS, NO_PRICE, OWN_ORDERS, Own, Params
from phx._core.records import LADDER

cdef double NEAREST_SHARE = 0.5              # of distance_0: a kept order is never nearer the reservation price
cdef double SCARCE_TOLERANCE = 2             # while orders are scarce, prices follow the market half as closely


cdef void decide(
    const Market *market, const Live *live, const Learned *learned, const Params *params, int64_t now_ns,
    Ladder *ladder, Verdict *verdict,
) noexcept nogil:
    cdef double[LADDER_LAYERS] distance_ticks
    cdef LadderSide bids, asks
    cdef int layers = raw_offsets(params, market.mid_ticks, distance_ticks)
    memset(verdict, 0, sizeof(Verdict))
    verdict.ratio = live.position_lots / <double>params.net_max_lots
    model_of(params)(market, distance_ticks[0], params, &verdict.quote)
    stretch(distance_ticks, layers, verdict.quote.distance_0_ticks, verdict.quote.scale)

    bids.side, asks.side = BUY, SELL
    verdict.bids_trimmed_away = make_side(&bids, market, distance_ticks, layers, live, learned, params, verdict)
    verdict.asks_trimmed_away = make_side(&asks, market, distance_ticks, layers, live, learned, params, verdict)

    memset(ladder, 0, sizeof(Ladder))
    ladder.decided_mono_ns = now_ns
    ladder.params_version = params.params_version
    ladder.symbol_id = params.symbol_id
    ladder.mode = MODE_NORMAL
    ladder.reason = REASON_WORST_CASE if verdict.bids_trimmed_away or verdict.asks_trimmed_away else REASON_NONE
    ladder.bid_layers = show(&bids, ladder.bid_layer, ladder.bid_price_ticks, ladder.bid_qty_lots)
    ladder.ask_layers = show(&asks, ladder.ask_layer, ladder.ask_price_ticks, ladder.ask_qty_lots)
    verdict.dropped_layers += look_last(ladder, market, live, params)
    verdict.worst_buy_lots = live.position_lots + worst_lots(&bids, &live.sides[side_index(BUY)])
    verdict.worst_sell_lots = live.position_lots - worst_lots(&asks, &live.sides[side_index(SELL)])


cdef inline void stretch(double *offset_ticks, int layers, double distance_0_ticks, double scale) noexcept nogil:
    # distance_i = distance_0 + (d_i - d_0) * s, in place.
    cdef double d_0 = offset_ticks[0]
    cdef int layer
    for layer in range(layers):
        offset_ticks[layer] = distance_0_ticks + (offset_ticks[layer] - d_0) * scale


cdef bint make_side(
    LadderSide *side, const Market *market, const double *distance_ticks, int layers, const Live *live,
    const Learned *learned, const Params *params, Verdict *verdict,
) noexcept nogil:
    """Finish one side; return whether the worst case took all of it."""
    cdef int s = side_index(side.side)
    cdef const LiveSide *own = &live.sides[s]
    cdef const LiveSide *opposite = &live.sides[side_index(-side.side)]
    cdef const ModelQuote *quote = &verdict.quote
    cdef int64_t best_opposite = market.ask_price_ticks if side.side == BUY else market.bid_price_ticks
    cdef int64_t capacity = whole(
        capacity_lots(side.side, live.position_lots, live.allowance_lots[s], params), params.qty_step_lots)
    cdef int before
    cdef KeepBand band
    band.reservation_ticks = quote.reservation_ticks
    band.tolerance_ticks = params.keep_tolerance * quote.distance_0_ticks
    verdict.top_tolerance_ticks = band.tolerance_ticks
    if learned.scarce:
        band.tolerance_ticks *= SCARCE_TOLERANCE
    band.queue_ticks = params.keep_queue_value * quote.distance_0_ticks if params.queue_valued else 0
    band.growth = params.keep_growth
    # A model's half spread is what it would like; an order that rests may lie nearer, down to the smallest configured.
    band.nearest_ticks = max(
        min(quote.half_spread_ticks, params.min_spread * market.mid_ticks / 2 * quote.scale),
        NEAREST_SHARE * quote.distance_0_ticks,
    )
    band.limit_ticks = away(side.side, best_opposite - side.side, params.price_step_ticks)

    if side.side * verdict.ratio > 0:
        layers = adding_layers(layers, verdict.ratio, params.adding_layer_cut)
    round_away(side, quote.reservation_ticks, distance_ticks, layers, params)
    if clamp_post_only(side, band.limit_ticks):
        verdict.clamped_layers += side.layers
    if learned.refused_ticks[s] != NULL:
        widen_refused(side, learned.refused_ticks[s], params.price_step_ticks)
    verdict.merged_layers += merge_ticks(
        side, whole(<int64_t>(params.max_merge * params.near_size_lots), params.qty_step_lots))
    verdict.dropped_layers += drop_small(side, params.min_qty_lots, params.min_notional_ticklots)
    verdict.queue_kept_layers += match_orders(side, own, learned.place[s], &band)
    before = side.layers
    verdict.trimmed_layers += trim_worst_case(side, own, capacity, params.min_qty_lots, params.min_notional_ticklots)
    cdef bint trimmed_away = before > 0 and side.layers == 0
    verdict.crossing_layers += drop_own_cross(side, own, opposite)
    verdict.top_target_ticks[s] = side.price_ticks[0] if side.layers else NO_PRICE
    verdict.kept_layers += keep_prices(side, own)
    return trimmed_away


cdef uint8_t show(const LadderSide *side, uint8_t *layer, int64_t *price_ticks, int64_t *qty_lots) noexcept nogil:
    cdef int i
    for i in range(side.layers):
        layer[i] = side.layer[i]
        price_ticks[i] = side.price_ticks[i]
        qty_lots[i] = side.qty_lots[i]
    return <uint8_t>side.layers


cdef int64_t worst_lots(const LadderSide *side, const LiveSide *live) noexcept nogil:
    # Everything live, and what the wanted layers add to it.
    cdef int64_t lots = live.total_lots
    cdef int layer
    for layer in range(side.layers):
        lots += side.qty_lots[layer]
        if side.order[layer] >= 0:
            lots -= min(side.qty_lots[layer], live.remaining_lots[side.order[layer]])
    return lots


cdef inline uint64_t fnv(uint64_t value, uint64_t word) noexcept nogil:
    return (value ^ word) * <uint64_t>0x100000001b3


cdef uint64_t ladder_hash(const Ladder *ladder) noexcept nogil:
    """FNV-1a, word by word, of mode, layers, prices and quantities: two decisions are equal when their hashes are."""
    cdef uint64_t value = <uint64_t>0xcbf29ce484222325
    cdef int i
    value = fnv(value, ladder.mode | <uint64_t>ladder.bid_layers << 8 | <uint64_t>ladder.ask_layers << 16)
    for i in range(ladder.bid_layers):
        value = fnv(fnv(value, ladder.bid_price_ticks[i]), <uint64_t>ladder.bid_qty_lots[i] << 8 | ladder.bid_layer[i])
    for i in range(ladder.ask_layers):
        value = fnv(fnv(value, ladder.ask_price_ticks[i]), <uint64_t>ladder.ask_qty_lots[i] << 8 | ladder.ask_layer[i])
    return value


def decide_ladder(
    Market market, const Own[::1] own, const Params[::1] params, int64_t now_ns, places=None, refused=None,
    bint scarce=False,
):
    """Return (LADDER array of one record, the verdict as a dict) for a market given as a dict; for tests, research.

    market: the fields of Market. own, params: arrays of one record. places: by side (1, -1), how well its live orders,
    nearest first, stand in their queues. refused: by side, by how many ticks its rungs go out farther. A market
    without a positive mid or parameters without net_max or near layers raise ValueError.
    """
    if not (market.mid_ticks > 0 and params[0].net_max_lots > 0 and params[0].near_layers > 0):
        raise ValueError("decide: mid_ticks, net_max_lots and near_layers must be positive")
    cdef Live live
    cdef Verdict verdict
    ladder = np.zeros(1, LADDER)
    cdef Ladder[::1] view = ladder
    sort_live(&own[0], &live)
    cdef Learned learned
    cdef double[2][OWN_ORDERS] place
    cdef int64_t[2][LADDER_LAYERS] refused_ticks
    memset(&learned, 0, sizeof(Learned))
    memset(place, 0, sizeof(place))
    memset(refused_ticks, 0, sizeof(refused_ticks))
    for side in (1, -1):
        for i, value in enumerate((places or {}).get(side, ())):
            place[side_index(side)][i] = value
        for i, ticks in enumerate((refused or {}).get(side, ())):
            refused_ticks[side_index(side)][i] = ticks
        learned.place[side_index(side)] = place[side_index(side)]
        learned.refused_ticks[side_index(side)] = refused_ticks[side_index(side)]
    learned.scarce = scarce
    decide(&market, &live, &learned, &params[0], now_ns, &view[0], &verdict)
    return ladder, verdict
