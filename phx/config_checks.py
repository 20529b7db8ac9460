"""Checking a configuration: every fault named with its place and path, all of them at once.

First each leaf against its type, then, if all fit, the rules between fields.
"""

import difflib
import math
import os
import typing
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path

import msgspec

from phx.config_source import SECRET_KEY, SECRET_VALUE, ConfigError, Source
from phx.mode_rules import broken_mode_rules
from phx.topology import WATCHED_FROM, processes

LOOPBACK = ("://127.0.0.1", "://localhost", "://[::1]")


def checked(source: Source, schema: type):
    """Return the tree of a source as a configuration, or raise ConfigError with every fault."""
    check_value(source, (), source.tree, schema)
    if not source.errors:
        config = msgspec.convert(without_empty(source.tree, schema), schema, strict=False)
        check_rules(source, config)
    if source.errors:
        raise ConfigError(list(dict.fromkeys(source.errors)))
    return config


def check_value(source: Source, path: tuple, value, kind) -> None:
    """Check one value, and what it contains, against its type."""
    kind, optional = without_none(kind)
    if optional and value in ("", "null", "~"):
        return
    container = typing.get_origin(bare(kind)) or bare(kind)
    if isinstance(container, type) and issubclass(container, msgspec.Struct):
        check_section(source, path, value, container)
    elif container is dict:
        key_kind, item_kind = typing.get_args(bare(kind))
        for key, item in as_mapping(source, path, value).items():
            check_leaf(source, (*path, key), key, key_kind)
            check_value(source, (*path, key), item, item_kind)
    elif container is list:
        (item_kind,) = typing.get_args(bare(kind))
        if not isinstance(value, list) and value != "":
            source.refuse(path, f"expected a list, found {shown(value)}")
            return
        for i, item in enumerate(value):
            check_value(source, (*path, i), item, item_kind)
    else:
        check_leaf(source, path, value, kind)


def check_section(source: Source, path: tuple, value, struct: type) -> None:
    fields = {f.encode_name: f for f in msgspec.structs.fields(struct)}
    found = as_mapping(source, path, value)
    for key, item in found.items():
        if key in fields:
            check_value(source, (*path, key), item, fields[key].type)
        elif SECRET_KEY.search(key):
            source.refuse((*path, key), "secrets do not belong here: use the environment or a file of mode 0600")
        else:
            near = difflib.get_close_matches(key, fields, 1)
            known = f"did you mean {near[0]}?" if near else f"known: {', '.join(fields)}"
            source.refuse((*path, key), f"unknown key; {known}")
    for key, described in fields.items():
        if described.required and key not in found:
            source.refuse((*path, key), "missing, it has no default")


def check_leaf(source: Source, path: tuple, value, kind) -> None:
    if isinstance(value, str) and SECRET_VALUE.search(value) and not value.startswith("/"):
        source.refuse(path, "looks like a secret: use the environment or a file of mode 0600")
        return
    try:
        converted = msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        reason = str(error).partition(" - at ")[0].replace("`", "")
        source.refuse(path, f"{reason[:1].lower()}{reason[1:]}; found {shown(value)}")
        return
    if isinstance(converted, float | Decimal) and not math.isfinite(converted):
        source.refuse(path, f"expected a finite number; found {shown(value)}")


def as_mapping(source: Source, path: tuple, value) -> dict:
    """Return a section's keys; one whose every key is commented out is empty, not an error."""
    if isinstance(value, dict):
        return value
    if value != "":
        source.refuse(path, f"expected a section (key: value), found {shown(value)}")
    return {}


def without_none(kind):
    """Return (kind, False), or (kind without None, True) for an optional one."""
    args = typing.get_args(kind)
    if type(None) not in args:
        return kind, False
    (inner,) = [arg for arg in args if arg is not type(None)]
    return inner, True


