"""A process of phx with nothing inside, for those who watch others: lock, heartbeat, and for the gateway its account.

Run as `python fake_process.py <pickled configuration> <name> [--account-ready]`. SIGUSR1 stops its heartbeat without
stopping it; SIGUSR2 publishes that no open order is left.
"""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from phx import process as life
from phx._core.records import ACCOUNT
from phx._core.ring import RingWriter

ROOT = Path(__file__).resolve().parents[1]


def start(config, name: str, *words: str, tmp_path: Path) -> subprocess.Popen:
    """Start one and wait until its heartbeat is there."""
    path = tmp_path / "config.pickle"
    path.write_bytes(pickle.dumps(config))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = subprocess.Popen([sys.executable, __file__, str(path), name, *words], cwd=ROOT, env=environment)
    watcher = life.Process("watcher", config)
    watcher.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    peer = life.Peer(watcher, name)
    deadline = time.monotonic() + 30
    while not (peer.alive() and peer.heartbeat_age_ns(time.monotonic_ns()) is not None and peer.pid() == started.pid):
        assert time.monotonic() < deadline and started.poll() is None, f"{name} did not start"
        time.sleep(0.01)
    return started


def body(process: life.Process) -> None:
    beating, empty = True, False

    def hang(number, frame):
        nonlocal beating
        beating = False

    def drain(number, frame):
        nonlocal empty
        empty = True

    signal.signal(signal.SIGUSR1, hang)
    signal.signal(signal.SIGUSR2, drain)
    writer = RingWriter(process.segments["account"].memory, ACCOUNT) if "account" in process.segments else None
    process.ready()
    while not process.stopping:
        if beating:
            process.beat()
        if writer is not None:
            record = np.zeros(1, ACCOUNT)
            record["ready"] = "--account-ready" in sys.argv
            record["no_open_order_proven"] = empty
            writer.write(record)
        time.sleep(0.005)


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        wanted = pickle.load(file)
    sys.exit(life.run(sys.argv[2], wanted, body))
