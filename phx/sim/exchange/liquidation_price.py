"""The mark price at which a position is liquidated, as the venue shows it with the position."""

from decimal import Decimal

from phx.sim.exchange.account import Account
from phx.sim.exchange.position import Position


def liquidation_price_e8(account: Account, position: Position, marks_e8: dict[str, int]) -> int:
    """Return the price in 1e-8, 0 when there is none above zero.

    Solves: margin + profit = maintenance, with the maintenance rate of today's value. Under cross margin the profit and
    maintenance of positions of other symbols are those of this moment, while a hedge of this symbol moves along.
    Source: "How to calculate liquidation price of USDⓈ-M futures contracts" in the venue's FAQ.
    """
    if not position.lots:
        return 0
    symbol, asset = position.contract.symbol, position.contract.margin_asset
    moving, margin_e8 = [position], position.isolated_e8
    if not position.isolated:
        assets = list(account.wallets_e8) if account.multi_assets else [asset]
        held = [p for p in account.held() if not p.isolated and p.contract.margin_asset in assets]
        moving = [p for p in held if p.contract.symbol == symbol]
        margin_e8 = sum(account.cross_e8(name) for name in assets)
        for other in held:
            if other.contract.symbol != symbol:
                mark_e8 = marks_e8[other.contract.symbol]
                margin_e8 += other.unrealised_e8(mark_e8) - other.maintenance_e8(mark_e8)
    slope = Decimal(0)
    for p in moving:
        rate, cum_e8, _ = p.contract.bracket(abs(p.notional_e8(marks_e8[symbol])))
        margin_e8 += cum_e8 - (p.cost_e8 if p.lots > 0 else -p.cost_e8)
        slope += (abs(p.lots) * rate - p.lots) * p.contract.instrument.lot_size
    return max(0, int(margin_e8 / slope)) if slope else 0
