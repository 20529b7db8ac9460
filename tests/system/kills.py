"""Kills of real processes at named stages, each judged by the simulated venue's own ledger.

A cell is (process, signal, stage), some with a fault of the venue going on at the same time. Cells are hit one after
another in lives of one phx that quotes at the touch and is filled all the while; a life ends with a cell that leaves
nothing to go on with (the venue or supervisord killed), or with an orderly `phx down`, of which nothing may be left.
"""

import contextlib
import os
import random
import signal
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .cells import FAULTS, FENCED_AFTER_S, PAIR, Bound, Cell, bound_of, is_last
from .hurt import Hurt, campaign_config
from .judgement import PREFIX, Lives, mistakes_in
from .running import wait_until, yaml_of
from .stages import BTC, Stage
from .venue_truth import Books, books_of, that_could_add

QUOTING_WITHIN_S = 40.0
BOOKS_WITHIN_S = 12.0
BOOKS_WITH_FAULT_S = 35.0  # what only the account's history of trades still tells is read every 30 s
NOTICED_WITHIN_S = 1.0  # an order of ours that the gateway does not know: only on its way from one to the other
RECONCILED_WITHIN_S = 12.0  # a venue that says it has cancelled and has not: the open orders are compared each 10 s
NO_GUARDIAN_MS = 1000.0  # nothing is added once the guardian is gone for longer
ASKING_S = 0.15  # how long the venue takes over each question while a gateway wakes up: it knows nothing new before
WORKING = ("quoting", "fills", "reload")  # stages in which a gateway that wakes up would go on
ENDED_WITHIN_S = 10.0  # a process that has released its lock still has to end


@dataclass
class Result:
    """What came of a cell. Times in ms from the signal; None: not demanded, or never."""

    cell: Cell
    hit: bool = False
    hold_s: float = 0.0
    bound_ms: float | None = None
    gone_ms: float | None = None  # no order of before is open any more
    back_ms: float | None = None  # the process lives again
    safe_ms: float | None = None  # and the gateway has proven and reconciled everything
    quoting_ms: float | None = None  # and both sides of every symbol are quoted
    adding_ms: float | None = None  # with a guardian that is stopped: the last order that could add was accepted
    woken_ms: float | None = None  # a gateway that hung was woken, and can know nothing new for ASKING_S
    wrong: list[str] = field(default_factory=list)

    def as_row(self) -> dict:
        return asdict(self) | {"cell": self.cell._asdict()}

    def late(self, tolerance: float = 1.0) -> str:
        """Return what took longer than `tolerance` times its bound, "" = nothing."""
        if self.adding_ms is not None and self.adding_ms > NO_GUARDIAN_MS * tolerance:
            return (
                f"an adding order {self.adding_ms:.0f} ms after the guardian had stopped, bound {NO_GUARDIAN_MS:.0f} ms"
            )
        if self.bound_ms is None:
            return ""
        if self.gone_ms is None:
            return "orders were never gone"
        over = self.gone_ms > self.bound_ms * tolerance
        return f"orders gone after {self.gone_ms:.0f} ms, bound {self.bound_ms:.0f} ms" if over else ""


# ---- one kill


