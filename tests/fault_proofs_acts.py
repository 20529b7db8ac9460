"""What shows from outside the venue that acts on it happen. Each proof fails when nothing happens."""

import asyncio
import time

import aiohttp
from fault_venue import (
    BEST,
    SOON_S,
    breaks,
    comes_to_nothing,
    executions,
    handshake,
    is_answer,
    proof,
    until,
)
from sim_client import heard, next_json


@proof
async def refuse_connections(v):
    for how, status in (("404", 404), ("403", 403), ("418", 418), ("503", 503), ("close", 0), ("reset", 0)):
        await v.on("refuse_connections", route="public", how=how)
        assert await handshake(v, "public") == status, how
        await v.off()
    await v.on("refuse_connections", route="rest")
    async with aiohttp.ClientSession() as other:
        assert await breaks(other.get(f"{v.client.rest}/fapi/v1/time"))
        async with other.get(f"{v.client.rest}/sim/faults") as reply:
            assert reply.status == 200


@proof
async def disconnect(v):
    stream = await v.market(BEST)
    await v.on("disconnect", route="public")
    assert await ended(stream) != aiohttp.WSCloseCode.GOING_AWAY


@proof
async def end_of_life(v):
    stream = await v.user()
    await v.on("end_of_life", route="private")
    assert await ended(stream) == aiohttp.WSCloseCode.GOING_AWAY


async def ended(stream):
    """Return the code a connection ends with; AssertionError if it does not."""
    for _ in range(200):
        message = await stream.receive(SOON_S)
        if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
            return message.data
    raise AssertionError("it goes on")


@proof
async def half_open(v):
    stream = await v.market(BEST)
    await v.on("half_open")
    await asyncio.sleep(0.05)
    while not await comes_to_nothing(stream.receive(), 0.03):
        if stream.closed:
            break
    await stream.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    assert await comes_to_nothing(stream.receive(), 0.3)
    assert not stream.closed
    await v.off()
    await ended(stream)


@proof
async def key_expired(v):
    stream = await v.user()
    await v.on("key_expired")
    assert (await next_json(stream, SOON_S))["e"] == "listenKeyExpired"
    assert (await v.client.request("PUT", "/fapi/v1/listenKey"))[1]["code"] == -1125


@proof
async def key_lost(v):
    stream = await v.user()
    await v.on("key_lost", account=1)
    await v.place("a")
    assert await heard(stream, SOON_S) == []
    assert (await v.client.request("PUT", "/fapi/v1/listenKey"))[1]["code"] == -1125


# ---- limits, clock, dead man's switch


@proof
async def overload(v):
    await v.place("a")
    await v.on("overload")
    assert (await v.place("b"))[:2] == (503, -1008)
    assert await v.cancel("a") == (200, "CANCELED")


@proof
async def limits(v):
    await v.on("limits", what="orders", share=0.0034)
    codes = [(await v.place(client_id))[:2] for client_id in "abc"]
    assert (429, -1015) in codes
    _, answer, _ = await v.client.get("/fapi/v1/exchangeInfo")
    assert [row["limit"] for row in answer["rateLimits"]] == [2400, 1200, 300]
    await v.on("limits", what="weight", share=0.001)
    statuses = [(await v.client.get("/fapi/v1/time"))[0] for _ in range(4)]
    assert 429 in statuses


@proof
async def listed_limits(v):
    await v.on("listed_limits", what="orders")
    _, answer, _ = await v.client.get("/fapi/v1/exchangeInfo")
    assert [row["limit"] for row in answer["rateLimits"]] == [2400, 600, 150]
    await v.off()
    await v.on("listed_limits", share=0.01)
    _, answer, _ = await v.client.get("/fapi/v1/exchangeInfo")
    assert [row["limit"] for row in answer["rateLimits"]] == [24, 12, 3]
    assert 429 in [(await v.client.get("/fapi/v1/time"))[0] for _ in range(26)]


