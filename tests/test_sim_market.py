"""Both markets at play without sockets: what clients are told is consistent, and orders fill as the tape allows."""

import contextlib
import random
from decimal import Decimal
from functools import partial

import msgspec
import pytest

from phx.instruments import ONE_E8
from phx.sim.contracts import listed
from phx.sim.exchange.account import Account
from phx.sim.exchange.exchange import Exchange
from phx.sim.markets.market import FIRST_ORDER_ID, first_id
from phx.sim.markets.recorded import Book, Delta, Kind, Recorded, RecordedMarket, Top, Trade
from phx.sim.markets.recorded_market import RecordedPlayer
from phx.sim.markets.synthetic_market import SyntheticPlayer
from phx.sim.refusals import Refused
from phx.sim.streams.depth import DiffBatch, PublicBook
from phx.sim.streams.hub import Hub, path_of

CONTRACTS = listed({"BTCUSDC": 0, "ETHUSDC": 1})
START_NS = 1_795_000_000_000_000_000
FOREVER_NS = 2**62
MS = 1_000_000


class Ear:
    """A listener of the hub that keeps what it hears, per stream."""

    def __init__(self, hub: Hub, *streams: str):
        self.heard = []
        for stream in streams:
            hub.subscribe(stream, self)

    def send(self, stream: str, payload: bytes) -> None:
        self.heard.append((stream, msgspec.json.decode(payload)))


