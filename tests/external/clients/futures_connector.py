"""The venue's older connector, binance-futures-connector: threads, requests and websocket-client."""

import asyncio
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from binance.error import ClientError
from binance.um_futures import UMFutures
from binance.websocket.um_futures.websocket_client import UMFuturesWebsocketClient
from judging import Judge, LocalBook, arguments, expect, until

judge = Judge()


class Venue:
    """The client and what the steps share."""

    def __init__(self, said: dict):
        self.said, self.symbol = said, said["symbol"]
        self.rest = UMFutures(said["key"], said["secret"], base_url=said["rest"], show_limit_usage=True)
        self.heard = []

    def ask(self, call, *args, **kwargs):
        """Return a call's data without the limits that come with it."""
        return call(*args, **kwargs)["data"]

    def listen(self, route: str, combined: bool = False) -> UMFuturesWebsocketClient:
        return UMFuturesWebsocketClient(
            stream_url=self.said["ws"] + route,
            on_message=lambda _, text: self.heard.append(json.loads(text)),
            is_combined=combined,
        )

    def far_bid(self, share: float = 0.97) -> str:
        return f"{float(self.ask(self.rest.book_ticker, self.symbol)['bidPrice']) * share:.1f}"

    def place(self, **wanted):
        wanted = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"} | wanted
        return self.ask(self.rest.new_order, symbol=self.symbol, **wanted)


@judge.step
def market_data_by_rest(venue):
    rest, symbol = venue.rest, venue.symbol
    rest.ping()
    expect(any(row["symbol"] == symbol for row in venue.ask(rest.exchange_info)["symbols"]), "the symbol")
    found = rest.depth(symbol, limit=50)
    expect(len(found["data"]["bids"]) == 50, found)
    expect(int(found["limit_usage"]["x-mbx-used-weight-1m"]) > 0, found["limit_usage"])
    for call in (
        rest.trades,
        rest.agg_trades,
        rest.mark_price,
        rest.ticker_price,
        rest.ticker_24hr_price_change,
        rest.open_interest,
        rest.funding_rate,
    ):
        expect(venue.ask(call, symbol=symbol) is not None, call)
    expect(len(venue.ask(rest.klines, symbol, "1m")[-1]) == 12, "twelve columns of a candle")
    venue.ask(rest.mark_price_klines, symbol, "1m")
    venue.ask(rest.continuous_klines, symbol, "PERPETUAL", "1m")


@judge.step
async def a_local_book_from_stream_and_snapshot(venue):
    venue.heard.clear()
    stream = venue.listen("/public")
    stream.diff_book_depth(venue.symbol, speed=100)
    book = LocalBook()
    await until(lambda: len([m for m in venue.heard if m.get("e") == "depthUpdate"]) >= 3, "three diffs")
    book.begin(venue.ask(venue.rest.depth, venue.symbol, limit=1000))
    await asyncio.sleep(2)
    stream.stop()
    for message in list(venue.heard):
        if message.get("e") == "depthUpdate":
            book.add(message)
    expect(book.gaps == 0 and book.applied >= 10, (book.gaps, book.applied))


@judge.step
async def combined_streams(venue):
    venue.heard.clear()
    public, market = venue.listen("/public", combined=True), venue.listen("/market", combined=True)
    symbol = venue.symbol.lower()
    public.subscribe([f"{symbol}@bookTicker", f"{symbol}@depth5@100ms"])
    market.subscribe([f"{symbol}@aggTrade", f"{symbol}@markPrice@1s", f"{symbol}@kline_1m", "!miniTicker@arr"])
    wanted = {
        f"{symbol}@bookTicker",
        f"{symbol}@depth5@100ms",
        f"{symbol}@aggTrade",
        f"{symbol}@markPrice@1s",
        f"{symbol}@kline_1m",
        "!miniTicker@arr",
    }
    try:
        await until(lambda: wanted <= {m.get("stream") for m in venue.heard}, f"all of {wanted}", 20)
    finally:
        public.stop()
        market.stop()


