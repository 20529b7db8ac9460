"""What every matching venue keeps: the event log that its shell drains, and the accounts' positions."""

from typing import NamedTuple

from libc.stdlib cimport abort, free, realloc
from libc.string cimport memcpy, memset


class Event(NamedTuple):
    """One event of the engine or the overlay; the fields of MatchEvent (matching.pxd says what they mean)."""

    kind: int
    order_id: int
    owner: int
    side: int
    price_ticks: int
    qty_lots: int
    remaining_lots: int
    maker_id: int
    maker_owner: int
    maker_remaining_lots: int
    trade_id: int
    update_id: int
    reason: int


cdef int64_t expiry_of(int tif, bint self_trade) noexcept nogil:
    if self_trade:
        return Expiry.EXPIRY_IOC_SELF_TRADE if tif == TIF_IOC else Expiry.EXPIRY_SELF_TRADE
    return Expiry.EXPIRY_MARKET if tif == TIF_MARKET else Expiry.EXPIRY_IOC


cdef class EventLog:
    """Events since the last drain, oldest first."""

    def __dealloc__(self):
        free(self.events)

    cdef MatchEvent *push(self, int64_t kind) noexcept nogil:
        if self.count == self.capacity:
            self.capacity = max(self.capacity * 2, 64)
            self.events = <MatchEvent *>realloc(self.events, self.capacity * sizeof(MatchEvent))
            if self.events == NULL:
                abort()
        cdef MatchEvent *event = &self.events[self.count]
        memset(event, 0, sizeof(MatchEvent))
        event.kind = kind
        self.count += 1
        return event

    def drain(self):
        """Return the events since the last call as a list of Event and forget them."""
        cdef int64_t i
        cdef MatchEvent *e
        drained = []
        make = Event
        for i in range(self.count):
            e = &self.events[i]
            drained.append(make(
                e.kind, e.order_id, e.owner, e.side, e.price_ticks, e.qty_lots, e.remaining_lots, e.maker_id,
                e.maker_owner, e.maker_remaining_lots, e.trade_id, e.update_id, e.reason,
            ))
        self.count = 0
        return drained


cdef class Positions:
    """Signed lots of each account's position, by a number the shell gives it."""

    def __init__(self):
        self.reserve(0)

    def __dealloc__(self):
        free(self.lots)

    cdef void reserve(self, int32_t number) noexcept nogil:
        """Make room for a position; new ones are flat."""
        cdef int32_t count = self.count
        if number < count:
            return
        self.count = max(2 * count, number + 1)
        self.lots = <int64_t *>realloc(self.lots, self.count * sizeof(int64_t))
        if self.lots == NULL:
            abort()
        memset(self.lots + count, 0, (self.count - count) * sizeof(int64_t))

    cdef void add(self, int32_t number, int64_t lots) noexcept nogil:
        if number > 0:
            self.lots[number] += lots

    cdef int64_t room(self, int32_t number, int64_t side) noexcept nogil:
        return max(0, -side * self.lots[number])

    cdef void copy(self, Positions other) noexcept nogil:
        self.reserve(other.count - 1)
        memcpy(self.lots, other.lots, other.count * sizeof(int64_t))
