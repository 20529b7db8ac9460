"""A market in which nothing happens by itself: BTCUSDC with a few levels, as a matching engine or as a recording."""

from decimal import Decimal

import msgspec

from phx._core.engine import Engine
from phx._core.overlay import Overlay
from phx.instruments import ONE_E8
from phx.sim.contracts import listed
from phx.sim.exchange.account import Account
from phx.sim.exchange.exchange import Exchange
from phx.sim.refusals import Refused
from phx.sim.streams.hub import Hub
from phx.sim.streams.streams import SymbolStreams

CONTRACTS = listed({})
BTC, ETH = CONTRACTS["BTCUSDC"], CONTRACTS["ETHUSDC"]
NOW_NS = 1_780_000_000_123 * 1_000_000
BIDS = [(640_000 - 10 * i, 500) for i in range(25)]
ASKS = [(640_010 + 10 * i, 500) for i in range(25)]
KINDS = ("engine", "overlay")


class StillMarket:
    """One symbol whose levels stand until accounts take them."""

    def __init__(self, contract, hub, kind: str, bids, asks):
        self.contract = contract
        self.streams = SymbolStreams(contract, hub)
        # The accounts' first order is 1001 and their first trade 501, whatever stands in the book.
        if kind == "engine":
            self.book = Engine(1001 - len(bids) - len(asks), 501)
            for side, levels in ((1, bids), (-1, asks)):
                for ticks, lots in levels:
                    self.book.place_order(0, side, ticks, lots)
        else:
            self.book = Overlay("risk_averse", 1.0, 1001, 501)
            self.book.snapshot(1, bids, asks)
        self.book.drain()
        self.streams.on_book(1, bids, asks, NOW_NS // 1_000_000)

    def drain(self, now_ns: int):
        return [event for event in self.book.drain() if event.owner or event.maker_owner]


class StillPlayer:
    def __init__(self, markets):
        self.markets = markets

    def due_ns(self) -> int:
        return 2**62

    def advance(self, now_ns: int, until_ns: int) -> None:
        pass


class StillVenue:
    """An exchange over still markets with two accounts; `told` are the first one's user events, decoded."""

    def __init__(self, kind: str = "engine", wallet=10_000, bids=BIDS, asks=ASKS):
        hub = Hub()
        markets = {"BTCUSDC": StillMarket(BTC, hub, kind, bids, asks)}
        markets["ETHUSDC"] = StillMarket(ETH, hub, kind, [(300_000, 10**6)], [(300_001, 10**6)])
        self.exchange = Exchange(StillPlayer(markets), CONTRACTS, hub, NOW_NS // 1_000_000)
        self.account, self.rival = (
            Account(owner, wallet * ONE_E8, ["USDC"], Decimal(0), Decimal("0.0004")) for owner in (1, 2)
        )
        self.exchange.accounts = {1: self.account, 2: self.rival}
        self.told, self.texts = [], []
        self.exchange.emit = self._hear
        self.book = markets["BTCUSDC"].book
        self.now_ns = NOW_NS

    def _hear(self, account, text: str) -> None:
        if account is self.account:
            self.told.append(msgspec.json.decode(text))
            self.texts.append(text)

    def order(self, **change) -> dict:
        """Return the parameters of a small bid; None leaves one out."""
        made = {"symbol": "BTCUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010"}
        made["price"] = "63990.0"
        return {name: value for name, value in (made | change).items() if value is not None}

    def place(self, account=None, **change) -> dict:
        return self.exchange.place(account or self.account, self.order(**change), self.now_ns)

    def market(self, side: str, quantity: str, account=None, **change) -> dict:
        change = {"type": "MARKET", "price": None, "timeInForce": None, "side": side, "quantity": quantity} | change
        return self.place(account, **change)

    def amend(self, order_id: int, **change) -> dict:
        params = {"symbol": "BTCUSDC", "side": "BUY", "orderId": order_id, "quantity": "0.010", "price": "63990.0"}
        params = {name: value for name, value in (params | change).items() if value is not None}
        return self.exchange.amend(self.account, params, self.now_ns)

    def set_mark(self, symbol: str, price) -> None:
        self.exchange.marks[symbol].mark_e8 = int(Decimal(price) * ONE_E8)

    def heard(self) -> list[str]:
        """Return what was told since the last call in short: event, execution, status, reason where not 0."""
        short = []
        for event in self.told:
            order = event.get("o", {})
            words = [event["e"]] + [order[key] for key in ("x", "X") if key in order]
            if order.get("er", "0") != "0":
                words.append(order["er"])
            if "a" in event:
                words.append(event["a"]["m"])
            short.append(" ".join(words).replace("ORDER_TRADE_UPDATE", "OTU").replace("ACCOUNT_UPDATE", "AU"))
        self.told.clear()
        self.texts.clear()
        return short


def code(call, *arguments, **named) -> int:
    """Return the code of a refusal, 0 when there is none."""
    try:
        call(*arguments, **named)
    except Refused as refusal:
        return refusal.code
    return 0
