"""The simulated venue as a client sees it: real sockets on loopback, the synthetic market, no code of phx's client."""

import asyncio
import base64
import time
from decimal import Decimal
from urllib.parse import quote

import aiohttp
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sim_client import SimClient, heard, next_json

from phx.sim.api import connection
from phx.sim.exchange.account import Account
from phx.sim.keys.signing import Key, Keys
from phx.sim.process import Servers, build

RIVAL = 2  # the number of another account, which trades with ours


@pytest.fixture
async def sim(instance_config):
    """The venue and a client with its key. Another account stands by as `venue.rival`."""
    config = msgspec.structs.replace(
        instance_config, sim=msgspec.structs.replace(instance_config.sim, latency_ms=0.0, seed=7)
    )
    venue = build(config)
    exchange = venue.exchange
    venue.rival = Account(RIVAL, 10**15, ["USDC"], Decimal(0), Decimal("0.0004"))
    exchange.accounts[RIVAL] = venue.rival
    venue.keys = Keys([Key("key", "secret", exchange.accounts[1])])
    async with Servers(venue, config.sim.port), SimClient(config.sim.port, "key", "secret") as client:
        yield venue, client


def best(venue, side: int, symbol: str = "BTCUSDC") -> str:
    """Return the best price of a side as text."""
    market = venue.exchange.player.markets[symbol]
    return market.contract.price(market.book.top(side)[0][0])


def fill_as_rival(venue, side: str, price: str, symbol: str = "BTCUSDC") -> None:
    """Let the other account take everything down to a price."""
    params = {"symbol": symbol, "side": side, "type": "LIMIT", "timeInForce": "IOC", "quantity": "900", "price": price}
    venue.exchange.place(venue.rival, params, venue.now_ns())


async def test_public_answers_carry_the_weight_used(sim):
    _, client = sim
    status, answer, headers = await client.get("/fapi/v1/time")
    assert status == 200
    assert abs(answer["serverTime"] - time.time() * 1000) < 1000
    before = int(headers["X-MBX-USED-WEIGHT-1M"])
    status, book, headers = await client.get("/fapi/v1/depth", symbol="BTCUSDC", limit=1000)
    assert int(headers["X-MBX-USED-WEIGHT-1M"]) in (before + 20, 20)
    assert list(book) == ["lastUpdateId", "E", "T", "bids", "asks"]
    assert len(book["bids"]) >= 200
    assert len(book["asks"]) >= 200
    status, answer, _ = await client.get("/fapi/v1/depth", symbol="BTCUSDC", limit=3)
    assert (status, answer) == (400, {"code": -4021, "msg": "3 is not valid depth limit"})
    status, _, _ = await client.get("/fapi/v1/nothing")
    assert status == 404


async def test_exchange_info_lists_what_is_traded(sim):
    _, client = sim
    _, answer, _ = await client.get("/fapi/v1/exchangeInfo")
    assert list(answer)[:4] == ["timezone", "serverTime", "futuresType", "rateLimits"]
    assert [symbol["symbol"] for symbol in answer["symbols"]] == ["BTCUSDC", "ETHUSDC"]


async def test_signatures_are_checked_over_query_body_or_both(sim):
    venue, client = sim
    signed = client.query(symbol="BTCUSDC")
    status, _, _ = await client.request("GET", f"/fapi/v1/openOrders?{signed}")
    assert status == 200
    status, answer, _ = await client.request("GET", f"/fapi/v1/openOrders?{signed[:-4]}0000")
    assert (status, answer["code"]) == (400, -1022)
    order = f"symbol=BTCUSDC&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.01&price={best(venue, 1)}"
    in_body = client.query(**dict(part.split("=") for part in order.split("&")))
    status, _, _ = await client.request("POST", "/fapi/v1/order", data=in_body.encode())
    assert status == 200
    head, _, tail = order.partition("&timeInForce=")  # signed as they stand, with nothing in between
    tail = f"timeInForce={tail}&timestamp={int(time.time() * 1000)}"
    signature = client.signature(head + tail)
    status, _, _ = await client.request("POST", f"/fapi/v1/order?{head}", data=f"{tail}&signature={signature}".encode())
    assert status == 200


