"""An account at the simulated venue: wallets, positions, orders, fees, margin. Money is an integer of 1e-8 quote."""

from dataclasses import dataclass, field
from decimal import Decimal

from phx.instruments import ONE_E8
from phx.sim.contracts import Contract, padded
from phx.sim.exchange.position import BOTH, LONG, POSITION_SIDES, SHORT, Position, SymbolSettings


@dataclass(slots=True)
class Amendment:
    """One change of an order: what it was and what it became."""

    number: int
    time_ms: int
    ticks_before: int
    ticks_after: int
    lots_before: int
    lots_after: int
    modify_id: int | None = None


@dataclass(slots=True)
class Order:
    """One order as the venue keeps it, for its whole life.

    reduce_only: may only reduce; in hedge mode true of every order that closes (SELL of LONG, BUY of SHORT).
    price_match: the mode the price came from. forced: one of the venue's own (liquidation, deleveraging).
    """

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
    position_side: str = BOTH
    price_match: str = "NONE"
    orig_type: str = ""  # of the conditional order it came from
    forced: bool = False
    close_position: bool = False
    status: str = "NEW"
    executed_lots: int = 0
    executed_ticklots: int = 0
    amendments: list[Amendment] = field(default_factory=list)
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
    transaction: int  # its number in the history of the wallet


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

    def opening_lots(self, position_side: str) -> int:
        """Return the lots that would open more of a hedged position."""
        return sum(
            o.remaining_lots for o in self.by_id.values() if o.position_side == position_side and not o.reduce_only
        )


@dataclass(slots=True)
class Income:
    """One change of a wallet that no fill made: FUNDING_FEE, INSURANCE_CLEAR, TRANSFER."""

    time_ms: int
    kind: str
    symbol: str
    asset: str
    change_e8: int
    transaction: int


@dataclass(slots=True)
class MarginChange:
    """One transfer between a wallet and an isolated position. kind: 1 added, 2 taken away."""

    time_ms: int
    symbol: str
    position_side: str
    asset: str
    kind: int
    amount_e8: int


