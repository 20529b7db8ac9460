"""A venue of fifty lines for tests: REST on loopback that remembers what it was asked and answers what it is told.

It runs on its own thread, so that it also serves the processes a test starts.
"""

import asyncio
import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import web


@dataclass
class Call:
    method: str
    path: str
    params: dict
    raw: str  # query and body as they came, joined without a separator, as the signature covers them
    headers: dict
    mono_ns: int


@dataclass
class Reply:
    """status 0: hang up without an answer. delay_s: think first."""

    body: object = None
    status: int = 200
    headers: dict = field(default_factory=dict)
    delay_s: float = 0.0


class StubVenue:
    """`orders`: symbol → client order ids listed as open. `script`: (method, path) → replies used up one by one."""

    def __init__(self):
        self.calls: list[Call] = []
        self.orders = defaultdict(list)
        self.script = defaultdict(list)
        self.keep_orders = False  # true: cancel-all changes nothing, as with orders accepted late
        self.weight = 1
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "StubVenue":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of(self, method: str, path: str) -> list[Call]:
        return [call for call in list(self.calls) if (call.method, call.path) == (method, path)]

    def _run(self):
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._serve)
        runner = web.AppRunner(app, access_log=None)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.port = site._server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _serve(self, request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        raw = request.rel_url.raw_query_string + body
        params = dict(parse_qsl(request.rel_url.raw_query_string) + parse_qsl(body))
        call = Call(request.method, request.path, params, raw, dict(request.headers), time.monotonic_ns())
        self.calls.append(call)
        told = self.script[call.method, call.path]
        reply = told.pop(0) if told else Reply(self._usual(call))
        await asyncio.sleep(reply.delay_s)
        if reply.status == 0:
            request.transport.abort()
            return web.Response()
        headers = {"X-MBX-USED-WEIGHT-1M": str(self.weight), **reply.headers}
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        return web.Response(text=text, status=reply.status, headers=headers)

    def _usual(self, call: Call):
        symbol = call.params.get("symbol", "")
        match call.method, call.path:
            case "GET", "/fapi/v1/time":
                return {"serverTime": time.time_ns() // 1_000_000}
            case "POST", "/fapi/v1/countdownCancelAll":
                return {"symbol": symbol, "countdownTime": call.params["countdownTime"]}
            case "DELETE", "/fapi/v1/allOpenOrders":
                if not self.keep_orders:
                    self.orders[symbol].clear()
                return {"code": 200, "msg": "The operation of cancel all open order is done."}
            case "GET", "/fapi/v1/openOrders":
                return [order(symbol, coid) for coid in self.orders[symbol]]
            case "POST", "/fapi/v1/listenKey":
                return {"listenKey": "listen-key-canary"}
            case "PUT", "/fapi/v1/listenKey":
                return {}
        return {}


def order(symbol: str, coid: str, **changes) -> dict:
    """Return an order row as openOrders lists it (padded and stripped decimals as captured)."""
    row = {
        "orderId": 30130000000,
        "symbol": symbol,
        "status": "NEW",
        "clientOrderId": coid,
        "price": "86550",
        "avgPrice": "0",
        "origQty": "0.001",
        "executedQty": "0",
        "cumQuote": "0.0000",
        "timeInForce": "GTX",
        "type": "LIMIT",
        "reduceOnly": False,
        "closePosition": False,
        "side": "BUY",
        "positionSide": "BOTH",
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": "LIMIT",
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "time": 1745000000000,
        "updateTime": 1745000000001,
    }
    return row | changes
