#!/usr/bin/env python3
"""How many symbols, clients and orders the simulated venue carries on this host before it falls behind the market.

    bench/bench_sim_scale.py [--symbols 50] [--clients 20] [--orders 500] [--seconds 15]

The venue runs as a process of its own; this process is all clients. Each has a market connection with up to three
symbols (bookTicker, depth@100ms, trade, as many makers have) and a WS-API connection on which it places post-only
orders away from the market and cancels them. The market's lag is what the venue says ten times a second: how long ago
the oldest thing that has not happened yet should have. A venue that falls behind shows one that grows. The way to a
client is receipt minus the time printed (bookTicker's `T`, whole ms) and includes this process's own queue. Processor
time is that of the venue alone, 100 % = one core.
"""

import argparse
import asyncio
import hashlib
import hmac
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import picows

ROOT = Path(__file__).resolve().parents[1]
KNOWN = ["BTCUSDC", "ETHUSDC", "SOLUSDC", "XRPUSDC", "DOGEUSDC", "BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT"]
STREAMS = ("bookTicker", "depth@100ms", "trade")
WARM_UP_S = 3.0


class Market(picows.WSListener):
    """Counts what comes and how old it is."""

    def __init__(self, found):
        self.found = found

    def on_ws_frame(self, transport, frame):
        payload = frame.get_payload_as_bytes()
        self.found.frames += 1
        self.found.bytes += len(payload)
        at = payload.find(b'"T":')
        if at > 0 and b"bookTicker" in payload:
            self.found.ways_ms.append(time.time_ns() / 1e6 - int(payload[at + 4 : at + 17]))


