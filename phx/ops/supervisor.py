"""supervisord: which programs it runs (one group per process), starting it, asking it, stopping all in order."""

import contextlib
import ctypes
import http.client
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path

from phx import key_handover, topology
from phx.durable import write_whole
from phx.process import EXIT_OK, EXIT_STAY_DOWN, Lock

ROOT = Path(__file__).resolve().parents[2]
PR_SET_PDEATHSIG = 1

# How long a process may take to end. The gateway cancels its orders and proves them gone, the guardian verifies it.
STOP_S = {"gateway": 15, "guardian": 10}
STOP_DEFAULT_S = 5

# Quoters first, so that nothing new is wanted; the venue last, so that everything can still be cancelled.
STOP_ORDER = ("quoter", "gateway", "guardian", "feed", "ops", "sim")

# Only these are told where the venue's key is. supervisord itself and the others get neither key nor path.
KEY_HOLDERS = ("gateway", "guardian")


class NotRunning(Exception):
    """No supervisord answers for this run folder."""


class StartFailed(Exception):
    """supervisord did not come up; says where its log is."""


def program_text(process: str, config, config_path: Path) -> str:
    """Return the supervisord section of one process.

    The instruments it works for are part of it, so that `update` restarts exactly the processes a new symbol concerns.
    """
    kind, _, argument = process.partition(".")
    verb = f"{kind} {argument}".strip()
    if kind == "feed":
        instruments = config.feed_groups()[argument]
    elif kind == "quoter":
        instruments = [argument, config.leader_of(argument)]
    else:
        instruments = [*config.traded(), *config.watch]
    environment = {"PYTHONUNBUFFERED": "1", "PHX_INSTRUMENTS": " ".join(filter(None, instruments))}
    if kind in KEY_HOLDERS:
        environment["PHX_KEY_FILE"] = escaped(key_handover.path(config)).replace('"', "")
    log = config.run_folder() / "logs" / f"{process}.log"
    lines = {
        "command": f"{quoted(sys.executable)} -m phx --config {quoted(config_path)} {verb}",
        "directory": escaped(ROOT),
        "environment": ",".join(f'{key}="{value}"' for key, value in environment.items()),
        "autostart": "true",
        # supervisord itself, when it is told to end, stops group after group from the largest number down.
        "priority": str(len(STOP_ORDER) - STOP_ORDER.index(kind)),
        "autorestart": "unexpected",
        "exitcodes": f"{EXIT_OK},{EXIT_STAY_DOWN}",
        # 0: an early end is judged by its status too. With more, supervisord would retry even "do not restart me".
        "startsecs": "0",
        "stopsignal": "TERM",
        "stopwaitsecs": str(STOP_S.get(kind, STOP_DEFAULT_S)),
        "umask": "077",
        "redirect_stderr": "true",
        "stdout_logfile": escaped(log),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "3",
    }
    return f"[program:{process}]\n" + "".join(f"{key}={value}\n" for key, value in lines.items())


def escaped(text) -> str:
    """Return text as supervisord reads it back: a percent sign begins an expansion there."""
    return str(text).replace("%", "%%")


