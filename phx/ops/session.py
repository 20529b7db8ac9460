"""`phx up`, `phx down` and `phx run`: an instance from nothing to quoting, and back to nothing."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from phx import limits_file, started_config, topology
from phx.control import AuditLog
from phx.findings import Verdict
from phx.latches import Latches
from phx.ops import host_checks, recordings, supervisor
from phx.ops import summary as report
from phx.ops.figures import figures
from phx.ops.instance import Instance
from phx.ops.view import CLEAR, View, why_not_quoting
from phx.process import EXIT_AGAIN, EXIT_OK, EXIT_STAY_DOWN, Lock, LockHeld

QUOTING_WITHIN_S = 60.0
TURN_S = 0.1
REDRAW_S = 0.5
LINE_S = 5.0
LOG_TAIL_LINES = 8
OWN_PREFIX = "phx"
UNENDED = "session.unended"  # there while a session runs, and after one that no human ended
DEAD_STATES = ("FATAL", "EXITED", "BACKOFF", "UNKNOWN")


class StartRefused(Exception):
    """Why an instance cannot be started here and now."""


class QuotingFailed(Exception):
    """Why an instance did not come to quoting."""


def prepare(config, config_path: Path) -> Lock:
    """Make folders and programs for a fresh start; return the lock that keeps a second starter away.

    Refuses while any process of the instance lives, and recordings that cannot be played; what a crashed run left in
    shared memory is removed.
    """
    recordings.check(config)
    os.umask(0o077)
    folder = config.shm_folder()
    for needed in (folder.parent, folder, config.run_folder()):
        needed.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = Lock(folder / "lock.session")
    try:
        lock.take()
    except LockHeld:
        raise StartRefused(f"instance {config.global_.instance} is being run by process {lock.holder_pid()}") from None
    alive = {name: pid for name, pid in supervisor.living(config).items() if name != "session"}
    if alive:
        lock.release()
        names = ", ".join(f"{name} (pid {pid})" for name, pid in alive.items())
        raise StartRefused(f"instance {config.global_.instance} is alive: {names}; `phx down` ends it")
    with contextlib.suppress(supervisor.NotRunning):
        supervisor.Supervisor(config).states()
        lock.release()
        raise StartRefused(f"a supervisord answers at {supervisor.socket_path(config)}; `phx down` ends it")
    clear_shared_memory(config)
    room = host_checks.shared_memory(config)
    if room.verdict == Verdict.FAIL:
        lock.release()
        remove_shared_memory(config)
        raise StartRefused(room.line)
    begin(config)
    supervisor.write_programs(config, config_path)
    started_config.keep(config, config_path)
    return lock


def begin(config) -> None:
    """Take the limits as configured and nothing paused, where a human ended the session before: he means that now.

    After a crash or a reboot something else may have started us: what was paused stays so, and no limit rises.
    """
    run_folder = config.run_folder()
    unended = (run_folder / UNENDED).exists()
    if not unended:
        for name in ("operator.json", limits_file.NAME):
            (run_folder / name).unlink(missing_ok=True)
    (run_folder / UNENDED).touch(mode=0o600)
    limits = "as in the session before, which nobody ended" if unended else "as configured"
    AuditLog(run_folder).write(command="start", symbol="", reason=f"limits {limits}", uid=os.getuid())


def end(config) -> None:
    """Note that a human ended the session."""
    (config.run_folder() / UNENDED).unlink(missing_ok=True)


def clear_shared_memory(config) -> None:
    """Remove an instance's segments, all but the lock of the session that does it."""
    folder = config.shm_folder()
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name != "lock.session":
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def remove_shared_memory(config) -> None:
    """Leave nothing of the instance in shared memory."""
    shutil.rmtree(config.shm_folder(), ignore_errors=True)
    with contextlib.suppress(OSError):  # another instance stands there
        config.shm_folder().parent.rmdir()


