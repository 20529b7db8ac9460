"""The recorded market: continuous books, ids and times, across holes and loops.

Method: a small market is invented, written in the recorder's form with the disorder of real ones (tops overtake
deltas, the snapshot comes late, levels that were never seen are removed), and read back. The oracle is the property
of real recordings: after every delta the rebuilt best prices are those of the newest top with an id up to its own.
"""

import bisect
import itertools
import random
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.enums import Side, TradeOrigin
from phx.instruments import Instrument
from phx.recording import Frame, RecordingError, RecordingWriter, Snapshot
from phx.sim.markets.recorded import Kind, RecordedMarket, Trade, relabelled


def instrument(symbol, tick="0.1", lot="0.001"):
    size, step = Decimal(tick), Decimal(lot)
    return Instrument(symbol, 0, size, step, size, Decimal(10**7), step, Decimal(10**9), Decimal(5), 2, 3)


class MergedBook:
    """The book of a client that takes over best prices before the depth changes tell them."""

    def __init__(self, snapshot):
        self.sides, self.id, self.top = (dict(snapshot.bids), dict(snapshot.asks)), snapshot.update_id, None

    def take(self, record):
        p = record.payload
        if record.kind == Kind.TOP:
            self.top = p
        elif record.kind == Kind.DELTA:
            self.id = p.last_id
            for side, levels in zip(self.sides, (p.bids, p.asks), strict=True):
                side.update(levels)
        if self.top and self.top.update_id >= self.id:
            bids, asks = self.sides
            bids.update(dict.fromkeys([price for price in bids if price > self.top.bid_ticks], 0))
            asks.update(dict.fromkeys([price for price in asks if price < self.top.ask_ticks], 0))
            bids[self.top.bid_ticks], asks[self.top.ask_ticks] = self.top.bid_lots, self.top.ask_lots
        bid, ask = max(p for p, q in self.sides[0].items() if q), min(p for p, q in self.sides[1].items() if q)
        assert bid < ask, "never crossed"


class Client:
    """Rebuilds books from the market's records and checks everything that must always hold."""

    def __init__(self, merging=False):
        self.merging, self.merged = merging, {}
        self.books, self.ids, self.trade_ids, self.tops, self.checks = {}, {}, {}, {}, {}
        self.ts_ns = 0

    def take(self, record):
        assert record.ts_ns >= self.ts_ns
        self.ts_ns = record.ts_ns
        symbol, p = record.symbol, record.payload
        if record.kind == Kind.SNAPSHOT:
            assert symbol not in self.books, "one snapshot per symbol, ever"
            assert list(p.bids) == sorted(p.bids, reverse=True) and list(p.asks) == sorted(p.asks)
            self.books[symbol] = (dict(p.bids), dict(p.asks))
            self.ids[symbol], self.tops[symbol], self.checks[symbol] = p.update_id, [], []
            self.trade_ids[symbol] = -1
            self.merged[symbol] = MergedBook(p)
        elif record.kind == Kind.DELTA:
            assert p.prev_id == self.ids[symbol] and p.last_id > p.prev_id and p.first_id <= p.last_id
            self.ids[symbol] = p.last_id
            for side, levels in zip(self.books[symbol], (p.bids, p.asks), strict=True):
                for price_ticks, qty_lots in levels:
                    side.pop(price_ticks, None)
                    if qty_lots:
                        side[price_ticks] = qty_lots
            self.checks[symbol].append((p.last_id, self.best(symbol)))
        elif record.kind == Kind.TOP:
            assert not self.tops[symbol] or p.update_id > self.tops[symbol][-1].update_id
            self.tops[symbol].append(p)
        else:
            assert p.trade_id > self.trade_ids[symbol]
            self.trade_ids[symbol] = p.trade_id
        if self.merging:
            self.merged[symbol].take(record)

    def best(self, symbol):
        bids, asks = self.books[symbol]
        bid, ask = max(bids), min(asks)
        return bid, bids[bid], ask, asks[ask]

    def differences(self, symbol):
        """Return (deltas compared, deltas whose best differs from the newest top with an id up to theirs)."""
        ids = [top.update_id for top in self.tops[symbol]]
        found = [tuple(self.tops[symbol][bisect.bisect_right(ids, i) - 1][1:]) for i, _ in self.checks[symbol]]
        return len(found), sum(top != best for top, (_, best) in zip(found, self.checks[symbol], strict=True))


