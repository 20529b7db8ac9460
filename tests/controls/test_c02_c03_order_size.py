"""C02, C03: value and volume of one order; an unset limit lets nothing through."""

import pytest
from gateway_rig import Rig, places

from phx._core.enums import RejectReason


@pytest.mark.parametrize(
    ("limits", "lots", "reason"),
    [
        ({"max_order_lots": 20}, (20, 21), RejectReason.REJECT_ORDER_VOLUME),
        ({"max_order_notional_e8": 99_990 * 20 * 10_000}, (20, 21), RejectReason.REJECT_ORDER_VALUE),
    ],
)
def test_the_last_that_passes_and_the_first_that_does_not(limits, lots, reason):
    rig = Rig(**limits)
    assert places(rig.quote([(99_990, lots[0])])) == [(1, 99_990, lots[0])]
    rig = Rig(**limits)
    assert rig.quote([(99_990, lots[1])]) == [] and rig.reasons() == [reason]


@pytest.mark.parametrize(("less_e8", "placed"), [(0, [(1, 99_990, 20)]), (1, [])])
def test_value_is_held_to_the_last_unit(less_e8, placed):
    assert places(Rig(max_order_notional_e8=99_990 * 20 * 10_000 - less_e8).quote([(99_990, 20)])) == placed


@pytest.mark.parametrize("lots", [2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -1, -(2**63)])
@pytest.mark.parametrize("price", [99_990, 1, 10_000_000])
def test_no_quantity_overflows_past_the_limits(lots, price):
    widest = {"max_order_lots": 2**62, "net_max_lots": 2**62, "rules": {"max_qty_lots": 2**62}}
    assert places(Rig(**widest).quote([(price, lots)], [(price + 200_000, lots)])) == []


@pytest.mark.parametrize("name", ["max_order_lots", "max_order_notional_e8", "net_max_lots", "max_gross_notional_e8"])
def test_a_symbol_without_a_limit_cannot_trade(name):
    rig = Rig(**{name: 0})
    assert rig.quote([(99_990, 10)], [(100_010, 10)]) == []


def test_a_thousandfold_size_is_stopped():
    rig = Rig(net_max_lots=10**9, max_gross_notional_e8=10**18)
    assert rig.quote([(99_990, 10_000)]) == []