def up(config, config_path: Path) -> int:
    """Start an instance in the background."""
    lock = prepare(config, config_path)
    try:
        supervisor.start(config, dies_with_us=False)
    finally:
        lock.release()
    print(
        f"instance {config.global_.instance} is up: {len(topology.processes(config))} processes; `phx status` shows it"
    )
    return EXIT_OK


def down(config) -> int:
    """Stop an instance in order: own orders cancelled, the venue last. Also ends what a dead supervisord left."""
    try:
        stop_in_order(supervisor.Supervisor(config), config)
    except supervisor.NotRunning:
        if not supervisor.living(config):
            end(config)
            print(f"instance {config.global_.instance} is not running")
            remove_shared_memory(config)
            return EXIT_OK
    ended = supervisor.end_orphans(config)
    if ended:
        print(f"ended without supervisord: {', '.join(ended)}")
    end(config)
    remove_shared_memory(config)
    print(f"instance {config.global_.instance} is down")
    return EXIT_OK


def stop_in_order(running: supervisor.Supervisor, config, before_sim=lambda: None) -> None:
    """Stop every process, quoters first, the venue last, then supervisord; `before_sim` runs while the venue is up."""
    for names in supervisor.by_stop_order(topology.processes(config)):
        if names == ["sim"]:
            before_sim()
        running.stop(names)
    running.shutdown()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            running.states()
        except supervisor.NotRunning:
            return
        time.sleep(0.05)


def run(config, config_path: Path, seconds: float | None) -> int:
    """Run an instance in the foreground until Ctrl-C, SIGTERM or `seconds`; return 0 only if it was healthy."""
    lock = prepare(config, config_path)
    try:
        return Session(config).run(seconds)
    finally:
        lock.release()
        remove_shared_memory(config)


