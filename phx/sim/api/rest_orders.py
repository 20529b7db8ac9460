"""The REST endpoints about orders: placing, changing, cancelling, looking them up, and their fills."""

from collections.abc import Callable

import msgspec

from phx.sim.api import answers
from phx.sim.api.request import DAY_MS, WEEK_MS, Call, Endpoint, Kind, Security, by_symbol
from phx.sim.exchange import rules
from phx.sim.exchange.account import Order
from phx.sim.faults.requests import refusal
from phx.sim.refusals import Refused

FORCED_TYPES = {"LIQUIDATION": "autoclose-", "ADL": "adl_autoclose"}  # autoCloseType → how their client ids begin
REMEMBERED_MS = 90 * DAY_MS
IN_VAIN_MS = 3 * DAY_MS


def place(call: Call) -> dict:
    expires = call.suffers("post_only_expires")
    return in_form(call, call.exchange.place(call.account, call.params, call.now_ns, expires))


def amend(call: Call) -> dict:
    return in_form(call, call.exchange.amend(call.account, call.params, call.now_ns))


def cancel(call: Call) -> dict:
    if call.suffers("swallowed_cancel"):
        found = call.exchange.order(call.account, call.params, only_open=True)
        return in_form(call, answers.order_ack(found) | {"status": "CANCELED"})
    return in_form(call, call.exchange.cancel(call.account, call.params, call.now_ns))


def in_form(call: Call, answer: dict) -> dict:
    """Return an acknowledgement in the form the venue is set to give: with what was filled until July 2026."""
    if not call.venue.older_acks or "orderId" not in answer:
        return answer
    return answers.older_ack(answer, call.account.find(answer["symbol"], answer["orderId"], ""))


def test_order(call: Call) -> dict:
    """Check an order without placing it; answer the shape of one."""
    new = call.exchange.check(call.account, call.params, call.now_ns)
    order = Order(
        contract=new.contract, order_id=0, client_id=new.client_id, side=new.side, type=new.type, tif=new.tif,
        price_ticks=new.price_ticks, orig_lots=new.lots, reduce_only=new.reduce_only, self_trade=new.self_trade,
        good_till_ms=new.good_till_ms, time_ms=call.now_ms, update_ms=call.now_ms,
        position_side=new.position_side, price_match=new.price_match,
    )  # fmt: skip
    return answers.older_ack(answers.order_ack(order), order)


def cancel_all(call: Call) -> dict:
    spared = 0
    if call.suffers("survivor"):
        spared = max(call.account.open_orders(call.symbol()).by_id, default=0)
    call.exchange.cancel_all(call.account, call.symbol(), call.now_ns, spared)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def batch(name: str) -> Callable[[Call], list]:
    """Return the handler of a batch of places or changes. name: the exchange's method."""

    def handler(call: Call) -> list:
        done = batched(call, getattr(call.exchange, name), json_list(call.params, "batchOrders"))
        return [in_form(call, answer) for answer in done]

    return handler


def cancel_batch(call: Call) -> list:
    # Some clients send the names in lower case.
    params = {name.lower(): value for name, value in call.params.items()}
    name, field = "orderIdList", "orderId"
    if not params.get("orderidlist"):
        name, field = "origClientOrderIdList", "origClientOrderId"
    symbol, wanted = call.symbol(), json_list({name: params.get(name.lower())}, name)
    requests = [{"symbol": symbol, field: value} for value in wanted]
    return [in_form(call, answer) for answer in batched(call, call.exchange.cancel_batch, requests)]


def batched(call: Call, do: Callable, requests: list) -> list:
    """Carry out a batch and return its answers; in a partial one every second entry is refused."""
    if not call.suffers("partial_batch"):
        return do(call.account, requests, call.now_ns)
    done, refused = iter(do(call.account, requests[::2], call.now_ns)), refusal(call.fault["code"]).body()
    return [refused if i % 2 else next(done) for i in range(len(requests))]


def json_list(params: dict, name: str) -> list:
    try:
        value = msgspec.json.decode(rules.text(params, name))
    except msgspec.DecodeError:
        raise Refused(-1130, name) from None
    if not isinstance(value, list):
        raise Refused(-1130, name)
    return value


def countdown(call: Call) -> dict:
    symbol, countdown_ms = call.symbol(), rules.whole(call.params, "countdownTime")
    call.exchange.countdown(call.account, symbol, countdown_ms, call.now_ms)
    return {"symbol": symbol, "countdownTime": str(countdown_ms)}


# ---- looking them up --------------------------------------------------------------------------------------------


def order(call: Call) -> dict:
    found = call.exchange.order(call.account, call.params)
    if is_forgotten(found, call.now_ms) or is_unheard_of(call, found):
        raise Refused(-2013)
    return answers.order_row(found)


def is_forgotten(found: Order, now_ms: int) -> bool:
    """Return whether the venue no longer shows an order: none does after 90 days, in vain cancelled ones after 3."""
    age_ms = now_ms - found.time_ms
    in_vain = found.status in ("CANCELED", "EXPIRED") and not found.executed_lots
    return not found.is_open and age_ms > (IN_VAIN_MS if in_vain else REMEMBERED_MS)


def is_unheard_of(call: Call, found: Order) -> bool:
    """Return whether what answers queries lags behind and has not heard of an order yet."""
    return call.suffers("read_lag") and call.now_ms - found.time_ms < call.fault["lag_s"] * 1000


def open_order(call: Call) -> dict:
    found = call.exchange.order(call.account, call.params, only_open=True)
    if is_unheard_of(call, found):
        raise Refused(-2013)
    return answers.order_row(found)


