"""The feed as a real process against a small scripted venue on loopback."""

import asyncio
import multiprocessing
import os
import signal
import time

import msgspec
import pytest
from market_venue import MarketVenue

from phx import instruments
from phx._core import records
from phx._core.enums import BookFlag, TapeKind, TradeOrigin
from phx._core.ring import OK, RingReader
from phx.config import ProcessConfig
from phx.feed.process import main
from phx.process import EXIT_ANEW
from phx.segment import Segment, SegmentMissing

pytestmark = pytest.mark.timeout(60)

SYMBOL = "BTCUSDC"
LOWER = SYMBOL.lower()
BASE_MS = 1_790_000_000_000


class Market:
    """A book that walks: each step is one delta and one bookTicker; the snapshot is the state after the last step."""

    def __init__(self, symbols):
        self.update_ids = dict.fromkeys(symbols, 1000)
        self.trade_id = 1

    def price(self, n: int) -> str:
        return f"{60000 + n * 0.1:.2f}"

    def snapshot(self, symbol: str) -> dict:
        n = self.update_ids[symbol]
        bids = [[self.price(n - 1 - i), "1.000"] for i in range(30)]
        asks = [[self.price(n + 1 + i), "2.000"] for i in range(30)]
        return {"lastUpdateId": n, "E": BASE_MS + n, "T": BASE_MS + n, "bids": bids, "asks": asks}

    def step(self, venue: MarketVenue, symbol: str = SYMBOL, skip: bool = False) -> None:
        before = self.update_ids[symbol] + skip
        n = self.update_ids[symbol] = before + 1
        stream = symbol.lower()
        head = {"s": symbol, "ps": symbol}
        bids = [[self.price(n - 1), "1.000"]]
        asks = [[self.price(n), "0.000"], [self.price(n + 30), "2.000"]]
        depth = {"e": "depthUpdate", "E": BASE_MS + n, "T": BASE_MS + n, **head, "U": n, "u": n, "pu": before}
        venue.send(f"{stream}@depth@100ms", {**depth, "b": bids, "a": asks, "st": 1})
        top = {"b": self.price(n - 1), "B": "1.000", "a": self.price(n + 1), "A": "2.000"}
        ticker = {"e": "bookTicker", "u": n, **head, **top, "T": BASE_MS + n, "E": BASE_MS + n, "st": 1}
        venue.send(f"{stream}@bookTicker", ticker)

    def trade(self, venue: MarketVenue, price: str, origin: str) -> None:
        self.trade_id += 1
        event = {"e": "trade", "E": BASE_MS, "T": BASE_MS, "s": SYMBOL, "t": self.trade_id, "p": price, "q": "0.010"}
        venue.send(f"{LOWER}@trade", {**event, "X": origin, "m": True, "st": 1})

    def mark(self, venue: MarketVenue, second: int) -> None:
        head = {"e": "markPriceUpdate", "E": BASE_MS + 1000 * second, "s": SYMBOL, "p": "60000.14000000"}
        venue.send(
            f"{LOWER}@markPrice@1s",
            {**head, "ap": "60000.0", "P": "60000.0", "i": "60000.0", "r": "-0.00008900", "T": BASE_MS, "st": 1},
        )


@pytest.fixture
def feed(instance_config, request):
    """A feed process and its configuration; it is stopped at the end, and must end well. param: how it waits."""
    wait = ProcessConfig(wait=getattr(request, "param", "block"))
    processes = msgspec.structs.replace(instance_config.processes, feed=wait)
    instance_config = msgspec.structs.replace(instance_config, processes=processes)
    child = start_feed(instance_config)
    yield instance_config
    os.kill(child.pid, signal.SIGTERM)
    child.join(10)
    assert child.exitcode == 0


def start_feed(config):
    child = multiprocessing.get_context("spawn").Process(target=run_feed, args=(config,))
    child.start()
    return child


def run_feed(config):
    raise SystemExit(main(config, "main"))


