"""The order session over a real loopback socket: signed requests, logon with Ed25519, loss of the connection."""

import asyncio
import base64
import hashlib
import hmac
import time

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from picows import WSListener, WSMsgType, ws_create_server
from test_gateway_shell import INSTRUMENT, Shell

from phx._core import records
from phx._core.enums import OrderState
from phx.gateway.session import OrderConnection
from phx.venue.binance.endpoints import Endpoints
from phx.venue.binance.keys import Credentials
from phx.venue.binance.rest import Rest

SECRET = b"a secret"


class FakeApi(WSListener):
    """Keeps every request; answers a logon, and nothing else unless told to."""

    def __init__(self, server):
        self.server = server

    def on_ws_connected(self, transport):
        self.server.transport = transport
        self.server.connections += 1

    def on_ws_frame(self, transport, frame):
        request = msgspec.json.decode(frame.get_payload_as_bytes())
        self.server.requests.append(request)
        if request["method"] == "session.logon":
            status = self.server.logon_status
            transport.send(WSMsgType.TEXT, msgspec.json.encode({"id": request["id"], "status": status, "result": {}}))


class Server:
    def __init__(self):
        self.requests, self.connections, self.logon_status, self.transport = [], 0, 200, None


async def until(condition, seconds: float = 5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


def text_of(params: dict) -> bytes:
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature").encode()


async def connected(credentials, body):
    """Run `body(shell, connection, server)` with a connection that is kept up."""
    server, shell = Server(), Shell()
    listening = await ws_create_server(lambda _: FakeApi(server), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    counters = np.zeros(1, records.PROCESS_COUNTERS)
    rest = Rest(Endpoints("sim", "http://127.0.0.1:1", "", ""), credentials, share=1.0, counters=counters)
    url = f"ws://127.0.0.1:{port}/ws-fapi/v1"
    connection = OrderConnection(shell.core, url, credentials, rest, 2000, "s", counters)
    connection.instruments, connection.replies = {"SYM0": INSTRUMENT}, shell.replies
    task = asyncio.create_task(connection.run())
    try:
        await body(shell, connection, server)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        listening.close()
        await listening.wait_closed()


async def test_orders_are_signed_one_by_one_with_an_hmac_key():
    async def body(shell, connection, server):
        await until(lambda: connection.up)
        shell.ladder([(99_990, 10), (99_980, 10)])
        assert shell.core.step(shell.now_ns) == 2 and connection.send() == 2
        await until(lambda: len(server.requests) == 2)
        for request in server.requests:
            params = request["params"]
            assert params["signature"] == hmac.new(SECRET, text_of(params), hashlib.sha256).hexdigest()
        assert [r["params"]["price"] for r in server.requests] == ["9999.0", "9998.0"]

    await connected(Credentials("key", SECRET), body)


async def test_an_ed25519_key_logs_on_once_and_orders_go_unsigned():
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    async def body(shell, connection, server):
        await until(lambda: connection.up)
        logon = server.requests[0]["params"]
        private.public_key().verify(base64.b64decode(logon["signature"]), text_of(logon))
        shell.ladder([(99_990, 10)])
        shell.core.step(shell.now_ns)
        connection.send()
        await until(lambda: len(server.requests) == 2)
        assert not {"apiKey", "signature"} & set(server.requests[1]["params"])

    await connected(Credentials("key", pem, "ed25519"), body)


async def test_a_refused_logon_sends_no_order_and_tries_again():
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    async def body(shell, connection, server):
        server.logon_status = 401
        await until(lambda: server.connections >= 2)
        assert not connection.up
        shell.ladder([(99_990, 10)])
        shell.core.step(shell.now_ns)
        assert connection.send() == 0
        assert {r["method"] for r in server.requests} == {"session.logon"}
        server.logon_status = 200
        await until(lambda: connection.up)

    await connected(Credentials("key", pem, "ed25519"), body)


async def test_a_lost_connection_makes_requests_unknown_and_is_made_anew():
    async def body(shell, connection, server):
        await until(lambda: connection.up)
        shell.ladder([(99_990, 10)])
        shell.core.step(shell.now_ns)
        connection.send()
        await until(lambda: server.requests)
        server.transport.disconnect()
        await until(lambda: server.connections == 2 and connection.up)
        assert [o["state"] for o in shell.live().values()] == [OrderState.ORDER_UNKNOWN]
        assert connection.send() == 1  # its cancel
        await until(lambda: server.requests[-1]["method"] == "order.cancel")

    await connected(Credentials("key", SECRET), body)


async def test_a_connection_that_answers_nothing_is_left_at_once():
    async def body(shell, connection, server):
        await until(lambda: connection.up)
        connection.suspect_silence(time.monotonic_ns() + 10**10)
        assert connection.up  # nothing was asked
        shell.ladder([(99_990, 10)])
        shell.core.step(shell.now_ns)
        connection.send()
        connection.suspect_silence(time.monotonic_ns())
        assert connection.up  # not for long enough
        connection.suspect_silence(time.monotonic_ns() + 10**10)
        assert not connection.up and not shell.core.order_session_up
        assert [o["state"] for o in shell.live().values()] == [OrderState.ORDER_UNKNOWN]
        await until(lambda: server.connections == 2 and connection.up)

    await connected(Credentials("key", SECRET), body)


async def test_any_answer_is_a_sign_of_life():
    async def body(shell, connection, server):
        await until(lambda: connection.up)
        shell.ladder([(99_990, 10)])
        shell.core.step(shell.now_ns)
        connection.send()
        await until(lambda: server.requests)
        server.transport.send(WSMsgType.TEXT, b'{"id":1,"status":503,"error":{"code":-1000}}')
        await until(lambda: connection.session.waiting_since_mono_ns == 0)

    await connected(Credentials("key", SECRET), body)


async def test_an_order_whose_bytes_never_left_is_known_not_to_exist():
    async def body(shell, connection, server):
        await until(lambda: connection.up)
        shell.ladder([(99_990, 10)])
        shell.core.step(shell.now_ns)
        server.transport.disconnect()
        await until(lambda: server.connections == 2)
        assert shell.live() == {} and server.requests == []

    await connected(Credentials("key", SECRET), body)


@pytest.mark.parametrize("frame", [b"", b"{", b'{"id":true}', b"\xff\xfe", b'{"id":1,"status":200,"result":[]}'])
async def test_a_reply_that_cannot_be_read_is_counted_and_survived(frame):
    async def body(shell, connection, server):
        await until(lambda: connection.up)
        server.transport.send(WSMsgType.TEXT, frame or b" ")
        await until(lambda: connection.counters["frames_refused"][0] == 1)
        assert connection.up

    await connected(Credentials("key", SECRET), body)
