"""Accounts, balances, positions and their settings, as REST and the WS-API show them. Amounts inside are 1e-8."""

from typing import NamedTuple

from phx.sim.contracts import Contract, padded, plain
from phx.sim.exchange.account import Account
from phx.sim.exchange.exchange import Exchange
from phx.sim.exchange.liquidation_price import liquidation_price_e8
from phx.sim.exchange.position import Position

ADL_QUANTILES = 5


class AssetMargins(NamedTuple):
    """The sums of one margin asset."""

    wallet: int
    cross_wallet: int
    unrealised: int
    cross_unrealised: int
    maintenance: int
    position: int
    orders: int
    available: int

    @property
    def balance(self) -> int:
        return self.wallet + self.unrealised

    @property
    def initial(self) -> int:
        return self.position + self.orders

    @property
    def withdrawable(self) -> int:
        """Return what may leave: profit that is not realised stays."""
        return max(0, min(self.available, self.cross_wallet))


NOTHING = AssetMargins(0, 0, 0, 0, 0, 0, 0, 0)


class PositionMargins(NamedTuple):
    """One position at the mark price, with what its open orders add."""

    mark: int
    unrealised: int
    notional: int
    position: int
    orders: int
    maintenance: int
    bids: int
    asks: int

    @property
    def initial(self) -> int:
        return self.position + self.orders


def asset_margins(exchange: Exchange, account: Account, asset: str) -> AssetMargins:
    marks = exchange.marks_e8()
    unrealised = cross_unrealised = position_margin = initial = maintenance = 0
    for symbol, contract in exchange.contracts.items():
        if contract.margin_asset != asset:
            continue
        for position in account.positions_of(contract):
            profit = position.unrealised_e8(marks[symbol])
            unrealised += profit
            cross_unrealised += 0 if position.isolated else profit
            maintenance += position.maintenance_e8(marks[symbol])
        held = account.position_margin_e8(contract, marks[symbol])
        position_margin += held
        initial += max(held, account.initial_margin_e8(contract, marks[symbol]))
    return AssetMargins(
        wallet=account.wallets_e8[asset],
        cross_wallet=account.cross_e8(asset),
        unrealised=unrealised,
        cross_unrealised=cross_unrealised,
        maintenance=maintenance,
        position=position_margin,
        orders=initial - position_margin,
        available=max(0, account.available_e8(asset, marks)),
    )


def position_margins(exchange: Exchange, account: Account, position: Position) -> PositionMargins:
    contract, symbol = position.contract, position.contract.symbol
    mark = exchange.marks[symbol].mark_e8
    notional = position.notional_e8(mark)
    held = abs(notional) // position.leverage
    mine = [o for o in account.open_orders(symbol).by_id.values() if o.position_side == position.side]
    if account.hedge:
        opening = sum(o.remaining_lots for o in mine if not o.reduce_only)
        orders = int(opening * contract.instrument.lot_size * mark) // position.leverage
    else:
        orders = max(0, account.initial_margin_e8(contract, mark) - held)
    return PositionMargins(
        mark=mark,
        unrealised=position.unrealised_e8(mark),
        notional=notional,
        position=held,
        orders=orders,
        maintenance=position.maintenance_e8(mark),
        bids=contract.value_e8(sum(o.remaining_lots * o.price_ticks for o in mine if o.side > 0)),
        asks=contract.value_e8(sum(o.remaining_lots * o.price_ticks for o in mine if o.side < 0)),
    )


def listed_positions(exchange: Exchange, account: Account, symbols, every: bool) -> list[Position]:
    """Return the positions an answer lists: all of the symbols, or only those held or with open orders."""
    found = []
    for symbol in symbols:
        for position in account.positions_of(exchange.contracts[symbol]):
            opened = account.open_orders(symbol).by_id.values()
            if every or position.lots or any(o.position_side == position.side for o in opened):
                found.append(position)
    return found


# ---- balances and the account -----------------------------------------------------------------------------------


def balances(exchange: Exchange, account: Account) -> list[dict]:
    rows = []
    for asset in account.wallets_e8:
        m = asset_margins(exchange, account, asset)
        rows.append(
            {
                "accountAlias": "SgsR",
                "asset": asset,
                "balance": padded(m.wallet, 8),
                "crossWalletBalance": padded(m.cross_wallet, 8),
                "crossUnPnl": padded(m.cross_unrealised, 8),
                "availableBalance": padded(m.available, 8),
                "maxWithdrawAmount": padded(m.withdrawable, 8),
                "marginAvailable": True,
                "updateTime": exchange.now_ms,
            }
        )
    return rows


