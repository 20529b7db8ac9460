"""C31: a machine writes which control is shown by what; every row of docs/controls.md has tests, and its facts hold."""

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from shipped import CONFIG

from phx.ops.reload import flat

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from report_controls import Evidence, controls, ids_of, lines  # noqa: E402

ROWS = [f"C{n:02}" for n in range(1, 33)]
COLUMNS = re.compile(r"^\| (C\d\d) \|[^|]+\|[^|]+\| `([^`]+)` \|([^|]*)\|$", re.M)
TABLE = COLUMNS.findall((ROOT / "docs" / "controls.md").read_text())


def tests_there_are() -> dict[str, list[str]]:
    """Return control → its tests, as they stand in the files."""
    found = defaultdict(list)
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for id_ in ids_of(f"{path.name}::{node.name}"):
                    found[id_].append(node.name)
    return found


def test_every_row_is_in_the_table_and_has_a_test():
    assert list(controls()) == ROWS == [id_ for id_, _, _ in TABLE]
    found = tests_there_are()
    found["C07"].append("a state machine of Hypothesis")  # whose test has the name of no function
    assert [id_ for id_ in ROWS if not found[id_]] == []


@pytest.mark.parametrize(("id_", "where", "keys"), TABLE, ids=ROWS)
def test_what_the_table_names_exists(id_, where, keys):
    assert (ROOT / where).is_file()
    known = flat(CONFIG)
    for key in re.findall(r"`([^`]+)`", keys):
        assert key in known or f"symbols.BTCUSDC.{key}" in known, key


@pytest.mark.parametrize(
    ("test", "ids"),
    [
        ("tests/controls/test_c02_c03_order_size.py::test_a_size", ["C02", "C03"]),
        ("tests/controls/test_c18_c27_c28_c29.py::test_c27_no_more[x_c01_]", ["C27"]),
        ("tests/controls/test_from_shipped_config.py::test_c05_c07_orders_count", ["C05", "C07"]),
        ("tests/controls/test_reducing_gets_out.py::test_it", []),
        ("tests/controls/test_c07_position.py::TestVenue::runTest", ["C07"]),
    ],
)
def test_a_test_belongs_to_the_rows_in_its_name(test, ids):
    assert ids_of(test) == ids


class Report:
    def __init__(self, nodeid, outcome, when="call"):
        self.nodeid, self.outcome, self.when = nodeid, outcome, when


def test_a_row_holds_only_with_a_test_that_passed_and_none_that_failed():
    evidence = Evidence()
    for report in (
        Report("test_c01_x.py::test_a[1]", "passed"),
        Report("test_c01_x.py::test_a[2]", "passed"),
        Report("test_c02_x.py::test_a", "passed"),
        Report("test_c02_x.py::test_a", "failed", "teardown"),
        Report("test_c03_x.py::test_a", "skipped", "setup"),
    ):
        evidence.pytest_runtest_logreport(report)
    written = lines(dict.fromkeys(("C01", "C02", "C03", "C04"), "a control"), evidence)
    said = {line[:3]: line for line in written if re.match(r"C\d\d", line)}
    assert "holds" in said["C01"] and "2 passed" in said["C01"]
    assert all("NOT SHOWN" in said[id_] for id_ in ("C02", "C03", "C04")) and "no test" in said["C04"]
    assert written[-1] == "1 of 4 rows shown; not: C02, C03, C04"
