"""The REST endpoints about conditional orders."""

from phx.sim.api.request import Call, Endpoint, Kind, Security, by_symbol
from phx.sim.exchange import algo_order, rules
from phx.sim.refusals import Refused

CONDITIONAL = "CONDITIONAL"


def place(call: Call) -> dict:
    return call.exchange.algos.place(call.account, call.params, call.now_ns)


def cancel(call: Call) -> dict:
    return call.exchange.algos.cancel(call.account, call.params, call.now_ns)


def cancel_all(call: Call) -> dict:
    call.exchange.algos.cancel_all(call.account, call.symbol(), call.now_ns)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def order(call: Call) -> dict:
    return call.exchange.algos.query(call.account, call.params)


def open_orders(call: Call) -> list:
    kind = rules.text(call.params, "algoType", CONDITIONAL)
    symbol, algo_id = call.optional_symbol(), rules.whole(call.params, "algoId", 0)
    rows = call.exchange.algos.open_rows(call.account, symbol) if kind == CONDITIONAL else []
    return [row for row in rows if algo_id in (0, row["algoId"])]


def all_orders(call: Call) -> list:
    """Answer every conditional order of a symbol in a week, or from an id on."""
    symbol, first, limit = call.symbol(), rules.whole(call.params, "algoId", 0), call.limit(500)
    page = rules.whole(call.params, "page", 0)
    if page < 0:
        raise Refused(-1130, "page")
    start_ms, end_ms = call.span()
    found = [
        o
        for o in call.exchange.algos.all_orders(call.account, symbol)
        if o.algo_id >= first and (first or start_ms <= o.create_ms <= end_ms)
    ]
    if page:
        found = found[(page - 1) * limit : page * limit]
    return [algo_order.row(o, in_list=True) for o in (found[:limit] if first or page else found[-limit:])]


SIGNED, TRADE = Security.SIGNED, Security.TRADE
ENDPOINTS = {
    ("POST", "/fapi/v1/algoOrder"): Endpoint(place, 0, TRADE, Kind.ORDER),
    ("DELETE", "/fapi/v1/algoOrder"): Endpoint(cancel, 1, TRADE, Kind.CANCEL),
    ("GET", "/fapi/v1/algoOrder"): Endpoint(order, 1, SIGNED),
    ("DELETE", "/fapi/v1/algoOpenOrders"): Endpoint(cancel_all, 1, TRADE, Kind.CANCEL),
    ("GET", "/fapi/v1/openAlgoOrders"): Endpoint(open_orders, by_symbol(1, 40), SIGNED),
    ("GET", "/fapi/v1/allAlgoOrders"): Endpoint(all_orders, 5, SIGNED),
}
