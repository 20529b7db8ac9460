"""Stream connections over real sockets: paths and forms, limits, pings, life, and clients that do not read."""

import asyncio
import contextlib
import socket

import aiohttp
import msgspec
import picows
import pytest

from phx.sim.api import connection, control, ws
from phx.sim.api.connection import Timing
from phx.sim.api.ws import asked_for
from phx.sim.faults.trouble import Trouble
from phx.sim.latency import Latency
from phx.sim.streams.hub import Hub

KEY, OTHER_KEY = "k" * 64, "o" * 64


class Venue:
    """What stream connections need of a venue: nothing trades here, the test itself sends."""

    def __init__(self, strict_paths=True):
        self.hub = Hub()
        self.strict_paths = strict_paths
        self.latency = Latency({})
        self.connections = set()
        self.told_silent = set()
        self.trouble = Trouble(self)

    @staticmethod
    def now_ms() -> int:
        return 0

    async def listened_to(self, *streams: str) -> None:
        """Wait until somebody listens to every one of the streams."""
        while not all(map(self.hub.wanted, streams)):
            await asyncio.sleep(0.001)


class Client:
    """A plain client; url: the server's."""

    def __init__(self, session, url):
        self.session, self.url = session, url

    async def open(self, path, **options):
        return await self.session.ws_connect(self.url + path, **options)


@pytest.fixture
async def serving():
    """Yield a function that serves a venue with the timing given and returns a client of it."""
    servers, sessions = [], []

    async def serve(venue, **timing):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        servers.append(await ws.serve(venue, port, Timing(**timing)))
        sessions.append(aiohttp.ClientSession())
        return Client(sessions[-1], f"ws://127.0.0.1:{port}")

    yield serve
    for session in sessions:
        await session.close()
    for server in servers:
        server.close()


async def received(channel) -> str:
    return (await channel.receive(5)).data


async def asked(channel, method, *params, number=1):
    """Send a request; return the answer."""
    await channel.send_json({"method": method, "params": list(params), "id": number})
    return msgspec.json.decode(await received(channel))


# path and query → what is listened to, whether frames are enveloped
FORMS = [
    ("/public/ws/a@trade", ["a@trade"], False),
    ("/public/ws/a@trade/b@depth", ["a@trade", "b@depth"], False),
    ("/public/ws/a@trade/", ["a@trade"], False),
    ("/ws/a@trade", ["a@trade"], False),
    ("/public/stream?streams=a@trade/b@depth", ["a@trade", "b@depth"], True),
    ("/public/stream?streams=a@trade&timeUnit=x", ["a@trade"], True),
    ("/stream?streams=a@trade/b@depth", ["a@trade", "b@depth"], True),
    ("/market/stream?streams=!ticker@arr/a_perpetual@continuousKline_1m", ["!ticker@arr"], True),
    ("/market/ws/tradingSession", ["tradingSession"], False),
    (f"/private/ws/{KEY}", [KEY], False),
    (f"/private/ws?listenKey={KEY}", [KEY], False),
    (f"/private/stream?listenKey={KEY}", [KEY], True),
    (f"/private/stream?streams={KEY}", [KEY], True),
    (f"/private/stream?listenKey={KEY}&listenKey={OTHER_KEY}", [KEY, OTHER_KEY], True),
]


@pytest.mark.parametrize(("path", "streams", "combined"), FORMS)
async def test_every_form_of_address_is_served(serving, path, streams, combined):
    venue = Venue()
    channel = await (await serving(venue)).open(path)
    await asyncio.wait_for(venue.listened_to(*streams), 5)
    for stream in streams:
        venue.hub.send(stream, '{"e":"x"}')
        expected = f'{{"stream":"{stream}","data":{{"e":"x"}}}}' if combined else '{"e":"x"}'
        assert await received(channel) == expected


async def test_what_is_no_path_of_the_venue_is_not_served(serving):
    client = await serving(Venue())
    for path in ("/public/wss", "/secret/ws", "/public/ws-api"):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.open(path)


