"""The sequencer walked through every short history of deltas and snapshots, against a model of ten lines.

A venue makes deltas with ids; the wire may lose, double, swap and delay them. Whatever arrives, a synced book must be
exactly the venue's book at the same id.
"""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.binance.decode import Decoder
from phx._core.sequencer import Sequencer, SyncResult

SYMBOL = "BTCUSDT"


def delta_frame(first: int, last: int, previous: int, bids=(), asks=()) -> bytes:
    sides = [",".join(f'["{price}.0","{lots}.000"]' for price, lots in side) for side in (bids, asks)]
    return (
        f'{{"e":"depthUpdate","E":1,"T":1,"s":"{SYMBOL}","U":{first},"u":{last},"pu":{previous},'
        f'"b":[{sides[0]}],"a":[{sides[1]}]}}'
    ).encode()


def snapshot_body(update_id: int, bids=(), asks=()) -> bytes:
    sides = [",".join(f'["{price}.0","{lots}.000"]' for price, lots in side) for side in (bids, asks)]
    return f'{{"lastUpdateId":{update_id},"E":1,"T":1,"bids":[{sides[0]}],"asks":[{sides[1]}]}}'.encode()


class Wire:
    """A sequencer fed with text, as the feed's core feeds it."""

    def __init__(self):
        self.decoder = Decoder()
        self.decoder.add(SYMBOL, 0, 1, 0, 1)
        self.sequencer = Sequencer()
        self.now_ns = 1

    def delta(self, *arguments, **sides) -> SyncResult:
        self.decoder.read(delta_frame(*arguments, **sides))
        return self.sequencer.delta_event(self.decoder, self.now_ns)

    def snapshot(self, *arguments, **sides) -> SyncResult:
        self.decoder.read_snapshot(0, snapshot_body(*arguments, **sides))
        return self.sequencer.snapshot_event(self.decoder, self.now_ns)


@pytest.fixture
def wire():
    return Wire()


def synced_at(wire: Wire, update_id: int) -> Wire:
    assert wire.delta(update_id - 1, update_id, update_id - 2) == SyncResult.SYNC_BUFFERED
    assert wire.snapshot(update_id, bids=[(10, 1)], asks=[(11, 1)]) == SyncResult.SYNC_DONE
    assert wire.sequencer.synced and wire.sequencer.update_id == update_id
    return wire


# ---- the rules, one by one ----


