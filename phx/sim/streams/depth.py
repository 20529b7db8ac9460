"""The public book of one symbol as the venue publishes it: diff streams of several speeds, and snapshots for REST."""

import heapq

Rows = list[tuple[int, int]]  # (price_ticks, qty_lots)


class PublicBook:
    """The book after the newest published diff, by price; what REST depth answers from."""

    def __init__(self):
        self.sides: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self.update_id = 0
        self.ts_ms = 0

    def replace(self, update_id: int, bids: Rows, asks: Rows, ts_ms: int) -> None:
        self.sides = {1: dict(bids), -1: dict(asks)}
        self.update_id, self.ts_ms = update_id, ts_ms

    def apply(self, update_id: int, bids: Rows, asks: Rows, ts_ms: int) -> None:
        """Set levels to absolute quantities; 0 removes."""
        for side, rows in ((self.sides[1], bids), (self.sides[-1], asks)):
            for ticks, lots in rows:
                if lots:
                    side[ticks] = lots
                else:
                    side.pop(ticks, None)
        self.update_id, self.ts_ms = update_id, ts_ms

    def top(self, limit: int) -> tuple[Rows, Rows]:
        """Return up to `limit` levels a side, best first."""
        bids, asks = self.sides[1], self.sides[-1]
        return (
            [(ticks, bids[ticks]) for ticks in heapq.nlargest(limit, bids)],
            [(ticks, asks[ticks]) for ticks in heapq.nsmallest(limit, asks)],
        )


SLIP_MS = 10  # how late a frame may be for the next to keep the beat: the venue's clock turns every few ms


class DiffBatch:
    """Depth changes gathered for one stream speed: the newest quantity of each level since the last frame.

    Frames keep a beat of the interval. After a silence the first change goes out at once and begins a new beat, so that
    a market that was recorded in steps of the interval is not delayed by another.
    """

    def __init__(self, interval_ms: int):
        self.interval_ms = interval_ms
        self.prev_id = 0
        self.due_ms = 0  # not before then
        self._clear()

    def _clear(self) -> None:
        self.first_id = self.last_id = self.ts_ms = 0
        self.sides: dict[int, dict[int, int]] = {1: {}, -1: {}}

    def add(self, first_id: int, last_id: int, bids: Rows, asks: Rows, ts_ms: int) -> None:
        self.first_id = self.first_id or first_id
        self.last_id = last_id
        self.ts_ms = ts_ms
        self.sides[1].update(bids)
        self.sides[-1].update(asks)

    def take(self, now_ms: int):
        """Return (U, u, pu, bids, asks, T) with both sides ascending once it is time, None otherwise."""
        if not self.last_id or now_ms < self.due_ms:
            return None
        taken = (
            self.first_id,
            self.last_id,
            self.prev_id or self.first_id - 1,
            sorted(self.sides[1].items()),
            sorted(self.sides[-1].items()),
            self.ts_ms,
        )
        self.prev_id = self.last_id
        self.due_ms = self.interval_ms + (self.due_ms if now_ms - self.due_ms <= SLIP_MS else now_ms)
        self._clear()
        return taken
