"""Snapshots and the journal on disk: whatever a crash or a bit flip leaves, nothing false is believed."""

import contextlib
import os
import shutil
import time

import msgspec
import numpy as np
import pytest

from phx import durable
from phx._core.records import JOURNAL
from phx._core.ring import RingWriter
from phx.ops.instance import Instance
from phx.ops.journal import JournalDrain, JournalRefused, read_journal
from phx.ops.snapshot import Body, Snapshots
from phx.segment import Segment
from phx.topology import SEGMENTS

BODY = Body(params_version=7, own={"BTCUSDC": {"position_lots": -3}})
LATER = Body(params_version=8)


@pytest.fixture
def snapshots(instance_config):
    return Snapshots(instance_config)


def test_what_is_written_is_restored(snapshots):
    snapshots.write(BODY)
    assert snapshots.restore(60) == BODY


def test_there_is_nothing_to_restore_at_first(snapshots):
    assert snapshots.restore(60) is None


def test_an_old_snapshot_is_not_restored(snapshots, monkeypatch):
    snapshots.write(BODY)
    now_ns = time.time_ns()
    monkeypatch.setattr("time.time_ns", lambda: now_ns + 61 * 10**9)
    assert snapshots.restore(60) is None
    assert snapshots.restore(120) == BODY


def test_one_from_the_future_is_not_restored(snapshots, monkeypatch):
    snapshots.write(BODY)
    now_ns = time.time_ns()
    monkeypatch.setattr("time.time_ns", lambda: now_ns - 10 * 10**9)
    assert snapshots.restore(60) is None


def test_every_damaged_byte_is_noticed_and_the_previous_one_holds(snapshots):
    snapshots.write(BODY)
    snapshots.write(LATER)
    newest = snapshots.folder / "newest.json"
    whole = newest.read_bytes()
    for i in range(len(whole)):
        for bit in (0, 3, 7):
            newest.write_bytes(whole[:i] + bytes([whole[i] ^ (1 << bit)]) + whole[i + 1 :])
            assert snapshots.restore(60) == BODY


def test_every_cut_file_is_noticed(snapshots):
    snapshots.write(BODY)
    newest = snapshots.folder / "newest.json"
    whole = newest.read_bytes()
    for size in range(len(whole)):
        newest.write_bytes(whole[:size])
        assert snapshots.restore(60) is None


@pytest.mark.parametrize("where, change", [("global_", {"instance": "other"}), ("venue", {"environment": "testnet"})])
def test_one_of_another_instance_or_environment_is_refused(snapshots, instance_config, where, change):
    snapshots.write(BODY)
    section = msgspec.structs.replace(getattr(instance_config, where), **change)
    other = Snapshots(msgspec.structs.replace(instance_config, **{where: section}))
    assert other.restore(60) is None


def test_a_crash_at_any_step_leaves_a_whole_snapshot(snapshots, monkeypatch):
    """Let each system call of a write be the last one, in turn."""
    snapshots.write(BODY)

    for dies_at in range(1, 12):
        steps = Steps(dies_at)
        with monkeypatch.context() as patch, contextlib.suppress(Died):
            for name in ("write", "fsync", "rename", "open"):
                patch.setattr(durable.os, name, steps.counted(getattr(os, name)))
            snapshots.write(LATER)
        assert snapshots.restore(60) in (BODY, LATER)
    assert steps.left > 0, "more steps than were tried"


class Died(Exception):
    """The process, as far as the file system can tell."""


class Steps:
    """Calls that may still be made; the next one is where the process dies."""

    def __init__(self, left: int):
        self.left = left

    def counted(self, real):
        def call(*args, **kwargs):
            self.left -= 1
            if self.left == 0:
                raise Died
            return real(*args, **kwargs)

        return call


# ---- the journal ----


@pytest.fixture
def ring(instance_config):
    """The gateway's side of the journal: write(first, last) publishes entries with those intent ids."""
    folder = instance_config.shm_folder()
    folder.mkdir(parents=True, mode=0o700)

    class Ring:
        def __init__(self):
            self.begin()

        def begin(self):
            self.segment = Segment.create(folder, "journal", JOURNAL, SEGMENTS["journal"].slots)
            self.writer = RingWriter(self.segment.memory, JOURNAL)

        def write(self, first: int, last: int, epoch: int = 5) -> None:
            entry = np.zeros(1, JOURNAL)
            entry["epoch"] = epoch
            for intent_id in range(first, last + 1):
                entry["intent_id"] = intent_id
                self.writer.write(entry)

    return Ring()


@pytest.fixture
def drain(instance_config):
    return lambda: JournalDrain(Instance(instance_config))


def ids_on_disk(drained, epoch: int = 5) -> list[int]:
    return read_journal(drained.folder / f"{epoch:010d}.journal")["intent_id"].tolist()


def test_every_entry_comes_to_disk_in_order(ring, drain):
    drained = drain()
    ring.write(1, 10)
    assert drained.drain() == 10
    ring.write(11, 12)
    drained.drain()
    assert drained.drain() == 0
    assert ids_on_disk(drained) == list(range(1, 13))
    assert drained.written_seq == 12


def test_a_restarted_ops_goes_on_where_the_disk_ends(ring, drain):
    ring.write(1, 5)
    drain().drain()
    ring.write(6, 9)
    drained = drain()
    drained.drain()
    assert ids_on_disk(drained) == list(range(1, 10))


def test_an_entry_cut_by_a_crash_is_written_again(ring, drain):
    ring.write(1, 5)
    first = drain()
    first.drain()
    path = first.folder / f"{5:010d}.journal"
    os.truncate(path, path.stat().st_size - 17)
    drained = drain()
    drained.drain()
    assert ids_on_disk(drained) == [1, 2, 3, 4, 5]


def test_a_new_life_of_the_gateway_gets_a_new_file(ring, drain):
    drained = drain()
    ring.write(1, 3)
    drained.drain()
    ring.begin()
    ring.write(1, 2, epoch=6)
    drained.drain()
    assert ids_on_disk(drained) == [1, 2, 3]
    assert ids_on_disk(drained, 6) == [1, 2]


def test_after_a_full_disk_nothing_is_missing(ring, drain, monkeypatch):
    drained = drain()
    ring.write(1, 3)
    drained.drain()
    real = os.write
    ring.write(4, 8)
    with monkeypatch.context() as patch:

        def full(fd, data):
            real(fd, bytes(data[:200]))  # part of it still fits
            raise OSError(28, "No space left on device")

        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            drained.drain()
    drained.drain()
    assert ids_on_disk(drained) == list(range(1, 9))


def test_overwritten_entries_are_counted(ring, drain):
    drained = drain()
    ring.write(1, 1)
    drained.drain()
    slots = SEGMENTS["journal"].slots
    ring.write(2, slots + 100)
    while drained.drain():
        pass
    assert drained.lost + len(ids_on_disk(drained)) == slots + 100


def test_a_journal_of_other_code_is_refused(ring, drain):
    drained = drain()
    (drained.folder / f"{5:010d}.journal").write_bytes(b"x" * 500)
    ring.write(1, 1)
    with pytest.raises(JournalRefused):
        drained.drain()


def test_an_instance_without_a_gateway_has_nothing_to_drain(drain):
    drained = drain()
    assert drained.drain() == 0
    shutil.rmtree(drained.folder)
