"""Real processes are killed and stopped at named stages: a few cells here, all of them by `make campaign`.

The judge is the simulated venue's own history (judgement.py), which is tried on histories that break each rule first.
PHX_KILLS_SEED chooses other cells.
"""

import contextlib
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from phx.instruments import Instrument

from .cells import CELLS, PAIR, PROCESSES, SIGNALS, Cell, bound_of, is_last, lives_of, plan, short_plan
from .judgement import Lives, mistakes_in
from .kills import last_adding_ms, live
from .running import ROOT, wait_until
from .stages import STAGES

SEED = int(os.environ.get("PHX_KILLS_SEED", "1"))
TOLERANCE = 3.0  # a busy machine may take so many times the bounds

FILTERS = ("0.1", "0.001", "0.1", "1000000", "0.001", "1000", "50")  # tick, lot, prices, quantities, notional
BTC = Instrument("BTCUSDC", 0, *map(Decimal, FILTERS), 1, 3)


@pytest.mark.system
@pytest.mark.timeout(180)
def test_whatever_dies_when_its_orders_go_and_every_fill_is_booked_once(instance_config, tmp_path):
    results = live(tmp_path, instance_config, short_plan(SEED), SEED)
    wrong = [f"{r.cell}: {line}" for r in results for line in (*r.wrong, r.late(TOLERANCE)) if line]
    assert not wrong, "\n".join(wrong)
    assert len(results) == len(short_plan(SEED))