PLACES = ["a@bookTicker", "a@trade", "a@depth@0ms", "a@rpiDepth@500ms", "!bookTicker"], [
    "a@aggTrade", "a@markPrice@1s", "!markPrice@arr", "a@kline_1m", "!ticker@arr", "!forceOrder@arr", "!contractInfo",
]  # fmt: skip


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("path", ["", "/public", "/market", "/private"])
async def test_a_strict_venue_is_silent_on_the_wrong_path_and_acknowledges_all_the_same(serving, strict, path):
    venue = Venue(strict)
    channel = await (await serving(venue)).open(f"{path}/stream")
    everything = [*PLACES[0], *PLACES[1], KEY]
    assert await asked(channel, "SUBSCRIBE", *everything) == {"result": None, "id": 1}
    assert (await asked(channel, "LIST_SUBSCRIPTIONS"))["result"] == everything
    carried = {"": PLACES[0], "/public": PLACES[0], "/market": PLACES[1], "/private": [KEY]}[path]
    assert [stream for stream in everything if venue.hub.wanted(stream)] == (carried if strict else everything)


async def test_streams_come_and_go_while_the_connection_lives(serving):
    venue = Venue()
    channel = await (await serving(venue)).open("/public/ws")
    await asked(channel, "SUBSCRIBE", "a@trade", "b@trade")
    await asked(channel, "SET_PROPERTY", "combined", True)
    venue.hub.send("a@trade", "{}")
    assert await received(channel) == '{"stream":"a@trade","data":{}}'
    await asked(channel, "UNSUBSCRIBE", "a@trade")
    assert not venue.hub.wanted("a@trade")
    await channel.close()
    while venue.hub.wanted("b@trade"):
        await asyncio.sleep(0.001)


async def test_events_are_chosen_for_each_listen_key_by_itself(serving):
    venue = Venue()
    channel = await (await serving(venue)).open(
        f"/private/stream?listenKey={KEY}&events=ORDER_TRADE_UPDATE/TRADE_LITE&listenKey={OTHER_KEY}"
    )
    await asyncio.wait_for(venue.listened_to(KEY, OTHER_KEY), 5)
    for key in (KEY, OTHER_KEY):
        for event in ("ACCOUNT_UPDATE", "TRADE_LITE"):
            venue.hub.send(key, f'{{"e":"{event}","T":1}}')
    heard = [msgspec.json.decode(await received(channel)) for _ in range(3)]
    assert [(frame["stream"], frame["data"]["e"]) for frame in heard] == [
        (KEY, "TRADE_LITE"),
        (OTHER_KEY, "ACCOUNT_UPDATE"),
        (OTHER_KEY, "TRADE_LITE"),
    ]


def test_events_without_a_key_before_them_speak_of_the_one_in_the_path():
    assert asked_for([KEY], [("events", "TRADE_LITE")]) == ([KEY], {KEY: {"TRADE_LITE"}})
    assert asked_for([], [("events", "TRADE_LITE"), ("listenKey", KEY)]) == ([KEY], {})


@pytest.mark.parametrize("kind", ["text", "ping", "pong"])
async def test_the_eleventh_message_of_a_second_ends_the_connection(serving, kind, monkeypatch):
    monkeypatch.setattr(connection, "WINDOW_S", 60.0)
    channel = await (await serving(Venue())).open("/public/ws", autoping=False)
    for number in range(11):
        if kind == "text":
            await channel.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        else:
            await getattr(channel, kind)(b"x")
        if number < 10 and kind != "pong":  # all ten are answered
            assert (await channel.receive(5)).type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.PONG)
    last = await channel.receive(5)
    assert (last.type, last.data, last.extra) == (aiohttp.WSMsgType.CLOSE, 1008, "Too many requests")


async def test_messages_spread_over_more_than_a_second_are_no_trouble(serving, monkeypatch):
    monkeypatch.setattr(connection, "WINDOW_S", 0.0)
    channel = await (await serving(Venue())).open("/public/ws")
    for number in range(50):
        assert (await asked(channel, "LIST_SUBSCRIPTIONS", number=number))["id"] == number


async def test_a_stream_too_many_loses_all_of_them(serving):
    venue = Venue()
    names = [f"a{n}@trade" for n in range(control.MAX_STREAMS)]
    channel = await (await serving(venue)).open("/public/stream?streams=" + "/".join(names))
    assert len((await asked(channel, "LIST_SUBSCRIPTIONS"))["result"]) == control.MAX_STREAMS
    assert (await asked(channel, "SUBSCRIBE", "more@trade"))["error"] == {"code": 4, "msg": "Too many subscriptions"}
    last = await channel.receive(5)
    assert (last.type, last.data, last.extra) == (aiohttp.WSMsgType.CLOSE, 1008, "Invalid request")
    while venue.hub.listeners:
        await asyncio.sleep(0.001)


