"""The decoders against msgspec as the oracle: verbatim frames, random valid events, and frames mangled byte by byte.

Whatever the decoder accepts must be what the oracle reads; whatever it refuses, it refuses with a reason.
"""

import ctypes
import json
import mmap
import random
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.binance.decode import FRAME_BYTES, SLACK_BYTES, Decoder, EventKind, RefuseReason
from phx._core.enums import TradeOrigin
from phx._core.records import ABSENT_PRICE_TICKS

FRAMES = {path.stem: path.read_bytes().strip() for path in (Path(__file__).parent / "frames" / "market").glob("*.json")}
# symbol → (price decimals, price units, quantity decimals, quantity units)
SCALES = {
    "BTCUSDT": (1, 1, 3, 1),
    "YFIUSDT": (1, 1, 3, 1),
    "DOGEUSDT": (5, 1, 0, 1),
    "1000PEPEUSDT": (7, 1, 0, 1),
    "HALFTICK": (2, 5, 2, 25),
    "TENTICK": (0, 10, 0, 1),
}
ORIGINS = {
    "MARKET": TradeOrigin.ORIGIN_MARKET,
    "RPI": TradeOrigin.ORIGIN_RPI,
    "ADL": TradeOrigin.ORIGIN_LIQUIDATION,
    "INSURANCE_FUND": TradeOrigin.ORIGIN_INSURANCE,
    "NA": TradeOrigin.ORIGIN_NONE,
}
MS = 1_000_000


# ---- the oracle ----


class BookTicker(msgspec.Struct):
    u: int
    s: str
    b: str
    B: str
    a: str
    A: str
    T: int
    E: int


class Depth(msgspec.Struct):
    E: int
    T: int
    s: str
    U: int
    u: int
    pu: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class Trade(msgspec.Struct):
    E: int
    T: int
    s: str
    t: int
    p: str
    q: str
    X: str
    m: bool


class AggTrade(msgspec.Struct):
    E: int
    T: int
    s: str
    a: int
    p: str
    q: str
    m: bool


class MarkPrice(msgspec.Struct):
    E: int
    s: str
    p: str
    T: int
    r: str


class Event(msgspec.Struct):
    e: str = ""


class Envelope(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"")


KINDS = {
    EventKind.EVENT_BOOK_TICKER: BookTicker,
    EventKind.EVENT_DEPTH: Depth,
    EventKind.EVENT_TRADE: Trade,
    EventKind.EVENT_AGG_TRADE: AggTrade,
    EventKind.EVENT_MARK: MarkPrice,
}
ORACLES = {kind: msgspec.json.Decoder(struct) for kind, struct in KINDS.items()}
WORDS = {
    EventKind.EVENT_BOOK_TICKER: "bookTicker",
    EventKind.EVENT_DEPTH: "depthUpdate",
    EventKind.EVENT_TRADE: "trade",
    EventKind.EVENT_AGG_TRADE: "aggTrade",
    EventKind.EVENT_MARK: "markPriceUpdate",
}
ENVELOPE = msgspec.json.Decoder(Envelope)


def whole(text: str, decimals: int, units: int) -> int:
    count = Decimal(text) / (Decimal(units) / 10**decimals)
    assert count == int(count) and count >= 0, text
    return int(count)


