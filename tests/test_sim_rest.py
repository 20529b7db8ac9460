"""The REST server as clients of any kind meet it: parameters, rights, forms of answers, refusals, HTTP itself."""

import asyncio
import base64
import time
from decimal import Decimal
from urllib.parse import quote, quote_plus

import aiohttp
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sim_client import SimClient

from phx.config import SimKey
from phx.sim.api.rest import pairs
from phx.sim.exchange.account import Account
from phx.sim.keys.signing import Key, Keys
from phx.sim.process import Servers, build

READER, OTHER, FAR_AWAY = "r" * 64, "o" * 64, "f" * 64


@pytest.fixture
async def sim(instance_config):
    """The venue with two accounts and keys of several rights, and a client of the first account."""
    section = msgspec.structs.replace(instance_config.sim, latency_ms=0.0, seed=7)
    config = msgspec.structs.replace(instance_config, sim=section)
    venue = build(config)
    main = venue.exchange.accounts[1]
    other = venue.exchange.accounts[2] = Account(2, 10**13, ["USDC"], Decimal(0), Decimal("0.0004"))
    venue.keys = Keys(
        [
            Key("key", "secret", main),
            Key(READER, "secret", main, ["read"]),
            Key(OTHER, "secret", other),
            Key(FAR_AWAY, "secret", main, ["read", "trade"], ["192.0.2.1"]),
        ]
    )
    async with Servers(venue, config.sim.port), SimClient(config.sim.port, "key", "secret") as client:
        yield venue, client


def resting(venue, **params) -> dict:
    """Return the parameters of a bid that rests."""
    market = venue.exchange.player.markets["BTCUSDC"]
    price = market.contract.price(market.book.top(1)[0][0] - 1000)
    order = {"symbol": "BTCUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    return order | {"price": price} | params


SYMBOL = {"symbol": "BTCUSDC"}


# ---- parameters -------------------------------------------------------------------------------------------------


async def test_a_query_nobody_can_read_the_limit_of_costs_its_usual_weight(sim):
    _, client = sim
    used = []
    for limit in ("500", "many", "-5", ""):
        status, answer, headers = await client.get("/fapi/v1/depth", symbol="BTCUSDC", limit=limit)
        used.append(int(headers["X-MBX-USED-WEIGHT-1M"]))
        assert (status, answer.get("code")) == ((200, None), (400, -1130), (400, -1130), (400, -1105))[len(used) - 1]
    assert used == sorted(used) or min(used) < used[0]  # the window may have begun anew


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("a=1&b=2", [("a", "1"), ("b", "2")]),
        ("a=", [("a", "")]),
        ("a", [("a", "")]),
        ("a=%20x+y", [("a", " x y")]),
        ("s=%E5%B8%81USDT", [("s", "币USDT")]),
        ("", []),
    ],
)
def test_parameters_are_those_of_a_form(raw, found):
    assert pairs(raw) == found


async def test_the_query_wins_over_the_body(sim):
    venue, client = sim
    other = f"side=SELL&timestamp={int(time.time() * 1000)}"
    query = "&".join(f"{name}={value}" for name, value in resting(venue).items())
    target = f"/fapi/v1/order?{query}&signature={client.signature(query + other)}"
    status, answer, _ = await client.request("POST", target, data=other.encode())
    assert (status, answer["side"]) == (200, "BUY")


async def test_a_form_is_read_whatever_its_content_type(sim):
    venue, client = sim
    for content_type in (None, "text/plain", "application/json", "application/x-www-form-urlencoded"):
        async with client.session.post(
            f"{client.rest}/fapi/v1/order",
            data=client.query(**resting(venue)).encode(),
            headers=client.headers | ({"Content-Type": content_type} if content_type else {}),
            skip_auto_headers=["Content-Type"],
        ) as reply:
            assert (await reply.json())["status"] == "NEW"


