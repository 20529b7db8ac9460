"""Binance's messages as typed Structs: user events, WS-API replies, exchangeInfo, REST answers.

Wire names of one letter are mapped here and nowhere else. Decimals stay text (they arrive padded or stripped, by
channel); unknown keys are ignored; a word or an event kind that Binance invents tomorrow is kept as it came.
Field order follows the wire, so that a reader can lay a captured frame beside its Struct.
"""

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct, field

from phx._core.enums import ExecKind, Side
from phx.instruments import Instrument
from phx.venue.interface import Balance, CommissionRate, Income, Order, Position, UserTrade

MS_NS = 1_000_000
UNKNOWN = 255  # an enum byte for a word phx does not know

# What does not fit the core's numbers is refused with its frame, before it can end a loop.
Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Small = Annotated[int, Meta(ge=-(2**31), lt=2**31)]
Ms = Annotated[int, Meta(ge=0, le=9 * 10**12)]  # UTC; in ns it fits until 2255

SIDES = {"BUY": int(Side.BUY), "SELL": int(Side.SELL)}
EXEC_KINDS = {
    "NEW": int(ExecKind.EXEC_ACK),
    "TRADE": int(ExecKind.EXEC_FILL),
    "CALCULATED": int(ExecKind.EXEC_FILL),  # liquidation or ADL
    "CANCELED": int(ExecKind.EXEC_CANCEL),
    "EXPIRED": int(ExecKind.EXEC_EXPIRE),
    "AMENDMENT": int(ExecKind.EXEC_AMEND),
}


# What msgspec raises on hostile bytes: besides its own, for bad UTF-8 and for very deep nesting.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class FrameRefused(ValueError):
    """A message of a known kind that cannot be read: something we rely on is missing or of another type."""


class Wire(Struct, frozen=True, gc=False):
    """A message of flat fields."""


# ---- user data stream -------------------------------------------------------------------------------------------


class OrderFields(Wire):
    """`o` of an ORDER_TRADE_UPDATE."""

    symbol: str = field(name="s")
    coid: str = field(name="c")
    side_word: str = field(name="S")
    type: str = field(name="o")
    time_in_force: str = field(name="f")
    qty: str = field(name="q")
    price: str = field(name="p")
    average_price: str = field(name="ap")
    execution: str = field(name="x")
    status: str = field(name="X")
    venue_order_id: Number = field(name="i")
    last_qty: str = field(name="l")
    filled_qty: str = field(name="z")
    last_price: str = field(name="L")
    trade_time_ms: Ms = field(name="T")
    trade_id: Number = field(name="t")
    maker: bool = field(name="m")
    reduce_only: bool = field(name="R")
    commission: str = field(name="n", default="0")  # negative = rebate
    commission_asset: str = field(name="N", default="")
    bid_notional: str = field(name="b", default="0")  # of all our open bids on the symbol, after the event
    ask_notional: str = field(name="a", default="0")
    position_side: str = field(name="ps", default="BOTH")
    realised_pnl: str = field(name="rp", default="0")
    self_trade_prevention: str = field(name="V", default="NONE")
    expiry_reason: str = field(name="er", default="0")

    @property
    def side(self) -> int:
        """Side; 0 = a word phx does not know."""
        return SIDES.get(self.side_word, 0)

    @property
    def kind(self) -> int:
        """ExecKind; 255 = a word phx does not know."""
        return EXEC_KINDS.get(self.execution, UNKNOWN)

    @property
    def trade_ts_ns(self) -> int:
        return self.trade_time_ms * MS_NS


class UserEvent(Struct, frozen=True, tag_field="e"):
    """Any event of the user stream: `ts_event_ns` is the matching time where there is one, else when it was made."""

    event_ms: Ms = field(name="E")
    matching_ms: Ms = field(name="T", default=0)

    @property
    def ts_event_ns(self) -> int:
        return (self.matching_ms or self.event_ms) * MS_NS


class OrderTradeUpdate(UserEvent, tag="ORDER_TRADE_UPDATE", kw_only=True):
    order: OrderFields = field(name="o")


