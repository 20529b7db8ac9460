"""The recorded market: recordings of several symbols as one continuous stream of book changes, tops and trades.

Files are read lazily and merged on the venue's clock (E, made monotone per file: streams overtake each other by some
milliseconds, their order in the file stays). The market is the window that all recordings share: it begins when every
symbol has a book and ends with the first recording that ends, or is found to be damaged.

Looped, the next pass carries on with later times and ids. Its snapshot is turned into one delta from the book of the
end to the book of the beginning, so a client never sees a gap. A hole in a recording is joined in the same way.
"""

import enum
import heapq
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from phx._core.enums import Side, TradeOrigin
from phx.instruments import Instrument, InstrumentError
from phx.recording import Recording, RecordingError, Snapshot, sources, symbols

log = logging.getLogger(__name__)

JOIN_GAP_NS = 50_000_000  # between the last record of a pass and the first of the next: a usual pause between deltas
PROBED_FRAMES = 5000  # enough to meet every symbol of a recording once
EARLY_RECORDS = 20_000  # kept while a symbol waits for its snapshot; one comes within a second of its deltas
MEMO_TEXTS = 200_000  # distinct decimal texts remembered per instrument and column
NS_PER_MS = 1_000_000

Levels = list[tuple[int, int]]  # (price_ticks, qty_lots); in a delta 0 lots remove the level

ORIGINS = {
    "MARKET": TradeOrigin.ORIGIN_MARKET,
    "RPI": TradeOrigin.ORIGIN_RPI,
    "ADL": TradeOrigin.ORIGIN_LIQUIDATION,
    "INSURANCE_FUND": TradeOrigin.ORIGIN_INSURANCE,
    "NA": TradeOrigin.ORIGIN_NONE,
}


class Kind(enum.IntEnum):
    SNAPSHOT = 1  # once per symbol, before everything else
    DELTA = 2
    TOP = 3
    TRADE = 4


class Book(NamedTuple):
    """The payload of a SNAPSHOT: bids and asks, best first."""

    update_id: int
    bids: Levels
    asks: Levels


class Delta(NamedTuple):
    """Changed levels with their new quantities, prices ascending. prev_id equals last_id of the delta before."""

    first_id: int  # U
    last_id: int  # u
    prev_id: int  # pu
    bids: Levels
    asks: Levels


class Top(NamedTuple):
    """Best bid and ask; an empty side is 0, 0."""

    update_id: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


class Trade(NamedTuple):
    """One trade. Only ORIGIN_MARKET moves the last price or fills a resting order; ORIGIN_NONE has price and size 0."""

    trade_id: int
    price_ticks: int
    qty_lots: int
    aggressor: int  # Side of the taker
    origin: int  # TradeOrigin


class Recorded(NamedTuple):
    """One record of the market. ts_ns: venue time since the market's start, never decreasing."""

    ts_ns: int
    symbol: str
    kind: Kind
    payload: Book | Delta | Top | Trade


class RecordedMarket:
    """Iterate recordings as one market; every iteration starts anew.

    instruments: the symbols wanted, by the name they trade under here; each must be in a recording.
    relabel: recorded symbol → that name; where it says nothing, xxxUSDT stands for a wanted xxxUSDC that is not
    recorded itself. One recorded symbol may serve as both (a watched BTCUSDT beside a traded BTCUSDC).
    """

    def __init__(
        self,
        paths: Iterable[Path | str],
        instruments: Mapping[str, Instrument],
        relabel: Mapping[str, str] | None = None,
        loop: bool = True,
    ):
        self.paths = [Path(path) for path in paths]
        self.instruments = dict(instruments)
        self.loop = loop
        recorded = [symbols(path, PROBED_FRAMES) for path in self.paths]
        self.names = relabelled([symbol for found in recorded for symbol in found], self.instruments, relabel or {})

    def __iter__(self) -> Iterator[Recorded]:
        continuities = {symbol: _Continuity(symbol) for symbol in self.instruments}
        begin_ns = 0
        while True:
            ts_ns = begin_ns
            for ts_ns, symbol, kind, payload in self._one_pass(continuities, begin_ns):
                yield Recorded(ts_ns, symbol, kind, payload)
            if not self.loop:
                return
            begin_ns = ts_ns + JOIN_GAP_NS

    def _one_pass(self, continuities, begin_ns):
        books = {symbol: _Continuity(symbol) for symbol in continuities}  # until every symbol has one
        start_ns = None
        try:
            for venue_ns, symbol, kind, payload in _merged([self._decoded(path) for path in self.paths]):
                if start_ns is not None:
                    for out in continuities[symbol].take(kind, payload):
                        yield begin_ns + venue_ns - start_ns, symbol, *out
                    continue
                deque(books[symbol].take(kind, payload), maxlen=0)
                if not any(book.waiting for book in books.values()):
                    start_ns = venue_ns
                    begun = [(name, *out) for name, book in books.items() for out in continuities[name].join(book)]
                    for record in sorted(begun, key=lambda record: record[1] != Kind.SNAPSHOT):
                        yield begin_ns, *record
        except RecordingError as error:
            if start_ns is None:
                raise
            log.error("%s; the recorded market ends there", error)
        if start_ns is None:
            missing = ", ".join(symbol for symbol, book in books.items() if book.waiting)
            files = ", ".join(map(str, self.paths))
            raise RecordingError(f"{files}: no depth snapshot that fits the deltas of {missing} in their common time")

    def _decoded(self, path: Path):
        """Yield (venue_ns, symbol, kind, payload) of one recording with the ids of the file."""
        recording = Recording(path)
        of_symbol = {
            recorded: [_Decoder(self.instruments[name]) for name in names] for recorded, names in self.names.items()
        }
        venue_ms = 0
        for item in recording:
            try:
                for decoder in of_symbol.get(item.symbol, ()):
                    decoded = decoder.decode(item)
                    if decoded is None:
                        break
                    event_ms, kind, payload = decoded
                    if not event_ms and kind != Kind.SNAPSHOT:
                        event_ms = item.recv_ns // NS_PER_MS
                    venue_ms = max(venue_ms, event_ms)
                    yield venue_ms * NS_PER_MS, decoder.instrument.symbol, kind, payload
            except (msgspec.DecodeError, InstrumentError) as error:
                raise recording.error(str(error)) from None


