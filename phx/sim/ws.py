"""The WebSocket server: market and user streams on every path the venue knows, and the door to the WS-API.

Strict as the venue: a stream asked for on a path that does not carry it is acknowledged and stays silent.
"""

import asyncio
import time
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import picows

from phx.sim.hub import path_of
from phx.sim.refusals import Refused
from phx.sim.venue import Venue
from phx.sim.ws_api import ApiSession

MAX_MESSAGE_BYTES = 64 * 1024
MAX_UNSENT_BYTES = 4 * 1024 * 1024
PAUSE_BYTES = 256 * 1024
MAX_STREAMS = 1024
MESSAGES_PER_S = 10
PING_EVERY_S = 180
PONG_WITHIN_S = 600
API_PATH = "/ws-fapi/v1"
HANDSHAKE_WEIGHT = 5
METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class Listener(picows.WSListener):
    """A connection that never buffers without bound: a client that does not read is dropped."""

    def __init__(self):
        self.transport = None
        self._paused = False
        self._ping_timer = None
        self._answered_s = 0.0  # monotonic time of the last pong

    def on_ws_connected(self, transport) -> None:
        self.transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=PAUSE_BYTES)
        self._answered_s = time.monotonic()
        self._ping_timer = asyncio.get_running_loop().call_later(PING_EVERY_S, self._ping)

    def on_ws_disconnected(self, transport) -> None:
        self._ping_timer.cancel()

    def _ping(self) -> None:
        if time.monotonic() - self._answered_s > PONG_WITHIN_S:
            self.transport.disconnect()
            return
        self.transport.send_ping()
        self._ping_timer = asyncio.get_running_loop().call_later(PING_EVERY_S, self._ping)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False

    def write(self, payload: bytes) -> None:
        if self.transport is None or self.transport.is_disconnected:
            return
        if self._paused and self.transport.underlying_transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.transport.disconnect(graceful=False)
            return
        self.transport.send(picows.WSMsgType.TEXT, payload)

    def on_ws_frame(self, transport, frame) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == picows.WSMsgType.TEXT and frame.fin:
            self.on_text(frame.get_payload_as_bytes())
        elif frame.msg_type == picows.WSMsgType.PONG:
            self._answered_s = time.monotonic()
        elif frame.msg_type in (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY, picows.WSMsgType.CONTINUATION):
            transport.disconnect()  # neither fragments nor binary are part of the protocol

    def on_text(self, payload: bytes) -> None:
        raise NotImplementedError


