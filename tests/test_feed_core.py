"""The feed's core without a socket: what it publishes for which frames, and what it says when something is missing."""

import gzip
import json

import numpy as np
import pytest

from phx._core import records
from phx._core.enums import BookFlag, TapeKind, TradeOrigin
from phx._core.feed import FeedCore, Stream
from phx._core.ring import OK, RingReader, RingWriter
from phx._core.sequencer import SyncResult
from phx.segment import private_memory

SYMBOLS = ("BTCUSDC", "ETHUSDC")
SECOND_NS = 1_000_000_000
T_MS = 1_790_000_000_000
KINDS = {"bbo": records.BBO, "book": records.BOOK, "tape": records.TAPE}


class Bench:
    """A core with its rings in private memory; `news` returns what was published since it was last asked."""

    def __init__(self):
        self.core = FeedCore()
        self.counters = [np.zeros(1, records.FEED_COUNTERS) for _ in SYMBOLS]
        self.readers = []
        self.now_ns = 5 * SECOND_NS
        for i, symbol in enumerate(SYMBOLS):
            memory = {kind: private_memory(dtype, 256) for kind, dtype in KINDS.items()}
            rings = [RingWriter(memory[kind], dtype) for kind, dtype in KINDS.items()]
            self.core.add(symbol, 7 + i, (1, 1, 3, 1), *rings, self.counters[i])
            self.readers.append({kind: RingReader(memory[kind], dtype) for kind, dtype in KINDS.items()})

    def frame(self, event: dict, last_in_buffer: bool = True) -> int:
        self.now_ns += 1_000_000
        text = json.dumps({"stream": "x", "data": event}, separators=(",", ":")).encode()
        return self.core.frame(text, self.now_ns, T_MS * 1_000_000 + self.now_ns, last_in_buffer)

    def ticker(self, update_id: int, bid="100.0", bid_qty="1.000", ask="100.1", ask_qty="2.000", index=0) -> int:
        head = {"e": "bookTicker", "u": update_id, "s": SYMBOLS[index]}
        return self.frame({**head, "b": bid, "B": bid_qty, "a": ask, "A": ask_qty, "T": T_MS, "E": T_MS})

    def depth(self, first, last, previous, bids=(), asks=(), index=0, last_in_buffer=True) -> int:
        head = {"e": "depthUpdate", "E": T_MS, "T": T_MS, "s": SYMBOLS[index], "U": first, "u": last, "pu": previous}
        return self.frame({**head, "b": list(bids), "a": list(asks)}, last_in_buffer)

    def trade(self, trade_id: int, origin="MARKET", price="100.1", qty="0.500", maker=False, index=0) -> int:
        head = {"e": "trade", "E": T_MS, "T": T_MS, "s": SYMBOLS[index], "t": trade_id}
        return self.frame({**head, "p": price, "q": qty, "X": origin, "m": maker})

    def agg_trade(self, trade_id: int) -> int:
        head = {"e": "aggTrade", "E": T_MS, "a": trade_id, "s": SYMBOLS[0], "p": "100.0", "q": "0.500"}
        return self.frame({**head, "f": 1, "l": 2, "T": T_MS, "m": True})

    def mark(self, second: int) -> int:
        at = T_MS + 1000 * second
        event = {"e": "markPriceUpdate", "E": at, "s": SYMBOLS[0], "p": "100.04", "r": "0.0001", "T": T_MS}
        return self.frame(event)

    def snapshot(self, update_id: int, bids=(("100.0", "1.000"),), asks=(("100.1", "2.000"),), index=0) -> SyncResult:
        body = {"lastUpdateId": update_id, "E": T_MS, "T": T_MS, "bids": list(bids), "asks": list(asks)}
        return self.core.snapshot(index, json.dumps(body).encode(), self.now_ns, T_MS * 1_000_000)

    def news(self, kind: str, index: int = 0) -> list:
        found = []
        while True:
            code, record = self.readers[index][kind].read_record()
            if code != OK:
                return found
            found.append(record)

    def synced(self, update_id: int = 10, index: int = 0) -> "Bench":
        self.depth(update_id - 1, update_id, update_id - 2, index=index)
        assert self.snapshot(update_id, index=index) == SyncResult.SYNC_DONE
        for kind in KINDS:
            self.news(kind, index)
        return self

    def count(self, name: str, index: int = 0) -> int:
        return int(self.counters[index][name][0])


