"""The private stream against a loopback WebSocket server: events, a dying listenKey, reconnects, the daily roll."""

import asyncio
import contextlib
import logging
from pathlib import Path

import pytest
from picows import WSListener, WSMsgType, ws_create_server
from stub_venue import Reply, StubVenue

from phx.venue.binance import user_stream
from phx.venue.binance.endpoints import Endpoints
from phx.venue.binance.keys import Credentials
from phx.venue.binance.messages import ListenKeyExpired, OrderTradeUpdate, UnknownEvent
from phx.venue.binance.rest import Rest
from phx.venue.binance.streams import combined_url, path_of
from phx.venue.binance.user_stream import BinanceUserStream

LINES = (Path(__file__).parent / "frames" / "user_ethusdc_lifecycle.jsonl").read_bytes().splitlines()


class Server(WSListener):
    """Remembers connections and paths."""

    def __init__(self, house, request):
        self.house = house
        self.path = request.path.decode()

    def on_ws_connected(self, transport):
        self.transport = transport
        self.open = True
        self.house.append(self)

    def on_ws_disconnected(self, transport):
        self.open = False

    def send(self, text: bytes):
        self.transport.send(WSMsgType.TEXT, text)


class Scene:
    def __init__(self):
        self.connections: list[Server] = []
        self.events: list = []
        self.ups: list[bool] = []

    async def until(self, condition, what: str):
        for _ in range(1000):
            if condition():
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"never: {what}")

    async def connected(self, count: int) -> Server:
        await self.until(lambda: len(self.connections) >= count and self.stream.up, f"connection {count}")
        return self.connections[count - 1]


