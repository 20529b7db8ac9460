"""Leverage, margin type, position mode, multi-assets mode and isolated margin: what is changed, told and refused."""

import pytest
from still_market import BTC, NOW_NS, StillVenue, code

from phx.instruments import ONE_E8


@pytest.fixture
def venue():
    return StillVenue()


def ask(venue, name: str, **params):
    return getattr(venue.exchange.settings, name)(venue.account, {"symbol": "BTCUSDC"} | params, NOW_NS)


def test_leverage_is_set_told_and_bounds_the_position(venue):
    assert ask(venue, "set_leverage", leverage=25) == {
        "symbol": "BTCUSDC", "leverage": 25, "maxNotionalValue": "10000000",
    }  # fmt: skip
    assert venue.texts == [
        '{"e":"ACCOUNT_CONFIG_UPDATE","E":1780000000123,"T":1780000000123,"ac":{"s":"BTCUSDC","l":25}}'
    ]
    assert venue.account.position(BTC).leverage == 25
    for leverage, expected in ((0, -4028), (126, -4028), (125, 0), (1, 0)):
        assert code(ask, venue, "set_leverage", leverage=leverage) == expected
    assert code(ask, venue, "set_leverage", leverage="many") == -1102
    assert code(ask, venue, "set_leverage", symbol="NOSUCH", leverage=3) == -1121


@pytest.mark.parametrize(("leverage", "most"), [(125, "50000"), (100, "500000"), (20, "80000000"), (1, "1000000000")])
def test_each_leverage_has_its_largest_position(venue, leverage, most):
    assert ask(venue, "set_leverage", leverage=leverage)["maxNotionalValue"] == most


def test_leverage_is_refused_when_the_position_would_not_fit(venue):
    venue.account.wallets_e8["USDC"] = 10**9 * ONE_E8
    ask(venue, "set_leverage", leverage=100)
    venue.place(quantity="7.000")
    assert code(ask, venue, "set_leverage", leverage=101) == -2027  # 447,930 is more than the 50,000 of 125 times
    assert venue.account.settings_of("BTCUSDC").leverage == 100
    venue.account.wallets_e8["USDC"] = 5000 * ONE_E8
    assert code(ask, venue, "set_leverage", leverage=50) == -2028
    assert code(ask, venue, "set_leverage", leverage=99) == 0


def test_the_margin_type_changes_only_while_nothing_is_open(venue):
    assert code(ask, venue, "set_margin_type", marginType="CROSSED") == -4046
    assert code(ask, venue, "set_margin_type", marginType="SIDEWAYS") == -1130
    order_id = venue.place()["orderId"]
    assert code(ask, venue, "set_margin_type", marginType="ISOLATED") == -4047
    venue.exchange.cancel(venue.account, {"symbol": "BTCUSDC", "orderId": order_id}, NOW_NS)
    venue.market("BUY", "0.010")
    assert code(ask, venue, "set_margin_type", marginType="ISOLATED") == -4048
    venue.market("SELL", "0.010")
    venue.heard()
    assert ask(venue, "set_margin_type", marginType="ISOLATED") == {"code": 200, "msg": "success"}
    (update,) = venue.told
    assert (update["a"]["m"], update["a"]["P"][0]["mt"]) == ("MARGIN_TYPE_CHANGE", "isolated")


def test_an_isolated_position_has_a_wallet_of_its_own(venue):
    ask(venue, "set_margin_type", marginType="ISOLATED")
    ask(venue, "set_leverage", leverage=10)
    venue.heard()
    venue.market("BUY", "0.100")
    (update,) = (t["a"] for t in venue.told if t["e"] == "ACCOUNT_UPDATE")
    (position,) = venue.account.held()
    assert position.isolated_e8 == 64_001 * ONE_E8 // 100
    assert update["P"][0]["iw"] == "640.01"
    assert float(update["B"][0]["wb"]) - float(update["B"][0]["cw"]) == pytest.approx(640.01)
    assert code(ask, venue, "set_leverage", leverage=5) == -4161
    assert code(ask, venue, "set_leverage", leverage=20) == 0
    venue.market("SELL", "0.025")
    assert position.isolated_e8 == 64_001 * ONE_E8 // 100 * 3 // 4


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"amount": "0", "type": 1}, -4055),
        ({"amount": "-1", "type": 1}, -4055),
        ({"amount": "1.000000001", "type": 1}, -1111),
        ({"amount": "1", "type": 3}, -1130),
        ({"amount": "1"}, -1102),
        ({"type": 1}, -1102),
        ({"amount": "9999", "type": 1}, -4050),
        ({"amount": "9000", "type": 1}, 0),
        ({"amount": "1", "type": 2}, -4051),
        ({"amount": "1", "type": 1, "positionSide": "LONG"}, -4061),
    ],
)
def test_margin_is_added_to_isolated_positions_as_far_as_there_is_some(venue, params, expected):
    ask(venue, "set_margin_type", marginType="ISOLATED")
    venue.market("BUY", "0.100")
    assert code(ask, venue, "adjust_isolated_margin", **params) == expected


