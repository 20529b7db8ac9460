"""What shows from outside the venue that faults of requests happen. Each proof fails when nothing happens."""

import asyncio

import msgspec
from fault_venue import (
    DIFFS,
    FaultVenue,
    breaks,
    comes_to_nothing,
    executions,
    handshake,
    is_answer,
    proof,
    until,
)
from sim_client import next_json
from yarl import URL

UNKNOWN = "Unknown error, please check your request or try again later."


@proof
async def unknown_placed(v: FaultVenue):
    await v.on("unknown_placed")
    price = await v.low()
    status, answer, _ = await v.client.place(price=price, newClientOrderId=v.id("a"))
    assert (status, answer["msg"]) == (503, UNKNOWN)
    assert await v.query("a") == "NEW"


@proof
async def unknown_dropped(v):
    await v.on("unknown_dropped")
    price = await v.low()
    status, answer, _ = await v.client.place(price=price, newClientOrderId=v.id("a"))
    assert (status, answer["msg"]) == (503, UNKNOWN)
    assert await v.query("a") == -2013


@proof
async def timeout_placed(v):
    await v.on("timeout_placed")
    assert (await v.place("a"))[:2] == (408, -1007)
    assert await v.query("a") == "NEW"


@proof
async def timeout_dropped(v):
    await v.on("timeout_dropped", error=-1006)
    assert (await v.place("a"))[:2] == (503, -1006)
    assert await v.query("a") == -2013


@proof
async def overload_placed(v):
    await v.on("overload_placed")
    assert (await v.place("a"))[:2] == (503, -1008)
    assert await v.query("a") == "NEW"


@proof
async def overload_dropped(v):
    await v.on("overload_dropped")
    assert (await v.place("a"))[:2] == (503, -1008)
    assert await v.query("a") == -2013


@proof
async def internal_error(v):
    await v.on("internal_error")
    status, code, headers = await v.place("a")
    assert (status, code, headers["X-MBX-ORDER-COUNT-10S"]) == (503, -1001, "0")
    assert await v.query("a") == -2013


@proof
async def unavailable(v):
    await v.on("unavailable")
    status, page, headers = await v.place("a")
    assert (status, page, headers["Content-Type"]) == (503, b"Service Unavailable.", "text/plain")
    assert headers["X-MBX-ORDER-COUNT-10S"] == "0"  # such a failure uses no order count
    assert await v.query("a") == -2013


@proof
async def lost_reply(v):
    await v.on("lost_reply")
    assert await comes_to_nothing(v.place("a"))
    assert await v.query("a") == "NEW"


@proof
async def lost_request(v):
    await v.on("lost_request")
    assert await comes_to_nothing(v.place("a"))
    assert await v.query("a") == -2013


@proof
async def torn_reply(v):
    await v.on("torn_reply")
    assert await breaks(v.place("a"))
    assert await v.query("a") == "NEW"


@proof
async def torn_request(v):
    await v.on("torn_request")
    assert await breaks(v.place("a"))
    assert await v.query("a") == -2013


@proof
async def late_accept(v):
    await v.on("late_accept", delay_s=0.15)
    assert (await v.place("a"))[:2] == (503, -1000)
    assert await v.query("a") == -2013
    assert await until(lambda: is_answer(v.query("a"), "NEW"))


@proof
async def slow_request(v):
    await v.on("slow_request", delay_s=0.2)
    sent = asyncio.create_task(v.place("a"))
    await asyncio.sleep(0.1)
    assert await v.query("a") == -2013
    assert (await sent)[:2] == (200, "NEW")


@proof
async def slow_reply(v):
    stream = await v.user()
    await v.on("slow_reply", delay_s=0.3)
    sent = asyncio.create_task(v.place("a"))
    assert (await next_json(stream))["o"]["x"] == "NEW"
    await asyncio.sleep(0.05)
    assert not sent.done()
    assert (await sent)[:2] == (200, "NEW")


@proof
async def read_lag(v):
    await v.on("read_lag", lag_s=0.4)
    assert (await v.place("a"))[:2] == (200, "NEW")
    assert await v.query("a") == -2013
    assert await v.open_ids() == []
    assert await until(lambda: is_answer(v.query("a"), "NEW"))


@proof
async def reject(v):
    await v.on("reject", code=-2019, symbol="BTCUSDC")
    price = await v.low()
    status, answer, _ = await v.client.place(price=price)
    assert (status, answer) == (400, {"code": -2019, "msg": "Margin is insufficient."})


@proof
async def post_only(v):
    await v.on("post_only")
    assert (await v.place("a"))[:2] == (400, -5022)
    assert (await v.place("b", timeInForce="GTC"))[:2] == (200, "NEW")