def named(folder: Path) -> list[str]:
    """Return the processes whose command names a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
    return found


@pytest.mark.system
@pytest.mark.timeout(90)
def test_a_campaign_that_is_killed_itself_leaves_nothing(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "campaign_kills.py"), "--cells", "gateway STOP quoting"]
    with (tmp_path / "said").open("wb") as said:
        campaign = subprocess.Popen(
            [*command, "--kills", "1", "--out", str(tmp_path / "out")],
            env=os.environ | {"TMPDIR": str(tmp_path)},
            stdout=said,
            stderr=said,
        )
    try:
        wait_until(lambda: list(tmp_path.glob("phx-kills-*/life-0/run/logs/gateway.log")), 30, "a life to begin")
    finally:
        campaign.kill()
        campaign.wait()
    # The companion ends every process it finds, then removes the folder: it is the last thing to go.
    wait_until(lambda: not list(tmp_path.glob("phx-kills-*")), 30, "the folder to be removed")
    assert not list(Path("/dev/shm/phx").glob(f"test-{campaign.pid}-*"))
    wait_until(lambda: not named(tmp_path), 10, "the last process to be gone")


# ---- the choice of cells


def test_over_seeds_every_cell_is_reached():
    short = {cell for seed in range(len(CELLS)) for cell in short_plan(seed)}
    assert short == set(CELLS)
    assert {cell for seed in range(20) for cell in plan(10, seed)} == set(CELLS)
    assert {cell.process for cell in CELLS} == set(PROCESSES)
    assert {cell.stage for cell in CELLS} == set(STAGES) and {cell.signal for cell in CELLS} == set(SIGNALS)


@pytest.mark.parametrize("kills", [1, 7, 60, 400])
def test_a_cell_that_ends_a_life_comes_last_in_it_and_none_is_dropped(kills):
    cells = plan(kills, 3)
    lives = lives_of(cells)
    assert sorted(cell for life in lives for cell in life) == sorted(cells)
    assert not any(is_last(cell) for life in lives for cell in life[:-1])


def test_who_hangs_for_a_moment_only_need_not_go():
    assert bound_of(Cell("gateway", "STOP", "quoting"), 0.5, ["BTCUSDC"]) is None
    assert bound_of(Cell("gateway", "STOP", "quoting"), 2.0, ["BTCUSDC"]).ms == 1500
    assert bound_of(Cell(PAIR, "KILL", "idle"), 0.0, ["BTCUSDC"]).ms == 3000
    assert bound_of(Cell(PAIR, "STOP", "idle"), 2.0, ["BTCUSDC"]) is None
    assert bound_of(Cell(PAIR, "STOP", "idle"), 7.0, ["BTCUSDC"]).ms == 6050
    assert bound_of(Cell("ops", "KILL", "quoting"), 0.0, ["BTCUSDC"]) is None


# ---- the judge, on histories that break each rule


def order(number: int, time: int, end: int | None = None, side: str = "BUY", epoch: int = 1, **fields) -> dict:
    return {
        "symbol": "BTCUSDC",
        "clientOrderId": f"phxs-00-{epoch}-{number}",
        "side": side,
        "price": "60000.0",
        "origQty": "0.010",
        "timeInForce": "GTX",
        "reduceOnly": False,
        "status": "NEW" if end is None else "CANCELED",
        "time": time,
        "updateTime": time if end is None else end,
        "fills": [],
    } | fields


def judged(history: list[dict], config, refused=()) -> list[str]:
    return mistakes_in(history, dict(refused), {"BTCUSDC": BTC}, config)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({}, ""),
        ({"clientOrderId": "phxs-00-1-1"}, "accepted twice"),
        ({"clientOrderId": "phxs-00-0-9"}, "earlier epoch"),
        ({"timeInForce": "GTC"}, "not post-only"),
        ({"timeInForce": "IOC", "reduceOnly": True}, ""),
        ({"status": "EXPIRED_IN_MATCH"}, "met an order of ours"),
        ({"origQty": "0.260"}, ""),
        ({"origQty": "0.261"}, "271 lots could have been held, at most 270"),
        ({"clientOrderId": "web_1", "origQty": "9", "timeInForce": "GTC"}, ""),
    ],
)
def test_a_history_is_judged(instance_config, second, said):
    wrong = judged([order(1, 1000), order(2, 1000) | second], instance_config)
    assert (said in wrong[0]) if said else wrong == []


def test_more_orders_in_ten_seconds_than_the_venue_allows_are_found(instance_config):
    calm = [order(n, 1000 + 40 * n, 1010 + 40 * n) for n in range(400)]
    assert judged(calm, instance_config) == []
    assert "in 10 s" in judged([order(n, 1000 + 30 * n, 1010 + 30 * n) for n in range(400)], instance_config)[0]


def test_too_many_open_orders_and_too_much_notional_are_found(instance_config):
    many = [order(n, 1000 + n, origQty="0.001") for n in range(65)]
    assert "65 orders open" in judged(many, instance_config)[0]
    limits = msgspec.structs.replace(instance_config.limits, max_gross_notional=1000)
    less = msgspec.structs.replace(instance_config, limits=limits)
    assert judged([order(1, 1000)], less) == []
    assert "gross notional 1200" in judged([order(1, 1000), order(2, 1001)], less)[0]


def test_only_refusals_that_are_our_mistake_count(instance_config):
    assert judged([], instance_config, {"-5022": 9, "-2019": 1}) == []
    assert "-1015" in judged([], instance_config, {"-1015": 1})[0]


def test_gone_means_that_nothing_is_open_at_the_end_of_a_millisecond():
    lives = Lives.of([order(1, 1000, 1500), order(2, 1500, 1700, "SELL"), order(3, 2000), order(4, 2100, side="SELL")])
    assert lives.none_open_ms(("BTCUSDC",), 1200) == 1700
    assert lives.none_open_ms(("BTCUSDC",), 1800) == 1800
    assert lives.none_open_ms(("BTCUSDC",), 2050) is None
    assert lives.two_sided_ms(("BTCUSDC",), 1200) == 2100
    assert lives.two_sided_ms(("BTCUSDC",), 2200) == 2200
    assert lives.last_before_ms(("BTCUSDC",), 1200) == 1500
    assert lives.last_before_ms(("BTCUSDC",), 2000) is None


def test_of_a_dead_gateway_every_order_of_its_life_must_go_also_one_that_came_late():
    lives = Lives.of([order(1, 1000, 1100), order(2, 2500, 2600), order(3, 3000, epoch=2)])
    assert lives.last_of_epochs_ms(1, 1050) == 2600
    assert lives.last_of_epochs_ms(2, 1050) is None


def test_an_order_that_can_only_reduce_is_not_adding_whatever_its_flags():
    def fill(lots: int, time: int) -> dict:
        return {"id": time, "time": time, "price": "60000", "qty": f"{lots / 1000:.3f}", "fee": "0"}

    bought = order(1, 1000, 1200, status="FILLED", fills=[fill(10, 1200)])  # ten lots
    resting = order(2, 1300, side="SELL", origQty="0.004")

    def last(*orders: dict) -> float:
        return last_adding_ms(Lives.of([bought, resting, *orders]), {"BTCUSDC": BTC}, 1250, 2000)

    assert last() == 1250
    assert last(order(3, 1500, side="SELL", origQty="0.006")) == 1250
    assert last(order(3, 1500, side="SELL", origQty="0.007")) == 1500
    assert last(order(3, 1500, side="SELL", origQty="0.007", reduceOnly=True)) == 1250
    gone = order(3, 1500, 1501, side="SELL", origQty="0.006")
    assert last(gone, order(4, 1502, side="SELL", origQty="0.006")) == 1250
    assert last(order(3, 1500, side="BUY", origQty="0.001")) == 1500
    assert last(order(3, 2000, side="BUY", origQty="0.001")) == 1250  # it runs again
