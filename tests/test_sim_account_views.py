"""What REST and the WS-API show of accounts: margins that add up, liquidation prices, hedge mode, isolated margin."""

from decimal import Decimal

import pytest
from still_market import BTC, StillVenue

from phx.instruments import ONE_E8
from phx.sim.api import account_views
from phx.sim.exchange.account import Account
from phx.sim.exchange.liquidation_price import liquidation_price_e8


@pytest.fixture
def venue():
    return StillVenue()


def information(venue, version: int = 3) -> dict:
    return account_views.account_information(venue.exchange, venue.account, version)


def risks(venue, version: int = 3) -> list[dict]:
    return account_views.position_risks(venue.exchange, venue.account, version, venue.exchange.contracts)


def hedge(venue) -> None:
    venue.exchange.settings.set_position_mode(venue.account, {"dualSidePosition": "true"}, venue.now_ns)


def isolate(venue, symbol: str = "BTCUSDC") -> None:
    params = {"symbol": symbol, "marginType": "ISOLATED"}
    venue.exchange.settings.set_margin_type(venue.account, params, venue.now_ns)


def total(rows: list[dict], name: str) -> Decimal:
    return sum(Decimal(row[name]) for row in rows)


def surplus_e8(venue, price_e8: int) -> int:
    """Return cross margin less maintenance if BTCUSDC's mark were at a price, at today's rates."""
    account = venue.account
    margin = account.cross_e8("USDC")
    for position in account.held():
        mark = venue.exchange.marks[position.contract.symbol].mark_e8
        rate, cum, _ = position.contract.bracket(abs(position.notional_e8(mark)))
        at = price_e8 if position.contract is BTC else mark
        margin += position.unrealised_e8(at) - (int(abs(position.notional_e8(at)) * rate) - cum)
    return margin


@pytest.mark.parametrize("sides", [("BUY", None), ("SELL", None), ("BUY", "BUY"), ("SELL", "BUY"), ("BUY", "SELL")])
def test_at_the_liquidation_price_margin_and_maintenance_meet(venue, sides):
    for symbol, side, quantity in zip(("BTCUSDC", "ETHUSDC"), sides, ("0.400", "30.000"), strict=True):
        if side:
            venue.market(side, quantity, symbol=symbol)
    venue.set_mark("ETHUSDC", 3010)
    position = venue.account.position(BTC)
    price_e8 = liquidation_price_e8(venue.account, position, venue.exchange.marks_e8())
    assert price_e8 > 0
    assert abs(surplus_e8(venue, price_e8)) < ONE_E8 // 1000
    (row,) = [row for row in risks(venue) if row["symbol"] == "BTCUSDC"]
    assert Decimal(row["liquidationPrice"]) == Decimal(price_e8) / ONE_E8


def test_a_hedge_moves_the_liquidation_price_of_both_sides(venue):
    hedge(venue)
    venue.market("BUY", "0.400", positionSide="LONG")
    alone = liquidation_price_e8(venue.account, venue.account.held()[0], venue.exchange.marks_e8())
    venue.market("SELL", "0.100", positionSide="SHORT")
    prices = {liquidation_price_e8(venue.account, p, venue.exchange.marks_e8()) for p in venue.account.held()}
    assert len(prices) == 1
    assert 0 < min(prices) < alone
    assert abs(surplus_e8(venue, min(prices))) < ONE_E8 // 1000


def test_a_small_long_has_no_liquidation_price(venue):
    venue.market("BUY", "0.010")
    assert [row["liquidationPrice"] for row in risks(venue)] == ["0"]
    assert liquidation_price_e8(venue.account, venue.account.position(BTC, "LONG"), venue.exchange.marks_e8()) == 0


def test_what_is_listed_are_live_symbols_or_all(venue):
    assert (risks(venue), information(venue)["positions"]) == ([], [])
    assert [row["symbol"] for row in risks(venue, 2)] == ["BTCUSDC", "ETHUSDC"]
    venue.place()
    for rows in (risks(venue), information(venue)["positions"]):
        assert [(row["symbol"], row["positionSide"]) for row in rows] == [("BTCUSDC", "BOTH")]


def test_hedge_mode_lists_both_sides_and_each_with_its_own_orders(venue):
    hedge(venue)
    venue.market("BUY", "0.020", positionSide="LONG")
    venue.place(side="SELL", price="65000.0", positionSide="SHORT")
    assert [row["positionSide"] for row in risks(venue, 2)] == ["LONG", "SHORT"] * 2
    longs, shorts = risks(venue)
    assert (longs["positionSide"], longs["positionAmt"], longs["askNotional"]) == ("LONG", "0.02", "0")
    assert (shorts["positionSide"], shorts["positionAmt"], shorts["askNotional"]) == ("SHORT", "0", "650")
    assert (Decimal(longs["openOrderInitialMargin"]), Decimal(shorts["positionInitialMargin"])) == (0, 0)
    assert Decimal(shorts["openOrderInitialMargin"]) > 0
    assert account_views.adl_quantiles(venue.exchange, venue.account, "BTCUSDC")["adlQuantile"].keys() == {
        "LONG",
        "SHORT",
    }


