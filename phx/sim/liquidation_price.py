"""The mark price at which a position is liquidated, as the venue shows it with the position."""

from phx.sim.account import Account
from phx.sim.position import Position


def liquidation_price_e8(account: Account, position: Position, marks_e8: dict[str, int]) -> int:
    """Return the price in 1e-8, 0 when there is none above zero.

    Solves: margin + others' profit − others' maintenance + own profit = own maintenance, with the maintenance rate of
    today's value. Source: "How to calculate liquidation price of USDⓈ-M futures contracts" in the venue's FAQ.
    """
    if not position.lots:
        return 0
    contract, mark_e8 = position.contract, marks_e8[position.contract.symbol]
    if position.isolated:
        margin_e8 = position.isolated_e8
    else:
        asset = contract.margin_asset
        assets = list(account.wallets_e8) if account.multi_assets else [asset]
        margin_e8 = sum(account.cross_e8(name) for name in assets)
        for other in account.held():
            if other is not position and not other.isolated and other.contract.margin_asset in assets:
                other_mark_e8 = marks_e8[other.contract.symbol]
                margin_e8 += other.unrealised_e8(other_mark_e8) - other.maintenance_e8(other_mark_e8)
    side = 1 if position.lots > 0 else -1
    rate, cum_e8, _ = contract.bracket(abs(position.notional_e8(mark_e8)))
    quantity = abs(position.lots) * contract.instrument.lot_size
    price = (margin_e8 + cum_e8 - side * position.cost_e8) / (quantity * (rate - side))
    return max(0, int(price))
