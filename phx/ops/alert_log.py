"""Where alerts go: one line of JSON each in `run/alerts.jsonl`, bounded in rate and size, escaped; and a count of each.

A full disk costs the lines, not the counts.
"""

import json
import os
import time
from pathlib import Path

from phx.process import plain

LARGEST_BYTES = 1024 * 1024  # then the file becomes the old one; there is one old one
MOST_A_MINUTE = 20  # lines of one class; what is beyond is counted and left out
LONGEST_TEXT = 300  # characters
SHOWN_BYTES = 16 * 1024  # of the end of the file, for people


def path_of(run_folder: Path) -> Path:
    return run_folder / "alerts.jsonl"


class AlertLog:
    """counts: class → alerts since this process began, also those that were left out of the file."""

    def __init__(self, run_folder: Path, names):
        self.path = path_of(run_folder)
        self.counts = dict.fromkeys(names, 0)
        self._minute = 0
        self._written = dict.fromkeys(names, 0)  # in this minute

    def write(self, name: str, severity: str, symbol: str, text: str) -> None:
        """Count an alert and leave its line. Raises OSError when the disk refuses it."""
        self.counts[name] += 1
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._written = minute, dict.fromkeys(self.counts, 0)
        self._written[name] += 1
        if self._written[name] > MOST_A_MINUTE:
            return
        if self._written[name] == MOST_A_MINUTE:
            text += " (the last of its class in this minute; the metrics count on)"
        facts = {"ts_ns": time.time_ns(), "class": name, "severity": severity, "symbol": symbol}
        # ASCII alone: neither a control character nor one that turns the writing direction comes through.
        line = json.dumps(facts | {"text": plain(text)[:LONGEST_TEXT]}, ensure_ascii=True) + "\n"
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, line.encode())
            size = os.fstat(fd).st_size
        finally:
            os.close(fd)
        if size >= LARGEST_BYTES:
            self.path.rename(self.path.with_suffix(".jsonl.1"))


def newest(run_folder: Path, most: int, since_ns: int) -> list[dict]:
    """Return the newest alerts since a moment (UTC), oldest first. A line that cannot be read is none."""
    try:
        with open(path_of(run_folder), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - SHOWN_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            alert = json.loads(line)
            if alert["ts_ns"] >= since_ns:
                found.append(alert | {key: plain(str(alert[key])) for key in ("class", "severity", "symbol", "text")})
        except (ValueError, KeyError, TypeError):
            continue
    return found[-most:]