@pytest.mark.parametrize("hedged", [False, True])
def test_margins_of_positions_add_up_to_those_of_the_asset(venue, hedged):
    if hedged:
        hedge(venue)
    side = {"positionSide": "LONG"} if hedged else {}
    venue.market("BUY", "0.050", **side)
    venue.market("BUY", "2.000", symbol="ETHUSDC", **side)
    venue.place(price="63000.0", quantity="0.100", **side)
    venue.set_mark("BTCUSDC", 64100)
    (asset,), rows = information(venue)["assets"], risks(venue)
    for of_asset, of_position in (
        ("initialMargin", "initialMargin"),
        ("maintMargin", "maintMargin"),
        ("positionInitialMargin", "positionInitialMargin"),
        ("openOrderInitialMargin", "openOrderInitialMargin"),
        ("unrealizedProfit", "unRealizedProfit"),
    ):
        assert abs(Decimal(asset[of_asset]) - total(rows, of_position)) < Decimal("0.000001"), of_asset
    wallet, balance = Decimal(asset["walletBalance"]), Decimal(asset["marginBalance"])
    assert balance == wallet + Decimal(asset["unrealizedProfit"])
    assert abs(Decimal(asset["availableBalance"]) - (balance - Decimal(asset["initialMargin"]))) < Decimal("0.000001")
    (of_balance,) = account_views.balances(venue.exchange, venue.account)
    assert of_balance["availableBalance"] == asset["availableBalance"]


def test_isolated_margin_is_no_part_of_the_cross_wallet(venue):
    isolate(venue)
    venue.market("BUY", "0.050")
    params = {"symbol": "BTCUSDC", "amount": "7.5", "type": "1"}
    venue.exchange.settings.adjust_isolated_margin(venue.account, params, venue.now_ns)
    venue.set_mark("BTCUSDC", 64100)
    (asset,), (row,) = information(venue)["assets"], risks(venue)
    isolated = Decimal(row["isolatedWallet"])
    assert isolated == Decimal("0.050") * Decimal(row["entryPrice"]) / 20 + Decimal("7.5")
    assert Decimal(asset["walletBalance"]) - Decimal(asset["crossWalletBalance"]) == isolated
    assert Decimal(row["isolatedMargin"]) == isolated + Decimal(row["unRealizedProfit"])
    assert (Decimal(asset["crossUnPnl"]), Decimal(asset["unrealizedProfit"]) > 0) == (0, True)
    (older,) = [row for row in risks(venue, 2) if row["symbol"] == "BTCUSDC"]
    assert (older["marginType"], older["isAutoAddMargin"]) == ("isolated", "false")
    config = account_views.symbol_config(venue.account, BTC)
    assert (config["marginType"], config["leverage"]) == ("ISOLATED", 20)
    # The isolated position stands alone: what the rest of the account holds does not matter.
    price = Decimal(row["liquidationPrice"])
    assert 0 < price < Decimal(row["entryPrice"])
    venue.account.wallets_e8["USDC"] += 10**12
    assert Decimal(risks(venue)[0]["liquidationPrice"]) == price


def test_totals_are_those_of_usdt_alone_or_of_all_in_multi_assets_mode(venue):
    venue.account.wallets_e8 = {"USDC": 10**12, "USDT": 5 * 10**11}
    venue.market("BUY", "0.050")
    told = information(venue)
    assert (told["totalWalletBalance"], told["totalInitialMargin"]) == ("5000.00000000", "0.00000000")
    venue.account.multi_assets = True
    told = information(venue)
    usdc, usdt = told["assets"]
    assert Decimal(told["totalWalletBalance"]) == Decimal(usdc["walletBalance"]) + 5000
    assert Decimal(told["totalInitialMargin"]) == Decimal(usdc["initialMargin"]) > 0
    assert told["availableBalance"] == usdc["availableBalance"] == usdt["availableBalance"]


def test_what_may_be_withdrawn_leaves_profit_and_margin_behind(venue):
    venue.market("BUY", "0.050")
    venue.set_mark("BTCUSDC", 70000)
    (asset,) = information(venue)["assets"]
    assert Decimal(asset["availableBalance"]) > Decimal(asset["crossWalletBalance"])
    assert asset["maxWithdrawAmount"] == asset["crossWalletBalance"]


def test_who_earned_more_with_more_leverage_is_deleveraged_first(venue):
    third = venue.exchange.accounts[3] = Account(3, 10**12, ["USDC"], Decimal(0), Decimal(0))
    for account, leverage in ((venue.account, 20), (venue.rival, 10), (third, 50)):
        account.settings_of("BTCUSDC").leverage = leverage
        venue.market("BUY", "0.010", account)
    venue.set_mark("BTCUSDC", 65000)
    ranks = [
        account_views.adl_quantile(venue.exchange, account.position(BTC))
        for account in (venue.rival, venue.account, third)
    ]
    assert ranks == sorted(ranks)
    assert (ranks[0], ranks[2] > ranks[0]) == (0, True)
