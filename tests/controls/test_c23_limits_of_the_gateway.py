"""C23: the gateway holds to its own validated copy of the limits, below ceilings in code; no quoter can raise them.

Who raises one says so, and every order's journal entry names the parameters it was checked by.
"""

import msgspec
import numpy as np
import pytest
from gateway_rig import SECOND_NS, places
from shipped import CONFIG, PRICE, Shipped, changed, published

from phx import limits_file, topology
from phx._core.enums import JournalKind
from phx._core.enums import RejectReason as R
from phx._core.risk import adopted
from phx.config import ConfigError, load
from phx.ops.reload import raised_limits

MID = PRICE * 10
LIMITS = (
    "net_max_lots", "max_order_lots", "max_order_notional_e8", "max_gross_notional_e8", "max_daily_loss_e8",
    "collar_mid", "collar_mark", "collar_far", "max_open_orders", "max_in_flight", "max_leverage_e6", "max_margin_e6",
    "throttle_cycles", "throttle_rejects", "protect_lots", "protect_delta_lots",
)  # fmt: skip
WINDOWS = ("throttle_window_ns", "protect_window_ns", "protect_frozen_ns")  # the longer the stricter


def record(version: int = 1, by: int = 0, **changes) -> np.void:
    return published(**({"params_version": version, "raised_limits_by": by} | changes))["BTCUSDC"]


def limits_of(record: np.void, before: dict | None = None) -> dict:
    return adopted(record, before)


def raised(name: str):
    value = record()[name]
    return min(1.0, 2 * value) if value.dtype == np.float64 else 2 * value


# ---- nobody raises them


@pytest.mark.parametrize("name", LIMITS)
def test_a_raised_limit_has_no_effect_before_a_human_confirms_it(name):
    shipped = limits_of(record())
    wanted = {name: raised(name)}
    assert limits_of(record(2, **wanted), shipped) == shipped | {"params_version": 2}
    confirmed = limits_of(record(3, by=1000, **wanted), shipped)
    assert confirmed != shipped | {"params_version": 3}
    # Back down it goes at once.
    assert limits_of(record(4), confirmed) == shipped | {"params_version": 4}


