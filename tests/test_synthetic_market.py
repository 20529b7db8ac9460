"""The synthetic market: reproducible, never empty, and close to the recordings it was fitted to.

Method: the order flow plays against a small reference book in virtual time. What the book tells is measured by the
same function that measured the recordings, and compared with the committed numbers.
"""

import importlib.util
import random
from bisect import bisect_left, insort
from collections import deque
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phx._core.enums import TradeOrigin
from phx.instruments import Instrument
from phx.sim.fitted import asset_of, load_fitted
from phx.sim.latent import LatentPrice
from phx.sim.recorded import Book, Delta, Kind, Recorded, Top, Trade
from phx.sim.synthetic import ActionKind, OrderFlow, _levelled, order_flows

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "fit_synthetic.py"
spec = importlib.util.spec_from_file_location("fit_synthetic", SCRIPT)
fit_synthetic = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fit_synthetic)

FITTED = load_fitted()
SECOND_NS = 1_000_000_000
DELTA_NS = 50_000_000  # between recorded deltas


def instrument(symbol, tick=None):
    fitted = FITTED[asset_of(symbol)]
    size, step = Decimal(tick or str(fitted.tick_size)), Decimal(str(fitted.lot_size))
    return Instrument(symbol, 0, size, step, size, Decimal(10**7), step, Decimal(10**9), Decimal(5), 8, 8)


class ReferenceBook:
    """Price-time matching of one flow, in virtual time, told as records."""

    def __init__(self, flow):
        self.flow, self.now_ns, self.actions = flow, 0, 0
        self.levels, self.ranked, self.orders = {1: {}, -1: {}}, {1: [], -1: []}, {}
        self.records, self.changed = [], {1: set(), -1: set()}
        self.update_id, self.delta_id, self.delta_ns, self.trade_id, self.told = 1, 1, 0, 0, None
        for n, order in enumerate(flow.seed_book()):
            self.rest(n, *order)
        self.seeded = {side: len(self.levels[side]) for side in (1, -1)}
        self.changed = {1: set(), -1: set()}
        bids, asks = ([(-side * rank, self.lots(side, -side * rank)) for rank in self.ranked[side]] for side in (1, -1))
        self.records.append(Recorded(0, flow.symbol, Kind.SNAPSHOT, Book(1, bids, asks)))

    def best(self, side):
        return -side * self.ranked[side][0] if self.ranked[side] else 0

    def lots(self, side, price_ticks):
        return sum(lots for _, lots in self.levels[side].get(price_ticks, ()))

    def rest(self, n, side, price_ticks, lots):
        assert n not in self.orders and price_ticks > 0 and lots > 0
        if price_ticks not in self.levels[side]:
            self.levels[side][price_ticks] = deque()
            insort(self.ranked[side], -side * price_ticks)
        self.levels[side][price_ticks].append([n, lots])
        self.orders[n] = (side, price_ticks)
        self.changed[side].add(price_ticks)

    def take(self, side, lots, limit_ticks=None):
        while lots and self.ranked[-side]:
            price_ticks = self.best(-side)
            if limit_ticks is not None and side * (limit_ticks - price_ticks) < 0:
                break
            n, resting = self.levels[-side][price_ticks][0]
            filled = min(lots, resting)
            lots -= filled
            self.levels[-side][price_ticks][0][1] -= filled
            self.changed[-side].add(price_ticks)
            self.trade_id += 1
            ms = self.now_ns // 1_000_000 * 1_000_000
            trade = Trade(self.trade_id, price_ticks, filled, side, TradeOrigin.ORIGIN_MARKET)
            self.records.append(Recorded(ms, self.flow.symbol, Kind.TRADE, trade))
            self.flow.on_made(-side, filled)
            if filled == resting:
                self.remove(n)
        return lots

    def remove(self, n):
        side, price_ticks = self.orders.pop(n)
        level = self.levels[side][price_ticks]
        level.remove(next(order for order in level if order[0] == n))
        self.changed[side].add(price_ticks)
        if not level:
            del self.levels[side][price_ticks]
            del self.ranked[side][bisect_left(self.ranked[side], -side * price_ticks)]
        self.flow.on_closed(n)

    def apply(self, action):
        if action.kind == ActionKind.CANCEL:
            assert self.orders[action.n] == (action.side, action.price_ticks)
            self.remove(action.n)
        elif action.kind == ActionKind.MARKET:
            self.take(action.side, action.qty_lots)
        else:
            rest = self.take(action.side, action.qty_lots, action.price_ticks)
            if rest:
                self.rest(action.n, action.side, action.price_ticks, rest)
            else:
                self.flow.on_closed(action.n)

    def run(self, seconds, each=None):
        end_ns = self.now_ns + seconds * SECOND_NS
        while self.now_ns < end_ns:
            wait_ns, action = self.flow.next(self.best(1), self.best(-1))
            assert wait_ns > 0
            self.now_ns += wait_ns
            self.update_id += 1
            self.actions += 1
            if self.now_ns - self.delta_ns > DELTA_NS:
                self.tell_delta()
            self.apply(action)
            if (self.best(1), self.best(-1)) != self.told:
                self.told = (self.best(1), self.best(-1))
                top = Top(self.update_id, self.told[0], 0, self.told[1], 0)
                self.records.append(Recorded(self.now_ns, self.flow.symbol, Kind.TOP, top))
            if each:
                each(self)
        return self

    def tell_delta(self):
        bids, asks = ([(price, self.lots(side, price)) for price in sorted(self.changed[side])] for side in (1, -1))
        delta = Delta(self.delta_id + 1, self.update_id, self.delta_id, bids, asks)
        self.records.append(Recorded(self.now_ns, self.flow.symbol, Kind.DELTA, delta))
        self.delta_id, self.delta_ns, self.changed = self.update_id, self.now_ns, {1: set(), -1: set()}


