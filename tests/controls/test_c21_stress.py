"""C21: twice the highest rate recorded, and twice the orders that may be sent: nothing is lost without being counted.

Times are the processor's, and compared with the time that the same took in the market.
"""

import time
from collections import Counter

import numpy as np
import pytest
from gateway_rig import MS_NS, SECOND_NS, Rig, Ring, places

from phx import topology
from phx._core import records
from phx._core.enums import RejectReason
from phx._core.feed import FeedCore
from phx._core.ring import LAPPED, OK, RingReader
from phx.recording import Frame
from phx.replay.check import scales, up_to_cut

MULTIPLES = (2, 5)  # of the market data: what must be managed, and what is hoped for
ASLEEP_S = 30


def drain(reader: RingReader) -> int:
    """Read everything there is; return how many records."""
    count = 0
    while (code := reader.read_record()[0]) in (OK, LAPPED):
        count += code == OK
    return count


@pytest.fixture(scope="module")
def replayed(recordings):
    """The sharpest recording through the feed: seconds of work by recorded second, and its rings' readers."""
    path = recordings / "ethusdt-2024-07-18T2357.jsonl.gz"
    ((symbol, scale),) = scales(path).items()
    rows = [topology.SEGMENTS[name] for name in ("bbo", "book", "tape")]
    rings = {row.name: Ring(row.record, row.slots) for row in rows}
    core, counters = FeedCore(), np.zeros(1, records.FEED_COUNTERS)
    core.add(symbol, 0, (scale.price, 1, scale.qty, 1), *(ring.writer for ring in rings.values()), counters)
    worked, messages, found = Counter(), Counter(), Counter()
    wakes = 0
    for item in up_to_cut(path):
        second = item.recv_ns // SECOND_NS
        if second >= wakes:
            # A reader that sleeps much too long: it must be told what it has missed.
            wakes = second + ASLEEP_S
            found.update({name: drain(ring.test_reader) for name, ring in rings.items()})
        begun = time.process_time()
        if isinstance(item, Frame):
            core.frame(item.raw, item.recv_ns, item.recv_ns)
        else:
            core.snapshot(0, item.payload, item.recv_ns, item.recv_ns)
        worked[second] += time.process_time() - begun
        messages[second] += 1
    found.update({name: drain(ring.test_reader) for name, ring in rings.items()})
    return worked, messages, found, rings


@pytest.mark.parametrize("multiple", MULTIPLES)
def test_the_busiest_second_ever_recorded_is_done_in_a_fraction_of_it(replayed, multiple):
    worked, messages, _, _ = replayed
    second, count = messages.most_common(1)[0]
    assert count > 1_000, "a sharp one"
    assert worked[second] * multiple < 1.0


def test_what_a_slow_reader_misses_is_counted_to_the_record(replayed):
    _, messages, found, rings = replayed
    for name, ring in rings.items():
        assert found[name] + ring.test_reader.lost == ring.writer.published, name
    assert sum(ring.test_reader.lost for ring in rings.values()) > 0, "it slept long enough to miss some"
    assert sum(ring.writer.published for ring in rings.values()) >= sum(messages.values()) * 0.9


def turns(rig: Rig, every_ns: int, count: int) -> tuple[list[int], float, int]:
    """Move a whole ladder so often; return when orders left, the work of a turn, and how many orders were wanted."""
    sent, worked, wanted = [], [], 0
    for i in range(count):
        rig.wait(every_ns)
        bids = [(99_000 + 40 * (i % 20) - j, 10) for j in range(6)]
        asks = [(100_500 + 40 * (i % 20) + j, 10) for j in range(6)]
        rig.ladder(bids, asks)
        begun = time.process_time_ns()
        actions = rig.step()
        worked.append(time.process_time_ns() - begun)
        wanted += 12
        sent += [rig.now_ns] * len(places(actions))
        rig.accept(actions)
    return sent, sorted(worked)[len(worked) // 2], wanted


def test_twice_the_orders_that_may_be_sent_are_held_to_what_may_and_decided_as_fast():
    calm, rushed = Rig(), Rig()
    _, calm_ns, _ = turns(calm, 2 * SECOND_NS, 200)
    # The venue's 1200 a minute are 20 a second, of which 16 are ours: 12 every 0.3 s is more than twice that.
    sent, rushed_ns, wanted = turns(rushed, 300 * MS_NS, 400)
    assert wanted >= 2 * 1200 * 400 * 0.3 / 60
    for seconds, limit in ((10, 240), (60, 960)):
        assert max(sum(t - seconds * SECOND_NS < s <= t for s in sent) for t in set(sent)) <= limit
    told = rushed.reasons()
    assert set(told) == {RejectReason.REJECT_MESSAGE_RATE} and rushed.symbols[0].counters["waits"][0] == len(told)
    assert rushed_ns <= 10 * calm_ns