async def test_parameters_in_query_and_body_make_one_signed_request(sim):
    venue, client = sim
    params = resting(venue) | {"timestamp": int(time.time() * 1000)}
    parts = [f"{name}={value}" for name, value in params.items()]
    query, body = "&".join(parts[:4]), "&".join(parts[4:])
    signature = client.signature(query + body)
    # The signature may stand at the end of either, even before the parameters of the body.
    for target, data in (
        (f"?{query}&signature={signature}", body),
        (f"?{query}", f"{body}&signature={signature}"),
        (f"?signature={signature}&{query}", body),
    ):
        status, answer, _ = await client.request("POST", f"/fapi/v1/order{target}", data=data.encode())
        assert (status, answer["status"]) == (200, "NEW")


MANDATORY = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."
NOT_VALID = "Data sent for parameter '{}' is not valid."
REFUSED = [
    ("depth", "", -1102, MANDATORY.format("symbol")),
    ("depth", "symbol=", -1102, MANDATORY.format("symbol")),
    ("depth", "symbol=NOPE", -1121, "Invalid symbol."),
    ("depth", "symbol=btcusdc", -1121, "Invalid symbol."),
    ("depth", "symbol=BTCUSDC&limit=7", -4021, "7 is not valid depth limit"),
    ("depth", "symbol=BTCUSDC&limit=1001", -1130, NOT_VALID.format("limit")),
    ("depth", "symbol=BTCUSDC&symbol=ETHUSDC", -1101, "Duplicate values for a parameter detected."),
    ("ticker/price", "symbol=", -1105, "Parameter 'symbol' was empty."),
    ("klines", "symbol=BTCUSDC", -1102, MANDATORY.format("interval")),
    ("klines", "symbol=BTCUSDC&interval=7m", -1120, "Invalid interval."),
    ("klines", "symbol=BTCUSDC&interval=1s", -1120, "Invalid interval."),
    ("klines", "symbol=BTCUSDC&interval=1m&limit=2000", -1130, NOT_VALID.format("limit")),
    ("klines", "symbol=BTCUSDC&interval=1m&startTime=2&endTime=1", -1023, "Start time is greater than end time."),
    ("continuousKlines", "pair=NOPE&contractType=PERPETUAL&interval=1m", -4144, "Invalid pair"),
    ("continuousKlines", "pair=BTCUSDC&contractType=EVER&interval=1m", -4104, "Invalid contract type"),
    (
        "aggTrades",
        "symbol=BTCUSDC&startTime=1&endTime=3600002",
        -1127,
        "More than 1 hours between startTime and endTime.",
    ),
    ("trades", "symbol=BTCUSDC&limit=0", -1130, NOT_VALID.format("limit")),
    ("historicalTrades", "symbol=BTCUSDC&limit=501", -1130, NOT_VALID.format("limit")),
]


async def test_a_broken_question_is_refused_with_the_documented_words(sim):
    _, client = sim
    for name, query, code, message in REFUSED:
        status, answer, headers = await client.request("GET", f"/fapi/v1/{name}?{query}")
        assert (status, answer) == (400, {"code": code, "msg": message}), query
        assert headers["Content-Type"] == "application/json"
        assert "X-MBX-USED-WEIGHT-1M" in headers


async def test_parameters_nobody_asked_for_are_ignored(sim):
    _, client = sim
    status, answer, _ = await client.get("/fapi/v1/exchangeInfo", symbol="BTCUSDC", colour="blue", empty="")
    assert status == 200
    assert len(answer["symbols"]) == 2


