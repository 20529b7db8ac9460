"""Doubt about what is known of the account: nothing is added until everything was compared with the venue.

What brings it: the account's stream was lost, this process did not run for a while, or the stream says less than it
should.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from phx._core.gateway import GatewayCore
from phx.gateway import patience
from phx.gateway.reconcile import Reconciliation
from phx.gateway.replies import Replies
from phx.instruments import InstrumentError
from phx.venue.binance.user_stream import BinanceUserStream
from phx.venue.interface import VenueError

ECHO_NS = 2_000_000_000  # an answered order must be echoed by the account's stream within this
ECHO_EARLY_NS = 1_000_000_000  # the echo may come before the answer, by less than this
QUIET_S = 2.0  # orders are open and the stream says nothing: the venue's list is asked for so often,
QUIET_SYMBOLS = 4  # or, with more symbols than this, in proportion: each costs weight
AGAIN_S = (0.5, 2.0)  # first and longest wait after a comparison that failed
SPACE_S = 0.5  # for each symbol, from one comparison to the next: a stream that flaps must not use the weight up

log = logging.getLogger("phx.gateway")


class Doubt:
    """working: the gateway is past its start; before that its start compares everything. start(work): as a task.
    turn(): let what has changed be acted on."""

    def __init__(
        self,
        core: GatewayCore,
        stream: BinanceUserStream,
        replies: Replies,
        reconciliation: Reconciliation,
        start: Callable,
        turn: Callable[[], None],
    ):
        self.core = core
        self.stream = stream
        self.replies = replies
        self.reconciliation = reconciliation
        self.start = start
        self.turn = turn
        self.working = False
        self.stream_down_ns = time.monotonic_ns()
        self.times = 0
        self.settling = False
        self.compared_s = 0.0  # when the last comparison began, monotonic
        self.unechoed_since_ns = 0
        reconciliation.on_untold = self.on_untold

    def on_stream(self, up: bool) -> None:
        """The account's stream was lost, or is there again."""
        self.core.user_stream_up = up
        if up and self.working:
            self.begin()
            return
        if not up:
            self.stream_down_ns = time.monotonic_ns()
        self._allow_adding(up)

    def begin(self) -> None:
        """Add nothing until everything was compared with the venue, from now on."""
        self.times += 1
        if self.working:
            self._allow_adding(False)
            if not self.settling:
                self.settling = True
                self.start(self._settle())

    async def _settle(self) -> None:
        """Compare everything with the venue until no new doubt has come meanwhile; then new risk is taken again."""
        settled, again_s, said = -1, AGAIN_S[0], ""
        while settled != self.times:
            if (early_s := self.compared_s + SPACE_S * len(self.core.desks) - time.monotonic()) > 0:
                await asyncio.sleep(early_s)
            times, self.compared_s = self.times, time.monotonic()
            try:
                await self.reconciliation.everything()
                settled = times
            except (VenueError, InstrumentError) as error:
                said = patience.tell("reconciling", error, said)
                await asyncio.sleep(max(patience.limit_s(error), again_s))
                again_s = min(AGAIN_S[1], 2 * again_s)
        self.settling = False
        self._allow_adding(self.stream.up)
        self.turn()

    def _allow_adding(self, allowed: bool) -> None:
        for desk in self.core.desks:
            desk.user_stream_up = allowed

    # ---- a stream that says too little ----

    def suspect_silence(self, now_ns: int) -> None:
        """A dead listenKey says nothing: what the venue does for us must be echoed by the account's stream."""
        if self.replies.done_mono_ns <= self.stream.last_event_mono_ns + ECHO_EARLY_NS:
            self.unechoed_since_ns = 0
        elif self.unechoed_since_ns == 0:
            self.unechoed_since_ns = now_ns
        elif now_ns - self.unechoed_since_ns > ECHO_NS:
            self.unechoed_since_ns = 0
            self.stream.suspect("orders are answered but not echoed")

    async def mind_quiet(self) -> None:
        """While nothing is ordered nothing can be missed but what happens to open orders: look whether it did."""
        desks = self.core.desks
        period_s = QUIET_S * max(1.0, len(desks) / QUIET_SYMBOLS)
        while True:
            await asyncio.sleep(period_s)
            any_live = any(self.core.live_orders(desk.symbol_id) for desk in desks)
            if any_live and self.stream.up and self._quiet_ns() > QUIET_S * 1e9:
                try:
                    await self.reconciliation.compare_open_orders()
                except (VenueError, ValueError) as error:
                    log.warning("gateway: open orders: %s", error)

    def on_untold(self, symbol: str) -> None:
        """Orders were found ended of which the stream has said nothing."""
        # What ended while the stream was down is found by the look around after it: no word of that could come.
        if self.stream.up and not self.settling and self._quiet_ns() > ECHO_EARLY_NS:
            self.stream.suspect(f"orders of {symbol} ended without a word")

    def _quiet_ns(self) -> int:
        return time.monotonic_ns() - self.stream.last_event_mono_ns