class Invented:
    """A random market, recorded.

    hole: this delta is lost, and a fresh snapshot comes three deltas later. tail: changes after the last delta.
    """

    def __init__(self, seed, symbol="BTCUSDT", start_ms=1_721_347_022_000, deltas=40, hole=None, spacing_ms=10, tail=0):
        self.random = random.Random(seed)
        self.symbol, self.ms, self.id, self.prev_id, self.trade_id = symbol, start_ms, 1000 + seed, 990 + seed, 500
        self.books = ({1000 - i: 5 for i in range(5)}, {1001 + i: 5 for i in range(5)})
        self.items, self.changed = [], ({}, {})
        # The snapshot's content is from the middle of what the first deltas tell.
        snapshot_at = self.random.randrange(1, 4)
        for number in range(deltas):
            changes = self.random.randrange(1, 4)
            for change in range(changes):
                self.step(quiet=hole is not None and hole <= number < hole + 3)
                if number == snapshot_at and change == 0:
                    self.snapshot()
            if self.random.random() < 0.5:
                self.trade()
            self.delta(lost=number == hole)
            if hole is not None and number == hole + 2:
                self.snapshot()
            self.ms += self.random.randrange(spacing_ms)
        for _ in range(tail):
            self.step()
        # Tops overtake deltas.
        for i, (item, following) in enumerate(itertools.pairwise(list(self.items))):
            if "@depth" in str(item[1]) and "@bookTicker" in str(following[1]) and self.random.random() < 0.5:
                self.items[i : i + 2] = following, item

    def frame(self, stream, **data):
        # The clock of the receiver is behind, and messages arrive a little out of order by E.
        event_ms = self.ms - self.random.randrange(3)
        body = msgspec.json.encode({"E": event_ms, "T": event_ms, "s": self.symbol} | data)
        name = f"{self.symbol.lower()}@{stream}"
        raw = b'{"stream":"%b","data":%b}' % (name.encode(), body)
        self.items.append(Frame(event_ms * 1_000_000 - 10**9, name, body, raw))

    def step(self, quiet=False):
        """Change one level; tell the new best prices if they changed."""
        before = self.best()
        side = self.random.randrange(2)
        bids, asks = self.books
        self.id += self.random.randrange(1, 5)
        book, sign = self.books[side], -1 if side else 1
        best = max(bids) if side == 0 else min(asks)
        price = best + sign * self.random.randrange(-5, 2)
        crossing = price >= min(asks) if side == 0 else price <= max(bids)
        qty = 0 if crossing or self.random.random() < 0.4 else self.random.randrange(1, 100)
        if price == best and len(book) == 1:
            qty = 7
        book.pop(price, None)
        if qty:
            book[price] = qty
        self.changed[side][price] = qty
        if self.best() != before and not quiet:
            (bid, bid_qty), (ask, ask_qty) = self.best()
            numbers = {"b": px(bid), "B": lots(bid_qty), "a": px(ask), "A": lots(ask_qty)}
            self.frame("bookTicker", e="bookTicker", u=self.id, **numbers)

    def best(self):
        bids, asks = self.books
        return (max(bids), bids[max(bids)]), (min(asks), asks[min(asks)])

    def snapshot(self):
        bids, asks = (
            [[px(p), lots(q)] for p, q in sorted(b.items(), reverse=r)] for b, r in zip(self.books, (1, 0), strict=True)
        )
        body = {"lastUpdateId": self.id, "E": self.ms, "T": self.ms, "bids": bids, "asks": asks}
        self.items.append(Snapshot(self.ms * 1_000_000, self.symbol, msgspec.json.encode(body)))

    def trade(self):
        self.trade_id += 1
        self.frame("trade", e="trade", t=self.trade_id, p=px(1000), q="0.002", X="MARKET", m=True)

    def delta(self, lost=False):
        bids, asks = ([[px(p), lots(q)] for p, q in sorted(changed.items())] for changed in self.changed)
        if not lost:
            self.frame("depth@0ms", e="depthUpdate", U=self.prev_id + 1, u=self.id, pu=self.prev_id, b=bids, a=asks)
        self.prev_id, self.changed = self.id, ({}, {})

    def write(self, path):
        with RecordingWriter(path) as writer:
            for item in self.items:
                writer.write(item)
        return path


