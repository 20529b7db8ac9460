"""The REST endpoints about markets: books, trades, prices, funding, and what is listed."""

from collections.abc import Callable

import msgspec

from phx.sim.api import answers, market_views
from phx.sim.api.request import DAY_MS, Call, Endpoint, Security, by_limit, by_symbol, per_symbol
from phx.sim.exchange import rules
from phx.sim.faults.snapshots import old_book
from phx.sim.refusals import Refused
from phx.sim.streams.klines import INTERVALS, Klines
from phx.sim.streams.tape import Tape

DEPTH_LIMITS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}  # limit → weight
DEPTH_WEIGHT = by_limit(tuple(DEPTH_LIMITS.items()), 500)
AGGREGATES_MS = 2 * DAY_MS  # how far back aggregated trades are found by time
HOUR_MS = 3_600_000
MAX_KLINES = 1500
KLINE_WEIGHT = by_limit(((99, 1), (499, 2), (1000, 5), (MAX_KLINES, 10)), 500)
CONTRACT_TYPES = ("PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER", "TRADIFI_PERPETUAL")


def depth(call: Call) -> msgspec.Raw:
    contract = call.contract()
    limit = call.limit(500)
    if limit not in DEPTH_LIMITS:
        raise Refused(-4021, limit)
    return book(call, contract, limit)


def retail_depth(call: Call) -> msgspec.Raw:
    """Answer the book with retail orders, of which there are none here: it equals the other one."""
    contract = call.contract()
    if call.limit(1000) != 1000:
        raise Refused(-4021, call.limit(1000))
    return book(call, contract, 1000)


def book(call: Call, contract, limit: int) -> msgspec.Raw:
    public = call.exchange.player.markets[contract.symbol].streams.book
    if call.suffers("stale_snapshot"):
        public = old_book(call.fault, call.exchange, contract.symbol, call.now_ms)
    bids, asks = public.top(limit)
    return msgspec.Raw(answers.depth_answer(contract, public.update_id, bids, asks, public.ts_ms, call.now_ms))


def tape(call: Call) -> Tape:
    return call.exchange.player.markets[call.symbol()].streams.tape


def trades(call: Call) -> list:
    contract = call.contract()
    return [market_views.trade(contract, row) for row in tape(call).recent(call.limit(500))]


def historical_trades(call: Call) -> list:
    contract, limit, first_id = call.contract(), call.limit(100, 500), rules.whole(call.params, "fromId", 0)
    rows = tape(call).trades_from(first_id, limit) if first_id else tape(call).recent(limit)
    return [market_views.trade(contract, row) for row in rows]


def aggregate_trades(call: Call) -> list:
    contract, limit, first_id = call.contract(), call.limit(500), rules.whole(call.params, "fromId", 0)
    start_ms, end_ms = call.times()
    if first_id:
        rows = tape(call).aggregates_from(first_id, limit)
    else:
        if start_ms and end_ms and end_ms - start_ms > HOUR_MS:
            raise Refused(-1127, 1)
        if start_ms:
            start_ms = max(start_ms, call.now_ms - AGGREGATES_MS)
        rows = tape(call).aggregates_between(start_ms or None, end_ms or None, limit)
    return [market_views.aggregate_trade(contract, row) for row in rows]


def interval_of(call: Call, continuous: bool = False) -> str:
    """Return the interval asked for; only continuous klines come by the second."""
    interval = rules.text(call.params, "interval")
    if interval not in INTERVALS or (interval == "1s" and not continuous):
        raise Refused(-1120)
    return interval


def query(call: Call, klines: Klines, interval: str) -> list:
    start_ms, end_ms = call.times()
    return klines.query(interval, call.now_ms, start_ms or None, end_ms or None, call.limit(500, MAX_KLINES))


def klines(call: Call) -> list:
    contract, interval = call.contract(), interval_of(call)
    return [market_views.kline(contract, candle) for candle in query(call, tape(call).klines, interval)]


def continuous_klines(call: Call) -> list:
    pair, kind = rules.text(call.params, "pair"), rules.text(call.params, "contractType")
    contract = call.exchange.contracts.get(pair)
    if contract is None:
        raise Refused(-4144)
    if kind not in CONTRACT_TYPES:
        raise Refused(-4104)
    interval = interval_of(call, continuous=True)
    if kind != contract.entry["contractType"]:
        return []  # no other contract of the pair is listed
    kept = call.exchange.player.markets[pair].streams.tape.klines
    return [market_views.kline(contract, candle) for candle in query(call, kept, interval)]


def price_klines(which: str, name: str) -> Callable[[Call], list]:
    """Return the handler of klines of a price that is not traded. name: of the parameter that says whose."""

    def handler(call: Call) -> list:
        symbol = rules.text(call.params, name)
        if symbol not in call.exchange.contracts:
            raise Refused(-1121 if name == "symbol" else -4144)
        kept = getattr(call.exchange.marks[symbol].history, which)
        return [market_views.price_kline(candle) for candle in query(call, kept, interval_of(call))]

    return handler


def day_ticker(call: Call, symbol: str) -> dict:
    day = call.exchange.player.markets[symbol].streams.tape.day(call.now_ms)
    return market_views.day_ticker(call.exchange, symbol, day, call.now_ms)


