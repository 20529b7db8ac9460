"""Price levels of one side of a book: lookups are binary searches, changes move only what is better."""

from libc.stdlib cimport abort, free, realloc
from libc.string cimport memmove


cdef void levels_init(Levels *side, int64_t sign) noexcept nogil:
    side.levels = NULL
    side.count = 0
    side.capacity = 0
    side.side = sign


cdef void levels_free(Levels *side) noexcept nogil:
    free(side.levels)
    side.levels = NULL


cdef int64_t levels_place(const Levels *side, int64_t price_ticks) noexcept nogil:
    cdef int64_t low = 0
    cdef int64_t high = side.count
    cdef int64_t middle
    while low < high:
        middle = (low + high) >> 1
        if side.side * (side.levels[middle].price_ticks - price_ticks) < 0:
            low = middle + 1
        else:
            high = middle
    return low


cdef Level *levels_best(const Levels *side) noexcept nogil:
    return &side.levels[side.count - 1] if side.count > 0 else NULL


cdef Level *levels_find(const Levels *side, int64_t price_ticks) noexcept nogil:
    cdef int64_t place = levels_place(side, price_ticks)
    if place < side.count and side.levels[place].price_ticks == price_ticks:
        return &side.levels[place]
    return NULL


cdef Level *levels_add(Levels *side, int64_t price_ticks) noexcept nogil:
    cdef int64_t place = levels_place(side, price_ticks)
    if place < side.count and side.levels[place].price_ticks == price_ticks:
        return &side.levels[place]
    if side.count == side.capacity:
        side.capacity = max(side.capacity * 2, 256)
        side.levels = <Level *>realloc(side.levels, side.capacity * sizeof(Level))
        if side.levels == NULL:
            abort()
    memmove(&side.levels[place + 1], &side.levels[place], (side.count - place) * sizeof(Level))
    side.count += 1
    cdef Level *level = &side.levels[place]
    level.price_ticks = price_ticks
    level.lots = 0
    level.consumed_lots = 0
    level.head = -1
    level.tail = -1
    return level


cdef void levels_remove(Levels *side, int64_t price_ticks) noexcept nogil:
    cdef int64_t place = levels_place(side, price_ticks)
    if place < side.count and side.levels[place].price_ticks == price_ticks:
        side.count -= 1
        memmove(&side.levels[place], &side.levels[place + 1], (side.count - place) * sizeof(Level))


cdef list levels_top(const Levels *side, int64_t limit):
    cdef int64_t i
    return [
        (side.levels[i].price_ticks, side.levels[i].lots)
        for i in range(side.count - 1, max(side.count - 1 - limit, -1), -1)
    ]
