"""What the venue tells everybody about its contracts: REST and WS-API answers in the key order of the wire."""

from phx.sim.contracts import Contract, padded, plain
from phx.sim.exchange.exchange import Exchange
from phx.sim.markets.mark import FUNDING_HOURS, INTEREST_RATE, RATE_CAP
from phx.sim.streams.klines import Candle
from phx.sim.streams.market_wire import day_average
from phx.sim.streams.tape import Aggregate, PublicTrade
from phx.sim.streams.tickers import DayStatistics

UNIT = 10**8
ASSET_BUFFER = 0  # the margin assets here are dollars: nothing is deducted from their index


def exchange_info(exchange: Exchange, now_ms: int) -> dict:
    contracts = exchange.contracts.values()
    assets = sorted({c.margin_asset for c in contracts})
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": exchange.limits.listed,
        "exchangeFilters": [],
        "assets": [{"asset": a, "marginAvailable": True, "autoAssetExchange": "-10000"} for a in assets],
        "symbols": [c.entry for c in contracts],
    }


def premium_index(exchange: Exchange, symbol: str, now_ms: int) -> dict:
    mark = exchange.marks[symbol]
    return {
        "symbol": symbol,
        "markPrice": padded(mark.mark_e8, 8),
        "indexPrice": padded(mark.index_e8, 8),
        "estimatedSettlePrice": padded(mark.index_e8, 8),
        "lastFundingRate": padded(mark.rate_e8, 8),
        "interestRate": f"{INTEREST_RATE:.8f}",
        "nextFundingTime": mark.funding_ms,
        "time": now_ms,
    }


def book_ticker(exchange: Exchange, symbol: str) -> dict:
    contract = exchange.contracts[symbol]
    update_id, bid, ask, ts_ms = exchange.player.markets[symbol].streams.best or (0, (0, 0), (0, 0), 0)
    return {
        "symbol": symbol,
        "bidPrice": contract.price(bid[0]),
        "bidQty": contract.qty(bid[1]),
        "askPrice": contract.price(ask[0]),
        "askQty": contract.qty(ask[1]),
        "time": ts_ms,
        "lastUpdateId": update_id,
    }


def price_ticker(exchange: Exchange, symbol: str) -> dict:
    streams = exchange.player.markets[symbol].streams
    ticks = streams.last_ticks or (streams.best[1][0] if streams.best else 0)
    return {"symbol": symbol, "price": exchange.contracts[symbol].price(ticks), "time": exchange.now_ms}


def funding_info(exchange: Exchange) -> list[dict]:
    return [
        {
            "symbol": symbol,
            "adjustedFundingRateCap": f"{RATE_CAP:.8f}",
            "adjustedFundingRateFloor": f"{-RATE_CAP:.8f}",
            "fundingIntervalHours": FUNDING_HOURS,
            "disclaimer": False,
            "updateTime": None,
        }
        for symbol in exchange.contracts
    ]


def trade(contract: Contract, row: PublicTrade) -> dict:
    """Return a row of trades and historicalTrades. The value in quote shows the decimals of the price."""
    return {
        "id": row.trade_id,
        "price": contract.price(row.ticks),
        "qty": contract.qty(row.lots),
        "quoteQty": contract.value(row.ticks * row.lots, contract.entry["pricePrecision"]),
        "time": row.ts_ms,
        "isBuyerMaker": row.taker < 0,
        "isRPITrade": row.rpi,
    }


def aggregate_trade(contract: Contract, row: Aggregate) -> dict:
    """Return a row of aggTrades. nq: the quantity without retail orders."""
    return {
        "a": row.agg_id,
        "p": contract.price(row.ticks),
        "q": contract.qty(row.lots),
        "nq": contract.qty(row.normal_lots),
        "f": row.first_id,
        "l": row.last_id,
        "T": row.ts_ms,
        "m": row.taker < 0,
    }


def kline(contract: Contract, candle: Candle) -> list:
    """Return a row of klines."""
    c = contract
    return [
        candle.open_ms,
        c.price(candle.open_ticks),
        c.price(candle.high_ticks),
        c.price(candle.low_ticks),
        c.price(candle.close_ticks),
        c.qty(candle.lots),
        candle.close_ms,
        c.full_value(candle.ticklots),
        candle.trades,
        c.qty(candle.taker_lots),
        c.full_value(candle.taker_ticklots),
        "0",
    ]


