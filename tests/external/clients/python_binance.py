"""python-binance, asynchronous, unmodified but for its base URLs."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from binance import AsyncClient, BinanceSocketManager
from binance.exceptions import BinanceAPIException
from judging import Judge, arguments, expect

judge = Judge()


class Venue:
    """The client and what the steps share."""

    def __init__(self, said: dict):
        self.said, self.symbol = said, said["symbol"]

    async def open(self):
        said = self.said
        AsyncClient.FUTURES_URL = said["rest"] + "/fapi"
        AsyncClient.WS_FUTURES_URL = said["ws"] + "/ws-fapi/v1"
        BinanceSocketManager.FSTREAM_URL = said["ws"] + "/"
        self.client = AsyncClient(said["key"], said["secret"])
        self.sockets = BinanceSocketManager(self.client)

    async def far_bid(self, share: float = 0.97) -> str:
        ticker = await self.client.futures_orderbook_ticker(symbol=self.symbol)
        return f"{float(ticker['bidPrice']) * share:.1f}"

    async def place(self, **wanted):
        wanted = {
            "symbol": self.symbol,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01",
        } | wanted
        return await self.client.futures_create_order(**{k: v for k, v in wanted.items() if v is not None})


@judge.step
async def market_data_by_rest(venue):
    await venue.open()
    client, symbol = venue.client, venue.symbol
    await client.futures_ping()
    expect(any(row["symbol"] == symbol for row in (await client.futures_exchange_info())["symbols"]), "the symbol")
    expect(len((await client.futures_order_book(symbol=symbol, limit=10))["asks"]) == 10, "ten levels")
    for call in (
        client.futures_recent_trades,
        client.futures_aggregate_trades,
        client.futures_mark_price,
        client.futures_ticker,
        client.futures_symbol_ticker,
        client.futures_open_interest,
        client.futures_funding_rate,
    ):
        expect(await call(symbol=symbol) is not None, call)
    expect(await client.futures_klines(symbol=symbol, interval="1m"), "candles")


@judge.step
async def market_streams(venue):
    symbol, heard = venue.symbol.lower(), {}
    for route, streams in (
        ("public", [f"{symbol}@bookTicker", f"{symbol}@depth@100ms"]),
        ("market", [f"{symbol}@aggTrade", f"{symbol}@markPrice@1s", f"{symbol}@kline_1m"]),
    ):
        async with venue.sockets.futures_multiplex_socket(streams, category=route) as socket:
            for _ in range(200):
                message = await asyncio.wait_for(socket.recv(), 10)
                heard[message["stream"]] = message["data"]
                if set(streams) <= set(heard):
                    break
            expect(set(streams) <= set(heard), (route, sorted(heard)))


@judge.step
async def order_life_and_user_stream(venue):
    client, symbol = venue.client, venue.symbol
    async with venue.sockets.futures_user_socket() as socket:
        await asyncio.sleep(0.5)
        order = await venue.place(price=await venue.far_bid(), newClientOrderId="judge-pb-1")
        await client.futures_modify_order(
            symbol=symbol, orderId=order["orderId"], side="BUY", quantity="0.02", price=await venue.far_bid(0.96)
        )
        expect((await client.futures_get_order(symbol=symbol, orderId=order["orderId"]))["status"] == "NEW", "NEW")
        await client.futures_cancel_order(symbol=symbol, orderId=order["orderId"])
        await venue.place(type="MARKET", timeInForce=None)
        kinds = []
        while "ACCOUNT_UPDATE" not in kinds:
            kinds.append((await asyncio.wait_for(socket.recv(), 10))["e"])
    expect(kinds[:3] == ["ORDER_TRADE_UPDATE"] * 3 and "TRADE_LITE" in kinds, kinds)
    return kinds


@judge.step
async def orders_by_the_websocket_api(venue):
    client, symbol = venue.client, venue.symbol
    order = await client.ws_futures_create_order(
        symbol=symbol, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.01", price=await venue.far_bid()
    )
    expect(order["status"] == "NEW", order)
    gone = await client.ws_futures_cancel_order(symbol=symbol, orderId=order["orderId"])
    expect(gone["status"] == "CANCELED", gone)
    expect(await client.ws_futures_account_balance(), "a balance")
    expect(await client.ws_futures_get_order_book(symbol=symbol), "a book")


@judge.step
async def account(venue):
    client, symbol = venue.client, venue.symbol
    expect(float((await client.futures_account())["totalWalletBalance"]) > 0, "a wallet")
    expect(await client.futures_account_balance(), "a balance")
    rows = await client.futures_position_information(symbol=symbol)
    expect(any(float(row["positionAmt"]) > 0 for row in rows), rows)
    for call in (
        client.futures_account_trades,
        client.futures_income_history,
        client.futures_leverage_bracket,
        client.futures_commission_rate,
        client.futures_get_all_orders,
    ):
        expect(await call(symbol=symbol) is not None, call)
    expect((await client.futures_change_leverage(symbol=symbol, leverage=8))["leverage"] == 8, "leverage")
    expect((await client.futures_get_position_mode())["dualSidePosition"] is False, "one-way")


@judge.step
async def errors_are_typed(venue):
    client, symbol = venue.client, venue.symbol
    cases = [
        (-2011, client.futures_cancel_order(symbol=symbol, orderId=1)),
        (-1121, client.futures_order_book(symbol="NOPE")),
    ]
    for code, awaitable in cases:
        try:
            found = await awaitable
        except BinanceAPIException as error:
            expect(error.code == code and error.status_code == 400, error)
        else:
            raise AssertionError(f"expected {code}, found {found}")


@judge.step
async def leave_nothing_behind(venue):
    client, symbol = venue.client, venue.symbol
    for row in await client.futures_position_information(symbol=symbol):
        if held := float(row["positionAmt"]):
            await venue.place(
                side="SELL" if held > 0 else "BUY",
                type="MARKET",
                timeInForce=None,
                quantity=f"{abs(held):.3f}",
                reduceOnly="true",
            )
    await client.futures_cancel_all_open_orders(symbol=symbol)
    expect(await client.futures_get_open_orders(symbol=symbol) == [], "no open order")
    await client.close_connection()


if __name__ == "__main__":
    asyncio.run(judge.run(Venue(arguments())))
