"""What the feed of a session hears of a traded symbol: the recorded frames, and our orders where they are on the book.

While nothing of ours is to be seen a frame passes as it was recorded, byte by byte.
"""

import msgspec

from phx._core.playback import PlayedInstrument
from phx.instruments import Instrument
from phx.overlaid import OverlaidView, Rows, SeenDelta, SeenTop
from phx.recording import Frame

EVERY_LEVEL = 1 << 30
MEMO_TEXTS = 200_000  # distinct decimal texts remembered; they repeat


class _Depth(msgspec.Struct):
    U: int
    u: int
    pu: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class _Top(msgspec.Struct):
    u: int
    b: str
    B: str
    a: str
    A: str


_depth = msgspec.json.Decoder(_Depth).decode
_top = msgspec.json.Decoder(_Top).decode


class _Memo(dict):
    """Text → integer or back by an exact, slow rule, remembered."""

    def __init__(self, rule):
        self.rule = rule

    def __missing__(self, key):
        if len(self) > MEMO_TEXTS:
            self.clear()
        value = self[key] = self.rule(key)
        return value


class PublicFrames:
    """Of one traded symbol. Told of every recorded item after the overlay was, and of what accounts do."""

    def __init__(self, symbol: str, instrument: Instrument, played: PlayedInstrument):
        self.symbol = symbol
        self.played = played
        self.view = OverlaidView(played.overlay)
        self._begun = False
        self._ticks, self._lots = _Memo(instrument.ticks), _Memo(instrument.lots)
        self._price_texts, self._qty_texts = _Memo(instrument.price_text), _Memo(instrument.qty_text)

    def begin(self) -> None:
        """Begin, or begin again, from the book that a recorded snapshot made."""
        sequencer = self.played.sequencer
        bids, asks = (sequencer.book.deep_levels(side, EVERY_LEVEL) for side in (1, -1))
        self.view.book(sequencer.update_id, bids, asks)
        self._begun = True

    def depth(self, limit: int) -> tuple[int, Rows, Rows]:
        """Return update id, bids and asks as the newest depth frame left them, best first."""
        return self.view.depth(limit)

    def heard(self, frame: Frame, kind: str, now_ns: int) -> list[bytes]:
        """Return the frames to send for a recorded one."""
        if not self._begun or kind not in ("bookTicker", "depth"):
            return [frame.raw, *self.changed(now_ns)]
        now_ms = now_ns // 1_000_000
        if kind == "bookTicker":
            top = _top(frame.payload)
            bid, ask = (self._ticks[top.b], self._lots[top.B]), (self._ticks[top.a], self._lots[top.A])
            seen = self.view.top(top.u, bid, ask, now_ms)
            if seen == [(top.u, bid, ask)]:
                return [frame.raw]
            return [self._text(one, now_ms) for one in seen]
        return self._depth_heard(frame, now_ms)

    def _depth_heard(self, frame: Frame, now_ms: int) -> list[bytes]:
        delta, sequencer, ids = _depth(frame.payload), self.played.sequencer, self.view.ids
        bids, asks = self._rows(delta.b), self._rows(delta.a)
        if not sequencer.synced or sequencer.update_id != delta.u:
            # A hole, or older than the book: nothing of ours is in it, but ids stay in order.
            last_id = ids.record(delta.u)
            if not ids.jumped:
                return [frame.raw]
            return [self._text(SeenDelta(ids.of(delta.U), last_id, ids.of(delta.pu), bids, asks), now_ms)]
        seen = self.view.delta(delta.U, delta.u, bids, asks, now_ms)
        if len(seen) == 1 and seen[0][:2] == (delta.U, delta.u) and seen[0][3:] == (bids, asks):
            return [frame.raw]
        return [self._text(one, now_ms) for one in seen]

    def changed(self, now_ns: int) -> list[bytes]:
        """Return the frames to send for what we did, or for what is due."""
        now_ms = now_ns // 1_000_000
        return [self._text(one, now_ms) for one in self.view.changed(now_ms)] if self._begun else []

    def _rows(self, texts: list[tuple[str, str]]) -> Rows:
        ticks, lots = self._ticks, self._lots
        return [(ticks[price], lots[qty]) for price, qty in texts]

    def _texts(self, rows: Rows) -> list[tuple[str, str]]:
        prices, quantities = self._price_texts, self._qty_texts
        return [(prices[ticks], quantities[lots]) for ticks, lots in rows]

    def _text(self, seen: SeenTop | SeenDelta, now_ms: int) -> bytes:
        if isinstance(seen, SeenTop):
            (bid, ask) = self._texts([seen.bid, seen.ask])
            event = {"e": "bookTicker", "u": seen.update_id, "s": self.symbol, "b": bid[0], "B": bid[1]}
            event |= {"a": ask[0], "A": ask[1], "T": now_ms, "E": now_ms}
        else:
            event = {"e": "depthUpdate", "E": now_ms, "T": now_ms, "s": self.symbol, "U": seen.first_id}
            event |= {"u": seen.last_id, "pu": seen.prev_id, "b": self._texts(seen.bids), "a": self._texts(seen.asks)}
        return msgspec.json.encode(event)
