"""What shows that a fault happens: one proof for each, told from outside the venue. Each fails when nothing happens."""

import asyncio
import time
from itertools import pairwise

import aiohttp
import msgspec
from fault_venue import SOON_S, FaultVenue, breaks, comes_to_nothing, executions, until
from sim_client import heard, next_json
from yarl import URL

UNKNOWN = "Unknown error, please check your request or try again later."
PROOFS = {}
DIFFS, BEST = "btcusdc@depth@0ms", "btcusdc@bookTicker"


def proof(work):
    """Keep a proof under the name of its fault."""
    PROOFS[work.__name__] = work
    return work


# ---- requests


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


async def is_answer(question, expected) -> bool:
    return await question == expected


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


async def handshake(v, path: str) -> int:
    """Return the status a handshake is answered with: 101, an error, or 0 for a connection that breaks."""
    try:
        connection = await v.client.session.ws_connect(f"{v.client.ws}/{path}/ws/{BEST}")
        v.sockets.append(connection)
        message = await connection.receive(SOON_S * 3)
        return 0 if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR) else 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status
    except (aiohttp.ClientError, ConnectionError):
        return 0


# ---- the user stream


@proof
async def drop_event(v):
    stream = await v.user()
    await v.on("drop_event", event="ORDER_TRADE_UPDATE", execution="CANCELED")
    await v.place("a")
    await v.cancel("a")
    assert await executions(stream) == ["NEW"]


@proof
async def late_event(v):
    stream = await v.user()
    await v.on("late_event", execution="NEW", delay_s=0.1)
    await v.place("a")
    await v.cancel("a")
    assert await executions(stream, 0.25) == ["CANCELED", "NEW"]


@proof
async def double_event(v):
    stream = await v.user()
    await v.on("double_event")
    await v.place("a")
    first, second = await next_json(stream, 1), await next_json(stream, SOON_S)
    assert first == second


@proof
async def swap_events(v):
    stream = await v.user()
    await v.on("swap_events", count=1)
    await v.place("a")
    await v.cancel("a")
    assert await executions(stream) == ["CANCELED", "NEW"]


@proof
async def strange_event(v):
    stream = await v.user()
    await v.on("strange_event")
    await v.place("a")
    events = await heard(stream, SOON_S)
    assert "zo" in events[0]
    assert [event.get("e") for event in events] == [
        "ORDER_TRADE_UPDATE", "SOMETHING_NEW", "ACCOUNT_CONFIG_UPDATE", "STRATEGY_UPDATE", None
    ]  # fmt: skip


@proof
async def strange_status(v):
    stream = await v.user()
    await v.on("strange_status")
    await v.place("a")
    order = (await next_json(stream, 1))["o"]
    assert (order["c"], order["x"], order["X"], order["er"]) == (v.id("a"), *["NEVER_HEARD"] * 3)


@proof
async def bad_event_numbers(v):
    stream = await v.user()
    for number, shown in (("NaN", "NaN"), ("1e400", "1e400"), ("empty", ""), ("null", None), ("-1", "-1")):
        await v.on("bad_event_numbers", number=number)
        await v.place(f"a{number}")
        order = (await next_json(stream, 1))["o"]
        assert [order[key] for key in "qpapzlL".replace("ap", "")] == [shown] * 5
        await v.off()


@proof
async def silent_user_stream(v):
    stream = await v.user()
    await v.on("silent_user_stream")
    await v.place("a")
    assert await heard(stream, SOON_S) == []
    assert not stream.closed


@proof
async def replayed_events(v):
    stream = await v.user()
    await v.on("replayed_events")
    await v.place("a")
    first = await next_json(stream, 1)
    assert await next_json(await v.user(), SOON_S) == first


# ---- market data


@proof
async def gap(v):
    stream = await v.market(DIFFS)
    frames = await v.frames(stream, 2)
    await v.on("gap", count=1)
    frames += await v.frames(stream, 40)
    assert sum(after["pu"] != before["u"] for before, after in pairwise(frames)) == 1


