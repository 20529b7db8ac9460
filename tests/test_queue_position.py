"""Queue position: the published vectors to the last printed digit, and what must hold for any sequence."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from phx._core.queue_position import front_after

MODELS = ("risk_averse", "power1", "power2", "power3", "log1", "log2")
# model, n, front after 100 → 80 with 30 ahead, front after 100 → 80 with 25 ahead once 5 traded
VECTORS = [
    ("power1", 2, 26.896552, 23.5),
    ("power1", 3, 28.540541, 24.464286),
    ("power2", 2, 19.8, 18.4375),
    ("power3", 2, 28.2, 24.0625),
    ("log1", 1, 21.076690, 18.560081),
    ("log2", 1, 28.472670, 24.075689),
]


@pytest.mark.parametrize(("model", "power", "after_cancel", "after_trade"), VECTORS)
def test_published_vectors_are_reproduced(model, power, after_cancel, after_trade):
    assert front_after(model, power, 30, [("level", 100, 80)]) == pytest.approx(after_cancel, abs=5e-7)
    assert front_after(model, power, 25, [("level", 100, 80)], traded_lots=5) == pytest.approx(after_trade, abs=5e-7)


@pytest.mark.parametrize("model", MODELS)
def test_a_trade_takes_from_the_front_and_never_below_nothing(model):
    assert front_after(model, 2, 30, [("trade", 12)]) == 18
    assert front_after(model, 2, 30, [("trade", 31)]) == 0


@pytest.mark.parametrize("model", MODELS)
def test_a_change_explained_by_trades_moves_nobody(model):
    assert front_after(model, 2, 30, [("trade", 10), ("level", 100, 90)]) == 20


def test_risk_averse_believes_every_cancel_was_behind_until_the_level_is_smaller_than_the_queue():
    assert front_after("risk_averse", 1, 30, [("level", 100, 40)]) == 30
    assert front_after("risk_averse", 1, 30, [("level", 100, 20)]) == 20


@pytest.mark.parametrize("model", MODELS)
def test_an_empty_level_puts_us_first(model):
    assert front_after(model, 2, 0, [("level", 0, 0)]) == 0
    assert front_after(model, 2, 30, [("level", 100, 0)]) == 0


@given(
    model=st.sampled_from(MODELS),
    power=st.sampled_from([1.0, 2.0, 3.0]),
    start=st.integers(0, 1000),
    behind=st.integers(0, 1000),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 600)), max_size=30),
)
def test_nobody_ever_falls_back_and_the_front_fits_the_level(model, power, start, behind, steps):
    level, front, changes = start + behind, float(start), []
    for is_trade, lots in steps:
        if is_trade:
            changes.append(("trade", lots))
        else:
            changes.append(("level", level, lots))
            level = lots
        after = front_after(model, power, start, changes)
        assert 0 <= after <= front + 1e-9
        if not is_trade:
            assert after <= level
        front = after


def by_hand(model, n, front, prev, new, traded):
    """The formulas as published, for any numbers; nobody stands before the first place."""
    cancelled = prev - new - traded
    if cancelled < 0:
        return min(front, new)
    back = prev - front
    f, b = math.log(1 + front), math.log(1 + back)
    behind = {
        "risk_averse": lambda: 1.0,
        "power1": lambda: back**n / (back**n + front**n),
        "power2": lambda: back**n / (back + front) ** n,
        "power3": lambda: 1 - (front / (front + back)) ** n,
        "log1": lambda: b / (b + f),
        "log2": lambda: b / math.log(1 + back + front),
    }[model]()
    return max(0.0, min(front - (1 - behind) * cancelled + min(back - behind * cancelled, 0), new))


@given(
    model=st.sampled_from(MODELS),
    n=st.floats(0.5, 5),
    front=st.integers(0, 10**6),
    behind=st.integers(0, 10**6),
    left=st.floats(0, 1.5),
    traded=st.integers(0, 10**5),
)
def test_any_numbers_give_what_the_formulas_give(model, n, front, behind, left, traded):
    prev = front + behind
    assume(prev > 0)
    new = round(prev * left)
    found = front_after(model, n, front, [("level", prev, new)], traded_lots=traded)
    assert found == pytest.approx(by_hand(model, n, front, prev, new, traded), rel=1e-9, abs=1e-6)


def test_an_unknown_model_is_refused_by_name():
    with pytest.raises(ValueError, match="power9"):
        front_after("power9", 1, 1, [])