class StreamListener(Listener):
    """A connection to streams. category: "", public, market or private; combined frames name their stream."""

    def __init__(self, venue: Venue, category: str, combined: bool, streams: list[str], events: set[str]):
        super().__init__()
        self.venue = venue
        self.category = category
        self.combined = combined
        self.streams: dict[str, None] = {}  # in the order of subscription
        self.events = events  # names of the user events wanted; empty = all
        self._wanted_at_start = streams
        self._second = 0
        self._messages = 0

    def on_ws_connected(self, transport) -> None:
        super().on_ws_connected(transport)
        self._subscribe(self._wanted_at_start)

    def on_ws_disconnected(self, transport) -> None:
        super().on_ws_disconnected(transport)
        for stream in self.streams:
            self.venue.hub.unsubscribe(stream, self)

    def send(self, stream: str, payload: bytes) -> None:
        if self.events and payload[6 : payload.index(b'"', 6)].decode() not in self.events:
            return
        if self.combined:
            payload = b'{"stream":"%b","data":%b}' % (stream.encode(), payload)
        self.write(payload)

    def _carries(self, stream: str) -> bool:
        """Whether this path delivers a stream."""
        if not self.venue.strict_paths:
            return True
        if "@" not in stream and not stream.startswith("!"):
            return self.category == "private"
        return (self.category or "public") == path_of(stream)

    def _subscribe(self, streams: list[str]) -> None:
        for stream in streams:
            if stream not in self.streams and len(self.streams) < MAX_STREAMS:
                self.streams[stream] = None
                if self._carries(stream):
                    self.venue.hub.subscribe(stream, self)

    def _unsubscribe(self, streams: list[str]) -> None:
        for stream in streams:
            self.streams.pop(stream, None)
            self.venue.hub.unsubscribe(stream, self)

    def on_text(self, payload: bytes) -> None:
        second = int(time.monotonic())
        self._messages = self._messages + 1 if second == self._second else 1
        self._second = second
        if self._messages > MESSAGES_PER_S:
            self.transport.disconnect()
            return
        self.write(msgspec.json.encode(self._answer(payload)))

    def _answer(self, payload: bytes) -> dict:
        try:
            request = msgspec.json.decode(payload)
        except msgspec.DecodeError:
            return {"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}}
        number = request.get("id") if isinstance(request, dict) else None
        try:
            return {"result": self._execute(request), "id": number}
        except ControlError as error:
            return {"error": {"code": error.code, "msg": str(error)}, "id": number}

    def _execute(self, request):
        method = request.get("method") if isinstance(request, dict) else None
        if method is None:
            raise ControlError(2, "Invalid request: missing field `method` at line 1 column 73")
        if not isinstance(method, str) or method not in METHODS:
            raise ControlError(
                2,
                f"Invalid request: unknown variant `{method}`, expected one of "
                f"{', '.join(f'`{name}`' for name in METHODS)} at line 1 column 28",
            )
        params = request.get("params", [])
        if not isinstance(params, list):
            raise ControlError(2, "Invalid request: params must be a list")
        if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            if not all(isinstance(stream, str) for stream in params):
                raise ControlError(2, "Invalid request: params must be a list of stream names")
            (self._subscribe if method == "SUBSCRIBE" else self._unsubscribe)(params)
            return None
        if method == "LIST_SUBSCRIPTIONS":
            return list(self.streams)
        if not params or not isinstance(params[0], str):
            raise ControlError(2, "Invalid request: property name must be a string")
        if params[0] != "combined":
            raise ControlError(0, "Unknown property")
        if method == "GET_PROPERTY":
            return self.combined
        if len(params) < 2 or not isinstance(params[1], bool):
            raise ControlError(1, "Invalid value type: expected Boolean")
        self.combined = params[1]
        return None


class ControlError(Exception):
    """A refused control request of a stream connection."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code


class ApiListener(Listener):
    """A connection to the WS-API."""

    def __init__(self, venue: Venue, show_limits: bool):
        super().__init__()
        self.session = ApiSession(venue, self.write, show_limits)

    def on_ws_connected(self, transport) -> None:
        super().on_ws_connected(transport)
        self.session.address = transport.underlying_transport.get_extra_info("peername")[0]

    def on_text(self, payload: bytes) -> None:
        self.session.on_request(payload)


def route(venue: Venue, target: str) -> Listener | None:
    """Return the listener for a request's path and query, None where there is nothing."""
    url = urlsplit(target)
    query = parse_qsl(url.query, keep_blank_values=True)
    path = url.path.rstrip("/")
    if path == API_PATH:
        try:
            venue.exchange.limits.use_weight(venue.now_ms(), HANDSHAKE_WEIGHT)
        except Refused:
            return None
        return ApiListener(venue, dict(query).get("returnRateLimits") != "false")
    parts = [unquote(part) for part in path.split("/")[1:]]
    category = parts.pop(0) if parts and parts[0] in ("public", "market", "private") else ""
    form = parts.pop(0) if parts else "ws"
    if form not in ("ws", "stream"):
        return None
    named = [name for key, value in query if key in ("streams", "listenKey") for name in value.split("/")]
    events = {name for key, value in query if key == "events" for name in value.split("/")}
    return StreamListener(venue, category, form == "stream", [*filter(None, parts), *filter(None, named)], events)


async def serve(venue: Venue, port: int):
    """Listen on loopback; return the server."""
    return await picows.ws_create_server(
        lambda request: route(venue, request.path.decode("utf-8", "replace")),
        "127.0.0.1",
        port,
        max_frame_size=MAX_MESSAGE_BYTES,
    )