@proof
async def clock_skew(v):
    await v.on("clock_skew", skew_ms=-6000)
    _, answer, _ = await v.client.get("/fapi/v1/time")
    assert -7000 < answer["serverTime"] - time.time() * 1000 < -5000
    assert (await v.client.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDC"))[1]["code"] == -1021


@proof
async def countdown_late(v):
    await v.place("a")
    await v.on("countdown_late")
    params = {"symbol": "BTCUSDC", "countdownTime": 50}
    assert (await v.client.signed("POST", "/fapi/v1/countdownCancelAll", **params))[0] == 200
    await asyncio.sleep(0.25)
    assert await v.query("a") == "NEW"
    await v.off()
    assert await until(lambda: is_answer(v.query("a"), "CANCELED"))


# ---- contracts


@proof
async def filters(v):
    price = f"{int(float(await v.low())) + 0.1:.1f}"
    before = (await v.entry())["filters"]
    await v.on("filters", symbol="BTCUSDC", tick=10, step=5, notional=3)
    after, other = (await v.entry())["filters"], (await v.entry("ETHUSDC"))["filters"]
    assert float(after["PRICE_FILTER"]["tickSize"]) == 10 * float(before["PRICE_FILTER"]["tickSize"])
    assert float(after["LOT_SIZE"]["stepSize"]) == 5 * float(before["LOT_SIZE"]["stepSize"])
    assert float(after["MIN_NOTIONAL"]["notional"]) == 3 * float(before["MIN_NOTIONAL"]["notional"])
    assert float(other["LOT_SIZE"]["stepSize"]) < 1
    assert (await v.place("a", price=price))[:2] == (400, -4014)
    whole = f"{int(float(price))}"
    assert (await v.place("a", price=whole, quantity="0.011"))[:2] == (400, -4023)
    assert (await v.place("a", price=whole, quantity="0.01"))[:2] == (200, "NEW")


@proof
async def band(v):
    await v.on("band", symbol="BTCUSDC", width=0.0001)
    assert (await v.entry())["filters"]["PERCENT_PRICE"]["multiplierUp"] == "1.0001"
    _, ask = await v.prices()
    status, code, _ = await v.place("a", price=f"{ask * 1.01:.1f}", timeInForce="IOC", quantity="0.001")
    assert (status, code) == (400, -4016)


@proof
async def halt(v):
    stream, listed = await v.user(), await v.market("!contractInfo", path="market")
    await v.place("a")
    await next_json(stream)
    await v.on("halt", symbol="BTCUSDC")
    order = (await next_json(stream, 1))["o"]
    assert (order["x"], order["er"]) == ("EXPIRED", "7")
    told = (await v.frames(listed, 1))[0]
    assert (told["s"], told["cs"]) == ("BTCUSDC", "SETTLING")
    assert (await v.entry())["status"] == "SETTLING"
    assert (await v.place("b"))[:2] == (400, -4140)
    await v.off()
    assert (await v.frames(listed, 1))[0]["cs"] == "TRADING"
    assert (await v.place("c"))[:2] == (200, "NEW")


@proof
async def risk_control(v):
    await v.on("risk_control", symbol="BTCUSDC", controlled="BUY")
    assert (await v.entry())["filters"]["POSITION_RISK_CONTROL"]["positionControlSide"] == "BUY"
    assert (await v.place("a"))[:2] == (400, -4106)


# ---- the account


@proof
async def hedge_mode(v):
    await v.on("hedge_mode", account=1)
    assert (await v.client.signed("GET", "/fapi/v1/positionSide/dual"))[1] == {"dualSidePosition": True}
    assert (await v.place("a"))[:2] == (400, -4061)


@proof
async def multi_assets(v):
    stream = await v.user()
    await v.on("multi_assets", account=1)
    assert (await next_json(stream, 1))["ai"] == {"j": True}
    assert (await v.client.signed("GET", "/fapi/v1/multiAssetsMargin"))[1] == {"multiAssetsMargin": True}


@proof
async def leverage(v):
    stream = await v.user()
    await v.on("leverage", symbol="BTCUSDC", leverage=3)
    assert (await next_json(stream, 1))["ac"] == {"s": "BTCUSDC", "l": 3}
    _, rows, _ = await v.client.signed("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDC")
    assert rows[0]["leverage"] == 3


@proof
async def margin_type(v):
    await v.buy()
    await v.on("margin_type", symbol="BTCUSDC")
    _, rows, _ = await v.client.signed("GET", "/fapi/v2/positionRisk", symbol="BTCUSDC")
    assert (rows[0]["marginType"], float(rows[0]["isolatedWallet"]) > 1) == ("isolated", True)


@proof
async def foreign_order(v):
    stream = await v.user()
    await v.on("foreign_order", account=1, symbol="BTCUSDC", price=await v.low(), qty="0.01")
    order = (await next_json(stream, 1))["o"]
    assert (order["c"][:4], order["x"], order["q"]) == ("web_", "NEW", "0.01")
    await v.on("foreign_order", account=1, symbol="ETHUSDC", side="SELL", seed=2)
    assert await until(lambda: sold(v))


async def sold(v) -> bool:
    _, rows, _ = await v.client.signed("GET", "/fapi/v2/positionRisk", symbol="ETHUSDC")
    return float(rows[0]["positionAmt"]) < 0


@proof
async def foreign_cancel(v):
    stream = await v.user()
    await v.place("a")
    await v.on("foreign_cancel")
    assert await executions(stream) == ["NEW", "CANCELED"]


@proof
async def expire_orders(v):
    stream = await v.user()
    for reason in (0, 4, 9):
        await v.place(f"a{reason}")
        await next_json(stream)
        await v.on("expire_orders", reason=reason)
        order = (await next_json(stream, SOON_S))["o"]
        assert (order["x"], order["er"]) == ("EXPIRED", str(reason))


@proof
async def liquidation(v):
    await v.buy()
    stream = await v.user()
    await v.on("liquidation", symbol="BTCUSDC", parts=3)
    events = [e for e in await heard(stream, SOON_S) if e["e"] == "ORDER_TRADE_UPDATE"]
    assert len({e["o"]["c"] for e in events if e["o"]["c"].startswith("autoclose-")}) == 3
    assert float((await position(v))["positionAmt"]) == 0


@proof
async def adl(v):
    await v.buy()
    stream = await v.user()
    await v.on("adl", symbol="BTCUSDC")
    events = [e for e in await heard(stream, SOON_S) if e["e"] == "ORDER_TRADE_UPDATE"]
    assert {e["o"]["c"] for e in events} == {"adl_autoclose"}
    assert float((await position(v))["positionAmt"]) == 0


@proof
async def settlement(v):
    await v.buy()
    stream = await v.user()
    await v.on("settlement")
    events = [e for e in await heard(stream, SOON_S) if e["e"] == "ORDER_TRADE_UPDATE"]
    assert {e["o"]["c"][:21] for e in events} == {"settlement_autoclose-"}
    assert float((await position(v))["positionAmt"]) == 0


async def position(v) -> dict:
    return (await v.client.signed("GET", "/fapi/v2/positionRisk", symbol="BTCUSDC"))[1][0]