class Account:
    """owner: the account's number in the books. hedge: LONG and SHORT positions instead of one, BOTH.

    fees: margin asset → maker's and taker's fraction; usdt_fees: those of USDT, where they are not as the others'.
    multi_assets: all wallets stand for all positions. Whether a symbol is isolated and its leverage: settings_of().
    """

    def __init__(
        self,
        owner: int,
        wallet_e8: int,
        assets,
        maker_fee: Decimal,
        taker_fee: Decimal,
        usdt_fees: tuple[Decimal, Decimal] | None = None,
    ):
        self.owner = owner
        self.wallets_e8 = dict.fromkeys(assets, wallet_e8)
        self.fees = {asset: (maker_fee, taker_fee) for asset in assets}
        if usdt_fees is not None and "USDT" in self.fees:
            self.fees["USDT"] = usdt_fees
        self.hedge = False
        self.multi_assets = False
        self.fee_burn = False  # fees in BNB; no account here holds any
        self.settings: dict[str, SymbolSettings] = {}
        self.positions: dict[tuple[str, str], Position] = {}  # by symbol and position side
        self.open: dict[str, OpenOrders] = {}
        self.orders: dict[tuple[str, int], Order] = {}
        self.newest_by_client: dict[tuple[str, str], Order] = {}
        self.fills: dict[str, list[Fill]] = {}
        self.incomes: list[Income] = []
        self.transactions = 0  # numbered so far: a number never moves to another row
        self.margin_changes: list[MarginChange] = []

    # ---- positions and orders -----------------------------------------------------------------------------------

    def settings_of(self, symbol: str) -> SymbolSettings:
        return self.settings.setdefault(symbol, SymbolSettings())

    def position(self, contract: Contract, side: str = BOTH) -> Position:
        """Return a position, flat if there never was one."""
        found = self.positions.get((contract.symbol, side))
        if found is None:
            found = Position(contract, self.settings_of(contract.symbol), side)
            self.positions[contract.symbol, side] = found
        return found

    def positions_of(self, contract: Contract) -> list[Position]:
        """Return the symbol's positions of the current mode: BOTH, or LONG and SHORT."""
        return [self.position(contract, side) for side in ((LONG, SHORT) if self.hedge else (BOTH,))]

    def held(self, symbol: str = "") -> list[Position]:
        """Return the positions that are not flat."""
        return [p for (name, _), p in self.positions.items() if p.lots and symbol in ("", name)]

    def open_orders(self, symbol: str) -> OpenOrders:
        return self.open.setdefault(symbol, OpenOrders())

    def all_open(self) -> list[Order]:
        return [order for opened in self.open.values() for order in opened.by_id.values()]

    def keep(self, order: Order) -> None:
        """Remember a new order."""
        self.orders[order.symbol, order.order_id] = order
        self.newest_by_client[order.symbol, order.client_id] = order

    def find(self, symbol: str, order_id: int, client_id: str) -> Order | None:
        """Return an order by its id, which wins, or by its client's."""
        if order_id:
            return self.orders.get((symbol, order_id))
        return self.newest_by_client.get((symbol, client_id))

    def book_number(self, position_side: str) -> int:
        """Return the number by which the books know a position of this account."""
        return self.owner * len(POSITION_SIDES) + POSITION_SIDES.index(position_side)

    # ---- what moves the wallet ----------------------------------------------------------------------------------

    def fee_e8(self, asset: str, value_e8: int, maker: bool) -> int:
        """Return the commission of a fill, cut off at eight decimals; negative is a rebate."""
        scaled = value_e8 * int(self.fees[asset][not maker] * ONE_E8)
        return scaled // ONE_E8 if scaled >= 0 else -(-scaled // ONE_E8)

    def book_fill(self, order: Order, lots: int, price_ticks: int, maker: bool, trade_id: int, now_ms: int) -> Fill:
        """Apply a fill to order, position and wallet."""
        contract = order.contract
        fee_e8 = self.fee_e8(contract.margin_asset, contract.value_e8(price_ticks * lots), maker)
        position = self.position(contract, order.position_side)
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
        self.transactions += 1
        fill = Fill(order, trade_id, now_ms, price_ticks, lots, maker, fee_e8, realised_e8, self.transactions)
        self.fills.setdefault(order.symbol, []).append(fill)
        return fill

    def funding_e8(self, position: Position, rate_e8: int, mark_e8: int) -> int:
        """Return what a position pays (negative) or receives at a funding rate, cut off at eight decimals."""
        owed = position.notional_e8(mark_e8) * rate_e8
        return -(owed // ONE_E8) if owed >= 0 else -owed // ONE_E8

    def book_income(
        self, kind: str, symbol: str, asset: str, change_e8: int, now_ms: int, position: Position | None = None
    ) -> None:
        """Change a wallet, and with it the own wallet of an isolated position that is not closed by now."""
        self.wallets_e8[asset] += change_e8
        if position is not None and position.isolated and position.lots:
            position.isolated_e8 += change_e8
        self.transactions += 1
        self.incomes.append(Income(now_ms, kind, symbol, asset, change_e8, self.transactions))

    def move_margin(self, position: Position, change_e8: int, now_ms: int) -> None:
        """Move money from the wallet into an isolated position, or back when negative."""
        position.isolated_e8 += change_e8
        kind = 1 if change_e8 > 0 else 2
        asset = position.contract.margin_asset
        self.margin_changes.append(
            MarginChange(now_ms, position.contract.symbol, position.side, asset, kind, abs(change_e8))
        )

    def income_rows(self) -> list[dict]:
        """Return what moved the wallet, oldest first, as the income query shows it."""
        rows = [(i.time_ms, i.transaction, i.symbol, i.kind, i.change_e8, i.asset, "") for i in self.incomes]
        for symbol, fills in self.fills.items():
            for fill in fills:
                asset, trade_id = fill.order.contract.margin_asset, str(fill.trade_id)
                for kind, amount in (("REALIZED_PNL", fill.realised_e8), ("COMMISSION", -fill.fee_e8)):
                    if amount:
                        rows.append((fill.time_ms, fill.transaction, symbol, kind, amount, asset, trade_id))
        rows.sort(key=lambda row: row[:2])
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
            for time_ms, number, symbol, kind, amount, asset, trade_id in rows
        ]

    # ---- margin -------------------------------------------------------------------------------------------------

    def isolated_e8(self, asset: str) -> int:
        """Return the part of a wallet that stands for isolated positions."""
        return sum(p.isolated_e8 for p in self.positions.values() if p.contract.margin_asset == asset)

    def cross_e8(self, asset: str) -> int:
        """Return the part of a wallet that stands for everything else."""
        return self.wallets_e8[asset] - self.isolated_e8(asset)

    def initial_margin_e8(
        self, contract: Contract, mark_e8: int, side: int = 0, added_lots: int = 0, position_side: str = BOTH
    ) -> int:
        """Return the margin positions and open orders of a symbol need, at the mark price, if an order were added.

        One-way: of the larger of the two worst-case positions. Hedge: of both positions and what would open more.
        """
        settings, opened = self.settings_of(contract.symbol), self.open.get(contract.symbol)
        if self.hedge:
            worst = 0
            for position, opening in ((self.position(contract, LONG), 1), (self.position(contract, SHORT), -1)):
                worst += abs(position.lots) + (opened.opening_lots(position.side) if opened else 0)
                if position.side == position_side and side == opening:
                    worst += added_lots
        else:
            held = self.position(contract).lots
            bids, asks = (opened.lots[1], opened.lots[-1]) if opened else (0, 0)
            bids += added_lots if side > 0 else 0
            asks += added_lots if side < 0 else 0
            worst = max(abs(held + bids), abs(held - asks))
        return int(worst * contract.instrument.lot_size * mark_e8) // settings.leverage

    def position_margin_e8(self, contract: Contract, mark_e8: int) -> int:
        """Return the initial margin of a symbol's positions alone, at the mark price."""
        lots = sum(abs(position.lots) for position in self.positions_of(contract))
        return int(lots * contract.instrument.lot_size * mark_e8) // self.settings_of(contract.symbol).leverage

    def available_e8(self, asset: str, marks_e8: dict[str, int]) -> int:
        """Return what may still be used as margin: of one asset, of all in multi-assets mode.

        Cross wallet plus cross profit less initial margins; isolated positions have their margin already.
        """
        assets = self.wallets_e8 if self.multi_assets else (asset,)
        available = sum(self.cross_e8(name) for name in assets)
        for contract in self._contracts().values():
            if contract.margin_asset not in assets:
                continue
            mark_e8 = marks_e8[contract.symbol]
            available -= self.initial_margin_e8(contract, mark_e8)
            if self.settings_of(contract.symbol).isolated:
                available += self.position_margin_e8(contract, mark_e8)
            else:
                available += sum(p.unrealised_e8(mark_e8) for p in self.positions_of(contract))
        return available

    def _contracts(self) -> dict[str, Contract]:
        """Return the contracts in which there is a position or an open order."""
        found = {p.contract.symbol: p.contract for p in self.held()}
        for symbol, opened in self.open.items():
            if opened.by_id:
                found[symbol] = next(iter(opened.by_id.values())).contract
        return found
