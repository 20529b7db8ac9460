"""Any recording: invented violent markets and transformed real ones, through `feed check` and the recorded market.

In process the whole way of the data is walked: file, recorded market, overlay with orders of ours, the venue's streams,
the feed's core. A feed's book must equal the venue's bookTicker after every delta, and an order's fills its quantity.
"""

import gzip
import itertools
import random
from collections import Counter

import msgspec
import numpy as np
import pytest
from hard_recordings import InventedMarket, transformed, write

from phx._core import records
from phx._core.feed import FeedCore
from phx._core.matching import EventKind
from phx._core.ring import RingWriter
from phx.recording import Frame, RecordingError
from phx.replay.check import check, main
from phx.segment import private_memory
from phx.sim.api import answers
from phx.sim.contracts import listed
from phx.sim.markets import recorded
from phx.sim.markets.mark import Mark
from phx.sim.markets.recorded import Kind, RecordedMarket
from phx.sim.markets.recorded_market import OverlaidMarket, RecordedPlayer
from phx.sim.markets.unlisted import refined, unlisted
from phx.sim.streams.streams import Hub

START_NS = 1_800_000_000 * 10**9
TURN_NS = 5_000_000
FOREVER_NS = 2**62

MARKETS = {
    "btc": {"symbol": "BTCUSDT", "price_ticks": 1_180_001, "tick": "0.10", "lot": "0.001", "jump": 0.03, "rate": 3000},
    "wide": {"symbol": "BTCUSDT", "price_ticks": 1_180_001, "tick": "0.1", "jump": 0.06, "spacing_ticks": 40},
    "doge": {"symbol": "DOGEUSDT", "price_ticks": 12_345, "tick": "0.00001", "lot": "1", "jump": 0.05, "padding": 1},
    "sol": {"symbol": "SOLUSDT", "price_ticks": 8019, "tick": "0.01", "lot": "0.01", "jump": 0.05, "padding": 2},
    "finer": {"symbol": "SOLUSDT", "price_ticks": 80_191, "tick": "0.001", "lot": "0.001", "jump": 0.05},
    "pepe": {"symbol": "1000PEPEUSDT", "price_ticks": 95_123, "tick": "0.0000001", "lot": "1", "jump": 0.05},
    "one_sided": {"symbol": "ETHUSDT", "price_ticks": 442_498, "tick": "0.01", "jump": 0.01, "one_sided": True},
    "old_keys": {"symbol": "ETHUSDT", "price_ticks": 342_498, "tick": "0.01", "keys_2026": False, "speed": "0ms"},
}
FORMS = ("jsonl", "jsonl.gz", "ws.txt", "ws.txt.gz")


def invented(tmp_path, name, form="jsonl.gz", frames=1800, snapshot_at=12):
    made = InventedMarket(seed=7, **MARKETS[name]).run(frames, snapshot_at)
    return made, made.write(tmp_path / f"{name}.{form}")


# ---- feed check -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "form"), list(zip(MARKETS, itertools.cycle(FORMS), strict=False)))
def test_feed_check_finds_every_book_equal(tmp_path, name, form):
    made, path = invented(tmp_path, name, form)
    (result,) = check(path)
    assert result.problems == () and result.gaps == 0
    assert result.tops > 0.9 * made.depths and result.messages == len(made.items) - 1


def test_a_snapshot_in_the_middle_begins_the_book_there(tmp_path):
    made, path = invented(tmp_path, "btc", snapshot_at=1000)
    (result,) = check(path)
    assert result.problems == () and 0 < result.tops < 0.7 * made.depths


