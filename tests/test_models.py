"""What every quoting model keeps to, whatever it is fed with."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quoting import market, own, params, sides

from phx._core.decide import decide_ladder
from phx._core.enums import QuotingModel
from phx._core.models import quote

MODELS = [QuotingModel.MODEL_AVELLANEDA_STOIKOV, QuotingModel.MODEL_GLFT]
MID = 650_000.0


@pytest.fixture
def plain(tmp_path):
    return params(tmp_path)


def seen(**fields):
    known = {"sigma_1s_ticks": 8.0, "intensity_a_per_s": 2.0, "intensity_k_per_tick": 0.05}
    return market(MID, **(known | fields))


@pytest.mark.parametrize("model", MODELS)
def test_reservation_is_fair_less_skew_times_inventory_plus_funding(plain, model):
    plain["model"] = model
    flat = quote(seen(), 97.5, plain)
    assert flat["reservation_ticks"] == MID and flat["skew_ticks"] == 0
    one = quote(seen(inventory_sizes=1.0), 97.5, plain)
    assert one["skew_ticks"] < 0
    four = quote(seen(inventory_sizes=4.0, funding=0.0001, fair_ticks=MID + 7), 97.5, plain)
    assert four["skew_ticks"] == pytest.approx(4 * one["skew_ticks"])
    assert four["funding_bias_ticks"] == pytest.approx(-0.0001 * 0.5 * MID)
    assert four["reservation_ticks"] == pytest.approx(MID + 7 + four["skew_ticks"] + four["funding_bias_ticks"])
    assert four["half_spread_ticks"] == flat["half_spread_ticks"]


@pytest.mark.parametrize("model", MODELS)
def test_toxicity_stretches_the_ladder_and_volatility_is_not_counted_twice(plain, model):
    plain["model"] = model
    plain["min_spread"] = 0.0
    calm = quote(seen(), 97.5, plain)
    assert (calm["scale"], calm["vol_scale"]) == (1.0, 1.0)
    toxic = quote(seen(tox_scale=1.16, sigma_30m=0.05), 97.5, plain)
    assert (toxic["scale"], toxic["vol_scale"]) == (1.16, 1.0)
    assert toxic["distance_0_ticks"] == pytest.approx(1.16 * calm["distance_0_ticks"])


@pytest.mark.parametrize("model", MODELS)
def test_the_nearest_layer_is_never_inside_the_smallest_spread_nor_half_a_tick(plain, model):
    plain["model"] = model
    tight = {"sigma_1s_ticks": 0.0, "intensity_k_per_tick": 1e6}
    plain["min_spread"] = 0.0007
    assert quote(seen(**tight), 97.5, plain)["distance_0_ticks"] == pytest.approx(0.0007 * MID / 2)
    plain["min_spread"] = 0.0
    assert quote(seen(**tight), 97.5, plain)["distance_0_ticks"] == 0.5


def test_the_ladder_is_laid_around_the_models_answer(plain):
    """distance_i = distance_0 + (d_i - d_0) s, rounded away from the market."""
    plain["model"], plain["min_spread"], plain["net_max_lots"] = QuotingModel.MODEL_GLFT, 0.0, 10**6
    with_model, verdict = decide_ladder(seen(inventory_sizes=2.0, tox_scale=1.2), own(), plain, 0)
    found = sides(with_model)
    answer = verdict["quote"]
    assert answer == quote(seen(inventory_sizes=2.0, tox_scale=1.2), 97.5, plain)
    offsets = [plain["near_start"][0] * 1.15**i * MID for i in range(8)]
    for layer in range(2):
        distance = answer["distance_0_ticks"] + (offsets[layer] - offsets[0]) * 1.2
        assert found[1][layer][0] == math.floor(answer["reservation_ticks"] - distance)
        assert found[-1][layer][0] == math.ceil(answer["reservation_ticks"] + distance)


EXTREME = (0.0, 1e-300, 1e-9, 1.0, 1e9, 1e300)


@pytest.mark.parametrize("model", MODELS)
def test_no_combination_of_extremes_leaves_the_collar(plain, model):
    plain["model"] = model
    reach = plain["collar_far"][0] * MID
    for sigma, a, k, aversion in itertools.product(EXTREME, EXTREME, EXTREME, (1e-300, 0.05, 1e300)):
        plain["as_gamma"] = plain["glft_gamma"] = aversion
        for xi, q in itertools.product((1e-300, 1.0, 1e300), (-1e9, 0.0, 1e9)):
            plain["glft_xi"] = xi
            answer = quote(
                seen(sigma_1s_ticks=sigma, intensity_a_per_s=a, intensity_k_per_tick=k, inventory_sizes=q), 97.5, plain
            )
            assert abs(answer["reservation_ticks"] - MID) <= 0.5 * reach
            assert 0.5 <= answer["distance_0_ticks"] <= 0.25 * reach


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("field", ["sigma_1s_ticks", "intensity_a_per_s", "intensity_k_per_tick"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_signal_that_is_no_number_never_reaches_a_ladder(plain, model, field, value):
    plain["model"] = model
    answer = quote(seen(inventory_sizes=3.0, **{field: value}), 97.5, plain)
    assert all(math.isfinite(number) for number in answer.values())


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.floats(0, 200),
    st.floats(1e-3, 1e3),
    st.floats(1e-4, 5),
    st.integers(-300, 300),
    st.floats(1, 1.5),
)
def test_whatever_the_model_says_the_ladder_is_one_the_venue_can_rest(
    tmp_path_factory, model, sigma, a, k, position, tox
):
    plain = params(tmp_path_factory.mktemp("p"), model=model)
    fields = {"sigma_1s_ticks": sigma, "intensity_a_per_s": a, "intensity_k_per_tick": k, "tox_scale": tox}
    ladder, _ = decide_ladder(market(MID, inventory_sizes=position / 6, **fields), own(position=position), plain, 0)
    found = sides(ladder)
    collar = plain["collar_far"][0]
    for side, layers in found.items():
        prices = [price for price, _ in layers]
        assert prices == sorted(prices, reverse=side == 1) and len(set(prices)) == len(prices)
        for price, lots in layers:
            assert lots > 0 and MID * (1 - collar) < price < MID * (1 + collar)
            assert price < MID + 1 if side == 1 else price > MID - 1
    bought = position + sum(lots for _, lots in found[1])
    assert bought <= 0.9 * 300 or not found[1] or position < 0
