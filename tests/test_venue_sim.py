"""REST client and user stream against the simulated venue: the same adapter that speaks to the real one."""

import asyncio
import subprocess
import sys
import time

import msgspec
import pytest
from system.running import ROOT, yaml_of

from phx.venue.binance import keys
from phx.venue.binance.endpoints import endpoints
from phx.venue.binance.errors import Advice
from phx.venue.binance.rest import Rest
from phx.venue.binance.user_stream import BinanceUserStream
from phx.venue.interface import VenueError, VenueReject

pytestmark = pytest.mark.system


class Client:
    """The account's key, its private stream, and a price nobody will trade at."""

    def __init__(self, config):
        self.config = config
        self.rest = Rest(endpoints(config), keys.load(config), share=1.0)
        self.events = []
        self.ups = []
        self.stream = BinanceUserStream(
            self.rest, endpoints(config), lambda event, mono, utc: self.events.append(event), self.ups.append
        )

    async def open(self):
        await until(self._answers, "the simulated venue")
        self.instruments = await self.rest.exchange_info(self.config.instrument_ids())
        self.task = asyncio.create_task(self.stream.run())
        await until(lambda: self.stream.up, "the user stream")
        book = msgspec.json.decode(await self.rest.depth("BTCUSDC", 5))
        self.bid_ticks = self.instruments["BTCUSDC"].ticks(book["bids"][0][0])

    async def _answers(self):
        try:
            return bool(await self.rest.server_time())
        except VenueError:
            return False

    def price(self, share: float) -> str:
        return self.instruments["BTCUSDC"].price_text(int(self.bid_ticks * share))

    def told(self, coid: str) -> list[str]:
        orders = [event.order for event in self.events if hasattr(event, "order")]
        return [order.execution for order in orders if order.coid == coid]


async def until(condition, what: str):
    for _ in range(400):
        done = condition()
        if await done if asyncio.iscoroutine(done) else done:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"never: {what}")


@pytest.fixture
async def client(instance_config, tmp_path):
    path = tmp_path / "sim.yaml"
    path.write_text(yaml_of(instance_config))
    with (tmp_path / "sim.log").open("wb") as log:
        sim = subprocess.Popen(
            [sys.executable, "-m", "phx", "--config", str(path), "sim"], cwd=ROOT, stdout=log, stderr=log
        )
    made = Client(instance_config)
    try:
        await made.open()
        yield made
        made.task.cancel()
        await asyncio.gather(made.task, return_exceptions=True)
        await made.rest.close()
    finally:
        sim.terminate()
        sim.wait(20)


async def test_an_order_s_whole_life_is_the_same_by_rest_and_stream(client):
    rest = client.rest
    placed = await rest.place("BTCUSDC", "phxs-00-1-1", 1, "0.006", client.price(0.97))
    assert placed.live and placed.side == 1
    assert [order.coid for order in await rest.open_orders("BTCUSDC")] == ["phxs-00-1-1"]
    amended = await rest.amend("BTCUSDC", "phxs-00-1-1", 1, "0.007", client.price(0.96))
    assert amended.venue_order_id == placed.venue_order_id
    instrument = client.instruments["BTCUSDC"]
    assert instrument.ticks((await rest.order_status("BTCUSDC", "phxs-00-1-1")).price) == int(client.bid_ticks * 0.96)
    canceled = await rest.cancel("BTCUSDC", "phxs-00-1-1")
    assert canceled.status == "CANCELED" and not canceled.live
    await until(lambda: client.told("phxs-00-1-1") == ["NEW", "AMENDMENT", "CANCELED"], "the events")


