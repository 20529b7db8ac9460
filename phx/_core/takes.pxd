# The quoter's one-shot orders: wanted one at a time, said again in each ladder until the gateway has answered.
from libc.stdint cimport int64_t, uint64_t

from phx._core.records cimport Ladder, Own

cdef struct TakeState:
    uint64_t n                       # number of the newest in this quoter's life; 0 = none yet
    bint wanted                      # the gateway has not answered it
    int side                         # Side
    int64_t qty_lots
    int64_t limit_ticks              # NO_PRICE = market order
    int64_t deadline_mono_ns         # past it the gateway drops it, and says so
    uint64_t own_seq                 # decided on

cdef void want_take(
    TakeState *take, int side, int64_t qty_lots, int64_t limit_ticks, int64_t deadline_mono_ns, uint64_t own_seq
) noexcept nogil
# Returns the lots filled once the take is answered, else -1.
cdef int64_t read_answer(TakeState *take, const Own *own, uint64_t epoch) noexcept nogil
cdef void withdraw_take(TakeState *take) noexcept nogil
cdef void show_take(const TakeState *take, Ladder *ladder) noexcept nogil
