"""Every parameter of a symbol: documented as it is typed, refused out of its range by name, sane as shipped."""

import re
import typing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from test_docs import renderer

from phx import config as configuration
from phx.config_source import ConfigError
from phx.params import params_record
from phx.sim.markets.fitted import asset_of, load_fitted
from phx.venue.binance import listed

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "config.yaml.example"
FIVE = ["BTCUSDC", "ETHUSDC", "SOLUSDC", "XRPUSDC", "DOGEUSDC"]
LEAST_ORDER = 60  # quote currency: smaller orders count as dust in the venue's ratios
PLAIN = {"net_max": "0.30", "ladder": {"near": {"size": "0.006"}, "far": {"size": "0.012"}}}

PAGES = renderer()
PARAMETERS = {".".join(path): field for path, field in PAGES.parameters()}


def bounds(field) -> msgspec.Meta | None:
    annotated = typing.get_origin(field.type) is typing.Annotated
    return typing.get_args(field.type)[1] if annotated else None


def bare(field):
    return typing.get_args(field.type)[0] if typing.get_origin(field.type) is typing.Annotated else field.type


def load(tmp_path, name: str | None = None, value: str = "", text: str = ""):
    """Load the plain configuration with one parameter of its symbol set."""
    import copy

    import yaml

    symbol = copy.deepcopy(PLAIN)
    if name is not None:
        at = symbol
        *sections, last = name.split(".")
        for section in sections:
            at = at.setdefault(section, {})
        at[last] = value
    tree = {"symbols": {"BTCUSDC": symbol}, "limits": {"max_gross_notional": "60000", "max_daily_loss": "500"}}
    path = tmp_path / "config.yaml"
    path.write_text(text or yaml.safe_dump(tree))
    return configuration.load(path, {})


# ---- documented


def test_the_table_has_every_parameter_once_and_no_other():
    page = (ROOT / "docs" / "strategy.md").read_text().partition(PAGES.PARAMETERS)[2]
    assert re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE) == list(PARAMETERS)


def test_every_row_says_range_effect_and_when_it_is_adopted():
    for name, shown, span, effect, adopted in PAGES.parameter_rows():
        assert shown and span and len(effect) > 10, name
        assert adopted in ("hot", "restart"), name


def test_the_range_in_the_table_is_the_range_of_the_type():
    for name, _, span, _, _ in PAGES.parameter_rows():
        field, kind, meta = PARAMETERS[name], bare(PARAMETERS[name]), bounds(PARAMETERS[name])
        if typing.get_origin(kind) is typing.Literal:
            assert span == ", ".join(typing.get_args(kind)), name
        elif kind is bool:
            assert span == "true, false", name
        elif kind in (int, float) and meta is not None:
            low, high = meta.ge, meta.le
            if high is not None:
                # A rule between parameters may narrow the range: then the other parameter stands in its place.
                told = re.match(r"(\S+?)\.\.(\S+?)(?:,|$| )", span)
                assert told, (name, span)
                first, last = told.groups()
                for told, bound in ((first, low), (last, high)):
                    assert told == f"{bound:.10g}" or told.replace(".", "_").isidentifier(), name
            else:
                # An open range may begin at another parameter.
                starts = (f"{'>' if meta.gt is not None else '>='} ", f"{low}..", ">= ")
                assert span.startswith(starts), (name, span)
        elif kind is Decimal:
            assert span.startswith((">", ">=")), name
        else:
            assert kind is str or name == "flatten.slips", (name, field.type)


def test_every_mode_and_model_has_a_word_in_the_page():
    from phx._core.enums import Mode

    text = (ROOT / "docs" / "strategy.md").read_text()
    for mode in Mode:
        assert mode == Mode.MODE_NONE or mode.name.removeprefix("MODE_") in text
    for name in ("quoting.model", "quoting.fair"):
        for word in typing.get_args(PARAMETERS[name].type):
            assert word in text