def px(ticks):
    return f"{ticks // 10}.{ticks % 10}0"


def lots(qty):
    return f"0.{qty:03d}"


@pytest.mark.parametrize("seed", range(40))
def test_books_stay_exact_and_gap_free_over_three_passes(tmp_path, seed):
    paths = [
        Invented(seed, "BTCUSDT", tail=seed % 6).write(tmp_path / "b.jsonl.gz"),
        Invented(seed + 100, "ETHUSDT", 1_721_347_022_020, tail=seed % 5).write(tmp_path / "e.jsonl.gz"),
    ]
    market = RecordedMarket(paths, {s: instrument(s) for s in ("BTCUSDC", "ETHUSDC")}, loop=True)
    once = len(list(RecordedMarket(paths, market.instruments, loop=False)))
    client = Client(merging=True)
    for record in itertools.islice(market, 3 * once):
        client.take(record)
    for symbol in market.instruments:
        compared, different = client.differences(symbol)
        assert compared > 40 and different == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_hole_is_joined_by_one_delta_at_the_next_snapshot(tmp_path, seed, caplog):
    path = Invented(seed, hole=20).write(tmp_path / "b.jsonl.gz")
    client = Client()
    for record in RecordedMarket([path], {"BTCUSDT": instrument("BTCUSDT")}, loop=False):
        client.take(record)
    compared, different = client.differences("BTCUSDT")
    assert different == 0 and compared > 30
    assert "the recording has a hole" in caplog.text


def test_a_hole_without_a_later_snapshot_lasts_until_the_next_pass(tmp_path, caplog):
    invented = Invented(4, hole=20)
    invented.items.pop(max(i for i, item in enumerate(invented.items) if isinstance(item, Snapshot)))
    market = RecordedMarket([invented.write(tmp_path / "b.jsonl.gz")], {"BTCUSDT": instrument("BTCUSDT")}, loop=True)
    client = Client()
    for record in itertools.islice(market, 300):
        client.take(record)
    compared, different = client.differences("BTCUSDT")
    assert different == 0 and compared > 60
    assert caplog.text.count("the recording has a hole") == caplog.text.count("expected") >= 3, "one per pass"


def test_a_snapshot_older_than_the_first_delta_is_not_used(tmp_path, caplog):
    invented = Invented(4)
    stale = {"lastUpdateId": 5, "E": 1, "T": 1, "bids": [["1.0", "1"]], "asks": [["2.0", "1"]]}
    at = next(i for i, item in enumerate(invented.items) if "@depth" in getattr(item, "stream", "")) + 1
    invented.items.insert(at, Snapshot(1, "BTCUSDT", msgspec.json.encode(stale)))
    path = invented.write(tmp_path / "b.jsonl.gz")
    records = list(RecordedMarket([path], {"BTCUSDT": instrument("BTCUSDT")}, loop=False))
    assert [r.payload.update_id > 5 for r in records if r.kind == Kind.SNAPSHOT] == [True]
    assert not caplog.text


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_the_last_book_is_the_one_that_was_recorded(tmp_path_factory, seed):
    invented = Invented(seed)
    path = invented.write(tmp_path_factory.mktemp("recorded") / "b.jsonl.gz")
    client = Client()
    for record in RecordedMarket([path], {"BTCUSDT": instrument("BTCUSDT")}, loop=False):
        client.take(record)
    assert client.books["BTCUSDT"] == invented.books


def test_all_snapshots_come_first_and_time_begins_with_the_last_of_them(tmp_path):
    paths = [
        Invented(1, "BTCUSDT", 1_721_347_022_000).write(tmp_path / "b.jsonl.gz"),
        Invented(2, "ETHUSDT", 1_721_347_022_150).write(tmp_path / "e.jsonl.gz"),
    ]
    records = list(RecordedMarket(paths, {s: instrument(s) for s in ("BTCUSDT", "ETHUSDT")}, loop=False))
    assert [(r.kind, r.ts_ns) for r in records[:2]] == [(Kind.SNAPSHOT, 0)] * 2
    early = [r.kind for r in records if r.symbol == "BTCUSDT" and r.ts_ns == 0]
    assert set(early[1:]) == {Kind.TOP}, "what happened before the second symbol had a book is in the first one's"
    assert all(r.ts_ns > 0 for r in records[-10:])