def _merged(streams: list[Iterator]) -> Iterator:
    """Yield the items of all streams by their time (the first field), until the first of them ends."""
    heap = [(item[0], index, item) for index, source in enumerate(streams) for item in (next(source, None),) if item]
    if len(heap) < len(streams):
        return
    heapq.heapify(heap)
    while True:
        _, index, item = heap[0]
        yield item
        item = next(streams[index], None)
        if item is None:
            return
        heapq.heapreplace(heap, (item[0], index, item))


def relabelled(recorded: list[str], wanted: Iterable[str], relabel: Mapping[str, str]) -> dict[str, list[str]]:
    """Return recorded symbol → the wanted names it serves as; RecordingError unless every name has one source."""
    found = sources(recorded, wanted, relabel)
    for name, serving in found.items():
        if len(serving) != 1:
            problem = "is in two recordings" if serving else "is in none of the recordings"
            raise RecordingError(f"{name} {problem}, which hold {', '.join(recorded) or 'nothing'}; relabel: {relabel}")
    return {symbol: [name for name, serving in found.items() if serving == [symbol]] for symbol in recorded}


class _DepthEvent(msgspec.Struct):
    U: int
    u: int
    pu: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    E: int = 0


class _DepthAnswer(msgspec.Struct):
    lastUpdateId: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    E: int = 0


class _TopEvent(msgspec.Struct):
    u: int
    b: str
    B: str
    a: str
    A: str
    E: int = 0


class _TradeEvent(msgspec.Struct):
    """@trade, and @aggTrade whose last trade id is `l`."""

    p: str
    q: str
    m: bool
    E: int = 0
    t: int = 0
    last: int = msgspec.field(name="l", default=0)
    X: str = "MARKET"


class _Memo(dict):
    """Decimal text → integer by an exact, slow rule, remembered: texts repeat."""

    def __init__(self, rule):
        self.rule = rule

    def __missing__(self, text: str) -> int:
        if len(self) > MEMO_TEXTS:
            self.clear()
        value = self[text] = self.rule(text)
        return value


