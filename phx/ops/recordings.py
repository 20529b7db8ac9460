"""The recordings of a run: what they hold, by cheap reads, and the configuration that trades exactly that.

Everything that cannot work is refused here, in one line that names file and symbol, before any process starts.
"""

import glob
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec

from phx.recording import RecordingError, Snapshot, rest_files, sources, up_to_cut

PROBED_ITEMS = 20_000  # enough to meet every symbol, and as many as the simulated venue reads before it begins
SEARCHED_ITEMS = 500_000  # until where a snapshot is looked for: a few seconds of reading
LAYER_VALUE = Decimal(400)  # quote currency in a layer of a proposed configuration, as in the shipped one
NET_MAX_LAYERS = 50

_EVENT_MS = re.compile(rb'"E":(\d+)')


class Held(NamedTuple):
    """What a recording holds of one symbol. begin_ms: venue time from which it can be played, that of its snapshot."""

    path: Path
    symbol: str
    begin_ms: int
    bid: tuple[str, str]  # best price and its quantity, as printed


class _Depth(msgspec.Struct):
    bids: list[tuple[str, str]]


def resolved(names: Iterable[str]) -> list[Path]:
    """Return the files that are meant: patterns expanded, REST answers left to the streams they belong to."""
    paths = []
    for name in names:
        found = [Path(name)] if Path(name).exists() else [Path(match) for match in sorted(glob.glob(str(name)))]
        if not found:
            raise RecordingError(f"{name}: no such file")
        paths += [path.resolve() for path in found]
    belonging = {rest for path in paths if ".ws.txt" in path.name for rest in rest_files(path)}
    paths = [path for path in paths if path not in belonging]
    for i, path in enumerate(paths):
        if path.is_dir():
            raise RecordingError(f"{path}: a folder; name the recordings in it")
        if path in paths[:i]:
            raise RecordingError(f"{path}: given twice")
    return paths


def survey(path: Path) -> list[Held]:
    """Return the symbols that can be played from a recording. Raises RecordingError when there is none."""
    streams: dict[str, set[str]] = {}
    found: dict[str, Held] = {}
    now_ms = 0
    for number, item in enumerate(up_to_cut(path)):
        if number >= SEARCHED_ITEMS or (number >= PROBED_ITEMS and found.keys() >= streams.keys()):
            break
        if isinstance(item, Snapshot):
            bids = msgspec.json.decode(item.payload, type=_Depth).bids
            found.setdefault(item.symbol, Held(path, item.symbol, now_ms, bids[0] if bids else ("", "")))
        elif item.symbol:
            streams.setdefault(item.symbol, set()).add(item.stream.split("@")[1])
            event = _EVENT_MS.search(item.payload)
            now_ms = max(now_ms, int(event[1]) if event else 0)
    playable = [held for symbol, held in found.items() if "depth" in streams.get(symbol, ())]
    if not playable:
        names = ", ".join(streams) or "no symbol"
        kinds = set().union(*streams.values())
        missing = "answer of REST /depth to begin a book with" if "depth" in kinds else "depth changes"
        raise RecordingError(f"{path}: holds {names}, but no {missing}: it cannot be played as a market")
    return playable


def surveyed(paths: Iterable[Path]) -> list[Held]:
    """Return what all recordings hold. Raises RecordingError unless they can be played together."""
    held: dict[str, Held] = {}
    for path in paths:
        for one in survey(Path(path)):
            if one.symbol in held:
                raise RecordingError(
                    f"{one.symbol} is in {held[one.symbol].path} and in {path}; "
                    "recordings are never joined: play one at a time"
                )
            held[one.symbol] = one
    check_common_time(held.values())
    return list(held.values())


def check_common_time(held: Iterable[Held]) -> None:
    """Refuse recordings that do not overlap in time."""
    last = max(held, key=lambda one: one.begin_ms, default=None)
    for path in {one.path for one in held if one.path != last.path}:
        end_ms = 0
        for item in up_to_cut(path):
            event = _EVENT_MS.search(item.payload)
            end_ms = int(event[1]) if event else end_ms
            if end_ms > last.begin_ms:
                break
        else:
            raise RecordingError(
                f"{path} ends {utc(end_ms)}, before {last.path} begins {utc(last.begin_ms)}; "
                "recordings of different times are never joined: play one at a time"
            )


def utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class Restriction(NamedTuple):
    """How a configuration becomes one of exactly what is recorded: PHX__ overrides, and lines that say so."""

    environ: dict[str, str]
    lines: list[str]