class Killer:
    """Hits one cell after another in one life of a phx, and judges each."""

    def __init__(self, phx: Hurt, seed: int):
        self.phx = phx
        self.random = random.Random(seed)

    def run(self, cell: Cell) -> Result:
        phx, result = self.phx, Result(cell)
        phx.wait_quoting(QUOTING_WITHIN_S)
        if cell.signal == "STOP":
            result.hold_s = self.random.choice((0.5, 2.0, 7.0) if cell.process == PAIR else (0.5, 2.0))
        bound = bound_of(cell, result.hold_s, phx.config.traded())
        # What is hit in the stage by the stage itself counts as hit, too.
        stage = Stage(phx, cell.process.partition("+")[0])
        before = phx.pids()
        fault = phx.fault(cell.fault, **FAULTS[cell.fault]) if cell.fault else contextlib.nullcontext()
        hung = cell.process == "gateway" and 0 < result.hold_s < FENCED_AFTER_S
        wakes = hung and cell.stage in WORKING and not cell.fault
        asking = phx.fault("slow_request", of="query", delay_s=ASKING_S) if wakes else contextlib.nullcontext()
        with fault, asking, getattr(stage, cell.stage)() as result.hit:
            epoch = phx.epoch()
            old = {name: phx.pid(name) for name in cell.process.split("+")}
            at_ms = time.time() * 1000
            phx.hit(cell.process, signal.SIGKILL if cell.signal == "KILL" else signal.SIGSTOP)
            if cell.signal == "STOP":
                try:
                    time.sleep(result.hold_s)
                finally:
                    woken_ms = time.time() * 1000 - at_ms
                    for pid in old.values():
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGCONT)
                if wakes:
                    result.woken_ms = woken_ms
                    time.sleep(ASKING_S)
        if is_last(cell):
            return self.last(result, at_ms, epoch, bound)
        self.recover(result, old, at_ms)
        self.judge(result, epoch, at_ms, bound)
        self.nobody_else_died(result, before)
        return result

    def recover(self, result: Result, old: dict[str, int], at_ms: float) -> None:
        """Wait until everything is as before."""
        phx, cell = self.phx, result.cell
        # One that was stopped need not have died; when it was fenced, its successor holds the lock.
        renewed = {name: pid if cell.signal == "KILL" else 0 for name, pid in old.items() if name != "supervisord"}
        since = lambda: time.time() * 1000 - at_ms  # noqa: E731
        try:
            wait_until(lambda: all(phx.is_back(*item) for item in renewed.items()), 30, f"{cell}: to be back", 0.01)
            result.back_ms = since()
            wait_until(lambda: phx.newest_field("account", "ready"), 30, f"{cell}: the gateway to be ready", 0.01)
            result.safe_ms = since()
            phx.wait_quoting(QUOTING_WITHIN_S)
        except AssertionError as error:
            result.wrong.append(str(error))

    def judge(self, result: Result, epoch: int, at_ms: float, bound: Bound | None) -> None:
        phx, cell = self.phx, result.cell
        traded = phx.config.traded()
        gone: float | None = at_ms
        if bound is not None:
            result.bound_ms = bound.ms
            gone = self.wait_gone(cell, bound, epoch, at_ms)
            result.gone_ms = None if gone is None else max(0.0, gone - at_ms)
        history = phx.history()
        lives = Lives.of(history)
        if gone is not None:
            quoting = lives.two_sided_ms(traded, int(gone))
            result.quoting_ms = None if quoting is None else max(0.0, quoting - at_ms)
        if cell.process == "guardian" and cell.signal == "STOP" and cell.stage != "shutdown":
            result.adding_ms = last_adding_ms(lives, phx.instruments(), at_ms, at_ms + 1000 * result.hold_s) - at_ms
        if result.woken_ms is not None:
            result.wrong += self.early_orders(lives, at_ms + result.woken_ms)
        result.wrong += self.books_wrong(BOOKS_WITH_FAULT_S if cell.fault else BOOKS_WITHIN_S)
        result.wrong += self.orphans(RECONCILED_WITHIN_S if cell.fault else NOTICED_WITHIN_S)
        refused = {} if cell.fault else phx.refused()
        result.wrong += mistakes_in(history, refused, phx.instruments(), phx.config)

    def early_orders(self, lives: Lives, woken_ms: float) -> list[str]:
        """Return the complaint about orders that a gateway placed on what it knew before it hung."""
        last_ms = last_adding_ms(lives, self.phx.instruments(), woken_ms, woken_ms + 1000 * ASKING_S)
        return [f"placed {last_ms - woken_ms:.0f} ms after it woke, before it asked"] if last_ms > woken_ms else []

    def wait_gone(self, cell: Cell, bound: Bound, epoch: int, at_ms: float) -> float | None:
        """Return when what was open had gone, None = not within a multiple of the bound."""
        until_ms = at_ms + 5 * bound.ms
        while True:
            gone = gone_ms(Lives.of(self.phx.history()), cell, bound, epoch, int(at_ms))
            if gone is not None or time.time() * 1000 > until_ms:
                return gone
            time.sleep(0.1)

    def books_wrong(self, within_s: float = BOOKS_WITHIN_S) -> list[str]:
        """Return the symbols whose books do not become the venue's, in integers, all of them."""
        wrong = []
        for symbol, instrument in self.phx.instruments().items():
            seen = []

            def agree(symbol=symbol, instrument=instrument, seen=seen) -> bool:
                with contextlib.suppress(OSError, TypeError):
                    seen[:] = [self.truth(symbol, instrument), self.booked(symbol)]
                    return seen[0] == seen[1]
                return False

            try:
                wait_until(agree, within_s, "the books", every_s=0.1)
            except AssertionError:
                wrong.append(f"{symbol}: books {seen[1:]} are not the venue's {seen[:1]}")
        return wrong

    def truth(self, symbol: str, instrument) -> Books:
        orders = [o for o in self.phx.venue_says(f"orders?symbol={symbol}") if o["clientOrderId"].startswith(PREFIX)]
        return books_of(orders, instrument)

    def booked(self, symbol: str) -> Books:
        own = self.phx.newest(f"own.{symbol}")
        return Books(*(int(own[name]) for name in Books.__dataclass_fields__))

    def orphans(self, within_s: float) -> list[str]:
        """Return orders of ours that stay at the venue for longer than allowed without the gateway knowing of them."""
        left = self.unknown_ids()
        until_s = time.monotonic() + within_s
        while left and time.monotonic() < until_s:
            time.sleep(0.2)
            left &= self.unknown_ids()
        return [f"orphans: {sorted(left)[:3]}"] if left else []

    def unknown_ids(self) -> set[str]:
        phx, found = self.phx, set()
        for symbol in phx.config.traded():
            open_ids = phx.open_ids(symbol)
            own = phx.newest(f"own.{symbol}")
            known = {(int(own["epoch"]), int(i)) for i in own["intent_id"][: int(own["orders"])]}
            for coid in open_ids:
                parts = coid.split("-")
                if coid.startswith(PREFIX) and (int(parts[2], 36), int(parts[3], 36)) not in known:
                    found.add(coid)
        return found

    def nobody_else_died(self, result: Result, before: dict[str, int]) -> None:
        """Whoever was not hit must have lived on."""
        cell = result.cell
        hit = {*cell.process.split("+")}
        if cell.stage == "reconcile" or "gateway" in hit:
            hit.add("gateway")
        changed = [name for name, pid in self.phx.pids().items() if name not in hit and before[name] != pid]
        if changed:
            result.wrong.append(f"ended although not hit: {', '.join(changed)}")

    def last(self, result: Result, at_ms: float, epoch: int, bound: Bound | None) -> Result:
        """Judge a cell after which the life cannot go on."""
        phx, cell = self.phx, result.cell
        if cell.process == "sim":
            try:
                wait_until(lambda: phx.quoting(BTC), QUOTING_WITHIN_S, "the venue to be back", 0.02)
                phx.wait_quoting(QUOTING_WITHIN_S)
                result.quoting_ms = time.time() * 1000 - at_ms
                for symbol in phx.config.traded():
                    wait_until(lambda s=symbol: phx.position_agrees(s), 30, f"{symbol}: the position to be the venue's")
            except AssertionError as error:
                result.wrong.append(str(error))
            return result
        # Nobody restarts anything: the guardian stops the gateway in order, and leaves.
        result.bound_ms = bound.ms

        def gone() -> bool:
            return Lives.of(phx.history()).last_of_epochs_ms(epoch, int(at_ms)) is not None

        try:
            wait_until(gone, 15, "every order to be gone", 0.1)
            wait_until(lambda: not phx.alive("gateway") and not phx.alive("guardian"), 25, "both to end")
        except AssertionError as error:
            result.wrong.append(str(error))
        history = phx.history()
        found = Lives.of(history).last_of_epochs_ms(epoch, int(at_ms))
        result.gone_ms = None if found is None else max(0.0, found - at_ms)
        result.wrong += mistakes_in(history, phx.refused(), phx.instruments(), phx.config)
        if all(phx.newest_field(f"own.{symbol}", "ready") for symbol in phx.config.traded()):
            # Else it ended before it had its books together: they are on disk as the life before left them.
            result.wrong += self.books_wrong()
        return result


