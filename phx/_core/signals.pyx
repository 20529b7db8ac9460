"""Signals: the market without ourselves, volatility, funding, a leading instrument's price, the flow of trades."""

cimport cython
from libc.math cimport exp2, fabs, isfinite, sqrt
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset

from phx._core.enums cimport (
    BUY, FAIR_LEADER, FAIR_MID, FAIR_STOIKOV, ORIGIN_INSURANCE, ORIGIN_LIQUIDATION, ORIGIN_MARKET, ORIGIN_NONE, SELL,
)
from phx._core.intensity cimport Intensity
from phx._core.live cimport Live, LiveSide, side_index, sort_live
from phx._core.model cimport Market
from phx._core.records cimport NO_PRICE, STOIKOV_CELLS, Bbo, Book, Own, Params, QuoterState, TapeEvent
from phx._core.vpin cimport Vpin

cdef extern from *:
    """
    #include <stdint.h>
    /* n * sum(x^2) - sum(x)^2, exact: each product may need more than 64 bits. */
    static inline double phx_spread_of_squares(int64_t n, int64_t sum, int64_t sum_of_squares) {
        return (double)((__int128)n * sum_of_squares - (__int128)sum * sum);
    }
    """
    double phx_spread_of_squares(int64_t n, int64_t sum, int64_t sum_of_squares) noexcept nogil

cdef enum:
    SECOND_NS = 1_000_000_000
    FARTHEST_HALF_TICKS = 1 << 25            # 2^50 * 7200 samples still fits the int64 sum of squares

# The venue sends a mark price each 1 or 3 s; five missed ones are silence.
cdef int64_t MARK_MAX_AGE_NS = 15 * <int64_t>1_000_000_000


# ---- the market without us

cdef bint foreign_touch(const Book *book, const Bbo *bbo, const Live *live, int levels, Touch *touch) noexcept nogil:
    # Top of book and depth are two streams; the newer by resync and the venue's update id decides the best price.
    cdef bint top_is_newer = (
        bbo.update_id > book.update_id if bbo.sync_id == book.sync_id else bbo.sync_id > book.sync_id
    )
    touch.top_is_newer = top_is_newer
    if top_is_newer:
        touch.venue_bid_ticks = bbo.bid_price_ticks
        touch.venue_ask_ticks = bbo.ask_price_ticks
    else:
        touch.venue_bid_ticks = book.bid_price_ticks[0] if book.bid_levels else NO_PRICE
        touch.venue_ask_ticks = book.ask_price_ticks[0] if book.ask_levels else NO_PRICE
    touch.bids.levels = touch.asks.levels = 0
    if touch.venue_bid_ticks == NO_PRICE or touch.venue_ask_ticks == NO_PRICE:
        return False
    foreign_side(
        BUY, book.bid_price_ticks, book.bid_qty_lots, book.bid_levels, book.ts_event_ns, touch.venue_bid_ticks,
        bbo.bid_qty_lots if top_is_newer else -1, bbo.ts_event_ns, &live.sides[side_index(BUY)], levels, &touch.bids,
    )
    foreign_side(
        SELL, book.ask_price_ticks, book.ask_qty_lots, book.ask_levels, book.ts_event_ns, touch.venue_ask_ticks,
        bbo.ask_qty_lots if top_is_newer else -1, bbo.ts_event_ns, &live.sides[side_index(SELL)], levels, &touch.asks,
    )
    return touch.bids.levels > 0 and touch.asks.levels > 0


cdef void foreign_side(
    int side, const int64_t *price_ticks, const int64_t *qty_lots, int book_levels, int64_t ts_book_ns,
    int64_t top_price_ticks, int64_t top_qty_lots, int64_t ts_top_ns, const LiveSide *live, int levels, Depth *out,
) noexcept nogil:
    # top_qty_lots < 0: the book itself holds the newest top. Book and live orders both run away from the market,
    # so each list is walked once.
    cdef int order = 0
    cdef int level
    if top_qty_lots >= 0:
        add_foreign(side, top_price_ticks, top_qty_lots, ts_top_ns, live, &order, out)
    for level in range(book_levels):
        if out.levels >= levels:
            return
        if top_qty_lots < 0 or side * (top_price_ticks - price_ticks[level]) > 0:
            add_foreign(side, price_ticks[level], qty_lots[level], ts_book_ns, live, &order, out)


