"""A venue's market data in one small class: exchangeInfo, snapshots and streams of a scripted book, on loopback."""

import asyncio
import json
from collections import Counter
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from picows import WSListener, WSMsgType, ws_create_server

FILTERS = [
    {"maxPrice": "100000", "filterType": "PRICE_FILTER", "minPrice": "0.1", "tickSize": "0.10"},
    {"stepSize": "0.001", "filterType": "LOT_SIZE", "maxQty": "8000", "minQty": "0.001"},
    {"minQty": "0.001", "maxQty": "700", "stepSize": "0.001", "filterType": "MARKET_LOT_SIZE"},
    {"filterType": "MAX_NUM_ORDERS", "limit": 200},
    {"filterType": "MIN_NOTIONAL", "notional": "20"},
    {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500", "multiplierDecimal": "4"},
]


def symbol_info(symbol: str) -> dict:
    return {
        "symbol": symbol,
        "pair": symbol,
        "contractType": "PERPETUAL",
        "status": "TRADING",
        "baseAsset": symbol.removesuffix("USDC"),
        "quoteAsset": "USDC",
        "marginAsset": "USDC",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "filters": FILTERS,
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


class _Client(WSListener):
    def __init__(self, venue: "MarketVenue", path: str, streams: set[str]):
        self.venue, self.path, self.streams = venue, path, streams

    def on_ws_connected(self, transport):
        self.transport = transport
        self.venue.clients.append(self)

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.PONG:
            self.venue.on_pong(frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport):
        self.venue.clients.remove(self)


class MarketVenue:
    """`snapshot(symbol)` answers GET depth; `send` delivers an event to whom asked for it, unless `muted`."""

    def __init__(self, port: int, symbols, snapshot):
        self.port = port
        self.symbols = symbols
        self.snapshot = snapshot
        self.clients: list[_Client] = []
        self.muted: set[str] = set()
        self.connections = Counter()  # by path, for example public
        self.snapshots = 0
        self.on_pong = lambda payload: None

    async def __aenter__(self):
        app = web.Application()
        app.router.add_get("/fapi/v1/exchangeInfo", self._exchange_info)
        app.router.add_get("/fapi/v1/depth", self._depth)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self._server = await ws_create_server(self._accept, "127.0.0.1", self.port + 1)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.drop()
        await self._runner.cleanup()

    async def _exchange_info(self, request):
        return web.json_response({"timezone": "UTC", "symbols": [symbol_info(symbol) for symbol in self.symbols]})

    async def _depth(self, request):
        self.snapshots += 1
        return web.json_response(self.snapshot(request.query["symbol"]))

    def _accept(self, request):
        parts = urlsplit(request.path.decode())
        self.connections[parts.path.split("/")[1]] += 1
        return _Client(self, parts.path, set(parse_qs(parts.query)["streams"][0].split("/")))

    def send(self, stream: str, event: dict) -> None:
        if stream not in self.muted:
            self.send_raw(stream, json.dumps({"stream": stream, "data": event}, separators=(",", ":")).encode())

    def send_raw(self, stream: str, frame: bytes) -> None:
        for client in list(self.clients):
            if stream in client.streams:
                client.transport.send(WSMsgType.TEXT, frame)

    def drop(self) -> None:
        for client in list(self.clients):
            client.transport.disconnect(graceful=False)

    async def wait_for(self, stream: str, timeout_s: float = 20.0) -> None:
        """Wait until somebody listens to a stream."""
        async with asyncio.timeout(timeout_s):
            while not any(stream in client.streams for client in self.clients):
                await asyncio.sleep(0.01)