class TradeLite(UserEvent, tag="TRADE_LITE", kw_only=True):
    """The fastest notice of a fill; without fee and position."""

    symbol: str = field(name="s")
    qty: str = field(name="q")  # of the order
    price: str = field(name="p")  # of the order
    maker: bool = field(name="m")
    coid: str = field(name="c")
    side_word: str = field(name="S")
    last_price: str = field(name="L")
    last_qty: str = field(name="l")
    trade_id: Number = field(name="t")
    venue_order_id: Number = field(name="i")

    @property
    def side(self) -> int:
        """Side; 0 = a word phx does not know."""
        return SIDES.get(self.side_word, 0)


class BalanceFields(Wire):
    asset: str = field(name="a")
    wallet: str = field(name="wb")
    cross_wallet: str = field(name="cw", default="0")
    change: str = field(name="bc", default="0")  # without profit and commission: deposits, funding


class PositionFields(Wire):
    symbol: str = field(name="s")
    qty: str = field(name="pa")  # signed
    entry_price: str = field(name="ep")
    accumulated_pnl: str = field(name="cr", default="0")
    unrealised_pnl: str = field(name="up", default="0")
    margin_type: str = field(name="mt", default="cross")
    side: str = field(name="ps", default="BOTH")


class AccountFields(Struct, frozen=True):
    """`a` of an ACCOUNT_UPDATE: only what changed."""

    balances: list[BalanceFields] = field(name="B", default_factory=list)
    positions: list[PositionFields] = field(name="P", default_factory=list)
    reason: str = field(name="m", default="")  # ORDER, FUNDING_FEE, DEPOSIT, …
    symbol: str = field(name="S", default="")  # funding only, since 2026-08


class AccountUpdate(UserEvent, tag="ACCOUNT_UPDATE", kw_only=True):
    account: AccountFields = field(name="a")


class ListenKeyExpired(UserEvent, tag="listenKeyExpired", kw_only=True):
    """No event follows until a new key is asked for."""


class MarginPosition(Wire):
    symbol: str = field(name="s")
    side: str = field(name="ps", default="BOTH")
    qty: str = field(name="pa", default="0")
    mark_price: str = field(name="mp", default="0")
    unrealised_pnl: str = field(name="up", default="0")
    maintenance_margin: str = field(name="mm", default="0")


class MarginCall(UserEvent, tag="MARGIN_CALL", kw_only=True):
    cross_wallet: str = field(name="cw", default="0")
    positions: list[MarginPosition] = field(name="p", default_factory=list)


class LeverageFields(Wire):
    symbol: str = field(name="s")
    leverage: Small = field(name="l")


class MultiAssetFields(Wire):
    multi_assets: bool = field(name="j")


class AccountConfigUpdate(UserEvent, tag="ACCOUNT_CONFIG_UPDATE", kw_only=True):
    leverage: LeverageFields | None = field(name="ac", default=None)
    mode: MultiAssetFields | None = field(name="ai", default=None)


class UnknownEvent(Struct, frozen=True):
    """An event of a kind phx has no Struct for, whole."""

    kind: str
    raw: bytes


class _Kind(Struct, frozen=True):
    e: str = ""


KnownEvent = OrderTradeUpdate | TradeLite | AccountUpdate | ListenKeyExpired | MarginCall | AccountConfigUpdate
KINDS = frozenset(kind.__struct_config__.tag for kind in KnownEvent.__args__)
_event_decoder = msgspec.json.Decoder(KnownEvent)
_kind_decoder = msgspec.json.Decoder(_Kind)


def user_event(frame: bytes) -> KnownEvent | UnknownEvent:
    """Return a frame of the user stream as its Struct. Raises FrameRefused for what is no readable event."""
    try:
        return _event_decoder.decode(frame)
    except UNREADABLE as error:
        try:
            kind = _kind_decoder.decode(frame).e
        except UNREADABLE:
            raise FrameRefused(f"no user event: {error}") from None
        if kind in KINDS or not kind:
            raise FrameRefused(f"user event {kind or 'without a kind'}: {error}") from None
        return UnknownEvent(kind, bytes(frame))


# ---- orders: REST and WS-API ------------------------------------------------------------------------------------


