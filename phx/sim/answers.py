"""Orders, trades and books as REST and the WS-API answer them, in the key order of the wire.

Acks print numbers padded to the contract's precision; queries strip trailing zeros.
"""

from phx.sim.account import Fill, Order
from phx.sim.contracts import Contract, padded, plain
from phx.sim.market_wire import SIDE_TEXT, levels


def depth_answer(c: Contract, update_id: int, bids, asks, ts_ms: int, now_ms: int) -> bytes:
    """Return the REST depth answer."""
    text = (
        f'{{"lastUpdateId":{update_id},"E":{now_ms},"T":{ts_ms},"bids":[{levels(c, bids)}],"asks":[{levels(c, asks)}]}}'
    )
    return text.encode()


def order_ack(order: Order, amended: bool = False) -> dict:
    """Return the answer to placing, changing or cancelling an order: padded, without amounts filled."""
    c = order.contract
    head = {"orderId": order.order_id, "symbol": c.symbol}
    if amended:
        head["pair"] = c.symbol
    return head | {
        "status": order.status,
        "clientOrderId": order.client_id,
        "price": c.zero_price if order.type == "MARKET" else c.price(order.price_ticks),
        "origQty": c.qty(order.orig_lots),
        "executedQty": c.qty(order.executed_lots),
        "cumQty": c.qty(order.executed_lots),
        "timeInForce": order.tif,
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": SIDE_TEXT[order.side],
        "positionSide": order.position_side,
        "stopPrice": c.zero_price,
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.orig_type or order.type,
        "priceMatch": order.price_match,
        "selfTradePreventionMode": order.self_trade,
        "goodTillDate": order.good_till_ms,
        "updateTime": order.update_ms,
    }


def order_row(order: Order) -> dict:
    """Return an order as queries show it: numbers stripped."""
    c = order.contract
    decimals = c.entry["pricePrecision"] + c.entry["quantityPrecision"]
    value_e8 = c.value_e8(order.executed_ticklots)
    return {
        "orderId": order.order_id,
        "symbol": c.symbol,
        "status": order.status,
        "clientOrderId": order.client_id,
        "price": "0" if order.type == "MARKET" else c.plain_price(order.price_ticks),
        "avgPrice": plain(c.average_e8(order.executed_ticklots, order.executed_lots), 8),
        "origQty": c.plain_qty(order.orig_lots),
        "executedQty": c.plain_qty(order.executed_lots),
        "cumQuote": padded(value_e8 // 10 ** (8 - decimals), decimals),
        "timeInForce": order.tif,
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": SIDE_TEXT[order.side],
        "positionSide": order.position_side,
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.orig_type or order.type,
        "priceMatch": order.price_match,
        "selfTradePreventionMode": order.self_trade,
        "goodTillDate": order.good_till_ms,
        "time": order.time_ms,
        "updateTime": order.update_ms,
    }


def user_trade(fill: Fill) -> dict:
    """Return a row of userTrades."""
    order, c = fill.order, fill.order.contract
    decimals = c.entry["pricePrecision"] + c.entry["quantityPrecision"]
    value_e8 = c.value_e8(fill.price_ticks * fill.lots)
    return {
        "symbol": c.symbol,
        "id": fill.trade_id,
        "orderId": order.order_id,
        "side": SIDE_TEXT[order.side],
        "price": c.price(fill.price_ticks),
        "qty": c.qty(fill.lots),
        "realizedPnl": plain(fill.realised_e8, 8),
        "quoteQty": padded(value_e8 // 10 ** (8 - decimals), decimals),
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
