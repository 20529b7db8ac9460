"""Whom and what an act is meant for: accounts, contracts, positions."""

from phx.sim.contracts import Contract
from phx.sim.exchange.account import Account
from phx.sim.exchange.position import Position
from phx.sim.faults.switchboard import Active, FaultError


def check(venue, active: Active) -> None:
    """Refuse a fault about an account or a symbol that this venue does not have."""
    settings, exchange = active.settings, venue.exchange
    account, symbol = settings.get("account", 0), settings.get("symbol", "")
    if account and account not in exchange.accounts:
        known = ", ".join(map(str, exchange.accounts))
        raise FaultError(f"fault {active.name}: account {account}, expected 0 (all) or one of {known}")
    if symbol and symbol not in exchange.contracts:
        raise FaultError(f"fault {active.name}: symbol {symbol!r}, expected one of {', '.join(exchange.contracts)}")


def accounts_meant(venue, active: Active) -> list[Account]:
    return [account for owner, account in venue.exchange.accounts.items() if active["account"] in (0, owner)]


def contracts_meant(venue, active: Active) -> list[Contract]:
    contracts = venue.exchange.contracts
    return [contracts[active["symbol"]]] if active["symbol"] else list(contracts.values())


def held(venue, active: Active) -> list[tuple[Account, Position]]:
    """Return the open positions meant. Raises FaultError when there is none."""
    found = [
        (account, position)
        for account in accounts_meant(venue, active)
        for position in account.held(active["symbol"])
        if position.lots
    ]
    if not found:
        raise FaultError(f"fault {active.name}: no position in {active['symbol'] or 'any symbol'}")
    return found
