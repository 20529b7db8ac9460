"""What all symbols of one account share: the order table, the rate budgets, the queue of actions, the journal."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from phx._core.orders cimport Order, OrderTable
from phx._core.records cimport MAX_SYMBOLS, JournalEntry
from phx._core.risk cimport add_saturating, margin_e8
from phx._core.throttle cimport THROTTLE_OTHERS, THROTTLE_TIMES, count, expire, forgive, used

cdef double FAR_SHARE = 0.75             # of what adding orders may use: the rest is for layers near the market


cdef uint64_t fnv1a_words(const uint64_t *words, int words_count) noexcept nogil:
    # FNV-1a over the bytes; the same as records.fnv1a.
    cdef const uint8_t *at = <const uint8_t *>words
    cdef uint64_t value = <uint64_t>0xcbf29ce484222325
    cdef int i
    for i in range(words_count * 8):
        value = (value ^ at[i]) * <uint64_t>0x100000001b3
    return value


cdef class Account:
    """One life of the account's gateway. journal: the ring every intent is written to before its bytes leave.

    adding_share, reducing_share: what phx uses at most of the venue's order counts. cancels_60s: routine cancels a
    minute, from the share of the IP weight that orders and cancels may use.
    """

    def __cinit__(self):
        self.actions = <Action *>calloc(ACTIONS, sizeof(Action))
        if self.actions == NULL:
            raise MemoryError()

    def __init__(self, uint64_t epoch, journal, int journal_slots, *, double adding_share=0.8,
                 double reducing_share=0.9, int orders_10s=300, int orders_60s=1200, int cancels_60s=840):
        self.table = OrderTable()
        self.epoch = epoch
        self.journal = journal
        self.journal_slots = journal_slots
        self.adding_share, self.reducing_share = adding_share, reducing_share
        self.set_order_limits(orders_10s, orders_60s)
        self.set_cancel_limit(cancels_60s)

    def __dealloc__(self):
        free(self.actions)

    def set_order_limits(self, int orders_10s, int orders_60s):
        """Take the venue's order counts; what comes first in need may use more of them. 0 = not said, stays as it is.

        Far layers < adding < reducing quotes < takes: none of them ever waits behind one that comes before it here.
        """
        cdef double adding = self.adding_share, reducing = self.reducing_share
        if orders_10s > 0:
            self.orders_10s_limit = min(orders_10s, THROTTLE_TIMES - 1)
        if orders_60s > 0:
            self.orders_60s_limit = min(orders_60s, THROTTLE_TIMES - 1)
        self.share_out(self.far_limits, FAR_SHARE * adding)
        self.share_out(self.adding_limits, adding)
        self.share_out(self.reducing_limits, (adding + reducing) / 2)
        self.share_out(self.leaving_limits, reducing)

    def set_cancel_limit(self, int cancels_60s):
        """Take how many routine cancels the request weight allows a minute."""
        cdef uint32_t sixty = min(max(0, cancels_60s), THROTTLE_TIMES - 1)
        self.cancel_limits = [sixty // 4, sixty // 2, sixty]

    cdef void share_out(self, uint32_t *limits, double share) noexcept nogil:
        # No second may use more than half of ten seconds'.
        limits[1] = <uint32_t>(self.orders_10s_limit * share)
        limits[2] = <uint32_t>(self.orders_60s_limit * share)
        limits[0] = limits[1] // 2

    def note_venue_counts(self, int orders_10s, int orders_60s, int64_t now_ns):
        """Take the venue's own order counts: what others, or a former life, have used is missing in ours."""
        cdef int _i, missing
        expire(&self.orders_sent, now_ns)
        missing = max(orders_10s - <int>used(&self.orders_sent, 1), orders_60s - <int>used(&self.orders_sent, 2))
        for _i in range(min(missing, <int>self.orders_60s_limit)):
            count(&self.orders_sent, now_ns, THROTTLE_OTHERS)

    def orders_left_60s(self, int64_t now_ns):
        """Return how many orders that add may still be sent this minute."""
        expire(&self.orders_sent, now_ns)
        return max(0, <int>self.adding_limits[2] - <int>used(&self.orders_sent, 2))

    def note_batch(self, int orders, int64_t now_ns):
        """Take note that orders, each counted already, go in one request: the venue's minute counts one."""
        expire(&self.orders_sent, now_ns)
        forgive(&self.orders_sent, 2, orders - 1)

    def set_journal_drained(self, uint64_t seq):
        """Take ops' word which journal entry is safe on disk."""
        self.journal_drained = max(self.journal_drained, min(seq, self.journal.seq))

    cdef bint push(self, const Action *action) noexcept nogil:
        if self.last_action - self.first_action >= ACTIONS:
            return False
        self.actions[self.last_action & (ACTIONS - 1)] = action[0]
        self.last_action += 1
        return True

    cdef bint pop(self, Action *out) noexcept nogil:
        if self.first_action == self.last_action:
            return False
        out[0] = self.actions[self.first_action & (ACTIONS - 1)]
        self.first_action += 1
        return True

    cdef bint journal_room(self) noexcept nogil:
        # Without room for an entry that must not be lost no new risk is taken.
        return self.journal.seq - self.journal_drained + JOURNAL_RESERVE < self.journal_slots

    cdef uint64_t write_journal(self, JournalEntry *entry, int64_t now_ns) noexcept nogil:
        entry.now_mono_ns = now_ns
        entry.epoch = self.epoch
        entry.seq = self.journal.seq + 1
        entry.check = fnv1a_words(<const uint64_t *>entry, sizeof(JournalEntry) // 8 - 1)
        return self.journal.publish(entry)

    cdef uint64_t journal_order(self, int kind, const Order *order, int64_t now_ns, int venue_code) noexcept nogil:
        cdef JournalEntry entry
        memset(&entry, 0, sizeof(JournalEntry))
        entry.intent_id = order.intent_id
        entry.price_ticks = order.price_ticks
        entry.qty_lots = order.qty_lots
        entry.symbol_id = order.symbol_id
        entry.kind = <uint8_t>kind
        entry.side = order.side
        entry.layer = order.layer
        entry.reduce_only = order.reduce_only
        entry.take_n = order.take_n
        entry.venue_code = venue_code
        entry.params_version = self.params_version[order.symbol_id]
        return self.write_journal(&entry, now_ns)

    cdef int64_t others_notional_e8(self, int symbol_id) noexcept nogil:
        cdef int64_t total = 0
        cdef int i
        for i in range(MAX_SYMBOLS):
            if i != symbol_id:
                total = add_saturating(total, self.worst_notional_e8[i])
        return total

    cdef int64_t others_margin_e8(self, int symbol_id) noexcept nogil:
        cdef int64_t total = 0
        cdef int i
        for i in range(MAX_SYMBOLS):
            if i != symbol_id:
                total = add_saturating(total, margin_e8(self.worst_notional_e8[i], self.leverage[i]))
        return total

    cdef int64_t equity_e8(self) noexcept nogil:
        cdef int64_t total = self.wallet_e8
        cdef int i
        for i in range(MAX_SYMBOLS):
            total = add_saturating(total, self.unrealised_e8[i])
        return total

    def set_leverage(self, int symbol_id, int leverage):
        """Take the account's leverage on a symbol, as the venue states it."""
        if not 0 <= symbol_id < MAX_SYMBOLS or not 1 <= leverage <= 1000:
            raise ValueError(f"symbol id {symbol_id}, leverage {leverage}")
        self.leverage[symbol_id] = leverage
