"""The silence watchdog in a made-up time: which silence is odd, and which is none."""

import pytest

from phx._core.feed import Stream
from phx.feed.watchdog import PATIENCE, SECOND_NS, Watchdog

START_NS = 1000 * SECOND_NS
MS_NS = 1_000_000
TICKER, DEPTH, TRADE, MARK = (Stream(n) for n in range(Stream.STREAM_KINDS))
NAMES = {TICKER: "x@bookTicker", DEPTH: "x@depth@100ms", TRADE: "x@trade", MARK: "x@markPrice@1s"}


class FakeFeed:
    """What the watchdog looks at: when each stream delivered last, and how often."""

    def __init__(self):
        self.last_mono_ns_by_stream = [0] * Stream.STREAM_KINDS
        self.frames_by_stream = [0] * Stream.STREAM_KINDS

    def deliver(self, kind, now_ns, count=1):
        self.last_mono_ns_by_stream[kind] = now_ns
        self.frames_by_stream[kind] += count


class Run:
    def __init__(self, gaps_ms: dict):
        self.feed = FakeFeed()
        self.dog = Watchdog([NAMES])
        self.gaps_ms = gaps_ms
        self.now_ns = START_NS
        self.dog.connected([self.feed], set(NAMES), self.now_ns)

    def run(self, seconds: float) -> list:
        """Let the streams deliver in their rhythm, looking every 50 ms; return the first silences found."""
        until = self.now_ns + int(seconds * SECOND_NS)
        while self.now_ns < until:
            self.now_ns += 50 * MS_NS
            for kind, gap_ms in self.gaps_ms.items():
                if (self.now_ns - START_NS) // MS_NS % max(gap_ms, 50) == 0:
                    self.feed.deliver(kind, self.now_ns, max(1, 50 // gap_ms))
            found = self.dog.silent([self.feed], self.now_ns)
            if found:
                return found
        return []


STEADY = {TICKER: 10, DEPTH: 100, TRADE: 500, MARK: 1000}


def test_a_steady_market_is_not_silent():
    assert Run(STEADY).run(120) == []


@pytest.mark.parametrize("kind", PATIENCE)
def test_a_stream_that_never_delivers_is_named_after_ten_seconds(kind):
    run = Run({other: gap for other, gap in STEADY.items() if other != kind})
    ((index, found, name, silent_ns),) = run.run(60)
    assert (index, found, name) == (0, kind, NAMES[kind])
    assert 10 * SECOND_NS < silent_ns <= 10 * SECOND_NS + 50 * MS_NS


@pytest.mark.parametrize(
    ("kind", "limit_s"),
    [(TICKER, 5), (DEPTH, 5), (MARK, 5)],
)
def test_a_stream_that_falls_silent_is_named_within_its_limit(kind, limit_s):
    run = Run(dict(STEADY))
    assert run.run(30) == []
    del run.gaps_ms[kind]
    ((_, found, _, silent_ns),) = run.run(60)
    assert found == kind
    assert limit_s * SECOND_NS < silent_ns <= (limit_s + 0.3) * SECOND_NS


def test_a_slow_stream_has_more_patience_but_not_for_ever():
    run = Run({**STEADY, TICKER: 1000})
    assert run.run(60) == []
    del run.gaps_ms[TICKER]
    ((_, _, _, silent_ns),) = run.run(120)
    assert 25 * SECOND_NS < silent_ns < 35 * SECOND_NS
    run = Run({**STEADY, TICKER: 9000})
    assert run.run(100) == []
    del run.gaps_ms[TICKER]
    ((_, _, _, silent_ns),) = run.run(120)
    assert 60 * SECOND_NS < silent_ns <= 60 * SECOND_NS + 50 * MS_NS


def test_a_minute_without_trades_is_no_fault():
    assert Run({**STEADY, TRADE: 90_000}).run(80) == []


def test_nothing_is_expected_while_disconnected_and_anew_after_it():
    run = Run(dict(STEADY))
    run.run(5)
    run.gaps_ms = {}
    run.dog.disconnected(set(NAMES))
    assert run.run(60) == []
    run.dog.connected([run.feed], {TICKER, DEPTH}, run.now_ns)
    assert run.run(9.9) == []
    assert {found[1] for found in run.run(1)} == {TICKER, DEPTH}


def test_a_venue_that_stalls_for_three_seconds_is_not_silent():
    run = Run(dict(STEADY))
    assert run.run(30) == []
    gaps_ms, run.gaps_ms = run.gaps_ms, {}
    assert run.run(3) == []
    run.gaps_ms = gaps_ms
    assert run.run(30) == []


# ---- depth against the top of book

BEHIND_NS = int(1.0 * SECOND_NS)


def behind_after_s(run: Run, seconds: float) -> float | None:
    """Let the streams deliver in their rhythm; return after how long depth was found to be behind the top."""
    begin_ns = run.now_ns
    while run.now_ns < begin_ns + int(seconds * SECOND_NS):
        run.now_ns += 50 * MS_NS
        for kind, gap_ms in run.gaps_ms.items():
            if (run.now_ns - START_NS) // MS_NS % max(gap_ms, 50) == 0:
                run.feed.deliver(kind, run.now_ns)
        if run.dog.behind([run.feed], run.now_ns, BEHIND_NS):
            return (run.now_ns - begin_ns) / SECOND_NS
    return None


def test_depth_that_stops_while_the_top_moves_is_found_within_the_age_that_is_quoted_on():
    run = Run(dict(STEADY))
    assert behind_after_s(run, 30) is None
    del run.gaps_ms[DEPTH]
    assert 1.0 < behind_after_s(run, 10) <= 1.15
    run.feed.deliver(DEPTH, run.now_ns)
    run.gaps_ms[DEPTH] = 100
    assert behind_after_s(run, 30) is None


def test_a_quiet_market_is_not_behind_and_neither_is_a_depth_that_follows_each_top():
    # Nothing moves for three seconds; then the top does, and depth tells it 100 ms later.
    run = Run({TICKER: 3000, MARK: 1000})
    for _ in range(20):
        assert behind_after_s(run, 3.0) is None
        run.now_ns += 100 * MS_NS
        run.feed.deliver(DEPTH, run.now_ns)
        run.now_ns -= 100 * MS_NS


def test_what_is_disconnected_is_not_behind():
    run = Run({TICKER: 10})
    run.feed.deliver(DEPTH, run.now_ns)
    run.dog.disconnected({DEPTH})
    assert behind_after_s(run, 5) is None
    run.dog.connected([run.feed], {DEPTH}, run.now_ns)
    assert behind_after_s(run, 0.9) is None
    assert behind_after_s(run, 1) is not None
