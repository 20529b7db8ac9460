"""Funding: every payment booked once, whether the account's stream tells of it, the venue's history, or both.

The stream tells at once but may be down, and a payment it tells of has no number; the history has one, but later. The
two are the same payment where symbol and amount are, and their times lie near. The history is read after each full
hour, at which funding is paid, whenever the stream was down, and now and then.
"""

import asyncio
import contextlib
import copy
import logging
import time
from collections.abc import Callable

from phx._core.gateway import GatewayCore
from phx.gateway.account import e8
from phx.gateway.epoch import FundingBook, Payment
from phx.instruments import Instrument, InstrumentError
from phx.venue.interface import AccountRest, Income, VenueError, VenueReject

REGULAR, SPECIAL = "FUNDING_FEE", "SPECIAL_FUNDING_FEE"
# Seconds of an hour at which the history is read: the venue charges some three seconds after the funding time.
LOOKS_S = (5, 30, *range(300, 3600, 300), 3605)
APART_S = 5.0  # between two looks; one weighs 60
NEAR_MS = 20 * 60_000  # told by both channels within this; the venue's shortest funding interval is an hour
OVERLAP_MS = 24 * 3_600_000  # the history is read again from so long before it was last read: rows may come late
KEPT_MS = 2 * OVERLAP_MS  # payments are remembered longer than they can be read again
OLDEST_MS = 89 * 24 * 3_600_000  # the venue tells of three months,
SPAN_MS = 7 * 24 * 3_600_000 - 1  # a week at a time,
PAGE = 1000  # and so many rows in one answer

log = logging.getLogger("phx.gateway")


class FundingBooks:
    """`kept`: by symbol, what is booked of it. on_booked(): a payment was booked that no file on disk holds yet."""

    def __init__(self, core: GatewayCore, rest: AccountRest, instruments: dict[str, Instrument]):
        self.core = core
        self.rest = rest
        self.instruments = instruments
        now_ms = rest.clock.timestamp_ms()
        self.kept = {symbol: FundingBook(since_ms=now_ms, read_ms=now_ms) for symbol in instruments}
        self.wanted = asyncio.Event()
        self.on_booked: Callable[[], None] = lambda: None

    def restore(self, symbol: str, book: FundingBook | None, ts_ms: int) -> None:
        """Go on with what a former life has booked; None: it kept no such book, its total ends at ts_ms."""
        self.kept[symbol] = copy.deepcopy(book) or FundingBook(since_ms=ts_ms, read_ms=ts_ms)

    async def run(self) -> None:
        """Read the history when it is time to, until cancelled."""
        while True:
            second = self.rest.clock.timestamp_ms() / 1000 % 3600
            pause_s = next(look for look in LOOKS_S if look > second) - second
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wanted.wait(), pause_s)
            self.wanted.clear()
            try:
                await self.read()
            except (VenueError, InstrumentError) as error:
                log.warning("funding: %s", error)
            await asyncio.sleep(APART_S)

    def told(self, symbol: str, amount_e8: int, ts_ms: int) -> None:
        """Book what the account's stream tells; where it names no symbol of ours the history says whose it was."""
        if symbol not in self.instruments:
            self.wanted.set()
            return
        known = self.kept[symbol].payments
        if any(p.told_ms == ts_ms and p.amount_e8 == amount_e8 for p in known):
            return  # both connections of a roll tell it
        booked = next((p for p in known if not p.told_ms and is_same(p.amount_e8, p.paid_ms, amount_e8, ts_ms)), None)
        if booked is not None:
            booked.told_ms = ts_ms
            return
        known.append(Payment(amount_e8, told_ms=ts_ms))
        self._book(symbol, amount_e8, ts_ms)

    async def read(self) -> None:
        """Book what the history holds and the stream did not tell."""
        asked_ms = self.rest.clock.timestamp_ms()
        read_ms = min(book.read_ms for book in self.kept.values())
        start_ms = max(read_ms - OVERLAP_MS, asked_ms - OLDEST_MS)
        rows = await self._history(REGULAR, start_ms, asked_ms)
        try:
            rows += await self._history(SPECIAL, start_ms, asked_ms)
        except VenueReject as error:
            log.info("funding: the venue knows no special payments: %s", error)  # the kind is younger than some venues
        for row in sorted(rows, key=lambda row: row.ts_ms):
            if row.symbol in self.instruments and row.asset == self.instruments[row.symbol].quote_asset:
                self._take(row)
        for book in self.kept.values():
            book.read_ms = asked_ms
            book.payments = [p for p in book.payments if max(p.paid_ms, p.told_ms) > asked_ms - KEPT_MS]

    async def _history(self, kind: str, start_ms: int, end_ms: int) -> list[Income]:
        """Return every row of a kind since then; those at the border of two answers twice."""
        rows = []
        while start_ms <= end_ms:
            page = await self.rest.income(kind, start_ms, min(end_ms, start_ms + SPAN_MS))
            rows += page
            # A full page may have cut off rows of its last millisecond.
            start_ms = max(start_ms + 1, *(row.ts_ms for row in page)) if len(page) >= PAGE else start_ms + SPAN_MS + 1
        return rows

    def _take(self, row: Income) -> None:
        """Book one payment of the history, unless it is booked."""
        book, number, amount_e8 = self.kept[row.symbol], f"{row.kind} {row.transaction}", e8(row.amount)
        known = book.payments
        if any(p.number == number for p in known):
            return
        booked = next(
            (p for p in known if not p.number and is_same(p.amount_e8, p.told_ms, amount_e8, row.ts_ms)), None
        )
        if booked is not None:
            booked.number, booked.paid_ms = number, row.ts_ms
        elif row.ts_ms > book.since_ms:
            known.append(Payment(amount_e8, paid_ms=row.ts_ms, number=number))
            log.warning("%s: funding of %s was missing from the account's stream", row.symbol, row.amount)
            self._book(row.symbol, amount_e8, row.ts_ms)

    def _book(self, symbol: str, amount_e8: int, ts_ms: int) -> None:
        self.core.on_funding(self.instruments[symbol].symbol_id, amount_e8, ts_ms * 1_000_000, time.monotonic_ns())
        self.on_booked()


def is_same(amount_e8: int, ts_ms: int, other_e8: int, other_ms: int) -> bool:
    """Return whether one payment may be what both channels tell."""
    return amount_e8 == other_e8 and abs(ts_ms - other_ms) <= NEAR_MS
