"""Funding at the simulated venue: what positions owe each other at a funding time, booked a few seconds later."""

from collections import deque
from typing import NamedTuple

from phx.instruments import ONE_E8
from phx.sim.contracts import Contract, padded
from phx.sim.exchange.account import Account
from phx.sim.exchange.position import Position

BOOKED_AFTER_MS = 3000  # the venue's charges were seen 3.2 s after their time


class Charge(NamedTuple):
    """What a position owed (negative) or was owed at a funding time."""

    due_ms: int
    account: Account
    position: Position
    change_e8: int


class Funding:
    """Charges not yet booked, and the rates of the past as the fundingRate query shows them."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.history: list[dict] = []
        self._charges: deque[Charge] = deque()

    def settle(self, contract: Contract, rate: float, mark_e8: int, now_ms: int) -> None:
        """Fix what the positions of this moment owe."""
        rate_e8 = round(rate * ONE_E8)
        self.history.append(
            {
                "symbol": contract.symbol,
                "fundingTime": now_ms,
                "fundingRate": padded(rate_e8, 8),
                "markPrice": padded(mark_e8, 8),
                "rateType": "Regular",
            }
        )
        for account in self.exchange.accounts.values():
            for position in account.held(contract.symbol):
                change_e8 = account.funding_e8(position, rate_e8, mark_e8)
                if change_e8:
                    self._charges.append(Charge(now_ms + BOOKED_AFTER_MS, account, position, change_e8))

    def book_due(self, now_ms: int) -> None:
        while self._charges and now_ms >= self._charges[0].due_ms:
            charge = self._charges.popleft()
            position, contract = charge.position, charge.position.contract
            charge.account.book_income(
                "FUNDING_FEE", contract.symbol, contract.margin_asset, charge.change_e8, now_ms, position
            )
            self.exchange.settlement.tell_income(charge.account, "FUNDING_FEE", position, charge.change_e8, now_ms)
