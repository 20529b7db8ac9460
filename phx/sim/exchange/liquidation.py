"""Liquidation at the simulated venue: who is called for margin, who is closed out, and what the insurance fund pays.

A position is closed out when its margin is no more than its maintenance margin: an isolated one by its own wallet,
cross ones together by the cross wallet of their asset, or of all assets in multi-assets mode. First its orders expire,
then an IOC order at the bankruptcy price, where nothing of the margin would be left, takes what the book has; the
insurance fund takes over the rest at that price. Margin that is left pays the clearance fee; what is missing, the fund
pays.
"""

from phx._core.matching import Expiry
from phx.sim.exchange import wire
from phx.sim.exchange.account import Account
from phx.sim.exchange.position import Position

CALL_PERCENT = 80  # of the margin that maintenance has used up when a margin call is sent
CALL_INTERVAL_MS = 60_000  # between calls about the same margin


class Liquidator:
    """Looks at all positions whenever marks have changed."""

    def __init__(self, exchange):
        self.exchange = exchange
        self._called: dict[tuple, int] = {}  # owner and what is called → when, ms
        self._count = 0

    def check(self, now_ns: int) -> None:
        for account in self.exchange.accounts.values():
            if account.held():
                self._check_account(account, now_ns)

    def _check_account(self, account: Account, now_ns: int) -> None:
        marks = self.exchange.marks_e8()
        for position in account.held():
            if position.isolated:
                mark_e8 = marks[position.contract.symbol]
                margin_e8 = position.isolated_e8 + position.unrealised_e8(mark_e8)
                needed_e8 = position.maintenance_e8(mark_e8)
                if margin_e8 <= needed_e8:
                    self._close(account, position, margin_e8, now_ns)
                else:
                    self._call(account, [position], margin_e8, needed_e8, now_ns)
        for assets in [list(account.wallets_e8)] if account.multi_assets else [[asset] for asset in account.wallets_e8]:
            self._check_cross(account, assets, now_ns)

    def _check_cross(self, account: Account, assets: list[str], now_ns: int) -> None:
        """Close cross positions, the one that needs most margin first, until the margin suffices for the others."""
        marks = self.exchange.marks_e8()
        while True:
            held = [p for p in account.held() if not p.isolated and p.contract.margin_asset in assets]
            if not held:
                return
            margin_e8 = sum(account.cross_e8(asset) for asset in assets)
            margin_e8 += sum(p.unrealised_e8(marks[p.contract.symbol]) for p in held)
            needs = {id(p): p.maintenance_e8(marks[p.contract.symbol]) for p in held}
            needed_e8 = sum(needs.values())
            if margin_e8 > needed_e8:
                self._call(account, held, margin_e8, needed_e8, now_ns)
                return
            for symbol in [s for s, opened in account.open.items() if opened.by_id]:
                if self.exchange.contracts[symbol].margin_asset in assets:
                    self.exchange.expire_all(account, symbol, Expiry.EXPIRY_LIQUIDATION, now_ns)
            position = max(held, key=lambda p: needs[id(p)])
            # Each position answers for its share of what is left.
            share_e8 = margin_e8 * needs[id(position)] // needed_e8
            self._close(account, position, share_e8, now_ns)

    def close(self, account: Account, position: Position, now_ns: int, parts: int = 1) -> None:
        """Liquidate a position as if its margin were used up, in so many orders."""
        for left in range(parts, 0, -1):
            self._close(account, position, 0, now_ns, -(-abs(position.lots) // left))

    def _close(self, account: Account, position: Position, margin_e8: int, now_ns: int, most_lots: int = 0) -> None:
        contract, symbol = position.contract, position.contract.symbol
        now_ms = now_ns // 1_000_000
        isolated_e8 = position.isolated_e8
        self.exchange.expire_all(account, symbol, Expiry.EXPIRY_LIQUIDATION, now_ns)
        if not position.lots:
            return
        bankrupt = bankruptcy_ticks(position, margin_e8, self.exchange.marks[symbol].mark_e8)
        self._count += 1
        client_id = f"autoclose-{now_ms}{self._count:06d}"
        before = len(account.fills.get(symbol, ()))
        order = self.exchange.forced.close(account, position, bankrupt, client_id, now_ns, most_lots)
        fills = account.fills[symbol][before:]
        earned_e8 = sum(fill.realised_e8 - fill.fee_e8 for fill in fills)
        assets = list(account.wallets_e8) if account.multi_assets else [contract.margin_asset]
        left_e8 = isolated_e8 + earned_e8 if position.isolated else sum(account.cross_e8(asset) for asset in assets)
        fee_e8 = int(contract.value_e8(order.executed_ticklots) * contract.liquidation_fee)
        change_e8 = -min(fee_e8, left_e8) if left_e8 > 0 else -left_e8
        if change_e8 and (position.isolated or left_e8 > 0 or not account.held()):
            account.book_income("INSURANCE_CLEAR", symbol, contract.margin_asset, change_e8, now_ms, position)
            self.exchange.settlement.tell_income(account, "INSURANCE_CLEAR", position, change_e8, now_ms)

    def _call(self, account: Account, positions: list[Position], margin_e8: int, needed_e8: int, now_ns: int) -> None:
        """Send a margin call when most of the margin is used up, and not again at once."""
        key = account.owner, *((p.contract.symbol, p.side) for p in positions)
        now_ms = now_ns // 1_000_000
        if needed_e8 * 100 < margin_e8 * CALL_PERCENT:
            self._called.pop(key, None)
            return
        if now_ms >= self._called.get(key, 0) + CALL_INTERVAL_MS:
            self._called[key] = now_ms
            isolated = positions[0].isolated
            cross_e8 = None if isolated else account.cross_e8(positions[0].contract.margin_asset)
            self.exchange.emit(account, wire.margin_call(cross_e8, positions, self.exchange.marks_e8(), now_ms))


def bankruptcy_ticks(position: Position, margin_e8: int, mark_e8: int) -> int:
    """Return the price at which closing leaves nothing of the margin; rounded in favour of the fund, at least 1 tick.

    margin_e8: what stands for the position at the mark price, profit included.
    """
    side = 1 if position.lots > 0 else -1
    value_e8 = abs(position.notional_e8(mark_e8)) - side * margin_e8
    unit_e8 = position.contract.value_e8(abs(position.lots))
    return max(1, -(-value_e8 // unit_e8) if side > 0 else value_e8 // unit_e8)
