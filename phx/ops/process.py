"""ops: publishes parameters and the operator's wishes, keeps journal, snapshots and metrics, answers people."""

import contextlib
import logging
import os
import time
from pathlib import Path

from phx import config as configuration
from phx import process as life
from phx._core.enums import OperatorState
from phx.config import Config, ConfigError
from phx.control import Answer, AuditLog, ControlError, ControlServer, Peer, Request
from phx.latches import Latches
from phx.ops import limits_in_force
from phx.ops.alerts import Alerts
from phx.ops.contracts import Contracts, newest_prices
from phx.ops.figures import figures
from phx.ops.instance import Instance
from phx.ops.journal import JournalDrain, JournalRefused
from phx.ops.metrics import Metrics, serve
from phx.ops.override import OverrideKeeper
from phx.ops.publish import OperatorPublisher, ParamsPublisher
from phx.ops.reload import adopted, changes, flat, put_back, raised_limits, waiting, with_values
from phx.ops.snapshot import Snapshots, body_of
from phx.ops.watch import Watched
from phx.params import ParamsError

log = logging.getLogger("phx")

TURN_S = 0.01
PERIOD_S = 1.0
ALERTS_S = 0.25
COMMANDS = {
    "pause": OperatorState.OPERATOR_PAUSE,
    "flatten": OperatorState.OPERATOR_FLATTEN,
    "resume": OperatorState.OPERATOR_RUN,
}


def main(config: Config, path: Path) -> int:
    """Run ops until it is told to stop; path: the configuration file it watches."""
    return life.run("ops", config, lambda process: Ops(process, path).run())


