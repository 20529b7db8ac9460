"""The venue's messages, byte for byte: key order, padding and stripped zeros as on the wire.

Market streams, acks and TRADE_LITE print numbers padded to the contract's precision; user events and order queries
strip trailing zeros. Streams are built as text (they are frequent), answers as dicts in the wire's key order.
"""

from phx.sim.account import Account, Fill, Order, Position
from phx.sim.contracts import Contract, padded, plain

SIDE_TEXT = {1: "BUY", -1: "SELL"}


# ---- market streams ---------------------------------------------------------------------------------------------


def book_ticker(c: Contract, update_id: int, bid: tuple[int, int], ask: tuple[int, int], ts_ms: int, now_ms: int):
    """Return a bookTicker frame; bid and ask are (ticks, lots)."""
    return (
        f'{{"e":"bookTicker","u":{update_id},"s":"{c.symbol}","ps":"{c.symbol}",'
        f'"b":"{c.price(bid[0])}","B":"{c.qty(bid[1])}","a":"{c.price(ask[0])}","A":"{c.qty(ask[1])}",'
        f'"T":{ts_ms},"E":{now_ms},"st":1}}'
    )


def levels(c: Contract, rows) -> str:
    """Return (ticks, lots) rows as the venue lists them."""
    price, qty = c.price, c.qty
    return ",".join([f'["{price(ticks)}","{qty(lots)}"]' for ticks, lots in rows])


def depth_update(c: Contract, first_id: int, last_id: int, prev_id: int, bids, asks, ts_ms: int, now_ms: int) -> str:
    """Return a depthUpdate frame; a diff stream sorts both sides ascending, a partial one best first."""
    return (
        f'{{"e":"depthUpdate","E":{now_ms},"T":{ts_ms},"s":"{c.symbol}","ps":"{c.symbol}",'
        f'"U":{first_id},"u":{last_id},"pu":{prev_id},"b":[{levels(c, bids)}],"a":[{levels(c, asks)}],"st":1}}'
    )


def trade(c: Contract, trade_id: int, price_ticks: int, lots: int, buyer_is_maker: bool, origin: str, ts_ms, now_ms):
    """Return a trade frame. origin: MARKET, RPI, INSURANCE_FUND, ADL, or NA, whose price and quantity are 0."""
    price, qty = (c.price(price_ticks), c.qty(lots)) if price_ticks else ("0", "0")
    return (
        f'{{"e":"trade","E":{now_ms},"T":{ts_ms},"s":"{c.symbol}","t":{trade_id},"p":"{price}","q":"{qty}",'
        f'"X":"{origin}","m":{_bool(buyer_is_maker)},"st":1}}'
    )


def agg_trade(c: Contract, agg_id: int, price_ticks, lots, first_id, last_id, buyer_is_maker: bool, ts_ms, now_ms):
    qty = c.qty(lots)
    return (
        f'{{"e":"aggTrade","E":{now_ms},"a":{agg_id},"s":"{c.symbol}","p":"{c.price(price_ticks)}","q":"{qty}",'
        f'"nq":"{qty}","f":{first_id},"l":{last_id},"T":{ts_ms},"m":{_bool(buyer_is_maker)},"st":1}}'
    )


def mark_price(c: Contract, mark_e8: int, index_e8: int, settle_e8: int, rate_e8: int, next_funding_ms: int, now_ms):
    mark = padded(mark_e8, 8)
    return (
        f'{{"e":"markPriceUpdate","E":{now_ms},"s":"{c.symbol}","p":"{mark}","ap":"{mark}",'
        f'"P":"{padded(settle_e8, 8)}","i":"{padded(index_e8, 8)}","r":"{padded(rate_e8, 8)}",'
        f'"T":{next_funding_ms},"st":1}}'
    )


def depth_answer(c: Contract, update_id: int, bids, asks, ts_ms: int, now_ms: int) -> bytes:
    """Return the REST depth answer."""
    text = (
        f'{{"lastUpdateId":{update_id},"E":{now_ms},"T":{ts_ms},"bids":[{levels(c, bids)}],"asks":[{levels(c, asks)}]}}'
    )
    return text.encode()


# ---- user stream ------------------------------------------------------------------------------------------------


