"""The messages of the user stream, byte for byte: key order, padding and stripped zeros as on the wire.

TRADE_LITE prints numbers padded to the contract's precision; all else strips trailing zeros.
"""

from phx.sim.contracts import plain
from phx.sim.exchange.account import Account, Fill, Order, Position
from phx.sim.exchange.algo_order import AlgoOrder
from phx.sim.streams.market_wire import SIDE_TEXT, bool_text


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
        f'"R":{bool_text(order.reduce_only)},"wt":"CONTRACT_PRICE","ot":"{order.orig_type or order.type}",'
        f'"ps":"{order.position_side}","cp":{bool_text(order.close_position)},'
        f'"rp":"{plain(fill.realised_e8, 8) if fill else "0"}","pP":false,"si":0,"ss":0,"V":"{order.self_trade}",'
        f'"pm":"{order.price_match}","gtd":{order.good_till_ms},"er":"{order.expiry}"}}}}'
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
    account: Account,
    asset: str,
    positions: list[Position],
    marks_e8: dict[str, int],
    reason,
    ts_ms,
    now_ms,
    change_e8=0,
    symbol: str = "",
):
    """Return an ACCOUNT_UPDATE.

    change_e8: what moved the wallet besides profit and commission. symbol: the one that was charged for funding.
    """
    wallet, cross = plain(account.wallets_e8[asset], 8), plain(account.cross_e8(asset), 8)
    rows = ",".join([position_row(position, marks_e8[position.contract.symbol]) for position in positions])
    charged = f',"S":"{symbol}"' if symbol else ""
    return (
        f'{{"e":"ACCOUNT_UPDATE","T":{ts_ms},"E":{now_ms},"a":{{"B":[{{"a":"{asset}","wb":"{wallet}","cw":"{cross}",'
        f'"bc":"{plain(change_e8, 8)}"}}],"P":[{rows}],"m":"{reason}"{charged}}}}}'
    )


def position_row(position: Position, mark_e8: int) -> str:
    c = position.contract
    return (
        f'{{"s":"{c.symbol}","pa":"{c.plain_qty(position.lots)}","ep":"{plain(position.entry_e8(), 8)}",'
        f'"cr":"{plain(position.realised_e8, 8)}","up":"{plain(position.unrealised_e8(mark_e8), 8)}",'
        f'"mt":"{"isolated" if position.isolated else "cross"}","iw":"{plain(position.isolated_e8, 8)}",'
        f'"ps":"{position.side}","ma":"{c.margin_asset}","bep":"{plain(position.break_even_e8(), 8)}"}}'
    )


def margin_call(cross_e8: int | None, positions: list[Position], marks_e8: dict[str, int], now_ms: int) -> str:
    """Return a MARGIN_CALL for positions whose margin is nearly used up.

    cross_e8: the cross wallet; None for isolated positions, which it does not concern.
    """
    rows = ",".join([_risk_row(position, marks_e8[position.contract.symbol]) for position in positions])
    wallet = "" if cross_e8 is None else f'"cw":"{plain(cross_e8, 8)}",'
    return f'{{"e":"MARGIN_CALL","E":{now_ms},{wallet}"p":[{rows}]}}'


def _risk_row(position: Position, mark_e8: int) -> str:
    c = position.contract
    return (
        f'{{"s":"{c.symbol}","ps":"{position.side}","pa":"{c.plain_qty(position.lots)}",'
        f'"mt":"{"ISOLATED" if position.isolated else "CROSSED"}","iw":"{plain(position.isolated_e8, 8)}",'
        f'"mp":"{plain(mark_e8, 8)}","up":"{plain(position.unrealised_e8(mark_e8), 8)}",'
        f'"mm":"{plain(position.maintenance_e8(mark_e8), 8)}"}}'
    )


def algo_update(order: AlgoOrder, ts_ms: int, now_ms: int) -> str:
    """Return an ALGO_UPDATE of a conditional order; what it became is told once there is such an order."""
    c, actual = order.contract, order.actual
    became = ""
    if actual:
        average = plain(c.average_e8(actual.executed_ticklots, actual.executed_lots), 8)
        became = f'"ap":"{average}","aq":"{c.plain_qty(actual.executed_lots)}","act":"{actual.type}",'
    reason = f'"rm":"{order.reject_reason}",' if order.reject_reason else ""
    return (
        f'{{"e":"ALGO_UPDATE","T":{ts_ms},"E":{now_ms},"o":{{"caid":"{order.client_id}","aid":{order.algo_id},'
        f'"at":"CONDITIONAL","o":"{order.type}","s":"{c.symbol}","S":"{SIDE_TEXT[order.side]}",'
        f'"ps":"{order.position_side}","f":"{order.tif}","q":"{c.plain_qty(order.lots)}","X":"{order.status}",'
        f'"ai":"{actual.order_id if actual else ""}",{became}"tp":"{c.plain_price(order.trigger_ticks)}",'
        f'"p":"{c.plain_price(order.price_ticks)}","V":"{order.self_trade}","wt":"{order.working_type}",'
        f'"pm":"{order.price_match}","cp":{bool_text(order.close_position)},"pP":{bool_text(order.price_protect)},'
        f'"R":{bool_text(order.reduce_only)},"tt":{order.trigger_ms},"gtd":{order.good_till_ms},{reason}'
        f'"ia":{bool_text(order.extreme_e8 > 0)}}}}}'
    )


def listen_key_expired(listen_key: str, now_ms: int) -> str:
    return f'{{"e":"listenKeyExpired","E":{now_ms},"listenKey":"{listen_key}"}}'


def leverage_update(symbol: str, leverage: int, ts_ms: int, now_ms: int) -> str:
    return f'{{"e":"ACCOUNT_CONFIG_UPDATE","E":{now_ms},"T":{ts_ms},"ac":{{"s":"{symbol}","l":{leverage}}}}}'


def multi_assets_update(multi_assets: bool, ts_ms: int, now_ms: int) -> str:
    return f'{{"e":"ACCOUNT_CONFIG_UPDATE","E":{now_ms},"T":{ts_ms},"ai":{{"j":{bool_text(multi_assets)}}}}}'
