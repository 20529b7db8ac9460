"""What no venue offers: the simulated one's own truth, its market's regimes and its faults, under /sim.

phx never trades on it; it is for tests, summaries and people. Books, orders and accounts in `state`, all that ever
happened in `ledger` and `orders`.
"""

import msgspec
from aiohttp import web

from phx.sim.faults.switchboard import FaultError

PAGE = """<!doctype html><meta charset="utf-8"><title>phx sim</title>
<style>body{font:14px system-ui;margin:2em}pre{background:#f4f4f4;padding:1em;overflow:auto}</style>
<h1>phx sim</h1><p>Renewed each second from <a href="/sim/state">/sim/state</a>. Also:
<a href="/sim/ledger">/sim/ledger</a>, <a href="/sim/orders">/sim/orders</a>, <a href="/sim/regime">/sim/regime</a>,
<a href="/sim/faults">/sim/faults</a> (POST ?name=… switches one on, DELETE ends it).</p><pre id="state"></pre>
<script>setInterval(async()=>{const a=await fetch("/sim/state");
document.getElementById("state").textContent=JSON.stringify(await a.json(),null,1)},1000)</script>
"""


def answer(venue, what: str, params: dict, method: str) -> web.Response:
    """Answer a request below /sim/."""
    if what in ("", "/sim"):
        return web.Response(text=PAGE, content_type="text/html")
    handler = HANDLERS.get((method, what))
    if handler is None:
        return web.Response(status=404, text=f"known: {', '.join(f'{m} /sim/{name}' for m, name in HANDLERS)}")
    try:
        found = handler(venue, params)
    except (FaultError, ValueError) as error:
        return web.Response(status=400, text=str(error))
    return web.Response(body=msgspec.json.encode(found), content_type="application/json")


def state(venue, params: dict) -> dict:
    """Return the venue as it stands: books, open orders, positions, wallets, limits used, connections, faults."""
    exchange, now_ms = venue.exchange, venue.now_ms()
    return {
        "time": now_ms,
        "books": {symbol: book_row(market) for symbol, market in exchange.player.markets.items()},
        "accounts": [account_row(exchange, account, now_ms) for account in exchange.accounts.values()],
        "weight_1m": exchange.limits.weight.count(now_ms),
        "banned_until": exchange.limits.ban.until_ms,
        "countdowns": exchange.countdowns,
        "connections": [connection.route for connection in venue.connections],
        "streams": {stream: len(listening) for stream, listening in venue.hub.listeners.items()},
        "faults": [active.shown() for active in venue.trouble.board.on],
    }


def book_row(market) -> dict:
    contract, book = market.contract, market.book
    return {
        name: [[contract.price(ticks), contract.qty(lots)] for ticks, lots in book.top(side, 5)]
        for name, side in (("bids", 1), ("asks", -1))
    }


def account_row(exchange, account, now_ms: int) -> dict:
    windows = exchange.limits.orders[account.owner]
    return {
        "account": account.owner,
        "wallets": {asset: e8 / 1e8 for asset, e8 in account.wallets_e8.items()},
        "positions": {f"{p.contract.symbol} {p.side}": p.contract.plain_qty(p.lots) for p in account.held() if p.lots},
        "open_orders": [
            {
                "symbol": order.symbol,
                "clientOrderId": order.client_id,
                "side": "BUY" if order.side > 0 else "SELL",
                "price": order.contract.price(order.price_ticks),
                "qty": order.contract.qty(order.remaining_lots),
            }
            for order in account.all_open()
        ],
        "orders_10s": windows.in_10s.count(now_ms),
        "orders_1m": windows.in_1m.count(now_ms),
    }


def regimes(venue, params: dict) -> dict:
    player = venue.exchange.player
    if not hasattr(player, "force"):
        raise ValueError("regime: only a synthetic market has regimes")
    return player.regimes()


def force_regime(venue, params: dict) -> dict:
    regimes(venue, params)
    venue.exchange.player.force(params.get("name", ""), params.get("symbol", ""))
    return regimes(venue, params)


def lag(venue, params: dict) -> dict:
    """Return how far the market is behind the clock: what should have happened by now and has not."""
    return {"market_lag_ms": max(0, venue.now_ns() - venue.exchange.player.due_ns()) / 1e6}


def faults(venue, params: dict) -> dict:
    return venue.trouble.state()


def switch_on(venue, params: dict) -> dict:
    settings = {key: value for key, value in params.items() if key != "name"}
    return venue.trouble.switch_on(params.get("name", ""), settings).shown()


def switch_off(venue, params: dict) -> dict:
    return {"ended": venue.trouble.switch_off(params.get("name", ""))}


HANDLERS = {
    ("GET", "state"): state,
    ("GET", "ledger"): lambda venue, params: venue.ledger_report(),
    ("GET", "orders"): lambda venue, params: venue.ledger_orders(params.get("symbol", "")),
    ("GET", "regime"): regimes,
    ("POST", "regime"): force_regime,
    ("GET", "lag"): lag,
    ("GET", "faults"): faults,
    ("POST", "faults"): switch_on,
    ("DELETE", "faults"): switch_off,
}
