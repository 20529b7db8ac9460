"""The WebSocket server: market and user streams on every path the venue knows, and the door to the WS-API.

Strict as the venue: a stream asked for on a path that does not carry it is acknowledged and stays silent.
"""

import logging
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import picows

from phx.sim.api import control
from phx.sim.api.connection import MAX_MESSAGE_BYTES, Connection, Timing
from phx.sim.api.handshake import Handshake
from phx.sim.api.ws_api import ApiSession
from phx.sim.faults.catalogue import At
from phx.sim.faults.wire import Raw, reset
from phx.sim.latency import Line
from phx.sim.refusals import Refused
from phx.sim.streams.hub import path_of
from phx.sim.venue import Venue

API_PATH = "/ws-fapi/v1"
HANDSHAKE_WEIGHT = 5
CATEGORIES = ("public", "market", "private")
MAX_TOLD = 100  # of what is logged once of each kind

log = logging.getLogger("phx.sim")


class StreamListener(Connection):
    """A connection to streams. category: "" or one of CATEGORIES; combined: frames name their stream.

    streams: wanted from the start. events: listen key → names of its events that are wanted; all where there are none.
    """

    def __init__(
        self,
        venue: Venue,
        category: str,
        combined: bool,
        streams: list[str],
        events: dict[str, set[str]],
        timing: Timing,
    ):
        super().__init__(timing, venue.connections, category)
        self.venue = venue
        self.category = category
        self.combined = combined
        self.streams: dict[str, None] = {}  # in the order of subscription
        self.events = events
        self._wanted_at_start = streams
        self._way = Line()

    def on_ws_connected(self, transport) -> None:
        super().on_ws_connected(transport)
        self._reply(control.begin(self, self._wanted_at_start))

    def on_ws_disconnected(self, transport) -> None:
        super().on_ws_disconnected(transport)
        for stream in self.streams:
            self.venue.hub.unsubscribe(stream, self)
        self.venue.trouble.forget(self)

    def send(self, stream: str, payload: bytes) -> None:
        if self.events and stream in self.events:
            name = payload[6 : payload.index(b'"', 6)].decode()  # {"e":"NAME",...
            if name not in self.events[stream]:
                return
        is_market = "@" in stream or stream.startswith("!")
        if is_market and self.venue.trouble.market.concerned:
            self._send_troubled(stream, payload)
        else:
            self._send(stream, payload, is_market)

    def _send(self, stream: str, payload: bytes, is_market: bool = True) -> None:
        is_plain = not self.combined or isinstance(payload, Raw)
        frame = payload if is_plain else self.venue.hub.in_envelope(stream, payload)
        latency = self.venue.latency
        self._way.send(latency.feed_ns() if is_market else latency.ack_ns(), lambda: self.write(frame))

    def _send_troubled(self, stream: str, payload: bytes) -> None:
        """Send what becomes of a market frame while faults are on."""
        for delay_s, sent in self.venue.trouble.frames(self, stream, payload):
            self.venue.trouble.later(delay_s, lambda sent=sent: self._send(stream, sent))

    def _carries(self, stream: str) -> bool:
        """Whether this path delivers a stream."""
        return not self.venue.strict_paths or (self.category or "public") == path_of(stream)

    def subscribe(self, streams: list[str]) -> None:
        for stream in streams:
            if stream not in self.streams:
                self.streams[stream] = None
                if self._carries(stream):
                    self.venue.hub.subscribe(stream, self)
                    if self.venue.trouble.at[At.USER_EVENT]:
                        self.venue.trouble.replay(self, stream)
                else:
                    self._tell_of_silence(stream)

    def _tell_of_silence(self, stream: str) -> None:
        """Say once of each kind what the venue never says: that nothing will come here."""
        path, kind = path_of(stream), stream.partition("@")[2] or "a listen key"
        if (self.category, kind) in self.venue.told_silent or len(self.venue.told_silent) >= MAX_TOLD:
            return
        self.venue.told_silent.add((self.category, kind))
        here = f"/{self.category}" if self.category else "a path without /public, /market or /private"
        shown = "a listen key" if path == "private" else repr(stream[:100])
        log.warning("sim: %s stays silent on %s, as at the venue; its path is /%s", shown, here, path)

    def unsubscribe(self, streams: list[str]) -> None:
        for stream in streams:
            self.streams.pop(stream, None)
            self.venue.hub.unsubscribe(stream, self)

    def on_text(self, payload: bytes) -> None:
        self._reply(control.answer(self, payload))

    def _reply(self, answer: control.Answer) -> None:
        if answer.payload:
            self.write(answer.payload)
        if answer.is_last:
            self.close(picows.WSCloseCode.POLICY_VIOLATION, "Invalid request")


