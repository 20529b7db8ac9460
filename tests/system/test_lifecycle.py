"""Each process is killed once: its orders leave the venue in time, it comes back by itself, quoting resumes.

One phx lives through the whole file, so each death also meets what the deaths before it left behind.
"""

import os
import signal
from pathlib import Path

import pytest

from phx import topology

from .running import wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

# Three times the bounds within which the orders of a dead process are gone from the venue.
ORDERS_GONE_S = {"quoter.BTCUSDC": 3.0, "gateway": 3.0}


@pytest.mark.parametrize("process", ["feed.main", "quoter.BTCUSDC", "gateway", "guardian", "ops"])
def test_a_killed_process_comes_back_and_quoting_resumes(running, process):
    running.wait_quoting()
    before = running.open_ids("BTCUSDC")
    old = running.pid(process)
    os.kill(old, signal.SIGKILL)
    if process in ORDERS_GONE_S:
        wait_until(
            lambda: not before & running.open_ids("BTCUSDC"),
            ORDERS_GONE_S[process],
            f"the orders from before {process} died to be gone",
            every_s=0.01,
        )
    wait_until(lambda: running.back(process, old), 30, f"{process} to come back")
    running.wait_quoting()
    ledger = running.ledger()
    for symbol in running.config.traded():
        assert ledger["symbols"][symbol]["self_trades"] == 0
        assert ledger["symbols"][symbol]["not_post_only"] == 0
        assert ledger["symbols"][symbol]["unprotected"] == 0
        wait_until(lambda s=symbol: running.position_agrees(s), 10, f"{symbol}: our position to equal the venue's")


def test_the_venue_restarting_is_survived(running):
    old = running.pid("sim")
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: running.back("sim", old), 30, "the simulated venue to come back")
    running.wait_quoting(90)


def test_a_clean_stop_leaves_no_order_and_no_file(running):
    pids = [running.pid(process) for process in topology.processes(running.config)]
    running.phx("down")
    assert not running.config.shm_folder().exists()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
