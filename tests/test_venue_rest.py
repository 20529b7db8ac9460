"""The REST client against a stub: signatures, outcomes, limits, and that no secret shows on any error path."""

import asyncio
import base64
import datetime
import json
import logging
import socket
import ssl
import time
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from stub_venue import Reply, StubVenue, order

from phx.venue.binance.endpoints import Endpoints
from phx.venue.binance.errors import ADVICE, Advice, advice, banned_until_ms, failure
from phx.venue.binance.keys import Credentials
from phx.venue.binance.rest import Rest
from phx.venue.interface import VenueDown, VenueError, VenueLimited, VenueReject, VenueUnknown

API_KEY = "canary-api-key-7f1e"
SECRET = "canary-secret-2b5eb11e18796d12"
ORDER = "/fapi/v1/order"
PLACE = {"symbol": "BTCUSDC", "coid": "phxs-00-1-1", "side": 1, "qty": "0.006", "price": "86550.0"}


@pytest.fixture
def venue():
    with StubVenue() as stub:
        yield stub


@pytest.fixture
async def rest(venue):
    client = client_of(venue.url)
    yield client
    await client.close()


def client_of(url: str, **options) -> Rest:
    where = Endpoints("sim", url, "ws://127.0.0.1:1", "ws://127.0.0.1:1/ws-fapi/v1")
    return Rest(where, Credentials(API_KEY, SECRET.encode()), **{"share": 0.25, "timeout_s": 2.0, **options})


def said(venue, method, path, status, code=None, msg="", **headers):
    body = "<html>nginx</html>" if code is None else {"code": code, "msg": msg}
    venue.script[method, path].append(Reply(body, status, {k.replace("_", "-"): v for k, v in headers.items()}))


async def test_a_placed_order_is_signed_over_exactly_what_is_sent(venue, rest):
    venue.script["POST", ORDER].append(Reply(order("BTCUSDC", "phxs-00-1-1")))
    placed = await rest.place(**PLACE)
    assert (placed.coid, placed.side, placed.live) == ("phxs-00-1-1", 1, True)
    (call,) = venue.of("POST", ORDER)
    assert call.headers["X-MBX-APIKEY"] == API_KEY
    payload, _, signature = call.raw.rpartition("&signature=")
    assert signature == Credentials("k", SECRET.encode()).sign(payload.encode())
    assert payload.startswith("symbol=BTCUSDC&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.006&price=86550.0&")
    assert call.params["recvWindow"] == "2000" and abs(int(call.params["timestamp"]) - time.time() * 1000) < 10_000
    assert call.params["selfTradePreventionMode"] == "EXPIRE_TAKER" and "reduceOnly" not in call.params


async def test_an_ed25519_signature_arrives_as_the_key_s_owner_verifies_it(venue):
    private = ed25519.Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    rest = Rest(Endpoints("sim", venue.url, "", ""), Credentials(API_KEY, pem, "ed25519"), share=0.25)
    try:
        for _ in range(8):  # base64 of a signature holds + or / now and then
            await rest.open_orders("BTCUSDC")
    finally:
        await rest.close()
    for call in venue.calls:
        payload, _, text = call.raw.rpartition("&signature=")
        assert not set(text) & set("+/=")
        private.public_key().verify(base64.b64decode(call.params["signature"]), payload.encode())


