"""The messages of the market streams, byte for byte: key order and padding as on the wire.

Built as text, as they are frequent. Prices and quantities are padded to the contract's precision.
"""

from phx.sim.contracts import Contract, padded
from phx.sim.tape import Aggregate

SIDE_TEXT = {1: "BUY", -1: "SELL"}


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
        f'"X":"{origin}","m":{bool_text(buyer_is_maker)},"st":1}}'
    )


def agg_trade(c: Contract, one: Aggregate, now_ms: int) -> str:
    """Return an aggTrade frame; q counts all, nq leaves out what only retail flow could meet."""
    return (
        f'{{"e":"aggTrade","E":{now_ms},"a":{one.agg_id},"s":"{c.symbol}","p":"{c.price(one.ticks)}",'
        f'"q":"{c.qty(one.lots)}","nq":"{c.qty(one.normal_lots)}","f":{one.first_id},"l":{one.last_id},'
        f'"T":{one.ts_ms},"m":{bool_text(one.taker < 0)},"st":1}}'
    )


def mark_price(c: Contract, mark_e8: int, index_e8: int, settle_e8: int, rate_e8: int, next_funding_ms: int, now_ms):
    mark = padded(mark_e8, 8)
    return (
        f'{{"e":"markPriceUpdate","E":{now_ms},"s":"{c.symbol}","p":"{mark}","ap":"{mark}",'
        f'"P":"{padded(settle_e8, 8)}","i":"{padded(index_e8, 8)}","r":"{padded(rate_e8, 8)}",'
        f'"T":{next_funding_ms},"st":1}}'
    )


def bool_text(value: bool) -> str:
    return "true" if value else "false"
