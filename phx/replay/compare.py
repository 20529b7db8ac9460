"""`phx compare MARKET…`: the same markets under different rules, as one table: modes, quoting models, signals.

A market is a recording, or several joined by "+" that play together, such as BTCUSDC and the BTCUSDT that leads it.
Every row is a backtest of its own; two run at a time.
"""

import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec

from phx import earnings
from phx._core.mark_outs import HORIZONS_S
from phx.config import Config, SymbolConfig
from phx.config_source import ConfigError
from phx.instruments import InstrumentError
from phx.params import ParamsError
from phx.recording import Frame, RecordingError, up_to_cut
from phx.replay.backtest import Result, recorded_instruments, run
from phx.replay.session import Session
from phx.venue.binance.messages import FrameRefused

PROCESSES = 2
NET_MAX_SHARE = Decimal("0.1")  # of the configured net_max: a tape of minutes reaches the modes' thresholds
VPIN_FULL_BUCKETS = 3  # vpin's window of buckets fits so often into the tape
LEADER_WEIGHT = 0.5

MODES = {
    "normal only": {"pin.enabled": False, "grind.enabled": False},
    "+ pinning": {"pin.enabled": True, "grind.enabled": False},
    "+ grinding": {"pin.enabled": True, "grind.enabled": True},
}
MODELS = ("asmm", "avellaneda_stoikov", "glft")
REFUSALS = (RecordingError, ParamsError, InstrumentError, FrameRefused, ConfigError, msgspec.ValidationError, OSError)


class Market(NamedTuple):
    """Recordings that play together. volume: what was traded in the traded symbols, base currency, by symbol."""

    name: str
    paths: tuple[Path, ...]
    leaders: dict[str, str]  # traded symbol → the instrument of the same asset that is recorded beside it
    volume: dict[str, Decimal]


class Row(NamedTuple):
    """One variant on one market."""

    market: str
    variant: str
    results: list[Result]
    refused: str = ""  # why there is no result


def surveyed(config: Config, name: str) -> Market:
    """Return what is known of a market before it is played. Raises RecordingError, FrameRefused."""
    paths = tuple(Path(part) for part in name.split("+"))
    traded = [s for s in recorded_instruments(config, paths) if s in config.symbols]
    recorded_volume: dict[str, Decimal] = {}
    for path in paths:
        for item in up_to_cut(path):
            if isinstance(item, Frame) and item.stream.endswith(("@trade", "@aggTrade")):
                kept = recorded_volume.get(item.symbol, Decimal(0))
                recorded_volume[item.symbol] = kept + msgspec.json.decode(item.payload, type=_Trade).qty
            elif isinstance(item, Frame):
                recorded_volume.setdefault(item.symbol, Decimal(0))
    twins = {symbol: symbol.removesuffix("USDC") + "USDT" for symbol in traded}
    leaders = {s: twin for s, twin in twins.items() if {s, twin} <= recorded_volume.keys()}
    volume = {s: recorded_volume.get(s, recorded_volume.get(twins[s], Decimal(0))) for s in traded}
    return Market("+".join(path.name.partition(".")[0] for path in paths), paths, leaders, volume)


class _Trade(msgspec.Struct):
    qty: Decimal = msgspec.field(name="q")


def variants(market: Market) -> dict[str, dict]:
    """Return name → changed parameters; a value that is a function gets the symbol's."""
    found = {
        f"{model}, {mode}": {"quoting.model": model} | changed for model in MODELS for mode, changed in MODES.items()
    }
    everything = {"quoting.model": "asmm"} | MODES["+ grinding"]
    toxic = {"vpin.enabled": True, "vpin.bucket_qty": market.volume}
    led = {"quoting.fair": "leader", "leader.symbol": market.leaders, "leader.weight": LEADER_WEIGHT}
    if all(market.volume.values()):
        found["asmm, + grinding, vpin"] = everything | toxic
    if market.leaders.keys() == market.volume.keys():
        found["asmm, + grinding, leader"] = everything | led
        if all(market.volume.values()):
            found["asmm, + grinding, vpin, leader"] = everything | toxic | led
    return found


def varied(config: Config, market: Market, changed: dict, net_max_share: Decimal) -> Config:
    """Return the configuration with a variant's parameters in every symbol of the market. Raises ValidationError."""
    tree = msgspec.to_builtins(config)
    for symbol in market.volume:
        entry = tree["symbols"][symbol]
        entry["net_max"] = str(config.symbols[symbol].net_max * net_max_share)
        for name, value in changed.items():
            *sections, last = name.split(".")
            at = entry
            for section in sections:
                at = at[section]
            at[last] = own_value(config.symbols[symbol], name, value, symbol)
    wanted = [leader for leader in market.leaders.values() if leader not in tree["symbols"]]
    tree["watch"] = list(dict.fromkeys([*tree["watch"], *wanted]))
    return msgspec.convert(tree, Config, strict=False)


def own_value(entry: SymbolConfig, name: str, value, symbol: str):
    """Return what a changed parameter is for one symbol."""
    if name == "vpin.bucket_qty":
        return str(value[symbol] / (entry.vpin.buckets * VPIN_FULL_BUCKETS))
    return value[symbol] if isinstance(value, dict) else value


def played(config: Config, market: Market, variant: str, changed: dict, net_max_share: Decimal) -> Row:
    """Return one row."""
    try:
        made = varied(config, market, changed, net_max_share)
        session = Session(made, recorded_instruments(made, market.paths), market.paths)
        return Row(market.name, variant, run(session)[0])
    except REFUSALS as error:
        return Row(market.name, variant, [], str(error).replace("\n", "; "))


def compared(config: Config, names: Iterable[str], net_max_share=NET_MAX_SHARE, processes=PROCESSES) -> list[Row]:
    """Return a row per market and variant, in that order. Raises RecordingError, FrameRefused."""
    markets = [surveyed(config, name) for name in names]
    asked = [
        (config, market, variant, changed, net_max_share)
        for market in markets
        for variant, changed in variants(market).items()
    ]
    if processes == 1:
        return [played(*arguments) for arguments in asked]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(played, *zip(*asked, strict=True)))


HEADINGS = (
    "rules",
    "PnL",
    "no fees",
    "base fees",
    "max \\|q\\| / net_max",
    "over pin",
    "over grind",
    "fills",
    "near filled",
    *(f"mark-out {horizon_s} s" for horizon_s in HORIZONS_S),
    "cancels/min",
)


def table(config: Config, rows: list[Row], net_max_share: Decimal) -> list[str]:
    """Return the rows as Markdown, a table per market and symbol."""
    lines, heads = [], []
    for row in rows:
        for result in row.results:
            if (head := (row.market, result.symbol)) not in heads:
                heads.append(head)
    for market, symbol in heads:
        lines += [
            f"### {symbol} on {market}",
            "",
            f"| {' | '.join(HEADINGS)} |",
            f"|---{'|---:' * (len(HEADINGS) - 1)}|",
        ]
        net_max = float(config.symbols[symbol].net_max * net_max_share)
        for row in rows:
            found = [r for r in row.results if r.symbol == symbol]
            if row.market == market and found:
                lines.append(f"| {row.variant} | {' | '.join(cells(found[0], net_max))} |")
        lines.append("")
    lines += [f"- {row.variant} on {row.market}: refused: {row.refused}" for row in rows if row.refused]
    return lines


def cells(r: Result, net_max: float) -> list[str]:
    later = [earnings.added_up(r.mark_outs, horizon_s) for horizon_s in HORIZONS_S]
    return [
        *(f"{amount:+.2f}" for amount in (r.profit.own_fees, r.profit.no_fees, r.profit.base_fees)),
        f"{r.max_inventory / net_max:.0%}",
        f"{r.over_pin:.1%}",
        f"{r.over_grind:.1%}",
        str(r.fills),
        f"{r.near_fill_rate:.1%}",
        *(f"{m.bps:+.2f}" if m.fills else "-" for m in later),
        f"{r.cancels_per_minute:.1f}",
    ]


def main(config: Config, names: list[str], net_max_share: str, out: str | None) -> int:
    """Print the table, or write it below its heading in a page; return the exit status."""
    share = Decimal(net_max_share)
    try:
        rows = compared(config, names, share)
    except REFUSALS as error:
        print(f"phx: {error}", file=sys.stderr)
        return 1
    lines = table(config, rows, share)
    if out is None:
        print("\n".join(lines))
    else:
        page = Path(out)
        written = page.read_text().partition(TABLES)[0] if page.exists() else ""
        page.write_text(f"{written}{TABLES}\n" + "\n".join(lines).rstrip() + "\n")
        print(f"wrote {page}")
    return 0 if any(row.results for row in rows) else 1


TABLES = "## Tables\n"
