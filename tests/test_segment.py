"""Segments: who may open them, what is refused, what a crash leaves behind."""

import ctypes
import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from phx import segment as module
from phx._core import records
from phx._core.ring import OK, RingReader, RingWriter
from phx.segment import Segment, SegmentMissing, SegmentRefused, private_folder

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "instance"
    private_folder(path)
    return path


def create(folder, slots=4):
    return Segment.create(folder, "bbo.X", records.BBO, slots)


def attach(folder, dtype=records.BBO):
    return Segment.attach(folder, "bbo.X", dtype)


def test_a_segment_is_closed_to_others_whatever_the_umask(folder):
    for umask in (0o000, 0o077, 0o777):
        before = os.umask(umask)
        try:
            create(folder)
        finally:
            os.umask(before)
        assert (folder / "bbo.X").stat().st_mode & 0o777 == 0o600


def test_a_reader_sees_what_the_writer_stores_and_cannot_store_itself(folder):
    written, read = create(folder), attach(folder)
    written.records["update_id"][2] = 5
    assert read.records["update_id"][2] == 5
    for view in (read.records, read.header):
        assert not view.flags.writeable
    with pytest.raises(ValueError):
        read.beat(1)


def test_each_creation_is_the_next_generation_and_old_readers_notice(folder):
    first, reader = create(folder), attach(folder)
    assert (first.generation, reader.replaced()) == (1, False)
    assert create(folder).generation == 2
    assert reader.replaced()
    assert reader.generation == 1  # what was mapped stays what it was
    assert not attach(folder).replaced()


def test_a_removed_file_counts_as_replaced(folder):
    create(folder)
    reader = attach(folder)
    (folder / "bbo.X").unlink()
    assert reader.replaced()
    with pytest.raises(SegmentMissing, match="its writer has not started"):
        attach(folder)


def test_a_mapped_segment_is_never_mistaken_for_a_later_one_with_its_inode_number(folder):
    """The mapping keeps the inode in use, so no file made meanwhile can get its number."""
    create(folder)
    reader = attach(folder)
    for _ in range(200):
        (folder / "bbo.X").unlink()
        create(folder)
        assert reader.replaced()


def test_the_generation_goes_on_counting_across_a_change_of_layout(folder):
    create(folder)
    assert Segment.create(folder, "bbo.X", records.BOOK, 4).generation == 2


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("magic", 1, "not a phx segment"),
        ("layout_hash", 1, "different code"),
        ("record_bytes", 128, "different code"),
        ("capacity", 8, "cut or extended"),
        ("boot_id_hash", 1, "outlived a reboot"),
        ("scope_hash", 1, "belongs to another segment"),
        ("state", 0, "still being initialised"),
    ],
)
def test_a_header_that_does_not_fit_is_refused_with_its_reason(folder, field, value, hint):
    create(folder).header[field] = value
    with pytest.raises(SegmentRefused, match=hint):
        attach(folder)


def test_a_segment_of_another_record_is_refused(folder):
    create(folder)
    with pytest.raises(SegmentRefused, match="layout_hash"):
        attach(folder, records.TAPE)


def test_a_segment_under_another_name_is_refused(folder):
    create(folder)
    os.rename(folder / "bbo.X", folder / "bbo.Y")
    with pytest.raises(SegmentRefused, match="scope_hash"):
        Segment.attach(folder, "bbo.Y", records.BBO)


@pytest.mark.parametrize("change", [-1, 1, -64, 64])
def test_a_cut_or_extended_file_is_refused(folder, change):
    create(folder)
    path = folder / "bbo.X"
    os.truncate(path, path.stat().st_size + change)
    with pytest.raises(SegmentRefused, match="cut or extended"):
        attach(folder)


def test_a_file_without_room_for_a_header_is_refused(folder):
    for size in (0, 1, records.HEADER_BYTES - 1):
        path = folder / "bbo.X"
        path.write_bytes(bytes(size))
        path.chmod(0o600)
        with pytest.raises(SegmentRefused, match="a header has"):
            attach(folder)


def test_every_byte_of_the_header_that_matters_is_checked(folder):
    """Flip each byte: refused, or a field no reader believes (generation, writer, cursor, heartbeat, reserved)."""
    fields = records.SEGMENT_HEADER.fields
    free = set()
    for name in (
        "generation",
        "writer_pid",
        "writer_start_ticks",
        "cursor",
        "heartbeat_mono_ns",
        "state",
        "units_hash",
    ):
        free |= set(range(fields[name][1], fields[name][1] + 8))
    for name in ("reserved0", "reserved1", "reserved2"):
        free |= set(range(fields[name][1], fields[name][1] + fields[name][0].itemsize))
    raw = np.frombuffer(create(folder).memory, np.uint8)
    for place in set(range(records.HEADER_BYTES)) - free:
        raw[place] ^= 0xFF
        with pytest.raises(SegmentRefused):
            attach(folder)
        raw[place] ^= 0xFF
    attach(folder)


