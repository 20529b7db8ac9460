"""The order book of one instrument: a window of ticks around the market with a bitmap, and a sorted store beyond.

A quantity near the market is one store and one bit; the next best level is found by counting zeros. The window
holds the best level always; when the market leaves its inner part, all levels pour into the sorted store and those
around the new best flow back, so that no price is ever wrong, only slower to reach.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memmove, memset

from phx._core.enums cimport BOOK_CROSSED, BOOK_ONE_SIDED
from phx._core.records cimport BOOK_LEVELS, NO_PRICE

cdef extern from *:
    """
    static inline int phx_top_bit(unsigned long long word) { return 63 - __builtin_clzll(word); }
    static inline int phx_low_bit(unsigned long long word) { return __builtin_ctzll(word); }
    """
    int phx_top_bit(uint64_t) noexcept nogil
    int phx_low_bit(uint64_t) noexcept nogil

cdef enum:
    MARGIN = BOOK_WINDOW // 8            # a best level closer to the window's worse end moves the window


cdef inline int64_t qty_at(const BookSide *side, int64_t key) noexcept nogil:
    return side.qty_lots[key - side.base]


cdef inline void put_near(BookSide *side, int64_t slot, int64_t qty_lots) noexcept nogil:
    side.qty_lots[slot] = qty_lots
    side.used[slot >> 6] |= <uint64_t>1 << (slot & 63)
    side.summary[slot >> 12] |= <uint64_t>1 << ((slot >> 6) & 63)


cdef int64_t top_slot(const BookSide *side, int64_t below) noexcept nogil:
    """Return the highest slot in use under `below`, -1 when there is none."""
    cdef int64_t word = below >> 6
    cdef uint64_t bits
    if word < WINDOW_WORDS:
        bits = side.used[word] & ((<uint64_t>1 << (below & 63)) - 1)
        if bits:
            return word * 64 + phx_top_bit(bits)
    cdef int64_t group = word >> 6
    if group < WINDOW_SUMMARY:
        bits = side.summary[group] & ((<uint64_t>1 << (word & 63)) - 1)
    else:
        bits = 0
    while not bits:
        group -= 1
        if group < 0:
            return -1
        bits = side.summary[group]
    word = group * 64 + phx_top_bit(bits)
    return word * 64 + phx_top_bit(side.used[word])


cdef int64_t far_position(const BookSide *side, int64_t key) noexcept nogil:
    """Return the index of the first far level whose key is not below `key`."""
    cdef int64_t low = 0, high = side.far_count, middle
    while low < high:
        middle = (low + high) >> 1
        if side.far[middle].key < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef void forget_worst(BookSide *side) noexcept nogil:
    # The levels furthest from the market go first; an eighth at a time, so that the move is rare.
    cdef int64_t dropped = BOOK_FAR_LEVELS // 8
    side.far_count -= dropped
    side.levels -= dropped
    side.forgotten += dropped
    memmove(side.far, side.far + dropped, side.far_count * sizeof(FarLevel))


cdef void set_far(BookSide *side, int64_t key, int64_t qty_lots) noexcept nogil:
    cdef int64_t at = far_position(side, key)
    cdef bint known = at < side.far_count and side.far[at].key == key
    if qty_lots and not known:
        if side.far_count == BOOK_FAR_LEVELS:
            forget_worst(side)
            at = far_position(side, key)
        memmove(side.far + at + 1, side.far + at, (side.far_count - at) * sizeof(FarLevel))
        side.far_count += 1
        side.levels += 1
        side.far[at].key = key
    elif known and not qty_lots:
        side.far_count -= 1
        side.levels -= 1
        memmove(side.far + at, side.far + at + 1, (side.far_count - at) * sizeof(FarLevel))
        return
    if qty_lots:
        side.far[at].qty_lots = qty_lots


cdef void pour_out(BookSide *side) noexcept nogil:
    """Move every level of the window to the end of the far ones: their keys are all larger."""
    cdef int64_t word, slot
    cdef uint64_t bits
    for word in range(WINDOW_WORDS):
        bits = side.used[word]
        while bits:
            slot = word * 64 + phx_low_bit(bits)
            bits &= bits - 1
            if side.far_count == BOOK_FAR_LEVELS:
                forget_worst(side)
            side.far[side.far_count].key = side.base + slot
            side.far[side.far_count].qty_lots = side.qty_lots[slot]
            side.far_count += 1
    memset(side.used, 0, sizeof(side.used))
    memset(side.summary, 0, sizeof(side.summary))


cdef void centre(BookSide *side, int64_t key) noexcept nogil:
    """Put the window around `key`, or around the best level if that is better."""
    pour_out(side)
    if side.far_count and side.far[side.far_count - 1].key > key:
        key = side.far[side.far_count - 1].key
    side.base = key - BOOK_WINDOW // 2
    while side.far_count and side.far[side.far_count - 1].key >= side.base:
        side.far_count -= 1
        put_near(side, side.far[side.far_count].key - side.base, side.far[side.far_count].qty_lots)


cdef void find_best(BookSide *side, int64_t below) noexcept nogil:
    """Set the best level after the old one went; it lies under slot `below` or among the far ones."""
    cdef int64_t slot = top_slot(side, below)
    if slot >= MARGIN:
        side.best = side.base + slot
    elif slot < 0 and side.far_count == 0:
        side.best = NO_PRICE
    else:
        side.best = side.base + slot if slot >= 0 else side.far[side.far_count - 1].key
        centre(side, side.best)


cdef void set_outside(BookSide *side, int64_t key, int64_t qty_lots) noexcept nogil:
    """Set a level that is not in the window; one better than the window moves it there."""
    if key < side.base and side.best != NO_PRICE:
        set_far(side, key, qty_lots)
    elif qty_lots:
        centre(side, key)
        set_near(side, key, qty_lots)
    # Else the removal of a level better than all: nothing is there.


cdef inline void set_near(BookSide *side, int64_t key, int64_t qty_lots) noexcept nogil:
    cdef int64_t slot = key - side.base
    cdef uint64_t bit = <uint64_t>1 << (slot & 63)
    cdef uint64_t before = side.used[slot >> 6]
    if qty_lots:
        side.qty_lots[slot] = qty_lots
        side.levels += not before & bit
        side.used[slot >> 6] = before | bit
        if before == 0:
            side.summary[slot >> 12] |= <uint64_t>1 << ((slot >> 6) & 63)
        if key > side.best:
            side.best = key
    elif before & bit:                   # the removal of a level never seen is no error
        side.levels -= 1
        side.used[slot >> 6] = before & ~bit
        if before == bit:
            side.summary[slot >> 12] &= ~(<uint64_t>1 << ((slot >> 6) & 63))
        if key == side.best:
            find_best(side, slot)


cdef inline void set_key(BookSide *side, int64_t key, int64_t qty_lots) noexcept nogil:
    if <uint64_t>(key - side.base) < BOOK_WINDOW:
        set_near(side, key, qty_lots)
    else:
        set_outside(side, key, qty_lots)


cdef void clear_side(BookSide *side) noexcept nogil:
    memset(side.used, 0, sizeof(side.used))
    memset(side.summary, 0, sizeof(side.summary))
    side.base = 0
    side.best = NO_PRICE
    side.levels = 0
    side.far_count = 0


cdef int fill_side(const BookSide *side, int sign, int64_t *price_ticks, int64_t *qty_lots) noexcept nogil:
    """Write up to BOOK_LEVELS levels, best first; return how many."""
    cdef int n = 0
    cdef int64_t slot = side.best - side.base + 1, far = side.far_count
    if side.best == NO_PRICE:
        return 0
    while n < BOOK_LEVELS:
        slot = top_slot(side, slot)
        if slot < 0:
            break
        price_ticks[n] = sign * (side.base + slot)
        qty_lots[n] = side.qty_lots[slot]
        n += 1
    while n < BOOK_LEVELS and far > 0:
        far -= 1
        price_ticks[n] = sign * side.far[far].key
        qty_lots[n] = side.far[far].qty_lots
        n += 1
    return n


cdef int allocate(BookSide *side) except -1:
    side.qty_lots = <int64_t *>malloc(BOOK_WINDOW * sizeof(int64_t))
    side.far = <FarLevel *>malloc(BOOK_FAR_LEVELS * sizeof(FarLevel))
    if side.qty_lots == NULL or side.far == NULL:
        raise MemoryError("order book: no room for a side")
    return 0


cdef class OrderBook:
    """Both sides of one instrument's book, empty at first."""

    def __cinit__(self):
        allocate(&self.bid)
        allocate(&self.ask)
        self.clear()

    def __dealloc__(self):
        free(self.bid.qty_lots)
        free(self.bid.far)
        free(self.ask.qty_lots)
        free(self.ask.far)

    cdef void clear(self) noexcept nogil:
        clear_side(&self.bid)
        clear_side(&self.ask)

    cdef void apply(self, int side, const phx_level *levels, uint32_t count) noexcept nogil:
        cdef BookSide *one = &self.bid if side > 0 else &self.ask
        cdef uint32_t i
        for i in range(count):
            set_key(one, side * levels[i].price_ticks, levels[i].qty_lots)

    cdef void set_level(self, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
        set_key(&self.bid if side > 0 else &self.ask, side * price_ticks, qty_lots)

    cdef int64_t best_ticks(self, int side) noexcept nogil:
        cdef int64_t best = self.bid.best if side > 0 else self.ask.best
        return NO_PRICE if best == NO_PRICE else side * best

    cdef int64_t best_lots(self, int side) noexcept nogil:
        cdef const BookSide *one = &self.bid if side > 0 else &self.ask
        return 0 if one.best == NO_PRICE else qty_at(one, one.best)

    cdef bint crossed(self) noexcept nogil:
        # The keys of asks are negative prices: bid >= ask is bid + (-ask) >= 0.
        return self.bid.best != NO_PRICE and self.ask.best != NO_PRICE and self.bid.best + self.ask.best >= 0

    cdef void fill(self, Book *record) noexcept nogil:
        record.bid_levels = fill_side(&self.bid, 1, record.bid_price_ticks, record.bid_qty_lots)
        record.ask_levels = fill_side(&self.ask, -1, record.ask_price_ticks, record.ask_qty_lots)
        record.flags &= ~(BOOK_CROSSED | BOOK_ONE_SIDED)
        if self.crossed():
            record.flags |= BOOK_CROSSED
        if record.bid_levels == 0 or record.ask_levels == 0:
            record.flags |= BOOK_ONE_SIDED

    def update(self, int side, int64_t price_ticks, int64_t qty_lots):
        """Set the quantity of one level; zero lots remove it."""
        if side not in (1, -1) or price_ticks <= 0 or qty_lots < 0:
            raise ValueError(f"order book: side {side}, {price_ticks} ticks, {qty_lots} lots; "
                             "expected a side of +1 or -1, a positive price, no negative quantity")
        self.set_level(side, price_ticks, qty_lots)

    def reset(self):
        """Remove all levels."""
        self.clear()

    def top(self):
        """Return (bid ticks, bid lots, ask ticks, ask lots); None and 0 for an empty side."""
        bid, ask = self.best_ticks(1), self.best_ticks(-1)
        return (None if bid == NO_PRICE else bid, self.best_lots(1),
                None if ask == NO_PRICE else ask, self.best_lots(-1))

    def levels(self, int side):
        """Return up to BOOK_LEVELS (price_ticks, qty_lots) of a side, best first."""
        cdef Book record
        record.flags = 0
        self.fill(&record)
        if side > 0:
            return [(record.bid_price_ticks[i], record.bid_qty_lots[i]) for i in range(record.bid_levels)]
        return [(record.ask_price_ticks[i], record.ask_qty_lots[i]) for i in range(record.ask_levels)]

    def deep_levels(self, int side, int most):
        """Return up to `most` (price_ticks, qty_lots) of a side, best first, however many a record holds."""
        cdef BookSide *one = &self.bid if side > 0 else &self.ask
        cdef int sign = 1 if side > 0 else -1
        cdef int64_t slot = one.best - one.base + 1, far = one.far_count
        found = []
        while one.best != NO_PRICE and len(found) < most and (slot := top_slot(one, slot)) >= 0:
            found.append((sign * (one.base + slot), one.qty_lots[slot]))
        while len(found) < most and far > 0:
            far -= 1
            found.append((sign * one.far[far].key, one.far[far].qty_lots))
        return found

    def sizes(self):
        """Return (bid levels, ask levels, levels forgotten): near and far together."""
        return self.bid.levels, self.ask.levels, self.bid.forgotten + self.ask.forgotten
