"""The REST endpoints: method and path, weight, who may, what they answer."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from phx.sim import answers, rules
from phx.sim.account import Account, Order
from phx.sim.refusals import Refused
from phx.sim.venue import Venue

PUBLIC, KEY_ONLY, SIGNED = range(3)
READ, ORDER, CANCEL = range(3)  # ORDER counts in the order windows; ORDER and CANCEL reach the book after the delay
DEPTH_LIMITS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}  # limit → weight
MAX_ROWS = 1000
WEEK_MS = 7 * 24 * 3_600_000
SUCCESS = {"code": 200, "msg": "success"}


class Call(NamedTuple):
    """One request that may be answered. account: None for public endpoints."""

    venue: Venue
    account: Account | None
    params: dict
    now_ns: int

    @property
    def exchange(self):
        return self.venue.exchange

    @property
    def now_ms(self) -> int:
        return self.now_ns // 1_000_000

    def symbol(self) -> str:
        symbol = rules.text(self.params, "symbol")
        if symbol not in self.exchange.contracts:
            raise Refused(-1121)
        return symbol

    def optional_symbol(self) -> str:
        return self.symbol() if self.params.get("symbol") else ""

    def contract(self):
        return self.exchange.contracts[self.symbol()]


class Endpoint(NamedTuple):
    handler: Callable[[Call], object]
    weight: int | Callable[[dict], int]
    security: int = PUBLIC
    kind: int = READ
    order_counts: tuple[int, int] = (1, 1)  # in the 10 s and the 1 min window

    def weight_of(self, params: dict) -> int:
        return self.weight(params) if callable(self.weight) else self.weight

    @property
    def is_delayed(self) -> bool:
        return self.kind != READ


# ---- market -----------------------------------------------------------------------------------------------------


def depth_weight(params: dict) -> int:
    limit = params.get("limit", "500")
    return DEPTH_LIMITS.get(int(limit), 1) if limit.isdigit() else 1


def depth(call: Call) -> bytes:
    contract = call.contract()
    limit = rules.whole(call.params, "limit", 500)
    if limit > MAX_ROWS:
        raise Refused(-1130, "limit")
    if limit not in DEPTH_LIMITS:
        raise Refused(-4021, limit)
    book = call.exchange.player.markets[contract.symbol].streams.book
    bids, asks = book.top(limit)
    return answers.depth_answer(contract, book.update_id, bids, asks, book.ts_ms, call.now_ms)


def per_symbol(one: Callable[[Call, str], dict]) -> Callable[[Call], object]:
    """Return a handler that answers one symbol when asked for one, else a list of all."""

    def handler(call: Call):
        symbol = call.optional_symbol()
        return one(call, symbol) if symbol else [one(call, name) for name in call.exchange.contracts]

    return handler


def by_symbol(one: int, every: int) -> Callable[[dict], int]:
    """Return the weight of an endpoint that is dearer without a symbol."""
    return lambda params: one if params.get("symbol") else every


# ---- orders -----------------------------------------------------------------------------------------------------


def place(call: Call) -> dict:
    return call.exchange.place(call.account, call.params, call.now_ns)


def test_order(call: Call) -> dict:
    """Check an order without placing it; answer the shape of one."""
    new = call.exchange.check(call.account, call.params, call.now_ns)
    order = Order(
        new.contract, 0, new.client_id, new.side, new.type, new.tif, new.price_ticks, new.lots, new.reduce_only,
        new.self_trade, new.good_till_ms, call.now_ms, call.now_ms,
    )  # fmt: skip
    return answers.order_ack(order)


def amend(call: Call) -> dict:
    answer = call.exchange.amend(call.account, call.params, call.now_ns)
    if call.params.get("modifyId"):
        answer["modifyId"] = rules.whole(call.params, "modifyId")
    return answer


def cancel(call: Call) -> dict:
    return call.exchange.cancel(call.account, call.params, call.now_ns)


def cancel_all(call: Call) -> dict:
    call.exchange.cancel_all(call.account, call.symbol(), call.now_ns)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def each(call: Call, requests: list, do: Callable[[Call], dict]) -> list:
    """Do a batch; a refused leg answers with its refusal."""
    answers = []
    for params in requests:
        try:
            answers.append(do(call._replace(params=params)))
        except Refused as refusal:
            answers.append(refusal.body())
    return answers


def batch(do: Callable[[Call], dict]) -> Callable[[Call], list]:
    def handler(call: Call) -> list:
        requests = json_list(call.params, "batchOrders")
        if not 1 <= len(requests) <= 5 or not all(isinstance(params, dict) for params in requests):
            raise Refused(-4082)
        return each(call, requests, do)

    return handler


def cancel_batch(call: Call) -> list:
    params = {name.lower(): value for name, value in call.params.items()}
    name = "orderidlist" if params.get("orderidlist") else "origclientorderidlist"
    field = "orderId" if name == "orderidlist" else "origClientOrderId"
    wanted = json_list(params, name)
    if len(wanted) > 10:
        raise Refused(-4032)
    return each(call, [{"symbol": call.symbol(), field: value} for value in wanted], cancel)


def json_list(params: dict, name: str) -> list:
    try:
        value = msgspec.json.decode(rules.text(params, name))
    except msgspec.DecodeError:
        raise Refused(-1130, name) from None
    if not isinstance(value, list):
        raise Refused(-1130, name)
    return value


def order(call: Call) -> dict:
    return answers.order_row(call.exchange.order(call.account, call.params))


def open_order(call: Call) -> dict:
    return answers.order_row(call.exchange.order(call.account, call.params, only_open=True))


def open_orders(call: Call) -> list:
    symbol = call.optional_symbol()
    books = [call.account.open_orders(symbol)] if symbol else call.account.open.values()
    return [answers.order_row(found) for book in books for found in book.by_id.values()]


def all_orders(call: Call) -> list:
    symbol = call.optional_symbol()
    first = rules.whole(call.params, "orderId", 0)
    limit = min(rules.whole(call.params, "limit", 500), MAX_ROWS)
    start_ms, end_ms = span(call)
    found = [
        o
        for o in call.account.orders.values()
        if symbol in ("", o.symbol) and o.order_id >= first and (first or start_ms <= o.time_ms <= end_ms)
    ]
    return [answers.order_row(o) for o in (found[:limit] if first else found[-limit:])]


def span(call: Call) -> tuple[int, int]:
    """Return startTime and endTime; a week up to now unless given."""
    end_ms = rules.whole(call.params, "endTime", 0)
    start_ms = rules.whole(call.params, "startTime", 0)
    if not start_ms:
        return (end_ms or call.now_ms) - WEEK_MS, end_ms or call.now_ms
    return start_ms, end_ms or start_ms + WEEK_MS


def user_trades(call: Call) -> list:
    symbol, limit = call.symbol(), min(rules.whole(call.params, "limit", 500), MAX_ROWS)
    fills = call.account.fills.get(symbol, [])
    order_id = rules.whole(call.params, "orderId", 0)
    if order_id:
        fills = [fill for fill in fills if fill.order.order_id == order_id]
    if call.params.get("fromId") not in (None, ""):
        first = rules.whole(call.params, "fromId")
        return [answers.user_trade(fill) for fill in fills if fill.trade_id >= first][:limit]
    start_ms, end_ms = span(call)
    fills = [fill for fill in fills if start_ms <= fill.time_ms <= end_ms]
    # With a start the oldest rows come first, so that a client can page forward.
    return [answers.user_trade(fill) for fill in (fills[:limit] if call.params.get("startTime") else fills[-limit:])]


def countdown(call: Call) -> dict:
    symbol, countdown_ms = call.symbol(), rules.whole(call.params, "countdownTime")
    call.exchange.countdown(call.account, symbol, countdown_ms, call.now_ms)
    return {"symbol": symbol, "countdownTime": str(countdown_ms)}


# ---- the account ------------------------------------------------------------------------------------------------


def setting(name: str) -> Callable[[Call], dict]:
    """Return a handler that changes one of an account's settings."""
    return lambda call: getattr(call.exchange.settings, name)(call.account, call.params, call.now_ns)


