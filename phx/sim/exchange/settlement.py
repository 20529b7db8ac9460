"""What the books report, applied to accounts and told to their owners in the order of the wire."""

from collections.abc import Iterator

from phx._core.matching import Event, EventKind, Expiry
from phx.sim.exchange import reduce_only, wire
from phx.sim.exchange.account import Account, Fill, Order
from phx.sim.exchange.position import Position
from phx.sim.markets.market import Market


class Settlement:
    """Settles the markets of an exchange with its accounts."""

    def __init__(self, exchange):
        self.exchange = exchange

    def settle(self, market: Market, now_ns: int) -> None:
        """Apply what happened in a book to the accounts and tell their owners, in the order of the wire."""
        events = market.drain(now_ns)
        if not events:
            return
        ts_ms = now_ns // 1_000_000
        for group in matches(events):
            for event in group:
                if event.kind == EventKind.EVENT_TRADE:
                    self._tell_trade(market, event, ts_ms)
                elif event.kind == EventKind.EVENT_AMENDED:
                    self._amend(market, event)
            for event in group:
                self._apply(market, event, ts_ms)
        self._knock_out_excess(market, events, now_ns)

    def _tell_trade(self, market: Market, event: Event, ts_ms: int) -> None:
        for account, order, maker in self._parties(market.contract.symbol, event):
            text = wire.trade_lite(order, event.trade_id, event.price_ticks, event.qty_lots, maker, ts_ms, ts_ms)
            self.exchange.emit(account, text)

    def _amend(self, market: Market, event: Event) -> None:
        """Give an order its new price and quantity, which trades in the same match show already."""
        account, symbol = self.exchange.accounts[event.owner], market.contract.symbol
        order, opened = account.orders[symbol, event.order_id], account.open_orders(symbol)
        opened.remove(order)
        order.price_ticks, order.orig_lots = event.price_ticks, event.qty_lots
        opened.add(order)

    def _apply(self, market: Market, event: Event, ts_ms: int) -> None:
        symbol = market.contract.symbol
        if event.kind == EventKind.EVENT_TRADE:
            for account, order, maker in self._parties(symbol, event):
                self._on_fill(account, order, event, maker, ts_ms)
        else:
            account = self.exchange.accounts[event.owner]
            self._on_order(account, account.orders[symbol, event.order_id], event, ts_ms)

    def _parties(self, symbol: str, event: Event):
        """Yield (account, order, is maker) of the accounts in a trade."""
        for owner, order_id, maker in (
            (event.owner, event.order_id, False),
            (event.maker_owner, event.maker_id, True),
        ):
            if owner:
                account = self.exchange.accounts[owner]
                yield account, account.orders[symbol, order_id], maker

    def _on_fill(self, account: Account, order: Order, event: Event, maker: bool, ts_ms: int) -> None:
        fill = account.book_fill(order, event.qty_lots, event.price_ticks, maker, event.trade_id, ts_ms)
        self.tell_fill(account, fill, "TRADE", ts_ms)

    def tell_fill(self, account: Account, fill: Fill, execution: str, ts_ms: int) -> None:
        """Send what a booked fill has changed."""
        order = fill.order
        self.exchange.ledger.on_fill(fill)
        if not order.is_open:
            self.exchange.good_till.pop((order.symbol, order.order_id), None)
        position, asset = account.position(order.contract, order.position_side), order.contract.margin_asset
        marks_e8 = {order.symbol: self.exchange.marks[order.symbol].mark_e8}
        text = wire.account_update(account, asset, [position], marks_e8, "ORDER", ts_ms, ts_ms)
        self.exchange.emit(account, text)
        self.exchange.emit(account, wire.order_update(order, execution, account, ts_ms, ts_ms, fill))
        if not order.is_open:
            self.exchange.algos.on_order_ended(account, order, ts_ms)

    def _on_order(self, account: Account, order: Order, event: Event, ts_ms: int) -> None:
        if order.forced and event.kind == EventKind.EVENT_EXPIRED:
            self.exchange.forced.take_over(account, order, ts_ms)
            return
        opened = account.open_orders(order.symbol)
        execution = "NEW"
        if event.kind == EventKind.EVENT_CANCELED:
            execution = order.status = "CANCELED"
        elif event.kind == EventKind.EVENT_EXPIRED:
            execution = order.status = "EXPIRED"
            order.expiry = event.reason
            if event.reason in (Expiry.EXPIRY_SELF_TRADE, Expiry.EXPIRY_IOC_SELF_TRADE):
                order.status = "EXPIRED_IN_MATCH"
        elif event.kind == EventKind.EVENT_AMENDED:
            execution = "AMENDMENT"
            self.exchange.ledger.of(order.symbol).amended += 1
        if event.kind != EventKind.EVENT_ACCEPTED:
            order.update_ms = ts_ms
        if not order.is_open:
            opened.remove(order)
            self.exchange.good_till.pop((order.symbol, order.order_id), None)
            self.exchange.ledger.on_ended(order)
        self.exchange.emit(account, wire.order_update(order, execution, account, ts_ms, ts_ms))
        if not order.is_open:
            self.exchange.algos.on_order_ended(account, order, ts_ms)

    def _knock_out_excess(self, market: Market, events: list[Event], now_ns: int) -> None:
        """Expire reduce-only orders that a fill left without a position to reduce."""
        owners = {owner for e in events if e.kind == EventKind.EVENT_TRADE for owner in (e.owner, e.maker_owner)}
        excess = [
            order
            for owner in sorted(owners - {0})
            for position in self.exchange.accounts[owner].positions_of(market.contract)
            for order in reduce_only.excess(self.exchange.accounts[owner], position)
        ]
        for order in excess:
            market.book.expire_order(order.order_id, Expiry.EXPIRY_REDUCE_ONLY)
        if excess:
            self.settle(market, now_ns)

    def tell_income(self, account: Account, kind: str, position: Position, change_e8: int, now_ms: int) -> None:
        """Send what a change of the wallet has left; the position it came from is shown under isolated margin only."""
        asset, shown = position.contract.margin_asset, [position] if position.isolated else []
        symbol = position.contract.symbol if kind == "FUNDING_FEE" else ""
        marks_e8 = self.exchange.marks_e8()
        text = wire.account_update(account, asset, shown, marks_e8, kind, now_ms, now_ms, change_e8, symbol)
        self.exchange.emit(account, text)


def matches(events: list[Event]) -> Iterator[list[Event]]:
    """Yield the events of one order's way through the book at a time.

    An order's way begins when it is accepted, amended or cancelled, or with a trade that another order takes.
    """
    group: list[Event] = []
    taker = None
    for event in events:
        if event.kind == EventKind.EVENT_TRADE:
            begins = event.order_id == 0 or event.order_id != taker
            taker = event.order_id
        else:
            begins = event.kind != EventKind.EVENT_EXPIRED
            taker = event.order_id if begins else taker
        if begins and group:
            yield group
            group = []
        group.append(event)
    if group:
        yield group
