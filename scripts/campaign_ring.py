"""Read a ring hundreds of millions of times under a hot writer and report torn records: make campaign-ring.

Three shapes of ring, READS accepted records in each (default 10^8), after each broken twin was caught. Exit status 1
on any torn record, wrong loss count, or twin that was not caught.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from test_ring_stress import compile_stress, stress

SHAPES = (("newest", 1, 128), ("newest", 64, 16), ("order", 1024, 8))  # mode, slots, words of 8 bytes
MUTANTS = ("EVENNESS", "NO_RECHECK", "NO_INVALIDATE")


def main(reads: int) -> int:
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for mutant in MUTANTS:
            found = stress(compile_stress(Path(folder), mutant), "newest", 1, 128, 10**12, 60, until_torn=True)
            print(f"twin {mutant:13}  first torn record after {found.accepted} reads, {found.seconds:.2f} s")
            wrong += found.torn == 0
        program = compile_stress(Path(folder))
        for mode, slots, words in SHAPES:
            found = stress(program, mode, slots, words, reads, seconds=1800)
            attempts = found.accepted + found.refused
            print(
                f"ring {mode:6} {slots:4} slots of {words * 8:4} bytes: {found.torn} torn of {found.accepted} reads, "
                f"{found.lost_wrong} miscounted, {found.published} published, "
                f"{found.refused / attempts:.1%} refused, {found.seconds:.0f} s"
            )
            wrong += found.torn + found.lost_wrong + (found.accepted < reads)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 10**8))