def played(symbol, seed, seconds, rate=1.0, regime="auto"):
    return ReferenceBook(order_flows([instrument(symbol)], seed, rate, regime=regime)[symbol]).run(seconds)


def near(measured, fitted, ratio):
    return fitted / ratio <= measured <= fitted * ratio


@pytest.mark.parametrize("asset", ["BTC", "ETH"])
def test_the_market_resembles_the_recording_it_was_fitted_to(asset):
    fitted = FITTED[asset]
    # The recorded minutes had a trend: more volatility over 60 s than that of 1 s explains.
    book = played(f"{asset}USDC", seed=3, seconds=400, regime="trending")
    measured = fit_synthetic.measure(book.records, fitted.tick_size, fitted.lot_size)
    assert 100 < book.actions / 400 < 250
    assert near(measured.spread_ticks, fitted.spread_ticks, 1.1)
    assert near(measured.sigma_1s_bps, fitted.sigma_1s_bps, 2)
    assert near(measured.sigma_60s_bps, fitted.sigma_60s_bps, 3)
    assert near(measured.taker_orders_per_s, fitted.taker_orders_per_s, 1.3)
    assert near(measured.taker_same_side, fitted.taker_same_side, 1.15)
    assert near(measured.fano_100ms, fitted.fano_100ms, 1.5)
    assert near(measured.fano_1s, fitted.fano_1s, 2)
    for i, probability in enumerate(fit_synthetic.PROBABILITIES):
        if 0.25 <= probability <= 0.99:
            assert near(measured.taker_lots[i], fitted.taker_lots[i], 2), probability
        if 0.25 <= probability <= 0.99:
            assert near(measured.trade_lots[i], fitted.trade_lots[i], 2), probability
    for found, wanted in zip(measured.bands, fitted.bands, strict=True):
        assert near(found.levels, wanted.levels, 2), wanted
        assert near(found.depth_lots, wanted.depth_lots, 3), wanted
    near_touch = [sum(band.depth_lots for band in bands[:7]) for bands in (measured.bands, fitted.bands)]
    assert near(*near_touch, 1.6), "what stands within 64 ticks"


