"""A conditional order of the algo service: read from a request, when it triggers, and how it is shown."""

from dataclasses import dataclass
from decimal import Decimal

from phx.instruments import ONE_E8
from phx.sim.contracts import Contract, plain
from phx.sim.exchange import rules
from phx.sim.exchange.account import Order
from phx.sim.refusals import Refused
from phx.sim.streams.market_wire import SIDE_TEXT

STOPS, PROFITS, TRAILING = ("STOP", "STOP_MARKET"), ("TAKE_PROFIT", "TAKE_PROFIT_MARKET"), "TRAILING_STOP_MARKET"
LIMITS = ("STOP", "TAKE_PROFIT")  # these become limit orders, the others market orders
WORKING_TYPES = ("CONTRACT_PRICE", "MARK_PRICE")
LEAST_CALLBACK, MOST_CALLBACK = Decimal("0.1"), Decimal(20)  # percent


@dataclass(slots=True)
class AlgoOrder:
    """One conditional order for its whole life.

    status: NEW, TRIGGERING, TRIGGERED, then FINISHED with the order it became; or CANCELED, EXPIRED, REJECTED. lots: 0
    with close_position. extreme_e8: of a trailing order that is active, the best price since, 0 before.
    """

    contract: Contract
    algo_id: int
    client_id: str
    side: int
    position_side: str
    type: str
    tif: str
    lots: int
    price_ticks: int
    trigger_ticks: int
    working_type: str
    price_match: str
    self_trade: str
    close_position: bool
    price_protect: bool
    reduce_only: bool
    activate_ticks: int
    callback: Decimal
    good_till_ms: int
    create_ms: int
    update_ms: int
    trigger_ms: int = 0
    status: str = "NEW"
    extreme_e8: int = 0
    actual: Order | None = None
    reject_reason: str = ""

    @property
    def is_open(self) -> bool:
        return self.status == "NEW"

    @property
    def is_limit(self) -> bool:
        return self.type in LIMITS

    def reached(self, price_e8: int) -> bool:
        """Return whether a price triggers the order; a trailing one follows the price first."""
        if self.type == TRAILING:
            return self._trailed(price_e8)
        above = (self.side > 0) == (self.type in STOPS)
        trigger_e8 = self.price_e8(self.trigger_ticks)
        return price_e8 >= trigger_e8 if above else price_e8 <= trigger_e8

    def _trailed(self, price_e8: int) -> bool:
        if not self.extreme_e8:
            if self.activate_ticks and self.side * (price_e8 - self.price_e8(self.activate_ticks)) > 0:
                return False
            self.extreme_e8 = price_e8
        best = min if self.side > 0 else max
        self.extreme_e8 = best(self.extreme_e8, price_e8)
        turned_e8 = int(self.extreme_e8 * (1 + self.side * self.callback / 100))
        return self.side * (price_e8 - turned_e8) >= 0

    def price_e8(self, ticks: int) -> int:
        return int(ticks * self.contract.instrument.tick_size * ONE_E8)

    def request(self, lots: int) -> dict:
        """Return the parameters of the order it becomes, of so many lots."""
        c = self.contract
        params = {
            "symbol": c.symbol,
            "side": SIDE_TEXT[self.side],
            "positionSide": self.position_side,
            "type": "LIMIT" if self.is_limit else "MARKET",
            "quantity": c.qty(lots),
            "newClientOrderId": self.client_id,
            "selfTradePreventionMode": self.self_trade,
        }
        if self.reduce_only and self.position_side == "BOTH":
            params["reduceOnly"] = "true"
        if self.is_limit:
            params["timeInForce"] = self.tif
            if self.price_match != "NONE":
                params["priceMatch"] = self.price_match
            else:
                params["price"] = c.price(self.price_ticks)
            if self.good_till_ms:
                params["goodTillDate"] = self.good_till_ms
        return params


