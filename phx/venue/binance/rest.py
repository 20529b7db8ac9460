"""Binance's REST calls that phx uses: one short method each, with its path and weight.

Changing calls are sent once: their VenueUnknown is resolved by evidence, never by sending again.
"""

import time
from collections.abc import Mapping, Sequence

import msgspec

from phx.instruments import Instrument
from phx.venue.binance import messages
from phx.venue.binance.errors import Advice, failure
from phx.venue.binance.http import Http
from phx.venue.binance.messages import MS_NS, UNREADABLE, FrameRefused
from phx.venue.interface import (
    Balance,
    CommissionRate,
    Income,
    Order,
    Placement,
    Position,
    UserTrade,
    VenueDown,
    VenueError,
    VenueReject,
    VenueUnknown,
)

DEPTH_WEIGHTS = ((50, 2), (100, 5), (500, 10), (1000, 20))  # levels up to → weight
CANCEL_BATCH = 10  # orders in one request, at most
PLACE_BATCH = 5
PLACE_BATCH_WEIGHT = 5  # a single order has none; its counts: five of ten seconds', one of the minute's
SIDE_WORDS = {1: "BUY", -1: "SELL"}
LARGE_ANSWER_TIMEOUT_S = 15.0
INCOME_PAGE = 1000  # rows in one answer

_order = msgspec.json.Decoder(messages.OrderRow)
_orders = msgspec.json.Decoder(list[messages.OrderRow])
_rows = msgspec.json.Decoder(list[msgspec.Raw])
_positions = msgspec.json.Decoder(list[messages.PositionRow])
_balances = msgspec.json.Decoder(list[messages.BalanceRow])
_trades = msgspec.json.Decoder(list[messages.TradeRow])
_income = msgspec.json.Decoder(list[messages.IncomeRow], strict=False)  # tranId: a number, or its text
_commission = msgspec.json.Decoder(messages.CommissionRow)
_premium_index = msgspec.json.Decoder(messages.PremiumIndex)
_rate_limits = msgspec.json.Decoder(messages.RateLimits)
_server_time = msgspec.json.Decoder(messages.ServerTime)
_position_mode = msgspec.json.Decoder(messages.PositionMode)
_listen_key = msgspec.json.Decoder(messages.ListenKey)
_countdown = msgspec.json.Decoder(messages.CountdownAnswer)


def read_answer(decoder, body: bytes, what: str):
    """Return an answer to a question, decoded; one that cannot be read is as good as none."""
    try:
        return messages.decode(decoder, body, what)
    except FrameRefused as error:
        raise VenueDown(str(error)) from None


def read_result(decoder, body: bytes, what: str):
    """Return the answer to a change, decoded; one that cannot be read leaves its outcome open."""
    try:
        return messages.decode(decoder, body, what)
    except FrameRefused as error:
        raise VenueUnknown(str(error), status=200) from None


def read_legs(body: bytes, coids: Sequence[str], what: str) -> list[Order | VenueError]:
    """Return what became of each order of a batch; unknown where the answer does not say.

    The venue answers in the order of the request, and a refusal names no order: in an answer that does not fit the
    request refusals belong to nobody, and only orders are known, by their client ids.
    """
    rows = [read_leg(row) for row in read_result(_rows, body, what)]
    stated = {row.coid: row for row in rows if isinstance(row, Order)}
    fits = len(rows) == len(coids) and all(
        not isinstance(row, Order) or row.coid == coid for row, coid in zip(rows, coids, strict=True)
    )
    if fits:
        return rows
    return [stated.get(coid) or VenueUnknown(f"{what}: the answer does not say", status=200) for coid in coids]


def read_leg(row: bytes) -> Order | VenueError:
    try:
        return _order.decode(row).order()
    except UNREADABLE:
        return failure(True, 200, bytes(row), 0.0)


def order_params(symbol: str, new: Placement) -> list[tuple[str, str]]:
    """Return what the venue wants to know of an order to be placed."""
    params = [("symbol", symbol), ("side", SIDE_WORDS[new.side])]
    if new.price is None:
        params += [("type", "MARKET"), ("quantity", new.qty)]
    else:
        params += [("type", "LIMIT"), ("timeInForce", new.time_in_force), ("quantity", new.qty), ("price", new.price)]
    params += [("reduceOnly", "true")] if new.reduce_only else []
    # The venue's default would let our own taking order kill the quote it meets.
    return [*params, ("newClientOrderId", new.coid), ("selfTradePreventionMode", "EXPIRE_TAKER")]


