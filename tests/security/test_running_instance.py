"""S01, S02, S05, S06, S07, S08, S17: a running instance, searched: no key where none belongs, no door left open.

One canary key is in the file that gateway, guardian and the simulated venue read, another in the environment of
`phx up`, from where it must not reach any process of a simulated venue.
"""

import json
import os
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import msgspec
import pytest
from conftest import free_ports, isolated
from system.running import Running, wait_until, yaml_of

from phx import topology

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

FILE_KEY = {"api_key": "canary-file-key-9d41c7", "secret": "canary-file-secret-5b2e07aa"}
SHELL_KEY = {"PHX_API_KEY": "canary-shell-key-77ab10", "PHX_API_SECRET": "canary-shell-secret-e03f19cc"}
CANARIES = [text.encode() for text in (*FILE_KEY.values(), *SHELL_KEY.values())]
HARDENED = ("gateway", "guardian")


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    key_file = folder / "key.json"
    key_file.write_text(json.dumps(FILE_KEY))
    key_file.chmod(0o600)
    with isolated(folder) as config:
        port = free_ports(3)
        config = msgspec.structs.replace(
            config,
            venue=msgspec.structs.replace(config.venue, key_file=str(key_file)),
            sim=msgspec.structs.replace(config.sim, port=port),
            ops=msgspec.structs.replace(config.ops, metrics_port=port + 2),
        )
        os.environ |= SHELL_KEY
        try:
            with Running(folder, yaml_of(config)) as running:
                for name in SHELL_KEY:
                    del os.environ[name]
                running.wait_quoting()
                running.phx("pause", "ETHUSDC")
                running.phx("resume", "ETHUSDC")
                yield running
        finally:
            for name in SHELL_KEY:
                os.environ.pop(name, None)


def pids(running) -> dict[str, int]:
    found = {name: running.pid(name) for name in topology.processes(running.config)}
    found["supervisord"] = int((running.config.run_folder() / "supervisord.pid").read_text())
    return found


def seen(name: str, look, unseen):
    """Return what `look` sees of a process; `unseen` for those that close themselves even to their own user."""
    try:
        return look()
    except PermissionError:
        assert name in HARDENED and os.geteuid() != 0, name
        return unseen


def shown_by_kernel(pid: int) -> bytes:
    return b"".join(Path(f"/proc/{pid}/{what}").read_bytes() for what in ("cmdline", "environ"))


def memory_of(pid: int) -> bytes:
    """Return everything a process has written to its memory: heap, stacks, private pages."""
    found = []
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, modes = line.split()[:2]
            first, last = (int(end, 16) for end in span.split("-"))
            if modes.startswith("rw") and "/dev/shm" not in line and "[vvar" not in line:
                try:
                    memory.seek(first)
                    found.append(memory.read(last - first))
                except OSError:
                    continue
    return b"".join(found)


def test_s01_no_file_it_writes_and_nothing_it_says_holds_a_key(instance):
    config = instance.config
    places = [*config.run_folder().rglob("*"), *config.shm_folder().rglob("*")]
    searched = 0
    for path in places:
        if path.is_file():
            searched += 1
            assert not [c for c in CANARIES if c in path.read_bytes()], path
    assert searched > 40
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{config.ops.metrics_port}/metrics", timeout=10).read()
    said = [metrics] + [instance.phx(*words).stdout.encode() for words in (("status", "--json"), ("config", "show"))]
    assert all(said) and not [c for c in CANARIES if any(c in text for text in said)]


def test_s02_no_argument_and_no_environment_holds_a_key(instance):
    for name, pid in pids(instance).items():
        shown = seen(name, lambda pid=pid: shown_by_kernel(pid), b" " * 51)
        assert len(shown) > 50 and not [c for c in CANARIES if c in shown], name


