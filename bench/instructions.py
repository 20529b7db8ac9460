"""Count the instructions of the hot path exactly and compare them with their budgets: make instructions.

callgrind's counts repeat where times do not. Only what happens inside a subject's loop is counted. Exit status 1 when
one exceeds its budget by 2 %; --write makes the counts of today the budgets. Budgets hold for one compiler; with
another they are only reported.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUDGETS = HERE / "instructions.json"
TOLERANCE = 1.02


def book_ticker() -> int:
    import frames
    from compiled import loops

    from phx._core.binance.decode import Decoder

    taken, decoder = frames.book_tickers(500), Decoder()
    decoder.add("BTCUSDC", 1, 1, 3, 1)
    return loops("decode_loops").decode(decoder, taken.blob, taken.starts, taken.sizes, 20)


def depth_into_book() -> int:
    import frames
    from compiled import loops

    from phx._core.binance.decode import Decoder
    from phx._core.book import OrderBook

    taken, decoder = frames.depths(100), Decoder()
    decoder.add("BTCUSDC", 1, 1, 3, 1)
    run = loops("decode_loops").decode_and_apply
    return run(decoder, OrderBook(), taken.blob, taken.starts, taken.sizes, 20)


def decide() -> int:
    from compiled import loops
    from example import btcusdc_params

    loops("decide_loops").decisions(btcusdc_params(), 645_000.0, 5000)
    return 5000


# Each runs its loop once and returns how many operations that were; beside it the loop's name in the compiled module.
SUBJECTS = {
    "book_ticker": (book_ticker, "decode"),
    "depth_into_book": (depth_into_book, "decode_and_apply"),
    "decide": (decide, "decisions"),
}


def counted(name: str) -> float:
    """Return the instructions of one operation, counted in a run under callgrind."""
    loop = f"__pyx_pw_*_loops_*{SUBJECTS[name][1]}"
    command = ["valgrind", "--tool=callgrind", f"--toggle-collect={loop}", "--callgrind-out-file=/dev/null"]
    command += [sys.executable, str(HERE / "instructions.py"), "--run", name]
    paths = os.pathsep.join((str(ROOT), str(HERE)))
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"{name}: {done.stderr[-2000:]}")
    return int(found.group(1)) / int(done.stdout)


def compiler() -> str:
    """Return the C compiler's name and version."""
    return subprocess.run(["cc", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()


def main(names: list[str], write: bool) -> int:
    if not shutil.which("valgrind"):
        print("instructions: skipped, valgrind is not installed")
        return 0
    kept = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
    budgets, binding = kept.get("budgets", {}), kept.get("compiler") == compiler()
    exceeded, today = [], dict(budgets)
    for name in names or SUBJECTS:
        SUBJECTS[name][0]()  # compiles the loops outside of valgrind
        today[name] = round(counted(name), 1)
        budget = budgets.get(name)
        print(f"{name:16} {today[name]:10,.1f} instructions, budget {budget or 'none'}")
        if budget and today[name] > budget * TOLERANCE:
            exceeded.append(name)
    if write:
        BUDGETS.write_text(json.dumps({"compiler": compiler(), "budgets": today}, indent=1) + "\n")
        return 0
    if exceeded:
        print(
            f"instructions: over budget: {', '.join(exceeded)}" + ("" if binding else " (another compiler: no verdict)")
        )
    return 1 if exceeded and binding else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("subjects", nargs="*", choices=[[], *SUBJECTS])
    parser.add_argument("--write", action="store_true", help="make today's counts the budgets")
    parser.add_argument("--run", metavar="SUBJECT", help="one loop, for valgrind")
    given = parser.parse_args()
    if given.run:
        print(SUBJECTS[given.run][0]())
        sys.exit(0)
    sys.path[:0] = [str(ROOT)]
    sys.exit(main(given.subjects, given.write))