class Rest(Http):
    """Binance's REST API (interface.AccountRest, and the listenKey)."""

    async def ask(self, path: str, params=(), **options) -> bytes:
        """GET something; once more, with the clock set, if the venue refuses the time it was asked at."""
        try:
            return await super().ask(path, params, **options)
        except VenueReject as error:
            if error.advice is not Advice.CLOCK:
                raise
        await self.server_time()
        return await super().ask(path, params, **options)

    # ---- public ----

    async def server_time(self) -> int:
        """Return the venue's clock, UTC ns, and synchronise `clock` with it."""
        sent_mono_ns = time.monotonic_ns()
        body = await self.send("GET", "/fapi/v1/time", weight=1)
        received_mono_ns = time.monotonic_ns()
        venue_ns = read_answer(_server_time, body, "server time").server_time * MS_NS
        self.clock.synchronise(venue_ns, sent_mono_ns, received_mono_ns)
        return venue_ns

    async def exchange_info(self, symbol_ids: Mapping[str, int]) -> dict[str, Instrument]:
        """Return the instruments of the wanted symbols (name → symbol_id), in that order."""
        body = await self.ask("/fapi/v1/exchangeInfo", weight=1, timeout_s=LARGE_ANSWER_TIMEOUT_S)
        return messages.instruments(body, symbol_ids)

    async def rate_limits(self) -> list[messages.RateLimit]:
        """Return the venue's limits of weight and orders as exchangeInfo states them."""
        body = await self.ask("/fapi/v1/exchangeInfo", weight=1, timeout_s=LARGE_ANSWER_TIMEOUT_S)
        return read_answer(_rate_limits, body, "rate limits").rate_limits

    async def depth(self, symbol: str, limit: int = 1000) -> bytes:
        """Return the raw snapshot of a book; the compiled decoder reads it. Sent once: the sequencer asks again."""
        weight = next(weight for levels, weight in DEPTH_WEIGHTS if limit <= levels)
        return await self.send("GET", "/fapi/v1/depth", (("symbol", symbol), ("limit", limit)), weight=weight)

    # ---- orders ----

    async def open_orders(self, symbol: str) -> list[Order]:
        body = await self.ask("/fapi/v1/openOrders", (("symbol", symbol),), weight=1, signed=True)
        return [row.order() for row in read_answer(_orders, body, "open orders")]

    async def cancel_all(self, symbol: str) -> None:
        """Cancel every order on the symbol, ours or not."""
        self.counters["cancel_alls"] += 1
        await self._repeatable("DELETE", "/fapi/v1/allOpenOrders", (("symbol", symbol),), weight=1)

    async def cancel(self, symbol: str, coid: str) -> Order:
        params = (("symbol", symbol), ("origClientOrderId", coid))
        body = await self._repeatable("DELETE", "/fapi/v1/order", params, weight=1)
        return read_result(_order, body, "cancel").order()

    async def cancel_batch(self, symbol: str, coids: Sequence[str]) -> list[Order | VenueError]:
        """Cancel up to CANCEL_BATCH orders, for the weight of one; return what became of each, in their order."""
        params = (("symbol", symbol), ("origClientOrderIdList", msgspec.json.encode(list(coids)).decode()))
        body = await self._repeatable("DELETE", "/fapi/v1/batchOrders", params, weight=1)
        return read_legs(body, coids, "batch of cancels")

    async def place(
        self,
        symbol: str,
        coid: str,
        side: int,
        qty: str,
        price: str | None,
        time_in_force: str = "GTX",
        reduce_only: bool = False,
    ) -> Order:
        """Place a limit order, or a market order when price is None."""
        params = order_params(symbol, Placement(coid, side, qty, price, time_in_force, reduce_only))
        body = await self.send("POST", "/fapi/v1/order", params, weight=0, signed=True)
        return read_result(_order, body, "place").order()

    async def place_batch(self, symbol: str, placements: Sequence[Placement]) -> list[Order | VenueError]:
        """Place up to PLACE_BATCH orders in one request; return what became of each, in their order."""
        legs = msgspec.json.encode([dict(order_params(symbol, new)) for new in placements]).decode()
        params = (("batchOrders", legs),)
        body = await self.send("POST", "/fapi/v1/batchOrders", params, weight=PLACE_BATCH_WEIGHT, signed=True)
        return read_legs(body, [new.coid for new in placements], "batch of orders")

    async def amend(self, symbol: str, coid: str, side: int, qty: str, price: str, reduce_only: bool = False) -> Order:
        params = (("symbol", symbol), ("side", SIDE_WORDS[side]), ("quantity", qty), ("price", price))
        params += (("origClientOrderId", coid),)
        if reduce_only:
            params += (("reduceOnly", "true"),)
        body = await self.send("PUT", "/fapi/v1/order", params, weight=0, signed=True)
        return read_result(_order, body, "amend").order()

    async def order_status(self, symbol: str, coid: str) -> Order:
        """Return an order, open or not. VenueReject -2013: no such order (yet)."""
        params = (("symbol", symbol), ("origClientOrderId", coid))
        body = await self.ask("/fapi/v1/order", params, weight=1, signed=True)
        return read_answer(_order, body, "order status").order()

    async def order_by_id(self, symbol: str, venue_order_id: int) -> Order:
        """Return an order by the venue's id, whoever gave it."""
        params = (("symbol", symbol), ("orderId", venue_order_id))
        body = await self.ask("/fapi/v1/order", params, weight=1, signed=True)
        return read_answer(_order, body, "order status").order()

    async def countdown(self, symbol: str, countdown_ms: int) -> None:
        """Have the venue cancel all orders on the symbol after countdown_ms, unless called again; 0 disarms."""
        params = (("symbol", symbol), ("countdownTime", countdown_ms))
        body = await self._repeatable("POST", "/fapi/v1/countdownCancelAll", params, weight=10)
        answer = read_result(_countdown, body, "countdown")
        if answer.symbol != symbol or answer.countdown_time != str(countdown_ms):
            raise VenueUnknown(f"countdown of {symbol} {countdown_ms} ms: the answer is about another", status=200)

    async def _repeatable(self, method: str, path: str, params, *, weight: int) -> bytes:
        """Send an urgent request that does no harm twice: again if a kept connection was closed or the clock is off."""
        try:
            return await self.send(method, path, params, weight=weight, signed=True, urgent=True)
        except VenueUnknown as error:
            if not error.closed:
                raise
        except VenueReject as error:
            if error.advice is not Advice.CLOCK:
                raise
            await self.server_time()
        return await self.send(method, path, params, weight=weight, signed=True, urgent=True)

    # ---- account ----

    async def positions(self) -> list[Position]:
        body = await self.ask("/fapi/v3/positionRisk", weight=5, signed=True)
        return [row.position() for row in read_answer(_positions, body, "positions")]

    async def balances(self) -> list[Balance]:
        body = await self.ask("/fapi/v3/balance", weight=5, signed=True)
        return [row.asset_balance() for row in read_answer(_balances, body, "balances")]

    async def user_trades(
        self, symbol: str, start_ms: int | None = None, from_id: int | None = None, limit: int = 1000
    ) -> list[UserTrade]:
        """Return fills, oldest first: since a time (at most 7 days back) or from a trade id on, not both."""
        if start_ms is not None and from_id is not None:
            raise ValueError("user_trades: start_ms or from_id, not both")
        params = [("symbol", symbol), ("limit", limit)]
        params += [] if start_ms is None else [("startTime", start_ms)]
        params += [] if from_id is None else [("fromId", from_id)]
        body = await self.ask("/fapi/v1/userTrades", params, weight=5, signed=True)
        return [row.trade() for row in read_answer(_trades, body, "user trades")]

    async def income(self, kind: str, start_ms: int, end_ms: int) -> list[Income]:
        """Return the first thousand rows of one kind between two times, at most seven days apart, oldest first."""
        params = (("incomeType", kind), ("startTime", start_ms), ("endTime", end_ms), ("limit", INCOME_PAGE))
        body = await self.ask("/fapi/v1/income", params, weight=30, signed=True)
        return [row.row() for row in read_answer(_income, body, "income")]

    async def commission_rate(self, symbol: str) -> CommissionRate:
        body = await self.ask("/fapi/v1/commissionRate", (("symbol", symbol),), weight=20, signed=True)
        return read_answer(_commission, body, "commission rate").rate()

    async def mark_price(self, symbol: str) -> str:
        body = await self.ask("/fapi/v1/premiumIndex", (("symbol", symbol),), weight=1)
        return read_answer(_premium_index, body, "mark price").mark_price

    async def position_mode(self) -> bool:
        """Return whether the account is in hedge mode."""
        body = await self.ask("/fapi/v1/positionSide/dual", weight=30, signed=True)
        return read_answer(_position_mode, body, "position mode").dual_side_position

    # ---- user stream ----

    async def listen_key_start(self) -> str:
        """Return the account's listenKey: the running one, extended, or a new one."""
        body = await self.send("POST", "/fapi/v1/listenKey", weight=1, keyed=True)
        key = read_result(_listen_key, body, "listenKey").listen_key
        if not key:
            raise VenueDown("listenKey: the answer holds none")
        return key

    async def listen_key_keepalive(self) -> None:
        """Extend the listenKey by an hour. VenueReject -1125: it is gone."""
        await self.send("PUT", "/fapi/v1/listenKey", weight=1, keyed=True)
