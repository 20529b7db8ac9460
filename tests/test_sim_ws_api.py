"""The WS-API, message by message: ids, signatures, versions, logon, statuses, limits, and what differs from REST."""

import base64
import hashlib
import hmac
import json
from decimal import Decimal

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sim_client import SimClient, next_json

from phx.sim.api.ws_api import ApiSession
from phx.sim.exchange.account import Account
from phx.sim.keys.signing import Key, Keys
from phx.sim.process import Servers, build

KEY, READER, ED25519, RSA = "h" * 64, "r" * 64, "e" * 64, "s" * 64
PRIVATE, OTHER_PRIVATE = Ed25519PrivateKey.generate(), generate_private_key(65537, 2048)


def pem(private) -> str:
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def hmac_hex(payload: str) -> str:
    return hmac.new(b"secret", payload.encode(), hashlib.sha256).hexdigest()


def by_ed25519(payload: str) -> str:
    return base64.b64encode(PRIVATE.sign(payload.encode())).decode()


class Client:
    """One session, spoken to in JSON text as it is sent."""

    def __init__(self, venue, show_limits: bool = True):
        self.venue = venue
        self.sent: list[bytes] = []
        self.session = ApiSession(venue, self.sent.append, show_limits)

    def say(self, text: str | bytes) -> dict:
        self.session.on_request(text.encode() if isinstance(text, str) else text)
        return msgspec.json.decode(self.sent.pop())

    def ask(self, method: str, params: dict | None = None, number=1) -> dict:
        return self.say(json.dumps({"id": number, "method": method, "params": params or {}}))

    def signed(self, method: str, params: dict | None = None, api_key: str = KEY, sign=hmac_hex) -> dict:
        params = {"timestamp": self.venue.now_ms(), "apiKey": api_key} | (params or {})
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        return self.ask(method, params | {"signature": sign(payload)})


@pytest.fixture
def client(instance_config):
    section = msgspec.structs.replace(instance_config.sim, latency_ms=0.0, seed=7)
    venue = build(msgspec.structs.replace(instance_config, sim=section))
    # The clock stands still in the middle of a window, so that counts are exact.
    still_ms = venue.now_ms() // 60_000 * 60_000 + 25_000
    venue.now_ms, venue.now_ns = lambda: still_ms, lambda: still_ms * 1_000_000
    main = venue.exchange.accounts[1]
    venue.exchange.accounts[2] = Account(2, 10**13, ["USDC"], Decimal(0), Decimal(0))
    venue.keys = Keys(
        [
            Key(KEY, "secret", main),
            Key(READER, "secret", main, ["read"]),
            Key(ED25519, pem(PRIVATE), main),
            Key(RSA, pem(OTHER_PRIVATE), main),
        ]
    )
    return Client(venue)


def resting(client, **params) -> dict:
    market = client.venue.exchange.player.markets["BTCUSDC"]
    price = market.contract.price(market.book.top(1)[0][0] - 1000)
    order = {"symbol": "BTCUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010"}
    return order | {"price": price} | params


def test_an_answer_has_the_id_of_its_request(client):
    for number in (0, 7, -1, 2**63 - 1, "7", "", "an id of text", None):
        answer = client.ask("time", number=number)
        assert (answer["id"], type(answer["id"])) == (number, type(number))
        assert client.ask("dance", number=number)["id"] == number


def test_a_request_without_id_is_answered_with_null(client):
    assert client.say('{"method":"ping"}')["id"] is None


UNREADABLE = [
    "", "{", "[]", "5", "null", '"time"', '{"id":1}', '{"id":1,"method":5}', '{"id":1,"method":"time","params":[1]}',
    '{"id":{},"method":"time"}', '{"id":[1],"method":"time"}', '{"id":true,"method":"time"}', b'{"id":"\xff"}',
    '{"id":1,"method":"time","params":"x"}', "[" * 5000,
]  # fmt: skip


def test_what_is_no_request_is_answered_without_id(client):
    told = msgspec.json.encode({"id": None, "status": 400, "error": {"code": -1000, "msg": "Invalid JSON request."}})
    for text in UNREADABLE:
        client.session.on_request(text.encode() if isinstance(text, str) else text)
        assert client.sent.pop() == told, text