def account_config(call: Call) -> dict:
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": False,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def income(call: Call) -> list:
    symbol, kind = call.optional_symbol(), call.params.get("incomeType", "")
    start_ms, end_ms = span(call)
    limit = min(rules.whole(call.params, "limit", 100), MAX_ROWS)
    rows = [
        row
        for row in call.account.income_rows()
        if symbol in ("", row["symbol"]) and kind in ("", row["incomeType"]) and start_ms <= row["time"] <= end_ms
    ]
    return rows[:limit]


def order_limits(call: Call) -> list:
    return [{k: v for k, v in row.items() if k != "count"} for row in call.exchange.limits.order_rows(call.now_ms)[1:]]


def trading_status(call: Call) -> dict:
    return {"indicators": {}, "updateTime": call.now_ms}


def listen_key_close(call: Call) -> dict:
    call.venue.listen_keys.close(call.account)
    return {}


def funding_rates(call: Call) -> list:
    return call.exchange.funding_history[-min(rules.whole(call.params, "limit", 100), MAX_ROWS) :]


ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("GET", "/fapi/v1/ping"): Endpoint(lambda call: {}, 1),
    ("GET", "/fapi/v1/time"): Endpoint(lambda call: {"serverTime": call.now_ms}, 1),
    ("GET", "/fapi/v1/exchangeInfo"): Endpoint(lambda call: call.venue.views.exchange_info(call.now_ms), 1),
    ("GET", "/fapi/v1/depth"): Endpoint(depth, depth_weight),
    ("GET", "/fapi/v1/premiumIndex"): Endpoint(
        per_symbol(lambda call, symbol: call.venue.views.premium_index(symbol, call.now_ms)), by_symbol(1, 10)
    ),
    ("GET", "/fapi/v1/fundingRate"): Endpoint(funding_rates, 0),
    ("GET", "/fapi/v1/fundingInfo"): Endpoint(lambda call: call.venue.views.funding_info(), 0),
    ("GET", "/fapi/v1/ticker/bookTicker"): Endpoint(
        per_symbol(lambda call, symbol: call.venue.views.book_ticker(symbol)), by_symbol(2, 5)
    ),
    ("GET", "/fapi/v1/ticker/price"): Endpoint(
        per_symbol(lambda call, symbol: call.venue.views.price_ticker(symbol)), by_symbol(1, 2)
    ),
    ("GET", "/fapi/v2/ticker/price"): Endpoint(
        per_symbol(lambda call, symbol: call.venue.views.price_ticker(symbol)), by_symbol(1, 2)
    ),
    ("POST", "/fapi/v1/order"): Endpoint(place, 0, SIGNED, ORDER),
    ("POST", "/fapi/v1/order/test"): Endpoint(test_order, 0, SIGNED),
    ("PUT", "/fapi/v1/order"): Endpoint(amend, 0, SIGNED, ORDER),
    ("DELETE", "/fapi/v1/order"): Endpoint(cancel, 1, SIGNED, CANCEL),
    ("GET", "/fapi/v1/order"): Endpoint(order, 1, SIGNED),
    ("GET", "/fapi/v1/openOrder"): Endpoint(open_order, 1, SIGNED),
    ("GET", "/fapi/v1/openOrders"): Endpoint(open_orders, by_symbol(1, 40), SIGNED),
    ("GET", "/fapi/v1/allOrders"): Endpoint(all_orders, 5, SIGNED),
    ("DELETE", "/fapi/v1/allOpenOrders"): Endpoint(cancel_all, 1, SIGNED, CANCEL),
    ("POST", "/fapi/v1/batchOrders"): Endpoint(batch(place), 5, SIGNED, ORDER, (5, 1)),
    ("PUT", "/fapi/v1/batchOrders"): Endpoint(batch(amend), 5, SIGNED, ORDER, (5, 1)),
    ("DELETE", "/fapi/v1/batchOrders"): Endpoint(cancel_batch, 1, SIGNED, CANCEL),
    ("POST", "/fapi/v1/countdownCancelAll"): Endpoint(countdown, 10, SIGNED),
    ("GET", "/fapi/v1/userTrades"): Endpoint(user_trades, 5, SIGNED),
    ("GET", "/fapi/v1/commissionRate"): Endpoint(
        lambda call: call.venue.views.commission_rate(call.account, call.symbol()), 20, SIGNED
    ),
    ("GET", "/fapi/v1/positionSide/dual"): Endpoint(lambda call: {"dualSidePosition": False}, 30, SIGNED),
    ("POST", "/fapi/v1/positionSide/dual"): Endpoint(setting("set_position_mode"), 1, SIGNED),
    ("GET", "/fapi/v1/multiAssetsMargin"): Endpoint(lambda call: {"multiAssetsMargin": False}, 30, SIGNED),
    ("POST", "/fapi/v1/leverage"): Endpoint(setting("set_leverage"), 1, SIGNED),
    ("POST", "/fapi/v1/marginType"): Endpoint(setting("set_margin_type"), 1, SIGNED),
    ("GET", "/fapi/v1/accountConfig"): Endpoint(account_config, 5, SIGNED),
    ("GET", "/fapi/v1/symbolConfig"): Endpoint(
        lambda call: [
            call.venue.views.symbol_config(call.account, symbol)
            for symbol in ([call.symbol()] if call.params.get("symbol") else call.exchange.contracts)
        ],
        5,
        SIGNED,
    ),
    ("GET", "/fapi/v1/leverageBracket"): Endpoint(
        lambda call: [
            call.venue.views.brackets(symbol)
            for symbol in ([call.symbol()] if call.params.get("symbol") else call.exchange.contracts)
        ],
        1,
        SIGNED,
    ),
    ("GET", "/fapi/v1/rateLimit/order"): Endpoint(order_limits, 1, SIGNED),
    ("GET", "/fapi/v1/apiTradingStatus"): Endpoint(trading_status, by_symbol(1, 10), SIGNED),
    ("GET", "/fapi/v1/income"): Endpoint(income, 30, SIGNED),
    ("POST", "/fapi/v1/listenKey"): Endpoint(
        lambda call: {"listenKey": call.venue.listen_keys.start(call.account, call.now_ms)}, 1, KEY_ONLY
    ),
    ("PUT", "/fapi/v1/listenKey"): Endpoint(
        lambda call: {"listenKey": call.venue.listen_keys.extend(call.account, call.now_ms)}, 1, KEY_ONLY
    ),
    ("DELETE", "/fapi/v1/listenKey"): Endpoint(listen_key_close, 1, KEY_ONLY),
}
for _version in (2, 3):
    ENDPOINTS["GET", f"/fapi/v{_version}/account"] = Endpoint(
        lambda call, version=_version: call.venue.views.account(call.account, version), 5, SIGNED
    )
    ENDPOINTS["GET", f"/fapi/v{_version}/balance"] = Endpoint(
        lambda call: call.venue.views.balances(call.account), 5, SIGNED
    )
    ENDPOINTS["GET", f"/fapi/v{_version}/positionRisk"] = Endpoint(
        lambda call, version=_version: call.venue.views.positions(call.account, version, call.optional_symbol()),
        5,
        SIGNED,
    )
