"""Acts on orders and positions of accounts: what somebody else does with them, and what the venue itself does."""

from decimal import Decimal, InvalidOperation

from phx.sim.exchange.forced import SETTLEMENT_CLIENT_ID
from phx.sim.faults.acting import accounts_meant, contracts_meant, held
from phx.sim.faults.switchboard import Active, FaultError
from phx.sim.refusals import Refused

MARGIN = Decimal("1.1")  # above the smallest notional, so that a moving mark does not matter


def foreign_order(venue, active: Active, now_ns: int, overlay) -> None:
    exchange = venue.exchange
    contract = contracts_meant(venue, active)[0]
    account = accounts_meant(venue, active)[0]
    wanted = {
        "symbol": contract.symbol,
        "side": active["side"],
        "type": "LIMIT" if active["price"] else "MARKET",
        "quantity": active["qty"] or small_qty(venue, contract),
        "newClientOrderId": f"web_{active.random.getrandbits(64):016x}",
    }
    if active["price"]:
        wanted |= {"price": active["price"], "timeInForce": "GTC"}
    if account.hedge:
        wanted["positionSide"] = "LONG" if active["side"] == "BUY" else "SHORT"
    try:
        exchange.place(account, wanted, now_ns)
    except (Refused, InvalidOperation) as refusal:
        raise FaultError(f"fault foreign_order: {refusal}") from None


def small_qty(venue, contract) -> str:
    """Return a quantity that just meets the smallest notional."""
    filters = contract.order_filters
    mark = Decimal(venue.exchange.marks[contract.symbol].mark_e8) / 10**8
    steps = int(max(filters.min_qty, filters.min_notional * MARGIN / mark) / filters.lot_size) + 1
    return f"{steps * filters.lot_size:f}"


def foreign_cancel(venue, active: Active, now_ns: int, overlay) -> None:
    for account in accounts_meant(venue, active):
        for contract in contracts_meant(venue, active):
            venue.exchange.cancel_all(account, contract.symbol, now_ns)


def expire_orders(venue, active: Active, now_ns: int, overlay) -> None:
    for account in accounts_meant(venue, active):
        for contract in contracts_meant(venue, active):
            venue.exchange.expire_all(account, contract.symbol, active["reason"], now_ns)


def liquidation(venue, active: Active, now_ns: int, overlay) -> None:
    for account, position in held(venue, active):
        venue.exchange.liquidator.close(account, position, now_ns, active["parts"])


def adl(venue, active: Active, now_ns: int, overlay) -> None:
    for account, position in held(venue, active):
        ticks = mark_ticks(venue, position.contract)
        venue.exchange.forced.deleverage(account, position.contract.symbol, position.side, ticks, now_ns)


def settlement(venue, active: Active, now_ns: int, overlay) -> None:
    for account, position in held(venue, active):
        client_id = f"{SETTLEMENT_CLIENT_ID}{now_ns // 1_000_000}"
        venue.exchange.forced.close(account, position, mark_ticks(venue, position.contract), client_id, now_ns)


def mark_ticks(venue, contract) -> int:
    return round(venue.exchange.marks[contract.symbol].mark_e8 / (contract.instrument.tick_size * 10**8))
