"""The guardian's life: keep the dead man's switch armed, watch, and cancel when somebody who should has died.

It needs no other process of phx: its own connection, key and control socket. It never judges prices or positions.
"""

import asyncio
import logging
import os
import signal
import time

from phx import hardening
from phx import process as life
from phx._core.ring import RingReader
from phx.guardian.control import Control
from phx.guardian.cross_check import CrossCheck
from phx.guardian.deadman import DeadMan
from phx.guardian.sweep import Sweep
from phx.guardian.watch import Seen, Watched
from phx.latches import Latches
from phx.segment import Segment
from phx.venue.binance import keys
from phx.venue.binance.endpoints import endpoints
from phx.venue.binance.rest import Rest
from phx.venue.binance.silence import shared
from phx.venue.interface import VenueError

POLL_S = 0.005  # a gateway's lost lock is seen this soon
SLOW_TURN_NS = 50_000_000  # everybody else, latches and account: look this often
CLOCK_NS = 60_000_000_000  # synchronise with the venue this often; also keeps the connection warm
CLOCK_RETRY_NS = 2_000_000_000
FROZE_NS = life.HUNG_NS  # a turn that came so late: others may have been stopped with us
QUOTER_LOST_NS = 1_000_000_000  # the gateway has this long to cancel a lost quoter's symbol
QUOTER_RECHECK_NS = 5_000_000_000
LATE_ACCEPTANCE_NS = 1_000_000_000  # beyond recvWindow: what a dead gateway sent may be accepted until then
STOP_GRACE_NS = 4_000_000_000  # at most so long the gateway may take to stop before us
LEAVE_NS = 4_000_000_000  # at most so long the last sweep tries; both together end before supervisord kills
COMMAND_NS = 5_000_000_000  # at most so long a command of the control socket tries
KILL_SETTLE_NS = 500_000_000  # orders that were on their way when a human asked
REQUEST_TIMEOUT_S = 1.5

log = logging.getLogger("phx.guardian")


