"""The guardian's judgement, sweep and dead man's switch, each alone against small fakes."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phx import process as life
from phx._core.records import PROCESS_COUNTERS, PROOF
from phx._core.ring import RingReader
from phx.guardian import sweep as sweeping
from phx.guardian.deadman import LONGEST_RETRY, RETRY_NS, DeadMan, period_ns
from phx.guardian.sweep import Sweep
from phx.guardian.watch import Seen, Watched, judge
from phx.process import FENCE_NS, HUNG_NS
from phx.segment import Segment, start_ticks
from phx.venue.interface import Order, VenueDown, VenueLimited, VenueUnknown

MS = 1_000_000
LONG_NS = 3600 * 10**9


# ---- judgement ----


@pytest.mark.parametrize(
    ("alive", "age_ns", "ran_for_ns", "seen"),
    [
        (False, None, LONG_NS, Seen.ABSENT),
        (False, 0, LONG_NS, Seen.ABSENT),
        (True, None, LONG_NS, Seen.STARTING),
        (True, 0, LONG_NS, Seen.AWAKE),
        (True, HUNG_NS, LONG_NS, Seen.AWAKE),
        (True, HUNG_NS + 1, LONG_NS, Seen.STALE),
        (True, FENCE_NS, LONG_NS, Seen.STALE),
        (True, FENCE_NS + 1, LONG_NS, Seen.HUNG),
        # We were stopped ourselves: nobody is killed for it, and nobody is taken for awake either.
        (True, 10 * FENCE_NS, 0, Seen.STALE),
        (True, 10 * FENCE_NS, FENCE_NS, Seen.STALE),
        (True, 10 * FENCE_NS, FENCE_NS + 1, Seen.HUNG),
        (True, 0, 0, Seen.AWAKE),
    ],
)
def test_a_process_is_judged_by_lock_heartbeat_and_our_own_time(alive, age_ns, ran_for_ns, seen):
    assert judge(alive, age_ns, ran_for_ns) == seen


@given(st.booleans(), st.none() | st.integers(0, LONG_NS), st.integers(0, LONG_NS))
def test_nobody_is_killed_before_both_clocks_say_so(alive, age_ns, ran_for_ns):
    seen = judge(alive, age_ns, ran_for_ns)
    hung = alive and age_ns is not None and min(age_ns, ran_for_ns) > FENCE_NS
    assert (seen == Seen.HUNG) == hung
    assert (seen == Seen.AWAKE) == (alive and age_ns is not None and age_ns <= HUNG_NS)


class FakePeer:
    """A process as lock and heartbeat show it."""

    name = "gateway"
    segment = None

    def __init__(self):
        self.up, self.number, self.age_ns = True, 100, 0

    def alive(self):
        return self.up

    def pid(self):
        return self.number

    def heartbeat_age_ns(self, now_mono_ns):
        return self.age_ns


def test_a_death_between_two_looks_is_reported_once():
    peer = FakePeer()
    watched = Watched(peer, 0)
    watched.look(1, LONG_NS)
    assert watched.seen == Seen.AWAKE
    peer.number = 0  # the next life has the lock and is writing its number
    watched.look(2, LONG_NS)
    assert watched.seen == Seen.AWAKE
    peer.number = 101
    assert watched.look(3, LONG_NS) == Seen.AWAKE and watched.seen == Seen.ABSENT
    assert watched.look(4, LONG_NS) == Seen.ABSENT and watched.seen == Seen.AWAKE


def test_the_time_of_the_last_sign_of_life_is_kept():
    peer = FakePeer()
    watched = Watched(peer, 5)
    assert watched.awake_mono_ns == 5
    watched.look(10, LONG_NS)
    peer.age_ns = FENCE_NS + 1
    assert watched.look(20, LONG_NS) == Seen.AWAKE
    watched.look(30, LONG_NS)
    assert (watched.seen, watched.awake_mono_ns, watched.since_mono_ns) == (Seen.HUNG, 10, 20)


def test_only_the_process_meant_is_signalled(instance_config):
    process = life.Process("watcher", instance_config)
    process.folder.mkdir(parents=True, mode=0o700)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        lock = process.folder / "lock.gateway"
        lock.write_text(f"{child.pid}\n")
        watched = Watched(life.Peer(process, "gateway"), 0)
        assert not watched.signal(signal.SIGKILL)  # no segment confirms the number
        # A segment written by another process: the number in the lock is an old one, used again by the child.
        segment = Segment.create(process.folder, "process.gateway", PROCESS_COUNTERS, 1)
        watched.look(time.monotonic_ns(), LONG_NS)
        watched.peer.segment = segment
        assert not watched.signal(signal.SIGKILL) and child.poll() is None
        segment.header["writer_pid"] = child.pid
        assert not watched.signal(signal.SIGKILL) and child.poll() is None  # right number, other start time
        segment.header["writer_start_ticks"] = start_ticks(child.pid)
        assert watched.signal(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
        assert not watched.signal(signal.SIGKILL)  # gone
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
        child.wait()


def test_a_new_life_is_not_judged_by_its_predecessor_s_heartbeat(instance_config):
    process = life.Process("watcher", instance_config)
    process.folder.mkdir(parents=True, mode=0o700)
    peer = life.Peer(process, "gateway")
    segment = Segment.create(process.folder, "process.gateway", PROCESS_COUNTERS, 1)
    segment.beat(1)  # long ago
    (process.folder / "lock.gateway").write_text(f"{os.getpid()}\n")
    assert peer.heartbeat_age_ns(10**12) == 10**12 - 1
    for number in ("", f"{os.getpid() + 1}\n"):  # restarted: the lock is taken, the segment not made yet
        (process.folder / "lock.gateway").write_text(number)
        assert peer.heartbeat_age_ns(10**12) is None


# ---- sweep ----


class FakeVenue:
    """Cancels and lists orders; `failures` come first."""

    def __init__(self, orders=(), failures=()):
        self.orders = list(orders)
        self.failures = list(failures)
        self.log = []

    async def cancel_all(self, symbol):
        self.log.append("cancel")
        if self.failures:
            raise self.failures.pop(0)
        self.orders.clear()

    async def open_orders(self, symbol):
        self.log.append("list")
        return [Order(symbol, coid, 1, 1, "NEW", "1", "1", "0", "LIMIT", "GTX", False, 0) for coid in self.orders]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sweeping, "FAILED_S", 0.001)
    monkeypatch.setattr(sweeping, "LONGEST_WAIT_S", 0.01)
    monkeypatch.setattr(sweeping, "RECHECK_S", 0.01)


async def test_a_sweep_ends_with_a_proof():
    venue = FakeVenue(["phxs-00-1-1"])
    assert await Sweep(venue, "phxs-").symbol("BTCUSDC", 0)
    assert venue.log == ["cancel", "list"]


async def test_a_sweep_goes_on_through_failures_of_every_kind():
    failures = [VenueUnknown("x"), VenueDown("x"), VenueLimited("x", 0.005), VenueLimited("x", 9999.0, banned=True)]
    venue = FakeVenue(["phxs-00-1-1"], failures)
    assert await Sweep(venue, "phxs-").symbol("BTCUSDC", 0)
    assert venue.log == ["cancel"] * 5 + ["list"]


async def test_a_sweep_looks_again_until_late_acceptances_are_impossible():
    venue = FakeVenue()
    until_ns = time.monotonic_ns() + 50 * MS
    sweep = asyncio.create_task(Sweep(venue, "phxs-").symbol("BTCUSDC", until_ns))
    await asyncio.sleep(0.02)
    venue.orders.append("phxs-00-1-9")
    assert await sweep and time.monotonic_ns() >= until_ns and not venue.orders
    assert venue.log[-1] == "list" and len(venue.log) >= 6


async def test_a_sweep_that_is_given_up_proves_nothing():
    venue = FakeVenue(failures=[VenueDown("x")] * 1000)
    asked = []
    assert not await Sweep(venue, "phxs-").symbol("BTCUSDC", 0, lambda: asked.append(1) or len(asked) > 3)
    assert not await Sweep(venue, "phxs-").all(["A", "B"], 0, lambda: True)


async def test_orders_that_stay_are_cancelled_again_but_ever_more_slowly(monkeypatch):
    monkeypatch.setattr(sweeping, "LONGEST_WAIT_S", 2.0)
    waits = []
    sleep = asyncio.sleep

    async def count(wait_s):
        waits.append(wait_s)
        await sleep(0)

    monkeypatch.setattr(sweeping.asyncio, "sleep", count)
    venue = FakeVenue(["phxs-00-1-1"])
    venue.cancel_all = lambda symbol: sleep(0)
    assert not await Sweep(venue, "phxs-").symbol("BTCUSDC", 0, lambda: len(waits) >= 12)
    assert waits[:4] == [0.02, 0.04, 0.08, 0.16] and waits[-1] == 2.0


async def test_only_orders_of_ours_are_counted():
    venue = FakeVenue(["web_1", "phxs", "phxt-00-1-1", "phxp-00-1-1", "phxs-00-1-1"])
    assert await Sweep(venue, "phxs-").own_orders("BTCUSDC") == 1


# ---- dead man's switch ----


class Switch:
    """A dead man's switch over a fake venue and a segment of its own."""

    def __init__(self, folder, symbols=("A", "B")):
        folder.chmod(0o700)
        self.sent: list[tuple[str, int, int]] = []
        self.answers: list = []
        self.segment = Segment.create(folder, "proof", PROOF, 8)
        self.counters = np.zeros(1, PROCESS_COUNTERS)
        self.deadman = DeadMan(self, {s: i for i, s in enumerate(symbols)}, self.segment, [], self.counters)
        self.reader = RingReader(self.segment.memory, PROOF)

    async def countdown(self, symbol, countdown_ms):
        self.sent.append((symbol, countdown_ms, time.monotonic_ns()))
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        await asyncio.sleep(answer or 0)

    async def turn(self, now_ns=None):
        self.deadman.keep(time.monotonic_ns() if now_ns is None else now_ns)
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def proof(self):
        return self.reader.read_newest()