def quoted(text) -> str:
    """Return one word of a command line, spaces and all."""
    return '"' + escaped(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def write_programs(config, config_path: Path) -> None:
    """Make `programs.d` hold exactly one file per process of the configuration."""
    folder = config.run_folder() / "programs.d"
    for needed in (config.run_folder(), folder, config.run_folder() / "logs"):
        needed.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {f"{name}.conf": program_text(name, config, config_path) for name in topology.processes(config)}
    for path in folder.glob("*.conf"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        write_whole(folder / name, text.encode())


def socket_path(config) -> Path:
    return config.socket_path("supervisor/rpc")


def start(config, dies_with_us: bool) -> subprocess.Popen:
    """Start supervisord in a session of its own and wait until it answers. Raises StartFailed."""
    socket = socket_path(config)
    for folder in (socket.parent.parent, socket.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket.parent.chmod(0o700)
    key_handover.give(config, os.environ)
    environment = os.environ | {"PHX_RUN": str(config.run_folder()), "PHX_SOCKET": str(socket)}
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(ROOT / "supervisord.conf")]
    output = config.run_folder() / "logs" / "supervisord.out"
    with open(output, "wb") as out:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent if dies_with_us else None,
        )
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(NotRunning):
            Supervisor(config).states()
            return process
        time.sleep(0.05)
    said = [line for line in output.read_text(errors="replace").splitlines() if line.startswith("Error")]
    raise StartFailed(f"supervisord did not start: {said[0] if said else 'no reason given'} (see {output})")


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies, so that not even kill -9 of `phx run` leaves it quoting."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """A running supervisord, asked through its unix socket. Every method raises NotRunning when none answers."""

    def __init__(self, config):
        self.config = config
        self.socket = socket_path(config)

    def call(self, method: str, *arguments):
        from supervisor.xmlrpc import SupervisorTransport

        # A connection of its own for each call: one that broke would spoil those after it.
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise NotRunning(f"no supervisord answers at {self.socket}: {error}") from None
        finally:
            transport.close()

    def states(self) -> dict[str, dict]:
        """Return supervisord's word on each process: statename, pid, exitstatus, spawnerr, …"""
        return {info["name"]: info for info in self.call("getAllProcessInfo")}

    def stop(self, processes: list[str]) -> None:
        """Stop processes and wait for their end; supervisord kills one after its stopwaitsecs."""
        for name in processes:
            with contextlib.suppress(xmlrpc.client.Fault):  # not running: what was wanted
                self.call("stopProcess", name, False)
        while any(info["pid"] for name, info in self.states().items() if name in processes):
            time.sleep(0.02)

    def start_ended(self) -> list[str]:
        """Start every process that is down and was not told to be; return their names."""
        ended = [name for name, info in self.states().items() if info["statename"] in ("EXITED", "FATAL")]
        for name in ended:
            with contextlib.suppress(xmlrpc.client.Fault):  # it came back meanwhile
                self.call("startProcess", name, False)
        return ended

    def update(self) -> dict[str, list[str]]:
        """Read programs.d again and restart only the groups that changed; return what was added, changed, removed."""
        ((added, changed, removed),) = self.call("reloadConfig")
        for names in by_stop_order([*removed, *changed]):
            self.stop(names)
        for name in [*removed, *changed]:
            self.call("removeProcessGroup", name)
        for name in [*changed, *added]:
            self.call("addProcessGroup", name)
        return {"added": added, "changed": changed, "removed": removed}

    def shutdown(self) -> None:
        self.call("shutdown")


def by_stop_order(names) -> list[list[str]]:
    """Return process names in the order in which they may end, those that may end together in one list."""
    kinds = {kind: [name for name in names if name.partition(".")[0] == kind] for kind in STOP_ORDER}
    return [found for found in kinds.values() if found]


def living(config) -> dict[str, int]:
    """Return process → pid of everything that holds a lock of this instance."""
    found = {}
    for path in sorted(config.shm_folder().glob("lock.*")):
        lock = Lock(path)
        if lock.held_by_somebody():
            found[path.name.removeprefix("lock.")] = lock.holder_pid()
        lock.release()
    return found


def end_orphans(config) -> list[str]:
    """End processes of this instance that no supervisord looks after, in order; return their names."""
    ended = []
    for names in by_stop_order(living(config)):
        ended += names
        patience_s = max(STOP_S.get(name.partition(".")[0], STOP_DEFAULT_S) for name in names)
        for number, within_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 2)):
            for name in names:
                if pid := living(config).get(name):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            deadline = time.monotonic() + within_s
            while set(names) & set(living(config)) and time.monotonic() < deadline:
                time.sleep(0.05)
    return ended