async def test_a_taking_order_is_a_fill_a_trade_a_fee_and_a_position(client):
    await client.rest.place("BTCUSDC", "phxs-00-1-2", 1, "0.006", None)
    await until(lambda: "TRADE" in client.told("phxs-00-1-2"), "the fill")
    trades = await client.rest.user_trades("BTCUSDC")
    fills = [e.order for e in client.events if hasattr(e, "order") and e.order.execution == "TRADE"]
    lites = [e for e in client.events if type(e).__name__ == "TradeLite"]
    assert {t.trade_id for t in trades} == {f.trade_id for f in fills} == {lite.trade_id for lite in lites}
    lots = client.instruments["BTCUSDC"].lots
    assert sum(lots(t.qty) for t in trades) == 6 == lots((await client.rest.positions())[0].qty)
    assert float(trades[0].commission) > 0 and trades[0].commission_asset == "USDC" and not trades[0].maker


async def test_the_venue_s_refusals_come_with_advice(client):
    rest = client.rest
    await rest.place("BTCUSDC", "phxs-00-1-3", 1, "0.006", client.price(0.97))
    for work, meaning in (
        (rest.place("BTCUSDC", "phxs-00-1-3", 1, "0.006", client.price(0.97)), Advice.DUPLICATE),
        (rest.place("BTCUSDC", "phxs-00-1-4", 1, "0.006", client.price(1.01)), Advice.REQUOTE),
        (rest.place("BTCUSDC", "phxs-00-1-5", 1, "0.001", client.price(0.5)), None),
        (rest.place("BTCUSDC", "phxs-00-1-6", -1, "0.006", client.price(1.02), reduce_only=True), Advice.REDUCE_ONLY),
        (rest.amend("BTCUSDC", "phxs-00-1-3", 1, "0.006", client.price(0.97)), Advice.UNCHANGED),
        (rest.cancel("BTCUSDC", "absent"), Advice.GONE),
        (rest.order_status("BTCUSDC", "absent"), Advice.GONE),
    ):
        with pytest.raises(VenueReject) as refused:
            await work
        assert meaning is None or refused.value.advice is meaning, refused.value


async def test_the_countdown_cancels_when_we_fall_silent_and_not_before(client):
    rest = client.rest
    await rest.place("BTCUSDC", "phxs-00-1-7", 1, "0.006", client.price(0.97))
    await rest.countdown("BTCUSDC", 400)
    begun = time.monotonic()
    await rest.countdown("BTCUSDC", 600)  # replaces the first
    await until(lambda: "CANCELED" in client.told("phxs-00-1-7"), "the countdown")
    assert time.monotonic() - begun >= 0.59
    await rest.place("BTCUSDC", "phxs-00-1-8", 1, "0.006", client.price(0.97))
    await rest.countdown("BTCUSDC", 300)
    await rest.countdown("BTCUSDC", 0)
    await asyncio.sleep(0.5)
    assert len(await rest.open_orders("BTCUSDC")) == 1
    await rest.cancel_all("BTCUSDC")
    assert await rest.open_orders("BTCUSDC") == []


async def test_account_and_budget_are_told(client):
    rest = client.rest
    assert await rest.position_mode() is False
    assert float(next(b for b in await rest.balances() if b.asset == "USDC").wallet) == float(client.config.sim.wallet)
    assert float((await rest.commission_rate("BTCUSDC")).taker) == float(client.config.sim.taker_fee)
    assert int(rest.counters["weight_60s"][0]) >= 60  # what these calls weigh, as the venue counted
    assert abs(rest.clock.ahead_of_wall_ns()) < 1_000_000_000
    await rest.listen_key_keepalive()


async def test_a_foreign_key_is_refused(client):
    stranger = Rest(endpoints(client.config), keys.Credentials("a" * 64, b"b" * 64), share=1.0)
    forged = Rest(
        endpoints(client.config),
        keys.Credentials(keys.load(client.config).api_key.reveal().decode(), b"b" * 64),
        share=1.0,
    )
    try:
        for rest, code in ((stranger, -2015), (forged, -1022)):
            with pytest.raises(VenueReject) as refused:
                await rest.positions()
            assert (refused.value.code, refused.value.advice) == (code, Advice.NOT_ALLOWED)
    finally:
        await stranger.close()
        await forged.close()