cdef inline void add_foreign(
    int side, int64_t price_ticks, int64_t qty_lots, int64_t ts_event_ns, const LiveSide *live, int *order, Depth *out,
) noexcept nogil:
    # An update older than an order's acknowledgement cannot contain it: subtracting it then would remove a stranger.
    while order[0] < live.orders and side * (live.price_ticks[order[0]] - price_ticks) > 0:
        order[0] += 1
    cdef int at = order[0]
    while at < live.orders and live.price_ticks[at] == price_ticks:
        if live.ts_ack_ns[at] and ts_event_ns >= live.ts_ack_ns[at]:
            qty_lots -= live.remaining_lots[at]
        at += 1
    if qty_lots > 0:
        out.price_ticks[out.levels] = price_ticks
        out.qty_lots[out.levels] = qty_lots
        out.levels += 1


cdef double imbalance(const Depth *bids, const Depth *asks, int levels) noexcept nogil:
    cdef double bid = 0, ask = 0
    cdef int level
    for level in range(min(levels, bids.levels)):
        bid += bids.qty_lots[level]
    for level in range(min(levels, asks.levels)):
        ask += asks.qty_lots[level]
    return (bid - ask) / (bid + ask)


# ---- volatility

@cython.final
cdef class Window:
    """Samples of the mid in half ticks, one per second at most; a second without one is a gap and stays one."""

    def __cinit__(self):
        self.clear()

    cdef void clear(self) noexcept nogil:
        self.samples = self.oldest = self.sum = self.sum_of_squares = 0

    cdef void add(self, int64_t second, int64_t half_ticks, int64_t window_s) noexcept nogil:
        while self.samples and (self.second[self.oldest] <= second - window_s or self.samples == WINDOW_SAMPLES):
            self.drop_oldest()
        if self.samples == 0 or not -FARTHEST_HALF_TICKS < half_ticks - self.origin < FARTHEST_HALF_TICKS:
            self.clear()
            self.origin = half_ticks
        cdef int64_t at = (self.oldest + self.samples) % WINDOW_SAMPLES
        cdef int64_t moved = half_ticks - self.origin
        self.second[at] = second
        self.half_ticks[at] = half_ticks
        self.sum += moved
        self.sum_of_squares += moved * moved
        self.samples += 1

    cdef void drop_oldest(self) noexcept nogil:
        cdef int64_t moved = self.half_ticks[self.oldest] - self.origin
        self.sum -= moved
        self.sum_of_squares -= moved * moved
        self.oldest = (self.oldest + 1) % WINDOW_SAMPLES
        self.samples -= 1

    cdef double deviation_ticks(self) noexcept nogil:
        # Population standard deviation; a sample is two half ticks per tick.
        if self.samples == 0:
            return 0
        return sqrt(phx_spread_of_squares(self.samples, self.sum, self.sum_of_squares)) / self.samples / 2

    def add_sample(self, int64_t second, int64_t half_ticks, int64_t window_s):
        """Add one sample and return the deviation in ticks; for tests and research."""
        self.add(second, half_ticks, window_s)
        return self.deviation_ticks()


