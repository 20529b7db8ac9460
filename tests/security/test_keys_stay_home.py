"""S02, S14, S17: how keys travel inside the host, where each may be used, and that their pages stay in memory."""

import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from system.running import wait_until, yaml_of

from phx import hardening, key_handover, topology
from phx.ops import session, supervisor
from phx.process import StayDown
from phx.venue.binance import keys

KEY, SECRET = "canary-key-b7a1", "canary-secret-0d35"
SHELL = {"PHX_API_KEY": KEY, "PHX_API_SECRET": SECRET}


@pytest.fixture(autouse=True)
def untouched(monkeypatch):
    # What hardening does to a process cannot be undone: not to the one that runs the tests.
    monkeypatch.setattr(key_handover, "harden", lambda: None)
    for name in (*key_handover.VARIABLES, key_handover.PATH_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def on(config, environment: str, **changes):
    venue = msgspec.structs.replace(config.venue, environment=environment, **changes)
    return msgspec.structs.replace(config, venue=venue)


def key_file(folder: Path, key: str = KEY) -> str:
    path = folder / f"{key}.json"
    path.write_bytes(msgspec.json.encode({"api_key": key, "secret": SECRET}))
    path.chmod(0o600)
    return str(path)


def test_s02_the_starter_gives_the_key_away_and_keeps_none(instance_config, monkeypatch):
    config, shell = on(instance_config, "testnet"), dict(SHELL, PATH="/bin")
    key_handover.give(config, shell)
    assert shell == {"PATH": "/bin"}
    status = key_handover.path(config).stat()
    assert stat.S_IMODE(status.st_mode) == 0o600 and status.st_uid == os.geteuid()
    monkeypatch.setenv(key_handover.PATH_VARIABLE, str(key_handover.path(config)))
    credentials = keys.load(config)
    assert (credentials.api_key.reveal(), credentials.secret.reveal()) == (KEY.encode(), SECRET.encode())
    assert key_handover.PATH_VARIABLE not in os.environ


def test_s02_the_simulated_venue_is_given_no_real_key(instance_config):
    shell = dict(SHELL)
    key_handover.give(instance_config, shell)
    assert shell == {} and not key_handover.path(instance_config).exists()


def test_s02_an_earlier_key_does_not_linger(instance_config):
    config = on(instance_config, "testnet")
    key_handover.give(config, dict(SHELL))
    key_handover.give(config, {})
    assert not key_handover.path(config).exists()


def test_s08_a_planted_link_does_not_lead_the_key_away(instance_config, tmp_path):
    config = on(instance_config, "testnet")
    config.shm_folder().mkdir(parents=True, mode=0o700)
    planted = tmp_path / "elsewhere"
    planted.write_text("")
    key_handover.path(config).symlink_to(planted)
    key_handover.give(config, dict(SHELL))
    assert planted.read_text() == "" and not key_handover.path(config).is_symlink()


def test_s02_programs_name_the_key_only_to_those_who_sign(instance_config, monkeypatch):
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)
    for process in topology.processes(instance_config):
        text = supervisor.program_text(process, instance_config, Path("c"))
        assert KEY not in text and SECRET not in text
        assert (key_handover.PATH_VARIABLE in text) == (process in ("gateway", "guardian"))


LOADS = """
import os, sys, time
sys.path.insert(0, os.getcwd())
from phx import config as configuration, hardening
from phx.process import StayDown
from phx.venue.binance import keys
out, path = sys.argv[1:]
said = "none"
try:
    said = "key" if keys.load(configuration.load(path)).secret.reveal() == b"canary-secret-0d35" else "other"
except StayDown:
    pass
with open(out, "w") as file:
    file.write(said)
time.sleep(60)
"""


