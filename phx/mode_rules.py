"""The rules between the thresholds of a symbol's modes: a configuration that breaks one could never reach a mode, or
could reach one that has nothing to quote."""

from itertools import pairwise


def broken_mode_rules(symbol) -> list[tuple[str, str]]:
    """Return (path below the symbol, sentence) of every rule that a SymbolConfig breaks."""
    pin, grind, stop, vpin, risk, flatten = (
        symbol.pin,
        symbol.grind,
        symbol.stop,
        symbol.vpin,
        symbol.risk,
        symbol.flatten,
    )
    rules = [
        below("pin.exit", pin.exit, "pin.enter", pin.enter),
        below("grind.exit", grind.exit, "grind.enter", grind.enter),
        below("pin.exit", pin.exit, "grind.exit", grind.exit),
        below("pin.enter", pin.enter, "grind.enter", grind.enter),
        below("grind.enter", grind.enter, "risk.worst_case", risk.worst_case),
        at_most("risk.worst_case", risk.worst_case, "stop.emergency", stop.emergency),
        below("grind.max_sigma", grind.max_sigma, "grind.leave_sigma", grind.leave_sigma),
        above_zero("grind.slice", grind.slice),
        above_zero("stop.loss", stop.loss),
        above_zero("protect.filled", symbol.protect.filled),
        above_zero("protect.moved", symbol.protect.moved),
        at_most("grind.max_slip", grind.max_slip, "risk.collar_mid", risk.collar_mid),
        at_most("flatten.slips", flatten.slips[-1], "risk.collar_mid", risk.collar_mid),
        below("flatten.target", flatten.target, "net_max", symbol.net_max),
        at_most("pin.far_start", pin.far_start, "pin.far_end", pin.far_end),
        below("vpin.narrow", vpin.narrow, "vpin.widen", vpin.widen),
        at_most("vpin.widen", vpin.widen, "vpin.pause", vpin.pause),
        below("vpin.resume", vpin.resume, "vpin.pause", vpin.pause),
    ]
    if pin.far_layers:
        rules.append(at_most("pin.far_end", pin.far_end, "risk.collar_far", risk.collar_far))
    if vpin.enabled:
        rules.append(above_zero("vpin.bucket_qty", vpin.bucket_qty))
    if any(nearer >= farther for nearer, farther in pairwise(flatten.slips)):
        rules.append(("flatten.slips", f"each step goes farther than the one before, found {list(flatten.slips)}"))
    return [rule for rule in rules if rule]


def below(path: str, value, other: str, limit) -> tuple[str, str] | None:
    return None if value < limit else (path, f"{value} is not below {other} {limit}")


def at_most(path: str, value, other: str, limit) -> tuple[str, str] | None:
    return None if value <= limit else (path, f"{value} is above {other} {limit}")


def above_zero(path: str, value) -> tuple[str, str] | None:
    return None if value > 0 else (path, f"expected more than 0, found {value}")
