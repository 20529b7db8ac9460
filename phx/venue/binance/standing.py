"""What the venue says of key, account and contracts before anything trades: read at once, judged elsewhere.

A question that gets no answer leaves its fact None and its error under `failures`; nothing is assumed.
"""

import asyncio
from decimal import Decimal

import msgspec
from msgspec import Struct, field

from phx.venue.binance import messages
from phx.venue.binance.rest import SIDE_WORDS, Rest, read_answer, read_result
from phx.venue.interface import CommissionRate, Order, Position, VenueError

RESTRICTIONS_PATH = "/sapi/v1/account/apiRestrictions"


class Restrictions(Struct, frozen=True, rename="camel"):
    """What an API key may do. A right that the venue does not mention is not there."""

    ip_restrict: bool = False
    enable_reading: bool = False
    enable_futures: bool = False
    enable_withdrawals: bool = False
    enable_internal_transfer: bool = False
    permits_universal_transfer: bool = False
    enable_margin: bool = False
    enable_spot_and_margin_trading: bool = False
    enable_vanilla_options: bool = False
    trading_authority_expiration_time: int = 0  # UTC ms


class AccountConfig(Struct, frozen=True, rename="camel"):
    can_trade: bool
    dual_side_position: bool
    multi_assets_margin: bool


class SymbolConfig(Struct, frozen=True, rename="camel"):
    symbol: str
    margin_type: str  # CROSSED, ISOLATED
    leverage: int
    max_notional_value: str


class Indicator(Struct, frozen=True, rename="camel"):
    """One of the venue's quantitative rules on a symbol."""

    indicator: str = ""
    is_locked: bool = False
    planned_recover_time: int = 0


class TradingStatus(Struct, frozen=True):
    indicators: dict[str, list[Indicator]] = {}


_restrictions = msgspec.json.Decoder(Restrictions)
_account_config = msgspec.json.Decoder(AccountConfig)
_symbol_configs = msgspec.json.Decoder(list[SymbolConfig])
_trading_status = msgspec.json.Decoder(TradingStatus)
_rate_limits = msgspec.json.Decoder(list[messages.RateLimit])
_orders = msgspec.json.Decoder(list[messages.OrderRow])
_ignored = msgspec.json.Decoder(dict)


class Standing(Struct):
    """None = not asked, or asked without an answer (see `failures`, by the name of the fact)."""

    ahead_of_wall_ns: int | None = None
    round_trip_ns: int = 0
    restrictions: Restrictions | None = None
    account: AccountConfig | None = None
    symbols: dict[str, SymbolConfig] = field(default_factory=dict)
    rates: dict[str, CommissionRate] = field(default_factory=dict)
    marks: dict[str, Decimal] = field(default_factory=dict)
    accepted: dict[str, bool] = field(default_factory=dict)  # an order as phx sends it, tried without placing it
    order_limits: dict[int, int] | None = None  # window, s → orders
    weight_used: int = 0  # of this minute, by everybody at this address
    positions: list[Position] | None = None
    orders: list[Order] | None = None  # open on any symbol
    locked: dict[str, list[str]] | None = None  # symbol → quantitative rules that have locked it
    failures: dict[str, VenueError] = field(default_factory=dict)


