"""The life of a process, lived by real ones: lock, heartbeat, signals, exit codes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from phx import process as module
from phx._core import records
from phx.process import (
    EXIT_AGAIN,
    EXIT_LOCKED,
    EXIT_OK,
    EXIT_STAY_DOWN,
    Lock,
    LockHeld,
    Peer,
    Process,
    StayDown,
    note_exit,
    run,
)
from phx.segment import Segment

WATCHDOG_S = 20.0


def until(condition, what: str):
    """Wait for a condition; the time allowed is a watchdog, not a measure."""
    deadline = time.monotonic() + WATCHDOG_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {WATCHDOG_S:.0f} s until {what}"
        time.sleep(0.002)


@pytest.fixture
def fork():
    """Return a function that lives `life()` in a child of its own, with its result as exit code; children are ended."""
    children = []

    def start(life) -> int:
        child = os.fork()
        if child == 0:
            code = 99
            try:
                code = life()
            finally:
                os._exit(code)
        children.append(child)
        return child

    yield start
    for child in children:
        try:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            continue


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def beat_until_stopped(process: Process):
    process.ready()
    while not process.stopping:
        process.beat()
        time.sleep(0.002)


def watcher(config) -> Process:
    """Return what a Peer needs of the process that watches: names and folders, nothing taken."""
    return Process("ops", config)


def test_a_second_process_of_a_name_does_not_start_and_may_be_restarted(instance_config, fork):
    child = fork(lambda: run("gateway", instance_config, beat_until_stopped))
    peer_path = instance_config.shm_folder() / "lock.gateway"
    until(lambda: peer_path.exists() and Lock(peer_path).held_by_somebody(), "the first one holds its lock")
    until(lambda: (instance_config.shm_folder() / "process.gateway").exists(), "the first one made its segments")
    generation = Segment.attach(instance_config.shm_folder(), "process.gateway", records.PROCESS_COUNTERS).generation
    assert exit_code(fork(lambda: run("gateway", instance_config, beat_until_stopped))) == EXIT_LOCKED
    after = Segment.attach(instance_config.shm_folder(), "process.gateway", records.PROCESS_COUNTERS)
    assert after.generation == generation, "the refused one touched a segment"
    os.kill(child, signal.SIGTERM)
    assert exit_code(child) == EXIT_OK


def test_a_peer_is_alive_while_it_holds_its_lock_and_dead_after_kill_minus_nine(instance_config, fork):
    child = fork(lambda: run("gateway", instance_config, beat_until_stopped))
    until((instance_config.shm_folder() / "process.gateway").exists, "the gateway runs")
    peer = Peer(watcher(instance_config), "gateway")
    until(lambda: peer.heartbeat_age_ns(time.monotonic_ns()) is not None, "it is ready")
    assert peer.alive()
    assert peer.pid() == child
    os.kill(child, signal.SIGKILL)
    until(lambda: not peer.alive(), "its death is noticed")
    os.waitpid(child, 0)


def test_the_heartbeat_ages_while_its_process_is_stopped_and_the_lock_says_alive(instance_config, fork):
    child = fork(lambda: run("gateway", instance_config, beat_until_stopped))
    until((instance_config.shm_folder() / "process.gateway").exists, "the gateway runs")
    peer = Peer(watcher(instance_config), "gateway")
    until(lambda: peer.heartbeat_age_ns(time.monotonic_ns()) is not None, "it is ready")
    os.kill(child, signal.SIGSTOP)
    os.waitpid(child, os.WUNTRACED)
    until(lambda: peer.heartbeat_age_ns(time.monotonic_ns()) > 300_000_000, "the heartbeat is old")
    assert peer.alive()
    os.kill(child, signal.SIGCONT)
    until(lambda: peer.heartbeat_age_ns(time.monotonic_ns()) < 250_000_000, "it beats again")


def test_a_process_that_is_not_ready_has_no_heartbeat_and_a_stopped_one_none_any_more(instance_config, fork):
    def live():
        def body(process):
            while not process.stopping:
                process.beat()  # without effect before ready()
                time.sleep(0.002)

        return run("gateway", instance_config, body)

    child = fork(live)
    until((instance_config.shm_folder() / "process.gateway").exists, "the gateway runs")
    peer = Peer(watcher(instance_config), "gateway")
    assert peer.heartbeat_age_ns(time.monotonic_ns()) is None
    os.kill(child, signal.SIGTERM)
    assert exit_code(child) == EXIT_OK
    assert peer.heartbeat_age_ns(time.monotonic_ns()) is None


def test_a_watcher_follows_a_peer_into_its_next_life(instance_config, fork):
    peer = Peer(watcher_with_folder(instance_config), "gateway")
    for life in range(1, 4):
        child = fork(lambda: run("gateway", instance_config, beat_until_stopped))
        until(
            lambda life=life: (
                peer.heartbeat_age_ns(time.monotonic_ns()) is not None and peer.segment.generation == life
            ),
            f"life {life} is seen",
        )
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def watcher_with_folder(config) -> Process:
    config.shm_folder().mkdir(parents=True, mode=0o700, exist_ok=True)
    return watcher(config)


def test_watching_a_lock_never_stands_in_the_way_of_taking_it(tmp_path):
    """With flock a watcher would hold it for an instant, and a process that starts in it would be refused."""
    watched = Lock(tmp_path / "lock.a")
    child = os.fork()
    if child == 0:
        while True:
            watched.held_by_somebody()
    try:
        for _ in range(2000):
            own = Lock(tmp_path / "lock.a")
            own.take()
            own.release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_lock_names_its_holder_and_asking_about_it_does_not_lose_it(tmp_path):
    holder, other = Lock(tmp_path / "lock.a"), Lock(tmp_path / "lock.a")
    assert not other.held_by_somebody()
    assert other.holder_pid() == 0
    holder.take()
    assert not holder.held_by_somebody()  # by nobody but itself
    assert other.held_by_somebody()
    assert other.holder_pid() == os.getpid()
    with pytest.raises(LockHeld, match=f"held by process {os.getpid()}"):
        other.take()
    holder.release()
    other.take()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_end_wakes_the_sleeper_and_is_a_planned_exit(number, instance_config, fork):
    def body(process):
        process.ready()
        while not process.stopping:
            seen = process.bell.park_now()
            if process.stopping:
                break
            process.bell.wait_now(seen, 10_000_000)

    child = fork(lambda: run("quoter.BTCUSDC", instance_config, body))
    peer = Peer(watcher_with_folder(instance_config), "quoter.BTCUSDC")
    until(lambda: peer.heartbeat_age_ns(time.monotonic_ns()) is not None, "it is ready")
    os.kill(child, number)
    assert exit_code(child) == EXIT_OK


def test_a_hang_up_asks_for_a_reload_and_ends_nothing(instance_config, fork):
    def body(process):
        process.ready()
        while not process.stopping:
            if process.reload_wanted:
                return
            time.sleep(0.002)
        raise AssertionError("stopped without a reload")

    child = fork(lambda: run("ops", instance_config, body))
    peer = Peer(watcher_with_folder(instance_config), "ops")
    until(lambda: peer.heartbeat_age_ns(time.monotonic_ns()) is not None, "it is ready")
    os.kill(child, signal.SIGHUP)
    assert exit_code(child) == EXIT_OK


def raising(error):
    def body(process):
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StayDown("bad configuration"), EXIT_STAY_DOWN),
        (RuntimeError("broken"), EXIT_AGAIN),
        (SystemExit(EXIT_OK), EXIT_OK),
        (SystemExit(3), 3),
    ],
)
def test_the_exit_code_tells_supervisord_what_to_do(error, code, instance_config, fork):
    assert exit_code(fork(lambda: run("ops", instance_config, raising(error)))) == code


def test_an_own_freeze_is_noticed_once(instance_config, fork):
    def live():
        with Process("ops", instance_config) as process:
            assert not process.froze()
            process._last_turn_mono_ns -= 2 * instance_config.freeze_ns()
            assert process.froze()
            assert not process.froze()
            assert process.counters["freezes"][0] == 1
        return EXIT_OK

    assert exit_code(fork(live)) == EXIT_OK


def test_waiting_for_a_segment_names_what_is_missing(instance_config, fork):
    def live():
        with Process("ops", instance_config) as process:
            with pytest.raises(TimeoutError, match=r"waited 0 s for bbo.BTCUSDC: .*its writer has not started"):
                process.attach("bbo.BTCUSDC", timeout_s=0.05)
            assert process.try_attach("bbo.BTCUSDC") is None
        return EXIT_OK

    assert exit_code(fork(live)) == EXIT_OK


def test_a_pin_is_obeyed(instance_config, fork):
    import msgspec

    cpu = min(os.sched_getaffinity(0))
    pinned = msgspec.structs.replace(
        instance_config, processes=msgspec.structs.replace(instance_config.processes, cpus={"ops": cpu})
    )

    def live():
        with Process("ops", pinned):
            return EXIT_OK if os.sched_getaffinity(0) == {cpu} else EXIT_AGAIN

    assert exit_code(fork(live)) == EXIT_OK


def test_everything_a_process_makes_is_closed_to_others(instance_config, fork):
    def live():
        os.umask(0)
        return run("gateway", instance_config, lambda process: None)

    assert exit_code(fork(live)) == EXIT_OK
    folder = instance_config.shm_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path.name


def test_a_loop_of_exits_is_told_from_exits_now_and_then(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, "clock_gettime", lambda clock: now[0])
    for seconds, expected in ((0, False), (14, False), (14, False), (14, False), (14, True), (60, False), (1, False)):
        now[0] += seconds
        assert note_exit(tmp_path, "gateway", 5, 60.0) is expected
    assert not note_exit(tmp_path, "guardian", 2, 60.0)  # counted by name
    now[0] = 5.0  # after a reboot
    assert not note_exit(tmp_path, "gateway", 2, 60.0)


def test_a_record_of_exits_that_cannot_be_read_starts_anew(tmp_path):
    (tmp_path / "exits.gateway.json").write_text("[1, ")
    assert not note_exit(tmp_path, "gateway", 2, 60.0)
    assert note_exit(tmp_path, "gateway", 2, 60.0)


def test_importing_it_needs_no_network_and_no_venue():
    """A process that only watches must start when the venue's code is broken."""
    code = "import sys, phx.process; print(sorted(m for m in sys.modules if m.startswith(('phx.venue', 'aiohttp'))))"
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"
