"""What shows from outside the venue that faults of streams happen. Each proof fails when nothing happens."""

import asyncio
from itertools import pairwise

import aiohttp
import msgspec
from fault_venue import (
    BEST,
    DIFFS,
    SOON_S,
    executions,
    proof,
)
from sim_client import heard, next_json


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
