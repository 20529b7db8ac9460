"""What the streams of a contract, and of all contracts, send and when; time is the test's."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phx._core.enums import TradeOrigin
from phx.sim.contracts import listed
from phx.sim.streams.all_markets import AllMarkets
from phx.sim.streams.hub import Hub
from phx.sim.streams.klines import INTERVALS
from phx.sim.streams.market_wire import Liquidation
from phx.sim.streams.streams import SymbolStreams

CONTRACTS = listed({})
START_MS = 1_795_000_000_000  # a whole minute and a multiple of 5 s
MARKET, RPI = TradeOrigin.ORIGIN_MARKET, TradeOrigin.ORIGIN_RPI
assert START_MS % 60_000 == 40_000


class Ear:
    """Hears streams; keeps (stream, decoded message)."""

    def __init__(self, hub: Hub, *streams: str):
        self.heard = []
        for stream in streams:
            hub.subscribe(stream, self)

    def send(self, stream: str, payload: bytes) -> None:
        self.heard.append((stream, msgspec.json.decode(payload)))

    def of(self, stream: str) -> list:
        return [message for name, message in self.heard if name == stream]


class Market:
    """BTCUSDC and ETHUSDC at rest; `until` lets time pass as the venue's clock does, every 5 ms."""

    def __init__(self):
        self.hub = Hub()
        self.btc, self.eth = (SymbolStreams(CONTRACTS[s], self.hub) for s in ("BTCUSDC", "ETHUSDC"))
        self.all = AllMarkets(self.hub, [self.btc, self.eth])
        self.now_ms = START_MS
        self.ids = itertools.count(1000)
        for streams in (self.btc, self.eth):
            streams.on_book(999, [(100, 5), (99, 5)], [(102, 5), (103, 5)], START_MS)

    def until(self, now_ms: int, each=lambda now_ms: None) -> None:
        for at_ms in range(self.now_ms, now_ms, 5):
            self.now_ms = at_ms
            each(at_ms)
            for streams in (self.btc, self.eth):
                streams.flush(self.now_ms)
                if self.now_ms % 1000 == 0:
                    streams.on_mark(10**8, 10**8, 10_000, START_MS + 10**6, self.now_ms, self.now_ms % 3000 == 0)
            self.all.flush(self.now_ms)
        self.now_ms = now_ms

    def trade(self, streams, ticks: int, lots: int = 1, taker: int = 1, origin=MARKET, at_ms: int = 0) -> None:
        at_ms = at_ms or self.now_ms
        streams.on_trade(next(self.ids), ticks, lots, taker, origin, at_ms, at_ms)

    def change(self, streams, bids, asks) -> None:
        last_id = streams.book.update_id
        self.jump = next(self.ids) + 5
        streams.on_diff(last_id + 2, last_id + 7, last_id, bids, asks, self.now_ms, self.now_ms)


def gaps(messages: list) -> set[int]:
    return {b["E"] - a["E"] for a, b in itertools.pairwise(messages)}


DIFFS = {
    "depth@0ms": 0,
    "depth@100ms": 100,
    "depth": 250,
    "depth@500ms": 500,
    "rpiDepth@500ms": 500,
}


