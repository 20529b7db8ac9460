"""The dead man's switch: the venue cancels a symbol's orders when we fall silent for three periods.

Refreshed while the gateway lives, so that its orders are protected, and only then: a dead gateway's orders must not
be. What the venue has acknowledged is published as `proof`; the gateway adds no order without it.
"""

import asyncio
import logging
import time

import numpy as np

from phx._core.records import PROOF
from phx._core.ring import RingWriter
from phx.venue.interface import AccountRest, VenueError, VenueLimited

SECOND_NS = 1_000_000_000
TOLERATED_LOSSES = 2  # refreshes that may be lost before the countdown ends
RETRY_NS = 250_000_000  # after a refresh without acknowledgement; doubled each time,
LONGEST_RETRY = 2  # periods at most: a venue that is down for long counts requests all the same, and would ban us
REPUBLISH_NS = SECOND_NS

log = logging.getLogger("phx.guardian")


def period_ns(symbols: int) -> int:
    """Return how often each symbol's countdown is refreshed: with weight 10 each that is a quarter of the budget."""
    return max(1, symbols) * SECOND_NS


class DeadMan:
    """symbol_ids: the traded symbols. Deadlines are this process's monotonic time, 0 = not armed as far as we know."""

    def __init__(self, rest: AccountRest, symbol_ids: dict[str, int], segment, ringers, counters):
        self.rest = rest
        self.symbol_ids = symbol_ids
        self.counters = counters
        self.period_ns = period_ns(len(symbol_ids))
        self.countdown_ns = (TOLERATED_LOSSES + 1) * self.period_ns
        self._writer = RingWriter(segment.memory, PROOF)
        self._ringers = ringers
        self._record = np.zeros(1, PROOF)
        self._record["period_ns"] = self.period_ns
        self._record["countdown_ns"] = self.countdown_ns
        self._published_mono_ns = 0
        self._due_mono_ns = dict.fromkeys(symbol_ids, 0)
        self._in_flight: dict[str, asyncio.Task] = {}
        self._failures: dict[str, int] = {}  # of symbols that the venue does not acknowledge, in a row
        self._withdrawn = False
        self._distrusted_mono_ns = 0

    @property
    def deadlines_mono_ns(self) -> dict[str, int]:
        """When the venue cancels each symbol's orders if we fall silent now."""
        return {symbol: int(self._record["deadline_mono_ns"][0, i]) for symbol, i in self.symbol_ids.items()}

    def keep(self, now_mono_ns: int) -> None:
        """Refresh every symbol that is due; called every turn while the gateway is alive and awake."""
        for symbol, due_mono_ns in self._due_mono_ns.items():
            if now_mono_ns >= due_mono_ns and symbol not in self._in_flight:
                task = asyncio.create_task(self._refresh(symbol))
                self._in_flight[symbol] = task
                task.add_done_callback(lambda _, symbol=symbol: self._in_flight.pop(symbol))

    def arm_at_once(self) -> None:
        """Make every symbol due: a gateway has just come to life."""
        self._due_mono_ns = dict.fromkeys(self.symbol_ids, 0)

    def distrust(self) -> None:
        """Count nothing as armed until the venue says so anew: we froze, and its timers ran on.

        When the host itself slept not even our deadlines show it: the monotonic clock stood still.
        """
        self._distrusted_mono_ns = time.monotonic_ns()
        self._record["deadline_mono_ns"] = 0
        self._publish(self._distrusted_mono_ns)
        self.arm_at_once()

    def publish_when_old(self, now_mono_ns: int) -> None:
        if now_mono_ns - self._published_mono_ns >= REPUBLISH_NS:
            self._publish(now_mono_ns)

    async def _refresh(self, symbol: str) -> None:
        # The venue's timer starts after these bytes leave, so counting from here is the careful side. A request
        # without an answer leaves the older deadline standing: it holds whether or not the venue got this one.
        sent_mono_ns = time.monotonic_ns()
        try:
            await self.rest.countdown(symbol, self.countdown_ns // 1_000_000)
        except VenueError as error:
            self._record["failures"] += 1
            self.counters["countdown_failures"] += 1
            failures = self._failures.get(symbol, 0)
            wait_ns = min(LONGEST_RETRY * self.period_ns, RETRY_NS << min(failures, 16))
            if isinstance(error, VenueLimited):
                wait_ns = min(self.period_ns, max(RETRY_NS, int(error.retry_after_s * SECOND_NS)))
            self._due_mono_ns[symbol] = time.monotonic_ns() + wait_ns
            self._failures[symbol] = failures + 1
            if not failures:  # the same again is no news; the counters have it
                log.warning("guardian: dead man's switch of %s not refreshed: %s", symbol, error)
            return
        if self._failures.pop(symbol, 0):
            log.info("guardian: dead man's switch of %s refreshed again", symbol)
            for other in self._failures:  # the venue is back
                self._due_mono_ns[other] = 0
        if self._withdrawn or sent_mono_ns < self._distrusted_mono_ns:
            return
        i = self.symbol_ids[symbol]
        self._record["deadline_mono_ns"][0, i] = sent_mono_ns + self.countdown_ns
        self._record["ack_mono_ns"][0, i] = time.monotonic_ns()
        self._record["refreshes"] += 1
        self.counters["countdowns"] += 1
        self._due_mono_ns[symbol] = sent_mono_ns + self.period_ns
        self._publish(time.monotonic_ns())

    def withdraw(self) -> None:
        """Publish that nothing is armed, so that the gateway adds no order from now on; for the rest of this life."""
        self._withdrawn = True
        self._record["deadline_mono_ns"] = 0
        self._publish(time.monotonic_ns())

    async def disarm(self) -> None:
        """Stop the venue's timers; only after no open order is proven. A timer we cannot stop does no harm then."""
        self.withdraw()
        if self._in_flight:  # a refresh on its way would arm the timer again
            await asyncio.wait(list(self._in_flight.values()))
        for symbol in self.symbol_ids:
            try:
                await self.rest.countdown(symbol, 0)
            except VenueError as error:
                log.warning("guardian: dead man's switch of %s not disarmed: %s", symbol, error)

    def _publish(self, now_mono_ns: int) -> None:
        self._record["now_mono_ns"] = now_mono_ns
        self._published_mono_ns = now_mono_ns
        self._writer.write(self._record)
        for ringer in self._ringers:
            ringer.ring_now()
