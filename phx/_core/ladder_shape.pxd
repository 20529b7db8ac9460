# The two shapes of a ladder as offsets d_i of its layers, in ticks from the reservation price.
from libc.stdint cimport int64_t

from phx._core.records cimport Params

cdef enum:
    SHAPE_NEAR_FAR = 0                       # Params.ladder_shape
    SHAPE_GEOMETRIC = 1
    FAR_LINEAR = 0                           # Params.far_shape
    FAR_GEOMETRIC = 1

# Fills offsets_ticks and returns the number of layers, at most LADDER_LAYERS.
cdef int raw_offsets(const Params *params, double price_ticks, double *offsets_ticks) noexcept nogil
cdef int64_t layer_lots(const Params *params, int layer) noexcept nogil
cdef int adding_layers(int layers, double ratio, double cut) noexcept nogil
