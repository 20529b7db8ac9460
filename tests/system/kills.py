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
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from phx import config as configuration
from phx import topology
from phx.instruments import read_table
from phx.ops import session, supervisor
from phx.segment import SegmentMissing, SegmentRefused

from .judgement import PREFIX, Lives, mistakes_in
from .running import Running, tight, wait_until, yaml_of
from .stages import BTC, IN_FLIGHT_S, STAGES, Stage
from .venue_truth import Books, books_of

PAIR = "gateway+guardian"
PROCESSES = ("feed.main", f"quoter.{BTC}", "gateway", "guardian", "ops", "supervisord", "sim", PAIR)
SIGNALS = ("KILL", "STOP")
QUOTING_WITHIN_S = 40.0
BOOKS_WITHIN_S = 12.0
BOOKS_WITH_FAULT_S = 35.0  # what only the account's history of trades still tells is read every 30 s
NOTICED_WITHIN_S = 1.0  # an order of ours that the gateway does not know: only on its way from one to the other
RECONCILED_WITHIN_S = 12.0  # a venue that says it has cancelled and has not: the open orders are compared each 10 s
COUNTDOWN_S = 6.0  # of the dead man's switch with two symbols
ENDED_WITHIN_S = 10.0  # a process that has released its lock still has to end
ROUND_TRIP_MS = 50.0  # to the venue and back on a busy host
FENCED_AFTER_S = 0.75  # a gateway that hangs longer is killed by the guardian
EXTRA_WITH_FAULT_MS = 2000.0  # two troubles at once may take so much longer than the worse of them


class Cell(NamedTuple):
    """What is hit, how, when, and which fault of the venue is on meanwhile ("" = none)."""

    process: str
    signal: str
    stage: str
    fault: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.process, self.signal, self.stage, self.fault and f"+{self.fault}")))


# What a fault of the venue adds to every bound.
EXTRA_MS = {
    "late_accept": 1500.0,  # its delay
    "lost_reply": 3000.0,  # no answer at all: the order is asked for
    "swallowed_cancel": 10_000.0,  # the venue lies: found when the open orders are compared
}
# Faults of the venue at the same time as a kill: what is set of them, and the cells they are tried with.
FAULTS: dict[str, dict] = {
    "unknown_placed": {"rate": 0.3},
    "unknown_dropped": {"rate": 0.3},
    "late_accept": {"rate": 0.3, "delay_s": 1.5},
    "lost_reply": {"of": "place", "rate": 0.3},
    "swallowed_cancel": {"rate": 0.3},
    "survivor": {"count": 2},
    "drop_event": {"event": "ORDER_TRADE_UPDATE", "rate": 0.3},
    "double_event": {"rate": 0.3},
    "swap_events": {"rate": 0.3},
    "half_open": {"route": "private", "for_s": 3.0},
    "key_expired": {},
    "key_lost": {},
    "gap": {"rate": 0.2},
}
COMBINED = (
    Cell("gateway", "KILL", "place", "unknown_placed"),
    Cell("gateway", "KILL", "place", "late_accept"),
    Cell("gateway", "STOP", "place", "lost_reply"),
    Cell("gateway", "KILL", "cancel", "survivor"),
    Cell("gateway", "KILL", "fills", "drop_event"),
    Cell("gateway", "STOP", "fills", "double_event"),
    Cell("gateway", "KILL", "quoting", "key_lost"),
    Cell(f"quoter.{BTC}", "KILL", "cancel", "swallowed_cancel"),
    Cell(f"quoter.{BTC}", "KILL", "quoting", "key_expired"),
    Cell(f"quoter.{BTC}", "STOP", "place", "unknown_dropped"),
    Cell("guardian", "KILL", "quoting", "half_open"),
    Cell("feed.main", "KILL", "quoting", "gap"),
    Cell("feed.main", "KILL", "fills", "swap_events"),
)


def is_cell(process: str, stage: str) -> bool:
    """Return whether a combination says something: supervisord is not started or stopped by itself."""
    if process == "supervisord":
        return stage not in ("start", "shutdown")
    if process == PAIR:
        return stage not in ("start", "shutdown")
    return not (process == "sim" and stage in ("start", "shutdown"))


CELLS = (
    *(Cell(p, s, stage) for stage in STAGES for p in PROCESSES for s in SIGNALS if is_cell(p, stage)),
    *COMBINED,
)


def is_last(cell: Cell) -> bool:
    """Return whether a life cannot go on after a cell: the ledger, or what restarts processes, is gone."""
    return cell.signal == "KILL" and cell.process in ("sim", "supervisord")


def plan(kills: int, seed: int, cells=CELLS) -> list[Cell]:
    """Return `kills` cells. Consecutive seeds go on where the one before stopped, so over seeds every cell comes."""
    shuffled = list(cells)
    random.Random(0).shuffle(shuffled)
    begin = seed * kills
    return [shuffled[(begin + i) % len(shuffled)] for i in range(kills)]


