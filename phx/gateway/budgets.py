"""The venue's limits as they are now: order counts, request weight, the account's leverage, adopted while trading."""

import asyncio
import logging
import time

import msgspec

from phx._core.gateway import GatewayCore
from phx.gateway.batches import affordable
from phx.instruments import Instrument
from phx.venue.binance.rest import Rest
from phx.venue.binance.standing import symbol_configs
from phx.venue.binance.weights import WEIGHT_PER_MINUTE, routine_cancels_60s
from phx.venue.interface import VenueError

ASK_S = 45.0  # a changed limit is adopted within a minute, whether or not a reply mentions it
TOLD_NS = 600_000_000_000  # what the venue said while counting is believed so long, unless exchangeInfo says less

log = logging.getLogger("phx.gateway")


class Budgets:
    """shares: the configuration's limits, which say how the request weight is divided."""

    def __init__(self, core: GatewayCore, rest: Rest, instruments: dict[str, Instrument], shares):
        self.core = core
        self.rest = rest
        self.instruments = instruments
        self.shares = shares
        self.orders: dict[int, int] = {}  # window, s → orders, as last adopted
        self.said: dict[tuple[str, int], tuple[int, int]] = {}  # kind, window → limit, until when it is believed
        self.scarce = False  # the minute's weight is used up but for the reserve of what is urgent
        core.weight_limit = rest.weights.limit

    async def learn(self) -> bool:
        """Ask for all of it; what the venue does not answer stays as it was. Returns whether it answered everything."""
        answered = True
        try:
            self.adopt(self._believed(await self.rest.rate_limits()))
        except VenueError as error:
            log.warning("rate limits: %s", error)
            answered = False
        try:
            for config in await symbol_configs(self.rest):
                if config.symbol in self.instruments:
                    self.core.account.set_leverage(self.instruments[config.symbol].symbol_id, config.leverage)
        except (VenueError, ValueError) as error:
            # Not known counts as none: the careful side.
            log.warning("leverage: %s", error)
            answered = False
        return answered

    async def run(self) -> None:
        """Ask again and again until cancelled."""
        while True:
            await asyncio.sleep(ASK_S)
            await self.learn()

    def place_batches(self) -> int:
        """Return how many batches of orders pay now; what reconciliation may want of the weight is left to it."""
        now_ns = time.monotonic_ns()
        kept = int(self.core.weight_limit * self.shares.weight_share_reconciliation)
        left = self.rest.weights.left(self.rest.clock.venue_ns(now_ns)) - kept
        return affordable(max(0, left), self.core.account.orders_left_60s(now_ns))

    def mind_weight(self, venue_ns: int) -> None:
        """Take no order away for a better price while weight is scarce: then none is put there, and less is used.

        Orders nearer to the market than the ladder wants go whatever the budget, as do those that must.
        """
        if self.rest.weights.scarce(venue_ns) != self.scarce:
            self.scarce = not self.scarce
            self._set_cancel_limit()

    def _set_cancel_limit(self) -> None:
        routine = routine_cancels_60s(self.shares, self.core.weight_limit)
        self.core.account.set_cancel_limit(0 if self.scarce else routine)

    def told(self, limits) -> None:
        """Take what a reply or a refusal states: it comes from where requests are counted, exchangeInfo does not."""
        until_ns = time.monotonic_ns() + TOLD_NS
        self.said |= {(r.rate_limit_type, r.window_s): (r.limit, until_ns) for r in limits if r.limit > 0}
        self.adopt(limits)

    def _believed(self, listed) -> list:
        """Return what exchangeInfo lists, lowered to what the venue has told otherwise."""
        now_ns = time.monotonic_ns()
        self.said = {kind: told for kind, told in self.said.items() if now_ns < told[1]}
        known = lambda r: self.said.get((r.rate_limit_type, r.window_s), (r.limit, 0))[0]  # noqa: E731
        return [msgspec.structs.replace(r, limit=min(r.limit, known(r))) for r in listed]

    def adopt(self, limits) -> None:
        """Have limits in force: rows of kind, window and limit; -1 = it does not say."""
        orders = {r.window_s: r.limit for r in limits if r.rate_limit_type == "ORDERS" and r.limit > 0}
        changed = {s: n for s, n in orders.items() if self.orders.get(s) != n and s in (10, 60)}
        if changed:
            self.orders |= changed
            self.core.account.set_order_limits(changed.get(10, 0), changed.get(60, 0))
            log.info("venue's order counts: %s", ", ".join(f"{n} in {s} s" for s, n in sorted(self.orders.items())))
        for row in limits:
            if row.rate_limit_type == "REQUEST_WEIGHT" and row.window_s == 60 and row.limit > 0:
                self._adopt_weight(min(row.limit, WEIGHT_PER_MINUTE))

    def _adopt_weight(self, limit: int) -> None:
        if limit == self.core.weight_limit:
            return
        self.core.weight_limit = limit
        self._set_cancel_limit()
        self.rest.tell_weight_limit(limit)
        log.info("venue's request weight: %d a minute", limit)
