"""Control sockets: one JSON line each way, for this user only; what a human did stands in the audit log.

The server never blocks its process: poll() sleeps until something happens or the time is up. Who closes the connection
takes back what was not begun: a server that hung does nothing for people who have long given it up.
"""

import contextlib
import logging
import os
import select
import selectors
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

MAX_REQUEST_BYTES = 4096
MAX_CONNECTIONS = 8
CLIENT_PATIENCE_S = 5.0
SHOWN_BYTES = 200
LOOK_S = 0.1  # so often whoever waits for an answer looks whether it may still come

log = logging.getLogger("phx")


class ControlError(Exception):
    """A request that could not be made or was refused; the text says why."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked. symbol: "" = all of them. reason: for the audit log, or an option where the command knows one.

    confirm: the word without which `enable` clears nothing (latches.py). for_s: of a `reload` that raises limits, for
    how long; 0 = for good.
    """

    command: str
    symbol: str = ""
    reason: str = ""
    confirm: str = ""
    for_s: float = 0.0


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    ok: bool
    text: str
    status: dict | None = None


class AuditLog:
    """One JSON line per act of a human, on disk before it is answered."""

    def __init__(self, run_folder: Path):
        self.path = run_folder / "audit.log"

    def write(self, **facts) -> None:
        line = msgspec.json.encode({"ts_ns": time.time_ns(), **facts}) + b"\n"
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, line)
            os.fsync(fd)
        finally:
            os.close(fd)


class Peer(msgspec.Struct):
    """Who asks, by the kernel's word."""

    pid: int
    uid: int
    gid: int


class Connection:
    def __init__(self, sock: socket.socket, peer: Peer):
        self.sock = sock
        self.peer = peer
        self.since_s = time.monotonic()
        self.received = b""


class ControlServer:
    """Listens on a unix socket of mode 0600 and answers with `handle(request, peer) -> Answer`."""

    def __init__(self, path: Path, handle):
        self.path = path
        self.handle = handle
        self.connections: dict[int, Connection] = {}
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        try:
            self.listener.bind(str(path))
        finally:
            os.umask(before)
        self.listener.listen(MAX_CONNECTIONS)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)

    def poll(self, timeout_s: float) -> None:
        """Serve what has come; return after timeout_s at the latest."""
        for key, _ in self.selector.select(timeout_s):
            if key.fileobj is self.listener:
                self._accept()
            else:
                self._read(self.connections[key.fd])
        too_old_s = time.monotonic() - CLIENT_PATIENCE_S
        for connection in [c for c in self.connections.values() if c.since_s < too_old_s]:
            self._close(connection)

    def close(self) -> None:
        for connection in list(self.connections.values()):
            self._close(connection)
        self.selector.close()
        self.listener.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            sock, _ = self.listener.accept()
            peer = Peer(*struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)))
            if peer.uid not in (os.geteuid(), 0) or len(self.connections) >= MAX_CONNECTIONS:
                sock.close()
                return
            sock.setblocking(False)
            self.connections[sock.fileno()] = Connection(sock, peer)
            self.selector.register(sock, selectors.EVENT_READ)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(MAX_REQUEST_BYTES)
        except OSError:
            data = b""
        connection.received += data
        line, newline, _ = connection.received.partition(b"\n")
        if newline and has_left(connection.sock):
            log.warning("not done, who asked has left: %s", shown(line))
        elif newline:
            self._answer(connection, line)
        if newline or not data or len(connection.received) > MAX_REQUEST_BYTES:
            self._close(connection)

    def _answer(self, connection: Connection, line: bytes) -> None:
        try:
            request = msgspec.json.decode(line, type=Request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            answer = Answer(False, f"not a request: {error}")
        else:
            try:
                answer = self.handle(request, connection.peer)
            except ControlError as error:
                answer = Answer(False, str(error))
        with contextlib.suppress(OSError):  # the asker is gone, or does not read: nobody to tell
            connection.sock.send(msgspec.json.encode(answer) + b"\n")

    def _close(self, connection: Connection) -> None:
        self.connections.pop(connection.sock.fileno(), None)
        self.selector.unregister(connection.sock)
        connection.sock.close()


def has_left(peer: socket.socket) -> bool:
    """Return whether the other end is closed; one that only says no more still waits for its answer."""
    poll = select.poll()
    poll.register(peer.fileno(), 0)  # a hang-up is told unasked
    return any(events & select.POLLHUP for _, events in poll.poll(0))


def shown(line: bytes) -> str:
    """Return the beginning of what was asked, fit for a log."""
    return ascii(line[:SHOWN_BYTES].decode(errors="replace"))


def ask(path: Path, request: Request, timeout_s: float = 15.0, hangs: Callable[[], bool] = lambda: False) -> Answer:
    """Send one request and return the answer. Raises ControlError when nobody answers.

    hangs: whether the other end is known to be hung, so that no answer is to be waited for.
    """
    until_s = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout_s)
        try:
            sock.connect(str(path))
            sock.sendall(msgspec.json.encode(request) + b"\n")
            received = b""
            while not received.endswith(b"\n"):
                while not select.select([sock], [], [], LOOK_S)[0]:
                    if hangs():
                        raise TimeoutError("it hangs")
                    if time.monotonic() > until_s:
                        raise TimeoutError("timed out")
                if not (data := sock.recv(65536)):
                    break
                received += data
        except OSError as error:
            raise ControlError(f"{path}: nobody answers ({error.strerror or error})") from None
    try:
        return msgspec.json.decode(received, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ControlError(f"{path}: not an answer") from None
