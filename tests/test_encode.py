"""Requests as the venue reads them: valid JSON, exact decimals, a signature over the sorted parameters."""

import hashlib
import hmac
from decimal import Decimal

import msgspec
import pytest
from gateway_rig import NO_PRICE
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.action import ActionKind, TimeInForce
from phx._core.binance.encode import OrderEncoder
from phx._core.binance.sign import Signer
from phx._core.coid import parse_coid

SECRET = b"s" * 64
API_KEY = b"k" * 64
METHODS = {1: "order.place", 2: "order.modify", 3: "order.cancel"}


def action(**changes) -> dict:
    return {
        "epoch": 3,
        "intent_id": 77,
        "price_ticks": 845_511,
        "qty_lots": 6,
        "decided_mono_ns": 0,
        "cause_recv_mono_ns": 0,
        "symbol_id": 0,
        "kind": ActionKind.ACTION_PLACE,
        "time_in_force": TimeInForce.GTX,
        "side": 1,
        "reduce_only": 0,
    } | changes


def encoder(signs: bool = True) -> OrderEncoder:
    made = OrderEncoder("s", API_KEY, Signer(SECRET), 2000)
    made.signs = signs
    made.add_symbol(0, "BTCUSDC", 1, 1, 3, 1)
    made.add_symbol(1, "ODDUSDC", 4, 25, 0, 10)  # tick 0.0025, lot 10
    return made


def verified(request: bytes) -> dict:
    """Return the decoded request after checking its signature by the venue's rule."""
    decoded = msgspec.json.decode(request)
    params = dict(decoded["params"])
    signature = params.pop("signature")
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    assert signature == hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()
    return decoded


def test_a_quote_is_a_post_only_limit_order():
    request = verified(encoder().request(action(), 1_790_526_538_939))
    assert request["id"] == 77 * 4 + 1 and request["method"] == "order.place"
    params = request["params"]
    del params["signature"]
    assert params == {
        "apiKey": "k" * 64,
        "newClientOrderId": "phxs-00-3-25",
        "price": "84551.1",
        "quantity": "0.006",
        "recvWindow": 2000,
        "side": "BUY",
        "symbol": "BTCUSDC",
        "timeInForce": "GTX",
        "timestamp": 1_790_526_538_939,
        "type": "LIMIT",
    }


def test_a_market_take_has_no_price_and_spares_our_own_quotes():
    params = verified(
        encoder().request(action(time_in_force=TimeInForce.MARKET, price_ticks=NO_PRICE, side=-1, reduce_only=1), 1)
    )["params"]
    assert params["type"] == "MARKET" and params["side"] == "SELL" and params["reduceOnly"] == "true"
    assert params["selfTradePreventionMode"] == "EXPIRE_TAKER"
    assert "price" not in params and "timeInForce" not in params


@given(
    st.sampled_from(list(METHODS)),
    st.integers(1, 2**40),
    st.integers(1, 2**31),
    st.sampled_from([1, -1]),
    st.integers(0, 1),
    st.sampled_from([TimeInForce.GTX, TimeInForce.IOC]),
    st.integers(0, 1),
    st.integers(0, 2**40),
    st.integers(0, 2**50),
    st.integers(10**12, 10**13),
)
@settings(max_examples=500, deadline=None)
def test_any_action_reads_back_exactly(kind, price, lots, side, reduce_only, tif, symbol_id, epoch, intent_id, time_ms):
    given_action = action(
        kind=kind,
        price_ticks=price,
        qty_lots=lots,
        side=side,
        reduce_only=reduce_only,
        time_in_force=tif,
        symbol_id=symbol_id,
        epoch=epoch,
        intent_id=intent_id,
    )
    request = encoder().request(given_action, time_ms)
    assert len(request) < 1024
    decoded = verified(request)
    params = decoded["params"]
    assert divmod(decoded["id"], 4) == (intent_id, kind) and decoded["method"] == METHODS[kind]
    coid = params["newClientOrderId" if kind == 1 else "origClientOrderId"]
    assert parse_coid(coid) == ("s", symbol_id, epoch, intent_id)
    tick, lot = [("0.1", "0.001"), ("0.0025", "10")][symbol_id]
    if kind != 3:
        assert Decimal(params["price"]) == price * Decimal(tick)
        assert Decimal(params["quantity"]) == lots * Decimal(lot)
        assert params["side"] == ("BUY" if side > 0 else "SELL")
        assert params.get("reduceOnly") == ("true" if reduce_only else None)
    assert params["timestamp"] == time_ms


@pytest.mark.parametrize("kind", METHODS)
def test_after_logon_neither_key_nor_signature_is_sent(kind):
    params = msgspec.json.decode(encoder(signs=False).request(action(kind=kind), 5))["params"]
    assert "apiKey" not in params and "signature" not in params
    assert params["timestamp"] == 5 and params["recvWindow"] == 2000


def test_what_cannot_be_encoded_is_refused():
    with pytest.raises(ValueError, match="symbol 9"):
        encoder().request(action(symbol_id=9), 1)
    with pytest.raises(ValueError, match="kind 0"):
        encoder().request(action(kind=0), 1)
    with pytest.raises(ValueError, match="API key"):
        OrderEncoder("s", b'k"', None, 2000)
    with pytest.raises(ValueError, match="cannot be encoded"):
        encoder().add_symbol(0, "X" * 21, 1, 1, 1, 1)
