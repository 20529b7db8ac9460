"""The limits that a gateway has in force, as it leaves them for its next life, and for ops to show."""

from pathlib import Path

import msgspec

from phx.durable import write_durably

NAME = "limits.json"

Limits = dict[str, dict[str, int]]  # symbol → fields of risk.Limits


def write(run_folder: Path, limits: Limits) -> None:
    """Leave them on disk. Raises OSError."""
    write_durably(run_folder / NAME, msgspec.json.encode(limits))


def read(run_folder: Path) -> Limits:
    """Return what was in force last; nothing when nobody has said, or nobody can read it."""
    try:
        return msgspec.json.decode((run_folder / NAME).read_bytes(), type=Limits)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
