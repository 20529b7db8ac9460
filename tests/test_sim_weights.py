"""What each REST endpoint costs: the venue's table of weights and order counts."""

import pytest

from phx.sim.api.request import Kind
from phx.sim.api.rest_api import ENDPOINTS

SYMBOL = {"symbol": "BTCUSDC"}
WEIGHTS = [
    ("GET /fapi/v1/ping", {}, 1),
    ("GET /fapi/v1/time", {}, 1),
    ("GET /api/v3/ping", {}, 1),
    ("GET /api/v3/time", {}, 1),
    ("GET /fapi/v1/exchangeInfo", {}, 1),
    *((("GET /fapi/v1/depth"), SYMBOL | {"limit": limit}, weight)
      for limit, weight in (("5", 2), ("10", 2), ("20", 2), ("50", 2), ("100", 5), ("500", 10), ("1000", 20))),
    ("GET /fapi/v1/depth", SYMBOL, 10),
    ("GET /fapi/v1/rpiDepth", SYMBOL, 20),
    ("GET /fapi/v1/trades", SYMBOL, 5),
    ("GET /fapi/v1/historicalTrades", SYMBOL, 200),
    ("GET /fapi/v1/aggTrades", SYMBOL, 20),
    *((f"GET /fapi/v1/{name}", SYMBOL | {"limit": limit}, weight)
      for name in ("klines", "continuousKlines", "markPriceKlines", "indexPriceKlines", "premiumIndexKlines")
      for limit, weight in (("1", 1), ("99", 1), ("100", 2), ("499", 2), ("500", 5), ("1000", 5), ("1001", 10),
                            ("1500", 10))),
    ("GET /fapi/v1/klines", SYMBOL, 5),
    ("GET /fapi/v1/premiumIndex", SYMBOL, 1),
    ("GET /fapi/v1/premiumIndex", {}, 10),
    ("GET /fapi/v1/fundingRate", {}, 0),
    ("GET /fapi/v1/fundingInfo", {}, 0),
    ("GET /fapi/v1/ticker/24hr", SYMBOL, 1),
    ("GET /fapi/v1/ticker/24hr", {}, 40),
    ("GET /fapi/v1/ticker/price", SYMBOL, 1),
    ("GET /fapi/v2/ticker/price", {}, 2),
    ("GET /fapi/v1/ticker/bookTicker", SYMBOL, 2),
    ("GET /fapi/v1/ticker/bookTicker", {}, 5),
    ("GET /fapi/v1/openInterest", SYMBOL, 1),
    ("GET /fapi/v1/indexInfo", {}, 1),
    ("GET /fapi/v1/assetIndex", {"symbol": "USDCUSD"}, 1),
    ("GET /fapi/v1/assetIndex", {}, 10),
    ("GET /fapi/v1/constituents", SYMBOL, 2),
    ("GET /fapi/v1/insuranceBalance", {}, 1),
    ("GET /fapi/v1/symbolAdlRisk", {}, 1),
    ("GET /fapi/v1/tradingSchedule", {}, 5),
    ("POST /fapi/v1/order", {}, 0),
    ("POST /fapi/v1/order/test", {}, 0),
    ("PUT /fapi/v1/order", {}, 0),
    ("DELETE /fapi/v1/order", {}, 1),
    ("GET /fapi/v1/order", {}, 1),
    ("GET /fapi/v1/openOrder", {}, 1),
    ("GET /fapi/v1/openOrders", SYMBOL, 1),
    ("GET /fapi/v1/openOrders", {}, 40),
    ("GET /fapi/v1/allOrders", {}, 5),
    ("POST /fapi/v1/batchOrders", {}, 5),
    ("PUT /fapi/v1/batchOrders", {}, 5),
    ("DELETE /fapi/v1/batchOrders", {}, 1),
    ("DELETE /fapi/v1/allOpenOrders", {}, 1),
    ("POST /fapi/v1/countdownCancelAll", {}, 10),
    ("GET /fapi/v1/userTrades", {}, 5),
    ("GET /fapi/v1/orderAmendment", {}, 1),
    ("GET /fapi/v1/forceOrders", SYMBOL, 20),
    ("GET /fapi/v1/forceOrders", {}, 50),
    *((f"GET /fapi/v{version}/{name}", {}, 5)
      for version in (2, 3) for name in ("account", "balance", "positionRisk")),
    ("GET /fapi/v1/accountConfig", {}, 5),
    ("GET /fapi/v1/symbolConfig", {}, 5),
    ("GET /fapi/v1/leverageBracket", {}, 1),
    ("GET /fapi/v1/commissionRate", {}, 20),
    ("GET /fapi/v1/rateLimit/order", {}, 1),
    ("GET /fapi/v1/apiTradingStatus", SYMBOL, 1),
    ("GET /fapi/v1/apiTradingStatus", {}, 10),
    ("GET /fapi/v1/adlQuantile", {}, 5),
    ("GET /fapi/v1/income", {}, 30),
    ("POST /fapi/v1/leverage", {}, 1),
    ("POST /fapi/v1/marginType", {}, 1),
    ("POST /fapi/v1/positionMargin", {}, 1),
    ("GET /fapi/v1/positionMargin/history", {}, 1),
    ("POST /fapi/v1/positionSide/dual", {}, 1),
    ("GET /fapi/v1/positionSide/dual", {}, 30),
    ("POST /fapi/v1/multiAssetsMargin", {}, 1),
    ("GET /fapi/v1/multiAssetsMargin", {}, 30),
    ("POST /fapi/v1/feeBurn", {}, 1),
    ("GET /fapi/v1/feeBurn", {}, 30),
    ("POST /fapi/v1/algoOrder", {}, 0),
    ("DELETE /fapi/v1/algoOrder", {}, 1),
    ("GET /fapi/v1/algoOrder", {}, 1),
    ("DELETE /fapi/v1/algoOpenOrders", {}, 1),
    ("GET /fapi/v1/openAlgoOrders", SYMBOL, 1),
    ("GET /fapi/v1/openAlgoOrders", {}, 40),
    ("GET /fapi/v1/allAlgoOrders", SYMBOL, 5),
    ("GET /sapi/v1/account/apiRestrictions", {}, 1),
    *((f"{method} /fapi/v1/listenKey", {}, 1) for method in ("POST", "PUT", "DELETE")),
]  # fmt: skip
ORDER_COUNTS = {
    "POST /fapi/v1/order": (1, 1),
    "PUT /fapi/v1/order": (1, 1),
    "POST /fapi/v1/batchOrders": (5, 1),
    "PUT /fapi/v1/batchOrders": (5, 1),
    "POST /fapi/v1/algoOrder": (1, 1),
}


@pytest.mark.parametrize(("request_", "params", "weight"), WEIGHTS)
def test_every_endpoint_has_its_documented_weight(request_, params, weight):
    assert ENDPOINTS[tuple(request_.split())].weight_of(params) == weight


def test_no_endpoint_is_without_a_documented_weight():
    assert set(ENDPOINTS) == {tuple(request_.split()) for request_, _, _ in WEIGHTS}


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_only_placing_and_changing_counts_as_orders(method, path):
    endpoint = ENDPOINTS[method, path]
    counted = endpoint.order_counts if endpoint.kind == Kind.ORDER else None
    assert counted == ORDER_COUNTS.get(f"{method} {path}")