async def test_what_a_signed_request_lacks_is_named(sim):
    _, client = sim
    now_ms = int(time.time() * 1000)
    signature = client.signature(f"timestamp={now_ms}")
    for query, code, name in (
        (f"timestamp={now_ms}", -1102, "signature"),
        (f"timestamp={now_ms}&signature=", -1102, "signature"),
        (f"signature={client.signature('')}", -1102, "timestamp"),
        (f"timestamp={now_ms}&signature={signature[:-1]}", -1022, ""),
        (f"timestamp={now_ms}&signature={signature.upper()}", 0, ""),
        (f"timestamp={now_ms}&recvWindow=5000&signature={signature}", -1022, ""),
    ):
        _, answer, _ = await client.request("GET", f"/fapi/v3/balance?{query}")
        if not code:
            assert isinstance(answer, list)
        else:
            assert (answer["code"], name in answer["msg"]) == (code, True)


async def test_base64_signatures_pass_encoded_or_not(sim):
    venue, client = sim
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    venue.keys = Keys([Key("key", pem, venue.exchange.accounts[1])])
    for attempt in range(200):  # until one holds what encoding changes
        query = f"recvWindow=5000&timestamp={int(time.time() * 1000) - attempt}"
        signature = base64.b64encode(private.sign(query.encode())).decode()
        if "+" in signature and "/" in signature:
            break
    for form in (quote_plus(signature), quote(signature), signature):
        status, _, _ = await client.request("GET", f"/fapi/v3/balance?{query}&signature={form}")
        assert status == 200


async def test_batches_pass_in_every_encoding_clients_use(sim):
    venue, client = sim
    legs = msgspec.json.encode([resting(venue), resting(venue, quantity="nothing")]).decode()
    now_ms = int(time.time() * 1000)
    raw, encoded = f"batchOrders={legs}&timestamp={now_ms}", f"batchOrders={quote(legs, safe='')}&timestamp={now_ms}"
    for sent, signed in ((encoded, encoded), (encoded, raw)):
        body = f"{sent}&signature={client.signature(signed)}".encode()
        for target, data in ((f"?{body.decode()}", None), ("", body)):
            status, answer, _ = await client.request("POST", f"/fapi/v1/batchOrders{target}", data=data)
            assert status == 200
            assert (answer[0]["status"], answer[1]["code"]) == ("NEW", -1102)


async def test_many_cancels_by_list_answer_each_leg(sim):
    venue, client = sim
    _, first, _ = await client.signed("POST", "/fapi/v1/order", **resting(venue, newClientOrderId="mine"))
    _, second, _ = await client.signed("POST", "/fapi/v1/order", **resting(venue))
    listed = quote(f"[{second['orderId']},1]", safe="")
    status, answer, headers = await client.signed(
        "DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDC", orderIdList=listed
    )
    assert (status, answer[0]["status"], answer[1]) == (200, "CANCELED", {"code": -2011, "msg": "Unknown order sent."})
    assert "X-MBX-ORDER-COUNT-10S" not in headers
    listed = quote('["mine"]', safe="")
    _, answer, _ = await client.signed("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDC", origclientorderidlist=listed)
    assert [row["orderId"] for row in answer] == [first["orderId"]]
    for more in ({}, {"orderIdList": "5"}, {"orderIdList": "[5"}):
        status, answer, _ = await client.signed("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDC", **more)
        assert (status, answer["code"]) == (400, -1130 if more else -1102)


# ---- rights and accounts ----------------------------------------------------------------------------------------


async def test_a_key_that_may_only_read_does_not_trade(sim):
    venue, client = sim
    client.headers = {"X-MBX-APIKEY": READER}
    status, _, _ = await client.signed("GET", "/fapi/v3/account")
    assert status == 200
    for method, path, params in (
        ("POST", "/fapi/v1/order", resting(venue)),
        ("POST", "/fapi/v1/order/test", resting(venue)),
        ("DELETE", "/fapi/v1/allOpenOrders", SYMBOL),
        ("POST", "/fapi/v1/leverage", SYMBOL | {"leverage": 5}),
        ("POST", "/fapi/v1/countdownCancelAll", SYMBOL | {"countdownTime": 1000}),
    ):
        status, answer, _ = await client.signed(method, path, **params)
        assert (status, answer["code"]) == (401, -2015)
    _, answer, _ = await client.signed("GET", "/sapi/v1/account/apiRestrictions")
    assert (answer["enableReading"], answer["enableFutures"], answer["ipRestrict"]) == (True, False, False)