async def test_who_has_no_right_is_told_so(sim):
    _, client = sim
    query = client.query(symbol="BTCUSDC")
    for headers, code in (({}, -2014), ({"X-MBX-APIKEY": "malformed"}, -2014), ({"X-MBX-APIKEY": "k" * 64}, -2015)):
        status, answer, _ = await client.request("GET", f"/fapi/v1/openOrders?{query}", headers=headers)
        assert (status, answer["code"]) == (401, code)


async def test_old_and_early_requests_are_refused(sim):
    _, client = sim
    now_ms = int(time.time() * 1000)
    for shift_ms, code in ((-5500, -1021), (2500, -1021), (-4000, None), (500, None)):
        status, answer, _ = await client.signed(
            "GET", "/fapi/v1/openOrders", symbol="BTCUSDC", timestamp=now_ms + shift_ms
        )
        assert (status, answer["code"] if code else None) == (400 if code else 200, code)


async def test_a_post_only_order_that_would_take_is_refused_without_an_event(sim):
    venue, client = sim
    stream = await client.user_stream()
    status, answer, headers = await client.place(price=best(venue, -1))
    assert (status, answer["code"]) == (400, -5022)
    assert headers["X-MBX-ORDER-COUNT-10S"] == "1"
    assert await heard(stream, 0.2) == []


async def test_an_order_lives_from_its_acknowledgement_to_its_cancel(sim):
    venue, client = sim
    stream = await client.user_stream()
    price = f"{float(best(venue, 1)) - 100:.1f}"
    status, ack, headers = await client.place(price=price, newClientOrderId="one")
    assert (status, ack["status"], ack["clientOrderId"]) == (200, "NEW", "one")
    assert (headers["X-MBX-ORDER-COUNT-10S"], headers["X-MBX-ORDER-COUNT-1M"]) == ("1", "1")
    event = await next_json(stream)
    assert (event["e"], event["o"]["x"], event["o"]["i"]) == ("ORDER_TRADE_UPDATE", "NEW", ack["orderId"])
    _, answer, _ = await client.place(price=price, newClientOrderId="one")
    assert answer["code"] == -4116
    _, rows, _ = await client.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDC")
    assert [row["clientOrderId"] for row in rows] == ["one"]
    lower = f"{float(price) - 10:.1f}"
    status, ack, _ = await client.signed(
        "PUT", "/fapi/v1/order", symbol="BTCUSDC", side="BUY", origClientOrderId="one", quantity="0.01", price=lower
    )
    assert (status, ack["price"], ack["pair"]) == (200, lower, "BTCUSDC")
    assert (await next_json(stream))["o"]["x"] == "AMENDMENT"
    status, ack, _ = await client.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDC", origClientOrderId="one")
    assert (status, ack["status"]) == (200, "CANCELED")
    assert (await next_json(stream))["o"]["x"] == "CANCELED"
    status, answer, _ = await client.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDC", origClientOrderId="one")
    assert (status, answer) == (400, {"code": -2011, "msg": "Unknown order sent."})
    status, row, _ = await client.signed("GET", "/fapi/v1/order", symbol="BTCUSDC", origClientOrderId="one")
    assert (status, row["status"]) == (200, "CANCELED")