@pytest.mark.parametrize(("name", "interval_ms"), DIFFS.items())
def test_a_diff_stream_of_any_speed_is_an_unbroken_chain_that_gives_the_same_book(name, interval_ms):
    market = Market()
    ear = Ear(market.hub, f"btcusdc@{name}")

    def each(now_ms):
        if now_ms % 15 == 0 and now_ms < START_MS + 3000:
            ticks = now_ms // 15 % 7
            market.change(market.btc, [(95 + ticks, now_ms // 15 % 3)], [(102 + ticks, now_ms // 15 % 2)])

    market.until(START_MS + 4000, each)
    events = ear.of(f"btcusdc@{name}")
    assert interval_ms == 0 or gaps(events) == {interval_ms}
    assert len(events) >= 6
    sides, last = ({100: 5, 99: 5}, {102: 5, 103: 5}), 999
    c = market.btc.contract.instrument
    for event in events:
        assert list(event) == ["e", "E", "T", "s", "ps", "U", "u", "pu", "b", "a", "st"]
        assert event["pu"] == last < event["U"] <= event["u"]
        assert event["T"] <= event["E"] < event["T"] + max(interval_ms, 1) + 5
        last = event["u"]
        for side, rows in zip(sides, (event["b"], event["a"]), strict=True):
            prices = [c.ticks(price) for price, _ in rows]
            assert prices == sorted(set(prices))
            for price, qty in rows:
                side[c.ticks(price)] = c.lots(qty)
    assert last == market.btc.book.update_id
    for side, rows in zip(sides, market.btc.book.top(100), strict=True):
        assert {ticks: lots for ticks, lots in side.items() if lots} == dict(rows)


ROWS = st.dictionaries(st.integers(1, 8), st.integers(0, 3), max_size=3).map(lambda rows: sorted(rows.items()))


@given(st.lists(st.tuples(st.integers(0, 180), ROWS, ROWS, st.booleans()), min_size=1, max_size=25))
def test_whenever_frames_go_out_a_book_made_of_them_is_the_books_of_their_numbers(steps):
    market = Market()
    names = {"depth@0ms", "depth@100ms", "depth", "depth@500ms", "depth5@100ms"}
    ear = Ear(market.hub, *(f"btcusdc@{name}" for name in names))
    books, c = {}, market.btc.contract.instrument
    for wait_ms, bids, asks, flushed in steps:
        market.now_ms += wait_ms
        market.change(market.btc, bids, [(ticks + 100, lots) for ticks, lots in asks])
        books[market.btc.book.update_id] = market.btc.book.top(1000)
        if flushed:
            market.btc.flush(market.now_ms)
    for later_ms in (600, 1200):
        market.btc.flush(market.now_ms + later_ms)
    for name in names:
        sides, last = ({100: 5, 99: 5}, {102: 5, 103: 5}), 999
        for event in ear.of(f"btcusdc@{name}"):
            assert event["pu"] == last
            last = event["u"]
            rows = [[(c.ticks(price), c.lots(qty)) for price, qty in event[side]] for side in "ba"]
            if name == "depth5@100ms":
                assert rows == [side[:5] for side in books[last]]
                continue
            for side, changes in zip(sides, rows, strict=True):
                side.update(changes)
            held = [{ticks: lots for ticks, lots in side.items() if lots} for side in sides]
            assert held == [dict(side) for side in books[last]]
        assert last == market.btc.book.update_id


def test_who_comes_late_is_in_the_same_chain_as_all_others():
    market = Market()
    first = Ear(market.hub, "btcusdc@depth@100ms")
    each = lambda now_ms: market.change(market.btc, [(90, now_ms % 9 + 1)], [])  # noqa: E731
    market.until(START_MS + 250, each)
    late = Ear(market.hub, "btcusdc@depth@100ms", "btcusdc@depth@500ms")
    market.until(START_MS + 1250, each)
    heard = late.of("btcusdc@depth@100ms")
    assert heard == first.of("btcusdc@depth@100ms")[-len(heard) :]
    slow = late.of("btcusdc@depth@500ms")
    # Faster and slower frames end at the same ids where their times meet.
    assert {event["u"] for event in slow} <= {event["u"] for event in heard}
    assert all(a["u"] == b["pu"] for a, b in itertools.pairwise(slow))


@pytest.mark.parametrize("levels", [5, 10, 20])
@pytest.mark.parametrize(("suffix", "interval_ms"), [("@100ms", 100), ("", 250), ("@500ms", 500)])
def test_partial_books_are_whole_best_first_and_numbered_as_the_diffs(levels, suffix, interval_ms):
    market = Market()
    market.btc.on_book(999, [(t, 5) for t in range(100, 50, -1)], [(t, 5) for t in range(102, 150)], START_MS)
    name = f"btcusdc@depth{levels}{suffix}"
    diff_name = f"btcusdc@depth{suffix}"
    ear = Ear(market.hub, name, diff_name)
    market.until(START_MS + 1500, lambda now_ms: market.change(market.btc, [(97, now_ms % 9)], [(101, now_ms % 2)]))
    events = ear.of(name)
    assert gaps(events) == {interval_ms}
    diffs = ear.of(diff_name)
    assert [(e["U"], e["u"], e["pu"], e["T"], e["E"]) for e in events] == [
        (e["U"], e["u"], e["pu"], e["T"], e["E"]) for e in diffs
    ]
    for event in events:
        bids, asks = ([float(price) for price, _ in event[side]] for side in "ba")
        assert (len(bids), len(asks)) == (levels, levels)
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert bids[0] < asks[0]
        assert not any(float(qty) == 0 for side in "ba" for _, qty in event[side])


def test_the_usual_speed_has_no_name_of_its_own():
    market = Market()
    ear = Ear(market.hub, "btcusdc@depth@250ms", "btcusdc@depth5@250ms", "BTCUSDC@depth")
    market.until(START_MS + 1000, lambda now_ms: market.change(market.btc, [(97, now_ms % 9)], []))
    assert ear.heard == []


def test_a_quiet_book_says_nothing():
    market = Market()
    ear = Ear(market.hub, *(f"btcusdc@{name}" for name in DIFFS), "btcusdc@depth5", "btcusdc@bookTicker")
    market.until(START_MS + 2000)
    assert ear.heard == []


def test_best_prices_come_at_once_and_of_all_contracts_every_five_seconds_if_they_changed():
    market = Market()
    ear = Ear(market.hub, "btcusdc@bookTicker", "!bookTicker")
    market.until(START_MS + 12_000, lambda now_ms: now_ms == START_MS + 6000 and market.btc.on_top(
        1007, (101, 2), (102, 5), now_ms - 1, now_ms
    ))  # fmt: skip
    (own,) = ear.of("btcusdc@bookTicker")
    assert (own["u"], own["T"], own["E"]) == (1007, START_MS + 5999, START_MS + 6000)
    told = [(e["s"], e["u"], e["E"] - START_MS) for e in ear.of("!bookTicker")]
    assert told == [("BTCUSDC", 999, 0), ("ETHUSDC", 999, 0), ("BTCUSDC", 1007, 10_000)]


def test_mark_prices_come_each_second_or_every_third_alone_or_together():
    market = Market()
    names = "btcusdc@markPrice@1s", "btcusdc@markPrice", "!markPrice@arr@1s", "!markPrice@arr"
    ear = Ear(market.hub, *names)
    market.until(START_MS + 9_500)
    assert [len(ear.of(name)) for name in names] == [10, 3, 10, 3]
    assert all(e["E"] % 3000 == 0 for e in ear.of("btcusdc@markPrice"))
    for array, alone in ((names[2], names[0]), (names[3], names[1])):
        assert [[e["s"] for e in rows] for rows in ear.of(array)] == [["BTCUSDC", "ETHUSDC"]] * len(ear.of(array))
        assert [rows[0] for rows in ear.of(array)] == ear.of(alone)


@pytest.mark.parametrize("kind", ["ticker", "miniTicker"])
def test_tickers_tell_of_contracts_that_traded_since_the_last_time(kind):
    market = Market()
    array, alone = f"!{kind}@arr", f"btcusdc@{kind}"
    ear = Ear(market.hub, array, alone)

    def each(now_ms):
        if now_ms in (START_MS + 500, START_MS + 2500, START_MS + 3500):
            market.trade(market.btc, 101)
        if now_ms == START_MS + 2600:
            market.trade(market.eth, 50)

    market.until(START_MS + 8_000, each)
    assert [([e["s"] for e in rows], rows[0]["E"] - START_MS) for rows in ear.of(array)] == [
        (["BTCUSDC"], 1000),
        (["BTCUSDC", "ETHUSDC"], 3000),
        (["BTCUSDC"], 4000),
    ]
    assert [e["E"] - START_MS for e in ear.of(alone)] == [2000, 4000]


def test_a_kline_is_told_four_times_a_second_when_it_traded_and_once_when_it_is_over():
    market = Market()
    ear = Ear(market.hub, "btcusdc@kline_1m", "btcusdc_perpetual@continuousKline_1m", "btcusdc@kline_1h")

    def each(now_ms):
        if now_ms < START_MS + 1000 or START_MS + 25_000 <= now_ms < START_MS + 25_100:
            market.trade(market.btc, 100 + now_ms // 5 % 3)

    market.until(START_MS + 90_000, each)  # the minute ends after 20 s, the next after 80 s
    events = ear.of("btcusdc@kline_1m")
    told = [(e["k"]["t"] - START_MS, e["E"] - START_MS, e["k"]["x"]) for e in events]
    assert told == [
        *((-40_000, at, False) for at in (0, 250, 500, 750, 1000)),
        (-40_000, 20_250, True),
        (20_000, 25_000, False),
        (20_000, 25_250, False),
        (20_000, 80_250, True),
    ]
    before, closed = events[4]["k"], events[5]["k"]
    assert {**closed, "x": False} == before
    assert (closed["n"], closed["v"], closed["o"], closed["h"], closed["l"]) == (200, "0.200", "10.2", "10.2", "10.0")
    continuous = ear.of("btcusdc_perpetual@continuousKline_1m")
    assert [(e["k"]["t"], e["k"]["x"]) for e in continuous] == [(e["k"]["t"], e["k"]["x"]) for e in events]
    assert not any(e["k"]["x"] for e in ear.of("btcusdc@kline_1h"))
    kept = market.btc.tape.klines.query("1m", market.now_ms)
    assert [(c.open_ms, c.trades) for c in kept][:2] == [(e["k"]["t"], e["k"]["n"]) for e in (events[5], events[8])]


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_interval_has_its_streams(interval):
    market = Market()
    names = f"btcusdc@kline_{interval}", f"btcusdc_perpetual@continuousKline_{interval}"
    ear = Ear(market.hub, *names)
    market.trade(market.btc, 100)
    market.until(START_MS + 2500)
    assert {e["k"]["i"] for _, e in ear.heard} == {interval}
    # By the second there are only continuous klines.
    assert bool(ear.of(names[0])) == (interval != "1s")
    assert ear.of(names[1])


def test_of_liquidations_within_a_second_the_largest_is_told_at_its_end():
    market = Market()
    ear = Ear(market.hub, "btcusdc@forceOrder", "!forceOrder@arr", "ethusdc@forceOrder")

    def each(now_ms):
        lots = {500: 7, 600: 3, 900: 9, 950: 4, 1400: 5, 4000: 2}.get(now_ms - START_MS)
        if lots:
            market.btc.on_liquidation(Liquidation(-1, lots, 90, 95 * lots, 1, now_ms))

    market.until(START_MS + 6_000, each)
    told = [(e["E"] - START_MS, e["o"]["q"], e["o"]["z"], e["o"]["l"]) for e in ear.of("btcusdc@forceOrder")]
    assert told == [(1500, "0.009", "0.009", "0.001"), (5000, "0.002", "0.002", "0.001")]
    assert ear.of("!forceOrder@arr") == ear.of("btcusdc@forceOrder")
    assert ear.of("ethusdc@forceOrder") == []


def test_contract_news_carry_brackets_only_when_these_changed():
    market = Market()
    ear = Ear(market.hub, "!contractInfo")
    market.all.publish_contract(CONTRACTS["BTCUSDC"], START_MS)
    market.all.publish_contract(CONTRACTS["BTCUSDC"], START_MS, with_brackets=True)
    status, brackets = ear.of("!contractInfo")
    assert list(status) == ["e", "E", "s", "ps", "ct", "dt", "ot", "cs", "st"]
    assert list(brackets) == [*list(status)[:-1], "bks", "st"]
    rows = brackets["bks"]
    assert [row["bs"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(a["bnc"] == b["bnf"] and a["mi"] == b["ma"] + 1 for a, b in itertools.pairwise(rows))
    assert (rows[0]["bnf"], rows[0]["cf"], rows[-1]["mi"]) == (0, 0, 1)


def test_retail_trades_are_told_as_such_and_no_aggregate_before_its_time():
    market = Market()
    ear = Ear(market.hub, "btcusdc@trade", "btcusdc@aggTrade")
    market.trade(market.btc, 101, 5)
    market.trade(market.btc, 101, 3, origin=RPI)
    market.until(START_MS + 100)
    assert [(e["q"], e["X"]) for e in ear.of("btcusdc@trade")] == [("0.005", "MARKET"), ("0.003", "RPI")]
    assert ear.of("btcusdc@aggTrade") == []
    market.until(START_MS + 150)
    ((told),) = ear.of("btcusdc@aggTrade")
    assert (told["q"], told["nq"], told["E"] - told["T"]) == ("0.008", "0.005", 100)


# ---- what is documented -----------------------------------------------------------------------------------------

# Key orders of the wire where they are known; the documentation lists keys in another order.
ORDERS = {
    "bookTicker": "e u s ps b B a A T E st",
    "depthUpdate": "e E T s ps U u pu b a st",
    "aggTrade": "e E a s p q nq f l T m st",
    "markPriceUpdate": "e E s p ap P i r T st",
    "24hrTicker": "e E s ps p P w c Q o h l v q O C F L n st",
    "24hrMiniTicker": "e E s ps c o h l v q st",
    "kline": "e E s k",
    "kline.k": "t T s i f L o c h l v n x q V Q B",
    "continuous_kline": "e E ps ct k",
    "continuous_kline.k": "t T i f L o c h l v n x q V Q B",
    "forceOrder": "e E o",
    "forceOrder.o": "s S o f q p ap X l z T ps st",
    "contractInfo": "e E s ps ct dt ot cs bks st",
}
DOCUMENTED = {
    "aggregate_trade_streams": "btcusdc@aggTrade",
    "all_book_tickers_stream": "!bookTicker",
    "all_market_liquidation_order_streams": "!forceOrder@arr",
    "all_market_mini_tickers_stream": "!miniTicker@arr",
    "all_market_tickers_streams": "!ticker@arr",
    "continuous_contract_kline_candlestick_streams": "btcusdc_perpetual@continuousKline_1m",
    "contract_info_stream": "!contractInfo",
    "diff_book_depth_streams": "btcusdc@depth",
    "individual_symbol_book_ticker_streams": "btcusdc@bookTicker",
    "individual_symbol_mini_ticker_stream": "btcusdc@miniTicker",
    "individual_symbol_ticker_streams": "btcusdc@ticker",
    "kline_candlestick_streams": "btcusdc@kline_1m",
    "liquidation_order_streams": "btcusdc@forceOrder",
    "mark_price_stream": "btcusdc@markPrice",
    "mark_price_stream_for_all_market": "!markPrice@arr",
    "partial_book_depth_streams": "btcusdc@depth5",
    "rpi_diff_book_depth_streams": "btcusdc@rpiDepth@500ms",
}
# Nothing here is listed that they could speak of: as on the venue they are acknowledged and silent.
SILENT = {
    "asset_index": "!assetIndex@arr",
    "composite_index_symbol_information_streams": "defiusdt@compositeIndex",
    "trading_session_stream": "tradingSession",
}


def leaves(value, path="", types=None) -> dict:
    """Return path → kind of every value of a message; rows of lists are one."""
    types = {} if types is None else types
    if isinstance(value, dict):
        for name, inner in value.items():
            leaves(inner, f"{path}.{name}", types)
    elif isinstance(value, list):
        for inner in value[:1]:
            leaves(inner, path + "[]", types)
    else:
        types[path] = "number" if type(value) in (int, float) else type(value).__name__
    return types


def one_of_everything(*streams: str) -> Ear:
    market = Market()
    ear = Ear(market.hub, *streams)
    market.btc.on_top(1001, (100, 1), (102, 5), START_MS, START_MS)
    market.change(market.btc, [(100, 1)], [(102, 5)])
    market.trade(market.btc, 101)
    market.btc.on_liquidation(Liquidation(-1, 5, 90, 475, 1, START_MS))
    market.all.publish_contract(CONTRACTS["BTCUSDC"], START_MS, with_brackets=True)
    market.until(START_MS + 5_100)
    return ear


@pytest.mark.parametrize(("name", "stream"), DOCUMENTED.items())
def test_a_documented_message_has_its_keys_and_types(recordings, name, stream):
    path = recordings / "wire" / "sdk-docs" / "websocket_streams" / f"{name}.json"
    if not path.exists():
        pytest.skip("no documented messages beside the recordings")
    documented = leaves(msgspec.json.decode(path.read_bytes()))
    sent = one_of_everything(stream).of(stream)[0]
    found = leaves(sent)
    if "iquidation" in name:  # on the wire both stand in the order
        documented |= {".o.ps": "str", ".o.st": "number"}
        documented.pop(".ps", None)
        documented.pop(".st", None)
    if name == "contract_info_stream":
        documented[".ps"] = "str"
    assert found == documented


@pytest.mark.parametrize("stream", DOCUMENTED.values())
def test_keys_come_in_the_order_of_the_wire(stream):
    for message in one_of_everything(stream).of(stream):
        for event in message if isinstance(message, list) else [message]:
            assert " ".join(event) == ORDERS[event["e"]]
            for inner in "ko":
                if isinstance(event.get(inner), dict):
                    assert " ".join(event[inner]) == ORDERS[f"{event['e']}.{inner}"]


def test_all_documented_streams_are_sent_or_silent_on_purpose(recordings):
    folder = recordings / "wire" / "sdk-docs" / "websocket_streams"
    if not folder.exists():
        pytest.skip("no documented messages beside the recordings")
    assert {path.stem for path in folder.iterdir()} == DOCUMENTED.keys() | SILENT.keys()
    assert one_of_everything(*SILENT.values()).heard == []