@pytest.fixture
async def switch(tmp_path):
    return Switch(tmp_path)


def test_the_period_grows_with_the_symbols_so_that_the_budget_holds():
    for symbols in (0, 1, 2, 5, 20):
        per_minute = 10 * symbols * 60 / (period_ns(symbols) / 10**9)
        assert per_minute <= 0.25 * 2400


async def test_each_symbol_is_refreshed_once_per_period(switch):
    now_ns = time.monotonic_ns()
    for _ in range(10):
        await switch.turn()
    assert sorted(symbol for symbol, *_ in switch.sent) == ["A", "B"]
    assert {ms for _, ms, _ in switch.sent} == {6000}
    await switch.turn(now_ns + 3 * 10**9)
    assert sorted(symbol for symbol, *_ in switch.sent) == ["A", "A", "B", "B"]
    assert int(switch.counters["countdowns"][0]) == 4 == int(switch.proof["refreshes"])


async def test_the_deadline_counts_from_before_the_request_left(switch):
    switch.answers = [0.05, 0.05]  # slow acknowledgements
    asked_ns = time.monotonic_ns()
    await switch.turn(asked_ns)
    assert switch.proof is None  # nothing is proven before the acknowledgement
    await asyncio.sleep(0.1)
    for i, (_, _, sent_ns) in enumerate(switch.sent):
        deadline_ns = int(switch.proof["deadline_mono_ns"][i])
        assert asked_ns + 6 * 10**9 <= deadline_ns <= sent_ns + 6 * 10**9
        assert int(switch.proof["ack_mono_ns"][i]) >= sent_ns + 50 * MS