@cython.final
cdef class Signals:
    """Everything about the market that outlives one tick."""

    def __cinit__(self):
        self.window = Window()
        self.vpin = Vpin()
        self.intensity = Intensity()
        self.variance_1s = -1

    cdef bint sample_due(self, int64_t now_ns) noexcept nogil:
        return now_ns // SECOND_NS > self.last_second

    cdef void sample(
        self, int64_t now_ns, const Touch *touch, double leader_mid_ticks, const Params *params
    ) noexcept nogil:
        """Take the sample of this second. leader_mid_ticks: 0 = no leader."""
        cdef int64_t bid = touch.bids.price_ticks[0], ask = touch.asks.price_ticks[0]
        self.add_sample(now_ns, bid + ask, ask - bid, leader_mid_ticks, params)

    cdef void add_sample(
        self, int64_t now_ns, int64_t half_ticks, double spread_ticks, double leader_mid_ticks, const Params *params
    ) noexcept nogil:
        """half_ticks: best bid plus best ask."""
        cdef int64_t second = now_ns // SECOND_NS
        cdef double change_ticks
        self.window.add(second, half_ticks, params.vol_window_s)
        self.deviation_ticks = self.window.deviation_ticks()
        if second == self.last_second + 1:
            change_ticks = (half_ticks - self.last_half_ticks) / 2.0
            if self.variance_1s < 0:
                self.variance_1s = assumed_variance_1s(half_ticks / 2.0, params)
            self.variance_1s = follow(
                self.variance_1s, change_ticks * change_ticks, 1, params.sigma_1s_half_life_s, False
            )
        if leader_mid_ticks > 0:
            self.leader_ratio_ema = follow(
                self.leader_ratio_ema, half_ticks / 2.0 / leader_mid_ticks,
                second - self.leader_second if self.leader_second else 1, params.leader_half_life_s,
                self.leader_ratio_ema == 0,
            )
            self.leader_second = second
        self.intensity.on_spread(spread_ticks)
        self.intensity.fit()
        self.last_second = second
        self.last_half_ticks = half_ticks

    cdef void on_mark(
        self, int64_t recv_mono_ns, double rate, uint32_t next_funding_s, const Params *params
    ) noexcept nogil:
        """Follow the predicted funding rate. A new funding interval predicts anew, so the average restarts."""
        cdef bint restart = not self.funding_known or (self.next_funding_s and next_funding_s != self.next_funding_s)
        cdef double elapsed_s = (recv_mono_ns - self.mark_recv_mono_ns) / 1e9 if self.mark_recv_mono_ns else 0
        self.funding_ema = follow(self.funding_ema, rate, max(elapsed_s, 0), params.funding_half_life_s, restart)
        self.funding_known = True
        self.next_funding_s = next_funding_s
        self.mark_recv_mono_ns = recv_mono_ns
        self.intensity.on_time(recv_mono_ns, params)

    cdef void on_trade(self, const TapeEvent *trade, const Params *params) noexcept nogil:
        """Follow the flow of trades. Forced ones say nothing about takers; those inside the spread reach no quote."""
        if trade.origin == ORIGIN_NONE or trade.origin == ORIGIN_LIQUIDATION or trade.origin == ORIGIN_INSURANCE:
            return
        self.vpin.on_trade(trade.aggressor, trade.qty_lots, trade.recv_mono_ns, params)
        if trade.origin == ORIGIN_MARKET:
            self.intensity.on_trade(
                trade.ts_event_ns, trade.recv_mono_ns, trade.aggressor, trade.price_ticks, params
            )

    cdef bint toxic(self, int64_t now_ns) noexcept nogil:
        """Whether the trade flow asks for quotes to be pulled now."""
        return self.vpin.toxic(now_ns)

    cdef void read(
        self, const Touch *touch, double leader_mid_ticks, const Params *params, int64_t now_ns, Market *market
    ) noexcept nogil:
        """Fill in what a decision needs; what depends on the inventory is the caller's.

        leader_mid_ticks: 0 = none or stale.
        """
        cdef double bid = touch.bids.price_ticks[0], ask = touch.asks.price_ticks[0]
        cdef double bid_qty = touch.bids.qty_lots[0], ask_qty = touch.asks.qty_lots[0]
        market.bid_price_ticks = touch.venue_bid_ticks
        market.ask_price_ticks = touch.venue_ask_ticks
        market.spread_ticks = ask - bid
        market.mid_ticks = (bid + ask) / 2
        market.micro_ticks = (bid * ask_qty + ask * bid_qty) / (bid_qty + ask_qty)
        market.imbalance = imbalance(&touch.bids, &touch.asks, params.imbalance_levels)
        market.sigma_30m = self.sigma_30m(market.mid_ticks, params)
        market.sigma_1s_ticks = sqrt(
            self.variance_1s if self.variance_1s >= 0 else assumed_variance_1s(market.mid_ticks, params)
        )
        market.funding = self.funding_ema if now_ns - self.mark_recv_mono_ns <= MARK_MAX_AGE_NS else 0
        market.tox_scale = self.vpin.scale(params)
        market.vpin = self.vpin.value()
        market.stoikov_ticks = stoikov_ticks(bid_qty / (bid_qty + ask_qty), ask - bid, params)
        if self.intensity.known(params):
            market.intensity_a_per_s = self.intensity.a_per_s
            market.intensity_k_per_tick = self.intensity.k_per_tick
        else:
            market.intensity_a_per_s = params.intensity_a_per_s
            market.intensity_k_per_tick = params.intensity_k_per_tick
        market.fair_ticks = self.fair_ticks(market, leader_mid_ticks, params)

    cdef double sigma_30m(self, double mid_ticks, const Params *params) noexcept nogil:
        if self.window.samples >= params.vol_min_samples:
            return self.deviation_ticks / mid_ticks
        return self.warm_sigma_30m if self.warm_sigma_30m > 0 else params.vol_initial

    cdef double fair_ticks(self, const Market *market, double leader_mid_ticks, const Params *params) noexcept nogil:
        cdef double micro = market.micro_ticks
        cdef double leader, furthest
        self.leader_led = False
        if params.fair_source == FAIR_MID:
            return market.mid_ticks
        if params.fair_source == FAIR_STOIKOV and params.stoikov_buckets:
            return market.mid_ticks + market.stoikov_ticks
        if params.fair_source != FAIR_LEADER or leader_mid_ticks <= 0 or self.leader_ratio_ema <= 0:
            return micro
        self.leader_led = params.leader_weight > 0
        leader = leader_mid_ticks * self.leader_ratio_ema
        furthest = params.leader_max_dev * micro
        leader = min(max(leader, micro - furthest), micro + furthest)
        return (1 - params.leader_weight) * micro + params.leader_weight * leader

    cdef void save(self, const Market *market, QuoterState *state) noexcept nogil:
        """Write what people look at and what the next life begins with; market: of the newest decision."""
        state.sigma_30m, state.sigma_1s_ticks = market.sigma_30m, market.sigma_1s_ticks
        state.imbalance, state.stoikov_ticks = market.imbalance, market.stoikov_ticks
        state.tox_scale = market.tox_scale
        state.intensity_a_per_s, state.intensity_k_per_tick = market.intensity_a_per_s, market.intensity_k_per_tick
        state.intensity_trades = <uint32_t>min(self.intensity.orders, 4e9)
        state.funding_ema = self.funding_ema
        state.leader_ratio_ema, state.leader_led = self.leader_ratio_ema, self.leader_led
        state.vpin = self.vpin.value()
        state.vpin_full = <uint8_t>self.vpin.full
        state.vpin_filled_lots, state.vpin_imbalance_lots = self.vpin.filled_lots, self.vpin.imbalance_lots
        state.widening = self.vpin.widening
        state.vol_samples = <uint32_t>self.window.samples

    cdef void restore(self, const QuoterState *state) noexcept nogil:
        """Begin warm, with what an earlier life left; its window of samples is not among it.

        What cannot be is not taken over: an average that began with infinity would stay there.
        """
        if 0 < state.sigma_30m < 1:
            self.warm_sigma_30m = state.sigma_30m
        if 0 < state.sigma_1s_ticks < FARTHEST_HALF_TICKS:
            self.variance_1s = state.sigma_1s_ticks * state.sigma_1s_ticks
        if 0 < fabs(state.funding_ema) < 1:
            self.funding_ema = state.funding_ema
            self.funding_known = True
        if isfinite(state.leader_ratio_ema) and state.leader_ratio_ema > 0:
            self.leader_ratio_ema = state.leader_ratio_ema
        self.vpin.restore(state)
        self.intensity.restore(state)

    # For tests and research: the same methods on plain values.

    def sample_now(
        self, int64_t now_ns, int64_t half_ticks, const Params[::1] params, double leader_mid_ticks=0,
        double spread_ticks=1,
    ):
        """Take one sample; half_ticks is best bid plus best ask."""
        self.add_sample(now_ns, half_ticks, spread_ticks, leader_mid_ticks, &params[0])

    def trade(self, const TapeEvent[::1] trades, const Params[::1] params):
        """Read trades, oldest first."""
        cdef Py_ssize_t i
        for i in range(trades.shape[0]):
            self.on_trade(&trades[i], &params[0])

    def toxic_at(self, int64_t now_ns):
        """Return whether the trade flow asks for quotes to be pulled."""
        return self.toxic(now_ns)

    def saved(self, Market market):
        """Return what the next life begins with, given the newest Market as a dict."""
        cdef QuoterState state
        memset(&state, 0, sizeof(QuoterState))
        state.spread_ticks = market.spread_ticks
        self.save(&market, &state)
        return state

    def begin_from(self, QuoterState state):
        """Begin warm with what `saved` returned."""
        self.restore(&state)

    def mark(self, int64_t recv_mono_ns, double rate, uint32_t next_funding_s, const Params[::1] params):
        """Read one mark price event's funding rate."""
        self.on_mark(recv_mono_ns, rate, next_funding_s, &params[0])

    def market(
        self, const Book[::1] book, const Bbo[::1] bbo, const Own[::1] own, const Params[::1] params, int64_t now_ns,
        double leader_mid_ticks=0,
    ):
        """Return the Market as a dict, or None when a side holds nobody else's order."""
        cdef Touch touch
        cdef Market market
        cdef Live live
        sort_live(&own[0], &live)
        if not foreign_touch(&book[0], &bbo[0], &live, max(1, params[0].imbalance_levels), &touch):
            return None
        market.skew_anchor = market.inventory_sizes = 0
        self.read(&touch, leader_mid_ticks, &params[0], now_ns, &market)
        return market


