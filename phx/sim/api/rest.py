"""The REST server: parameters from query and body, signatures over the raw bytes, weights, headers, refusals."""

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from phx.sim import admin
from phx.sim.api.handshake import Handshake, asks_for_websocket, hand_over
from phx.sim.api.request import Call, Endpoint, Kind, Security
from phx.sim.api.rest_api import ENDPOINTS
from phx.sim.faults.hostile import TORN_ANSWER
from phx.sim.faults.requests import UNHARMED, Page, carried_out
from phx.sim.faults.wire import reset
from phx.sim.keys.signing import READ, TRADE, Key, sent_signature, signed_forms
from phx.sim.refusals import Blocked, Refused
from phx.sim.venue import Venue

MAX_BODY_BYTES = 256 * 1024
ADMIN_PATH = "/sim/"
GIVEN_UP_S = 60.0  # of a request that is never answered
GONE_EVERY_S = 0.5  # is looked whether its client has given up before
SHUTDOWN_S = 1.0  # for requests under way when the venue ends
NOT_FOUND = "<html><body><h2>404 Not found</h2></body></html>"
METHODS: dict[str, list[str]] = {}  # path → what may be done with it
for _method, _path in ENDPOINTS:
    METHODS.setdefault(_path, []).append(_method)

log = logging.getLogger("phx.sim")


class RestServer:
    """Answers every path; what it does not know is a plain 404, as at the venue's gateway."""

    def __init__(self, venue: Venue, websockets: Callable[[], Handshake] | None = None):
        self.venue = venue
        self._websockets = websockets

    async def handle(self, request: web.Request) -> web.Response:
        if self._websockets is not None and asks_for_websocket(request):
            return await hand_over(request, self._websockets)
        path, _, raw_query = origin_form(request.raw_path).partition("?")
        if (path.startswith(ADMIN_PATH) or path == ADMIN_PATH[:-1]) and is_loopback(request.remote):
            return admin.answer(self.venue, path.removeprefix(ADMIN_PATH), dict(parse_qsl(raw_query)), request.method)
        endpoint = ENDPOINTS.get(("GET" if request.method == "HEAD" else request.method, path))
        if endpoint is None:
            return _without_endpoint(request.method, path)
        raw_body = (await request.read()).decode("utf-8", "replace")
        now_ms = self.venue.now_ms()
        limits = self.venue.exchange.limits
        headers = {}
        key, fate = None, UNHARMED
        try:
            # Weight is spent by whoever asks, even with a broken question.
            in_query, in_body = pairs(raw_query), pairs(raw_body)
            params = dict(in_body + in_query)  # the query wins
            limits.use_weight(now_ms, endpoint.weight_of(params))
            refuse_repeated(in_query, in_body)
            key = self._authorise(request, endpoint, params, raw_query, raw_body)
            fate = self.venue.trouble.fate_of(endpoint.work, params, key)
            if endpoint.kind == Kind.ORDER:
                limits.use_orders(now_ms, key.account.owner, *endpoint.order_counts)
            await self._travel(endpoint.request_ns(self.venue.latency) + round(fate.wait_s * 1e9))
            answer = carried_out(
                endpoint, Call(self.venue, key, params, self.venue.now_ns()), fate, self.venue.trouble.later
            )
            status, (payload, content_type) = 200, fate.written(msgspec.json.encode(answer))
        except Blocked:
            return web.Response(status=403, text=Blocked.PAGE, content_type="text/html")
        except Refused as refusal:
            if endpoint.kind == Kind.ORDER and key is not None and not refusal.uses_order_count:
                limits.return_orders(now_ms, key.account.owner, *endpoint.order_counts)
            status, payload, content_type = refusal.status, msgspec.json.encode(refusal.body()), "application/json"
            if isinstance(refusal, Page):
                payload, content_type = refusal.page.encode(), refusal.content_type
            if refusal.retry_after_s:
                headers["Retry-After"] = str(refusal.retry_after_s)
        if endpoint.kind != Kind.READ:
            await self._travel(self.venue.latency.ack_ns())
        if fate.reply_in_s is None:
            await self._never(request)
        await self._travel(round((fate.reply_in_s or 0) * 1e9))
        if fate.torn and request.transport is not None:
            request.transport.write(TORN_ANSWER)
            reset(request.transport)
            return web.Response()
        headers["X-MBX-USED-WEIGHT-1M"] = str(limits.weight.count(now_ms))
        if endpoint.kind == Kind.ORDER and key is not None:
            windows = limits.orders[key.account.owner]
            headers["X-MBX-ORDER-COUNT-10S"] = str(windows.in_10s.count(now_ms))
            headers["X-MBX-ORDER-COUNT-1M"] = str(windows.in_1m.count(now_ms))
        return web.Response(body=payload, status=status, content_type=content_type, headers=headers)

    @staticmethod
    async def _travel(latency_ns: int) -> None:
        if latency_ns > 0:
            await asyncio.sleep(latency_ns / 1e9)

    @staticmethod
    async def _never(request: web.Request) -> None:
        """Leave a request without an answer until its client, or this venue, gives up."""
        for _ in range(int(GIVEN_UP_S / GONE_EVERY_S)):
            await asyncio.sleep(GONE_EVERY_S)
            if request.transport is None or request.transport.is_closing():
                return
        request.transport.close()

    def _authorise(self, request: web.Request, endpoint: Endpoint, params: dict, raw_query, raw_body) -> Key | None:
        if endpoint.security == Security.PUBLIC:
            return None
        permission = TRADE if endpoint.security == Security.TRADE else READ
        key = self.venue.keys.of(request.headers.get("X-MBX-APIKEY"), request.remote or "", permission)
        if endpoint.security >= Security.SIGNED:
            self.venue.keys.check(key, signed_forms(raw_query, raw_body), sent_signature(params))
            self.venue.check_time(params)
        return key


def is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def origin_form(target: str) -> str:
    """Return a request's target without scheme and host, with which proxies are asked (RFC 9112, 3.2.2)."""
    scheme, _, rest = target.partition("://")
    return "/" + rest.partition("/")[2] if scheme.lower() in ("http", "https") else target


def pairs(raw: str) -> list[tuple[str, str]]:
    """Return the parameters of a query or a form body, whatever its content type says."""
    return parse_qsl(raw, keep_blank_values=True)


def refuse_repeated(*places: list[tuple[str, str]]) -> None:
    """Refuse a parameter that stands twice in the same place."""
    for found in places:
        if len({name for name, _ in found}) != len(found):
            raise Refused(-1101)


def _without_endpoint(method: str, path: str) -> web.Response:
    allowed = METHODS.get(path)
    if allowed is None:
        return web.Response(status=404, text=NOT_FOUND, content_type="text/html")
    if method == "OPTIONS":
        return web.Response(headers={"Allow": ", ".join([*allowed, "OPTIONS"])})
    refusal = Refused(-5000, path, method)
    return _json(msgspec.json.encode(refusal.body()), refusal.status, {})


def _json(payload: bytes, status: int, headers: dict) -> web.Response:
    return web.Response(body=payload, status=status, content_type="application/json", headers=headers)


async def prepare(venue: Venue, websockets: Callable[[], Handshake] | None = None) -> web.AppRunner:
    """Return the server that listens nowhere yet: `runner.server` makes its protocols, `cleanup()` ends it.

    websockets: makes the protocols of connections that turn to WebSockets after their first request.
    """
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", RestServer(venue, websockets).handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    return runner
