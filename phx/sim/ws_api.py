"""The WS-API: order entry, account and session requests, one JSON message each, answered with the same id."""

from collections.abc import Callable

import msgspec

from phx.sim import answers, rules
from phx.sim.refusals import Refused
from phx.sim.signing import Key, check_time
from phx.sim.venue import Venue

# Method → (weight, who may). Orders count in the order windows instead and carry no weight.
PUBLIC, KEY_ONLY, SIGNED = range(3)
METHODS = {
    "order.place": (0, SIGNED),
    "order.modify": (0, SIGNED),
    "order.cancel": (1, SIGNED),
    "order.status": (1, SIGNED),
    "account.status": (5, SIGNED),
    "account.balance": (5, SIGNED),
    "account.position": (5, SIGNED),
    "session.logon": (2, SIGNED),
    "session.status": (2, PUBLIC),
    "session.logout": (2, PUBLIC),
    "userDataStream.start": (1, KEY_ONLY),
    "userDataStream.ping": (1, KEY_ONLY),
    "userDataStream.stop": (1, KEY_ONLY),
    "depth": (5, PUBLIC),
    "ticker.price": (1, PUBLIC),
    "ticker.book": (2, PUBLIC),
    "time": (1, PUBLIC),
    "ping": (1, PUBLIC),
}
ORDER_METHODS = ("order.place", "order.modify")
VERSIONS = ("v1", "v2", "v3")


class ApiSession:
    """One connection. After a logon, requests need neither key nor signature."""

    def __init__(self, venue: Venue, write: Callable[[bytes], None], show_limits: bool):
        self.venue = venue
        self.write = write
        self.show_limits = show_limits
        self.connected_ms = venue.now_ms()
        self.logged_on: Key | None = None
        self.authorized_ms = 0

    def on_request(self, payload: bytes) -> None:
        try:
            request = msgspec.json.decode(payload)
            method = request["method"]
            params = request.get("params") or {}
            number = request.get("id")
            if not isinstance(method, str) or not isinstance(params, dict):
                raise TypeError
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
            error = {"code": -1000, "msg": "Invalid JSON request."}
            self.write(msgspec.json.encode({"id": None, "status": 400, "error": error}))
            return
        self.venue.delay.run(lambda: self._handle(number, method, params))

    def _handle(self, number, method: str, params: dict) -> None:
        version, _, name = method.rpartition("/")
        answer = {"id": number, "status": 200}
        now_ms = self.venue.now_ms()
        known = name in METHODS and version in ("", *VERSIONS)
        weight, security = METHODS[name] if known else (1, PUBLIC)
        limits = self.venue.exchange.limits
        try:
            if not known:
                raise Refused(-1000, message=f"Unknown method '{method}'.")
            limits.use_weight(now_ms, weight)
            key = self._authorise(security, params, now_ms)
            if name in ORDER_METHODS:
                limits.use_orders(now_ms)
            answer["result"] = self._execute(name, version, key, params)
        except Refused as refusal:
            answer["status"] = refusal.status
            answer["error"] = refusal.body()
        if self._shows_limits(params):
            is_order = name in ORDER_METHODS
            answer["rateLimits"] = limits.order_rows(now_ms) if is_order else limits.weight_rows(now_ms, weight)
        self.write(msgspec.json.encode(answer))

    def _shows_limits(self, params: dict) -> bool:
        return self.show_limits and params.get("returnRateLimits") not in (False, "false")

    def _authorise(self, security: int, params: dict, now_ms: int) -> Key | None:
        if security == PUBLIC:
            return None
        if self.logged_on and "signature" not in params:
            key = self.logged_on
        else:
            key = self.venue.keys.of(params.get("apiKey"))
            if security == SIGNED:
                self.venue.keys.check(key, [payload_of(params)], params.get("signature"))
        if security == SIGNED:
            check_time(params, now_ms)
        return key

    def _execute(self, name: str, version: str, key: Key | None, params: dict):
        venue, exchange = self.venue, self.venue.exchange
        now_ns = venue.now_ns()
        now_ms = now_ns // 1_000_000
        account = key.account if key else None
        match name:
            case "order.place":
                return exchange.place(account, params, now_ns)
            case "order.modify":
                return exchange.amend(account, params, now_ns)
            case "order.cancel":
                return exchange.cancel(account, params, now_ns)
            case "order.status":
                return answers.order_row(exchange.order(account, params))
            case "account.status":
                return venue.views.account(account, 3 if version == "v2" else 2)
            case "account.balance":
                return venue.views.balances(account)
            case "account.position":
                symbol = self._symbol(params, "") if params.get("symbol") else ""
                return venue.views.positions(account, 3 if version == "v2" else 2, symbol)
            case "session.logon":
                return self._logon(key, now_ms)
            case "session.status":
                return self._session(now_ms)
            case "session.logout":
                self.logged_on, self.authorized_ms = None, 0
                return self._session(now_ms)
            case "userDataStream.start":
                return {"listenKey": venue.listen_keys.start(account, now_ms)}
            case "userDataStream.ping":
                return {"listenKey": venue.listen_keys.extend(account, now_ms)}
            case "userDataStream.stop":
                venue.listen_keys.close(account)
                return {}
            case "depth":
                return self._depth(params, now_ms)
            case "ticker.price":
                return venue.views.price_ticker(self._symbol(params))
            case "ticker.book":
                return venue.views.book_ticker(self._symbol(params))
            case "time":
                return {"serverTime": now_ms}
        return {}

    def _symbol(self, params: dict, default: str | None = None) -> str:
        symbol = rules.text(params, "symbol", default)
        if symbol not in self.venue.exchange.contracts:
            raise Refused(-1121)
        return symbol

    def _depth(self, params: dict, now_ms: int):
        symbol = self._symbol(params)
        streams = self.venue.exchange.player.markets[symbol].streams
        bids, asks = streams.book.top(rules.whole(params, "limit", 500))
        contract = self.venue.exchange.contracts[symbol]
        body = answers.depth_answer(contract, streams.book.update_id, bids, asks, streams.book.ts_ms, now_ms)
        return msgspec.Raw(body)

    def _logon(self, key: Key, now_ms: int) -> dict:
        if key.public_key is None:
            raise Refused(-4056)
        self.logged_on, self.authorized_ms = key, now_ms
        return self._session(now_ms)

    def _session(self, now_ms: int) -> dict:
        return {
            "apiKey": self.logged_on.api_key if self.logged_on else None,
            "authorizedSince": self.authorized_ms or None,
            "connectedSince": self.connected_ms,
            "returnRateLimits": self.show_limits,
            "serverTime": now_ms,
        }


def payload_of(params: dict) -> bytes:
    """Return what a WS-API request signs: all parameters but the signature, sorted by name."""
    return "&".join(f"{k}={text_of(v)}" for k, v in sorted(params.items()) if k != "signature").encode()


def text_of(value) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    return str(value)
