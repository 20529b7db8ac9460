"""S07, S12, S15: bytes that make no sense, at the control socket and at the metrics port: answered or hung up on."""

import contextlib
import socket
import urllib.request

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phx.control import MAX_CONNECTIONS, MAX_REQUEST_BYTES, Answer, ControlServer
from phx.ops import metrics

HOSTILE = [
    b"\n",
    b"\xff\xfe\n",
    b'{"command":"\xff"}\n',
    b"[" * 4000 + b"\n",
    b'{"command":"pause","uid":0}\n',
    b'{"command":7}\n',
    b'{"command":"pause"}' + b" " * 10_000,
    b'{"command":"pause"',
    b"\x00" * 5000,
]


@pytest.fixture
def control(tmp_path):
    handled = []
    server = ControlServer(tmp_path / "control.sock", lambda request, peer: handled.append(request) or Answer(True, ""))
    server.handled = handled
    yield server
    server.close()


def tell(server: ControlServer, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(server.path))
        with contextlib.suppress(BrokenPipeError):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        for _ in range(5):  # accepted, read, closed
            server.poll(0.002)
        with contextlib.suppress(ConnectionError):
            return client.recv(65536)
    return b""


@pytest.mark.parametrize("data", HOSTILE)
def test_nonsense_does_nothing_and_the_next_is_served(control, data):
    answer = tell(control, data)
    assert control.handled == [] and (answer == b"" or b"not a request" in answer)
    assert b'"ok":true' in tell(control, b'{"command":"pause"}\n') and len(control.handled) == 1
    assert control.connections == {}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=MAX_REQUEST_BYTES + 100))
def test_no_bytes_end_the_server(control, data):
    tell(control, data)
    assert control.connections == {} and len(control.handled) == 0


def test_those_who_say_nothing_keep_nobody_out(control, monkeypatch):
    idle = [socket.socket(socket.AF_UNIX) for _ in range(3 * MAX_CONNECTIONS)]
    try:
        for client in idle:
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(str(control.path))
        for _ in range(3 * MAX_CONNECTIONS):
            control.poll(0.0)
        assert len(control.connections) <= MAX_CONNECTIONS
        monkeypatch.setattr("phx.control.CLIENT_PATIENCE_S", 0.0)
        control.poll(0.0)
        assert control.connections == {}
        monkeypatch.undo()
        assert b'"ok":true' in tell(control, b'{"command":"pause"}\n')
    finally:
        for client in idle:
            client.close()


HOSTILE_HTTP = [
    b"\r\n\r\n",
    b"GET",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\xff" * 70_000,
    b"POST /metrics HTTP/1.1\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n",
]


def test_s07_the_metrics_port_outlives_nonsense(instance_config):
    server = metrics.serve(metrics.Metrics(instance_config, {}, {}), 0)
    port = server.server_address[1]
    try:
        for data in HOSTILE_HTTP:
            with socket.create_connection(("127.0.0.1", port), 5) as client, contextlib.suppress(ConnectionError):
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                answer = client.recv(65536)
                assert b" 200 " not in answer.split(b"\r\n")[0] and b"root:" not in answer
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10)
        assert answer.status == 200 and answer.read().decode().startswith("# HELP")
    finally:
        server.shutdown()
        server.server_close()