class Reader:
    """Follows one segment of the feed."""

    def __init__(self, config, kind: str, dtype):
        deadline = time.monotonic() + 20
        while True:
            try:
                segment = Segment.attach(config.shm_folder(), f"{kind}.{SYMBOL}", dtype)
                break
            except SegmentMissing:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        self.segment = segment
        self.ring = RingReader(segment.memory, dtype)
        self.ring.attach(segment.memory, dtype, True)

    async def until(self, wanted, timeout_s: float = 15.0):
        """Return the first record that `wanted` accepts, of those not read yet."""
        async with asyncio.timeout(timeout_s):
            while True:
                code, record = self.ring.read_record()
                if code == OK and wanted(record):
                    return record
                if code != OK:
                    await asyncio.sleep(0.005)


def synced(record) -> bool:
    return not record["flags"] & BookFlag.BOOK_UNSYNCED


def void(record) -> bool:
    return bool(record["flags"] & BookFlag.BOOK_UNSYNCED)


async def keep_stepping(market: Market, venue: MarketVenue, every_s: float = 0.02):
    seconds = 0
    while True:
        for symbol in venue.symbols:
            market.step(venue, symbol)
        market.mark(venue, seconds := seconds + 1)
        await asyncio.sleep(every_s)


def venue_for(config, market: Market) -> MarketVenue:
    return MarketVenue(config.sim.port, config.traded(), market.snapshot)


@pytest.mark.parametrize("feed", ["block", "yield", "spin"], indirect=True)
async def test_frames_become_books_tops_and_tape(feed):
    market = Market(feed.traded())
    async with venue_for(feed, market) as venue, asyncio.TaskGroup() as tasks:
        tops, books = Reader(feed, "bbo", records.BBO), Reader(feed, "book", records.BOOK)
        tape = Reader(feed, "tape", records.TAPE)
        await venue.wait_for(f"{LOWER}@depth@100ms")
        steps = tasks.create_task(keep_stepping(market, venue))
        book = await books.until(synced)
        assert book["bid_levels"] == book["ask_levels"] == records.LEVELS
        assert list(book["bid_price_ticks"][:2]) == [600000 + book["update_id"] - 1, 600000 + book["update_id"] - 2]
        assert book["bid_qty_lots"][0] == 1000 and book["ask_qty_lots"][0] == 2000
        top = await tops.until(synced)
        assert (top["bid_price_ticks"], top["ask_price_ticks"]) == (
            600000 + top["update_id"] - 1,
            600000 + top["update_id"] + 1,
        )
        market.trade(venue, "60123.40", "INSURANCE_FUND")
        trade = await tape.until(lambda record: record["kind"] == TapeKind.TAPE_TRADE)
        assert (trade["price_ticks"], trade["qty_lots"], trade["aggressor"]) == (601234, 10, -1)
        assert trade["origin"] == TradeOrigin.ORIGIN_INSURANCE
        mark = await tape.until(lambda record: record["kind"] == TapeKind.TAPE_MARK)
        assert (mark["price_ticks"], mark["funding_rate_e8"]) == (600001, -8900)
        table = instruments.read_table(feed.shm_folder() / "instruments.main.json")
        assert list(table) == feed.traded()
        steps.cancel()


async def test_a_missing_delta_voids_the_book_until_a_snapshot_joins(feed):
    market = Market(feed.traded())
    async with venue_for(feed, market) as venue, asyncio.TaskGroup() as tasks:
        books = Reader(feed, "book", records.BOOK)
        await venue.wait_for(f"{LOWER}@depth@100ms")
        steps = tasks.create_task(keep_stepping(market, venue))
        first = await books.until(synced)
        market.step(venue, skip=True)
        lost = await books.until(void)
        assert lost["sync_id"] == first["sync_id"] + 1
        again = await books.until(synced)
        assert again["sync_id"] == lost["sync_id"]
        assert venue.connections["public"] == 1  # a gap costs no connection
        steps.cancel()


async def test_a_lost_connection_voids_the_book_and_is_made_again(feed):
    market = Market(feed.traded())
    async with venue_for(feed, market) as venue, asyncio.TaskGroup() as tasks:
        books, tops = Reader(feed, "book", records.BOOK), Reader(feed, "bbo", records.BBO)
        await venue.wait_for(f"{LOWER}@depth@100ms")
        steps = tasks.create_task(keep_stepping(market, venue))
        await books.until(synced)
        await tops.until(synced)
        venue.drop()
        await books.until(void)
        await tops.until(void)
        await books.until(synced)
        assert venue.connections["public"] == 2
        steps.cancel()