@pytest.fixture
def bench():
    return Bench()


def void(record) -> bool:
    return bool(record["flags"] & BookFlag.BOOK_UNSYNCED)


# ---- top of book ----


def test_a_ticker_before_the_book_is_synced_is_published_with_a_warning(bench):
    assert bench.ticker(5) == 1
    (top,) = bench.news("bbo")
    assert void(top) and top["symbol_id"] == 7 and top["update_id"] == 5
    assert (top["bid_price_ticks"], top["ask_price_ticks"]) == (1000, 1001)
    assert (top["bid_qty_lots"], top["ask_qty_lots"]) == (1000, 2000)
    assert (top["ts_event_ns"], top["recv_mono_ns"]) == (T_MS * 1_000_000, bench.now_ns)


def test_the_newer_of_ticker_and_delta_makes_the_top(bench):
    bench.synced(10)
    bench.ticker(15, bid="100.0", bid_qty="7.000")
    (top,) = bench.news("bbo")
    assert top["update_id"] == 15 and top["bid_qty_lots"] == 7000 and not void(top)
    bench.depth(11, 14, 10, bids=[["100.0", "6.000"]])  # older than the ticker: the book changes, the top does not
    assert bench.news("bbo") == [] and bench.news("book")[0]["bid_qty_lots"][0] == 6000
    bench.depth(15, 20, 14, bids=[["100.0", "8.000"]])
    (top,) = bench.news("bbo")
    assert top["update_id"] == 20 and top["bid_qty_lots"] == 8000
    assert bench.ticker(18) == 0 and bench.ticker(20) == 0  # the book said so already
    assert bench.news("bbo") == []


def test_an_empty_side_and_a_huge_quantity_are_flagged(bench):
    bench.synced(10)
    bench.ticker(15, bid="0.0", bid_qty="0.000", ask_qty="5000000.000")
    (top,) = bench.news("bbo")
    assert top["flags"] == BookFlag.BOOK_ONE_SIDED | BookFlag.BOOK_SATURATED
    assert top["bid_price_ticks"] == records.ABSENT_PRICE_TICKS and top["ask_qty_lots"] == 2**32 - 1


def test_a_crossed_ticker_is_flagged(bench):
    bench.synced(10).ticker(15, bid="100.2")
    assert bench.news("bbo")[0]["flags"] == BookFlag.BOOK_CROSSED


# ---- the book ----


def test_a_snapshot_publishes_a_sound_top_and_book(bench):
    bench.depth(9, 10, 8)
    assert bench.news("book") == []
    assert bench.snapshot(10) == SyncResult.SYNC_DONE
    (book,), (top,) = bench.news("book"), bench.news("bbo")[-1:]
    assert not void(book) and not void(top)
    assert (book["bid_levels"], book["ask_levels"], book["sync_id"], book["update_id"]) == (1, 1, 1, 10)
    assert bench.count("resyncs") == 1 and bench.count("synced") == 1


def test_books_of_one_read_are_published_once_after_its_last_frame(bench):
    for index in (0, 1):
        bench.synced(10, index=index).ticker(50, index=index)  # ahead, so that deltas leave the top alone
    assert bench.depth(11, 11, 10, bids=[["99.9", "1.000"]], last_in_buffer=False) == 0
    assert bench.depth(11, 11, 10, bids=[["99.8", "1.000"]], index=1, last_in_buffer=False) == 0
    assert bench.news("book") == bench.news("book", 1) == []
    assert bench.depth(12, 12, 11, bids=[["99.7", "1.000"]]) == 0b11  # a bit per instrument published
    (first,), (second,) = bench.news("book"), bench.news("book", 1)
    assert first["update_id"] == 12 and first["bid_levels"] == 3
    assert second["update_id"] == 11 and second["bid_levels"] == 2


def test_a_gap_is_published_at_once_in_both_rings_with_a_new_sync_id(bench):
    bench.synced(10)
    assert bench.depth(15, 16, 14, last_in_buffer=False) == 1
    (top,), (book,) = bench.news("bbo"), bench.news("book")
    assert void(top) and void(book) and top["sync_id"] == book["sync_id"] == 2
    assert book["bid_levels"] == 0 and bench.count("gaps") == 1 and bench.count("synced") == 0
    assert bench.core.ask_snapshots(bench.now_ns) == [0]
    assert bench.snapshot(16) == SyncResult.SYNC_DONE
    assert [void(record) for record in bench.news("book")] == [False]
    assert bench.news("bbo")[-1]["sync_id"] == 2