def test_a_symlink_is_refused_by_reader_and_not_followed_by_the_writer(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    (folder / "bbo.X").symlink_to(elsewhere)
    with pytest.raises(SegmentRefused, match="expected a plain file"):
        attach(folder)
    create(folder)
    assert elsewhere.read_bytes() == b"precious"
    assert not (folder / "bbo.X").is_symlink()


def test_a_planted_temporary_file_is_not_written_through(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    (folder / f"bbo.X.tmp.{os.getpid()}").symlink_to(elsewhere)
    create(folder)
    assert elsewhere.read_bytes() == b"precious"


def test_a_fifo_a_folder_and_a_file_open_to_others_are_refused(folder):
    os.mkfifo(folder / "fifo", 0o600)
    (folder / "deep").mkdir()
    create(folder)
    (folder / "bbo.X").chmod(0o640)
    with pytest.raises(SegmentRefused, match="mode 640, expected 600"):
        attach(folder)
    for name in ("fifo", "deep"):
        done = threading.Event()

        def look(name=name, done=done):
            with pytest.raises(SegmentRefused):
                Segment.attach(folder, name, records.BBO)
            done.set()

        threading.Thread(target=look, daemon=True).start()
        assert done.wait(10), f"{name}: opening it blocked"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(folder):
    create(folder)
    os.chown(folder / "bbo.X", 12345, -1)
    with pytest.raises(SegmentRefused, match="owned by uid 12345"):
        attach(folder)
    os.chown(folder, 12345, -1)
    with pytest.raises(SegmentRefused, match="uid 12345"):
        private_folder(folder)


def test_a_folder_open_to_others_is_closed_and_a_symlinked_one_refused(tmp_path):
    path = tmp_path / "instance"
    path.mkdir(mode=0o755)
    private_folder(path)
    assert path.stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(SegmentRefused):
        private_folder(tmp_path / "link")


def test_the_exit_of_a_reader_leaves_the_segment_alone(folder):
    """multiprocessing.shared_memory would unlink it here (before Python 3.13)."""
    writer = create(folder)
    code = (
        "import sys; from pathlib import Path; from phx._core import records; from phx.segment import Segment\n"
        "Segment.attach(Path(sys.argv[1]), 'bbo.X', records.BBO)"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, str(folder)], check=True, cwd=ROOT)
    for _ in range(100):
        child = os.fork()
        if child == 0:
            attach(folder)
            os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
    assert not attach(folder).replaced()
    RingWriter(writer.memory, records.BBO).write(np.zeros(1, records.BBO))


def test_two_hundred_dirty_restarts_leave_one_file(folder):
    reader = None
    for life in range(1, 201):
        child = os.fork()
        if child == 0:
            segment = create(folder)
            RingWriter(segment.memory, records.BBO).write(np.zeros(1, records.BBO))
            os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
        if reader is not None:
            assert reader.replaced()
        reader = attach(folder)
        assert reader.generation == life
        ring = RingReader(reader.memory, records.BBO)
        ring.attach(reader.memory, records.BBO, True)
        assert ring.read_record()[0] == OK
    assert [path.name for path in folder.iterdir()] == ["bbo.X"]


def test_a_creation_killed_at_any_line_shows_readers_the_old_segment_or_the_new_one(folder):
    """The child traces itself through segment.py and dies at its k-th line, until it lives to the end."""
    generation, finished, k = create(folder).generation, False, 0
    reader = attach(folder)
    while not finished:
        k += 1
        child = os.fork()
        if child == 0:
            left = [k]

            def die(frame, event, argument, left=left):
                if frame.f_code.co_filename != module.__file__:
                    return None
                if event == "line":
                    left[0] -= 1
                    if left[0] == 0:
                        os.kill(os.getpid(), 9)
                return die

            sys.settrace(die)
            create(folder)
            os._exit(0)
        finished = os.waitpid(child, 0)[1] == 0
        seen = attach(folder)  # never half a segment
        assert seen.generation in (generation, generation + 1)
        assert reader.replaced() == (seen.generation != reader.generation)
        generation, reader = seen.generation, seen
    assert k > 30
    create(folder)
    assert [path.name for path in folder.iterdir()] == ["bbo.X"]


def test_a_full_file_system_is_an_error_at_creation_and_leaves_the_old_segment(folder, tmp_path):
    """A tmpfs of 64 KiB in a mount namespace of the child's own."""
    small = tmp_path / "small"
    small.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    child = os.fork()
    if child == 0:
        try:
            new_namespace, private_recursive = 0x00020000, (1 << 18) | (1 << 14)
            if libc.unshare(new_namespace) or libc.mount(b"none", b"/", None, private_recursive, None):
                os._exit(77)
            if libc.mount(b"tmpfs", str(small).encode(), b"tmpfs", 0, b"size=65536"):
                os._exit(77)
            Segment.create(small, "bbo.X", records.BBO, 4)
            try:
                Segment.create(small, "bbo.X", records.BBO, 1 << 16)
            except OSError as error:
                said = error.errno == errno.ENOSPC and "no room for 4194560 bytes" in str(error)
                whole = Segment.attach(small, "bbo.X", records.BBO).generation == 1
                os._exit(0 if said and whole and len(os.listdir(small)) == 1 else 1)
            os._exit(2)
        except BaseException:
            os._exit(3)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    shutil.rmtree(small)
    if code == 77:
        pytest.skip("this user may not mount a file system of its own")
    assert code == 0