async def test_too_many_streams_in_the_address_are_refused_likewise(serving):
    names = "/".join(f"a{n}@trade" for n in range(control.MAX_STREAMS + 1))
    channel = await (await serving(Venue())).open(f"/public/ws/{names}")
    assert await received(channel) == '{"error":{"code":4,"msg":"Too many subscriptions"},"id":null}'
    assert (await channel.receive(5)).extra == "Invalid request"


async def test_nothing_follows_the_end_of_a_connection(serving):
    venue = Venue()
    channel = await (await serving(venue)).open("/public/ws/a@trade", autoclose=False)
    await channel.send_str('{"method":"LIST_SUBSCRIPTIONS","id":1}')
    await received(channel)
    (ended,) = venue.hub.listeners["a@trade"]
    ended.close(picows.WSCloseCode.GOING_AWAY, "")
    venue.hub.send("a@trade", '{"e":"late"}')
    assert [(await channel.receive(5)).type for _ in range(2)] == [aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED]


@pytest.mark.parametrize("code", [None, 1000, 1001, 3999, 4999])
async def test_the_end_that_a_client_wants_is_confirmed(serving, code):
    venue = Venue()
    channel = await (await serving(venue)).open("/public/ws/a@trade", autoclose=False)
    await asyncio.wait_for(venue.listened_to("a@trade"), 5)
    await channel._writer.send_frame(b"" if code is None else code.to_bytes(2, "big"), aiohttp.WSMsgType.CLOSE)
    frame = await channel.receive(5)
    assert (frame.type, frame.data) == (aiohttp.WSMsgType.CLOSE, code or 1000)
    while venue.hub.listeners:
        await asyncio.sleep(0.001)


async def test_nonsense_is_answered_and_ends_the_connection(serving):
    channel = await (await serving(Venue())).open("/public/ws")
    await channel.send_str("{")
    assert await received(channel) == (
        '{"error":{"code":3,"msg":"Invalid JSON: EOF while parsing a value at line 1 column 1"}}'
    )
    last = await channel.receive(5)
    assert (last.data, last.extra) == (1008, "Invalid request")


async def test_pings_carry_a_payload_and_who_repeats_it_stays(serving):
    channel = await (await serving(Venue(), ping_every_s=0.11, pong_within_s=0.8)).open("/public/ws", autoping=False)
    pings = [await channel.receive(5)]
    for _ in range(5):
        pings.append(await channel.receive(5))
        await channel.pong(pings[-2].data)  # one behind: that is in time
    assert [ping.type for ping in pings] == [aiohttp.WSMsgType.PING] * 6
    assert len({int(ping.data) for ping in pings}) == 6
    while (frame := await channel.receive(5)).type == aiohttp.WSMsgType.PING:
        pass
    assert frame.extra == "Pong timeout"


@pytest.mark.parametrize("unsolicited", [False, True])
async def test_who_does_not_answer_pings_is_disconnected_whatever_else_it_sends(serving, unsolicited):
    loop = asyncio.get_running_loop()
    begin_s = loop.time()
    channel = await (await serving(Venue(), ping_every_s=0.05, pong_within_s=0.15)).open("/public/ws", autoping=False)
    if unsolicited:
        await channel.pong(b"")
    while (frame := await channel.receive(5)).type == aiohttp.WSMsgType.PING:
        pass
    assert (frame.type, frame.data, frame.extra) == (aiohttp.WSMsgType.CLOSE, 1008, "Pong timeout")
    assert loop.time() - begin_s >= 0.2


async def test_a_connection_ends_when_its_life_is_over(serving):
    channel = await (await serving(Venue(), life_s=0.1)).open("/public/ws")
    frame = await channel.receive(5)
    assert (frame.type, frame.data) == (aiohttp.WSMsgType.CLOSE, 1001)


async def test_a_client_that_does_not_read_is_dropped_and_slows_no_other(serving, monkeypatch):
    monkeypatch.setattr(connection, "MAX_UNSENT_BYTES", 512 * 1024)
    venue = Venue()
    client = await serving(venue)
    deaf, lively = await client.open("/public/ws/a@trade"), await client.open("/public/ws/a@trade")
    deaf._response.connection.transport.pause_reading()
    while len(venue.hub.listeners.get("a@trade", ())) < 2:
        await asyncio.sleep(0.001)
    payload = '{"e":"' + "x" * 20_000 + '"}'
    for _ in range(1_000):  # far more than sockets and the bound of unsent bytes hold
        venue.hub.send("a@trade", payload)
        assert await received(lively) == payload
    assert len(venue.hub.listeners["a@trade"]) == 1
    venue.hub.send("a@trade", '{"e":"last"}')
    assert await received(lively) == '{"e":"last"}'


