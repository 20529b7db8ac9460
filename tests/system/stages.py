"""The moments at which a process is hit: how each one is brought about, and how it is seen to have come.

A stage is a state of the whole instance, not of the process that is hit, so that each process can be hit in each stage.
What is looked at is shared memory, the journal and the files of the instance; what opens a window wide enough to hit
is the simulated venue, which can be told to be slow, to lose a key or to send takers.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from phx._core.enums import JournalKind
from phx.control import Request, ask
from phx.ops import supervisor

from .running import wait_until

BTC = "BTCUSDC"
LOOK_S = 0.0003
PATIENCE_S = 8.0
IN_FLIGHT_S = 0.15  # how long a request is held back at the venue, so that it is in flight when its sender is hit
BURST = {"qty": "0.02", "every_s": 0.04, "count": 10}


class Stage:
    """One way to a moment. `open` prepares it and yields whether it has come; leaving takes everything back."""

    def __init__(self, phx, process: str):
        self.phx = phx
        self.process = process

    def seen(self, condition, patience_s: float = PATIENCE_S) -> bool:
        """Look closely until a condition holds; return whether it did in time."""
        until_s = time.monotonic() + patience_s
        while time.monotonic() < until_s:
            if condition():
                return True
            time.sleep(LOOK_S)
        return False

    # ---- quiet moments

    @contextlib.contextmanager
    def quoting(self) -> Iterator[bool]:
        yield self.phx.quoting(BTC)

    @contextlib.contextmanager
    def idle(self) -> Iterator[bool]:
        """Paused: everything runs, nothing is open."""
        ops(self.phx, "pause")
        try:
            yield self.seen(lambda: self.phx.ledger()["open_orders"] == 0)
        finally:
            self.operate("resume")

    # ---- lives that begin and end

    @contextlib.contextmanager
    def start(self) -> Iterator[bool]:
        """It has just begun another life: the lock is taken, no sign of life yet."""
        old = self.phx.hit(self.process, signal.SIGKILL)
        # Not ready is seen at best for a moment; a new life of a few milliseconds is a start as well.
        yield self.seen(lambda: self.phx.pid(self.process) not in (0, old))

    @contextlib.contextmanager
    def reconcile(self) -> Iterator[bool]:
        """The gateway is on its way up: its life has begun, nothing is proven yet."""
        old = self.phx.hit("gateway", signal.SIGKILL)
        yield self.seen(lambda: self.phx.back("gateway", old) and not self.phx.newest_field("account", "ready"))

    @contextlib.contextmanager
    def shutdown(self) -> Iterator[bool]:
        """It was told to end and has not yet."""
        pid = self.phx.pid(self.process)
        running = supervisor.Supervisor(self.phx.config)
        running.call("stopProcess", self.process, False)
        try:
            yield self.phx.alive(self.process) and self.phx.pid(self.process) == pid
        finally:
            wait_until(lambda: not running.states()[self.process]["pid"], 20, f"{self.process} to end")
            running.call("startProcess", self.process, False)

    # ---- requests under way

    @contextlib.contextmanager
    def place(self) -> Iterator[bool]:
        """An order has been journalled and sent, and has not arrived."""
        with self.phx.fault("slow_request", of="place", delay_s=IN_FLIGHT_S):
            yield self.seen(lambda: self.unanswered(JournalKind.JOURNAL_PLACE))

    @contextlib.contextmanager
    def cancel(self) -> Iterator[bool]:
        """A cancel has been journalled and sent, and has not arrived."""
        with self.phx.fault("slow_request", of="cancel", delay_s=IN_FLIGHT_S):
            yield self.seen(lambda: self.unanswered(JournalKind.JOURNAL_CANCEL))

    def unanswered(self, kind: JournalKind) -> bool:
        newest = self.phx.newest("journal")
        return newest is not None and newest["kind"] == kind

    @contextlib.contextmanager
    def fills(self) -> Iterator[bool]:
        """Takers run through our quotes, one wave after another, each time from the side that brings us nearer flat."""
        held = self.phx.newest_field(f"own.{BTC}", "position_lots")
        before = self.phx.newest_field(f"own.{BTC}", "fills")
        side = "BUY" if (held or 0) > 0 else "SELL"
        with self.phx.fault("foreign_order", account=2, symbol=BTC, side=side, **BURST):
            yield self.seen(lambda: self.phx.newest_field(f"own.{BTC}", "fills") != before)

    # ---- the account's stream

    @contextlib.contextmanager
    def listen_key(self) -> Iterator[bool]:
        """The listen key ended a moment ago; the stream is down and on its way back."""
        before = self.phx.counters("process.gateway")["disconnects"]
        self.phx.switch_on("key_expired")
        yield self.seen(lambda: self.phx.counters("process.gateway")["disconnects"] != before)

    # ---- files

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[bool]:
        """A file that must survive is half written: ops' snapshot, or what a new life of the gateway writes first."""
        folder = self.phx.config.run_folder()
        if self.process == "gateway":
            self.phx.hit("gateway", signal.SIGKILL)
        else:
            folder /= "snapshots"
        yield self.seen(lambda: any(".tmp" in name for name in names(folder)))

    @contextlib.contextmanager
    def reload(self) -> Iterator[bool]:
        """A changed configuration was published a moment ago."""
        before = self.phx.newest_field(f"params.{BTC}", "params_version")
        self.phx.change_configuration()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.phx.pid("ops"), signal.SIGHUP)
        yield self.seen(lambda: self.phx.newest_field(f"params.{BTC}", "params_version") != before)

    def operate(self, command: str) -> None:
        """Have ops do something as soon as it can be asked: it may be what was hit."""
        wait_until(lambda: ops(self.phx, command), 20, f"ops to take {command}", every_s=0.1)


STAGES = (
    "start",
    "reconcile",
    "idle",
    "quoting",
    "place",
    "cancel",
    "fills",
    "listen_key",
    "snapshot",
    "reload",
    "shutdown",
)


def ops(phx, command: str) -> bool:
    """Return whether ops did what it was asked to."""
    with contextlib.suppress(Exception):
        return ask(phx.config.socket_path("control"), Request(command)).ok
    return False


def names(folder) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
