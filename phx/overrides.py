"""An override: limits that a human raised for a while. One file of the run folder says until when, and what was before.

ops writes it before the raised limits are published and lowers them when it is over; the gateway reads it too and goes
back to the former limits by itself, whoever else is alive. The file stays for as long as the configuration asks for
more than the former limits, so that no restart raises them again.
"""

import hashlib
import hmac
import os
import stat
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from phx.durable import write_durably

LONGEST_S = 86_400.0  # what is to last longer is a configuration, not an override
KEY_BYTES = 32

# Fields of the gateway's limits (risk.Limits) that limit nothing, and those that are stricter the larger they are.
NO_LIMITS = ("params_version", "enabled", "near_layers", "book_max_age_ns")
LONGER_IS_STRICTER = ("throttle_window_ns", "protect_window_ns")


class OverrideRefused(Exception):
    """The file is not as ops wrote it; the text says what was found."""


class Override(Struct, frozen=True):
    """since_ns, until_ns: UTC. uid: who asked for it. former: path in the configuration → its value before.

    limits: symbol → the limits that the gateway had in force before.
    """

    since_ns: int
    until_ns: int
    uid: int
    former: dict[str, Any]
    limits: dict[str, dict[str, int]]

    def in_force(self, now_ns: int) -> bool:
        """Return whether it holds; a clock that was set back ends it."""
        return self.since_ns <= now_ns < self.until_ns

    @property
    def until(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.until_ns / 1e9))


class Overrides:
    """The override of one instance, if there is one. It is sealed with a key that stands beside it."""

    def __init__(self, run_folder: Path):
        self.path = run_folder / "override.json"
        self.key_path = run_folder / "override.key"

    def grant(self, override: Override) -> None:
        """Write an override; it is on disk when this returns."""
        if not self.key_path.exists():
            write_durably(self.key_path, os.urandom(KEY_BYTES))
        told = msgspec.json.encode(override)
        write_durably(self.path, self._seal(told).encode() + b"\n" + told)

    def read(self) -> Override | None:
        """Return the override, over or not; None when there is none. Raises OverrideRefused."""
        try:
            seal, _, told = read_private(self.path).partition(b"\n")
        except FileNotFoundError:
            return None
        try:
            if not hmac.compare_digest(seal, self._seal(told).encode()):
                raise OverrideRefused(f"{self.path}: changed by hand; remove it, then `phx enable`")
            found = msgspec.json.decode(told, type=Override)
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise OverrideRefused(f"{self.path}: {error}; remove it, then `phx enable`") from None
        if found.until_ns - found.since_ns > LONGEST_S * 1e9:
            raise OverrideRefused(f"{self.path}: longer than {LONGEST_S / 3600:.0f} h; remove it, then `phx enable`")
        return found

    def end(self) -> None:
        self.path.unlink(missing_ok=True)

    def _seal(self, told: bytes) -> str:
        return hmac.new(read_private(self.key_path), told, hashlib.sha256).hexdigest()


def stricter(present: dict[str, int], former: dict[str, int]) -> dict[str, int]:
    """Return the stricter of two sets of the gateway's limits, field by field; what limits nothing as it is now."""
    found = {}
    for name, now in present.items():
        before = former.get(name, now)
        if name in NO_LIMITS:
            found[name] = now
        elif name in LONGER_IS_STRICTER:
            found[name] = max(now, before)
        elif name == "protect_frozen_ns":  # 0 = until a human ends it
            found[name] = max(now, before) if now and before else 0
        else:
            found[name] = min(now, before)
    return found


def read_private(path: Path) -> bytes:
    """Return a file that nobody else could have written. Raises FileNotFoundError, OverrideRefused."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise OverrideRefused(f"{path}: {error.strerror}") from None
    try:
        status = os.fstat(fd)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise OverrideRefused(
                f"{path}: owner {status.st_uid}, mode {stat.S_IMODE(status.st_mode):o}, expected ours"
            )
        with os.fdopen(os.dup(fd), "rb") as file:
            return file.read()
    finally:
        os.close(fd)
