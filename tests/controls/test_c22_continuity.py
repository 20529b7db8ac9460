"""C22: `make drill` tries every loss that the documentation speaks of; here, that its cells do and none is left out."""

import re
from pathlib import Path

import pytest
from system.cells import CELLS, PAIR, bound_of, plan

ROOT = Path(__file__).resolve().parents[2]
OPERATING = (ROOT / "docs" / "operating.md").read_text()
TRADED = ["BTCUSDC", "ETHUSDC"]
BEYOND_COUNTDOWN_S = 7.0

# What dies, as docs/operating.md says it: (process, signal, how long it hangs, whether orders must then be gone).
LOSSES = {
    "feed": ("feed.main", "KILL", 0.0, True),
    "a quoter": ("quoter.BTCUSDC", "KILL", 0.0, True),
    "gateway": ("gateway", "KILL", 0.0, True),
    "gateway hangs": ("gateway", "STOP", 2.0, True),
    "guardian": ("guardian", "KILL", 0.0, False),
    "ops": ("ops", "KILL", 0.0, False),
    "supervisord": ("supervisord", "KILL", 0.0, True),
    "the host": (PAIR, "STOP", BEYOND_COUNTDOWN_S, True),  # nobody of ours is awake: the venue's countdown alone
}


def rows_of(heading: str) -> list[str]:
    """Return the first column of the first table below a heading."""
    section = OPERATING.partition(f"## {heading}\n")[2]
    table = section.partition("|---|---|\n")[2].partition("\n\n")[0]
    return [line.split("|")[1].strip() for line in table.splitlines()]


def test_every_loss_that_is_documented_is_tried():
    assert rows_of("What happens when something dies") == list(LOSSES)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_tried_in_more_than_one_stage_and_within_a_bound(loss):
    process, signal, hangs_s, must_be_gone = LOSSES[loss]
    cells = [cell for cell in CELLS if (cell.process, cell.signal) == (process, signal)]
    assert len({cell.stage for cell in cells}) >= 3
    assert all((bound_of(cell, hangs_s, TRADED) is not None) == must_be_gone for cell in cells)


def test_the_venue_and_its_data_are_lost_too():
    assert {cell.signal for cell in CELLS if cell.process == "sim"} == {"KILL", "STOP"}
    assert {"gap", "half_open", "key_lost", "drop_event"} <= {cell.fault for cell in CELLS}
    assert {"snapshot", "reload", "start"} <= {cell.stage for cell in CELLS}, "files half written, and read again"


def test_the_drill_takes_every_cell():
    rule = re.search(r"^drill:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    kills = int(re.search(r"--kills (\d+)", rule[1])[1])
    assert set(plan(kills, 1)) == set(CELLS)
