"""supervisord: what phx writes for it, and a real one with small programs in the place of ours."""

import configparser
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import msgspec
import pytest

from phx import key_handover, topology
from phx.latches import Latches
from phx.ops import session, supervisor
from phx.ops.crash_loop import guarded
from phx.process import EXIT_AGAIN, EXIT_ANEW, EXIT_LOCKED, EXIT_OK, EXIT_STAY_DOWN, Lock

ROOT = Path(__file__).resolve().parents[1]

# Holds its lock like a process of ours, says when it was told to stop, and may be slow or deaf about it.
PROGRAM = """
import fcntl, os, signal, struct, sys, time
name, folder, log, patience = sys.argv[1:]
fd = os.open(f"{folder}/lock.{name}", os.O_RDWR | os.O_CREAT, 0o600)
fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
os.ftruncate(fd, 0)
os.pwrite(fd, f"{os.getpid()}\\n".encode(), 0)
def stop(number, frame):
    time.sleep(float(patience))
    with open(log, "a") as out:
        out.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
while True:
    time.sleep(0.05)
"""


def eventually(what, seconds: float = 10.0):
    """Return what() as soon as it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came true")


@pytest.fixture
def programs(instance_config, tmp_path, monkeypatch):
    """Small programs instead of ours; returns the file where they write, in order, that they stopped."""
    script, log = tmp_path / "program.py", tmp_path / "stopped"
    script.write_text(PROGRAM)
    log.touch()
    real = supervisor.program_text

    def text(process, config, config_path):
        patience = 0.3 if process == "gateway" else 0
        lines = real(process, config, config_path).splitlines()
        command = f"command={sys.executable} {script} {process} {config.shm_folder()} {log} {patience}"
        return "\n".join(command if line.startswith("command=") else line for line in lines) + "\n"

    monkeypatch.setattr(supervisor, "program_text", text)
    return log


@pytest.fixture
def started(instance_config, programs, tmp_path):
    """A running supervisord with every process of the configuration; ended with the test."""
    session.prepare(instance_config, tmp_path / "config.yaml").release()
    daemon = supervisor.start(instance_config, dies_with_us=True)
    running = supervisor.Supervisor(instance_config)
    names = set(topology.processes(instance_config))
    eventually(lambda: names <= set(supervisor.living(instance_config)))
    yield running
    with contextlib.suppress(supervisor.NotRunning):
        session.stop_in_order(running, instance_config)
    daemon.wait(20)


def read_programs(config) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read(sorted((config.run_folder() / "programs.d").glob("*.conf")))
    return parser


# ---- what is written ----


def test_there_is_one_program_and_so_one_group_for_each_process(instance_config, tmp_path):
    supervisor.write_programs(instance_config, tmp_path / "my config.yaml")
    written = read_programs(instance_config)
    assert {f"program:{name}" for name in topology.processes(instance_config)} == set(written.sections())
    quoter = written["program:quoter.BTCUSDC"]
    assert quoter["command"].endswith(f'-m phx --config "{tmp_path}/my config.yaml" quoter BTCUSDC')
    assert quoter["exitcodes"] == "0,78" and quoter["autorestart"] == "unexpected"
    assert int(written["program:gateway"]["stopwaitsecs"]) > int(quoter["stopwaitsecs"])


def test_a_program_of_a_symbol_that_is_gone_is_removed_and_no_other_changes(instance_config, tmp_path):
    supervisor.write_programs(instance_config, tmp_path / "c")
    before = {p.name: p.read_text() for p in (instance_config.run_folder() / "programs.d").iterdir()}
    fewer = {"BTCUSDC": instance_config.symbols["BTCUSDC"]}
    supervisor.write_programs(msgspec.structs.replace(instance_config, symbols=fewer), tmp_path / "c")
    after = {p.name: p.read_text() for p in (instance_config.run_folder() / "programs.d").iterdir()}
    assert set(before) - set(after) == {"quoter.ETHUSDC.conf"}
    # Who works for every symbol begins anew; the other quoter does not notice.
    assert {name for name in after if after[name] != before[name]} == {
        f"{name}.conf" for name in ("feed.main", "gateway", "guardian", "ops", "sim")
    }


def test_only_gateway_and_guardian_are_told_where_the_venue_s_key_is(instance_config):
    for name in topology.processes(instance_config):
        text = supervisor.program_text(name, instance_config, Path("c"))
        assert (str(key_handover.path(instance_config)) in text) == (name in ("gateway", "guardian"))


def test_supervisord_listens_on_a_unix_socket_only():
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";",))
    parser.read(ROOT / "supervisord.conf")
    assert "inet_http_server" not in parser.sections()
    assert parser["unix_http_server"]["chmod"] == "0700"
    assert parser["supervisord"]["umask"] == "077"


# ---- a real supervisord ----


@pytest.mark.system
def test_everything_ends_in_order_the_venue_last(started, instance_config, programs):
    told = []
    session.stop_in_order(started, instance_config, lambda: told.append(supervisor.living(instance_config)))
    stopped = programs.read_text().split()
    assert sorted(stopped[:2]) == ["quoter.BTCUSDC", "quoter.ETHUSDC"]
    assert stopped[2:] == ["gateway", "guardian", "feed.main", "ops", "sim"]
    assert [set(alive) for alive in told] == [{"sim"}]
    assert supervisor.living(instance_config) == {}
    with pytest.raises(supervisor.NotRunning):
        started.states()


@pytest.mark.system
def test_a_supervisord_told_to_end_keeps_the_order_by_itself(started, instance_config, programs):
    os.kill(int((instance_config.run_folder() / "supervisord.pid").read_text()), signal.SIGTERM)
    eventually(lambda: not supervisor.living(instance_config), 20)
    assert [name.partition(".")[0] for name in programs.read_text().split()] == [
        *("quoter", "quoter", "gateway", "guardian", "feed", "ops", "sim")
    ]


@pytest.mark.system
def test_a_killed_process_comes_back_by_itself_before_supervisord_would_look(started, instance_config):
    def pid() -> int:
        return supervisor.living(instance_config).get("quoter.BTCUSDC", 0)

    took_s = []
    for _ in range(3):
        before, begin_s = pid(), time.monotonic()
        os.kill(before, signal.SIGKILL)
        eventually(lambda before=before: pid() not in (0, before))
        took_s.append(time.monotonic() - begin_s)
    assert min(took_s) < 0.9  # by itself it looks once a second
    assert supervisor.living(instance_config)["gateway"]


@pytest.mark.system
def test_only_changed_groups_are_restarted_by_an_update(started, instance_config, tmp_path):
    before = supervisor.living(instance_config)
    fewer = {"BTCUSDC": instance_config.symbols["BTCUSDC"]}
    supervisor.write_programs(msgspec.structs.replace(instance_config, symbols=fewer), tmp_path / "config.yaml")
    found = started.update()
    assert found["removed"] == ["quoter.ETHUSDC"] and found["added"] == []
    assert "quoter.BTCUSDC" not in found["changed"]
    eventually(lambda: len(supervisor.living(instance_config)) == 6)
    after = supervisor.living(instance_config)
    assert after["quoter.BTCUSDC"] == before["quoter.BTCUSDC"]
    assert after["gateway"] != before["gateway"]


@pytest.mark.system
def test_a_second_start_is_refused_while_the_first_lives(started, instance_config, tmp_path):
    with pytest.raises(session.StartRefused, match=r"is alive: .*gateway \(pid"):
        session.prepare(instance_config, tmp_path / "config.yaml")


@pytest.mark.system
def test_nothing_listens_on_a_network_port_for_supervisord(started, instance_config):
    pid = int((instance_config.run_folder() / "supervisord.pid").read_text())
    inodes = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    listening = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    assert not [row for row in listening if f"socket:[{row[9]}]" in inodes]
    socket = supervisor.socket_path(instance_config)
    assert socket.stat().st_mode & 0o077 == 0 and socket.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.system
def test_processes_that_supervisord_left_behind_are_ended_by_down(started, instance_config, programs, capsys):
    pid = int((instance_config.run_folder() / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(session.StartRefused, match="is alive"):
        session.prepare(instance_config, Path("c"))
    assert session.down(instance_config) == EXIT_OK
    assert "ended without supervisord" in capsys.readouterr().out
    assert programs.read_text().split()[-1] == "sim"
    assert not instance_config.shm_folder().exists()


def test_a_start_without_room_for_the_segments_is_refused(instance_config, programs, monkeypatch):
    usage = type("Usage", (), {"free": 1024})
    monkeypatch.setattr(session.host_checks.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(session.host_checks, "is_ram", lambda path: True)
    with pytest.raises(session.StartRefused, match=r"shared memory: .* free in .*; make room"):
        session.prepare(instance_config, Path("c"))
    assert not instance_config.shm_folder().exists()


@pytest.mark.system
def test_what_a_dead_run_left_is_cleared_before_a_start(instance_config, programs, tmp_path):
    folder = instance_config.shm_folder()
    folder.mkdir(parents=True, mode=0o700)
    (folder / "bbo.BTCUSDC").write_bytes(b"old")
    (folder / "lock.gateway").touch(0o600)
    session.prepare(instance_config, tmp_path / "c").release()
    assert sorted(path.name for path in folder.iterdir()) == ["lock.session", "started.json"]


def test_down_without_anything_running_says_so(instance_config, capsys):
    assert session.down(instance_config) == EXIT_OK
    assert "is not running" in capsys.readouterr().out


def test_two_sessions_of_one_instance_exclude_each_other(instance_config, programs, tmp_path):
    folder = instance_config.shm_folder()
    folder.mkdir(parents=True, mode=0o700)
    held = Lock(folder / "lock.session")
    held.take()
    with pytest.raises(session.StartRefused, match="is being run by process"):
        session.prepare(instance_config, tmp_path / "c")
    held.release()


@pytest.mark.system
def test_a_run_folder_too_long_for_a_socket_works_all_the_same(instance_config, programs, tmp_path):
    deep = tmp_path / ("d" * 90)
    config = msgspec.structs.replace(
        instance_config, global_=msgspec.structs.replace(instance_config.global_, run_dir=str(deep))
    )
    session.prepare(config, tmp_path / "c").release()
    daemon = supervisor.start(config, dies_with_us=True)
    assert supervisor.Supervisor(config).states()
    assert session.down(config) == EXIT_OK
    daemon.wait(20)


@pytest.mark.system
def test_a_supervisord_that_cannot_start_is_one_clear_error(instance_config, programs, tmp_path):
    session.prepare(instance_config, tmp_path / "c").release()
    (instance_config.run_folder() / "programs.d" / "broken.conf").write_text("[program:broken]\n")
    with pytest.raises(supervisor.StartFailed, match="broken"):
        supervisor.start(instance_config, dies_with_us=True)


# ---- the crash loop ----


def test_too_many_bad_ends_latch_the_process(instance_config):
    lives = []

    def die() -> int:
        lives.append(1)
        return EXIT_AGAIN

    statuses = [guarded("quoter.BTCUSDC", instance_config, die) for _ in range(6)]
    assert statuses == [EXIT_AGAIN] * 5 + [EXIT_STAY_DOWN]
    assert len(lives) == 5
    (latch,) = Latches(instance_config.run_folder()).all()
    assert (latch.name, latch.symbol) == ("quoter.BTCUSDC", "BTCUSDC")


def test_clean_ends_and_held_locks_are_no_crash_loop(instance_config, monkeypatch):
    monkeypatch.setattr("phx.ops.crash_loop.LOCKED_PAUSE_S", 0)
    for status in (EXIT_OK, EXIT_LOCKED) * 10:
        assert guarded("gateway", instance_config, lambda status=status: status) == status
    assert Latches(instance_config.run_folder()).all() == []


def test_lives_that_end_to_begin_anew_are_no_crashes_but_a_quarrel_when_they_do_nothing_else(instance_config):
    statuses = []
    for status in (EXIT_ANEW, EXIT_AGAIN) * 3:
        statuses.append(guarded("feed.main", instance_config, lambda status=status: status))
    assert statuses == [EXIT_ANEW, EXIT_AGAIN] * 3 and Latches(instance_config.run_folder()).all() == []
    statuses = [guarded("feed.main", instance_config, lambda: EXIT_ANEW) for _ in range(3)]
    assert statuses == [EXIT_ANEW] * 2 + [EXIT_STAY_DOWN]
    (latch,) = Latches(instance_config.run_folder()).all()
    assert latch.reason == "began anew 6 times within 60 s"


def test_a_process_killed_again_and_again_counts_too(instance_config):
    class Killed(BaseException):
        pass

    def killed() -> int:
        raise Killed

    for _ in range(5):
        with pytest.raises(Killed):
            guarded("gateway", instance_config, killed)
    assert guarded("gateway", instance_config, lambda: EXIT_OK) == EXIT_STAY_DOWN


def test_a_second_start_of_a_living_process_does_not_hide_its_crash_loop(instance_config, monkeypatch):
    monkeypatch.setattr("phx.ops.crash_loop.LOCKED_PAUSE_S", 0)
    for turn in range(instance_config.global_.crash_loop_exits):
        assert guarded("gateway", instance_config, lambda: EXIT_AGAIN) == EXIT_AGAIN
        if turn == 0:
            assert guarded("gateway", instance_config, lambda: EXIT_LOCKED) == EXIT_LOCKED
    assert guarded("gateway", instance_config, lambda: EXIT_OK) == EXIT_STAY_DOWN


def test_only_who_ended_a_session_means_another_one_s_limits_and_nothing_paused(instance_config, tmp_path):
    kept = [instance_config.run_folder() / name for name in ("limits.json", "operator.json")]

    def started() -> list[bool]:
        session.prepare(instance_config, tmp_path / "c").release()
        there = [path.exists() for path in kept]
        for path in kept:
            path.write_bytes(b"{}")
        return there

    assert started() == [False, False]
    assert started() == [True, True]  # the host died, and something started us
    assert session.down(instance_config) == 0
    assert started() == [False, False]
    session.remove_shared_memory(instance_config)
