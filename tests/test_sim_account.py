"""Money at the simulated venue: fees cut at eight decimals, average cost, flips, margin, funding."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phx.instruments import ONE_E8
from phx.sim.contracts import listed
from phx.sim.exchange.account import Account, Order
from phx.sim.exchange.position import Position

CONTRACTS = listed({})
BTCUSDC, ETHUSDC, BTCUSDT = CONTRACTS["BTCUSDC"], CONTRACTS["ETHUSDC"], CONTRACTS["BTCUSDT"]


def account(maker="0", taker="0.0004", wallet=100_000) -> Account:
    return Account(1, wallet * ONE_E8, ["USDC", "USDT"], Decimal(maker), Decimal(taker))


def order(contract, side, ticks, lots, order_id=1, reduce_only=False) -> Order:
    return Order(
        contract, order_id, f"c{order_id}", side, "LIMIT", "GTC", ticks, lots, reduce_only, "EXPIRE_MAKER", 0, 0, 0
    )


@pytest.mark.parametrize(
    ("rate", "value_e8", "fee_e8"),
    [("0.0005", 183_4798 * 10**4, 9173990), ("0.0004", 12345, 4), ("-0.00004", 99_999, -3), ("0", 10**12, 0)],
)
def test_commission_is_cut_off_at_eight_decimals(rate, value_e8, fee_e8):
    assert account(taker=rate).fee_e8("USDC", value_e8, maker=False) == fee_e8


@pytest.mark.parametrize(
    ("contract", "maker_e8", "taker_e8"), [(BTCUSDC, 0, 2560_0000), (BTCUSDT, 1280_0000, 3200_0000)]
)
def test_contracts_in_usdt_cost_what_theirs_cost(contract, maker_e8, taker_e8):
    fees = Decimal("0.0002"), Decimal("0.0005")
    owner = Account(1, 10**13, ["USDC", "USDT"], Decimal(0), Decimal("0.0004"), fees)
    for maker, fee_e8 in ((True, maker_e8), (False, taker_e8)):
        owner.book_fill(order(contract, 1, 640_000, 10), 10, 640_000, maker, 1, 0)
        assert owner.fills[contract.symbol][-1].fee_e8 == fee_e8


def test_average_cost_moves_when_adding_and_stays_when_reducing():
    position = Position(BTCUSDC)
    assert position.apply(1, 10, 640_000, 0) == 0
    assert position.apply(1, 30, 644_000, 0) == 0
    assert position.entry_e8() == 6430000000000  # 64300
    realised = position.apply(-1, 20, 645_000, 0)
    assert realised == BTCUSDC.value_e8((645_000 - 643_000) * 20)
    assert position.entry_e8() == 6430000000000
    assert position.lots == 20


def test_a_flip_closes_at_the_old_average_and_opens_at_the_new_price():
    position = Position(BTCUSDC)
    position.apply(1, 10, 640_000, 0)
    assert position.apply(-1, 25, 639_000, 0) == BTCUSDC.value_e8(-1000 * 10)
    assert (position.lots, position.entry_e8()) == (-15, 6390000000000)
    assert position.unrealised_e8(6_380_000_000_000) == BTCUSDC.value_e8(1000 * 15)


@given(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 50), st.integers(1000, 1100)), max_size=40))
def test_realised_plus_unrealised_is_what_the_trades_earned(trades):
    position, cash, lots = Position(ETHUSDC), Fraction(0), 0
    for side, quantity, ticks in trades:
        position.apply(side, quantity, ticks, 0)
        cash -= side * ETHUSDC.value_e8(quantity * ticks)
        lots += side * quantity
        value = ETHUSDC.value_e8(lots * ticks)
        mark_e8 = int(ticks * ETHUSDC.instrument.tick_size * ONE_E8)
        assert position.realised_e8 + position.unrealised_e8(mark_e8) == cash + value
        assert position.lots == lots
        assert (position.cost_e8 == 0) == (lots == 0)


def test_open_value_follows_orders_fills_and_removals():
    owner = account()
    ours = order(BTCUSDC, 1, 640_000, 10)
    opened = owner.open_orders("BTCUSDC")
    opened.add(ours)
    owner.book_fill(ours, 4, 640_000, True, 1, 0)
    assert (opened.lots[1], opened.ticklots[1]) == (6, 6 * 640_000)
    owner.book_fill(ours, 6, 640_000, True, 2, 0)
    assert (opened.lots[1], opened.ticklots[1], opened.by_id) == (0, 0, {})
    assert ours.status == "FILLED"


def test_the_wallet_pays_commission_and_receives_profit():
    owner = account()
    owner.book_fill(order(BTCUSDC, 1, 640_000, 10), 10, 640_000, False, 1, 0)
    owner.book_fill(order(BTCUSDC, -1, 641_000, 10, 2), 10, 641_000, True, 2, 0)
    assert owner.wallets_e8["USDC"] == 100_000 * ONE_E8 - BTCUSDC.value_e8(6_400_000) * 4 // 10_000 + 10**8
    assert owner.wallets_e8["USDT"] == 100_000 * ONE_E8
    kinds = [row["incomeType"] for row in owner.income_rows()]
    assert kinds == ["COMMISSION", "REALIZED_PNL"]


@pytest.mark.parametrize(("side", "sign"), [(1, -1), (-1, 1)])
def test_a_positive_funding_rate_is_paid_by_longs_to_shorts(side, sign):
    owner = account()
    owner.book_fill(order(BTCUSDC, side, 640_000, 1000), 1000, 640_000, True, 1, 0)
    change = owner.funding_e8(owner.position(BTCUSDC), 10_000, 6_400_000_000_000)
    assert change == sign * 640_000_000
    assert owner.funding_e8(owner.position(BTCUSDC), 10_000, 6_400_000_000_001) == change
    owner.book_income("FUNDING_FEE", "BTCUSDC", "USDC", change, 5)
    assert owner.wallets_e8["USDC"] == 100_000 * ONE_E8 + change
    assert owner.funding_e8(owner.position(ETHUSDC), 10_000, 1) == 0


def test_a_row_of_the_wallets_history_keeps_its_number():
    owner = account()
    owner.book_fill(order(ETHUSDC, 1, 640_000, 10), 10, 640_000, False, 1, 5)
    before = {row["tranId"]: row for row in owner.income_rows()}
    owner.book_income("FUNDING_FEE", "BTCUSDC", "USDC", -7, 5)
    owner.book_fill(order(BTCUSDC, 1, 640_000, 10, 2), 10, 640_000, False, 1, 5)
    after = {row["tranId"]: row for row in owner.income_rows()}
    assert len(after) == 3 and all(after[number] == row for number, row in before.items())


def test_margin_is_needed_for_the_worse_side_only():
    owner = account()
    mark_e8 = 6_400_000_000_000
    opened = owner.open_orders("BTCUSDC")
    opened.add(order(BTCUSDC, 1, 640_000, 100))
    one_side = owner.initial_margin_e8(BTCUSDC, mark_e8)
    assert one_side == 6400 * ONE_E8 // 20
    opened.add(order(BTCUSDC, -1, 641_000, 100, 2))
    assert owner.initial_margin_e8(BTCUSDC, mark_e8) == one_side
    assert owner.available_e8("USDC", {"BTCUSDC": mark_e8}) == 100_000 * ONE_E8 - one_side


CUMS = {
    "BTCUSDC": [0, 50, 2550, 152_550, 2_152_550, 9_652_550, 17_152_550, 28_402_550, 88_402_550, 288_402_550],
    "ETHUSDC": [0, 50, 800, 4300, 54_300, 1_554_300],
    "SOLUSDC": [0, 15, 190, 590, 4590, 9590],
}


@pytest.mark.parametrize("symbol", CUMS)
def test_each_bracket_subtracts_what_the_venue_lists(symbol):
    contract = CONTRACTS[symbol]
    floor = 0
    for number, (expected, (cap, rate, leverage)) in enumerate(zip(CUMS[symbol], contract.brackets, strict=False), 1):
        assert contract.bracket(cap * ONE_E8) == (rate, expected * ONE_E8, number)
        assert contract.bracket(floor * ONE_E8 + 1)[2] == number
        assert contract.max_notional(leverage) == cap
        # No step where one bracket ends: both give the same margin there.
        next_rate, next_cum, _ = contract.bracket(cap * ONE_E8 + 1)
        assert abs(cap * (rate - next_rate) * ONE_E8 - (expected * ONE_E8 - next_cum)) <= 1
        floor = cap


@pytest.mark.parametrize(("lots", "expected_e8"), [(500, 32_000 * 400_000), (1000, 64_000 * 500_000 - 50 * ONE_E8)])
def test_maintenance_margin_is_rate_times_value_less_what_is_subtracted(lots, expected_e8):
    for side in (1, -1):
        position = Position(BTCUSDC)
        position.apply(side, lots, 640_000, 0)
        assert position.maintenance_e8(64_000 * ONE_E8) == expected_e8
