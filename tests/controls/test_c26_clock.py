"""C26, the clock: whatever ours or the venue's says, requests carry the venue's time, and a step costs one refusal."""

import asyncio
from types import SimpleNamespace

import msgspec
import pytest

from phx.sim.api import rest as server
from phx.sim.process import Servers, build
from phx.sim.refusals import Refused
from phx.venue.binance import keys
from phx.venue.binance.endpoints import endpoints
from phx.venue.binance.rest import Rest


@pytest.fixture
async def desk(instance_config, monkeypatch):
    """A venue, a client, and how often a time was refused."""
    config = msgspec.structs.replace(instance_config, sim=msgspec.structs.replace(instance_config.sim, latency_ms=0.0))
    refused = []
    usual = server.Venue.check_time

    def counted(venue, params):
        try:
            usual(venue, params)
        except Refused as refusal:
            refused.append(refusal.body()["code"])
            raise

    monkeypatch.setattr(server.Venue, "check_time", counted)
    venue = build(config)
    async with Servers(venue, config.sim.port):
        rest = Rest(endpoints(config), keys.load(config), share=1.0)
        await rest.server_time()
        yield SimpleNamespace(venue=venue, rest=rest, refused=refused)
        await rest.close()


def set_skew(venue, skew_ms: float) -> None:
    """Let the venue's clock be off by so much."""
    venue.trouble.switch_off("clock_skew")
    venue.trouble.switch_on("clock_skew", {"skew_ms": skew_ms})


@pytest.mark.parametrize("skew_ms", [-2000, -999, -250, 0, 250, 999, 2000, 3_600_000, -3_600_000])
async def test_an_offset_of_any_size_is_found_and_then_refuses_nothing(desk, skew_ms):
    set_skew(desk.venue, skew_ms)
    await desk.rest.server_time()
    assert abs(desk.rest.clock.ahead_of_wall_ns() / 1e6 - skew_ms) < 200
    for _ in range(5):
        await desk.rest.open_orders("BTCUSDC")
        await desk.rest.countdown("BTCUSDC", 6000)
    assert desk.refused == []


@pytest.mark.parametrize("step_ms", [5000, -5000])
async def test_a_step_of_the_venue_s_clock_costs_one_refusal_and_no_loop(desk, step_ms):
    set_skew(desk.venue, step_ms)
    assert await desk.rest.open_orders("BTCUSDC") == []
    assert desk.refused == [-1021]
    set_skew(desk.venue, 0)
    await desk.rest.cancel_all("BTCUSDC")  # what must get through does so as well
    assert desk.refused == [-1021, -1021]
    for _ in range(5):
        await desk.rest.open_orders("BTCUSDC")
    assert desk.refused == [-1021, -1021]


async def test_a_ramp_is_followed(desk):
    for step in range(1, 9):
        set_skew(desk.venue, 700 * step)
        await desk.rest.open_orders("BTCUSDC")
        await asyncio.sleep(0)
    # 5.6 s in all, refused each time that more than recvWindow, or the second the venue allows, had gathered.
    assert 1 <= len(desk.refused) <= 6 and set(desk.refused) == {-1021}
