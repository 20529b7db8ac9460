"""ops: publishes parameters and the operator's wishes, reloads the configuration, answers the control socket."""

import logging
import os
import time
from pathlib import Path

from phx import config as configuration
from phx import process as life
from phx._core.enums import OperatorState
from phx.config import Config, ConfigError
from phx.control import Answer, AuditLog, ControlError, ControlServer, Request
from phx.ops.instance import Instance
from phx.ops.publish import OperatorPublisher, ParamsPublisher
from phx.ops.reload import adopted, changes, raised_limits

log = logging.getLogger("phx")

TURN_S = 0.01
CONFIG_POLL_S = 1.0
COMMANDS = {
    "pause": OperatorState.OPERATOR_PAUSE,
    "resume": OperatorState.OPERATOR_RUN,
    "flatten": OperatorState.OPERATOR_FLATTEN,
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
        self.control = ControlServer(self.config.socket_path("control"), self.handle)
        self.unconfirmed: list[str] = []  # raised limits that the gateway does not take yet
        self.stamp = file_stamp(path)
        self.next_poll_s = time.monotonic() + CONFIG_POLL_S

    def run(self) -> None:
        self.process.ready()
        try:
            while not self.process.stopping:
                self.control.poll(TURN_S)
                self.process.beat()
                self.turn(time.monotonic())
        finally:
            self.control.close()

    def turn(self, now_s: float) -> None:
        if self.params.version == 0:
            self.publish_first()
        if self.process.reload_wanted:
            self.process.reload_wanted = False
            self.reload()
        if now_s >= self.next_poll_s:
            self.next_poll_s = now_s + CONFIG_POLL_S
            stamp = file_stamp(self.path)
            if stamp not in (self.stamp, None):
                self.stamp = stamp
                self.reload()

    def publish_first(self) -> None:
        """Publish the parameters as soon as the feeds have told the instruments."""
        instruments = self.instance.instruments()
        if all(symbol in instruments for symbol in self.config.traded()):
            try:
                version = self.params.publish(self.config, instruments)
            except ValueError as error:
                raise life.StayDown(f"parameters refused: {error}") from None
            log.info("ops: parameters published, version %d", version)

    def reload(self, reason: str = "") -> Answer:
        """Read the configuration again; adopt what is hot, name what needs a restart. A bad one changes nothing."""
        try:
            new = configuration.load(self.path)
            found = changes(self.config, new)
            for change in found:
                log.info("ops: configuration: %s", change)
            text = self.adopt(new, reason)
        except ConfigError as error:
            self.refuse_config(error.errors)
            return Answer(
                False, f"refused, the old configuration stays: {len(error.errors)} errors", {"errors": error.errors}
            )
        except ValueError as error:
            self.refuse_config([str(error)])
            return Answer(False, f"refused, the old configuration stays: {error}")
        return Answer(True, text, {"changes": [str(change) for change in found]})

    def adopt(self, new: Config, reason: str) -> str:
        effective = adopted(self.config, new)
        raised = sorted({*self.unconfirmed, *raised_limits(self.config, effective)})
        confirmed = bool(raised) and reason == "raise"
        if self.params.version == 0 or (effective == self.config and not confirmed):
            self.config = effective
            return f"nothing to adopt, parameters stay at version {self.params.version}"
        # The gateway takes lowered limits at once, raised ones only with this confirmation.
        by = int(time.time()) if confirmed else 0
        version = self.params.publish(effective, self.instance.instruments(), by)
        self.config = effective
        self.unconfirmed = [] if confirmed else raised
        held = f"; raised limits wait for `phx reload --raise`: {', '.join(raised)}" if self.unconfirmed else ""
        log.info("ops: parameters published, version %d%s", version, held)
        return f"parameters at version {version}{held}"

    def refuse_config(self, errors: list[str]) -> None:
        self.process.counters["config_refused"] += 1
        for error in errors:
            log.error("ops: configuration refused: %s", error)

    def handle(self, request: Request, peer) -> Answer:
        """Answer one request of the control socket; every one that changes something leaves an audit line."""
        if request.command == "status":
            return Answer(True, "ops is up", self.status())
        if request.command == "reload":
            answer = self.reload(request.reason)
        elif request.command in COMMANDS:
            symbols = self.symbols_of(request)
            self.operator.want(symbols, COMMANDS[request.command])
            answer = Answer(True, f"{request.command}: {', '.join(symbols)}")
        else:
            raise ControlError(f"ops knows {', '.join([*COMMANDS, 'reload', 'status'])}, not {request.command!r}")
        self.record(request, peer, answer)
        return answer

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

    def record(self, request: Request, peer, answer: Answer) -> None:
        """Leave the audit line of what a human did."""
        facts = {"command": request.command, "symbol": request.symbol, "reason": request.reason}
        self.audit.write(**facts, uid=peer.uid, pid=peer.pid, ok=answer.ok, text=answer.text)
        log.warning("ops: %s %s by uid %d: %s", request.command, request.symbol or "all", peer.uid, answer.text)


def file_stamp(path: Path) -> tuple | None:
    """Return what changes when a file is edited or replaced; None while it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
