"""Requests of careless and hostile clients: whatever a parameter holds, the answer is an answer or a refusal."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from still_market import KINDS, NOW_NS, StillVenue

from phx.sim.refusals import Refused

VALUES = {
    "symbol": ["BTCUSDC", "ETHUSDC", "btcusdc", "NOSUCH"],
    "side": ["BUY", "SELL", "buy"],
    "type": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TRAILING_STOP_MARKET", "1", "2", 1],
    "positionSide": ["BOTH", "LONG", "SHORT"],
    "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD", "RPI"],
    "quantity": ["0.010", "0.5", "1e3", "1000000", 0.01, 1, "00.010"],
    "price": ["64000.0", "64001", "0.1", "63999.95", 64000, 64000.0, "9" * 19],
    "reduceOnly": ["true", "false", "TRUE", True, False],
    "newClientOrderId": ["a", "a" * 36, "é", 5],
    "selfTradePreventionMode": ["NONE", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    "priceMatch": ["NONE", "QUEUE", "OPPONENT_5", "QUEUE_20"],
    "newOrderRespType": ["ACK", "RESULT", "FULL"],
    "goodTillDate": [NOW_NS // 10**6 + 700_000, str(2**63), "-1"],
    "orderId": [1001, "1002", 2**70, -1],
    "origClientOrderId": ["a", 5],
    "modifyId": [1, "x"],
    "leverage": [1, "20", "125", 10**30],
    "marginType": ["ISOLATED", "CROSSED"],
    "amount": ["1", "100.5", "-1", "1000000000000"],
    "dualSidePosition": ["true", "false"],
    "multiAssetsMargin": ["true", False],
    "algoType": ["CONDITIONAL"],
    "triggerPrice": ["64100.0", "63900", "0"],
    "activatePrice": ["64100.0", "63900"],
    "callbackRate": ["1", "0.1", "20", "99"],
    "workingType": ["MARK_PRICE", "CONTRACT_PRICE"],
    "closePosition": ["true", "false"],
    "priceProtect": ["true", "TRUE"],
    "clientAlgoId": ["b", "", 7],
    "algoId": [1, "x", 2**64],
}
ODD = st.one_of(st.none(), st.text(max_size=8), st.integers(), st.floats(), st.booleans(), st.just([]), st.just({}))
BID = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "64001.0"}
ASK = BID | {"side": "SELL", "price": "64000.5"}
STOP = {"algoType": "CONDITIONAL", "side": "SELL", "type": "STOP_MARKET", "quantity": "0.010", "triggerPrice": "63900"}
# What is asked, and parameters that would do in the one or the other state of an account.
ASKED = [
    ("place", BID),
    ("place", ASK),
    ("place", BID | {"positionSide": "LONG"}),
    ("place", ASK | {"positionSide": "SHORT"}),
    ("place", {"side": "SELL", "type": "MARKET", "quantity": "0.020"}),
    ("place", ASK | {"reduceOnly": "true"}),
    ("amend", {"side": "BUY", "orderId": 1001, "quantity": "0.020", "price": "63990.0"}),
    ("amend", {"side": "SELL", "orderId": 1002, "quantity": "0.020", "price": "64002.0"}),
    ("cancel", {"orderId": 1001}),
    ("order", {"orderId": 1002}),
    ("set_leverage", {"leverage": 20}),
    ("set_margin_type", {"marginType": "ISOLATED"}),
    ("set_position_mode", {"dualSidePosition": "true"}),
    ("set_multi_assets", {"multiAssetsMargin": "true"}),
    ("adjust_isolated_margin", {"amount": "1", "type": 1}),
    ("algo place", STOP),
    ("algo place", STOP | {"positionSide": "LONG"}),
    ("algo cancel", {"clientAlgoId": "b"}),
    ("algo query", {"clientAlgoId": "b"}),
]


@st.composite
def requests(draw):
    """Return a method and parameters that would do, but for up to three that are missing, other or odd."""
    method, fitting = draw(st.sampled_from(ASKED))
    params = {"symbol": "BTCUSDC"} | fitting
    for name in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=3)):
        value = draw(st.one_of(st.sampled_from(VALUES[name]), st.sampled_from(VALUES[name]), ODD))
        params[name] = value
        if draw(st.integers(0, 4)) == 0:
            del params[name]
    return method, params


def ask(venue, method: str, params: dict):
    exchange, account = venue.exchange, venue.account
    if method == "order":
        return exchange.order(account, params)
    if method == "algo query":
        return exchange.algos.query(account, params)
    if method.startswith("algo"):
        return getattr(exchange.algos, method.split()[1])(account, params, NOW_NS)
    if method.startswith(("set", "adjust")):
        return getattr(exchange.settings, method)(account, params, NOW_NS)
    return getattr(exchange, method)(account, params, NOW_NS)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(asked=st.lists(requests(), min_size=15, max_size=30))
def test_nothing_a_client_sends_breaks_the_venue(kind, asked):
    venue = StillVenue(kind)
    for method, params in asked:
        try:
            ask(venue, method, dict(params))
        except Refused as refusal:
            assert refusal.code < 0
            assert refusal.message
    venue.exchange.algos.check(NOW_NS)
    account = venue.account
    fills = [fill for rows in account.fills.values() for fill in rows]
    assert account.wallets_e8["USDC"] == 10_000 * 10**8 + sum(f.realised_e8 - f.fee_e8 for f in fills)
    assert account.cross_e8("USDC") + account.isolated_e8("USDC") == account.wallets_e8["USDC"]
