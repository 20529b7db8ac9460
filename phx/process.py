"""The life of a process: lock, segments, heartbeat, signals, the own-freeze check, exit codes.

Every process is started alone, in any order, and waits for what it needs with a timeout and one clear line.
"""

import fcntl
import json
import logging
import os
import signal
import struct
import sys
import time
from pathlib import Path

from phx import topology
from phx._core.edge.bell import Bell, Ringer
from phx.durable import write_whole
from phx.segment import Segment, SegmentFull, SegmentMissing, SegmentRefused, private_folder

EXIT_OK = 0
EXIT_AGAIN = 1  # supervisord starts us anew
EXIT_ANEW = 74  # what this life was built on has changed: begin anew at once; no crash
EXIT_LOCKED = 75  # another instance holds our lock; worth another try
EXIT_STAY_DOWN = 78  # bad configuration or a human latch: do not restart me

HEARTBEAT_NS = 10_000_000
HUNG_NS = 250_000_000  # a heartbeat older than this is not acted on
FENCE_NS = 750_000_000  # older than this: the guardian kills before it cancels
LONGEST_LOG_LINE = 2000  # characters


log = logging.getLogger("phx")


class StayDown(Exception):
    """A reason not to be restarted: the process ends with status 78."""


class Anew(Exception):
    """What this life was built on has changed: the process ends with status 74, and the next life begins at once."""


class LockHeld(Exception):
    """Another process of this name is alive."""


class Lock:
    """A lock on a whole file that the kernel releases when its holder dies, within milliseconds.

    An open-file-description lock: unlike flock it can be asked about without being taken, so that a watcher never
    stands in the way of a process that starts.
    """

    WHOLE_FILE = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)  # struct flock

    def __init__(self, path: Path):
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def take(self) -> None:
        try:
            fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK, self.WHOLE_FILE)
        except BlockingIOError:
            raise LockHeld(f"{self.path}: held by process {self.holder_pid() or 'unknown'}") from None
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self.fd)

    def held_by_somebody(self) -> bool:
        """Return whether some other holder has it; for watchers that never take it themselves."""
        answer = fcntl.fcntl(self.fd, fcntl.F_OFD_GETLK, self.WHOLE_FILE)
        return struct.unpack_from("h", answer)[0] != fcntl.F_UNLCK

    def holder_pid(self) -> int:
        """Return the pid the last holder wrote, 0 when none did."""
        text = os.pread(self.fd, 32, 0).decode(errors="replace").strip()
        return int(text) if text.isdigit() else 0


class Process:
    """What every process has: its name, folders, lock, own segments, bell, heartbeat and the wish to stop.

    After `with Process(name, config) as process:` the lock is held, all its segments exist (a new generation), and
    SIGTERM or SIGINT set `stopping`. `ready()` starts the heartbeat.
    """

    def __init__(self, name: str, config):
        self.name = name
        self.config = config
        self.folder = config.shm_folder()
        self.run_folder = config.run_folder()
        self.stopping = False
        self.reload_wanted = False
        self.segments: dict[str, Segment] = {}
        self.is_ready = False
        self._last_turn_mono_ns = 0

    def __enter__(self) -> "Process":
        os.umask(0o077)
        private_folder(self.folder.parent)
        private_folder(self.folder)
        self.run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        self.lock = Lock(self.folder / f"lock.{self.name}")
        self.lock.take()
        for segment_name in topology.writes(self.name, self.config):
            row = topology.kind_of(segment_name)
            self.segments[segment_name] = Segment.create(self.folder, segment_name, row.record, row.slots)
        self.bell = Bell(str(self.folder / f"bell.{self.name}"))
        self.own = self.segments[f"process.{self.name}"]
        self.counters = self.own.records
        self.counters["starts"] = self.own.generation
        cpu = self.config.cpu_of(self.name)
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        log.info("%s: started, pid %d, generation %d", self.name, os.getpid(), self.own.generation)
        return self

    def __exit__(self, kind, value, traceback):
        for segment in self.segments.values():
            segment.beat(0)
        self.lock.release()
        log.info("%s: stopped", self.name)

    def _on_stop(self, number, frame):
        self.stopping = True
        self.ringer_of(self.name).ring_now()  # it may be asleep

    def _on_reload(self, number, frame):
        self.reload_wanted = True

    def ready(self) -> None:
        """Say that this process does its work from now on: the heartbeat begins."""
        self.is_ready = True
        self.beat()
        log.info("%s: ready", self.name)

    def beat(self) -> None:
        """Leave a sign of life; at least every HEARTBEAT_NS while running."""
        if self.is_ready:
            self.own.beat(time.monotonic_ns())

    def froze(self) -> bool:
        """Return whether this process did not run for longer than allowed since its last turn.

        Then whatever it knew is old: resync before acting. Boot time also counts a suspended host.
        """
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        gap, self._last_turn_mono_ns = now - (self._last_turn_mono_ns or now), now
        if gap > self.config.freeze_ns():
            self.counters["freezes"] += 1
            log.warning("%s: did not run for %d ms; resynchronising", self.name, gap // 1_000_000)
            return True
        return False

    def try_attach(self, segment_name: str, units_hash: int | None = None) -> Segment | None:
        """Return a segment of another process, or None while there is none that fits.

        units_hash: in which ticks and lots its records have to count, None = they count in none.
        """
        try:
            found = Segment.attach(self.folder, segment_name, topology.kind_of(segment_name).record)
        except (SegmentMissing, SegmentRefused):
            return None
        return found if units_hash is None or found.units_hash == units_hash else None

    def attach(self, segment_name: str, timeout_s: float = 30.0) -> Segment:
        """Return a segment of another process, waiting for its writer. Raises TimeoutError with the reason."""
        deadline = time.monotonic() + timeout_s
        said = False
        while not self.stopping:
            try:
                return Segment.attach(self.folder, segment_name, topology.kind_of(segment_name).record)
            except (SegmentMissing, SegmentRefused) as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.name}: waited {timeout_s:.0f} s for {segment_name}: {error}") from None
                if not said:
                    log.info("%s: waiting for %s: %s", self.name, segment_name, error)
                    said = True
                time.sleep(0.02)
        raise SystemExit(EXIT_OK)

    def ringers(self, segment_name: str) -> list[Ringer]:
        """Return the bells to ring after writing a segment."""
        return [self.ringer_of(reader) for reader in topology.bells(segment_name, self.config)]

    def ringer_of(self, process: str) -> Ringer:
        """Return the bell of a process, itself included."""
        return Ringer(str(self.folder / f"bell.{process}"), topology.BELLS.get(process.partition(".")[0]) == "pipe")


