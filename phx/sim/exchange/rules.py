"""What the venue checks before an order reaches the book: parameters, filters, price band, notional, margin.

What a reduce-only order may do is in reduce_only.py.
"""

import re
import secrets
import string
from dataclasses import dataclass
from decimal import Decimal

from phx._core.matching import SelfTrade, TimeInForce
from phx.instruments import ONE_E8
from phx.sim.contracts import Contract, plain
from phx.sim.exchange.account import Account
from phx.sim.exchange.position import BOTH, LONG, POSITION_SIDES
from phx.sim.refusals import Refused

CLIENT_ID = re.compile(r"^[\.A-Z\:/a-z0-9_-]{1,36}$")
WHOLE = re.compile(r"-?[0-9]{1,20}")
DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{0,20})?|-?\.[0-9]{1,20}")
CONDITIONAL = {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
SIDES = {"BUY": 1, "SELL": -1}
TIFS = {
    "GTC": TimeInForce.TIF_GTC,
    "IOC": TimeInForce.TIF_IOC,
    "FOK": TimeInForce.TIF_FOK,
    "GTX": TimeInForce.TIF_GTX,
    "GTD": TimeInForce.TIF_GTC,  # rests like GTC; the exchange ends it at goodTillDate
}
SELF_TRADES = {
    "NONE": SelfTrade.SELF_TRADE_NONE,
    "EXPIRE_TAKER": SelfTrade.SELF_TRADE_EXPIRE_TAKER,
    "EXPIRE_MAKER": SelfTrade.SELF_TRADE_EXPIRE_MAKER,
    "EXPIRE_BOTH": SelfTrade.SELF_TRADE_EXPIRE_BOTH,
}
ALPHANUMERICS = string.ascii_letters + string.digits
# priceMatch → whose side of the book, which level from the best. The _10 and _20 of OPPONENT were withdrawn in 2025.
PRICE_MATCHES = {
    "OPPONENT": (-1, 1),
    "OPPONENT_5": (-1, 5),
    "QUEUE": (1, 1),
    "QUEUE_5": (1, 5),
    "QUEUE_10": (1, 10),
    "QUEUE_20": (1, 20),
}
FAR_FUTURE_MS = 253_402_300_799_000


@dataclass(slots=True)
class NewOrder:
    """A place request that passed the checks of its parameters.

    reduce_only: also of every order that closes in hedge mode. price_match: NONE, or where price_ticks is to come from.
    """

    contract: Contract
    side: int
    type: str
    tif: str
    price_ticks: int  # 0 for MARKET, and until a price match is resolved
    lots: int
    reduce_only: bool
    client_id: str
    self_trade: str
    good_till_ms: int
    response: str
    position_side: str = BOTH
    price_match: str = "NONE"

    @property
    def tif_code(self) -> int:
        return TimeInForce.TIF_MARKET if self.type == "MARKET" else TIFS[self.tif]

    @property
    def may_rest(self) -> bool:
        return self.tif_code in (TimeInForce.TIF_GTC, TimeInForce.TIF_GTX)


def text(params: dict, name: str, default: str | None = None) -> str:
    """Return a parameter as text; -1102 when it is mandatory (no default) and missing or empty, -1105 when empty."""
    value = params.get(name)
    if value is None or value == "":
        if default is None:
            raise Refused(-1102, name)
        if value == "":
            raise Refused(-1105, name)
        return default
    if value is True or value is False:
        return "true" if value else "false"
    return str(value)


def whole(params: dict, name: str, default: int | None = None) -> int:
    """Return an integer parameter; malformed: -1102 when it is mandatory, else -1130."""
    value = text(params, name, None if default is None else str(default))
    if not WHOLE.fullmatch(value):
        raise Refused(-1102 if default is None else -1130, name)
    return int(value)


def flag(params: dict, name: str) -> bool:
    value = text(params, name, "false").lower()
    if value not in ("true", "false"):
        raise Refused(-1102, name)
    return value == "true"


def mandatory_flag(params: dict, name: str) -> bool:
    """Return a boolean parameter that must be sent."""
    text(params, name)
    return flag(params, name)


def decimal(params: dict, name: str) -> Decimal:
    value = text(params, name)
    if not DECIMAL.fullmatch(value):
        raise Refused(-1102, name)
    return Decimal(value)


def places(value: Decimal) -> int:
    """Return the decimals a number needs."""
    return max(0, -value.normalize().as_tuple().exponent)


def price_ticks(contract: Contract, value: Decimal) -> int:
    """Return a limit price in ticks, or refuse it by PRICE_FILTER."""
    instrument = contract.order_filters
    if value <= 0:
        raise Refused(-4001)
    if places(value) > instrument.price_precision:
        raise Refused(-1111)
    if value < instrument.min_price:
        raise Refused(-4013)
    if value > instrument.max_price:
        raise Refused(-4002)
    if value % instrument.tick_size:
        raise Refused(-4014)
    return int(value / contract.instrument.tick_size)


def qty_lots(contract: Contract, value: Decimal, market: bool) -> int:
    """Return a quantity in lots, or refuse it by LOT_SIZE or MARKET_LOT_SIZE."""
    instrument = contract.order_filters
    if value <= 0:
        raise Refused(-4003)
    if places(value) > instrument.qty_precision:
        raise Refused(-1111)
    if value < instrument.min_qty:
        raise Refused(-4004)
    if value > (contract.market_max_lots * contract.instrument.lot_size if market else instrument.max_qty):
        raise Refused(-4005)
    if value % instrument.lot_size:
        raise Refused(-4023)
    return int(value / contract.instrument.lot_size)


def new_order(contracts: dict[str, Contract], params: dict, now_ms: int, hedge: bool = False) -> NewOrder:
    """Return a place request read and checked as far as it can be without account and market."""
    contract = contracts.get(text(params, "symbol"))
    if contract is None:
        raise Refused(-1121)
    side, kind = text(params, "side"), text(params, "type")
    if side not in SIDES:
        raise Refused(-1117)
    if kind in CONDITIONAL:
        raise Refused(-4120)
    if kind not in ("LIMIT", "MARKET"):
        raise Refused(-1116)
    position_side, reduce_only = position_side_of(params, hedge), flag(params, "reduceOnly")
    if hedge:
        if "reduceOnly" in params:
            raise Refused(-1106, "reduceonly")
        reduce_only = (SIDES[side] > 0) != (position_side == LONG)
    market = kind == "MARKET"
    tif = "GTC" if market else text(params, "timeInForce")
    if tif not in TIFS or tif not in contract.entry["timeInForce"]:
        raise Refused(-1115)
    price_match = price_match_of(params, kind)
    if (market or price_match != "NONE") and params.get("price"):
        raise Refused(-1106, "price")
    lots = qty_lots(contract, decimal(params, "quantity"), market)
    ticks = 0 if market or price_match != "NONE" else price_ticks(contract, decimal(params, "price"))
    client_id = text(params, "newClientOrderId", "")
    if client_id and not CLIENT_ID.match(client_id):
        raise Refused(-4015)
    self_trade = text(params, "selfTradePreventionMode", "EXPIRE_MAKER")
    if self_trade not in SELF_TRADES:
        raise Refused(-5039)
    response = text(params, "newOrderRespType", "ACK")
    if response not in ("ACK", "RESULT"):
        raise Refused(-1136)
    return NewOrder(
        contract=contract,
        side=SIDES[side],
        type=kind,
        tif=tif,
        price_ticks=ticks,
        lots=lots,
        reduce_only=reduce_only,
        client_id=client_id or new_client_id(),
        self_trade=self_trade,
        good_till_ms=good_till_ms(params, now_ms) if tif == "GTD" else 0,
        response=response,
        position_side=position_side,
        price_match=price_match,
    )


def new_client_id() -> str:
    """Return an id as the venue gives it to an order that came without one."""
    return "".join(secrets.choice(ALPHANUMERICS) for _ in range(22))


def good_till_ms(params: dict, now_ms: int) -> int:
    """Return a goodTillDate, of which the venue keeps whole seconds only."""
    until_ms = whole(params, "goodTillDate", 0)
    if not now_ms + 600_000 < until_ms < FAR_FUTURE_MS:
        raise Refused(-5040)
    return until_ms // 1000 * 1000


def position_side_of(params: dict, hedge: bool) -> str:
    """Return the position an order trades for; -4061 when the account's mode does not have it."""
    side = text(params, "positionSide", BOTH)
    if side not in POSITION_SIDES:
        raise Refused(-4060)
    if (side == BOTH) == hedge:
        raise Refused(-4061)
    return side


def price_match_of(params: dict, kind: str) -> str:
    mode = text(params, "priceMatch", "NONE")
    if mode == "NONE":
        return mode
    if mode not in PRICE_MATCHES:
        raise Refused(-5037)
    if kind != "LIMIT":
        raise Refused(-5038)
    return mode


def matched_ticks(book, side: int, mode: str) -> int:
    """Return the price a priceMatch asks for; -5041 when the book has not that many levels."""
    whose, level = PRICE_MATCHES[mode]
    levels = book.standing(whose * side, level)
    if len(levels) < level:
        raise Refused(-5041)
    return levels[level - 1][0]


def check_state(contract: Contract, side: int, reduce_only: bool) -> None:
    """Refuse what the contract's state or its POSITION_RISK_CONTROL leaves to orders that reduce."""
    if reduce_only:
        return
    if contract.entry["status"] != "TRADING":
        raise Refused(-4140)
    controlled = contract.filters.get("POSITION_RISK_CONTROL", {}).get("positionControlSide", "NONE")
    if controlled == "BOTH":
        raise Refused(-4105)
    if controlled in SIDES and SIDES[controlled] == side:
        raise Refused(-4106 if side > 0 else -4107)


def check_band(contract: Contract, side: int, ticks: int, mark_e8: int) -> None:
    """Refuse a limit price beyond PERCENT_PRICE: it bounds buys from above and sells from below only."""
    limit_e8 = band_e8(contract, side, mark_e8)
    if side * (int(ticks * contract.instrument.tick_size * ONE_E8) - limit_e8) > 0:
        raise Refused(-4016 if side > 0 else -4024, plain(limit_e8, 8))


def check_market_band(contract: Contract, side: int, best: list[tuple[int, int]], mark_e8: int) -> None:
    """Refuse a market order whose counterparty's best level, if there is one, lies beyond PERCENT_PRICE."""
    tick_e8 = int(contract.instrument.tick_size * ONE_E8)
    if best and side * (best[0][0] * tick_e8 - band_e8(contract, side, mark_e8)) > 0:
        raise Refused(-4131)


def band_e8(contract: Contract, side: int, mark_e8: int) -> int:
    """Return the worst price a side may pay or ask, in 1e-8."""
    instrument = contract.order_filters
    return int(mark_e8 * (instrument.percent_up if side > 0 else instrument.percent_down))


def check_notional(contract: Contract, value_e8: int, code: int = -4164) -> None:
    notional = contract.order_filters.min_notional
    if value_e8 < notional * ONE_E8:
        raise Refused(code, f"{notional:f}")


def check_account(account: Account, order: NewOrder, marks_e8: dict[str, int]) -> None:
    """Refuse what the account may not do: a client id in use, too many orders, nothing to reduce, size cap, margin."""
    contract = order.contract
    opened = account.open_orders(contract.symbol)
    if order.client_id in opened.by_client:
        raise Refused(-4116)
    if len(opened.by_id) >= contract.instrument.max_orders:
        raise Refused(-2025)
    if order.reduce_only:
        if order.side * account.position(contract, order.position_side).lots >= 0:
            raise Refused(-2022)
        return
    check_size(account, contract, order.side, order.lots, marks_e8, order.position_side)


def check_size(
    account: Account,
    contract: Contract,
    side: int,
    added_lots: int,
    marks_e8: dict[str, int],
    position_side: str = BOTH,
) -> None:
    """Refuse a larger worst-case position than leverage and available margin allow."""
    mark_e8 = marks_e8[contract.symbol]
    leverage = account.settings_of(contract.symbol).leverage
    before = account.initial_margin_e8(contract, mark_e8)
    after = account.initial_margin_e8(contract, mark_e8, side, added_lots, position_side)
    if after <= before:
        return
    if after * leverage > contract.max_notional(leverage) * ONE_E8:
        raise Refused(-2027)
    if after - before > account.available_e8(contract.margin_asset, marks_e8):
        raise Refused(-2019)
