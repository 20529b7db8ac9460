"""Streams and the WebSocket API written from the public documentation alone, with `websockets` and raw frames."""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import websockets
from judging import Judge, arguments, expect
from websockets.frames import Opcode

judge = Judge()


class Venue:
    def __init__(self, said: dict):
        self.said, self.symbol, self.small = said, said["symbol"], said["symbol"].lower()
        self.api = said["ws"] + "/ws-fapi/v1"

    def connect(self, path: str, **options):
        return websockets.connect(self.said["ws"] + path, open_timeout=10, **options)

    def signed(self, **params) -> dict:
        params |= {"apiKey": self.said["key"], "timestamp": int(time.time() * 1000)}
        spoken = "&".join(f"{k}={text(v)}" for k, v in sorted(params.items()))
        signature = hmac.new(self.said["secret"].encode(), spoken.encode(), hashlib.sha256).hexdigest()
        return params | {"signature": signature}

    def keyed(self, method: str, path: str) -> dict:
        request = urllib.request.Request(self.said["rest"] + path, method=method)
        request.add_header("X-MBX-APIKEY", self.said["key"])
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())


def text(value) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


async def ask(connection, request) -> dict:
    """Send a request and return the next answer, events of streams aside."""
    await connection.send(request if isinstance(request, str) else json.dumps(request))
    while True:
        found = json.loads(await asyncio.wait_for(connection.recv(), 10))
        if {"result", "error", "code"} & set(found):
            return found


async def streams_heard(connection, wanted: set, timeout_s: float = 12.0) -> set:
    """Listen until every wanted stream was heard in combined form, or until nothing more may come."""
    heard, end = set(), time.monotonic() + timeout_s
    while not wanted <= heard and time.monotonic() < end:
        try:
            heard.add(json.loads(await asyncio.wait_for(connection.recv(), end - time.monotonic())).get("stream"))
        except TimeoutError:
            break
    return heard