def lives_of(cells: list[Cell], most: int = 14) -> list[list[Cell]]:
    """Divide cells among lives: those that end one come last, one in each."""
    enders = [cell for cell in cells if is_last(cell)]
    others = [cell for cell in cells if not is_last(cell)]
    count = max(len(enders), -(-len(others) // most), 1)
    share = -(-len(others) // count)
    lives = [others[i * share : (i + 1) * share] + enders[i : i + 1] for i in range(count)]
    return [life for life in lives if life]


def short_plan(seed: int) -> list[Cell]:
    """Return the cells of one short life; over seeds every cell comes, every other time with one that ends it."""
    cells = plan(4, seed, [cell for cell in CELLS if not is_last(cell)])
    enders = [cell for cell in CELLS if is_last(cell)]
    return cells + ([enders[seed // 2 % len(enders)]] if seed % 2 else [])


class Bound(NamedTuple):
    """Whose orders must be gone from the venue, how soon."""

    symbols: tuple[str, ...]
    ms: float


def bound_of(cell: Cell, hold_s: float, traded: list[str]) -> Bound | None:
    """Return what a cell demands of the orders that were open; None: they may stay."""
    everything = tuple(traded)
    extra = EXTRA_WITH_FAULT_MS + EXTRA_MS.get(cell.fault, 0.0) if cell.fault else 0.0
    extra += 1000.0 * IN_FLIGHT_S if cell.stage in ("place", "cancel") else 0.0
    killed = cell.signal == "KILL"
    if cell.process.startswith("quoter."):
        return Bound((cell.process.partition(".")[2],), (1000.0 if killed else 300.0 + ROUND_TRIP_MS) + extra)
    if cell.process.startswith("feed."):
        return Bound(everything, 300.0 + ROUND_TRIP_MS + extra)
    if cell.process == "gateway" and (killed or hold_s > 2 * FENCED_AFTER_S):
        return Bound(everything, (1000.0 if killed else 1500.0) + extra)
    if cell.process == PAIR and (killed or hold_s > COUNTDOWN_S):
        # Stopped both, only the venue's own countdown is left.
        return Bound(everything, (3000.0 if killed else 1000.0 * COUNTDOWN_S + ROUND_TRIP_MS) + extra)
    if cell.process == "supervisord" and killed:
        return Bound(everything, 2000.0 + extra)
    return None


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
    wrong: list[str] = field(default_factory=list)

    def as_row(self) -> dict:
        return asdict(self) | {"cell": self.cell._asdict()}

    def late(self, tolerance: float = 1.0) -> str:
        """Return what took longer than `tolerance` times its bound, "" = nothing."""
        if self.bound_ms is None:
            return ""
        if self.gone_ms is None:
            return "orders were never gone"
        over = self.gone_ms > self.bound_ms * tolerance
        return f"orders gone after {self.gone_ms:.0f} ms, bound {self.bound_ms:.0f} ms" if over else ""


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

    # ---- the venue and the configuration

    def control(self, method: str, what: str, **params) -> None:
        url = f"http://127.0.0.1:{self.config.sim.port}/sim/{what}?{urllib.parse.urlencode(params)}"
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as answer:
            answer.read()

    def switch_on(self, name: str, **settings) -> None:
        self.control("POST", "faults", name=name, **settings)

    @contextlib.contextmanager
    def fault(self, name: str, **settings):
        """Have a fault on, until it is left or the venue has died."""
        self.switch_on(name, **settings)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                self.control("DELETE", "faults", name=name)

    def change_configuration(self) -> None:
        """Write another number of layers; ops adopts it."""
        entry = configuration.load(self.path).symbols[BTC]
        near = msgspec.structs.replace(entry.ladder.near, layers=9 - entry.ladder.near.layers)  # four or five
        entry = msgspec.structs.replace(entry, ladder=msgspec.structs.replace(entry.ladder, near=near))
        changed = msgspec.structs.replace(self.config, symbols=self.config.symbols | {BTC: entry})
        temporary = self.path.with_suffix(".new")
        temporary.write_text(yaml_of(changed))
        temporary.rename(self.path)


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
        with fault, getattr(stage, cell.stage)() as result.hit:
            epoch = phx.epoch()
            old = {name: phx.pid(name) for name in cell.process.split("+")}
            at_ms = time.time() * 1000
            phx.hit(cell.process, signal.SIGKILL if cell.signal == "KILL" else signal.SIGSTOP)
            if cell.signal == "STOP":
                try:
                    time.sleep(result.hold_s)
                finally:
                    for pid in old.values():
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGCONT)
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
            late = lives.placed(traded, int(at_ms) + 1000, int(at_ms + 1000 * result.hold_s))
            if late:
                result.wrong.append(f"{len(late)} adding orders more than 1 s after the guardian had stopped")
        result.wrong += self.books_wrong(BOOKS_WITH_FAULT_S if cell.fault else BOOKS_WITHIN_S)
        result.wrong += self.orphans(RECONCILED_WITHIN_S if cell.fault else NOTICED_WITHIN_S)
        refused = {} if cell.fault else phx.refused()
        result.wrong += mistakes_in(history, refused, phx.instruments(), phx.config)

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
