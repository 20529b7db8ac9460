# What the gateway notices of its own trading: too much filled too fast, and the same thing done again and again.
from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:
    PROTECTION_EVENTS = 1024            # remembered, a power of two; more of them in one window is too many

cdef struct Rush:                       # fills of one symbol in a rolling window (C15)
    int64_t[PROTECTION_EVENTS] times_mono_ns
    int64_t[PROTECTION_EVENTS] lots     # signed by side
    uint32_t head                       # fills noted so far
    uint32_t tail                       # of them, those older than the window
    int64_t total_lots                  # of those in the window, both sides together
    int64_t delta_lots                  # by how much they moved the position

cdef struct Cycles:                     # fills of one side that were followed by a new order on it (C06)
    int64_t[PROTECTION_EVENTS] times_mono_ns
    uint32_t head
    uint32_t tail
    uint8_t filled                      # 1 = a fill since the newest order of this side

# Each returns whether it was too much: more than allowed_lots filled or moved, more than `allowed` cycles.
cdef bint note_rush(Rush *rush, int side, int64_t qty_lots, int64_t window_ns, int64_t allowed_lots,
                    int64_t allowed_delta_lots, int64_t now_ns) noexcept nogil
cdef bint count_cycle(Cycles *cycles, int64_t window_ns, uint32_t allowed, int64_t now_ns) noexcept nogil
