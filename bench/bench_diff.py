"""From a ladder to actions: what the gateway's core adds between the quoter's record and the bytes of an order.

Topology: one thread, hot, 16 layers a side, 32 live orders. Measure: ns per turn (ladder read, diff, limits, journal,
own published) with nothing to do and with one layer moved, that is one cancel and one place. Rival: the bare diff of
the same ladder with Python dictionaries, without limits, order table or anything published. A regression here makes
every order leave later.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np

from phx._core import records

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import gateway_rig

COUNT = 500
BIDS = [(99_990 - i, 10) for i in range(16)]
ASKS = [(100_010 + i, 10) for i in range(16)]


def quoting_rig():
    rig = gateway_rig.Rig()
    rig.placed(BIDS, ASKS)
    return rig, np.array([rig.symbols[0].ladder.newest()], dtype=records.LADDER)


def turn_ns(rig, ladder) -> int:
    rig.symbols[0].ladder.writer.write(ladder)
    begin = time.perf_counter_ns()
    rig.core.step(rig.now_ns)
    return time.perf_counter_ns() - begin


def unchanged_ns() -> float:
    rig, ladder = quoting_rig()
    return statistics.median(turn_ns(rig, ladder) for _ in range(COUNT))


def one_moved_ns() -> float:
    rig, ladder = quoting_rig()
    times = []
    for i in range(COUNT):
        rig.wait(200 * gateway_rig.MS_NS)
        ladder["bid_price_ticks"][0, 15] = 99_000 + i
        ladder["decided_mono_ns"] = rig.now_ns
        ladder["own_seq"] = rig.symbols[0].own.writer.published
        times.append(turn_ns(rig, ladder))
        actions = []
        while (action := rig.core.pop_action()) is not None:
            actions.append(action)
        assert len(actions) == 2
        rig.accept(actions)
        rig.core.step(rig.now_ns)
    return statistics.median(times)


def dictionaries_ns() -> float:
    """The same difference with a dictionary a side: price to quantity wanted, price to order."""
    wanted = {(1, p): q for p, q in BIDS} | {(-1, p): q for p, q in ASKS}
    live = {key: {"qty": qty, "filled": 0} for key, qty in wanted.items()}

    def diff():
        cancels = [key for key, o in live.items() if not wanted.get(key, 0) / 2 <= o["qty"] - o["filled"]]
        places = [(key, qty) for key, qty in wanted.items() if key not in live]
        return cancels, places

    begin = time.perf_counter_ns()
    for _ in range(COUNT):
        diff()
    return (time.perf_counter_ns() - begin) / COUNT


def bench_gateway_turn_idle_1p(side_by_side):
    side_by_side(unchanged_ns, {"dictionaries": dictionaries_ns})


def bench_gateway_turn_moved_1p(side_by_side):
    side_by_side(one_moved_ns, {"dictionaries": dictionaries_ns})
