"""The endpoints about markets: what they select of trades, candles, funding and prices."""

from decimal import Decimal
from types import SimpleNamespace

import msgspec
import pytest
from still_market import BTC, StillVenue

from phx._core.enums import TradeOrigin
from phx.sim.api.market_views import kline
from phx.sim.api.request import Call
from phx.sim.api.rest_api import ENDPOINTS
from phx.sim.markets.price_history import PriceHistory
from phx.sim.refusals import Refused

START_MS = 1_780_000_000_000
MINUTE_MS = 60_000
NOW_MS = START_MS + 10 * MINUTE_MS
SYMBOL = {"symbol": "BTCUSDC"}


@pytest.fixture
def market():
    """A venue in whose BTCUSDC trades 1 to 60 came ten seconds apart, each at a price of its own."""
    still = StillVenue()
    streams = still.exchange.player.markets["BTCUSDC"].streams
    for number in range(1, 61):
        at_ms = START_MS + number * 10_000
        taker = 1 if number % 2 else -1
        origin = TradeOrigin.ORIGIN_RPI if number == 60 else TradeOrigin.ORIGIN_MARKET
        streams.on_trade(number, 640_000 + number, number, taker, origin, at_ms, at_ms)
    streams.flush(NOW_MS + 1000)
    still.exchange.now_ms = NOW_MS
    return still


def ask(market, path: str, **params):
    call = Call(SimpleNamespace(exchange=market.exchange), None, params, NOW_MS * 1_000_000)
    return msgspec.json.decode(msgspec.json.encode(ENDPOINTS["GET", f"/fapi/{path}"].handler(call)))


def code(market, path: str, **params) -> int:
    try:
        ask(market, path, **params)
    except Refused as refusal:
        return refusal.code
    return 0


def test_trades_are_the_newest_oldest_first(market):
    rows = ask(market, "v1/trades", **SYMBOL, limit="3")
    assert [row["id"] for row in rows] == [58, 59, 60]
    assert rows[0] == {
        "id": 58, "price": "64005.8", "qty": "0.058", "quoteQty": "3712.3", "time": START_MS + 580_000,
        "isBuyerMaker": True, "isRPITrade": False,
    }  # fmt: skip
    assert (rows[1]["isBuyerMaker"], rows[2]["isRPITrade"]) == (False, True)
    assert len(ask(market, "v1/trades", **SYMBOL)) == 60


def test_old_trades_begin_with_an_id(market):
    assert [row["id"] for row in ask(market, "v1/historicalTrades", **SYMBOL, fromId="7", limit="2")] == [7, 8]
    assert [row["id"] for row in ask(market, "v1/historicalTrades", **SYMBOL, limit="2")] == [59, 60]
    assert ask(market, "v1/historicalTrades", **SYMBOL, fromId="61") == []


def test_aggregates_are_found_by_id_or_time(market):
    every = ask(market, "v1/aggTrades", **SYMBOL)
    assert [row["f"] for row in every] == list(range(1, 61))
    ids = [row["a"] for row in every]
    assert [row["a"] for row in ask(market, "v1/aggTrades", **SYMBOL, fromId=ids[4], limit="2")] == ids[4:6]
    times = {"startTime": START_MS + 50_000, "endTime": START_MS + 80_000}
    assert [row["f"] for row in ask(market, "v1/aggTrades", **SYMBOL, **times)] == [5, 6, 7, 8]
    assert [row["f"] for row in ask(market, "v1/aggTrades", **SYMBOL, startTime=times["startTime"], limit="2")] == [
        5,
        6,
    ]
    assert [row["f"] for row in ask(market, "v1/aggTrades", **SYMBOL, endTime=times["endTime"], limit="2")] == [7, 8]
    # The newest were retail orders against retail orders: none of it was normal.
    assert (every[-1]["q"], every[-1]["nq"], every[0]["nq"]) == ("0.060", "0.000", "0.001")
    assert code(market, "v1/aggTrades", **SYMBOL, startTime=START_MS, endTime=START_MS + 3_600_001) == -1127
    assert code(market, "v1/aggTrades", **SYMBOL, startTime=START_MS + 1, endTime=START_MS) == -1023


def test_candles_are_selected_by_their_beginning(market):
    rows = ask(market, "v1/klines", **SYMBOL, interval="1m")
    opened = [row[0] for row in rows]
    assert opened == sorted(opened)
    assert all(row[6] == row[0] + MINUTE_MS - 1 and row[0] % MINUTE_MS == 0 for row in rows)
    assert sum(row[8] for row in rows) == 60
    assert sum(Decimal(row[5]) for row in rows) == Decimal("1.830")
    assert [row[0] for row in ask(market, "v1/klines", **SYMBOL, interval="1m", limit="2")] == opened[-2:]
    times = {"startTime": opened[1], "endTime": opened[3]}
    assert [row[0] for row in ask(market, "v1/klines", **SYMBOL, interval="1m", **times)] == opened[1:4]
    assert [row[0] for row in ask(market, "v1/klines", **SYMBOL, interval="1m", **times, limit="1")] == opened[1:2]
    assert ask(market, "v1/klines", **SYMBOL, interval="1m", startTime=NOW_MS + MINUTE_MS) == []


