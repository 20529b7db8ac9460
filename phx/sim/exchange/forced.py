"""Orders the venue itself gives for an account: liquidation and deleveraging.

They are told like others, but for what the book does not take: that comes as CALCULATED, from the insurance fund or
from whoever is deleveraged.
"""

from phx._core.enums import TradeOrigin
from phx._core.matching import SelfTrade, TimeInForce
from phx.sim.exchange.account import Account, Order
from phx.sim.exchange.position import Position
from phx.sim.streams.market_wire import Liquidation

ADL_CLIENT_ID = "adl_autoclose"
SETTLEMENT_CLIENT_ID = "settlement_autoclose-"
FAR_TICKS = 2**40  # a price beyond every book's


class ForcedOrders:
    """The forced orders of an exchange."""

    def __init__(self, exchange):
        self.exchange = exchange

    def deleverage(self, account: Account, symbol: str, position_side: str, price_ticks: int, now_ns: int) -> Order:
        """Close a position against somebody's liquidation, at that one's bankruptcy price. ValueError: it is flat."""
        position = account.position(self.exchange.contracts[symbol], position_side)
        if not position.lots:
            raise ValueError(f"deleverage {symbol} {position_side}: no position")
        return self.close(account, position, price_ticks, ADL_CLIENT_ID, now_ns)

    def vain_order(self, account: Account, contract, side: int, lots: int, position_side: str) -> int:
        """Place an order at a price nothing meets, which gets nothing from the book but its id and its end."""
        reach = 1 if side > 0 else FAR_TICKS
        return self._place(account, contract, side, lots, position_side, reach, False)

    def _place(self, account: Account, contract, side: int, lots: int, position_side: str, ticks: int, reduces: bool):
        return self.exchange.player.markets[contract.symbol].book.place_order(
            account.owner,
            side,
            ticks,
            lots,
            TimeInForce.TIF_IOC,
            SelfTrade.SELF_TRADE_NONE,
            account.book_number(position_side),
            reduces,
        )

    def close(
        self, account: Account, position: Position, price_ticks: int, client_id: str, now_ns: int, most_lots: int = 0
    ) -> Order:
        """Close a position at any price down to the given one; what the book leaves is taken over at that price.

        most_lots: only so much of it; 0 is all.
        """
        contract = position.contract
        market = self.exchange.player.markets[contract.symbol]
        side, lots = (-1, position.lots) if position.lots > 0 else (1, -position.lots)
        lots = min(lots, most_lots or lots)
        reach = price_ticks
        if client_id == ADL_CLIENT_ID or client_id.startswith(SETTLEMENT_CLIENT_ID):
            # It has its counterparty: at a price nothing meets, the book only gives it an id.
            reach = 1 if side > 0 else FAR_TICKS
        order_id = self._place(account, contract, side, lots, position.side, reach, True)
        now_ms = now_ns // 1_000_000
        order = Order(
            contract=contract,
            order_id=order_id,
            client_id=client_id,
            side=side,
            type="LIMIT",
            tif="IOC",
            price_ticks=price_ticks,
            orig_lots=lots,
            reduce_only=False,
            self_trade="NONE",
            good_till_ms=0,
            time_ms=now_ms,
            update_ms=now_ms,
            position_side=position.side,
            forced=True,
        )
        account.keep(order)
        self.exchange.ledger.orders.append(order)
        self.exchange.settlement.settle(market, now_ns)
        last_lots = account.fills[contract.symbol][-1].lots
        market.streams.on_liquidation(
            Liquidation(side, order.executed_lots, price_ticks, order.executed_ticklots, last_lots, now_ms)
        )
        return order

    def take_over(self, account: Account, order: Order, ts_ms: int) -> None:
        """Fill what the book left of a forced order."""
        market = self.exchange.player.markets[order.symbol]
        trade_id, lots = market.book.next_trade_id(), order.remaining_lots
        fill = account.book_fill(order, lots, order.price_ticks, False, trade_id, ts_ms)
        position = account.position(order.contract, order.position_side)
        market.book.set_position(account.book_number(order.position_side), position.lots)
        deleveraged = order.client_id == ADL_CLIENT_ID
        origin = TradeOrigin.ORIGIN_LIQUIDATION if deleveraged else TradeOrigin.ORIGIN_INSURANCE
        market.streams.on_trade(trade_id, order.price_ticks, lots, order.side, origin, ts_ms, ts_ms)
        self.exchange.settlement.tell_fill(account, fill, "CALCULATED", ts_ms)
