"""The synthetic market: order flow of invented agents, with rates, sizes and distances fitted to recordings.

The flow only says what the agents do next; a matching engine, where clients trade as well, says what comes of it.
Three kinds of agents: those who place and cancel at fitted distances from the touch, takers with heavy-tailed sizes,
and market makers at the touch who follow a latent price, lean against the inventory that takers leave them with, and
believe a part of what takers moved. The latent price has bursts of activity (takers and volatility rise together),
regimes that switch at random or are forced, and a slow pull to where it started, so that it stays near it for days.
Flows of the same asset share one latent price. Where xxxUSDT is among them it leads: its market makers know the latent
price, those of the others follow its mid a lag later. What takers move on a follower reaches the leader as well.

Everything random comes from the seed: the same seed and the same answers of the engine give the same actions.
"""

import math
import random
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from enum import IntEnum
from itertools import accumulate
from typing import NamedTuple

from phx.instruments import Instrument
from phx.sim.markets.fitted import PROBABILITIES, Fitted, asset_of
from phx.sim.markets.latent import BUY, NS_PER_S, REGIMES, SELL, LatentPrice, Regime, long_run
from phx.sim.markets.resting import RestingOrder, RestingOrders


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


class OrderFlow:
    """The agents of one symbol: `next` says what one of them does and when, `on_closed` hears of ended orders.

    rate: factor on the number of actions per second. latent: shared by the symbols of one asset.
    """

    ACTIONS_PER_S = 150.0  # what placing and cancelling may come to; far bands are slowed down to fit
    CANCEL_HEADROOM = 3.0  # a band with up to this many times its usual orders is cancelled in proportion
    REACTION_S = 0.0002  # of the market makers who quote a new touch
    FLEEING_S = 0.00001  # of those who leave before they are picked off, when a move comes as a surprise
    SURPRISES = 0.2  # share of the moves too fast for anybody to see and follow
    PATIENCE_SIGMAS = 1.0  # mean distance of the latent price before they move, in 1 s volatilities
    LARGE, SMALL = 3, 5  # orders per side that make up a new touch; the small ones have the sizes of recorded prints
    SLICES = 6  # that a taker order may come in, with the sizes of recorded prints; the last one is the rest
    SLICE_S = 0.00002  # between them
    SMALL_LATER = 0.5  # share of small orders among those that join a touch later
    LEAVING = 0.9  # share of the orders at a touch that are cancelled before it is taken out
    CHASING = 0.9  # share of the orders at the other touch that leave with it
    IMPACT = 0.3  # share of a displacement by takers that stays, for a while
    IMPACT_S = 60.0
    MOST_IMPACT = 3.0  # of one displacement, in patience
    ARBITRAGE = 0.5  # share of an impact on a follower that reaches its leader
    FOLLOWING = 0.35  # patience of market makers who follow, relative to those who lead
    LEANING = 0.7  # most that inventory shifts the market makers' price, in patience
    INVENTORY_S = 20.0  # in which they hedge it elsewhere
    LEAVING_BPS = 15.0  # behind the touch, where that is so
    LEAVING_BELOW = 0.6  # a regime with less than this share of the depth before makes agents leave when it begins
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
        self._leader: OrderFlow | None = None
        self._followers: list[OrderFlow] = []
        self._lag_ns = 0
        self._told: deque[tuple[int, float]] = deque()  # (time, mid in quote currency) of the leader, not yet heard
        self._leader_price = 0.0  # as heard
        self._told_mid = 0.0  # to followers
        self._random = random.Random(f"{seed}/{symbol}")
        self.latent = latent or LatentPrice(fitted, f"{seed}/{asset_of(symbol)}")
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
        self._print_lots = [math.log(max(1.0, quantile * lots)) for quantile in fitted.trade_lots]
        self._same_side = fitted.taker_same_side
        budget = self.ACTIONS_PER_S * rate / 2
        placed = _levelled([2 * b.placed_per_s * rate for b in fitted.bands], budget)
        self._placed_until = list(accumulate(placed))
        self._patience_ticks = self.PATIENCE_SIGMAS * fitted.sigma_1s_bps * 1e-4 * fitted.start_price / self._tick
        self._bp_ticks = fitted.start_price * 1e-4 / self._tick
        self._mean_gap = max(1.0, fitted.spread_ticks * ticks)
        takers, depth = fitted.taker_orders_per_s * rate / long_run(_takers), 1 / long_run(_depth)
        self._taker_rates = {name: takers * regime.takers for name, regime in REGIMES.items()}
        # Where takers come more often makers do so too, if less.
        self._paces = {name: math.sqrt(regime.takers / long_run(_takers)) for name, regime in REGIMES.items()}
        self._depths = {name: depth * regime.depth for name, regime in REGIMES.items()}

        self._resting = RestingOrders()
        self._script: deque[Action] = deque()  # what has been decided and comes next
        self._n = 0
        self._time_ns = 0
        self._taker_side = BUY
        self._fleeing_s = self.REACTION_S
        self._impact_ticks = 0.0
        self._inventory_lots = 0.0  # of the market makers
        self._decayed_ns = 0  # when these two decayed last
        self._settled_mid: float | None = None  # while nothing moves
        self._gap = 1
        self._patience = 0.0
        self._now = self.latent.at(0)
        self.regime = self._now.regime
        self._settle()

    def follow(self, leader: "OrderFlow", lag_ns: int) -> None:
        """Quote around another symbol's mid as it was lag_ns ago, before the market begins."""
        self._leader, self._lag_ns = leader, lag_ns
        self._leader_price = self._now.price
        self._patience_ticks *= self.FOLLOWING
        leader._followers.append(self)
        self._settle()

    def seed_book(self) -> list[tuple[int, int, int]]:
        """Return the orders the book begins with as (side, price_ticks, qty_lots); the i-th of them has n = i."""
        best = math.floor(self._fair_ticks())
        actions = [*self._side_orders(BUY, best), *self._side_orders(SELL, best + self._gap)]
        return [(action.side, action.price_ticks, action.qty_lots) for action in map(self._done, actions)]

    def on_closed(self, n: int) -> None:
        """Forget an order that was filled or cancelled; one already forgotten is no error."""
        self._resting.remove(n)

    def on_made(self, side: int, lots: int) -> None:
        """Hear that takers traded with an agent's resting order of this side."""
        self._inventory_lots += side * lots

    def next(self, best_bid_ticks: int, best_ask_ticks: int) -> tuple[int, Action]:
        """Return what happens next and in how many ns, given the best prices of now (0 for an empty side)."""
        waited_ns = 0
        while True:
            while self._script:
                action = self._script.popleft()
                if action.kind == ActionKind.PLACE:
                    return waited_ns + self._wait(1 / self.REACTION_S), self._done(action)
                if action.kind == ActionKind.MARKET:
                    return waited_ns + self._wait(1 / self.SLICE_S), action
                if action.n in self._resting.orders:
                    return waited_ns + self._wait(1 / self._fleeing_s), self._done(action)
            fair_ticks = self._fair_ticks()
            if self._react(best_bid_ticks, best_ask_ticks, fair_ticks):
                continue
            activity = self._now.activity
            placed = self._placed_until[-1] * (0.5 + 0.5 * activity) * self._paces[self.regime]
            taken, cancelled = self._taker_rates[self.regime] * activity, placed * self.CANCEL_HEADROOM
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
        if best_bid_ticks <= 0 or best_ask_ticks <= 0 or not (self._resting.count(BUY) and self._resting.count(SELL)):
            self._restore(best_bid_ticks, best_ask_ticks, math.floor(fair_ticks))
            return True
        if self._now.regime != self.regime:
            self._enter(self._now.regime)
            return True
        mid_ticks = (best_bid_ticks + best_ask_ticks) / 2
        if self._followers and mid_ticks != self._told_mid:
            self._told_mid = mid_ticks
            for follower in self._followers:
                follower._told.append((self._time_ns, mid_ticks * self._tick))
        fair_ticks += self._believed(mid_ticks)
        if abs(fair_ticks - mid_ticks) > self._patience:
            side = BUY if fair_ticks > mid_ticks else SELL
            self._move(side, best_bid_ticks if side == BUY else best_ask_ticks, fair_ticks)
        elif best_ask_ticks - best_bid_ticks > self._gap:
            self._close_gap(best_bid_ticks, best_ask_ticks, fair_ticks)
        else:
            self._settled_mid = mid_ticks
            return False
        return True

    def _move(self, side: int, best_ticks: int, fair_ticks: float) -> None:
        """Go after the latent price: leave the touch in its way, take what stays, quote anew around it."""
        target_ticks = side * math.floor(side * fair_ticks - (self._gap - 1) / 2)
        self._fleeing_s = self.FLEEING_S if self._random.random() < self.SURPRISES else self.REACTION_S
        in_the_way = self._resting.reached(-side, target_ticks)
        leaving = self._cancel_some(in_the_way, self.LEAVING)
        taken_lots = sum(self._resting.orders[n].qty_lots for n in in_the_way if n not in leaving)
        self._script.append(self._place(side, target_ticks, taken_lots + self._print()))
        other_ticks = target_ticks + side * self._gap
        for ours, theirs in zip(self._refill(), self._refill(), strict=True):
            self._script.append(self._place(-side, other_ticks, theirs))
            self._script.append(self._place(side, target_ticks, ours))
        self._cancel_some(self._resting.at(side, best_ticks), self.CHASING)
        self._settled_mid = None
        self._settle()

    def _close_gap(self, best_bid_ticks: int, best_ask_ticks: int, fair_ticks: float) -> None:
        bid_ticks = round(fair_ticks - self._gap / 2)
        if bid_ticks > best_bid_ticks:
            side, price_ticks = BUY, min(bid_ticks, best_ask_ticks - 1)
        else:
            side, price_ticks = SELL, max(bid_ticks + self._gap, best_bid_ticks + 1)
        self._script.extend(self._place(side, price_ticks, lots) for lots in self._refill())

    def _enter(self, regime: str) -> None:
        """Enter a regime; where quantities become smaller a part of the agents leaves at once."""
        staying = self._depths[regime] / self._depths[self.regime]
        self.regime = regime
        self._settle()
        if staying > self.LEAVING_BELOW:
            return
        for side in (BUY, SELL):
            near_ticks = self._resting.best_ticks(side) - side * round(self.LEAVING_BPS * self._bp_ticks)
            self._cancel_some(self._resting.reached(side, near_ticks), 1 - staying)

    def _cancel_some(self, numbers: list[int], share: float) -> set[int]:
        """Let each of some orders be cancelled with that probability; return which are."""
        leaving = [n for n in numbers if self._random.random() < share]
        self._script.extend(Action(ActionKind.CANCEL, *self._resting.orders[n], n) for n in leaving)
        return set(leaving)

    def _restore(self, best_bid_ticks: int, best_ask_ticks: int, fair_ticks: int) -> None:
        """Fill a side of which agents have nothing left; at most an account's order may stand there."""
        if best_bid_ticks <= 0 or not self._resting.count(BUY):
            best_bid_ticks = min(fair_ticks, best_ask_ticks - 1) if best_ask_ticks > 0 else fair_ticks
            self._script.extend(self._side_orders(BUY, best_bid_ticks))
        if best_ask_ticks <= 0 or not self._resting.count(SELL):
            self._script.extend(self._side_orders(SELL, max(fair_ticks, best_bid_ticks) + 1))

    def _settle(self) -> None:
        """Draw the spread and the patience that hold until the next move."""
        rng = self._random
        self._gap = 1 + int(rng.expovariate(math.log1p(1 / max(1e-6, self._mean_gap - 1))))
        if REGIMES[self.regime].gap_bps:
            self._gap += round(rng.expovariate(1 / (REGIMES[self.regime].gap_bps * self._bp_ticks)))
        patience = self._patience_ticks * (0.3 + rng.expovariate(1 / 0.7))
        self._patience = max(0.25 + self._gap / 2, patience)

    def _fair_ticks(self) -> float:
        """Return the market makers' price in ticks: the latent or the leader's, what takers moved, their inventory."""
        self._now = self.latent.at(self._time_ns)
        self._decay()
        price = self._now.price
        if self._leader is not None:
            while self._told and self._told[0][0] + self._lag_ns <= self._time_ns:
                self._leader_price = self._told.popleft()[1]
            price = self._leader_price
        lean = math.tanh(self._inventory_lots / (2 * self._touch_lots)) * self.LEANING * self._patience_ticks
        return max(1.0, price / self._tick + self._impact_ticks - lean)

    def _decay(self) -> None:
        passed_s = (self._time_ns - self._decayed_ns) / NS_PER_S
        self._impact_ticks *= math.exp(-passed_s / self.IMPACT_S)
        self._inventory_lots *= math.exp(-passed_s / self.INVENTORY_S)
        self._decayed_ns = self._time_ns

    def _believed(self, mid_ticks: float) -> float:
        """Return how much of what takers moved since nothing else did the makers believe; they do so for a while."""
        if self._settled_mid is None or mid_ticks == self._settled_mid:
            return 0.0
        most = self.MOST_IMPACT * self._patience_ticks
        moved = max(-most, min(most, self.IMPACT * (mid_ticks - self._settled_mid)))
        self._settled_mid = None
        self._impact_ticks += moved
        if self._leader is not None:
            self._leader._impact_ticks += self.ARBITRAGE * moved * self._tick / self._leader._tick
        return moved

    def _refill(self) -> list[float]:
        """Return the sizes of the orders that make up a new touch, in their order."""
        rng = self._random
        large = self._touch_lots * self._depths[self.regime] / self.LARGE
        sizes = [self._print() for _ in range(self.SMALL)]
        for _ in range(self.LARGE):
            sizes.insert(rng.randint(self.SMALL // 2, len(sizes)), large * rng.lognormvariate(-0.5, 1.0))
        return sizes

    def _print(self) -> float:
        """Return a size as resting orders at the touch have it, from recorded prints."""
        return self._drawn(self._print_lots)

    # What the others do.

    def _take(self) -> Action:
        regime = REGIMES[self.regime]
        if self._random.random() >= max(self._same_side, regime.one_sided):
            self._taker_side = -self._taker_side
        most = math.exp(self._taker_lots[-1])  # larger ones would take a whole book at once
        lots = self._clipped(min(most, self._drawn(self._taker_lots) * regime.taker_size))
        for _ in range(self.SLICES - 1):
            part = min(lots, self._clipped(self._print()))
            self._script.append(Action(ActionKind.MARKET, self._taker_side, 0, part, -1))
            lots -= part
            if not lots:
                break
        else:
            self._script.append(Action(ActionKind.MARKET, self._taker_side, 0, lots, -1))
        return self._script.popleft()

    def _drawn(self, logs: list[float]) -> float:
        """Return a quantity drawn from the logarithms of its quantiles."""
        drawn = self._random.random()
        i = bisect_right(PROBABILITIES, drawn) - 1
        below, above = PROBABILITIES[i : i + 2]
        return math.exp(logs[i] + (drawn - below) / (above - below) * (logs[i + 1] - logs[i]))

    def _drawn_band(self) -> int:
        return bisect_right(self._placed_until, self._random.random() * self._placed_until[-1])

    def _place_behind(self, side: int, best_ticks: int, band: int) -> Action:
        from_ticks, to_ticks, _ = self._bands[band]
        distance_ticks = from_ticks + int(self._random.random() * (to_ticks - from_ticks))
        if band == 0 and self._random.random() < self.SMALL_LATER:
            return self._place(side, best_ticks, self._print())
        size = self._random.lognormvariate(-(self._size_sigma**2) / 2, self._size_sigma)
        lots = self._band_lots[band] * size * self._depths[self.regime]
        return self._place(side, best_ticks - side * distance_ticks, lots)

    def _cancel_behind(self, side: int, best_ticks: int, band: int) -> Action | None:
        """Cancel an order of a band, or none: the more of them stand there the likelier."""
        from_ticks, to_ticks, usual = self._bands[band]
        farthest = band == len(self._bands) - 1
        to_ticks = None if farthest else best_ticks - side * to_ticks
        first, last = self._resting.span(side, best_ticks - side * from_ticks, to_ticks)
        drawn = int(self._random.random() * max(usual * self.CANCEL_HEADROOM, last - first))
        if drawn >= last - first:
            return None
        n = self._resting.number_at(side, first + drawn)
        return Action(ActionKind.CANCEL, *self._resting.orders[n], n)

    # Book-keeping.

    def _side_orders(self, side: int, best_ticks: int) -> Iterable[Action]:
        for band, (_, _, orders) in enumerate(self._bands):
            for _ in range(max(1, round(orders))):
                yield self._place_behind(side, best_ticks, band)

    def _place(self, side: int, price_ticks: int, qty_lots: float) -> Action:
        n, self._n = self._n, self._n + 1
        return Action(ActionKind.PLACE, side, max(1, price_ticks), self._clipped(qty_lots), n)

    def _clipped(self, qty_lots: float) -> int:
        return max(1, min(self._max_lots, round(qty_lots)))

    def _done(self, action: Action) -> Action:
        if action.kind == ActionKind.PLACE:
            self._resting.add(action.n, RestingOrder(action.side, action.price_ticks, action.qty_lots))
        elif action.kind == ActionKind.CANCEL:
            self.on_closed(action.n)
        return action

    def _wait(self, rate_per_s: float) -> int:
        waited_ns = max(1, int(self._random.expovariate(rate_per_s) * NS_PER_S))
        self._time_ns += waited_ns
        return waited_ns


def _takers(regime: Regime) -> float:
    return regime.takers


def _depth(regime: Regime) -> float:
    return regime.depth


def _levelled(rates: list[float], budget: float) -> list[float]:
    """Return the rates with the highest ones cut to a common ceiling so that their sum fits the budget."""
    ceiling, rest = budget, sorted(rates)
    for i, rate in enumerate(rest):
        if rate * (len(rest) - i) >= budget:
            ceiling = budget / (len(rest) - i)
            break
        budget -= rate
    return [min(rate, ceiling) for rate in rates]