async def standing(rest: Rest, instruments, where, thorough: bool) -> Standing:
    """Ask for everything that is to be known of the account and these instruments (by symbol).

    thorough: also what only a human can act on, 50 of weight more. Raises nothing of the venue's.
    """
    found = Standing()

    async def ask(name: str, question):
        try:
            return await question
        except VenueError as error:
            found.failures[name] = error
            return None

    if await ask("clock", rest.server_time()) is not None:
        found.ahead_of_wall_ns = rest.clock.ahead_of_wall_ns()
        found.round_trip_ns = 2 * rest.clock.error_ns
    rows = await ask("contracts", symbol_configs(rest)) or ()
    found.symbols = {row.symbol: row for row in rows if row.symbol in instruments}
    unlisted = found.failures.pop("contracts", VenueError("the account's list of contracts lacks it"))
    found.failures |= {f"contract {symbol}": unlisted for symbol in instruments.keys() - found.symbols.keys()}
    await asyncio.gather(*(of_symbol(rest, instrument, found, ask) for instrument in instruments.values()))
    found.account = await ask("account", account_config(rest))
    found.restrictions = await ask("permissions", restrictions(rest, where)) if where.account_api else None
    found.order_limits = await ask("order limits", order_limits(rest))
    found.positions = await ask("positions", rest.positions())
    if thorough:
        found.orders = await ask("open orders", all_open_orders(rest))
        found.locked = await ask("trading rules", locked(rest))
    found.weight_used = int(rest.counters["weight_60s"][0])
    return found


async def of_symbol(rest: Rest, instrument, found: Standing, ask) -> None:
    symbol = instrument.symbol
    if (rate := await ask(f"fees {symbol}", rest.commission_rate(symbol))) is not None:
        found.rates[symbol] = rate
    if (mark := await ask(f"mark price {symbol}", rest.mark_price(symbol))) is not None:
        found.marks[symbol] = Decimal(mark)
        found.accepted[symbol] = await ask(f"order {symbol}", try_order(rest, instrument, Decimal(mark))) is not None


async def restrictions(rest: Rest, where) -> Restrictions:
    body = await rest.ask(RESTRICTIONS_PATH, weight=1, signed=True, base=where.account_api)
    return read_answer(_restrictions, body, "key permissions")


async def account_config(rest: Rest) -> AccountConfig:
    return read_answer(_account_config, await rest.ask("/fapi/v1/accountConfig", weight=5, signed=True), "account")


async def symbol_configs(rest: Rest) -> list[SymbolConfig]:
    """Return the account's settings of every contract: one question weighs no more than that of one contract."""
    return read_answer(_symbol_configs, await rest.ask("/fapi/v1/symbolConfig", weight=5, signed=True), "contracts")


async def order_limits(rest: Rest) -> dict[int, int]:
    body = await rest.ask("/fapi/v1/rateLimit/order", weight=1, signed=True)
    rows = read_answer(_rate_limits, body, "order limits")
    return {row.window_s: row.limit for row in rows if row.rate_limit_type == "ORDERS"}


async def all_open_orders(rest: Rest) -> list[Order]:
    body = await rest.ask("/fapi/v1/openOrders", weight=40, signed=True)
    return [row.order() for row in read_answer(_orders, body, "open orders")]


async def locked(rest: Rest) -> dict[str, list[str]]:
    body = await rest.ask("/fapi/v1/apiTradingStatus", weight=10, signed=True)
    found = read_answer(_trading_status, body, "trading rules").indicators.items()
    rules = {symbol: [row.indicator for row in rows if row.is_locked] for symbol, rows in found}
    return {symbol: names for symbol, names in rules.items() if names}


async def try_order(rest: Rest, instrument, mark: Decimal) -> bool:
    """Have the venue check, without placing it, the smallest post-only bid one percent below the mark price."""
    ticks = instrument.ticks_floor(mark * Decimal("0.99"))
    ticks -= ticks % instrument.price_step
    lots = max(instrument.min_qty_lots, -(-instrument.min_notional_ticklots // max(1, ticks)))
    lots += -lots % instrument.qty_step
    params = (
        ("symbol", instrument.symbol),
        ("side", SIDE_WORDS[1]),
        ("type", "LIMIT"),
        ("timeInForce", "GTX"),
        ("quantity", instrument.qty_text(lots)),
        ("price", instrument.price_text(ticks)),
        ("selfTradePreventionMode", "EXPIRE_TAKER"),
    )
    body = await rest.send("POST", "/fapi/v1/order/test", params, weight=1, signed=True)
    read_result(_ignored, body, "order test")
    return True
