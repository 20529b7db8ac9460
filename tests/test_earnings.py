"""What was earned: profit under three fees against exact fractions, mark-outs and shares of time by hand numbers."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_instance import instrument

from phx import earnings
from phx._core import records
from phx._core.enums import Mode
from phx._core.mark_outs import table
from phx._core.position import PositionBook

BTC = instrument("BTCUSDC", 0, "0.1", "0.001")  # a tick times a lot is worth 0.0001
MAKER, TAKER = Fraction(2, 10_000), Fraction(5, 10_000)
fills = st.lists(
    st.tuples(
        st.sampled_from([1, -1]),
        st.integers(1, 2_000_000),
        st.integers(1, 100_000),
        st.integers(-(10**9), 10**9),
        st.booleans(),
    ),
    max_size=40,
)


@given(fills, st.integers(-(10**12), 10**12), st.integers(1, 4_000_000))
@settings(max_examples=300, deadline=None)
def test_profit_is_exact_over_random_fills_and_flips(trades, funding_e8, half_ticks):
    book = PositionBook(BTC.ticklot_e8)
    gained = base = Fraction(0)
    paid_e8, held = 0, 0
    for side, price, lots, fee_e8, maker in trades:
        book.fill(side, price, lots, fee_e8, maker)
        worth = Fraction(price * lots * BTC.ticklot_e8, 10**8)
        gained -= side * worth
        base += worth * (MAKER if maker else TAKER)
        held, paid_e8 = held + side * lots, paid_e8 + fee_e8
    book.fund(funding_e8)
    gained += Fraction(held * half_ticks * BTC.ticklot_e8, 2 * 10**8) + Fraction(funding_e8, 10**8)
    found = earnings.profit(book.state(), BTC, half_ticks / 2, float(MAKER), float(TAKER))
    near = {"rel": 1e-12, "abs": 1e-12 * float(abs(base) + 10**6)}
    assert found.no_fees == pytest.approx(float(gained), **near)
    assert found.own_fees == pytest.approx(float(gained - Fraction(paid_e8, 10**8)), **near)
    assert found.base_fees == pytest.approx(float(gained - base), **near)


def test_profit_by_hand():
    book = PositionBook(BTC.ticklot_e8)
    book.fill(1, 600_000, 10, fee_e8=-(3 * 10**6))  # 600 made, rebate 0.03
    book.fill(-1, 600_500, 4, fee_e8=96_080_000, maker=False)  # 240.2 taken, 0.9608 paid
    book.fund(-(10**7))
    found = earnings.profit(book.state(), BTC, 600_100, 0.0002, 0.0005)
    # 4 x 500 ticks closed, 6 x 100 open: 0.26; funding -0.1; own fees 0.9308; base fees 0.12 + 0.1201
    assert found.no_fees == pytest.approx(0.16)
    assert found.own_fees == pytest.approx(0.16 - 0.9308)
    assert found.base_fees == pytest.approx(0.16 - 0.2401)


def test_a_flat_book_is_worth_the_same_at_any_price():
    book = PositionBook(BTC.ticklot_e8)
    book.fill(1, 100, 5)
    book.fill(-1, 90, 5)
    at = [earnings.profit(book.state(), BTC, value, 0, 0).own_fees for value in (1.0, 1e6, float("nan"))]
    assert at == [pytest.approx(-0.005)] * 3


def judged(*cells) -> np.ndarray:
    block = np.zeros((), records.QUOTER_COUNTERS)
    for mode, layer, horizon, *values in cells:
        for field, value in zip(earnings.MARK_OUT_FIELDS, values, strict=True):
            table(block, field)[mode, layer, horizon] = value
    return block


JUDGED = (
    (Mode.MODE_NORMAL, 0, 0, 2, 10, 300, 6_000_000),  # +150 ticks x lots on 600: 0.015, 0.25 bps
    (Mode.MODE_NORMAL, 0, 1, 1, 4, -480, 2_400_000),
    (Mode.MODE_GRINDING, 32, 0, 1, 7, -2100, 4_200_000),
)


def test_only_cells_with_fills_are_told_in_quote_currency_and_bps():
    found = earnings.mark_outs(judged(*JUDGED), BTC)
    told = [(m.mode, m.layer, m.horizon_s, m.fills) for m in found]
    assert told == [("normal", "0", 1, 2), ("normal", "0", 10, 1), ("grinding", "take", 1, 1)]
    assert [m.gain for m in found] == pytest.approx([0.015, -0.024, -0.105])
    assert [m.volume for m in found] == pytest.approx([600, 240, 420])
    assert [m.bps for m in found] == pytest.approx([0.25, -1.0, -2.5])


def test_the_mark_out_table_has_a_row_for_all_and_one_for_each_mode_and_layer():
    assert earnings.mark_out_lines(earnings.mark_outs(judged(*JUDGED), BTC)) == [
        "mark-outs        fills                 after 1 s                after 10 s                after 60 s",
        "all                  3         -0.88 bps -0.0900         -1.00 bps -0.0240                         -",
        "normal 0             2         +0.25 bps +0.0150         -1.00 bps -0.0240                         -",
        "grinding take        1         -2.50 bps -0.1050                         -                         -",
    ]
    assert earnings.mark_out_lines([]) == []


def test_time_and_entries_are_told_by_mode():
    block = judged()
    block["mode_ns"][[Mode.MODE_NORMAL, Mode.MODE_PINNING]] = 30 * 10**9, 90 * 10**9
    block["mode_entries"][Mode.MODE_PINNING] = 4
    assert earnings.mode_seconds(block) == {"normal": 30.0, "pinning": 90.0}
    assert earnings.mode_entries(block) == {"pinning": 4}
    assert earnings.mode_share_text(earnings.mode_seconds(block)) == "pinning 75.0%, normal 25.0%"
    assert earnings.mode_share_text({}) == "-"


def test_fees_of_the_base_tier_come_from_the_configuration(instance_config):
    assert Decimal(str(instance_config.venue.base_maker_fee)) == Decimal("0.0002")
    assert Decimal(str(instance_config.venue.base_taker_fee)) == Decimal("0.0005")