def test_a_resynced_book_behind_the_ticker_clears_the_tops_flag_all_the_same(bench):
    bench.synced(10)
    bench.ticker(30)
    bench.depth(15, 16, 14)
    bench.news("bbo")
    bench.snapshot(16)
    (top,) = bench.news("bbo")
    assert not void(top) and top["update_id"] == 30


def test_a_crossed_book_is_void(bench):
    bench.synced(10)
    bench.depth(11, 12, 10, bids=[["100.1", "1.000"]])
    assert void(bench.news("book")[-1]) and void(bench.news("bbo")[-1])
    assert bench.count("crossed") == 1


def test_losing_the_streams_voids_the_book_once_and_ids_may_begin_anew(bench):
    bench.synced(1000).ticker(1001)
    bench.trade(500)
    bench.news("bbo")
    assert bench.core.lose(0, bench.now_ns) == 1
    assert void(bench.news("bbo")[-1]) and void(bench.news("book")[-1])
    assert bench.core.lose(0, bench.now_ns) == 0 and bench.news("bbo") == []
    # A snapshot that was on its way has no stream to continue it.
    assert bench.snapshot(1000) == SyncResult.SYNC_REFUSED
    bench.ticker(3)
    assert bench.news("bbo")[0]["update_id"] == 3
    bench.trade(1)
    assert bench.news("tape")[-1]["trade_id"] == 1
    bench.synced(5)


def test_a_snapshot_that_cannot_be_read_is_asked_for_again_after_a_pause(bench):
    bench.depth(9, 10, 8)
    assert bench.core.ask_snapshots(bench.now_ns) == [0]
    assert bench.core.snapshot(0, b"<html>", bench.now_ns, 0) == SyncResult.SYNC_REFUSED
    assert bench.core.ask_snapshots(bench.now_ns) == []
    assert bench.core.ask_snapshots(bench.now_ns + SECOND_NS) == [0]
    bench.core.no_snapshot(0, bench.now_ns)
    assert bench.core.ask_snapshots(bench.now_ns + 2 * SECOND_NS) == [0]


# ---- bookTicker as the judge ----


def test_tops_are_held_against_the_ticker_whichever_stream_is_ahead(bench):
    bench.synced(10)
    bench.ticker(10)
    assert bench.count("top_checked") == 0  # until the book changes again
    bench.ticker(12, bid_qty="3.000")
    bench.ticker(15, bid_qty="5.000")
    bench.depth(11, 13, 10, bids=[["100.0", "3.000"]])  # the newest ticker not after it is number 12
    bench.depth(14, 20, 13, bids=[["100.0", "9.000"]])  # waits
    assert bench.count("top_checked") == 1 + 1  # the snapshot's top was judged by ticker 10
    bench.ticker(20, bid_qty="9.000")
    bench.depth(21, 22, 20)
    bench.core.finish()
    assert bench.count("top_checked") == 4 and bench.count("top_different") == 0


def test_three_tops_in_a_row_unlike_the_ticker_void_the_book(bench):
    bench.synced(10)
    bench.ticker(11, bid_qty="5.000")
    for n in (11, 12, 13):
        bench.ticker(n + 1, bid_qty="5.000")
        bench.depth(n, n, n - 1, bids=[["100.0", "4.000"]])
        assert bench.core.instruments[0].sequencer.synced == (n < 13)
    assert bench.count("top_different") == 3


# ---- tape ----


def test_trades_and_marks_reach_the_tape(bench):
    bench.trade(5, maker=True)
    bench.mark(1)
    trade, mark = bench.news("tape")
    assert trade["kind"] == TapeKind.TAPE_TRADE and trade["aggressor"] == -1 and trade["trade_id"] == 5
    assert (trade["price_ticks"], trade["qty_lots"], trade["origin"]) == (1001, 500, TradeOrigin.ORIGIN_MARKET)
    assert mark["kind"] == TapeKind.TAPE_MARK and mark["price_ticks"] == 1000 and mark["funding_rate_e8"] == 10_000
    assert mark["next_funding_s"] == T_MS // 1000 and mark["qty_lots"] == 0