# ---- refused


def beyond(name: str) -> list[str]:
    """Return values just outside a parameter's range, and what is no number at all."""
    kind, meta = bare(PARAMETERS[name]), bounds(PARAMETERS[name])
    wrong = ["nan", "inf", "much", "-1"]
    if kind is int:
        wrong.append("1.5")
    if meta is not None:
        for bound, step in ((meta.ge, -1), (meta.le, 1), (meta.gt, 0)):
            if bound is not None:
                wrong.append(str(bound + (step if kind is int else step * 1e-9)))
    return wrong


NUMBERS = [name for name in PARAMETERS if bare(PARAMETERS[name]) in (int, float, Decimal)]


def test_no_numeric_parameter_is_forgotten_here():
    assert len(NUMBERS) > 80
    others = {name for name in PARAMETERS if name not in NUMBERS and bare(PARAMETERS[name]) is not bool}
    assert {n for n in others if typing.get_origin(bare(PARAMETERS[n])) is not typing.Literal} == {
        "quoting.micro_price_file",
        "leader.symbol",
        "flatten.slips",
    }


@pytest.mark.parametrize("name", NUMBERS)
def test_a_value_out_of_range_is_refused_by_name(tmp_path, name):
    for value in beyond(name):
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, name, value)
        assert any(f"symbols.BTCUSDC.{name}" in error for error in caught.value.errors), (value, caught.value.errors)


def test_the_plain_values_are_accepted(tmp_path):
    assert load(tmp_path).traded() == ["BTCUSDC"]
    with pytest.raises(ConfigError, match=r"symbols\.BTCUSDC\.flatten\.slips"):
        load(tmp_path, "flatten.slips", ["0.1", "0.2", "1.5"])


# ---- as shipped


@pytest.fixture
def five(tmp_path):
    """The example with its three more markets uncommented, as its text says."""
    text, found = EXAMPLE.read_text(), 0
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if re.match(r"#  (\w+USDC:|  )", line):
            lines[i] = line[1:]
            found += 1
    assert found > 10
    return load(tmp_path, text="\n".join(lines))


def test_two_markets_are_on_and_three_more_are_an_edit_away(five):
    assert configuration.load(EXAMPLE, {}).traded() == FIVE[:2]
    assert five.traded() == FIVE


@pytest.mark.parametrize("factor", [Decimal("0.6"), Decimal(1), Decimal("1.6")])
def test_orders_are_no_dust_and_parameters_hold_around_todays_prices(five, factor):
    fitted = load_fitted()
    for symbol, instrument in listed.instruments({s: i for i, s in enumerate(FIVE)}).items():
        price = Decimal(str(fitted[asset_of(symbol)].start_price)) * factor
        price_ticks = instrument.ticks_floor(price)
        record = params_record(five.symbols[symbol], five, instrument, 1, price_ticks)
        for lots in (record["near_size_lots"], record["far_size_lots"]):
            assert instrument.quote(int(lots) * price_ticks) >= LEAST_ORDER, symbol
        assert 20 <= record["net_max_lots"] / record["near_size_lots"] <= 60, symbol


def test_the_limits_leave_room_for_every_market_at_its_worst_case(five):
    fitted = load_fitted()
    worst = sum(
        Decimal(str(fitted[asset_of(symbol)].start_price)) * entry.net_max * Decimal(str(entry.risk.worst_case))
        for symbol, entry in five.symbols.items()
    )
    assert worst < five.limits.max_gross_notional <= five.sim.wallet
    full = {s: Decimal(str(fitted[asset_of(s)].start_price)) * e.net_max for s, e in five.symbols.items()}
    stop = sum(full[s] * Decimal(str(e.stop.loss)) for s, e in five.symbols.items())
    assert stop <= five.sim.wallet * Decimal(str(min(e.risk.max_equity_loss for e in five.symbols.values())))
