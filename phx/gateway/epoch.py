"""What one life of the gateway leaves to the next: its number, whether it ended cleanly, its totals."""

import logging
import time
from pathlib import Path

import msgspec
import numpy as np

from phx import topology
from phx._core.enums import JournalKind
from phx._core.records import OWN, fnv1a
from phx._core.ring import RingReader
from phx.durable import write_durably
from phx.instruments import Units
from phx.segment import Segment, SegmentMissing, SegmentRefused

log = logging.getLogger("phx.gateway")

TOTALS = (
    "position_lots",
    "open_cost_ticklots",
    "realised_ticklots",
    "fees_e8",
    "funding_e8",
    "volume_ticklots",
    "taker_volume_ticklots",
    "fills",
)


def next_epoch(run_folder: Path) -> int:
    """Begin a new life: return its number, which is on disk before anything can be sent under it."""
    path = run_folder / "epoch"
    try:
        last = int(path.read_text())
    except FileNotFoundError:
        last = 0
    except ValueError:
        raise RuntimeError(
            f"{path}: {path.read_bytes()[:40]!r}, expected the number of the last life; write one that is larger than "
            "any used on this account, since it keeps client order ids unique"
        ) from None
    write_durably(path, str(last + 1).encode())
    return last + 1


def clean_marker(run_folder: Path) -> Path:
    return run_folder / "gateway.clean"


def mark_clean(run_folder: Path, epoch: int) -> None:
    """Say that this life has proven that it left no open order."""
    write_durably(clean_marker(run_folder), f"{epoch}\n".encode())


def ended_cleanly(run_folder: Path) -> bool:
    """Return whether the last life proved that it left no open order; the mark is taken away for this one."""
    marker = clean_marker(run_folder)
    clean = marker.exists() or not (run_folder / "epoch").exists()
    marker.unlink(missing_ok=True)
    return clean


class Day(msgspec.Struct):
    """The UTC day whose loss is limited. base_e8: added to the totals' profit it gives the day's."""

    start_s: int = 0
    base_e8: int = 0


def read_day(run_folder: Path) -> Day:
    try:
        return msgspec.json.decode((run_folder / "day.json").read_bytes(), type=Day)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return Day()


def write_day(run_folder: Path, day: Day) -> None:
    write_durably(run_folder / "day.json", msgspec.json.encode(day))


class Payment(msgspec.Struct):
    """A funding payment that is booked: when the account's stream told it, when and under which number the history
    does. 0, "": it has not yet."""

    amount_e8: int
    told_ms: int = 0
    paid_ms: int = 0
    number: str = ""


class FundingBook(msgspec.Struct):
    """What a total of funding holds: everything since `since_ms`. payments: those that the history may tell again.

    read_ms: until when it was read.
    """

    since_ms: int
    read_ms: int
    payments: list[Payment] = []


class Inherited(msgspec.Struct):
    """One symbol's books as a former life left them: totals, and the trade ids that they hold.

    A fill may be in the journal while the record that carries it was never published: trades newer than the totals'
    newest are not booked, wherever else they stand. fees_missing: trades whose fee the totals do not hold, or that had
    none. ts_ms: when the totals were published, UTC. funding: None in books that an older phx wrote.
    units: what the totals are counted in, None in books that an older phx wrote.
    """

    totals: dict[str, int]
    trade_ids: set[int]
    newest_trade_id: int
    ts_ms: int
    fees_missing: set[int] = set()
    funding: FundingBook | None = None
    units: Units | None = None


Books = dict[str, Inherited]


def read_books(run_folder: Path) -> Books:
    """Return the books as last written to disk: they survive the host, and lives that end before theirs are whole."""
    try:
        return msgspec.json.decode((run_folder / "books.json").read_bytes(), type=Books)
    except FileNotFoundError:
        return {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.error("gateway: books.json is not readable, profit and the day's loss begin at zero: %s", error)
        return {}


def newest_books(on_disk: Books, in_memory: Books) -> Books:
    """Return each symbol's newest books. Funding is as on disk: shared memory does not say which payments it holds,
    and the venue's history tells those that are missing again."""
    for symbol, life in in_memory.items():
        if symbol in on_disk:
            life.totals["funding_e8"] = on_disk[symbol].totals["funding_e8"]
            life.funding = on_disk[symbol].funding
    return on_disk | in_memory


def write_books(run_folder: Path, books: Books) -> None:
    write_durably(run_folder / "books.json", msgspec.json.encode(books))


def whole(entries: np.ndarray) -> np.ndarray:
    """Return the journal's entries without those whose check does not fit: a life that died while writing one."""
    bare = entries.view((np.uint8, entries.dtype.itemsize))[:, :-8]
    checks = [fnv1a(row.tobytes()) for row in bare]
    kept = entries["check"] == np.array(checks, np.uint64)
    if not kept.all():
        log.warning("gateway: %d torn journal entries of the former life are not used", int((~kept).sum()))
    return entries[kept]


def attach(folder: Path, name: str) -> Segment | None:
    try:
        return Segment.attach(folder, name, topology.kind_of(name).record)
    except (SegmentMissing, SegmentRefused):
        return None


def inherit(folder: Path, symbol_ids: dict[str, int], in_use: dict[str, list[Units]] | None = None) -> Books:
    """Read what a life that died at work left in shared memory; to be called before its segments are replaced.

    in_use: by symbol, the units that it may be counted in; what is in none of them is left to the books on disk.
    """
    found = {}
    booted_ms = (time.time_ns() - time.monotonic_ns()) // 1_000_000
    journal = attach(folder, "journal")
    if journal is not None:
        fills = whole(journal.records[journal.records["kind"] == JournalKind.JOURNAL_FILL])
    for symbol, symbol_id in symbol_ids.items():
        own = attach(folder, f"own.{symbol}")
        if own is None or journal is None:
            continue
        units = next((u for u in (in_use or {}).get(symbol, ()) if u.hash == own.units_hash), None)
        if own.units_hash and units is None:
            continue
        record = RingReader(own.memory, OWN).read_newest()
        if record is not None and record["ready"]:
            totals = {name: int(record[name]) for name in TOTALS}
            newest = int(record["newest_trade_id"])
            rows = fills[(fills["symbol_id"] == symbol_id) & (fills["trade_id"] <= newest)]
            booked = {int(i) for i in rows["trade_id"][rows["qty_lots"] > 0]}
            with_fee = {int(i) for i in rows["trade_id"][rows["fee_e8"] != 0]}
            ts_ms = booted_ms + int(record["now_mono_ns"]) // 1_000_000
            found[symbol] = Inherited(totals, booked, newest, ts_ms, booked - with_fee, units=units)
    return found
