"""Publishing what the stages obey: validated parameters, one version for all symbols, and the operator's wishes."""

import logging
import time

import msgspec
import numpy as np

from phx._core import records
from phx._core.enums import OperatorState
from phx._core.ring import RingWriter
from phx.durable import write_durably
from phx.params import ParamsError, params_record
from phx.segment import Segment

log = logging.getLogger("phx")


class ParamsPublisher:
    """Writes params.<S>. Versions go on over the lives of ops, so that a newer one is always a larger number."""

    def __init__(self, process):
        self.process = process
        self.symbols = process.config.traded()
        self.path = process.run_folder / "params_version"
        self.version = 0
        self.writers = {s: writer(process, f"params.{s}", records.PARAMS) for s in self.symbols}
        self.ringers = [ringer for s in self.symbols for ringer in process.ringers(f"params.{s}")]

    def publish(
        self, config, instruments, prices_ticks: dict[str, int], raised_limits_by: int = 0, symbols: list | None = None
    ) -> int:
        """Publish a configuration's parameters as the next version; all of them, or none if one breaks a rule.

        prices_ticks: recent prices as far as they are known; the rules that depend on them are checked then. symbols:
        only theirs.
        """
        version = self._next_version()
        made, errors = {}, []
        for s in self.symbols if symbols is None else symbols:
            try:
                made[s] = params_record(config.symbols[s], config, instruments[s], version, prices_ticks.get(s))
            except ParamsError as error:
                errors += error.errors
        if errors:
            raise ParamsError(errors)
        write_durably(self.path, str(version).encode())
        for symbol in made:
            self._count_in(symbol, instruments[symbol].units_hash)
        for symbol, record in made.items():
            record["raised_limits_by"] = raised_limits_by
            self.writers[symbol].write(record)
        for ringer in self.ringers:
            ringer.ring_now()
        self.version = version
        return version

    def _count_in(self, symbol: str, units_hash: int) -> None:
        """Write in these ticks and lots from now on: in a new segment, for a reader of others must not meet them."""
        name = f"params.{symbol}"
        segment = self.process.segments[name]
        if segment.units_hash not in (0, units_hash):
            segment = Segment.create(self.process.folder, name, records.PARAMS, len(segment.records))
            self.process.segments[name] = segment
            self.writers[symbol] = RingWriter(segment.memory, records.PARAMS)
        segment.count_in(units_hash)

    def _next_version(self) -> int:
        try:
            return max(int(self.path.read_text()), self.version) + 1
        except (FileNotFoundError, ValueError):
            return self.version + 1


class OperatorPublisher:
    """Writes `operator` and keeps it in a file: a pause outlives ops, until somebody resumes."""

    def __init__(self, process):
        self.ids = process.config.instrument_ids()
        self.symbols = process.config.traded()
        self.path = process.run_folder / "operator.json"
        self.writer = writer(process, "operator", records.OPERATOR)
        self.ringers = process.ringers("operator")
        self.version = 0
        self.wanted = dict.fromkeys(self.symbols, OperatorState.OPERATOR_RUN)
        try:
            kept = msgspec.json.decode(self.path.read_bytes(), type=dict[str, int])
            self.wanted |= {s: OperatorState(state) for s, state in kept.items() if s in self.wanted}
        except FileNotFoundError:
            pass
        except (msgspec.DecodeError, ValueError):
            self.wanted = dict.fromkeys(self.symbols, OperatorState.OPERATOR_PAUSE)
            log.error("%s is unreadable: every symbol stays paused until phx resume", self.path)
        self.publish()

    def want(self, symbols: list[str], state: OperatorState) -> str:
        """Change what is wanted of some symbols, durably, then publish; return why it is not durable, "" when it is."""
        self.wanted |= dict.fromkeys(symbols, state)
        try:
            write_durably(self.path, msgspec.json.encode({s: int(state) for s, state in self.wanted.items()}))
        except OSError as error:  # a full disk must not keep anybody from stopping
            return f"in force, but a restart of ops forgets it: {error}"
        finally:
            self.publish()
        return ""

    def hold(self) -> None:
        """Pause everything in memory only: the disk is what failed."""
        self.wanted = dict.fromkeys(self.symbols, OperatorState.OPERATOR_PAUSE)
        self.publish()

    def publish(self) -> None:
        self.version += 1
        record = np.zeros(1, records.OPERATOR)
        record["ts_ns"] = time.time_ns()
        record["version"] = self.version
        for symbol, state in self.wanted.items():
            record["wanted"][0, self.ids[symbol]] = state
        self.writer.write(record)
        for ringer in self.ringers:
            ringer.ring_now()


def writer(process, name: str, dtype) -> RingWriter:
    return RingWriter(process.segments[name].memory, dtype)
