"""One WebSocket connection of a client as the venue treats it: pings, its life, limits, and what it does not read."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass

import picows

from phx.sim.faults.wire import Raw, reset

MAX_MESSAGE_BYTES = 64 * 1024
MAX_UNSENT_BYTES = 4 * 1024 * 1024
PAUSE_BYTES = 256 * 1024
WINDOW_S = 1.0  # of the limit of messages
CUT_AFTER_S = 10.0  # for what is unsent when a connection is ended


@dataclass(frozen=True)
class Timing:
    """How long the venue waits: between pings, for a pong, and until it ends a connection."""

    ping_every_s: float = 180.0
    pong_within_s: float = 600.0
    life_s: float = 86_400.0


def text_head(size: int) -> bytes:
    """Return what a server puts before a text message of so many bytes (RFC 6455, 5.2: whole, not masked)."""
    if size < 126:
        return bytes((0x81, size))
    if size < 2**16:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


class Connection(picows.WSListener):
    """Never buffers without bound: a client that does not read is dropped, and slows no other.

    open: where it stands while it is open. route: public, market, private, api, or "" without any.
    """

    max_messages = 10  # in a second; more end the connection
    counted = (picows.WSMsgType.TEXT, picows.WSMsgType.PING, picows.WSMsgType.PONG)

    def __init__(self, timing: Timing, open: set, route: str):
        self.open = open
        self.route = route
        self.transport = None
        self.timing = timing
        self._paused = False
        self._ended = False
        self.frozen = False  # nothing comes through either way
        self._unsent: list[bytes] = []  # heads and payloads of this turn of the loop
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._pings: dict[bytes, float] = {}  # payloads not answered, oldest first → until when they must be
        self._received_s: deque[float] = deque(maxlen=self.max_messages)

    def on_ws_connected(self, transport) -> None:
        self.transport = transport
        self.open.add(self)
        transport.underlying_transport.set_write_buffer_limits(high=PAUSE_BYTES)
        self._later("ping", self.timing.ping_every_s, self._ping)
        self._later("end", self.timing.life_s, lambda: self.close(picows.WSCloseCode.GOING_AWAY, ""))

    def on_ws_disconnected(self, transport) -> None:
        self.open.discard(self)
        for timer in self._timers.values():
            timer.cancel()

    def _later(self, name: str, seconds: float, action) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, action)

    def _ping(self) -> None:
        payload = str(time.time_ns() // 1_000_000).encode()
        self._pings[payload] = time.monotonic() + self.timing.pong_within_s
        if not self.frozen:
            self.transport.send_ping(payload)
        if len(self._pings) == 1:
            self._await_pong()
        self._later("ping", self.timing.ping_every_s, self._ping)

    def _await_pong(self) -> None:
        """Give the oldest unanswered ping its time."""
        left_s = next(iter(self._pings.values())) - time.monotonic()
        self._later("pong", left_s, lambda: self.close(picows.WSCloseCode.POLICY_VIOLATION, "Pong timeout"))

    def _on_pong(self, payload: bytes) -> None:
        """Take an answer to a ping and to those before it; a pong that repeats no payload proves nothing."""
        if payload not in self._pings:
            return
        self._timers["pong"].cancel()
        while next(iter(self._pings)) != payload:
            del self._pings[next(iter(self._pings))]
        del self._pings[payload]
        if self._pings:
            self._await_pong()

    def close(self, code: picows.WSCloseCode, reason: str) -> None:
        """End the connection and say why. Who does not even read that is cut off."""
        if self.frozen or self._ended or self.transport.is_disconnected:
            return
        self._flush()
        self._ended = True
        for timer in self._timers.values():
            timer.cancel()
        self.transport.send_close(code, reason.encode())
        self.transport.disconnect()
        self._later("cut", CUT_AFTER_S, lambda: self.transport.disconnect(graceful=False))

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False

    def write(self, payload: bytes) -> None:
        """Send a message, with the others of this turn of the loop: a call of the kernel costs more than they do."""
        if self._ended or self.frozen or self.transport is None or self.transport.is_disconnected:
            return
        if self._paused and self.transport.underlying_transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._ended = True
            self.transport.disconnect(graceful=False)
            return
        if isinstance(payload, Raw):
            self._write_raw(payload)
            return
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent += text_head(len(payload)), payload

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if unsent and not (self._ended or self.frozen or self.transport.is_disconnected):
            self.transport.underlying_transport.write(b"".join(unsent))

    def _write_raw(self, payload: Raw) -> None:
        self._flush()
        self.transport.underlying_transport.write(payload)
        if payload.is_last:
            self.reset()

    def reset(self) -> None:
        """Break the connection off without a word."""
        self._ended = True
        if self.transport is not None:
            reset(self.transport.underlying_transport)

    def _is_too_many(self) -> bool:
        """Count a message; return whether more than allowed came within a second."""
        now_s, received_s = time.monotonic(), self._received_s
        full = len(received_s) == self.max_messages and now_s - received_s[0] < WINDOW_S
        received_s.append(now_s)
        return full

    def on_ws_frame(self, transport, frame) -> None:
        kind = frame.msg_type
        if self._ended or self.frozen:
            return
        if kind in self.counted and self._is_too_many():
            self.close(picows.WSCloseCode.POLICY_VIOLATION, "Too many requests")
        elif kind == picows.WSMsgType.CLOSE:
            self.close(frame.get_close_code() or picows.WSCloseCode.OK, "")  # without a code none may be sent
        elif kind == picows.WSMsgType.TEXT and frame.fin:
            self.on_text(frame.get_payload_as_bytes())
        elif kind == picows.WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == picows.WSMsgType.PONG:
            self._on_pong(frame.get_payload_as_bytes())
        else:
            self.close(picows.WSCloseCode.UNSUPPORTED_DATA, "")  # neither fragments nor binary are spoken here

    def on_text(self, payload: bytes) -> None:
        raise NotImplementedError
