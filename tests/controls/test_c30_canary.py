"""C30, controlled deployment: one line of the configuration leaves a hundredth of every size and money limit."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from written_instance import instrument

from phx import canary
from phx import config as configuration
from phx.config import ConfigError
from phx.findings import Verdict
from phx.gateway import checks
from phx.ops.reload import changes, raised_limits
from phx.params import ParamsError, params_record
from phx.venue.binance.standing import Standing

EXAMPLE = Path(__file__).parents[2] / "config.yaml.example"
PRICES = {"BTCUSDC": "64000", "ETHUSDC": "3400"}
REAL = {"BTCUSDC": instrument("BTCUSDC", 0, "0.1", "0.001"), "ETHUSDC": instrument("ETHUSDC", 1, "0.01", "0.001")}
FINE = {  # a venue that takes the smallest orders
    symbol: msgspec.structs.replace(
        real, lot_size=Decimal("0.000001"), min_qty=Decimal("0.000001"), min_notional=Decimal("0.01")
    )
    for symbol, real in REAL.items()
}

# What each side of the system gets told to hold to, or to quote: amounts, not shares and not counts.
LIMITS = ("net_max_lots", "max_gross_notional_e8", "max_daily_loss_e8", "protect_lots", "protect_delta_lots")
ORDER_LIMITS = ("max_order_lots", "max_order_notional_e8")
SIZES = ("near_size_lots", "far_size_lots", "pin_far_size_lots")


def loaded(share: str):
    return configuration.load(EXAMPLE, {"PHX__LIMITS__CANARY": share})


def record(config, symbol: str, instruments):
    traded = instruments[symbol]
    return params_record(config.symbols[symbol], config, traded, 1, traded.ticks(PRICES[symbol]))


@pytest.mark.parametrize("symbol", PRICES)
def test_every_limit_and_size_is_a_hundredth(symbol):
    full, small = (record(loaded(share), symbol, FINE) for share in ("1", "0.01"))
    for name in (*LIMITS, *ORDER_LIMITS, *SIZES):
        assert small[name] > 0 and (small[name] - 1) * 100 < full[name], name  # whole lots


@pytest.mark.parametrize("symbol", PRICES)
def test_orders_below_the_venue_s_smallest_are_as_large_as_that_and_no_limit_but_their_own_is_lifted(symbol):
    traded = REAL[symbol]
    full, small = (record(loaded(share), symbol, REAL) for share in ("1", "0.01"))
    for name in ("net_max_lots", "max_gross_notional_e8", "max_daily_loss_e8"):
        assert 0 < small[name] * 100 <= full[name], name
    worth = Decimal(int(small["near_size_lots"])) * traded.lot_size * Decimal(PRICES[symbol])
    assert small["near_size_lots"] >= traded.min_qty_lots and worth >= traded.min_notional
    one_less = (Decimal(int(small["near_size_lots"])) - 1) * traded.lot_size * Decimal(PRICES[symbol])
    assert one_less < Decimal("1.5") * traded.min_notional  # and not larger than needed
    price_ticks = traded.ticks(PRICES[symbol])
    assert small["max_order_lots"] * price_ticks * traded.ticklot_e8 <= small["max_order_notional_e8"]


def test_what_does_not_fit_into_its_limits_is_refused_with_what_was_found():
    config = loaded("0.001")  # net_max 0.0003: less than one lot
    with pytest.raises(ParamsError, match=r"BTCUSDC\.risk\.worst_case: 0\.9 of net_max is 0 lots, less than one near"):
        record(config, "BTCUSDC", REAL)


@pytest.mark.parametrize("share", ["0", "-0.01", "1.01", "x", "NaN"])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match=r"limits\.canary"):
        loaded(share)


def test_it_is_adopted_while_running_and_its_end_is_a_raised_limit():
    small, full = loaded("0.01"), loaded("1")
    assert all(change.hot for change in changes(full, small))
    assert raised_limits(full, small) == []
    raised = raised_limits(small, full)
    assert {"limits.max_gross_notional", "limits.max_daily_loss", "symbols.BTCUSDC.net_max"} <= set(raised)


def test_people_are_told_what_is_in_force():
    assert canary.lines(loaded("1")) == []
    lines = "\n".join(canary.lines(loaded("0.01")))
    assert "canary: 0.01" in lines and "gross notional 800" in lines and "net_max 0.003" in lines


def test_the_doctor_tells_the_sizes_that_the_venue_makes_of_it():
    found = Standing(**{f.name: f.default for f in msgspec.structs.fields(Standing) if not f.required})
    found.marks = {symbol: Decimal(price) for symbol, price in PRICES.items()}
    findings = checks.sizes(found, loaded("0.01"), REAL)
    assert [f.verdict for f in findings] == [Verdict.OK] * 2
    assert "canary 0.01: layers of 0.001 and 0.001, at most 0.003 held" in findings[0].found


def test_the_shipped_example_documents_it_and_ships_without():
    assert "canary: 1 " in EXAMPLE.read_text() and loaded("1").limits.canary == 1
