"""What the verbs of the command line do, each in a few lines, with one clear line when it cannot be done."""

import contextlib
import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path

import msgspec

from phx import canary, started_config
from phx import config as configuration
from phx.config import Config, ConfigError
from phx.process import EXIT_AGAIN, EXIT_OK, EXIT_STAY_DOWN, configure_logging
from phx.recording import RecordingError

PROCESSES = ("feed", "quoter", "gateway", "guardian", "ops", "sim")
OPERATOR = ("pause", "flatten", "resume")
# What must work on a running instance when its file has been spoilt: looking, and every way to stop.
WAYS_OUT = ("status", "top", "pause", "flatten", "cancel-all", "kill", "down")
GATEWAY_CANCELS_S = 3.0  # at most so long `phx kill` waits for the gateway when no guardian answers
OPS_ANSWERS_S = 5.0  # ops does at once what it is asked; later, it hangs
GUARDIAN_HANGS_NS = 2_000_000_000  # it beats while it cancels: without a beat for so long no answer will come
PAUSED_WITHIN_S = 1.0  # a hung ops keeps nobody waiting longer for the cancels behind the pause


def dispatch(asked, path: Path) -> int:
    """Run the verb that was asked for with the configuration at `path`; return the exit status."""
    try:
        if asked.verb == "run" and asked.recording:
            play(asked.recording, path, os.environ)
        config = configuration.load(path, os.environ)
    except RecordingError as error:
        print(f"phx: {error}", file=sys.stderr)
        return EXIT_STAY_DOWN
    except ConfigError as error:
        print("\n".join(f"phx: configuration: {line}" for line in error.errors), file=sys.stderr)
        config = started_config.find(path, os.environ) if asked.verb in WAYS_OUT else None
        if config is None:
            return EXIT_STAY_DOWN
        print(
            f"phx: {asked.verb} by the configuration that {config.global_.instance} was started with", file=sys.stderr
        )
    try:
        if asked.verb in PROCESSES:
            return live(asked, config, path)
        status = VERBS[asked.verb](asked, config, path)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return EXIT_OK
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:
        if type(error).__name__ not in EXPLAINED:
            raise
        print(f"phx: {error}", file=sys.stderr)
        return EXIT_AGAIN


def play(names: list[str], path: Path, environ) -> None:
    """Turn the configuration into one of the recorded symbols, for this process and those it starts."""
    from phx.ops import recordings

    files = recordings.resolved(names)
    environ["PHX__SIM__MARKET"] = "recorded"
    environ["PHX__SIM__RECORDINGS"] = json.dumps([str(file) for file in files])
    config = configuration.load(path, environ)
    if config.venue.environment != "sim" or config.sim is None:
        raise RecordingError(f"a recording is played by the simulated venue, not by {config.venue.environment}")
    found = recordings.restriction(config, recordings.surveyed(files))
    environ.update(found.environ)
    for line in found.lines:
        print(f"phx: {line}", flush=True)


# Failures whose text is for the user; by name, so that a quick verb does not import what it does not use.
EXPLAINED = ("StartRefused", "StartFailed", "NotRunning", "ControlError", "UnknownSymbol", "RecordingError")


class UnknownSymbol(Exception):
    """A symbol that the configuration does not have."""


def live(asked, config: Config, path: Path) -> int:
    """Live one process's life."""
    from phx.ops.crash_loop import guarded

    argument = {"feed": "group", "quoter": "symbol"}.get(asked.verb)
    arguments = [getattr(asked, argument)] if argument else []
    known = {"feed": config.feed_groups(), "quoter": config.symbols}.get(asked.verb)
    if known is not None and arguments[0] not in known:
        raise UnknownSymbol(f"{asked.verb} {arguments[0]}: not in the configuration; there are {', '.join(known)}")
    name = ".".join([asked.verb, *arguments])
    configure_logging(name, asked.log or config.global_.log_level)
    if asked.verb == "ops":
        arguments = [path]
    return guarded(name, config, lambda: import_module(f"phx.{asked.verb}.process").main(config, *arguments))


def run(asked, config: Config, path: Path) -> int:
    from phx.ops import session

    return session.run(config, path, asked.seconds)


def up(asked, config: Config, path: Path) -> int:
    from phx.ops import session

    return session.up(config, path)


def down(asked, config: Config, path: Path) -> int:
    from phx.ops import session

    return session.down(config)


def reload(asked, config: Config, path: Path) -> int:
    from phx.ops import supervisor

    running = supervisor.Supervisor(config)
    running.states()
    reason = "raise" if asked.raise_limits else ""
    status = ask(config, "control", "reload", reason=reason, for_s=asked.for_s)
    if status != EXIT_OK:  # a process that began anew would begin with what was refused
        return status
    supervisor.write_programs(config, path)
    started_config.keep(config, path)
    for what, names in running.update().items():
        if names:
            print(f"{what}: {', '.join(names)}")
    return status