def test_a_candle_shows_prices_volumes_and_the_taker_who_bought(market):
    candle = market.exchange.player.markets["BTCUSDC"].streams.tape.klines.query("1h", NOW_MS)[0]
    row = kline(BTC, candle)
    assert row[1:6] == ["64000.1", "64006.0", "64000.1", "64006.0", row[5]]
    value = sum(Decimal(640_000 + number) / 10 * number / 1000 for number in range(1, 61))
    bought = sum(Decimal(number) / 1000 for number in range(1, 61, 2))
    assert (Decimal(row[7]), Decimal(row[9]), row[8], row[11]) == (value, bought, 60, "0")


def test_continuous_candles_are_those_of_the_perpetual(market):
    pair = {"pair": "BTCUSDC", "interval": "1m"}
    assert ask(market, "v1/continuousKlines", **pair, contractType="PERPETUAL") == ask(
        market, "v1/klines", **SYMBOL, interval="1m"
    )
    assert ask(market, "v1/continuousKlines", **pair, contractType="NEXT_QUARTER") == []
    seconds = ask(market, "v1/continuousKlines", pair="BTCUSDC", interval="1s", contractType="PERPETUAL", limit="3")
    assert [row[6] - row[0] for row in seconds] == [999] * 3


def test_the_history_of_mark_index_and_premium_is_kept_by_the_second(market):
    history = market.exchange.marks["BTCUSDC"].history = PriceHistory()
    for second in range(120):
        history.add(START_MS + second * 1000, 64_000_00000000 + second, 63_990_00000000, -5 + second)
    rows = ask(market, "v1/markPriceKlines", **SYMBOL, interval="1m")
    assert rows[0][1:5] == ["64000.00000000", rows[0][2], "64000.00000000", rows[0][4]]
    assert sum(row[8] for row in rows) == 120
    assert rows[0][5] == rows[0][7] == rows[0][9] == "0"
    (index,) = {tuple(row[1:5]) for row in ask(market, "v1/indexPriceKlines", pair="BTCUSDC", interval="1m")}
    assert index == ("63990.00000000",) * 4
    assert ask(market, "v1/premiumIndexKlines", **SYMBOL, interval="1m")[0][1] == "-0.00000005"
    assert code(market, "v1/markPriceKlines", **SYMBOL, interval="1s") == -1120
    assert code(market, "v1/indexPriceKlines", pair="NOPE", interval="1m") == -4144


def test_funding_rates_are_selected_by_symbol_and_time(market):
    for number, symbol in enumerate(("BTCUSDC", "ETHUSDC", "BTCUSDC")):
        market.exchange.funding.settle(market.exchange.contracts[symbol], 0.0001, 10**8, START_MS + number)
    times = [row["fundingTime"] - START_MS for row in ask(market, "v1/fundingRate")]
    assert times == [0, 1, 2]
    assert [row["fundingTime"] - START_MS for row in ask(market, "v1/fundingRate", **SYMBOL)] == [0, 2]
    assert [row["fundingTime"] - START_MS for row in ask(market, "v1/fundingRate", limit="1")] == [2]
    assert [row["fundingTime"] - START_MS for row in ask(market, "v1/fundingRate", startTime=START_MS, limit="1")] == [
        0
    ]
    assert ask(market, "v1/fundingRate", startTime=START_MS + 1, endTime=START_MS + 1)[0]["symbol"] == "ETHUSDC"


def test_open_interest_is_the_larger_side_of_the_accounts(market):
    assert ask(market, "v1/openInterest", **SYMBOL)["openInterest"] == "0.000"
    market.market("BUY", "0.030")
    market.market("SELL", "0.020", market.rival)
    assert ask(market, "v1/openInterest", **SYMBOL)["openInterest"] == "0.030"
    market.market("SELL", "0.020", market.rival)
    assert ask(market, "v1/openInterest", **SYMBOL)["openInterest"] == "0.040"


def test_a_day_begins_with_the_first_trade(market):
    row = ask(market, "v1/ticker/24hr", **SYMBOL)
    assert (row["openPrice"], row["lastPrice"], row["highPrice"], row["lowPrice"]) == (
        "64000.1",
        "64006.0",
        "64006.0",
        "64000.1",
    )
    assert (row["priceChange"], row["priceChangePercent"], row["count"], row["volume"]) == ("5.9", "0.009", 60, "1.830")
    assert (row["firstId"], row["lastId"], row["lastQty"]) == (1, 60, "0.060")
    silent = ask(market, "v1/ticker/24hr", symbol="ETHUSDC")
    assert (silent["count"], silent["firstId"], silent["volume"], silent["lastPrice"]) == (0, -1, "0.000", "3000.00")
    assert len(ask(market, "v1/ticker/24hr")) == 2


def test_prices_come_singly_or_for_all(market):
    for path in ("v1/ticker/price", "v2/ticker/price", "v1/ticker/bookTicker", "v1/premiumIndex", "v1/symbolAdlRisk"):
        every, one = ask(market, path), ask(market, path, symbol="ETHUSDC")
        assert [row["symbol"] for row in every] == ["BTCUSDC", "ETHUSDC"]
        assert one["symbol"] == "ETHUSDC"
        assert code(market, path, symbol="NOPE") == -1121
    assert code(market, "v1/assetIndex", symbol="BTCUSD") == -1121
    assert [row["symbol"] for row in ask(market, "v1/assetIndex")] == ["USDCUSD"]
