"""The crash-loop latch: a process that keeps dying stays down until a human looks; supervisord alone never gives up.

Each start is noted and forgotten again at a clean end, so a kill -9 counts like any other death.
"""

import contextlib
import json
import logging
import time
from collections.abc import Callable

from phx.latches import Latches
from phx.process import EXIT_ANEW, EXIT_LOCKED, EXIT_OK, EXIT_STAY_DOWN, note_exit

LOCKED_PAUSE_S = 1.0  # supervisord begins anew at once
MOST_ANEW = 6  # lives that end to begin anew within crash_loop_s: after them the reason is no change but a quarrel

log = logging.getLogger("phx")


def guarded(name: str, config, live: Callable[[], int]) -> int:
    """Live one life and return its exit status; latch and stay down if too many lives before it ended badly."""
    folder = config.run_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = config.global_
    if note_exit(folder, name, settings.crash_loop_exits + 1, settings.crash_loop_s):
        forget(folder, name)
        return stay_down(
            folder, name, f"{settings.crash_loop_exits} unplanned exits within {settings.crash_loop_s:.0f} s"
        )
    status = live()
    if status == EXIT_LOCKED:
        # The one that holds the lock has a history of its own: only this start is taken back.
        take_back(folder, name)
        time.sleep(LOCKED_PAUSE_S)
    elif status == EXIT_ANEW:
        take_back(folder, name)
        if note_exit(folder, f"{name}.anew", MOST_ANEW, settings.crash_loop_s):
            forget(folder, f"{name}.anew")
            return stay_down(folder, name, f"began anew {MOST_ANEW} times within {settings.crash_loop_s:.0f} s")
    elif status in (EXIT_OK, EXIT_STAY_DOWN):
        forget(folder, name)
    return status


def stay_down(folder, name: str, reason: str) -> int:
    """Latch a process; return the status that keeps it down."""
    kind, _, argument = name.partition(".")
    Latches(folder).set(kind if kind == "quoter" else name, reason, argument if kind == "quoter" else "")
    log.error("%s: %s; staying down until `phx enable`", name, reason)
    return EXIT_STAY_DOWN


def take_back(folder, name: str) -> None:
    path = folder / f"exits.{name}.json"
    with contextlib.suppress(FileNotFoundError, ValueError):
        path.write_text(json.dumps(json.loads(path.read_text())[:-1]))


def forget(folder, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        (folder / f"exits.{name}.json").unlink()