def test_s05_only_those_who_sign_have_the_key_in_memory(instance):
    secret = FILE_KEY["secret"].encode()
    found = pids(instance)
    holds = {name: secret in seen(name, lambda pid=pid: memory_of(pid), secret) for name, pid in found.items()}
    # The venue knows its customers' keys: were the search blind, it would find nothing there either.
    assert holds.pop("sim") and holds.pop("gateway") and holds.pop("guardian")
    assert set(holds) >= {"quoter.BTCUSDC", "quoter.ETHUSDC", "feed.main", "ops", "supervisord"}
    assert not any(holds.values()), holds


def test_s05_only_those_who_sign_are_told_where_the_key_is(instance):
    for name, pid in pids(instance).items():
        environ = seen(name, lambda pid=pid: Path(f"/proc/{pid}/environ").read_bytes(), b"PHX_KEY_FILE=")
        assert (b"PHX_KEY_FILE=" in environ) == (name in HARDENED), name


def listening(pid: int) -> set[str]:
    """Return the local addresses on which a process listens, as the kernel writes them."""
    inodes = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(fd)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for table, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state and fields[9] in inodes:
                found.add(f"{table} {fields[1]}")
    return found


def test_s06_s07_who_listens_on_the_network_does_so_on_loopback(instance):
    config = instance.config
    doors = {name: seen(name, lambda pid=pid: listening(pid), set()) for name, pid in pids(instance).items()}
    expected = {"ops": {config.ops.metrics_port}, "sim": {config.sim.port, config.sim.port + 1}}
    for name, addresses in doors.items():
        assert all(address.startswith("tcp 0100007F:") for address in addresses), (name, addresses)
        assert {int(a.rpartition(":")[2], 16) for a in addresses} == expected.get(name, set()), name


def test_s08_everything_is_this_user_s_alone(instance):
    config = instance.config
    found = [config.run_folder(), config.shm_folder(), *config.run_folder().rglob("*"), *config.shm_folder().rglob("*")]
    for path in found:
        status = path.lstat()
        assert not stat.S_ISLNK(status.st_mode), path
        assert status.st_uid == os.geteuid() and not status.st_mode & 0o077, (path, oct(status.st_mode))
    kinds = {stat.S_IFMT(path.lstat().st_mode) for path in found}
    assert kinds >= {stat.S_IFREG, stat.S_IFDIR, stat.S_IFSOCK, stat.S_IFIFO}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_s06_s15_another_user_reaches_no_socket(instance):
    config = instance.config
    code = "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])"
    for name in ("control", "guardian", "supervisor/rpc"):
        path = config.socket_path(name)
        assert path.exists()
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=30)
        assert "PermissionError" in done.stderr, name


def test_s17_key_holders_write_no_core(instance):
    for name, pid in pids(instance).items():
        (line,) = [
            x for x in Path(f"/proc/{pid}/limits").read_text().splitlines() if x.startswith("Max core file size")
        ]
        if name in HARDENED:
            assert line.split()[4:6] == ["0", "0"], name


def test_s15_what_a_human_did_is_in_the_audit_log(instance):
    lines = [json.loads(line) for line in (instance.config.run_folder() / "audit.log").read_text().splitlines()]
    human = [line for line in lines if line["command"] in ("pause", "resume")]
    assert [(line["command"], line["symbol"], line["uid"]) for line in human] == [
        ("pause", "ETHUSDC", os.geteuid()),
        ("resume", "ETHUSDC", os.geteuid()),
    ]
    assert wait_until(lambda: instance.quoting("ETHUSDC"), 20, "quotes after resume") >= 0


def test_the_doctor_beside_it_finds_nothing_that_keeps_it_from_trading(instance):
    done = instance.phx("doctor", "--json", check=False)
    found = {row["name"]: row for row in json.loads(done.stdout)}
    assert not [c for c in CANARIES if c in (done.stdout + done.stderr).encode()]
    assert done.returncode in (0, 1), [row for row in found.values() if row["verdict"] == "fail"]
    for symbol in instance.config.traded():
        assert found[f"dead man's switch {symbol}"]["found"].startswith("armed")
    assert found["stale segments"]["found"] == "none, the instance is alive"
    # Looking left no trace at the venue: what is open is quotes, and the switch is as armed as before.
    instance.wait_quoting()
