"""Quotes at a faulty venue until so many outcomes were unknown, in virtual time; then calm, and everything adds up."""

import asyncio
import random
from types import SimpleNamespace

from faulty_venue import START_NS, FaultyVenue, VirtualLoop
from gateway_rig import Rig

from phx._core.coid import parse_coid
from phx.gateway import reconcile
from phx.venue.interface import VenueDown


class Campaign:
    """Quote on every symbol with all faults until so many outcomes were unknown; then calm down and add up."""

    def __init__(self, seed: int, symbols: int = 8, fault_share: float = 0.6):
        self.loop = VirtualLoop()
        self.rig = Rig(symbols=symbols, max_open_orders=100, max_in_flight=100, net_max_lots=10_000)
        self.rig.account.set_order_limits(10**6, 10**6)
        self.rig.now_ns = START_NS
        self.venue = FaultyVenue(self.loop, self.rig, seed, fault_share)
        self.random = random.Random(seed + 1)
        self.quoting = True

    def run(self, outcomes: int) -> FaultyVenue:
        """Return the venue with its figures; `problems` says what did not hold."""
        asyncio.set_event_loop(self.loop)
        was, reconcile.time = reconcile.time, SimpleNamespace(monotonic_ns=self.loop.now_ns)
        try:
            self.loop.run_until_complete(self._live(outcomes))
        finally:
            reconcile.time = was
            asyncio.set_event_loop(None)
            self.loop.close()
        return self.venue

    async def _live(self, outcomes: int) -> None:
        venue = self.venue
        loops = [
            self.loop.create_task(work)
            for work in (
                venue.reconciliation.run(),
                self._turn(),
                self._quote(),
                self._trade(),
                self._break(),
                self._look(),
            )
        ]
        while venue.outcomes < outcomes and not venue.problems:
            await asyncio.sleep(1.0)
            self.rig.account.set_journal_drained(self.rig.journal.writer.published)
        venue.calm, self.quoting = True, False
        for _ in range(90):
            await asyncio.sleep(0.5)
        for task in loops:
            task.cancel()
        failures = await asyncio.gather(*loops, return_exceptions=True)
        venue.problems += [repr(f) for f in failures if not isinstance(f, asyncio.CancelledError)]
        self._add_up()

    async def _turn(self) -> None:
        while True:
            self.venue.turn()
            await asyncio.sleep(0.02)

    async def _quote(self) -> None:
        while True:
            self.rig.now_ns = self.loop.now_ns()
            self.rig.market()
            self.rig.prove()
            for symbol in self.rig.symbols:
                sides = [[], []]
                if self.quoting:
                    for s, sign in enumerate((-1, 1)):
                        prices = sorted(self.random.sample(range(5, 60), 8))
                        sides[s] = [(100_000 + sign * p, self.random.randint(5, 20)) for p in prices]
                    held = symbol.desk.position_lots
                    if held and self.random.random() < 0.7:
                        sides[held > 0] = self._reducing(held)
                self.rig.ladder(*sides, symbol=symbol.id)
            self.venue.want_turn()
            await asyncio.sleep(0.4)

    def _reducing(self, held: int) -> list[tuple]:
        """Reduce-only layers that come to all of a position: those that move find no room beside themselves."""
        sign = 1 if held > 0 else -1
        near = min(abs(held), self.random.choice((8, 12, 20)))
        layers = [(100_000 + sign * self.random.randint(5, 20), near, True)]
        return layers + [(100_000 + sign * 40, abs(held) - near, True)] * (near < abs(held))

    async def _trade(self) -> None:
        while True:
            await asyncio.sleep(self.random.uniform(0.0, 0.2))
            if self.quoting:
                self.venue.hit(self.random.randrange(len(self.rig.symbols)))

    async def _break(self) -> None:
        """The order session and the account's stream break, and come back as the gateway's process has them do."""
        while True:
            await asyncio.sleep(self.random.uniform(2.0, 10.0))
            if self.venue.calm:
                continue
            self.venue.session += 1
            self.core.on_session_lost(self.loop.now_ns())
            self.venue.want_turn()
            if self.random.random() < 0.3:
                await self._lose_stream()

    async def _lose_stream(self) -> None:
        desks, self.venue.stream_up, self.core.user_stream_up = self.core.desks, False, False
        for desk in desks:
            desk.user_stream_up = False
        await asyncio.sleep(self.random.uniform(0.1, 2.0))
        self.venue.stream_up = self.core.user_stream_up = True
        self.venue.stream_back_ns = self.loop.now_ns()
        while True:
            try:
                await self.venue.reconciliation.everything()
                break
            except VenueDown:
                await asyncio.sleep(0.5)
        for desk in desks:
            desk.user_stream_up = True

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            self.venue.check_tracked()

    @property
    def core(self):
        return self.rig.core

    def _add_up(self) -> None:
        """After the last fault everything is known, and equal to the truth."""
        venue = self.venue
        for i, symbol in venue.by_id.items():
            totals, trades = self.core.desk(i).totals(), venue.trades[i]
            for name, ours, theirs in (
                ("position", totals["position_lots"], venue.held[i]),
                ("fees", totals["fees_e8"], venue.fees_e8[i]),
                ("fills", totals["fills"], len(trades)),
                ("open orders", len(venue.open[i]), 0),
                ("live orders", len(self.core.live_orders(i)), 0),
            ):
                if ours != theirs:
                    venue.problems.append(f"{symbol.symbol}: {name} {ours}, expected {theirs}")
        if venue.unknown:
            venue.problems.append(f"{len(venue.unknown)} outcomes never resolved")
        if parse_coid(next(iter(venue.orders))) is None:
            venue.problems.append("client ids do not parse")


def percentile(values: list[int], share: float) -> int:
    """Return the smallest value that so many of all do not exceed; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0