def test_added_margin_can_be_taken_back_but_no_more(venue):
    ask(venue, "set_margin_type", marginType="ISOLATED")
    venue.market("BUY", "0.100")
    (position,) = venue.account.held()
    before, wallet = position.isolated_e8, venue.account.wallets_e8["USDC"]
    venue.heard()
    answer = ask(venue, "adjust_isolated_margin", amount="100.5", type="1")
    assert answer == {"code": 200, "msg": "Successfully modify position margin.", "amount": 100.5, "type": 1}
    assert (position.isolated_e8, venue.account.wallets_e8["USDC"]) == (before + 10_050_000_000, wallet)
    assert venue.heard() == ["AU MARGIN_TRANSFER"]
    assert code(ask, venue, "adjust_isolated_margin", amount="101", type="2") == -4051
    assert code(ask, venue, "adjust_isolated_margin", amount="100", type="2") == 0
    assert [(c.kind, c.amount_e8) for c in venue.account.margin_changes] == [(1, 10_050_000_000), (2, 100 * ONE_E8)]


def test_only_isolated_positions_take_margin(venue):
    assert code(ask, venue, "adjust_isolated_margin", amount="1", type="1") == -4049
    ask(venue, "set_margin_type", marginType="ISOLATED")
    assert code(ask, venue, "adjust_isolated_margin", amount="1", type="1") == -4054


def test_the_position_mode_changes_only_while_nothing_is_open(venue):
    assert code(ask, venue, "set_position_mode", dualSidePosition="false") == -4059
    assert code(ask, venue, "set_position_mode") == -1102
    order_id = venue.place()["orderId"]
    assert code(ask, venue, "set_position_mode", dualSidePosition="true") == -4067
    venue.exchange.cancel(venue.account, {"symbol": "BTCUSDC", "orderId": order_id}, NOW_NS)
    venue.market("BUY", "0.010")
    assert code(ask, venue, "set_position_mode", dualSidePosition="true") == -4068
    venue.market("SELL", "0.010")
    assert ask(venue, "set_position_mode", dualSidePosition="true") == {"code": 200, "msg": "success"}
    assert venue.account.hedge


def test_multi_assets_mode_pools_the_wallets_and_wants_no_isolation(venue):
    venue.account.wallets_e8 = {"USDC": 100 * ONE_E8, "USDT": 1000 * ONE_E8}
    assert code(venue.place, quantity="0.100") == -2019
    assert code(ask, venue, "set_multi_assets", multiAssetsMargin="false") == -4171
    ask(venue, "set_margin_type", marginType="ISOLATED")
    assert code(ask, venue, "set_multi_assets", multiAssetsMargin="true") == -4167
    ask(venue, "set_margin_type", marginType="CROSSED")
    venue.heard()
    ask(venue, "set_multi_assets", multiAssetsMargin="true")
    assert venue.told == [{"e": "ACCOUNT_CONFIG_UPDATE", "E": NOW_NS // 10**6, "T": NOW_NS // 10**6, "ai": {"j": True}}]
    assert code(ask, venue, "set_margin_type", marginType="ISOLATED") == -4168
    assert code(venue.place, quantity="0.100") == 0
    assert code(ask, venue, "set_multi_assets", multiAssetsMargin="false") == -4170
    venue.exchange.cancel_all(venue.account, "BTCUSDC", NOW_NS)
    venue.market("BUY", "0.100")
    assert code(ask, venue, "set_multi_assets", multiAssetsMargin="false") == -4169
    assert venue.account.multi_assets


def test_margin_of_both_hedged_positions_is_needed(venue):
    ask(venue, "set_position_mode", dualSidePosition="true")
    mark_e8 = venue.exchange.marks["BTCUSDC"].mark_e8
    venue.market("BUY", "0.100", positionSide="LONG")
    venue.market("SELL", "0.100", positionSide="SHORT")
    one = int(100 * BTC.instrument.lot_size * mark_e8) // 20
    assert venue.account.initial_margin_e8(BTC, mark_e8) == 2 * one
    venue.place(side="SELL", price="64500.0", positionSide="LONG", quantity="0.100")  # closes: needs nothing
    assert venue.account.initial_margin_e8(BTC, mark_e8) == 2 * one
    venue.place(positionSide="LONG", quantity="0.100")
    assert venue.account.initial_margin_e8(BTC, mark_e8) == 3 * one