@pytest.mark.parametrize("name", WINDOWS)
def test_a_shorter_window_is_a_raised_limit(name):
    shipped = limits_of(record())
    wanted = {name: record()[name] // 2}
    assert limits_of(record(2, **wanted), shipped) == shipped | {"params_version": 2}
    assert limits_of(record(3, by=1000, **wanted), shipped)[name] == wanted[name]


def test_a_ladder_that_wants_more_gets_what_the_gateway_allows():
    rig = Shipped()
    wild = [(MID - 10 - i, 10_000) for i in range(32)]
    assert places(rig.quote(wild, params_version=1)) == [] and set(rig.reasons()) == {R.REJECT_ORDER_VOLUME}
    # Nor does it help to say that it was made with other parameters.
    assert places(rig.quote([(MID - 10, 6)], params_version=2)) == [] and rig.reasons() == [R.REJECT_PARAMS_VERSION]


def test_only_ops_writes_parameters():
    writers = {p for p in topology.processes(CONFIG) for name in topology.writes(p, CONFIG) if "params" in name}
    assert writers == {"ops"}


def test_a_restart_of_the_gateway_raises_nothing(tmp_path):
    shipped = limits_of(record())
    limits_file.write(tmp_path, {"BTCUSDC": shipped})
    rig = Shipped()
    desk = rig.symbols[0].desk
    desk.restore_limits(limits_file.read(tmp_path)["BTCUSDC"])
    wide = record(7, **{name: raised(name) for name in LIMITS})
    rig.symbols[0].params.write(**{name: wide[name] for name in wide.dtype.names})
    rig.step()
    assert desk.limits_in_force == shipped | {"params_version": 7}


# ---- ceilings


CEILINGS = {
    "max_order_notional_e8": 1_000_000 * 10**8,
    "max_gross_notional_e8": 20_000_000 * 10**8,
    "max_daily_loss_e8": 1_000_000 * 10**8,
    "max_leverage_e6": 20_000_000,
    "max_margin_e6": 900_000,
    "throttle_cycles": 1_000,
    "throttle_rejects": 100,
    "book_max_age_ns": 60 * SECOND_NS,
}


@pytest.mark.parametrize(("name", "ceiling"), CEILINGS.items())
def test_no_parameters_lift_a_limit_above_its_ceiling_in_code(name, ceiling):
    for value, held in ((ceiling, ceiling), (ceiling + 1, ceiling), (2**31 - 1 if ceiling < 2**31 else 2**62, ceiling)):
        assert limits_of(record(2, by=1000, **{name: value}), limits_of(record()))[name] == held


@pytest.mark.parametrize(("name", "ceiling"), [("collar_mid", 0.1), ("collar_mark", 0.1), ("collar_far", 0.2)])
def test_no_collar_is_wider_than_its_ceiling_in_code(name, ceiling):
    for value in (ceiling, ceiling + 0.001, 1.0):
        assert limits_of(record(2, by=1000, **{name: value}))[f"{name}_e6"] == round(ceiling * 1e6)


def test_a_configuration_that_is_none_never_becomes_parameters(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("symbols: {BTCUSDC: {net_max: -1, ladder: {near: {size: .nan}}}}\nlimits: {max_gross_notional: 0}")
    with pytest.raises(ConfigError) as refused:
        load(path, {})
    assert len(refused.value.errors) >= 3


# ---- tracked


def test_every_order_names_the_parameters_it_was_checked_by():
    rig = Shipped()
    rig.placed([(MID - 10, 6)])
    newer = record(9)
    rig.symbols[0].params.write(**{name: newer[name] for name in newer.dtype.names})
    rig.wait(SECOND_NS)
    rig.placed([(MID - 10, 6), (MID - 30, 6)], params_version=9)
    entries = [e for e in rig.journal.all() if e["kind"] == JournalKind.JOURNAL_PLACE]
    assert [int(e["params_version"]) for e in entries] == [1, 9]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("net_max", "0.31"), ("risk.max_order_qty", "1"), ("risk.max_order_notional", "4001"),
        ("risk.max_order_notional", "0"), ("risk.max_open_orders", 65), ("risk.max_in_flight", 49),
        ("risk.collar_mid", 0.031), ("throttle.cycles", 61), ("throttle.window_s", 59.0), ("protect.filled", 0.46),
        ("protect.frozen_ms", 4999),
    ],
)  # fmt: skip
def test_whoever_raises_a_limit_is_told_which(path, value):
    assert raised_limits(CONFIG, changed(path, value)) == [f"symbols.BTCUSDC.{path}"]
    assert raised_limits(changed(path, value), CONFIG) == []


@pytest.mark.parametrize(
    ("path", "same", "more"),
    [("ladder.near.size", "0.006", "0.0061"), ("ladder.far.size", "0.0138", "0.0139"), ("ladder.max_merge", 2.3, 2.4)],
)
def test_sizes_raise_the_largest_order_where_that_follows_from_them(path, same, more):
    assert raised_limits(CONFIG, changed(path, same)) == []
    assert raised_limits(CONFIG, changed(path, more)) == ["symbols.BTCUSDC.risk.max_order_qty"]
    fixed = changed("risk.max_order_qty", "0.05")
    assert raised_limits(fixed, changed(path, more, fixed)) == []


def test_the_account_s_limits_are_among_them():
    for name, more in (
        ("max_gross_notional", 80_001),
        ("max_daily_loss", 501),
        ("max_leverage", 6),
        ("max_margin", 0.6),
    ):
        tree = msgspec.to_builtins(CONFIG)
        tree["limits"][name] = more
        assert raised_limits(CONFIG, msgspec.convert(tree, type(CONFIG), strict=False)) == [f"limits.{name}"]
