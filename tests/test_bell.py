"""Doorbells between two processes: no ring is lost, however the sleeper and the ringer interleave."""

import os
import select
import time

import numpy as np
import pytest

from phx._core import records
from phx._core.edge.bell import Bell, Ringer
from phx._core.ring import OK, RingReader, RingWriter
from phx.segment import Segment

ROUNDS = 10_000
LOST_AFTER_NS = 2_000_000_000  # a sleep this long means the ring was lost, not that the machine is slow


def sleep_by_futex(bell, seen):
    bell.wait_now(seen, LOST_AFTER_NS)


def sleep_by_pipe(bell, seen):
    select.select([bell.fifo], [], [], LOST_AFTER_NS / 1e9)
    bell.drain()


def echo(folder, me, peer, kind, begins, rounds=ROUNDS):
    """Answer each record with a record, asleep in between; return the number of sleeps that timed out."""
    bell = Bell(str(folder / f"bell.{me}"))
    ringer = Ringer(str(folder / f"bell.{peer}"), kind == "pipe")
    sleep = sleep_by_pipe if kind == "pipe" else sleep_by_futex
    writer = RingWriter(Segment.create(folder, f"bbo.{me}", records.BBO, 4).memory, records.BBO)
    while not (folder / f"bbo.{peer}").exists():
        time.sleep(0.001)
    peer_segment = Segment.attach(folder, f"bbo.{peer}", records.BBO)
    reader = RingReader(peer_segment.memory, records.BBO)
    reader.attach(peer_segment.memory, records.BBO, True)
    record, lost = np.zeros(1, records.BBO), 0
    for turn in range(rounds):
        if begins or turn:
            writer.write(record)
            ringer.ring_now()
        while True:
            seen = bell.park_now()
            if reader.read_record()[0] == OK:  # looked at once more after parking: nothing slips through
                bell.unpark_now()
                break
            before = time.monotonic_ns()
            sleep(bell, seen)
            lost += time.monotonic_ns() - before > LOST_AFTER_NS * 0.9
            if lost > 3:
                return lost
    if not begins:
        writer.write(record)
        ringer.ring_now()
    return lost


@pytest.mark.parametrize("kind", ["futex", "pipe"])
def test_no_wake_up_is_lost_in_ten_thousand_rounds(kind, tmp_path):
    child = os.fork()
    if child == 0:
        try:
            os._exit(min(echo(tmp_path, "b", "a", kind, begins=False), 99))
        except BaseException:
            os._exit(100)
    lost = echo(tmp_path, "a", "b", kind, begins=True)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert lost == 0


def test_a_ring_before_the_wait_ends_the_wait_at_once(tmp_path):
    bell = Bell(str(tmp_path / "bell.a"))
    seen = bell.park_now()
    Ringer(str(tmp_path / "bell.a"), False).ring_now()
    before = time.monotonic_ns()
    bell.wait_now(seen, 60_000_000_000)
    assert time.monotonic_ns() - before < 30_000_000_000


def test_a_wait_that_nobody_ends_lasts_its_timeout(tmp_path):
    bell = Bell(str(tmp_path / "bell.a"))
    before = time.monotonic_ns()
    bell.wait_now(bell.park_now(), 20_000_000)
    assert time.monotonic_ns() - before >= 20_000_000


def test_a_pipe_gets_one_byte_per_sleep_and_none_while_its_owner_is_awake(tmp_path):
    bell, ringer = Bell(str(tmp_path / "bell.a")), Ringer(str(tmp_path / "bell.a"), True)
    ringer.ring_now()
    with pytest.raises(BlockingIOError):
        os.read(bell.fifo, 10)
    bell.park_now()
    for _ in range(5):
        ringer.ring_now()
    assert os.read(bell.fifo, 10) == b"!"


def test_rings_into_a_full_pipe_cost_nothing(tmp_path):
    bell, ringer = Bell(str(tmp_path / "bell.a")), Ringer(str(tmp_path / "bell.a"), True)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(bell.fifo, bytes(4096))
    bell.park_now()
    ringer.ring_now()
    bell.drain()
    assert select.select([bell.fifo], [], [], 0)[0] == []


def test_either_side_may_come_first_and_neither_may_be_somebody_elses(tmp_path):
    Ringer(str(tmp_path / "bell.a"), False)
    Bell(str(tmp_path / "bell.a"))
    for name in ("bell.a", "bell.a.fifo"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        (tmp_path / name).chmod(0o622)
        with pytest.raises(ValueError, match="no bell"):
            Bell(str(tmp_path / "bell.a"))
        (tmp_path / name).chmod(0o600)
    (tmp_path / "bell.b.fifo").write_bytes(b"")
    with pytest.raises(ValueError, match="no bell"):
        Ringer(str(tmp_path / "bell.b"), True)
    (tmp_path / "bell.c").symlink_to(tmp_path / "bell.a")
    with pytest.raises(OSError):
        Bell(str(tmp_path / "bell.c"))


def test_a_bell_that_could_not_be_opened_closes_no_foreign_descriptor(tmp_path):
    standard_input = os.fstat(0)
    for _ in range(3):
        with pytest.raises(OSError):
            Ringer(str(tmp_path / "absent" / "bell.a"), True)
        with pytest.raises(OSError):
            Bell(str(tmp_path / "absent" / "bell.a"))
    assert os.fstat(0).st_ino == standard_input.st_ino