def totals(account: Account, margins: dict[str, AssetMargins]) -> AssetMargins:
    """Return what the head of an account answer sums up: USDT alone, in multi-assets mode all dollars."""
    if not account.multi_assets:
        return margins.get("USDT", NOTHING)
    summed = AssetMargins(*(sum(column) for column in zip(*margins.values(), strict=True)))
    return summed._replace(available=next(iter(margins.values())).available)


def account_information(exchange: Exchange, account: Account, version: int, over_ws: bool = False) -> dict:
    """Return account information; version 2 lists every symbol, 3 only those with a position or open orders.

    over_ws: as the WS-API answers, which says of each asset whether it is margin in both versions.
    """
    margins = {asset: asset_margins(exchange, account, asset) for asset in account.wallets_e8}
    total = totals(account, margins)
    head = {}
    if version == 2:
        head = {
            "feeTier": 0,
            "feeBurn": account.fee_burn,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "updateTime": 0,
            "multiAssetsMargin": account.multi_assets,
            "tradeGroupId": -1,
        }
    row = account_position_v2 if version == 2 else account_position_v3
    positions = listed_positions(exchange, account, exchange.contracts, every=version == 2)
    return head | {
        "totalInitialMargin": padded(total.initial, 8),
        "totalMaintMargin": padded(total.maintenance, 8),
        "totalWalletBalance": padded(total.wallet, 8),
        "totalUnrealizedProfit": padded(total.unrealised, 8),
        "totalMarginBalance": padded(total.balance, 8),
        "totalPositionInitialMargin": padded(total.position, 8),
        "totalOpenOrderInitialMargin": padded(total.orders, 8),
        "totalCrossWalletBalance": padded(total.cross_wallet, 8),
        "totalCrossUnPnl": padded(total.cross_unrealised, 8),
        "availableBalance": padded(total.available, 8),
        "maxWithdrawAmount": padded(total.withdrawable, 8),
        "assets": [asset_row(exchange, asset, m, version == 2 or over_ws) for asset, m in margins.items()],
        "positions": [row(position, position_margins(exchange, account, position)) for position in positions],
    }


def asset_row(exchange: Exchange, asset: str, m: AssetMargins, margin_available: bool) -> dict:
    row = {
        "asset": asset,
        "walletBalance": padded(m.wallet, 8),
        "unrealizedProfit": padded(m.unrealised, 8),
        "marginBalance": padded(m.balance, 8),
        "maintMargin": padded(m.maintenance, 8),
        "initialMargin": padded(m.initial, 8),
        "positionInitialMargin": padded(m.position, 8),
        "openOrderInitialMargin": padded(m.orders, 8),
        "crossWalletBalance": padded(m.cross_wallet, 8),
        "crossUnPnl": padded(m.cross_unrealised, 8),
        "availableBalance": padded(m.available, 8),
        "maxWithdrawAmount": padded(m.withdrawable, 8),
    }
    if margin_available:
        row["marginAvailable"] = True
    row["updateTime"] = exchange.now_ms
    return row


def account_position_v2(position: Position, m: PositionMargins) -> dict:
    contract = position.contract
    return {
        "symbol": contract.symbol,
        "initialMargin": plain(m.initial, 8),
        "maintMargin": plain(m.maintenance, 8),
        "unrealizedProfit": padded(m.unrealised, 8),
        "positionInitialMargin": plain(m.position, 8),
        "openOrderInitialMargin": plain(m.orders, 8),
        "leverage": str(position.leverage),
        "isolated": position.isolated,
        "entryPrice": plain(position.entry_e8(), 8),
        "breakEvenPrice": plain(position.break_even_e8(), 8),
        "maxNotional": str(contract.max_notional(position.leverage)),
        "bidNotional": plain(m.bids, 8),
        "askNotional": plain(m.asks, 8),
        "positionSide": position.side,
        "positionAmt": contract.qty(position.lots),
        "updateTime": position.update_ms,
    }


def account_position_v3(position: Position, m: PositionMargins) -> dict:
    return {
        "symbol": position.contract.symbol,
        "positionSide": position.side,
        "positionAmt": position.contract.qty(position.lots),
        "unrealizedProfit": padded(m.unrealised, 8),
        "isolatedMargin": padded(isolated_margin(position, m), 8),
        "notional": plain(m.notional, 8),
        "isolatedWallet": plain(position.isolated_e8, 8),
        "initialMargin": plain(m.initial, 8),
        "maintMargin": plain(m.maintenance, 8),
        "updateTime": position.update_ms,
    }


# ---- positions --------------------------------------------------------------------------------------------------


def isolated_margin(position: Position, m: PositionMargins) -> int:
    return position.isolated_e8 + m.unrealised if position.isolated else 0


