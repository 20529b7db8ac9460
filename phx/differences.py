"""What the guardian's own look at the venue found to differ from what the gateway says: one small file for ops."""

from pathlib import Path

import msgspec
from msgspec import Struct

from phx.durable import write_whole


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
            write_whole(self.path, msgspec.json.encode(found))
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
