"""Recordings of market streams as files: read every known form, write one.

Three forms, told apart by their first line, each as it is or gzipped:

- `*.jsonl`: `<receive time, ns> {"stream": …, "data": {…}}`; answers of REST /depth stand between them, without
  "stream". This is the form that is written.
- `*.ws.txt`: `<receive time, s>: {"stream": …, "data": {…}}` after a line with the URL; the REST answers are in a
  sibling `*.rest.txt`, `<url> -> <receive time, s>: {…}`, and are merged by receive time.
- bare events, one per line, without a receive time (it reads as 0).

Nothing is decoded here but the envelope: payloads are the very bytes that came over the wire.
"""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

GZIP_MAGIC = b"\x1f\x8b"
URL_SCHEMES = (b"ws://", b"wss://")
# How the stream of an event is named when the event came without its envelope.
STREAM_OF_EVENT = {"depthUpdate": "depth", "markPriceUpdate": "markPrice", "24hrTicker": "ticker"}
_NUMBERED = re.compile(rb"(\d+) (?=\{)")
_TIMED = re.compile(rb"(\d+)(?:\.(\d{1,9}))?: (?=\{)")
_REST = re.compile(rb"(\S+) -> (\d+)(?:\.(\d{1,9}))?: (?=\{)")
_SYMBOL_IN_URL = re.compile(rb"[?&]symbol=([A-Za-z0-9_]+)")


class RecordingError(ValueError):
    """A recording that cannot be read; names the file, the line and what is wrong with it."""


class RecordingTruncated(RecordingError):
    """A recording that ends in the middle of a line; what stands before is sound."""


class Frame(NamedTuple):
    """One frame of a market stream. payload: the event alone; raw: the whole frame, with its envelope if it had one."""

    recv_ns: int  # local receive time, UTC epoch; 0 if it was not recorded
    stream: str  # for example "btcusdt@bookTicker"
    payload: bytes
    raw: bytes

    @property
    def symbol(self) -> str:
        """The symbol in capitals, "" for a stream of all symbols."""
        return "" if self.stream.startswith("!") else self.stream.partition("@")[0].upper()


class Snapshot(NamedTuple):
    """One answer of REST /depth."""

    recv_ns: int
    symbol: str
    payload: bytes


class _Line(msgspec.Struct):
    """What tells the kinds of lines apart; everything else stays undecoded."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    event: str = msgspec.field(name="e", default="")
    symbol: str = msgspec.field(name="s", default="")
    last_update_id: int = msgspec.field(name="lastUpdateId", default=0)


_decode_line = msgspec.json.Decoder(_Line).decode


class Recording:
    """Iterate a recording in file order: Frames and Snapshots.

    line: number of the line read last, for the messages of whoever decodes the payloads.
    A REST answer that stands inside a file names no symbol: it is taken for that of the file's streams, which must all
    be of one symbol then.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.line = 0

    def __iter__(self) -> Iterator[Frame | Snapshot]:
        first = next(_lines(self.path), (0, b"", True))[1]
        if first.startswith(URL_SCHEMES) or _TIMED.match(first):
            return self._merged(self._frames(_timed), self._rest_answers())
        if first.startswith(b"{"):
            return self._frames(_bare)
        if first[:1].isdigit():
            return self._named(self._frames(_numbered))
        if _REST.match(first):
            raise RecordingError(f"{self.path}:1: holds answers of REST; give the recording of the streams beside it")
        found = f"begins with {first[:40]!r}" if first else "is empty"
        raise RecordingError(f"{self.path}:1: no known form of recording: the file {found}")

    def error(self, problem: str) -> RecordingError:
        """Return an error that names this file and the line read last."""
        return RecordingError(f"{self.path}:{self.line}: {problem}")

    def _frames(self, split) -> Iterator[Frame | Snapshot]:
        for number, text, whole in _lines(self.path):
            self.line = number
            if not text or text.startswith(URL_SCHEMES):
                continue
            try:
                recv_ns, raw = split(text)
                line = _decode_line(raw)
            except (ValueError, msgspec.DecodeError) as error:
                if not whole:
                    raise RecordingTruncated(f"{self.path}:{number}: the file is truncated within this line") from None
                raise self.error(f"{error}: {text[:80]!r}") from None
            if line.stream:
                yield Frame(recv_ns, line.stream, bytes(line.data), raw)
            elif line.event and line.symbol:
                kind = STREAM_OF_EVENT.get(line.event, line.event)
                yield Frame(recv_ns, f"{line.symbol.lower()}@{kind}", raw, raw)
            elif line.last_update_id:
                yield Snapshot(recv_ns, "", raw)
            # Anything else is an answer to a subscription.

    def _named(self, items) -> Iterator[Frame | Snapshot]:
        """Give the snapshots between the frames of one symbol that symbol's name."""
        names, early, snapshot_line = set(), [], 0
        for item in items:
            if isinstance(item, Snapshot):
                snapshot_line = snapshot_line or self.line
            elif item.symbol:
                names.add(item.symbol)
            if not snapshot_line:
                yield item
            elif not names:
                early.append(item)
            elif len(names) > 1:
                of = " and ".join(sorted(names))
                raise self.error(f"streams of {of} in one file, so whose is the snapshot of line {snapshot_line}?")
            else:
                early.append(item)
                for ready in early:
                    yield ready._replace(symbol=next(iter(names))) if isinstance(ready, Snapshot) else ready
                early.clear()

    def _rest_answers(self) -> Iterator[Snapshot]:
        for path in rest_files(self.path):
            if path == self.path or not path.exists():
                continue
            for number, text, _ in _lines(path):
                if not text:
                    continue
                match = _REST.match(text)
                if match is None:
                    raise RecordingError(f"{path}:{number}: expected `<url> -> <time>: {{…}}`, found {text[:80]!r}")
                symbol = _SYMBOL_IN_URL.search(match[1])
                if b"/depth" in match[1] and symbol:
                    yield Snapshot(_nanoseconds(match[2], match[3]), symbol[1].decode().upper(), text[match.end() :])
            return

    @staticmethod
    def _merged(frames, answers) -> Iterator[Frame | Snapshot]:
        answer = next(answers, None)
        for frame in frames:
            while answer and answer.recv_ns <= frame.recv_ns:
                yield answer
                answer = next(answers, None)
            yield frame


