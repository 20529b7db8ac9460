"""An account at the simulated venue: wallets, positions, orders, fees, margin. Money is an integer of 1e-8 quote."""

from dataclasses import dataclass, field
from decimal import Decimal

from phx.instruments import ONE_E8
from phx.sim.contracts import Contract, padded

DEFAULT_LEVERAGE = 20


@dataclass(slots=True)
class Order:
    """One order as the venue keeps it, for its whole life."""

    contract: Contract
    order_id: int
    client_id: str
    side: int
    type: str
    tif: str
    price_ticks: int
    orig_lots: int
    reduce_only: bool
    self_trade: str
    good_till_ms: int
    time_ms: int
    update_ms: int
    status: str = "NEW"
    executed_lots: int = 0
    executed_ticklots: int = 0
    modifications: int = 0
    expiry: int = 0

    @property
    def symbol(self) -> str:
        return self.contract.symbol

    @property
    def remaining_lots(self) -> int:
        return self.orig_lots - self.executed_lots

    @property
    def is_open(self) -> bool:
        return self.status in ("NEW", "PARTIALLY_FILLED")


@dataclass(slots=True)
class Fill:
    """One execution of an order, with what it did to the account."""

    order: Order
    trade_id: int
    time_ms: int
    price_ticks: int
    lots: int
    maker: bool
    fee_e8: int
    realised_e8: int


@dataclass(slots=True)
class Position:
    """A one-way position. cost_e8: what the open quantity cost, always positive; fees_e8: the fees paid for it."""

    contract: Contract
    lots: int = 0
    cost_e8: int = 0
    fees_e8: int = 0
    realised_e8: int = 0  # before fees, since the account began
    leverage: int = DEFAULT_LEVERAGE
    update_ms: int = 0

    def apply(self, side: int, lots: int, price_ticks: int, fee_e8: int) -> int:
        """Book a fill; return the realised profit of what it closed. The entry price moves only when adding."""
        closed = min(lots, abs(self.lots)) if side * self.lots < 0 else 0
        opened = lots - closed
        realised = 0
        if closed:
            direction = 1 if self.lots > 0 else -1
            cost = self.cost_e8 * closed // abs(self.lots)
            fees = self.fees_e8 * closed // abs(self.lots)
            realised = direction * (self.contract.value_e8(price_ticks * closed) - cost)
            self.cost_e8 -= cost
            self.fees_e8 -= fees
            self.realised_e8 += realised
        if opened:
            self.cost_e8 += self.contract.value_e8(price_ticks * opened)
            self.fees_e8 += fee_e8 * opened // lots
        self.lots += side * lots
        return realised

    def entry_e8(self) -> int:
        """Return the entry price in 1e-8, 0 when flat."""
        return self._per_unit_e8(self.cost_e8)

    def break_even_e8(self) -> int:
        """Return the price at which closing would pay back the entry fees, in 1e-8."""
        return self._per_unit_e8(self.cost_e8 + (self.fees_e8 if self.lots > 0 else -self.fees_e8))

    def unrealised_e8(self, mark_e8: int) -> int:
        return self.notional_e8(mark_e8) - (self.cost_e8 if self.lots > 0 else -self.cost_e8)

    def notional_e8(self, mark_e8: int) -> int:
        """Return the signed value at the mark price."""
        return int(self.lots * self.contract.instrument.lot_size * mark_e8)

    def _per_unit_e8(self, amount_e8: int) -> int:
        return round(amount_e8 / (abs(self.lots) * self.contract.instrument.lot_size)) if self.lots else 0


@dataclass(slots=True)
class OpenOrders:
    """The open orders of one symbol, and their value per side, kept as they change."""

    by_id: dict[int, Order] = field(default_factory=dict)
    by_client: dict[str, Order] = field(default_factory=dict)
    lots: dict[int, int] = field(default_factory=lambda: {1: 0, -1: 0})
    ticklots: dict[int, int] = field(default_factory=lambda: {1: 0, -1: 0})

    def add(self, order: Order) -> None:
        self.by_id[order.order_id] = order
        self.by_client[order.client_id] = order
        self._count(order, 1)

    def remove(self, order: Order) -> None:
        if self.by_id.pop(order.order_id, None) is not None:
            self.by_client.pop(order.client_id, None)
            self._count(order, -1)

    def _count(self, order: Order, sign: int) -> None:
        self.lots[order.side] += sign * order.remaining_lots
        self.ticklots[order.side] += sign * order.remaining_lots * order.price_ticks

    def filled(self, order: Order, lots: int) -> None:
        self.lots[order.side] -= lots
        self.ticklots[order.side] -= lots * order.price_ticks


