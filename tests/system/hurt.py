"""A whole phx to be hurt: signals to its processes, faults of its venue, what it shows meanwhile."""

import contextlib
import os
import signal
from pathlib import Path

import msgspec

from phx import config as configuration
from phx import topology
from phx.instruments import read_table
from phx.ops import session, supervisor
from phx.segment import SegmentMissing, SegmentRefused

from .running import Running, tight, yaml_of
from .stages import BTC


def campaign_config(config):
    """Return a configuration to be hurt in: quotes at the touch, frequent snapshots, a second account for takers."""
    replace = msgspec.structs.replace
    touching = tight(config, config.traded(), accounts=2)
    return replace(
        touching,
        # Dying is what it is here for: no crash loop, and no loss limit that ends the day.
        global_=replace(config.global_, crash_loop_exits=10_000),
        limits=replace(config.limits, max_daily_loss=config.limits.max_daily_loss * 20),
        ops=replace(config.ops, snapshot_s=0.5),
    )


class Hurt(Running):
    """A phx to be hurt. It ends with this process, however that ends."""

    def __enter__(self) -> "Hurt":
        lock = session.prepare(self.config, self.path)
        try:
            supervisor.start(self.config, dies_with_us=True)
        finally:
            lock.release()
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(Exception):
            self.stop_all(signal.SIGCONT)
        super().__exit__(*exc)
        with contextlib.suppress(OSError, ValueError, ProcessLookupError):
            os.kill(self.pid("supervisord"), signal.SIGKILL)

    def stop_all(self, number: signal.Signals) -> None:
        for name in (*topology.processes(self.config), "supervisord"):
            with contextlib.suppress(ProcessLookupError, ValueError, OSError):
                if self.alive(name):
                    os.kill(self.pid(name), number)

    # ---- processes

    def pid(self, process: str) -> int:
        if process != "supervisord":
            return super().pid(process)
        return int((self.config.run_folder() / "supervisord.pid").read_text())

    def alive(self, process: str) -> bool:
        return Path(f"/proc/{self.pid(process)}").exists() if process == "supervisord" else super().alive(process)

    def hit(self, processes: str, number: signal.Signals) -> int:
        """Send a signal to one process, or to several joined by +; return the first one's pid."""
        pids = [self.pid(name) for name in processes.split("+")]
        for pid in pids:
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        return pids[0]

    def pids(self) -> dict[str, int]:
        return {name: self.pid(name) for name in topology.processes(self.config)}

    # ---- what it shows

    def newest_field(self, segment: str, name: str) -> int | None:
        record = self.newest(segment)
        return None if record is None else int(record[name])

    def counters(self, segment_name: str):
        with contextlib.suppress(SegmentMissing, SegmentRefused):
            return super().counters(segment_name).copy()
        return {"disconnects": -1}

    def epoch(self) -> int:
        """Return the newest life of the gateway that may have sent anything."""
        return int((self.config.run_folder() / "epoch").read_text())

    def is_back(self, process: str, old_pid: int) -> bool:
        """Return whether a process lives, under another pid than the old one, and does its work."""
        return self.alive(process) and self.back(process, old_pid)

    def instruments(self) -> dict:
        table = read_table(self.config.shm_folder() / "instruments.main.json")
        return {symbol: table[symbol] for symbol in self.config.traded()}

    def history(self) -> list[dict]:
        return self.venue_says("orders?symbol=")

    def refused(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in self.ledger()["symbols"].values():
            for code, count in row["refused"].items():
                counts[code] = counts.get(code, 0) + count
        return counts

    # ---- the configuration

    def change_configuration(self) -> None:
        """Write another number of layers; ops adopts it."""
        entry = configuration.load(self.path).symbols[BTC]
        near = msgspec.structs.replace(entry.ladder.near, layers=9 - entry.ladder.near.layers)  # four or five
        entry = msgspec.structs.replace(entry, ladder=msgspec.structs.replace(entry.ladder, near=near))
        changed = msgspec.structs.replace(self.config, symbols=self.config.symbols | {BTC: entry})
        temporary = self.path.with_suffix(".new")
        temporary.write_text(yaml_of(changed))
        temporary.rename(self.path)