async def test_a_client_that_reads_nothing_at_all_is_cut_off_when_its_time_is_over(serving, monkeypatch):
    monkeypatch.setattr(connection, "CUT_AFTER_S", 0.1)
    monkeypatch.setattr(connection, "MAX_UNSENT_BYTES", 10**9)
    venue = Venue()
    client = await serving(venue, life_s=1.0)
    deaf = await client.open("/public/ws/a@trade")
    deaf._response.connection.transport.pause_reading()
    await asyncio.wait_for(venue.listened_to("a@trade"), 5)
    for _ in range(20):
        venue.hub.send("a@trade", '{"e":"' + "x" * 10**6 + '"}')
    loop = asyncio.get_running_loop()
    until_s = loop.time() + 5
    while venue.hub.wanted("a@trade") and loop.time() < until_s:
        await asyncio.sleep(0.01)
    assert not venue.hub.wanted("a@trade")


MASK = b"\x01\x02\x03\x04"
HANDSHAKE = (
    b"GET /public/ws/a@trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HOSTILE = {
    "a reserved opcode": b"\x83\x81" + MASK + b"x",
    "a reserved bit": b"\xc1\x81" + MASK + b"x",
    "the longest length there is": b"\x81\xff" + b"\x7f" + b"\xff" * 7 + MASK,
    "a negative length": b"\x81\xff" + b"\xff" * 8 + MASK,
    "more than a message may hold": b"\x81\xff" + (64 * 1024 + 1).to_bytes(8, "big") + MASK + b"x" * 65537,
    "a fragment": b"\x01\x81" + MASK + b"x",
    "the end of no fragment": b"\x80\x81" + MASK + b"x",
    "binary": b"\x82\x81" + MASK + b"x",
    "a long ping": b"\x89\xfe\x00\x80" + MASK + b"x" * 128,
    "a close of one byte": b"\x88\x81" + MASK + b"x",
    "text that is not UTF-8": b"\x81\x82" + MASK + b"\xfe\xfd",
}


@pytest.mark.parametrize("bytes_", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_bytes_end_their_own_connection_only(serving, bytes_):
    venue = Venue()
    client = await serving(venue)
    other = await client.open("/public/ws/b@trade")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rpartition(":")[2]))
    writer.write(HANDSHAKE)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.write(bytes_)
    with contextlib.suppress(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)  # until the venue ends it
    writer.close()
    await asyncio.wait_for(venue.listened_to("b@trade"), 5)
    while venue.hub.wanted("a@trade"):
        await asyncio.sleep(0.001)
    venue.hub.send("b@trade", '{"e":"x"}')
    assert await received(other) == '{"e":"x"}'


async def test_a_message_is_enveloped_once_for_all_who_want_it(serving):
    hub = Hub()
    payload = b'{"e":"x"}'
    first = hub.in_envelope("a@trade", payload)
    assert first == b'{"stream":"a@trade","data":{"e":"x"}}'
    assert hub.in_envelope("a@trade", payload) is first
    assert hub.in_envelope("b@trade", payload) == b'{"stream":"b@trade","data":{"e":"x"}}'
    assert hub.in_envelope("b@trade", b"{}") == b'{"stream":"b@trade","data":{}}'


@pytest.mark.parametrize("said", ["upgrade", "keep-alive, Upgrade", "Upgrade,keep-alive"])
async def test_a_browser_and_a_proxy_get_in(serving, said):
    client = await serving(Venue())
    channel = await client.open("/public/ws/a@trade", headers={"Connection": said})
    assert (await asked(channel, "LIST_SUBSCRIPTIONS"))["result"] == ["a@trade"]


async def test_of_a_stream_that_its_path_does_not_carry_the_log_tells_once(serving, caplog):
    client = await serving(Venue())
    for _ in range(2):
        channel = await client.open("/public/ws")
        await asked(channel, "SUBSCRIBE", "a@trade", "a@markPrice", "b@markPrice", KEY)
    channel = await client.open("/ws/a@kline_1m")
    await asked(channel, "LIST_SUBSCRIPTIONS")
    assert [record.getMessage() for record in caplog.records if record.name == "phx.sim"] == [
        "sim: 'a@markPrice' stays silent on /public, as at the venue; its path is /market",
        "sim: a listen key stays silent on /public, as at the venue; its path is /private",
        "sim: 'a@kline_1m' stays silent on a path without /public, /market or /private, as at the venue; "
        "its path is /market",
    ]
