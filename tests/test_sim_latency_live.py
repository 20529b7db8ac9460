"""Latencies over real sockets: every way takes at least its time, and what a connection sends is handled in order."""

import contextlib
import time

import msgspec
import pytest
from sim_client import SimClient, next_json

from phx.process import StayDown
from phx.sim.process import Credentials, Servers, assembled

KEY = Credentials("k" * 64, "secret")
PLACE = {"symbol": "BTCUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}


@contextlib.asynccontextmanager
async def venue_with(config, **changes):
    """Yield a client of a venue with such a section sim, and a price far below its market."""
    sim = msgspec.structs.replace(config.sim, **{"latency_ms": 0.0} | changes)
    venue = assembled(sim, {"BTCUSDC": 0}, KEY)
    market = venue.exchange.player.markets["BTCUSDC"]
    price = market.contract.price(market.book.top(1)[0][0] - 10_000)
    async with Servers(venue, sim.port), SimClient(sim.port, *KEY) as client:
        yield client, price


async def test_each_way_takes_at_least_its_time(instance_config):
    slow = {"latency_ms": 20.0, "ack_latency_ms": 30.0, "feed_latency_ms": 40.0}
    async with venue_with(instance_config, **slow) as (client, price):
        begin = time.monotonic()
        status, ack, _ = await client.place(price=price)
        assert status == 200 and time.monotonic() - begin >= 0.050
        begin = time.monotonic()
        assert (await client.get("/fapi/v1/time"))[0] == 200, "reads are not measured"
        stream = await client.user_stream()
        begin_ms = time.time() * 1000
        status, _, _ = await client.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDC", orderId=ack["orderId"])
        event = await next_json(stream)
        assert event["o"]["x"] == "CANCELED" and event["T"] - begin_ms >= 19
        assert time.time() * 1000 - event["T"] >= 29
        tops = await client.session.ws_connect(f"{client.ws}/public/ws/btcusdc@bookTicker")
        for _ in range(5):
            top = await next_json(tops)
            assert time.time() * 1000 - top["T"] >= 39
        api = await client.session.ws_connect(f"{client.ws}/ws-fapi/v1")
        begin = time.monotonic()
        params = client.ws_params(**PLACE, price=price)
        await api.send_str(msgspec.json.encode({"id": 1, "method": "order.place", "params": params}).decode())
        answer = await next_json(api)
        assert time.monotonic() - begin >= 0.050 and answer["status"] == 200


async def test_measured_latencies_never_turn_requests_around(instance_config, tmp_path):
    path = tmp_path / "latency.csv"
    path.write_text("place_ms,cancel_ms,ack_ms\n1,0,0\n12,0.1,9\n30,,\n0,,\n")
    async with venue_with(instance_config, latency_file=str(path)) as (client, price):
        api = await client.session.ws_connect(f"{client.ws}/ws-fapi/v1")
        for number in range(40):
            method, params = "order.place", PLACE | {"price": price, "newClientOrderId": f"n{number // 2}"}
            if number % 2:
                method, params = "order.cancel", {"symbol": "BTCUSDC", "origClientOrderId": f"n{number // 2}"}
            body = {"id": number, "method": method, "params": client.ws_params(**params)}
            await api.send_str(msgspec.json.encode(body).decode())
        answers = [await next_json(api) for _ in range(40)]
        assert [answer["id"] for answer in answers] == list(range(40))
        # A cancel that overtook its order would have found nothing.
        assert {answer["status"] for answer in answers} == {200}
        ids = [answer["result"]["orderId"] for answer in answers]
        assert ids == sorted(ids)


def test_a_file_that_cannot_be_used_keeps_the_venue_down(instance_config, tmp_path):
    path = tmp_path / "latency.csv"
    path.write_text("place_us\nsoon\n")
    for name, said in ((str(path), "latency.csv:2: 'soon'"), (str(tmp_path / "no.csv"), "no.csv")):
        sim = msgspec.structs.replace(instance_config.sim, latency_file=name)
        with pytest.raises(StayDown, match="latency_file") as refusal:
            assembled(sim, {"BTCUSDC": 0}, KEY)
        assert said in str(refusal.value)
