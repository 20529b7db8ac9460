"""C32: quoter and gateway hold the limits each alone, by different code; the long run is `make campaign-limits`."""

import pytest
from gateway_rig import Rig, places
from limits_campaign import gateway_alone, quoter_alone
from quoting import market, own, params

from phx._core.decide import decide_ladder


def test_the_gateway_alone_lets_nothing_out():
    judged = gateway_alone(100_000)
    assert judged.escapes == []
    assert judged.passed > 1_000 and judged.filled > 500


def test_the_quoter_alone_lets_nothing_out(tmp_path):
    judged = quoter_alone(200_000, params(tmp_path))
    assert judged.escapes == []
    assert judged.passed > 1_000


def test_the_ledger_sees_a_gateway_whose_limits_are_wider_than_they_should_be():
    wide = {"net_max_lots": 1050, "max_order_lots": 470, "max_gross_notional_e8": 15_600 * 10**8}
    for name, value in wide.items():
        assert gateway_alone(60_000, **{name: value}).escapes, name


def test_a_configuration_that_is_no_number_lets_nothing_through():
    for name in ("collar_mid", "collar_mark", "collar_far"):
        for value in (float("nan"), float("inf"), float("-inf"), -0.03, 0.0):
            assert places(Rig(**{name: value}).quote([(99_990, 10)], [(100_010, 10)])) == []


@pytest.mark.parametrize("name", ["collar_mid", "collar_far"])
@pytest.mark.parametrize("model", [0, 1, 2])
def test_a_collar_that_is_no_number_leaves_the_quoter_no_layer_near_or_far(tmp_path, name, model):
    record, shown, empty = params(tmp_path, model=model), market(650_000.0), own([], 0, 1_000)
    assert decide_ladder(shown, empty, record, 10**12)[0]["bid_layers"][0] > record["near_layers"][0]
    record[name] = float("nan")
    ladder, _ = decide_ladder(shown, empty, record, 10**12)
    assert ladder["bid_layers"][0] == ladder["ask_layers"][0] == 0
