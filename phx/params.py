"""Parameters: a symbol's configuration as the PARAMS record that quoter, gateway and guardian read.

Decimal sizes become lots and prices ticks here, towards less risk, and the rules that need the instrument's filters are
checked here (config_checks.py has those that need the configuration alone). A record is made whole or not at all.
"""

import math
from decimal import Decimal

import numpy as np

from phx._core import records
from phx.config import Config, SymbolConfig
from phx.instruments import ONE_E8, Instrument
from phx.micro_price import MicroPriceError
from phx.micro_price import load as load_micro_price

FAIR_SOURCES = ("mid", "micro", "leader", "stoikov")
MODELS = ("asmm", "avellaneda_stoikov", "glft")
QUEUE_MODELS = ("risk_averse", "power1", "power2", "power3", "log1", "log2")
LADDER_SHAPES = ("near_far", "geometric")
FAR_SHAPES = ("linear", "geometric")

NOTIONAL_MARGIN = Decimal("1.25")  # a layer stays above the venue's minimum when the price falls by a fifth
FUNDING_SHARE = 0.25  # funding shades the price by at most so much of the full skew (model.pxd)
MODEL_SHARE = 0.75  # of collar_far: what skew and half spread of a model-based quote take at most (model.pyx)


class ParamsError(ValueError):
    """Parameters that break a rule; `errors` names every one, with the path of the field."""

    def __init__(self, errors: list[str]):
        super().__init__("\n".join(errors))
        self.errors = errors


def params_record(
    symbol_config: SymbolConfig, config: Config, instrument: Instrument, version: int, price_ticks: int | None = None
) -> np.ndarray:
    """Return a PARAMS record (shape ()) for one symbol.

    price_ticks: a recent price; with it the rules that depend on the price are checked too. Raises ParamsError.
    Limits left at 0 are derived: max_order_qty is the largest order a ladder can want (a merged near layer or a far
    one); max_order_notional is the account's max_gross_notional. With a canary, orders too small for the venue are as
    large as its smallest.
    """
    record = np.zeros((), records.PARAMS)
    fill_sizes(record, symbol_config, instrument)
    fill_model(record, symbol_config, instrument)
    fill_modes(record, symbol_config, instrument)
    least_lots = smallest_lots(record, symbol_config, price_ticks) if config.limits.canary < 1 else 0
    for name in ("near_size_lots", "far_size_lots", "pin_far_size_lots"):
        record[name] = max(int(record[name]), least_lots)
    fill_limits(record, symbol_config, config, instrument)
    if config.limits.canary < 1:
        let_pass(record, least_lots, price_ticks or 0)
    record["symbol_id"] = instrument.symbol_id
    record["params_version"] = version
    errors = fill_micro_price(record, symbol_config, instrument)
    errors += broken_rules(record, symbol_config, instrument.symbol, price_ticks)
    if errors:
        raise ParamsError(errors)
    return record


def fill_sizes(record, symbol: SymbolConfig, instrument: Instrument) -> None:
    """Fill in what has the instrument's units: lots, and spacings of the geometric shape in ticks."""
    ladder = symbol.ladder
    record["net_max_lots"] = instrument.lots_floor(symbol.net_max)
    record["near_size_lots"] = instrument.order_lots(ladder.near.size)
    record["far_size_lots"] = instrument.order_lots(ladder.far.size)
    record["price_step_ticks"], record["qty_step_lots"] = instrument.price_step, instrument.qty_step
    record["min_qty_lots"] = instrument.min_qty_lots
    record["min_notional_ticklots"] = instrument.min_notional_ticklots
    record["ticklot_e8"] = instrument.ticklot_e8
    record["geometric_start_ticks"] = ladder.geometric.start / instrument.tick_size
    record["geometric_first_ticks"] = ladder.geometric.first / instrument.tick_size
    record["geometric_max_spacing_ticks"] = ladder.geometric.max_spacing / instrument.tick_size


def smallest_lots(record, symbol: SymbolConfig, price_ticks: int | None) -> int:
    """Return the smallest order that the venue takes on every layer; without a price by its quantity alone."""
    least_lots = int(record["min_qty_lots"])
    if price_ticks is None:
        return least_lots
    farthest = max(widest_layer(symbol, record, price_ticks) or 0.0, symbol.pin.far_end)
    worth = float(NOTIONAL_MARGIN) * int(record["min_notional_ticklots"])
    return max(least_lots, math.ceil(worth / (price_ticks * (1 - farthest))))