def restriction(config, held: list[Held]) -> Restriction:
    """Return what to change so that exactly the recorded symbols are traded and watched.

    A recorded symbol without configuration is traded with a proposed one, which a line shows to be kept or changed.
    """
    serving = sources([one.symbol for one in held], [*config.symbols, *config.watch], config.sim.relabel)
    kept = {name for name, found in serving.items() if found}
    used = {symbol for found in serving.values() for symbol in found}
    traded = [symbol for symbol in config.symbols if symbol in kept]
    # A recording that is only watched is traded too when there is nothing else to trade.
    adopted = {one.symbol: proposal(one) for one in held if one.symbol not in used or not traded}
    lines = [f"{symbol}: not configured, traded as {name}: {entry}" for symbol, (name, entry) in adopted.items()]
    gone = [symbol for symbol in (*config.symbols, *config.watch) if symbol not in kept]
    if gone:
        lines.append(f"{', '.join(gone)}: configured but not recorded, left out of this run")
    environ = {f"PHX__SYMBOLS__{symbol}": "null" for symbol in config.symbols if symbol not in kept}
    environ |= {f"PHX__SYMBOLS__{name}": entry for name, entry in adopted.values()}
    environ |= without(config, kept, gone, [name for name, _ in adopted.values()])
    for symbol in traded:
        leader = config.symbols[symbol].leader.symbol
        if leader and leader not in kept:
            environ |= without_leader(symbol, config.symbols[symbol])
            lines.append(f"{symbol}: its leader {leader} is not recorded, it is quoted without one")
    return Restriction(environ, lines)


def without(config, kept: set[str], gone: list[str], adopted: list[str]) -> dict[str, str]:
    """Return the overrides of the sections that name symbols; `adopted` ones join the first feed."""
    environ = {}
    if any(symbol in gone for symbol in config.watch):
        environ["PHX__WATCH"] = json.dumps([symbol for symbol in config.watch if symbol in kept])
    if (gone or adopted) and config.feeds:
        feeds = {name: [symbol for symbol in members if symbol in kept] for name, members in config.feeds.items()}
        feeds[next(iter(feeds))] += adopted
        environ["PHX__FEEDS"] = json.dumps({name: members for name, members in feeds.items() if members})
        gone = [*gone, *(name for name, members in feeds.items() if not members)]
    cpus = {name: cpu for name, cpu in config.processes.cpus.items() if name.partition(".")[2] not in gone}
    if cpus != config.processes.cpus:
        environ["PHX__PROCESSES__CPUS"] = json.dumps(cpus)
    relabel = {recorded: name for recorded, name in config.sim.relabel.items() if name in kept}
    if relabel != config.sim.relabel:
        environ["PHX__SIM__RELABEL"] = json.dumps(relabel)
    return environ


def without_leader(symbol: str, entry) -> dict[str, str]:
    prefix = f"PHX__SYMBOLS__{symbol}__"
    environ = {f"{prefix}LEADER__SYMBOL": "", f"{prefix}LEADER__WEIGHT": "0"}
    if entry.quoting.fair == "leader":
        environ[f"{prefix}QUOTING__FAIR"] = "micro"
    return environ


def proposal(one: Held) -> tuple[str, str]:
    """Return name and configuration (YAML in one line) of a symbol, sized by its price as the shipped symbols are."""
    name = one.symbol.removesuffix("USDT") + "USDC" if one.symbol.endswith("USDT") else one.symbol
    price, lot = Decimal(one.bid[0] or 1), Decimal(1).scaleb(-len(one.bid[1].partition(".")[2]))
    near = LAYER_VALUE / price
    near = near.quantize(max(lot, Decimal(1).scaleb(near.adjusted() - 1)), ROUND_UP)
    net_max = near * NET_MAX_LAYERS
    return name, f"{{net_max: {net_max:f}, ladder: {{near: {{size: {near:f}}}, far: {{size: {2 * near:f}}}}}}}"


def check(config) -> None:
    """Refuse a configuration whose recorded market cannot be played. Raises RecordingError."""
    if config.venue.environment != "sim" or config.sim is None or config.sim.market != "recorded":
        return
    recorded = [one.symbol for one in surveyed(map(Path, config.sim.recordings))]
    for name, found in sources(recorded, [*config.symbols, *config.watch], config.sim.relabel).items():
        if not found:
            raise RecordingError(f"{name} is in none of sim.recordings, which hold {', '.join(recorded)}")
