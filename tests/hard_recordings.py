"""Recordings that are hard to play: an invented violent market, and transformed real ones, in every form of file.

The invented market keeps a true book. Its bookTickers tell each new top, its deltas the net change since the delta
before, so the rules of real recordings hold: after each delta the rebuilt top is that of the newest bookTicker.
"""

import gzip
import random
import re
from pathlib import Path

import msgspec

from phx.recording import Frame, Recording, RecordingWriter, Snapshot

START_MS = 1_760_000_000_000
RECV_BEHIND_NS = 1_520_000_000  # the receiver's clock
SNAPSHOT_LEVELS = 1000
ODD_TRADES = ("INSURANCE_FUND", "NA", "ADL", "RPI")


class InventedMarket:
    """A market of one symbol on its own grid of ticks and lots.

    jump: share of price a jump moves; it sweeps every level in its way. jump_every: frames of depth between jumps.
    rate: messages a second. one_sided: now and then all asks are gone for one bookTicker.
    """

    def __init__(
        self, seed=1, symbol="BTCUSDT", price_ticks=1_180_001, tick="0.10", lot="0.001", padding=0, spacing_ticks=1,
        rate=300, jump=0.0, jump_every=25, one_sided=False, odd_trades=True, keys_2026=True, speed="100ms",
        start_ms=START_MS, sides=700,
    ):  # fmt: skip
        self.random = random.Random(seed)
        self.symbol, self.tick, self.lot = symbol, tick, lot
        self.price_decimals, self.qty_decimals = decimals(tick) + padding, decimals(lot)
        self.price_unit = int(tick.replace(".", "")) * 10**padding
        self.spacing, self.rate, self.jump, self.jump_every = spacing_ticks, rate, jump, jump_every
        self.one_sided, self.odd_trades, self.keys_2026, self.speed = one_sided, odd_trades, keys_2026, speed
        self.ms, self.id, self.trade_id = float(start_ms), 8_000_000_000_000 + seed, 6_000_000_000
        self.prev_id = self.id
        self.price_ticks = price_ticks
        self.books = ({}, {})
        self.changed: tuple[dict, dict] = ({}, {})
        for side in (0, 1):
            for i in range(sides):
                self.books[side][self.level(side, i)] = self.random.randrange(1, 50_000)
        self.items: list[Frame | Snapshot] = []
        self.depths = 0

    def level(self, side: int, i: int) -> int:
        return self.price_ticks + (i + 1) * self.spacing if side else max(1, self.price_ticks - i * self.spacing)

    # ---- texts ----

    def px(self, ticks: int) -> str:
        digits = str(ticks * self.price_unit).rjust(self.price_decimals + 1, "0")
        cut = len(digits) - self.price_decimals
        return f"{digits[:cut]}.{digits[cut:]}".rstrip(".")

    def qty(self, lots: int) -> str:
        digits = str(lots).rjust(self.qty_decimals + 1, "0")
        cut = len(digits) - self.qty_decimals
        return f"{digits[:cut]}.{digits[cut:]}".rstrip(".")

    def frame(self, stream: str, event: str, **data) -> None:
        # Streams are a little out of order against each other.
        event_ms = int(self.ms) - self.random.randrange(4)
        head = {"e": event, "E": event_ms, "T": event_ms, "s": self.symbol}
        extra = {"ps": self.symbol, "st": 1} if self.keys_2026 else {}
        body = msgspec.json.encode(head | extra | data)
        name = f"{self.symbol.lower()}@{stream}"
        raw = b'{"stream":"%b","data":%b}' % (name.encode(), body)
        self.items.append(Frame(int(event_ms * 1e6) - RECV_BEHIND_NS, name, body, raw))

    # ---- what happens ----

    def best(self):
        bids, asks = self.books
        return max(bids, default=0), min(asks, default=0)

    def set(self, side: int, ticks: int, lots: int) -> None:
        if lots:
            self.books[side][ticks] = lots
        else:
            self.books[side].pop(ticks, None)
        self.changed[side][ticks] = lots

    def tell_top(self) -> None:
        self.id += self.random.randrange(1, 40)
        bid, ask = self.best()
        bids, asks = self.books
        texts = {"b": self.px(bid), "B": self.qty(bids.get(bid, 0)), "a": self.px(ask), "A": self.qty(asks.get(ask, 0))}
        self.frame("bookTicker", "bookTicker", u=self.id, **texts)

    def wiggle(self) -> None:
        """Change a few levels near the top."""
        for _ in range(self.random.randrange(1, 4)):
            side = self.random.randrange(2)
            bid, ask = self.best()
            sign = 1 if side else -1
            away = int(self.random.expovariate(0.2)) * self.spacing
            ticks = max(1, (ask if side else bid) + sign * away)
            if self.random.random() < 0.15 and ask - bid > self.spacing:
                ticks = bid + self.spacing if side == 0 else ask - self.spacing
            gone = self.random.random() < 0.35 and len(self.books[side]) > 50
            self.set(side, ticks, 0 if gone else self.random.randrange(1, 50_000))
        if self.random.random() < 0.1:  # of a level nobody ever saw
            self.changed[0].setdefault(max(1, self.best()[0] - 90_000), 0)
        self.tell_top()

    def trade(self, ticks: int, lots: int, buyer_is_maker: bool, origin="MARKET") -> None:
        self.trade_id += 1
        price, qty = (self.px(ticks), self.qty(lots)) if ticks else ("0", "0")
        extra = {"nq": qty} if self.keys_2026 else {}
        self.frame("trade", "trade", t=self.trade_id, p=price, q=qty, X=origin, m=buyer_is_maker, **extra)

    def odd_trade(self) -> None:
        origin = self.random.choice(ODD_TRADES)
        far = max(1, int(self.best()[0] * self.random.choice((0.6, 1.7))))
        self.trade(0 if origin == "NA" else far, 5_000_000, self.random.random() < 0.5, origin)

    def sweep(self) -> None:
        """Jump: every level up to the new price is taken, one bookTicker and trade per level, and both sides refill."""
        side = self.random.randrange(2)
        sign = 1 if side else -1
        target = max(2000 * self.spacing, int(self.price_ticks * (1 + sign * self.jump)))
        book, other = self.books[side], self.books[1 - side]
        in_the_way = sorted((t for t in book if sign * (target - t) >= 0), reverse=not side)
        for n, ticks in enumerate(in_the_way):
            lots = book[ticks]
            last = n == len(in_the_way) - 1
            self.set(side, ticks, 0)
            if last:
                for i in range(300):
                    self.set(side, target + sign * (i + 1) * self.spacing, self.random.randrange(1, 50_000))
            if n % 5 == 0 or last:
                if book or self.one_sided:
                    self.tell_top()
                self.trade(ticks, lots, buyer_is_maker=not side)
                if n % 100 == 0 and not last:
                    self.depth()
                    self.ms += 0.2
        self.price_ticks = target
        for i in range(300):
            behind = target - sign * i * self.spacing
            if behind not in other and behind > 0:
                self.set(1 - side, behind, self.random.randrange(1, 50_000))
        # The level at the target belongs to the side behind it now.
        if target in book:
            self.set(side, target, 0)
        self.tell_top()
        self.depth()

    def depth(self) -> None:
        if not any(self.changed):
            return
        sides = [[[self.px(t), self.qty(q)] for t, q in sorted(changed.items())] for changed in self.changed]
        self.frame(
            f"depth@{self.speed}", "depthUpdate", U=self.prev_id + 1, u=self.id, pu=self.prev_id, b=sides[0], a=sides[1]
        )
        self.prev_id, self.changed = self.id, ({}, {})
        self.depths += 1

    def snapshot(self) -> None:
        bids, asks = (
            [[self.px(t), self.qty(q)] for t, q in sorted(book.items(), reverse=not side)[:SNAPSHOT_LEVELS]]
            for side, book in enumerate(self.books)
        )
        body = {"lastUpdateId": self.id, "E": int(self.ms), "T": int(self.ms), "bids": bids, "asks": asks}
        self.items.append(Snapshot(int(self.ms * 1e6) - RECV_BEHIND_NS, self.symbol, msgspec.json.encode(body)))

    def run(self, frames: int, snapshot_at: int = 12) -> "InventedMarket":
        """Let so many messages happen."""
        told = False
        while len(self.items) < frames:
            self.wiggle()
            if not told and len(self.items) >= snapshot_at:
                told = True
                self.snapshot()
            if self.random.random() < 0.3:
                bid, ask = self.best()
                maker = self.random.random() < 0.5
                self.trade(bid if maker else ask, self.random.randrange(1, 3000), maker)
            if self.odd_trades and self.random.random() < 0.05:
                self.odd_trade()
            if self.random.random() < 0.25:
                self.depth()
            if self.jump and self.depths % self.jump_every == self.jump_every - 1:
                self.depth()
                self.sweep()
            self.ms += self.random.expovariate(self.rate / 1500)
        self.depth()
        self.tell_top()
        return self

    def write(self, path: Path) -> Path:
        return write(self.items, path)


