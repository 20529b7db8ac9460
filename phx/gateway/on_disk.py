"""What a working gateway keeps on disk for the lives to come: its books, the day's beginning, the limits in force."""

import asyncio
import contextlib
import logging
import time
from pathlib import Path

from phx import limits_file
from phx._core.desk import Desk
from phx._core.gateway import GatewayCore
from phx.gateway import epoch as lives
from phx.gateway import requantise
from phx.gateway.ended_override import EndedOverride
from phx.gateway.funding import FundingBooks
from phx.instruments import Instrument, Units

BOOKS_S = 30.0  # the books are on disk at least this often
AGAIN_NS = 10_000_000_000  # a disk that was full is tried again after this

log = logging.getLogger("phx.gateway")


class OnDisk:
    """day: as the former life left it. counters: a PROCESS_COUNTERS row. A full disk is counted and ends nothing."""

    def __init__(
        self,
        run_folder: Path,
        core: GatewayCore,
        instruments: dict[str, Instrument],
        funding: FundingBooks,
        day: lives.Day,
        counters,
    ):
        self.run_folder = run_folder
        self.core = core
        self.instruments = instruments
        self.funding = funding
        self.day = day
        self.counters = counters
        self.books_due = asyncio.Event()
        self.limits_written = ()
        self.again_ns = 0
        self.ended_override = EndedOverride(run_folder, instruments, self._restore)
        for symbol, limits in limits_file.read(run_folder).items():
            if symbol in instruments:
                self._restore(symbol, limits)

    # ---- books ----

    def write_books(self) -> None:
        """Write them now. OSError when the disk does not take them."""
        lives.write_books(self.run_folder, self._books())

    async def keep_books(self) -> None:
        """Write them whenever they are due."""
        while True:
            try:
                await asyncio.to_thread(lives.write_books, self.run_folder, self._books())
            except OSError as error:
                self.counters["errors"] += 1
                log.error("gateway: books not written: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.books_due.wait(), BOOKS_S)
            self.books_due.clear()

    def _books(self) -> lives.Books:
        ts_ms = time.time_ns() // 1_000_000
        return {desk.symbol: self._book(desk, ts_ms) for desk in self.core.desks}

    def _book(self, desk: Desk, ts_ms: int) -> lives.Inherited:
        units, funding = Units.of(self.instruments[desk.symbol]), self.funding.kept[desk.symbol]
        return lives.Inherited(desk.totals(), set(), desk.newest_trade_id, ts_ms, funding=funding, units=units)

    # ---- day and limits ----

    def begin_day(self) -> None:
        """Go on with the former life's day."""
        self.core.day_start_s, self.core.day_base_e8 = self.day.start_s, self.day.base_e8

    def turn_day(self, venue_ns: int) -> None:
        """Begin a new day by the venue's clock, not by ours: a step of the host's begins none."""
        self.core.turn_day(venue_ns // 1_000_000_000)
        day = lives.Day(self.core.day_start_s, self.core.day_base_e8)
        if day != self.day and self._written(lives.write_day, day):
            self.day = day

    def keep_limits(self) -> None:
        """Go back to former limits where an override is over; write what is in force when it has changed."""
        in_force = {desk.symbol: desk.limits_in_force for desk in self.core.desks}
        if self.ended_override.mind(in_force):
            self.limits_written = ()
            in_force = {desk.symbol: desk.limits_in_force for desk in self.core.desks}
        versions = tuple(limits["params_version"] for limits in in_force.values())
        if versions != self.limits_written and all(versions):
            kept = {s: requantise.limits_kept(limits, self.instruments[s]) for s, limits in in_force.items()}
            if self._written(limits_file.write, kept):
                self.limits_written = versions

    def _restore(self, symbol: str, limits: dict[str, int]) -> None:
        """Begin with what was in force: a limit nobody let rise does not rise by a restart."""
        try:
            instrument = self.instruments[symbol]
            self.core.desk(instrument.symbol_id).restore_limits(requantise.limits_in(limits, instrument))
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            log.error("%s: the limits of the former life are unreadable: %s", symbol, error)

    # ---- the end ----

    def close(self, epoch: int, was_working: bool, proven: bool) -> None:
        """Leave the last books, and the word that no order is open where that was proven."""
        self.again_ns = 0
        if was_working:
            self._written(lives.write_books, self._books())
        if proven:
            self._written(lives.mark_clean, epoch)

    def _written(self, write, value) -> bool:
        """Return whether it is on disk; a full one ends nothing, and is tried again later."""
        now_ns = time.monotonic_ns()
        if now_ns < self.again_ns:
            return False
        try:
            write(self.run_folder, value)
        except OSError as error:
            self.again_ns = now_ns + AGAIN_NS
            self.counters["errors"] += 1
            log.error("gateway: %s: %s", write.__name__, error)
            return False
        return True
