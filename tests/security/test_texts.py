"""S09, S10, S13, S15, S16, S18: configuration, dependencies, logs, requests of others, the repository."""

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest

from phx import config as configuration
from phx import topology
from phx.config import ConfigError
from phx.control import Answer, AuditLog, ControlServer, Peer
from phx.guardian.control import Control
from phx.latches import Latches
from phx.ops import supervisor
from phx.process import LONGEST_LOG_LINE, plain
from phx.venue.binance.errors import LONGEST_MSG, printable

ROOT = Path(__file__).resolve().parents[2]


# ---- S09: a configuration is text, never code ----


@pytest.mark.parametrize(
    "text",
    [
        "symbols: !!python/object/apply:os.system ['touch {}']",
        "symbols: !!python/object/new:os.system ['touch {}']",
        "symbols: !!python/name:os.system",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\nsymbols: {{}}",
        "limits: {{}}\nlimits: {{}}",
        "--- {{}}\n--- {{}}",
        "x: " + "[" * 5000,
    ],
)
def test_s09_a_hostile_configuration_is_refused_and_runs_nothing(tmp_path, text):
    planted, path = tmp_path / "planted", tmp_path / "config.yaml"
    path.write_text(text.format(planted))
    with pytest.raises(ConfigError):
        configuration.load(path)
    assert not planted.exists()


def test_s09_no_source_reads_yaml_in_a_way_that_makes_objects():
    unsafe = re.compile(r"yaml\.(load|load_all|unsafe_load|full_load)\(|\bpickle\b|\beval\(|\bexec\(")
    found = {str(p): m.group() for p in (ROOT / "phx").rglob("*.py") if (m := unsafe.search(p.read_text()))}
    # Secrets speak of pickling to forbid it.
    assert {Path(path).name for path in found} <= {"keys.py"}, found


# ---- S10: what is installed is what was looked at ----


def requirements(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split(" ")[0].split("==") for line in lines if "==" in line)


def test_s10_every_requirement_is_pinned_and_locked_with_its_hashes():
    wanted, locked = requirements("requirements.txt"), requirements("requirements.lock")
    assert len(wanted) >= 10 and wanted.items() <= locked.items()
    lock = (ROOT / "requirements.lock").read_text()
    for block in re.split(r"\n(?=[a-z])", lock):
        if "==" in block:
            hashes = re.findall(r"--hash=sha256:([0-9a-f]+)", block)
            assert hashes and all(len(value) == 64 for value in hashes), block[:80]
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*|#.*|", line), line


def test_s10_what_runs_here_is_what_is_pinned():
    for name, wanted in requirements("requirements.txt").items():
        assert version(name) == wanted, name


def test_s10_an_altered_hash_is_refused(tmp_path):
    wheel = tmp_path / "planted-1.0-py3-none-any.whl"
    wheel.write_bytes(b"not what was looked at")
    (tmp_path / "lock").write_text(f"planted==1.0 --hash=sha256:{'0' * 64}\n")
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--find-links", tmp_path]
    command += ["--require-hashes", "--only-binary", ":all:", "-r", tmp_path / "lock"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=os.environ | {"PIP_CONFIG_FILE": "/dev/null"}
    )
    assert done.returncode != 0 and "DO NOT MATCH THE HASHES" in done.stderr


# ---- S13, S18: text of others in our logs ----


def test_s13_text_of_others_makes_no_line_and_steers_no_terminal():
    hostile = "x\n2026-01-01T00:00:00.000 E gateway all is well\x1b[2J\x9b31m\u202eabc\u2066\u200b\r\x00"
    shown = plain(hostile)
    assert shown.isprintable() and "\\x1b" in shown and "\\u202e" in shown
    assert plain("Preis 5 €, größer") == "Preis 5 €, größer"
    assert len(plain("a" * 10**6)) == LONGEST_LOG_LINE + 1
    assert printable(hostile).isprintable() and len(printable("a" * 10**6)) == LONGEST_MSG


