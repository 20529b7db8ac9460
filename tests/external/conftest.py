"""A simulated venue as a process of its own, and third-party clients in virtual environments of their own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import msgspec
import pytest

from phx.venue.binance.keys import read_key_file, sim_key_file

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = Path(__file__).parent / "clients"
ENVIRONMENTS = ROOT / "build" / "external"  # made by `make external`


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    """Yield what a client must know of a running venue: rest, ws, key, secret, symbol."""
    folder, port = tmp_path_factory.mktemp("venue"), two_free_ports()
    environ = os.environ | {
        "PHX__GLOBAL__INSTANCE": f"external-{os.getpid()}",
        "PHX__GLOBAL__RUN_DIR": str(folder / "run"),
        "PHX__SIM__PORT": str(port),
    }
    command = [sys.executable, "-m", "phx", "--config", str(ROOT / "config.yaml.example"), "sim"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.STDOUT, stdout=subprocess.PIPE)
    try:
        rest = f"http://127.0.0.1:{port}"
        wait_for(rest, process)
        key = read_key_file(sim_key_file(folder / "run"))
        yield {
            "rest": rest,
            "ws": f"ws://127.0.0.1:{port + 1}",
            "key": key.api_key,
            "secret": key.secret,
            "symbol": "BTCUSDC",
        }
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        shutil.rmtree(Path("/dev/shm/phx") / f"external-{os.getpid()}", ignore_errors=True)


def two_free_ports() -> int:
    """Return a port that is free together with the next one."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def wait_for(rest: str, process) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{rest}/fapi/v1/ping", timeout=1):
                return
        except OSError:
            if process.poll() is not None:
                raise AssertionError(process.stdout.read().decode()) from None
            time.sleep(0.1)
    raise AssertionError("the venue did not answer in 30 s")


@pytest.fixture(scope="module")
def judged(venue):
    """Return a function that runs a client's steps once and returns step → outcome."""
    seen = {}

    def run(client: str) -> dict:
        if client not in seen:
            python = ENVIRONMENTS / client / "bin" / "python"
            if not python.exists():
                pytest.skip(f"{client} is not installed: make external")
            command = [str(python), str(CLIENTS / f"{client}.py"), json.dumps(venue)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            outcomes = [msgspec.json.decode(line) for line in done.stdout.splitlines() if line.startswith('{"step"')]
            seen[client] = {outcome["step"]: outcome for outcome in outcomes}, done.stderr[-3000:]
        return seen[client]

    return run