def read(contracts: dict[str, Contract], params: dict, now_ms: int, hedge: bool, algo_id: int) -> AlgoOrder:
    """Return the order a request asks for. Raises Refused."""
    if rules.text(params, "algoType") != "CONDITIONAL":
        raise Refused(-1130, "algoType")
    contract = contracts.get(rules.text(params, "symbol"))
    if contract is None:
        raise Refused(-1121)
    side, kind = rules.text(params, "side"), rules.text(params, "type")
    if side not in rules.SIDES:
        raise Refused(-1117)
    if kind not in rules.CONDITIONAL:
        raise Refused(-1116)
    position_side = rules.position_side_of(params, hedge)
    close_position, reduce_only = rules.flag(params, "closePosition"), rules.flag(params, "reduceOnly")
    if hedge and params.get("reduceOnly") not in (None, ""):
        raise Refused(-1106, "reduceonly")
    if close_position:
        if kind in LIMITS or kind == TRAILING:
            raise Refused(-1106, "closePosition")
        if params.get("quantity") not in (None, ""):
            raise Refused(-4137)
        if params.get("reduceOnly") not in (None, ""):
            raise Refused(-1106, "reduceonly")
        lots = 0
    else:
        lots = rules.qty_lots(contract, rules.decimal(params, "quantity"), market=kind not in LIMITS)
    tif = rules.text(params, "timeInForce", "GTC")
    if tif not in rules.TIFS:
        raise Refused(-1115)
    working_type = rules.text(params, "workingType", WORKING_TYPES[0])
    if working_type not in WORKING_TYPES:
        raise Refused(-4031, working_type)
    price_match = rules.price_match_of(params, "LIMIT" if kind in LIMITS else kind)
    priced = kind in LIMITS and price_match == "NONE"
    if not priced and params.get("price") not in (None, ""):
        raise Refused(-1106, "price")
    self_trade = rules.text(params, "selfTradePreventionMode", "EXPIRE_MAKER")
    if self_trade not in rules.SELF_TRADES:
        raise Refused(-5039)
    client_id = rules.text(params, "clientAlgoId", "") if params.get("clientAlgoId") else rules.new_client_id()
    if not rules.CLIENT_ID.match(client_id):
        raise Refused(-4015)
    return AlgoOrder(
        contract=contract,
        algo_id=algo_id,
        client_id=client_id,
        side=rules.SIDES[side],
        position_side=position_side,
        type=kind,
        tif=tif,
        lots=lots,
        price_ticks=rules.price_ticks(contract, rules.decimal(params, "price")) if priced else 0,
        trigger_ticks=0 if kind == TRAILING else _stop_ticks(contract, params, "triggerPrice"),
        working_type=working_type,
        price_match=price_match,
        self_trade=self_trade,
        close_position=close_position,
        price_protect=rules.flag(params, "priceProtect"),
        reduce_only=reduce_only,
        activate_ticks=_stop_ticks(contract, params, "activatePrice") if params.get("activatePrice") else 0,
        callback=_callback(params) if kind == TRAILING else Decimal(0),
        good_till_ms=rules.good_till_ms(params, now_ms) if tif == "GTD" else 0,
        create_ms=now_ms,
        update_ms=now_ms,
    )


def _stop_ticks(contract: Contract, params: dict, name: str) -> int:
    """Return a trigger or activation price in ticks."""
    value, instrument = rules.decimal(params, name), contract.instrument
    if value <= 0:
        raise Refused(-4006)
    if value > instrument.max_price:
        raise Refused(-4007)
    if rules.places(value) > instrument.price_precision:
        raise Refused(-1111)
    if value % instrument.tick_size:
        raise Refused(-4014)
    return int(value / instrument.tick_size)


def _callback(params: dict) -> Decimal:
    rate = rules.decimal(params, "callbackRate")
    if not LEAST_CALLBACK <= rate <= MOST_CALLBACK or rules.places(rate) > 1:
        raise Refused(-1130, "callbackRate")
    return rate


# ---- how it is shown --------------------------------------------------------------------------------------------


def ack(o: AlgoOrder) -> dict:
    """Return the answer to placing one."""
    c = o.contract
    return _head(o, "NEW") | {
        "triggerPrice": c.price(o.trigger_ticks),
        "price": c.price(o.price_ticks),
        "icebergQuantity": None,
        **_modes(o),
        "activatePrice": c.price(o.activate_ticks) if o.activate_ticks else "",
        "callbackRate": plain(int(o.callback * 10), 1) if o.type == TRAILING else "",
        **_times(o),
    }


def row(o: AlgoOrder, in_list: bool = False) -> dict:
    """Return one as queries show it; lists carry the four prices of other kinds of algo orders as well."""
    c = o.contract
    actual = {
        "actualOrderId": str(o.actual.order_id) if o.actual else "",
        "actualPrice": _average(o),
    }
    others = {}
    if in_list:
        others = dict.fromkeys(("tpTriggerPrice", "tpPrice", "slTriggerPrice", "slPrice"), c.zero_price)
    else:
        actual["actualType"] = "LIMIT" if o.is_limit else "MARKET"
        actual["actualQty"] = c.plain_qty(o.actual.executed_lots) if o.actual else "0"
    return (
        _head(o, o.status)
        | actual
        | {"triggerPrice": c.price(o.trigger_ticks), "price": c.price(o.price_ticks), "icebergQuantity": None}
        | others
        | {"tpOrderType": ""}
        | _modes(o)
        | _times(o)
    )


def _head(o: AlgoOrder, status: str) -> dict:
    return {
        "algoId": o.algo_id,
        "clientAlgoId": o.client_id,
        "algoType": "CONDITIONAL",
        "orderType": o.type,
        "symbol": o.contract.symbol,
        "side": SIDE_TEXT[o.side],
        "positionSide": o.position_side,
        "timeInForce": o.tif,
        "quantity": o.contract.qty(o.lots),
        "algoStatus": status,
    }


def _modes(o: AlgoOrder) -> dict:
    return {
        "selfTradePreventionMode": o.self_trade,
        "workingType": o.working_type,
        "priceMatch": o.price_match,
        "closePosition": o.close_position,
        "priceProtect": o.price_protect,
        "reduceOnly": o.reduce_only,
    }


def _times(o: AlgoOrder) -> dict:
    return {
        "createTime": o.create_ms,
        "updateTime": o.update_ms,
        "triggerTime": o.trigger_ms,
        "goodTillDate": o.good_till_ms,
    }


def _average(o: AlgoOrder) -> str:
    if not o.actual or not o.actual.executed_lots:
        return "0.00000"
    return plain(o.contract.average_e8(o.actual.executed_ticklots, o.actual.executed_lots), 8)