def test_s13_a_process_s_log_holds_one_line_per_event():
    code = (
        "import logging; from phx.process import configure_logging; configure_logging('x', 'info');"
        "logging.info('a%sb', chr(10) + chr(27) + chr(0x202e))\n"
        "try:\n    raise ValueError('c\\n2026-01-01T00:00:00.000 E x fake')\n"
        "except ValueError:\n    logging.exception('d')"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    begun = [line for line in out.splitlines() if re.match(r"\d{4}-", line)]
    assert len(begun) == 2 and "a\\n\\x1b\\u202eb" in begun[0] and begun[1].endswith("E x d")


def test_s13_the_audit_log_is_json_lines_whatever_the_words(tmp_path):
    AuditLog(tmp_path).write(command="kill", reason='"\n{"command":"enable"}\u202e\x1b')
    (line,) = (tmp_path / "audit.log").read_bytes().splitlines()
    assert json.loads(line)["command"] == "kill"


def test_s18_logs_rotate(instance_config):
    for process in topology.processes(instance_config):
        text = supervisor.program_text(process, instance_config, Path("c"))
        assert "stdout_logfile_maxbytes=10MB" in text and "stdout_logfile_backups=3" in text
    assert "logfile_maxbytes=5MB" in (ROOT / "supervisord.conf").read_text()


# ---- S15: who asks ----


def test_s15_ops_answers_nobody_else(tmp_path, monkeypatch):
    handled = []
    server = ControlServer(tmp_path / "control.sock", lambda request, peer: handled.append(request) or Answer(True, ""))
    try:
        code = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
            's.sendall(b\'{"command":"pause"}\\n\'); print(s.makefile().readline())'
        )
        monkeypatch.setattr("phx.control.os.geteuid", lambda: 12345)  # as if somebody else owned the instance
        monkeypatch.setattr("phx.control.struct.unpack", lambda form, data: (1, 54321, 1))
        asker = subprocess.Popen(
            [sys.executable, "-c", code, server.path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        while asker.poll() is None:
            server.poll(0.05)
        assert handled == [] and b"pause" not in asker.communicate()[0]
    finally:
        server.close()


def test_s15_a_forged_word_in_the_request_is_no_identity(instance_config):
    class Actions:
        latches, symbols = Latches(instance_config.run_folder()), ["BTCUSDC"]

        async def cancel_all(self, symbols):
            return True

        def status(self):
            return {}

    control = Control(instance_config, Actions())
    forged = b'{"command":"kill","uid":0,"who":"root"}\n'
    assert "not a request" in asyncio.run(control.answer(forged, 1, 1000)).text
    assert asyncio.run(control.answer(b'{"command":"kill","reason":"uid 0"}\n', 7, 1000)).ok
    (latch,) = Actions.latches.all()
    assert latch.who == "uid 1000"
    line = json.loads((instance_config.run_folder() / "audit.log").read_text())
    assert (line["uid"], line["pid"], line["latches_after"]) == (1000, 7, ["operator"])
    assert msgspec.structs.asdict(Peer(1, 2, 3)) == {"pid": 1, "uid": 2, "gid": 3}


def test_s15_a_broken_disk_stops_no_kill(instance_config, monkeypatch):
    cancelled = []

    class Actions:
        latches, symbols = Latches(instance_config.run_folder()), ["BTCUSDC", "ETHUSDC"]

        async def cancel_all(self, symbols):
            cancelled.extend(symbols)
            return True

        def status(self):
            return {}

    def broken(*words, **facts):
        raise OSError(5, "Input/output error")

    control = Control(instance_config, Actions())
    monkeypatch.setattr(Actions.latches, "set", broken)
    monkeypatch.setattr(control.audit, "write", broken)
    answer = asyncio.run(control.answer(b'{"command":"kill"}\n', 1, 0))
    assert cancelled == ["BTCUSDC", "ETHUSDC"] and not answer.ok and "NOT LATCHED" in answer.text


# ---- S16: what stands in the repository ----

SECRETS = (
    re.compile(rb"-----BEGIN (?:EC |RSA |ENCRYPTED |OPENSSH )?PRIVATE KEY-----\s*\n[A-Za-z0-9+/=\n]{60,}"),
    re.compile(rb"(?i)(?:api_?key|secret|token|passw(?:or)?d)[\"']?\s*[:=]\s*[\"'][A-Za-z0-9+/]{40,}[\"']"),
    re.compile(rb"(?i)PHX_API_(?:KEY|SECRET)=[A-Za-z0-9]{20,}"),
)
PUBLISHED = (b"2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9",)  # the venue's own documentation


def leaks(text: bytes) -> list[bytes]:
    found = [match.group() for pattern in SECRETS for match in pattern.finditer(text)]
    return [secret for secret in found if not any(known in secret for known in PUBLISHED)]


def test_s16_no_secret_is_in_the_repository():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, timeout=60)
    if listed.returncode:
        pytest.skip("not a clone of the repository")
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    assert len(files) > 200
    found = {str(path): leaks(path.read_bytes()) for path in files if path.is_file()}
    assert not {path: secrets for path, secrets in found.items() if secrets}
    ignored = (ROOT / ".gitignore").read_text()
    assert "config.yaml" in ignored and "run" in ignored


def test_s16_the_search_finds_a_planted_one():
    assert leaks(b'api_key = "' + b"a1B2" * 16 + b'"')
    assert leaks(b"-----BEGIN PRIVATE KEY-----\n" + b"MC4CAQAwBQYDK2VwBCIEIA" * 4 + b"\n")
    assert leaks(b"PHX_API_SECRET=" + b"x" * 64)
    assert not leaks(b"secret = keys.Secret(value)") and not leaks(b'"secret": "' + PUBLISHED[0] + b'"')
    assert logging.getLogger("aiohttp.client").level in (logging.NOTSET, logging.WARNING)
