"""The feed process: market streams in, books and tapes of one group of symbols out.

Streams. bookTicker gives the top of book at once; depth at 100 ms, the fastest documented rate, gives the levels behind
it; trade is not documented but live, and alone tells liquidations and retail price improvement from trades that hit
resting quotes (aggTrade would come 100 ms later). Mark prices come each second, from the other base URL.
"""

import asyncio
import logging
import os
import random
import time

from phx import process
from phx._core.edge.market_listener import MarketListener, ring_instruments
from phx._core.feed import FeedCore, Stream
from phx._core.ring import RingWriter
from phx._core.sequencer import SyncResult
from phx.feed.connection import Connection
from phx.feed.watchdog import Watchdog
from phx.instruments import Instrument, InstrumentError, Tables, Units, in_units, write_table
from phx.venue.binance import streams
from phx.venue.binance.endpoints import endpoints
from phx.venue.binance.messages import FrameRefused
from phx.venue.binance.rest import Rest
from phx.venue.binance.silence import shared
from phx.venue.interface import VenueError, VenueLimited

DEPTH_SPEED = "100ms"
SNAPSHOT_LEVELS = 1000
ROW_LEVELS = 500  # in a row of books that soon were void again: half the weight
SNAPSHOT_TRIES = 5  # so many in a row that the buffer does not continue: begin anew with the connection
SNAPSHOT_JITTER_S = 0.1  # spreads the requests of a group that lost all its books at once
LIMITED_JITTER_S = 1.0  # and of all who wait for the next minute's weight
RETRY_S = (0.2, 5.0)  # first and longest wait before asking for exchangeInfo again
TURN_S = process.HEARTBEAT_NS / 2e9
WATCH_NS = 50_000_000
GRID_NS = 200_000_000  # between two looks whether the market is on the grid that is read
LOOK_S = 2.0  # between two questions to the venue about it
OFF_GRID = 3  # frames meanwhile: no accident, but a market on a finer grid than it is listed with
BEHIND_NS = 1_000_000_000  # depth comes each 100 ms: behind the top for so long, it is not coming

STREAM_NAMES = {
    Stream.STREAM_BOOK_TICKER: streams.book_ticker,
    Stream.STREAM_DEPTH: lambda symbol: streams.depth(symbol, DEPTH_SPEED),
    Stream.STREAM_TRADE: streams.trade,
    Stream.STREAM_MARK: streams.mark_price,
}
BOOK_STREAMS = {Stream.STREAM_BOOK_TICKER, Stream.STREAM_DEPTH}

log = logging.getLogger("phx.feed")


def main(config, group: str) -> int:
    """Live one life as feed.<group>; return the exit status."""
    if group not in config.feed_groups():
        log.error("feed.%s: no such group; the configuration has %s", group, ", ".join(config.feed_groups()))
        return process.EXIT_STAY_DOWN
    return process.run(f"feed.{group}", config, lambda life: asyncio.run(Feed(life, config, group).run()))