def test_s02_under_supervisord_gateway_and_guardian_find_the_key_and_nobody_else(
    instance_config, tmp_path, monkeypatch
):
    """A real supervisord, with programs that only load the key; the venue is a real one that nobody connects to."""
    config = on(instance_config, "testnet", confirm="testnet")
    path, script = tmp_path / "testnet.yaml", tmp_path / "loads.py"
    path.write_text(yaml_of(config))
    script.write_text(LOADS)
    real = supervisor.program_text

    def text(process, config, config_path):
        lines = real(process, config, config_path).splitlines()
        command = f"command={sys.executable} {script} {tmp_path / process}.out {config_path}"
        return "\n".join(command if line.startswith("command=") else line for line in lines) + "\n"

    monkeypatch.setattr(supervisor, "program_text", text)
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)
    session.prepare(config, path).release()
    daemon = supervisor.start(config, dies_with_us=True)
    try:
        assert not set(SHELL) & set(os.environ)
        outs = {name: tmp_path / f"{name}.out" for name in topology.processes(config)}
        wait_until(lambda: all(out.exists() and out.read_text() for out in outs.values()), 30, "every program")
        loaded = {name: out.read_text() for name, out in outs.items()}
        assert loaded.pop("gateway") == loaded.pop("guardian") == "key"
        assert set(loaded.values()) == {"none"} and len(loaded) >= 4
        infos = supervisor.Supervisor(config).states().values()
        for pid in (daemon.pid, *(info["pid"] for info in infos)):
            shown = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
            assert KEY.encode() not in shown and SECRET.encode() not in shown
    finally:
        session.stop_in_order(supervisor.Supervisor(config), config)
        daemon.wait(20)
    session.remove_shared_memory(config)
    assert not key_handover.path(config).exists()


@pytest.mark.parametrize(
    "first, then",
    [(a, b) for a in ("sim", "testnet", "production") for b in ("sim", "testnet", "production") if a != b],
)
def test_s14_a_key_is_used_only_in_the_environment_where_it_was_first(instance_config, tmp_path, first, then):
    file = key_file(tmp_path)
    keys.load(on(instance_config, first, key_file=file))
    keys.load(on(instance_config, first, key_file=file))
    with pytest.raises(StayDown, match=f"belongs to {first}, venue.environment is {then}") as refused:
        keys.load(on(instance_config, then, key_file=file))
    assert KEY not in str(refused.value) and SECRET not in str(refused.value)
    keys.load(on(instance_config, then, key_file=key_file(tmp_path, "another")))


def test_s14_what_is_remembered_is_no_key(instance_config, tmp_path):
    keys.load(on(instance_config, "testnet", key_file=key_file(tmp_path)))
    (kept,) = instance_config.run_folder().glob("key_environments.json")
    assert KEY.encode() not in kept.read_bytes() and b"testnet" in kept.read_bytes()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_s14_a_memory_that_cannot_be_read_lets_no_key_through(instance_config, tmp_path):
    instance_config.run_folder().mkdir(parents=True)
    (instance_config.run_folder() / "key_environments.json").write_text("{")
    with pytest.raises(StayDown, match="remove it"):
        keys.load(on(instance_config, "testnet", key_file=key_file(tmp_path)))


def test_s17_the_secret_s_page_is_locked_in_memory():
    code = (
        "from phx.venue.binance.keys import Credentials\n"
        "locked = lambda: int(open('/proc/self/status').read().split('VmLck:')[1].split()[0])\n"
        "before = locked(); kept = Credentials('k', b's' * 64); print(locked() - before)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    assert int(out) >= 4  # kB: a page at least


def test_s17_where_locking_is_not_allowed_trading_goes_on():
    code = (
        "import os, resource; from phx.hardening import keep_out_of_swap\n"
        "resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0)); os.geteuid() or os.setuid(65534)\n"
        "print(keep_out_of_swap(b'x' * 64))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout
    assert out == "False\n"


def test_s17_the_processes_that_hold_keys_harden_before_they_read_one():
    for name in ("gateway", "guardian"):
        text = (Path(hardening.__file__).parent / name / "process.py").read_text()
        main = text[text.index("def main(") :]
        assert "hardening.harden()" in main.split("life.run")[0]


def test_s01_a_secret_is_three_stars_wherever_it_is_shown(caplog):
    secret = keys.Secret(SECRET.encode())
    caplog.set_level("INFO")
    __import__("logging").getLogger("phx").info("key %s %r %s", secret, secret, {"secret": secret})
    shown = [caplog.text, str(vars(keys.Credentials(KEY, SECRET.encode()))), repr(pickle.dumps(secret))]
    assert SECRET not in "".join(shown) and "***" in caplog.text