async def test_after_a_freeze_nothing_counts_as_armed_until_the_venue_has_said_so_again(switch):
    """The host may have slept: the venue's timers ran on while our clock stood still."""
    await switch.turn()
    switch.answers = [0.05, 0.05]
    await switch.turn(time.monotonic_ns() + 3 * 10**9)  # on their way when it froze
    switch.deadman.distrust()
    assert not switch.proof["deadline_mono_ns"].any()
    await asyncio.sleep(0.1)
    assert not switch.deadman.deadlines_mono_ns["A"]  # what was sent before proves nothing
    await switch.turn()
    assert all(deadline > time.monotonic_ns() for deadline in switch.deadman.deadlines_mono_ns.values())


async def test_a_slow_refresh_is_not_sent_twice(switch):
    switch.answers = [0.05, 0.05]
    for _ in range(5):
        await switch.turn()
    assert len(switch.sent) == 2


async def test_an_unanswered_refresh_keeps_the_old_deadline_and_is_repeated_soon(switch):
    await switch.turn()
    before = switch.proof["deadline_mono_ns"].copy()
    switch.answers = [VenueUnknown("x"), VenueLimited("x", 9999.0)]
    later_ns = time.monotonic_ns() + 3 * 10**9
    await switch.turn(later_ns)
    switch.deadman.publish_when_old(time.monotonic_ns() + 2 * 10**9)
    assert (switch.proof["deadline_mono_ns"] == before).all() and int(switch.proof["failures"]) == 2
    due = switch.deadman._due_mono_ns
    assert due["A"] <= time.monotonic_ns() + RETRY_NS
    assert due["B"] <= time.monotonic_ns() + switch.deadman.period_ns  # a limit is waited for, but never a countdown


async def test_a_venue_that_stays_down_is_asked_ever_more_slowly_and_all_come_back_with_the_first(switch):
    due, waits = switch.deadman._due_mono_ns, []
    for _ in range(8):
        switch.answers = [VenueUnknown("HTTP 503")] * 2
        sent_ns = time.monotonic_ns()
        await switch.turn(sent_ns + LONG_NS)
        waits.append(due["A"] - sent_ns)
    assert (
        waits[0] < waits[-1] and waits[-1] >= LONGEST_RETRY * switch.deadman.period_ns
    )  # below a working venue's weight
    due["B"] = 0
    await switch.turn()
    assert due["A"] == 0 and len(switch.sent) == 17


async def test_a_new_gateway_makes_every_symbol_due(switch):
    await switch.turn()
    await switch.turn()
    assert len(switch.sent) == 2
    switch.deadman.arm_at_once()
    await switch.turn()
    assert len(switch.sent) == 4


async def test_disarming_withdraws_the_proof_first_and_waits_for_what_is_on_its_way(switch):
    await switch.turn()
    switch.deadman.arm_at_once()
    switch.answers = [0.02, 0.02]
    await switch.turn()
    assert len(switch.sent) == 4
    await switch.deadman.disarm()
    assert [ms for _, ms, _ in switch.sent] == [6000] * 4 + [0, 0]
    assert switch.sent[-2][2] - switch.sent[2][2] >= 20 * MS
    assert (switch.proof["deadline_mono_ns"] == 0).all()


async def test_a_refresh_that_ends_after_the_withdrawal_proves_nothing(switch):
    switch.answers = [0.02, 0.02]
    await switch.turn()
    switch.deadman.withdraw()
    await asyncio.sleep(0.05)
    assert (switch.proof["deadline_mono_ns"] == 0).all()
