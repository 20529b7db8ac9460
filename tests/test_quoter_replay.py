"""A recorded run replays bit for bit: another core gets what `decisions` says the first consumed, and decides the same.

The run has everything in it that a quoter can be told: fills and post-only refusals, answers that are late, takes of
GRINDING and FLATTENING, an operator, latches, a feed that dies, a process that froze.
"""

import random

import numpy as np
import pytest
from closed_loop import MS, Loop
from quoting import SECOND_NS, params

from phx._core import records
from phx._core.enums import OperatorState, Told
from phx._core.quoter import QuoterCore
from phx._core.ring import OK, RingReader, RingWriter
from phx.segment import private_memory

SLOTS = 32768
CONSUMED = {
    "bbo": "bbo_seq",
    "book": "book_seq",
    "tape": "tape_seq",
    "own": "own_seq",
    "exec": "exec_seq",
    "operator": "operator_seq",
}


def all_of(memory, dtype) -> list:
    """Every record of a ring that nothing has left yet."""
    reader = RingReader(memory, dtype)
    reader.attach(memory, dtype, from_start=True)
    found = []
    while (result := reader.read_record())[0] == OK:
        found.append(result[1])
    assert len(found) < SLOTS
    return found


def lived(plain, seed: int) -> Loop:
    """A loop after some minutes in which everything happened."""
    plain["grind_interval_ns"], plain["halt_ns"] = 2 * SECOND_NS, 5 * SECOND_NS
    loop = Loop(plain, seed=seed, latency_ns=15 * MS, post_only_refused=0.15, slots=SLOTS)
    chance = random.Random(seed)
    for minute, lots in enumerate((200, 250, 200, -250, 150, -270, -200, 270)):
        loop.hold(0)
        # The third is so far under water that it is stopped.
        loop.hold(lots, cost=loop.mid + (60_000 if minute == 2 else chance.randint(-3000, 3000)))
        for _ in range(60):
            loop.pass_time(100 * MS, chance.choice((10, 25, 50)) * MS, move=chance.randint(-25, 25))
        loop.want(OperatorState.OPERATOR_PAUSE if minute == 3 else OperatorState.OPERATOR_RUN)
        loop.feed_alive = minute != 4
        loop.quoter.latched = minute == 5
        loop.quoter.loss_latched = minute == 6
        if minute == 1:
            loop.quoter.note_freeze()
    return loop


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_with_exits_refusals_and_takes_replays_to_the_same_ladders(tmp_path, seed):
    plain = params(tmp_path, max_daily_loss_e8=10**14)
    loop = lived(plain, seed)
    decisions = all_of(loop.rings["decisions"].memory, records.DECISION)
    ladders = all_of(loop.rings["ladder"].memory, records.LADDER)
    modes = {int(decision["mode"]) for decision in decisions}
    assert modes == set(range(1, 8)), "the run must go through every mode"
    assert loop.counters["post_only_learned"][0] > 5 and loop.counters["takes_filled_lots"][0] > 0
    assert len({int(ladder["take_n"]) for ladder in ladders}) > 5
    log = {source: all_of(loop.rings[source].memory, records.RING_RECORDS[source]) for source in CONSUMED}

    memory = {source: private_memory(records.RING_RECORDS[source], SLOTS) for source in (*CONSUMED, "params")}
    written = {kind: private_memory(records.RING_RECORDS[kind], SLOTS) for kind in ("ladder", "state", "decisions")}
    counters = np.zeros(1, records.QUOTER_COUNTERS)
    again = QuoterCore(0, 1, written["ladder"], written["state"], written["decisions"], counters)
    writers = {source: RingWriter(memory[source], records.RING_RECORDS[source]) for source in memory}
    for source in memory:
        again.attach(source, memory[source])
    writers["params"].write(plain)
    fed = dict.fromkeys(CONSUMED, 0)
    for decision in decisions:
        for source, field in CONSUMED.items():
            for record in log[source][fed[source] : int(decision[field])]:
                writers[source].write(record)
            fed[source] = int(decision[field])
        now_ns, told = int(decision["now_mono_ns"]), int(decision["told"])
        again.feed_heartbeat_mono_ns = now_ns if told & Told.TOLD_FEED_ALIVE else 0
        again.latched, again.loss_latched = bool(told & Told.TOLD_LATCHED), bool(told & Told.TOLD_LOSS_LATCHED)
        if told & Told.TOLD_FROZE:
            again.note_freeze()
        again.step_at(now_ns)
    replayed = all_of(written["decisions"], records.DECISION)
    for n, (new, old) in enumerate(zip(replayed, decisions, strict=True)):
        assert new.tobytes() == old.tobytes(), f"decision {n}: {new} instead of {old}"
    assert [new.tobytes() for new in all_of(written["ladder"], records.LADDER)] == [old.tobytes() for old in ladders]
    for name in ("post_only_learned", "takes", "takes_filled_lots", "stops", "escalations", "kept_layers"):
        assert counters[name][0] == loop.counters[name][0], name