@pytest.mark.parametrize(
    ("first", "last", "previous", "joins"),
    [
        (95, 100, 90, True),  # ends where the snapshot does
        (100, 105, 90, True),
        (95, 105, 90, True),  # spans it
        (103, 105, 100, True),  # ids are sparse: the previous delta ended with the snapshot
        (101, 105, 99, False),  # one is missing between
        (101, 105, 101, False),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_the_delta_that_continues_a_snapshot(wire, first, last, previous, joins, before):
    if before:  # buffered when the snapshot comes
        wire.delta(first, last, previous)
        assert (wire.snapshot(100) == SyncResult.SYNC_DONE) == joins
        assert wire.sequencer.update_id == (last if joins else 0)
    else:
        synced_at(wire, 100)
        wire.sequencer.lose(1)
        assert wire.snapshot(100) == SyncResult.SYNC_DONE
        assert wire.delta(first, last, previous) == (SyncResult.SYNC_APPLIED if joins else SyncResult.SYNC_GAP)


def test_buffered_deltas_older_than_the_snapshot_are_dropped(wire):
    wire.delta(1, 10, 0, bids=[(5, 9)])
    wire.delta(11, 20, 10, bids=[(6, 1)])
    assert wire.snapshot(15, bids=[(4, 1)]) == SyncResult.SYNC_DONE
    assert wire.sequencer.book.levels(1) == [(6, 1), (4, 1)]
    assert wire.sequencer.update_id == 20


def test_a_snapshot_newer_than_the_whole_buffer_is_continued_by_the_next_delta(wire):
    wire.delta(1, 10, 0)
    assert wire.snapshot(15) == SyncResult.SYNC_DONE
    assert wire.delta(11, 14, 10) == SyncResult.SYNC_OLD
    assert wire.delta(15, 18, 14) == SyncResult.SYNC_APPLIED
    assert wire.delta(19, 20, 17) == SyncResult.SYNC_GAP


def test_a_gap_voids_the_book_at_once_and_its_delta_begins_the_new_buffer(wire):
    synced_at(wire, 100).delta(101, 110, 100)
    sync_id = wire.sequencer.sync_id
    assert wire.delta(115, 120, 112, bids=[(8, 2)]) == SyncResult.SYNC_GAP
    assert not wire.sequencer.synced and wire.sequencer.sync_id == sync_id + 1
    assert wire.sequencer.book.top() == (None, 0, None, 0)
    assert wire.sequencer.buffered == 1
    assert wire.snapshot(117, bids=[(7, 1)]) == SyncResult.SYNC_DONE
    assert wire.sequencer.sync_id == sync_id + 1
    assert wire.sequencer.book.levels(1) == [(8, 2), (7, 1)]


def test_old_and_doubled_deltas_change_nothing(wire):
    synced_at(wire, 100).delta(101, 110, 100, bids=[(9, 4)])
    for arguments in ((101, 110, 100), (90, 95, 80), (105, 109, 104)):
        assert wire.delta(*arguments, bids=[(9, 77)]) == SyncResult.SYNC_OLD
    assert wire.sequencer.synced and wire.sequencer.book.levels(1) == [(10, 1), (9, 4)]


def test_a_snapshot_of_a_synced_book_is_ignored(wire):
    synced_at(wire, 100)
    assert wire.snapshot(200, bids=[(1, 1)]) == SyncResult.SYNC_OLD
    assert wire.sequencer.book.levels(1) == [(10, 1)]


def test_a_broken_chain_in_the_buffer_starts_it_anew(wire):
    wire.delta(1, 10, 0)
    wire.delta(11, 20, 10)
    wire.delta(11, 20, 10)  # doubled: ignored
    assert wire.sequencer.buffered == 2
    wire.delta(31, 40, 30)
    assert wire.sequencer.buffered == 1
    assert wire.snapshot(15) == SyncResult.SYNC_REFUSED
    assert wire.snapshot(35) == SyncResult.SYNC_DONE


def test_the_buffer_is_bounded(wire):
    for n in range(3_000):
        wire.delta(n + 1, n + 1, n)
        assert wire.sequencer.buffered <= 1024
    assert wire.snapshot(10) == SyncResult.SYNC_REFUSED
    assert wire.snapshot(2_999) == SyncResult.SYNC_DONE
    assert wire.sequencer.update_id == 3_000


# ---- when a snapshot is wanted ----


def test_no_snapshot_is_wanted_before_the_stream_delivers(wire):
    assert not wire.sequencer.ask_if_wanted(1)
    wire.delta(1, 10, 0)
    assert wire.sequencer.ask_if_wanted(1)
    assert not wire.sequencer.ask_if_wanted(10**12)  # one is on its way


def test_the_pause_between_snapshots_doubles_up_to_a_limit(wire):
    now_ns, pauses = 0, []
    for n in range(12):
        base = 1000 + 10 * n
        wire.delta(base + 1, base + 10, base - 5)  # never continues what was there
        while not wire.sequencer.ask_if_wanted(now_ns):
            now_ns += 10_000_000
        asked_ns = now_ns
        wire.now_ns = now_ns
        assert wire.snapshot(base - 9) == SyncResult.SYNC_REFUSED
        while not wire.sequencer.ask_if_wanted(now_ns):
            now_ns += 10_000_000
        wire.sequencer.snapshot_failed(now_ns)
        pauses.append(now_ns - asked_ns)
    assert pauses == sorted(pauses)
    assert 250_000_000 <= pauses[0] <= 1_000_000_000 and pauses[-1] == 4_000_000_000


def test_a_gap_after_a_long_good_life_asks_at_once_but_not_in_a_row(wire):
    wire.delta(1, 10, 0)
    assert wire.sequencer.ask_if_wanted(1)
    wire.snapshot(10)
    wire.now_ns = 20_000_000_000
    wire.delta(11, 12, 10)
    assert wire.sequencer.tries == 0
    wire.delta(21, 22, 20)
    assert wire.sequencer.ask_if_wanted(wire.now_ns)
    wire.snapshot(22)
    wire.delta(31, 32, 30)  # the second gap within the same second
    assert wire.sequencer.ask_if_wanted(wire.now_ns)
    wire.snapshot(32)
    wire.delta(41, 42, 40)
    assert not wire.sequencer.ask_if_wanted(wire.now_ns)
    assert wire.sequencer.ask_if_wanted(wire.now_ns + 2_000_000_000)


# ---- every short history ----

# Four deltas of a venue: each touches its own price, so a book says which of them it holds.
DELTAS = [(1, 2, 0), (3, 4, 2), (5, 6, 4), (7, 8, 6)]


def venue_book(update_id: int) -> list:
    return sorted(((100 + last, last) for _, last, _ in DELTAS if last <= update_id), reverse=True)


SNAPSHOTS = [0, 2, 3, 4, 6, 8]


def play(events) -> None:
    wire = Wire()
    sequencer = wire.sequencer
    was_synced, sync_id = False, sequencer.sync_id
    for kind, n in events:
        if kind == "delta":
            first, last, previous = DELTAS[n]
            wire.delta(first, last, previous, bids=[(100 + last, last)])
        elif kind == "snapshot":
            # Taken in the middle of a delta, a snapshot holds what the delta says next anyway.
            wire.snapshot(n, bids=venue_book(n))
        else:
            sequencer.lose(1)
        if sequencer.synced:
            assert sequencer.book.levels(1) == venue_book(sequencer.update_id), events
        else:
            assert sequencer.book.top() == (None, 0, None, 0), events
            assert sequencer.sync_id == sync_id + was_synced, events
        was_synced, sync_id = sequencer.synced, sequencer.sync_id


ALPHABET = [("delta", n) for n in range(4)] + [("snapshot", n) for n in SNAPSHOTS] + [("lose", 0)]


def test_every_history_of_four_events_keeps_a_synced_book_equal_to_the_venues():
    for length in range(1, 5):
        for events in itertools.product(ALPHABET, repeat=length):
            play(events)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(ALPHABET), max_size=25))
def test_long_histories_keep_a_synced_book_equal_to_the_venues(events):
    play(events)
