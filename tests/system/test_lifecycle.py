"""Each process is killed once: its orders leave the venue in time, it comes back by itself, quoting resumes.

And a latch outlives the process that set it, until a human clears it.

One phx lives through the whole file, so each death also meets what the deaths before it left behind.
"""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from phx import topology
from phx.latches import Latches
from phx.ops.alert_log import newest

from .running import wait_until, yaml_of

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

# Three times the bounds: of when the orders of a dead process are gone from the venue, and a fill nobody told is found.
ORDERS_GONE_S = {"quoter.BTCUSDC": 3.0, "gateway": 3.0}
FILL_FOUND_S = 30.0


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


def test_what_the_execution_throttle_stopped_stays_stopped_whatever_dies_until_a_human_enables_it(running):
    latches = Latches(running.config.run_folder())
    shipped = running.path.read_text()
    bitcoin = running.config.symbols["BTCUSDC"]
    sooner = replace(bitcoin, throttle=replace(bitcoin.throttle, rejects=6))
    running.path.write_text(yaml_of(replace(running.config, symbols=running.config.symbols | {"BTCUSDC": sooner})))
    running.phx("reload")
    running.phx("pause", "BTCUSDC")
    with running.fault("post_only", symbol="BTCUSDC"):
        running.phx("resume", "BTCUSDC")
        wait_until(latches.all, 20, "refusals in a row to latch the symbol")
    (latch,) = latches.all()
    assert latch.symbol == "BTCUSDC" and latch.who == "gateway" and "execution throttle" in latch.reason
    wait_until(lambda: not running.open_ids("BTCUSDC"), 5, "its orders to be gone")
    old, from_ms = running.pid("gateway"), time.time_ns() // 1_000_000
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: running.back("gateway", old), 30, "the gateway to come back")
    wait_until(lambda: running.quoting("ETHUSDC"), 30, "the other symbol to be quoted")
    assert latches.all() == [latch]
    assert not [order for order in running.venue_says("orders?symbol=BTCUSDC") if order["time"] > from_ms]

    running.enable("BTCUSDC")
    running.path.write_text(shipped)
    running.phx("reload", "--raise")
    running.wait_quoting()
    audited = [json.loads(line) for line in (running.config.run_folder() / "audit.log").read_text().splitlines()]
    enabled = [line for line in audited if line["command"] == "enable" and line["ok"]]
    assert enabled[-1]["latches_before"] == [latch.name] and enabled[-1]["latches_after"] == []
    assert enabled[-1]["uid"] == os.getuid()


def test_c20_a_fill_that_nobody_told_is_found_and_alerts(running):
    """Somebody else trades on the account, and the venue's word of it is lost."""
    running.wait_quoting()
    run_folder, since_ns = running.config.run_folder(), time.time_ns()

    def alerted() -> bool:
        found = {a["class"] for a in newest(run_folder, 100, since_ns) if a["symbol"] == "BTCUSDC"}
        return bool(found & {"foreign_fill", "position_drift", "drift"})

    with running.fault("drop_event", symbol="BTCUSDC"):
        running.switch_on("foreign_order", symbol="BTCUSDC")
        wait_until(alerted, FILL_FOUND_S, "an alert of a fill that was not told")
    wait_until(lambda: running.position_agrees("BTCUSDC"), 10, "our position to equal the venue's")


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
