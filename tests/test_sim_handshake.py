"""The opening of a WebSocket as different clients write it."""

import asyncio

import pytest

from phx.sim.api.handshake import Handshake, in_plain_form

KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="


def request(connection: str, path: str = "/public/ws") -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nupgrade: WebSocket\r\n{connection}\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("said", ["Upgrade", "keep-alive, Upgrade", "upgrade,keep-alive", " close ,UPGRADE , x"])
def test_what_is_among_others_stands_alone(said):
    assert in_plain_form(request(f"connection: {said}")) == request("Connection: Upgrade")


@pytest.mark.parametrize("said", ["connection: keep-alive", "connection: upgraded", "x-connection: a, upgrade"])
def test_what_does_not_ask_for_it_is_left_alone(said):
    assert in_plain_form(request(said)) == request(said)


def test_frames_behind_the_request_are_left_alone():
    behind = b"\x81\x84\0\0\0\0\r\nconnection: upgrade, x\r\n\r\n"
    assert in_plain_form(request("Connection: Upgrade") + behind) == request("Connection: Upgrade") + behind


class Reading(asyncio.BufferedProtocol):
    """Takes in a few bytes at a time and remembers them."""

    def __init__(self):
        self.buffer, self.got, self.events = bytearray(7), b"", []

    def connection_made(self, transport):
        self.events.append("made")

    def get_buffer(self, hint):
        return memoryview(self.buffer)

    def buffer_updated(self, count):
        self.got += self.buffer[:count]

    def connection_lost(self, error):
        self.events.append("lost")


@pytest.mark.parametrize("cut", [1, 60, 10_000])
async def test_the_other_protocol_reads_on_where_the_request_ends(cut):
    inner = Reading()
    server = await asyncio.get_running_loop().create_server(lambda: Handshake(inner), "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    sent = request("Connection: keep-alive, Upgrade") + b"a frame"
    writer.write(sent[:cut])
    await asyncio.sleep(0.01)
    writer.write(sent[cut:])
    await asyncio.sleep(0.01)
    writer.write(b" and more")
    expected = request("Connection: Upgrade") + b"a frame and more"
    async with asyncio.timeout(5):
        while inner.got != expected:
            await asyncio.sleep(0.001)
        writer.close()
        while inner.events != ["made", "lost"]:
            await asyncio.sleep(0.001)
    server.close()


async def test_who_leaves_before_the_request_ends_is_told_of():
    inner = Reading()
    server = await asyncio.get_running_loop().create_server(lambda: Handshake(inner), "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"GET / HTTP/1.1")
    await writer.drain()
    writer.transport.abort()
    async with asyncio.timeout(5):
        while inner.events != ["made", "lost"]:
            await asyncio.sleep(0.001)
    assert inner.got == b""
    server.close()
