"""The shapes of a ladder, near dense and far sparse: how far each layer lies from the reservation price."""

from libc.math cimport fabs, floor, pow
from libc.stdint cimport int64_t

from phx._core.records cimport LADDER_LAYERS, Params


cdef int raw_offsets(const Params *params, double price_ticks, double *offsets_ticks) noexcept nogil:
    cdef int near = min(<int>params.near_layers, LADDER_LAYERS)
    cdef int far = min(<int>params.far_layers, LADDER_LAYERS - near)
    if params.ladder_shape == SHAPE_GEOMETRIC:
        growing_offsets(params, offsets_ticks, near + far)
    else:
        near_offsets(params, price_ticks, offsets_ticks, near)
        far_offsets(params, price_ticks, offsets_ticks + near, far)
    return near + far


cdef void near_offsets(const Params *params, double price_ticks, double *offsets_ticks, int layers) noexcept nogil:
    """d_i = near_start * near_ratio^i of the price."""
    cdef double offset = params.near_start * price_ticks
    cdef int layer
    for layer in range(layers):
        offsets_ticks[layer] = offset
        offset *= params.near_ratio


cdef void far_offsets(const Params *params, double price_ticks, double *offsets_ticks, int layers) noexcept nogil:
    """From far_start to far_end of the price, in equal steps or in equal ratios; one layer alone lies at far_start."""
    cdef double offset = params.far_start * price_ticks
    cdef double step = 0, ratio = 1
    cdef int layer
    if layers > 1 and params.far_shape == FAR_GEOMETRIC:
        ratio = pow(params.far_end / params.far_start, 1.0 / (layers - 1))
    elif layers > 1:
        step = (params.far_end - params.far_start) * price_ticks / (layers - 1)
    for layer in range(layers):
        offsets_ticks[layer] = offset
        offset = offset * ratio + step


cdef void growing_offsets(const Params *params, double *offsets_ticks, int layers) noexcept nogil:
    """d_0 = start, then each spacing `mult` times the one before, up to a largest spacing."""
    cdef double offset = params.geometric_start_ticks
    cdef double spacing = params.geometric_first_ticks
    cdef int layer
    for layer in range(layers):
        offsets_ticks[layer] = offset
        offset += min(spacing, params.geometric_max_spacing_ticks)
        spacing *= params.geometric_mult


cdef int64_t layer_lots(const Params *params, int layer) noexcept nogil:
    return params.near_size_lots if layer < <int>params.near_layers else params.far_size_lots


cdef int adding_layers(int layers, double ratio, double cut) noexcept nogil:
    """Return how many layers the side that adds inventory keeps, nearest first; the other side keeps all."""
    # The margin makes 10 * 0.7 = 7 layers although 0.7 has no exact double.
    return max(1, min(layers, <int>floor(layers * (1 - cut * fabs(ratio)) + 1e-9)))


def offsets(const Params[::1] params, double price_ticks):
    """Return the offsets in ticks as a list; for tests and research."""
    cdef double[LADDER_LAYERS] found
    cdef int layers = raw_offsets(&params[0], price_ticks, found)
    return [found[layer] for layer in range(layers)]


def adding_layer_count(int layers, double ratio, double cut):
    """Return how many layers the adding side keeps; for tests and research."""
    return adding_layers(layers, ratio, cut)