def test_one_hour_neither_empties_the_book_nor_leaves_the_price(tmp_path):
    symbol, levels, mids = "BTCUSDC", [], []

    def look(book):
        levels.append(min(len(book.ranked[1]), len(book.ranked[-1])))
        mids.append(book.best(1))

    flow = order_flows([instrument(symbol)], 11, rate=0.25)[symbol]
    book = ReferenceBook(flow).run(3600, look)
    assert min(levels) > 500
    start = FITTED["BTC"].start_price / FITTED["BTC"].tick_size
    assert 0.93 * start < min(mids) < max(mids) < 1.07 * start
    assert len(set(mids)) > 100
    assert len(book.orders) < 1.5 * 5500, "the number of orders is stationary"


@pytest.mark.parametrize("asset", sorted(FITTED))
def test_every_asset_has_a_deep_book_and_trades(asset):
    book = played(f"{asset}USDT", seed=1, seconds=30)
    assert all(book.seeded[side] >= 200 and len(book.ranked[side]) >= 150 for side in (1, -1))
    assert book.trade_id > 20
    spread = book.best(-1) - book.best(1)
    assert 0 < spread < 50


def test_the_book_seeded_is_not_crossed_and_numbered_from_zero():
    flow = order_flows([instrument("ETHUSDC")], 5)["ETHUSDC"]
    seeds = flow.seed_book()
    bids, asks = ([price for side, price, _ in seeds if side == wanted] for wanted in (1, -1))
    assert max(bids) < min(asks) <= max(bids) + 3
    flow.on_closed(0)
    placed = []
    while len(placed) < 50:
        action = flow.next(max(bids), min(asks))[1]
        assert action.n != 0 or action.kind != ActionKind.CANCEL
        if action.kind == ActionKind.PLACE:
            placed.append(action.n)
    assert placed == sorted(placed) and placed[0] >= len(seeds)


def test_a_seed_gives_the_same_market_and_another_seed_another():
    random.seed(1)
    first = played("BTCUSDC", seed=1, seconds=20).records
    random.seed(2)
    assert played("BTCUSDC", seed=1, seconds=20).records == first
    assert played("BTCUSDC", seed=2, seconds=20).records != first


def test_flows_of_one_asset_share_a_price_and_others_do_not():
    symbols = ("BTCUSDC", "BTCUSDT", "ETHUSDC")
    flows = order_flows([instrument(symbol) for symbol in symbols], 4)
    books = {symbol: ReferenceBook(flow) for symbol, flow in flows.items()}
    apart, moves = [], {symbol: [] for symbol in symbols}
    for _ in range(120):
        for symbol, book in books.items():
            book.run(1)
            moves[symbol].append(book.best(1))
        apart.append(abs(books["BTCUSDC"].best(1) - books["BTCUSDT"].best(1)))
    moved = max(moves["BTCUSDC"]) - min(moves["BTCUSDC"])
    assert sorted(apart)[60] < 100 < moved, (sorted(apart)[60], moved)
    assert [b.best(1) for b in books.values()][2] < 400_000
    assert books["BTCUSDC"].records[:50] != books["BTCUSDT"].records[:50]


def test_a_side_taken_whole_comes_back():
    book = played("BTCUSDC", seed=6, seconds=5)
    for side in (1, -1):
        book.take(side, 10**12)
        assert book.best(-side) == 0
        book.run(5)
        assert len(book.ranked[-side]) > 200 and book.best(1) < book.best(-1)
    fair = FITTED["BTC"].start_price / FITTED["BTC"].tick_size
    book.run(60)
    assert abs(book.best(1) / fair - 1) < 0.05