async def test_a_stream_that_falls_silent_is_found_by_its_data_alone(feed):
    market = Market(feed.traded())
    async with venue_for(feed, market) as venue, asyncio.TaskGroup() as tasks:
        books = Reader(feed, "book", records.BOOK)
        await venue.wait_for(f"{LOWER}@depth@100ms")
        counters = Segment.attach(feed.shm_folder(), f"counters.feed.{SYMBOL}", records.FEED_COUNTERS).records
        steps = tasks.create_task(keep_stepping(market, venue))
        await books.until(synced)
        venue.muted.add(f"{LOWER}@bookTicker")  # the connection lives, depth goes on
        await books.until(void)
        assert counters["silent_streams"][0] == 1
        venue.muted.clear()
        await books.until(synced)
        steps.cancel()


async def test_depth_that_stops_while_the_top_moves_voids_the_book_long_before_its_silence_is_odd(feed):
    market = Market(feed.traded())
    async with venue_for(feed, market) as venue, asyncio.TaskGroup() as tasks:
        books, tops = Reader(feed, "book", records.BOOK), Reader(feed, "bbo", records.BBO)
        await venue.wait_for(f"{LOWER}@depth@100ms")
        counters = Segment.attach(feed.shm_folder(), f"counters.feed.{SYMBOL}", records.FEED_COUNTERS).records
        steps = tasks.create_task(keep_stepping(market, venue))
        await books.until(synced)
        await tops.until(synced)
        venue.muted.add(f"{LOWER}@depth@100ms")
        await books.until(void)
        await tops.until(void)
        assert counters["silent_streams"][0] == 0 and venue.connections["public"] == 1
        venue.muted.clear()
        await books.until(synced)
        steps.cancel()


async def test_hostile_frames_are_counted_and_change_nothing(feed):
    market = Market(feed.traded())
    hostile = [b"", b"{", b"[" * 100_000, b'{"e":"bookTicker","s":"BTCUSDC"}', b"\xff\xfe", b"<html>502</html>"]
    async with venue_for(feed, market) as venue, asyncio.TaskGroup() as tasks:
        books = Reader(feed, "book", records.BOOK)
        counters = Segment.attach(feed.shm_folder(), "process.feed.main", records.PROCESS_COUNTERS).records
        await venue.wait_for(f"{LOWER}@depth@100ms")
        steps = tasks.create_task(keep_stepping(market, venue))
        await books.until(synced)
        for frame in hostile:
            venue.send_raw(f"{LOWER}@depth@100ms", frame)
        seen = market.update_ids[SYMBOL]
        record = await books.until(lambda record: record["update_id"] > seen + 20)
        assert synced(record)
        assert counters["frames_refused"][0] == len(hostile)
        assert venue.connections["public"] == 1
        steps.cancel()


async def test_a_market_off_the_listed_grid_is_void_until_the_next_life_reads_it_in_finer_ticks(instance_config):
    market = Market(instance_config.traded())
    before = market.price
    finer = lambda n: before(n)[:-1] + "5"  # noqa: E731
    async with venue_for(instance_config, market) as venue, asyncio.TaskGroup() as tasks:
        child = start_feed(instance_config)
        books = Reader(instance_config, "book", records.BOOK)
        await venue.wait_for(f"{LOWER}@depth@100ms")
        steps = tasks.create_task(keep_stepping(market, venue))
        coarse = await books.until(synced)
        market.price = finer
        await books.until(void)
        async with asyncio.timeout(30):
            while child.exitcode is None:
                await asyncio.sleep(0.05)
        assert child.exitcode == EXIT_ANEW
        child = start_feed(instance_config)
        async with asyncio.timeout(30):
            while not books.segment.replaced():
                await asyncio.sleep(0.05)
        again = Reader(instance_config, "book", records.BOOK)
        book = await again.until(synced)
        assert book["bid_price_ticks"][0] == 6_000_000 + 10 * (book["update_id"] - 1) + 5
        assert coarse["bid_price_ticks"][0] == 600_000 + coarse["update_id"] - 1
        assert again.segment.units_hash not in (0, books.segment.units_hash)
        table = instruments.read_table(instance_config.shm_folder() / "instruments.main.json")
        assert (table[SYMBOL].price_text(1), table[SYMBOL].price_step) == ("0.01", 10)
        steps.cancel()
    os.kill(child.pid, signal.SIGTERM)
    child.join(10)