class _Decoder:
    """From one symbol's frames to ticks, lots and ids as recorded; frames of other streams give None."""

    def __init__(self, instrument: Instrument):
        self.instrument = instrument
        self._ticks = _Memo(instrument.ticks)
        self._lots = _Memo(instrument.lots)
        self._depth_stream = ""  # the first one met, should a file hold several speeds
        self._has_trades = False
        self._depth_event = msgspec.json.Decoder(_DepthEvent).decode
        self._depth_answer = msgspec.json.Decoder(_DepthAnswer).decode
        self._top_event = msgspec.json.Decoder(_TopEvent).decode
        self._trade_event = msgspec.json.Decoder(_TradeEvent).decode

    def decode(self, item) -> tuple[int, Kind, Book | Delta | Top | Trade] | None:
        """Return event time in ms (0 if not told), kind and payload."""
        if isinstance(item, Snapshot):
            answer = self._depth_answer(item.payload)
            book = Book(answer.lastUpdateId, self._levels(answer.bids), self._levels(answer.asks))
            return answer.E, Kind.SNAPSHOT, book
        stream = item.stream.split("@")[1]
        if stream == "bookTicker":
            event = self._top_event(item.payload)
            ticks, lots = self._ticks, self._lots
            return event.E, Kind.TOP, Top(event.u, ticks[event.b], lots[event.B], ticks[event.a], lots[event.A])
        if stream == "depth":
            self._depth_stream = self._depth_stream or item.stream
            if item.stream != self._depth_stream:
                return None
            event = self._depth_event(item.payload)
            bids, asks = self._levels(event.b), self._levels(event.a)
            return event.E, Kind.DELTA, Delta(event.U, event.u, event.pu, bids, asks)
        if stream == "trade" or (stream == "aggTrade" and not self._has_trades):
            # An aggTrade comes 100 ms after its trades, so where both are recorded a trade is met first.
            self._has_trades = stream == "trade"
            event = self._trade_event(item.payload)
            aggressor = Side.SELL if event.m else Side.BUY
            origin = ORIGINS.get(event.X, TradeOrigin.ORIGIN_UNKNOWN)
            if origin == TradeOrigin.ORIGIN_MARKET:
                price_ticks, qty_lots = self._ticks[event.p], self._lots[event.q]
            else:
                # Prices of bankruptcy need not be on the grid, and fill nothing.
                price_ticks, qty_lots = self.instrument.ticks_floor(event.p), self.instrument.lots_floor(event.q)
            return event.E, Kind.TRADE, Trade(event.t or event.last, price_ticks, qty_lots, aggressor, origin)
        return None

    def _levels(self, texts: list[tuple[str, str]]) -> Levels:
        ticks, lots = self._ticks, self._lots
        return [(ticks[price], lots[qty]) for price, qty in texts]


