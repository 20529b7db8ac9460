"""Latches: stops that survive."""

import errno
import os
import shutil
import stat
import subprocess
import sys

import pytest

from phx import latches as module
from phx.latches import DAILY_LOSS, ONLY_REDUCE, Latches, NotConfirmed


@pytest.fixture
def latches(tmp_path):
    return Latches(tmp_path / "run")


def test_a_latch_is_there_for_every_later_reader(latches, tmp_path):
    latches.set("gateway", "daily loss", who="test")
    (latch,) = Latches(tmp_path / "run").all()
    assert (latch.process, latch.symbol, latch.reason, latch.who) == ("gateway", "", "daily loss", "test")
    path = tmp_path / "run" / "latches" / "gateway.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["gateway.json"]


def test_the_first_reason_stays(latches):
    latches.set("quoter", "first", "BTCUSDC")
    latches.set("quoter", "second", "BTCUSDC")
    assert [latch.reason for latch in latches.all()] == ["first"]


def test_a_latch_stops_its_symbol_or_all(latches):
    latches.set("quoter", "x", "BTCUSDC")
    assert latches.stops("BTCUSDC") is not None and latches.stops("ETHUSDC") is None
    latches.set("guardian", "kill")
    assert latches.stops("ETHUSDC").process == "guardian"


def test_clearing_takes_all_or_one_symbol(latches):
    latches.set("quoter", "x", "BTCUSDC")
    latches.set("quoter", "x", "ETHUSDC")
    latches.set("guardian", "kill")
    assert [latch.name for latch in latches.clear("ETHUSDC")] == ["quoter.ETHUSDC"]
    assert [latch.name for latch in latches.clear()] == ["guardian", "quoter.BTCUSDC"]
    assert latches.all() == [] == latches.clear()


@pytest.mark.parametrize("body", [b"", b"\xff{", b'{"process":"\xff"}', b"[]", b'{"process":"gateway"}', b"null"])
def test_an_unreadable_latch_stops_everything(latches, body):
    (latches.folder / "gateway.BTCUSDC.json").write_bytes(body)
    assert "unreadable" in latches.stops("ETHUSDC").reason
    latches.clear()
    assert list(latches.folder.iterdir()) == []


def test_a_half_written_latch_of_a_killed_process_is_none(latches):
    (latches.folder / f"gateway.tmp{os.getpid()}").write_bytes(b"{")
    assert latches.all() == []


def test_releasing_takes_the_word_of_exactly_the_latches_that_are_set(latches):
    latches.set("gateway", "one")
    with pytest.raises(NotConfirmed) as shown:
        latches.release("", "")
    latches.set("quoter", "two", "BTCUSDC")  # set after the human looked
    with pytest.raises(NotConfirmed) as anew:
        latches.release("", shown.value.word)
    assert anew.value.word != shown.value.word and len(latches.all()) == 2
    assert [latch.reason for latch in latches.release("", anew.value.word)] == ["one", "two"]
    assert latches.release("", "") == []  # nothing set, nothing to confirm


def test_a_latch_that_is_set_while_another_is_cleared_stays(latches, monkeypatch):
    latches.set("gateway", "seen")
    word = module.word_for(latches.all())
    compare = module.word_for

    def meanwhile(shown):
        latches.set("guardian", "not seen")
        return compare(shown)

    monkeypatch.setattr(module, "word_for", meanwhile)
    assert [latch.reason for latch in latches.release("", word)] == ["seen"]
    assert [latch.reason for latch in latches.all()] == ["not seen"]


def test_a_full_disk_gives_up_its_reserve_for_a_latch(latches, monkeypatch):
    assert latches.reserve.stat().st_size == module.RESERVE_BYTES
    write = os.write

    def full_while_reserved(fd, data):
        if latches.reserve.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(module.os, "write", full_while_reserved)
    latches.set("gateway", "stop")
    assert [latch.reason for latch in latches.all()] == ["stop"] and not latches.reserve.exists()
    monkeypatch.undo()
    Latches(latches.folder.parent)  # the next life keeps one again
    assert latches.reserve.exists() and len(latches.all()) == 1


def test_a_disk_that_refuses_for_another_reason_is_an_error(latches, monkeypatch):
    def broken(fd, data):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module.os, "write", broken)
    with pytest.raises(OSError, match="Input/output"):
        latches.set("gateway", "stop")
    assert latches.reserve.exists() and latches.all() == []


def test_a_file_system_that_is_really_full_takes_a_latch(tmp_path):
    """On a tmpfs of 256 KiB in a mount namespace of its own."""
    code = (
        "import sys; from pathlib import Path; from phx.latches import Latches\n"
        "folder = Path(sys.argv[1]); latches = Latches(folder)\n"
        "try:\n    (folder / 'fill').write_bytes(b'x' * 2**20)\n"
        "except OSError as error:\n    print(error.strerror)\n"
        "latches.set('gateway', 'stop'); print([latch.reason for latch in Latches(folder).all()])"
    )
    mount = f'mount -t tmpfs -o size=256k tmpfs {tmp_path} || exit 77; exec {sys.executable} -c "$1" {tmp_path}'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh", code]
    if shutil.which("unshare") is None or (done := subprocess.run(command, capture_output=True, text=True)).returncode:
        pytest.skip("this user may not mount a file system of its own")
    assert done.stdout.splitlines() == ["No space left on device", "['stop']"]


@pytest.mark.parametrize(
    ("reason", "halts"), [("kill", True), (DAILY_LOSS, False), (f"{ONLY_REDUCE}equity", False), ("unreadable: x", True)]
)
def test_what_is_open_stands_still_under_every_latch_but_those_that_leave_its_stops_alive(tmp_path, reason, halts):
    assert Latches(tmp_path).set("gateway", reason).halts == halts
