"""What the venue's servers share: exchange, keys, listen keys, views, clock, latency."""

import time

from phx.sim.exchange import wire
from phx.sim.exchange.account import Account
from phx.sim.exchange.exchange import Exchange
from phx.sim.exchange.ledger import orders_with_fills, report
from phx.sim.faults.trouble import Trouble
from phx.sim.keys.listen_keys import ListenKeys
from phx.sim.keys.signing import Keys, check_time
from phx.sim.latency import Latency


class Venue:
    """The simulated venue behind its servers."""

    def __init__(
        self,
        exchange: Exchange,
        keys: Keys,
        latency: Latency,
        strict_paths: bool,
        older_acks: bool = False,
        faults: list[tuple[str, dict]] = (),
    ):
        self.exchange = exchange
        self.hub = exchange.hub
        self.keys = keys
        self.listen_keys = ListenKeys()
        self.latency = latency
        self.strict_paths = strict_paths
        self.older_acks = older_acks
        self.started_ms = self.now_ms()
        self.connections: set = set()  # every open WebSocket
        self.told_silent: set[tuple[str, str]] = set()  # paths and kinds of streams of which a warning was given
        self.trouble = Trouble(self, faults)
        exchange.emit = self.emit

    @staticmethod
    def now_ns() -> int:
        return time.time_ns()

    @staticmethod
    def now_ms() -> int:
        return time.time_ns() // 1_000_000

    def clock_ms(self) -> int:
        """Return the time as the venue tells it and measures clients by."""
        now_ms = self.now_ms()
        return now_ms + self.trouble.skew_ms(now_ms)

    def emit(self, account: Account, text: str) -> None:
        """Send a user event to the account's private streams."""
        listen_key = self.listen_keys.key_of(account)
        if not listen_key or not self.hub.wanted(listen_key):
            return
        if self.trouble.events.concerned:
            self.trouble.on_user_event(account, listen_key, text)
        else:
            self.hub.send(listen_key, text)

    def expire_listen_keys(self) -> None:
        now_ms = self.now_ms()
        for key in self.listen_keys.expire(now_ms):
            self.hub.send(key, wire.listen_key_expired(key, now_ms))
            self.hub.listeners.pop(key, None)

    def check_time(self, params: dict) -> None:
        check_time(params, self.clock_ms())

    def ledger_report(self) -> dict:
        """Return the venue's truth about all orders, for tests and summaries."""
        exchange = self.exchange
        accounts = list(exchange.accounts.values())
        return report(exchange.ledger, accounts, exchange.countdowns, exchange.marks_e8(), self.now_ms())

    def ledger_orders(self, symbol: str = "") -> list[dict]:
        """Return every order the venue ever accepted, with its fills."""
        return orders_with_fills(self.exchange.ledger, list(self.exchange.accounts.values()), symbol)
