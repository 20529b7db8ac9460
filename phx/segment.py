"""Shared memory as files: create one, attach to one, refuse what does not fit.

Own files under /dev/shm instead of multiprocessing.shared_memory, which before Python 3.13 unlinks a live segment
when a mere reader exits. A segment appears by rename, whole; a restarted writer makes a new one, of the next
generation, and never repairs the old in place.
"""

import mmap
import os
import stat
from functools import cache
from pathlib import Path

import numpy as np

from phx._core.enums import ProcessState
from phx._core.records import HEADER_BYTES, MAGIC, SEGMENT_HEADER, fnv1a, layout_hash

# Non-blocking, for a pipe in the place of a segment would make open() wait for ever.
OPEN_TO_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
MOST_GENERATIONS = 1 << 48  # more is no count but a damaged header


class SegmentMissing(OSError):
    """The segment's file is not there (yet)."""


class SegmentFull(OSError):
    """There is no room for a segment."""


class SegmentRefused(ValueError):
    """The file is there but is not what this code, boot or instance may read; says what was found and expected."""


@cache
def boot_id_hash() -> int:
    """Return a number of this boot of the host."""
    return fnv1a(Path("/proc/sys/kernel/random/boot_id").read_bytes())


def start_ticks(pid: int) -> int:
    """Return when a process started (field 22 of its stat), 0 when there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return 0


class Segment:
    """One mapped segment. `header` and `records` are numpy views; `memory` is what rings are made over.

    Readers map read-only, so their views are not writable. The mapping lives as long as any view of it.
    """

    def __init__(self, path: Path, dtype, fd: int, writable: bool):
        self.path = path
        self.name = path.name
        self.dtype = dtype
        status = os.fstat(fd)
        # The mapping keeps the inode in use, so no later file can have the same number while we look.
        self.identity = (status.st_dev, status.st_ino)
        self.size = size = status.st_size
        access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        self.memory = mmap.mmap(fd, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=access)
        self.header = np.ndarray(1, SEGMENT_HEADER, buffer=self.memory)
        capacity = (size - HEADER_BYTES) // dtype.itemsize
        self.records = np.ndarray(capacity, dtype, buffer=self.memory, offset=HEADER_BYTES)

    @classmethod
    def create(cls, folder: Path, name: str, dtype, slots: int) -> "Segment":
        """Make a segment of the next generation and put it in the place of the old one; the caller holds the lock."""
        path = folder / name
        generation = last_generation(path) + 1
        for left_over in folder.glob(f"{name}.tmp.*"):  # of a writer that died here; the lock is ours
            left_over.unlink(missing_ok=True)
        temporary = folder / f"{name}.tmp.{os.getpid()}"
        size = HEADER_BYTES + slots * dtype.itemsize
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(temporary, flags, 0o600)
        try:
            os.fchmod(fd, 0o600)  # whatever the umask
            # fallocate, not truncate: a full /dev/shm is an error here instead of a SIGBUS at the first store.
            try:
                os.posix_fallocate(fd, 0, size)
            except OSError as error:
                raise SegmentFull(error.errno, f"no room for {size} bytes: {error.strerror}", str(path)) from None
            segment = cls(path, dtype, fd, writable=True)
            header = segment.header[0]
            header["magic"] = MAGIC
            header["layout_hash"] = layout_hash(dtype)
            header["record_bytes"] = dtype.itemsize
            header["capacity"] = slots
            header["boot_id_hash"] = boot_id_hash()
            header["generation"] = generation
            header["writer_pid"] = os.getpid()
            header["writer_start_ticks"] = start_ticks(os.getpid())
            header["scope_hash"] = scope_hash(folder, name)
            header["state"] = ProcessState.STATE_READY
            os.rename(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        return segment

    @classmethod
    def attach(cls, folder: Path, name: str, dtype) -> "Segment":
        """Map a segment for reading. Raises SegmentMissing or SegmentRefused."""
        path = folder / name
        try:
            fd = os.open(path, OPEN_TO_READ)
        except FileNotFoundError:
            raise SegmentMissing(f"{path}: no such segment; its writer has not started") from None
        except OSError as error:
            raise SegmentRefused(f"{path}: {error.strerror}; expected a plain file") from None
        try:
            refuse_unless_ours(path, os.fstat(fd))
            segment = cls(path, dtype, fd, writable=False)
        finally:
            os.close(fd)
        segment._check()
        return segment

    def _check(self):
        header = self.header[0]
        for field, expected, hint in (
            ("magic", MAGIC, "not a phx segment"),
            ("layout_hash", layout_hash(self.dtype), "writer and reader run different code"),
            ("record_bytes", self.dtype.itemsize, "writer and reader run different code"),
            ("capacity", len(self.records), "the file was cut or extended"),
            ("boot_id_hash", boot_id_hash(), "the file outlived a reboot"),
            ("scope_hash", scope_hash(self.path.parent, self.name), "the file belongs to another segment"),
        ):
            found = int(header[field])
            if found != expected:
                raise SegmentRefused(f"{self.path}: {field} {found:#x}, expected {expected:#x}; {hint}")
        whole = HEADER_BYTES + len(self.records) * self.dtype.itemsize
        if self.size != whole:
            raise SegmentRefused(f"{self.path}: {self.size} bytes, expected {whole}; the file was cut or extended")
        if header["state"] == ProcessState.STATE_INITIALISING:
            raise SegmentRefused(f"{self.path}: still being initialised")

    @property
    def generation(self) -> int:
        return int(self.header["generation"][0])

    @property
    def heartbeat_mono_ns(self) -> int:
        """The writer's last sign of life; 0 until it is ready."""
        return int(self.header["heartbeat_mono_ns"][0])

    @property
    def units_hash(self) -> int:
        """In which ticks and lots its records count (instruments.units_hash); 0 when in none, or not said yet."""
        return int(self.header["units_hash"][0])

    def count_in(self, units_hash: int) -> None:
        """Say in which ticks and lots the records count (writer only); before the first of them."""
        self.header["units_hash"] = units_hash

    def beat(self, now_mono_ns: int) -> None:
        """Leave a sign of life (writer only)."""
        self.header["heartbeat_mono_ns"] = now_mono_ns

    def replaced(self) -> bool:
        """Return whether the file is gone or another one stands in its place: time to attach anew."""
        try:
            status = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return True
        return (status.st_dev, status.st_ino) != self.identity


