"""Latches: stops that survive a restart, one file per process and symbol, cleared only by a human.

Any process sets its own; the gateway adds no order and the quoter shows no ladder while one is present. Only
`phx enable` clears them, through the guardian, which leaves an audit line. That takes two steps: whoever clears
repeats a word that stands for exactly the latches that are set, so nobody clears one that he has not been shown.
"""

import contextlib
import errno
import hashlib
import os
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from phx.durable import sync_folder, write_durably

RESERVE_BYTES = 64 * 1024  # of disk, given up for a latch when the disk is full: a full disk cannot stop a stop
FULL = (errno.ENOSPC, errno.EDQUOT)
HUMAN = "operator"  # who sets the latch of `phx kill`, whichever process did it for him
DAILY_LOSS = "daily loss limit reached"  # the position is closed before staying down
ONLY_REDUCE = "may only reduce: "  # so begins the reason why nothing is added, while stops still close what is open


class Latch(Struct, frozen=True):
    """process: who set it. symbol: what it stops, "" = everything. who: the uid behind it, or the detector's name."""

    process: str
    symbol: str
    reason: str
    who: str
    ts_ns: int  # UTC epoch

    @property
    def name(self) -> str:
        return f"{self.process}.{self.symbol}" if self.symbol else self.process

    @property
    def halts(self) -> bool:
        """Return whether what is open stays as it is, too, until a human says otherwise."""
        return self.reason != DAILY_LOSS and not self.reason.startswith(ONLY_REDUCE)


class NotConfirmed(Exception):
    """Latches that nobody has confirmed yet; `word` does."""

    def __init__(self, latches: list[Latch]):
        super().__init__("not confirmed: nothing is cleared")
        self.latches = latches
        self.word = word_for(latches)

    def status(self) -> dict[str, list[str]]:
        """Return what a human has to see before he confirms, as lines of a control socket's answer."""
        lines = [f"{latch.name}: {latch.reason} (set by {latch.who or 'nobody known'})" for latch in self.latches]
        return {"latches": lines, "confirm": [self.word]}


def word_for(latches: list[Latch]) -> str:
    """Return the word that confirms clearing exactly these latches."""
    told = msgspec.json.encode(sorted((latch.name, latch.reason, latch.ts_ns) for latch in latches))
    return hashlib.sha256(told).hexdigest()[:6]


class Latches:
    """The folder of latches of one instance."""

    def __init__(self, run_folder: Path):
        self.folder = run_folder / "latches"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.reserve = run_folder / "latches.reserve"
        with contextlib.suppress(OSError):  # made by another process, or the disk is full already
            fd = os.open(self.reserve, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(fd, 0, RESERVE_BYTES)
            finally:
                os.close(fd)

    def set(self, process: str, reason: str, symbol: str = "", who: str = "") -> Latch:
        """Set a latch; it is on disk when this returns. A latch that is set already keeps its first reason."""
        latch = Latch(process, symbol, reason, who or process, time.time_ns())
        path = self.folder / f"{latch.name}.json"
        if path.exists():
            return latch
        told = msgspec.json.encode(latch)
        try:
            write_durably(path, told)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.reserve.unlink(missing_ok=True)
            write_durably(path, told)
        return latch

    def all(self) -> list[Latch]:
        """Return the latches that are set. A file that cannot be read is a latch too: it stops everything."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=Latch))
            except FileNotFoundError:
                continue
            except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
                found.append(Latch(path.stem, "", f"unreadable: {error}", "", 0))
        return found

    def stops(self, symbol: str) -> Latch | None:
        """Return a latch that stops a symbol, if there is one."""
        return next((latch for latch in self.all() if latch.symbol in ("", symbol)), None)

    def of(self, symbol: str = "") -> list[Latch]:
        """Return every latch, or those of one symbol alone."""
        return [latch for latch in self.all() if symbol in ("", latch.symbol)]

    def release(self, symbol: str, word: str) -> list[Latch]:
        """Clear what a human confirmed; return it. Raises NotConfirmed when the word is not that of these latches."""
        latches = self.of(symbol)
        if latches and word != word_for(latches):
            raise NotConfirmed(latches)
        return self._remove(latches)  # and none that was set since

    def clear(self, symbol: str = "") -> list[Latch]:
        """Remove every latch, or those of one symbol; return them. For the guardian, on a human's word."""
        return self._remove(self.of(symbol))

    def _remove(self, latches: list[Latch]) -> list[Latch]:
        for latch in latches:
            (self.folder / f"{latch.name}.json").unlink(missing_ok=True)
        sync_folder(self.folder)
        return latches
