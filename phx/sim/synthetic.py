"""The synthetic market: order flow of invented agents, with rates, sizes and distances fitted to recordings.

The flow only says what the agents do next; a matching engine, where clients trade as well, says what comes of it.
Three kinds of agents: those who place and cancel at fitted distances from the touch, takers with heavy-tailed sizes,
and market makers at the touch who follow a latent price. The latent price has bursts of activity (takers and
volatility rise together), regimes (calm, volatile, trending) and a slow pull to where it started, so that it stays
near it for days. Flows of the same asset (BTCUSDT, BTCUSDC) share one latent price.

Everything random comes from the seed: the same seed and the same answers of the engine give the same actions.
"""

import math
import random
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable
from enum import IntEnum
from itertools import accumulate
from typing import NamedTuple

from phx.instruments import Instrument
from phx.sim.fitted import PROBABILITIES, Fitted, FittedError, asset_of, load_fitted
from phx.sim.latent import BUY, NS_PER_S, SELL, LatentPrice

RANK_BITS = 40
RANK_MASK = (1 << RANK_BITS) - 1


def order_flows(
    instruments: Iterable[Instrument], seed: int, rate: float = 1.0, fitted: dict[str, Fitted] | None = None
) -> dict[str, "OrderFlow"]:
    """Return one flow per instrument; those of the same asset share a latent price."""
    fitted = load_fitted() if fitted is None else fitted
    flows, latents = {}, {}
    for instrument in instruments:
        asset = asset_of(instrument.symbol)
        if asset not in fitted:
            known = ", ".join(sorted(fitted))
            raise FittedError(f"{instrument.symbol}: no fitted numbers for {asset}, only for {known}")
        latent = latents.setdefault(asset, LatentPrice(fitted[asset], f"{seed}/{asset}"))
        flows[instrument.symbol] = OrderFlow(instrument.symbol, instrument, fitted[asset], seed, latent, rate)
    return flows


class ActionKind(IntEnum):
    PLACE = 1
    MARKET = 2
    CANCEL = 3


class Action(NamedTuple):
    """What an agent does. n numbers the flow's own orders: PLACE gives it, CANCEL names it, MARKET has -1.

    A PLACE may cross the book: it takes what it crosses and rests with the remainder.
    """

    kind: ActionKind
    side: int
    price_ticks: int
    qty_lots: int
    n: int


class _Order(NamedTuple):
    side: int
    price_ticks: int
    qty_lots: int