class OrderRow(Wire, rename="camel"):
    """An order as acknowledgements, queries and lists carry it; they differ only in what they leave out."""

    symbol: str
    order_id: Number
    status: str
    client_order_id: str
    side: str
    price: str = "0"
    orig_qty: str = "0"
    executed_qty: str = "0"
    time_in_force: str = ""
    type: str = ""
    reduce_only: bool = False
    update_time: Ms = 0

    def order(self) -> Order:
        return Order(
            symbol=self.symbol,
            coid=self.client_order_id,
            venue_order_id=self.order_id,
            side=SIDES.get(self.side, 0),
            status=self.status,
            price=self.price,
            qty=self.orig_qty,
            filled_qty=self.executed_qty,
            type=self.type,
            time_in_force=self.time_in_force,
            reduce_only=self.reduce_only,
            ts_update_ns=self.update_time * MS_NS,
        )


class ErrorBody(Wire):
    code: Small
    msg: str = ""


class RateLimit(Wire, rename="camel"):
    rate_limit_type: str  # REQUEST_WEIGHT, ORDERS
    interval: str  # SECOND, MINUTE
    interval_num: int
    limit: Small  # -1: the request cost no weight
    count: Small = 0  # used; absent in exchangeInfo

    @property
    def window_s(self) -> int:
        return self.interval_num * {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400}.get(self.interval, 0)


class ApiReply(Struct, frozen=True, rename="camel"):
    """One reply of the WS-API. `id` is ours, null when the venue could not read the request."""

    id: Number | str | None = None
    status: int = 0
    result: Raw = Raw()
    error: ErrorBody | None = None
    rate_limits: list[RateLimit] = []

    def order(self) -> OrderRow:
        """Return the result of order.place, modify, cancel or status."""
        return decode(_order_row, self.result, "order reply")

    def order_counts(self) -> dict[int, int]:
        """Return how many orders the account used, by window in seconds."""
        return {r.window_s: r.count for r in self.rate_limits if r.rate_limit_type == "ORDERS" and r.count >= 0}

    def weight_used(self) -> int | None:
        """Return the IP weight used in this minute, None when the reply does not say."""
        for limit in self.rate_limits:
            if limit.rate_limit_type == "REQUEST_WEIGHT" and limit.count >= 0:
                return limit.count
        return None


# ---- exchangeInfo -----------------------------------------------------------------------------------------------


class Filter(Wire, rename="camel"):
    """One filter of a symbol; each kind fills its own fields."""

    filter_type: str
    min_price: str = "0"
    max_price: str = "0"
    tick_size: str = "0"
    min_qty: str = "0"
    max_qty: str = "0"
    step_size: str = "0"
    limit: int = 0
    notional: str = "0"
    multiplier_up: str = "0"
    multiplier_down: str = "0"


class SymbolInfo(Struct, frozen=True, rename="camel"):
    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    price_precision: int
    quantity_precision: int
    filters: list[Filter]
    contract_type: str = ""
    margin_asset: str = ""

    def instrument(self, symbol_id: int) -> Instrument:
        """Return what phx keeps of it. A missing filter is refused: without it no order could be checked."""
        filters = {f.filter_type: f for f in self.filters}
        try:
            price, lot = filters["PRICE_FILTER"], filters["LOT_SIZE"]
            notional, percent = filters["MIN_NOTIONAL"], filters["PERCENT_PRICE"]
            orders = filters["MAX_NUM_ORDERS"]
        except KeyError as error:
            raise FrameRefused(f"{self.symbol}: exchangeInfo has no filter {error.args[0]}") from None
        try:
            return self._instrument(symbol_id, price, lot, notional, percent, orders)
        except ArithmeticError:
            raise FrameRefused(f"{self.symbol}: exchangeInfo has a filter that is no number") from None

    def _instrument(self, symbol_id: int, price, lot, notional, percent, orders) -> Instrument:
        return Instrument(
            symbol=self.symbol,
            symbol_id=symbol_id,
            tick_size=Decimal(price.tick_size),
            lot_size=Decimal(lot.step_size),
            min_price=Decimal(price.min_price),
            max_price=Decimal(price.max_price),
            min_qty=Decimal(lot.min_qty),
            max_qty=Decimal(lot.max_qty),
            min_notional=Decimal(notional.notional),
            price_precision=self.price_precision,
            qty_precision=self.quantity_precision,
            max_orders=orders.limit,
            percent_up=Decimal(percent.multiplier_up),
            percent_down=Decimal(percent.multiplier_down),
            base_asset=self.base_asset,
            quote_asset=self.quote_asset,
            status=self.status,
        )


