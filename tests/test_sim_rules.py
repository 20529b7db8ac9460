"""What the venue refuses, with the code it documents; both sides of every limit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phx.instruments import ONE_E8
from phx.sim.contracts import listed
from phx.sim.exchange import reduce_only, rules
from phx.sim.exchange.account import Account, Order
from phx.sim.exchange.limits import Limits, Window
from phx.sim.keys.signing import Key, check_time
from phx.sim.refusals import Refused

CONTRACTS = listed({})
BTCUSDC, ETHUSDC = CONTRACTS["BTCUSDC"], CONTRACTS["ETHUSDC"]
MARK_E8 = 64_000 * ONE_E8
MARKS = {"BTCUSDC": MARK_E8, "ETHUSDC": 3400 * ONE_E8}
ORDER = {
    "symbol": "BTCUSDC",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTX",
    "quantity": "0.010",
    "price": "64000.1",
}


def code(call, *arguments) -> int:
    """Return the code of a refusal, 0 when there is none."""
    try:
        call(*arguments)
    except Refused as refusal:
        return refusal.code
    return 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0),
        ({"symbol": "NOSUCH"}, -1121),
        ({"symbol": None}, -1102),
        ({"side": "HOLD"}, -1117),
        ({"type": "STOP_MARKET"}, -4120),
        ({"type": "WISH"}, -1116),
        ({"timeInForce": None}, -1102),
        ({"timeInForce": "ASAP"}, -1115),
        ({"timeInForce": "GTD"}, -5040),
        ({"positionSide": "LONG"}, -4061),
        ({"positionSide": "BOTH"}, 0),
        ({"quantity": "0.0101"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"quantity": "-1"}, -4003),
        ({"quantity": "0.001"}, 0),
        ({"quantity": "1000"}, 0),
        ({"quantity": "1000.001"}, -4005),
        ({"quantity": "NaN"}, -1102),
        ({"quantity": "lots"}, -1102),
        ({"price": "64000.15"}, -1111),
        ({"price": "0"}, -4001),
        ({"price": "261.1"}, 0),
        ({"price": "261.0"}, -4013),
        ({"price": "809484"}, 0),
        ({"price": "809484.1"}, -4002),
        ({"newClientOrderId": "a" * 36}, 0),
        ({"newClientOrderId": "a" * 37}, -4015),
        ({"newClientOrderId": "no spaces"}, -4015),
        ({"selfTradePreventionMode": "EXPIRE_BOTH"}, 0),
        ({"selfTradePreventionMode": "FIGHT"}, -5039),
        ({"newOrderRespType": "NOVEL"}, -1136),
        ({"reduceOnly": "perhaps"}, -1102),
        ({"type": "MARKET"}, -1106),
        ({"type": "MARKET", "price": None, "timeInForce": None, "quantity": "120"}, 0),
        ({"type": "MARKET", "price": None, "timeInForce": None, "quantity": "120.001"}, -4005),
    ],
)
def test_parameters_are_refused_with_their_documented_code(change, expected):
    params = {name: value for name, value in (ORDER | change).items() if value is not None}
    assert code(rules.new_order, CONTRACTS, params, 0) == expected


def test_a_price_off_the_tick_grid_is_told_from_one_with_too_many_decimals():
    sol = CONTRACTS["SOLUSDC"]  # prints four decimals, steps of a cent
    assert code(rules.price_ticks, sol, Decimal("150.01")) == 0
    assert code(rules.price_ticks, sol, Decimal("150.015")) == -4014
    assert code(rules.price_ticks, sol, Decimal("150.00001")) == -1111


@pytest.mark.parametrize(
    ("side", "price", "expected"),
    [(1, 672_000, 0), (1, 672_001, -4016), (-1, 608_000, 0), (-1, 607_999, -4024), (1, 1, 0), (-1, 10**7, 0)],
)
def test_the_price_band_bounds_buys_above_and_sells_below(side, price, expected):
    assert code(rules.check_band, BTCUSDC, side, price, MARK_E8) == expected


@pytest.mark.parametrize(
    ("side", "best", "expected"),
    [(1, [(672_000, 1)], 0), (1, [(672_001, 1)], -4131), (-1, [(607_999, 1)], -4131), (-1, [], 0)],
)
def test_a_market_order_needs_a_counterparty_within_the_band(side, best, expected):
    assert code(rules.check_market_band, BTCUSDC, side, best, MARK_E8) == expected


def test_notional_is_refused_below_its_minimum():
    assert code(rules.check_notional, BTCUSDC, 50 * ONE_E8) == 0
    assert code(rules.check_notional, BTCUSDC, 50 * ONE_E8 - 1) == -4164


def account(wallet=100_000) -> Account:
    return Account(1, wallet * ONE_E8, ["USDC"], Decimal(0), Decimal("0.0004"))


def new(**change) -> rules.NewOrder:
    return rules.new_order(CONTRACTS, ORDER | {k: str(v) for k, v in change.items()}, 0)


def resting(owner, order_id=1, side=1, lots=10, reduce_only=False, price=640_000) -> Order:
    made = Order(BTCUSDC, order_id, f"c{order_id}", side, "LIMIT", "GTC", price, lots, reduce_only, "NONE", 0, 0, 0)
    owner.open_orders("BTCUSDC").add(made)
    return made


def test_a_client_id_is_unique_among_open_orders_only():
    owner = account()
    first = resting(owner)
    wanted = new(newClientOrderId="c1")
    assert code(rules.check_account, owner, wanted, MARKS) == -4116
    owner.open_orders("BTCUSDC").remove(first)
    assert code(rules.check_account, owner, wanted, MARKS) == 0


def test_open_orders_are_limited():
    owner = account()
    for number in range(200):
        resting(owner, number, lots=1)
    assert code(rules.check_account, owner, new(), MARKS) == -2025


def test_margin_and_position_caps():
    owner = account(wallet=1000)
    assert code(rules.check_account, owner, new(quantity="0.31"), MARKS) == 0  # 19,840 at 20× needs 992
    assert code(rules.check_account, owner, new(quantity="0.32"), MARKS) == -2019
    rich = account(wallet=10**9)
    assert code(rules.check_account, rich, new(quantity="999"), MARKS) == 0  # just below 80 million
    rich.settings_of("BTCUSDC").leverage = 50
    assert code(rules.check_account, rich, new(quantity="999"), MARKS) == -2027


def test_reduce_only_wants_a_position_it_can_reduce():
    owner = account()
    assert code(rules.check_account, owner, new(reduceOnly="true"), MARKS) == -2022
    owner.position(BTCUSDC).apply(-1, 10, 640_000, 0)
    wanted = new(reduceOnly="true", quantity="0.015")
    assert code(rules.check_account, owner, wanted, MARKS) == 0
    assert reduce_only.entering_lots(owner, wanted) == 10
    resting(owner, 5, side=1, lots=10, reduce_only=True)
    assert code(reduce_only.entering_lots, owner, wanted) == -2022
    taking = new(reduceOnly="true", quantity="0.015", timeInForce="IOC")
    assert reduce_only.entering_lots(owner, taking) == 10


def test_reduce_only_orders_without_a_position_left_are_knocked_out_worst_first():
    owner = account()
    owner.position(BTCUSDC).apply(-1, 10, 640_000, 0)
    far, near = resting(owner, 1, 1, 6, True, 630_000), resting(owner, 2, 1, 6, True, 639_000)
    assert reduce_only.excess(owner, owner.position(BTCUSDC)) == [far]
    owner.position(BTCUSDC).apply(1, 10, 640_000, 0)
    assert reduce_only.excess(owner, owner.position(BTCUSDC)) == [far, near]


@pytest.mark.parametrize(
    ("age_ms", "window", "expected"),
    [(0, None, 0), (5000, None, 0), (5001, None, -1021), (-999, None, 0), (-1000, None, -1021), (101, 100, -1021)],
)
def test_requests_are_accepted_within_their_window(age_ms, window, expected):
    params = {"timestamp": str(10**12 - age_ms)} | ({"recvWindow": str(window)} if window else {})
    assert code(check_time, params, 10**12) == expected


def test_signatures_equal_the_published_vectors():
    key = Key("k", "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9", account())
    head = "symbol=BTCUSDT&side=BUY&type=LIMIT"
    tail = "quantity=1&price=9000&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943"
    assert key.signed(f"{head}&{tail}".encode(), "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9")
    mixed = f"{head}&timeInForce=GTCquantity=1&price=9000&recvWindow=5000&timestamp=1591702613943"
    assert key.signed(mixed.encode(), "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4")
    assert not key.signed(mixed.encode(), "30" * 32)


def test_windows_are_aligned_to_the_clock_and_count_what_exceeds_them():
    window = Window(3, 10)
    assert [window.add(19_999, 1) for _ in range(4)] == [True, True, True, False]
    assert window.left_s(19_999) == 1
    assert window.left_s(12_500) == 8
    assert window.add(20_000, 1)
    assert window.count(20_000) == 1


def test_order_limits_name_the_window_that_is_full():
    limits = Limits()
    for _ in range(300):
        limits.use_orders(0, 1)
    with pytest.raises(Refused, match="300 orders per 10 SECOND") as refused:
        limits.use_orders(0, 1)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 10)
    limits.use_orders(0, 2)  # another account has windows of its own


@given(st.dictionaries(st.sampled_from([*ORDER, "reduceOnly", "goodTillDate"]), st.text(max_size=12), max_size=5))
def test_no_text_of_a_client_breaks_the_parser(change):
    code(rules.new_order, CONTRACTS, ORDER | change, 0)
