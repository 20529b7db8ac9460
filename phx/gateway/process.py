"""The gateway's life: the account's one process that sends orders and books fills.

A turn looks around, lets the core step and sends what it wants sent. Turns happen when a bell rings, when the venue
has spoken, and every few milliseconds.
"""

import asyncio
import logging
import time

from phx import hardening
from phx import process as life
from phx._core.account import Account
from phx._core.desk import Desk
from phx._core.gateway import GatewayCore
from phx._core.ring import RingWriter
from phx.gateway import checks, patience, requantise, startup
from phx.gateway import epoch as lives
from phx.gateway.account import Orders
from phx.gateway.budgets import Budgets
from phx.gateway.contracts import Contracts
from phx.gateway.doubt import Doubt
from phx.gateway.on_disk import OnDisk
from phx.gateway.reconcile import Reconciliation, prove_none_open
from phx.gateway.replies import Replies
from phx.gateway.session import Fallback, OrderConnection
from phx.gateway.surroundings import Surroundings
from phx.gateway.user_events import UserEvents
from phx.instruments import Tables
from phx.latches import ONLY_REDUCE, Latches
from phx.venue.binance import keys
from phx.venue.binance.endpoints import endpoints
from phx.venue.binance.rest import Rest
from phx.venue.binance.silence import shared
from phx.venue.binance.user_stream import BinanceUserStream
from phx.venue.binance.weights import routine_cancels_60s
from phx.venue.interface import CommissionRate, VenueError

TURN_S = 0.005
LOOK_NS = 4_000_000  # the regular turn looks around so often;
LOOK_LATE_NS = 12_000_000  # any other only when that is so late: an order does not wait for a look around
PROOF_MARGIN_NS = 1_000_000_000
USER_STREAM_GRACE_NS = 2_000_000_000  # without the account's stream: nothing added at once, cancelled after this
SESSION_GRACE_NS = 1_000_000_000  # without the order session: by REST, and cancelled after this
CLOCK_S = 60.0
STOP_S = 8.0
FITNESS_S = 0.5  # a latch on an unfit account that a human clears is set again so soon

log = logging.getLogger("phx.gateway")


