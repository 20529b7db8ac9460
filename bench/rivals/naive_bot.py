"""The usual market-making bot: asyncio, a WebSocket client, json, one signed order request at a time.

Quotes one bid and one ask at a fixed distance, and replaces both when the mid has moved. It speaks to the same
simulated venue over the same kind of connections as phx: bookTicker in, WS-API orders out.

usage: naive_bot.py SYMBOL STREAM_URL WS_API_URL KEY_FILE SECONDS TICK QTY
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import sys
import time

import aiohttp

DISTANCE = 0.0006  # of the mid
MOVE = 0.000005


class Bot:
    def __init__(self, symbol, key, tick, qty):
        self.symbol, self.tick, self.qty = symbol, tick, qty
        self.api_key, self.secret = key["api_key"], key["secret"].encode()
        self.ids = itertools.count(int(time.time()) % 10**6 * 1000)
        self.quoted_mid = 0.0
        self.open = {}

    def request(self, method, **params):
        params |= {"apiKey": self.api_key, "symbol": self.symbol, "timestamp": int(time.time() * 1000)}
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()
        return json.dumps({"id": next(self.ids), "method": method, "params": params})

    async def on_tick(self, message, orders):
        data = json.loads(message)["data"]
        mid = (float(data["b"]) + float(data["a"])) / 2
        if abs(mid - self.quoted_mid) < MOVE * mid:
            return
        self.quoted_mid = mid
        for client_id in self.open.values():
            await orders.send_str(self.request("order.cancel", origClientOrderId=client_id))
        self.open = {}
        for side, sign in (("BUY", -1), ("SELL", 1)):
            price = round(mid * (1 + sign * DISTANCE) / self.tick) * self.tick
            client_id = f"naive-{next(self.ids)}"
            self.open[side] = client_id
            await orders.send_str(
                self.request(
                    "order.place",
                    newClientOrderId=client_id,
                    side=side,
                    type="LIMIT",
                    timeInForce="GTX",
                    quantity=self.qty,
                    price=f"{price:.1f}",
                )
            )


async def main(symbol, stream_url, ws_api_url, key_file, seconds, tick, qty):
    with open(key_file) as file:
        bot = Bot(symbol, json.load(file), float(tick), qty)
    async with aiohttp.ClientSession() as session:
        market = await session.ws_connect(f"{stream_url}/public/stream?streams={symbol.lower()}@bookTicker")
        orders = await session.ws_connect(ws_api_url)

        async def read_replies():
            async for message in orders:
                json.loads(message.data)

        async def quote():
            async for message in market:
                await bot.on_tick(message.data, orders)

        tasks = [asyncio.create_task(read_replies()), asyncio.create_task(quote())]
        await asyncio.wait(tasks, timeout=float(seconds), return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await market.close()
        await orders.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
