"""params_record: quantising, derived limits, and each rule that several fields share, on both sides of its limit."""

import pytest
from msgspec.structs import replace
from quoting import CONFIG, INSTRUMENT, config

from phx.params import ParamsError, params_record

PRICE_TICKS = 650_000


def record(tmp_path, text=CONFIG, price_ticks=None):
    loaded = config(tmp_path, text)
    return params_record(loaded.symbols["BTCUSDC"], loaded, INSTRUMENT, 3, price_ticks)


def with_symbol(lines: str, ladder: str = "{near: {size: 0.006}, far: {size: 0.012}}", net_max: str = "0.30") -> str:
    return f"""
symbols:
  BTCUSDC:
    net_max: {net_max}
    ladder: {ladder}
    {lines}
limits: {{max_gross_notional: 60000, max_daily_loss: 500}}
"""


def errors(tmp_path, text, price_ticks=None):
    with pytest.raises(ParamsError) as caught:
        record(tmp_path, text, price_ticks)
    return caught.value.errors


def test_sizes_become_lots_and_amounts_e8(tmp_path):
    found = record(tmp_path)
    assert (found["net_max_lots"], found["near_size_lots"], found["far_size_lots"]) == (300, 6, 12)
    assert (found["max_gross_notional_e8"], found["max_daily_loss_e8"]) == (60_000 * 10**8, 500 * 10**8)
    assert (found["params_version"], found["symbol_id"], found["enabled"]) == (3, 0, 1)
    assert (found["min_qty_lots"], found["ticklot_e8"]) == (1, 10_000)
    assert found["min_notional_ticklots"] == 50 * 10_000


def test_sizes_are_rounded_down_to_the_lot(tmp_path):
    found = record(tmp_path, with_symbol("", "{near: {size: 0.0069}, far: {size: 0.0121}}", "0.3009"))
    assert (found["net_max_lots"], found["near_size_lots"], found["far_size_lots"]) == (300, 6, 12)


def test_geometric_spacings_become_ticks(tmp_path):
    found = record(tmp_path)
    assert found["geometric_start_ticks"] == 12.0
    assert found["geometric_max_spacing_ticks"] == 250.0


def test_limits_left_at_zero_are_derived(tmp_path):
    found = record(tmp_path, with_symbol("risk: {max_order_notional: 0}"))
    assert found["max_order_lots"] == 13, "2.3 near sizes, more than a far size of 12"
    assert found["max_order_notional_e8"] == 60_000 * 10**8


def test_limits_that_are_set_stay_as_they_are(tmp_path):
    found = record(tmp_path, with_symbol("risk: {max_order_qty: 0.05, max_order_notional: 5000.5}"))
    assert (found["max_order_lots"], found["max_order_notional_e8"]) == (50, 500_050_000_000)


def test_the_plain_configuration_fits_the_price_too(tmp_path):
    assert record(tmp_path, price_ticks=PRICE_TICKS)["near_layers"] == 8