@proof
async def silence(v):
    stream = await v.market(DIFFS, BEST)
    await v.on("silence", stream="depth")
    await asyncio.sleep(0.05)
    await v.market(BEST)  # what is on its way arrives before
    frames = await heard(stream, 0.6)
    newest = [frame["stream"] for frame in frames[len(frames) // 2 :]]
    assert set(newest) == {BEST}
    await stream.ping()
    assert not stream.closed


@proof
async def late_frame(v):
    stream = await v.market(DIFFS)
    await v.on("late_frame", delay_s=0.05, rate=0.3, seed=3)
    numbers = [frame["u"] for frame in await v.frames(stream, 40)]
    assert numbers != sorted(numbers)


@proof
async def double_frame(v):
    stream = await v.market(DIFFS)
    await v.on("double_frame")
    numbers = [frame["u"] for frame in await v.frames(stream, 8)]
    assert len(set(numbers)) < len(numbers)


@proof
async def swap_frames(v):
    stream = await v.market(DIFFS)
    await v.on("swap_frames", count=1)
    numbers = [frame["u"] for frame in await v.frames(stream, 40)]
    assert sum(after < before for before, after in pairwise(numbers)) == 1


async def comes(stream, is_such, seconds: float = 1.0):
    """Wait for a message of a kind among others. What is on its way when a fault begins is not it yet."""
    async with asyncio.timeout(seconds):
        while not is_such(message := await stream.receive()):
            assert not stream.closed
    return message


async def frame_comes(stream, is_such) -> None:
    await comes(stream, lambda message: is_such(msgspec.json.decode(message.data)["data"]))


@proof
async def crossed_book(v):
    best, depth = await v.market(BEST), await v.market("btcusdc@depth5@100ms")
    await v.on("crossed_book")
    await frame_comes(best, lambda frame: float(frame["b"]) > float(frame["a"]))
    await frame_comes(depth, lambda frame: float(frame["b"][0][0]) > float(frame["a"][0][0]))


@proof
async def empty_side(v):
    best, depth = await v.market(BEST), await v.market("btcusdc@depth5@100ms")
    await v.on("empty_side", side="BUY")
    await frame_comes(best, lambda frame: (frame["b"], frame["B"], float(frame["a"]) > 0) == ("0", "0", True))
    await frame_comes(depth, lambda frame: {q for _, q in frame["b"]} == {"0"} != {q for _, q in frame["a"]})


@proof
async def bad_numbers(v):
    stream = await v.market(BEST)
    await v.on("bad_numbers", number="1e400", stream="bookTicker")
    await frame_comes(stream, lambda frame: [frame[key] for key in "bBaA"] == ["1e400"] * 4)


@proof
async def hostile_payload(v):
    marks = {
        "huge": '["1","1"],["1","1"]', "deep": "[[[[[[[[", "cut": '"depthUpdate","E":17', "numbers": '"b":"NaN"',
        "null": '"E":null', "lines": "测试USDT", "empty": '"data":}', "html": "<html>",
    }  # fmt: skip
    stream = await v.market(BEST)
    for payload, mark in marks.items():
        await v.on("hostile_payload", payload=payload, count=1)
        await comes(stream, lambda message, mark=mark: mark in message.data)
        await v.off()
    await v.on("hostile_payload", payload="not_utf8")
    await comes(stream, lambda message: message.type is not aiohttp.WSMsgType.TEXT)


@proof
async def hostile_frame(v):
    for frame in ("deflate", "oversized", "binary", "fragment", "opcode", "masked", "not_utf8"):
        stream = await v.market(BEST)
        await v.on("hostile_frame", frame=frame, symbol="BTCUSDC")
        await comes(stream, lambda message: message.type is not aiohttp.WSMsgType.TEXT or BEST not in message.data)
        await v.off()


@proof
async def torn_frame(v):
    stream = await v.market(BEST)
    await v.on("torn_frame")
    await comes(stream, lambda message: message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR))


# ---- connections, keys


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
