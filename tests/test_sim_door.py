"""One port for two servers: who gets which, however the first request comes in."""

import asyncio
import socket

import pytest

from phx.sim.api import door
from phx.sim.api.door import Door, asks_for_websocket

REST = b"GET /fapi/v1/time HTTP/1.1\r\nHost: x\r\n\r\n"
WEBSOCKET = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUPGRADE:  WebSocket \r\n\r\n"


class Named(asyncio.Protocol):
    """Answers what it was given, under its name."""

    def __init__(self, name: bytes):
        self.name = name

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(self.name + data)


@pytest.fixture
async def opened():
    async with Door(0, lambda: Named(b"rest:"), lambda: Named(b"ws:")) as it:
        yield it


async def answer(port: int, *parts: bytes, pause_s: float = 0.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(pause_s)
    got = await asyncio.wait_for(reader.read(1 << 20), 5)
    writer.close()
    return got


async def test_each_connection_goes_where_its_first_request_wants(opened):
    assert await answer(opened.port, REST) == b"rest:" + REST
    assert await answer(opened.port, WEBSOCKET) == b"ws:" + WEBSOCKET


@pytest.mark.parametrize("cut", [1, 10, len(WEBSOCKET) - 2])
async def test_a_request_in_pieces_arrives_whole(opened, cut):
    assert await answer(opened.port, WEBSOCKET[:cut], WEBSOCKET[cut:], pause_s=0.02) == b"ws:" + WEBSOCKET


TLS = bytes.fromhex("16030102000100") + b"Upgrade: websocket"


@pytest.mark.parametrize("said", [TLS, REST.replace(b"\r\n", b"\n"), b"\0"])
async def test_what_is_not_http_is_not_waited_for(opened, said):
    assert await answer(opened.port, said) == b"rest:" + said


async def test_a_body_that_says_websocket_asks_for_nothing():
    assert not asks_for_websocket(b"POST /x HTTP/1.1\r\nHost: x\r\nX-Upgrade: websocket")
    assert not asks_for_websocket(b"GET /upgrade:websocket HTTP/1.1\r\nUpgrade: h2c")
    assert asks_for_websocket(WEBSOCKET)


async def test_silent_and_endless_clients_stop_nobody(opened, monkeypatch):
    silent = socket.create_connection(("127.0.0.1", opened.port))
    endless = asyncio.create_task(answer(opened.port, b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * door.MAX_HEAD_BYTES))
    assert await answer(opened.port, REST) == b"rest:" + REST
    with pytest.raises((ConnectionError, AssertionError)):
        assert await endless, "closed without an answer"
    silent.close()


async def test_who_goes_before_saying_anything_leaves_nothing(opened):
    socket.create_connection(("127.0.0.1", opened.port)).close()
    assert await answer(opened.port, REST) == b"rest:" + REST
    assert not opened._introductions


async def test_who_never_speaks_is_closed(monkeypatch):
    monkeypatch.setattr(door, "FIRST_REQUEST_S", 0.05)
    async with Door(0, lambda: Named(b"rest:"), lambda: Named(b"ws:")) as opened:
        assert await answer(opened.port) == b""