RULES = [
    # what is configured, the path that is named, the nearest configuration that holds
    (
        with_symbol("", "{near: {size: 0.0009}, far: {size: 0.012}}"),
        "ladder.near.size: 0 lots",
        with_symbol("", "{near: {size: 0.001}, far: {size: 0.012}}"),
    ),
    (
        with_symbol("", "{near: {size: 0.006}, far: {size: 0.0009}}"),
        "ladder.far.size: 0 lots",
        with_symbol("", "{near: {size: 0.006}, far: {size: 0.0009, layers: 0}}"),
    ),
    (
        with_symbol("", net_max="0.006"),
        "risk.worst_case: 0.9 of net_max is 5 lots, less than one near layer of 6",
        with_symbol("", net_max="0.007"),
    ),
    (
        with_symbol("risk: {max_order_qty: 0.011}"),
        "risk.max_order_qty: 11 lots",
        with_symbol("risk: {max_order_qty: 0.012}"),
    ),
    (
        with_symbol("", "{near: {size: 0.006, ratio: 0.99}, far: {size: 0.012}}"),
        "ladder.near.ratio: 0.99",
        with_symbol("", "{near: {size: 0.006, ratio: 1}, far: {size: 0.012}}"),
    ),
    (
        with_symbol("vol: {window_s: 59}"),
        "vol.min_samples: 60 can never be reached in vol.window_s 59",
        with_symbol("vol: {window_s: 60}"),
    ),
    (
        with_symbol("pin: {far_layers: 0}\n    risk: {collar_far: 0.0424}"),
        "risk.collar_far: 0.0424 is narrower than the widest layer at 0.0425",
        with_symbol("pin: {far_layers: 0}\n    risk: {collar_far: 0.0426}"),
    ),
    (  # toxicity widens on top of volatility: 0.02 * 2 * 1.2 + 0.0025
        with_symbol("vpin: {enabled: true, bucket_qty: 1}\n    pin: {far_layers: 0}\n    risk: {collar_far: 0.0504}"),
        "risk.collar_far: 0.0504 is narrower than the widest layer at 0.0505",
        with_symbol("vpin: {enabled: true, bucket_qty: 1}\n    pin: {far_layers: 0}\n    risk: {collar_far: 0.0506}"),
    ),
    (  # a model's skew and half spread may take three quarters of the collar, its far layers 0.0205
        with_symbol("quoting: {model: glft}\n    pin: {far_layers: 0}\n    risk: {collar_far: 0.0810}"),
        "risk.collar_far: 0.081 is narrower than the widest layer at 0.0813",
        with_symbol("quoting: {model: glft}\n    pin: {far_layers: 0}\n    risk: {collar_far: 0.0830}"),
    ),
]


@pytest.mark.parametrize(("broken", "sentence", "_"), RULES, ids=[rule[1] for rule in RULES])
def test_a_broken_rule_is_named_with_its_path(tmp_path, broken, sentence, _):
    (found,) = errors(tmp_path, broken)
    assert sentence in found


@pytest.mark.parametrize("holds", [rule[2] for rule in RULES], ids=[rule[1] for rule in RULES])
def test_the_nearest_configuration_that_keeps_the_rule_is_accepted(tmp_path, holds):
    record(tmp_path, holds)


def test_a_ladder_made_in_code_has_no_more_layers_than_its_record(tmp_path):
    loaded = config(tmp_path)
    plain = loaded.symbols["BTCUSDC"]
    for far_layers in (24, 25):
        far = replace(plain.ladder.far, layers=far_layers)
        symbol = replace(plain, ladder=replace(plain.ladder, far=far))
        if far_layers == 24:
            params_record(symbol, loaded, INSTRUMENT, 1)
        else:
            with pytest.raises(ParamsError, match="33 layers"):
                params_record(symbol, loaded, INSTRUMENT, 1)


def test_all_errors_come_at_once(tmp_path):
    found = errors(
        tmp_path,
        with_symbol("vol: {window_s: 50}\n    pin: {far_layers: 0}\n    risk: {collar_far: 0.03}", net_max="0.001"),
    )
    assert len(found) == 3


def test_the_lowest_layer_must_be_worth_more_than_the_venues_minimum(tmp_path):
    # 6 lots at the far end, 4.25 % below the price, must be worth 1.25 * 500,000 tick·lot.
    enough = int(1.25 * 500_000 / 6 / (1 - 0.0425)) + 1
    record(tmp_path, price_ticks=enough)
    (found,) = errors(tmp_path, CONFIG, enough - 2)
    assert "1.25 times the venue's minimum" in found


def test_a_layer_must_not_be_worth_more_than_one_order_may(tmp_path):
    # 12 lots of 0.001 at 65,000.0 are worth 780.
    record(tmp_path, with_symbol("risk: {max_order_notional: 780}"), PRICE_TICKS)
    (found,) = errors(tmp_path, with_symbol("risk: {max_order_notional: 779.99}"), PRICE_TICKS)
    assert "risk.max_order_notional: 779.99, a layer is worth up to 780.00" in found


def test_a_geometric_ladder_needs_a_price_to_be_compared_with_the_collar(tmp_path):
    wide = with_symbol(
        "", "{shape: geometric, near: {size: 0.006}, far: {size: 0.012}, geometric: {start: 9000, first: 50}}"
    )
    record(tmp_path, wide)
    assert any("risk.collar_far" in error for error in errors(tmp_path, wide, PRICE_TICKS))
