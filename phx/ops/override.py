"""ops' side of an override: granting it, and knowing when it is over."""

import logging
import time

from phx import limits_file
from phx.config_source import ConfigError
from phx.latches import Latches
from phx.overrides import LONGEST_S, Override, OverrideRefused, Overrides

log = logging.getLogger("phx")


class OverrideKeeper:
    """The override that is known, over or not. One that was changed by hand is none, and latches."""

    def __init__(self, run_folder):
        self.run_folder = run_folder
        self.files = Overrides(run_folder)
        self.known: Override | None = None
        self._before: Override | None = None  # what the newest grant took the place of
        try:
            self.known = self.files.read()
        except OverrideRefused as error:
            log.error("ops: override refused: %s", error)
            Latches(run_folder).set("ops", f"override refused: {error}")
        if former := self.over():
            names = ", ".join(former)
            log.warning("ops: an override is over: %s stay as before until `phx reload --raise`", names)

    def grant(self, before: dict[str, object], after: dict[str, object], for_s: float, uid: int) -> str:
        """Leave word of an override before its limits are published; return until when it holds. Raises ConfigError.

        before, after: the configurations' fields by path. While another one holds, what was before that comes back.
        """
        if not 0 < for_s <= LONGEST_S:
            raise ConfigError([f"--for: {for_s:.0f} s, expected at most {LONGEST_S / 3600:.0f} h"])
        now_ns = time.time_ns()
        former = {path: before[path] for path in after if before.get(path, after[path]) != after[path]}
        limits = limits_file.read(self.run_folder)
        if not limits:
            raise ConfigError([f"--for: the gateway has no limits in force in {limits_file.NAME} that could come back"])
        if self.known is not None and self.known.in_force(now_ns):
            former, limits = former | self.known.former, self.known.limits
        self._before = self.known
        self.known = Override(now_ns, now_ns + int(for_s * 1e9), uid, former, limits)
        self.files.grant(self.known)
        return self.known.until

    def take_back(self) -> None:
        """Undo a grant whose parameters could not be published."""
        if self._before is None:
            self.end()
        elif self._before is not self.known:
            self.known = self._before
            self.files.grant(self.known)

    def end(self) -> None:
        """Forget it: the configuration asks for no more than before, or a human let its limits rise for good."""
        self.known = self._before = None
        self.files.end()

    def over(self) -> dict[str, object]:
        """Return the former values (by path) that are to hold again; {} while it holds, or there is none."""
        if self.known is None or self.known.in_force(time.time_ns()):
            return {}
        return self.known.former