def status(asked, config: Config, path: Path) -> int:
    from phx.ops import limits_in_force, supervisor
    from phx.ops.figures import figures
    from phx.ops.instance import Instance
    from phx.ops.view import View

    if not supervisor.living(config):
        print(f"instance {config.global_.instance} is not running; `phx up` starts it", file=sys.stderr)
    instance = Instance(config)
    if asked.json:
        tree = {"symbols": [figures(instance, symbol) for symbol in config.traded()], "restarts": instance.restarts()}
        tree["limits"] = limits_in_force.lines(config, instance)
        print(msgspec.json.encode(tree).decode())
    else:
        print("\n".join(View(instance).screen()))
    return EXIT_OK


def top(asked, config: Config, path: Path) -> int:
    from phx.ops.instance import Instance
    from phx.ops.view import CLEAR, View

    view = View(Instance(config))
    while True:
        print(CLEAR + "\n".join(view.screen()), flush=True)
        time.sleep(0.5)


def book(asked, config: Config, path: Path) -> int:
    from phx.ops.instance import Instance
    from phx.ops.view import CLEAR, book_lines, book_tree

    if asked.symbol not in config.instrument_ids():
        raise UnknownSymbol(f"{asked.symbol} is not fed; there are {', '.join(config.instrument_ids())}")
    instance = Instance(config)
    if asked.json:
        tree = book_tree(instance, asked.symbol)
        print(json.dumps(tree))
        return EXIT_OK if tree else EXIT_AGAIN
    while not asked.once and sys.stdout.isatty():
        print(CLEAR + "\n".join(book_lines(instance, asked.symbol)), flush=True)
        time.sleep(0.25)
    print("\n".join(book_lines(instance, asked.symbol)))
    return EXIT_OK


def doctor(asked, config: Config, path: Path) -> int:
    from phx.ops import doctor

    return doctor.main(config, asked.json)


def operator(asked, config: Config, path: Path) -> int:
    from phx.control import ControlError

    try:
        return ask(config, "control", asked.verb, asked.symbol, patience_s=OPS_ANSWERS_S)
    except ControlError as error:
        way_out = "" if asked.verb == "resume" else "; `phx kill` and `phx down` stop without ops"
        raise ControlError(f"{asked.verb}: ops does not do it: {error}{way_out}") from None


def cancel_all(asked, config: Config, path: Path) -> int:
    """Pause, so that nothing is quoted again behind the cancel's back, then have the guardian cancel and verify."""
    from phx.control import ControlError

    try:
        paused = ask(config, "control", "pause", asked.symbol, patience_s=PAUSED_WITHIN_S)
    except ControlError as error:
        print(f"not paused, orders may come back (`phx kill` keeps them away): {error}", file=sys.stderr)
        paused = EXIT_AGAIN
    try:
        return max(paused, ask(config, "guardian", "cancel-all", asked.symbol))
    except ControlError as error:
        print(f"phx: NOT VERIFIED at the venue: {error}; {open_orders_seen(config, asked.symbol)}", file=sys.stderr)
        return EXIT_AGAIN


def kill(asked, config: Config, path: Path) -> int:
    """Latch here, which the gateway sees by itself, whoever hangs; then have the guardian cancel and verify."""
    from phx.control import AuditLog, ControlError
    from phx.latches import HUMAN, Latches

    if asked.symbol and asked.symbol not in config.symbols:
        raise UnknownSymbol(f"{asked.symbol} is not traded; traded: {', '.join(config.traded())}")
    try:
        Latches(config.run_folder()).set(HUMAN, "kill", asked.symbol, f"uid {os.getuid()}")
        latched = "latched"
    except OSError as error:
        latched = f"NOT LATCHED, `phx down` keeps it down: {error}"
    try:
        return ask(config, "guardian", "kill", asked.symbol)
    except ControlError as error:
        text = f"{latched}; NOT VERIFIED at the venue: {error}"
        with contextlib.suppress(OSError):  # a full disk: the human is told all the same
            AuditLog(config.run_folder()).write(
                command="kill", symbol=asked.symbol, uid=os.getuid(), pid=os.getpid(), ok=False, text=text
            )
        print(f"phx: {text}; {open_orders_seen(config, asked.symbol)}", file=sys.stderr)
        return EXIT_AGAIN


