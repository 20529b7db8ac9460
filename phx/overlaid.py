"""What everybody sees of a recorded book while accounts' orders are laid over it: depth changes and best prices.

Seen at a price is what a taker would find there: the recorded quantity less what accounts took of it, and the accounts'
orders. The best prices are those of the newest record; the depth is, as on the venue, somewhat older. So what accounts
change waits for the depth change that is newer: an update id says how much of both it tells.
"""

from bisect import bisect_left
from collections import deque
from typing import NamedTuple

from phx._core.overlay import Overlay

Rows = list[tuple[int, int]]  # (price_ticks, qty_lots); in a change 0 lots remove the level
BATCH_MS = 100  # a change of accounts waits so long for a recorded one to go out with
MAX_JUMPS = 2_000  # far more than lie between the newest best prices and the newest depth


class SeenTop(NamedTuple):
    """Best bid and ask, (price_ticks, qty_lots) each; (0, 0) for an empty side."""

    update_id: int
    bid: tuple[int, int]
    ask: tuple[int, int]


class SeenDelta(NamedTuple):
    """Changed levels with their new quantities, prices ascending. prev_id is the last_id of the delta before."""

    first_id: int
    last_id: int
    prev_id: int
    bids: Rows
    asks: Rows


class UpdateIds:
    """Recorded update ids with room for those of accounts' changes; the same ids until there is one."""

    def __init__(self):
        self.recorded_id = 0  # newest recorded
        self.newest_id = 0  # newest given
        self._jumps_at: list[int] = []  # recorded ids after each of which one more was given
        self._forgotten = 0  # of these, the oldest

    @property
    def jumped(self) -> bool:
        """Whether ids are no longer the recorded ones."""
        return bool(self._jumps_at)

    def of(self, recorded_id: int) -> int:
        return recorded_id + self._forgotten + bisect_left(self._jumps_at, recorded_id)

    def record(self, recorded_id: int) -> int:
        """Return what a record's id has become."""
        given = self.of(recorded_id)
        self.recorded_id = max(self.recorded_id, recorded_id)
        self.newest_id = max(self.newest_id, given)
        return given

    def insert(self) -> int:
        """Return an id between the newest recorded one and the next."""
        self._jumps_at.append(self.recorded_id)
        if len(self._jumps_at) > MAX_JUMPS:
            del self._jumps_at[: MAX_JUMPS // 2]
            self._forgotten += MAX_JUMPS // 2
        self.newest_id += 1
        return self.newest_id


class OverlaidView:
    """The public side of one overlay, fed with the same records, each after the overlay was.

    While no account has an order or took something, everything is told as it was recorded.
    """

    def __init__(self, overlay: Overlay):
        self.overlay = overlay
        self.ids = UpdateIds()
        self._recorded: dict[int, dict[int, int]] = {1: {}, -1: {}}  # depth: price_ticks → qty_lots by side
        self._own: dict[int, dict[int, int]] = {1: {}, -1: {}}  # accounts' orders as the newest depth tells them
        self._taken: dict[int, dict[int, int]] = {1: {}, -1: {}}  # of recorded levels, likewise
        self._covered: dict[int, set[int]] = {1: set(), -1: set()}  # see _cover()
        self._taken_now: set[tuple[int, int]] = set()  # (side, price_ticks) of what is taken at the moment
        self._waiting: deque[tuple[int, int, int, int, int]] = deque()  # update id, side, price, own, taken lots
        self._waiting_since_ms = 0
        self._depth_recorded_id = self._depth_id = 0
        self._told = SeenTop(0, (0, 0), (0, 0))

    # ---- records ------------------------------------------------------------------------------------------------

    def book(self, update_id: int, bids: Rows, asks: Rows) -> None:
        """Begin with a whole book, or with another after a hole."""
        self._recorded = {1: dict(bids), -1: dict(asks)}
        self._depth_recorded_id, self._depth_id = update_id, self.ids.record(update_id)
        self._told = SeenTop(max(self._depth_id, self._told.update_id), *self._best())

    def depth(self, limit: int) -> tuple[int, Rows, Rows]:
        """Return update id, bids and asks as the depth changes so far tell them, best first."""
        bids, asks = (
            [row for row in self._seen_rows(side, list(self._recorded[side].items()), set(self._own[side])) if row[1]]
            for side in (1, -1)
        )
        return self._depth_id, sorted(bids, reverse=True)[:limit], sorted(asks)[:limit]

    def top(self, update_id: int, bid: tuple[int, int], ask: tuple[int, int], now_ms: int) -> list:
        """Return what recorded best prices let be seen."""
        seen = SeenTop(self.ids.record(update_id), bid, ask)
        if self._note(now_ms) and (update_id <= self._depth_recorded_id or self._best() != (bid, ask)):
            return self._changed_top()
        if self.ids.jumped and seen.update_id <= self._told.update_id:
            return []
        self._told = seen
        return [seen]

    def delta(self, first_id: int, last_id: int, bids: Rows, asks: Rows, now_ms: int) -> list:
        """Return what a recorded depth change lets be seen."""
        first_id, seen_id = self.ids.of(first_id), self.ids.record(last_id)
        seen = self._changed_top() if self._note(now_ms) else []
        if self._waiting:
            first_id = min(first_id, self._waiting[0][0])
        self._depth_recorded_id = last_id
        seen.append(self._depth(first_id, seen_id, {1: bids, -1: asks}))
        return seen

    # ---- accounts -----------------------------------------------------------------------------------------------

    def changed(self, now_ms: int) -> list:
        """Return what accounts' doings since the last call let be seen at once, or should have been by now."""
        changes = self.overlay.changes()
        seen = []
        if changes:
            self.ids.insert()
            self._keep(changes, now_ms)
            seen = self._changed_top()
        # Depth that is older than the best prices is still to come; nothing may go before it.
        due = self._waiting and now_ms - self._waiting_since_ms >= BATCH_MS
        if due and self._depth_recorded_id >= self.ids.recorded_id:
            newest_id = self.ids.newest_id
            last_id = newest_id if newest_id > self._depth_id else self.ids.insert()
            seen.append(self._depth(self._depth_id + 1, last_id, {1: [], -1: []}))
        return seen

    @property
    def waits(self) -> bool:
        """Whether accounts changed something that the depth has not told."""
        return bool(self._waiting)

    @property
    def took(self) -> bool:
        """Whether accounts took something that the recording still shows."""
        return bool(self._taken_now or self._taken[1] or self._taken[-1])

    def _note(self, now_ms: int) -> bool:
        """Keep what a record changed of accounts' orders; return whether anything of them is to be seen."""
        changes = self.overlay.changes()
        if changes:
            self._keep(changes, now_ms)
        return bool(changes or self._taken_now or self.overlay.resting())

    def _keep(self, changes: list, now_ms: int) -> None:
        if not self._waiting:
            self._waiting_since_ms = now_ms
        for side, price_ticks, own_lots, taken_lots in changes:
            self._waiting.append((self.ids.newest_id, side, price_ticks, own_lots, taken_lots))
            if taken_lots:
                self._taken_now.add((side, price_ticks))
            else:
                self._taken_now.discard((side, price_ticks))

    # ---- what is seen -------------------------------------------------------------------------------------------

    def _best(self) -> tuple[tuple[int, int], tuple[int, int]]:
        bids, asks = self.overlay.standing(1), self.overlay.standing(-1)
        return bids[0] if bids else (0, 0), asks[0] if asks else (0, 0)

    def _changed_top(self) -> list:
        best = self._best()
        if best == self._told[1:]:
            return []
        newer = self.ids.newest_id > self._told.update_id
        self._told = SeenTop(self.ids.newest_id if newer else self.ids.insert(), *best)
        return [self._told]

    def _depth(self, first_id: int, last_id: int, rows: dict[int, Rows]) -> SeenDelta:
        """Return the depth change up to an id: recorded rows, and what waited of accounts' changes."""
        touched: dict[int, set[int]] = {1: set(), -1: set()}
        while self._waiting and self._waiting[0][0] <= last_id:
            _, side, price_ticks, own_lots, taken_lots = self._waiting.popleft()
            for lots_of, lots in ((self._own[side], own_lots), (self._taken[side], taken_lots)):
                if lots:
                    lots_of[price_ticks] = lots
                else:
                    lots_of.pop(price_ticks, None)
            touched[side].add(price_ticks)
        for side, changed in rows.items():
            recorded = self._recorded[side]
            for price_ticks, lots in changed:
                if lots:
                    recorded[price_ticks] = lots
                else:
                    recorded.pop(price_ticks, None)
        bids, asks = (self._seen_rows(side, rows[side], touched[side]) for side in (1, -1))
        prev_id, self._depth_id = self._depth_id, last_id
        return SeenDelta(first_id, last_id, prev_id, bids, asks)

    def _seen_rows(self, side: int, rows: Rows, touched: set[int]) -> Rows:
        self._cover(side, touched)
        own, taken, covered = self._own[side], self._taken[side], self._covered[side]
        if not (touched or own or taken or covered):
            return rows
        recorded = self._recorded[side]
        seen = []
        special = touched.union(own, taken, covered)  # a few; what else is told was recorded just so
        if special.isdisjoint(price_ticks for price_ticks, _ in rows) and not touched:
            return rows
        for price_ticks in special.intersection(touched.union(price_ticks for price_ticks, _ in rows)):
            lots = 0 if price_ticks in covered else recorded.get(price_ticks, 0)
            seen.append((price_ticks, max(0, lots - taken.get(price_ticks, 0)) + own.get(price_ticks, 0)))
        seen += [row for row in rows if row[0] not in special]
        return sorted(seen)

    def _cover(self, side: int, touched: set[int]) -> None:
        """Find the recorded levels at or through a resting order of the other side; add what changed to `touched`.

        They are not seen: the order was filled with what it met of them, by the overlay's rule, and when it rests all
        the same, newer best prices said that they are gone before the depth does. So the book is never crossed.
        """
        recorded, against = self._recorded[side], self._own[-side]
        covered = set()
        if against and recorded:
            if side > 0:
                limit = min(against)
                covered = {price for price in recorded if price >= limit} if max(recorded) >= limit else covered
            else:
                limit = max(against)
                covered = {price for price in recorded if price <= limit} if min(recorded) <= limit else covered
        touched |= covered ^ self._covered[side]
        self._covered[side] = covered