def test_the_envelope_has_the_order_of_the_wire(client):
    good, bad = client.signed("order.place", resting(client)), client.signed("order.place", {"symbol": "BTCUSDC"})
    assert list(good) == ["id", "status", "result", "rateLimits"]
    assert list(bad) == ["id", "status", "error", "rateLimits"]
    assert (good["status"], bad["status"], bad["error"]["code"]) == (200, 400, -1102)


def test_orders_show_order_counts_and_no_weight_and_refused_ones_count(client):
    for number, params in enumerate((resting(client), resting(client, side="HOLD"), resting(client)), 1):
        rows = client.signed("order.place", params)["rateLimits"]
        assert rows[0] == {
            "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": -1, "count": -1,
        }  # fmt: skip
        shown = [(row["interval"], row["intervalNum"], row["limit"], row["count"]) for row in rows[1:]]
        assert shown == [("SECOND", 10, 300, number), ("MINUTE", 1, 1200, number)]
    assert len(client.signed("order.cancel", {"symbol": "BTCUSDC", "orderId": 1})["rateLimits"]) == 1


WEIGHTS = [
    ("time", {}, 1),
    ("ping", {}, 1),
    ("depth", {"symbol": "BTCUSDC"}, 10),
    ("depth", {"symbol": "BTCUSDC", "limit": 5}, 2),
    ("depth", {"symbol": "BTCUSDC", "limit": 100}, 5),
    ("depth", {"symbol": "BTCUSDC", "limit": 1000}, 20),
    ("ticker.price", {"symbol": "BTCUSDC"}, 1),
    ("ticker.price", {}, 2),
    ("ticker.book", {"symbol": "BTCUSDC"}, 2),
    ("ticker.book", {}, 5),
    ("session.status", {}, 2),
]


def test_public_methods_have_their_documented_weight(client):
    used = client.venue.exchange.limits.weight.used
    for method, params, weight in WEIGHTS:
        answer = client.ask(method, params)
        assert answer["status"] == 200
        used += weight
        assert answer["rateLimits"][0]["count"] == used, (method, params)


KEYED_WEIGHTS = {
    "order.cancel": 1, "order.status": 1, "account.status": 5, "v2/account.status": 5, "account.balance": 5,
    "v2/account.balance": 5, "account.position": 5, "v2/account.position": 5, "userDataStream.start": 1,
    "userDataStream.ping": 1, "userDataStream.stop": 1, "session.logon": 2,
}  # fmt: skip


def test_methods_with_a_key_have_their_documented_weight(client):
    used = client.venue.exchange.limits.weight.used
    for method, weight in KEYED_WEIGHTS.items():
        used += weight
        assert client.signed(method)["rateLimits"][0]["count"] == used, method


def test_rate_limits_are_hidden_on_request(client):
    for wanted, shown in ((False, False), ("false", False), (True, True), ("true", True)):
        assert ("rateLimits" in client.ask("time", {"returnRateLimits": wanted})) == shown
    quiet = Client(client.venue, show_limits=False)
    assert "rateLimits" not in quiet.ask("time")
    assert "rateLimits" in quiet.ask("time", {"returnRateLimits": True})
    assert quiet.ask("time", {"returnRateLimits": ""})["status"] == 200


def test_numbers_are_signed_as_they_were_sent(client):
    now_ms = client.venue.now_ms()
    for quantity in ("0.010", "0.0100", "1e-2"):
        order = resting(client)
        del order["quantity"]
        order |= {"apiKey": KEY, "timestamp": now_ms, "reduceOnly": False}
        shown = order | {"quantity": quantity, "reduceOnly": "false"}
        signature = hmac_hex("&".join(f"{name}={shown[name]}" for name in sorted(shown)))
        params = json.dumps(order | {"signature": signature})[:-1] + f',"quantity":{quantity}}}'
        answer = client.say(f'{{"id":1,"method":"order.place","params":{params}}}')
        # All three are signed well; a quantity with an exponent is none.
        assert answer["status"] == (400 if "e" in quantity else 200), answer
        assert "e" not in quantity or answer["error"]["code"] == -1102


