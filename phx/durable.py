"""Files that appear whole: whoever reads one finds the old or the new, also after a crash."""

import os
import threading
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file, which is on disk when the call returns: temporary, fsync, rename, fsync of the folder."""
    write_whole(path, data, fsync=True)
    sync_folder(path.parent)


def write_whole(path: Path, data: bytes, fsync: bool = False) -> None:
    """Replace a file, mode 0600; a host that crashes may leave the one before."""
    temporary = path.with_name(f"{path.name}.tmp{threading.get_native_id()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if fsync:
            os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(temporary, path)


def sync_folder(folder: Path) -> None:
    """Make names that were created, renamed or removed in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
