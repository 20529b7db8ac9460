"""Takes, the quoter's half: at most one is wanted, and none after it before the gateway has answered.

The gateway runs a take at most once: it knows the quoter's epoch and the number, journals it before it is sent, and
answers in `own` whatever became of it. So a take that is no longer wanted is not forgotten but shown with a deadline
that is over: it is either answered as dropped or was under way already.
"""

from libc.stdint cimport int64_t, uint64_t

from phx._core.records cimport Ladder, Own


cdef void want_take(
    TakeState *take, int side, int64_t qty_lots, int64_t limit_ticks, int64_t deadline_mono_ns, uint64_t own_seq
) noexcept nogil:
    take.n += 1
    take.wanted = True
    take.side, take.qty_lots, take.limit_ticks = side, qty_lots, limit_ticks
    take.deadline_mono_ns, take.own_seq = deadline_mono_ns, own_seq


cdef int64_t read_answer(TakeState *take, const Own *own, uint64_t epoch) noexcept nogil:
    """Return what the take that was wanted has filled once the gateway says that it is over, else -1."""
    if not take.wanted or own.last_take_epoch != epoch or own.last_take_n < take.n:
        return -1
    take.wanted = False
    return own.last_take_filled_lots


cdef void withdraw_take(TakeState *take) noexcept nogil:
    take.deadline_mono_ns = 0


cdef void show_take(const TakeState *take, Ladder *ladder) noexcept nogil:
    if not take.wanted:
        return
    ladder.take_n, ladder.take_side, ladder.take_qty_lots = take.n, take.side, take.qty_lots
    ladder.take_limit_ticks, ladder.take_deadline_mono_ns = take.limit_ticks, take.deadline_mono_ns
    ladder.take_own_seq = take.own_seq