def expected(kind: EventKind, frame: bytes) -> dict:
    """Return what the oracle reads in a frame of a kind. Raises when it cannot, or the values fit no grid."""
    data = bytes(ENVELOPE.decode(frame).data) or frame
    assert msgspec.json.decode(data, type=Event).e == WORDS[kind]
    o = ORACLES[kind].decode(data)
    price_scale, qty_scale = SCALES[o.s][:2], SCALES[o.s][2:]
    out = {"kind": kind, "reason": RefuseReason.REFUSED_NONE, "symbol": list(SCALES).index(o.s)}
    out["ts_push_ns"] = o.E * MS
    if kind == EventKind.EVENT_MARK:
        tick = Decimal(price_scale[1]) / 10 ** price_scale[0]
        nearest = int(Decimal(o.p) / tick + Decimal("0.5"))
        return out | {
            "ts_event_ns": o.E * MS,
            "price_ticks": nearest,
            "funding_rate_e8": int(Decimal(o.r or "0") * 10**8),
            "next_funding_s": o.T // 1000,
        }
    out["ts_event_ns"] = o.T * MS
    if kind == EventKind.EVENT_BOOK_TICKER:
        prices = [whole(o.b, *price_scale), whole(o.a, *price_scale)]
        lots = [whole(o.B, *qty_scale), whole(o.A, *qty_scale)]
        prices = [price or ABSENT_PRICE_TICKS for price in prices]
        return out | {"update_id": o.u, "price_ticks": prices, "qty_lots": lots}
    if kind == EventKind.EVENT_DEPTH:
        for name, side in (("bids", o.b), ("asks", o.a)):
            out[name] = [(whole(price, *price_scale), whole(qty, *qty_scale)) for price, qty in side]
        return out | {"update_id": o.u, "first_update_id": o.U, "previous_update_id": o.pu}
    out |= {"price_ticks": whole(o.p, *price_scale), "qty_lots": whole(o.q, *qty_scale), "aggressor": -1 if o.m else 1}
    nothing = out["price_ticks"] == 0 or out["qty_lots"] == 0
    if kind == EventKind.EVENT_TRADE:
        origin = ORIGINS.get(o.X, TradeOrigin.ORIGIN_UNKNOWN)
        return out | {"trade_id": o.t, "origin": TradeOrigin.ORIGIN_NONE if nothing else origin}
    return out | {"trade_id": o.a, "origin": TradeOrigin.ORIGIN_NONE if nothing else TradeOrigin.ORIGIN_MARKET}


def new_decoder() -> Decoder:
    decoder = Decoder()
    for symbol, scale in SCALES.items():
        decoder.add(symbol, *scale)
    return decoder


@pytest.fixture(scope="module")
def decoder():
    return new_decoder()


def read(decoder: Decoder, frame: bytes) -> dict:
    """Return the event, after proving that both readers agree on it."""
    fast, slow = decoder.read(frame), decoder.read(frame, fast=False)
    assert slow.pop("slow")
    fast.pop("slow")
    assert fast == slow
    return fast


# ---- verbatim frames ----


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_a_frame_of_the_wire_is_read_as_the_oracle_reads_it(decoder, name):
    frame = FRAMES[name]
    event = read(decoder, frame)
    assert event == expected(event["kind"], frame)
    bare = bytes(ENVELOPE.decode(frame).data)
    if bare:
        assert read(decoder, bare) == event


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_the_fixed_order_reader_knows_the_forms_of_2021_to_2026(decoder, name):
    slow = ("mark_price_2026", "mark_price_2026_02", "trade_na_2026", "trade_rpi_2026")  # rare, so not worth a reader
    assert decoder.read(FRAMES[name])["slow"] == (name in slow)


def test_prints_that_are_no_market_trade_are_marked(decoder):
    assert read(decoder, FRAMES["trade_na_2026"])["origin"] == TradeOrigin.ORIGIN_NONE
    assert read(decoder, FRAMES["trade_rpi_2026"])["origin"] == TradeOrigin.ORIGIN_RPI
    frame = FRAMES["trade_2026"]
    for word, origin in ORIGINS.items():
        event = read(decoder, frame.replace(b'"MARKET"', f'"{word}"'.encode()))
        assert event["origin"] == origin
    assert read(decoder, frame.replace(b'"MARKET"', b'"SOMETHING_NEW"'))["origin"] == TradeOrigin.ORIGIN_UNKNOWN


def test_an_empty_side_of_the_top_has_no_price(decoder):
    frame = FRAMES["book_ticker_2026"].replace(b'"b":"84551.00","B":"2.646"', b'"b":"0.00","B":"0.000"')
    event = read(decoder, frame)
    assert event["price_ticks"] == [ABSENT_PRICE_TICKS, 845511] and event["qty_lots"] == [0, 5302]


def test_a_snapshot_is_read_with_its_instruments_scale(decoder):
    body = b'{"lastUpdateId":115,"E":1,"T":2,"bids":[["1.25","0.50"],["1.20","0.25"]],"asks":[["1.30","1.00"]]}'
    event = decoder.read_snapshot(4, body)
    assert event["kind"] == EventKind.EVENT_SNAPSHOT and event["update_id"] == 115
    assert event["bids"] == [(25, 2), (24, 1)] and event["asks"] == [(26, 4)]
    assert decoder.read_snapshot(4, body[:-1])["reason"] == RefuseReason.REFUSED_SYNTAX
    assert decoder.read_snapshot(4, b'{"code":-1003,"msg":"Too many"}')["reason"] == RefuseReason.REFUSED_MISSING_KEY
    with pytest.raises(IndexError):
        decoder.read_snapshot(6, body)


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b'{"result":null,"id":1}', EventKind.EVENT_CONTROL),
        (b'{"error":{"code":2,"msg":"Invalid request"},"id":"x"}', EventKind.EVENT_CONTROL),
        (b'{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker"}]}', EventKind.EVENT_UNKNOWN),
        (b'{"e":"forceOrder","E":1,"o":{"s":"BTCUSDT"}}', EventKind.EVENT_UNKNOWN),
        (b"{}", EventKind.EVENT_UNKNOWN),
    ],
)
def test_other_messages_are_told_apart_from_broken_ones(decoder, frame, kind):
    assert read(decoder, frame) == {"kind": kind, "reason": RefuseReason.REFUSED_NONE}


