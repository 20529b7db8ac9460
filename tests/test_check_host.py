"""The host check, the first thing a fresh machine runs: one clear line, or everything installed."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "check_host.py"


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("check_host", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def without(script, monkeypatch):
    """Let tools be missing; apt (if there) installs them. Returns the commands that were called."""
    calls = []

    def let(*tools: str, root: bool = False, apt: bool = False):
        gone = set(tools)

        def which(name):
            return None if name in gone or (name == "apt-get" and not apt) else f"/usr/bin/{name}"

        def call(command, **options):
            calls.append(command)
            if "install" in command:
                gone.clear()
            return 0

        monkeypatch.setattr(script.shutil, "which", which)
        monkeypatch.setattr(script.os, "geteuid", lambda: 0 if root else 1000)
        monkeypatch.setattr(script.subprocess, "call", call)
        return calls

    return let


def test_this_host_is_fine(script):
    assert script.main() == 0


def test_it_needs_nothing_but_python():
    done = subprocess.run([sys.executable, "-I", "-S", SCRIPT], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_missing_is_one_line_with_the_exact_command(script, without, capsys):
    without("gcc", "cc", "make")
    assert script.main() == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line == "missing: a C compiler, make; run: sudo apt-get install -y gcc make"


def test_missing_headers_and_venv_name_the_package_of_this_python(script, without, monkeypatch, capsys):
    without()
    monkeypatch.setattr(script.os.path, "exists", lambda path: False)
    monkeypatch.setattr(script.importlib.util, "find_spec", lambda name: None)
    assert script.main() == 1
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"libc6-dev {version}-dev {version}-venv" in capsys.readouterr().out


def test_root_with_apt_gets_it_installed(script, without):
    calls = without("gcc", "cc", root=True, apt=True)
    assert script.main() == 0
    assert calls[-1][-1] == "gcc" and "install" in calls[-1]


def test_an_ordinary_user_installs_nothing(script, without):
    calls = without("gcc", "cc", root=False, apt=True)
    assert script.main() == 1 and calls == []


def test_an_old_python_is_told_which_one_to_use(script, monkeypatch, capsys):
    monkeypatch.setattr(script.sys, "version_info", (3, 10, 2))
    monkeypatch.setattr(script.shutil, "which", lambda name: name == "python3.12" or None)
    assert script.main() == 1
    assert "this is 3.10; run: make PYTHON=python3.12" in capsys.readouterr().out
