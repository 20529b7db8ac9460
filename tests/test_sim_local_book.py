"""A stranger follows the venue's own recipe for a local book, over real sockets and with a client that is not ours.

The recipe: buffer the diffs, ask for a snapshot, drop what is older, begin with the diff around the snapshot's number,
then let each begin where the one before ended; start again where that fails.
"""

import asyncio

import msgspec
import pytest
from sim_client import SimClient, next_json

from phx.sim.process import Servers, build

SPEEDS = ("depth@0ms", "depth@100ms", "depth")
COMPARED = 100  # levels a side


class LocalBook:
    """The recipe's state. history: last update id → best levels, after every diff since it began."""

    def __init__(self):
        self.waiting: list[dict] | None = []  # diffs until it has begun
        self.last = 0
        self.restarts = 0
        self.history: dict[int, tuple] = {}

    def on_snapshot(self, snapshot: dict) -> bool:
        """Begin; return whether the diffs heard so far fit."""
        newer = [diff for diff in self.waiting if diff["u"] >= snapshot["lastUpdateId"]]
        if not newer or not newer[0]["U"] <= snapshot["lastUpdateId"] <= newer[0]["u"]:
            self.restarts += 1
            return False
        self.sides = [{float(price): qty for price, qty in snapshot[side]} for side in ("bids", "asks")]
        self.last, self.waiting = newer[0]["pu"], None
        for diff in newer:
            self.on_diff(diff)
        return True

    def on_diff(self, diff: dict) -> None:
        if self.waiting is not None:
            self.waiting.append(diff)
            return
        assert diff["pu"] == self.last, "a gap"
        self.last = diff["u"]
        for side, rows in zip(self.sides, (diff["b"], diff["a"]), strict=True):
            for price, qty in rows:
                side[float(price)] = qty
                if float(qty) == 0:
                    del side[float(price)]
        self.history[self.last] = self.best()

    def best(self) -> tuple:
        bids, asks = self.sides
        return (
            [(price, bids[price]) for price in sorted(bids, reverse=True)[:COMPARED]],
            [(price, asks[price]) for price in sorted(asks)[:COMPARED]],
        )


@pytest.fixture
async def client(instance_config):
    config = msgspec.structs.replace(
        instance_config, sim=msgspec.structs.replace(instance_config.sim, latency_ms=0.0, seed=11, speed=3.0)
    )
    venue = build(config)
    async with Servers(venue, config.sim.port), SimClient(config.sim.port, "key", "secret") as client:
        yield client


async def test_books_of_every_speed_agree_with_each_other_with_snapshots_and_with_best_prices(client):
    books = {f"btcusdc@{speed}": LocalBook() for speed in SPEEDS}
    tickers: list[dict] = []
    channel = await client.session.ws_connect(f"{client.ws}/public/stream?streams={'/'.join(books)}/btcusdc@bookTicker")

    async def listen():
        while True:
            message = await next_json(channel)
            if message["stream"] in books:
                books[message["stream"]].on_diff(message["data"])
            else:
                tickers.append(message["data"])

    async def snapshot() -> dict:
        status, answer, _ = await client.get("/fapi/v1/depth", symbol="BTCUSDC", limit=1000)
        assert status == 200
        return answer

    listening = asyncio.create_task(listen())
    for book in books.values():
        await asyncio.sleep(0.15)
        began = False
        while not began:
            answer = await snapshot()
            await asyncio.sleep(0.3 if book.restarts else 0.02)  # diffs up to it may still be on their way
            began = book.on_snapshot(answer)
    later = []
    for _ in range(6):
        await asyncio.sleep(0.15)
        later.append(await snapshot())
    await asyncio.sleep(0.2)
    listening.cancel()

    exact = books["btcusdc@depth@0ms"]
    # A snapshot is the book after one of the diffs, and equals the local one then.
    assert {answer["lastUpdateId"] for answer in later} <= exact.history.keys()
    for answer in later:
        theirs = [[(float(price), qty) for price, qty in answer[side][:COMPARED]] for side in ("bids", "asks")]
        assert exact.history[answer["lastUpdateId"]] == tuple(theirs)
    # Slower streams pass through the same books, at fewer of the numbers.
    for name, book in books.items():
        shared = book.history.keys() & exact.history.keys()
        assert len(shared) >= 5, name
        assert book.history.keys() <= exact.history.keys(), name  # it began later
        assert all(book.history[number] == exact.history[number] for number in shared), name
    # A best price is that of the book of the same number, or comes between two diffs.
    compared = 0
    for ticker in tickers:
        if ticker["u"] in exact.history:
            (bid, ask) = (rows[0] for rows in exact.history[ticker["u"]])
            assert (bid, ask) == ((float(ticker["b"]), ticker["B"]), (float(ticker["a"]), ticker["A"]))
            compared += 1
    assert compared >= 5
    assert [ticker["u"] for ticker in tickers] == sorted({ticker["u"] for ticker in tickers})