class Session:
    """One `phx run`: start, wait for quotes, show, stop, sum up."""

    def __init__(self, config):
        self.config = config
        self.instance = Instance(config)
        self.view = View(self.instance)
        self.terminal = sys.stdout.isatty()
        self.stopping = False
        self.faults: list[str] = []
        self.exits: dict[str, int] = {}
        self.pids: dict[str, int] = {}
        self.own_orders: int | None = None
        self.quoting = report.Quoting()
        self.daemon: subprocess.Popen | None = None
        self.supervisor = supervisor.Supervisor(config)

    def run(self, seconds: float | None) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.on_stop)
        try:
            self.daemon = supervisor.start(self.config, dies_with_us=True)
            names = ", ".join(topology.processes(self.config))
            print(f"phx {self.config.global_.instance} on {self.config.venue.environment}: {names}", flush=True)
            for latch in Latches(self.config.run_folder()).all():
                print(f"latched: {latch.name}: {latch.reason}; `phx enable` clears it", flush=True)
            self.wait_until_quoting()
            self.watch(seconds)
        except (QuotingFailed, supervisor.StartFailed, supervisor.NotRunning) as error:
            self.faults.append(str(error))
        else:
            end(self.config)
        self.stop()
        return self.conclude()

    def on_stop(self, number, frame) -> None:
        # Again and again if need be: stopping is under way, and it always cancels.
        self.stopping = True

    def wait_until_quoting(self) -> None:
        deadline = time.monotonic() + QUOTING_WITHIN_S
        while not self.stopping:
            self.note_exits()
            found = [figures(self.instance, symbol) for symbol in self.config.traded()]
            if all(f.quotes_both_sides for f in found):
                print(f"quoting on both sides of {', '.join(self.config.traded())}", flush=True)
                return
            if time.monotonic() > deadline or self.gone():
                waiting = "; ".join(f"{f.symbol}: {why}" for f in found if (why := why_not_quoting(f)))
                print(self.blame(), flush=True)
                gone = ", ".join(f"{name} stays down" for name in self.gone())
                raise QuotingFailed(f"not quoting: {gone or f'not within {QUOTING_WITHIN_S:.0f} s'} ({waiting})")
            time.sleep(TURN_S)

    def gone(self) -> list[str]:
        """Return the processes that supervisord has given up on, or that ended and stay down."""
        states = self.supervisor.states().items()
        return [name for name, info in states if info["statename"] == "FATAL" or stays_down(info)]

    def blame(self) -> str:
        """Return the last log lines of the processes that are not well."""
        states = self.supervisor.states()
        unwell = [n for n, info in states.items() if info["statename"] in DEAD_STATES or n in self.exits]
        if not unwell:
            unwell = [name for name in states if self.instance.heartbeat_age_ns(name) is None]
        return "\n".join(f"{name} ({states[name]['statename']}):\n{log_tail(self.config, name)}" for name in unwell)

    def watch(self, seconds: float | None) -> None:
        """Show the instance until it is time to stop."""
        self.quoting = report.Quoting()
        shown_s = checked_s = 0.0
        while not self.stopping and (seconds is None or self.quoting.seconds < seconds):
            now_s = time.monotonic()
            self.quoting.look(self.instance)
            if now_s - checked_s >= 1.0:
                checked_s = now_s
                self.note_exits()
            if now_s - shown_s >= (REDRAW_S if self.terminal else LINE_S):
                shown_s = now_s
                print(CLEAR + "\n".join(self.view.screen()) if self.terminal else self.view.line(), flush=True)
            time.sleep(TURN_S)

    def note_exits(self) -> None:
        """Count processes that live under another pid than before, or that are down: nobody asked for it."""
        for name, info in self.supervisor.states().items():
            known, pid = self.pids.get(name), info["pid"]
            if known and pid != known:
                self.exits[name] = self.exits.get(name, 0) + 1
            if pid or info["statename"] in DEAD_STATES:
                self.pids[name] = pid

    def stop(self) -> None:
        if self.daemon is None:
            return
        print("stopping: own orders are cancelled, the venue ends last", flush=True)
        with contextlib.suppress(supervisor.NotRunning):
            self.note_exits()
        try:
            stop_in_order(self.supervisor, self.config, self.count_own_orders)
        except supervisor.NotRunning:
            self.faults.append("supervisord died")
            if ended := supervisor.end_orphans(self.config):
                self.faults.append(f"ended without supervisord: {', '.join(ended)}")
        try:
            self.daemon.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
        if self.config.venue.environment != "sim":
            self.count_proven_orders()

    def count_own_orders(self) -> None:
        """Ask the simulated venue how many orders of ours it still holds."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            self.own_orders = sim_open_orders(self.config.sim.port)

    def count_proven_orders(self) -> None:
        """Elsewhere the gateway's own proof has to do."""
        account = self.instance.newest("account")
        if account is not None:
            self.own_orders = 0 if account["no_open_order_proven"] else int(account["open_orders"])

    def conclude(self) -> int:
        summary = report.summarise(self.instance, self.quoting, self.own_orders, self.exits, self.faults)
        (self.config.run_folder() / "summary.json").write_bytes(report.to_json(summary))
        print("\n".join(report.lines(summary)), flush=True)
        return EXIT_AGAIN if summary.faults else EXIT_OK


def stays_down(info: dict) -> bool:
    """Return whether supervisord sees a process that ended with a status that is not restarted."""
    return info["statename"] == "EXITED" and info["exitstatus"] in (EXIT_OK, EXIT_STAY_DOWN)


def sim_open_orders(port: int) -> int:
    """Return how many orders of ours the simulated venue holds, by its ledger."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/sim/ledger", timeout=5) as reply:
        symbols = json.load(reply)["symbols"].values()
    return sum(row["clientOrderId"].startswith(OWN_PREFIX) for symbol in symbols for row in symbol["open"])


def log_tail(config, process: str) -> str:
    path = config.run_folder() / "logs" / f"{process}.log"
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - 8192))
            lines = file.read().decode(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    except OSError:
        lines = []
    return "\n".join(f"  {line}" for line in lines) or f"  nothing in {path}"
