"""Fixtures shared by all tests: recordings when they are at hand, instances that leave nothing behind."""

import contextlib
import os
import shutil
import socket
from pathlib import Path

import msgspec
import pytest

from phx import config as configuration

DATA = Path(os.environ.get("PHX_RECORDINGS", Path(__file__).resolve().parents[2] / "shared" / "data"))

CONFIG = """
symbols:
  BTCUSDC:
    net_max: 0.30
    ladder: {near: {size: 0.006}, far: {size: 0.012}}
  ETHUSDC:
    net_max: 6
    ladder: {near: {size: 0.12}, far: {size: 0.24}}
limits: {max_gross_notional: 60000, max_daily_loss: 500}
"""


# Tests of whole processes mostly wait: two at a time, beside no others.
LIVE = (
    "controls/test_c04_changed", "controls/test_c11", "controls/test_c18_unfit", "security/test_keys",
    "security/test_running", "security/test_texts", "system/test_ed25519", "system/test_fills", "system/test_lifecycle",
    "system/test_modes", "system/test_trouble", "system/test_wall_clock", "test_feed_connection", "test_feed_process",
    "test_gateway_life", "test_gateway_process", "test_guardian.py", "test_ops_process", "test_process",
    "test_quoter_process", "test_session", "test_supervisor", "test_venue_sim",
)  # fmt: skip
# Tests that hold bounds of time have the machine to themselves. All others run side by side.
ALONE = (
    "controls/test_c04_storm", "controls/test_c14", "system/test_kills", "test_bell", "test_ring_stress",
    "test_sim_latency_live",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    folder = Path(__file__).parent
    for item in items:
        path = str(item.path.relative_to(folder))
        for prefixes, mark in ((LIVE, pytest.mark.live), (ALONE, pytest.mark.alone)):
            if path.startswith(prefixes):
                item.add_marker(mark)


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded market data; tests that need it are skipped where it is absent."""
    if not (DATA / "btcusdt-2024-07-18T2357.jsonl.gz").exists():
        pytest.skip("no recordings here: set PHX_RECORDINGS to a folder that holds them")
    return DATA


def free_ports(count: int) -> int:
    """Return the first of `count` adjacent loopback ports that are free now.

    Below those the kernel gives to clients: who connects to one of them before its server listens may meet itself.
    """
    # Tests that run side by side look in ranges of their own.
    first = 21000 if os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0" else 10000
    for base in range(first + os.getpid() % 9000, first + 11000, count):
        sockets = []
        try:
            for port in range(base, base + count):
                s = socket.socket()
                sockets.append(s)
                s.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise RuntimeError("no free ports")


@pytest.fixture
def instance_config(tmp_path):
    """A configuration of its own, as `isolated` makes it."""
    with isolated(tmp_path) as config:
        yield config


@contextlib.contextmanager
def isolated(folder: Path):
    """Yield a configuration: unique instance, run folder inside `folder`, free ports; no shared memory stays."""
    path = folder / "config.yaml"
    path.write_text(CONFIG)
    loaded = configuration.load(path)
    name = f"test-{os.getpid()}-{abs(hash(folder.name)) % 10**6}"
    made = msgspec.structs.replace(
        loaded,
        global_=msgspec.structs.replace(loaded.global_, instance=name, run_dir=str(folder / "run")),
        sim=msgspec.structs.replace(loaded.sim, port=free_ports(2)),
        ops=msgspec.structs.replace(loaded.ops, metrics_port=0),
    )
    try:
        yield made
    finally:
        shutil.rmtree(made.shm_folder(), ignore_errors=True)
        with contextlib.suppress(OSError):
            made.shm_folder().parent.rmdir()
