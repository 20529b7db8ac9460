"""Answers of REST and the WS-API equal captured ones, byte for byte, in the same situation."""

import hashlib
import hmac
import re
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from phx.instruments import ONE_E8
from phx.sim.api import account_views, answers, market_views
from phx.sim.api.ws_api import ApiSession
from phx.sim.contracts import listed
from phx.sim.exchange.account import Account, Amendment, Order
from phx.sim.keys.signing import Key, Keys, payload_of
from phx.sim.process import build

FRAMES = Path(__file__).parent / "frames"
CONTRACTS = listed({})
BTCUSDC, BTCUSDT = CONTRACTS["BTCUSDC"], CONTRACTS["BTCUSDT"]
REPLIED_MS = 1765337013071


def e8(text: str) -> int:
    return int(Decimal(text) * ONE_E8)


def order(contract, order_id, client_id, price, qty, time_ms, **more) -> Order:
    c = contract.instrument
    return Order(
        contract=contract, order_id=order_id, client_id=client_id, side=1, type="LIMIT", tif="GTC",
        price_ticks=c.ticks(price), orig_lots=c.lots(qty), reduce_only=False, self_trade="EXPIRE_MAKER",
        good_till_ms=0, time_ms=time_ms, update_ms=time_ms, **more,
    )  # fmt: skip


def text(value) -> str:
    return msgspec.json.encode(value).decode()


@pytest.fixture(scope="module")
def captured(recordings):
    """Return a captured answer by its name."""
    folder = recordings / "wire" / "captures"
    if not folder.exists():
        pytest.skip("no captured answers among the recordings")
    return lambda name: (folder / f"{name}.json").read_text().strip()


def test_a_premium_index_is_as_captured(captured):
    mark = SimpleNamespace(
        mark_e8=e8("76916.95122464"), index_e8=e8("76959.67847826"), rate_e8=8972, funding_ms=1789488000000
    )
    exchange = SimpleNamespace(marks={"BTCUSDT": mark})
    ours = text(market_views.premium_index(exchange, "BTCUSDT", 1789478303000))
    # The venue estimates the settlement price from the last hour, which the simulated one takes to be the index.
    shown = captured("rest/premiumIndex_btcusdt_202609").replace('"77018.74802742"', '"76959.67847826"')
    assert ours == shown


def test_a_commission_rate_is_as_captured(captured):
    account = Account(1, 0, ["USDC"], Decimal(0), Decimal("0.0004"))
    ours = account_views.commission_rate(account, CONTRACTS["ETHUSDC"])
    assert text(ours) == captured("rest/commissionRate_ethusdc_shape")


def test_listed_contracts_are_as_captured(captured):
    for symbol, name in (("BTCUSDT", "BTCUSDT_202609"), ("ETHUSDC", "ETHUSDC_2026")):
        assert text(CONTRACTS[symbol].entry) == captured(f"exchange_info/{name}")


def test_an_ack_is_as_captured_today_and_before_july_2026(captured):
    shown = captured("rest/order_ack_btcusdt_20250518")
    ours = order(BTCUSDT, 685989929304, "93Mbegwes6NHYIiwcodq68", "50000", "0.002", 1747568334548)
    ack = answers.order_ack(ours)
    assert text(ack) == shown
    older = shown.replace('"origQty"', '"avgPrice":"0.00","origQty"')
    older = older.replace('"timeInForce"', '"cumQuote":"0.00000","timeInForce"')
    assert text(answers.older_ack(ack, ours)) == older


def test_an_older_ack_shows_what_was_filled():
    ours = order(BTCUSDT, 1, "c", "50000", "0.003", 0, status="FILLED", executed_lots=3)
    c = BTCUSDT.instrument
    ours.executed_ticklots = c.ticks("50000") * 2 + c.ticks("50000.1")
    older = answers.older_ack(answers.order_ack(ours), ours)
    assert (older["avgPrice"], older["cumQuote"], older["cumQty"]) == ("50000.03", "150.00010", "0.003")
    waiting = answers.order_ack(ours) | {"executedQty": "0.000"}
    assert answers.older_ack(waiting, ours)["avgPrice"] == "0.00"


