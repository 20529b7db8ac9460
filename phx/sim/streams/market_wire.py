"""The messages of the market streams, byte for byte: key order and padding as on the wire.

Built as text, as they are frequent. Prices and quantities are padded to the contract's precision, values of klines to
the decimals of price and quantity together, values of tickers to those of the price. `ps` and `st` stand where the
venue puts them, which differs from stream to stream.
"""

from typing import NamedTuple

from phx.sim.contracts import Contract, padded
from phx.sim.streams.klines import Candle
from phx.sim.streams.tape import Aggregate
from phx.sim.streams.tickers import DayStatistics

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


def kline(c: Contract, candle: Candle, interval: str, closed: bool, now_ms: int) -> str:
    """Return a kline frame. The blanks after its commas are the venue's."""
    decimals = c.entry["pricePrecision"] + c.entry["quantityPrecision"]
    return (
        f'{{"e":"kline","E":{now_ms},"s":"{c.symbol}","k":{{"t":{candle.open_ms}, "T":{candle.close_ms}, '
        f'"s":"{c.symbol}", "i":"{interval}", "f":{candle.first_id}, "L":{candle.last_id}, '
        f'"o":"{c.price(candle.open_ticks)}", "c":"{c.price(candle.close_ticks)}", '
        f'"h":"{c.price(candle.high_ticks)}", "l":"{c.price(candle.low_ticks)}", "v":"{c.qty(candle.lots)}", '
        f'"n":{candle.trades}, "x":{bool_text(closed)}, "q":"{c.value(candle.ticklots, decimals)}", '
        f'"V":"{c.qty(candle.taker_lots)}", "Q":"{c.value(candle.taker_ticklots, decimals)}", "B":"0"}}}}'
    )


def continuous_kline(c: Contract, candle: Candle, interval: str, closed: bool, now_ms: int) -> str:
    """Return a continuous_kline frame. Its ids are of the book, not of trades."""
    decimals = c.entry["pricePrecision"] + c.entry["quantityPrecision"]
    return (
        f'{{"e":"continuous_kline","E":{now_ms},"ps":"{c.entry["pair"]}","ct":"{c.entry["contractType"]}",'
        f'"k":{{"t":{candle.open_ms},"T":{candle.close_ms},"i":"{interval}","f":{candle.first_update_id},'
        f'"L":{candle.last_update_id},"o":"{c.price(candle.open_ticks)}","c":"{c.price(candle.close_ticks)}",'
        f'"h":"{c.price(candle.high_ticks)}","l":"{c.price(candle.low_ticks)}","v":"{c.qty(candle.lots)}",'
        f'"n":{candle.trades},"x":{bool_text(closed)},"q":"{c.value(candle.ticklots, decimals)}",'
        f'"V":"{c.qty(candle.taker_lots)}","Q":"{c.value(candle.taker_ticklots, decimals)}","B":"0"}}}}'
    )


def day_average(c: Contract, day: DayStatistics) -> str:
    """Return the average price of a day, rounded to the decimals of the price; the last price without trades."""
    decimals = c.entry["pricePrecision"]
    average_e8 = c.average_e8(day.ticklots, day.lots) or c.average_e8(day.last_ticks, 1)
    unit = 10 ** (8 - decimals)
    return padded((2 * average_e8 + unit) // (2 * unit), decimals)


def day_ticker(c: Contract, day: DayStatistics, now_ms: int) -> str:
    """Return a 24hrTicker frame."""
    decimals = c.entry["pricePrecision"]
    return (
        f'{{"e":"24hrTicker","E":{now_ms},"s":"{c.symbol}","ps":"{c.entry["pair"]}",'
        f'"p":"{c.price(day.change_ticks)}","P":"{padded(day.change_millipercent, 3)}",'
        f'"w":"{day_average(c, day)}","c":"{c.price(day.last_ticks)}",'
        f'"Q":"{c.qty(day.last_lots)}","o":"{c.price(day.open_ticks)}","h":"{c.price(day.high_ticks)}",'
        f'"l":"{c.price(day.low_ticks)}","v":"{c.qty(day.lots)}","q":"{c.value(day.ticklots, decimals)}",'
        f'"O":{day.open_ms},"C":{day.close_ms},"F":{day.first_id},"L":{day.last_id},"n":{day.trades},"st":1}}'
    )


def mini_ticker(c: Contract, day: DayStatistics, now_ms: int) -> str:
    """Return a 24hrMiniTicker frame."""
    return (
        f'{{"e":"24hrMiniTicker","E":{now_ms},"s":"{c.symbol}","ps":"{c.entry["pair"]}",'
        f'"c":"{c.price(day.last_ticks)}","o":"{c.price(day.open_ticks)}","h":"{c.price(day.high_ticks)}",'
        f'"l":"{c.price(day.low_ticks)}","v":"{c.qty(day.lots)}",'
        f'"q":"{c.value(day.ticklots, c.entry["pricePrecision"])}","st":1}}'
    )


class Liquidation(NamedTuple):
    """A forced order that was filled. price_ticks: its limit. ticklots: what it was filled for, last_lots at last."""

    side: int
    lots: int
    price_ticks: int
    ticklots: int
    last_lots: int
    ts_ms: int


def force_order(c: Contract, order: Liquidation, now_ms: int) -> str:
    """Return a forceOrder frame; `ps` and `st` are inside the order."""
    decimals = c.entry["pricePrecision"]
    average = padded(c.average_e8(order.ticklots, order.lots) // 10 ** (8 - decimals), decimals)
    return (
        f'{{"e":"forceOrder","E":{now_ms},"o":{{"s":"{c.symbol}","S":"{SIDE_TEXT[order.side]}","o":"LIMIT","f":"IOC",'
        f'"q":"{c.qty(order.lots)}","p":"{c.price(order.price_ticks)}","ap":"{average}","X":"FILLED",'
        f'"l":"{c.qty(order.last_lots)}","z":"{c.qty(order.lots)}","T":{order.ts_ms},"ps":"{c.entry["pair"]}","st":1}}}}'
    )


def contract_info(c: Contract, now_ms: int, with_brackets: bool) -> str:
    """Return a contractInfo frame; brackets are told only when they changed."""
    return (
        f'{{"e":"contractInfo","E":{now_ms},"s":"{c.symbol}","ps":"{c.entry["pair"]}","ct":"{c.entry["contractType"]}",'
        f'"dt":{c.entry["deliveryDate"]},"ot":{c.entry["onboardDate"]},"cs":"{c.entry["status"]}",'
        f'{_brackets(c) if with_brackets else ""}"st":1}}'
    )


def _brackets(c: Contract) -> str:
    """Return the brackets of a contractInfo frame; mi and ma: the leverages for which each is the smallest."""
    rows, floor = [], 0
    for number, (cap, rate, leverage) in enumerate(c.brackets, 1):
        lowest = c.brackets[number][2] + 1 if number < len(c.brackets) else 1
        subtracted = c.bracket(cap * 10**8)[1] // 10**8
        rows.append(
            f'{{"bs":{number},"bnf":{floor},"bnc":{cap},"mmr":{float(rate)},"cf":{subtracted},'
            f'"mi":{lowest},"ma":{leverage}}}'
        )
        floor = cap
    return f'"bks":[{",".join(rows)}],'


def bool_text(value: bool) -> str:
    return "true" if value else "false"
