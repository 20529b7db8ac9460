"""C25: one suite of what phx relies on, against the simulated venue and against Binance's own test venue.

The latter only when PHX_DEMO_KEY_FILE names a key of the testnet that may trade, in a file as for `venue.key_file`.
Other clients of Binance's protocol are held against the simulated venue by `make external`.
"""

import contextlib
import os
import time

import msgspec
import pytest
from shipped import CONFIG

from phx._core.coid import format_coid
from phx.sim.process import Servers, build
from phx.venue.binance import keys
from phx.venue.binance.endpoints import endpoints
from phx.venue.binance.rest import Rest
from phx.venue.interface import VenueReject

SYMBOL = "BTCUSDC"


@contextlib.asynccontextmanager
async def simulated(instance_config):
    async with Servers(build(instance_config), instance_config.sim.port):
        yield instance_config


@contextlib.asynccontextmanager
async def demo(instance_config):
    key_file = os.environ.get("PHX_DEMO_KEY_FILE", "")
    if not key_file:
        pytest.skip("no key for Binance's test venue: set PHX_DEMO_KEY_FILE to run the same suite there")
    venue = msgspec.structs.replace(CONFIG.venue, environment="testnet", confirm="testnet", key_file=key_file)
    yield msgspec.structs.replace(instance_config, venue=venue)


class Desk:
    """A client of a venue, a price below its market that nobody will trade at, and ids that nobody used before."""

    def __init__(self, config):
        self.environment = config.venue.environment
        self.rest = Rest(endpoints(config), keys.load(config), share=1.0)
        self.used = int(time.time() * 1000)

    async def begin(self) -> "Desk":
        await self.rest.server_time()
        self.instrument = (await self.rest.exchange_info({SYMBOL: 0}))[SYMBOL]
        mark = self.instrument.ticks_floor(await self.rest.mark_price(SYMBOL))
        self.far, self.through = (
            self.instrument.price_text(mark * 97 // 100),
            self.instrument.price_text(mark * 103 // 100),
        )
        lots = -(-2 * self.instrument.min_notional_ticklots // (mark * 97 // 100))
        self.qty = self.instrument.qty_text(max(lots, self.instrument.min_qty_lots))
        return self

    def coid(self) -> str:
        self.used += 1
        return format_coid(self.environment, 0, self.used, 1)

    async def refusal(self, request) -> int:
        with pytest.raises(VenueReject) as refused:
            await request
        return refused.value.code


@pytest.fixture(params=[simulated, demo], ids=["simulated", "demo"])
async def desk(request, instance_config):
    async with request.param(instance_config) as config:
        made = Desk(config)
        try:
            yield await made.begin()
        finally:
            with contextlib.suppress(Exception):
                await made.rest.cancel_all(SYMBOL)
            await made.rest.close()


async def test_what_is_said_without_being_asked_for_an_order(desk):
    instrument, rest = desk.instrument, desk.rest
    assert instrument.tick_size > 0 and instrument.min_notional > 0 and instrument.status == "TRADING"
    counts = {row.window_s for row in await rest.rate_limits() if row.rate_limit_type == "ORDERS"}
    assert counts == {10, 60}
    book = msgspec.json.decode(await rest.depth(SYMBOL, 5))
    assert float(book["bids"][0][0]) < float(book["asks"][0][0]) and book["lastUpdateId"] > 0
    assert await rest.position_mode() is False
    assert [row for row in await rest.balances() if row.asset == "USDC"]
    assert isinstance(await rest.positions(), list) and isinstance(await rest.user_trades(SYMBOL), list)
    assert -0.01 <= float((await rest.commission_rate(SYMBOL)).maker) <= 0.01


async def test_a_quote_from_its_placing_to_its_cancelling(desk):
    rest, coid = desk.rest, desk.coid()
    placed = await rest.place(SYMBOL, coid, 1, desk.qty, desk.far)
    assert (placed.coid, placed.status, placed.time_in_force) == (coid, "NEW", "GTX")
    assert [order.coid for order in await rest.open_orders(SYMBOL)] == [coid]
    assert (await rest.order_status(SYMBOL, coid)).venue_order_id == placed.venue_order_id
    assert (await rest.cancel(SYMBOL, coid)).status == "CANCELED"
    assert await rest.open_orders(SYMBOL) == []
    assert (await rest.order_status(SYMBOL, coid)).status == "CANCELED"


async def test_refusals_have_the_codes_that_phx_acts_on(desk):
    rest = desk.rest
    assert await desk.refusal(rest.cancel(SYMBOL, desk.coid())) == -2011
    assert await desk.refusal(rest.order_status(SYMBOL, desk.coid())) == -2013
    assert await desk.refusal(rest.place(SYMBOL, desk.coid(), 1, desk.qty, desk.through)) == -5022
    assert await desk.refusal(rest.place(SYMBOL, desk.coid(), -1, desk.qty, desk.far, "IOC", True)) == -2022
    assert await desk.refusal(rest.place(SYMBOL, desk.coid(), 1, f"{desk.qty}00001", desk.far)) == -1111
    twice = desk.coid()
    await rest.place(SYMBOL, twice, 1, desk.qty, desk.far)
    assert await desk.refusal(rest.place(SYMBOL, twice, 1, desk.qty, desk.far)) == -4116


async def test_the_countdown_is_armed_and_disarmed(desk):
    await desk.rest.countdown(SYMBOL, 60_000)
    await desk.rest.countdown(SYMBOL, 0)
