# FLATTENING: which step its slices have reached, and when the next one may go.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from phx._core.records cimport Params

cdef struct Flattening:
    int64_t since_mono_ns                    # 0 = not flattening
    int step                                 # 0..FLATTEN_STEPS; the last is market orders
    int64_t step_mono_ns                     # since when it is at this step
    uint32_t empty                           # slices in a row that filled nothing, at this step
    int64_t empty_mono_ns                    # when the newest of them was answered
    int64_t blind_mono_ns                    # since when there is no good book; 0 = there is one

cdef void begin_flattening(Flattening *flattening, int step, int64_t now_ns) noexcept nogil
cdef void note_slice(Flattening *flattening, int64_t filled_lots, int64_t now_ns) noexcept nogil
cdef bint escalate(Flattening *flattening, bint sees, const Params *params, int64_t now_ns) noexcept nogil
cdef bint slice_due(
    const Flattening *flattening, bint quotes_gone, const Params *params, int64_t now_ns
) noexcept nogil
