"""One of the venue's stream URLs, kept connected: reconnects with jittered back-off, rolls before its day is over."""

import asyncio
import logging
import random
import time

from picows import WSError

from phx._core.edge.market_listener import MarketListener
from phx.venue.binance import websocket
from phx.venue.binance.rest import Rest

ROLL_S = 23 * 3600.0  # the venue closes a connection after 24 h
OVERLAP_S = 2.0  # old and new connection deliver both, so that no delta falls between them
BACK_OFF_S = (0.1, 8.0)  # first and longest wait before connecting again: a venue that is back is quoted on soon
CONNECT_TIMEOUT_S = 5.0
STEADY_S = 60.0  # a connection that lived so long resets the back-off

log = logging.getLogger("phx.feed")
logging.getLogger("picows").setLevel(logging.WARNING)  # one line per connection is enough, and it is ours


class Connection:
    """Keeps one URL connected. on_up() and on_down() say when its streams are to be expected, and when they are gone.

    rest: knows of limits at this address, and is told of those that a handshake meets. new_listener(on_end): makes the
    listener of a connection. counters: of the process.
    """

    def __init__(self, rest: Rest, path: str, url: str, new_listener, counters, on_up, on_down):
        self.rest = rest
        self.path = path
        self.url = url
        self.new_listener = new_listener
        self.counters = counters
        self.on_up = on_up
        self.on_down = on_down
        self._listener: MarketListener | None = None
        self._ended = asyncio.Event()
        self._why = ""

    def end(self, why: str) -> None:
        """Give this connection up and make another."""
        self._why = self._why or why
        self._ended.set()

    async def run(self) -> None:
        """Connect and reconnect until cancelled."""
        back_off_s = BACK_OFF_S[0]
        while True:
            await self.rest.wait_out()
            started_s = time.monotonic()
            try:
                why = await self._live()
            except (WSError, OSError, TimeoutError) as error:
                self.rest.handshake_failed(error)
                why = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            if time.monotonic() - started_s > STEADY_S:
                back_off_s = BACK_OFF_S[0]
            wait_s = back_off_s * random.uniform(0.5, 1.0)
            log.warning("/%s: %s; connecting again in %.1f s", self.path, ascii(why)[1:-1], wait_s)
            await asyncio.sleep(wait_s)
            back_off_s = min(BACK_OFF_S[1], 2 * back_off_s)

    async def _connect(self) -> MarketListener:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            listener = await websocket.connect(
                lambda: self.new_listener(self._on_end),
                self.url,
                enable_auto_pong=False,  # the listener answers pings itself
            )
        self.counters["connects"] += 1
        return listener

    def _on_end(self, listener, why: str) -> None:
        if listener is self._listener:  # not one that we have left
            self.end(why)

    async def _live(self) -> str:
        """Be connected until something ends it; return what."""
        self._ended.clear()
        self._why = ""
        self._listener = await self._connect()
        log.info("/%s: connected", self.path)
        self.on_up()
        try:
            while True:
                try:
                    async with asyncio.timeout(ROLL_S * random.uniform(0.95, 1.0)):
                        await self._ended.wait()
                    return self._why
                except TimeoutError:
                    await self._roll()
        finally:
            self.counters["disconnects"] += 1
            self._leave(self._listener)
            self._listener = None
            self.on_down()

    async def _roll(self) -> None:
        """Change to a new connection; both deliver for a while, and the core takes each frame once."""
        try:
            following = await self._connect()
        except (WSError, OSError, TimeoutError) as error:
            self.rest.handshake_failed(error)
            log.warning("/%s: no new connection for the daily roll: %s", self.path, type(error).__name__)
            return
        leaving, self._listener = self._listener, following
        try:
            await asyncio.sleep(OVERLAP_S)
        finally:
            self._leave(leaving)
        log.info("/%s: rolled to a new connection", self.path)

    @staticmethod
    def _leave(listener) -> None:
        if listener.transport is not None:
            listener.transport.disconnect()