def test_a_queried_order_is_stripped_as_seen_on_the_wire():
    ours = order(BTCUSDC, 30130000000, "abc", "86550", "0.001", 1745000000000)
    row = text(answers.order_row(ours))
    shown = (
        '{"orderId":30130000000,"symbol":"BTCUSDC","status":"NEW","clientOrderId":"abc","price":"86550","avgPrice":"0",'
        '"origQty":"0.001","executedQty":"0","cumQuote":"0.0000","timeInForce":"GTC","type":"LIMIT","reduceOnly":false,'
        '"closePosition":false,"side":"BUY","positionSide":"BOTH","stopPrice":"0","workingType":"CONTRACT_PRICE",'
        '"priceProtect":false,"origType":"LIMIT","priceMatch":"NONE","selfTradePreventionMode":"EXPIRE_MAKER",'
        '"goodTillDate":0,"time":1745000000000,"updateTime":1745000000000}'
    )
    # The value has the decimals of price and quantity together, of which the venue has since given the contract more.
    decimals = BTCUSDC.entry["pricePrecision"] + BTCUSDC.entry["quantityPrecision"]
    assert row == shown.replace('"cumQuote":"0.0000"', f'"cumQuote":"0.{"0" * decimals}"')


def test_a_change_repeats_its_id_behind_the_client_order_id():
    ours = order(BTCUSDT, 7, "c", "50000", "0.002", 0)
    for modify_id, keys in ((None, ["clientOrderId", "price"]), (0, ["clientOrderId", "modifyId", "price"])):
        ours.amendments.append(Amendment(1, 0, 0, 1, 0, 1, modify_id))
        names = list(answers.order_ack(ours, amended=True))
        assert names[:4] == ["orderId", "symbol", "pair", "status"]
        assert names[4 : 4 + len(keys)] == keys


# ---- replies of the WS-API --------------------------------------------------------------------------------------


@pytest.fixture
def session(instance_config):
    """A session at a venue that lists BTCUSDT, at the moment of the captures; its answers go to `session.sent`."""
    sim = msgspec.structs.replace(instance_config.sim, latency_ms=0.0, wallet=Decimal(100_000))
    venue = build(msgspec.structs.replace(instance_config, sim=sim, watch=["BTCUSDT"]))
    venue.now_ms, venue.now_ns = lambda: REPLIED_MS, lambda: REPLIED_MS * 1_000_000
    venue.keys = Keys([Key("k" * 64, "secret", venue.exchange.accounts[1])])
    sent = []
    session = ApiSession(venue, sent.append, True)
    session.sent = sent
    return session


def ask(session, number: str, method: str, params: dict) -> str:
    params = params | {"apiKey": "k" * 64, "timestamp": REPLIED_MS}
    params["signature"] = hmac.new(b"secret", payload_of(params), hashlib.sha256).hexdigest()
    session.on_request(msgspec.json.encode({"id": number, "method": method, "params": params}))
    return session.sent.pop().decode()


def test_replies_of_the_ws_api_are_as_captured(session):
    placed, margin, gone, unreadable, revoked = (FRAMES / "ws_api_replies.jsonl").read_text().splitlines()
    limits = session.venue.exchange.limits
    bid = {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1.000",
        "price": "32000.00", "newClientOrderId": "x1",
    }  # fmt: skip
    limits.use_orders(REPLIED_MS, 1, 0, 1)
    ours = ask(session, "p1", "order.place", bid)
    assert re.sub(r'"orderId":\d+', '"orderId":851545009715', ours) == placed
    windows = limits.orders[1]
    windows.in_10s.used = windows.in_1m.used = 0
    large = bid | {"quantity": "100.000", "newClientOrderId": "x2"}
    assert ask(session, "p2", "order.place", large) == margin
    limits.use_weight(REPLIED_MS, 18)
    assert ask(session, "c1", "order.cancel", {"symbol": "BTCUSDT", "orderId": 5}) == gone
    session.on_request(b"no JSON")
    assert session.sent.pop().decode() == unreadable
    # What became of the key shows in the error alone; its reply comes unasked at the venue, without an id.
    session.venue.keys = Keys([])
    answer = msgspec.json.decode(ask(session, "r1", "account.balance", {}))
    assert answer["error"] == msgspec.json.decode(revoked)["error"]
    assert answer["status"] == 401
