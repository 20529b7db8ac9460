"""Other units than the last life's: whatever is kept is worth the same in them, to the last digit."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quoting import INSTRUMENT

from phx._core.position import PositionBook
from phx.gateway import epoch as lives
from phx.gateway import requantise
from phx.instruments import InstrumentError, Tables, Units, converted, in_units, write_table
from phx.process import StayDown

GRIDS = st.sampled_from([Decimal(text) for text in ("1", "0.5", "0.25", "0.1", "0.05", "0.01", "0.001")])
FILLS = st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 10**6), st.integers(1, 10**4)), max_size=8)
WORTH = {"position_lots": (0, 1), "open_cost_ticklots": (1, 1), "realised_ticklots": (1, 1)}


def listed(tick: Decimal, lot: Decimal, **fields):
    decimals = {"price_precision": 3, "qty_precision": 3}
    sizes = {"tick_size": tick, "lot_size": lot, "min_qty": lot}
    return msgspec.structs.replace(INSTRUMENT, **(decimals | sizes | fields))


def books(fills, units: Units) -> dict[str, lives.Inherited]:
    book = PositionBook()
    for side, price_ticks, lots in fills:
        book.fill(side, price_ticks, lots, fee_e8=7)
    return {"BTCUSDC": lives.Inherited(book.state(), {1, 2}, 2, 1_000, units=units)}


@given(GRIDS, GRIDS, GRIDS, GRIDS, FILLS)
def test_converted_books_are_worth_the_same_whatever_changed(tick, lot, new_tick, new_lot, fills):
    before = Units(tick, lot)
    instrument = in_units(listed(new_tick, new_lot), before)
    former = books(fills, before)
    after = requantise.books_in(former, {"BTCUSDC": instrument})["BTCUSDC"]
    assert after.units == Units.of(instrument)
    for name, (ticks, lots) in WORTH.items():
        was, now = Decimal(former["BTCUSDC"].totals[name]), Decimal(after.totals[name])
        assert was * tick**ticks * lot**lots == now * instrument.tick_size**ticks * instrument.lot_size**lots
    for name in ("fees_e8", "funding_e8", "fills"):
        assert after.totals[name] == former["BTCUSDC"].totals[name]
    # Every price and quantity of either grid is a whole number of the units, and orders keep to the new one.
    for price in (tick, new_tick):
        assert price % instrument.tick_size == 0
    assert (instrument.price_grid, instrument.qty_grid) == (new_tick, new_lot)
    # A life that ends half-way leaves books that say what they are counted in: nothing is converted twice.
    assert requantise.books_in({"BTCUSDC": after}, {"BTCUSDC": instrument})["BTCUSDC"] == after


@given(GRIDS, GRIDS, st.integers(0, 10**9))
def test_limits_that_are_kept_mean_the_same_in_other_units(tick, lot, lots):
    limits = {"max_position_lots": lots, "max_gross_notional_e8": 5, "params_version": 3}
    old = listed(Decimal(1), Decimal(1))
    new = in_units(listed(tick, lot), Units.of(old))
    found = requantise.limits_in(requantise.limits_kept(limits, old), new)
    assert found == limits | {"max_position_lots": int(lots / new.lot_size)}
    assert requantise.limits_in(limits, new) == limits  # an older phx did not say: as they are


def test_books_on_disk_keep_their_units(tmp_path):
    former = books([(1, 5, 5)], Units(Decimal("0.10"), Decimal(1)))
    lives.write_books(tmp_path, former)
    assert lives.read_books(tmp_path) == former


def test_a_life_trades_in_units_that_feeds_former_lives_and_books_can_be_counted_in(tmp_path):
    tables = Tables(tmp_path, tmp_path)
    write_table(tmp_path / "instruments.main.json", [listed(Decimal("0.25"), Decimal("0.01"))])
    requantise.keep(tables, {"BTCUSDC": listed(Decimal("0.1"), Decimal("0.01"))})
    assert tables.look() and not tables.look()
    former = books([], Units(Decimal(1), Decimal("0.002")))
    found = requantise.traded({"BTCUSDC": listed(Decimal(1), Decimal("0.01"))}, tables, former)["BTCUSDC"]
    assert (found.tick_size, found.lot_size) == (Decimal("0.05"), Decimal("0.002"))
    assert (found.price_step, found.qty_step) == (20, 5)


def test_units_too_fine_for_the_money_keep_the_process_down_with_the_reason(tmp_path):
    tables = Tables(tmp_path, tmp_path)
    former = books([], Units(Decimal("0.000001"), Decimal("0.001")))
    with pytest.raises(StayDown, match="positive multiple of 1e-8"):
        requantise.traded({"BTCUSDC": listed(Decimal("0.1"), Decimal("0.001"))}, tables, former)


def test_a_tick_finer_than_the_venue_prints_is_no_grid_for_orders():
    found = in_units(listed(Decimal("0.01"), Decimal("0.001"), price_precision=1))
    assert found.price_grid == Decimal("0.1") and found.price_text(7) == "0.7"


def test_units_that_are_no_multiples_are_refused():
    with pytest.raises(InstrumentError, match="no multiples"):
        Units(Decimal("0.3"), Decimal(1)).within(Units(Decimal("0.2"), Decimal(1)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mid_ticks", 20.0), ("position_lots", 6.0), ("cost_ticklots", 60.0), ("k_per_tick", 0.2), ("fees_e8", 2.0)],
)
def test_a_name_says_how_a_number_is_converted(name, expected):
    assert converted(name, 2.0, 10, 3) == expected