class Feed:
    """One group's connections, snapshots and watchdog around its FeedCore."""

    def __init__(self, life: process.Process, config, group: str):
        self.life = life
        self.config = config
        self.group = group
        self.symbols = config.feed_groups()[group]
        self.wait = config.process_config(life.name).wait
        self.endpoints = endpoints(config)
        share = config.limits.weight_share_snapshots / len(config.feed_groups())
        self.rest = Rest(self.endpoints, None, share=share, counters=life.counters, silence=shared(config))
        self.core = FeedCore()
        self.bells = [life.ringers(f"bbo.{symbol}") for symbol in self.symbols]
        self.names = [{kind: name(symbol) for kind, name in STREAM_NAMES.items()} for symbol in self.symbols]
        self.watchdog = Watchdog(self.names)
        self.connections: dict[str, Connection] = {}
        self._tasks: set[asyncio.Task] = set()
        self.watched_ns = self.grid_seen_ns = 0
        self.table: dict[str, Instrument] = {}
        self.tables = Tables(life.folder, life.run_folder)
        self.off_grid: dict[str, int] = {}  # frames, when the venue was last asked about them
        self.asking = False
        self.anew = ""  # why this life ends for another to begin

    async def run(self) -> None:
        """Be the feed until asked to stop."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._start(tasks, self._work(tasks))
                await self._turn(tasks)
                await self._stop()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # process.run knows what to do with it
        finally:
            await self.rest.close()

    # ---- the loop ----

    async def _turn(self, tasks: asyncio.TaskGroup) -> None:
        """Beat, watch, ask for snapshots, until asked to stop."""
        self.life.ready()
        if self.wait != "block":
            self._spin()
        while not self.life.stopping:
            self.life.beat()
            now_ns = time.monotonic_ns()
            if self.life.froze():
                self._lose("the process did not run", now_ns)
            if self.connections and now_ns - self.watched_ns > WATCH_NS:
                self.watched_ns = now_ns
                self._watch(now_ns)
            for index in self.core.ask_snapshots(now_ns):
                self._start(tasks, self._snapshot(index))
            if self.table and now_ns - self.grid_seen_ns > GRID_NS:
                self.grid_seen_ns = now_ns
                self._mind_grid(tasks)
            if self.anew:
                raise process.Anew(self.anew)
            self._count()
            await asyncio.sleep(TURN_S)

    async def _stop(self) -> None:
        # Again and again: asyncio.wait_for (Python 3.11) loses a cancellation that meets its result.
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.sleep(TURN_S)

    def _start(self, tasks: asyncio.TaskGroup, coroutine) -> None:
        task = tasks.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _spin(self) -> None:
        # A callback that posts itself again keeps the loop from sleeping in select.
        if self.wait == "yield":
            os.sched_yield()
        if not self.life.stopping:
            asyncio.get_running_loop().call_soon(self._spin)

    def _count(self) -> None:
        counters = self.life.counters
        counters["loops"] += 1
        counters["frames"] = self.core.frames
        counters["frames_refused"] = self.core.refused
        counters["frames_unknown"] = self.core.unknown

    # ---- the way up ----

    async def _work(self, tasks: asyncio.TaskGroup) -> None:
        """Learn the instruments, then keep the connections up."""
        self.tables.look()
        self._write(self._in_use(await self._instruments()))
        for symbol, instrument in self.table.items():
            segments = [self.life.segments[f"{kind}.{symbol}"] for kind in ("bbo", "book", "tape")]
            for segment in segments:
                segment.count_in(instrument.units_hash)
            rings = [RingWriter(segment.memory, segment.dtype) for segment in segments]
            counters = self.life.segments[f"counters.feed.{symbol}"].records
            self.core.add(symbol, instrument.symbol_id, instrument.scale, *rings, counters)
        for path in (streams.PUBLIC, streams.MARKET):
            kinds = {kind for kind, name in self.names[0].items() if streams.path_of(name) == path}
            self.connections[path] = self._connection(path, kinds)
        for connection in self.connections.values():
            self._start(tasks, connection.run())

    async def _instruments(self) -> dict[str, Instrument]:
        """Return the instruments of this group, asking until the venue answers."""
        ids = self.config.instrument_ids()
        wait_s = RETRY_S[0]
        while True:
            try:
                return await self.rest.exchange_info({symbol: ids[symbol] for symbol in self.symbols})
            except FrameRefused as error:
                raise process.StayDown(str(error)) from None
            except VenueError as error:
                wait_s = max(wait_s, getattr(error, "retry_after_s", 0.0))
                log.warning("%s: exchangeInfo: %s; asking again in %.1f s", self.life.name, error, wait_s)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(RETRY_S[1], 2 * wait_s)

    # ---- the grid that is read

    def _in_use(self, listed: dict[str, Instrument], *others: Units) -> dict[str, Instrument]:
        """Return listed instruments in units that everything known of them, and others, can be counted in."""
        try:
            return {symbol: in_units(i, *self.tables.units(symbol), *others) for symbol, i in listed.items()}
        except InstrumentError as error:
            raise process.StayDown(str(error)) from None

    def _write(self, table: dict[str, Instrument]) -> None:
        self.table = table
        write_table(self.life.folder / f"instruments.{self.group}.json", table.values())

    def _mind_grid(self, tasks: asyncio.TaskGroup) -> None:
        """Follow the gateway to other units, and ask the venue when the market is off the grid that is read."""
        if self.tables.look():
            self._follow(self._in_use(self.table))
        if self._off_grid() != self.off_grid and not self.asking:
            self.asking = True
            self._start(tasks, self._look_at_grid())

    async def _look_at_grid(self) -> None:
        """Learn the grid anew. What stays off the one that is listed was placed before it was made so coarse."""
        try:
            listed = await self._instruments()
            self._follow(self._in_use(listed))
            self.off_grid = before = self._off_grid()
            await asyncio.sleep(LOOK_S)
            for symbol, count in self._off_grid().items():
                if count - before[symbol] >= OFF_GRID:
                    log.warning("%s: its market is on a finer grid than it is listed with", symbol)
                    finest = Units.printed(listed[symbol])
                    self._follow(self.table | self._in_use({symbol: listed[symbol]}, finest))
        finally:
            self.asking = False

    def _follow(self, table: dict[str, Instrument]) -> None:
        """Adopt other filters; other units are written for the next life, which begins at once."""
        if finer := [symbol for symbol, i in table.items() if i.units_hash != self.table[symbol].units_hash]:
            self.anew = f"{', '.join(finer)}: read in finer ticks or lots from now on"
        if table != self.table:
            self._write(table)

    def _off_grid(self) -> dict[str, int]:
        """Return how many frames of each symbol were off the grid."""
        return {s: int(self.life.segments[f"counters.feed.{s}"].records["off_grid"][0]) for s in self.symbols}

    def _connection(self, path: str, kinds: set[Stream]) -> Connection:
        names = [by_kind[kind] for by_kind in self.names for kind in kinds]

        def on_up():
            self.watchdog.connected(self.core.instruments, kinds, time.monotonic_ns())

        def on_down():
            self.watchdog.disconnected(kinds)
            if BOOK_STREAMS & kinds:
                self._lose(f"/{path} is down", time.monotonic_ns())

        return Connection(
            self.rest,
            path,
            streams.combined_url(self.endpoints, path, names),
            lambda on_end: MarketListener(self.core, self.bells, on_end),
            self.life.counters,
            on_up,
            on_down,
        )

    # ---- books lost and found ----

    def _lose(self, why: str, now_ns: int, indices=None) -> None:
        """Declare books void, at once and for every reader to see."""
        lost = 0
        for index in range(len(self.core.instruments)) if indices is None else indices:
            lost |= self.core.lose(index, now_ns)
        ring_instruments(self.bells, lost)
        if lost:
            log.warning("%s: books are void: %s", self.life.name, why)

    def _watch(self, now_ns: int) -> None:
        for index, behind_ns in self.watchdog.behind(self.core.instruments, now_ns, BEHIND_NS):
            self._lose(f"{self.symbols[index]}: depth is {behind_ns / 1e9:.1f} s behind the top", now_ns, (index,))
        for index, kind, name, silent_ns in self.watchdog.silent(self.core.instruments, now_ns):
            path = streams.path_of(name)
            why = f"{name} under /{path} has been silent for {silent_ns / 1e9:.1f} s"
            self.life.segments[f"counters.feed.{self.symbols[index]}"].records["silent_streams"] += 1
            if kind in BOOK_STREAMS:
                self._lose(why, now_ns, (index,))
            self.watchdog.disconnected({kind})
            self.connections[path].end(why)

    async def _snapshot(self, index: int) -> None:
        """Fetch one snapshot for an instrument whose book wants it."""
        symbol = self.symbols[index]
        sequencer = self.core.instruments[index].sequencer
        await asyncio.sleep(random.uniform(0.0, SNAPSHOT_JITTER_S))
        try:
            body = await self.rest.depth(symbol, SNAPSHOT_LEVELS if sequencer.tries <= 2 else ROW_LEVELS)
        except VenueError as error:
            log.warning("%s: no snapshot: %s", symbol, error)
            if isinstance(error, VenueLimited):
                await asyncio.sleep(error.retry_after_s + random.uniform(0.0, LIMITED_JITTER_S))
            self.core.no_snapshot(index, time.monotonic_ns())
            return
        result = self.core.snapshot(index, body, time.monotonic_ns(), time.time_ns())
        if result == SyncResult.SYNC_DONE:
            ring_instruments(self.bells, 1 << index)
            log.info("%s: book synced, sync_id %d, update id %d", symbol, sequencer.sync_id, sequencer.update_id)
        elif result == SyncResult.SYNC_REFUSED:
            log.warning("%s: snapshot %d does not reach the buffered deltas", symbol, sequencer.tries)
            if sequencer.tries % SNAPSHOT_TRIES == 0:
                self.connections[streams.PUBLIC].end(f"{symbol}: {SNAPSHOT_TRIES} snapshots in a row were too old")