async def test_a_key_tied_to_another_address_is_refused(sim):
    _, client = sim
    client.headers = {"X-MBX-APIKEY": FAR_AWAY}
    status, answer, _ = await client.signed("GET", "/fapi/v3/account")
    assert (status, answer) == (401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."})


async def test_accounts_see_only_what_is_theirs(sim):
    venue, client = sim
    _, placed, headers = await client.signed("POST", "/fapi/v1/order", **resting(venue))
    assert headers["X-MBX-ORDER-COUNT-1M"] == "1"
    _, first_key, _ = await client.request("POST", "/fapi/v1/listenKey")
    client.headers = {"X-MBX-APIKEY": OTHER}
    _, orders, _ = await client.signed("GET", "/fapi/v1/openOrders")
    assert orders == []
    name = {"symbol": "BTCUSDC", "orderId": placed["orderId"]}
    for method, code in (("GET", -2013), ("DELETE", -2011)):
        status, answer, _ = await client.signed(method, "/fapi/v1/order", **name)
        assert (status, answer["code"]) == (400, code)
    await client.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDC")
    _, second_key, _ = await client.request("POST", "/fapi/v1/listenKey")
    assert first_key != second_key
    _, _, headers = await client.signed("POST", "/fapi/v1/order", **resting(venue))
    assert headers["X-MBX-ORDER-COUNT-1M"] == "1"
    client.headers = {"X-MBX-APIKEY": "key"}
    _, orders, _ = await client.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDC")
    assert [row["orderId"] for row in orders] == [placed["orderId"]]


async def test_configured_keys_open_their_accounts(instance_config, tmp_path):
    for name in ("a", "b"):
        path = tmp_path / f"{name}.json"
        path.write_bytes(msgspec.json.encode({"api_key": name * 64, "secret": f"secret of {name}"}))
        path.chmod(0o600)
    keys = [
        SimKey(str(tmp_path / "a.json"), 1, ["read"], ["127.0.0.1"]),
        SimKey(str(tmp_path / "b.json"), 2, ["read", "trade"], []),
    ]
    section = msgspec.structs.replace(instance_config.sim, latency_ms=0.0, accounts=2, keys=keys)
    config = msgspec.structs.replace(instance_config, sim=section)
    venue = build(config)
    async with Servers(venue, config.sim.port):
        found = []
        for name in ("a", "b"):
            async with SimClient(config.sim.port, name * 64, f"secret of {name}") as client:
                status, answer, _ = await client.signed("GET", "/sapi/v1/account/apiRestrictions")
                assert (status, answer["ipRestrict"], answer["enableFutures"]) == (200, name == "a", name == "b")
                status, _, _ = await client.signed("POST", "/fapi/v1/order", **resting(venue))
                found.append(status)
    assert found == [401, 200]
    assert [len(account.all_open()) for account in venue.exchange.accounts.values()] == [0, 1]


async def test_market_data_of_old_trades_needs_a_key_but_no_signature(sim):
    _, client = sim
    status, _, _ = await client.get("/fapi/v1/historicalTrades", symbol="BTCUSDC")
    assert status == 200
    status, answer, _ = await client.request("GET", "/fapi/v1/historicalTrades?symbol=BTCUSDC", headers={})
    assert (status, answer["code"]) == (401, -2014)


# ---- forms of answers -------------------------------------------------------------------------------------------

ACK = ["orderId", "symbol", "status", "clientOrderId", "price", "origQty", "executedQty", "cumQty", "timeInForce",
       "type", "reduceOnly", "closePosition", "side", "positionSide", "stopPrice", "workingType", "priceProtect",
       "origType", "priceMatch", "selfTradePreventionMode", "goodTillDate", "updateTime"]  # fmt: skip


async def test_acks_can_be_had_in_the_form_before_july_2026(sim):
    venue, client = sim
    older = [*ACK[:5], "avgPrice", *ACK[5:8], "cumQuote", *ACK[8:]]
    for wanted in (ACK, older):
        venue.older_acks = wanted is older
        _, placed, _ = await client.signed("POST", "/fapi/v1/order", **resting(venue))
        assert list(placed) == wanted
        name = {"symbol": "BTCUSDC", "orderId": placed["orderId"]}
        _, changed, _ = await client.signed(
            "PUT", "/fapi/v1/order", **name, side="BUY", quantity="0.02", price=placed["price"], modifyId=7
        )
        assert list(changed) == [*wanted[:2], "pair", *wanted[2:4], "modifyId", *wanted[4:]]
        status, answer, _ = await client.signed(
            "PUT", "/fapi/v1/order", **name, side="BUY", quantity="0.03", price=placed["price"], modifyId="x"
        )
        assert (status, answer["code"]) == (400, -1130), "a parameter that need not be sent, malformed"
        _, cancelled, _ = await client.signed("DELETE", "/fapi/v1/order", **name)
        assert list(cancelled) == wanted
        market = {"symbol": "BTCUSDC", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        _, filled, _ = await client.signed("POST", "/fapi/v1/order", **market, newOrderRespType="RESULT")
        _, accepted, _ = await client.signed("POST", "/fapi/v1/order", **market)
        assert (filled["status"], accepted["status"], accepted["executedQty"]) == ("FILLED", "NEW", "0.000")
        if venue.older_acks:
            value = Decimal(filled["avgPrice"]) * Decimal("0.01")
            assert abs(Decimal(filled["cumQuote"]) - value) < Decimal("0.002")
            assert (float(accepted["avgPrice"]), float(accepted["cumQuote"])) == (0, 0)


async def test_an_order_is_accepted_at_once_unless_its_result_is_asked_for(sim):
    venue, client = sim
    best = venue.exchange.player.markets["BTCUSDC"]
    price = best.contract.price(best.book.top(1)[0][0] - 1000)
    cases = [
        ({"timeInForce": "IOC"}, "ACK", "NEW"),
        ({"timeInForce": "IOC"}, "RESULT", "EXPIRED"),
        ({"timeInForce": "GTC"}, "RESULT", "NEW"),
    ]
    for params, form, status in cases:
        _, answer, _ = await client.signed(
            "POST", "/fapi/v1/order", **resting(venue) | params | {"price": price, "newOrderRespType": form}
        )
        assert answer["status"] == status
    status, answer, _ = await client.signed("POST", "/fapi/v1/order", **resting(venue, newOrderRespType="FULL"))
    assert (status, answer["code"]) == (400, -1136)


async def test_changes_of_an_order_are_remembered(sim):
    venue, client = sim
    _, placed, _ = await client.signed("POST", "/fapi/v1/order", **resting(venue))
    name = {"symbol": "BTCUSDC", "orderId": placed["orderId"]}
    for quantity in ("0.02", "0.03"):
        await client.signed("PUT", "/fapi/v1/order", **name, side="BUY", quantity=quantity, price=placed["price"])
    _, rows, _ = await client.signed("GET", "/fapi/v1/orderAmendment", **name)
    quantities = [(row["amendment"]["origQty"]["before"], row["amendment"]["origQty"]["after"]) for row in rows]
    assert quantities == [("0.02", "0.03"), ("0.01", "0.02")]
    assert [row["amendment"]["count"] for row in rows] == [2, 1]
    assert "modifyId" not in rows[0]["amendment"]


async def test_old_orders_are_forgotten_sooner_when_they_were_in_vain(sim):
    venue, client = sim
    day_ms = 24 * 3_600_000
    _, placed, _ = await client.signed("POST", "/fapi/v1/order", **resting(venue))
    name = {"symbol": "BTCUSDC", "orderId": placed["orderId"]}
    order = venue.exchange.accounts[1].find("BTCUSDC", placed["orderId"], "")
    cases = [("NEW", 0, 100, True), ("CANCELED", 0, 2, True), ("CANCELED", 0, 4, False), ("EXPIRED", 0, 4, False),
             ("CANCELED", 1, 4, True), ("FILLED", 10, 89, True), ("FILLED", 10, 91, False)]  # fmt: skip
    for status, filled, days, is_found in cases:
        order.status, order.executed_lots, order.time_ms = status, filled, venue.now_ms() - days * day_ms
        code, answer, _ = await client.signed("GET", "/fapi/v1/order", **name)
        assert (code, answer.get("code")) == ((200, None) if is_found else (400, -2013)), (status, days)


async def test_conditional_orders_live_beside_the_others(sim):
    venue, client = sim
    mark = venue.exchange.marks["BTCUSDC"].mark_e8 // 10**8
    stop = {"symbol": "BTCUSDC", "side": "SELL", "quantity": "0.01", "timeInForce": "GTC"}
    status, answer, _ = await client.signed("POST", "/fapi/v1/order", **stop, type="STOP", stopPrice=mark - 2000)
    assert (status, answer["code"]) == (400, -4120)
    stop |= {"algoType": "CONDITIONAL", "type": "STOP", "triggerPrice": mark - 2000, "price": mark - 2100}
    status, placed, headers = await client.signed("POST", "/fapi/v1/algoOrder", **stop)
    assert (status, placed["algoStatus"]) == (200, "NEW")
    assert headers["X-MBX-ORDER-COUNT-1M"] in ("2", "1")  # the minute may have ended in between
    _, orders, _ = await client.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDC")
    _, algos, _ = await client.signed("GET", "/fapi/v1/openAlgoOrders", symbol="BTCUSDC")
    assert ([], [placed["algoId"]]) == (orders, [row["algoId"] for row in algos])
    status, answer, _ = await client.signed("DELETE", "/fapi/v1/algoOrder", clientAlgoId=placed["clientAlgoId"])
    assert answer == {
        "algoId": placed["algoId"],
        "clientAlgoId": placed["clientAlgoId"],
        "code": "200",
        "msg": "success",
    }
    status, answer, _ = await client.signed("DELETE", "/fapi/v1/algoOrder", algoId=placed["algoId"])
    assert (status, answer["code"]) == (400, -2011)
    for params, found in (({}, 1), ({"algoId": placed["algoId"]}, 1), ({"algoId": placed["algoId"] + 1}, 0)):
        _, rows, _ = await client.signed("GET", "/fapi/v1/allAlgoOrders", symbol="BTCUSDC", **params)
        assert [row["algoStatus"] for row in rows] == ["CANCELED"] * found


# ---- HTTP -------------------------------------------------------------------------------------------------------


async def test_unknown_paths_and_methods_are_not_found(sim):
    _, client = sim
    for path in ("/fapi/v1/nothing", "/fapi/v1/order/", "/fapi/v1/Order", "/", "/fapi/v4/account", "/api/v3/account"):
        status, body, headers = await client.request("GET", path)
        assert (status, headers["Content-Type"].partition(";")[0]) == (404, "text/html")
        assert b"<html>" in body
    status, answer, _ = await client.request("GET", "/fapi/v1/listenKey")
    assert (status, answer) == (404, {"code": -5000, "msg": "Path /fapi/v1/listenKey, Method GET is invalid"})
    status, answer, _ = await client.request("PATCH", "/fapi/v1/order")
    assert (status, answer["code"]) == (404, -5000)


@pytest.mark.parametrize("target", ["http://127.0.0.1/fapi/v1/time?a=b", "HTTP://x:80/fapi/v1/time"])
async def test_a_target_may_name_the_host(sim, target):
    _, client = sim
    reader, writer = await asyncio.open_connection(*client.rest.removeprefix("http://").split(":"))
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200") and b"serverTime" in answer


async def test_head_is_get_without_a_body_and_options_names_the_methods(sim):
    _, client = sim
    async with client.session.head(f"{client.rest}/fapi/v1/time") as reply:
        assert (reply.status, await reply.read()) == (200, b"")
        assert int(reply.headers["Content-Length"]) > 0
        assert reply.headers["Content-Type"] == "application/json"
    _, _, headers = await client.request("OPTIONS", "/fapi/v1/order")
    assert {name.strip() for name in headers["Allow"].split(",")} == {"GET", "POST", "PUT", "DELETE", "OPTIONS"}


async def exchange_raw(client, *requests: bytes) -> list[bytes]:
    """Send bytes over one connection and return the bodies that come back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.rest.rpartition(":")[2]))
    writer.write(b"".join(requests))
    bodies = []
    for _ in requests:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        bodies.append(await reader.readexactly(int(length.partition(b":")[2])))
    writer.close()
    return bodies


async def test_one_connection_answers_many_requests_in_order(sim):
    _, client = sim
    ask = b"GET /fapi/v1/%s HTTP/1.1\r\nHost: x\r\n\r\n"
    bodies = await exchange_raw(client, ask % b"ping", ask % b"time", ask % b"nothing", ask % b"ping")
    assert [body[:2] for body in bodies] == [b"{}", b'{"', b"<h", b"{}"]


async def test_a_chunked_form_is_read(sim):
    venue, client = sim
    body = client.query(**resting(venue)).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:30], body[30:], b""))
    head = b"POST /fapi/v1/order HTTP/1.1\r\nHost: x\r\nx-mbx-apikey: key\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = msgspec.json.decode((await exchange_raw(client, head + chunks))[0])
    assert answer["status"] == "NEW"


async def test_a_body_without_end_is_refused(sim):
    _, client = sim
    status, _, _ = await client.request("POST", "/fapi/v1/order", data=b"a=" + b"x" * 10**6)
    assert status == 413
    status, _, _ = await client.request("GET", "/fapi/v1/ping")
    assert status == 200


async def test_bytes_that_are_no_text_are_refused_not_fatal(sim):
    _, client = sim
    for target, data in (("?symbol=%ff%fe", None), ("", b"symbol=\xff\xfe\x00"), ("?%", None), ("?&&=&", b"=&=")):
        status, answer, _ = await client.request("POST", f"/fapi/v1/order{target}", data=data)
        assert (status // 100, answer["code"] < 0) == (4, True)


async def test_one_pool_of_connections_serves_questions_and_websockets(sim):
    """A client's pool knows host and port alone: it may upgrade a connection that REST has answered on before."""
    _, client = sim
    for _ in range(3):
        await client.get("/fapi/v1/time")
    assert sum(map(len, client.session.connector._conns.values())) == 1, "a connection to be used again"
    async with client.session.ws_connect(f"{client.rest}/public/stream?streams=btcusdc@bookTicker") as channel:
        assert client.session.connector._conns == {}, "it was used"
        assert (await channel.receive_json(timeout=5))["stream"] == "btcusdc@bookTicker"
        status, answer, _ = await client.get("/fapi/v1/ping")
        assert (status, answer) == (200, {})
        async with client.session.ws_connect(f"{client.rest}/ws-fapi/v1") as api:
            await api.send_json({"id": 1, "method": "ping"})
            assert (await api.receive_json(timeout=5))["result"] == {}
        await channel.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
        while "result" not in (answer := await channel.receive_json(timeout=5)):
            pass
        assert answer["result"] == ["btcusdc@bookTicker"]
    await client.get("/fapi/v1/ping")
    with pytest.raises(aiohttp.WSServerHandshakeError, match="404"):
        await client.session.ws_connect(f"{client.rest}/nowhere")
