"""Run the tests of every control and write, row by row, what shows that it holds: make controls.

A row is one of docs/controls.md; its tests are those of tests/controls whose name holds its id. Writes
run/controls.txt; exit status 1 when a test failed or a row has none that passed.
"""

import argparse
import re
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
ROW = re.compile(r"^\| (C\d\d) \| ([^|]+) \|", re.M)
OUTCOMES = ("passed", "failed", "skipped")


def controls() -> dict[str, str]:
    """Return id → what it is of every row of docs/controls.md."""
    return {id_: name.strip() for id_, name in ROW.findall((ROOT / "docs" / "controls.md").read_text())}


def ids_of(test: str) -> list[str]:
    """Return the controls that a test is evidence of: those in its function's name, else those in its file's."""
    file, _, function = test.partition("[")[0].partition("::")
    return [f"C{n}" for n in re.findall(r"_c(\d\d)(?=_)", function) or re.findall(r"_c(\d\d)(?=[_.])", Path(file).name)]


class Evidence:
    """A plugin of pytest: the outcome of every test, by control."""

    def __init__(self):
        self.found: dict[str, dict[str, str]] = defaultdict(dict)  # control → test → outcome

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            for id_ in ids_of(report.nodeid):
                before = self.found[id_].get(report.nodeid, "passed")
                self.found[id_][report.nodeid] = report.outcome if before == "passed" else before

    def proven(self, id_: str) -> bool:
        outcomes = set(self.found[id_].values())
        return "passed" in outcomes and "failed" not in outcomes


def lines(rows: dict[str, str], evidence: Evidence) -> list[str]:
    """Return the report."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    written = [f"controls of phx, {when}, commit {commit.stdout.strip() or 'unknown'}", ""]
    for id_, name in rows.items():
        tests = evidence.found[id_]
        counts = ", ".join(f"{n} {o}" for o in OUTCOMES if (n := list(tests.values()).count(o)))
        written.append(f"{id_}  {'holds' if evidence.proven(id_) else 'NOT SHOWN':10} {name}: {counts or 'no test'}")
        by_function = defaultdict(set)
        for test, outcome in tests.items():
            by_function[test.partition("[")[0]].add(outcome)
        written += [f"       {'/'.join(sorted(o)):8} {test}" for test, o in by_function.items()]
    missing = [id_ for id_ in rows if not evidence.proven(id_)]
    end = f"{len(rows) - len(missing)} of {len(rows)} rows shown"
    return [*written, "", f"{end}; not: {', '.join(missing)}" if missing else end]


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--out", type=Path, default=ROOT / "run" / "controls.txt")
    words.add_argument("tests", nargs="*", default=[str(ROOT / "tests" / "controls")])
    asked = words.parse_args()
    evidence, rows = Evidence(), controls()
    status = pytest.main(["-q", "--rootdir", str(ROOT), *asked.tests], plugins=[evidence])
    report = lines(rows, evidence)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text("\n".join(report) + "\n")
    print(*(line for line in report if not line.startswith("  ")), f"written to {asked.out}", sep="\n")
    return 1 if status or not all(map(evidence.proven, rows)) else 0


if __name__ == "__main__":
    sys.exit(main())
