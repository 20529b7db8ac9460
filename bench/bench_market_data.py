"""Read a frame of market data: from bytes to ticks and lots, and into the book.

Topology: one thread, Cython nogil, 2,000 varied bookTicker frames (about 200 bytes) or 500 depth updates of 40 levels,
in the venue's present form. Measure: ns per frame. Floor: plain C that knows the one symbol and key order. Rivals:
msgspec Structs, json, orjson where installed. A regression means that each tick reaches the quoter later.
"""

import ctypes
import importlib.util
import json

import frames
import msgspec
import pytest
from compiled import floor, loops
from timing import per_operation_ns

from phx._core.binance.decode import Decoder
from phx._core.book import OrderBook


class Ticker(msgspec.Struct):
    e: str
    u: int
    s: str
    b: str
    B: str
    a: str
    A: str
    T: int
    E: int


class Depth(msgspec.Struct):
    e: str
    E: int
    T: int
    s: str
    U: int
    u: int
    pu: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class TickerFrame(msgspec.Struct):
    stream: str
    data: Ticker


class DepthFrame(msgspec.Struct):
    stream: str
    data: Depth


@pytest.fixture(scope="module")
def scan():
    library = floor("scan")
    pointer, number = ctypes.c_void_p, ctypes.c_uint64
    for function, *more in ((library.scan_book_tickers,), (library.scan_depths, ctypes.c_int)):
        function.argtypes = [pointer, pointer, number, number, *more]
        function.restype = number
    return library


def decoder() -> Decoder:
    made = Decoder()
    made.add("BTCUSDC", 1, 1, 3, 1)
    return made


def per_frame_ns(run, taken: frames.Frames, passes: int) -> float:
    """Time `passes` runs over all frames; a reader that does not understand them all is not timed but reported."""
    assert run(1) == len(taken.texts)
    return per_operation_ns(lambda: run(passes), len(taken.texts) * passes)


def rivals(taken: frames.Frames, struct: type) -> dict:
    """Return how long the usual readers take over the same frames; they leave the decimals as text."""
    readers = {"msgspec Struct": msgspec.json.Decoder(struct).decode, "json": json.loads}
    if importlib.util.find_spec("orjson"):
        import orjson

        readers["orjson"] = orjson.loads

    def timed(reader):
        def run(passes):
            for text in taken.texts:
                reader(text)
            return len(taken.texts)

        return lambda: per_frame_ns(run, taken, 1)

    return {name: timed(reader) for name, reader in readers.items()}


def bench_book_ticker_decode_1p(side_by_side, scan):
    """Aims: at most 1.35 x the floor; 6 x, 50 x faster than msgspec and json."""
    taken, module, reader = frames.book_tickers(), loops("decode_loops"), decoder()
    place, starts = taken.blob.ctypes.data, taken.starts.ctypes.data

    def ours(fast=True):
        def run(passes):
            return module.decode(reader, taken.blob, taken.starts, taken.sizes, passes, fast)

        return lambda: per_frame_ns(run, taken, 50)

    def in_c():
        count = len(taken.texts)
        return per_frame_ns(lambda passes: scan.scan_book_tickers(place, starts, count, passes), taken, 50)

    others = {"C floor": in_c, "our any-order reader": ours(fast=False), **rivals(taken, TickerFrame)}
    side_by_side(ours(), others)


@pytest.mark.parametrize("with_book", [False, True], ids=["decode", "decode_and_apply"])
def bench_depth_1p(side_by_side, scan, with_book):
    """Aims: at most 1.4 x the floor with the book; 4 x faster than msgspec's decoding alone."""
    taken, module, reader, book = frames.depths(), loops("decode_loops"), decoder(), OrderBook()
    place, starts = taken.blob.ctypes.data, taken.starts.ctypes.data

    def ours(passes):
        if with_book:
            return module.decode_and_apply(reader, book, taken.blob, taken.starts, taken.sizes, passes)
        return module.decode(reader, taken.blob, taken.starts, taken.sizes, passes)

    def in_c():
        count = len(taken.texts)
        return per_frame_ns(lambda passes: scan.scan_depths(place, starts, count, passes, with_book), taken, 20)

    side_by_side(lambda: per_frame_ns(ours, taken, 20), {"C floor": in_c, **rivals(taken, DepthFrame)})