class RecordingWriter:
    """Write the jsonl form, gzipped; one symbol per file, since REST answers name none.

    flush: everything written so far survives the death of this process.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._file = gzip.GzipFile(self.path, "xb", compresslevel=6)
        self._symbol = ""

    def write(self, item: Frame | Snapshot) -> None:
        if not self._symbol:
            self._symbol = item.symbol
        if item.symbol != self._symbol:
            raise RecordingError(f"{self.path}: records {self._symbol}, refused an item of {item.symbol}")
        body = item.payload if isinstance(item, Snapshot) else item.raw
        if b"\n" in body:
            raise RecordingError(f"{self.path}: refused a payload of several lines: {body[:80]!r}")
        self._file.write(b"%d %b\n" % (item.recv_ns, body))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def up_to_cut(path: Path | str, said=lambda error: None) -> Iterator[Frame | Snapshot]:
    """Yield the items of a recording up to where it is cut off, if it is; then `said` is called with the error."""
    try:
        yield from Recording(path)
    except RecordingTruncated as error:
        said(error)


def rest_files(path: Path) -> list[Path]:
    """Return where the REST answers of a `*.ws.txt` recording may stand, the likeliest first."""
    likeliest = path.with_name(path.name.replace(".ws.txt", ".rest.txt"))
    zipped = likeliest.suffix == ".gz"
    other = likeliest.with_suffix("") if zipped else likeliest.with_name(likeliest.name + ".gz")
    return [likeliest, other]


def symbols(path: Path | str, frames: int = 1000) -> list[str]:
    """Return the symbols named in the first frames of a recording, in order of appearance."""
    found: dict[str, None] = {}
    for item, _ in zip(up_to_cut(path), range(frames), strict=False):
        found[item.symbol] = None
    found.pop("", None)
    return list(found)


def sources(recorded: list[str], wanted: Iterable[str], relabel: Mapping[str, str]) -> dict[str, list[str]]:
    """Return wanted name → the recorded symbols that are played as it; there should be one.

    relabel: recorded symbol → name. Where it says nothing, xxxUSDT stands for an xxxUSDC that is not recorded itself.
    """
    found = {}
    for name in wanted:
        found[name] = [symbol for symbol in recorded if relabel.get(symbol) == name]
        if not found[name]:
            found[name] = [symbol for symbol in recorded if symbol == name]
        if not found[name] and name.endswith("USDC"):
            stand_in = name.removesuffix("C") + "T"
            found[name] = [symbol for symbol in recorded if symbol == stand_in and symbol not in relabel]
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (number, line, whether it ends as a line) of a file, gzipped or not."""
    number = 0
    with open(path, "rb") as plain:
        zipped = plain.read(2) == GZIP_MAGIC
        plain.seek(0)
        try:
            for number, line in enumerate(gzip.GzipFile(fileobj=plain) if zipped else plain, 1):
                yield number, line.rstrip(b"\r\n"), line.endswith(b"\n")
        except EOFError:
            raise RecordingTruncated(f"{path}:{number + 1}: the gzip data ends here, the file is truncated") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise RecordingError(f"{path}:{number + 1}: damaged gzip data: {error}") from None


def _numbered(text: bytes) -> tuple[int, bytes]:
    match = _NUMBERED.match(text)
    if match is None:
        raise ValueError("expected `<receive time, ns> {…}`")
    return int(match[1]), text[match.end() :]


def _timed(text: bytes) -> tuple[int, bytes]:
    match = _TIMED.match(text)
    if match is None:
        raise ValueError("expected `<receive time, s>: {…}`")
    return _nanoseconds(match[1], match[2]), text[match.end() :]


def _bare(text: bytes) -> tuple[int, bytes]:
    return 0, text


def _nanoseconds(seconds: bytes, fraction: bytes | None) -> int:
    return int(seconds) * 1_000_000_000 + int((fraction or b"").ljust(9, b"0"))