class OrderFlow:
    """The agents of one symbol: `next` says what one of them does and when, `on_closed` hears of ended orders.

    rate: factor on the number of actions per second. latent: shared by the symbols of one asset.
    """

    ACTIONS_PER_S = 150.0  # what placing and cancelling may come to; far bands are slowed down to fit
    CANCEL_HEADROOM = 3.0  # a band with up to this many times its usual orders is cancelled in proportion
    REACTION_S = 0.0002  # of the market makers at the touch
    PATIENCE_SIGMAS = 1.0  # mean distance of the latent price before they move, in 1 s volatilities
    REFILLS = 5  # orders per side that make up a new touch
    LEAVING = 0.9  # share of the orders at a touch that are cancelled before it is taken out
    CHASING = 0.9  # share of the orders at the other touch that leave with it
    IMPACT = 0.3  # share of a displacement by takers that stays, for a while
    IMPACT_S = 60.0
    SIZE_SIGMA = 2.0  # with heavier tails of the logarithm single orders would dominate the depth for minutes

    def __init__(
        self,
        symbol: str,
        instrument: Instrument,
        fitted: Fitted,
        seed: int,
        latent: LatentPrice | None = None,
        rate: float = 1.0,
    ):
        self.symbol = symbol
        self._random = random.Random(f"{seed}/{symbol}")
        self._latent = latent or LatentPrice(fitted, f"{seed}/{asset_of(symbol)}")
        self._tick = float(instrument.tick_size)
        self._max_lots = instrument.max_qty_lots
        ticks, lots = fitted.tick_size / self._tick, fitted.lot_size / float(instrument.lot_size)
        self._bands = [
            (max(i, round(b.from_ticks * ticks)), max(i + 1, round(b.to_ticks * ticks)), b.orders)
            for i, b in enumerate(fitted.bands)
        ]
        self._band_lots = [b.depth_lots * lots / b.orders for b in fitted.bands]
        self._touch_lots = fitted.bands[0].depth_lots * lots
        self._size_sigma = min(fitted.place_lots_sigma, self.SIZE_SIGMA)
        self._taker_lots = [math.log(max(1.0, quantile * lots)) for quantile in fitted.taker_lots]
        self._same_side = fitted.taker_same_side
        self._taker_rate = fitted.taker_orders_per_s * rate
        budget = self.ACTIONS_PER_S * rate / 2
        placed = _levelled([2 * b.placed_per_s * rate for b in fitted.bands], budget)
        self._placed_until = list(accumulate(placed))
        self._patience_ticks = self.PATIENCE_SIGMAS * fitted.sigma_1s_bps * 1e-4 * fitted.start_price / self._tick
        self._mean_gap = max(1.0, fitted.spread_ticks * ticks)

        self._orders: dict[int, _Order] = {}
        # Per side, orders by distance: (-side * price) << 40 | n, so that the best price comes first on either side.
        self._ranked: dict[int, list[int]] = {BUY: [], SELL: []}
        self._script: deque[Action] = deque()  # what has been decided and comes next
        self._n = 0
        self._time_ns = 0
        self._taker_side = BUY
        self._impact_ticks = 0.0
        self._impact_ns = 0
        self._settled_mid: float | None = None  # while nothing moves
        self._gap = 1
        self._patience = 0.0
        self._settle()

    def seed_book(self) -> list[tuple[int, int, int]]:
        """Return the orders the book begins with as (side, price_ticks, qty_lots); the i-th of them has n = i."""
        best = math.floor(self._fair_ticks()[0])
        actions = [*self._side_orders(BUY, best), *self._side_orders(SELL, best + self._gap)]
        return [(action.side, action.price_ticks, action.qty_lots) for action in map(self._done, actions)]

    def on_closed(self, n: int) -> None:
        """Forget an order that was filled or cancelled; one already forgotten is no error."""
        order = self._orders.pop(n, None)
        if order is not None:
            ranked = self._ranked[order.side]
            del ranked[bisect_left(ranked, _rank(order.side, order.price_ticks, n))]

    def next(self, best_bid_ticks: int, best_ask_ticks: int) -> tuple[int, Action]:
        """Return what happens next and in how many ns, given the best prices of now (0 for an empty side)."""
        waited_ns = 0
        while True:
            while self._script:
                action = self._script.popleft()
                if action.kind != ActionKind.CANCEL or action.n in self._orders:
                    return waited_ns + self._wait(1 / self.REACTION_S), self._done(action)
            fair_ticks, activity = self._fair_ticks()
            if self._react(best_bid_ticks, best_ask_ticks, fair_ticks):
                continue
            placed = self._placed_until[-1] * (0.5 + 0.5 * activity)
            taken, cancelled = self._taker_rate * activity, placed * self.CANCEL_HEADROOM
            waited_ns += self._wait(taken + placed + cancelled)
            drawn = self._random.random() * (taken + placed + cancelled)
            if drawn < taken:
                return waited_ns, self._take()
            side = BUY if self._random.random() < 0.5 else SELL
            best = best_bid_ticks if side == BUY else best_ask_ticks
            if drawn < taken + placed:
                return waited_ns, self._done(self._place_behind(side, best, self._drawn_band()))
            action = self._cancel_behind(side, best, self._drawn_band())
            if action:
                return waited_ns, self._done(action)

    # What the market makers at the touch do.

    def _react(self, best_bid_ticks: int, best_ask_ticks: int, fair_ticks: float) -> bool:
        """Write the next script if the touch is not where the latent price wants it."""
        if best_bid_ticks <= 0 or best_ask_ticks <= 0:
            self._restore(best_bid_ticks, best_ask_ticks, math.floor(fair_ticks))
            return True
        mid_ticks = (best_bid_ticks + best_ask_ticks) / 2
        if abs(fair_ticks - mid_ticks) > self._patience:
            side = BUY if fair_ticks > mid_ticks else SELL
            self._move(side, best_bid_ticks if side == BUY else best_ask_ticks, fair_ticks)
        elif best_ask_ticks - best_bid_ticks > self._gap:
            self._remember_impact(mid_ticks)
            self._close_gap(best_bid_ticks, best_ask_ticks, fair_ticks)
        else:
            self._settled_mid = mid_ticks
            return False
        return True

    def _move(self, side: int, best_ticks: int, fair_ticks: float) -> None:
        """Go after the latent price: leave the touch in its way, take what stays, quote anew around it."""
        target_ticks = side * math.floor(side * fair_ticks - (self._gap - 1) / 2)
        in_the_way = self._ranked[-side]
        taken_lots = 0
        for rank in in_the_way[: bisect_right(in_the_way, _rank(-side, target_ticks, RANK_MASK))]:
            order = self._orders[rank & RANK_MASK]
            if self._random.random() < self.LEAVING:
                self._script.append(Action(ActionKind.CANCEL, *order, rank & RANK_MASK))
            else:
                taken_lots += order.qty_lots
        self._script.append(self._place(side, target_ticks, taken_lots + self._refill_lots()))
        other_ticks = target_ticks + side * self._gap
        for quoted_side, price_ticks in ((-side, other_ticks), (side, target_ticks)) * self.REFILLS:
            self._script.append(self._place(quoted_side, price_ticks, self._refill_lots()))
        behind = self._ranked[side]
        first, last = (
            bisect_left(behind, _rank(side, best_ticks, 0)),
            bisect_right(behind, _rank(side, best_ticks, RANK_MASK)),
        )
        for rank in behind[first:last]:
            if self._random.random() < self.CHASING:
                n = rank & RANK_MASK
                self._script.append(Action(ActionKind.CANCEL, *self._orders[n], n))
        self._settled_mid = None
        self._settle()

    def _close_gap(self, best_bid_ticks: int, best_ask_ticks: int, fair_ticks: float) -> None:
        bid_ticks = round(fair_ticks - self._gap / 2)
        if bid_ticks > best_bid_ticks:
            side, price_ticks = BUY, min(bid_ticks, best_ask_ticks - 1)
        else:
            side, price_ticks = SELL, max(bid_ticks + self._gap, best_bid_ticks + 1)
        self._script.append(self._place(side, price_ticks, self._refill_lots()))

    def _restore(self, best_bid_ticks: int, best_ask_ticks: int, fair_ticks: int) -> None:
        """Fill a side that was taken whole."""
        if best_bid_ticks <= 0:
            best_bid_ticks = min(fair_ticks, best_ask_ticks - 1) if best_ask_ticks > 0 else fair_ticks
            self._script.extend(self._side_orders(BUY, best_bid_ticks))
        if best_ask_ticks <= 0:
            self._script.extend(self._side_orders(SELL, max(fair_ticks, best_bid_ticks) + 1))

    def _settle(self) -> None:
        """Draw the spread and the patience that hold until the next move."""
        self._gap = 1 + int(self._random.expovariate(math.log1p(1 / max(1e-6, self._mean_gap - 1))))
        patience = self._patience_ticks * (0.3 + self._random.expovariate(1 / 0.7))
        self._patience = max(0.25 + self._gap / 2, patience)

    def _fair_ticks(self) -> tuple[float, float]:
        price, activity = self._latent.at(self._time_ns)
        self._impact_ticks *= math.exp((self._impact_ns - self._time_ns) / (self.IMPACT_S * NS_PER_S))
        self._impact_ns = self._time_ns
        return price / self._tick + self._impact_ticks, activity

    def _remember_impact(self, mid_ticks: float) -> None:
        if self._settled_mid is not None:
            self._impact_ticks += self.IMPACT * (mid_ticks - self._settled_mid)
        self._settled_mid = None

    def _refill_lots(self) -> int:
        return round(self._touch_lots / self.REFILLS * self._random.lognormvariate(-0.5, 1.0))

    # What the others do.

    def _take(self) -> Action:
        rng = self._random
        if rng.random() >= self._same_side:
            self._taker_side = -self._taker_side
        drawn = rng.random()
        i = bisect_right(PROBABILITIES, drawn) - 1
        below, above = PROBABILITIES[i : i + 2]
        logs = self._taker_lots[i] + (drawn - below) / (above - below) * (self._taker_lots[i + 1] - self._taker_lots[i])
        return Action(ActionKind.MARKET, self._taker_side, 0, self._clipped(math.exp(logs)), -1)

    def _drawn_band(self) -> int:
        return bisect_right(self._placed_until, self._random.random() * self._placed_until[-1])

    def _place_behind(self, side: int, best_ticks: int, band: int) -> Action:
        from_ticks, to_ticks, _ = self._bands[band]
        distance_ticks = from_ticks + int(self._random.random() * (to_ticks - from_ticks))
        size = self._random.lognormvariate(-(self._size_sigma**2) / 2, self._size_sigma)
        return self._place(side, max(1, best_ticks - side * distance_ticks), self._band_lots[band] * size)

    def _cancel_behind(self, side: int, best_ticks: int, band: int) -> Action | None:
        """Cancel an order of a band, or none: the more of them stand there the likelier."""
        from_ticks, to_ticks, usual = self._bands[band]
        ranked = self._ranked[side]
        first = bisect_left(ranked, _rank(side, best_ticks - side * from_ticks, 0))
        last = len(ranked)
        if band < len(self._bands) - 1:
            last = bisect_left(ranked, _rank(side, best_ticks - side * to_ticks, 0), first)
        drawn = int(self._random.random() * max(usual * self.CANCEL_HEADROOM, last - first))
        if drawn >= last - first:
            return None
        n = ranked[first + drawn] & RANK_MASK
        return Action(ActionKind.CANCEL, *self._orders[n], n)

    # Book-keeping.

    def _side_orders(self, side: int, best_ticks: int) -> Iterable[Action]:
        for band, (_, _, orders) in enumerate(self._bands):
            for _ in range(max(1, round(orders))):
                yield self._place_behind(side, best_ticks, band)

    def _place(self, side: int, price_ticks: int, qty_lots: float) -> Action:
        n, self._n = self._n, self._n + 1
        return Action(ActionKind.PLACE, side, price_ticks, self._clipped(qty_lots), n)

    def _clipped(self, qty_lots: float) -> int:
        return max(1, min(self._max_lots, round(qty_lots)))

    def _done(self, action: Action) -> Action:
        if action.kind == ActionKind.PLACE:
            self._orders[action.n] = _Order(action.side, action.price_ticks, action.qty_lots)
            insort(self._ranked[action.side], _rank(action.side, action.price_ticks, action.n))
        elif action.kind == ActionKind.CANCEL:
            self.on_closed(action.n)
        return action

    def _wait(self, rate_per_s: float) -> int:
        waited_ns = max(1, int(self._random.expovariate(rate_per_s) * NS_PER_S))
        self._time_ns += waited_ns
        return waited_ns


def _rank(side: int, price_ticks: int, n: int) -> int:
    """Return an integer that sorts orders of one side by price, best first, then by age."""
    return (-side * price_ticks << RANK_BITS) | n


def _levelled(rates: list[float], budget: float) -> list[float]:
    """Return the rates with the highest ones cut to a common ceiling so that their sum fits the budget."""
    ceiling, rest = budget, sorted(rates)
    for i, rate in enumerate(rest):
        if rate * (len(rest) - i) >= budget:
            ceiling = budget / (len(rest) - i)
            break
        budget -= rate
    return [min(rate, ceiling) for rate in rates]
