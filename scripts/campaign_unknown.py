"""Let outcomes of orders be unknown by the hundred thousand, in virtual time: make campaign-unknown N=1e6.

Exit status 1 on any order sent twice, any order that could fill without being counted, a late one that was not
cancelled at once, an outcome that took longer than its bound, or books that differ from the venue's at the end.
"""

import logging
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from unknown_campaign import Campaign, percentile

OUTCOMES_A_SEED = 2_000
P99_S, MAX_S = 3.0, 5.0


def main(outcomes: int) -> int:
    logging.disable(logging.CRITICAL)
    began, seed, done, wrong = time.monotonic(), 0, 0, 0
    duplicates = zombies = orders = amends = 0
    latencies = {True: [], False: []}
    while done < outcomes:  # what is printed after each seed is what holds so far, should somebody stop it
        seed += 1
        venue = Campaign(seed).run(min(OUTCOMES_A_SEED, outcomes - done))
        done += venue.outcomes
        duplicates += venue.duplicates
        zombies += venue.core.zombies
        orders += len(venue.places)
        amends += venue.amends
        for exists, found in venue.latencies.items():
            latencies[exists] += found
        for problem in venue.problems[:10]:
            print(f"seed {seed}: {problem}", flush=True)
        wrong += len(venue.problems)
        slowest = max(latencies[True] + latencies[False], default=0) / 1e9
        p99 = percentile(latencies[True], 0.99) / 1e9
        print(
            f"{done} outcomes, {duplicates} doubled, {wrong} problems, p99 at the venue {p99:.2f} s, "
            f"max {slowest:.2f} s, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    for exists, found in latencies.items():
        figures = (percentile(found, 0.5), percentile(found, 0.99), max(found, default=0))
        times = "p50 {:.2f} s, p99 {:.2f} s, max {:.2f} s".format(*(ns / 1e9 for ns in figures))
        print(f"{'at the venue' if exists else 'never placed'}: {len(found)}, resolved {times}")
    print(f"{done} unknown outcomes of {orders} orders and {amends} amends", end=", ")
    print(f"{duplicates} doubled, {zombies} came late and were cancelled")
    slow = percentile(latencies[True], 0.99) > P99_S * 1e9 or max(latencies[True] + latencies[False]) > MAX_S * 1e9
    return 1 if wrong or duplicates or slow else 0


if __name__ == "__main__":
    sys.exit(main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 10**6))