class ApiListener(Connection):
    """A connection to the WS-API. Requests are limited by weight; pings and pongs by number."""

    max_messages = 5
    counted = (picows.WSMsgType.PING, picows.WSMsgType.PONG)

    def __init__(self, venue: Venue, show_limits: bool, timing: Timing):
        super().__init__(timing, venue.connections, "api")
        self.session = ApiSession(venue, self.write, show_limits)

    def on_ws_connected(self, transport) -> None:
        super().on_ws_connected(transport)
        self.session.address = transport.underlying_transport.get_extra_info("peername")[0]

    def on_text(self, payload: bytes) -> None:
        self.session.on_request(payload)


def asked_for(parts: list[str], query: list[tuple[str, str]]) -> tuple[list[str], dict[str, set[str]]]:
    """Return the streams of a path and query, and which events are wanted of which listen key.

    `events` speaks of the listen key before it: in the query, or else in the path.
    """
    streams, events = list(parts), {}
    keys = parts
    for name, value in query:
        values = [part for part in value.split("/") if part]
        if name in ("streams", "listenKey"):
            streams += values
            keys = values
        elif name == "events" and values:
            for key in keys:
                events.setdefault(key, set()).update(values)
    return streams, events


class ShutDoor(picows.WSListener):
    """A connection that ends as soon as it is there."""

    def __init__(self, breaks: bool):
        self.breaks = breaks

    def on_ws_connected(self, transport) -> None:
        if self.breaks:
            reset(transport.underlying_transport)
        else:
            transport.disconnect(graceful=False)


def refused(how: str, body: bytes = b"", wait_s: int = 0) -> picows.WSListener | picows.WSUpgradeResponseWithListener:
    """Return what becomes of a handshake that fails. how: a status, "close" or "reset"; the rest goes with a status."""
    if how in ("close", "reset"):
        return ShutDoor(how == "reset")
    headers = {"Retry-After": str(wait_s)} if wait_s else None
    answer = picows.WSUpgradeResponse.create_error_response(int(how), body or how.encode(), headers)
    return picows.WSUpgradeResponseWithListener(answer, None)


def route(venue: Venue, target: str, timing: Timing = Timing()):  # noqa: B008
    """Return the connection for a request's path and query, None where there is nothing."""
    url = urlsplit(target)
    query = parse_qsl(url.query, keep_blank_values=True)
    path = url.path.rstrip("/")
    if path == API_PATH:
        how = venue.trouble.handshake("api")
        if how:
            return refused(how)
        try:
            venue.exchange.limits.use_weight(venue.now_ms(), HANDSHAKE_WEIGHT)
        except Refused as limit:
            return refused(str(limit.status), msgspec.json.encode(limit.body()), limit.retry_after_s)
        return ApiListener(venue, dict(query).get("returnRateLimits") != "false", timing)
    parts = [unquote(part) for part in path.split("/")[1:]]
    category = parts.pop(0) if parts and parts[0] in CATEGORIES else ""
    form = parts.pop(0) if parts else "ws"
    if form not in ("ws", "stream"):
        return None
    how = venue.trouble.handshake(category)
    if how:
        return refused(how)
    streams, events = asked_for([part for part in parts if part], query)
    return StreamListener(venue, category, form == "stream", streams, events, timing)


async def serve(venue: Venue, port: int, timing: Timing = Timing()):  # noqa: B008
    """Listen on loopback; return the server."""
    server = await picows.ws_create_server(
        lambda request: route(venue, request.path.decode("utf-8", "replace"), timing),
        "127.0.0.1",
        port,
        max_frame_size=MAX_MESSAGE_BYTES,
        enable_auto_pong=False,  # pings are counted, so they are answered here
        start_serving=False,
    )
    opened = server._protocol_factory
    server._protocol_factory = lambda: Handshake(opened())
    await server.start_serving()
    return server
