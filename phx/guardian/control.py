"""The guardian's own control socket: cancel-all, kill, enable, status, with every other process of phx dead.

Same form as the other control sockets (phx.control), served from the asyncio loop because a command takes as long as
the venue does. What changes something leaves a line in the audit log.
"""

import asyncio
import logging
import os
import socket
import struct
from typing import Protocol

import msgspec

from phx.control import MAX_REQUEST_BYTES, Answer, AuditLog, Request, has_left, shown
from phx.latches import HUMAN, Latches, NotConfirmed

COMMANDS = ("cancel-all", "kill", "enable", "status")
IDLE_S = 30.0
PEER_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid

log = logging.getLogger("phx.guardian")


class Actions(Protocol):
    """What the socket can ask of the guardian."""

    latches: Latches
    symbols: list[str]

    async def cancel_all(self, symbols: list[str]) -> bool:
        """Cancel and verify; return whether no order of ours is left."""

    def status(self) -> dict[str, list[str]]: ...


class Control:
    """The socket `guardian` of the instance."""

    def __init__(self, config, actions: Actions):
        self.path = config.socket_path("guardian")
        self.actions = actions
        self.audit = AuditLog(config.run_folder())
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        # Made aside and renamed, so that whoever sees the socket is served. We hold the guardian's lock: one that is
        # there belongs to a dead guardian.
        aside = self.path.with_suffix(".new")
        aside.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, aside, limit=MAX_REQUEST_BYTES)
        aside.chmod(0o600)
        aside.rename(self.path)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            pid, uid = peer_of(writer.get_extra_info("socket"))
            if uid not in (os.geteuid(), 0):
                log.warning("guardian: control refused to uid %d, pid %d", uid, pid)
                await reply(writer, Answer(False, f"uid {uid} may not control this instance"))
                return
            while line := await asyncio.wait_for(reader.readline(), IDLE_S):
                if has_left(writer.get_extra_info("socket")):
                    log.warning("guardian: not done, who asked has left: %s", shown(line))
                    return
                await reply(writer, await self.answer(line, pid, uid))
        except (TimeoutError, ConnectionError, ValueError):
            pass  # idle, gone, or a line beyond the limit
        finally:
            writer.close()

    async def answer(self, line: bytes, pid: int, uid: int) -> Answer:
        """Do what one line asks for."""
        try:
            request = msgspec.json.decode(line, type=Request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Answer(False, f"not a request: {error}")
        if request.command not in COMMANDS:
            return Answer(False, f"{request.command}: no such command; there are {', '.join(COMMANDS)}")
        if request.symbol and request.symbol not in self.actions.symbols:
            return Answer(False, f"{request.symbol} is not traded; traded: {', '.join(self.actions.symbols)}")
        if request.command == "status":
            return Answer(True, "guardian", self.actions.status())
        before = [latch.name for latch in self.actions.latches.all()]
        answer = await self._act(request, f"uid {uid}")
        try:
            await asyncio.to_thread(  # a slow disk must not stop the heartbeat
                self.audit.write,
                command=request.command,
                symbol=request.symbol,
                reason=request.reason,
                uid=uid,
                pid=pid,
                latches_before=before,
                latches_after=[latch.name for latch in self.actions.latches.all()],
                ok=answer.ok,
                text=answer.text,
            )
        except OSError as error:
            log.error("guardian: audit line not written: %s", error)
        log.warning("guardian: %s by uid %d: %s", request.command, uid, answer.text)
        return answer

    async def _act(self, request: Request, who: str) -> Answer:
        if request.command == "enable":
            try:
                cleared = self.actions.latches.release(request.symbol, request.confirm)
            except NotConfirmed as refused:
                return Answer(False, str(refused), refused.status())
            return Answer(True, f"cleared {', '.join(latch.name for latch in cleared)}" if cleared else "no latch set")
        unlatched = ""
        if request.command == "kill":
            # The latch first: the gateway adds nothing behind the cancel's back.
            latch = self.actions.latches.set
            try:
                await asyncio.to_thread(latch, HUMAN, request.reason or "kill", request.symbol, who)
            except OSError as error:  # cancelled all the same
                unlatched = f"; NOT LATCHED, `phx down` keeps it down: {error}"
        symbols = [request.symbol] if request.symbol else self.actions.symbols
        proven = await self.actions.cancel_all(symbols)
        names = ", ".join(symbols)
        text = f"no order of ours is open on {names}"
        if not proven:
            text = f"NOT PROVEN EMPTY: {names}: the venue did not say so in time; the gateway goes on cancelling"
        return Answer(proven and not unlatched, text + unlatched)


async def reply(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(msgspec.json.encode(answer) + b"\n")
    await writer.drain()


def peer_of(peer: socket.socket) -> tuple[int, int]:
    """Return pid and uid of the other end, as the kernel knows them."""
    pid, uid, _ = PEER_CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size))
    return pid, uid