def position_risks(exchange: Exchange, account: Account, version: int, symbols) -> list[dict]:
    """Return positionRisk rows; version 2 lists flat symbols too."""
    row = position_risk_v2 if version == 2 else position_risk_v3
    return [
        row(exchange, account, position, position_margins(exchange, account, position))
        for position in listed_positions(exchange, account, symbols, every=version == 2)
    ]


def position_risk_v2(exchange: Exchange, account: Account, position: Position, m: PositionMargins) -> dict:
    contract = position.contract
    return {
        "symbol": contract.symbol,
        "positionAmt": contract.qty(position.lots),
        "entryPrice": plain(position.entry_e8(), 8),
        "breakEvenPrice": plain(position.break_even_e8(), 8),
        "markPrice": padded(m.mark, 8),
        "unRealizedProfit": padded(m.unrealised, 8),
        "liquidationPrice": plain(liquidation_price_e8(account, position, exchange.marks_e8()), 8),
        "leverage": str(position.leverage),
        "maxNotionalValue": str(contract.max_notional(position.leverage)),
        "marginType": "isolated" if position.isolated else "cross",
        "isolatedMargin": padded(isolated_margin(position, m), 8),
        "isAutoAddMargin": "false",
        "positionSide": position.side,
        "notional": plain(m.notional, 8),
        "isolatedWallet": plain(position.isolated_e8, 8),
        "updateTime": position.update_ms,
    }


def position_risk_v3(exchange: Exchange, account: Account, position: Position, m: PositionMargins) -> dict:
    contract = position.contract
    return {
        "symbol": contract.symbol,
        "positionSide": position.side,
        "positionAmt": contract.plain_qty(position.lots),
        "entryPrice": plain(position.entry_e8(), 8),
        "breakEvenPrice": plain(position.break_even_e8(), 8),
        "markPrice": padded(m.mark, 8),
        "unRealizedProfit": padded(m.unrealised, 8),
        "liquidationPrice": plain(liquidation_price_e8(account, position, exchange.marks_e8()), 8),
        "isolatedMargin": plain(isolated_margin(position, m), 8),
        "notional": plain(m.notional, 8),
        "marginAsset": contract.margin_asset,
        "isolatedWallet": plain(position.isolated_e8, 8),
        "initialMargin": plain(m.initial, 8),
        "maintMargin": plain(m.maintenance, 8),
        "positionInitialMargin": plain(m.position, 8),
        "openOrderInitialMargin": plain(m.orders, 8),
        "adl": adl_quantile(exchange, position),
        "bidNotional": plain(m.bids, 8),
        "askNotional": plain(m.asks, 8),
        "updateTime": position.update_ms,
    }


def adl_quantile(exchange: Exchange, position: Position) -> int:
    """Return how far to the front of the queue of deleveraging a position stands, 0 to 4.

    The queue is ordered by profit over value times leverage, among positions of the same direction.
    """
    if not position.lots:
        return 0
    mark = exchange.marks[position.contract.symbol].mark_e8
    rivals = [
        rival
        for account in exchange.accounts.values()
        for rival in account.held(position.contract.symbol)
        if (rival.lots > 0) == (position.lots > 0)
    ]
    behind = sum(deleveraging_score(rival, mark) < deleveraging_score(position, mark) for rival in rivals)
    return ADL_QUANTILES * behind // len(rivals)


def deleveraging_score(position: Position, mark_e8: int) -> float:
    return position.unrealised_e8(mark_e8) / position.cost_e8 * position.leverage


def adl_quantiles(exchange: Exchange, account: Account, symbol: str) -> dict:
    positions = account.positions_of(exchange.contracts[symbol])
    return {"symbol": symbol, "adlQuantile": {p.side: adl_quantile(exchange, p) for p in positions}}


# ---- settings ---------------------------------------------------------------------------------------------------


def commission_rate(account: Account, contract: Contract) -> dict:
    maker_fee, taker_fee = account.fees[contract.margin_asset]
    return {
        "symbol": contract.symbol,
        "makerCommissionRate": f"{maker_fee:.6f}",
        "takerCommissionRate": f"{taker_fee:.6f}",
        "rpiCommissionRate": "0.000000",
    }


def symbol_config(account: Account, contract: Contract) -> dict:
    settings = account.settings_of(contract.symbol)
    return {
        "symbol": contract.symbol,
        "marginType": "ISOLATED" if settings.isolated else "CROSSED",
        "isAutoAddMargin": False,
        "leverage": settings.leverage,
        "maxNotionalValue": str(contract.max_notional(settings.leverage)),
    }


def account_config(account: Account) -> dict:
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": account.hedge,
        "updateTime": 0,
        "multiAssetsMargin": account.multi_assets,
        "tradeGroupId": -1,
    }