def exchange_of(player, hub) -> tuple[Exchange, Account]:
    player.start(START_NS)
    exchange = Exchange(player, CONTRACTS, hub, START_NS // MS)
    account = Account(1, 10**6 * ONE_E8, ["USDC"], Decimal(0), Decimal("0.0004"))
    exchange.accounts[1] = account
    exchange.told = []
    exchange.emit = lambda _, text: exchange.told.append(msgspec.json.decode(text))
    return exchange, account


def let_pass(exchange: Exchange, seconds: float, begin_ns: int = START_NS, step_ms: int = 5) -> int:
    """Turn the venue's clock in steps, as its loop would; return the time reached."""
    for now_ns in range(begin_ns, begin_ns + int(seconds * 1e9), step_ms * MS):
        exchange.player.advance(now_ns, FOREVER_NS)
        exchange.turn(now_ns)
    return now_ns


def assert_consistent(snapshot, heard, diff_stream: str, ticker_stream: str) -> int:
    """Assert an unbroken chain of diffs, and best prices equal to the newest ticker's; return the comparisons."""
    last, bids, asks = snapshot
    sides = {"b": dict(bids), "a": dict(asks)}
    ticker, compared = None, 0
    tickers = [event for stream, event in heard if stream == ticker_stream]
    for stream, event in heard:
        if stream != diff_stream:
            continue
        assert event["pu"] == last
        assert event["U"] <= event["u"]
        last = event["u"]
        for name, side in sides.items():
            for price, qty in event[name]:
                side[Decimal(price)] = Decimal(qty)
                if not Decimal(qty):
                    del side[Decimal(price)]
        ticker = max((t for t in tickers if t["u"] <= last), key=lambda t: t["u"], default=None)
        if ticker:
            bid, ask = max(sides["b"]), min(sides["a"])
            assert (bid, sides["b"][bid]) == (Decimal(ticker["b"]), Decimal(ticker["B"]))
            assert (ask, sides["a"][ask]) == (Decimal(ticker["a"]), Decimal(ticker["A"]))
            compared += 1
    return compared


def snapshot_of(exchange, symbol):
    contract, book = CONTRACTS[symbol], exchange.player.markets[symbol].streams.book
    bids, asks = ([(Decimal(contract.price(t)), Decimal(contract.qty(q))) for t, q in rows] for rows in book.top(10**6))
    return book.update_id, bids, asks


@pytest.mark.parametrize("diff", ["depth@0ms", "depth@100ms", "depth", "depth@500ms"])
def test_synthetic_depth_and_tickers_agree_at_every_speed(diff):
    hub = Hub()
    exchange, account = exchange_of(SyntheticPlayer([CONTRACTS["BTCUSDC"]], hub, 3, 1.0), hub)
    ear = Ear(hub, f"btcusdc@{diff}", "btcusdc@bookTicker")
    snapshot = snapshot_of(exchange, "BTCUSDC")
    now_ns = START_NS
    for number in range(20):  # our own orders are part of this market's book
        now_ns = let_pass(exchange, 0.25, now_ns)
        ticks = exchange.player.markets["BTCUSDC"].book.top(1)[0][0]
        params = {"symbol": "BTCUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.02"}
        params["price"] = CONTRACTS["BTCUSDC"].price(ticks + number % 3 - 1)
        exchange.place(account, params, now_ns)
    let_pass(exchange, 0.6, now_ns)
    assert assert_consistent(snapshot, ear.heard, f"btcusdc@{diff}", "btcusdc@bookTicker") >= 8


def test_a_synthetic_book_begins_deep_and_stays_so():
    hub = Hub()
    exchange, _ = exchange_of(SyntheticPlayer([CONTRACTS["ETHUSDC"]], hub, 3, 1.0), hub)
    book = exchange.player.markets["ETHUSDC"].book
    assert min(len(book.top(side, 1000)) for side in (1, -1)) >= 200
    let_pass(exchange, 20)
    assert min(len(book.top(side, 1000)) for side in (1, -1)) >= 100
    assert book.top(1)[0][0] < book.top(-1)[0][0]


def test_the_same_seed_gives_the_same_market():
    def played(seed):
        hub = Hub()
        exchange, _ = exchange_of(SyntheticPlayer([CONTRACTS["BTCUSDC"]], hub, seed, 1.0), hub)
        ear = Ear(hub, "btcusdc@trade", "btcusdc@bookTicker")
        let_pass(exchange, 3)
        return [(event["p"], event["q"]) if "p" in event else (event["b"], event["B"]) for _, event in ear.heard]

    assert played(5) == played(5)
    assert played(5) != played(6)


def test_the_market_does_not_depend_on_how_often_its_clock_is_asked():
    def played(turn_ms):
        hub, symbols = Hub(), ("ETHUSDC", "BTCUSDC", "BTCUSDT")
        player = SyntheticPlayer([CONTRACTS[symbol] for symbol in symbols], hub, 8, 1.0, "volatile")
        names = [f"{symbol.lower()}@{stream}" for symbol in symbols for stream in ("trade", "bookTicker")]
        player.start(START_NS)
        ear, now_ns = Ear(hub, *names), START_NS
        while now_ns < START_NS + 3 * 10**9:
            now_ns += turn_ms * MS
            player.advance(now_ns, 2**62)
        heard = {name: [] for name in names}
        for name, event in ear.heard:
            heard[name].append((event["T"], event.get("p") or (event["b"], event["B"], event["a"], event["A"])))
        return heard

    often, seldom = played(1), played(250)
    assert often == seldom and min(map(len, often.values())) > 10


def test_a_postponed_market_is_the_same_later():
    def played(by_ns):
        hub = Hub()
        player = SyntheticPlayer([CONTRACTS[symbol] for symbol in ("ETHUSDC", "BTCUSDC")], hub, 8, 1.0)
        player.start(START_NS)
        player.postpone(by_ns)
        ear = Ear(hub, "ethusdc@trade", "btcusdc@trade")
        player.advance(START_NS + by_ns + 2 * 10**9, 2**62)
        return [(event["T"] - by_ns // MS, event["p"]) for _, event in ear.heard]

    assert played(0) == played(5000 * MS) and len(played(0)) > 5


def scripted(records):
    """Return an exchange over a tape of one symbol: (ms, kind, payload) after a small snapshot at zero."""
    snapshot = Book(100, [(640_000, 500), (639_990, 500)], [(640_010, 300), (640_020, 600)])
    tape = [Recorded(0, "BTCUSDC", Kind.SNAPSHOT, snapshot)]
    tape += [Recorded(ms * MS, "BTCUSDC", kind, payload) for ms, kind, payload in records]
    hub = Hub()
    return (*exchange_of(RecordedPlayer([CONTRACTS["BTCUSDC"]], hub, tape, 1.0, "risk_averse", 1.0), hub), hub)


def place(exchange, account, **change):
    order = {"symbol": "BTCUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "quantity": "0.010"}
    return exchange.place(account, order | change, START_NS)


def test_a_recorded_trade_fills_our_order_and_what_is_left_of_it_is_seen_by_everybody():
    records = [
        (10, Kind.TRADE, Trade(7, 640_000, 505, -1, 1)),
        (11, Kind.TOP, Top(110, 639_990, 500, 640_010, 300)),
        (12, Kind.DELTA, Delta(101, 120, 100, [(640_000, 0)], [])),
    ]
    exchange, account, hub = scripted(records)
    ear = Ear(hub, "btcusdc@trade", "btcusdc@depth@0ms", "btcusdc@bookTicker")
    ack = place(exchange, account, price="64000.0")
    let_pass(exchange, 0.03)
    fills = [t["o"] for t in exchange.told if t["e"] == "ORDER_TRADE_UPDATE" and t["o"]["x"] == "TRADE"]
    assert [(fill["i"], fill["l"], fill["X"]) for fill in fills] == [(ack["orderId"], "0.005", "PARTIALLY_FILLED")]
    (_, trade), (_, delta) = (one for one in ear.heard if not one[0].endswith("bookTicker"))
    tickers = [event for stream, event in ear.heard if stream.endswith("bookTicker")]
    assert (trade["t"], trade["p"], trade["q"], trade["X"], trade["m"]) == (7, "64000.0", "0.505", "MARKET", True)
    # Placed beside others; filled in part; alone when the recorded best price is behind.
    assert [(t["u"], t["b"], t["B"]) for t in tickers] == [
        (101, "64000.0", "0.510"),
        (102, "64000.0", "0.505"),
        (112, "64000.0", "0.005"),
    ]
    assert (delta["U"], delta["u"], delta["pu"], delta["b"]) == (101, 122, 100, [["64000.0", "0.005"]])
    assert trade["T"] == START_NS // MS + 10


def test_what_a_taker_takes_is_printed_and_gone_and_what_fills_a_maker_is_printed_once():
    records = [(10, Kind.TRADE, Trade(7, 640_000, 5, -1, 1)), (50, Kind.TRADE, Trade(8, 639_990, 505, -1, 1))]
    exchange, account, hub = scripted(records)
    ear = Ear(hub, "btcusdc@trade")
    place(exchange, account, price="64000.5")
    now_ns = let_pass(exchange, 0.02)
    taken = {"symbol": "BTCUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "IOC", "quantity": "0.400"}
    exchange.place(account, taken | {"price": "64002.0"}, now_ns)
    let_pass(exchange, 0.04, now_ns)
    printed = [(t["t"], t["p"], t["q"], t["m"]) for _, t in ear.heard]
    assert printed == [
        (7, "64000.0", "0.005", True),
        (8, "64001.0", "0.300", False),
        (9, "64002.0", "0.100", False),
        (10, "63999.0", "0.505", True),  # recorded as 8: it went through the maker's price
    ]
    assert exchange.player.markets["BTCUSDC"].streams.best[2] == (640_020, 500)


@pytest.mark.parametrize("diff", ["depth@0ms", "depth@100ms", "depth", "depth@500ms"])
def test_recorded_depth_and_tickers_tell_our_orders_at_every_speed(diff):
    bids, asks = ([(640_000 - i, 500) for i in range(20)], [(640_010 + i, 300) for i in range(20)])
    steps = [(100 * i, Kind.DELTA, Delta(101 + i, 101 + i, 100 + i, [(639_900 - i, i + 1)], [])) for i in range(1, 60)]
    steps[0] = (100, Kind.DELTA, Delta(101, 102, 100, [], [(640_050, 1)]))
    tape = [Recorded(0, "BTCUSDC", Kind.SNAPSHOT, Book(100, bids, asks))]
    tape += [Recorded(ms * MS, "BTCUSDC", kind, payload) for ms, kind, payload in steps]
    hub = Hub()
    player = RecordedPlayer([CONTRACTS["BTCUSDC"]], hub, tape, 1.0, "risk_averse", 1.0)
    exchange, account = exchange_of(player, hub)
    ear = Ear(hub, f"btcusdc@{diff}", "btcusdc@bookTicker")
    snapshot, now_ns, rng = snapshot_of(exchange, "BTCUSDC"), START_NS, random.Random(3)
    for _ in range(120):
        now_ns = let_pass(exchange, 0.05, now_ns) + 5 * MS
        with contextlib.suppress(Refused):
            side, ticks = rng.choice((("BUY", 640_000), ("SELL", 640_010)))
            price = CONTRACTS["BTCUSDC"].price(ticks + rng.randint(-4, 4))
            order = {"symbol": "BTCUSDC", "side": side, "type": "LIMIT", "price": price, "quantity": "0.020"}
            exchange.place(account, order | {"timeInForce": rng.choice(("GTX", "GTX", "GTC", "IOC"))}, now_ns)
        opened = account.open_orders("BTCUSDC").by_id
        if len(opened) > 6:
            exchange.cancel(account, {"symbol": "BTCUSDC", "orderId": next(iter(opened))}, now_ns)
    let_pass(exchange, 1, now_ns)
    assert assert_consistent(snapshot, ear.heard, f"btcusdc@{diff}", "btcusdc@bookTicker") >= 10
    market = player.markets["BTCUSDC"]
    assert len(opened) > 3
    assert market.streams.book.top(100) == (market.book.standing(1, 100), market.book.standing(-1, 100))
    assert market.streams.best[1:3] == (*market.book.standing(1), *market.book.standing(-1))


def test_trades_at_one_price_within_a_tenth_of_a_second_are_one_agg_trade_as_late():
    records = [(ms, Kind.TRADE, Trade(t, 640_000, 5, -1, 1)) for ms, t in ((10, 7), (10, 8), (109, 9), (110, 10))]
    exchange, _, hub = scripted(records)
    ear = Ear(hub, "btcusdc@aggTrade")
    now_ns = let_pass(exchange, 0.109)
    assert ear.heard == []
    let_pass(exchange, 0.11, now_ns)
    assert [(e["f"], e["l"], e["q"], e["T"] - START_NS // MS) for _, e in ear.heard] == [
        (7, 9, "0.015", 10),
        (10, 10, "0.005", 110),
    ]
    assert all(e["E"] - e["T"] >= 100 for _, e in ear.heard)


def test_reduce_only_orders_die_with_the_position_they_reduce():
    exchange, account, _ = scripted([])
    place(exchange, account, type="MARKET", timeInForce="GTC")
    resting = place(exchange, account, side="SELL", price="64005.0", reduceOnly="true")
    exchange.told.clear()
    place(exchange, account, side="SELL", type="MARKET", timeInForce="GTC", reduceOnly="true", quantity="0.010")
    expired = [t["o"] for t in exchange.told if t["e"] == "ORDER_TRADE_UPDATE" and t["o"]["x"] == "EXPIRED"]
    assert [(o["i"], o["er"]) for o in expired] == [(resting["orderId"], "4")]
    assert account.held() == []


def test_an_own_order_in_the_takers_way_expires_in_match():
    exchange, account, _ = scripted([])
    maker = place(exchange, account, side="SELL", price="64000.5")
    exchange.told.clear()
    place(exchange, account, price="64000.5", timeInForce="GTC")
    ended = [t["o"] for t in exchange.told if t["o"]["x"] == "EXPIRED"]
    assert [(o["i"], o["X"], o["er"]) for o in ended] == [(maker["orderId"], "EXPIRED_IN_MATCH", "1")]
    assert exchange.ledger.of("BTCUSDC").self_trades == 1


@pytest.mark.parametrize("seed", range(8))
def test_the_books_of_the_account_and_of_the_market_always_agree(seed):
    rng = random.Random(seed)
    hub = Hub()
    contract = CONTRACTS["ETHUSDC"]
    exchange, account = exchange_of(SyntheticPlayer([contract], hub, seed, 1.0), hub)
    book = exchange.player.markets["ETHUSDC"].book
    now_ns = START_NS
    for _ in range(150):
        opened = list(account.open_orders("ETHUSDC").by_id.values())
        what = rng.choice(["place", "place", "market", "amend", "cancel", "wait"])
        price = contract.price(book.top(rng.choice([1, -1]))[0][0] + rng.randint(-3, 3))
        quantity = contract.qty(rng.randint(10, 4000))
        order = {"symbol": "ETHUSDC", "side": rng.choice(["BUY", "SELL"]), "quantity": quantity, "type": "LIMIT"}
        order["reduceOnly"] = rng.choice(["true", "false", "false"])
        with contextlib.suppress(Refused):
            if what == "place":
                tif = rng.choice(["GTC", "GTX", "GTX", "IOC", "FOK"])
                exchange.place(account, order | {"price": price, "timeInForce": tif}, now_ns)
            elif what == "market":
                exchange.place(account, order | {"type": "MARKET"}, now_ns)
            elif what == "wait":
                now_ns = let_pass(exchange, 0.1, now_ns)
            elif opened:
                chosen = {"symbol": "ETHUSDC", "orderId": rng.choice(opened).order_id, "side": "BUY"}
                if what == "amend":
                    exchange.amend(account, chosen | {"price": price, "quantity": quantity}, now_ns)
                else:
                    exchange.cancel(account, chosen, now_ns)
        assert_books_agree(account, book, contract)
    assert account.fills["ETHUSDC"]


def assert_books_agree(account, book, contract):
    opened = account.open_orders(contract.symbol)
    for order in opened.by_id.values():
        found = (account.owner, order.side, order.price_ticks, order.remaining_lots, order.executed_lots)
        assert book.order(order.order_id) == found
    ended = [order for order in account.orders.values() if not order.is_open]
    assert not any(book.order(order.order_id) for order in ended)
    for side in (1, -1):
        mine = [o for o in opened.by_id.values() if o.side == side]
        assert opened.lots[side] == sum(o.remaining_lots for o in mine)
        assert opened.ticklots[side] == sum(o.remaining_lots * o.price_ticks for o in mine)
    fills = account.fills.get(contract.symbol, [])
    position = account.position(contract)
    assert position.lots == sum(fill.order.side * fill.lots for fill in fills)
    assert account.wallets_e8["USDC"] == 10**6 * ONE_E8 + sum(fill.realised_e8 - fill.fee_e8 for fill in fills)
    reducing = [o for o in opened.by_id.values() if o.reduce_only]
    assert all(o.side * position.lots < 0 for o in reducing)
    assert sum(o.remaining_lots for o in reducing) <= abs(position.lots)


def test_funding_is_charged_once_at_its_time():
    exchange, account, _ = scripted([])
    place(exchange, account, type="MARKET", timeInForce="GTC")
    wallet = account.wallets_e8["USDC"]
    funding_ns = exchange.marks["BTCUSDC"].funding_ms * MS
    exchange.told.clear()
    for after_ms in (-1, 0, 1000, 2000, 2999):
        exchange.turn(funding_ns + after_ms * MS)
    assert not exchange.told  # seen about three seconds late
    for after_ms in (3001, 4000):
        exchange.turn(funding_ns + after_ms * MS)
    charged = [t["a"] for t in exchange.told if t["e"] == "ACCOUNT_UPDATE"]
    assert [(a["m"], a["P"]) for a in charged] == [("FUNDING_FEE", [])]
    assert account.wallets_e8["USDC"] - wallet == int(Decimal(charged[0]["B"][0]["bc"]) * ONE_E8) < 0
    assert exchange.marks["BTCUSDC"].funding_ms * MS == funding_ns + 8 * 3600 * 10**9


def test_the_mark_stays_with_the_market_and_is_told_each_second():
    exchange, _, hub = scripted([])
    ear = Ear(hub, "btcusdc@markPrice@1s", "btcusdc@markPrice")
    let_pass(exchange, 6, step_ms=50)
    by_speed = {stream: sum(1 for name, _ in ear.heard if name == stream) for stream, _ in ear.heard}
    assert by_speed["btcusdc@markPrice@1s"] in (5, 6, 7)
    assert by_speed["btcusdc@markPrice"] in (2, 3)
    assert all(abs(Decimal(event["p"]) - Decimal("64000.5")) < 1 for _, event in ear.heard)


def test_the_recordings_play_consistently_with_orders_laid_over_them(recordings):
    paths = [recordings / f"{name}-2024-07-18T2357.jsonl.gz" for name in ("btcusdt", "ethusdt")]
    contracts = [CONTRACTS["BTCUSDC"], CONTRACTS["ETHUSDC"]]
    hub = Hub()
    records = RecordedMarket(paths, {c.symbol: c.instrument for c in contracts})
    exchange, account = exchange_of(RecordedPlayer(contracts, hub, records, 1.0, "power3", 3.0), hub)
    ears = {s: Ear(hub, f"{s}@depth@0ms", f"{s}@bookTicker") for s in ("btcusdc", "ethusdc")}
    snapshots = {s: snapshot_of(exchange, s.upper()) for s in ears}
    now_ns = START_NS
    for _ in range(30):
        for contract in contracts:
            book = exchange.player.markets[contract.symbol].book
            for side, text in ((1, "BUY"), (-1, "SELL")):
                order = {"symbol": contract.symbol, "side": text, "type": "LIMIT", "timeInForce": "GTX"}
                order |= {"quantity": "0.05", "price": contract.price(book.top(side)[0][0])}
                exchange.place(account, order, now_ns)
        now_ns = let_pass(exchange, 1.0, now_ns, step_ms=20)
        for contract in contracts:
            exchange.cancel_all(account, contract.symbol, now_ns)
    for name, ear in ears.items():
        assert assert_consistent(snapshots[name], ear.heard, f"{name}@depth@0ms", f"{name}@bookTicker") > 300
    fills = [fill for fills in account.fills.values() for fill in fills]
    assert fills
    assert all(fill.maker for fill in fills)
    assert len({(fill.order.symbol, fill.trade_id) for fill in fills}) == len(fills)
    assert exchange.ledger.of("BTCUSDC").placed == 60


def test_diff_batches_keep_the_newest_quantity_and_chain_their_ids():
    batch = DiffBatch(100)
    batch.prev_id = 9
    batch.add(10, 12, [(5, 1), (4, 2)], [], 1)
    batch.add(13, 15, [(5, 0)], [(6, 3)], 2)
    assert batch.take(50) == (10, 15, 9, [(4, 2), (5, 0)], [(6, 3)], 2)
    batch.add(20, 20, [], [(6, 0)], 3)
    assert batch.take(149) is None
    assert batch.take(157) == (20, 20, 15, [], [(6, 0)], 3)
    assert batch.take(500) is None


def test_diff_batches_keep_a_beat_though_the_clock_is_late_and_begin_a_new_one_after_a_silence():
    batch, sent = DiffBatch(100), []
    for now_ms in range(50, 1000, 7):
        batch.add(now_ms, now_ms, [(5, 1)], [], now_ms)
        sent += [now_ms] if batch.take(now_ms) else []
    assert sent == [-(-(at - 50) // 7) * 7 + 50 for at in range(50, 1000, 100)]
    batch.add(2000, 2000, [(5, 1)], [], 2000)
    assert batch.take(2000)
    batch.add(2001, 2001, [(5, 1)], [], 2001)
    assert [batch.take(now_ms) is not None for now_ms in (2099, 2100)] == [False, True]


def test_a_public_book_shows_the_best_levels_first():
    book = PublicBook()
    book.replace(1, [(5, 1), (4, 1), (3, 1)], [(6, 1), (7, 1)], 0)
    book.apply(2, [(5, 0), (2, 9)], [(8, 1)], 0)
    assert book.top(2) == ([(4, 1), (3, 1)], [(6, 1), (7, 1)])


def test_streams_belong_to_their_path():
    assert path_of("btcusdc@aggTrade") == path_of("btcusdc@markPrice@1s") == "market"
    assert path_of("btcusdc@depth@0ms") == path_of("btcusdc@bookTicker") == path_of("btcusdc@trade") == "public"


def test_ids_of_a_venue_that_begins_later_begin_higher():
    begin = partial(first_id, FIRST_ORDER_ID)
    assert begin(START_NS + 10**9) == begin(START_NS) + 1000