def gone_ms(lives: Lives, cell: Cell, bound: Bound, epoch: int, at_ms: int) -> int | None:
    """Return when nothing was open any more of what a cell concerns, None = not yet.

    Of a gateway: every order of its life and those before. Of a feed or a quoter: when nothing was quoted at all; when
    that never was, since some order outlived the new quotes: those that were there.
    """
    goes_on = cell.process == PAIR and cell.signal == "STOP"  # in the same life: nobody was awake to end it
    if not goes_on and ("gateway" in cell.process or cell.process == "supervisord"):
        return lives.last_of_epochs_ms(epoch, at_ms)
    found = [
        none if (none := lives.none_open_ms((symbol,), at_ms)) is not None else lives.last_before_ms((symbol,), at_ms)
        for symbol in bound.symbols
    ]
    return None if None in found else max(found)


def last_adding_ms(lives: Lives, instruments: dict, from_ms: float, until_ms: float) -> float:
    """Return when the last order that could add to a position was accepted between two moments; from_ms: none was."""
    last_ms = from_ms
    for symbol, instrument in instruments.items():
        for order in that_could_add([order for order in lives.orders if order["symbol"] == symbol], instrument):
            if last_ms < order["time"] < until_ms:
                last_ms = order["time"]
    return last_ms


# ---- a life, and many


