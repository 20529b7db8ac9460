"""pybotters, unmodified but for the host it signs requests to: its data stores fill from REST and streams."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pybotters
from judging import Judge, arguments, expect, until
from pybotters.auth import Auth, Hosts, Item

judge = Judge()


class Venue:
    """The client, its store, and what the steps share. One pool of connections serves REST and WebSockets."""

    def __init__(self, said: dict):
        self.said, self.symbol, self.small = said, said["symbol"], said["symbol"].lower()
        Hosts.items["127.0.0.1"] = Item("binance", Auth.binance)

    async def open(self):
        said = self.said
        self.client = pybotters.Client(apis={"binance": [said["key"], said["secret"]]}, base_url=said["rest"])
        self.store = pybotters.BinanceUSDSMDataStore()

    async def listen(self, path: str, *streams: str):
        request = {"method": "SUBSCRIBE", "params": list(streams), "id": 1} if streams else None
        url = self.said["rest"].replace("http", "ws", 1) + path  # the port of REST: connections may be used again
        opened = self.client.ws_connect(url, send_json=request, hdlr_json=self.store.onmessage)
        return await asyncio.wait_for(opened, 10)

    async def ask(self, method: str, path: str, **params):
        where = {"data": params} if method in ("POST", "PUT") else {"params": params}
        return (await self.client.fetch(method, path, **where)).data

    def bid(self, share: float = 0.97) -> str:
        return f"{float(self.store.bookticker.find()[0]['b']) * share:.1f}"


@judge.step
async def stores_fill_from_rest(venue):
    await venue.open()
    client, store, symbol = venue.client, venue.store, {"symbol": venue.symbol}
    await store.initialize(
        client.post("/fapi/v1/listenKey"),
        client.get("/fapi/v2/balance"),
        client.get("/fapi/v2/positionRisk"),
        client.get("/fapi/v1/openOrders"),
        client.get("/fapi/v1/indexInfo"),
        client.get("/fapi/v1/klines", params=symbol | {"interval": "1m"}),
    )
    expect(len(store.listenkey) == 64, store.listenkey)
    expect(store.balance.find() and store.position.find({"s": venue.symbol}), "rows")
    expect(store.kline.find({"s": venue.symbol}), "candles")


@judge.step
async def stores_fill_from_streams(venue):
    store, s = venue.store, venue.small
    await venue.listen("/public/ws", f"{s}@bookTicker", f"{s}@depth@100ms")
    kinds = ("aggTrade", "markPrice@1s", "kline_1m", "miniTicker")
    await venue.listen("/market/stream", *(f"{s}@{kind}" for kind in kinds), f"{s}_perpetual@continuousKline_1s")
    await store.initialize(venue.client.get("/fapi/v1/depth", params={"symbol": venue.symbol, "limit": 1000}))
    names = ("bookticker", "trade", "markprice", "ticker", "continuouskline")
    await until(lambda: all(len(getattr(store, name)) for name in names), "every store")
    book = store.orderbook.sorted({"s": venue.symbol})
    expect(len(book["a"]) > 100 and float(book["b"][0]["p"]) < float(book["a"][0]["p"]), book["b"][:2])


@judge.step
async def orders_and_positions(venue):
    store = venue.store
    await venue.listen(f"/private/ws?listenKey={store.listenkey}")
    wanted = {"symbol": venue.symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    order = await venue.ask("POST", "/fapi/v1/order", **wanted, price=venue.bid())
    number = {"symbol": venue.symbol, "orderId": order["orderId"]}
    await until(lambda: store.order.find({"i": order["orderId"]}), "the order in the store")
    change = {"side": "BUY", "quantity": "0.02", "price": venue.bid(0.96)}
    expect((await venue.ask("PUT", "/fapi/v1/order", **number, **change))["origQty"] == "0.020", "0.020")
    await until(lambda: store.order.find({"i": order["orderId"]})[0]["q"] == "0.02", "the change")
    expect((await venue.ask("DELETE", "/fapi/v1/order", **number))["status"] == "CANCELED", "CANCELED")
    await until(lambda: not store.order.find({"i": order["orderId"]}), "it is gone")
    held = lambda: sum(float(row["pa"]) for row in store.position.find({"s": venue.symbol}) if "pa" in row)  # noqa: E731
    before = held()
    market = {"symbol": venue.symbol, "type": "MARKET", "quantity": "0.01"}
    await venue.ask("POST", "/fapi/v1/order", side="BUY", **market)
    await until(lambda: abs(held() - before - 0.01) < 1e-9, "the position")
    await venue.ask("POST", "/fapi/v1/order", side="SELL", reduceOnly="true", **market)
    await until(lambda: abs(held() - before) < 1e-9, "it is closed")


@judge.step
async def leave_nothing_behind(venue):
    await venue.ask("DELETE", "/fapi/v1/allOpenOrders", symbol=venue.symbol)
    expect(await venue.ask("GET", "/fapi/v1/openOrders", symbol=venue.symbol) == [], "no open order")
    await venue.client.close()


if __name__ == "__main__":
    asyncio.run(judge.run(Venue(arguments())))
