"""Learn from post-only refusals: the market moves while an order travels, so what was refused goes out farther.

Each refusal while a layer is still widened doubles what it has and adds a step: 1, 3, 7, 15 ticks for steps of one.
However wide the venue's no-go zone is, few refusals find its edge; and they are forgotten with a half-life.
"""

from libc.math cimport exp2, floor
from libc.stdint cimport int64_t
from libc.string cimport memset

from phx._core.enums cimport BUY, SELL
from phx._core.live cimport side_index
from phx._core.records cimport LADDER_LAYERS, Params

cdef double MOST_STEPS = 1023            # ten refusals in a row; beyond that distance cures nothing
cdef double FORGOTTEN_TICKS = 0.01       # a layer is as good as new


cdef inline double left_ticks(double ticks, int64_t age_ns, double half_life_s) noexcept nogil:
    return ticks * exp2(-max(age_ns, 0) / 1e9 / half_life_s)


cdef void note_refused(Refused *refused, int side, int layer, const Params *params, int64_t now_ns) noexcept nogil:
    """The venue refused this rung's order because it would have taken. A take's or unknown rung teaches nothing."""
    cdef int s = side_index(side)
    cdef double ticks
    if (side != BUY and side != SELL) or not 0 <= layer < LADDER_LAYERS or params.post_only_half_life_s <= 0:
        return
    ticks = left_ticks(refused.ticks[s][layer], now_ns - refused.since_ns[s][layer], params.post_only_half_life_s)
    refused.ticks[s][layer] = min(
        2 * ticks + params.post_only_step_ticks, MOST_STEPS * params.post_only_step_ticks
    )
    refused.since_ns[s][layer] = now_ns
    refused.any = True


cdef bint refused_ticks(
    Refused *refused, const Params *params, int64_t now_ns, int64_t (*ticks)[LADDER_LAYERS]
) noexcept nogil:
    cdef int s, layer
    cdef bint left = False, some = False
    cdef double now_ticks
    if not refused.any:
        return False
    memset(ticks, 0, 2 * sizeof(ticks[0]))
    for s in range(2):
        for layer in range(LADDER_LAYERS):
            if refused.ticks[s][layer] == 0:
                continue
            now_ticks = left_ticks(
                refused.ticks[s][layer], now_ns - refused.since_ns[s][layer], params.post_only_half_life_s
            )
            if now_ticks < FORGOTTEN_TICKS:
                refused.ticks[s][layer] = 0
                continue
            left = True
            ticks[s][layer] = <int64_t>floor(now_ticks + 0.5)
            some = some or ticks[s][layer] != 0
    refused.any = left
    return some


cdef class RefusedLayers:
    """The same from Python; for tests and research."""

    cdef Refused refused

    def note(self, int side, int layer, const Params[::1] params, int64_t now_ns):
        note_refused(&self.refused, side, layer, &params[0], now_ns)

    def ticks(self, int side, const Params[::1] params, int64_t now_ns):
        """Return the widening of a side's rungs in whole ticks."""
        cdef int64_t[2][LADDER_LAYERS] found
        if not refused_ticks(&self.refused, &params[0], now_ns, found):
            return [0] * LADDER_LAYERS
        return [found[side_index(side)][layer] for layer in range(LADDER_LAYERS)]
