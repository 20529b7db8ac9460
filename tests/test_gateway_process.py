"""The gateway as a real process, with its neighbours, on the simulated venue: deaths, restarts, a clean end.

One system runs through the tests in order; the venue's own list of open orders is the judge. Bounds are three times
those the design promises, since the machine may be busy.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import free_ports

from phx import config as configuration
from phx import process as life
from phx._core.coid import parse_coid
from phx.venue.binance import keys
from phx.venue.binance.endpoints import endpoints
from phx.venue.binance.rest import Rest
from phx.venue.interface import VenueError

ROOT = Path(__file__).resolve().parents[1]
SYMBOL = "BTCUSDC"
CONFIG = """
global: {{instance: {instance}, run_dir: {run}}}
symbols:
  BTCUSDC:
    net_max: 0.30
    ladder: {{near: {{size: 0.006}}, far: {{size: 0.012}}}}
limits: {{max_gross_notional: 60000, max_daily_loss: 500}}
sim: {{port: {port}}}
ops: {{metrics_port: 0}}
"""

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


class System:
    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "config.yaml"
        self.path.write_text(CONFIG.format(instance=f"gw-{os.getpid()}", run=folder / "run", port=free_ports(2)))
        self.config = configuration.load(self.path)
        self.running: dict[str, subprocess.Popen] = {}

    def start(self, *names: str) -> None:
        for name in names:
            log = (self.folder / f"{name.replace(' ', '.')}.log").open("ab")
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "phx", "--config", str(self.path), *name.split()],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        self.running[name].kill()
        self.running[name].wait()

    def log(self, name: str) -> str:
        return (self.folder / f"{name.replace(' ', '.')}.log").read_text()

    def own_orders(self) -> list[tuple[int, int]]:
        """(epoch, intent_id) of every order of ours that the venue lists."""

        async def ask():
            rest = Rest(endpoints(self.config), keys.load(self.config), share=1.0)
            try:
                return await rest.open_orders(SYMBOL)
            finally:
                await rest.close()

        return [parse_coid(order.coid)[2:] for order in asyncio.run(ask()) if parse_coid(order.coid)]

    def wait_for(self, condition, seconds: float, what: str) -> float:
        """Wait until condition(own orders) holds; return how long it took."""
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            with contextlib.suppress(VenueError):
                if condition(self.own_orders()):
                    return time.monotonic() - started
            time.sleep(0.05)
        pytest.fail(f"{what}: not within {seconds} s\n{self.log('gateway')[-3000:]}")

    def quotes(self) -> float:
        return self.wait_for(lambda orders: len(orders) >= 16, 40, "quoting")


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    made = System(tmp_path_factory.mktemp("gateway"))
    made.start("sim", "ops", "feed main", "guardian", f"quoter {SYMBOL}", "gateway")
    yield made
    for name in ("gateway", f"quoter {SYMBOL}", "feed main", "ops", "guardian", "sim"):
        process = made.running[name]
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
    shutil.rmtree(made.config.shm_folder(), ignore_errors=True)
    with contextlib.suppress(OSError):
        made.config.shm_folder().parent.rmdir()


def test_it_quotes_both_sides_after_proving_that_nothing_was_open(system):
    system.quotes()
    log = system.log("gateway")
    assert log.index("ready to trade") > log.index("epoch 1")
    assert {epoch for epoch, _ in system.own_orders()} == {1}


def test_a_second_gateway_refuses_while_the_first_one_lives(system):
    second = subprocess.run(
        [sys.executable, "-m", "phx", "--config", str(system.path), "gateway"],
        cwd=ROOT,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == life.EXIT_LOCKED
    assert (system.folder / "run" / "epoch").read_text() == "1"


def test_orders_of_a_killed_quoter_are_gone(system):
    system.quotes()
    system.kill(f"quoter {SYMBOL}")
    system.wait_for(lambda orders: not orders, 3, "orders of a dead quoter gone")
    system.start(f"quoter {SYMBOL}")
    system.quotes()


def test_orders_of_a_hanging_quoter_are_gone_and_it_may_come_back(system):
    quoter = system.running[f"quoter {SYMBOL}"]
    quoter.send_signal(signal.SIGSTOP)
    try:
        system.wait_for(lambda orders: not orders, 3, "orders of a hanging quoter gone")
    finally:
        quoter.send_signal(signal.SIGCONT)
    system.quotes()


def test_a_killed_gateway_comes_back_as_a_new_life_and_takes_nothing_over(system):
    system.quotes()
    system.kill("gateway")
    system.start("gateway")
    system.wait_for(lambda orders: all(epoch == 2 for epoch, _ in orders), 9, "orders of the dead gateway gone")
    system.quotes()
    assert {epoch for epoch, _ in system.own_orders()} == {2}
    assert "the former life ended uncleanly" in system.log("gateway")


def test_asked_to_stop_it_leaves_nothing_open_and_says_so(system):
    system.quotes()
    gateway = system.running["gateway"]
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(30) == 0
    assert system.own_orders() == []
    assert "no open order, proven" in system.log("gateway")
    system.start("gateway")
    system.quotes()
    assert "epoch 3, the former life ended cleanly" in system.log("gateway")
