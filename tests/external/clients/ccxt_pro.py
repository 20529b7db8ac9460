"""ccxt, REST and pro, unmodified but for its base URLs."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ccxt.pro
from judging import Judge, arguments, expect, until

judge = Judge()


class Venue:
    """The client and what the steps share."""

    def __init__(self, said: dict):
        self.said = said
        self.symbol = said["symbol"].removesuffix("USDC") + "/USDC:USDC"
        self.client = self.made(said["secret"])

    def made(self, secret: str):
        said = self.said
        client = ccxt.pro.binanceusdm(
            {
                "apiKey": said["key"],
                "secret": secret,
                "options": {
                    "fetchCurrencies": False,
                    "fetchMarkets": {"types": ["linear"]},
                    "warnOnFetchOpenOrdersWithoutSymbol": False,
                },
            }
        )
        for name, url in client.urls["api"].items():
            if isinstance(url, str):
                client.urls["api"][name] = said["rest"] + "/" + url.split("/", 3)[3]
        client.urls["api"]["ws"] = {
            "linear": said["ws"] + "/ws",
            "future": said["ws"] + "/ws",
            "ws-api": {"linear": said["ws"] + "/ws-fapi/v1", "future": said["ws"] + "/ws-fapi/v1"},
        }
        return client

    async def far_bid(self, share: float = 0.98) -> float:
        ticker = await self.client.fetch_bids_asks([self.symbol])
        return float(self.client.price_to_precision(self.symbol, ticker[self.symbol]["bid"] * share))


async def refusal(awaitable) -> tuple[str, str]:
    """Return (name of the typed exception, its text) of a call that must be refused."""
    try:
        found = await awaitable
    except ccxt.pro.BaseError as error:
        return type(error).__name__, str(error)
    raise AssertionError(f"expected a refusal, found {found}")


@judge.step
async def load_markets(venue):
    markets = await venue.client.load_markets()
    expect(venue.symbol in markets and markets[venue.symbol]["linear"], list(markets)[:10])
    return markets[venue.symbol]["precision"]


@judge.step
async def market_data_by_rest(venue):
    client, symbol = venue.client, venue.symbol
    await client.fetch_time()
    expect((await client.fetch_ticker(symbol))["last"] > 0, "a last price")
    expect(len((await client.fetch_order_book(symbol, 20))["bids"]) == 20, "20 levels")
    expect(await client.fetch_trades(symbol, limit=5), "trades")
    expect(await client.fetch_ohlcv(symbol, "1m", limit=3), "candles")
    expect((await client.fetch_funding_rate(symbol))["markPrice"] > 0, "a mark price")
    await client.fetch_funding_rate_history(symbol)
    await client.fetch_open_interest(symbol)
    await client.fetch_leverage_tiers([symbol])


@judge.step
async def a_book_kept_from_the_stream(venue):
    for _ in range(15):
        book = await venue.client.watch_order_book(venue.symbol)
        expect(book["bids"][0][0] < book["asks"][0][0], (book["bids"][0], book["asks"][0]))
    return book["bids"][0], book["asks"][0], book["nonce"]


@judge.step
async def every_market_stream(venue):
    client, symbol = venue.client, venue.symbol
    expect((await client.watch_bids_asks([symbol])), "bookTicker")
    expect((await client.watch_trades(symbol)), "trades")
    expect((await client.watch_ticker(symbol))["last"] > 0, "24 h ticker")
    expect((await client.watch_mark_price(symbol)), "mark price")
    expect((await client.watch_ohlcv(symbol, "1m")), "candles")


@judge.step
async def place_modify_cancel_by_rest(venue):
    client, symbol = venue.client, venue.symbol
    price = await venue.far_bid()
    order = await client.create_order(symbol, "limit", "buy", 0.01, price, {"clientOrderId": "judge-ccxt-1"})
    expect(order["clientOrderId"] == "judge-ccxt-1", order)
    changed = await client.edit_order(order["id"], symbol, "limit", "buy", 0.02, price - 1)
    expect(changed["amount"] == 0.02, changed)
    asked = await client.fetch_order(order["id"], symbol)
    expect(asked["status"] == "open" and asked["price"] == price - 1, asked)
    expect([o["id"] for o in await client.fetch_open_orders(symbol)] == [order["id"]], "one open order")
    await client.cancel_order(order["id"], symbol)
    expect((await client.fetch_order(order["id"], symbol))["status"] == "canceled", "canceled")


@judge.step
async def orders_by_the_websocket_api(venue):
    client, symbol = venue.client, venue.symbol
    price = await venue.far_bid()
    order = await client.create_order_ws(symbol, "limit", "buy", 0.01, price)
    expect(order["status"] == "open", order)
    changed = await client.edit_order_ws(order["id"], symbol, "limit", "buy", 0.02, price - 1)
    expect(changed["amount"] == 0.02, changed)
    gone = await client.cancel_order_ws(order["id"], symbol)
    expect(gone["status"] == "canceled", gone)
    expect((await client.fetch_balance_ws())["USDC"]["total"] > 0, "a balance")
    await client.fetch_positions_ws([symbol])


@judge.step
async def a_fill_on_the_user_stream(venue):
    client, symbol = venue.client, venue.symbol
    orders, trades, balances = [], [], []

    async def follow(watching, into):
        while True:
            into.append(await watching())

    tasks = [
        asyncio.create_task(follow(lambda: client.watch_orders(symbol), orders)),
        asyncio.create_task(follow(lambda: client.watch_my_trades(symbol), trades)),
        asyncio.create_task(follow(client.watch_balance, balances)),
    ]
    await asyncio.sleep(1.5)
    placed = await client.create_order(symbol, "market", "buy", 0.01)
    try:
        await until(lambda: orders and trades, "order and trade")
        await until(lambda: balances, "balance")
    finally:
        for task in tasks:
            task.cancel()
    expect(
        any(order["id"] == placed["id"] and order["status"] == "closed" for rows in orders for order in rows), orders
    )
    expect(sum(trade["amount"] for trade in trades[-1] if trade["order"] == placed["id"]) == 0.01, trades[-1])


@judge.step
async def position_and_balance(venue):
    client, symbol = venue.client, venue.symbol
    positions = await client.fetch_positions([symbol])
    expect(positions and positions[0]["contracts"] == 0.01 and positions[0]["side"] == "long", positions)
    expect((await client.fetch_balance())["USDC"]["total"] > 0, "a balance")
    expect(len(await client.fetch_my_trades(symbol)) >= 1, "a trade")
    await client.fetch_trading_fee(symbol)
    await client.fetch_position_mode(symbol)
    await client.set_leverage(9, symbol)
    expect(await client.fetch_ledger("USDC") is not None, "income")


@judge.step
async def batch_orders(venue):
    client, symbol = venue.client, venue.symbol
    price = await venue.far_bid()
    wanted = [{"symbol": symbol, "type": "limit", "side": "buy", "amount": 0.01, "price": price - n} for n in range(3)]
    placed = await client.create_orders(wanted)
    expect(len(placed) == 3 and all(order["id"] for order in placed), placed)
    gone = await client.cancel_orders([order["id"] for order in placed], symbol)
    expect([order["status"] for order in gone] == ["canceled"] * 3, gone)


@judge.step
async def countdown_cancels_everything(venue):
    client, symbol = venue.client, venue.symbol
    await client.create_order(symbol, "limit", "buy", 0.01, await venue.far_bid())
    await client.fapiPrivatePostCountdownCancelAll({"symbol": venue.said["symbol"], "countdownTime": 300})
    for _ in range(100):
        if not await client.fetch_open_orders(symbol):
            break
        await asyncio.sleep(0.05)
    expect(not await client.fetch_open_orders(symbol), "no open order")


@judge.step
async def errors_are_typed(venue):
    client, symbol = venue.client, venue.symbol
    price = await venue.far_bid()
    found = {
        "absent order": await refusal(client.cancel_order("1", symbol)),
        "poor": await refusal(client.create_order(symbol, "limit", "buy", 500, price)),
        "post-only": await refusal(client.create_order(symbol, "limit", "buy", 0.01, price * 1.03, {"postOnly": True})),
        "wrong secret": await refusal(venue_balance(venue)),
    }
    expect(found["absent order"][0] == "OrderNotFound" and "-2011" in found["absent order"][1], found)
    # Behind other addresses than the venue's own, ccxt maps only the codes that all its markets share.
    expect("-2019" in found["poor"][1] and "-5022" in found["post-only"][1], found)
    expect(found["wrong secret"][0] == "AuthenticationError" and "-1022" in found["wrong secret"][1], found)


async def venue_balance(venue):
    client = venue.made("wrong")
    try:
        return await client.fetch_balance()
    finally:
        await client.close()


@judge.step
async def leave_nothing_behind(venue):
    client, symbol = venue.client, venue.symbol
    for position in await client.fetch_positions([symbol]):
        side = "sell" if position["side"] == "long" else "buy"
        await client.create_order(symbol, "market", side, position["contracts"], None, {"reduceOnly": True})
    await client.cancel_all_orders(symbol)
    expect(not await client.fetch_open_orders(symbol), "no open order")
    await client.close()


if __name__ == "__main__":
    asyncio.run(judge.run(Venue(arguments())))
