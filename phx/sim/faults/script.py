"""Faults from a file: a list in YAML, each entry a name with its settings, times counted from the venue's start."""

from pathlib import Path

import yaml

from phx.sim.faults.switchboard import FaultError, settings_of

MAX_BYTES = 1024 * 1024


def read(path: Path | str) -> list[tuple[str, dict]]:
    """Return (name, settings) of each entry. Raises FaultError naming file and entry, OSError."""
    with open(path, "rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise FaultError(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        entries = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FaultError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(entries, list):
        raise FaultError(f"{path}: expected a list of faults, found {type(entries).__name__}")
    found = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("fault"), str):
            raise FaultError(f"{path}: entry {number}: expected `fault: <name>` with its settings, found {entry!r}")
        settings = {str(key): value for key, value in entry.items() if key != "fault"}
        try:
            settings_of(entry["fault"], settings)
        except FaultError as error:
            raise FaultError(f"{path}: entry {number}: {error}") from None
        found.append((entry["fault"], settings))
    return found
