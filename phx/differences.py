"""What the guardian's own look at the venue found to differ from what the gateway says: one small file for ops."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct


class Difference(Struct, frozen=True):
    """kind: position, untold orders, missing orders. text: with lots and ids."""

    symbol: str
    kind: str
    text: str


class Differences:
    """`run/differences.json`: there while something differs."""

    def __init__(self, run_folder: Path):
        self.path = run_folder / "differences.json"
        self._told: list[Difference] = []

    def tell(self, found: list[Difference]) -> None:
        """Leave word of what differs now; nothing is written while that stays the same. Raises OSError."""
        if found == self._told:
            return
        if found:
            temporary = self.path.with_suffix(".tmp")
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.write(fd, msgspec.json.encode(found))
            finally:
                os.close(fd)
            os.rename(temporary, self.path)
        else:
            self.path.unlink(missing_ok=True)
        self._told = found

    def clear(self) -> None:
        """Forget what a former life told."""
        self.path.unlink(missing_ok=True)
        self._told = []

    def read(self) -> list[Difference]:
        """Return what differs; what cannot be read is nothing."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=list[Difference])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return []