def let_pass(record, least_lots: int, price_ticks: int) -> None:
    """Lift the limits of one order, and no other limit, as far as the venue's smallest orders need it."""
    most_lots = max(int(record["max_order_lots"]), least_lots)
    worth_e8 = price_ticks * most_lots * int(record["ticklot_e8"])
    record["max_order_lots"] = most_lots
    record["max_order_notional_e8"] = max(int(record["max_order_notional_e8"]), int(NOTIONAL_MARGIN * worth_e8))


def fill_model(record, symbol: SymbolConfig, instrument: Instrument) -> None:
    """Fill in what the quoter computes with."""
    quoting, vol, ladder = symbol.quoting, symbol.vol, symbol.ladder
    values = {
        "fair_source": FAIR_SOURCES.index(quoting.fair),
        "model": MODELS.index(quoting.model),
        "as_gamma": symbol.as_.gamma,
        "as_horizon_s": symbol.as_.horizon_s,
        "glft_gamma": symbol.glft.gamma,
        "glft_xi": symbol.glft.xi,
        "intensity_fitted": symbol.intensity.fitted,
        "intensity_a_per_s": symbol.intensity.a_per_s,
        "intensity_k_per_tick": symbol.intensity.k_per_tick,
        "intensity_half_life_s": symbol.intensity.half_life_s,
        "intensity_min_trades": symbol.intensity.min_trades,
        "min_spread": quoting.min_spread,
        "imbalance_levels": quoting.imbalance_levels,
        "book_max_age_ns": quoting.max_data_age_ms * 1_000_000,
        "min_requote_ns": quoting.min_requote_ms * 1_000_000,
        "republish_ns": quoting.republish_ms * 1_000_000,
        "enabled": symbol.enabled,
        "vol_window_s": vol.window_s,
        "vol_min_samples": vol.min_samples,
        "vol_initial": vol.initial,
        "vol_gain": vol.gain,
        "vol_ref": vol.ref,
        "vol_scale_min": vol.scale_min,
        "vol_scale_max": vol.scale_max,
        "sigma_1s_half_life_s": vol.sigma_1s_half_life_s,
        "funding_coeff": symbol.funding.coeff,
        "funding_half_life_s": symbol.funding.half_life_s,
        "skew_coeff": symbol.skew.coeff,
        "skew_dead_band": symbol.skew.dead_band,
        "leader_weight": symbol.leader.weight,
        "leader_max_dev": symbol.leader.max_dev,
        "leader_half_life_s": symbol.leader.half_life_s,
        "ladder_shape": LADDER_SHAPES.index(ladder.shape),
        "near_layers": ladder.near.layers,
        "near_start": ladder.near.start,
        "near_ratio": ladder.near.ratio,
        "far_layers": ladder.far.layers,
        "far_start": ladder.far.start,
        "far_end": ladder.far.end,
        "far_shape": FAR_SHAPES.index(ladder.far.shape),
        "geometric_mult": ladder.geometric.mult,
        "max_merge": ladder.max_merge,
        "adding_layer_cut": ladder.adding_layer_cut,
        "keep_tolerance": symbol.keep.tolerance,
        "keep_growth": symbol.keep.growth,
        "qty_tolerance": symbol.keep.qty_tolerance,
        "queue_valued": symbol.keep.queue_valued,
        "queue_model": QUEUE_MODELS.index(symbol.keep.queue_model),
        "queue_power": symbol.keep.queue_power,
        "keep_queue_value": symbol.keep.queue_value,
        "post_only_step_ticks": symbol.keep.post_only_step_ticks * instrument.price_step,
        "post_only_half_life_s": symbol.keep.post_only_half_life_s,
        "worst_case": symbol.risk.worst_case,
    }
    for name, value in values.items():
        record[name] = value


def fill_micro_price(record, symbol: SymbolConfig, instrument: Instrument) -> list[str]:
    """Fill in the fitted micro-price, if a file of one is named; return what is wrong with the file."""
    path = symbol.quoting.micro_price_file
    if not path:
        return []
    try:
        table = load_micro_price(path, instrument.tick_size)
    except MicroPriceError as error:
        return [f"symbols.{instrument.symbol}.quoting.micro_price_file: {error}"]
    record["stoikov_buckets"], record["stoikov_spreads"] = table.buckets, table.spreads
    record["stoikov_ticks"] = table.cells()
    return []


