"""Draining the gateway's journal to disk: one file per life of the gateway, appended and synced in order.

A file begins with a 64-byte header (magic, layout hash, record size, epoch), then records as they stand in memory. A
record cut off by a crash is overwritten by its whole self when ops comes back, as long as the ring still has it.
"""

import os
import struct
from pathlib import Path

from phx._core.records import JOURNAL, layout_hash
from phx._core.ring import LAPPED, OK
from phx.durable import sync_folder
from phx.ops.instance import Instance

HEADER = struct.Struct("<8sQQQ32x")
MAGIC = b"PHXJRNL1"
BATCH = 4096


class JournalRefused(ValueError):
    """A journal file that was written by other code, or is none."""


class JournalDrain:
    """Copies new entries of the `journal` ring to `<run folder>/journal/<epoch>.journal`."""

    def __init__(self, instance: Instance):
        self.instance = instance
        self.folder = instance.config.run_folder() / "journal"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.reader = None
        self.fd = -1
        self.epoch = 0
        self.written_seq = 0  # newest entry that is safe on disk
        self.lost = 0  # entries that were overwritten before they were read

    def drain(self) -> int:
        """Write what is new, durably; return how many entries. Raises OSError when the disk refuses."""
        reader = self.instance.reader("journal")
        if reader is None:
            return 0
        if reader is not self.reader:
            segment = self.instance.segment("journal")
            reader.attach(segment.memory, segment.dtype, True)
            self.close()
            self.reader = reader
        entries = self._read_new()
        if entries:
            self._append(entries)
        return len(entries)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd, self.epoch, self.written_seq, self.reader = -1, 0, 0, None

    def _read_new(self) -> list:
        entries = []
        lost_before = self.reader.lost
        while len(entries) < BATCH:
            code, entry = self.reader.read_record()
            if code == OK:
                entries.append(entry)
            elif code != LAPPED:
                break
        self.lost += self.reader.lost - lost_before
        return entries

    def _append(self, entries: list) -> None:
        if self.fd < 0:
            self._open(int(entries[0]["epoch"]))
        data = b"".join(entry.tobytes() for entry in entries if entry["seq"] > self.written_seq)
        if not data:
            return
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self.fd, view) :]
            os.fdatasync(self.fd)
        except OSError:
            # Come back to these entries: from the start of the ring, past what is on disk.
            self.close()
            raise
        self.written_seq = int(entries[-1]["seq"])

    def _open(self, epoch: int) -> None:
        path = self.folder / f"{epoch:010d}.journal"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(fd).st_size
            if size < HEADER.size:
                os.ftruncate(fd, 0)
                os.pwrite(fd, HEADER.pack(MAGIC, layout_hash(JOURNAL), JOURNAL.itemsize, epoch), 0)
                size = HEADER.size
                sync_folder(self.folder)
            check_header(path, os.pread(fd, HEADER.size, 0))
            whole = HEADER.size + (size - HEADER.size) // JOURNAL.itemsize * JOURNAL.itemsize
            os.ftruncate(fd, whole)
            os.lseek(fd, whole, os.SEEK_SET)
            if whole > HEADER.size:
                (self.written_seq,) = struct.unpack("<Q", os.pread(fd, 8, whole - JOURNAL.itemsize))
        except BaseException:
            os.close(fd)
            raise
        self.fd, self.epoch = fd, epoch


def check_header(path: Path, header: bytes) -> None:
    magic, layout, record_bytes, _ = HEADER.unpack(header)
    if (magic, layout, record_bytes) != (MAGIC, layout_hash(JOURNAL), JOURNAL.itemsize):
        raise JournalRefused(f"{path}: not a journal of this layout; written by other code")


def read_journal(path: Path):
    """Return the entries of a journal file as an array of JOURNAL records. Raises JournalRefused."""
    import numpy as np

    data = path.read_bytes()
    if len(data) < HEADER.size:
        raise JournalRefused(f"{path}: {len(data)} bytes, a header has {HEADER.size}")
    check_header(path, data[: HEADER.size])
    count = (len(data) - HEADER.size) // JOURNAL.itemsize
    return np.frombuffer(data, JOURNAL, count, HEADER.size)