def test_what_is_wrong_with_a_signature_is_told_as_over_rest(client):
    now_ms = client.venue.now_ms()
    cases = [
        ({}, 401, -2014),
        ({"apiKey": "short"}, 401, -2014),
        ({"apiKey": "u" * 64}, 401, -2015),
        ({"apiKey": KEY}, 400, -1102),
        ({"apiKey": KEY, "timestamp": now_ms, "signature": "00" * 32}, 400, -1022),
        ({"apiKey": KEY, "timestamp": now_ms, "signature": 5}, 400, -1102),
    ]
    for params, status, code in cases:
        answer = client.ask("account.balance", params)
        assert (answer["status"], answer["error"]["code"]) == (status, code)
    for shift_ms, code in ((-5_100, -1021), (3_000, -1021)):
        answer = client.signed("account.balance", {"timestamp": now_ms + shift_ms})
        assert (answer["status"], answer["error"]["code"]) == (400, code)
    assert client.signed("account.balance", {"timestamp": now_ms - 5_500, "recvWindow": 9_000})["status"] == 200


def test_a_key_that_may_only_read_does_not_trade(client):
    assert client.signed("account.balance", api_key=READER)["status"] == 200
    answer = client.signed("order.place", resting(client), api_key=READER)
    assert (answer["status"], answer["error"]["code"]) == (401, -2015)


# ---- sessions ---------------------------------------------------------------------------------------------------


def test_only_ed25519_keys_log_on(client):
    for api_key, sign, code in ((KEY, hmac_hex, -4056), (ED25519, hmac_hex, -1022), (RSA, by_ed25519, -1022)):
        assert client.signed("session.logon", api_key=api_key, sign=sign)["error"]["code"] == code
    answer = client.signed("session.logon", api_key=ED25519, sign=by_ed25519)
    session = answer["result"]
    assert list(session) == ["apiKey", "authorizedSince", "connectedSince", "returnRateLimits", "serverTime"]
    assert (session["apiKey"], session["returnRateLimits"]) == (ED25519, True)
    assert session["connectedSince"] <= session["authorizedSince"] <= session["serverTime"]


def test_a_session_needs_no_key_but_the_time_until_it_is_logged_out(client):
    client.signed("session.logon", api_key=ED25519, sign=by_ed25519)
    order = resting(client) | {"timestamp": client.venue.now_ms()}
    assert client.ask("order.place", order)["status"] == 200
    late = client.ask("order.place", order | {"timestamp": 1})
    assert (late["status"], late["error"]["code"]) == (400, -1021)
    assert client.ask("userDataStream.start")["status"] == 200
    # A request that is signed itself stands for its own key.
    assert client.signed("order.place", resting(client), api_key=READER)["error"]["code"] == -2015
    assert client.ask("session.logout")["result"]["apiKey"] is None
    assert client.ask("session.status")["result"]["authorizedSince"] is None
    assert client.ask("order.place", order)["error"]["code"] == -2014


def test_a_logon_is_of_one_connection(client):
    client.signed("session.logon", api_key=ED25519, sign=by_ed25519)
    assert Client(client.venue).ask("account.balance")["status"] == 401


# ---- methods ----------------------------------------------------------------------------------------------------


def test_methods_may_carry_a_version(client):
    for method, status in (
        ("time", 200), ("v1/time", 200), ("v3/order.place", 200), ("v4/order.place", 400), ("order.Place", 400),
        ("/time", 200), ("session.logon/extra", 400), ("order.placeAll", 400), ("", 400),
    ):  # fmt: skip
        answer = client.signed(method, resting(client, newClientOrderId=method.replace("/", "_") or "x"))
        assert answer["status"] == status, method
        assert status == 200 or answer["error"]["code"] == -1000


def test_versions_of_account_answers_differ_as_documented(client):
    older, newer = (client.signed(f"{version}account.status")["result"] for version in ("", "v2/"))
    assert (older["canTrade"], "canTrade" in newer, "feeBurn" in older) == (True, False, False)
    assert (len(older["positions"]), newer["positions"]) == (2, [])
    assert client.signed("v2/account.position")["result"] == []
    assert "leverage" in client.signed("account.position", {"symbol": "BTCUSDC"})["result"][0]


