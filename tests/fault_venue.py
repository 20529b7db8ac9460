"""A simulated venue whose faults are switched on by a file or live, and the questions that show what they do."""

import asyncio
import contextlib
import time
from decimal import Decimal

import aiohttp
import msgspec
from sim_client import SimClient, heard, next_json

from phx.sim.exchange.account import Account
from phx.sim.faults import script
from phx.sim.faults.trouble import Trouble
from phx.sim.keys.signing import Key, Keys
from phx.sim.process import Servers, build

RIVAL = 2
SOON_S = 0.1  # more than anything takes that is not held up


class FaultVenue:
    """One venue and its client; `on` switches a fault on in the way of the test. Use as `async with`."""

    def __init__(self, config, folder):
        sim = msgspec.structs.replace(config.sim, latency_ms=0.0, seed=7)
        self.config = msgspec.structs.replace(config, sim=sim)
        self.file = folder / "faults.yaml"
        self.way = "live"
        self.run = 0  # of tests: orders of each have names of their own
        self.sockets: list[aiohttp.ClientWebSocketResponse] = []

    async def __aenter__(self):
        self.venue = venue = build(self.config)
        self.exchange = venue.exchange
        self.rival = self.exchange.accounts[RIVAL] = Account(RIVAL, 10**15, ["USDC"], Decimal(0), Decimal("0.0004"))
        self.account = self.exchange.accounts[1]
        venue.keys = Keys([Key("key", "secret", self.account)])
        self.servers = Servers(venue, self.config.sim.port)
        self.client = SimClient(self.config.sim.port, "key", "secret")
        await self.servers.__aenter__()
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self.client.__aexit__()
        await self.servers.__aexit__(None, None, None)

    async def clean(self) -> None:
        """End faults, connections, orders and positions of the test before."""
        self.run += 1
        await self.off()
        for connection in self.sockets:
            connection._response.close()
        self.sockets.clear()
        for connection in list(self.venue.connections):
            connection.reset()
        now_ns = self.venue.now_ns()
        for symbol in self.exchange.contracts:
            self.exchange.cancel_all(self.account, symbol, now_ns)
            for position in self.account.held(symbol):
                if position.lots:
                    self.exchange.liquidator.close(self.account, position, now_ns)
        self.exchange._deadlines.clear()
        self.exchange.limits.orders.clear()
        self.exchange.limits.weight.used = 0
        self.venue.trouble._recent.clear()

    # ---- switching

    async def on(self, name: str, **settings) -> None:
        if self.way == "none":
            return
        if self.way == "live":
            query = "&".join(f"{key}={value}" for key, value in ({"name": name} | settings).items())
            status, answer, _ = await self.client.request("POST", f"/sim/faults?{query}")
            assert status == 200, answer
            return
        self.file.write_text(msgspec.json.encode([{"fault": name} | settings]).decode())  # JSON is YAML
        self.venue.trouble = Trouble(self.venue, script.read(self.file))
        await asyncio.sleep(0.03)  # a turn of the clock

    async def off(self) -> None:
        status, _, _ = await self.client.request("DELETE", "/sim/faults")
        assert status == 200

    # ---- questions

    async def prices(self, symbol: str = "BTCUSDC") -> tuple[float, float]:
        _, answer, _ = await self.client.get("/fapi/v1/ticker/bookTicker", symbol=symbol)
        return float(answer["bidPrice"]), float(answer["askPrice"])

    async def low(self, below: float = 100) -> str:
        """Return a price at which a buy order rests."""
        return f"{(await self.prices())[0] - below:.1f}"

    def id(self, name: str) -> str:
        return f"{self.run}-{name}"

    async def place(self, client_id: str, **params):
        params.setdefault("price", await self.low())
        status, answer, headers = await self.client.place(newClientOrderId=self.id(client_id), **params)
        return status, answer if isinstance(answer, bytes) else answer.get("code", answer.get("status")), headers

    async def cancel(self, client_id: str):
        params = {"symbol": "BTCUSDC", "origClientOrderId": self.id(client_id)}
        status, answer, _ = await self.client.signed("DELETE", "/fapi/v1/order", **params)
        return status, answer.get("code", answer.get("status"))

    async def query(self, client_id: str):
        """Return an order's status, or the code of the refusal."""
        params = {"symbol": "BTCUSDC", "origClientOrderId": self.id(client_id)}
        _, answer, _ = await self.client.signed("GET", "/fapi/v1/order", **params)
        return answer.get("code", answer.get("status"))

    async def open_ids(self) -> list[str]:
        _, rows, _ = await self.client.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDC")
        return [row["clientOrderId"].partition("-")[2] for row in rows]

    async def entry(self, symbol: str = "BTCUSDC") -> dict:
        """Return what exchangeInfo says of a contract, its filters by type."""
        _, answer, _ = await self.client.get("/fapi/v1/exchangeInfo")
        entry = next(row for row in answer["symbols"] if row["symbol"] == symbol)
        return entry | {"filters": {row["filterType"]: row for row in entry["filters"]}}

    async def buy(self, quantity: str = "0.03") -> None:
        """Take a position."""
        params = {"symbol": "BTCUSDC", "side": "BUY", "type": "MARKET", "quantity": quantity}
        status, _, _ = await self.client.signed("POST", "/fapi/v1/order", **params)
        assert status == 200

    # ---- streams

    async def user(self):
        self.sockets.append(await self.client.user_stream())
        return self.sockets[-1]

    async def market(self, *streams: str, path: str = "public"):
        url = f"{self.client.ws}/{path}/stream?streams={'/'.join(streams)}"
        self.sockets.append(await self.client.session.ws_connect(url, max_msg_size=8 * 2**20))
        return self.sockets[-1]

    async def frames(self, connection, count: int) -> list:
        return [(await next_json(connection, 3))["data"] for _ in range(count)]

    async def api(self):
        self.sockets.append(await self.client.session.ws_connect(f"{self.client.ws}/ws-fapi/v1"))
        return self.sockets[-1]


async def executions(connection, seconds: float = SOON_S) -> list[str]:
    """Return what orders' events tell for a while."""
    return [event["o"]["x"] for event in await heard(connection, seconds) if event.get("e") == "ORDER_TRADE_UPDATE"]


async def comes_to_nothing(work, seconds: float = SOON_S) -> bool:
    """Return whether something gets no answer in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work
        return False
    return True


async def breaks(work) -> bool:
    """Return whether a connection breaks under a request."""
    try:
        await work
    except (aiohttp.ClientError, ConnectionError):
        return True
    return False


async def until(condition, seconds: float = 2.0) -> bool:
    """Wait until a question is answered with yes; return whether it was in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if await condition():
            return True
        await asyncio.sleep(0.01)
    return False


async def is_answer(question, expected) -> bool:
    return await question == expected


async def handshake(v, path: str) -> int:
    """Return the status a handshake is answered with: 101, an error, or 0 for a connection that breaks."""
    try:
        connection = await v.client.session.ws_connect(f"{v.client.ws}/{path}/ws/{BEST}")
        v.sockets.append(connection)
        message = await connection.receive(SOON_S * 3)
        return 0 if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR) else 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status
    except (aiohttp.ClientError, ConnectionError):
        return 0


PROOFS = {}  # by the name of the fault
DIFFS, BEST = "btcusdc@depth@0ms", "btcusdc@bookTicker"


def proof(work):
    """Keep a proof under the name of its fault."""
    PROOFS[work.__name__] = work
    return work