class Account:
    """owner: the account's number in the books. Everything is one-way mode, cross margin, single asset."""

    def __init__(self, owner: int, wallet_e8: int, assets, maker_fee: Decimal, taker_fee: Decimal):
        self.owner = owner
        self.wallets_e8 = dict.fromkeys(assets, wallet_e8)
        self.maker_fee = maker_fee
        self.taker_fee = taker_fee
        self._fee_e8 = {True: int(maker_fee * ONE_E8), False: int(taker_fee * ONE_E8)}
        self.positions: dict[str, Position] = {}
        self.open: dict[str, OpenOrders] = {}
        self.orders: dict[tuple[str, int], Order] = {}
        self.newest_by_client: dict[tuple[str, str], Order] = {}
        self.fills: dict[str, list[Fill]] = {}
        self.funding: list[tuple[int, str, str, int]] = []  # time, symbol, asset, change in 1e-8

    def position(self, contract: Contract) -> Position:
        return self.positions.setdefault(contract.symbol, Position(contract))

    def open_orders(self, symbol: str) -> OpenOrders:
        return self.open.setdefault(symbol, OpenOrders())

    def keep(self, order: Order) -> None:
        """Remember a new order."""
        self.orders[order.symbol, order.order_id] = order
        self.newest_by_client[order.symbol, order.client_id] = order

    def find(self, symbol: str, order_id: int, client_id: str) -> Order | None:
        """Return an order by its id, which wins, or by its client's."""
        if order_id:
            return self.orders.get((symbol, order_id))
        return self.newest_by_client.get((symbol, client_id))

    def fee_e8(self, value_e8: int, maker: bool) -> int:
        """Return the commission of a fill, cut off at eight decimals; negative is a rebate."""
        scaled = value_e8 * self._fee_e8[maker]
        return scaled // ONE_E8 if scaled >= 0 else -(-scaled // ONE_E8)

    def book_fill(self, order: Order, lots: int, price_ticks: int, maker: bool, trade_id: int, now_ms: int) -> Fill:
        """Apply a fill to order, position and wallet."""
        contract = order.contract
        fee_e8 = self.fee_e8(contract.value_e8(price_ticks * lots), maker)
        position = self.position(contract)
        realised_e8 = position.apply(order.side, lots, price_ticks, fee_e8)
        position.update_ms = now_ms
        self.wallets_e8[contract.margin_asset] += realised_e8 - fee_e8
        opened = self.open_orders(order.symbol)
        if order.order_id in opened.by_id:
            opened.filled(order, lots)
        order.executed_lots += lots
        order.executed_ticklots += lots * price_ticks
        order.status = "FILLED" if order.remaining_lots == 0 else "PARTIALLY_FILLED"
        order.update_ms = now_ms
        if not order.is_open:
            opened.remove(order)
        fill = Fill(order, trade_id, now_ms, price_ticks, lots, maker, fee_e8, realised_e8)
        self.fills.setdefault(order.symbol, []).append(fill)
        return fill

    def book_funding(self, contract: Contract, rate: float, mark_e8: int, now_ms: int) -> int:
        """Charge a position for funding; return what the wallet changed by, in 1e-8."""
        position = self.positions.get(contract.symbol)
        if position is None or position.lots == 0:
            return 0
        change_e8 = -round(position.notional_e8(mark_e8) * rate)
        self.wallets_e8[contract.margin_asset] += change_e8
        self.funding.append((now_ms, contract.symbol, contract.margin_asset, change_e8))
        return change_e8

    def income_rows(self) -> list[dict]:
        """Return what moved the wallet, oldest first, as the income query shows it."""
        rows = [(at, symbol, "FUNDING_FEE", change, asset, "") for at, symbol, asset, change in self.funding]
        for symbol, fills in self.fills.items():
            for fill in fills:
                asset, trade_id = fill.order.contract.margin_asset, str(fill.trade_id)
                for kind, amount in (("REALIZED_PNL", fill.realised_e8), ("COMMISSION", -fill.fee_e8)):
                    if amount:
                        rows.append((fill.time_ms, symbol, kind, amount, asset, trade_id))
        rows.sort(key=lambda row: row[0])
        return [
            {
                "symbol": symbol,
                "incomeType": kind,
                "income": padded(amount, 8),
                "asset": asset,
                "info": trade_id or kind,
                "time": time_ms,
                "tranId": number,
                "tradeId": trade_id,
            }
            for number, (time_ms, symbol, kind, amount, asset, trade_id) in enumerate(rows, 1)
        ]

    def initial_margin_e8(self, contract: Contract, mark_e8: int, side: int = 0, added_lots: int = 0) -> int:
        """Return the margin a symbol needs: the larger of its two worst-case positions, at the mark price."""
        position = self.positions.get(contract.symbol)
        held = position.lots if position else 0
        leverage = position.leverage if position else DEFAULT_LEVERAGE
        opened = self.open.get(contract.symbol)
        bids, asks = (opened.lots[1], opened.lots[-1]) if opened else (0, 0)
        bids += added_lots if side > 0 else 0
        asks += added_lots if side < 0 else 0
        worst = max(abs(held + bids), abs(held - asks))
        return int(worst * contract.instrument.lot_size * mark_e8) // leverage

    def available_e8(self, asset: str, marks_e8: dict[str, int]) -> int:
        """Return wallet plus unrealised profit less initial margins, of one margin asset."""
        available = self.wallets_e8[asset]
        for symbol in self.positions.keys() | self.open.keys():
            contract = self._contract_of(symbol)
            if contract is None or contract.margin_asset != asset:
                continue
            position = self.positions.get(symbol)
            if position:
                available += position.unrealised_e8(marks_e8[symbol])
            available -= self.initial_margin_e8(contract, marks_e8[symbol])
        return available

    def _contract_of(self, symbol: str) -> Contract | None:
        position = self.positions.get(symbol)
        if position:
            return position.contract
        opened = self.open[symbol].by_id
        return next(iter(opened.values())).contract if opened else None
