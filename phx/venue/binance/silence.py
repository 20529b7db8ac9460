"""What one process learnt of a rate limit, told to all others at this address: a small file beside the logs.

The venue's 429 and 418 count for the address, not for the process that met them, and whoever goes on asking makes the
ban longer. The file outlives a restart for the same reason. Moments are the venue's UTC, ns.
"""

import logging
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from phx.durable import write_whole

LONGEST_NS = 3 * 86_400_000_000_000  # the venue's longest ban; what is farther ahead is a damaged file

log = logging.getLogger("phx.venue")


class Limits(Struct, frozen=True):
    """limited: nothing but what is urgent before this; banned: nothing at all. weight: a minute's, 0 = nothing said."""

    limited_until_ns: int = 0
    banned_until_ns: int = 0
    weight: int = 0


NONE = Limits()


def shared(config) -> "Silence":
    """Return the instance's own: gateway, guardian and feeds use one address."""
    return Silence(config.run_folder() / "venue.silence")


class Silence:
    """path: None = shared with nobody."""

    def __init__(self, path: Path | None):
        self.path = path
        self._stamp = (0, 0)
        self._heard = NONE

    def tell(self, limited_until_ns: int, banned_until_ns: int, weight: int = 0) -> None:
        """Leave word of a limit. A disk that refuses it costs only the word."""
        if self.path is None:
            return
        known = self._read()
        told = Limits(
            max(known.limited_until_ns, limited_until_ns),
            max(known.banned_until_ns, banned_until_ns),
            weight or known.weight,
        )
        try:
            write_whole(self.path, msgspec.json.encode(told))
        except OSError as error:
            log.error("%s: %s", self.path, error.strerror)

    def heard(self, now_ns: int) -> Limits:
        """Return what others have told; one look at the file's time while nothing changes."""
        if self.path is None:
            return NONE
        try:
            status = os.stat(self.path)
        except OSError:
            return NONE
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            self._stamp, self._heard = stamp, self._read()
        if max(self._heard.limited_until_ns, self._heard.banned_until_ns) > now_ns + LONGEST_NS:
            return Limits(weight=self._heard.weight)
        return self._heard

    def _read(self) -> Limits:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Limits)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return NONE
