"""A WebSocket handshake that is refused for a limit silences the address like any other request that is."""

import asyncio
import contextlib
import time

import numpy as np
import picows
import pytest
from fault_venue import FaultVenue
from test_gateway_shell import Shell

from phx._core import records
from phx.feed.connection import Connection
from phx.gateway.session import OrderConnection
from phx.sim.refusals import Refused
from phx.venue.binance.endpoints import Endpoints
from phx.venue.binance.keys import Credentials
from phx.venue.binance.rest import Rest
from phx.venue.binance.silence import Silence
from phx.venue.binance.user_stream import BinanceUserStream

KINDS = ("order session", "user stream", "market stream")


class Door:
    """Answers handshakes: as told while there is something told, then with a connection."""

    def __init__(self):
        self.told: list[tuple[int, dict, bytes]] = []
        self.asked: list[float] = []
        self.opened = 0

    async def __aenter__(self) -> "Door":
        self.server = await picows.ws_create_server(self._accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()

    def _accept(self, request):
        self.asked.append(time.monotonic())
        if not self.told:
            self.opened += 1
            return picows.WSListener()
        status, headers, body = self.told.pop(0)
        answer = picows.WSUpgradeResponse.create_error_response(status, body, headers)
        return picows.WSUpgradeResponseWithListener(answer, None)


class Address:
    """Three connections to one door, and what another process at the address knows."""

    def __init__(self, door: Door, path):
        self.where = Endpoints("sim", "http://127.0.0.1:1", f"ws://127.0.0.1:{door.port}", "")
        self.path = path
        self.counters = np.zeros(1, records.PROCESS_COUNTERS)
        self.rest, self.other = self.client(), self.client()

    def client(self) -> Rest:
        credentials = Credentials("k", b"s")
        return Rest(self.where, credentials, share=1.0, counters=self.counters, silence=Silence(self.path))

    def made(self, kind: str):
        url = f"{self.where.stream}/x"
        if kind == "order session":
            core = Shell().core
            return OrderConnection(core, url, self.rest.credentials, self.rest, 2000, "s", self.counters)
        if kind == "market stream":
            nothing = lambda *_: None  # noqa: E731
            return Connection(self.rest, "public", url, lambda on_end: Deaf(), self.counters, nothing, nothing)
        stream = BinanceUserStream(self.rest, self.where, lambda *_: None, lambda up: None, self.counters)

        async def key():
            return "listen-key-canary"

        self.rest.listen_key_start = key
        return stream

    def silent(self, urgent: bool) -> float:
        """Return for how long another process may send nothing, s."""
        now_ns = self.other.clock.venue_ns(time.monotonic_ns())
        self.other.mind_others(now_ns)
        return self.other.weights.wait_ns(0, urgent, now_ns) / 1e9


class Deaf(picows.WSListener):
    transport = None


@pytest.fixture
async def door():
    async with Door() as made:
        yield made


@pytest.fixture
def address(door, tmp_path):
    return Address(door, tmp_path / "venue.silence")


async def until(condition, seconds: float = 10.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def while_running(connection, work):
    task = asyncio.create_task(connection.run())
    try:
        await work
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "headers", "body", "everything_s", "adding_s"),
    [
        (418, {"Retry-After": "200"}, b"", 200, 200),
        (418, {}, b"", 120, 120),  # the venue's shortest ban
        (403, {}, b"<html>", 300, 300),  # its firewall's
        (429, {"Retry-After": "30"}, b"", 0, 30),
    ],
)
async def test_it_silences_all_at_the_address_and_is_not_tried_again(
    door, address, kind, status, headers, body, everything_s, adding_s
):
    door.told = [(status, headers, body)] * 100

    async def work():
        await until(lambda: address.silent(False))
        assert adding_s - 9 < address.silent(False) <= adding_s
        assert everything_s - 9 < address.silent(True) <= everything_s
        await asyncio.sleep(0.3)
        assert len(door.asked) == 1 and address.counters["rate_limited"][0] == 1

    await while_running(address.made(kind), work())


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_tried_again_when_the_time_is_over(door, address, kind):
    door.told = [(429, {"Retry-After": "1"}, b"")]

    async def work():
        await until(lambda: door.opened)
        assert door.asked[1] - door.asked[0] >= 0.99

    await while_running(address.made(kind), work())


async def test_a_ban_that_names_its_end_is_kept_to_it(door, address):
    until_ms = int((time.time() + 500) * 1000)
    door.told = [(418, {}, b'{"code":-1003,"msg":"Way too many requests; IP banned until %d."}' % until_ms)] * 9

    async def work():
        await until(lambda: address.silent(True))
        assert 490 < address.silent(True) <= 500

    await while_running(address.made("user stream"), work())


@pytest.mark.parametrize("kind", KINDS)
async def test_while_another_process_is_banned_nobody_knocks(door, address, kind):
    address.other.limited(True, 200 * 10**9, 0)

    async def work():
        await asyncio.sleep(0.3)
        assert door.asked == []

    await while_running(address.made(kind), work())


async def test_the_simulated_venue_refuses_handshakes_as_it_refuses_requests(instance_config, tmp_path):
    async with FaultVenue(instance_config, tmp_path) as sim:
        limits = sim.exchange.limits
        limits.use_weight(sim.venue.now_ms(), limits.weight.limit - limits.weight.count(sim.venue.now_ms()))
        rest = Rest(Endpoints("sim", sim.client.rest, sim.client.ws, ""), None, share=1.0)
        for status, urgent in ((429, False), (418, True)):
            with pytest.raises(picows.WSHandshakeError) as refused:
                await picows.ws_connect(picows.WSListener, f"{sim.client.ws}/ws-fapi/v1")
            assert refused.value.response.status == status
            rest.handshake_failed(refused.value)
            now_ns = rest.clock.venue_ns(time.monotonic_ns())
            assert rest.weights.wait_ns(0, urgent, now_ns) > 0
            while limits.ban.until_ms == 0:
                with contextlib.suppress(Refused):
                    limits.use_weight(sim.venue.now_ms(), limits.weight.limit)
        await rest.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_any_other_refusal_silences_nobody_and_is_tried_again_soon(door, address, kind):
    door.told = [(503, {"Retry-After": "100"}, b"")]

    async def work():
        await until(lambda: door.opened)
        assert not address.silent(False) and address.counters["rate_limited"][0] == 0

    await while_running(address.made(kind), work())
