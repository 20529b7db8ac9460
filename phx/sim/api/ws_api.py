"""The WS-API: order entry, account and session requests, one JSON message each, answered with the same id."""

from collections.abc import Callable

import msgspec

from phx.sim.api import account_views, market_views, rest_account, rest_algo, rest_market, rest_orders
from phx.sim.api.request import Call, Endpoint, Kind, Security, by_symbol
from phx.sim.contracts import plain
from phx.sim.faults.hostile import torn
from phx.sim.faults.requests import UNHARMED, Fate, carried_out
from phx.sim.keys.signing import READ, TRADE, Key, payload_of
from phx.sim.latency import Line
from phx.sim.refusals import Refused
from phx.sim.venue import Venue

# Numbers with a point stay the text they came as: that is what was signed.
DECODER = msgspec.json.Decoder(float_hook=str)
UNREADABLE = {"id": None, "status": 400, "error": {"code": -1000, "msg": "Invalid JSON request."}}
VERSIONS = ("v1", "v2", "v3")


def order_modify(call: Call) -> dict:
    answer = rest_orders.amend(call)
    del answer["pair"]  # only REST names it
    return answer


def algo_place(call: Call) -> dict:
    answer = rest_algo.place(call)
    del answer["activatePrice"], answer["callbackRate"]  # only REST shows them
    return answer


def account_status(call: Call) -> dict:
    """Answer the older account information, which over this way says nothing of fees in BNB."""
    found = rest_account.account(2)(call)
    del found["feeBurn"]
    for row in found["positions"]:
        position = call.account.positions[row["symbol"], row["positionSide"]]
        del row["breakEvenPrice"]
        row["breakEvenPrice"] = plain(position.break_even_e8(), 8)  # over this way it stands last
    return found


def account_status_v2(call: Call) -> dict:
    return account_views.account_information(call.exchange, call.account, 3, over_ws=True)


def book_ticker(call: Call):
    """Answer best prices; over this way the book's number comes first."""
    found = [market_views.book_ticker(call.exchange, symbol) for symbol in call.symbols()]
    found = [{"lastUpdateId": row["lastUpdateId"]} | row for row in found]
    return found[0] if call.params.get("symbol") else found


def price_ticker(call: Call):
    found = [market_views.price_ticker(call.exchange, symbol) for symbol in call.symbols()]
    return found[0] if call.params.get("symbol") else found


PUBLIC, KEY_ONLY, SIGNED, MAY_TRADE = Security
METHODS = {
    "order.place": Endpoint(rest_orders.place, 0, MAY_TRADE, Kind.ORDER, work="place"),
    "order.modify": Endpoint(order_modify, 0, MAY_TRADE, Kind.ORDER, work="amend"),
    "order.cancel": Endpoint(rest_orders.cancel, 1, MAY_TRADE, Kind.CANCEL, work="cancel"),
    "algoOrder.place": Endpoint(algo_place, 0, MAY_TRADE, Kind.ORDER),
    "algoOrder.cancel": Endpoint(rest_algo.cancel, 1, MAY_TRADE, Kind.CANCEL),
    "order.status": Endpoint(rest_orders.order, 1, SIGNED, work="query"),
    "account.status": Endpoint(account_status, 5, SIGNED),
    "account.balance": Endpoint(rest_account.balances, 5, SIGNED),
    "account.position": Endpoint(rest_account.positions(2), 5, SIGNED),
    "userDataStream.start": Endpoint(rest_account.listen_key_start, 1, KEY_ONLY),
    "userDataStream.ping": Endpoint(rest_account.listen_key_extend, 1, KEY_ONLY),
    "userDataStream.stop": Endpoint(rest_account.listen_key_close, 1, KEY_ONLY),
    "depth": Endpoint(rest_market.depth, rest_market.DEPTH_WEIGHT, work="depth"),
    "ticker.price": Endpoint(price_ticker, by_symbol(1, 2)),
    "ticker.book": Endpoint(book_ticker, by_symbol(2, 5)),
    "time": Endpoint(lambda call: {"serverTime": call.venue.clock_ms()}, 1),
    "ping": Endpoint(lambda call: {}, 1),
}
LATER_VERSIONS = {
    "v2/account.status": Endpoint(account_status_v2, 5, SIGNED),
    "v2/account.position": Endpoint(rest_account.positions(3), 5, SIGNED),
}
SESSION_METHODS = {
    "session.logon": Endpoint(lambda call: {}, 2, SIGNED),
    "session.status": Endpoint(lambda call: {}, 2),
    "session.logout": Endpoint(lambda call: {}, 2),
}
UNKNOWN = Endpoint(lambda call: {}, 1)


def method_of(name: str) -> Endpoint:
    """Return what a method asks for; a version before its name matters where versions differ."""
    if name in LATER_VERSIONS:
        return LATER_VERSIONS[name]
    version, _, plain_name = name.rpartition("/")
    if version and version not in VERSIONS:
        return UNKNOWN
    return METHODS.get(plain_name) or SESSION_METHODS.get(plain_name) or UNKNOWN