def open_orders_seen(config: Config, symbol: str) -> str:
    """Return what the gateway says of its open orders, after giving it time to see a latch and cancel."""
    from phx.ops import supervisor
    from phx.ops.instance import Instance

    if "gateway" not in supervisor.living(config):
        return "no gateway is alive: the venue's own countdown cancels what is open"
    instance, deadline = Instance(config), time.monotonic() + GATEWAY_CANCELS_S
    symbols = [symbol] if symbol else config.traded()
    while True:
        owns = {symbol: instance.newest(f"own.{symbol}") for symbol in symbols}
        left = [s for s, own in owns.items() if own is None or own["orders"]]
        if not left:
            return f"the gateway holds no open order on {', '.join(symbols)}"
        if time.monotonic() > deadline:
            return f"the gateway still shows orders on {', '.join(left)}: `phx down` ends it"
        time.sleep(0.05)


def enable(asked, config: Config, path: Path) -> int:
    """Clear latches, once they were shown and confirmed; then start again what stayed down because of one."""
    from phx.control import Request
    from phx.ops import supervisor

    living = supervisor.living(config)
    release = release_by_guardian if "guardian" in living else release_without_guardian
    answer = release(config, Request("enable", asked.symbol, confirm=asked.confirm))
    word = (answer.status or {}).get("confirm", [""])[0]
    if not answer.ok and word and not asked.confirm:
        print("\n".join(f"latched: {line}" for line in answer.status["latches"]))
        if not sys.stdin.isatty():
            words = " ".join(filter(None, ["enable", asked.symbol, "--confirm", word]))
            print(f"to clear this, say: phx {words}", file=sys.stderr)
            return EXIT_AGAIN
        answer = release(config, Request("enable", asked.symbol, confirm=typed(f"type {word} to clear: ")))
    print(answer.text, file=sys.stdout if answer.ok else sys.stderr)
    if answer.ok and living:
        started = supervisor.Supervisor(config).start_ended()
        print(f"started: {', '.join(started)}" if started else "every process was running")
    return EXIT_OK if answer.ok else EXIT_AGAIN


def typed(prompt: str) -> str:
    """Return what a human types; whoever leaves instead has confirmed nothing."""
    try:
        return input(prompt).strip()
    except (EOFError, KeyboardInterrupt):
        print()
        return "-"


def release_by_guardian(config: Config, request):
    from phx.control import ask as send

    return send(config.socket_path("guardian"), request, hangs=hung(config, "guardian"))


def release_without_guardian(config: Config, request):
    """Clear latches while the guardian is down, which one of them may be the reason of; audited like its own."""
    from phx.control import Answer, AuditLog
    from phx.latches import Latches, NotConfirmed

    try:
        cleared = [latch.name for latch in Latches(config.run_folder()).release(request.symbol, request.confirm)]
        answer = Answer(True, f"cleared {', '.join(cleared)}" if cleared else "no latch set")
    except NotConfirmed as refused:
        cleared = [latch.name for latch in refused.latches]
        answer = Answer(False, str(refused), refused.status())
    AuditLog(config.run_folder()).write(
        command="enable",
        symbol=request.symbol,
        uid=os.getuid(),
        pid=os.getpid(),
        latches_before=cleared,
        ok=answer.ok,
        text=answer.text,
    )
    return answer


def ask(config: Config, socket: str, command: str, symbol: str = "", patience_s: float = 15.0, **options) -> int:
    """Send a command to a control socket and print what it did. options: further fields of the request."""
    from phx.control import Request
    from phx.control import ask as send

    answer = send(config.socket_path(socket), Request(command, symbol, **options), patience_s, hung(config, socket))
    print(answer.text, file=sys.stdout if answer.ok else sys.stderr)
    for line in (line for lines in (answer.status or {}).values() for line in lines):
        print(f"  {line}")
    return EXIT_OK if answer.ok else EXIT_AGAIN


def hung(config: Config, socket: str):
    """Return what tells whether the process behind a control socket is known to hang: the guardian, by its beat."""
    from phx.ops.instance import Instance

    instance = Instance(config)
    return lambda: socket == "guardian" and (instance.heartbeat_age_ns(socket) or 0) > GUARDIAN_HANGS_NS


def backtest(asked, config: Config, path: Path) -> int:
    from phx.replay import backtest

    return backtest.main(config, asked.files)


def compare(asked, config: Config, path: Path) -> int:
    from phx.replay import compare

    return compare.main(config, asked.markets, asked.net_max, asked.out)


def config_verb(asked, config: Config, path: Path) -> int:
    if asked.what == "check":
        print(f"{path}: fine: {', '.join(config.traded())} on {config.venue.environment}")
        for line in canary.lines(config):
            print(line)
    else:
        import yaml

        print(yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False), end="")
    return EXIT_OK


VERBS = {
    "run": run,
    "backtest": backtest,
    "compare": compare,
    "up": up,
    "down": down,
    "reload": reload,
    "status": status,
    "top": top,
    "book": book,
    "doctor": doctor,
}
VERBS |= dict.fromkeys(OPERATOR, operator)
VERBS |= {"config": config_verb, "cancel-all": cancel_all, "kill": kill, "enable": enable}
