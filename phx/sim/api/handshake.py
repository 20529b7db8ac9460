"""The opening of a WebSocket in any form its standard allows, told to the server in the one form that it takes.

`Connection: keep-alive, Upgrade`, as browsers and proxies send it, is a list like any other (RFC 6455, 4.2.1).
"""

import asyncio
import re
from collections.abc import Callable

from aiohttp import web

MAX_HEAD_BYTES = 64 * 1024
CONNECTION = re.compile(rb"(?im)^connection[ \t]*:([^\r\n]*)")


class Handshake(asyncio.Protocol):
    """Reads the head of the first request for another protocol, then leaves the connection to it."""

    def __init__(self, inner: asyncio.BufferedProtocol):
        self.inner = inner
        self._transport: asyncio.Transport | None = None
        self._head = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" not in self._head and len(self._head) < MAX_HEAD_BYTES:
            return
        self._transport.set_protocol(self.inner)
        left = in_plain_form(self._head)
        while left and not self._transport.is_closing():
            room = self.inner.get_buffer(-1)
            taken = min(len(room), len(left))
            room[:taken] = left[:taken]
            self.inner.buffer_updated(taken)
            left = left[taken:]

    def eof_received(self) -> bool | None:
        return self.inner.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self.inner.connection_lost(error)

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()


def in_plain_form(request: bytes) -> bytes:
    """Return a request whose header Connection says `Upgrade` alone, if that is among what it says."""
    head, end, rest = request.partition(b"\r\n\r\n")
    found = CONNECTION.search(head)
    if found and b"upgrade" in [word.strip().lower() for word in found[1].split(b",")]:
        head = head[: found.start()] + b"Connection: Upgrade" + head[found.end() :]
    return head + end + rest


def asks_for_websocket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").strip().lower() == "websocket"


async def hand_over(request: web.Request, factory: Callable[[], Handshake]) -> web.Response:
    """Move the connection of a REST request to WebSockets; what is returned reaches nobody.

    A client with one pool for both sends its upgrade where a question of REST was answered before.
    """
    lines = [f"{request.method} {request.raw_path} HTTP/1.1".encode()]
    lines += [name + b": " + value for name, value in request.raw_headers]
    connection = request.transport.get_extra_info("socket").dup()
    request.transport.abort()  # which closes one of the two ends of the process, and not the connection
    _, protocol = await asyncio.get_running_loop().connect_accepted_socket(factory, connection)
    protocol.data_received(b"\r\n".join(lines) + b"\r\n\r\n")
    return web.Response()