def live(folder: Path, config, cells: list[Cell], seed: int, report=lambda result: None) -> list[Result]:
    """Let one phx live and be hit by cells in their order; `report` is told each result."""
    results = []
    with Hurt(folder, yaml_of(campaign_config(config))) as phx:
        killer = Killer(phx, seed)
        for cell in cells:
            try:
                result = killer.run(cell)
            except (AssertionError, OSError) as error:
                result = Result(cell, wrong=[f"{type(error).__name__}: {error}"])
                results.append(result)
                report(result)
                break  # what it is in now is no beginning for another kill
            results.append(result)
            report(result)
        results[-1].wrong += leave(phx, results[-1])
    return results


def leave(phx: Hurt, last: Result) -> list[str]:
    """Stop a phx in order; return what is wrong with how it went, and what is left of it."""
    wrong, watching = [], threading.Event()
    left: list[int] = []

    def watch():
        # The venue ends last: its last word is how many orders were left.
        while not watching.wait(0.02):
            with contextlib.suppress(OSError, ValueError):
                open_ = [row["clientOrderId"] for s in phx.ledger()["symbols"].values() for row in s["open"]]
                left[:] = [sum(coid.startswith(PREFIX) for coid in open_)]

    pids = []
    with contextlib.suppress(OSError, ValueError):
        pids = [*phx.pids().values(), phx.pid("supervisord")]
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        phx.phx("down")
    finally:
        watching.set()
        watcher.join()
    if left and left[0]:
        wrong.append(f"{left[0]} orders were open when the venue ended")
    if phx.config.shm_folder().exists():
        wrong.append(f"left behind: {phx.config.shm_folder()}")
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not any(map(running, pids)), ENDED_WITHIN_S, "the processes to be gone")
    if alive := [pid for pid in pids if running(pid)]:
        wrong.append(f"still alive: {alive}")
    for log in sorted((phx.config.run_folder() / "logs").glob("*.log")):
        if error := unhandled_error(log.read_text(errors="replace")):
            wrong.append(f"{log.name}: {error}")
    return wrong


def unhandled_error(log: str) -> str:
    """Return the last line of a traceback in a log, "" = none. A life may end because the venue is gone, and say so."""
    for text in log.split("Traceback (most recent call last):")[1:]:
        last = next((line for line in text.splitlines()[1:] if line and not line.startswith(" ")), "")
        if not last.startswith("phx.venue.interface.Venue"):
            return last
    return ""


def running(pid: int) -> bool:
    """Return whether a process is there and not just waiting to be reaped."""
    if not pid:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
