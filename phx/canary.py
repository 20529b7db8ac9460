"""The canary: sizes and money limits at a share of what is configured, for the first hours of something new.

Scaled once, where the configuration is read, so that nothing further on knows the full numbers. An order that would
be smaller than the venue takes is as large as its smallest, and the limits of one order let that pass (params.py);
no other limit is lifted, and what does not fit into them is refused.
"""

from decimal import Decimal
from fnmatch import fnmatchcase

import msgspec

OF_THE_ACCOUNT = ("max_gross_notional", "max_daily_loss")
OF_A_SYMBOL = (
    "net_max",
    "ladder.near.size",
    "ladder.far.size",
    "pin.far_size",
    "flatten.target",
    "risk.max_order_qty",
    "risk.max_order_notional",
)


def scaled(config):
    """Return a configuration with its sizes and money limits at `limits.canary` of what they were."""
    share = config.limits.canary
    if share == 1:
        return config
    tree = msgspec.to_builtins(config)
    for key in OF_THE_ACCOUNT:
        scale(tree["limits"], key, share)
    for symbol in tree["symbols"].values():
        for path in OF_A_SYMBOL:
            *steps, key = path.split(".")
            section = symbol
            for step in steps:
                section = section[step]
            scale(section, key, share)
    return msgspec.convert(tree, type(config), strict=False)


def scales(path: str) -> bool:
    """Return whether a field of the configuration, by its path, is among those that a canary scales."""
    return any(fnmatchcase(path, f"symbols.*.{name}") for name in OF_A_SYMBOL)


def scale(section: dict, key: str, share: Decimal) -> None:
    section[key] = f"{(Decimal(section[key]) * share).normalize():f}"


def lines(config) -> list[str]:
    """Return for people what is in force; nothing without a canary. config: as scaled."""
    limits = config.limits
    if limits.canary == 1:
        return []
    return [
        f"canary: {limits.canary:f} of every size and money limit: gross notional {limits.max_gross_notional}, "
        f"daily loss {limits.max_daily_loss}",
        *(
            f"canary: {symbol}: net_max {entry.net_max:f}, layers {entry.ladder.near.size:f} and "
            f"{entry.ladder.far.size:f}, or the venue's smallest order where that is more"
            for symbol, entry in config.symbols.items()
        ),
    ]