def private_memory(dtype, slots: int) -> bytearray:
    """Return memory for a ring inside this process, for replay, backtest and tests: a header, then empty slots."""
    memory = bytearray(HEADER_BYTES + slots * dtype.itemsize)
    header = np.ndarray(1, SEGMENT_HEADER, buffer=memory)
    header["record_bytes"], header["capacity"] = dtype.itemsize, slots
    return memory


def scope_hash(folder: Path, name: str) -> int:
    """Return a number of the instance and the segment's name."""
    return fnv1a(f"{folder.name}/{name}".encode())


def last_generation(path: Path) -> int:
    """Return the generation of the segment at `path`, whatever its layout; 0 when there is none of this boot."""
    try:
        fd = os.open(path, OPEN_TO_READ)
    except OSError:
        return 0
    try:
        refuse_unless_ours(path, os.fstat(fd))
        header = np.frombuffer(os.pread(fd, HEADER_BYTES, 0), SEGMENT_HEADER)[0]
    except SegmentRefused:
        return 0
    finally:
        os.close(fd)
    known = (header["magic"], header["boot_id_hash"], header["scope_hash"])
    ours = known == (MAGIC, boot_id_hash(), scope_hash(path.parent, path.name))
    return int(header["generation"]) if ours and header["generation"] < MOST_GENERATIONS else 0


def private_folder(path: Path) -> None:
    """Make sure the folder exists and is closed to everybody else; refuse one that is somebody else's."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise SegmentRefused(f"{path}: expected a folder of uid {os.geteuid()}, found one of uid {status.st_uid}")
    if status.st_mode & 0o077:
        path.chmod(0o700)


def refuse_unless_ours(path: Path, status: os.stat_result) -> None:
    """Raise SegmentRefused unless the file is a plain one of this user that nobody else may open."""
    if not stat.S_ISREG(status.st_mode):
        raise SegmentRefused(f"{path}: not a plain file")
    if status.st_uid != os.geteuid():
        raise SegmentRefused(f"{path}: owned by uid {status.st_uid}, expected {os.geteuid()}")
    if status.st_mode & 0o077:
        raise SegmentRefused(f"{path}: mode {stat.S_IMODE(status.st_mode):o}, expected 600")
    if status.st_size < HEADER_BYTES:
        raise SegmentRefused(f"{path}: {status.st_size} bytes, a header has {HEADER_BYTES}")
