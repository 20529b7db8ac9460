"""A whole phx of real processes against the simulated venue, for tests to watch and to hurt."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import msgspec

from phx import config as configuration
from phx import topology
from phx._core.ring import RingReader
from phx.instruments import read_table
from phx.process import Lock
from phx.segment import Segment, SegmentMissing, SegmentRefused

ROOT = Path(__file__).resolve().parents[2]
MAKER_FEE = "0.0001"  # a fee, so that fees are proven too


class Running:
    """phx under supervisord in a folder of its own. Use as a context; on leaving, everything is stopped and removed."""

    def __init__(self, folder: Path, yaml: str):
        self.folder = folder
        self.path = folder / "config.yaml"
        self.path.write_text(yaml)
        self.config = configuration.load(self.path)

    def __enter__(self) -> "Running":
        self.phx("up")
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(Exception):
            self.phx("down", check=False)
        for name in topology.processes(self.config):
            with contextlib.suppress(ProcessLookupError, ValueError, OSError):
                if self.alive(name):
                    os.kill(self.pid(name), signal.SIGKILL)
        shutil.rmtree(self.config.shm_folder(), ignore_errors=True)

    def phx(self, *words: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run a phx verb as a user would."""
        return subprocess.run(
            [sys.executable, "-m", "phx", "--config", str(self.path), *words],
            cwd=ROOT,
            check=check,
            capture_output=True,
            text=True,
            timeout=90,
        )

    def enable(self, symbol: str = "") -> None:
        """Clear latches in the two steps that it takes."""
        shown = self.phx("enable", *filter(None, [symbol]), check=False)
        if shown.returncode:
            self.phx(*shown.stderr.split(": phx ")[1].split())

    def lock(self, process: str) -> Lock:
        return Lock(self.config.shm_folder() / f"lock.{process}")

    def alive(self, process: str) -> bool:
        lock = self.lock(process)
        try:
            return lock.held_by_somebody()
        finally:
            lock.release()

    def pid(self, process: str) -> int:
        lock = self.lock(process)
        try:
            return lock.holder_pid()
        finally:
            lock.release()

    def back(self, process: str, old_pid: int) -> bool:
        """Return whether a process lives again, under another pid, and does its work."""
        with contextlib.suppress(SegmentMissing, SegmentRefused):
            row = topology.kind_of(f"process.{process}")
            header = Segment.attach(self.config.shm_folder(), f"process.{process}", row.record).header[0]
            pid = self.pid(process)
            return pid not in (0, old_pid) and header["writer_pid"] == pid and header["heartbeat_mono_ns"] > 0
        return False

    def newest(self, segment_name: str):
        """Return the newest record of a ring in shared memory, or None."""
        try:
            row = topology.kind_of(segment_name)
            segment = Segment.attach(self.config.shm_folder(), segment_name, row.record)
        except (SegmentMissing, SegmentRefused):
            return None
        return RingReader(segment.memory, row.record).read_newest()

    def counters(self, segment_name: str):
        """Return a counter block in shared memory."""
        return Segment.attach(self.config.shm_folder(), segment_name, topology.kind_of(segment_name).record).records[0]

    def venue_says(self, what: str):
        """Return the venue's own truth: "ledger", or "orders?symbol=…"."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.config.sim.port}/sim/{what}", timeout=5) as answer:
            return json.loads(answer.read())

    def ledger(self) -> dict:
        """Return the venue's totals and open orders."""
        return self.venue_says("ledger")

    def open_ids(self, symbol: str) -> set[str]:
        """Return the client ids of the orders of ours that are open at the venue."""
        return {order["clientOrderId"] for order in self.ledger()["symbols"][symbol]["open"]}

    def sides(self, symbol: str) -> set[str]:
        return {order["side"] for order in self.ledger()["symbols"][symbol]["open"]}

    def position_agrees(self, symbol: str) -> bool:
        """Return whether the gateway's position equals the venue's."""
        instrument = read_table(self.config.shm_folder() / "instruments.main.json")[symbol]
        venue_lots = instrument.lots(self.ledger()["symbols"][symbol]["position"]["qty"])
        return int(self.newest(f"own.{symbol}")["position_lots"]) == venue_lots

    def quoting(self, symbol: str) -> bool:
        """Return whether the venue holds orders of ours on both sides."""
        with contextlib.suppress(OSError, KeyError):
            return self.sides(symbol) == {"BUY", "SELL"}
        return False

    def wait_quoting(self, timeout_s: float = 60.0) -> None:
        wait_until(
            lambda: all(self.quoting(symbol) for symbol in self.config.traded()), timeout_s, "quotes on both sides"
        )

    # ---- faults of the venue

    def control(self, method: str, what: str, **params) -> None:
        url = f"http://127.0.0.1:{self.config.sim.port}/sim/{what}?{urllib.parse.urlencode(params)}"
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as answer:
            answer.read()

    def switch_on(self, name: str, **settings) -> None:
        self.control("POST", "faults", name=name, **settings)

    @contextlib.contextmanager
    def fault(self, name: str, **settings):
        """Have a fault on, until it is left or the venue has died."""
        self.switch_on(name, **settings)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                self.control("DELETE", "faults", name=name)


def wait_until(condition, timeout_s: float, what: str, every_s: float = 0.05) -> float:
    """Wait for a condition; return how long it took, s."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > timeout_s:
            raise AssertionError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(every_s)
    return time.monotonic() - begin


def yaml_of(config: configuration.Config) -> str:
    """Return a configuration as YAML text: JSON is YAML."""
    return msgspec.json.encode(config).decode()


def tight(config, symbols, **sim):
    """Return a configuration that quotes at the touch: a tenth of a basis point, few layers, no widening."""

    def closer(symbol):
        ladder, replace = symbol.ladder, msgspec.structs.replace
        near = replace(ladder.near, start=0.00001, layers=4)
        return replace(
            symbol,
            ladder=replace(ladder, near=near, far=replace(ladder.far, layers=2)),
            quoting=replace(symbol.quoting, min_spread=0.00001),
            vol=replace(symbol.vol, gain=0.0),
            keep=replace(symbol.keep, tolerance=3.0),
        )

    return msgspec.structs.replace(
        config,
        symbols={name: closer(config.symbols[name]) for name in symbols},
        sim=msgspec.structs.replace(config.sim, maker_fee=MAKER_FEE, **sim),
    )
