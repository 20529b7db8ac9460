"""What changed between two configurations, and which of it can be adopted without a restart."""

from decimal import Decimal
from fnmatch import fnmatchcase

import msgspec

from phx import canary
from phx.config import Config, SymbolConfig

# Adopted at once, through the params segments or by ops itself. Everything else needs a restart.
HOT = (
    "symbols.*",
    "limits.max_gross_notional",
    "limits.max_daily_loss",
    "limits.max_leverage",
    "limits.max_margin",
    "limits.canary",
    "ops.snapshot_s",
    "ops.snapshot_max_age_s",
)
# Exceptions from the above: read once, when a process starts.
COLD = ("symbols.*.leader.symbol",)


LIMITS = ("symbols.*.net_max", "symbols.*.risk.*", "symbols.*.throttle.*", "symbols.*.protect.*")
LONGER_IS_STRICTER = (".throttle.window_s", ".protect.window_ms", ".protect.frozen_ms")


class Change(msgspec.Struct, frozen=True):
    """One field that differs. hot: it holds from now on; else it needs a restart."""

    path: str
    old: object
    new: object
    hot: bool

    def __str__(self):
        return f"{self.path}: {self.old} -> {self.new}{'' if self.hot else ' (needs restart)'}"


def is_hot(path: str) -> bool:
    """Return whether a field is adopted without a restart."""
    return any(fnmatchcase(path, pattern) for pattern in HOT) and not any(fnmatchcase(path, p) for p in COLD)


def flat(config: Config) -> dict[str, object]:
    """Return path → value of every field, lists as one value."""
    found = {}

    def walk(path, value):
        if isinstance(value, dict):
            for key, item in value.items():
                walk((*path, key), item)
        else:
            found[".".join(path)] = value

    walk((), msgspec.to_builtins(config))
    return found


def changes(old: Config, new: Config) -> list[Change]:
    """Return every field that differs. A symbol that comes or goes is one change, which needs a restart of some."""
    before, after = flat(old), flat(new)
    found = []
    for symbol in [*old.symbols, *(s for s in new.symbols if s not in old.symbols)]:
        if (symbol in old.symbols) != (symbol in new.symbols):
            gone = symbol in old.symbols
            found.append(Change(f"symbols.{symbol}", *(("traded", "gone") if gone else ("none", "traded")), False))
    one_sided = tuple(f"{change.path}." for change in found)
    for path in sorted(before.keys() | after.keys()):
        if not path.startswith(one_sided) and before.get(path) != after.get(path):
            found.append(Change(path, before.get(path), after.get(path), is_hot(path)))
    return found


def adopted(old: Config, new: Config) -> Config:
    """Return the old configuration with the hot changes of the new one."""
    return with_values(old, {change.path: change.new for change in changes(old, new) if change.hot})


def with_values(config: Config, values: dict[str, object]) -> Config:
    """Return a configuration with some fields (path → value) as given."""
    tree = msgspec.to_builtins(config)
    for path, value in values.items():
        section = tree
        *steps, last = path.split(".")
        for step in steps:
            section = section[step]
        section[last] = value
    return msgspec.convert(tree, Config, strict=False)


def raised_limits(old: Config, new: Config) -> list[str]:
    """Return the fields by which the new configuration allows more risk than the old one."""
    before, after = flat(old), flat(new)
    limits = [path for path in after if is_limit(path) and path in before]
    raised = [path for path in limits if allows_more(path, float(before[path]), float(after[path]))]
    both = [symbol for symbol in new.symbols if symbol in old.symbols]
    grown = [s for s in both if derived_qty(new.symbols[s]) > derived_qty(old.symbols[s]) > 0]
    return raised + [f"symbols.{symbol}.risk.max_order_qty" for symbol in grown]


def waiting(old: Config, new: Config, raised: list[str]) -> dict[str, object]:
    """Return path → value of what stays as it is while limits wait to rise: these, and what hangs on them."""
    before, paths = flat(old), set(raised)
    if "limits.canary" in raised:
        paths |= {path for path in flat(new) if canary.scales(path)}
    for symbol in old.symbols:
        if f"symbols.{symbol}.risk.max_order_qty" in raised:
            paths |= {f"symbols.{symbol}.ladder.{key}" for key in ("near.size", "far.size", "max_merge")}
    return {path: before[path] for path in paths if path in before}


def derived_qty(entry: SymbolConfig) -> Decimal:
    """Return the largest order as its ladder's sizes give it; 0 when it is configured."""
    ladder = entry.ladder
    if entry.risk.max_order_qty:
        return Decimal(0)
    return max(Decimal(str(ladder.max_merge)) * ladder.near.size, ladder.far.size)


def put_back(config: Config, former: dict[str, object]) -> Config:
    """Return a configuration with fields at their former values, but no limit at one that allows more than now."""
    now = flat(config)
    return with_values(
        config,
        {
            path: value
            for path, value in former.items()
            if path in now and not (is_limit(path) and allows_more(path, float(now[path]), float(value)))
        },
    )


def is_limit(path: str) -> bool:
    return path.startswith(("limits.max_", "limits.canary")) or any(fnmatchcase(path, pattern) for pattern in LIMITS)


def allows_more(path: str, before: float, after: float) -> bool:
    """Return whether a limit was raised. What counts within a time, or waits for one, is stricter the longer it is."""
    if path.endswith(".protect.frozen_ms") and 0 in (before, after):
        return before == 0 and after > 0
    if path.endswith(".risk.max_order_notional") and 0 in (before, after):
        return before > 0 and after == 0  # 0 is the account's whole max_gross_notional
    return after < before if path.endswith(LONGER_IS_STRICTER) else after > before
