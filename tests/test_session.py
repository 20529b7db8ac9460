"""`phx run` as a user sees it: from nothing to quoting, the summary, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from phx.ops import supervisor
from phx.ops.session import log_tail, stays_down

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(instance_config, tmp_path):
    """Start `phx run` on the instance; whatever is left of it is ended with the test."""
    settings = instance_config.global_
    path = tmp_path / "c.yaml"
    path.write_text(
        f"global: {{instance: {settings.instance}, run_dir: {settings.run_dir}}}\n"
        "symbols:\n"
        "  BTCUSDC: {net_max: 0.3, ladder: {near: {size: 0.006}, far: {size: 0.012}}}\n"
        "limits: {max_gross_notional: 60000, max_daily_loss: 500}\n"
        f"sim: {{port: {instance_config.sim.port}}}\n"
        "ops: {metrics_port: 0}\n"
    )
    started = []

    def begun(*arguments, **environ) -> subprocess.Popen:
        command = [sys.executable, "-m", "phx", "--config", str(path), "run", *arguments]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PHX")} | environ
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield begun
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)
    supervisor.end_orphans(instance_config)


def until(process: subprocess.Popen, start: str) -> None:
    """Read a run's output up to a line that begins so."""
    for line in process.stdout:
        if line.startswith(start):
            return
    raise AssertionError(f"it ended without saying {start!r}")


def assert_nothing_left(config) -> None:
    assert not config.shm_folder().exists()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        assert str(config.run_folder()).encode() not in words and config.global_.instance.encode() not in words


@pytest.mark.system
def test_a_short_run_is_healthy_and_leaves_nothing_but_its_summary(run, instance_config):
    done = run("--seconds", "5")
    text, _ = done.communicate(timeout=110)
    assert done.returncode == 0, text
    assert "quoting on both sides of BTCUSDC" in text and text.splitlines()[-1] == "healthy"
    tree = json.loads((instance_config.run_folder() / "summary.json").read_text())
    assert tree["own_orders_at_venue"] == 0 and tree["faults"] == [] and tree["restarts"] == {}
    assert tree["symbols"][0]["places"] > 0
    assert_nothing_left(instance_config)


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_own_orders_however_often_it_comes(run, instance_config, number):
    process = run()
    until(process, "quoting on both sides")
    process.send_signal(number)
    for _ in range(3):
        time.sleep(0.2)
        process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    assert "own orders left at the venue: 0" in text
    assert_nothing_left(instance_config)


@pytest.mark.system
def test_a_process_that_cannot_live_is_named_with_its_last_words(run, instance_config):
    # A port that is taken: the simulator dies of it, again and again, until it is latched.
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", instance_config.sim.port))
        taken.listen()
        done = run("--seconds", "5", PHX__GLOBAL__CRASH_LOOP_EXITS="2")
        text, _ = done.communicate(timeout=110)
    assert done.returncode == 1
    assert "sim (EXITED)" in text and "address already in use" in text.lower()
    assert "not healthy: not quoting: sim stays down" in text
    assert_nothing_left(instance_config)


@pytest.mark.parametrize(
    "statename, status, down", [("EXITED", 78, True), ("EXITED", 0, True), ("EXITED", 1, False), ("RUNNING", 0, False)]
)
def test_only_an_end_that_is_not_restarted_is_one(statename, status, down):
    assert stays_down({"statename": statename, "exitstatus": status}) == down


def test_the_tail_of_a_log_is_its_last_lines(instance_config):
    logs = instance_config.run_folder() / "logs"
    logs.mkdir(parents=True)
    (logs / "ops.log").write_text("\n".join(f"line {i}" for i in range(5000)))
    assert log_tail(instance_config, "ops").splitlines() == [f"  line {i}" for i in range(4992, 5000)]
    assert "nothing in" in log_tail(instance_config, "sim")
