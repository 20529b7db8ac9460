"""The algo service: keeps conditional orders beside the book until a price triggers them, then places them.

Nothing is checked against margin before that; what the book then refuses is told as REJECTED.
"""

from decimal import Decimal

from phx.sim.exchange import algo_order, rules, wire
from phx.sim.exchange.account import Account, Order
from phx.sim.exchange.algo_order import TRAILING, AlgoOrder
from phx.sim.refusals import Refused

MOST_OPEN = 200  # of an account, over all symbols
FIRST_ALGO_ID = 4_000_000_000_000_000


class AlgoService:
    """All conditional orders of an exchange, by account and id."""

    def __init__(self, exchange):
        self.exchange = exchange
        self._orders: dict[int, dict[int, AlgoOrder]] = {}  # owner → id → order
        self._open: dict[int, tuple[Account, AlgoOrder]] = {}
        self._became: dict[tuple[int, str, int], AlgoOrder] = {}  # owner, symbol, order id → triggered order
        self._count = 0

    # ---- requests -----------------------------------------------------------------------------------------------

    def place(self, account: Account, params: dict, now_ns: int) -> dict:
        """POST algoOrder: return the acknowledgement.

        -2021: it would trigger at once. -4045: 200 are open. -4116: the client id is in use. -4135: activatePrice is on
        the side the price would have to come from.
        """
        algo_id = FIRST_ALGO_ID + now_ns // 1_000_000_000 * 1000 + self._count
        order = algo_order.read(self.exchange.contracts, params, now_ns // 1_000_000, account.hedge, algo_id)
        opened = self._opened(account)
        if len(opened) >= MOST_OPEN:
            raise Refused(-4045)
        if any(other.client_id == order.client_id for other in opened):
            raise Refused(-4116)
        price_e8 = self._price_e8(order)
        if order.type == TRAILING:
            if order.activate_ticks and order.side * (order.price_e8(order.activate_ticks) - price_e8) > 0:
                raise Refused(-4135)
        elif order.reached(price_e8):
            raise Refused(-2021)
        self._count += 1
        self._orders.setdefault(account.owner, {})[algo_id] = order
        self._open[algo_id] = account, order
        self._tell(account, order, now_ns)
        return algo_order.ack(order)

    def cancel(self, account: Account, params: dict, now_ns: int) -> dict:
        """DELETE algoOrder: by algoId or clientAlgoId; -2011 when it is not open."""
        order = self._find(account, params)
        if order is None or not order.is_open:
            raise Refused(-2011)
        self._end(account, order, "CANCELED", now_ns)
        return {"algoId": order.algo_id, "clientAlgoId": order.client_id, "code": "200", "msg": "success"}

    def cancel_all(self, account: Account, symbol: str, now_ns: int) -> None:
        """DELETE algoOpenOrders."""
        for order in self._opened(account):
            if order.contract.symbol == symbol:
                self._end(account, order, "CANCELED", now_ns)

    def query(self, account: Account, params: dict) -> dict:
        """GET algoOrder: by algoId or clientAlgoId; -2013 when there never was one."""
        order = self._find(account, params)
        if order is None:
            raise Refused(-2013)
        return algo_order.row(order)

    def open_rows(self, account: Account, symbol: str = "") -> list[dict]:
        """GET openAlgoOrders: of a symbol, or all."""
        return [
            algo_order.row(order, in_list=True)
            for order in self._opened(account)
            if symbol in ("", order.contract.symbol)
        ]

    def all_orders(self, account: Account, symbol: str = "") -> list[AlgoOrder]:
        """Return every order of an account, oldest first; algo_order.row(order, in_list=True) shows one."""
        return [o for o in self._orders.get(account.owner, {}).values() if symbol in ("", o.contract.symbol)]

    def _opened(self, account: Account) -> list[AlgoOrder]:
        return [order for owner, order in self._open.values() if owner is account]

    def _find(self, account: Account, params: dict) -> AlgoOrder | None:
        orders = self._orders.get(account.owner, {})
        if params.get("algoId") not in (None, ""):
            return orders.get(rules.whole(params, "algoId"))
        client_id = params.get("clientAlgoId")
        if not client_id:
            raise Refused(-1102, message="Param 'algoId' or 'clientAlgoId' must be sent, but both were empty/null!")
        return next((o for o in reversed(orders.values()) if o.client_id == client_id), None)

    # ---- triggers -----------------------------------------------------------------------------------------------

    def check(self, now_ns: int) -> None:
        """Trigger what the prices of this moment reach; end what has lived until its date."""
        for account, order in list(self._open.values()):
            if not order.is_open:
                continue
            was_active = bool(order.extreme_e8)
            if order.good_till_ms and now_ns // 1_000_000 >= order.good_till_ms:
                self._end(account, order, "EXPIRED", now_ns)
            elif order.reached(self._price_e8(order)) and not self._is_protected(order):
                self._trigger(account, order, now_ns)
            elif order.extreme_e8 and not was_active and order.activate_ticks:
                self._tell(account, order, now_ns)

    def on_order_ended(self, account: Account, order: Order, ts_ms: int) -> None:
        """Finish the conditional order whose order has ended."""
        found = self._became.pop((account.owner, order.symbol, order.order_id), None)
        if found is not None:
            self._set(account, found, "FINISHED", ts_ms * 1_000_000)

    def _trigger(self, account: Account, order: AlgoOrder, now_ns: int) -> None:
        del self._open[order.algo_id]
        order.trigger_ms = now_ns // 1_000_000
        lots = order.lots
        if order.close_position:
            held = account.position(order.contract, order.position_side).lots
            lots = max(0, -order.side * held)
            if lots == 0:
                self._set(account, order, "EXPIRED", now_ns)
                return
        self._set(account, order, "TRIGGERING", now_ns)
        try:
            self.exchange.place_triggered(account, order, lots, now_ns)
        except Refused as refusal:
            order.reject_reason = refusal.message
            self._set(account, order, "REJECTED", now_ns)

    def placed(self, account: Account, order: AlgoOrder, actual: Order, now_ns: int) -> None:
        """Take note of the order a triggered one became, before anything is told of that order."""
        order.actual = actual
        self._became[account.owner, actual.symbol, actual.order_id] = order
        self._set(account, order, "TRIGGERED", now_ns)

    def _price_e8(self, order: AlgoOrder) -> int:
        mark_e8 = self.exchange.marks[order.contract.symbol].mark_e8
        if order.working_type == "MARK_PRICE":
            return mark_e8
        last_ticks = self.exchange.player.markets[order.contract.symbol].streams.last_ticks
        return order.price_e8(last_ticks) if last_ticks else mark_e8

    def _is_protected(self, order: AlgoOrder) -> bool:
        """Whether contract and mark price lie too far apart for an order that asked for protection."""
        if not order.price_protect:
            return False
        symbol = order.contract.symbol
        mark_e8 = self.exchange.marks[symbol].mark_e8
        last_ticks = self.exchange.player.markets[symbol].streams.last_ticks
        apart_e8 = abs(order.price_e8(last_ticks) - mark_e8) if last_ticks else 0
        return apart_e8 > mark_e8 * Decimal(order.contract.entry["triggerProtect"])

    def _end(self, account: Account, order: AlgoOrder, status: str, now_ns: int) -> None:
        del self._open[order.algo_id]
        self._set(account, order, status, now_ns)

    def _set(self, account: Account, order: AlgoOrder, status: str, now_ns: int) -> None:
        order.status = status
        self._tell(account, order, now_ns)

    def _tell(self, account: Account, order: AlgoOrder, now_ns: int) -> None:
        now_ms = order.update_ms = now_ns // 1_000_000
        self.exchange.emit(account, wire.algo_update(order, now_ms, now_ms))