# ---- hostile values ----

R = RefuseReason
TICKER = FRAMES["book_ticker_2026"]


def with_price(text: str) -> bytes:
    return TICKER.replace(b'"84551.00"', text.encode())


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (with_price('"-84551.00"'), R.REFUSED_NUMBER),
        (with_price('"-0"'), R.REFUSED_NUMBER),
        (with_price('"NaN"'), R.REFUSED_NUMBER),
        (with_price('"Infinity"'), R.REFUSED_NUMBER),
        (with_price('"1e400"'), R.REFUSED_NUMBER),
        (with_price('"8.45e4"'), R.REFUSED_NUMBER),
        (with_price('""'), R.REFUSED_NUMBER),
        (with_price('".5"'), R.REFUSED_NUMBER),
        (with_price('"5."'), R.REFUSED_NUMBER),
        (with_price('"1.2.3"'), R.REFUSED_NUMBER),
        (with_price('" 84551.00"'), R.REFUSED_NUMBER),
        (with_price('"84_551"'), R.REFUSED_NUMBER),
        (with_price('"84551.05"'), R.REFUSED_OFF_GRID),
        (with_price('"0.00"'), R.REFUSED_RANGE),
        (with_price('"' + "9" * 40 + '"'), R.REFUSED_RANGE),
        (with_price('"84551.' + "0" * 40 + '1"'), R.REFUSED_OFF_GRID),
        (with_price("84551.00"), R.REFUSED_TYPE),
        (with_price("null"), R.REFUSED_TYPE),
        (with_price('"84551\\u002e00"'), R.REFUSED_NUMBER),
        (TICKER.replace(b'"u":11671659685961', b'"u":-5'), R.REFUSED_NUMBER),
        (TICKER.replace(b'"u":11671659685961', b'"u":1e3'), R.REFUSED_NUMBER),
        (TICKER.replace(b'"u":11671659685961', b'"u":007'), R.REFUSED_SYNTAX),
        (TICKER.replace(b'"u":11671659685961', b'"u":"5"'), R.REFUSED_TYPE),
        (TICKER.replace(b'"u":11671659685961', b'"u":' + b"9" * 30), R.REFUSED_RANGE),
        (TICKER.replace(b'"T":1790526538939', b'"T":99999999999999999'), R.REFUSED_RANGE),
        (TICKER.replace(b'"T":1790526538939,', b""), R.REFUSED_MISSING_KEY),
        (TICKER.replace(b'"st":1', b'"b":"1.0"'), R.REFUSED_DUPLICATE_KEY),
        (TICKER.replace(b"BTCUSDT", b"XYZUSDT"), R.REFUSED_SYMBOL),
        (TICKER.replace(b'"s":"BTCUSDT"', '"s":"测试USDT"'.encode()), R.REFUSED_SYMBOL),
        (TICKER.replace(b"@bookTicker", b"\xff\xfe"), R.REFUSED_UTF8),
        (TICKER.replace(b"@bookTicker", b"\xed\xa0\x80"), R.REFUSED_UTF8),
        (TICKER.replace(b"@bookTicker", b"\x1b[31m"), R.REFUSED_SYNTAX),
        (TICKER.replace(b'"st":1', b'"x":' + b"[" * 100_000), R.REFUSED_NESTING),
        (TICKER.replace(b'"st":1', b'"x":' + b'{"y":' * 40 + b"1" + b"}" * 40), R.REFUSED_NESTING),
        (TICKER[:-1], R.REFUSED_SYNTAX),
        (TICKER + b"}", R.REFUSED_SYNTAX),
        (TICKER + b" x", R.REFUSED_SYNTAX),
        (b"", R.REFUSED_SYNTAX),
        (b"<html>502 Bad Gateway</html>", R.REFUSED_SYNTAX),
        (b" " * (FRAME_BYTES + 1), R.REFUSED_LENGTH),
        (FRAMES["depth_2026"].replace(b'["84551.00","2.027"]', b'["84551.00"]'), R.REFUSED_TYPE),
        (FRAMES["depth_2026"].replace(b'["84551.00","2.027"]', b'["84551.00","2.027","1"]'), R.REFUSED_TYPE),
        (FRAMES["depth_2026"].replace(b'["84551.00","2.027"]', b'["84551.00","2.0275"]'), R.REFUSED_OFF_GRID),
        (FRAMES["depth_2026"].replace(b'["84551.00","2.027"]', b'["0.00","2.027"]'), R.REFUSED_RANGE),
        (FRAMES["depth_2026"].replace(b'"b":[', b'"b":[' + b'["1.0","1.000"],' * 20_000), R.REFUSED_LEVELS),
    ],
)
def test_hostile_values_are_refused_with_their_reason(decoder, frame, reason):
    assert read(decoder, frame) == {"kind": EventKind.EVENT_NONE, "reason": reason}