def order_update(order: Order, execution: str, account: Account, ts_ms: int, now_ms: int, fill: Fill | None = None):
    """Return an ORDER_TRADE_UPDATE. execution: NEW, CANCELED, EXPIRED, TRADE or AMENDMENT."""
    c = order.contract
    opened = account.open_orders(order.symbol)
    market = order.type == "MARKET"
    average = plain(c.average_e8(order.executed_ticklots, order.executed_lots), 8)
    return (
        f'{{"e":"ORDER_TRADE_UPDATE","T":{ts_ms},"E":{now_ms},"o":{{"s":"{c.symbol}","c":"{order.client_id}",'
        f'"S":"{SIDE_TEXT[order.side]}","o":"{order.type}","f":"{order.tif}","q":"{c.plain_qty(order.orig_lots)}",'
        f'"p":"{"0" if market else c.plain_price(order.price_ticks)}","ap":"{average}","sp":"0","x":"{execution}",'
        f'"X":"{order.status}","i":{order.order_id},"l":"{c.plain_qty(fill.lots) if fill else "0"}",'
        f'"z":"{c.plain_qty(order.executed_lots)}","L":"{c.plain_price(fill.price_ticks) if fill else "0"}",'
        f'"n":"{plain(fill.fee_e8, 8) if fill else "0"}","N":"{c.margin_asset}","T":{ts_ms},'
        f'"t":{fill.trade_id if fill else 0},"b":"{c.plain_value(opened.ticklots[1])}",'
        f'"a":"{c.plain_value(opened.ticklots[-1])}","m":{_bool(fill is not None and fill.maker)},'
        f'"R":{_bool(order.reduce_only)},"wt":"CONTRACT_PRICE","ot":"{order.type}","ps":"BOTH","cp":false,'
        f'"rp":"{plain(fill.realised_e8, 8) if fill else "0"}","pP":false,"si":0,"ss":0,"V":"{order.self_trade}",'
        f'"pm":"NONE","gtd":{order.good_till_ms},"er":"{order.expiry}"}}}}'
    )


def trade_lite(order: Order, trade_id: int, price_ticks: int, lots: int, maker: bool, ts_ms: int, now_ms: int) -> str:
    c = order.contract
    price = c.zero_price if order.type == "MARKET" else c.price(order.price_ticks)
    return (
        f'{{"e":"TRADE_LITE","E":{now_ms},"T":{ts_ms},"s":"{c.symbol}","q":"{c.qty(order.orig_lots)}","p":"{price}",'
        f'"m":{_bool(maker)},"c":"{order.client_id}","S":"{SIDE_TEXT[order.side]}","L":"{c.price(price_ticks)}",'
        f'"l":"{c.qty(lots)}","t":{trade_id},"i":{order.order_id}}}'
    )


def account_update(
    account: Account, asset: str, position: Position | None, mark_e8, reason, ts_ms, now_ms, change_e8=0
):
    """Return an ACCOUNT_UPDATE. change_e8: what moved the wallet besides profit and commission."""
    wallet = plain(account.wallets_e8[asset], 8)
    rows = ""
    if position is not None:
        c = position.contract
        rows = (
            f'{{"s":"{c.symbol}","pa":"{c.plain_qty(position.lots)}","ep":"{plain(position.entry_e8(), 8)}",'
            f'"cr":"{plain(position.realised_e8, 8)}","up":"{plain(position.unrealised_e8(mark_e8), 8)}","mt":"cross",'
            f'"iw":"0","ps":"BOTH","ma":"{asset}","bep":"{plain(position.break_even_e8(), 8)}"}}'
        )
    return (
        f'{{"e":"ACCOUNT_UPDATE","T":{ts_ms},"E":{now_ms},"a":{{"B":[{{"a":"{asset}","wb":"{wallet}","cw":"{wallet}",'
        f'"bc":"{plain(change_e8, 8)}"}}],"P":[{rows}],"m":"{reason}"}}}}'
    )


def listen_key_expired(listen_key: str, now_ms: int) -> str:
    return f'{{"e":"listenKeyExpired","E":{now_ms},"listenKey":"{listen_key}"}}'


def leverage_update(symbol: str, leverage: int, ts_ms: int, now_ms: int) -> str:
    return f'{{"e":"ACCOUNT_CONFIG_UPDATE","E":{now_ms},"T":{ts_ms},"ac":{{"s":"{symbol}","l":{leverage}}}}}'


# ---- answers ----------------------------------------------------------------------------------------------------


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
        "closePosition": False,
        "side": SIDE_TEXT[order.side],
        "positionSide": "BOTH",
        "stopPrice": c.zero_price,
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.type,
        "priceMatch": "NONE",
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
        "closePosition": False,
        "side": SIDE_TEXT[order.side],
        "positionSide": "BOTH",
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.type,
        "priceMatch": "NONE",
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
        "positionSide": "BOTH",
        "buyer": order.side > 0,
        "maker": fill.maker,
        "marginAsset": c.margin_asset,
        "baseQty": c.qty(fill.lots),
        "pair": c.symbol,
    }


def _bool(value: bool) -> str:
    return "true" if value else "false"
