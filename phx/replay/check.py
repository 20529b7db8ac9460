"""`phx feed check FILE…`: rebuild the books of recordings through the feed's own code and hold them against bookTicker.

bookTicker is the oracle: after every delta, price and size of the best bid and ask equal those of the bookTicker with
the greatest id that is not above the delta's.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from phx._core import records
from phx._core.feed import FeedCore, Stream
from phx._core.ring import RingWriter
from phx.recording import Frame, up_to_cut
from phx.segment import private_memory

RING_SLOTS = 1024
# The streams a feed asks for. Partial books (depth5, depth10, depth20) look like deltas but are none.
BOOK_KINDS = ("bookTicker", "depth")
KINDS = (*BOOK_KINDS, "trade", "aggTrade", "markPrice")


class _Levels(msgspec.Struct):
    """Whatever has prices in it: levels of a delta or snapshot, or the top of a bookTicker."""

    b: str | list[tuple[str, str]] = ""
    a: str | list[tuple[str, str]] = ""
    bid_qty: str = msgspec.field(name="B", default="")
    ask_qty: str = msgspec.field(name="A", default="")
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []


_decode_levels = msgspec.json.Decoder(_Levels).decode


class Decimals:
    """How many decimals the prices and quantities of one symbol need: the finest tick and lot seen."""

    def __init__(self):
        self.price = 0
        self.qty = 0

    def see(self, payload: bytes) -> None:
        found = _decode_levels(payload)
        for side, qty in ((found.b, found.bid_qty), (found.a, found.ask_qty)):
            for price, size in [(side, qty)] if isinstance(side, str) else side:
                self.price = max(self.price, decimals(price))
                self.qty = max(self.qty, decimals(size))
        for price, size in (*found.bids, *found.asks):
            self.price = max(self.price, decimals(price))
            self.qty = max(self.qty, decimals(size))


def decimals(text: str) -> int:
    """Return the decimals of a number's text without trailing zeros."""
    return len(text.partition(".")[2].rstrip("0"))


class Result(NamedTuple):
    """What the check of one symbol in one file found."""

    symbol: str
    messages: int
    diffs: int
    gaps: int
    crossed: int
    tops: int
    different: int
    problems: tuple[str, ...]

    @property
    def equal_share(self) -> float:
        return 1 - self.different / self.tops if self.tops else 0.0


def kind_of(item) -> str:
    """Return the kind of stream of a frame, "snapshot" for an answer of REST."""
    return item.stream.partition("@")[2].partition("@")[0] if isinstance(item, Frame) else "snapshot"


def scales(path: Path) -> dict[str, Decimals]:
    """Return the decimals of each symbol of a recording, from its books and bookTickers."""
    found: dict[str, Decimals] = {}
    for item in up_to_cut(path):
        if not item.symbol or kind_of(item) not in (*BOOK_KINDS, "snapshot"):
            continue
        found.setdefault(item.symbol, Decimals()).see(item.payload)
    return found


def check(path: Path, said=lambda error: None) -> list[Result]:
    """Rebuild the books of one recording; return a result per symbol, in order of appearance.

    A recording that is cut off is checked up to there; then `said` is called with the error.
    """
    core = FeedCore()
    counters, index, messages, book_frames = {}, {}, Counter(), Counter()
    for symbol, scale in scales(path).items():
        rings = [
            RingWriter(private_memory(dtype, RING_SLOTS), dtype) for dtype in (records.BBO, records.BOOK, records.TAPE)
        ]
        counters[symbol] = np.zeros(1, records.FEED_COUNTERS)
        index[symbol] = core.add(symbol, len(index), (scale.price, 1, scale.qty, 1), *rings, counters[symbol])
    for item in up_to_cut(path, said):
        if item.symbol not in index:
            continue
        messages[item.symbol] += isinstance(item, Frame)
        kind = kind_of(item)
        if kind == "snapshot":
            core.snapshot(index[item.symbol], item.payload, item.recv_ns, item.recv_ns)
        elif kind in KINDS:
            core.frame(item.raw, item.recv_ns, item.recv_ns)
            book_frames[item.symbol] += kind in BOOK_KINDS
    core.finish()
    return [
        result(core.instruments[i], messages[symbol], book_frames[symbol], counters[symbol][0])
        for symbol, i in index.items()
    ]


def result(feed, messages: int, book_frames: int, counted) -> Result:
    """Return the result of a symbol from its feed, the frames of its book in the file, and the feed's counters."""
    problems = []
    unread = book_frames - sum(
        feed.frames_by_stream[stream] for stream in (Stream.STREAM_BOOK_TICKER, Stream.STREAM_DEPTH)
    )
    if unread:
        problems.append(f"{unread} frames refused")
    if feed.frames_by_stream[Stream.STREAM_DEPTH] and not counted["resyncs"]:
        problems.append("no snapshot that its deltas continue")
    if counted["gaps"]:
        problems.append(f"{counted['gaps']} gaps")
    if counted["crossed"]:
        problems.append(f"{counted['crossed']} crossed books")
    if counted["top_different"]:
        problems.append(f"{counted['top_different']} tops unlike bookTicker")
    return Result(
        feed.symbol,
        messages,
        int(counted["diffs"]),
        int(counted["gaps"]),
        int(counted["crossed"]),
        int(counted["top_checked"]),
        int(counted["top_different"]),
        tuple(problems),
    )


HEADINGS = ("symbol", "messages", "diffs", "gaps", "crossed", "tops", "equal %")


def main(paths) -> int:
    """Print what the check of each recording found; return 1 when a book was ever not what bookTicker says."""
    failed = False
    print("{:<14}{:>10}{:>10}{:>8}{:>9}{:>10}{:>10}".format(*HEADINGS))
    for path in paths:
        cuts = []
        try:
            results = check(Path(path), cuts.append)
        except (ValueError, OSError) as error:
            cuts, results = [error], []
        for error in cuts:
            print(error, file=sys.stderr)
            failed = True
        if not results:
            continue
        print(path)
        for r in results:
            equal = f"{100 * r.equal_share:.3f}" if r.tops else "-"
            print(
                f"{r.symbol:<14}{r.messages:>10}{r.diffs:>10}{r.gaps:>8}{r.crossed:>9}{r.tops:>10}{equal:>10}"
                + (f"  {', '.join(r.problems)}" if r.problems else "")
            )
            failed |= bool(r.problems)
    return 1 if failed else 0