@judge.step
async def control_protocol(venue):
    s = venue.small
    async with venue.connect("/public/ws") as c:
        for number in (1, 0, 2**53, 9223372036854775807, "a text", "", "ид-号", None):
            found = await ask(c, {"method": "SUBSCRIBE", "params": [f"{s}@bookTicker"], "id": number})
            expect(found == {"result": None, "id": number}, found)
    async with venue.connect("/public/ws") as c:
        for number in (-1, 1.5, True, [1], {"a": 1}):
            found = await ask(c, {"method": "LIST_SUBSCRIPTIONS", "id": number})
            expect(found["error"]["code"] == 2 and "unsigned integer" in found["error"]["msg"], (number, found))
    async with venue.connect("/public/ws") as c:
        expect((await ask(c, {"method": "GET_PROPERTY", "params": ["combined"], "id": 1}))["result"] is False, "/ws")
        expect((await ask(c, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 2}))["id"] == 2, "set")
        await ask(c, {"method": "SUBSCRIBE", "params": [f"{s}@depth@0ms"], "id": 3})
        expect(await streams_heard(c, {f"{s}@depth@0ms"}) >= {f"{s}@depth@0ms"}, "a combined frame")
        found = await ask(c, {"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 4})
        expect(found["error"] == {"code": 1, "msg": "Invalid value type: expected Boolean"}, found)
        found = await ask(c, {"method": "GET_PROPERTY", "params": ["colour"], "id": 5})
        expect(found["error"] == {"code": 0, "msg": "Unknown property"}, found)
        found = await ask(c, {"method": "subscribe", "params": [], "id": 6})
        expect("unknown variant `subscribe`, expected one of `SUBSCRIBE`" in found["error"]["msg"], found)
        found = await ask(c, {"params": [], "id": 7})
        expect("missing field `method`" in found["error"]["msg"], found)
        found = await ask(c, {"method": "LIST_SUBSCRIPTIONS", "id": 8})
        expect(found == {"result": [f"{s}@depth@0ms"], "id": 8}, found)


@judge.step
async def paths_and_forms(venue):
    s = venue.small
    for path, public, market in (
        ("", True, False),
        ("/public", True, False),
        ("/market", False, True),
        ("/private", False, False),
    ):
        streams = [f"{s}@bookTicker", f"{s}@markPrice@1s"]
        async with venue.connect(f"{path}/stream?streams={'/'.join(streams)}") as c:
            wanted = {name for name, carried in zip(streams, (public, market), strict=True) if carried}
            heard = await streams_heard(c, wanted or {"nothing"}, 6 if wanted else 2)
            expect(heard == wanted, (path, heard))
    async with venue.connect(f"/market/ws/{s}@markPrice@1s/{s}@kline_1m/") as c:
        expect(json.loads(await asyncio.wait_for(c.recv(), 6))["e"] in ("markPriceUpdate", "kline"), "a payload")
    async with venue.connect(f"/public/stream?streams={s}%40bookTicker&timeUnit=MILLISECOND") as c:
        expect(await streams_heard(c, {f"{s}@bookTicker"}) == {f"{s}@bookTicker"}, "percent-encoded")
    async with venue.connect("/private/ws?listenKey=nobodys") as c:
        expect((await ask(c, {"method": "LIST_SUBSCRIPTIONS", "id": 1}))["result"] == ["nobodys"], "an unknown key")
    async with venue.connect(f"/public/stream?streams={s.upper()}@bookTicker/no@such/%E6%AF%94%E7%89%B9@trade") as c:
        expect(await streams_heard(c, {"nothing"}, 1.5) == set(), "silence")
    for path in ("/nowhere", "/public/nowhere", "/ws-fapi/v2", "/dapi/ws"):
        try:
            async with venue.connect(path):
                raise AssertionError(f"{path} was opened")
        except websockets.InvalidStatus as error:
            expect(error.response.status_code in (400, 403, 404), error)


@judge.step
async def a_thousand_streams(venue):
    s = venue.small
    async with venue.connect("/public/stream") as c:
        many = [f"{s}x{n}@depth" for n in range(1019)]
        for begin in range(0, 1019, 300):
            expect(
                (await ask(c, {"method": "SUBSCRIBE", "params": many[begin : begin + 300], "id": begin}))["id"]
                == begin,
                begin,
            )
        real = [f"{s}@bookTicker", f"{s}@depth@100ms", f"{s}@depth5", f"{s}@trade", f"{s}@depth20@100ms"]
        expect((await ask(c, {"method": "SUBSCRIBE", "params": real, "id": 1}))["result"] is None, "1024 streams")
        expect(await streams_heard(c, set(real)) >= set(real), "every real one")
        expect((await ask(c, {"method": "UNSUBSCRIBE", "params": many + real, "id": 2}))["result"] is None, "none")
        await asyncio.sleep(0.3)
        expect((await ask(c, {"method": "LIST_SUBSCRIPTIONS", "id": 3}))["result"] == [], "none")
        expect(await streams_heard(c, {"nothing"}, 1) == set(), "silence")


@judge.step
async def pings_and_compression(venue):
    async with venue.connect(f"/public/ws/{venue.small}@bookTicker", compression="deflate") as c:
        started = time.monotonic()
        for payload in (b"", b"x" * 125, "пинг".encode()):
            await asyncio.wait_for(await c.ping(payload), 5)
        await c.pong(b"unasked")
        await asyncio.wait_for(c.recv(), 10)
        return f"{time.monotonic() - started:.2f} s"


@judge.step
async def too_many_messages_end_a_connection(venue):
    async with venue.connect("/public/ws") as c:
        try:
            for n in range(30):
                await c.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": n}))
            for _ in range(40):
                await asyncio.wait_for(c.recv(), 5)
        except websockets.ConnectionClosed as error:
            return str(error)
    raise AssertionError("thirty messages at once were taken")


@judge.step
async def reconnects(venue):
    for n in range(40):
        async with venue.connect(f"/public/ws/{venue.small}@bookTicker") as c:
            if n % 2:
                await asyncio.wait_for(c.recv(), 10)
    connections = [await venue.connect(f"/public/ws/{venue.small}@depth@100ms") for _ in range(20)]
    frames = await asyncio.gather(*(asyncio.wait_for(c.recv(), 10) for c in connections))
    expect(len(frames) == 20, len(frames))
    for c in connections:
        c.transport.abort()  # without saying goodbye


@judge.step
async def a_slow_reader_slows_nobody(venue):
    s = venue.small
    reader, writer = await raw_handshake(venue, f"/public/stream?streams={s}@bookTicker/{s}@depth@0ms/{s}@trade")
    reader._transport.pause_reading()
    async with venue.connect(f"/public/ws/{s}@bookTicker") as c:
        for _ in range(20):
            event = json.loads(await asyncio.wait_for(c.recv(), 10))
        late_ms = time.time() * 1000 - event["E"]
    writer.close()
    expect(late_ms < 5000, late_ms)
    return f"{late_ms:.0f} ms late"


async def raw_handshake(venue, target: str, extra: str = "", lines: str = "\r\n"):
    """Open a WebSocket by hand and return its reader and writer."""
    address = urlsplit(venue.said["ws"])
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    nonce = base64.b64encode(b"0123456789abcdef").decode()
    head = (
        f"GET {target} HTTP/1.1\r\nhost: {address.netloc}\r\nupgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: {nonce}\r\n{extra}\r\n"
    )
    writer.write(head.encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    expect(answer.startswith(b"HTTP/1.1 101"), answer)
    return reader, writer


@judge.step
async def handshakes_of_odd_clients(venue):
    offered = "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\norigin: http://localhost\r\n"
    reader, writer = await raw_handshake(venue, f"/public/ws/{venue.small}@bookTicker", offered)
    head = await asyncio.wait_for(reader.readexactly(2), 10)
    expect(head[0] == 0x80 | Opcode.TEXT, head)  # complete, not compressed, not masked
    expect(head[1] & 0x80 == 0, head)
    writer.close()


@judge.step
async def requests_in_a_row_on_the_websocket_api(venue):
    async with venue.connect("/ws-fapi/v1") as c:
        numbers = [1, "two", None, 0, -3, 2**62, "四"]
        for number in numbers:
            await c.send(json.dumps({"id": number, "method": "time"}))
        found = [json.loads(await asyncio.wait_for(c.recv(), 10)) for _ in numbers]
        expect([row["id"] for row in found] == numbers and all(row["status"] == 200 for row in found), found)
        expect(list(found[0]) == ["id", "status", "result", "rateLimits"], found[0])
        limit = found[0]["rateLimits"][0]
        expect(limit["rateLimitType"] == "REQUEST_WEIGHT" and limit["limit"] == 2400 and limit["count"] > 0, limit)
        for broken in ("nonsense", "[]", '"a"', "{}", '{"id":1}', '{"id":1,"method":7}'):
            found = await ask(c, broken)
            expect(
                found == {"id": None, "status": 400, "error": {"code": -1000, "msg": "Invalid JSON request."}}, found
            )
        found = await ask(c, {"id": 5, "method": "order.fly", "params": {}})
        expect(found["id"] == 5 and found["status"] == 400 and "error" in found, found)
        found = await ask(c, {"id": 6, "method": "time", "params": {"returnRateLimits": False}})
        expect("rateLimits" not in found, found)


@judge.step
async def orders_on_the_websocket_api(venue):
    async with venue.connect("/ws-fapi/v1?returnRateLimits=true") as c:
        book = await ask(c, {"id": "b", "method": "ticker.book", "params": {"symbol": venue.symbol}})
        price = f"{float(book['result']['bidPrice']) * 0.97:.1f}"
        wanted = {"symbol": venue.symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": price}
        for n, qty in enumerate(("0.01", 0.01, 0.010)):
            await c.send(
                json.dumps({"id": f"p{n}", "method": "order.place", "params": venue.signed(**wanted, quantity=qty)})
            )
        placed = [json.loads(await asyncio.wait_for(c.recv(), 10)) for _ in range(3)]
        expect([row["id"] for row in placed] == ["p0", "p1", "p2"], placed)
        expect(all(row["status"] == 200 and "avgPrice" not in row["result"] for row in placed), placed)
        kinds = [(row["rateLimitType"], row["interval"], row["limit"]) for row in placed[0]["rateLimits"]]
        expected = [("REQUEST_WEIGHT", "MINUTE", -1), ("ORDERS", "SECOND", 300), ("ORDERS", "MINUTE", 1200)]
        expect(kinds == expected, kinds)
        counts = [row["rateLimits"][2]["count"] for row in placed]
        expect(counts[1:] == [counts[0] + 1, counts[0] + 2] or counts[2] < 3, counts)
        for row in placed:
            found = await ask(
                c,
                {
                    "id": 1,
                    "method": "order.cancel",
                    "params": venue.signed(symbol=venue.symbol, orderId=row["result"]["orderId"]),
                },
            )
            expect(found["result"]["status"] == "CANCELED" and len(found["rateLimits"]) == 1, found)
        found = await ask(
            c, {"id": 2, "method": "order.cancel", "params": venue.signed(symbol=venue.symbol, orderId=1)}
        )
        expect(found["status"] == 400 and found["error"] == {"code": -2011, "msg": "Unknown order sent."}, found)
        change = venue.signed(symbol=venue.symbol, orderId=1, side="BUY", quantity="0.01", price=price)
        found = await ask(c, {"id": 3, "method": "order.modify", "params": change})
        expect(found["error"]["code"] == -2013, found)
        found = await ask(c, {"id": 4, "method": "session.logon", "params": venue.signed()})
        expect(found["status"] == 400 and found["error"]["code"] == -4056, found)
        found = await ask(c, {"id": 5, "method": "account.balance", "params": {"timestamp": 1}})
        expect(found["status"] == 401 and found["error"]["code"] == -2014, found)
        found = await ask(c, {"id": 6, "method": "v2/account.balance", "params": venue.signed()})
        expect(found["status"] == 200 and found["result"], found)


@judge.step
async def user_streams(venue):
    key = venue.keyed("POST", "/fapi/v1/listenKey")["listenKey"]
    expect(len(key) == 64 and venue.keyed("POST", "/fapi/v1/listenKey")["listenKey"] == key, key)
    all_of, chosen = f"/private/ws?listenKey={key}", f"/private/ws?listenKey={key}&events=TRADE_LITE/ACCOUNT_UPDATE"
    async with (
        venue.connect(all_of) as every,
        venue.connect(chosen) as some,
        venue.connect("/private/stream") as late,
        venue.connect("/ws-fapi/v1") as api,
    ):
        await ask(late, {"method": "SUBSCRIBE", "params": [key], "id": 1})
        for side, reducing in (("BUY", "false"), ("SELL", "true")):
            wanted = {
                "symbol": venue.symbol,
                "side": side,
                "type": "MARKET",
                "quantity": "0.01",
                "reduceOnly": reducing,
            }
            found = await ask(api, {"id": side, "method": "order.place", "params": venue.signed(**wanted)})
            expect(found["status"] == 200, found)
        found = []
        while [row["e"] for row in found].count("ACCOUNT_UPDATE") < 2:
            found.append(json.loads(await asyncio.wait_for(every.recv(), 10)))
        expect([row["e"] for row in found[:2]] == ["TRADE_LITE", "ORDER_TRADE_UPDATE"], [row["e"] for row in found])
        heard = [json.loads(await asyncio.wait_for(some.recv(), 10))["e"] for _ in range(4)]
        expect(set(heard) == {"TRADE_LITE", "ACCOUNT_UPDATE"}, heard)
        frame = json.loads(await asyncio.wait_for(late.recv(), 10))
        expect(frame["stream"] == key and "e" in frame["data"], frame)
        venue.keyed("PUT", "/fapi/v1/listenKey")
        expect(venue.keyed("DELETE", "/fapi/v1/listenKey") == {}, "an empty object")


if __name__ == "__main__":
    asyncio.run(judge.run(Venue(arguments())))