class Orders(picows.WSListener):
    """Places and cancels, one after the other, without waiting for the answers."""

    def __init__(self, found, key: tuple[str, str], symbols: list[str], prices: dict[str, str], qty: dict[str, str]):
        self.found, self.key, self.symbols, self.prices, self.qty = found, key, symbols, prices, qty
        self.sent_ns: dict[int, int] = {}
        self.numbers = itertools.count(1)
        self.open: list[tuple[str, str]] = []

    def joined(self) -> "Orders":
        return self

    def on_ws_connected(self, transport):
        self.transport = transport

    def request(self) -> None:
        number = next(self.numbers)
        if len(self.open) >= 10:
            symbol, name = self.open.pop(0)
            method, params = "order.cancel", {"symbol": symbol, "origClientOrderId": name}
        else:
            symbol = self.symbols[number % len(self.symbols)]
            name = f"b{number}"
            self.open.append((symbol, name))
            method = "order.place"
            params = {"symbol": symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "newClientOrderId": name}
            params |= {"quantity": self.qty[symbol], "price": self.prices[symbol]}
        params |= {"apiKey": self.key[0], "timestamp": time.time_ns() // 1_000_000}
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = hmac.new(self.key[1].encode(), text.encode(), hashlib.sha256).hexdigest()
        self.sent_ns[number] = time.monotonic_ns()
        body = json.dumps({"id": number, "method": method, "params": params}).encode()
        self.transport.send(picows.WSMsgType.TEXT, body)

    def on_ws_frame(self, transport, frame):
        payload = frame.get_payload_as_bytes()
        at = payload.find(b'"id":') + 5
        number = int(payload[at : payload.index(b",", at)])
        self.found.answers_ms.append((time.monotonic_ns() - self.sent_ns.pop(number)) / 1e6)
        self.found.refused += b'"status":200' not in payload


class Found:
    """What was measured since the last clear()."""

    def __init__(self):
        self.clear()

    def clear(self) -> None:
        self.frames = self.bytes = self.refused = 0
        self.lags_ms: list[float] = []
        self.ways_ms: list[float] = []
        self.answers_ms: list[float] = []


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantiles(values: list[float]) -> str:
    if not values:
        return "none"
    cut = statistics.quantiles(values, n=1000) if len(values) > 1 else values * 999
    return f"p50 {cut[499]:.2f}  p99 {cut[989]:.2f}  max {max(values):.2f} ms"


def start(symbols: list[str], clients: int) -> tuple[subprocess.Popen, int, list[tuple[str, str]]]:
    """Start the venue; return it, its port and one key for each client."""
    command = [sys.executable, "-m", "phx", "sim", "--port", "0", "--accounts", str(clients), "--no-rate-limits"]
    venue = subprocess.Popen([*command, "--symbols", *symbols], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    port, keys, secrets = 0, [], []
    for line in venue.stdout:
        word, _, value = line.strip().partition("  ")
        if word == "REST":
            port = int(value.rpartition(":")[2])
        elif word == "API key":
            keys.append(value.strip())
        elif word == "secret":
            secrets.append(value.strip())
        elif word.startswith("Ctrl-C"):
            return venue, port, list(zip(keys, secrets, strict=True))
    raise SystemExit("the venue did not start")


def ask(port: int, path: str):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.loads(answer.read())


def safe_orders(port: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return a price 2 % below the market and a quantity worth some 100 quote, by symbol."""
    tops = {row["symbol"]: float(row["bidPrice"]) for row in ask(port, "/fapi/v1/ticker/bookTicker")}
    prices, quantities = {}, {}
    for entry in ask(port, "/fapi/v1/exchangeInfo")["symbols"]:
        filters = {one["filterType"]: one for one in entry["filters"]}
        for texts, value, step in (
            (prices, tops[entry["symbol"]] * 0.98, filters["PRICE_FILTER"]["tickSize"]),
            (quantities, 100 / tops[entry["symbol"]], filters["LOT_SIZE"]["stepSize"]),
        ):
            decimals = len(step.rstrip("0").partition(".")[2])
            texts[entry["symbol"]] = f"{max(1, int(value / float(step))) * float(step):.{decimals}f}"
    return prices, quantities


async def watch(port: int, found: Found) -> None:
    """Ask the venue how far its market is behind, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        said = await loop.run_in_executor(None, ask, port, "/sim/lag")
        found.lags_ms.append(said["market_lag_ms"])
        await asyncio.sleep(0.1)


async def drive(asked, port: int, pid: int, symbols: list[str], keys) -> None:
    found, orders = Found(), []
    prices, quantities = safe_orders(port)
    chosen = itertools.cycle(symbols)
    for key in keys:
        own = [next(chosen) for _ in range(min(3, len(symbols)))]
        streams = "/".join(f"{symbol.lower()}@{stream}" for symbol in own for stream in STREAMS)
        url = f"ws://127.0.0.1:{port}"
        await picows.ws_connect(lambda: Market(found), f"{url}/public/stream?streams={streams}")
        orders.append(Orders(found, key, own, prices, quantities))
        await picows.ws_connect(orders[-1].joined, f"{url}/ws-fapi/v1?returnRateLimits=false")
    watching = asyncio.create_task(watch(port, found))
    turn = itertools.cycle(orders)
    begin_s = time.monotonic()
    measured, sent, used_s = False, 0, 0.0
    while (passed_s := time.monotonic() - begin_s) < WARM_UP_S + asked.seconds:
        if not measured and passed_s >= WARM_UP_S:
            found.clear()
            measured, sent, used_s = True, 0, processor_s(pid)
        due = asked.orders * (passed_s - (WARM_UP_S if measured else 0))
        while sent < due:
            next(turn).request()
            sent += 1
        await asyncio.sleep(0.002)
    used_s = processor_s(pid) - used_s
    watching.cancel()
    half = len(found.lags_ms) // 2
    print(f"{len(symbols)} symbols, {len(keys)} clients, {asked.seconds:.0f} s, {os.cpu_count()} cores")
    print(f"market lag     {quantiles(found.lags_ms)}  asked {len(found.lags_ms)} times")
    print(f"  first half   {quantiles(found.lags_ms[:half])}")
    print(f"  second half  {quantiles(found.lags_ms[half:])}")
    print(f"to a client    {quantiles(found.ways_ms)}  of {len(found.ways_ms)} best prices")
    print(f"orders         {len(found.answers_ms) / asked.seconds:.0f}/s answered, {found.refused} refused")
    print(f"  round trip   {quantiles(found.answers_ms)}  (1 ms of it configured)")
    print(f"frames         {found.frames / asked.seconds:.0f}/s, {found.bytes / asked.seconds / 1e6:.1f} MB/s")
    print(f"venue's CPU    {used_s / asked.seconds:.0%} of a core")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--orders", type=float, default=500, help="requests per second, places and cancels")
    parser.add_argument("--seconds", type=float, default=15)
    asked = parser.parse_args()
    symbols = (KNOWN + [f"COIN{i}USDC" for i in range(asked.symbols)])[: asked.symbols]
    venue, port, keys = start(symbols, asked.clients)
    try:
        asyncio.run(drive(asked, port, venue.pid, symbols, keys))
    finally:
        venue.terminate()
        venue.wait(10)


if __name__ == "__main__":
    main()