def fill_modes(record, symbol: SymbolConfig, instrument: Instrument) -> None:
    """Fill in what decides the mode and what each mode quotes."""
    vpin, pin, grind, stop, flatten = symbol.vpin, symbol.pin, symbol.grind, symbol.stop, symbol.flatten
    values = {
        "vpin_enabled": vpin.enabled,
        "vpin_bucket_lots": instrument.lots_floor(vpin.bucket_qty),
        "vpin_buckets": vpin.buckets,
        "vpin_multiplier": vpin.multiplier,
        "vpin_widen": vpin.widen,
        "vpin_narrow": vpin.narrow,
        "vpin_pause": vpin.pause,
        "vpin_resume": vpin.resume,
        "vpin_pause_ns": nanoseconds(vpin.pause_s),
        "mode_dwell_ns": nanoseconds(symbol.mode.dwell_s),
        "pin_enabled": pin.enabled,
        "pin_enter": pin.enter,
        "pin_exit": pin.exit,
        "pin_size": pin.size,
        "pin_improve": pin.improve,
        "pin_min_requote_ns": pin.min_requote_ms * 1_000_000,
        "pin_back_ticks": pin.back_ticks * instrument.price_step,
        "pin_patience_ns": nanoseconds(pin.patience_s),
        "pin_far_layers": pin.far_layers,
        "pin_far_size_lots": instrument.order_lots(pin.far_size or symbol.ladder.far.size),
        "pin_far_start": pin.far_start,
        "pin_far_end": pin.far_end,
        "pin_far_shape": FAR_SHAPES.index(pin.far_shape),
        "pin_far_adding": pin.far_adding,
        "grind_enabled": grind.enabled,
        "grind_enter": grind.enter,
        "grind_exit": grind.exit,
        "grind_max_sigma": grind.max_sigma,
        "grind_leave_sigma": grind.leave_sigma,
        "grind_maker_offset": grind.maker_offset,
        "grind_maker_size": grind.maker_size,
        "grind_interval_ns": nanoseconds(grind.interval_s),
        "grind_slice": grind.slice,
        "grind_max_slip": grind.max_slip,
        "grind_loss_budget": grind.loss_budget,
        "grind_budget_window_ns": nanoseconds(grind.budget_window_s),
        "stop_loss": stop.loss,
        "stop_min_notional": stop.min_notional,
        "stop_drawdown": stop.drawdown,
        "stop_emergency": stop.emergency,
        "stop_latches": stop.latch,
        "halt_ns": nanoseconds(stop.halt_s),
        "flatten_target_lots": instrument.lots_floor(flatten.target),
        "flatten_blind_ns": nanoseconds(flatten.blind_s),
        "flatten_cancel_wait_ns": flatten.cancel_wait_ms * 1_000_000,
        "flatten_slip": flatten.slips,
        "flatten_step_ns": nanoseconds(flatten.step_s),
        "flatten_empty_slices": flatten.empty_slices,
    }
    for name, value in values.items():
        record[name] = value


def nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def fill_limits(record, symbol: SymbolConfig, config: Config, instrument: Instrument) -> None:
    """Fill in what the gateway enforces; amounts in 1e-8 of the quote currency."""
    risk, limits = symbol.risk, config.limits
    largest = max(int(symbol.ladder.max_merge * int(record["near_size_lots"])), int(record["far_size_lots"]))
    record["max_order_lots"] = instrument.lots_floor(risk.max_order_qty) or largest
    record["max_order_notional_e8"] = int((risk.max_order_notional or limits.max_gross_notional) * ONE_E8)
    record["max_gross_notional_e8"] = int(limits.max_gross_notional * ONE_E8)
    record["max_daily_loss_e8"] = int(limits.max_daily_loss * ONE_E8)
    record["max_leverage_e6"] = int(limits.max_leverage * 1e6)
    record["max_margin_e6"] = int(limits.max_margin * 1e6)
    record["throttle_window_ns"] = nanoseconds(symbol.throttle.window_s)
    record["throttle_cycles"] = symbol.throttle.cycles
    record["throttle_rejects"] = symbol.throttle.rejects
    record["protect_window_ns"] = symbol.protect.window_ms * 1_000_000
    record["protect_frozen_ns"] = symbol.protect.frozen_ms * 1_000_000
    # Never less than one order of the ladder: it may always fill at once.
    for name, share in (("protect_lots", symbol.protect.filled), ("protect_delta_lots", symbol.protect.moved)):
        record[name] = max(largest, int(share * int(record["net_max_lots"]))) if share else 0
    record["max_open_orders"] = risk.max_open_orders
    record["max_in_flight"] = risk.max_in_flight
    record["max_equity_loss"] = risk.max_equity_loss
    record["collar_mid"] = risk.collar_mid
    record["collar_mark"] = risk.collar_mark
    record["collar_far"] = risk.collar_far
    record["base_maker_fee"] = config.venue.base_maker_fee
    record["base_taker_fee"] = config.venue.base_taker_fee