async def test_a_certificate_nobody_vouches_for_is_refused_before_a_key_is_shown(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    pem = tmp_path / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    heard = []

    async def listen(reader, writer):
        heard.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(listen, "localhost", 0, ssl=context, family=socket.AF_INET)
    rest = client_of(f"https://localhost:{server.sockets[0].getsockname()[1]}")
    try:
        with pytest.raises(VenueDown, match="ClientConnectorCertificateError"):
            await rest.place(**PLACE)
        assert not any(heard)
    finally:
        await rest.close()
        server.close()


async def test_a_market_order_has_no_price_and_may_only_reduce(venue, rest):
    venue.script["POST", ORDER].append(Reply(order("BTCUSDC", "c", status="FILLED")))
    await rest.place("BTCUSDC", "c", -1, "0.006", None, reduce_only=True)
    params = venue.of("POST", ORDER)[0].params
    assert (params["type"], params["side"], params["reduceOnly"]) == ("MARKET", "SELL", "true")
    assert "price" not in params and "timeInForce" not in params


async def test_the_timestamp_follows_the_venue_s_clock(venue, rest):
    ahead_ms = 90_000
    venue.script["GET", "/fapi/v1/time"].append(Reply({"serverTime": int(time.time() * 1000) + ahead_ms}))
    await rest.server_time()
    assert abs(rest.clock.ahead_of_wall_ns() / 1e6 - ahead_ms) < 5_000
    await rest.open_orders("BTCUSDC")
    assert int(venue.of("GET", "/fapi/v1/openOrders")[0].params["timestamp"]) > time.time() * 1000 + ahead_ms - 5_000


async def test_an_old_timestamp_is_synchronised_and_the_cancel_sent_again(venue, rest):
    said(
        venue,
        "DELETE",
        "/fapi/v1/allOpenOrders",
        400,
        -1021,
        "Timestamp for this request is outside of the recvWindow.",
    )
    await rest.cancel_all("BTCUSDC")
    assert len(venue.of("DELETE", "/fapi/v1/allOpenOrders")) == 2 and len(venue.of("GET", "/fapi/v1/time")) == 1


async def test_a_placement_with_an_old_timestamp_is_the_caller_s_business(venue, rest):
    said(venue, "POST", ORDER, 400, -1021, "Timestamp for this request is outside of the recvWindow.")
    with pytest.raises(VenueReject) as refused:
        await rest.place(**PLACE)
    assert refused.value.advice is Advice.CLOCK and len(venue.of("POST", ORDER)) == 1


@pytest.mark.parametrize(
    ("status", "code", "msg"),
    [
        (503, -1000, "Unknown error, please check your request or try again later."),
        (503, None, ""),
        (503, -1001, "Internal error; unable to process your request. Please try again."),
        (503, -1008, "Request throttled by system-level protection."),
        (400, -1007, "Timeout waiting for response from backend server."),
        (408, -1007, "Timeout"),
        (400, -1006, "An unexpected response was received from the message bus."),
        (500, -2010, "a code beside a 500 does not make it certain"),
        (504, None, ""),
        (403, None, ""),
        (302, None, ""),
        (0, None, ""),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_whatever_is_not_the_venue_s_clear_word_leaves_an_order_unknown(venue, rest, method, status, code, msg):
    said(venue, method, ORDER, status, code, msg, Location=f"{venue.url}/fapi/v1/elsewhere")
    with pytest.raises(VenueUnknown):
        if method == "POST":
            await rest.place(**PLACE)
        else:
            await rest.amend("BTCUSDC", "phxs-00-1-1", 1, "0.006", "86551.0")
    assert len(venue.of(method, ORDER)) == 1  # never sent again, by us or by the library
    assert not venue.of("GET", "/fapi/v1/elsewhere") and not venue.of(method, "/fapi/v1/elsewhere")


async def test_a_timeout_leaves_an_order_unknown_and_a_question_unanswered(venue):
    rest = client_of(venue.url, timeout_s=0.2)
    try:
        venue.script["POST", ORDER].append(Reply({}, delay_s=1.0))
        with pytest.raises(VenueUnknown, match=r"POST /fapi/v1/order: TimeoutError"):
            await rest.place(**PLACE)
        venue.script["GET", ORDER] = [Reply({}, delay_s=1.0) for _ in range(3)]
        with pytest.raises(VenueDown):
            await rest.order_status("BTCUSDC", "c")
        assert (len(venue.of("POST", ORDER)), len(venue.of("GET", ORDER))) == (1, 3)
    finally:
        await rest.close()


async def test_an_answer_that_cannot_be_read_leaves_an_order_unknown(venue, rest):
    for body in ("<html>", {"unexpected": 1}, "[]", ""):
        venue.script["POST", ORDER].append(Reply(body))
        with pytest.raises(VenueUnknown):
            await rest.place(**PLACE)


async def test_a_venue_that_cannot_be_reached_has_received_nothing(venue):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        rest = client_of(f"http://127.0.0.1:{unused.getsockname()[1]}")
        try:
            with pytest.raises(VenueDown, match="POST /fapi/v1/order: ClientConnectorError"):
                await rest.place(**PLACE)
        finally:
            await rest.close()


@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        (-5022, 400, Advice.REQUOTE),
        (-2011, 400, Advice.GONE),
        (-2019, 400, Advice.MARGIN),
        (-4116, 400, Advice.DUPLICATE),
        (-2015, 401, Advice.NOT_ALLOWED),
        (-4400, 400, Advice.LOCKED),
        (-9999, 400, Advice.NONE),
    ],
)
async def test_a_clear_refusal_says_what_to_do(venue, rest, code, status, meaning):
    said(venue, "POST", ORDER, status, code, "words\nof\x1b[31m the venue")
    with pytest.raises(VenueReject) as refused:
        await rest.place(**PLACE)
    error = refused.value
    assert (error.code, error.status, error.advice) == (code, status, meaning)
    assert "\n" not in str(error) and "\x1b" not in str(error)


async def test_a_question_is_repeated_while_the_venue_does_not_answer(venue, rest):
    said(venue, "GET", "/fapi/v1/openOrders", 503)
    said(venue, "GET", "/fapi/v1/openOrders", 0)
    venue.orders["BTCUSDC"] = ["phxs-00-1-1"]
    assert [o.coid for o in await rest.open_orders("BTCUSDC")] == ["phxs-00-1-1"]
    assert len(venue.of("GET", "/fapi/v1/openOrders")) == 3
    said(venue, "GET", ORDER, 400, -2013, "Order does not exist.")
    with pytest.raises(VenueReject):  # an answer is not repeated
        await rest.order_status("BTCUSDC", "c")
    assert len(venue.of("GET", ORDER)) == 1


async def test_what_does_no_harm_twice_survives_a_connection_that_was_closed(venue, rest):
    for method, path, act in (
        ("POST", "/fapi/v1/countdownCancelAll", lambda: rest.countdown("BTCUSDC", 3000)),
        ("DELETE", "/fapi/v1/allOpenOrders", lambda: rest.cancel_all("BTCUSDC")),
    ):
        said(venue, method, path, 0)
        await act()
        assert len(venue.of(method, path)) == 2


async def test_after_a_429_only_cancels_and_refreshes_go_out(venue, rest):
    said(venue, "GET", "/fapi/v1/depth", 429, -1003, "Too many requests", Retry_After="7")
    with pytest.raises(VenueLimited) as limited:
        await rest.depth("BTCUSDC")
    assert 6.5 < limited.value.retry_after_s <= 7 and not limited.value.banned
    before = len(venue.calls)
    for ask in (rest.positions, lambda: rest.open_orders("BTCUSDC"), rest.server_time, lambda: rest.place(**PLACE)):
        with pytest.raises(VenueLimited):
            await ask()
    assert len(venue.calls) == before
    await rest.cancel_all("BTCUSDC")
    await rest.countdown("BTCUSDC", 3000)
    assert len(venue.calls) == before + 2


async def test_a_429_without_a_time_waits_for_the_next_full_window(venue, rest):
    said(venue, "GET", "/fapi/v1/depth", 429, -1003, "Too many requests")
    with pytest.raises(VenueLimited) as limited:
        await rest.depth("BTCUSDC")
    assert 0 < limited.value.retry_after_s <= 60
    ends_s = time.time() + limited.value.retry_after_s
    assert min(ends_s % 60, 60 - ends_s % 60) < 1.0


async def test_after_a_418_nothing_goes_out(venue, rest):
    until_ms = int(time.time() * 1000) + 150_000
    said(venue, "GET", "/fapi/v1/depth", 418, -1003, f"Way too many requests; IP banned until {until_ms}.")
    with pytest.raises(VenueLimited) as limited:
        await rest.depth("BTCUSDC")
    assert limited.value.banned and 140 < limited.value.retry_after_s <= 151
    before = len(venue.calls)
    for ask in (rest.positions, lambda: rest.cancel_all("BTCUSDC"), lambda: rest.countdown("BTCUSDC", 3000)):
        with pytest.raises(VenueLimited) as silent:
            await ask()
        assert silent.value.banned
    assert len(venue.calls) == before


async def test_a_418_without_a_time_is_silent_for_the_shortest_ban(venue, rest):
    said(venue, "GET", "/fapi/v1/depth", 418)
    with pytest.raises(VenueLimited) as limited:
        await rest.depth("BTCUSDC")
    assert limited.value.banned and 115 < limited.value.retry_after_s <= 120


async def test_the_used_weight_of_other_processes_is_respected(venue, rest):
    venue.weight = 2041  # beyond 85 % of 2400 with anything that weighs more than nothing
    await rest.cancel_all("BTCUSDC")
    assert int(rest.counters["weight_60s"][0]) == 2041
    with pytest.raises(VenueLimited, match="beyond the budget"):
        await rest.positions()
    await rest.cancel_all("BTCUSDC")  # keeps its reserve
    venue.weight = 2400
    await rest.cancel_all("BTCUSDC")
    with pytest.raises(VenueLimited):
        await rest.cancel_all("BTCUSDC")


@pytest.mark.parametrize(
    "body",
    ["<html>500</html>", {"code": -1000, "msg": "x"}, {"code": -2015, "msg": "x"}, "", {"code": "bad"}, "[" * 10**5],
)
async def test_no_secret_shows_on_any_error_path(venue, caplog, body):
    """Every status with every kind of body, hang-ups, timeouts and redirects: nothing secret in errors or logs."""
    caplog.set_level(logging.DEBUG)
    shown = []
    for status in (0, 200, 302, 400, 401, 403, 404, 418, 429, 500, 503):
        rest = client_of(venue.url, timeout_s=0.5)
        for name in ("aiohttp.client", "phx.venue", "asyncio"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        for act in (
            lambda rest=rest: rest.place(**PLACE),
            lambda rest=rest: rest.cancel("BTCUSDC", "c"),
            lambda rest=rest: rest.send("GET", "/fapi/v1/order", (("symbol", "A"),), weight=0, signed=True),
            rest.listen_key_start,
        ):
            headers = {"Location": "/elsewhere?signature=again"}
            for key in (("POST", ORDER), ("DELETE", ORDER), ("GET", ORDER), ("POST", "/fapi/v1/listenKey")):
                venue.script[key] = [Reply(body, status, headers), Reply(body, status, headers)]
            try:
                await act()
            except VenueError as error:
                shown += [str(error), repr(error), repr(error.args), repr(error.__cause__)]
                assert error.__suppress_context__ or error.__context__ is None
        shown.append(repr(rest.__dict__))
        await rest.close()
    signatures = {call.raw.rpartition("signature=")[2] for call in venue.calls if "signature=" in call.raw}
    text = "\n".join([*shown, caplog.text])
    assert len(signatures) > 10
    for secret in (SECRET, API_KEY, "signature=", *signatures):
        assert secret not in text


async def test_a_client_without_credentials_only_asks_in_public(venue):
    where = Endpoints("sim", venue.url, "", "")
    rest = Rest(where, None, share=0.15)
    try:
        await rest.server_time()
        with pytest.raises(ValueError, match="needs credentials"):
            await rest.positions()
        assert "X-MBX-APIKEY" not in venue.calls[0].headers
    finally:
        await rest.close()


async def test_an_answer_beyond_any_sense_is_refused(venue, rest, monkeypatch):
    monkeypatch.setattr("phx.venue.binance.http.LARGEST_ANSWER_BYTES", 1000)
    venue.script["GET", "/fapi/v1/depth"].append(Reply("x" * 2000))
    with pytest.raises(VenueDown):
        await rest.depth("BTCUSDC")


async def test_account_answers_are_read_as_text(venue, rest):
    venue.script["GET", "/fapi/v3/positionRisk"].append(
        Reply([{"symbol": "BTCUSDC", "positionSide": "BOTH", "positionAmt": "-0.012", "entryPrice": "86550.123",
                "updateTime": 5}])
    )  # fmt: skip
    (position,) = await rest.positions()
    assert (position.qty, position.entry_price, position.ts_update_ns) == ("-0.012", "86550.123", 5_000_000)
    venue.script["GET", "/fapi/v3/balance"].append(
        Reply([{"asset": "USDC", "balance": "1.5", "availableBalance": "1.0", "marginAvailable": True}])
    )
    assert (await rest.balances())[0].wallet == "1.5"
    row = {"symbol": "ETHUSDC", "id": 7, "orderId": 9, "side": "SELL", "price": "2317.30", "qty": "0.020",
           "realizedPnl": "0", "quoteQty": "46.34600", "commission": "-0.001", "commissionAsset": "USDC",
           "time": 1776789210247, "positionSide": "BOTH", "buyer": False, "maker": True}  # fmt: skip
    venue.script["GET", "/fapi/v1/userTrades"].append(Reply([row]))
    (trade,) = await rest.user_trades("ETHUSDC", from_id=7)
    assert (trade.trade_id, trade.side, trade.commission, trade.maker) == (7, -1, "-0.001", True)
    assert venue.calls[-1].params["fromId"] == "7" and "startTime" not in venue.calls[-1].params
    venue.script["GET", "/fapi/v1/positionSide/dual"].append(Reply({"dualSidePosition": False}))
    assert await rest.position_mode() is False
    venue.script["GET", "/fapi/v1/commissionRate"].append(
        Reply({"symbol": "ETHUSDC", "makerCommissionRate": "0.000000", "takerCommissionRate": "0.000400"})
    )
    assert (await rest.commission_rate("ETHUSDC")).taker == "0.000400"


async def test_exchange_info_becomes_the_instrument_table(venue, rest):
    entry = json.loads((Path(__file__).parent / "frames" / "exchange_info_ethusdc.json").read_bytes())
    venue.script["GET", "/fapi/v1/exchangeInfo"].append(Reply({"rateLimits": [], "symbols": [entry]}))
    table = await rest.exchange_info({"ETHUSDC": 3})
    assert table["ETHUSDC"].symbol_id == 3 and table["ETHUSDC"].ticks("2317.3") == 231730


async def test_a_countdown_acknowledged_for_another_symbol_does_not_count(venue, rest):
    venue.script["POST", "/fapi/v1/countdownCancelAll"].append(Reply({"symbol": "ETHUSDC", "countdownTime": "3000"}))
    with pytest.raises(VenueUnknown):
        await rest.countdown("BTCUSDC", 3000)


async def test_requests_share_warm_connections(venue, rest):
    await asyncio.gather(*(rest.open_orders(s) for s in ("A", "B", "C")))
    for _ in range(5):
        await rest.open_orders("A")
    session: aiohttp.ClientSession = rest._open_session()
    assert sum(len(kept) for kept in session.connector._conns.values()) <= 3
    assert int(rest.counters["rest_requests"][0]) == 8 == int(rest.counters["rest_ns"][0].sum())


def test_every_code_of_the_table_has_one_meaning():
    assert len(ADVICE) > 50 and all(code < 0 for code in ADVICE)
    assert advice(-5022) is Advice.REQUOTE and advice(-1) is Advice.NONE
    assert banned_until_ms("IP banned until 1790000000000. Please") == 1790000000000
    assert banned_until_ms("banned until soon") == 0


def test_overload_is_unknown_for_a_change_and_silence_for_a_question():
    body = b'{"code":-1008,"msg":"Request throttled by system-level protection."}'
    assert isinstance(failure(True, 503, body, 0), VenueUnknown)
    assert isinstance(failure(False, 503, body, 0), VenueDown)
    order_limit = failure(True, 400, b'{"code":-1015,"msg":"Too many new orders."}', 0)
    assert isinstance(order_limit, VenueLimited) and not order_limit.banned