@proof
async def post_only_expires(v):
    stream = await v.user()
    await v.on("post_only_expires")
    ask = (await v.prices())[1] + 20
    assert (await v.place("a", price=f"{ask:.1f}"))[:2] == (200, "NEW")
    assert await executions(stream) == ["NEW", "EXPIRED"]
    assert await v.query("a") == "EXPIRED"
    assert (await v.place("b"))[:2] == (200, "NEW")


@proof
async def partial_batch(v):
    await v.on("partial_batch")
    price = await v.low()
    leg = {
        "symbol": "BTCUSDC",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTX",
        "quantity": "0.01",
        "price": price,
    }
    raw = URL.build(query={"q": msgspec.json.encode([leg] * 3).decode()}).raw_query_string[2:]
    status, answers, _ = await v.client.signed("POST", "/fapi/v1/batchOrders", batchOrders=raw)
    assert (status, [a.get("code", a.get("status")) for a in answers]) == (200, ["NEW", -1001, "NEW"])


@proof
async def survivor(v):
    for client_id in "ab":
        await v.place(client_id, price=await v.low())
    await v.on("survivor")
    status, answer, _ = await v.client.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDC")
    assert (status, answer["code"]) == (200, 200)
    assert await v.open_ids() == ["b"]


@proof
async def swallowed_cancel(v):
    await v.place("a")
    await v.on("swallowed_cancel")
    assert await v.cancel("a") == (200, "CANCELED")
    assert await v.query("a") == "NEW"


@proof
async def stale_snapshot(v):
    await v.on("stale_snapshot", lag_s=60)
    stream = await v.market(DIFFS)
    await v.frames(stream, 3)
    newest = (await v.frames(stream, 1))[0]
    _, book, _ = await v.client.get("/fapi/v1/depth", symbol="BTCUSDC", limit=1000)
    assert book["lastUpdateId"] + 1 < newest["U"]
    assert len(book["bids"]) > 100


@proof
async def strange_answer(v):
    await v.place("a")
    await v.on("strange_answer")
    _, answer, _ = await v.client.signed("GET", "/fapi/v1/order", symbol="BTCUSDC", origClientOrderId=v.id("a"))
    assert (answer["status"], answer["clientOrderId"], "unheard" in answer) == ("NEVER_HEARD", v.id("a"), True)


@proof
async def hostile_body(v):
    is_hostile = {
        "cut": lambda body, kind: body[:1] == b"{" and body[-1:] != b"}",
        "empty": lambda body, kind: body == b"" and kind == "application/json",
        "html": lambda body, kind: body.startswith(b"<html") and kind == "text/html",
        "text": lambda body, kind: body[:1] == b"{" and kind == "text/plain",
        "huge": lambda body, kind: len(body) > 1_500_000,
        "deep": lambda body, kind: body.startswith(b"[" * 1000),
        "not_utf8": lambda body, kind: b"\xff\xfe" in body,
        "numbers": lambda body, kind: b'"NaN"' in body and body[-1:] == b"}",
    }
    for body, found in is_hostile.items():
        await v.on("hostile_body", body=body, of="depth")
        async with v.client.session.get(f"{v.client.rest}/fapi/v1/depth?symbol=BTCUSDC&limit=5") as reply:
            assert reply.status == 200
            assert found(await reply.read(), reply.content_type), body
        await v.off()


@proof
async def key_revoked(v):
    await v.on("key_revoked")
    assert (await v.client.get("/fapi/v1/time"))[0] == 200
    status, answer, _ = await v.client.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDC")
    assert (status, answer["code"]) == (401, -2015)


@proof
async def bad_gateway(v):
    await v.on("bad_gateway")
    status, page, headers = await v.client.get("/fapi/v1/time")
    assert (status, page[:6], headers["Content-Type"][:9]) == (502, b"<html>", "text/html")


@proof
async def outage(v):
    await v.on("outage")
    assert (await v.client.get("/fapi/v1/time"))[:2] == (503, b"Service Unavailable.")
    assert (await v.client.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDC"))[0] == 503


@proof
async def too_many(v):
    await v.on("too_many", retry_after_s=3)
    status, answer, headers = await v.client.get("/fapi/v1/time")
    assert (status, answer["code"], headers["Retry-After"]) == (429, -1003, "3")


@proof
async def ban(v):
    await v.on("ban")
    status, answer, headers = await v.client.get("/fapi/v1/time")
    assert (status, answer["code"], headers["Retry-After"]) == (418, -1003, "120")
    assert "IP banned until 1" in answer["msg"]
    assert await handshake(v, "public") == 418


@proof
async def closed_door(v):
    await v.on("closed_door")
    status, page, _ = await v.client.get("/fapi/v1/time")
    assert (status, page[:6]) == (403, b"<html>")
    assert await handshake(v, "private") == 403
