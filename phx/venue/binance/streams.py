"""Stream names and the three base URLs they live under since April 2026.

A stream asked for under the wrong one connects, is acknowledged and stays silent, so the way from name to URL is here
and nowhere else.
"""

from collections.abc import Iterable

from phx.venue.binance.endpoints import Endpoints

PUBLIC = "public"  # top of book, depth, single trades
MARKET = "market"  # aggregated trades, mark price
PRIVATE = "private"  # the account's events


def book_ticker(symbol: str) -> str:
    """Every change of the top of book, at once."""
    return f"{symbol.lower()}@bookTicker"


def depth(symbol: str, speed: str = "100ms") -> str:
    """Deltas of the book. speed: 0ms (undocumented, each event), 100ms, 250ms (the venue's default), 500ms."""
    return f"{symbol.lower()}@depth" if speed == "250ms" else f"{symbol.lower()}@depth@{speed}"


def trade(symbol: str) -> str:
    """Single trades, at once; not documented but live, and the only one that names liquidations and RPI."""
    return f"{symbol.lower()}@trade"


def agg_trade(symbol: str) -> str:
    """Trades of one taker order at one price; 100 to 150 ms late."""
    return f"{symbol.lower()}@aggTrade"


def mark_price(symbol: str) -> str:
    """Mark price, predicted funding rate and next funding time, once a second."""
    return f"{symbol.lower()}@markPrice@1s"


PUBLIC_KINDS = frozenset(("bookTicker", "depth", "depth5", "depth10", "depth20", "rpiDepth", "trade"))


def path_of(stream: str) -> str:
    """Return under which of the base URLs a stream is delivered."""
    if stream == "!bookTicker":
        return PUBLIC
    kind = stream.partition("@")[2].partition("@")[0]
    return PUBLIC if kind in PUBLIC_KINDS else MARKET


def combined_url(endpoints: Endpoints, path: str, streams: Iterable[str]) -> str:
    """Return the URL that delivers streams wrapped as {"stream":name,"data":event}."""
    wanted = list(streams)
    stray = [stream for stream in wanted if path_of(stream) != path]
    if stray:
        raise ValueError(f"streams: {', '.join(stray)} would stay silent under /{path}")
    return f"{endpoints.stream}/{path}/stream?streams={'/'.join(wanted)}"


def private_url(endpoints: Endpoints, listen_key: str) -> str:
    """Return the URL of the user stream. It holds the listenKey: never log it."""
    return f"{endpoints.stream}/{PRIVATE}/ws?listenKey={listen_key}"