def test_a_gap_is_reported_and_the_book_is_found_again(tmp_path, capsys):
    made, _ = invented(tmp_path, "btc")
    deltas = [i for i, item in enumerate(made.items) if isinstance(item, Frame) and "@depth" in item.stream]
    del made.items[deltas[len(deltas) // 2]]
    path = made.write(tmp_path / "gap.jsonl")
    assert main([path]) == 1 and "1 gaps" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["jsonl", "jsonl.gz"])
def test_a_recording_cut_off_is_checked_up_to_there_and_fails_with_file_and_line(tmp_path, form, capsys):
    _, whole = invented(tmp_path, "btc", "jsonl")
    path = tmp_path / f"cut.{form}"
    text = whole.read_bytes()
    path.write_bytes(gzip.compress(text)[:-9000] if form == "jsonl.gz" else text[: len(text) - 40])
    assert main([path]) == 1
    out, err = capsys.readouterr()
    assert "BTCUSDT" in out and "100.000" in out, "what is before is checked"
    assert err.startswith(f"{path}:") and "truncated" in err and len(err.splitlines()) == 1


# ---- the whole way --------------------------------------------------------------------------------------------------


class Feed:
    """A feed's core that listens to the venue's streams."""

    def __init__(self, contracts):
        self.core, self.counters, self.now_ns = FeedCore(), {}, 0
        for contract in contracts:
            i = contract.instrument
            rings = [RingWriter(private_memory(d, 1024), d) for d in (records.BBO, records.BOOK, records.TAPE)]
            counters = self.counters[contract.symbol] = np.zeros(1, records.FEED_COUNTERS)
            scale = (i.price_decimals, i.price_units, i.qty_decimals, i.qty_units)
            self.core.add(contract.symbol, i.symbol_id, scale, *rings, counters)

    def send(self, stream, payload):
        self.core.frame(b'{"stream":"%b","data":%b}' % (stream.encode(), payload), self.now_ns, self.now_ns)


class Orders:
    """Random orders of one account on a recorded book; what became of each is counted."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.asked, self.filled, self.gone = {}, Counter(), set()

    def act(self, book):
        for order_id in [o for o in self.asked if o not in self.gone]:
            if self.random.random() < 0.2:
                book.cancel_order(order_id)
        for side in (1, -1):
            for price_ticks, _ in book.top(side):
                lots = self.random.randrange(1, 400)
                order_id = book.place_order(1, side, max(1, price_ticks - side * self.random.randrange(30)), lots)
                self.asked[order_id] = lots

    def take(self, events):
        for e in events:
            if e.kind == EventKind.EVENT_TRADE:
                for order_id in {e.order_id, e.maker_id} - {0}:
                    self.filled[order_id] += e.qty_lots
                    if self.filled[order_id] == self.asked.get(order_id):
                        self.gone.add(order_id)
            elif e.kind in (EventKind.EVENT_CANCELED, EventKind.EVENT_EXPIRED):
                self.gone.add(e.order_id)

    def check(self, book):
        for order_id, lots in self.asked.items():
            resting = book.order(order_id)
            assert self.filled[order_id] <= lots
            assert (resting is None) == (order_id in self.gone)
            if resting:
                assert resting[3:] == (lots - self.filled[order_id], self.filled[order_id])


def walk(paths, names, seconds, act_every=20):
    """Play recordings as the venue does, with orders, into a feed; return (feed, player, orders)."""
    ids = {name: i for i, name in enumerate(names)}
    table = listed(ids)
    contracts = refined({name: table[name] for name in names if name in table}, paths, {})
    contracts |= unlisted([name for name in names if name not in table], paths, {}, ids)
    wanted = [contracts[name] for name in names]
    hub, feed, orders = Hub(), Feed(wanted), {name: Orders(3) for name in names}
    market = RecordedMarket(paths, {c.symbol: c.instrument for c in wanted})
    player = RecordedPlayer(wanted, hub, market, 1.0, "power3", 3.0)
    player.start(START_NS)
    for symbol, stream in itertools.product(names, ("bookTicker", "depth@100ms", "trade")):
        hub.subscribe(f"{symbol.lower()}@{stream}", feed)
    for turn in range(int(seconds * 1e9 / TURN_NS)):
        now_ns = feed.now_ns = START_NS + turn * TURN_NS
        player.advance(now_ns, FOREVER_NS)
        for name, playing in player.markets.items():
            orders[name].take(playing.drain(now_ns))
            playing.streams.flush(now_ns // 1_000_000)
            if turn % act_every == 0:
                orders[name].act(playing.book)
        for index in feed.core.ask_snapshots(now_ns):
            book, contract = player.markets[names[index]].streams.book, wanted[index]
            bids, asks = book.top(1000)
            body = answers.depth_answer(contract, book.update_id, bids, asks, book.ts_ms, now_ns // 1_000_000)
            feed.core.snapshot(index, body, now_ns, now_ns)
    feed.core.finish()
    for name, playing in player.markets.items():
        orders[name].take(playing.drain(FOREVER_NS))
    return feed, player, orders


def assert_exact(feed, player, orders, tops):
    assert feed.core.refused == 0
    for name, counters in feed.counters.items():
        counted = counters[0]
        assert (counted["gaps"], counted["crossed"], counted["resyncs"]) == (0, 0, 1), name
        assert counted["top_checked"] >= tops and counted["top_different"] == 0, name
        orders[name].check(player.markets[name].book)


@pytest.mark.parametrize("name", MARKETS)
def test_a_feed_sees_every_book_exactly_across_the_join_of_a_loop(tmp_path, name):
    made, path = invented(tmp_path, name)
    played_s = (made.items[-1].recv_ns - made.items[0].recv_ns) / 1e9
    traded = made.symbol.removesuffix("T") + "C"
    feed, player, orders = walk([path], [traded], 1.4 * played_s + 1)
    assert_exact(feed, player, orders, tops=5)
    assert len(orders[traded].filled) > 5


def test_two_markets_whose_snapshots_come_late_begin_together(tmp_path):
    _, first = invented(tmp_path, "old_keys", snapshot_at=500)
    _, second = invented(tmp_path, "doge")
    feed, player, orders = walk([first, second], ["ETHUSDC", "DOGEUSDC"], 5)
    assert_exact(feed, player, orders, tops=20)


@pytest.mark.parametrize("name", ["btc", "doge", "old_keys", "one_sided"])
@pytest.mark.parametrize("lost", [1, 40])
def test_a_gap_without_a_later_snapshot_is_bridged_by_the_tops_that_follow(tmp_path, name, lost, caplog):
    made, _ = invented(tmp_path, name)
    del made.items[600 : 600 + 40 * lost]
    deltas = [i for i, item in enumerate(made.items) if "@depth" in getattr(item, "stream", "")]
    del made.items[deltas[len(deltas) // 2]]
    path = made.write(tmp_path / "gap.jsonl")
    feed, _, _ = walk([path], [made.symbol.removesuffix("T") + "C"], 3)
    assert "the recording has a hole" in caplog.text
    for counters in feed.counters.values():
        assert (counters[0]["gaps"], counters[0]["crossed"]) == (0, 0) and counters[0]["resyncs"] == 1
    last = feed.core.instruments[0]
    assert last.sequencer.synced and counters[0]["top_different"] == 0


def test_trades_that_met_no_book_fill_nothing(tmp_path):
    made = InventedMarket(seed=2, symbol="BTCUSDT").run(300)
    made.items = [i for i in made.items if "@trade" not in getattr(i, "stream", "")]
    for _ in range(50):
        made.odd_trade()
    market = RecordedMarket(
        [made.write(tmp_path / "odd.jsonl")], {"BTCUSDC": listed({"BTCUSDC": 0})["BTCUSDC"].instrument}, loop=False
    )
    odd = [r.payload for r in market if r.kind == Kind.TRADE]
    assert len(odd) >= 45 and len({trade.origin for trade in odd}) == 4
    hub, contracts = Hub(), listed({"BTCUSDC": 0})
    player = RecordedPlayer([contracts["BTCUSDC"]], hub, market, 1.0, "power1", 1.0)
    player.start(START_NS)
    book = player.markets["BTCUSDC"].book
    for side in (1, -1):
        book.place_order(1, side, book.top(side)[0][0] - side * 5_000, 10)
    player.advance(START_NS + 10**12, FOREVER_NS)
    assert not [e for e in book.drain() if e.kind == EventKind.EVENT_TRADE]


# ---- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["cut", "broken line"])
def test_a_damaged_recording_plays_up_to_there_and_says_so(tmp_path, damage, caplog, monkeypatch):
    monkeypatch.setattr(recorded, "PROBED_FRAMES", 500)
    _, path = invented(tmp_path, "btc", "jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    tail = [lines[1500][:50]] if damage == "cut" else [b"17 {\n", *lines[1501:]]
    path.write_bytes(b"".join([*lines[:1500], *tail]))
    instruments = {"BTCUSDC": listed({"BTCUSDC": 0})["BTCUSDC"].instrument}
    played = list(RecordedMarket([path], instruments, loop=False))
    assert len(played) > 1400
    assert f"{path}:1501: " in caplog.text and "the recorded market ends there" in caplog.text
    looped = list(itertools.islice(RecordedMarket([path], instruments, loop=True), 3 * len(played)))
    assert looped[-1].ts_ns > 2 * played[-1].ts_ns


def test_damage_before_a_market_can_begin_is_refused(tmp_path):
    _, path = invented(tmp_path, "btc", "jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5]) + b"17 {\n")
    with pytest.raises(RecordingError) as refused:
        list(RecordedMarket([path], {"BTCUSDC": listed({"BTCUSDC": 0})["BTCUSDC"].instrument}))
    assert str(refused.value).startswith(f"{path}:6: ")


def test_messages_without_a_time_of_the_venue_are_played_by_the_receivers_clock(tmp_path):
    made, _ = invented(tmp_path, "btc")
    for i, item in enumerate(made.items):
        body = msgspec.json.decode(item.payload)
        body.pop("E")
        body.pop("T")
        payload = msgspec.json.encode(body)
        made.items[i] = item._replace(payload=payload)
        if isinstance(item, Frame):
            raw = b'{"stream":"%b","data":%b}' % (item.stream.encode(), payload)
            made.items[i] = item._replace(payload=payload, raw=raw)
    path = made.write(tmp_path / "timeless.jsonl.gz")
    records_ = list(RecordedMarket([path], {"BTCUSDC": listed({"BTCUSDC": 0})["BTCUSDC"].instrument}, loop=False))
    assert records_[-1].ts_ns > 0.8 * (made.items[-1].recv_ns - made.items[0].recv_ns)


# ---- the real ones, made harder -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "speed", "symbol", "ticks", "traded"),
    [
        ("btcusdt", 1.8, "", (1, 540_562, 1), "BTCUSDC"),
        ("ethusdt", 5.0, "ADAUSDT", (2, 0, 5), "ADAUSDC"),
        ("btcusdt", 5.0, "SOLUSDT", (1, 0, 4), "SOLUSDC"),
    ],
)
def test_real_markets_elsewhere_and_faster_stay_exact(recordings, tmp_path, source, speed, symbol, ticks, traded):
    path = recordings / f"{source}-2024-07-18T2357.jsonl.gz"
    items = transformed(path, speed, symbol, ticks, keys_2026=True, limit=4000)
    made = write(items, tmp_path / "made.ws.txt.gz")
    (result,) = check(made)
    assert result.problems == () and result.messages == len(items) - 1
    assert_exact(*walk([made], [traded], 8), tops=50)


def test_the_mark_follows_a_jump_of_several_percent_within_seconds():
    contract = listed({"BTCUSDC": 0})["BTCUSDC"]
    market = OverlaidMarket(contract, Hub(), "power3", 3.0)
    market.book.snapshot(1, [(1_000_000, 5)], [(1_000_001, 5)])
    mark = Mark(market, 0)
    market.book.snapshot(2, [(1_050_000, 5)], [(1_050_001, 5)])
    for second in range(1, 11):
        mark.update(second * 1000)
    jumped_e8 = 1_050_000 * mark.tick_e8
    assert abs(mark.mark_e8 / jumped_e8 - 1) < 0.01
