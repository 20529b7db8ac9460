"""The venue's own record of every order it ever received: what tests judge phx by."""

from collections import Counter
from dataclasses import dataclass, field

from phx.sim.contracts import plain
from phx.sim.exchange.account import Account, Fill, Order

EPOCH_PARTS = 4  # phx<e>-<symbol>-<epoch>-<counter>


def epoch_of(client_id: str) -> int | None:
    """Return the epoch in a client order id of phx, None for others."""
    parts = client_id.split("-")
    if len(parts) != EPOCH_PARTS or not parts[0].startswith("phx"):
        return None
    try:
        return int(parts[2], 36)
    except ValueError:
        return None


@dataclass(slots=True)
class SymbolLedger:
    placed: int = 0
    amended: int = 0
    canceled: int = 0
    expired: int = 0
    fills: int = 0
    maker_fills: int = 0
    max_open: int = 0
    self_trades: int = 0
    not_post_only: int = 0
    unprotected: int = 0  # placed while no countdown was armed
    countdowns_fired: int = 0
    refused: Counter = field(default_factory=Counter)  # by code
    last_of_epoch: dict = field(default_factory=dict)  # epoch → {"client_id", "time_ms"}


class Ledger:
    """Orders in the order of their arrival, fills of each in the account; refused ones with their code."""

    def __init__(self):
        self.orders: list[Order] = []
        self.refusals: list[tuple[int, str, str, int]] = []  # time_ms, symbol, client id, code
        self.symbols: dict[str, SymbolLedger] = {}

    def of(self, symbol: str) -> SymbolLedger:
        return self.symbols.setdefault(symbol, SymbolLedger())

    def on_placed(self, order: Order, open_count: int, protected: bool) -> None:
        self.orders.append(order)
        row = self.of(order.symbol)
        row.placed += 1
        row.max_open = max(row.max_open, open_count)
        row.not_post_only += order.tif != "GTX"
        row.unprotected += not protected and not order.reduce_only
        epoch = epoch_of(order.client_id)
        if epoch is not None:
            row.last_of_epoch[epoch] = {"client_id": order.client_id, "time_ms": order.time_ms}

    def on_refused(self, now_ms: int, symbol: str, client_id: str, code: int) -> None:
        self.refusals.append((now_ms, symbol, client_id, code))
        self.of(symbol).refused[code] += 1

    def on_fill(self, fill: Fill) -> None:
        row = self.of(fill.order.symbol)
        row.fills += 1
        row.maker_fills += fill.maker

    def on_ended(self, order: Order) -> None:
        row = self.of(order.symbol)
        if order.status == "CANCELED":
            row.canceled += 1
        else:
            row.expired += 1
            row.self_trades += order.status == "EXPIRED_IN_MATCH"


def report(ledger: Ledger, accounts: list[Account], countdowns: dict, marks_e8: dict[str, int], now_ms: int) -> dict:
    """Return the ledger as JSON-able truth about everything at the venue."""
    opened = [o for account in accounts for book in account.open.values() for o in book.by_id.values()]
    return {
        "time": now_ms,
        "open_orders": len(opened),
        "wallets": {asset: plain(amount, 8) for account in accounts for asset, amount in account.wallets_e8.items()},
        "symbols": {
            symbol: {
                "open": [_row(o) for o in opened if o.symbol == symbol],
                "placed": row.placed,
                "amended": row.amended,
                "canceled": row.canceled,
                "expired": row.expired,
                "fills": row.fills,
                "maker_fills": row.maker_fills,
                "max_open": row.max_open,
                "self_trades": row.self_trades,
                "not_post_only": row.not_post_only,
                "unprotected": row.unprotected,
                "refused": {str(code): count for code, count in sorted(row.refused.items())},
                "last_of_epoch": {str(epoch): last for epoch, last in row.last_of_epoch.items()},
                "position": _position(symbol, accounts, marks_e8),
                "countdown_ms": max(0, countdowns[symbol] - now_ms) if symbol in countdowns else None,
                "countdowns_fired": row.countdowns_fired,
            }
            for symbol, row in sorted(ledger.symbols.items())
        },
    }


def orders_with_fills(ledger: Ledger, accounts: list[Account], symbol: str = "") -> list[dict]:
    """Return every order ever accepted, in the order of arrival, each with its times, its end and its fills."""
    fills = {}
    for account in accounts:
        for fill in (fill for rows in account.fills.values() for fill in rows):
            fills.setdefault(id(fill.order), []).append(
                {
                    "id": fill.trade_id,
                    "time": fill.time_ms,
                    "price": fill.order.contract.plain_price(fill.price_ticks),
                    "qty": fill.order.contract.plain_qty(fill.lots),
                    "maker": fill.maker,
                    "fee": plain(fill.fee_e8, 8),
                }
            )
    return [
        {"symbol": order.symbol, "orderId": order.order_id}
        | _row(order)
        | {
            "timeInForce": order.tif,
            "type": order.type,
            "reduceOnly": order.reduce_only,
            "status": order.status,
            "expiry": order.expiry,
            "time": order.time_ms,
            "updateTime": order.update_ms,
            "fills": fills.get(id(order), []),
        }
        for order in ledger.orders
        if symbol in ("", order.symbol)
    ]


def _row(order: Order) -> dict:
    """Return what an order is and how much of it is done."""
    return {
        "clientOrderId": order.client_id,
        "side": "BUY" if order.side > 0 else "SELL",
        "price": order.contract.plain_price(order.price_ticks),
        "origQty": order.contract.plain_qty(order.orig_lots),
        "executedQty": order.contract.plain_qty(order.executed_lots),
    }


def _position(symbol: str, accounts: list[Account], marks_e8: dict[str, int]) -> dict:
    """Return the position of the first account that ever had one; of a hedged account the sums."""
    for account in accounts:
        found = [position for (name, _), position in account.positions.items() if name == symbol]
        if found:
            c = found[0].contract
            open_one = next((position for position in found if position.lots), found[0])
            return {
                "qty": c.plain_qty(sum(position.lots for position in found)),
                "entry": plain(open_one.entry_e8(), 8),
                "realised": plain(sum(position.realised_e8 for position in found), 8),
                "unrealised": plain(sum(position.unrealised_e8(marks_e8[symbol]) for position in found), 8),
                "fees": plain(sum(f.fee_e8 for f in account.fills.get(symbol, ())), 8),
            }
    return {"qty": "0", "entry": "0", "realised": "0", "unrealised": "0", "fees": "0"}