class Peer:
    """Another process as a watcher sees it: alive by its lock, awake by its heartbeat."""

    def __init__(self, process: Process, name: str):
        self.process = process
        self.name = name
        self.lock = Lock(process.folder / f"lock.{name}")
        self.segment: Segment | None = None

    def alive(self) -> bool:
        """Return whether it holds its lock: false within milliseconds of its death."""
        return self.lock.held_by_somebody()

    def pid(self) -> int:
        return self.lock.holder_pid()

    def heartbeat_age_ns(self, now_mono_ns: int) -> int | None:
        """Return the age of its last sign of life; None when it is not ready."""
        if self.segment is None or self.segment.replaced():
            self.segment = self.process.try_attach(f"process.{self.name}")
        if self.segment is None or self.segment.heartbeat_mono_ns == 0:
            return None
        if int(self.segment.header["writer_pid"][0]) != self.pid():
            return None  # a new life has the lock, but its segment is not made yet: this is its predecessor's
        return now_mono_ns - self.segment.heartbeat_mono_ns


def note_exit(folder: Path, name: str, loop_exits: int, loop_s: float) -> bool:
    """Record an unplanned exit; return whether it is one of too many: `loop_exits` within `loop_s` seconds."""
    path = folder / f"exits.{name}.json"
    now = time.clock_gettime(time.CLOCK_BOOTTIME)  # a step of the wall clock hides no loop and makes none
    try:
        times = [t for t in json.loads(path.read_text()) if 0 <= now - t < loop_s]
    except (FileNotFoundError, ValueError):
        times = []
    times.append(now)
    write_whole(path, json.dumps(times).encode())
    return len(times) >= loop_exits


def run(name: str, config, body) -> int:
    """Live one life: `body(process)` between lock and exit; return the exit status for supervisord."""
    try:
        with Process(name, config) as process:
            body(process)
        return EXIT_OK
    except LockHeld as error:
        log.error("%s: %s", name, error)
        return EXIT_LOCKED
    except StayDown as error:
        log.error("%s: %s; staying down", name, error)
        return EXIT_STAY_DOWN
    except Anew as error:
        log.warning("%s: %s; beginning anew", name, error)
        return EXIT_ANEW
    except SegmentFull as error:
        log.error("%s: %s; make room, or trade fewer symbols", name, error)
        return EXIT_AGAIN
    except SystemExit as error:
        return int(error.code or 0)
    except Exception:
        log.exception("%s: ended by an error", name)
        return EXIT_AGAIN


class PlainFormatter(logging.Formatter):
    """Text of others cannot make lines of its own, steer a terminal or fill the disk: escaped, and cut."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = plain(record.message)
        return super().formatMessage(record)

    def formatException(self, info) -> str:
        # Indented, so that a line inside an error's text cannot pass for one of ours.
        return "\n".join(f"  {plain(line)}" for line in super().formatException(info).splitlines())


def plain(text: str) -> str:
    """Return text in one printable line: control characters and those that turn the writing direction escaped."""
    shown = text[:LONGEST_LOG_LINE] + ("…" if len(text) > LONGEST_LOG_LINE else "")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)


def configure_logging(name: str, level: str) -> None:
    """Log one line per event to stdout, where supervisord keeps and rotates it."""
    handler = logging.StreamHandler(sys.stdout)
    pattern = f"%(asctime)s.%(msecs)03d %(levelname).1s {name} %(message)s"
    handler.setFormatter(PlainFormatter(pattern, "%Y-%m-%dT%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