def broken_rules(record, symbol: SymbolConfig, name: str, price_ticks: int | None) -> list[str]:
    """Return one sentence for each rule that does not hold."""
    ladder, risk = symbol.ladder, symbol.risk
    near_lots, far_lots = int(record["near_size_lots"]), int(record["far_size_lots"])
    min_lots, worst_lots = int(record["min_qty_lots"]), int(record["worst_case"] * record["net_max_lots"])
    layers = ladder.near.layers + ladder.far.layers
    widest = widest_layer(symbol, record, price_ticks)
    rules = [
        (layers <= records.LAYERS, "ladder", f"near and far have {layers} layers, a ladder at most {records.LAYERS}"),
        (near_lots >= min_lots, "ladder.near.size", f"{near_lots} lots, the venue's smallest order has {min_lots}"),
        (
            ladder.far.layers == 0 or far_lots >= min_lots,
            "ladder.far.size",
            f"{far_lots} lots, the venue's smallest order has {min_lots}",
        ),
        (
            worst_lots >= max(near_lots, 1),
            "risk.worst_case",
            f"{risk.worst_case} of net_max is {worst_lots} lots, less than one near layer of {near_lots}",
        ),
        (
            int(record["max_order_lots"]) >= max(near_lots, far_lots if ladder.far.layers else 0),
            "risk.max_order_qty",
            f"{int(record['max_order_lots'])} lots, a layer has up to {max(near_lots, far_lots)}",
        ),
        (
            ladder.near.ratio >= 1,
            "ladder.near.ratio",
            f"{ladder.near.ratio}, expected at least 1: layers go outward",
        ),
        (
            symbol.vol.min_samples <= symbol.vol.window_s,
            "vol.min_samples",
            f"{symbol.vol.min_samples} can never be reached in vol.window_s {symbol.vol.window_s}",
        ),
        (
            widest is None or widest <= risk.collar_far,
            "risk.collar_far",
            f"{risk.collar_far} is narrower than the widest layer at {widest or 0:.4f} of the price",
        ),
    ]
    if price_ticks is not None:
        lowest_ticks = price_ticks * (1 - (widest or 0))
        smallest_lots = min(near_lots, far_lots) if ladder.far.layers else near_lots
        least = int(record["min_notional_ticklots"])
        rules.append(
            (
                lowest_ticks * smallest_lots >= float(NOTIONAL_MARGIN) * least,
                "ladder",
                f"the lowest layer is worth {lowest_ticks * smallest_lots:.0f} tick·lot, expected at least "
                f"{NOTIONAL_MARGIN} times the venue's minimum of {least}",
            )
        )
        largest_lots = max(near_lots, far_lots if ladder.far.layers else 0)
        worth_e8, most_e8 = price_ticks * largest_lots * int(record["ticklot_e8"]), int(record["max_order_notional_e8"])
        rules.append(
            (
                worth_e8 <= most_e8,
                "risk.max_order_notional",
                f"{most_e8 / ONE_E8:.2f}, a layer is worth up to {worth_e8 / ONE_E8:.2f}",
            )
        )
    return [f"symbols.{name}.{path}: {sentence}" for holds, path, sentence in rules if not holds]


def widest_layer(symbol: SymbolConfig, record, price_ticks: int | None) -> float | None:
    """Return how far the farthest layer can lie from the mid, as a fraction of it; None when that needs a price."""
    ladder = symbol.ladder
    if ladder.shape == "near_far":
        near = ladder.near.start * ladder.near.ratio ** (ladder.near.layers - 1)
        far = ladder.far.end if ladder.far.layers > 1 else ladder.far.start
        farthest = max(near, far) if ladder.far.layers else near
    elif price_ticks is None:
        return None
    else:
        spacing, farthest = float(record["geometric_first_ticks"]), float(record["geometric_start_ticks"])
        for _ in range(ladder.near.layers + ladder.far.layers - 1):
            farthest += min(spacing, float(record["geometric_max_spacing_ticks"]))
            spacing *= ladder.geometric.mult
        farthest /= price_ticks
    toxic = 1 + symbol.vpin.multiplier if symbol.vpin.enabled else 1
    funding = FUNDING_SHARE * symbol.skew.coeff
    if symbol.quoting.model != "asmm":
        return max(MODEL_SHARE * symbol.risk.collar_far, symbol.quoting.min_spread / 2) + farthest * toxic + funding
    scale = symbol.vol.scale_max * toxic
    return max(farthest * scale, symbol.quoting.min_spread / 2 * scale) + symbol.skew.coeff + funding