def test_the_market_ends_with_the_first_recording_that_ends(tmp_path):
    paths = [
        Invented(1, "BTCUSDT", deltas=20).write(tmp_path / "b.jsonl.gz"),
        Invented(2, "ETHUSDT", deltas=200).write(tmp_path / "e.jsonl.gz"),
    ]
    records = list(RecordedMarket(paths, {s: instrument(s) for s in ("BTCUSDT", "ETHUSDT")}, loop=False))
    last = {r.symbol: r.ts_ns for r in records}
    assert abs(last["BTCUSDT"] - last["ETHUSDT"]) < 20_000_000


def test_one_recording_may_serve_a_traded_and_a_watched_symbol(tmp_path):
    path = Invented(3).write(tmp_path / "b.jsonl.gz")
    records = list(RecordedMarket([path], {s: instrument(s) for s in ("BTCUSDC", "BTCUSDT")}, loop=False))
    told = {symbol: [(r.kind, r.payload) for r in records if r.symbol == symbol] for symbol in ("BTCUSDC", "BTCUSDT")}
    assert told["BTCUSDC"] == told["BTCUSDT"] != []


def test_an_iteration_starts_anew(tmp_path):
    path = Invented(3).write(tmp_path / "b.jsonl.gz")
    market = RecordedMarket([path], {"BTCUSDT": instrument("BTCUSDT")}, loop=False)
    assert list(market) == list(market)


def trades_of(tmp_path, *events):
    invented = Invented(5, deltas=10)
    for event in events:
        invented.frame(event.pop("stream", "trade"), **event)
    path = invented.write(tmp_path / "b.jsonl.gz")
    records = RecordedMarket([path], {"BTCUSDT": instrument("BTCUSDT")}, loop=False)
    return [r.payload for r in records if r.kind == Kind.TRADE and r.payload.trade_id > 1000]


def test_trades_keep_their_origin_and_aggressor(tmp_path):
    def event(n, x, m=False, p="100.00", q="0.005"):
        return {"e": "trade", "t": n, "p": p, "q": q, "X": x, "m": m}

    assert trades_of(
        tmp_path,
        event(2001, "MARKET", m=True),
        event(2002, "RPI"),
        event(2003, "INSURANCE_FUND", p="55.5678"),
        event(2004, "NA", p="0", q="0"),
        event(2005, "ADL"),
        event(2006, "SOMETHING_NEW"),
    ) == [
        Trade(2001, 1000, 5, Side.SELL, TradeOrigin.ORIGIN_MARKET),
        Trade(2002, 1000, 5, Side.BUY, TradeOrigin.ORIGIN_RPI),
        Trade(2003, 555, 5, Side.BUY, TradeOrigin.ORIGIN_INSURANCE),
        Trade(2004, 0, 0, Side.BUY, TradeOrigin.ORIGIN_NONE),
        Trade(2005, 1000, 5, Side.BUY, TradeOrigin.ORIGIN_LIQUIDATION),
        Trade(2006, 1000, 5, Side.BUY, TradeOrigin.ORIGIN_UNKNOWN),
    ]


def test_aggregated_trades_count_only_where_single_ones_are_not_recorded(tmp_path):
    aggregated = {"stream": "aggTrade", "e": "aggTrade", "a": 9, "p": "100.00", "q": "0.005", "f": 1999, "l": 2001}
    assert trades_of(tmp_path, aggregated | {"m": False}) == []
    invented = Invented(5, deltas=10)
    invented.items = [item for item in invented.items if "@trade" not in getattr(item, "stream", "")]
    invented.frame(**aggregated, m=False)
    path = invented.write(tmp_path / "a.jsonl.gz")
    records = RecordedMarket([path], {"BTCUSDT": instrument("BTCUSDT")}, loop=False)
    trades = [r.payload for r in records if r.kind == Kind.TRADE]
    assert trades == [Trade(2001, 1000, 5, Side.BUY, TradeOrigin.ORIGIN_MARKET)]


