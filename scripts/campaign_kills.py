"""Kill real processes at named stages against the simulated venue and report: make campaign KILLS=300 SEED=1.

Each kill is judged by the venue's own ledger (tests/system/cells.py, kills.py). `--cells` takes only those whose name
holds a text. Writes kills.txt and kills.json into `--out`; exit status 1 when anything was wrong or late. Nothing is
left behind, whatever ends this: a companion waits for our end and clears up.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from conftest import isolated
from system.cells import CELLS, lives_of, plan
from system.kills import Result, live

from phx import config as configuration
from phx.ops import session

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ("gone", "back", "safe", "quoting")


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--kills", type=int, default=300)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--cells", default="", help="only cells whose name holds this")
    words.add_argument("--tolerance", type=float, default=1.0, help="times the bounds that are still in time")
    words.add_argument("--out", type=Path, default=ROOT / "run" / "campaign")
    words.add_argument("--clear", type=Path, help=argparse.SUPPRESS)
    asked = words.parse_args()
    if asked.clear:
        return clear_after(asked.clear)
    cells = [cell for cell in CELLS if asked.cells in str(cell)]
    if not cells:
        words.error(f"--cells {asked.cells!r}: no such cell; there are {', '.join(map(str, CELLS))}")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    campaign = Campaign(asked, plan(asked.kills, asked.seed, cells))
    folder = Path(tempfile.mkdtemp(prefix="phx-kills-"))
    companion = subprocess.Popen(
        [sys.executable, __file__, "--clear", str(folder)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        campaign.run(folder)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    finally:
        companion.stdin.close()  # which tells it that we are done
        companion.wait(60)
        campaign.write()
    return 1 if campaign.wrong() else 0


def clear_after(folder: Path) -> int:
    """Wait for the end of whoever started us, then end and remove what its instances left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    while left := started_for(folder):
        print(f"left alive, ended now: {len(left)} processes", file=sys.stderr)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    for path in folder.glob("*/config.yaml"):
        session.remove_shared_memory(configuration.load(path))
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def started_for(folder: Path) -> list[int]:
    """Return the processes that run out of our own folder, whose name nobody else has; supervisord is told it too."""
    found, name = [], str(folder).encode()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            told = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
            if name in told and int(path.name) != os.getpid():
                found.append(int(path.name))
    return found


class Campaign:
    """All lives of a campaign, and what came of them."""

    def __init__(self, asked, cells):
        self.asked = asked
        self.cells = cells
        self.results: list[Result] = []
        self.started_s = time.time()

    def run(self, folder: Path) -> None:
        for number, cells in enumerate(lives_of(self.cells)):
            own = folder / f"life-{number}"
            own.mkdir()
            with isolated(own) as config:
                before = len(self.results)
                try:
                    live(own, config, cells, self.asked.seed * 1000 + number, self.told)
                finally:
                    if any(result.wrong for result in self.results[before:]):
                        self.keep(own / "run", f"life-{number}")
            shutil.rmtree(own, ignore_errors=True)
            self.write()

    def keep(self, run: Path, name: str) -> None:
        """Keep the files of a life in which something went wrong; sockets are none."""
        for part in ("logs", "journal", "latches"):
            if (run / part).exists():
                shutil.copytree(run / part, self.asked.out / name / part, dirs_exist_ok=True)

    def told(self, result: Result) -> None:
        self.results.append(result)
        times = "  ".join(f"{name} {shown(getattr(result, f'{name}_ms'))}" for name in COLUMNS)
        state = "hit   " if result.hit else "MISSED"
        print(f"{len(self.results):4}/{len(self.cells)}  {result.cell!s:44} {state}  {times}", flush=True)
        for line in (*result.wrong, result.late(self.asked.tolerance)):
            if line:
                print(f"      WRONG: {line}", flush=True)

    def wrong(self) -> list[str]:
        tolerance = self.asked.tolerance
        return [f"{r.cell}: {line}" for r in self.results for line in (*r.wrong, *filter(None, [r.late(tolerance)]))]

    def write(self) -> None:
        self.asked.out.mkdir(parents=True, exist_ok=True)
        facts = {"seed": self.asked.seed, "kills": len(self.results), "of": len(self.cells), "wrong": self.wrong()}
        rows = [result.as_row() for result in self.results]
        (self.asked.out / "kills.json").write_text(json.dumps(facts | {"results": rows}, indent=1) + "\n")
        text = "\n".join(self.lines()) + "\n"
        (self.asked.out / "kills.txt").write_text(text)

    def lines(self) -> list[str]:
        minutes = (time.time() - self.started_s) / 60
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        wrong = self.wrong()
        found = [
            f"{len(self.results)} kills of {len(self.cells)}, seed {self.asked.seed}, {minutes:.0f} min, "
            f"{os.cpu_count()} cores, load {load}",
            f"{sum(result.hit for result in self.results)} met their stage; {len(wrong)} wrong or late",
            *(f"  {line}" for line in wrong),
            "",
        ]
        by_process = defaultdict(list)
        by_cell = defaultdict(list)
        for result in self.results:
            by_process[f"{result.cell.process} {result.cell.signal}{' with fault' * bool(result.cell.fault)}"].append(
                result
            )
            by_cell[str(result.cell)].append(result)
        return found + table(by_process) + [""] + table(by_cell)


def table(groups: dict[str, list[Result]]) -> list[str]:
    """Return rows of p50/p99/max in ms for each group."""
    found = [f"{'ms: p50/p99/max':44} kills  hit  bound  " + "".join(f"{name:>22}" for name in COLUMNS)]
    for name in sorted(groups):
        results = groups[name]
        bounds = {result.bound_ms for result in results} - {None}
        bound = f"{min(bounds):.0f}" if bounds else "-"
        cells = "".join(f"{spread([getattr(r, f'{c}_ms') for r in results]):>22}" for c in COLUMNS)
        found.append(f"{name:44} {len(results):5} {sum(r.hit for r in results):4} {bound:>6}  {cells}")
    return found


def spread(values) -> str:
    found = sorted(value for value in values if value is not None)
    if not found:
        return "-"
    return "/".join(f"{found[min(len(found) - 1, int(len(found) * share))]:.0f}" for share in (0.5, 0.99, 1.0))


def shown(value: float | None) -> str:
    return f"{'-':>6}" if value is None else f"{value:6.0f}"


if __name__ == "__main__":
    sys.exit(main())