def test_what_two_connections_deliver_is_published_once(bench):
    bench.synced(10)
    for _ in range(2):
        bench.trade(5)
        bench.mark(1)
        bench.ticker(12)
        bench.depth(11, 11, 10, bids=[["99.0", "1.000"]])
    assert [len(bench.news(kind)) for kind in KINDS] == [1, 1, 2]
    assert bench.count("diffs") == 1 and bench.count("diffs_ignored") == 1


def test_prints_that_moved_nothing_do_not_reach_the_tape(bench):
    bench.trade(5, origin="NA", price="0", qty="0")
    assert bench.news("tape") == [] and bench.count("trades") == 1
    bench.trade(6, origin="INSURANCE_FUND", price="90.0")
    assert bench.news("tape")[0]["origin"] == TradeOrigin.ORIGIN_INSURANCE


def test_aggregated_trades_stand_in_only_where_single_ones_are_missing(bench):
    bench.agg_trade(900)
    assert len(bench.news("tape")) == 1
    bench.trade(5)
    bench.agg_trade(901)
    assert [event["trade_id"] for event in bench.news("tape")] == [5]


# ---- what cannot be read ----


def test_unreadable_foreign_and_unknown_frames_are_counted_apart(bench):
    core = bench.core
    for text in (b"{", b"\xff", b'{"e":"bookTicker","s":"BTCUSDC"}'):
        assert core.frame(text, 1, 1) == 0
    core.frame(b'{"e":"bookTicker","u":1,"s":"XRPUSDC","b":"1","B":"1","a":"2","A":"1","T":1,"E":1}', 1, 1)
    core.frame(b'{"e":"kline","s":"BTCUSDC"}', 1, 1)
    core.frame(b'{"result":null,"id":1}', 1, 1)
    assert (core.frames, core.refused, core.foreign, core.unknown, core.controls) == (6, 3, 1, 1, 1)
    bench.ticker(5, bid="100.05")
    assert bench.count("refused_frames") == 2 and bench.count("off_grid") == 1
    assert bench.news("bbo") == []


def test_frames_that_the_fixed_order_reader_does_not_know_are_counted(bench):
    bench.ticker(5)
    bench.mark(1)  # has no fixed-order reader
    assert bench.count("slow_frames") == 0
    bench.frame({"s": "BTCUSDC", "e": "bookTicker", "u": 6, "b": "1.0", "B": "1", "a": "2.0", "A": "1", "T": 1, "E": 1})
    assert bench.count("slow_frames") == 1 and bench.news("bbo")[-1]["update_id"] == 6


def test_each_stream_leaves_its_sign_of_life(bench):
    feed = bench.core.instruments[0]
    assert feed.last_mono_ns_by_stream == [0] * Stream.STREAM_KINDS
    bench.ticker(5)
    seen_ns = bench.now_ns
    bench.mark(1)
    assert feed.last_mono_ns_by_stream == [seen_ns, 0, 0, bench.now_ns]
    assert feed.frames_by_stream == [1, 0, 0, 1]


def test_a_ring_of_another_record_is_refused(bench):
    memory = private_memory(records.TAPE, 16)
    ring = RingWriter(memory, records.TAPE)
    with pytest.raises(ValueError, match="the ring for bbo of XRPUSDC"):
        bench.core.add("XRPUSDC", 9, (1, 1, 3, 1), ring, ring, ring, np.zeros(1, records.FEED_COUNTERS))
    for call in (bench.core.lose, bench.core.no_snapshot):
        with pytest.raises(IndexError):
            call(2, 0)


def test_the_same_frames_give_the_same_records(recordings):
    """A recording replayed twice leaves the same bytes in every ring."""
    with gzip.open(recordings / "btcusdt-2024-07-18T2357.jsonl.gz") as file:
        lines = [line.rstrip().split(b" ", 1) for _, line in zip(range(8000), file, strict=False)]
    images = []
    for _ in range(2):
        core, memory = FeedCore(), {kind: private_memory(dtype, 1 << 14) for kind, dtype in KINDS.items()}
        rings = [RingWriter(memory[kind], dtype) for kind, dtype in KINDS.items()]
        core.add("BTCUSDT", 0, (1, 1, 3, 1), *rings, np.zeros(1, records.FEED_COUNTERS))
        for stamp, frame in lines:
            if b'"stream"' in frame[:10]:
                core.frame(frame, int(stamp), int(stamp))
            else:
                core.snapshot(0, frame, int(stamp), int(stamp))
        assert core.instruments[0].sequencer.synced
        images.append({kind: bytes(found) for kind, found in memory.items()})
    assert images[0] == images[1]
