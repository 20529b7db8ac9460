"""The host's wall clock is set, hours ahead, hours back, over midnight: nothing happens but that somebody is told.

One phx lives through the whole file, under a wall clock of its own (wall_clock.c); the venue keeps the true time.
The judge is the venue's own history.
"""

import os
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest
from conftest import isolated

from phx.latches import Latches
from phx.ops.alert_log import newest

from .hurt import Hurt, campaign_config
from .judgement import Lives, epoch_of, mistakes_in
from .kills import Killer
from .running import wait_until, yaml_of
from .stages import BTC

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

HOUR_S = 3600.0
DAY_S = 86_400
LOOK_S = 0.5  # long enough for every loop to have turned at the new time


class WallClock:
    """What the wall clock of every process started from now on says more than the true one."""

    def __init__(self, folder: Path):
        self.file = folder / "wall_clock"
        self.set(0.0)
        library = folder / "wall_clock.so"
        source = Path(__file__).with_name("wall_clock.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", str(source), "-o", str(library), "-ldl"], check=True)
        self.environ = {"LD_PRELOAD": str(library), "PHX_WALL_CLOCK": str(self.file)}

    def set(self, ahead_s: float) -> None:
        self.file.touch()
        with self.file.open("r+b") as file:  # in place: it is mapped
            file.write(struct.pack("q", int(ahead_s * 1e9)))


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    return WallClock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def phx(tmp_path_factory, clock):
    folder = tmp_path_factory.mktemp("wall_clock")
    with pytest.MonkeyPatch.context() as patch, isolated(folder) as config:
        for name, value in clock.environ.items():
            patch.setenv(name, value)
        with Hurt(folder, yaml_of(campaign_config(config))) as phx:
            phx.wait_quoting()
            yield phx


def stays_well(phx) -> None:
    """Look for a while: the same processes quote and place orders, and nothing is latched."""
    pids, from_ms = phx.pids(), time.time_ns() // 1_000_000
    time.sleep(LOOK_S)
    phx.wait_quoting()
    traded = phx.config.traded()
    wait_until(lambda: Lives.of(phx.history()).placed(traded, from_ms, time.time_ns() // 1_000_000), 20, "an order")
    assert phx.pids() == pids
    assert not Latches(phx.config.run_folder()).all()


def exact(phx) -> None:
    """Everything the venue accepted is booked, and nothing was a mistake."""
    assert Killer(phx, 1).books_wrong() == []
    assert mistakes_in(phx.history(), phx.refused(), phx.instruments(), phx.config) == []


def told(phx) -> bool:
    return any(alert["class"] == "clock" for alert in newest(phx.config.run_folder(), 1000, 0))


def test_steps_of_hours_change_nothing_but_are_told(phx, clock):
    for ahead_s in (HOUR_S, -HOUR_S):
        clock.set(ahead_s)
        stays_well(phx)
    wait_until(lambda: told(phx), 10, "somebody to be told")
    exact(phx)


def test_a_step_over_midnight_and_back_leaves_the_days_loss_as_it_is(phx, clock):
    before_s = time.time()
    clock.set(DAY_S - time.time() % DAY_S + 1)
    stays_well(phx)
    clock.set(0)
    stays_well(phx)
    true_days = {int(at_s // DAY_S) * DAY_S for at_s in (before_s, time.time())}
    assert phx.newest_field("account", "day_start_s") in true_days


def test_what_dies_at_one_time_begins_at_an_earlier_one(phx, clock):
    clock.set(HOUR_S)
    stays_well(phx)
    epoch, old = phx.epoch(), {name: phx.pid(name) for name in ("gateway", f"quoter.{BTC}")}
    for pid in old.values():
        os.kill(pid, signal.SIGKILL)
    clock.set(-HOUR_S)
    wait_until(lambda: all(phx.is_back(*item) for item in old.items()), 30, "both to be back")
    wait_until(lambda: phx.newest_field("account", "ready"), 30, "the gateway to be ready")
    stays_well(phx)
    exact(phx)  # no client order id twice, among other things
    assert max(map(epoch_of, Lives.of(phx.history()).orders)) > epoch


def test_it_can_be_stopped_at_any_time(phx, clock):
    clock.set(2 * HOUR_S)
    phx.phx("down")
    assert not phx.config.shm_folder().exists()