@pytest.mark.parametrize(
    ("tick", "lot", "problem"), [("0.5", "0.001", "no multiple of 0.5"), ("0.1", "0.1", "no multiple of 0.1")]
)
def test_a_price_or_quantity_off_the_grid_is_named_with_file_and_line(tmp_path, tick, lot, problem):
    path = Invented(1).write(tmp_path / "b.jsonl.gz")
    market = RecordedMarket([path], {"BTCUSDT": instrument("BTCUSDT", tick, lot)}, loop=False)
    with pytest.raises(RecordingError) as refused:
        list(market)
    assert str(refused.value).startswith(f"{path}:") and problem in str(refused.value)


def test_a_recording_without_a_snapshot_is_refused(tmp_path):
    invented = Invented(1)
    invented.items = [item for item in invented.items if isinstance(item, Frame)]
    path = invented.write(tmp_path / "b.jsonl.gz")
    with pytest.raises(RecordingError, match="no depth snapshot that fits the deltas of BTCUSDT"):
        list(RecordedMarket([path], {"BTCUSDT": instrument("BTCUSDT")}))


@pytest.mark.parametrize(
    ("recorded", "wanted", "relabel", "expected"),
    [
        (["BTCUSDT"], ["BTCUSDC"], {}, {"BTCUSDT": ["BTCUSDC"]}),
        (["BTCUSDT"], ["BTCUSDC", "BTCUSDT"], {}, {"BTCUSDT": ["BTCUSDC", "BTCUSDT"]}),
        (["BTCUSDT", "BTCUSDC"], ["BTCUSDC", "BTCUSDT"], {}, {"BTCUSDT": ["BTCUSDT"], "BTCUSDC": ["BTCUSDC"]}),
        (["BTCUSDT", "KSMUSDT"], ["BTCUSDT"], {}, {"BTCUSDT": ["BTCUSDT"], "KSMUSDT": []}),
        (["KSMUSDT"], ["BTCUSDC"], {"KSMUSDT": "BTCUSDC"}, {"KSMUSDT": ["BTCUSDC"]}),
        (["BTCUSDT"], ["ETHUSDC"], {}, "ETHUSDC is in none of the recordings, which hold BTCUSDT"),
        (["BTCUSDT", "BTCUSDT"], ["BTCUSDC"], {}, "BTCUSDC is in two recordings"),
        ([], ["BTCUSDC"], {}, "hold nothing"),
    ],
)
def test_every_wanted_symbol_has_one_source(recorded, wanted, relabel, expected):
    if isinstance(expected, str):
        with pytest.raises(RecordingError, match=expected):
            relabelled(recorded, wanted, relabel)
    else:
        assert relabelled(recorded, wanted, relabel) == expected


def test_recorded_books_equal_every_top_across_a_loop(recordings):
    names = {"BTCUSDC": instrument("BTCUSDC"), "ETHUSDC": instrument("ETHUSDC", "0.01")}
    paths = [recordings / f"{symbol}usdt-2024-07-18T2357.jsonl.gz" for symbol in ("btc", "eth")]
    client = Client()
    for record in RecordedMarket(paths, names, loop=True):
        if record.ts_ns > 490_000_000_000:  # ten seconds into the second pass
            break
        client.take(record)
    for symbol in names:
        compared, different = client.differences(symbol)
        assert compared > 9000 and different == 0


def test_recorded_text_form_with_four_symbols_equals_every_top(recordings):
    steps = {"KSMUSDT": ("0.001", "0.1"), "YFIUSDT": ("0.1", "0.001"), "DENTUSDT": ("0.000001", "1")}
    names = {symbol: instrument(symbol, *step) for symbol, step in (steps | {"XMRUSDT": ("0.01", "0.001")}).items()}
    client = Client()
    for record in RecordedMarket([recordings / "alts-2021-04-17T1637.ws.txt.gz"], names, loop=True):
        if record.ts_ns > 60_000_000_000:
            break
        client.take(record)
    for symbol in names:
        compared, different = client.differences(symbol)
        assert compared > 200 and different == 0