def test_a_wall_of_a_client_is_taken_and_does_not_stop_the_price():
    book = played("BTCUSDC", seed=6, seconds=5)
    wall = book.best(-1)
    book.rest(-1, -1, wall, 200_000)
    book.run(600)
    assert -1 not in book.orders, "600 s of takers and moves eat 200 BTC at the touch"


def test_the_latent_path_does_not_depend_on_who_asks_when():
    steps = [LatentPrice(FITTED["BTC"], "x") for _ in range(2)]
    ahead = steps[0].at(30 * SECOND_NS)
    times = [i * 7_000_000 for i in range(4000)]
    assert [steps[0].at(t) for t in times] == [steps[1].at(t) for t in times]
    assert steps[1].at(30 * SECOND_NS) == ahead


def test_the_latent_path_keeps_a_minute_and_has_the_fitted_volatility():
    latent = LatentPrice(FITTED["BTC"], "y")
    path = [latent.at(i * SECOND_NS) for i in range(4 * 3600)]
    changes = [(b[0] / a[0] - 1) * 1e4 for a, b in pairwise(path)]
    sigma = (sum(change**2 for change in changes) / len(changes)) ** 0.5
    assert near(sigma, FITTED["BTC"].sigma_1s_bps, 1.25)
    minutes = [(b[0] / a[0] - 1) * 1e4 for a, b in zip(path, path[60:], strict=False)]
    sigma = (sum(change**2 for change in minutes) / len(minutes)) ** 0.5
    assert near(sigma, FITTED["BTC"].sigma_60s_bps, 1.3)
    assert near(sum(moment.activity for moment in path) / len(path), 1.0, 1.1)
    assert latent.at(0) == latent.at((4 * 3600 - 121) * SECOND_NS) != latent.at((4 * 3600 - 2) * SECOND_NS)
    assert len(latent._path) <= 2 * LatentPrice.KEPT_STEPS


def test_the_latent_price_is_pulled_home():
    class Hurried(LatentPrice):
        HOME_S = 60.0

    latent, start = Hurried(FITTED["BTC"], "z"), FITTED["BTC"].start_price
    latent._offset = 0.2
    assert latent.at(0)[0] > 1.15 * start
    assert abs(latent.at(600 * SECOND_NS)[0] / start - 1) < 0.02


def test_another_tick_size_gives_the_same_market_in_money():
    fitted = FITTED["BTC"]
    fine, coarse = (
        ReferenceBook(OrderFlow("BTCUSDC", instrument("BTCUSDC", tick), fitted, 1)).run(20) for tick in ("0.1", "1")
    )
    assert abs(coarse.best(1) - fine.best(1) / 10) < 100
    depth = [sum(b.lots(1, p) for p in b.levels[1] if b.best(1) - p < w) for b, w in ((fine, 10_000), (coarse, 1_000))]
    assert near(*depth, 1.5)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=12), st.floats(0.1, 500))
def test_levelling_fits_the_budget_and_touches_only_the_highest(rates, budget):
    levelled = _levelled(rates, budget)
    if sum(rates) <= budget:
        assert levelled == rates
    else:
        assert sum(levelled) == pytest.approx(budget)
        ceiling = max(levelled)
        assert all(after == min(before, ceiling) for before, after in zip(rates, levelled, strict=True))


@given(st.floats(0.2, 20), st.floats(0.2, 5), st.floats(1, 20))
def test_activity_is_recovered_from_its_fano_factors(decay, variance, rate):
    def fano(window):
        x = decay * window
        return 1 + rate * variance * 2 * (x - 1 + fit_synthetic.math.exp(-x)) / (decay * x)

    found = fit_synthetic.activity(rate, fano(0.1), fano(1.0))
    assert found == pytest.approx((decay, variance), rel=1e-3)


def test_the_committed_numbers_are_those_of_the_recording(recordings):
    asset, fitted, _ = fit_synthetic.fit(recordings / "ethusdt-2024-07-18T2357.jsonl.gz")
    assert asset == "ETH" and fitted == FITTED["ETH"]
