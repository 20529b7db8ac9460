"""The account's private stream: listenKey, socket, keep-alive, daily roll, reconnect.

The listenKey is one per account, shared with whoever else listens, so it is never deleted. Before its 24 hours are
over a connection is replaced by the next one while it still delivers; whoever reads the events keys fills by trade id.
"""

import asyncio
import logging
import random
import time

import numpy as np
from picows import WSError, WSListener, WSMsgType

from phx._core.records import PROCESS_COUNTERS
from phx.venue.binance import websocket
from phx.venue.binance.endpoints import Endpoints
from phx.venue.binance.messages import FrameRefused, ListenKeyExpired, UnknownEvent, user_event
from phx.venue.binance.rest import Rest
from phx.venue.binance.streams import private_url
from phx.venue.interface import OnEvent, VenueError

KEEP_ALIVE_S = 30 * 60.0  # a listenKey lives 60 minutes
ROLL_S = 23.0 * 3600.0  # a connection lives 24 hours
ROLL_RETRY_S = 60.0  # the next connection could not be made: the old one still delivers
BACK_OFF_S = (0.1, 8.0)  # first and longest wait before connecting again
STEADY_S = 30.0  # a connection that lived so long resets the back-off
PING_IDLE_S = 10.0
CONNECT_ERRORS = (VenueError, WSError, OSError, TimeoutError)

log = logging.getLogger("phx.venue")
logging.getLogger("picows").setLevel(logging.WARNING)  # it tells URLs at INFO; ours hold the listenKey


def told(error: Exception) -> str:
    """Return an error's text for the log; of picows' only the kind, because some of its texts quote the URL."""
    return str(error) if isinstance(error, VenueError) else type(error).__name__


class PrivateListener(WSListener):
    """One connection. `ended` is set when it is of no more use, with `why`."""

    def __init__(self, stream: "BinanceUserStream"):
        self.stream = stream
        self.ended = asyncio.Event()
        self.why = ""
        self.transport = None

    def end(self, why: str) -> None:
        self.why = self.why or why
        self.ended.set()

    def on_ws_connected(self, transport):
        self.transport = transport

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.CLOSE:
            self.end("closed by the venue")
            transport.disconnect()
            return
        if frame.msg_type not in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            return
        if frame.msg_type == WSMsgType.CONTINUATION or not frame.fin:
            self.stream.refuse("a fragmented frame")
            return
        self.stream.take(self, frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport):
        self.stream.counters["disconnects"] += 1
        self.end("disconnected")


class BinanceUserStream:
    """Delivers events to `on_event(event, recv_mono_ns, recv_utc_ns)` and says by `on_up(bool)` when it may be trusted.

    After every `on_up(True)` the owner reconciles: what happened while it was down is not repeated. A frame that
    cannot be read ends the connection, for the same reason.
    """

    def __init__(self, rest: Rest, endpoints: Endpoints, on_event: OnEvent, on_up, counters=None):
        self.rest = rest
        self.endpoints = endpoints
        self.on_event = on_event
        self.on_up = on_up
        self.counters = np.zeros(1, PROCESS_COUNTERS) if counters is None else counters
        self.up = False
        self.last_event_mono_ns = 0
        self.unknown_kinds: set[str] = set()
        self._current: PrivateListener | None = None

    def suspect(self, why: str) -> None:
        """Reconnect with a fresh key: the owner saw the venue act without the stream telling (a silent listenKey)."""
        if self._current is not None:
            self._current.end(why)

    def refuse(self, why: str) -> None:
        self.counters["frames_refused"] += 1
        self.suspect(why)

    def take(self, listener: PrivateListener, frame: bytes) -> None:
        """Decode one frame and hand it on."""
        recv_mono_ns, recv_utc_ns = time.monotonic_ns(), time.time_ns()
        self.counters["frames"] += 1
        try:
            event = user_event(frame)
        except FrameRefused as error:
            log.warning("user stream: %s", error)
            self.refuse("a frame that cannot be read")
            return
        self.last_event_mono_ns = recv_mono_ns
        if isinstance(event, UnknownEvent):
            self.counters["frames_unknown"] += 1
            if event.kind not in self.unknown_kinds:
                self.unknown_kinds.add(event.kind)
                log.warning("user stream: ignoring events of the unknown kind %.40s", event.kind)
        elif isinstance(event, ListenKeyExpired):
            listener.end("listenKey expired")
        self.on_event(event, recv_mono_ns, recv_utc_ns)

    async def run(self) -> None:
        """Connect, keep alive and reconnect until cancelled."""
        back_off_s = BACK_OFF_S[0]
        try:
            while True:
                await self.rest.wait_out()
                connected_s = time.monotonic()
                try:
                    why = await self._live()
                except CONNECT_ERRORS as error:
                    self.rest.handshake_failed(error)
                    why = told(error)
                self._say(False)
                if time.monotonic() - connected_s > STEADY_S:
                    back_off_s = BACK_OFF_S[0]
                wait_s = back_off_s * random.uniform(0.5, 1.0)
                log.warning("user stream: %s; connecting again in %.1f s", why, wait_s)
                await asyncio.sleep(wait_s)
                back_off_s = min(BACK_OFF_S[1], 2 * back_off_s)
        finally:
            self._say(False)
            if self._current is not None and self._current.transport is not None:
                self._current.transport.disconnect()

    def _say(self, up: bool) -> None:
        if up != self.up:
            self.up = up
            self.on_up(up)

    async def _connect(self) -> PrivateListener:
        key = await self.rest.listen_key_start()
        listener = await websocket.connect(
            lambda: PrivateListener(self),
            private_url(self.endpoints, key),
            enable_auto_ping=True,
            auto_ping_idle_timeout=PING_IDLE_S,
        )
        self.counters["connects"] += 1
        return listener

    async def _live(self) -> str:
        """Be connected until something ends it; return what."""
        listener = self._current = await self._connect()
        keep_alive = asyncio.create_task(self._keep_alive())
        roll_in_s = ROLL_S * random.uniform(0.98, 1.0)
        try:
            self._say(True)
            while True:
                try:
                    await asyncio.wait_for(listener.ended.wait(), roll_in_s)
                    return listener.why
                except TimeoutError:
                    pass
                # The next connection first, then leave the old one: no event falls between them.
                try:
                    old, listener = listener, await self._connect()
                except CONNECT_ERRORS as error:
                    self.rest.handshake_failed(error)
                    log.warning("user stream: not rolled yet: %s", told(error))
                    roll_in_s = ROLL_RETRY_S
                    continue
                self._current = listener
                old.transport.disconnect()
                roll_in_s = ROLL_S * random.uniform(0.98, 1.0)
                log.info("user stream: rolled to a new connection")
        finally:
            keep_alive.cancel()
            if listener.transport is not None:
                listener.transport.disconnect()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_S * random.uniform(0.9, 1.0))
            try:
                await self.rest.listen_key_keepalive()
            except VenueError as error:
                # Gone or not, a new key settles it: the venue returns the running one if it still lives.
                self.suspect(f"listenKey not extended: {error}")
