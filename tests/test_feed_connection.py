"""A connection kept up: the daily roll loses nothing, a refused or broken one is made again."""

import asyncio
import json

import numpy as np
import pytest
from conftest import free_ports
from market_venue import MarketVenue
from test_feed_process import LOWER, SYMBOL, Market

from phx._core import records
from phx._core.edge.market_listener import MarketListener
from phx._core.feed import FeedCore
from phx._core.ring import RingWriter
from phx.feed import connection
from phx.feed.connection import Connection
from phx.segment import private_memory
from phx.venue.binance.endpoints import Endpoints
from phx.venue.binance.rest import Rest

STREAMS = (f"{LOWER}@depth@100ms", f"{LOWER}@bookTicker")


class Kept:
    """A core and a connection to a scripted venue."""

    def __init__(self, port: int):
        self.core = FeedCore()
        self.counters = np.zeros(1, records.FEED_COUNTERS)
        self.process_counters = np.zeros(1, records.PROCESS_COUNTERS)
        rings = [RingWriter(private_memory(d, 64), d) for d in (records.BBO, records.BOOK, records.TAPE)]
        self.core.add(SYMBOL, 0, (1, 1, 3, 1), *rings, self.counters)
        self.said = []
        self.connection = Connection(
            Rest(Endpoints("sim", "http://127.0.0.1:1", "", ""), None, share=1.0),
            "public",
            f"ws://127.0.0.1:{port + 1}/public/stream?streams={'/'.join(STREAMS)}",
            lambda on_end: MarketListener(self.core, [[]], on_end),
            self.process_counters,
            lambda: self.said.append("up"),
            lambda: self.said.append("down"),
        )

    def count(self, name: str) -> int:
        return int(self.counters[name][0])

    async def until(self, met):
        async with asyncio.timeout(10):
            while not met():
                await asyncio.sleep(0.005)


@pytest.fixture
def port():
    return free_ports(2)


async def stepping(market, venue):
    while True:
        market.step(venue)
        await asyncio.sleep(0.005)


async def test_the_daily_roll_loses_no_delta(port, monkeypatch):
    monkeypatch.setattr(connection, "ROLL_S", 0.3)
    monkeypatch.setattr(connection, "OVERLAP_S", 0.1)
    market, kept = Market([SYMBOL]), Kept(port)
    async with MarketVenue(port, [SYMBOL], market.snapshot) as venue:
        tasks = [asyncio.create_task(kept.connection.run()), asyncio.create_task(stepping(market, venue))]
        await kept.until(lambda: kept.core.instruments[0].sequencer.buffered > 1)
        body = json.dumps(market.snapshot(SYMBOL)).encode()
        kept.core.snapshot(0, body, 1, 1)
        await kept.until(lambda: venue.connections["public"] >= 4)
        await kept.until(lambda: len(venue.clients) == 1)  # the one before was left
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert kept.count("gaps") == 0 and kept.count("diffs") > 20
    assert kept.count("diffs_ignored") > 5  # while both delivered
    assert kept.count("top_different") == 0 and kept.count("top_checked") > 20
    assert kept.said == ["up", "down"]  # the streams were never gone


async def test_a_connection_that_cannot_be_made_or_breaks_is_made_again(port):
    market, kept = Market([SYMBOL]), Kept(port)
    task = asyncio.create_task(kept.connection.run())
    await asyncio.sleep(0.3)  # nobody listens yet
    assert kept.said == []
    async with MarketVenue(port, [SYMBOL], market.snapshot) as venue:
        await kept.until(lambda: kept.said == ["up"])
        venue.drop()
        await kept.until(lambda: kept.said == ["up", "down", "up"])
        kept.connection.end("for a reason")
        await kept.until(lambda: kept.said == ["up", "down", "up", "down", "up"])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert kept.process_counters["connects"][0] == 3
    assert kept.said[-1] == "down"


async def test_a_venues_ping_is_answered(port):
    market, kept = Market([SYMBOL]), Kept(port)
    async with MarketVenue(port, [SYMBOL], market.snapshot) as venue:
        task = asyncio.create_task(kept.connection.run())
        await kept.until(lambda: venue.clients)
        pongs = []
        venue.on_pong = pongs.append
        venue.clients[0].transport.send_ping(b"are you there")
        await kept.until(lambda: pongs == [b"are you there"])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
