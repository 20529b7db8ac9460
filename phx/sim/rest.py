"""The REST server: parameters from query and body, signatures over the raw bytes, weights, headers, refusals."""

import logging
from urllib.parse import parse_qsl, unquote

import msgspec
from aiohttp import web

from phx.sim.refusals import Refused
from phx.sim.rest_api import ENDPOINTS, ORDER, PUBLIC, SIGNED, Call
from phx.sim.venue import Venue

MAX_BODY_BYTES = 256 * 1024
ADMIN_PATH = "/sim/"

log = logging.getLogger("phx.sim")


class RestServer:
    """Answers every path; what it does not know is a plain 404, as at the venue's gateway."""

    def __init__(self, venue: Venue):
        self.venue = venue

    async def handle(self, request: web.Request) -> web.Response:
        path, _, raw_query = request.raw_path.partition("?")
        if path.startswith(ADMIN_PATH) and request.method == "GET":
            return self._admin(path, parameters(raw_query, b""))
        endpoint = ENDPOINTS.get((request.method, path))
        if endpoint is None:
            return web.Response(status=404, text="<html><body><h2>404 Not found</h2></body></html>")
        body = await request.read()
        now_ms = self.venue.now_ms()
        limits = self.venue.exchange.limits
        headers = {}
        try:
            params = parameters(raw_query, body)
            limits.use_weight(now_ms, endpoint.weight_of(params))
            key = self._authorise(request, endpoint, params, raw_query, body.decode("utf-8", "replace"))
            if endpoint.kind == ORDER:
                limits.use_orders(now_ms, *endpoint.order_counts)
            if endpoint.is_delayed:
                await self.venue.delay.wait()
            now_ns = self.venue.now_ns()
            answer = endpoint.handler(Call(self.venue, key.account if key else None, params, now_ns))
            status, payload = 200, answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
        except Refused as refusal:
            status, payload = refusal.status, msgspec.json.encode(refusal.body())
            if refusal.retry_after_s:
                headers["Retry-After"] = str(refusal.retry_after_s)
        headers["X-MBX-USED-WEIGHT-1M"] = str(limits.weight.count(now_ms))
        if endpoint.kind == ORDER:
            headers["X-MBX-ORDER-COUNT-10S"] = str(limits.orders_10s.count(now_ms))
            headers["X-MBX-ORDER-COUNT-1M"] = str(limits.orders_1m.count(now_ms))
        return _json(payload, status, headers)

    def _admin(self, path: str, params: dict) -> web.Response:
        """Answer what no venue offers: its own truth, for tests and summaries. phx never trades on it."""
        if path == ADMIN_PATH + "ledger":
            return _json(msgspec.json.encode(self.venue.ledger_report()), 200, {})
        if path == ADMIN_PATH + "orders":
            return _json(msgspec.json.encode(self.venue.ledger_orders(params.get("symbol", ""))), 200, {})
        return web.Response(status=404)

    def _authorise(self, request: web.Request, endpoint, params: dict, raw_query: str, raw_body: str):
        if endpoint.security == PUBLIC:
            return None
        key = self.venue.keys.of(request.headers.get("X-MBX-APIKEY"))
        if endpoint.security == SIGNED:
            sent = unsigned(raw_query) + unsigned(raw_body)
            # Clients disagree on whether to sign before or after percent-encoding: either is accepted.
            forms = dict.fromkeys((sent.encode(), unquote(sent).encode()))
            self.venue.keys.check(key, forms, params.get("signature"))
            self.venue.check_time(params)
        return key


def parameters(raw_query: str, body: bytes) -> dict:
    """Return the parameters of query and form body, whatever the content type says; the query wins."""
    params = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    params.update(parse_qsl(raw_query, keep_blank_values=True))
    return params


def unsigned(raw: str) -> str:
    """Return a query string without its signature."""
    return "&".join(part for part in raw.split("&") if not part.startswith("signature="))


def _json(payload: bytes, status: int, headers: dict) -> web.Response:
    return web.Response(body=payload, status=status, content_type="application/json", headers=headers)


async def serve(venue: Venue, port: int) -> web.AppRunner:
    """Listen on loopback; return the runner, whose cleanup() ends it."""
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", RestServer(venue).handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner
