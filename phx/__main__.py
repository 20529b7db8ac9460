"""The command line: one verb, one function elsewhere. Exit status: 2 wrong usage, 78 refused configuration."""

import argparse
import contextlib
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

OPERATOR_VERBS = {
    "pause": "pull all quotes until resume",
    "flatten": "cancel all quotes, close the position, then stay paused until resume",
    "resume": "quote again",
}
GUARDIAN_VERBS = {
    "cancel-all": "cancel every order, on the guardian's own connection",
    "kill": "cancel every order and stay down until enable",
    "enable": "clear the latches of a symbol, or of everything",
}
PROCESS_VERBS = {
    "feed": ("group", "books and trades from the venue's streams"),
    "quoter": ("symbol", "the ladder of one symbol"),
    "gateway": ("", "orders, limits, position"),
    "guardian": ("", "dead man's switch and kill switch"),
    "ops": ("", "parameters, metrics, snapshots, control"),
    "sim": ("", "the simulated venue; without `--config` before it: on its own"),
}
REGIMES = ("auto", "calm", "trending", "volatile", "thin", "sweep")  # as in phx.config, which takes long to import


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="phx", description="A market maker for Binance USDC-margined perpetual futures.")
    top.add_argument("--config", metavar="FILE", help="default: config.yaml here, else the shipped example")
    top.add_argument(
        "--log", metavar="LEVEL", choices=("debug", "info", "warning", "error"), help="instead of the file's"
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str, **options):
        return verbs.add_parser(name, help=text, description=text, **options)

    run = verb("run", "run everything in the foreground until Ctrl-C, then sum up")
    run.add_argument("--seconds", type=float, metavar="N", help="end by itself after N seconds of quoting")
    run.add_argument("--recording", nargs="+", metavar="FILE", help="quote on a recorded market")
    verb("up", "start everything in the background")
    verb("down", "cancel own orders and stop everything")
    reload = verb("reload", "adopt the changed configuration; restart only what a new symbol concerns")
    reload.add_argument("--raise", dest="raise_limits", action="store_true", help="confirm that limits may rise")
    until = "with --raise: for 90s, 15m or 2h, then as before"
    reload.add_argument("--for", dest="for_s", type=duration_s, default=0.0, metavar="TIME", help=until)
    status = verb("status", "one screen: modes, quotes, positions, why not quoting")
    status.add_argument("--json", action="store_true")
    verb("top", "the same, live")
    doctor = verb(
        "doctor", "check host, account and limits before trading; exit status 1 for warnings, 78 for failures"
    )
    doctor.add_argument("--json", action="store_true")
    book = verb("book", "the live book from shared memory")
    book.add_argument("symbol")
    book.add_argument("--json", action="store_true", help="once, as JSON")
    book.add_argument("--once", action="store_true", help="once, as text")
    for name, text in (OPERATOR_VERBS | GUARDIAN_VERBS).items():
        stop = verb(name, text)
        stop.add_argument("symbol", nargs="?", default="", type=scope, help="default: all")
        if name == "enable":
            stop.add_argument("--confirm", metavar="WORD", default="", help="the word that `phx enable` shows first")
    backtest = verb("backtest", "quote on recordings in virtual time, without the other processes, and sum up")
    backtest.add_argument("files", nargs="+", metavar="FILE")
    compare = verb("compare", "backtest modes, models and signals against each other on the same markets")
    compare.add_argument("markets", nargs="+", metavar="FILE[+FILE]", help="recordings joined by + play together")
    compare.add_argument("--net-max", type=share, default="0.1", metavar="SHARE", help="of the configured; default 0.1")
    compare.add_argument("--out", metavar="PAGE", help="write the tables into this Markdown page")
    config = verb("config", "check or show the configuration")
    config.add_argument("what", choices=("check", "show"))
    for name, (argument, text) in PROCESS_VERBS.items():
        if name == "feed":
            feed = verb(name, f"process: {text}; or `check FILE…`: rebuild recorded books and compare")
            feed.add_argument("group", help="a feed's name, or check")
            feed.add_argument("files", nargs="*", metavar="FILE")
        else:
            process = verb(name, f"process: {text}")
            if argument:
                process.add_argument(argument)
            if name == "sim":
                add_venue_options(process)
    return top


def scope(word: str) -> str:
    """Return the symbol that a word of a human stands for, "" = all of them."""
    return "" if word.lower() == "all" else word.upper()


def share(text: str) -> str:
    """Return decimal text that is a share above 0. Raises ArgumentTypeError."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) <= 1:
            return text
    raise argparse.ArgumentTypeError(f"{text!r}: expected a share above 0, at most 1")


def duration_s(text: str) -> float:
    """Return a time such as 90s, 15m or 2h in seconds. Raises ArgumentTypeError."""
    with contextlib.suppress(ValueError):
        seconds = float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}.get(text[-1:], 0)
        if 0 < seconds < float("inf"):
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r}: expected a number and its unit, like 90s, 15m or 2h")


def add_venue_options(sim) -> None:
    """Add what `phx sim` may be told when it is the venue alone, not a process of an instance."""
    sim.add_argument("--config", dest="venue_config", metavar="FILE", help="take symbols and section sim from here")
    sim.add_argument("--port", type=int, metavar="N", help="of REST and WebSockets; 0 = any free one; default 9180")
    sim.add_argument("--symbols", nargs="+", metavar="SYMBOL", help="default: BTCUSDC ETHUSDC, or as recorded")
    sim.add_argument("--recording", nargs="+", metavar="FILE", help="play recorded markets, not synthetic ones")
    sim.add_argument("--seed", type=int, metavar="N", help="of the synthetic market")
    sim.add_argument("--speed", type=float, metavar="X", help="of the market; the venue's clock stays real")
    sim.add_argument("--regime", choices=REGIMES, help="of the synthetic market")
    sim.add_argument("--accounts", type=int, metavar="N", help="how many, each with a key of its own")
    sim.add_argument("--no-rate-limits", action="store_true", help="for load tests")
    sim.add_argument("--any-path", action="store_true", help="every path carries every stream, for older clients")


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit status."""
    top = parser()
    asked = top.parse_args(argv)
    if asked.verb == "feed" and asked.group == "check":
        return import_module("phx.replay.check").main(asked.files)
    if asked.verb == "sim" and not asked.config:
        return import_module("phx.sim.standalone").main(asked)
    if asked.verb == "feed" and asked.files:
        top.error("a feed process takes one name")
    commands = import_module("phx.ops.commands")
    return commands.dispatch(asked, config_path(asked.config))


def config_path(named: str | None) -> Path:
    """Return the configuration file: the named one, else config.yaml here, else the shipped example."""
    if named:
        return Path(named).resolve()
    own = Path("config.yaml").resolve()
    return own if own.exists() else ROOT / "config.yaml.example"


if __name__ == "__main__":
    sys.exit(main())