@pytest.fixture
async def scene(monkeypatch):
    monkeypatch.setattr(user_stream, "BACK_OFF_S", (0.01, 0.05))
    made = Scene()
    server = await ws_create_server(lambda request: Server(made.connections, request), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with StubVenue() as stub:
        made.stub = stub
        where = Endpoints("sim", stub.url, f"ws://127.0.0.1:{port}", "")
        rest = Rest(where, Credentials("canary-key", b"canary-secret"), share=1.0)
        made.stream = BinanceUserStream(
            rest, where, lambda event, mono, utc: made.events.append(event), made.ups.append, rest.counters
        )
        made.counters = rest.counters
        task = asyncio.create_task(made.stream.run())
        yield made
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await rest.close()
    server.close()


async def test_events_arrive_decoded_and_in_order(scene):
    connection = await scene.connected(1)
    assert connection.path == "/private/ws?listenKey=listen-key-canary"
    for line in LINES:
        connection.send(line)
    connection.send(b'{"e":"GRID_UPDATE","E":1}')
    await scene.until(lambda: len(scene.events) == len(LINES) + 1, "all events")
    assert isinstance(scene.events[3], OrderTradeUpdate) and isinstance(scene.events[-1], UnknownEvent)
    assert int(scene.counters["frames_unknown"][0]) == 1 and scene.ups == [True]


async def test_a_closed_connection_is_made_again_and_said(scene):
    (await scene.connected(1)).transport.disconnect()
    await scene.connected(2)
    assert scene.ups == [True, False, True]
    assert int(scene.counters["disconnects"][0]) >= 1 and int(scene.counters["connects"][0]) == 2


async def test_an_expired_listen_key_is_told_and_replaced(scene):
    (await scene.connected(1)).send(b'{"e":"listenKeyExpired","E":1736996475556,"listenKey":"k"}')
    await scene.connected(2)
    assert isinstance(scene.events[0], ListenKeyExpired)
    assert len(scene.stub.of("POST", "/fapi/v1/listenKey")) == 2


async def test_a_silent_stream_is_replaced_on_suspicion(scene):
    first = await scene.connected(1)
    scene.stream.suspect("an acknowledged order was not echoed")
    await scene.connected(2)
    await scene.until(lambda: not first.open, "the old connection closed")


async def test_a_frame_that_cannot_be_read_ends_the_connection(scene):
    (await scene.connected(1)).send(b'{"e":"ORDER_TRADE_UPDATE","E":1,"o":{}}')
    await scene.connected(2)
    assert int(scene.counters["frames_refused"][0]) == 1 and scene.events == []


async def test_a_fragmented_frame_is_refused(scene):
    connection = await scene.connected(1)
    connection.transport.send(WSMsgType.TEXT, LINES[0][:50], False, False)
    await scene.connected(2)
    assert int(scene.counters["frames_refused"][0]) == 1


async def test_the_daily_roll_leaves_no_gap(scene, monkeypatch):
    await scene.connected(1)
    monkeypatch.setattr(user_stream, "ROLL_S", 0.2)
    scene.stream.suspect("to begin with the short day")
    await scene.connected(2)
    await scene.until(lambda: len(scene.connections) >= 4, "two rolls")
    await scene.until(lambda: not scene.connections[1].open, "the rolled connection closed")
    # Up all the while: the next connection stood before the old one was left.
    assert scene.ups == [True, False, True]


async def test_a_roll_that_fails_keeps_the_old_connection(scene, monkeypatch):
    await scene.connected(1)
    monkeypatch.setattr(user_stream, "ROLL_S", 0.1)
    monkeypatch.setattr(user_stream, "ROLL_RETRY_S", 0.05)
    scene.stream.suspect("to begin with the short day")
    old = await scene.connected(2)
    scene.stub.script["POST", "/fapi/v1/listenKey"] = [Reply("<html>", 503)] * 2
    asked = len(scene.stub.of("POST", "/fapi/v1/listenKey"))
    await scene.until(lambda: len(scene.stub.of("POST", "/fapi/v1/listenKey")) >= asked + 2, "two refusals")
    assert old.open and scene.stream.up
    await scene.connected(3)
    assert scene.ups == [True, False, True]


async def test_the_listen_key_is_extended_but_never_deleted(scene, monkeypatch):
    monkeypatch.setattr(user_stream, "KEEP_ALIVE_S", 0.05)
    await scene.connected(1)
    scene.stream.suspect("to begin with the short period")
    await scene.connected(2)
    await scene.until(lambda: len(scene.stub.of("PUT", "/fapi/v1/listenKey")) >= 2, "two keep-alives")
    gone = {"code": -1125, "msg": "This listenKey does not exist."}
    scene.stub.script["PUT", "/fapi/v1/listenKey"].append(Reply(gone, 400))
    await scene.connected(3)
    assert not scene.stub.of("DELETE", "/fapi/v1/listenKey")


async def test_a_venue_without_a_listen_key_is_asked_again_and_nothing_secret_is_logged(scene, caplog):
    caplog.set_level(logging.DEBUG)
    scene.stub.script["POST", "/fapi/v1/listenKey"] = [Reply("<html>", 503), Reply({"code": -2015, "msg": "no"}, 401)]
    (await scene.connected(1)).transport.disconnect()
    await scene.connected(2)
    assert "connecting again" in caplog.text
    for secret in ("listen-key-canary", "canary-secret", "canary-key"):
        assert secret not in "\n".join(r.getMessage() for r in caplog.records if r.name.startswith(("phx", "picows")))


def test_a_stream_is_only_asked_where_it_is_delivered():
    where = Endpoints("sim", "", "ws://127.0.0.1:1", "")
    url = combined_url(where, "public", ["btcusdc@bookTicker", "btcusdc@depth@100ms", "btcusdc@trade"])
    assert url == "ws://127.0.0.1:1/public/stream?streams=btcusdc@bookTicker/btcusdc@depth@100ms/btcusdc@trade"
    with pytest.raises(ValueError, match="btcusdc@markPrice@1s would stay silent under /public"):
        combined_url(where, "public", ["btcusdc@bookTicker", "btcusdc@markPrice@1s"])
    assert [path_of(name) for name in ("btcusdc@aggTrade", "!forceOrder@arr", "!bookTicker", "x@depth20@100ms")] == [
        "market", "market", "public", "public",
    ]  # fmt: skip
