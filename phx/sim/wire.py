"""The messages of the user stream, byte for byte: key order, padding and stripped zeros as on the wire.

TRADE_LITE prints numbers padded to the contract's precision; all else strips trailing zeros.
"""

from phx.sim.account import Account, Fill, Order, Position
from phx.sim.contracts import plain
from phx.sim.market_wire import SIDE_TEXT, bool_text


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
        f'"a":"{c.plain_value(opened.ticklots[-1])}","m":{bool_text(fill is not None and fill.maker)},'
        f'"R":{bool_text(order.reduce_only)},"wt":"CONTRACT_PRICE","ot":"{order.type}","ps":"BOTH","cp":false,'
        f'"rp":"{plain(fill.realised_e8, 8) if fill else "0"}","pP":false,"si":0,"ss":0,"V":"{order.self_trade}",'
        f'"pm":"NONE","gtd":{order.good_till_ms},"er":"{order.expiry}"}}}}'
    )


def trade_lite(order: Order, trade_id: int, price_ticks: int, lots: int, maker: bool, ts_ms: int, now_ms: int) -> str:
    c = order.contract
    price = c.zero_price if order.type == "MARKET" else c.price(order.price_ticks)
    return (
        f'{{"e":"TRADE_LITE","E":{now_ms},"T":{ts_ms},"s":"{c.symbol}","q":"{c.qty(order.orig_lots)}","p":"{price}",'
        f'"m":{bool_text(maker)},"c":"{order.client_id}","S":"{SIDE_TEXT[order.side]}","L":"{c.price(price_ticks)}",'
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