@judge.step
async def order_life_and_user_stream(venue):
    venue.heard.clear()
    rest = venue.rest
    key = venue.ask(rest.new_listen_key)["listenKey"]
    stream = venue.listen("/private")
    stream.user_data(listen_key=key)
    await asyncio.sleep(1)
    order = venue.place(price=venue.far_bid(), newClientOrderId="judge-connector-1")
    changed = venue.ask(
        rest.modify_order,
        symbol=venue.symbol,
        side="BUY",
        quantity="0.02",
        price=venue.far_bid(0.96),
        orderId=order["orderId"],
    )
    expect(changed["origQty"].rstrip("0") == "0.02", changed)
    expect(venue.ask(rest.query_order, venue.symbol, orderId=order["orderId"])["status"] == "NEW", "NEW")
    expect(venue.ask(rest.get_orders, symbol=venue.symbol), "an open order")
    expect(venue.ask(rest.cancel_order, venue.symbol, orderId=order["orderId"])["status"] == "CANCELED", "CANCELED")
    venue.place(type="MARKET", timeInForce=None, newClientOrderId="judge-connector-2")
    kinds = lambda: [m.get("e") for m in venue.heard]  # noqa: E731
    await until(lambda: {"ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE", "TRADE_LITE"} <= set(kinds()), "the fill's events")
    stream.stop()
    rest.renew_listen_key(key)
    rest.close_listen_key(key)
    return kinds()


@judge.step
def account(venue):
    rest, symbol = venue.rest, venue.symbol
    expect(float(venue.ask(rest.account)["totalWalletBalance"]) > 0, "a wallet")
    expect(any(float(row["balance"]) > 0 for row in venue.ask(rest.balance)), "a balance")
    rows = venue.ask(rest.get_position_risk, symbol=symbol)
    expect(any(float(row["positionAmt"]) > 0 for row in rows), rows)
    expect(venue.ask(rest.get_account_trades, symbol=symbol), "a trade")
    expect(venue.ask(rest.get_all_orders, symbol=symbol), "orders")
    for call in (rest.get_income_history, rest.commission_rate, rest.leverage_brackets):
        expect(venue.ask(call, symbol=symbol) is not None, call)
    expect(venue.ask(rest.get_position_mode) == {"dualSidePosition": False}, "one-way")
    expect(venue.ask(rest.change_leverage, symbol=symbol, leverage=11)["leverage"] == 11, "leverage")


@judge.step
def batches_and_countdown(venue):
    rows = [
        {
            "symbol": venue.symbol,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01",
            "price": venue.far_bid(0.97 - n / 1000),
        }
        for n in range(2)
    ]
    placed = venue.ask(venue.rest.new_batch_order, rows)
    expect(len(placed) == 2 and all("orderId" in row for row in placed), placed)
    gone = venue.ask(venue.rest.cancel_batch_order, venue.symbol, [row["orderId"] for row in placed], [])
    expect([row["status"] for row in gone] == ["CANCELED"] * 2, gone)
    venue.place(price=venue.far_bid())
    venue.ask(venue.rest.countdown_cancel_order, symbol=venue.symbol, countdownTime=200)
    time.sleep(1)
    expect(venue.ask(venue.rest.get_orders, symbol=venue.symbol) == [], "no open order")


@judge.step
def errors_are_typed(venue):
    cases = [
        (-2011, lambda: venue.rest.cancel_order(venue.symbol, orderId=1)),
        (-1121, lambda: venue.rest.depth("NOPE")),
        (-1111, lambda: venue.place(price=venue.far_bid(), quantity="0.00001234")),
    ]
    for code, call in cases:
        try:
            found = call()
        except ClientError as error:
            expect(error.status_code == 400 and error.error_code == code, error)
        else:
            raise AssertionError(f"expected {code}, found {found}")


@judge.step
def leave_nothing_behind(venue):
    for row in venue.ask(venue.rest.get_position_risk, symbol=venue.symbol):
        if held := float(row["positionAmt"]):
            venue.place(
                side="SELL" if held > 0 else "BUY",
                type="MARKET",
                timeInForce=None,
                quantity=f"{abs(held):.3f}",
                reduceOnly="true",
            )
    venue.ask(venue.rest.cancel_open_orders, venue.symbol)
    expect(venue.ask(venue.rest.get_orders, symbol=venue.symbol) == [], "no open order")


if __name__ == "__main__":
    asyncio.run(judge.run(Venue(arguments())))