def open_orders(call: Call) -> list:
    symbol = call.optional_symbol()
    return [
        answers.order_row(found)
        for found in call.account.all_open()
        if symbol in ("", found.symbol) and not is_unheard_of(call, found)
    ]


def all_orders(call: Call) -> list:
    symbol, first, limit = call.optional_symbol(), rules.whole(call.params, "orderId", 0), call.limit(500)
    start_ms, end_ms = call.span()
    found = [
        o
        for o in call.account.orders.values()
        if symbol in ("", o.symbol)
        and o.order_id >= first
        and (first or start_ms <= o.time_ms <= end_ms)
        and not is_forgotten(o, call.now_ms)
    ]
    return [answers.order_history_row(o) for o in (found[:limit] if first else found[-limit:])]


def modifications(call: Call) -> list:
    """Answer the changes of an order, or of all orders of a symbol, newest first."""
    symbol, limit = call.symbol(), call.limit(50, 100)
    start_ms, end_ms = call.times()
    start_ms = max(start_ms, call.now_ms - REMEMBERED_MS)
    if rules.whole(call.params, "orderId", 0) or rules.text(call.params, "origClientOrderId", ""):
        orders = [call.exchange.order(call.account, call.params)]
    else:
        orders = [o for o in call.account.orders.values() if o.symbol == symbol]
    rows = [
        answers.amendment_row(o, amendment, count)
        for o in orders
        for count, amendment in enumerate(o.amendments, 1)
        if start_ms <= amendment.time_ms <= (end_ms or call.now_ms)
    ]
    rows.sort(key=lambda row: row["amendmentId"], reverse=True)
    return rows[:limit]


def forced_orders(call: Call) -> list:
    """Answer the orders the venue itself placed for the account: liquidation and deleveraging."""
    symbol, kind, limit = call.optional_symbol(), rules.text(call.params, "autoCloseType", ""), call.limit(50, 100)
    if kind and kind not in FORCED_TYPES:
        raise Refused(-1130, "autoCloseType")
    start_ms, end_ms = call.span()
    found = [
        o
        for o in call.account.orders.values()
        if o.forced
        and symbol in ("", o.symbol)
        and (not kind or o.client_id.startswith(FORCED_TYPES[kind]))
        and start_ms <= o.time_ms <= end_ms
    ]
    return [answers.forced_order_row(o) for o in found[-limit:]]


def user_trades(call: Call) -> list:
    symbol, limit, order_id = call.symbol(), call.limit(500), rules.whole(call.params, "orderId", 0)
    fills = call.account.fills.get(symbol, [])
    if order_id:
        fills = [fill for fill in fills if fill.order.order_id == order_id]
    start_ms, end_ms = call.times()
    if rules.text(call.params, "fromId", ""):
        if start_ms or end_ms:
            raise Refused(-1128)
        first = rules.whole(call.params, "fromId")
        return [answers.user_trade(fill) for fill in fills if fill.trade_id >= first][:limit]
    first_ms, last_ms = call.span(WEEK_MS)
    fills = [fill for fill in fills if first_ms <= fill.time_ms <= last_ms]
    # With a start the oldest rows come first, so that a client can page forward.
    return [answers.user_trade(fill) for fill in (fills[:limit] if start_ms else fills[-limit:])]


SIGNED, TRADE = Security.SIGNED, Security.TRADE
ENDPOINTS = {
    ("POST", "/fapi/v1/order"): Endpoint(place, 0, TRADE, Kind.ORDER, work="place"),
    ("POST", "/fapi/v1/order/test"): Endpoint(test_order, 0, TRADE),
    ("PUT", "/fapi/v1/order"): Endpoint(amend, 0, TRADE, Kind.ORDER, work="amend"),
    ("DELETE", "/fapi/v1/order"): Endpoint(cancel, 1, TRADE, Kind.CANCEL, work="cancel"),
    ("GET", "/fapi/v1/order"): Endpoint(order, 1, SIGNED, work="query"),
    ("GET", "/fapi/v1/openOrder"): Endpoint(open_order, 1, SIGNED, work="query"),
    ("GET", "/fapi/v1/openOrders"): Endpoint(open_orders, by_symbol(1, 40), SIGNED, work="query"),
    ("GET", "/fapi/v1/allOrders"): Endpoint(all_orders, 5, SIGNED),
    ("DELETE", "/fapi/v1/allOpenOrders"): Endpoint(cancel_all, 1, TRADE, Kind.CANCEL, work="cancel_all"),
    ("POST", "/fapi/v1/batchOrders"): Endpoint(batch("place_batch"), 5, TRADE, Kind.ORDER, (5, 1), "batch"),
    ("PUT", "/fapi/v1/batchOrders"): Endpoint(batch("amend_batch"), 5, TRADE, Kind.ORDER, (5, 1), "batch"),
    ("DELETE", "/fapi/v1/batchOrders"): Endpoint(cancel_batch, 1, TRADE, Kind.CANCEL, work="batch"),
    ("POST", "/fapi/v1/countdownCancelAll"): Endpoint(countdown, 10, TRADE),
    ("GET", "/fapi/v1/orderAmendment"): Endpoint(modifications, 1, SIGNED),
    ("GET", "/fapi/v1/forceOrders"): Endpoint(forced_orders, by_symbol(20, 50), SIGNED),
    ("GET", "/fapi/v1/userTrades"): Endpoint(user_trades, 5, SIGNED),
}
