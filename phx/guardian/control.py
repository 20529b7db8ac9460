"""The guardian's own control socket: cancel-all, kill, enable, status, with every other process of phx dead.

One JSON object per line each way, for example {"command": "cancel-all", "symbol": "BTCUSDC"}; the answer holds `ok`
and `text`. Only the user phx runs as is heard, and what changes something leaves a line in the audit log.
"""

import asyncio
import logging
import os
import socket
import struct
import time
from pathlib import Path
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from phx.latches import Latches

LONGEST_LINE_BYTES = 4096
IDLE_S = 30.0
PEER_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid

log = logging.getLogger("phx.guardian")


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """symbol: "" = all of them."""

    command: Literal["cancel-all", "kill", "enable", "status"]
    symbol: str = ""
    reason: str = ""


class Answer(Struct, frozen=True, omit_defaults=True):
    ok: bool
    text: str
    status: dict | None = None


class Actions(Protocol):
    """What the socket can ask of the guardian."""

    latches: Latches
    symbols: list[str]

    async def cancel_all(self, symbols: list[str]) -> bool:
        """Cancel and verify; return whether no order of ours is left."""

    def status(self) -> dict: ...


class AuditLog:
    """One JSON line per act of a human, on disk before it is answered."""

    def __init__(self, path: Path):
        self.path = path

    def write(self, **facts) -> None:
        line = msgspec.json.encode({"ts_ns": time.time_ns(), **facts}) + b"\n"
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, line)
            os.fsync(fd)
        finally:
            os.close(fd)


class Control:
    """The socket `<run folder>/guardian.sock`."""

    def __init__(self, run_folder: Path, actions: Actions):
        self.path = run_folder / "guardian.sock"
        self.actions = actions
        self.audit = AuditLog(run_folder / "audit.log")
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        # We hold the guardian's lock, so a socket that is there belongs to a dead one.
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path, limit=LONGEST_LINE_BYTES)
        self.path.chmod(0o600)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            pid, uid = peer_of(writer.get_extra_info("socket"))
            if uid != os.geteuid():
                log.warning("guardian: control refused to uid %d, pid %d", uid, pid)
                await self._reply(writer, Answer(False, f"uid {uid} may not control this instance"))
                return
            while line := await asyncio.wait_for(reader.readline(), IDLE_S):
                await self._reply(writer, await self._answer(line, pid, uid))
        except (TimeoutError, ConnectionError, ValueError):
            pass  # idle, gone, or a line beyond the limit
        finally:
            writer.close()

    async def _reply(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        writer.write(msgspec.json.encode(answer) + b"\n")
        await writer.drain()

    async def _answer(self, line: bytes, pid: int, uid: int) -> Answer:
        try:
            request = msgspec.json.decode(line, type=Request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Answer(False, f"request refused: {error}")
        if request.symbol and request.symbol not in self.actions.symbols:
            return Answer(False, f"{request.symbol} is not traded here: {', '.join(self.actions.symbols)}")
        if request.command == "status":
            return Answer(True, "status", self.actions.status())
        symbols = [request.symbol] if request.symbol else self.actions.symbols
        facts = {
            "command": request.command,
            "symbols": symbols,
            "reason": request.reason,
            "uid": uid,
            "pid": pid,
            "latches_before": [latch.name for latch in self.actions.latches.all()],
        }
        answer = await self._act(request, symbols, f"uid {uid}")
        after = [latch.name for latch in self.actions.latches.all()]
        self.audit.write(**facts, latches_after=after, ok=answer.ok, text=answer.text)
        log.warning("guardian: %s by uid %d: %s", request.command, uid, answer.text)
        return answer

    async def _act(self, request: Request, symbols: list[str], who: str) -> Answer:
        if request.command == "enable":
            cleared = self.actions.latches.clear(request.symbol)
            return Answer(True, f"cleared {', '.join(latch.name for latch in cleared)}" if cleared else "no latch set")
        if request.command == "kill":
            # The latch first: the gateway adds nothing behind the cancel's back.
            self.actions.latches.set("guardian", request.reason or "kill", request.symbol, who)
        proven = await self.actions.cancel_all(symbols)
        names = ", ".join(symbols)
        return Answer(proven, f"no order of ours is open on {names}" if proven else f"NOT PROVEN EMPTY: {names}")


def peer_of(peer: socket.socket) -> tuple[int, int]:
    """Return pid and uid of the other end, as the kernel knows them."""
    pid, uid, _ = PEER_CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size))
    return pid, uid