class ExchangeInfo(Struct, frozen=True, rename="camel"):
    """`symbols` stay raw, so that one odd entry among hundreds does not hide ours."""

    symbols: list[Raw]
    rate_limits: list[RateLimit] = []


class RateLimits(Wire, rename="camel"):
    """exchangeInfo again, but nothing of its symbols."""

    rate_limits: list[RateLimit]


class _SymbolName(Wire):
    symbol: str


# ---- other REST answers -----------------------------------------------------------------------------------------


class TradeRow(Wire, rename="camel"):
    symbol: str
    id: Number
    order_id: Number
    side: str
    price: str
    qty: str
    commission: str
    commission_asset: str
    realized_pnl: str
    maker: bool
    time: Ms

    def trade(self) -> UserTrade:
        return UserTrade(
            symbol=self.symbol,
            trade_id=self.id,
            venue_order_id=self.order_id,
            side=SIDES.get(self.side, 0),
            price=self.price,
            qty=self.qty,
            commission=self.commission,
            commission_asset=self.commission_asset,
            realised_pnl=self.realized_pnl,
            maker=self.maker,
            ts_event_ns=self.time * MS_NS,
        )


class IncomeRow(Wire, rename="camel"):
    income_type: str
    income: str
    asset: str
    time: Ms
    tran_id: Number
    symbol: str = ""

    def row(self) -> Income:
        return Income(self.income_type, self.symbol, self.income, self.asset, self.tran_id, self.time)


class PositionRow(Wire, rename="camel"):
    symbol: str
    position_amt: str
    entry_price: str
    position_side: str = "BOTH"
    update_time: Ms = 0

    def position(self) -> Position:
        return Position(self.symbol, self.position_amt, self.entry_price, self.position_side, self.update_time * MS_NS)


class BalanceRow(Wire, rename="camel"):
    asset: str
    balance: str
    available_balance: str = "0"

    def asset_balance(self) -> Balance:
        return Balance(self.asset, self.balance, self.available_balance)


class CommissionRow(Wire, rename="camel"):
    symbol: str
    maker_commission_rate: str
    taker_commission_rate: str

    def rate(self) -> CommissionRate:
        return CommissionRate(self.symbol, self.maker_commission_rate, self.taker_commission_rate)


class PremiumIndex(Wire, rename="camel"):
    mark_price: str


class ServerTime(Wire, rename="camel"):
    server_time: Ms


class ListenKey(Wire, rename="camel"):
    listen_key: str = ""


class PositionMode(Wire, rename="camel"):
    dual_side_position: bool


class CountdownAnswer(Wire, rename="camel"):
    symbol: str
    countdown_time: str


_order_row = msgspec.json.Decoder(OrderRow)
_reply = msgspec.json.Decoder(ApiReply)
_exchange_info = msgspec.json.Decoder(ExchangeInfo)
_symbol_name = msgspec.json.Decoder(_SymbolName)
_symbol_info = msgspec.json.Decoder(SymbolInfo)


def decode(decoder, body, what: str):
    """Return a body decoded, or raise FrameRefused with the path at fault."""
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        raise FrameRefused(f"{what}: {error}") from None


def api_reply(frame: bytes) -> ApiReply:
    """Return a frame of the WS-API. Raises FrameRefused."""
    return decode(_reply, frame, "WS-API reply")


def instruments(body: bytes, symbol_ids) -> dict[str, Instrument]:
    """Return the instruments of the wanted symbols (name → symbol_id) out of an exchangeInfo answer."""
    found = {}
    for raw in decode(_exchange_info, body, "exchangeInfo").symbols:
        try:
            name = _symbol_name.decode(raw).symbol
        except UNREADABLE:
            continue
        if name in symbol_ids:
            found[name] = decode(_symbol_info, raw, f"exchangeInfo, {name}").instrument(symbol_ids[name])
    missing = [name for name in symbol_ids if name not in found]
    if missing:
        raise FrameRefused(f"exchangeInfo lists no {', '.join(missing)}; correct the symbols in the configuration")
    return {name: found[name] for name in symbol_ids}