def funding_rates(call: Call) -> list:
    symbol, limit = call.optional_symbol(), call.limit(100)
    start_ms, end_ms = call.times()
    rows = [
        row
        for row in call.exchange.funding_history
        if symbol in ("", row["symbol"]) and start_ms <= row["fundingTime"] <= (end_ms or call.now_ms)
    ]
    return rows[:limit] if start_ms else rows[-limit:]


def asset_index(call: Call):
    assets = sorted({contract.margin_asset for contract in call.exchange.contracts.values()})
    wanted = rules.text(call.params, "symbol", "")
    if not wanted:
        return [market_views.asset_index(asset, call.now_ms) for asset in assets]
    if wanted not in [f"{asset}USD" for asset in assets]:
        raise Refused(-1121)
    return market_views.asset_index(wanted.removesuffix("USD"), call.now_ms)


def insurance(call: Call) -> dict:
    assets = sorted({c.margin_asset for c in call.exchange.contracts.values()})
    rows = [{"asset": asset, "marginBalance": "0.00000000", "updateTime": call.now_ms} for asset in assets]
    return {"symbols": call.symbols(), "assets": rows}


ENDPOINTS = {
    ("GET", "/fapi/v1/ping"): Endpoint(lambda call: {}, 1),
    ("GET", "/fapi/v1/time"): Endpoint(lambda call: {"serverTime": call.venue.clock_ms()}, 1),
    ("GET", "/fapi/v1/exchangeInfo"): Endpoint(
        lambda call: market_views.exchange_info(call.exchange, call.venue.clock_ms()), 1
    ),
    ("GET", "/fapi/v1/depth"): Endpoint(depth, DEPTH_WEIGHT, work="depth"),
    ("GET", "/fapi/v1/rpiDepth"): Endpoint(retail_depth, 20),
    ("GET", "/fapi/v1/trades"): Endpoint(trades, 5),
    ("GET", "/fapi/v1/historicalTrades"): Endpoint(historical_trades, 200, Security.KEY_ONLY),
    ("GET", "/fapi/v1/aggTrades"): Endpoint(aggregate_trades, 20),
    ("GET", "/fapi/v1/klines"): Endpoint(klines, KLINE_WEIGHT),
    ("GET", "/fapi/v1/continuousKlines"): Endpoint(continuous_klines, KLINE_WEIGHT),
    ("GET", "/fapi/v1/markPriceKlines"): Endpoint(price_klines("mark", "symbol"), KLINE_WEIGHT),
    ("GET", "/fapi/v1/indexPriceKlines"): Endpoint(price_klines("index", "pair"), KLINE_WEIGHT),
    ("GET", "/fapi/v1/premiumIndexKlines"): Endpoint(price_klines("premium", "symbol"), KLINE_WEIGHT),
    ("GET", "/fapi/v1/premiumIndex"): Endpoint(
        per_symbol(lambda call, symbol: market_views.premium_index(call.exchange, symbol, call.now_ms)),
        by_symbol(1, 10),
    ),
    ("GET", "/fapi/v1/fundingRate"): Endpoint(funding_rates, 0),
    ("GET", "/fapi/v1/fundingInfo"): Endpoint(lambda call: market_views.funding_info(call.exchange), 0),
    ("GET", "/fapi/v1/ticker/24hr"): Endpoint(per_symbol(day_ticker), by_symbol(1, 40)),
    ("GET", "/fapi/v1/ticker/bookTicker"): Endpoint(
        per_symbol(lambda call, symbol: market_views.book_ticker(call.exchange, symbol)), by_symbol(2, 5)
    ),
    ("GET", "/fapi/v1/openInterest"): Endpoint(
        lambda call: market_views.open_interest(call.exchange, call.symbol(), call.now_ms), 1
    ),
    ("GET", "/fapi/v1/assetIndex"): Endpoint(asset_index, by_symbol(1, 10)),
    ("GET", "/fapi/v1/indexInfo"): Endpoint(lambda call: [], 1),  # no index contracts are listed
    ("GET", "/fapi/v1/constituents"): Endpoint(
        lambda call: market_views.constituents(call.exchange, call.symbol(), call.now_ms), 2
    ),
    ("GET", "/fapi/v1/insuranceBalance"): Endpoint(insurance, 1),
    ("GET", "/fapi/v1/symbolAdlRisk"): Endpoint(
        per_symbol(lambda call, symbol: market_views.adl_risk(symbol, call.now_ms)), 1
    ),
    ("GET", "/fapi/v1/tradingSchedule"): Endpoint(
        lambda call: {"updateTime": call.now_ms, "marketSchedules": {}},
        5,  # nothing listed here ever closes
    ),
}
for _path in ("ping", "time"):  # many clients ask the spot venue, before anything of the futures
    ENDPOINTS["GET", f"/api/v3/{_path}"] = ENDPOINTS["GET", f"/fapi/v1/{_path}"]
for _version in (1, 2):
    ENDPOINTS["GET", f"/fapi/v{_version}/ticker/price"] = Endpoint(
        per_symbol(lambda call, symbol: market_views.price_ticker(call.exchange, symbol)), by_symbol(1, 2)
    )