class ApiSession:
    """One connection. After a logon, requests need neither key nor signature."""

    def __init__(self, venue: Venue, write: Callable[[bytes], None], show_limits: bool, address: str = ""):
        self.venue = venue
        self.write = write
        self.show_limits = show_limits
        self.address = address
        self.connected_ms = venue.now_ms()
        self._requests, self._answers = Line(), Line()
        self.logged_on: Key | None = None
        self.authorized_ms = 0

    def on_request(self, payload: bytes) -> None:
        try:
            request = DECODER.decode(payload)
            number, method, params = request.get("id"), request["method"], request.get("params") or {}
            readable = isinstance(method, str) and isinstance(params, dict)
            if not readable or isinstance(number, bool) or not isinstance(number, int | str | None):
                raise TypeError
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError, RecursionError):
            self.write(msgspec.json.encode(UNREADABLE))
            return
        # Reads wait their turn behind orders: requests of a connection are handled in their order.
        endpoint = method_of(method)
        travel_ns = endpoint.request_ns(self.venue.latency)
        self._requests.send(travel_ns, lambda: self._handle(number, method, endpoint, params))

    def _handle(self, number: int | str | None, name: str, endpoint: Endpoint, params: dict) -> None:
        """Admit a request, or refuse it, and let it be carried out: at once, unless a fault holds it up."""
        limits, now_ms = self.venue.exchange.limits, self.venue.now_ms()
        key, fate, refused = None, UNHARMED, None
        try:
            limits.use_weight(now_ms, endpoint.weight_of(params))
            if endpoint is UNKNOWN:
                raise Refused(-1000, message=f"Unknown method '{name}'.")
            key = self._authorise(endpoint, params)
            fate = self.venue.trouble.fate_of(endpoint.work, params, key)
        except Refused as refusal:
            refused = refusal
        work = (number, name, endpoint, params, key, fate, refused)
        self.venue.trouble.later(fate.wait_s, lambda: self._carry_out(*work))

    def _carry_out(self, number, name: str, endpoint: Endpoint, params: dict, key: Key | None, fate: Fate, refused):
        answer = {"id": number, "status": 200}
        now_ms, limits = self.venue.now_ms(), self.venue.exchange.limits
        try:
            if refused:
                raise refused
            if endpoint.kind == Kind.ORDER:
                limits.use_orders(now_ms, key.account.owner, *endpoint.order_counts)
            call = Call(self.venue, key, params, self.venue.now_ns())
            is_session = name.rpartition("/")[2] in SESSION_METHODS
            if is_session:
                endpoint = endpoint._replace(handler=lambda call: self._session(name, call))
            answer["result"] = carried_out(endpoint, call, fate, self.venue.trouble.later)
        except Refused as refusal:
            if endpoint.kind == Kind.ORDER and key is not None and not refusal.uses_order_count:
                limits.return_orders(now_ms, key.account.owner, *endpoint.order_counts)
            answer["status"] = refusal.status
            answer["error"] = refusal.body()
        if self._shows_limits(params):
            is_counted = endpoint.kind == Kind.ORDER and key is not None
            weight = endpoint.weight_of(params)
            rows = limits.order_rows(now_ms, key.account.owner) if is_counted else limits.weight_rows(now_ms, weight)
            answer["rateLimits"] = rows
        self._reply(msgspec.json.encode(answer), endpoint, fate)

    def _reply(self, payload: bytes, endpoint: Endpoint, fate: Fate) -> None:
        if fate.reply_in_s is None:
            return
        payload = torn(payload) if fate.torn else fate.written(payload)[0]
        if fate.reply_in_s:
            self.venue.trouble.later(fate.reply_in_s, lambda: self.write(payload))
            return
        latency_ns = self.venue.latency.ack_ns() if endpoint.kind != Kind.READ else 0
        self._answers.send(latency_ns, lambda: self.write(payload))

    def _shows_limits(self, params: dict) -> bool:
        return str(params.get("returnRateLimits", self.show_limits)).lower() != "false"

    def _authorise(self, endpoint: Endpoint, params: dict) -> Key | None:
        if endpoint.security == Security.PUBLIC:
            return None
        permission = TRADE if endpoint.security == Security.TRADE else READ
        keys = self.venue.keys
        if self.logged_on and "signature" not in params:
            key = keys.of(self.logged_on.api_key, self.address, permission)
        else:
            key = keys.of(params.get("apiKey"), self.address, permission)
            if endpoint.security >= Security.SIGNED:
                keys.check(key, [payload_of(params)], params.get("signature"))
        if endpoint.security >= Security.SIGNED:
            self.venue.check_time(params)
        return key

    def _session(self, name: str, call: Call) -> dict:
        """Log on or off, and answer what the session is."""
        if name.endswith("logon"):
            if not call.key.may_log_on:
                raise Refused(-4056)
            self.logged_on, self.authorized_ms = call.key, call.now_ms
        elif name.endswith("logout"):
            self.logged_on, self.authorized_ms = None, 0
        return {
            "apiKey": self.logged_on.api_key if self.logged_on else None,
            "authorizedSince": self.authorized_ms or None,
            "connectedSince": self.connected_ms,
            "returnRateLimits": self.show_limits,
            "serverTime": call.venue.clock_ms(),
        }
