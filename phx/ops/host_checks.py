"""Whether this host can carry an instance: memory, cores, limits, file modes, time. Nothing here asks the venue."""

import ctypes
import os
import platform
import resource
import shutil
import stat
import struct
import sys
from pathlib import Path

from phx import topology
from phx._core.records import HEADER_BYTES
from phx.config import Config
from phx.findings import Finding, Verdict, judged
from phx.process import StayDown
from phx.venue.binance import keys

OLDEST_PYTHON = (3, 11)
OLDEST_KERNEL = (5, 3)  # pidfd_open, with which the guardian kills exactly the process it means
OPEN_FILES = 1024  # supervisord asks for so many; a gateway itself has about 100
DISK_WARN_BYTES, DISK_FAIL_BYTES = 2**30, 100 * 2**20  # journal and logs of about a week, of an hour
TMPFS_MAGIC = 0x01021994  # linux/magic.h
STA_UNSYNC = 0x40  # linux/timex.h
TIMEX_BYTES = 208


def python(config: Config) -> Finding:
    found = platform.python_version()
    return judged("python", sys.version_info[:2] >= OLDEST_PYTHON, found, "3.11 or newer")


def kernel(config: Config) -> Finding:
    numbers = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2] if part.isdigit())
    return judged("kernel", numbers >= OLDEST_KERNEL, platform.release(), "5.3 or newer")


def cores(config: Config) -> Finding:
    """Judge waiting against cores: spinning without a core of one's own slows everything down."""
    own = len(os.sched_getaffinity(0))
    names = topology.processes(config)
    spinning = [name for name in names if config.process_config(name).wait == "spin"]
    loose = [name for name in spinning if config.cpu_of(name) is None]
    shown = f"{own} cores, {len(spinning)} spinning processes"
    if len(spinning) > own:
        return Finding("cores", Verdict.FAIL, shown, "no more spinning processes than cores", "wait: block")
    advice = f"pin {', '.join(loose)} with processes.cpus"
    return judged("cores", not loose, shown, "each spinning process on a core of its own", advice, Verdict.WARN)


def shared_memory(config: Config) -> Finding:
    """Judge room for the segments, whose total size is shown."""
    needed = segments_bytes(config)
    folder = nearest(config.shm_folder())
    free, mine = shutil.disk_usage(folder).free, folder_bytes(config.shm_folder())
    shown = f"{megabytes(needed)} in {segment_count(config)} segments, {megabytes(free)} free in {folder}"
    if not is_ram(folder):
        advice = "global.shm_dir: a folder of a RAM-backed file system, as /dev/shm"
        return Finding("shared memory", Verdict.WARN, f"{shown}, on a disk", "RAM-backed", advice)
    return judged("shared memory", free + mine >= needed, shown, megabytes(needed), "make room, or fewer symbols")


def left_overs(config: Config) -> Finding:
    """Judge files of an instance of which nothing lives any more."""
    from phx.ops.supervisor import living

    folder = config.shm_folder()
    if not folder.is_dir() or living(config):
        return Finding("stale segments", Verdict.OK, "none" if not folder.is_dir() else "none, the instance is alive")
    files = [path for path in folder.iterdir() if not path.name.startswith("lock.")]
    shown = f"{len(files)} files, {megabytes(folder_bytes(folder))} in {folder}" if files else "none"
    return judged("stale segments", not files, shown, "none", "`phx down` removes them", Verdict.WARN)


def open_files(config: Config) -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    good = hard == resource.RLIM_INFINITY or hard >= OPEN_FILES
    return judged("open files", good, f"{soft}, at most {hard}", f"{OPEN_FILES}", "ulimit -n, LimitNOFILE=")


def core_files(config: Config) -> Finding:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    soft = resource.getrlimit(resource.RLIMIT_CORE)[0]
    shown = "unlimited" if soft == resource.RLIM_INFINITY else f"{soft} bytes"
    return Finding("core files", Verdict.OK, f"{shown} to {pattern[:60]!r}; key holders write none")


def swap(config: Config) -> Finding:
    """Judge whether a copy of a key can reach a disk."""
    lines = Path("/proc/swaps").read_text().splitlines()[1:]
    if config.venue.environment == "sim":
        return Finding("swap", Verdict.OK, f"{len(lines)} areas; the simulated venue's key is worth nothing")
    advice = "swapoff, or encrypted swap: copies of the key may be swapped out"
    return judged("swap", not lines, f"{len(lines)} areas", "none", advice, Verdict.WARN)


