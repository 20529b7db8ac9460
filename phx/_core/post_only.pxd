# What the venue's post-only refusals teach: layers that were refused stay farther out for a while.
from libc.stdint cimport int64_t

from phx._core.records cimport LADDER_LAYERS, Params

cdef struct Refused:                         # [side_index(side)][rung]
    double ticks[2][LADDER_LAYERS]           # widened by so much at since_ns, forgotten by half-lives
    int64_t since_ns[2][LADDER_LAYERS]
    bint any                                 # whether any layer is widened at all

cdef void note_refused(Refused *refused, int side, int layer, const Params *params, int64_t now_ns) noexcept nogil
# Fills in whole ticks per side and rung; returns whether any is not 0.
cdef bint refused_ticks(
    Refused *refused, const Params *params, int64_t now_ns, int64_t (*ticks)[LADDER_LAYERS]
) noexcept nogil
