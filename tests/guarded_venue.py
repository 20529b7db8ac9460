"""The simulated venue and the guardian as users start them, with a test in the gateway's place placing orders."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from fake_process import start
from system.running import ROOT, Running, wait_until, yaml_of

from phx.venue.binance import keys
from phx.venue.binance.endpoints import endpoints
from phx.venue.binance.rest import Rest


class GuardedVenue(Running):
    """Use as a context: sim and guardian run, stopped and removed on leaving."""

    def __init__(self, config, folder: Path):
        super().__init__(folder, yaml_of(config))
        self.started: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "GuardedVenue":
        self.launch("sim")
        wait_until(self.answers, 30, "the simulated venue")
        self.launch("guardian")
        wait_until(self.config.socket_path("guardian").exists, 30, "the guardian")
        return self

    def __exit__(self, *exc):
        for process in self.started.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(10)
        super().__exit__(*exc)

    def launch(self, name: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "phx", "--config", str(self.path), name]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.started[name] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        return self.started[name]

    def fake(self, name: str) -> subprocess.Popen:
        """Start a process with only a lock and a heartbeat in the place of a real one."""
        self.started[name] = start(self.config, name, "--account-ready", tmp_path=self.folder)
        return self.started[name]

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.ledger())
        return False

    def wait_swept(self) -> None:
        """Wait until the guardian's first sweep is over: without a gateway it looks for what a dead one left."""
        log = self.folder / "guardian.log"
        wait_until(lambda: "no gateway: no open order" in log.read_text(), 20, "the first sweep")

    def do(self, work):
        """Run `await work(rest)` with the account's key; return its result."""

        async def once():
            rest = Rest(endpoints(self.config), keys.load(self.config), share=1.0)
            try:
                return await work(rest)
            finally:
                await rest.close()

        return asyncio.run(once())

    def place(self, symbol: str, number: int, coid: str = "") -> None:
        """Rest a small bid 2 % below the market."""

        async def work(rest):
            book = msgspec.json.decode(await rest.depth(symbol, 5))
            instrument = (await rest.exchange_info({symbol: 0}))[symbol]
            bid_ticks = int(instrument.ticks(book["bids"][0][0]) * 0.98)
            lots = max(instrument.min_qty_lots, 2 * instrument.min_notional_ticklots // bid_ticks)
            name = coid or f"phxs-00-1-{number}"
            await rest.place(symbol, name, 1, instrument.qty_text(lots), instrument.price_text(bid_ticks))

        self.do(work)

    def open_count(self) -> int:
        return sum(len(self.open_ids(symbol)) for symbol in self.config.traded())

    def proven_until_ns(self, symbol: str) -> int:
        """Return the deadline the guardian has published for a symbol, 0 = none."""
        record = self.newest("proof")
        return 0 if record is None else int(record["deadline_mono_ns"][self.config.instrument_ids()[symbol]])

    def armed(self) -> bool:
        return all(self.proven_until_ns(symbol) > time.monotonic_ns() for symbol in self.config.traded())