async def test_a_maker_fill_comes_as_trade_lite_account_update_order_update(sim):
    venue, client = sim
    stream = await client.user_stream()
    price = best(venue, 1)
    _, ack, _ = await client.place(price=price, newClientOrderId="maker")
    await next_json(stream)
    fill_as_rival(venue, "SELL", price)
    events = [await next_json(stream) for _ in range(3)]
    assert [event["e"] for event in events] == ["TRADE_LITE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]
    lite, update, trade = events
    assert (lite["m"], lite["l"], lite["t"]) == (True, "0.010", trade["o"]["t"])
    assert update["a"]["P"][0]["pa"] == "0.01"
    assert (trade["o"]["x"], trade["o"]["X"], trade["o"]["n"]) == ("TRADE", "FILLED", "0")
    _, rows, _ = await client.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDC")
    assert [(row["id"], row["orderId"], row["maker"]) for row in rows] == [(lite["t"], ack["orderId"], True)]


async def test_the_ledger_tells_every_order_with_its_fills(sim):
    venue, client = sim
    price = best(venue, 1)
    await client.place(price=price, newClientOrderId="phxs-00-2a-1")
    await client.place(price=f"{float(price) - 50:.1f}", newClientOrderId="phxs-00-2b-1")
    fill_as_rival(venue, "SELL", price)
    _, orders, _ = await client.get("/sim/orders", symbol="BTCUSDC")
    filled, resting = (next(o for o in orders if o["clientOrderId"] == f"phxs-00-{e}-1") for e in ("2a", "2b"))
    assert (filled["status"], [fill["qty"] for fill in filled["fills"]]) == ("FILLED", ["0.01"])
    assert (resting["status"], resting["fills"]) == ("NEW", [])
    _, ledger, _ = await client.get("/sim/ledger")
    row = ledger["symbols"]["BTCUSDC"]
    assert (ledger["open_orders"], [o["clientOrderId"] for o in row["open"]]) == (1, ["phxs-00-2b-1"])
    assert (row["placed"], row["maker_fills"], row["unprotected"]) == (3, 1, 3)
    assert {epoch: last["client_id"] for epoch, last in row["last_of_epoch"].items()} == {
        "82": "phxs-00-2a-1",
        "83": "phxs-00-2b-1",
    }


async def test_a_private_combined_stream_names_its_key_and_heeds_the_events_asked_for(sim):
    _, client = sim
    _, answer, _ = await client.request("POST", "/fapi/v1/listenKey")
    key = answer["listenKey"]
    everything = await client.session.ws_connect(f"{client.ws}/private/stream?listenKey={key}")
    some = await client.session.ws_connect(f"{client.ws}/private/ws?listenKey={key}&events=ACCOUNT_UPDATE")
    subscribed = await client.session.ws_connect(f"{client.ws}/private/ws")
    await subscribed.send_json({"method": "SUBSCRIBE", "params": [key], "id": 1})
    await next_json(subscribed)
    await client.signed("POST", "/fapi/v1/order", symbol="ETHUSDC", side="BUY", type="MARKET", quantity="0.01")
    message = await next_json(everything)
    assert (message["stream"], message["data"]["e"]) == (key, "TRADE_LITE")
    assert (await next_json(some))["e"] == "ACCOUNT_UPDATE"
    assert (await next_json(subscribed))["e"] == "TRADE_LITE"


async def test_a_listen_key_stays_the_same_until_it_is_closed_or_expires(sim):
    venue, client = sim
    keys = [(await client.request("POST", "/fapi/v1/listenKey"))[1]["listenKey"] for _ in range(2)]
    assert keys[0] == keys[1]
    assert len(keys[0]) == 64
    assert (await client.request("PUT", "/fapi/v1/listenKey"))[1] == {"listenKey": keys[0]}
    stream = await client.session.ws_connect(f"{client.ws}/private/ws/{keys[0]}")
    await asyncio.sleep(0.05)
    venue.listen_keys._until_ms[keys[0]] = venue.now_ms()
    venue.expire_listen_keys()
    event = await next_json(stream)
    assert (event["e"], event["listenKey"]) == ("listenKeyExpired", keys[0])
    status, answer, _ = await client.request("PUT", "/fapi/v1/listenKey")
    assert (status, answer["code"]) == (400, -1125)
    assert (await client.request("GET", "/fapi/v1/listenKey"))[0] == 404


async def test_batches_answer_each_leg_in_order(sim):
    venue, client = sim
    low = f"{float(best(venue, 1)) - 100:.1f}"
    leg = {"symbol": "BTCUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "quantity": "0.01"}
    legs = [leg | {"price": low, "newClientOrderId": "b1"}, leg | {"price": best(venue, -1)}, leg | {"price": low}]
    raw = quote(msgspec.json.encode(legs).decode(), safe="")
    status, answers, headers = await client.signed("POST", "/fapi/v1/batchOrders", batchOrders=raw)
    assert (status, [a.get("status", a.get("code")) for a in answers]) == (200, ["NEW", -5022, "NEW"])
    assert (headers["X-MBX-ORDER-COUNT-10S"], headers["X-MBX-ORDER-COUNT-1M"]) == ("5", "1")
    ids = quote(msgspec.json.encode(["b1", "never"]).decode(), safe="")
    _, answers, _ = await client.signed("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDC", origclientorderidlist=ids)
    assert [a.get("status", a.get("code")) for a in answers] == ["CANCELED", -2011]
    status, answer, _ = await client.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDC")
    assert answer == {"code": 200, "msg": "The operation of cancel all open order is done."}
    assert (await client.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDC"))[1] == []


async def test_account_queries_agree_with_what_was_traded(sim):
    _, client = sim
    await client.signed("POST", "/fapi/v1/order", symbol="BTCUSDC", side="SELL", type="MARKET", quantity="0.01")
    _, rows, _ = await client.signed("GET", "/fapi/v3/positionRisk")
    assert [(row["symbol"], row["positionAmt"]) for row in rows] == [("BTCUSDC", "-0.01")]
    _, rows, _ = await client.signed("GET", "/fapi/v2/positionRisk")
    assert {row["symbol"] for row in rows} == {"BTCUSDC", "ETHUSDC"}
    for version in ("v2", "v3"):
        _, answer, _ = await client.signed("GET", f"/fapi/{version}/account")
        assert [asset["asset"] for asset in answer["assets"]] == ["USDC"]
    _, rate, _ = await client.signed("GET", "/fapi/v1/commissionRate", symbol="BTCUSDC")
    assert (rate["makerCommissionRate"], rate["takerCommissionRate"]) == ("0.000000", "0.000400")
    _, rows, _ = await client.signed("GET", "/fapi/v1/income", incomeType="COMMISSION")
    _, balance, _ = await client.signed("GET", "/fapi/v3/balance")
    paid = Decimal(rows[0]["income"])
    assert sum(Decimal(row["income"]) for row in rows) == Decimal(balance[0]["balance"]) - 100_000
    assert paid < 0
    for path in ("accountConfig", "symbolConfig", "leverageBracket", "rateLimit/order", "apiTradingStatus"):
        status, _, _ = await client.signed("GET", f"/fapi/v1/{path}")
        assert status == 200
    assert (await client.signed("GET", "/fapi/v1/positionSide/dual"))[1] == {"dualSidePosition": False}


async def test_a_taker_hears_of_the_trade_before_its_order(sim):
    _, client = sim
    stream = await client.user_stream()
    status, ack, _ = await client.signed(
        "POST",
        "/fapi/v1/order",
        symbol="ETHUSDC",
        side="BUY",
        type="MARKET",
        quantity="0.05",
        newOrderRespType="RESULT",
    )  # fmt: skip
    assert (status, ack["status"], ack["executedQty"]) == (200, "FILLED", "0.050")
    events = await heard(stream, 0.3)
    kinds = [event["e"] for event in events]
    assert kinds[0] == "TRADE_LITE"
    assert kinds.index("ORDER_TRADE_UPDATE") < kinds.index("ACCOUNT_UPDATE")
    fills = [event["o"] for event in events if event["e"] == "ORDER_TRADE_UPDATE" and event["o"]["x"] == "TRADE"]
    assert sum(Decimal(fill["n"]) for fill in fills) > 0
    assert sum(Decimal(fill["l"]) for fill in fills) == Decimal("0.05")


async def test_the_countdown_cancels_what_is_open_and_only_when_it_is_due(sim):
    venue, client = sim
    price = f"{float(best(venue, 1)) - 100:.1f}"
    status, answer, _ = await client.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDC", countdownTime=400)
    assert (status, answer) == (200, {"symbol": "BTCUSDC", "countdownTime": "400"})
    armed = time.monotonic()
    await client.place(price=price)
    stream = await client.user_stream()
    event = await next_json(stream)
    assert event["o"]["x"] == "CANCELED"
    assert time.monotonic() - armed >= 0.39
    _, ledger, _ = await client.get("/sim/ledger")
    assert ledger["open_orders"] == 0
    assert ledger["symbols"]["BTCUSDC"]["countdowns_fired"] == 1
    assert ledger["symbols"]["BTCUSDC"]["unprotected"] == 0


async def test_too_many_orders_are_refused_until_the_window_is_over(sim):
    venue, client = sim
    venue.exchange.limits.orders[1].in_10s.count(venue.now_ms())
    venue.exchange.limits.orders[1].in_10s.used = 300
    status, answer, headers = await client.place(price=best(venue, 1))
    assert (status, answer["code"]) == (429, -1015)
    assert 1 <= int(headers["Retry-After"]) <= 10
    venue.exchange.limits.weight.used = 2400
    venue.exchange.limits.weight.window = venue.now_ms() // 60_000
    status, answer, headers = await client.get("/fapi/v1/ping")
    assert (status, answer["code"]) == (429, -1003)
    assert 1 <= int(headers["Retry-After"]) <= 60


PATHS = [  # path, stream, whether it is delivered there
    ("/public/ws", "btcusdc@bookTicker", True),
    ("/public/ws", "btcusdc@depth@0ms", True),
    ("/market/ws", "btcusdc@markPrice@1s", True),
    ("/ws", "btcusdc@bookTicker", True),
    ("/ws", "btcusdc@markPrice@1s", False),
    ("/public/ws", "btcusdc@markPrice@1s", False),
    ("/market/ws", "btcusdc@bookTicker", False),
    ("/private/ws", "btcusdc@bookTicker", False),
]


async def test_a_stream_on_the_wrong_path_is_acknowledged_and_silent(sim):
    _, client = sim

    async def delivers(path: str, stream: str) -> bool:
        connection = await client.session.ws_connect(client.ws + path)
        await connection.send_json({"method": "SUBSCRIBE", "params": [stream], "id": 1})
        assert await next_json(connection) == {"result": None, "id": 1}
        return bool(await heard(connection, 1.3))

    found = await asyncio.gather(*(delivers(path, stream) for path, stream, _ in PATHS))
    assert found == [expected for _, _, expected in PATHS]


async def test_the_control_protocol_answers_as_documented(sim):
    _, client = sim
    connection = await client.session.ws_connect(f"{client.ws}/public/stream?streams=btcusdc@depth20@500ms")
    answers = {}
    for number, request in enumerate(
        [
            {"method": "LIST_SUBSCRIPTIONS"},
            {"method": "GET_PROPERTY", "params": ["combined"]},
            {"method": "DANCE"},
            {"params": []},
            {"method": "UNSUBSCRIBE", "params": ["btcusdc@depth20@500ms"]},
            {"method": "LIST_SUBSCRIPTIONS"},
        ]
    ):
        await connection.send_json(request | {"id": f"id{number}"})
    while len(answers) < 6:
        message = await next_json(connection)
        if "id" in message:
            answers[message["id"]] = message.get("result", message.get("error", {}))
    assert answers["id0"] == ["btcusdc@depth20@500ms"]
    assert answers["id1"] is True
    assert answers["id2"]["code"] == answers["id3"]["code"] == 2
    assert answers["id4"] is None
    assert answers["id5"] == []


async def test_too_many_control_messages_end_the_connection(sim):
    _, client = sim
    connection = await client.session.ws_connect(f"{client.ws}/public/ws")
    for number in range(30):
        await connection.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
    received = 0
    while (await connection.receive(5)).type == aiohttp.WSMsgType.TEXT:
        received += 1
    assert received < 30


async def test_depth_rebuilt_from_snapshot_and_diffs_agrees_with_every_book_ticker(sim):
    _, client = sim
    connection = await client.session.ws_connect(
        f"{client.ws}/public/stream?streams=btcusdc@bookTicker/btcusdc@depth@0ms/btcusdc@depth@100ms"
    )
    _, snapshot, _ = await client.get("/fapi/v1/depth", symbol="BTCUSDC", limit=1000)
    messages = await heard(connection, 1.5)
    for stream in ("btcusdc@depth@0ms", "btcusdc@depth@100ms"):
        checked = check_against_tickers(snapshot, messages, stream)
        assert checked > 3, stream


def check_against_tickers(snapshot, messages, stream: str) -> int:
    """Follow one diff stream; assert an unbroken chain and equal best prices; return how often that was compared."""
    sides = {name: {Decimal(p): q for p, q in snapshot[rows]} for name, rows in (("b", "bids"), ("a", "asks"))}
    last, checked = snapshot["lastUpdateId"], 0
    tickers = {m["data"]["u"]: m["data"] for m in messages if m["stream"].endswith("bookTicker")}
    started = False
    for message in messages:
        event = message["data"]
        if message["stream"] != stream or event["u"] <= snapshot["lastUpdateId"]:
            continue
        assert not started or event["pu"] == last
        assert started or event["pu"] <= last
        started, last = True, event["u"]
        for name, side in sides.items():
            for price, qty in event[name]:
                side[Decimal(price)] = qty
                if Decimal(qty) == 0:
                    del side[Decimal(price)]
        newest = max((u for u in tickers if u <= last), default=0)
        if newest:
            bid, ask = max(sides["b"]), min(sides["a"])
            found = (bid, sides["b"][bid], ask, sides["a"][ask])
            ticker = tickers[newest]
            assert found == (Decimal(ticker["b"]), ticker["B"], Decimal(ticker["a"]), ticker["A"])
            checked += 1
    return checked


async def test_the_ws_api_places_changes_and_cancels_orders(sim):
    venue, client = sim
    api = await client.session.ws_connect(f"{client.ws}/ws-fapi/v1")

    async def ask(number, method, **params):
        await api.send_json({"id": number, "method": method, "params": client.ws_params(**params)})
        return await next_json(api)

    price = f"{float(best(venue, 1)) - 100:.1f}"
    order = {"symbol": "BTCUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "quantity": "0.01"}
    answer = await ask("p1", "order.place", **order, price=price, newClientOrderId="w1")
    assert list(answer) == ["id", "status", "result", "rateLimits"]
    assert (answer["id"], answer["status"], answer["result"]["status"]) == ("p1", 200, "NEW")
    assert [row["count"] for row in answer["rateLimits"]] == [-1, 1, 1]
    answer = await ask(2, "order.place", **order, price=best(venue, -1))
    assert (answer["id"], answer["status"], answer["error"]["code"]) == (2, 400, -5022)
    assert answer["rateLimits"][1]["count"] == 2
    lower = f"{float(price) - 1:.1f}"
    answer = await ask(
        3, "order.modify", symbol="BTCUSDC", side="BUY", origClientOrderId="w1", quantity="0.02", price=lower
    )
    assert (answer["result"]["price"], answer["result"]["origQty"]) == (lower, "0.020")
    answer = await ask(4, "order.status", symbol="BTCUSDC", origClientOrderId="w1")
    assert answer["result"]["origQty"] == "0.02"
    answer = await ask(5, "order.cancel", symbol="BTCUSDC", origClientOrderId="w1")
    assert answer["result"]["status"] == "CANCELED"
    assert [row["rateLimitType"] for row in answer["rateLimits"]] == ["REQUEST_WEIGHT"]
    answer = await ask(6, "order.modify", symbol="BTCUSDC", side="BUY", orderId=1, quantity="0.02", price=lower)
    assert answer["error"]["code"] == -2013
    await api.send_str("{nonsense")
    answer = await next_json(api)
    assert answer == {"id": None, "status": 400, "error": {"code": -1000, "msg": "Invalid JSON request."}}
    await api.send_json({"id": 7, "method": "order.place", "params": client.ws_params(**order) | {"signature": "0"}})
    assert (await next_json(api))["error"]["code"] == -1022


async def test_after_a_logon_requests_need_no_signature(sim):
    venue, client = sim
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    venue.keys = Keys([Key("ed", pem, venue.exchange.accounts[1])])
    api = await client.session.ws_connect(f"{client.ws}/ws-fapi/v1")
    timestamp = int(time.time() * 1000)
    signature = base64.b64encode(private.sign(f"apiKey=ed&timestamp={timestamp}".encode())).decode()
    await api.send_json(
        {
            "id": 1,
            "method": "session.logon",
            "params": {"apiKey": "ed", "timestamp": timestamp, "signature": signature},
        }
    )
    answer = await next_json(api)
    assert (answer["status"], answer["result"]["apiKey"]) == (200, "ed")
    await api.send_json({"id": 2, "method": "v2/account.balance", "params": {"timestamp": int(time.time() * 1000)}})
    answer = await next_json(api)
    assert answer["result"][0]["asset"] == "USDC"
    await api.send_json({"id": 3, "method": "session.logout"})
    assert (await next_json(api))["result"]["apiKey"] is None
    await api.send_json({"id": 4, "method": "v2/account.balance", "params": {"timestamp": int(time.time() * 1000)}})
    assert (await next_json(api))["error"]["code"] == -2014


async def test_a_client_that_does_not_read_is_dropped(sim, monkeypatch):
    venue, client = sim
    monkeypatch.setattr(connection, "MAX_UNSENT_BYTES", 64 * 1024)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.ws.rpartition(":")[2]), limit=1024)
    writer.write(
        b"GET /public/ws/btcusdc@bookTicker HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    payload = "x" * 100_000
    for _ in range(400):
        venue.hub.send("btcusdc@bookTicker", payload)
        await asyncio.sleep(0)
        if not venue.hub.wanted("btcusdc@bookTicker"):
            break
    await asyncio.sleep(0.1)
    assert not venue.hub.wanted("btcusdc@bookTicker")
    writer.close()
