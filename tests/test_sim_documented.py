"""Every documented answer of REST and the WS-API, next to ours in the same situation: keys, their order, JSON types.

Each difference stands in the table with its reason. A documented list is compared by its first row. Where the
documentation merges answers of several kinds into one object, the keys of the other kinds are named as such.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import msgspec
import pytest
from conftest import isolated

from phx.sim.api.request import Call
from phx.sim.api.rest_api import ENDPOINTS
from phx.sim.api.ws_api import ApiSession
from phx.sim.exchange.account import Account
from phx.sim.exchange.position import BOTH
from phx.sim.keys.signing import Key
from phx.sim.process import build

SYMBOL, OTHER = "BTCUSDC", "ETHUSDC"
WIRE_ORDER = "the order captured on the wire; the documentation sorts otherwise"
TRAILING = {"activatePrice": "only of trailing orders", "priceRate": "only of trailing orders"}
REFUSED_LEG = {"code": "of a refused leg", "msg": "of a refused leg"}
FILTERS = dict.fromkeys(
    ("limit", "maxQty", "minQty", "multiplierDecimal", "multiplierDown", "multiplierUp", "notional", "stepSize"),
    "of other filters, merged in the documentation",
)


class Case(NamedTuple):
    """How a documented answer is asked for, and which differences from it are right.

    lacks and adds: last name of a key → reason. order: the reason why keys stand otherwise. types: key → reason.
    """

    ask: tuple[str, str] | str
    params: dict | Callable = {}  # noqa: RUF012 (never changed)
    lacks: dict = {}  # noqa: RUF012
    adds: dict = {}  # noqa: RUF012
    order: str = ""
    types: dict = {}  # noqa: RUF012


def newest(venue) -> dict:
    """Return the parameters that name the newest open order."""
    order = venue.exchange.accounts[1].all_open()[-1]
    return {"symbol": order.symbol, "orderId": order.order_id}


def place(venue, **params) -> dict:
    """Return the parameters of an order that rests."""
    book = venue.exchange.player.markets[SYMBOL].book
    price = venue.exchange.contracts[SYMBOL].price(book.top(1)[0][0] - 1000)
    return {
        "symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": price,
    } | params  # fmt: skip


def change(venue, **more) -> dict:
    order = venue.exchange.accounts[1].all_open()[-1]
    price = order.contract.price(order.price_ticks - 10)
    return newest(venue) | {"side": "BUY", "quantity": "0.02", "price": price, "modifyId": 1} | more


def place_algo(venue, **params) -> dict:
    """Return the parameters of a conditional order that waits."""
    mark = venue.exchange.marks[SYMBOL].mark_e8 // 10**8
    return {
        "algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": "TAKE_PROFIT", "timeInForce": "GTC",
        "quantity": "0.01", "price": str(mark + 900), "triggerPrice": str(mark + 1000),
    } | params  # fmt: skip


def newest_algo(venue) -> dict:
    return {"algoId": venue.exchange.algos.open_rows(venue.exchange.accounts[1])[-1]["algoId"]}


def as_batch(params: dict) -> dict:
    return {"batchOrders": msgspec.json.encode([{k: str(v) for k, v in params.items()}]).decode()}


ONE, PAIR = {"symbol": SYMBOL}, {"pair": SYMBOL}
KLINES = {"interval": "1m"}
ICEBERG = {"icebergQuantity": "null in the documentation, which was copied as the text None"}
ORDER_CASE = {"lacks": TRAILING, "order": WIRE_ORDER}
REST = {
    "account_information_v2": Case(("GET", "/fapi/v2/account"), adds={"breakEvenPrice": "shown by the live venue"}),
    "account_information_v3": Case(("GET", "/fapi/v3/account")),
    "account_trade_list": Case(("GET", "/fapi/v1/userTrades"), ONE, order=WIRE_ORDER),
    "adl_risk": Case(("GET", "/fapi/v1/symbolAdlRisk"), ONE),
    "all_orders": Case(("GET", "/fapi/v1/allOrders"), ONE, **ORDER_CASE),
    "asset_index": Case(("GET", "/fapi/v1/assetIndex"), {"symbol": "USDCUSD"}),
    "auto_cancel_all_open_orders": Case(("POST", "/fapi/v1/countdownCancelAll"), ONE | {"countdownTime": "100000"}),
    "cancel_algo_order": Case(("DELETE", "/fapi/v1/algoOrder"), newest_algo),
    "cancel_all_algo_open_orders": Case(("DELETE", "/fapi/v1/algoOpenOrders"), ONE),
    "current_all_algo_open_orders": Case(("GET", "/fapi/v1/openAlgoOrders"), ONE, types=ICEBERG),
    "new_algo_order": Case(("POST", "/fapi/v1/algoOrder"), place_algo, types=ICEBERG),
    "query_algo_order": Case(("GET", "/fapi/v1/algoOrder"), newest_algo, types=ICEBERG),
    "query_all_algo_orders": Case(("GET", "/fapi/v1/allAlgoOrders"), ONE, types=ICEBERG),
    "cancel_all_open_orders": Case(("DELETE", "/fapi/v1/allOpenOrders"), ONE),
    "cancel_multiple_orders": Case(
        ("DELETE", "/fapi/v1/batchOrders"),
        lambda venue: ONE | {"orderIdList": f"[{newest(venue)['orderId']}]"},
        lacks=TRAILING | REFUSED_LEG,
        order=WIRE_ORDER,
    ),
    "cancel_order": Case(("DELETE", "/fapi/v1/order"), newest, **ORDER_CASE),
    "change_initial_leverage": Case(
        ("POST", "/fapi/v1/leverage"), ONE | {"leverage": 21}, order="both orders were seen on the wire"
    ),
    "change_margin_type": Case(("POST", "/fapi/v1/marginType"), {"symbol": SYMBOL, "marginType": "ISOLATED"}),
    "change_multi_assets_mode": Case(("POST", "/fapi/v1/multiAssetsMargin"), {"multiAssetsMargin": "true"}),
    "change_position_mode": Case(("POST", "/fapi/v1/positionSide/dual"), {"dualSidePosition": "true"}),
    "check_server_time": Case(("GET", "/fapi/v1/time")),
    "composite_index_symbol_information": Case(("GET", "/fapi/v1/indexInfo")),
    "compressed_aggregate_trades_list": Case(("GET", "/fapi/v1/aggTrades"), ONE),
    "continuous_contract_kline_candlestick_data": Case(
        ("GET", "/fapi/v1/continuousKlines"), PAIR | KLINES | {"contractType": "PERPETUAL"}
    ),
    "current_all_open_orders": Case(("GET", "/fapi/v1/openOrders"), ONE, **ORDER_CASE),
    "exchange_information": Case(
        ("GET", "/fapi/v1/exchangeInfo"),
        lacks={"settlePlan": "gone from production"} | FILTERS,
        adds={
            "futuresType": "captured on the wire",
            "maxMoveOrderLimit": "captured on the wire",
            "permissionSets": "captured on the wire",
        },
        order=WIRE_ORDER,
    ),
    "futures_account_balance_v2": Case(("GET", "/fapi/v2/balance")),
    "futures_account_balance_v3": Case(("GET", "/fapi/v3/balance")),
    "futures_account_configuration": Case(("GET", "/fapi/v1/accountConfig")),
    "futures_trading_quantitative_rules_indicators": Case(
        ("GET", "/fapi/v1/apiTradingStatus"),
        lacks=dict.fromkeys(("ACCOUNT", "BTCUSDT", "ETHUSDT"), "listed when a rule counts against the account"),
    ),
    "get_bnb_burn_status": Case(("GET", "/fapi/v1/feeBurn")),
    "get_current_multi_assets_mode": Case(("GET", "/fapi/v1/multiAssetsMargin")),
    "get_current_position_mode": Case(("GET", "/fapi/v1/positionSide/dual")),
    "get_funding_rate_history": Case(("GET", "/fapi/v1/fundingRate"), ONE, order=WIRE_ORDER),
    "get_funding_rate_info": Case(
        ("GET", "/fapi/v1/fundingInfo"), adds={"updateTime": "shown by the live venue, null allowed"}
    ),
    "get_income_history": Case(("GET", "/fapi/v1/income")),
    "get_order_modify_history": Case(("GET", "/fapi/v1/orderAmendment"), ONE),
    "get_position_margin_change_history": Case(("GET", "/fapi/v1/positionMargin/history"), {"symbol": OTHER}),
    "index_price_kline_candlestick_data": Case(("GET", "/fapi/v1/indexPriceKlines"), PAIR | KLINES),
    "keepalive_user_data_stream": Case(("PUT", "/fapi/v1/listenKey")),
    "kline_candlestick_data": Case(("GET", "/fapi/v1/klines"), ONE | KLINES),
    "mark_price": Case(("GET", "/fapi/v1/premiumIndex"), ONE),
    "mark_price_kline_candlestick_data": Case(("GET", "/fapi/v1/markPriceKlines"), ONE | KLINES),
    "modify_isolated_position_margin": Case(
        ("POST", "/fapi/v1/positionMargin"),
        {"symbol": OTHER, "amount": "100", "type": "1"},
        order="sorted by name in the documentation",
    ),
    "modify_multiple_orders": Case(
        ("PUT", "/fapi/v1/batchOrders"), lambda venue: as_batch(change(venue)), lacks=REFUSED_LEG
    ),
    "modify_order": Case(("PUT", "/fapi/v1/order"), change),
    "new_order": Case(("POST", "/fapi/v1/order"), place, order=WIRE_ORDER),
    "notional_and_leverage_brackets": Case(
        ("GET", "/fapi/v1/leverageBracket"), lacks={"notionalCoef": "only of accounts with adjusted brackets"}
    ),
    "old_trades_lookup": Case(("GET", "/fapi/v1/historicalTrades"), ONE),
    "open_interest": Case(("GET", "/fapi/v1/openInterest"), ONE),
    "order_book": Case(("GET", "/fapi/v1/depth"), ONE),
    "place_multiple_orders": Case(
        ("POST", "/fapi/v1/batchOrders"), lambda venue: as_batch(place(venue)), lacks=REFUSED_LEG, order=WIRE_ORDER
    ),
    "position_adl_quantile_estimation": Case(
        ("GET", "/fapi/v1/adlQuantile"), adds={"BOTH": "the documented object is empty"}
    ),
    "position_information_v2": Case(("GET", "/fapi/v2/positionRisk"), order=WIRE_ORDER),
    "position_information_v3": Case(("GET", "/fapi/v3/positionRisk")),
    "premium_index_kline_data": Case(("GET", "/fapi/v1/premiumIndexKlines"), ONE | KLINES),
    "query_current_open_order": Case(("GET", "/fapi/v1/openOrder"), newest, **ORDER_CASE),
    "query_index_price_constituents": Case(("GET", "/fapi/v1/constituents"), ONE),
    "query_insurance_fund_balance_snapshot": Case(("GET", "/fapi/v1/insuranceBalance"), ONE),
    "query_order": Case(("GET", "/fapi/v1/order"), newest, **ORDER_CASE),
    "query_user_rate_limit": Case(("GET", "/fapi/v1/rateLimit/order")),
    "recent_trades_list": Case(("GET", "/fapi/v1/trades"), ONE),
    "rpi_order_book": Case(("GET", "/fapi/v1/rpiDepth"), ONE),
    "start_user_data_stream": Case(("POST", "/fapi/v1/listenKey")),
    "symbol_configuration": Case(("GET", "/fapi/v1/symbolConfig")),
    "symbol_order_book_ticker": Case(
        ("GET", "/fapi/v1/ticker/bookTicker"), ONE, adds={"lastUpdateId": "shown by the live venue"}
    ),
    "symbol_price_ticker": Case(("GET", "/fapi/v1/ticker/price"), ONE),
    "symbol_price_ticker_v2": Case(("GET", "/fapi/v2/ticker/price"), ONE),
    "test_order": Case(("POST", "/fapi/v1/order/test"), place, **ORDER_CASE),
    "ticker24hr_price_change_statistics": Case(("GET", "/fapi/v1/ticker/24hr"), ONE),
    "toggle_bnb_burn_on_futures_trade": Case(("POST", "/fapi/v1/feeBurn"), {"feeBurn": "true"}),
    "trading_schedule": Case(("GET", "/fapi/v1/tradingSchedule")),
    "user_commission_rate": Case(("GET", "/fapi/v1/commissionRate"), ONE),
    "users_force_orders": Case(("GET", "/fapi/v1/forceOrders"), ONE),
}
STATISTICS = "statistics over the whole venue, which one of invented crowds does not have"
CONVERT = "conversion of assets is no trading of futures"
DOWNLOADS = "files of history: everything is in the queries"
ELSEWHERE = "about contracts or accounts that are not offered"
NOT_OFFERED = {
    **dict.fromkeys(
        (
            "basis", "long_short_ratio", "open_interest_statistics", "taker_buy_sell_volume",
            "top_trader_long_short_ratio_accounts", "top_trader_long_short_ratio_positions",
        ),
        STATISTICS,
    ),
    **dict.fromkeys(
        ("accept_the_offered_quote", "list_all_convert_pairs", "order_status", "send_quote_request"), CONVERT
    ),
    **dict.fromkeys(
        (
            "get_download_id_for_futures_order_history", "get_download_id_for_futures_trade_history",
            "get_download_id_for_futures_transaction_history", "get_futures_order_history_download_link_by_id",
            "get_futures_trade_download_link_by_id", "get_futures_transaction_history_download_link_by_id",
        ),
        DOWNLOADS,
    ),
    **dict.fromkeys(
        (
            "classic_portfolio_margin_account_information", "futures_tradfi_perps_contract",
            "quarterly_contract_settlement_price",
        ),
        ELSEWHERE,
    ),
}  # fmt: skip

WS_API = {
    "account_information": Case("account.status"),
    "account_information_v2": Case("v2/account.status"),
    "cancel_order": Case("order.cancel", newest, **ORDER_CASE),
    "new_algo_order": Case("algoOrder.place", place_algo, types=ICEBERG),
    "cancel_algo_order": Case("algoOrder.cancel", newest_algo),
    "close_user_data_stream": Case("userDataStream.stop"),
    "futures_account_balance": Case("account.balance"),
    "futures_account_balance_v2": Case("v2/account.balance"),
    "keepalive_user_data_stream": Case("userDataStream.ping"),
    "modify_order": Case("order.modify", change),
    "new_order": Case("order.place", place),
    "order_book": Case(
        "depth",
        ONE,
        lacks={"bids": "inside the result on the wire", "asks": "inside the result on the wire"},
        adds={"bids": "inside the result on the wire", "asks": "inside the result on the wire"},
    ),
    "position_information": Case("account.position", order=WIRE_ORDER),
    "position_information_v2": Case("v2/account.position"),
    "query_order": Case(
        "order.status", newest, lacks=TRAILING, adds={"rateLimits": "left out in the documentation"}, order=WIRE_ORDER
    ),
    "start_user_data_stream": Case("userDataStream.start"),
    "symbol_order_book_ticker": Case("ticker.book", ONE),
    "symbol_price_ticker": Case("ticker.price", ONE),
}
WS_API_CASES = [(name, "rder." in case.ask or name == "close_user_data_stream") for name, case in WS_API.items()]


@pytest.fixture(scope="module")
def documented(recordings):
    """Return the documented answer of a name like rest_api/new_order."""
    folder = recordings / "wire" / "sdk-docs"
    if not folder.exists():
        pytest.skip("no documented payloads among the recordings")
    return lambda name: msgspec.json.decode((folder / f"{name}.json").read_bytes())


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    with isolated(tmp_path_factory.mktemp("venue")) as made:
        yield made


@pytest.fixture(scope="module")
def read_only(config):
    """A venue for questions that change nothing."""
    return traded(config)


@pytest.fixture
def venue(request, config):
    """A venue for one case: the shared one, unless the case changes something."""
    changes = request.getfixturevalue("changes")
    return traded(config) if changes else request.getfixturevalue("read_only")


def traded(config):
    """Return a venue whose account has positions, open and ended orders, changes, funding, a forced order."""
    sim = msgspec.structs.replace(config.sim, latency_ms=0.0, seed=3)
    venue = build(msgspec.structs.replace(config, sim=sim))
    exchange, now_ns = venue.exchange, venue.now_ns()
    main = exchange.accounts[1]
    exchange.accounts[2] = Account(2, 10**15, ["USDC"], Decimal(0), Decimal("0.0004"))
    exchange.turn(now_ns)
    exchange.settings.set_margin_type(main, {"symbol": OTHER, "marginType": "ISOLATED"}, now_ns)
    for symbol, quantity in ((SYMBOL, "0.01"), (OTHER, "1")):
        exchange.place(main, {"symbol": symbol, "side": "BUY", "type": "MARKET", "quantity": quantity}, now_ns)
    exchange.settings.adjust_isolated_margin(main, {"symbol": OTHER, "amount": "5", "type": "1"}, now_ns)
    exchange.algos.place(main, place_algo(venue), now_ns)
    exchange.place(main, place(venue), now_ns)
    exchange.amend(main, change(venue), now_ns)
    exchange.funding.settle(exchange.contracts[SYMBOL], 0.0001, exchange.marks[SYMBOL].mark_e8, exchange.now_ms)
    exchange.funding.book_due(exchange.now_ms + 10_000)
    position = main.position(exchange.contracts[SYMBOL], BOTH)
    bound = exchange.player.markets[SYMBOL].book.top(1)[0][0] - 100
    exchange.forced.close(main, position, bound, "autoclose-1", now_ns)
    exchange.place(main, {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}, now_ns)
    exchange.turn(now_ns + 2_000_000_000)
    venue.listen_keys.start(main, exchange.now_ms)
    return venue


def clear(venue, name: str) -> None:
    """Bring about what some changes of settings need."""
    exchange, now_ns = venue.exchange, venue.now_ns()
    main = exchange.accounts[1]
    if name in ("change_position_mode", "change_multi_assets_mode", "change_margin_type"):
        for symbol in (SYMBOL, OTHER):
            exchange.cancel_all(main, symbol, now_ns)
            for position in main.held(symbol):
                bound = exchange.player.markets[symbol].book.top(1)[0][0] - 100
                exchange.forced.close(main, position, bound, "autoclose-2", now_ns)
    if name == "change_multi_assets_mode":
        main.settings_of(OTHER).isolated = False


def differences(told, ours, case: Case, where: str = "") -> list[str]:
    """Return what differs, each with its place; what the case names is no difference."""
    if isinstance(told, list) and isinstance(ours, list):
        return differences(told[0], ours[0], case, f"{where}[]") if told and ours else []
    if isinstance(told, dict) and isinstance(ours, dict):
        found = [f"{where}.{k} is lacking" for k in told if k not in ours and k not in case.lacks]
        found += [f"{where}.{k} is not documented" for k in ours if k not in told and k not in case.adds]
        common = [k for k in told if k in ours]
        if not case.order and common != [k for k in ours if k in told]:
            found.append(f"{where}: order {list(ours)}, documented {list(told)}")
        for k in common:
            found += differences(told[k], ours[k], case, f"{where}.{k}")
        return found
    if json_type(told) != json_type(ours) and where.rpartition(".")[2] not in case.types:
        return [f"{where}: {json_type(ours)} {ours!r}, documented {json_type(told)} {told!r}"]
    return []


def json_type(value) -> str:
    if isinstance(value, bool) or value is None:
        return str(type(value).__name__)
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_differences_are_seen():
    told = {"a": "1", "b": [{"c": 1, "d": True}]}
    assert differences(told, {"a": "2", "b": [{"c": 7, "d": False}, {}]}, Case("")) == []
    assert differences(told, {"a": 2, "b": [{"c": 7, "d": False}]}, Case("")) != []
    assert differences(told, {"b": [{"c": 7, "d": False}], "a": "2"}, Case("")) != []
    assert differences(told, {"b": [{"c": 7, "d": False}], "a": "2"}, Case("", order="yes")) == []
    assert differences(told, {"a": "2", "b": [{"c": 7}]}, Case("")) != []
    assert differences(told, {"a": "2", "b": [{"c": 7}]}, Case("", lacks={"d": "yes"})) == []
    assert differences(told, {"a": "2", "b": [{"c": 7, "d": 0}]}, Case("")) != []


@pytest.mark.parametrize(("name", "changes"), [(name, case.ask[0] != "GET") for name, case in REST.items()])
def test_a_rest_answer_is_as_documented(venue, documented, name, changes):
    case = REST[name]
    clear(venue, name)
    params = case.params(venue) if callable(case.params) else dict(case.params)
    key = Key("key", "secret", venue.exchange.accounts[1])
    answer = ENDPOINTS[case.ask].handler(Call(venue, key, params, venue.now_ns()))
    ours = msgspec.json.decode(msgspec.json.encode(answer))
    told = documented(f"rest_api/{name}")
    assert isinstance(told, list) == isinstance(ours, list)
    if isinstance(told, list) and name != "composite_index_symbol_information":
        assert ours, "nothing to compare: the situation is not brought about"
    assert differences(told, ours, case) == []


@pytest.mark.parametrize(("name", "changes"), WS_API_CASES)
def test_a_ws_api_answer_is_as_documented(venue, documented, name, changes):
    case = WS_API[name]
    sent = []
    session = ApiSession(venue, sent.append, True)
    session.logged_on = Key("key", "secret", venue.exchange.accounts[1])
    venue.keys._keys["key"] = session.logged_on
    params = case.params(venue) if callable(case.params) else dict(case.params)
    params["timestamp"] = venue.now_ms()
    session.on_request(msgspec.json.encode({"id": "x", "method": case.ask, "params": params}))
    ours = msgspec.json.decode(sent[0])
    assert ours["status"] == 200, ours
    assert differences(documented(f"websocket_api/{name}"), ours, case) == []


def test_every_documented_answer_is_in_a_table(documented, recordings):
    folder = recordings / "wire" / "sdk-docs"
    rest = {path.stem for path in (folder / "rest_api").iterdir()}
    assert rest == {*REST, *NOT_OFFERED}
    ws_api = {path.stem for path in (folder / "websocket_api").iterdir()}
    assert ws_api == set(WS_API)


def test_klines_have_twelve_columns_of_the_documented_types(read_only):
    call = Call(read_only, None, ONE | PAIR | KLINES | {"contractType": "PERPETUAL"}, read_only.now_ns())
    for path in ("klines", "continuousKlines", "markPriceKlines", "indexPriceKlines", "premiumIndexKlines"):
        row = ENDPOINTS["GET", f"/fapi/v1/{path}"].handler(call)[0]
        assert [json_type(value) for value in row] == ["number", *["str"] * 5, "number", "str", "number", *["str"] * 3]