def price_kline(candle: Candle) -> list:
    """Return a row of klines of a price that is not traded, whose candles are in 1e-8. The rest means nothing."""
    prices = [padded(e8, 8) for e8 in (candle.open_ticks, candle.high_ticks, candle.low_ticks, candle.close_ticks)]
    return [candle.open_ms, *prices, "0", candle.close_ms, "0", candle.trades, "0", "0", "0"]


def day_ticker(exchange: Exchange, symbol: str, day: DayStatistics | None, now_ms: int) -> dict:
    """Return the 24 hour statistics; before the first trade they stand at the best bid."""
    c = exchange.contracts[symbol]
    if day is None:
        best = exchange.player.markets[symbol].streams.best
        ticks = best[1][0] if best else 0
        day = DayStatistics(now_ms, now_ms, ticks, ticks, ticks, ticks, 0, 0, 0, -1, -1, 0)
    return {
        "symbol": symbol,
        "priceChange": c.price(day.change_ticks),
        "priceChangePercent": padded(day.change_millipercent, 3),
        "weightedAvgPrice": day_average(c, day),
        "lastPrice": c.price(day.last_ticks),
        "lastQty": c.qty(day.last_lots),
        "openPrice": c.price(day.open_ticks),
        "highPrice": c.price(day.high_ticks),
        "lowPrice": c.price(day.low_ticks),
        "volume": c.qty(day.lots),
        "quoteVolume": c.value(day.ticklots, c.entry["pricePrecision"]),
        "openTime": day.open_ms,
        "closeTime": day.close_ms,
        "firstId": day.first_id,
        "lastId": day.last_id,
        "count": day.trades,
    }


def open_interest(exchange: Exchange, symbol: str, now_ms: int) -> dict:
    """Return the open positions of one side: the accounts' larger one, since the crowd holds what they lack."""
    held = [p.lots for account in exchange.accounts.values() for p in account.held(symbol)]
    longs, shorts = sum(lots for lots in held if lots > 0), -sum(lots for lots in held if lots < 0)
    return {"openInterest": exchange.contracts[symbol].qty(max(longs, shorts)), "symbol": symbol, "time": now_ms}


def asset_index(asset: str, now_ms: int) -> dict:
    """Return what a margin asset counts for in multi-assets mode."""
    index, buffer = padded(UNIT, 8), padded(ASSET_BUFFER, 8)
    return {
        "symbol": f"{asset}USD",
        "time": now_ms,
        "index": index,
        "bidBuffer": buffer,
        "askBuffer": buffer,
        "bidRate": index,
        "askRate": index,
        "autoExchangeBidBuffer": buffer,
        "autoExchangeAskBuffer": buffer,
        "autoExchangeBidRate": index,
        "autoExchangeAskRate": index,
    }


def constituents(exchange: Exchange, symbol: str, now_ms: int) -> dict:
    """Return what the index price is made of: here the venue's own pair alone."""
    price = plain(exchange.marks[symbol].index_e8, 8)
    row = {"exchange": "binance", "symbol": symbol, "price": price, "weight": "1.00000000"}
    return {"symbol": symbol, "time": now_ms, "constituents": [row]}


def adl_risk(symbol: str, now_ms: int) -> dict:
    return {"symbol": symbol, "adlRisk": "low", "updateTime": now_ms}


def brackets(exchange: Exchange, symbol: str) -> dict:
    rows, floor = [], 0
    contract = exchange.contracts[symbol]
    for number, (cap, rate, leverage) in enumerate(contract.brackets, 1):
        rows.append(
            {
                "bracket": number,
                "initialLeverage": leverage,
                "notionalCap": cap,
                "notionalFloor": floor,
                "maintMarginRatio": float(rate),
                "cum": contract.bracket(cap * UNIT)[1] / UNIT,
            }
        )
        floor = cap
    return {"symbol": symbol, "brackets": rows}
