"""The limits that hold where they are not what the configuration says: a canary, an override, raised ones that wait."""

import time

from phx import canary, limits_file
from phx._core.risk import adopted
from phx.ops.instance import Instance
from phx.overrides import OverrideRefused, Overrides, stricter
from phx.params import ParamsError, params_record

# Field of the gateway's limits (risk.Limits) → the key that it comes from, of its symbol where that is not `limits`.
KEYS = {
    "max_position_lots": "net_max",
    "max_order_lots": "risk.max_order_qty",
    "max_order_notional_e8": "risk.max_order_notional",
    "max_open_orders": "risk.max_open_orders",
    "max_in_flight": "risk.max_in_flight",
    "collar_mid_e6": "risk.collar_mid",
    "collar_mark_e6": "risk.collar_mark",
    "collar_far_e6": "risk.collar_far",
    "throttle_window_ns": "throttle.window_s",
    "throttle_cycles": "throttle.cycles",
    "throttle_rejects": "throttle.rejects",
    "protect_window_ns": "protect.window_ms",
    "protect_lots": "protect.filled",
    "protect_delta_lots": "protect.moved",
    "protect_frozen_ns": "protect.frozen_ms",
    "max_gross_notional_e8": "limits.max_gross_notional",
    "max_leverage_e6": "limits.max_leverage",
    "max_margin_e6": "limits.max_margin",
    "max_daily_loss_e8": "limits.max_daily_loss",
}
SHARES_OF_NET_MAX = ("protect_lots", "protect_delta_lots")  # held with it; as shares they may be as configured


def held(config, instance: Instance) -> list[str]:
    """Return the keys of the limits that the gateway holds stricter than a configuration, since nobody let them rise.

    A gateway that has not taken over the newest parameters has not said yet.
    """
    in_force = limits_file.read(config.run_folder())
    found = []
    for symbol, instrument in instance.instruments().items():
        present, params = in_force.get(symbol), instance.newest(f"params.{symbol}")
        if symbol not in config.symbols or present is None or params is None:
            continue
        if present["params_version"] != params["params_version"]:
            continue
        try:
            wanted = adopted(params_record(config.symbols[symbol], config, instrument, 0))
        except ParamsError:
            continue
        kept = stricter(wanted, present)
        found += [key if key.startswith("limits.") else f"symbols.{symbol}.{key}" for key in waiting(wanted, kept)]
    return sorted(set(found))


def waiting(wanted: dict[str, int], kept: dict[str, int]) -> list[str]:
    fields = [field for field in KEYS if kept[field] != wanted[field]]
    named = SHARES_OF_NET_MAX if "max_position_lots" in fields else ()
    return [KEYS[field] for field in fields if field not in named]


def held_text(keys: list[str]) -> str:
    return f"limits held below the configuration until `phx reload --raise`: {', '.join(keys)}"


def lines(config, instance: Instance) -> list[str]:
    """Return for people what holds instead of the configuration's full limits; nothing where that is what holds."""
    told = canary.lines(config)[:1]
    try:
        override = Overrides(config.run_folder()).read()
    except OverrideRefused:  # it latches, which is shown
        override = None
    if override is not None and override.in_force(time.time_ns()):
        told.append(f"override: limits raised by uid {override.uid} until {override.until}")
    keys = held(config, instance)
    return [*told, held_text(keys)] if keys else told
