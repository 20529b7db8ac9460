"""A plain client of the simulated venue for its tests: aiohttp, signatures by hand, nothing of phx's own venue code."""

import hashlib
import hmac
import time

import aiohttp
import msgspec
from yarl import URL


class SimClient:
    """REST and WebSocket calls against one venue. Use as `async with`."""

    def __init__(self, port: int, api_key: str, secret: str):
        self.rest = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port + 1}"
        self.api_key = api_key
        self.secret = secret
        self.headers = {"X-MBX-APIKEY": api_key}

    async def __aenter__(self):
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *error):
        await self.session.close()

    def signature(self, payload: str) -> str:
        return hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    def query(self, **params) -> str:
        """Return parameters as a signed query string."""
        params.setdefault("timestamp", int(time.time() * 1000))
        text = "&".join(f"{name}={value}" for name, value in params.items())
        return f"{text}&signature={self.signature(text)}"

    async def get(self, path: str, **params):
        query = "&".join(f"{name}={value}" for name, value in params.items())
        return await self.request("GET", f"{path}?{query}" if query else path)

    async def signed(self, method: str, path: str, **params):
        return await self.request(method, f"{path}?{self.query(**params)}")

    async def request(self, method: str, target: str, **options):
        """Return (status, decoded answer, headers)."""
        options.setdefault("headers", self.headers)
        # The URL is signed as sent: its quoting must stay.
        async with self.session.request(method, URL(self.rest + target, encoded=True), **options) as reply:
            body = await reply.read()
            is_json = reply.content_type == "application/json"
            return reply.status, msgspec.json.decode(body) if is_json else body, reply.headers

    async def place(self, **params):
        params = {
            "symbol": "BTCUSDC",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTX",
            "quantity": "0.01",
        } | params
        return await self.signed("POST", "/fapi/v1/order", **params)

    def ws_params(self, **params) -> dict:
        """Return parameters of a WS-API request with key and signature."""
        params |= {"apiKey": self.api_key, "timestamp": int(time.time() * 1000)}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        return params | {"signature": self.signature(payload)}

    async def user_stream(self):
        """Return a connection that hears the account's events."""
        _, answer, _ = await self.request("POST", "/fapi/v1/listenKey")
        return await self.session.ws_connect(f"{self.ws}/private/ws/{answer['listenKey']}")


async def next_json(connection, timeout_s: float = 5.0):
    return msgspec.json.decode((await connection.receive(timeout_s)).data)


async def heard(connection, seconds: float) -> list:
    """Return everything a connection receives for a while."""
    end, found = time.monotonic() + seconds, []
    while (left := end - time.monotonic()) > 0:
        try:
            found.append(await next_json(connection, left))
        except TimeoutError:
            break
    return found
