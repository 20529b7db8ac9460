"""One port for both servers: a connection goes to REST or to WebSockets by what its first request asks for.

Some clients take a single base URL for everything.
"""

import asyncio
import logging
import re
import socket
from collections.abc import Callable

from phx.sim.faults.wire import LINGER_NOT

MAX_HEAD_BYTES = 64 * 1024
FIRST_REQUEST_S = 60.0  # clients may connect ahead of their first request
BACKLOG = 512
MORE_BYTES_S = 0.001

log = logging.getLogger("phx.sim")

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class Door:
    """Listens on a loopback port and hands each connection on. Use as `async with`; `port` is the one bound.

    refuses: asked of each connection to REST, whether it is reset; the way to the administration stays open.
    """

    def __init__(
        self,
        port: int,
        rest: ProtocolFactory,
        websockets: ProtocolFactory,
        refuses: Callable[[], bool] = lambda: False,
    ):
        self._refuses = refuses
        self.port = port
        self._rest = rest
        self._websockets = websockets
        self._introductions: set[asyncio.Task] = set()

    async def __aenter__(self) -> "Door":
        self._listening = socket.create_server(("127.0.0.1", self.port), backlog=BACKLOG)
        self._listening.setblocking(False)
        self.port = self._listening.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept())
        return self

    async def __aexit__(self, kind, value, traceback) -> None:
        tasks = [self._accepting, *self._introductions]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listening.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listening)
            except OSError as error:  # out of descriptors, or the client is gone already
                log.warning("sim: a connection could not be accepted: %s", error)
                await asyncio.sleep(0.05)
                continue
            task = asyncio.create_task(self._introduce(connection))
            self._introductions.add(task)
            task.add_done_callback(self._introductions.discard)

    async def _introduce(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            async with asyncio.timeout(FIRST_REQUEST_S):
                head = await first_head(connection)
            if head and not asks_for_websocket(head) and not asks_for_administration(head) and self._refuses():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            elif head:
                factory = self._websockets if asks_for_websocket(head) else self._rest
                await asyncio.get_running_loop().connect_accepted_socket(factory, connection)
                return
        except (OSError, TimeoutError):
            pass
        except asyncio.CancelledError:
            connection.close()
            raise
        connection.close()


async def first_head(connection: socket.socket) -> bytes:
    """Return the head of the first request without taking it off the socket, b"" if none comes or it is too long."""
    seen = 0
    while seen < MAX_HEAD_BYTES:
        await _readable(connection)
        head = connection.recv(MAX_HEAD_BYTES, socket.MSG_PEEK)
        if not head:
            return b""
        end = head.find(b"\r\n\r\n")
        if end >= 0:
            return head[:end]
        # Somebody who speaks TLS, or ends lines in another way, is told at once instead of being waited for.
        if not head[:1].isalpha() or b"\n\n" in head:
            return head
        if len(head) == seen:  # what was seen stays readable: let more of it come
            await asyncio.sleep(MORE_BYTES_S)
        seen = len(head)
    return b""


def asks_for_websocket(head: bytes) -> bool:
    """Return whether a request's head has the header `Upgrade: websocket`."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"upgrade" and b"websocket" in value.lower():
            return True
    return False


def asks_for_administration(head: bytes) -> bool:
    return re.match(rb"[A-Z]+ /sim[/? ]", head) is not None


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(connection.fileno(), lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(connection.fileno())
