"""Orders, trades and books as REST and the WS-API answer them, in the key order of the wire.

Acks print numbers padded to the contract's precision; queries strip trailing zeros.
"""

from phx.sim.contracts import Contract, padded, plain
from phx.sim.exchange.account import Amendment, Fill, Order
from phx.sim.streams.market_wire import SIDE_TEXT, levels


def depth_answer(c: Contract, update_id: int, bids, asks, ts_ms: int, now_ms: int) -> bytes:
    """Return the REST depth answer."""
    text = (
        f'{{"lastUpdateId":{update_id},"E":{now_ms},"T":{ts_ms},"bids":[{levels(c, bids)}],"asks":[{levels(c, asks)}]}}'
    )
    return text.encode()


def order_ack(order: Order, amended: bool = False) -> dict:
    """Return the answer to placing, changing or cancelling an order: padded, without amounts filled.

    amended: it answers a change, which over REST names the pair and repeats the modifyId that came with it.
    """
    c = order.contract
    head = {"orderId": order.order_id, "symbol": c.symbol}
    modify_id = {}
    if amended:
        head["pair"] = c.symbol
        sent = order.amendments[-1].modify_id if order.amendments else None
        modify_id = {} if sent is None else {"modifyId": sent}
    head |= {"status": order.status, "clientOrderId": order.client_id} | modify_id
    return head | {
        "price": c.zero_price if order.type == "MARKET" else c.price(order.price_ticks),
        "origQty": c.qty(order.orig_lots),
        "executedQty": c.qty(order.executed_lots),
        "cumQty": c.qty(order.executed_lots),
        **terms(order, c.zero_price),
        "updateTime": order.update_ms,
    }


def terms(order: Order, no_price: str) -> dict:
    """Return what an order was placed as, from its time in force on: the same in answers of every kind."""
    return {
        "timeInForce": order.tif,
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": SIDE_TEXT[order.side],
        "positionSide": order.position_side,
        "stopPrice": no_price,
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.orig_type or order.type,
        "priceMatch": order.price_match,
        "selfTradePreventionMode": order.self_trade,
        "goodTillDate": order.good_till_ms,
    }


def older_ack(ack: dict, order: Order) -> dict:
    """Return an acknowledgement as it was until 2026-07-14: with the average price and the value filled.

    An ack that was written before its order matched shows nothing filled.
    """
    c = order.contract
    filled = order.executed_ticklots if ack["executedQty"] == c.qty(order.executed_lots) else 0
    average_e8 = c.average_e8(filled, order.executed_lots)
    decimals = c.entry["pricePrecision"]
    found = {}
    for name, value in ack.items():
        if name == "origQty":
            found["avgPrice"] = padded(average_e8 // 10 ** (8 - decimals), decimals)
        found[name] = value
        if name == "cumQty":
            found["cumQuote"] = c.full_value(filled)
    return found


def order_row(order: Order) -> dict:
    """Return an order as queries show it: numbers stripped."""
    c = order.contract
    return {
        "orderId": order.order_id,
        "symbol": c.symbol,
        "status": order.status,
        "clientOrderId": order.client_id,
        "price": "0" if order.type == "MARKET" else c.plain_price(order.price_ticks),
        "avgPrice": plain(c.average_e8(order.executed_ticklots, order.executed_lots), 8),
        "origQty": c.plain_qty(order.orig_lots),
        "executedQty": c.plain_qty(order.executed_lots),
        "cumQuote": c.full_value(order.executed_ticklots),
        **terms(order, "0"),
        "time": order.time_ms,
        "updateTime": order.update_ms,
    }


def order_history_row(order: Order) -> dict:
    """Return an order as allOrders shows it: since August 2026 with its pair and the quantity filled of the base."""
    found = {}
    for name, value in order_row(order).items():
        found[name] = value
        if name == "symbol":
            found["pair"] = value
        elif name == "cumQuote":
            found["cumBase"] = order.contract.plain_qty(order.executed_lots)
    return found


def forced_order_row(order: Order) -> dict:
    """Return a liquidation or deleveraging order as forceOrders shows it: less is told of it than of others."""
    row = order_history_row(order)
    for name in ("priceProtect", "priceMatch", "selfTradePreventionMode", "goodTillDate"):
        del row[name]
    return row


def amendment_row(order: Order, amendment: Amendment, count: int) -> dict:
    """Return one change of an order. count: how many there were up to this one."""
    c = order.contract
    change = {
        "price": {"before": c.plain_price(amendment.ticks_before), "after": c.plain_price(amendment.ticks_after)},
        "origQty": {"before": c.plain_qty(amendment.lots_before), "after": c.plain_qty(amendment.lots_after)},
        "count": count,
    }
    if amendment.modify_id is not None:
        change["modifyId"] = amendment.modify_id
    return {
        "amendmentId": amendment.number,
        "symbol": c.symbol,
        "pair": c.symbol,
        "orderId": order.order_id,
        "clientOrderId": order.client_id,
        "time": amendment.time_ms,
        "amendment": change,
    }


def user_trade(fill: Fill) -> dict:
    """Return a row of userTrades."""
    order, c = fill.order, fill.order.contract
    return {
        "symbol": c.symbol,
        "id": fill.trade_id,
        "orderId": order.order_id,
        "side": SIDE_TEXT[order.side],
        "price": c.price(fill.price_ticks),
        "qty": c.qty(fill.lots),
        "realizedPnl": plain(fill.realised_e8, 8),
        "quoteQty": c.full_value(fill.price_ticks * fill.lots),
        "commission": plain(fill.fee_e8, 8),
        "commissionAsset": c.margin_asset,
        "time": fill.time_ms,
        "positionSide": order.position_side,
        "buyer": order.side > 0,
        "maker": fill.maker,
        "marginAsset": c.margin_asset,
        "baseQty": c.qty(fill.lots),
        "pair": c.symbol,
    }
