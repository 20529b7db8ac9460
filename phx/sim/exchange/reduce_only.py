"""What reduce-only orders may do: never more, all together, than the position they reduce.

In hedge mode every order that closes a position is one.
"""

from phx.sim.exchange.account import Account, Order
from phx.sim.exchange.position import Position
from phx.sim.exchange.rules import NewOrder
from phx.sim.refusals import Refused


def covered_lots(account: Account, symbol: str, position_side: str) -> int:
    """Return how much of a position open reduce-only orders would close."""
    return sum(
        order.remaining_lots
        for order in account.open_orders(symbol).by_id.values()
        if order.reduce_only and order.position_side == position_side
    )


def entering_lots(account: Account, order: NewOrder) -> int:
    """Return how much of a reduce-only order may enter: what the position still leaves to reduce.

    One that takes at once goes before resting ones, which are knocked out afterwards if nothing is left for them.
    """
    left = abs(account.position(order.contract, order.position_side).lots)
    if order.may_rest:
        left -= covered_lots(account, order.contract.symbol, order.position_side)
    if left <= 0:
        raise Refused(-2022)
    return min(order.lots, left)


def check_amend(account: Account, order: Order, lots: int) -> None:
    """Refuse a reduce-only order that would grow beyond what the position leaves to reduce."""
    added = lots - order.orig_lots
    held = abs(account.position(order.contract, order.position_side).lots)
    if added > held - covered_lots(account, order.symbol, order.position_side):
        raise Refused(-2022)


def excess(account: Account, position: Position) -> list[Order]:
    """Return the open reduce-only orders a shrunken position no longer covers, worst-priced first."""
    resting = [
        order
        for order in account.open_orders(position.contract.symbol).by_id.values()
        if order.reduce_only and order.position_side == position.side
    ]
    if not resting:
        return []
    found = [order for order in resting if order.side * position.lots >= 0]
    covering = sorted(
        (order for order in resting if order.side * position.lots < 0), key=lambda order: order.side * order.price_ticks
    )
    total = sum(order.remaining_lots for order in covering)
    for order in covering:
        if total <= abs(position.lots):
            break
        found.append(order)
        total -= order.remaining_lots
    return found