def test_an_order_lives_over_the_ws_api(client):
    placed = client.signed("order.place", resting(client))["result"]
    name = {"symbol": "BTCUSDC", "orderId": placed["orderId"]}
    change = name | {"side": "BUY", "quantity": "0.020", "price": placed["price"], "modifyId": 9}
    changed = client.signed("order.modify", change)["result"]
    assert (changed["origQty"], changed["modifyId"], "pair" in changed) == ("0.020", 9, False)
    assert client.signed("order.modify", change)["error"]["code"] == -5027
    assert client.signed("order.status", name)["result"]["origQty"] == "0.02"
    assert client.signed("order.cancel", name)["result"]["status"] == "CANCELED"
    assert client.signed("order.cancel", name)["error"] == {"code": -2011, "msg": "Unknown order sent."}
    assert client.signed("order.modify", change | {"quantity": "0.030"})["error"]["code"] == -2013
    lost = client.signed("order.status", {"symbol": "BTCUSDC"})["error"]
    assert lost["msg"] == "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"


def test_tickers_come_singly_or_as_a_list(client):
    for method in ("ticker.price", "ticker.book"):
        one = client.ask(method, {"symbol": "ETHUSDC"})["result"]
        every = client.ask(method)["result"]
        assert [row["symbol"] for row in every] == ["BTCUSDC", "ETHUSDC"]
        assert list(one) == list(every[1])
        assert client.ask(method, {"symbol": "NOPE"})["error"]["code"] == -1121
    assert next(iter(client.ask("ticker.book", {"symbol": "BTCUSDC"})["result"])) == "lastUpdateId"


def test_a_depth_has_the_form_of_rest(client):
    found = client.ask("depth", {"symbol": "BTCUSDC", "limit": 5})["result"]
    assert (list(found), len(found["bids"])) == (["lastUpdateId", "E", "T", "bids", "asks"], 5)
    assert client.ask("depth", {"symbol": "BTCUSDC", "limit": 7})["error"]["code"] == -4021
    assert client.ask("depth", {"symbol": "BTCUSDC", "limit": "x"})["error"]["code"] == -1130


def test_limits_end_in_429(client):
    limits = client.venue.exchange.limits
    limits.use_orders(client.venue.now_ms(), 1, 299, 299)
    for status in (200, 429):
        answer = client.signed("order.place", resting(client))
        assert answer["status"] == status
    assert answer["error"] == {"code": -1015, "msg": "Too many new orders; current limit is 300 orders per 10 SECOND."}
    assert client.signed("order.cancel", {"symbol": "BTCUSDC", "orderId": 1})["error"]["code"] == -2011
    limits.use_weight(client.venue.now_ms(), 2399 - limits.weight.used)
    for status in (200, 429):
        answer = client.ask("time")
        assert answer["status"] == status
    assert answer["error"]["code"] == -1003
    assert answer["error"]["msg"].startswith("Too many requests; current limit is 2400 requests per minute.")


async def test_requests_of_one_connection_are_answered_each_with_its_id(instance_config):
    section = msgspec.structs.replace(instance_config.sim, latency_ms=2.0, seed=7)
    config = msgspec.structs.replace(instance_config, sim=section)
    venue = build(config)
    venue.keys = Keys([Key(KEY, "secret", venue.exchange.accounts[1])])
    price = resting(Client(venue))["price"]
    async with (
        Servers(venue, config.sim.port),
        SimClient(config.sim.port, KEY, "secret") as client,
        client.session.ws_connect(f"{client.ws}/ws-fapi/v1") as connection,
    ):
        for number in range(40):
            order = {
                "symbol": "BTCUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01",
                "price": price, "newClientOrderId": f"number{number}",
            }  # fmt: skip
            params = client.ws_params(**order)
            await connection.send_str(json.dumps({"id": f"n{number}", "method": "order.place", "params": params}))
        found = [await next_json(connection) for _ in range(40)]
        assert [answer["id"] for answer in found] == [f"n{number}" for number in range(40)]
        assert all(a["result"]["clientOrderId"] == a["id"].replace("n", "number") for a in found)