class Gateway:
    """Everything one life needs, put together. inherited: what the former life left (read before the lock)."""

    def __init__(self, process: life.Process, inherited: lives.Books):
        self.process = process
        self.config = config = process.config
        # What is newest, and on disk before anything can go wrong: this life may end before its books are whole.
        self.inherited = lives.newest_books(lives.read_books(process.run_folder), inherited)
        lives.write_books(process.run_folder, self.inherited)
        self.tables = Tables(process.folder, process.run_folder)
        self.rates: dict[str, CommissionRate] = {}  # what the account pays, by symbol
        self.symbol_ids = {symbol: config.instrument_ids()[symbol] for symbol in config.traded()}
        self.locked_ns = time.monotonic_ns()
        self.clean = lives.ended_cleanly(process.run_folder)
        # Until then bytes that a former life sent, or this one, may be accepted.
        self.absent_after_ns = config.venue.recv_window_ms * 1_000_000 + PROOF_MARGIN_NS
        self.endpoints = endpoints(config)
        credentials = keys.load(config)
        limits = config.limits
        self.rest = Rest(
            self.endpoints,
            credentials,
            share=limits.weight_share_reconciliation + limits.weight_share_orders,
            counters=process.counters,
            recv_window_ms=config.venue.recv_window_ms,
            silence=shared(config),
        )
        self.epoch = lives.next_epoch(process.run_folder)
        journal = process.segments["journal"]
        account = Account(
            self.epoch,
            RingWriter(journal.memory, journal.dtype),
            len(journal.records),
            adding_share=limits.adding_share,
            reducing_share=limits.reducing_share,
            cancels_60s=routine_cancels_60s(limits),
        )
        writer = process.segments["account"]
        self.core = GatewayCore(account, RingWriter(writer.memory, writer.dtype), time.monotonic_ns())
        self.orders = Orders(self.endpoints.coid_letter, self.symbol_ids, self.epoch)
        self.connection = OrderConnection(
            self.core,
            self.endpoints.ws_api,
            credentials,
            self.rest,
            config.venue.recv_window_ms,
            self.endpoints.coid_letter,
            process.counters,
        )
        self.by_rest = config.venue.orders_by == "rest"
        self.stream = BinanceUserStream(
            self.rest, self.endpoints, self._on_event, lambda up: self.doubt.on_stream(up), process.counters
        )
        self.looked_ns = 0
        self.banned = False
        self.failed = False
        self.anew = ""  # why this life ends for another to begin
        self.tasks: set[asyncio.Task] = set()
        # A day's beginning is a distance from the totals: without them it says nothing.
        self.day = lives.read_day(process.run_folder) if self.inherited else lives.Day()

    # ---- life ----

    async def live(self) -> None:
        """Recover, work until asked to stop, leave nothing open."""
        process = self.process
        log.info("gateway: epoch %d, the former life ended %s", self.epoch, "cleanly" if self.clean else "uncleanly")
        await patience.reach(self.rest, self._stopping, patience.FIRST_PAUSE_S)
        if not self.clean:
            # Before anything is asked whose answer may be long in coming: nobody else may be there to do it.
            await startup.clear(self.rest, list(self.symbol_ids), self.endpoints.coid_prefix)
        self.instruments = await self._patiently("exchangeInfo", lambda: self.rest.exchange_info(self.symbol_ids))
        if process.stopping:
            await self.rest.close()
            return
        self.tables.look()
        self.instruments = requantise.traded(self.instruments, self.tables, self.inherited)
        requantise.keep(self.tables, self.instruments)
        self.inherited = requantise.books_in(self.inherited, self.instruments)
        self._put_together()
        self._start_turning()
        try:
            await self._recover()
            await self._work()
        finally:
            self.core.ready = False
            for task in list(self.tasks):
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            await self.rest.close()

    def _put_together(self) -> None:
        for symbol, instrument in self.instruments.items():
            own, exec_ = (self.process.segments[f"{kind}.{symbol}"] for kind in ("own", "exec"))
            own.count_in(instrument.units_hash)
            exec_.count_in(instrument.units_hash)
            self.core.add(
                Desk(
                    self.core.account,
                    symbol,
                    instrument.symbol_id,
                    instrument.order_rules(),
                    own=RingWriter(own.memory, own.dtype),
                    exec_=RingWriter(exec_.memory, exec_.dtype),
                    counters=self.process.segments[f"counters.gateway.{symbol}"].records.data,
                )
            )
        environment = self.config.venue.environment
        self.replies = Replies(self.core, self.instruments, self.orders, self._synchronise, self._on_limited)
        self.events = UserEvents(self.core, self.instruments, self.orders, self._on_zombie, self._on_forced)
        self.events.on_rival = self._on_rival
        self.contracts = Contracts(
            self.core, self.rest, self.instruments, self.tables, self._begin_anew, self._on_misfit
        )
        self.replies.on_refusal, self.events.on_expired = self.contracts.refused, self.contracts.ended
        self.fallback = Fallback(self.core, self.rest, self.instruments, self.replies, environment, self.turn)
        self.connection.instruments, self.connection.replies = self.instruments, self.replies
        self.connection.turn = self.turn
        self.reconciliation = Reconciliation(
            self.core,
            self.rest,
            self.instruments,
            self.orders,
            self.replies,
            environment,
            self.config.venue.recv_window_ms,
            self.events.venue_positions,
            self.events.foreign,
        )
        self.reconciliation.on_forced = self._on_forced
        self.reconciliation.on_hedge_mode = self._on_hedge_mode
        funding = self.reconciliation.funding
        self.events.on_funding = funding.told
        self.doubt = Doubt(self.core, self.stream, self.replies, self.reconciliation, self._start, self.turn)
        process = self.process
        self.on_disk = OnDisk(process.run_folder, self.core, self.instruments, funding, self.day, process.counters[0])
        # Fills are in the venue's history; a payment that no book on disk holds is read there once more.
        funding.on_booked = self.on_disk.books_due.set
        self.surroundings = Surroundings(self.process, self.core, self.instruments)
        self.surroundings.not_allowed = lambda: self.replies.not_allowed
        self.ringers = {i.symbol_id: self.process.ringers(f"own.{s}") for s, i in self.instruments.items()}
        self.budgets = Budgets(self.core, self.rest, self.instruments, self.config.limits)
        self.connection.on_limits = self.rest.on_limits = self.budgets.told
        self.fallback.place_batches = self.budgets.place_batches
        self.rest.on_order_counts = lambda *used: self.core.account.note_venue_counts(*used, time.monotonic_ns())

    def _stopping(self) -> bool:
        return self.process.stopping

    async def _patiently(self, what: str, question):
        return await patience.patiently(self.rest, what, question, self._stopping)

    async def _recover(self) -> None:
        stopping = self._stopping
        prefix = self.endpoints.coid_prefix
        if why := await self._admit():
            self._only_reduce(why)
            self._start(self._mind_fitness())
        if stopping():
            return
        while not await self.budgets.learn() and not stopping():
            await patience.pause(patience.AFTER_ANSWER_S, stopping)
            await patience.reach(self.rest, stopping)
        await self._patiently("fees", lambda: startup.learn_fees(self.rest, self.core, self.instruments, self.rates))
        self._start(self.stream.run())
        if not self.by_rest:
            self._start(self.connection.run())
        until_ns = 0 if self.clean else self.locked_ns + self.absent_after_ns
        await startup.prove_empty(self.rest, self.instruments, prefix, until_ns, stopping)
        await startup.wait_for_stream(lambda: self.stream.up, stopping)
        await self._patiently("books", lambda: startup.restore_books(self.reconciliation, self.inherited))
        if stopping():
            return
        # Before anything is published as whole: of funding only the file says what its total holds.
        self.on_disk.write_books()
        self.turn()  # the day begins with what the books are worth now
        if not await startup.wait_for(lambda: self.surroundings.proven(time.monotonic_ns()), startup.PROOF_S, stopping):
            log.warning("gateway: the dead man's switch is not armed yet; adding nothing until it is")
        self.on_disk.begin_day()
        self._turn_day()

    async def _admit(self) -> str:
        return await checks.admit(self.rest, self.config, self.instruments, self.endpoints, self._stopping, self.rates)

    def _only_reduce(self, why: str) -> None:
        self.surroundings.may_add = False
        self.surroundings.latches.set("gateway", ONLY_REDUCE + why)
        log.error("latched: %s%s", ONLY_REDUCE, why)

    async def _mind_fitness(self) -> None:
        """Add nothing until a human has cleared the latch and the account is fit to trade: only both together count."""
        while not self.surroundings.may_add:
            await asyncio.sleep(FITNESS_S)
            if self.surroundings.latches.stops("") is not None:
                continue
            try:
                why = await self._admit()
            except life.StayDown as error:
                why = str(error)
            if why:
                self._only_reduce(why)
            else:
                self.surroundings.may_add = True
                log.info("gateway: the account is fit to trade again")

    async def _work(self) -> None:
        if not self.process.stopping:
            self.on_disk.keep_limits()
            self.doubt.working = self.core.ready = True
            log.info("gateway: ready to trade %s", ", ".join(self.instruments))
            self._start(self.reconciliation.run())
            self._start(self.contracts.run())
            self._start(self.doubt.mind_quiet())
            self._start(self.budgets.run())
            self._start(self._keep_clock())
            self._start(self.on_disk.keep_books())
        while not self.process.stopping:
            await asyncio.sleep(0.1)
            self.on_disk.keep_limits()
            self._turn_day()
        await self._leave()
        if self.anew:
            raise life.Anew(self.anew)
        if self.failed:
            raise RuntimeError("gateway: ended because a part of it failed; to be started anew")

    async def _leave(self) -> None:
        """No new order, cancel all own, prove that none is open."""
        was_working, self.doubt.working, self.core.ready = self.doubt.working, False, False
        self.turn()
        answered = await startup.wait_for(lambda: not self._live_orders(), 1.0, lambda: False)
        now_ns = time.monotonic_ns()
        # What has no end yet may still be on its way: an empty list proves nothing about it before this.
        until_ns = 0 if answered else now_ns + self.absent_after_ns
        prefix = self.endpoints.coid_prefix
        proven = await prove_none_open(self.rest, self.instruments, prefix, until_ns, now_ns + int(STOP_S * 1e9))
        self.on_disk.close(self.epoch, was_working, proven)
        if proven:
            self.core.no_open_order_proven = True
            log.info("gateway: no open order, proven")
        else:
            log.error("gateway: own orders may still be open; the guardian and the dead man's switch take over")
        self.core.tell_account(time.monotonic_ns())

    def _live_orders(self) -> int:
        return sum(len(self.core.live_orders(i.symbol_id)) for i in self.instruments.values())

    # ---- turns ----

    def _start_turning(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self.process.bell.fifo, self._on_bell)
        self.process.ready()
        self._start(self._turn_for_ever())

    async def _turn_for_ever(self) -> None:
        spin = self.config.process_config("gateway").wait != "block"
        while True:
            self.turn(regular=True)
            await asyncio.sleep(0 if spin else TURN_S)

    def _on_bell(self) -> None:
        self.process.bell.drain()
        self.turn()

    def turn(self, regular: bool = False) -> None:
        """Do one turn. The bell is marked as wanted first: what is published from here on rings it."""
        self.process.bell.park_now()
        now_ns = time.monotonic_ns()
        self.process.beat()
        if self.process.froze():
            # Whatever was known is old: follow no ladder until a new one comes, ask the venue about the rest.
            self.core.void_ladders()
            self.doubt.begin()
        if now_ns - self.looked_ns >= (LOOK_NS if regular else LOOK_LATE_NS):
            self.looked_ns = now_ns
            self.process.counters["loops"] += 1
            self.surroundings.look(now_ns)
            self._judge_connections(now_ns)
            self._mind_limits(now_ns)
            self._mind_key()
            self._tell_counters()
        if self.core.step(now_ns):
            if self.banned:
                self.core.drop_actions(now_ns)
            elif self.by_rest or not self.connection.up:
                self.fallback.send()
            else:
                self.connection.send()
        for symbol_id in self.core.published():
            for ringer in self.ringers[symbol_id]:
                ringer.ring_now()

    def _judge_connections(self, now_ns: int) -> None:
        stream_lost = not self.stream.up and now_ns - self.doubt.stream_down_ns > USER_STREAM_GRACE_NS
        self.connection.suspect_silence(now_ns)
        session_lost = not self.by_rest and not self.connection.up
        session_lost = session_lost and now_ns - self.connection.down_since_ns > SESSION_GRACE_NS
        for desk in self.core.desks:
            desk.cancel_all = stream_lost or session_lost or self.contracts.holds(desk.symbol)
        self.doubt.suspect_silence(now_ns)

    def _mind_limits(self, now_ns: int) -> None:
        """A rate limit counts for both ways of ordering: place nothing until it is over; send nothing while banned."""
        venue_ns, weights = self.rest.clock.venue_ns(now_ns), self.rest.weights
        self.rest.mind_others(venue_ns)
        self.banned = venue_ns < weights.banned_until_ns
        if silence_ns := weights.silence_ns(venue_ns):
            self.core.hold(now_ns + silence_ns)
        self.budgets.mind_weight(venue_ns)

    def _mind_key(self) -> None:
        latches = self.surroundings.latches
        if self.rest.key_lost and latches.stops("") is None:
            latches.set("gateway", "the venue refuses the API key")
            log.error("latched: the venue refuses the API key")

    def _tell_counters(self) -> None:
        counters = self.process.counters[0]
        self.core.weight_60s = int(counters["weight_60s"])
        counters["unknown_outcomes"] = self.core.unknown_orders
        counters["foreign_orders"], counters["zombies"] = self.events.foreign_seen, self.core.zombies

    # ---- what happens ----

    def _on_event(self, event, recv_mono_ns: int, recv_utc_ns: int) -> None:
        try:
            self.events.handle(event, recv_mono_ns)
        except ValueError as error:
            # A number that does not fit the instrument: the venue's history will tell what really happened.
            self.process.counters["errors"] += 1
            log.error("user stream: %s", error)
        self.turn()

    def _on_zombie(self, symbol: str, coid: str) -> None:
        self._start(self.reconciliation.cancel_zombie(symbol, coid))

    def _on_rival(self, symbol: str, coid: str) -> None:
        if self.doubt.working and self.surroundings.latches.stops("") is None:
            why = f"another phx trades on this account, order {coid} is not from here: stop one of the two"
            self.surroundings.latches.set("gateway", why)
            log.error("latched: %s", why)

    def _on_hedge_mode(self) -> None:
        if self.surroundings.latches.stops("") is None:
            why = "the account is in hedge mode: switch it to one-way with POST /fapi/v1/positionSide/dual"
            self.surroundings.latches.set("gateway", why)
            log.error("latched: %s", why)

    def _on_forced(self, symbol: str, coid: str) -> None:
        log.error("%s: the venue acts on the position itself: %s", symbol, coid)
        # At once; the file is for everybody else, and for the lives to come.
        self.core.desk(self.instruments[symbol].symbol_id).latched = True
        Latches(self.process.run_folder).set("gateway", f"forced order {coid[:36]}", symbol)

    def _begin_anew(self, why: str) -> None:
        self.anew = why
        self.process.stopping = True

    def _on_misfit(self, symbol: str, why: str) -> None:
        log.error("%s: latched, its filters are none to trade by: %s", symbol, why)
        Latches(self.process.run_folder).set("gateway", why, symbol)

    def _synchronise(self) -> None:
        self._start(self.rest.server_time())

    def _on_limited(self, banned: bool, until_ms: int) -> None:
        self.process.counters["rate_limited"] += 1
        self.rest.limited(banned, 0, until_ms * 1_000_000)

    async def _keep_clock(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_S)
            try:
                await self.rest.server_time()
            except VenueError as error:
                log.warning("gateway: venue clock: %s", error)

    def _turn_day(self) -> None:
        self.on_disk.turn_day(self.rest.clock.venue_ns(time.monotonic_ns()))

    def _start(self, work) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.process.counters["errors"] += 1
            log.error("gateway: %s", task.exception(), exc_info=task.exception())
            # Half a gateway is worse than none: end, and recover from the beginning.
            if not isinstance(task.exception(), VenueError):
                self.failed = self.process.stopping = True


def main(config) -> int:
    """Run the gateway; return the exit status for supervisord."""
    hardening.harden()
    tables = Tables(config.shm_folder(), config.run_folder())
    tables.look()
    in_use = requantise.in_use(tables, lives.read_books(config.run_folder()))
    inherited = lives.inherit(config.shm_folder(), {s: config.instrument_ids()[s] for s in config.traded()}, in_use)
    return life.run("gateway", config, lambda process: asyncio.run(Gateway(process, inherited).live()))
