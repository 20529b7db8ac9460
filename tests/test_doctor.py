"""`phx doctor`: what the host must offer, one table, one exit status."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from stub_venue import Reply, StubVenue
from system.running import ROOT, yaml_of

from phx import topology
from phx.findings import Finding, Verdict, exit_status, judged, table
from phx.ops import doctor, host_checks
from phx.segment import Segment
from phx.venue.binance.endpoints import Endpoints
from phx.venue.binance.keys import Credentials
from phx.venue.binance.rest import Rest

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
COUNTDOWN = ("POST", "/fapi/v1/countdownCancelAll")


def venue_of(config, **changes):
    return msgspec.structs.replace(config, venue=msgspec.structs.replace(config.venue, **changes))


def waiting(config, process: str, **changes):
    kinds = msgspec.structs.replace(config.processes, **{process: msgspec.structs.replace(
        getattr(config.processes, process), **changes)})  # fmt: skip
    return msgspec.structs.replace(config, processes=kinds)


@pytest.mark.parametrize(
    "verdicts, status", [([], 0), ([OK, OK], 0), ([OK, WARN], 1), ([WARN, FAIL, OK], 78), ([FAIL], 78)]
)
def test_the_worst_verdict_decides_the_exit_status(verdicts, status):
    assert exit_status([Finding("a", verdict, "x") for verdict in verdicts]) == status


def test_a_finding_is_one_line_and_says_what_to_do_only_when_something_is_wrong():
    assert judged("open files", False, 256, 1024, "ulimit -n").line == "open files: 256, expected 1024; ulimit -n"
    assert judged("open files", True, 4096, 1024, "ulimit -n").line == "open files: 4096"
    lines = table([judged("a", True, "1"), judged("longer", False, "2", "3")])
    assert lines == ["ok    a       1", "fail  longer  2, expected 3", "", "1 ok, 0 warn, 1 fail"]


def test_this_host_carries_the_example(instance_config):
    failed = [f.line for check in host_checks.CHECKS if (f := check(instance_config)).verdict == FAIL]
    assert failed == []


def test_the_size_of_all_segments_is_what_they_take(instance_config):
    folder = instance_config.shm_folder()
    folder.mkdir(parents=True, mode=0o700)
    for process in topology.processes(instance_config):
        for name in topology.writes(process, instance_config):
            row = topology.kind_of(name)
            Segment.create(folder, name, row.record, row.slots)
    assert host_checks.segments_bytes(instance_config) == host_checks.folder_bytes(folder)
    assert host_checks.segment_count(instance_config) == len(list(folder.iterdir()))
    # Of nobody who lives: left over.
    found = host_checks.left_overs(instance_config)
    assert found.verdict == WARN and "`phx down`" in found.line


def test_no_room_for_the_segments_is_a_failure(instance_config, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(host_checks.shutil, "disk_usage", lambda folder: usage)
    assert host_checks.shared_memory(instance_config).verdict == FAIL
    assert host_checks.disk(instance_config).verdict == FAIL


def test_segments_on_a_disk_are_told(instance_config, tmp_path, monkeypatch):
    monkeypatch.setattr(host_checks, "is_ram", lambda folder: False)
    assert host_checks.shared_memory(instance_config).verdict == WARN
    monkeypatch.undo()
    assert host_checks.is_ram(Path("/dev/shm")) and not host_checks.is_ram(Path("/proc"))


def test_spinning_processes_want_cores_of_their_own(instance_config, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    assert host_checks.cores(instance_config).verdict == OK
    loose = waiting(instance_config, "gateway", wait="spin")
    assert host_checks.cores(loose).verdict == WARN and "pin gateway" in host_checks.cores(loose).line
    assert host_checks.cores(waiting(instance_config, "gateway", wait="spin", cpu=1)).verdict == OK
    # Two quoters, a gateway and a guardian on two cores.
    many = waiting(waiting(loose, "quoter", wait="spin"), "guardian", wait="spin")
    assert host_checks.cores(many).verdict == FAIL


def test_an_old_kernel_is_a_failure(instance_config, monkeypatch):
    for release, verdict in (("5.2.21-generic", FAIL), ("5.3.0", OK), ("6.18.44-x", OK), ("4.19.0", FAIL)):
        monkeypatch.setattr(host_checks.platform, "release", lambda release=release: release)
        assert host_checks.kernel(instance_config).verdict == verdict


def test_too_few_open_files_are_a_failure(instance_config, monkeypatch):
    monkeypatch.setattr(host_checks.resource, "getrlimit", lambda what: (256, 512))
    assert host_checks.open_files(instance_config).verdict == FAIL


def test_a_folder_open_to_others_is_a_failure(instance_config):
    folder = instance_config.run_folder()
    assert host_checks.run_folder(instance_config).verdict == OK  # not there yet
    folder.mkdir(mode=0o700)
    assert host_checks.run_folder(instance_config).verdict == OK
    folder.chmod(0o750)
    assert host_checks.run_folder(instance_config).verdict == FAIL
    folder.rmdir()
    folder.symlink_to("/tmp")
    assert host_checks.run_folder(instance_config).verdict == FAIL


def test_a_key_file_others_can_read_is_a_failure(instance_config, tmp_path):
    path = tmp_path / "key.json"
    path.write_text('{"api_key": "k", "secret": "canary-value"}')
    config = venue_of(instance_config, key_file=str(path))
    path.chmod(0o644)
    found = host_checks.key_file(config)
    assert found.verdict == FAIL and "mode 644" in found.line and "canary" not in found.line
    path.chmod(0o600)
    assert host_checks.key_file(config).verdict == OK


def test_a_socket_open_to_others_is_a_failure(instance_config):
    path = instance_config.socket_path("guardian")
    path.parent.mkdir(parents=True, mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        assert host_checks.sockets(instance_config).verdict == OK
        path.chmod(0o666)
        assert "mode 666" in host_checks.sockets(instance_config).line


def test_swap_and_root_matter_where_keys_do(instance_config, monkeypatch):
    swapping = "Filename Type Size\n/dev/sda2 partition 100\n"
    monkeypatch.setattr(host_checks.Path, "read_text", lambda path: swapping)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert host_checks.swap(instance_config).verdict == OK == host_checks.user(instance_config).verdict
    real = venue_of(instance_config, environment="testnet")
    assert host_checks.swap(real).verdict == WARN == host_checks.user(real).verdict


# ---- the dead man's switch ----


@pytest.fixture
def client():
    with StubVenue() as venue:
        yield venue, Rest(Endpoints("sim", venue.url, "", ""), Credentials("k", b"s"), share=1.0)


async def test_the_countdown_is_tried_and_taken_back(instance_config, client):
    venue, rest = client
    assert (await doctor.dead_mans_switch(instance_config, rest, "BTCUSDC")).verdict == OK
    assert [call.params["countdownTime"] for call in venue.of(*COUNTDOWN)] == ["60000", "0"]
    await rest.close()


async def test_it_is_not_tried_where_it_could_cancel_somebody_s_orders(instance_config, client):
    venue, rest = client
    venue.orders["BTCUSDC"] = ["web_1"]
    assert (await doctor.dead_mans_switch(instance_config, rest, "BTCUSDC")).verdict == WARN
    assert venue.of(*COUNTDOWN) == []
    await rest.close()


async def test_a_countdown_that_cannot_be_armed_is_a_failure(instance_config, client):
    venue, rest = client
    venue.script[COUNTDOWN] = [Reply({"code": -2015, "msg": "no"}, 401)]
    assert (await doctor.dead_mans_switch(instance_config, rest, "BTCUSDC")).verdict == FAIL
    await rest.close()


# ---- the command ----


def phx_doctor(config, folder, *words, **environment) -> subprocess.CompletedProcess:
    path = folder / "doctor.yaml"
    path.write_text(yaml_of(config))
    return subprocess.run(
        [sys.executable, "-m", "phx", "--config", str(path), "doctor", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_without_a_running_simulator_the_host_alone_is_looked_at(instance_config, tmp_path):
    done = phx_doctor(instance_config, tmp_path, "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    found = {row["name"]: row for row in json.loads(done.stdout)}
    assert found["venue"]["verdict"] == "warn" and "phx up" in found["venue"]["advice"]
    assert set(found["python"]) >= {"name", "verdict", "found", "expected", "advice"}


def test_a_venue_without_a_key_is_a_failure_in_the_same_table(instance_config, tmp_path):
    real = venue_of(instance_config, environment="testnet", confirm="testnet")
    done = phx_doctor(real, tmp_path, PHX_API_KEY="", PHX_API_SECRET="")
    assert done.returncode == 78 and "fail  venue" in done.stdout and "no API key for testnet" in done.stdout
    assert "ok    python" in done.stdout


def test_an_unconfirmed_venue_is_refused_before_anything_and_no_key_shows(instance_config, tmp_path):
    real = venue_of(instance_config, environment="production")
    done = phx_doctor(real, tmp_path, PHX_API_KEY="canary-key", PHX_API_SECRET="canary-secret")
    assert done.returncode == 78 and "I trade real money on" in done.stderr
    assert "canary" not in done.stdout + done.stderr