def test_every_cut_of_a_frame_is_refused(decoder):
    for frame in FRAMES.values():
        kinds, _ = decoder.read_many([frame[:n] for n in range(len(frame))])
        assert set(kinds) == {EventKind.EVENT_NONE}


def test_a_decoder_says_what_it_cannot_follow():
    decoder = new_decoder()
    for arguments in (
        ("BTCUSDT", 1, 1, 3, 1),
        ("", 1, 1, 3, 1),
        ("X" * 24, 1, 1, 3, 1),
        ("A", 9, 1, 3, 1),
        ("A", 1, 0, 3, 1),
        ("A", 1, 1, 3, 10**10),
    ):
        with pytest.raises(ValueError, match="cannot add"):
            decoder.add(*arguments)
    for i in range(64 - len(SCALES)):
        assert decoder.add(f"S{i}", 1, 1, 3, 1) == len(SCALES) + i
    with pytest.raises(ValueError, match="at most 64"):
        decoder.add("ONEMORE", 1, 1, 3, 1)
    ticker = TICKER.replace(b"BTCUSDT", b"S57")
    assert decoder.read(ticker)["symbol"] == 63


# ---- random valid events ----

SYMBOLS = st.sampled_from(list(SCALES))
IDS = st.integers(0, 10**17)
TIMES = st.integers(0, 9 * 10**12)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
UNKNOWN_KEYS = st.text(
    alphabet=st.characters(exclude_characters='"\\', min_codepoint=32, max_codepoint=126), min_size=3
)


@st.composite
def decimal_text(draw, decimals: int, units: int, least: int = 0):
    """Text of a multiple of the step, padded or not, as the venue and its older forms print it."""
    count = draw(st.integers(least, 10**6) | st.integers(least, 10**11))
    step = Decimal(units) / 10**decimals
    pad = draw(st.integers(decimals, decimals + 4))
    text = f"{count * step:.{pad}f}"
    if draw(st.booleans()) and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text


@st.composite
def events(draw):
    """An event as (kind, keys and values in a random order, unknown keys among them)."""
    kind = draw(st.sampled_from(list(KINDS)))
    symbol = draw(SYMBOLS)
    scale = SCALES[symbol]
    price, qty = decimal_text(*scale[:2], least=1), decimal_text(*scale[2:])
    level = st.tuples(price, qty).map(list)
    fields = {"e": WORDS[kind], "E": draw(TIMES), "s": symbol}
    if kind == EventKind.EVENT_BOOK_TICKER:
        fields |= {"u": draw(IDS), "T": draw(TIMES)}
        fields |= {"b": draw(price), "B": draw(qty), "a": draw(price), "A": draw(qty)}
    elif kind == EventKind.EVENT_DEPTH:
        fields |= {"T": draw(TIMES), "U": draw(IDS), "u": draw(IDS), "pu": draw(IDS)}
        fields |= {"b": draw(st.lists(level, max_size=8)), "a": draw(st.lists(level, max_size=8))}
    elif kind == EventKind.EVENT_MARK:
        fields |= {"p": draw(decimal_text(8, 1, least=1)), "T": draw(TIMES)}
        rate = draw(st.integers(-(10**7), 10**7))
        fields["r"] = draw(st.sampled_from([f"{Decimal(rate).scaleb(-8):.8f}", ""]))
    else:
        fields |= {"T": draw(TIMES), "p": draw(price), "q": draw(qty), "m": draw(st.booleans())}
        fields |= {"t": draw(IDS), "X": draw(st.sampled_from([*ORIGINS, "NEW_WORD"]))}
        if kind == EventKind.EVENT_AGG_TRADE:
            fields["a"] = fields.pop("t")
            del fields["X"]
    unknown = draw(st.dictionaries(UNKNOWN_KEYS, JSON_VALUES, max_size=3))
    items = draw(st.permutations(list((unknown | fields).items())))
    return kind, dict(items)