def run_folder(config: Config) -> Finding:
    return private("run folder", config.run_folder(), 0o700)


def shm_folder(config: Config) -> Finding:
    return private("segments' folder", config.shm_folder(), 0o700)


def key_file(config: Config) -> Finding:
    if not config.venue.key_file:
        return Finding("key file", Verdict.OK, "none: the key comes from the environment, or is the simulator's own")
    try:
        keys.read_key_file(Path(config.venue.key_file))
    except StayDown as error:
        return Finding("key file", Verdict.FAIL, str(error))
    return Finding("key file", Verdict.OK, f"{config.venue.key_file}, of this user alone")


def sockets(config: Config) -> Finding:
    names = ("control", "guardian", "supervisor/rpc")
    bad = []
    for path in map(config.socket_path, names):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid() or mode & 0o077:
            bad.append(f"{path}: uid {status.st_uid}, mode {mode:o}")
    return judged(
        "sockets", not bad, "; ".join(bad) or "of this user alone", "of this user alone", "`phx down`, remove it"
    )


def user(config: Config) -> Finding:
    root = os.geteuid() == 0
    advice = "run phx as a user of its own"
    worst = Verdict.OK if config.venue.environment == "sim" else Verdict.WARN
    return judged("user", not root, f"uid {os.geteuid()}", "not root", advice, worst)


def disk(config: Config) -> Finding:
    free = shutil.disk_usage(nearest(config.run_folder())).free
    worst = Verdict.FAIL if free < DISK_FAIL_BYTES else Verdict.WARN
    advice = "make room: without a journal nothing new is placed"
    return judged("disk", free >= DISK_WARN_BYTES, f"{megabytes(free)} free", megabytes(DISK_WARN_BYTES), advice, worst)


def time_sync(config: Config) -> Finding:
    """Judge what the kernel says of its clock's discipline."""
    timex = ctypes.create_string_buffer(TIMEX_BYTES)  # modes 0: only ask
    if ctypes.CDLL(None).adjtimex(timex) < 0:
        return Finding("time sync", Verdict.WARN, "the kernel does not say", "synchronised")
    max_error_us, status = struct.unpack_from("@Q", timex, 24)[0], struct.unpack_from("@i", timex, 40)[0]
    synchronised = not status & STA_UNSYNC
    shown = f"synchronised, error at most {max_error_us / 1000:.1f} ms" if synchronised else "not synchronised"
    return judged("time sync", synchronised, shown, "synchronised", "run chrony, or ask the host's owner", Verdict.WARN)


CHECKS = (
    python,
    kernel,
    cores,
    shared_memory,
    left_overs,
    open_files,
    core_files,
    swap,
    user,
    run_folder,
    shm_folder,
    key_file,
    sockets,
    disk,
    time_sync,
)


# ---- what they measure with -------------------------------------------------------------------------------------


def segment_count(config: Config) -> int:
    return sum(len(topology.writes(process, config)) for process in topology.processes(config))


def segments_bytes(config: Config) -> int:
    """Return the total size of every segment of a configuration."""
    rows = [topology.kind_of(name) for p in topology.processes(config) for name in topology.writes(p, config)]
    return sum(HEADER_BYTES + row.slots * row.record.itemsize for row in rows)


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 0


def nearest(path: Path) -> Path:
    """Return a path, or the nearest folder above it that exists."""
    while not path.exists():
        path = path.parent
    return path


def is_ram(folder: Path) -> bool:
    """Return whether a folder is on a tmpfs."""
    buffer = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None).statfs(os.fsencode(folder), buffer) != 0:
        return False
    return struct.unpack_from("@l", buffer)[0] == TMPFS_MAGIC


def private(name: str, folder: Path, expected: int) -> Finding:
    """Judge a folder that must be this user's alone; one that is not there yet is made so."""
    try:
        status = os.lstat(folder)
    except FileNotFoundError:
        return Finding(name, Verdict.OK, f"{folder}: not there yet")
    mode = stat.S_IMODE(status.st_mode)
    good = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not mode & 0o077
    shown = f"{folder}: uid {status.st_uid}, mode {mode:o}"
    return judged(name, good, shown, f"uid {os.geteuid()}, mode {expected:o}", f"chmod {expected:o} {folder}")


def megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