class _Continuity:
    """One symbol's records without a gap: waits for a snapshot, joins it to what was sent, shifts ids of a new pass.

    waiting: no usable book at the moment. Deltas and tops that come meanwhile are kept, as the snapshot may be older.
    patched: a hole was bridged without a snapshot. Levels may be stale then, but never better than the tops told.
    """

    def __init__(self, symbol: str):
        self.symbol = symbol
        self.waiting = True
        self.patched = False
        self._holed = False  # waiting since a hole, so there is an old book
        self._early = deque(maxlen=EARLY_RECORDS)
        self._sides: tuple[dict, dict] = ({}, {})  # the book as sent: price_ticks → qty_lots, bids and asks
        self._started = False
        self._shift = 0  # added to the file's update ids
        self._file_id = 0  # update id of the book, as in the file
        self._top_id = 0  # update id of the newest top sent
        self._ahead: deque[Top] = deque()  # tops sent that are newer than the book
        self._agreed = Top(0, 0, 0, 0, 0)  # the newest top sent that is not
        self._trade_shift = 0
        self._last_trade_id = 0

    def join(self, book: "_Continuity") -> Iterator[tuple[Kind, Book | Top]]:
        """Yield what to send to carry on from a book as another pass, or the first one, begins with it."""
        self.waiting = True
        self._early.clear()
        bids, asks = book._sides
        yield from self._begin(Book(book._file_id, sorted(bids.items(), reverse=True), sorted(asks.items())))
        for top in book._ahead:
            yield from self._top(top)

    def take(self, kind: Kind, payload) -> Iterator[tuple[Kind, Book | Delta | Top | Trade]]:
        """Yield what to send for one record of the file."""
        if self.patched and kind in (Kind.DELTA, Kind.TOP):
            self._early.append((kind, payload))  # a later snapshot makes the book whole
        if kind == Kind.DELTA:
            yield from self._delta(payload)
        elif kind == Kind.SNAPSHOT and (self.waiting or self.patched):
            yield from self._begin(payload)
        elif self.waiting and kind == Kind.TOP:
            self._early.append((kind, payload))
            if self._holed:
                yield from self._patch(payload)
        elif self.waiting:
            return
        elif kind == Kind.TOP:
            yield from self._top(payload)
        elif kind == Kind.TRADE:
            yield kind, self._trade(payload)

    def _begin(self, book: Book) -> Iterator:
        first = next((payload for kind, payload in self._early if kind == Kind.DELTA), None)
        if first and first.prev_id > book.update_id:
            return  # too old: deltas between the snapshot and the first one kept are missing
        sent_id = self._file_id + self._shift
        newest_id = max(sent_id, self._top_id)
        if book.update_id + self._shift <= newest_id:
            self._shift = newest_id + 1 - book.update_id
        self.waiting = self.patched = self._holed = False
        self._file_id = book.update_id
        book_id = book.update_id + self._shift
        old, new = self._sides, (dict(book.bids), dict(book.asks))
        self._sides = new
        # Clients may have merged the tops into their books.
        told = {top.bid_ticks for top in self._ahead}, {top.ask_ticks for top in self._ahead}
        self._ahead.clear()
        if self._started:
            yield Kind.DELTA, Delta(book_id, book_id, sent_id, *map(_difference, old, new, told))
        else:
            self._started = True
            yield Kind.SNAPSHOT, book
        self._top_id = book_id
        self._agreed = _best(book_id, *new)
        yield Kind.TOP, self._agreed
        early = list(self._early)
        self._early.clear()
        for kind, payload in early:
            yield from self.take(kind, payload)

    def _delta(self, delta: Delta) -> Iterator:
        if self.waiting:
            self._early.append((Kind.DELTA, delta))
        elif delta.last_id <= self._file_id:
            return
        elif delta.prev_id > self._file_id:
            log.warning(
                "%s: the recording has a hole: delta %d follows %d, expected %d; waiting for a snapshot or a new top",
                self.symbol, delta.last_id, delta.prev_id, self._file_id,
            )  # fmt: skip
            self.waiting = self._holed = True
            self.patched = False
            self._early.clear()
            self._early.append((Kind.DELTA, delta))
        else:
            sent_id = self._file_id + self._shift
            self._file_id = delta.last_id
            _apply(self._sides, (delta.bids, delta.asks))
            first_id, last_id = delta.first_id + self._shift, delta.last_id + self._shift
            while self._ahead and self._ahead[0].update_id <= last_id:
                self._agreed = self._ahead.popleft()
            changes = delta.bids, delta.asks
            if self.patched:
                stale = _unlike(self._sides, self._agreed)
                _apply(self._sides, stale)
                changes = [sorted((dict(told) | dict(more)).items()) for told, more in zip(changes, stale, strict=True)]
            yield Kind.DELTA, Delta(first_id, last_id, sent_id, *changes)

    def _patch(self, top: Top) -> Iterator:
        """Carry on after a hole from the old book, the deltas since, and a top that tells what is stale of it."""
        sides = tuple(map(dict, self._sides))
        last_id = self._file_id
        for kind, payload in self._early:
            if kind == Kind.DELTA:
                _apply(sides, (payload.bids, payload.asks))
                last_id = payload.last_id
        _apply(sides, _unlike(sides, top))
        yield from self._begin(Book(last_id, sorted(sides[0].items(), reverse=True), sorted(sides[1].items())))
        self.patched = True

    def _top(self, top: Top) -> Iterator:
        top = top._replace(update_id=top.update_id + self._shift)
        if top.update_id > self._top_id:
            self._top_id = top.update_id
            self._ahead.append(top)
            yield Kind.TOP, top

    def _trade(self, trade: Trade) -> Trade:
        if trade.trade_id + self._trade_shift <= self._last_trade_id:
            self._trade_shift = self._last_trade_id + 1 - trade.trade_id
        self._last_trade_id = trade.trade_id + self._trade_shift
        return trade._replace(trade_id=self._last_trade_id)


def _apply(sides: tuple[dict, dict], changes: Iterable[Levels]) -> None:
    """Set levels to absolute quantities; 0 removes."""
    for side, levels in zip(sides, changes, strict=True):
        for price_ticks, qty_lots in levels:
            if qty_lots:
                side[price_ticks] = qty_lots
            else:
                side.pop(price_ticks, None)


def _unlike(sides: tuple[dict, dict], top: Top) -> tuple[Levels, Levels]:
    """Return the changes that make this the top of a book."""
    bids, asks = sides
    bid = [(top.bid_ticks, top.bid_lots)] if top.bid_lots else []
    ask = [(top.ask_ticks, top.ask_lots)] if top.ask_lots else []
    return (
        bid + [(price_ticks, 0) for price_ticks in bids if price_ticks > top.bid_ticks],
        ask + [(price_ticks, 0) for price_ticks in asks if price_ticks < top.ask_ticks],
    )


def _difference(old: dict[int, int], new: dict[int, int], told: set[int]) -> Levels:
    """Return the levels that turn one side of a book into another, prices ascending, with all those in `told`."""
    return [
        (price_ticks, new.get(price_ticks, 0))
        for price_ticks in sorted(old.keys() | new.keys() | told)
        if price_ticks in told or old.get(price_ticks, 0) != new.get(price_ticks, 0)
    ]


def _best(update_id: int, bids: dict[int, int], asks: dict[int, int]) -> Top:
    bid_ticks, ask_ticks = max(bids, default=0), min(asks, default=0)
    return Top(update_id, bid_ticks, bids.get(bid_ticks, 0), ask_ticks, asks.get(ask_ticks, 0))