def bare(kind):
    """Return a type without its annotations."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def without_empty(tree: dict, struct: type) -> dict:
    """Return the tree without empty sections and values, so that their defaults hold."""
    kept = {}
    for described in msgspec.structs.fields(struct):
        if described.encode_name not in tree:
            continue
        value = tree[described.encode_name]
        kind, optional = without_none(described.type)
        container = typing.get_origin(bare(kind)) or bare(kind)
        if isinstance(container, type) and issubclass(container, msgspec.Struct) and isinstance(value, dict):
            value = without_empty(value, container)
        elif container is dict and isinstance(value, dict):
            inner = typing.get_args(bare(kind))[1]
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                value = {key: without_empty(item, inner) for key, item in value.items() if item != ""}
        elif optional and value in ("", "~", "null"):
            value = None
        elif value == "" and bare(kind) is not str:
            continue
        kept[described.encode_name] = value
    return kept


def shown(value) -> str:
    text = repr(value) if isinstance(value, str) else {dict: "a section", list: "a list"}.get(type(value), repr(value))
    return text if len(text) <= 40 else text[:37] + "..."


def check_rules(source: Source, config) -> None:
    """Check the rules between fields."""
    for rule in (check_instruments, check_feeds, check_symbols, check_processes, check_venue, check_sim, check_limits):
        rule(source, config)


def check_instruments(source: Source, config) -> None:
    if not config.symbols:
        source.refuse(("symbols",), "no symbol to trade")
    for path, found in (("symbols", config.symbols), ("watch", config.watch)):
        if len(found) > WATCHED_FROM:
            source.refuse((path,), f"{len(found)} symbols, at most {WATCHED_FROM}")
    for i, symbol in enumerate(config.watch):
        if symbol in config.symbols:
            source.refuse(("watch", i), f"{symbol} is traded, so it is fed already")
        elif symbol in config.watch[:i]:
            source.refuse(("watch", i), f"{symbol} stands here twice")


def check_feeds(source: Source, config) -> None:
    instruments = [*config.symbols, *config.watch]
    carried: dict[str, str] = {}
    for group, members in config.feeds.items():
        path = ("feeds", group)
        if not group.replace("_", "").isalnum():
            source.refuse(path, "a feed's name has letters, digits and _ only")
        if not members:
            source.refuse(path, "carries no symbol")
        for symbol in members:
            if symbol not in instruments:
                source.refuse(path, f"{symbol} is neither in symbols nor in watch")
            elif symbol in carried:
                source.refuse(path, f"{symbol} is carried by feed {carried[symbol]} already")
            carried.setdefault(symbol, group)
    missing = [symbol for symbol in instruments if config.feeds and symbol not in carried]
    if missing:
        source.refuse(("feeds",), f"no feed carries {', '.join(missing)}")


def check_symbols(source: Source, config) -> None:
    for symbol, entry in config.symbols.items():
        path = ("symbols", symbol)
        near, far = entry.ladder.near, entry.ladder.far
        for key, value in (("net_max", entry.net_max), ("ladder.near.size", near.size), ("ladder.far.size", far.size)):
            if value <= 0:
                source.refuse((*path, *key.split(".")), f"expected a positive quantity, found {value}")
        at_least_zero = (
            ("risk.max_order_qty", entry.risk.max_order_qty),
            ("risk.max_order_notional", entry.risk.max_order_notional),
            ("vpin.bucket_qty", entry.vpin.bucket_qty),
            ("pin.far_size", entry.pin.far_size),
            ("flatten.target", entry.flatten.target),
        )
        for key, value in at_least_zero:
            if value < 0:
                source.refuse((*path, *key.split(".")), f"expected 0 or more, found {value}")
        if near.layers + far.layers > 32:
            source.refuse((*path, "ladder"), f"{near.layers} near and {far.layers} far layers, at most 32 together")
        if far.layers > 1 and far.end <= far.start:
            source.refuse((*path, "ladder", "far", "end"), f"{far.end} is not beyond start {far.start}")
        if entry.vol.scale_min > entry.vol.scale_max:
            source.refuse((*path, "vol", "scale_min"), f"above scale_max {entry.vol.scale_max}")
        for key in ("start", "first", "max_spacing"):
            if getattr(entry.ladder.geometric, key) <= 0:
                source.refuse((*path, "ladder", "geometric", key), "expected a positive price distance")
        for key, sentence in broken_mode_rules(entry):
            source.refuse((*path, *key.split(".")), sentence)
        check_fair(source, config, symbol)


def check_fair(source: Source, config, symbol: str) -> None:
    entry, path = config.symbols[symbol], ("symbols", symbol)
    leader = entry.leader
    if leader.symbol == symbol:
        source.refuse((*path, "leader", "symbol"), "a symbol cannot lead itself")
    elif leader.symbol and leader.symbol not in (*config.symbols, *config.watch):
        source.refuse((*path, "leader", "symbol"), f"{leader.symbol} is not fed: add it to watch")
    if leader.weight > 0 and not leader.symbol:
        source.refuse((*path, "leader", "weight"), "needs leader.symbol")
    if entry.quoting.fair == "stoikov" and not entry.quoting.micro_price_file:
        source.refuse((*path, "quoting", "fair"), "stoikov needs quoting.micro_price_file")
    if entry.quoting.fair == "leader" and not (leader.symbol and leader.weight > 0):
        source.refuse((*path, "quoting", "fair"), "leader needs leader.symbol and a leader.weight above 0")


def check_processes(source: Source, config) -> None:
    usable = os.sched_getaffinity(0)
    names = processes(config)
    for kind in ("feed", "quoter", "gateway", "guardian", "ops", "sim"):
        cpu = getattr(config.processes, kind).cpu
        if cpu is not None and cpu not in usable:
            source.refuse(("processes", kind, "cpu"), f"cpu {cpu} is not usable here: {sorted(usable)}")
    for name, cpu in config.processes.cpus.items():
        if name not in names:
            source.refuse(("processes", "cpus", name), f"no such process; there are {', '.join(names)}")
        if cpu not in usable:
            source.refuse(("processes", "cpus", name), f"cpu {cpu} is not usable here: {sorted(usable)}")
    spinning = [name for name in names if config.process_config(name).wait == "spin"]
    if len(spinning) > len(usable):
        source.refuse(
            ("processes",), f"{len(spinning)} processes spin ({', '.join(spinning)}) on {len(usable)} cores: use block"
        )
    pinned: dict[int, str] = {}
    for name in spinning:
        cpu = config.cpu_of(name)
        if cpu is not None and cpu in pinned:
            source.refuse(("processes",), f"{pinned[cpu]} and {name} both spin on cpu {cpu}")
        pinned[cpu] = name


def check_venue(source: Source, config) -> None:
    venue = config.venue
    wanted = config.confirmation()
    if wanted and venue.confirm != wanted:
        source.refuse(("venue", "confirm"), f"to use {venue.environment} write: {wanted}")
    for key, schemes in (("rest_url", ("http", "https")), ("stream_url", ("ws", "wss")), ("ws_api_url", ("ws", "wss"))):
        url = getattr(venue, key)
        if not url:
            continue
        if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            source.refuse(("venue", key), f"expected {' or '.join(schemes)}://…, found {shown(url)}")
        local = any(part in url for part in LOOPBACK)
        if venue.environment == "sim" and not local:
            source.refuse(("venue", key), "environment sim talks to loopback only")
        elif venue.environment != "sim" and not url.startswith(f"{schemes[1]}://"):
            source.refuse(("venue", key), f"{venue.environment} needs {schemes[1]}://")
    if venue.environment == "sim" and config.sim is None and not venue.rest_url:
        source.refuse(("sim",), "environment sim without the built-in simulator needs venue.rest_url")


def check_sim(source: Source, config) -> None:
    sim = config.sim
    if sim is None or config.venue.environment != "sim":
        return
    if config.ops.metrics_port in (sim.port, sim.port + 1):
        source.refuse(("ops", "metrics_port"), f"the simulator listens on {sim.port} and {sim.port + 1}")
    if sim.market == "recorded" and not sim.recordings:
        source.refuse(("sim", "recordings"), "a recorded market needs at least one file")
    for i, recording in enumerate(sim.recordings):
        if sim.market == "recorded" and not Path(recording).is_file():
            source.refuse(("sim", "recordings", i), f"{recording}: no such file")
    for recorded, symbol in sim.relabel.items():
        if symbol not in (*config.symbols, *config.watch):
            source.refuse(("sim", "relabel", recorded), f"{symbol} is neither in symbols nor in watch")
    if sim.wallet <= 0:
        source.refuse(("sim", "wallet"), f"expected a positive amount, found {sim.wallet}")
    for key in ("maker_fee", "taker_fee", "usdt_maker_fee", "usdt_taker_fee"):
        if abs(getattr(sim, key)) > Decimal("0.01"):
            source.refuse(("sim", key), "expected a fraction within ±0.01")
    for i, key in enumerate(sim.keys):
        if key.account > sim.accounts:
            source.refuse(("sim", "keys", i), f"account {key.account} is not among the {sim.accounts} of sim.accounts")
        for address in key.addresses:
            if not is_address(address):
                source.refuse(("sim", "keys", i), f"{address} is no IP address")


def is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def check_limits(source: Source, config) -> None:
    limits = config.limits
    for key in ("max_gross_notional", "max_daily_loss", "max_margin"):
        if getattr(limits, key) <= 0:
            source.refuse(("limits", key), f"expected a positive amount, found {getattr(limits, key)}")
    if not 0 < limits.canary <= 1:
        source.refuse(("limits", "canary"), f"expected a share above 0, at most 1, found {limits.canary}")
    if limits.adding_share > limits.reducing_share:
        source.refuse(("limits", "adding_share"), "adding orders may not use more of the budget than reducing ones")
    names = [name for name in limits.__struct_fields__ if name.startswith("weight_share_")]
    if (total := sum(getattr(limits, name) for name in names)) > 1:
        source.refuse(("limits",), f"the weight shares add up to {total:.2f}, at most 1")