def decimals(text: str) -> int:
    return len(text.partition(".")[2])


# ---- forms of files -------------------------------------------------------------------------------------------------


def write(items, path: Path) -> Path:
    """Write items in the form that the name asks for: .jsonl, .jsonl.gz, .ws.txt, .ws.txt.gz (with its .rest.txt)."""
    if ".jsonl" in path.name:
        if path.suffix == ".gz":
            with RecordingWriter(path) as writer:
                for item in items:
                    writer.write(item)
            return path
        lines = [b"%d %b" % (i.recv_ns, i.payload if isinstance(i, Snapshot) else i.raw) for i in items]
        return put(path, lines)
    answers = [
        b"https://fapi.binance.com/fapi/v1/depth?symbol=%b&limit=1000 -> %b: %b"
        % (i.symbol.encode(), seconds(i.recv_ns), i.payload)
        for i in items
        if isinstance(i, Snapshot)
    ]
    put(path.with_name(path.name.replace(".ws.txt", ".rest.txt")), answers)
    frames = [b"%b: %b" % (seconds(i.recv_ns), i.raw) for i in items if isinstance(i, Frame)]
    return put(path, [b"wss://fstream.binance.com/stream?streams=all", *frames])


def seconds(recv_ns: int) -> bytes:
    return b"%d.%06d" % (recv_ns // 10**9, recv_ns % 10**9 // 1000)


def put(path: Path, lines: list[bytes]) -> Path:
    text = b"".join(line + b"\n" for line in lines)
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


# ---- real recordings, made harder -----------------------------------------------------------------------------------

_TIME = re.compile(rb'"([ET])":(\d+)')
_LEVEL = re.compile(rb'\["(\d+)\.(\d+)"')
_PRICE = re.compile(rb'"([bap])":"(\d+)\.(\d+)"')


def transformed(source: Path, speed=1.0, symbol="", ticks=None, keys_2026=False, limit=None) -> list:
    """Return the items of a real recording, played faster, on another grid, with the keys of today.

    ticks: (recorded decimals kept, ticks added, decimals printed), for example (1, 540_562, 1) turns 63943.9 into
    118000.1, and (2, 0, 7) turns 3424.98 into 0.0342498.
    """
    begin_ms = begin_ns = None
    items = []

    def price(whole: bytes, part: bytes) -> bytes:
        kept, added, printed = ticks
        digits = str(int(whole + part[:kept].ljust(kept, b"0")) + added).rjust(printed + 1, "0")
        return f"{digits[: len(digits) - printed]}.{digits[len(digits) - printed :]}".encode()

    for item in Recording(source):
        text = item.payload
        if begin_ms is None:
            begin_ms, begin_ns = int(_TIME.search(text)[2]), item.recv_ns

        def sooner(match, begin_ms=begin_ms):
            return b'"%b":%d' % (match[1], begin_ms + int((int(match[2]) - begin_ms) / speed))

        if speed != 1.0:
            text = _TIME.sub(sooner, text)
        if ticks:
            text = _LEVEL.sub(lambda m: b'["' + price(m[1], m[2]) + b'"', text)
            text = _PRICE.sub(lambda m: b'"' + m[1] + b'":"' + price(m[2], m[3]) + b'"', text)
        name = symbol or item.symbol
        recv_ns = begin_ns + int((item.recv_ns - begin_ns) / speed)
        if isinstance(item, Snapshot):
            items.append(Snapshot(recv_ns, name, text))
        else:
            text = text.replace(b'"s":"%b"' % item.symbol.encode(), b'"s":"%b"' % name.encode())
            if keys_2026:
                text = text[:-1] + b',"ps":"%b","st":1}' % name.encode()
            stream = name.lower() + "@" + item.stream.partition("@")[2]
            raw = b'{"stream":"%b","data":%b}' % (stream.encode(), text)
            items.append(Frame(recv_ns, stream, text, raw))
        if limit and len(items) >= limit:
            break
    return items
