"""What the benchmarks share: a subject beside its floor or rival in one run, and the ratios printed at the end.

The machine's speed changes from minute to minute, so a figure alone means little; the ratio of two things measured
alternately, round by round, repeats.
"""

import os
import statistics
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

ROUNDS = 11
printed = []


@pytest.fixture
def side_by_side(benchmark, request):
    """Return a function that measures a subject and its floors or rivals alternately and reports the ratios.

    Each measurement is a function without arguments that returns ns per operation (its own median).
    """

    def measure(subject, others: dict, rounds: int = ROUNDS):
        own, found = [], {name: [] for name in others}

        def before_each_round():
            for name, other in others.items():
                found[name].append(other())

        benchmark.pedantic(lambda: own.append(subject()), setup=before_each_round, rounds=rounds, iterations=1)
        pairs = {
            name: [mine / theirs for mine, theirs in zip(own, times, strict=True)] for name, times in found.items()
        }
        benchmark.extra_info["ns"] = statistics.median(own)
        line = f"{request.node.name}: {statistics.median(own):,.1f} ns"
        for name, ratios in pairs.items():
            ratio = statistics.median(ratios)
            benchmark.extra_info[f"ratio to {name}"] = ratio
            line += f"; {ratio:.3g} x {name} ({statistics.median(found[name]):,.1f} ns)"
        printed.append(line)
        return {name: statistics.median(ratios) for name, ratios in pairs.items()}

    return measure


@pytest.fixture
def report(request):
    """Return a function that adds a line to the report printed at the end."""
    return lambda text: printed.append(f"{request.node.name}: {text}")


@pytest.fixture(scope="session")
def cpus() -> list[int]:
    """Return the CPUs this run may use."""
    return sorted(os.sched_getaffinity(0))


def pytest_terminal_summary(terminalreporter):
    if printed:
        terminalreporter.section("side by side, medians of alternating rounds")
        for line in printed:
            terminalreporter.write_line(line)
