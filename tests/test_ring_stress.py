"""Two processes, one ring: the stress must first catch each broken twin, then finds nothing in the real one.

ring_stress.c is the program; it is compiled from ring.h with and without PHX_RING_MUTANT_*. A ring of one slot (which
RingWriter refuses) is the hardest: the newest record is always the one that is being rewritten.
"""

import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).resolve().parent
CORE = HERE.parent / "phx" / "_core"


class Outcome(NamedTuple):
    accepted: int
    refused: int
    torn: int
    lost_wrong: int
    published: int
    seconds: float


def compile_stress(folder: Path, mutant: str = "") -> Path:
    program = folder / (mutant or "ring")
    flags = [f"-DPHX_RING_MUTANT_{mutant}"] if mutant else []
    source = str(HERE / "ring_stress.c")
    subprocess.run(["cc", "-O2", *flags, f"-I{CORE}", source, "-o", str(program)], check=True)
    return program


def stress(program: Path, mode: str, slots: int, words: int, accepted: int, seconds: float, until_torn: bool = False):
    """Run one writer and one reader; return what the reader saw."""
    arguments = [mode, slots, words, accepted, seconds, int(until_torn)]
    done = subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, timeout=seconds + 60, check=True
    )
    *counts, took = done.stdout.split()
    return Outcome(*map(int, counts), float(took))


@pytest.mark.parametrize("mutant", ["EVENNESS", "NO_RECHECK", "NO_INVALIDATE"])
def test_the_stress_catches_a_broken_twin(mutant, tmp_path):
    program = compile_stress(tmp_path, mutant)
    assert stress(program, "newest", 1, 128, 10**12, 30, until_torn=True).torn > 0


@pytest.mark.parametrize(
    ("mode", "slots", "words", "accepted"),
    [("newest", 1, 128, 10**6), ("newest", 64, 16, 5 * 10**6), ("order", 1024, 8, 10**7)],
)
def test_no_record_is_torn_and_every_loss_is_counted(mode, slots, words, accepted, tmp_path):
    """Ends early on a machine that has no second CPU to give; some reads must have met a writer at work."""
    outcome = stress(compile_stress(tmp_path), mode, slots, words, accepted, seconds=6)
    assert outcome.torn == 0
    assert outcome.lost_wrong == 0
    assert outcome.accepted > 1000