class Ops:
    """One life of ops: a loop of short turns around the control socket."""

    def __init__(self, process: life.Process, path: Path):
        self.process = process
        self.path = path
        self.config = process.config
        self.instance = Instance(self.config)
        self.params = ParamsPublisher(process)
        self.operator = OperatorPublisher(process)
        self.audit = AuditLog(process.run_folder)
        self.latches = Latches(process.run_folder)
        self.contracts = Contracts(self.instance, self.params, self.latches)
        self.control = ControlServer(self.config.socket_path("control"), self.handle)
        self.said: dict[str, str] = {}  # the last complaint of each kind
        self.unconfirmed: list[str] = []  # raised limits that wait for a human's word
        self.held: list[str] = []  # limits that the gateway holds below ours, as last said
        self.override = OverrideKeeper(process.run_folder)
        self.config = put_back(self.config, self.override.over())
        self.stamp = file_stamp(path)
        self.journal = JournalDrain(self.instance)
        self.journal_lost = 0
        self.snapshots = Snapshots(self.config)
        self.watched = {symbol: Watched() for symbol in self.config.traded()}
        self.restore()
        self.alerts = Alerts(self.instance)
        self.metrics = Metrics(self.config, self.watched, self.alerts.log.counts)
        self.server = None
        tasks = (self.mind_override, self.raise_alerts, self.poll_config, self.watch, self.snapshot, self.serve_metrics)
        self.due_s = dict.fromkeys((*tasks, self.tell_held_limits), time.monotonic())

    def run(self) -> None:
        self.process.ready()
        try:
            while not self.process.stopping:
                self.control.poll(TURN_S)
                self.process.beat()
                self.turn(time.monotonic())
        finally:
            self.control.close()
            self.drain_journal()
            self.snapshot()

    def turn(self, now_s: float) -> None:
        """Do what is due; nothing here may take long."""
        self.process.counters["loops"] += 1
        if self.params.version == 0:
            self.publish_first()
        self.contracts.follow(self.config)
        if self.process.reload_wanted:
            self.process.reload_wanted = False
            self.reload(Request("reload", reason="SIGHUP"), Peer(0, os.geteuid(), 0))
        self.drain_journal()
        for task, due_s in self.due_s.items():
            if now_s >= due_s:
                own_s = {self.raise_alerts: ALERTS_S, self.mind_override: ALERTS_S}
                own_s[self.snapshot] = self.config.ops.snapshot_s
                self.due_s[task] = now_s + own_s.get(task, PERIOD_S)
                task()

    def poll_config(self) -> None:
        stamp = file_stamp(self.path)
        if stamp not in (self.stamp, None):
            self.stamp = stamp
            self.reload(Request("reload", reason="file saved"), Peer(0, file_owner(self.path), 0))

    def watch(self) -> None:
        now_s = time.monotonic()
        for symbol, watched in self.watched.items():
            watched.look(now_s, figures(self.instance, symbol))

    def raise_alerts(self) -> None:
        try:
            self.alerts.look()
        except OSError as error:
            self.complain("alerts", f"alerts not written, the metrics count them: {error}")

    def serve_metrics(self) -> None:
        """Open the metrics port; a taken one is no reason not to trade, only to try again."""
        if self.server is not None or self.config.ops.metrics_port == 0:
            return
        try:
            self.server = serve(self.metrics, self.config.ops.metrics_port)
        except OSError as error:
            self.complain("metrics", f"no metrics on port {self.config.ops.metrics_port}: {error.strerror}")

    def snapshot(self) -> None:
        watched = {s: {"peak_pnl": w.peak_pnl, "max_drawdown": w.max_drawdown} for s, w in self.watched.items()}
        try:
            self.snapshots.write(body_of(self.instance, self.params.version, watched))
            self.process.counters["snapshots"] += 1
        except OSError as error:
            self.complain("snapshot", f"snapshot not written: {error}")

    def restore(self) -> None:
        """Go on watching where a former life stopped, if that is not too long ago."""
        body = self.snapshots.restore(self.config.ops.snapshot_max_age_s)
        for symbol, kept in (body.watched if body else {}).items():
            if symbol in self.watched:
                self.watched[symbol] = Watched(kept["peak_pnl"], kept["max_drawdown"])

    def drain_journal(self) -> None:
        """Bring the gateway's journal to disk; when that fails nothing may add risk, while cancels still go."""
        try:
            self.journal.drain()
        except (OSError, JournalRefused) as error:
            if self.complain("journal", f"journal not written: {error}"):
                self.operator.hold()
                with contextlib.suppress(OSError):
                    self.latches.set("ops", f"journal not written: {error}")
            return
        self.process.counters["journal_seq"] = self.journal.written_seq
        if self.journal.lost != self.journal_lost:
            self.journal_lost = self.journal.lost
            self.complain("lost", f"{self.journal.lost} journal entries were overwritten before they were read")

    def complain(self, what: str, text: str) -> bool:
        """Count an error and log it when it is new; return whether it is."""
        self.process.counters["errors"] += 1
        new = self.said.get(what) != text
        if new:
            self.said[what] = text
            log.error("ops: %s", text)
        return new

    def publish_first(self) -> None:
        """Publish the parameters as soon as the feeds have told the instruments; with a canary, their prices too."""
        known, prices_ticks = self.instance.instruments(), self.prices_ticks()
        needed = known if self.config.limits.canary == 1 else known.keys() & prices_ticks.keys()
        if all(symbol in needed for symbol in self.config.traded()):
            try:
                version = self.params.publish(self.config, known, prices_ticks)
            except ParamsError as error:
                raise life.StayDown(f"parameters refused: {error}") from None
            log.info("ops: parameters published, version %d", version)

    def reload(self, request: Request, peer: Peer) -> Answer:
        """Read the configuration again; adopt what is hot, name what needs a restart. A bad one changes nothing."""
        found: list = []
        try:
            new = configuration.load(self.path)
            found = changes(self.config, new)
            for change in found:
                log.info("ops: configuration: %s", change)
            answer = Answer(True, self.adopt(new, request, peer.uid), {"changes": [str(change) for change in found]})
        except (ConfigError, ParamsError) as error:
            self.process.counters["config_refused"] += 1
            for line in error.errors:
                log.error("ops: configuration refused: %s", line)
            answer = Answer(False, "refused, the old configuration stays", {"errors": error.errors})
        self.record(request, peer, answer)
        return answer

    def adopt(self, new: Config, request: Request, uid: int) -> str:
        """Publish what is hot of a configuration; a limit that would rise waits for a human's word."""
        confirmed = request.reason == "raise"
        wanted = adopted(self.config, new)
        raised = raised_limits(self.config, wanted)
        if self.params.version == 0:
            self.config = put_back(wanted, self.override.over())
            return "no parameters are published yet: these will be"
        held = limits_in_force.held(wanted, self.instance)
        if request.for_s and not ((raised or held) and confirmed):
            raise ConfigError(["--for: the configuration raises no limit" if confirmed else "--for needs --raise"])
        over = self.override.over()
        for_good = (confirmed and not request.for_s) or (over and not raised)
        before, effective = flat(self.config), wanted
        if not confirmed:
            effective = with_values(wanted, waiting(self.config, wanted, raised))
            effective = effective if for_good else put_back(effective, over)
        self.unconfirmed = [] if confirmed else raised or held
        names = ", ".join(self.unconfirmed)
        text = f"; raised limits wait for `phx reload --raise`: {names}" if names else ""
        told = "nothing to adopt, parameters stay"
        if confirmed or effective != self.config:
            try:
                if request.for_s:
                    text = f"; over at {self.override.grant(before, flat(wanted), request.for_s, uid)}"
                self.publish(effective, confirmed)
                told = "parameters"
            except ParamsError as error:
                if request.for_s:
                    self.override.take_back()
                hint = [f"the rest does not hold without what waits{text}"] if self.unconfirmed else []
                raise ParamsError(error.errors + hint) from None
        if for_good:  # only now: what was refused must not make raised limits last
            self.override.end()
        return f"{told} at version {self.params.version}{text}"

    def publish(self, config: Config, confirmed: bool) -> None:
        """Publish a configuration. The gateway takes lowered limits at once, raised ones only if confirmed."""
        by = int(time.time()) if confirmed else 0
        version = self.params.publish(config, self.instance.instruments(), self.prices_ticks(), by)
        self.config = config
        log.info("ops: parameters published, version %d", version)

    def mind_override(self) -> None:
        """Put the former limits back when an override is over."""
        former = self.override.over()
        if not former or self.params.version == 0:
            return
        lowered = put_back(self.config, former)
        found = changes(self.config, lowered)
        if not found:
            return
        try:
            self.publish(lowered, confirmed=False)
        except ParamsError as error:  # the gateway goes back to its former limits by itself
            self.complain("override", f"former parameters not published: {error}")
            return
        answer = Answer(True, f"override over, parameters at version {self.params.version}")
        self.record(Request("override"), Peer(0, os.geteuid(), 0), answer, [str(change) for change in found])

    def tell_held_limits(self) -> None:
        """Say once, and after each restart, which limits the gateway holds below the configuration."""
        held = limits_in_force.held(self.config, self.instance)
        if held and held != self.held:
            log.warning("ops: %s", limits_in_force.held_text(held))
        self.held = held

    def prices_ticks(self) -> dict[str, int]:
        """Return a recent price of every symbol whose market is known."""
        instruments = self.instance.instruments()
        return newest_prices(self.instance, {s: i for s, i in instruments.items() if s in self.config.traded()})

    def handle(self, request: Request, peer) -> Answer:
        """Answer one request of the control socket; every one that changes something leaves an audit line."""
        if request.command == "status":
            return Answer(True, "ops is up", self.status())
        if request.command == "reload":
            return self.reload(request, peer)
        elif request.command in COMMANDS:
            symbols = self.symbols_of(request)
            before = self.status()["wanted"]
            forgotten = self.operator.want(symbols, COMMANDS[request.command])
            after = self.status()["wanted"]
            changes = [f"{s}: {before[s]} -> {after[s]}" for s in symbols if before[s] != after[s]]
            text = f"{request.command}: {', '.join(symbols)}"
            if request.command == "resume":  # a flattening works under a latch
                held = [f"{s}: {latch.reason}" for s in symbols if (latch := self.latches.stops(s)) is not None]
                text += f"; latched until `phx enable`: {', '.join(held)}" if held else ""
            answer = Answer(not forgotten, f"{text}; {forgotten}" if forgotten else text)
            self.record(request, peer, answer, changes)
            return answer
        else:
            raise ControlError(f"ops knows {', '.join([*COMMANDS, 'reload', 'status'])}, not {request.command!r}")

    def symbols_of(self, request: Request) -> list[str]:
        if not request.symbol:
            return self.config.traded()
        if request.symbol not in self.config.symbols:
            raise ControlError(f"{request.symbol} is not traded; traded: {', '.join(self.config.traded())}")
        return [request.symbol]

    def status(self) -> dict:
        return {
            "config": str(self.path),
            "params_version": self.params.version,
            "wanted": {
                s: OperatorState(state).name.removeprefix("OPERATOR_") for s, state in self.operator.wanted.items()
            },
        }

    def record(self, request: Request, peer: Peer, answer: Answer, changes: list[str] | None = None) -> None:
        """Leave the audit line of what a human did; changes: "what: old -> new", those of a reload by themselves."""
        facts = {"command": request.command, "symbol": request.symbol, "reason": request.reason}
        facts["changes"] = (answer.status or {}).get("changes", []) if changes is None else changes
        try:
            self.audit.write(**facts, uid=peer.uid, pid=peer.pid, ok=answer.ok, text=answer.text)
        except OSError as error:  # a full disk: what was asked is done all the same, a pause above all
            self.complain("audit", f"audit line not written: {error}")
        log.warning("ops: %s %s by uid %d: %s", request.command, request.symbol or "all", peer.uid, answer.text)


def file_owner(path: Path) -> int:
    """Return the uid behind a file, which stands for who saved it; our own while it is not there."""
    try:
        return os.stat(path).st_uid
    except OSError:
        return os.geteuid()


def file_stamp(path: Path) -> tuple | None:
    """Return what changes when a file is edited or replaced; None while it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