class Guardian:
    """One life of the guardian, on one asyncio loop."""

    def __init__(self, process: life.Process):
        self.process = process
        config = process.config
        self.symbols = config.traded()
        where = endpoints(config)
        self.rest = Rest(
            where,
            keys.load(config),
            share=config.limits.weight_share_guardian,
            counters=process.counters,
            timeout_s=REQUEST_TIMEOUT_S,
            recv_window_ms=config.venue.recv_window_ms,
            silence=shared(config),
        )
        ids = config.instrument_ids()
        self.deadman = DeadMan(
            self.rest,
            {symbol: ids[symbol] for symbol in self.symbols},
            process.segments["proof"],
            process.ringers("proof"),
            process.counters,
        )
        self.sweep = Sweep(self.rest, where.coid_prefix)
        self.latches = Latches(process.run_folder)
        self.control = Control(config, self)
        self.late_ns = config.venue.recv_window_ms * 1_000_000 + LATE_ACCEPTANCE_NS
        now_ns = time.monotonic_ns()
        self.gateway = Watched(life.Peer(process, "gateway"), now_ns)
        self.quoters = {s: Watched(life.Peer(process, f"quoter.{s}"), now_ns) for s in self.symbols}
        self.account = AccountView(process)
        self.cross_check = CrossCheck(process, self.rest, self.deadman.symbol_ids, self.latches, self._comparable)
        self.supervisor_pid = os.getppid() if "SUPERVISOR_ENABLED" in os.environ else 0
        self.orphaned = False
        self.ran_since_ns = self.turn_ns = now_ns
        self.slow_ns = self.clock_ns = self.fence_ns = 0
        self.quoter_check_ns = dict.fromkeys(self.symbols, 0)
        self.stop_by_ns = 0
        self.tasks: dict[str, asyncio.Task] = {}

    async def live(self) -> None:
        """Turn until stopped, then leave the venue empty."""
        await self.control.open()
        self.process.ready()
        # Whatever a former life left open while nobody watched: the gateway, if it lives, sees to it itself.
        if not self.gateway.peer.alive():
            self._start("sweep", self._sweep_after_gateway())
        self._start("cross check", self.cross_check.run())
        try:
            while not self._done():
                self._turn(time.monotonic_ns())
                await asyncio.sleep(POLL_S)
            await self._leave()
        finally:
            for task in self.tasks.values():
                task.cancel()
            await asyncio.gather(*self.tasks.values(), return_exceptions=True)  # none asks through what is closed
            await self.control.close()
            await self.rest.close()

    # ---- one turn ----

    def _turn(self, now_ns: int) -> None:
        froze = self.process.froze()
        if froze:
            self.deadman.distrust()
        if froze or now_ns - self.turn_ns > FROZE_NS:
            self.ran_since_ns = now_ns
        self.turn_ns = now_ns
        self.process.counters["loops"] += 1
        self.process.beat()
        self._watch_gateway(now_ns)
        if self.gateway.seen == Seen.AWAKE:
            self.deadman.keep(now_ns)
        self.deadman.publish_when_old(now_ns)
        if now_ns - self.slow_ns >= SLOW_TURN_NS:
            self.slow_ns = now_ns
            self._watch_quoters(now_ns)
            self._watch_supervisor()
            self.account.look()
            self._watch_key()
            self.process.counters["latches"] = len(self.latches.all())
        if now_ns >= self.clock_ns:
            self.clock_ns = now_ns + CLOCK_NS
            self._start("clock", self._synchronise())

    def _watch_gateway(self, now_ns: int) -> None:
        before = self.gateway.look(now_ns, now_ns - self.ran_since_ns)
        seen = self.gateway.seen
        if seen == Seen.HUNG and now_ns >= self.fence_ns:
            # Killed before cancelling: a process that wakes up again must not place orders behind our back.
            self.fence_ns = now_ns + SLOW_TURN_NS
            if not self.gateway.signal(signal.SIGKILL):
                log.error("guardian: gateway hangs and cannot be killed; cancelling all the same")
                self._start("sweep", self._sweep_after_gateway())
        if seen == before:
            return
        log.info("guardian: gateway %s, was %s", seen.name, before.name)
        if seen == Seen.AWAKE and before in (Seen.ABSENT, Seen.STARTING):
            self.deadman.arm_at_once()
        elif seen == Seen.HUNG:
            self.process.counters["interventions"] += 1
        elif seen == Seen.ABSENT:
            self.account.look()
            in_order = self._stopping() or self.account.no_open_order_proven
            if before != Seen.HUNG and not in_order:  # a hung one was counted already
                self.process.counters["interventions"] += 1
            # Anew: a sweep for an earlier life does not look long enough for what this one left.
            self._start("sweep", self._sweep_after_gateway(), anew=True)

    def _watch_quoters(self, now_ns: int) -> None:
        for symbol, quoter in self.quoters.items():
            quoter.look(now_ns, now_ns - self.ran_since_ns)
            lost = now_ns - max(quoter.awake_mono_ns, self.ran_since_ns) > QUOTER_LOST_NS
            if not lost:
                self.quoter_check_ns[symbol] = 0
            elif self.gateway.seen != Seen.ABSENT and now_ns >= self.quoter_check_ns[symbol]:
                self.quoter_check_ns[symbol] = now_ns + QUOTER_RECHECK_NS
                self._start(f"quoter.{symbol}", self._cancel_for_quoter(symbol))

    def _watch_supervisor(self) -> None:
        if self.supervisor_pid and not self.orphaned and os.getppid() != self.supervisor_pid:
            # Nobody restarts anything from here on: stop in order while we can.
            log.error("guardian: supervisord is gone; stopping the gateway, then this process")
            self.orphaned = True
            self.process.counters["interventions"] += 1
            self.gateway.signal(signal.SIGTERM)
            self.process.stopping = True

    def _watch_key(self) -> None:
        if self.rest.key_lost and self.latches.stops("") is None:
            # Nothing can be cancelled either: the venue's countdown does it, and nothing is to be added.
            self.latches.set("guardian", "the venue refuses the API key")
            log.error("guardian: latched: the venue refuses the API key; the dead man's switch cancels what is open")

    def _comparable(self) -> bool:
        """Return whether the gateway should agree with the venue: at work, and told of what happens."""
        return self.gateway.seen == Seen.AWAKE and self.account.ready and self.account.user_stream_up

    # ---- what it does about it ----

    def _start(self, name: str, work, anew: bool = False) -> None:
        """Run something beside the turns; the same work is not started twice, but in place of the old if `anew`."""
        running = self.tasks.get(name)
        if running is not None and not running.done():
            if not anew:
                work.close()
                return
            running.cancel()
        self.tasks[name] = asyncio.create_task(work)
        self.tasks[name].add_done_callback(self._report)

    def _report(self, task: asyncio.Task) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.process.counters["errors"] += 1
            log.error("guardian: %s", task.exception(), exc_info=task.exception())

    async def _synchronise(self) -> None:
        try:
            await self.rest.server_time()
        except VenueError as error:
            self.clock_ns = time.monotonic_ns() + CLOCK_RETRY_NS
            log.warning("guardian: venue clock: %s", error)

    async def _sweep_after_gateway(self) -> None:
        """Cancel all until nothing a dead gateway sent can still be accepted."""
        until_ns = time.monotonic_ns() + self.late_ns
        proven = await self.sweep.all(self.symbols, until_ns, self._handed_over)
        log.info("guardian: no gateway: %s", "no open order, proven" if proven else "handed over to its next life")

    def _handed_over(self) -> bool:
        """Return whether a new gateway has proven by itself what the sweep is for, and now has orders of its own."""
        self.account.look()
        return self.gateway.seen == Seen.AWAKE and self.account.ready

    async def _cancel_for_quoter(self, symbol: str) -> None:
        """The gateway had its time: if orders of the lost quoter's symbol are still open, cancel them."""
        try:
            left = await self.sweep.own_orders(symbol)
        except VenueError as error:
            log.warning("guardian: orders of %s, whose quoter is lost: %s", symbol, error)
            left = 1  # not known: careful
        if left:
            self.process.counters["interventions"] += 1
            log.warning("guardian: quoter of %s lost, orders still open: cancelling", symbol)
            deadline_ns = time.monotonic_ns() + COMMAND_NS
            await self.sweep.symbol(symbol, 0, lambda: time.monotonic_ns() > deadline_ns)

    async def cancel_all(self, symbols: list[str]) -> bool:
        """Cancel and verify on a human's word; return whether no order of ours is left."""
        started_ns = time.monotonic_ns()
        settled_ns = started_ns + (KILL_SETTLE_NS if self.latches.all() else 0)
        return await self.sweep.all(symbols, settled_ns, lambda: time.monotonic_ns() > started_ns + COMMAND_NS)

    def status(self) -> dict[str, list[str]]:
        """Return what it sees, in lines for people."""
        now_ns = time.monotonic_ns()
        deadlines = self.deadman.deadlines_mono_ns.items()
        return {
            "processes": [f"{peer.name} {peer.seen.name.lower()}" for peer in (self.gateway, *self.quoters.values())],
            "countdowns": [f"{s} {(d - now_ns) / 1e9:.1f} s" if d else f"{s} not armed" for s, d in deadlines],
            "latches": [f"{latch.name}: {latch.reason} ({latch.who})" for latch in self.latches.all()],
            "account": ["no open order, proven"] if self.account.no_open_order_proven else [],
        }

    # ---- the end ----

    def _stopping(self) -> bool:
        return self.process.stopping

    def _done(self) -> bool:
        """Return whether it may leave: asked to, and the gateway is gone, has nothing open, or took too long."""
        if not self._stopping():
            return False
        now_ns = time.monotonic_ns()
        self.stop_by_ns = self.stop_by_ns or now_ns + STOP_GRACE_NS
        self.account.look()
        gone = self.gateway.seen == Seen.ABSENT
        return gone or self.account.no_open_order_proven or now_ns >= self.stop_by_ns

    async def _leave(self) -> None:
        """Withdraw the proof, cancel and verify, and disarm only what is proven empty with nobody left to add."""
        self.deadman.withdraw()
        deadline_ns = time.monotonic_ns() + LEAVE_NS
        # A gateway that left in order proved it before; what one sent that did not may still be accepted for a while.
        until_ns = 0 if self.account.no_open_order_proven else self.gateway.since_mono_ns + self.late_ns
        beating = asyncio.create_task(self._beat())
        try:
            proven = await self.sweep.all(self.symbols, until_ns, lambda: time.monotonic_ns() > deadline_ns)
            if proven and not self.gateway.peer.alive():
                await self.deadman.disarm()
                log.info("guardian: no open order, proven; dead man's switch disarmed")
            else:
                log.warning(
                    "guardian: leaving the dead man's switch armed: %s", "gateway alive" if proven else "orders"
                )
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            self.process.beat()
            await asyncio.sleep(POLL_S)


class AccountView:
    """The newest account record of the gateway; nothing is known while there is none of its present life."""

    def __init__(self, process: life.Process):
        self.process = process
        self._segment: Segment | None = None
        self._reader: RingReader | None = None
        self.ready = self.user_stream_up = False
        self.no_open_order_proven = False

    def look(self) -> None:
        if self._segment is None or self._segment.replaced():
            self.ready = self.user_stream_up = self.no_open_order_proven = False
            self._segment = self.process.try_attach("account")
            if self._segment is None:
                return
            self._reader = RingReader(self._segment.memory, self._segment.dtype)
        record = self._reader.read_newest()
        if record is not None:
            self.ready = bool(record["ready"])
            self.user_stream_up = bool(record["user_stream_up"])
            self.no_open_order_proven = bool(record["no_open_order_proven"])


def main(config) -> int:
    """Run the guardian; return the exit status for supervisord."""
    hardening.harden()
    return life.run("guardian", config, lambda process: asyncio.run(Guardian(process).live()))
