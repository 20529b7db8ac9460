"""Snapshots of what was earned and held: for people, for metrics that go on, and to compare with the venue's truth.

A snapshot is believed only whole (checksum), of this schema, of this instance and environment, and if it is young
enough. The previous one is kept, so that there is always one that was finished.
"""

import logging
import time
import zlib
from pathlib import Path

import msgspec
from msgspec import Struct

from phx.durable import write_durably
from phx.ops.instance import Instance

SCHEMA = 1
NAMES = ("newest.json", "previous.json")
OWN_FIELDS = (
    "position_lots",
    "open_cost_ticklots",
    "realised_ticklots",
    "fees_e8",
    "funding_e8",
    "volume_ticklots",
    "taker_volume_ticklots",
    "fills",
)
STATE_FIELDS = ("mode", "sigma_30m", "sigma_1s_ticks", "funding_ema", "leader_ratio_ema", "skew_anchor", "vol_samples")

log = logging.getLogger("phx")


class Body(Struct):
    """own, state: by symbol, fields of the records of the same name. watched: what ops itself followed."""

    params_version: int = 0
    own: dict[str, dict[str, int]] = {}
    state: dict[str, dict[str, float]] = {}
    watched: dict[str, dict[str, float]] = {}


class Snapshot(Struct):
    """What a file holds below its first line, which is the CRC-32 of all that follows."""

    schema: int
    instance: str
    environment: str
    ts_ns: int  # UTC epoch
    body: Body


class SnapshotRefused(ValueError):
    """A file that is not believed; says why."""


class Snapshots:
    """The snapshots of one instance, in `<run folder>/snapshots`."""

    def __init__(self, config):
        self.instance = config.global_.instance
        self.environment = config.venue.environment
        self.folder = config.run_folder() / "snapshots"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write(self, body: Body) -> None:
        """Make a body the newest snapshot; the one before becomes the previous one."""
        snapshot = Snapshot(SCHEMA, self.instance, self.environment, time.time_ns(), body)
        data = msgspec.json.encode(snapshot)
        newest, previous = (self.folder / name for name in NAMES)
        if newest.exists():
            # A link that replaces, so that at no moment both names are gone.
            kept = self.folder / "previous.tmp"
            kept.unlink(missing_ok=True)
            kept.hardlink_to(newest)
            kept.rename(previous)
        write_durably(newest, checksum(data) + b"\n" + data)

    def restore(self, max_age_s: float) -> Body | None:
        """Return the newest snapshot that can be believed and is young enough, or None."""
        for name in NAMES:
            path = self.folder / name
            try:
                body = self.read(path, max_age_s)
            except FileNotFoundError:
                continue
            except SnapshotRefused as error:
                log.warning("ops: snapshot not restored: %s", error)
                continue
            log.info("ops: restored %s", path)
            return body
        return None

    def read(self, path: Path, max_age_s: float) -> Body:
        """Return one file's body. Raises SnapshotRefused."""
        first, _, data = path.read_bytes().partition(b"\n")
        if first != checksum(data):
            raise SnapshotRefused(f"{path}: checksum differs, the file is damaged")
        try:
            found = msgspec.json.decode(data, type=Snapshot)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SnapshotRefused(f"{path}: written by other code: {error}") from None
        expected = {"schema": SCHEMA, "instance": self.instance, "environment": self.environment}
        for field, value in expected.items():
            if getattr(found, field) != value:
                raise SnapshotRefused(f"{path}: {field} {getattr(found, field)}, expected {value}")
        age_s = (time.time_ns() - found.ts_ns) / 1e9
        if not -1.0 <= age_s <= max_age_s:
            raise SnapshotRefused(f"{path}: {age_s:.0f} s old, at most {max_age_s:.0f}")
        return found.body


def checksum(data: bytes) -> bytes:
    return b"%08x" % zlib.crc32(data)


def body_of(instance: Instance, params_version: int, watched: dict[str, dict[str, float]]) -> Body:
    """Return what an instance's segments say now."""
    body = Body(params_version=params_version, watched=watched)
    for symbol in instance.config.traded():
        own = instance.newest(f"own.{symbol}")
        if own is not None:
            body.own[symbol] = {field: int(own[field]) for field in OWN_FIELDS}
        state = instance.newest(f"state.{symbol}")
        if state is not None:
            body.state[symbol] = {field: float(state[field]) for field in STATE_FIELDS}
    return body