cdef inline double assumed_variance_1s(double mid_ticks, const Params *params) noexcept nogil:
    # The seconds of a random walk over a window W deviate by sigma_1s * sqrt(W / 6) from their mean, so this is the
    # one-second volatility that goes with vol_initial. Beginning with it, one still second makes no still market.
    cdef double deviation_ticks = params.vol_initial * mid_ticks
    return deviation_ticks * deviation_ticks * 6 / params.vol_window_s


cdef double stoikov_ticks(double bid_share, double spread_ticks, const Params *params) noexcept nogil:
    """Return the fitted micro-price minus the mid; bid_share: of the quantity at the best prices."""
    cdef int buckets = params.stoikov_buckets, spreads = params.stoikov_spreads
    if buckets == 0 or spreads == 0 or buckets * spreads > STOIKOV_CELLS:
        return 0
    cdef int bucket = min(<int>(bid_share * buckets), buckets - 1)
    cdef int row = <int>min(max(spread_ticks, 1), spreads) - 1
    return params.stoikov_ticks[row * buckets + bucket]


cdef inline double follow(
    double ema, double value, double elapsed_s, double half_life_s, bint restart
) noexcept nogil:
    """Return an exponential average after `elapsed_s` more seconds."""
    return value if restart else value + (ema - value) * exp2(-elapsed_s / half_life_s)