@settings(max_examples=300, deadline=None)
@given(events(), st.booleans(), st.sampled_from(["", " ", "\n\t"]), st.booleans(), st.booleans())
def test_any_order_any_space_any_unknown_key_reads_the_same(decoder, made, wrapped, space, data_first, ascii_only):
    kind, fields = made
    message = fields
    if wrapped:
        items = [("stream", "btcusdt@x"), ("data", fields)]
        message = dict(reversed(items) if data_first else items)
    frame = json.dumps(message, separators=(f"{space},{space}", f"{space}:{space}"), ensure_ascii=ascii_only)
    frame = f"{space}{frame}{space}".encode(errors="surrogatepass")
    try:
        wanted = expected(kind, frame)
    except msgspec.DecodeError:
        wanted = None  # lone surrogates in an unknown key: no UTF-8
    event = read(decoder, frame)
    if wanted is not None:
        assert event == wanted
    else:
        assert event["kind"] == EventKind.EVENT_NONE


# ---- mangled frames ----


def mangled(count: int, seed: int) -> list[bytes]:
    """Return real frames with bytes flipped, removed, doubled or exchanged, or cut off."""
    dice = random.Random(seed)
    frames = list(FRAMES.values())
    frames += [bytes(ENVELOPE.decode(frame).data) or frame for frame in frames]
    likely = b'0123456789.,:"{}[]-eE+ \\\x00\xff'
    out = []
    for _ in range(count):
        frame = bytearray(dice.choice(frames))
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            at = dice.randrange(len(frame))
            action = dice.randrange(5)
            if action == 0:
                frame[at] = dice.choice(likely)
            elif action == 1:
                frame[at] ^= 1 << dice.randrange(8)
            elif action == 2:
                del frame[at : at + dice.choice((1, 1, 2, 20))]
            elif action == 3:
                frame[at:at] = frame[at : at + dice.choice((1, 2, 8))]
            else:
                frame[at:at] = bytes([dice.choice(likely)])
            if not frame:
                frame = bytearray(b"0")
        if dice.random() < 0.1:
            frame = frame[: dice.randrange(len(frame) + 1)]
        out.append(bytes(frame))
    return out


def test_mangled_frames_are_refused_or_read_as_the_oracle_reads_them(decoder):
    frames = mangled(120_000, seed=7)
    kinds, reasons = decoder.read_many(frames)
    slow_kinds, slow_reasons = decoder.read_many(frames, fast=False)
    assert (kinds, reasons) == (slow_kinds, slow_reasons)
    accepted = 0
    for frame, kind, reason in zip(frames, kinds, reasons, strict=True):
        if kind == EventKind.EVENT_NONE:
            assert reason != RefuseReason.REFUSED_NONE
        elif kind in KINDS:
            accepted += 1
            event = decoder.read(frame)
            del event["slow"]
            assert event == expected(kind, frame), frame
        else:
            json.loads(frame)  # sound JSON of another kind
    assert accepted > 5_000 and accepted < len(frames) // 2


def guarded_page() -> tuple[mmap.mmap, ctypes.Array]:
    """Return two pages of memory of which the second may not even be read."""
    memory = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(address + mmap.PAGESIZE), mmap.PAGESIZE, 0) == 0
    return memory


@pytest.mark.parametrize("slack", [0, SLACK_BYTES])
def test_nothing_is_read_beyond_the_frame_and_its_slack(decoder, slack):
    # The frame, or its slack, ends where the readable page ends: one byte more would be a crash.
    memory = guarded_page()
    view = memoryview(memory)
    for frame in mangled(20_000, seed=slack):
        size = len(frame)
        if not 0 < size <= mmap.PAGESIZE - slack:
            continue
        start = mmap.PAGESIZE - slack - size
        view[start : start + size] = frame
        place = view[start : mmap.PAGESIZE]
        in_place = decoder.read_view(place, size)
        assert in_place["kind"] in set(EventKind)
        # A copy among other bytes reads the same: what lies behind the frame does not matter.
        assert in_place == decoder.read(frame, fast=bool(slack))
