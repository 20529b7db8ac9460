"""The quoter's decision: market, own orders and parameters in, a finished ladder out.

Topology: one thread, hot, 8 near and 8 far layers a side, 32 live orders, all kept. Measure: ns per decision, the same
with each quoting model, and ns per tick through the rings (top of book read, decided, decision and state written,
ladder published when due).
Floor: the bare arithmetic of such a ladder in C, without live orders or any of the finishing steps. Rival: the same in
numpy. A regression here delays every order by as much.
"""

import ctypes
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from compiled import floor, loops

from phx._core.decide import decide_ladder
from phx._core.enums import Mode, QuotingModel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import quoting

COUNT = 20_000
T = 100 * quoting.SECOND_NS


@pytest.fixture
def params(tmp_path):
    return quoting.params(tmp_path)


def placed(market, params):
    """OWN with the orders of the ladder that is wanted in a market."""
    ladder, _ = decide_ladder(market, quoting.own(), params, 0)
    orders = [(side, price, qty) for side in (1, -1) for price, qty in quoting.sides(ladder)[side]]
    assert len(orders) == 32
    return quoting.own(orders)


@pytest.fixture
def own(params):
    return placed(quoting.market(), params)


def per_operation_ns(run, count: int = COUNT) -> float:
    begin = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - begin) / count


def bare_in_numpy(mid: float, ratio: float, near: np.ndarray, far: np.ndarray):
    distance = np.concatenate((near * mid, far * mid))
    reservation = mid - ratio * 0.002 * mid
    return np.floor(reservation - distance).astype(np.int64), np.ceil(reservation + distance).astype(np.int64)


def bench_decide_full_1p(side_by_side, params, own):
    module, library = loops("quoter_loops"), floor("decide", "-lm")
    library.decisions.argtypes = [ctypes.c_double, ctypes.c_double, ctypes.c_uint64]
    near, far = 0.00033 * 1.15 ** np.arange(8), np.linspace(0.0067, 0.02, 8)
    market = quoting.market()
    assert module.decisions(market, own, params, 10) == 320

    def in_numpy():
        def run():
            for i in range(1000):
                bare_in_numpy(650_000.0 + i, 0.07, near, far)

        return per_operation_ns(run, 1000)

    side_by_side(
        lambda: per_operation_ns(lambda: module.decisions(market, own, params, COUNT)),
        {
            "bare arithmetic in C": lambda: per_operation_ns(lambda: library.decisions(650_000.0, 0.07, COUNT)),
            "bare arithmetic in numpy": in_numpy,
        },
    )


def bench_decide_models_1p(side_by_side, params):
    module = loops("quoter_loops")
    market = quoting.market(sigma_1s_ticks=8.0, intensity_a_per_s=2.0, intensity_k_per_tick=0.05)

    def deciding(model):
        chosen = params.copy()
        chosen["model"] = model
        own = placed(market, chosen)
        return lambda: per_operation_ns(lambda: module.decisions(market, own, chosen, COUNT))

    asmm, *others = QuotingModel
    side_by_side(deciding(asmm), {f"with {model.name}": deciding(model) for model in others})


def bench_tick_to_ladder_1p(side_by_side, params, own):
    module = loops("quoter_loops")
    rig = quoting.Rig()
    rig.begin(params, T)
    rig.write("own", own)
    top = {name: int(rig.core_reads("bbo")[name]) for name in rig.core_reads("bbo").dtype.names}
    clock = iter(range(T, 2**62, 10**12))

    def ticks():
        start = next(clock)
        # A book of this hour, so that it is never stale; the tops follow 1 µs apart.
        rig.tick(start)
        top["update_id"] = rig.update_id
        rig.update_id += COUNT
        return per_operation_ns(lambda: module.ticks_to_ladders(rig.core, rig.writers["bbo"], top, start, 1000, COUNT))

    side_by_side(
        ticks,
        {"decide alone": lambda: per_operation_ns(lambda: module.decisions(quoting.market(), own, params, COUNT))},
    )
    assert rig.core.mode == Mode.MODE_NORMAL
