# PINNING: one reducing order at the touch, protective layers far away, nothing near the touch on the adding side.
from libc.stdint cimport int64_t

from phx._core.records cimport Params

cdef struct Pin:
    int side                                 # of the pinned order; 0 = none
    int64_t price_ticks
    int64_t priced_mono_ns                   # when it got this price
    double far_mid_ticks                     # the mid that the far layers lie around; 0 = none
    double patience_ratio                    # |ratio| from which progress counts
    int64_t patience_mono_ns                 # since when; 0 = not pinning

cdef int64_t pin_target(
    int side, int64_t foreign_ticks, int64_t foreign_opposite_ticks, int64_t limit_ticks, int64_t improve_ticks
) noexcept nogil
cdef int64_t pin_price(
    Pin *pin, int side, int64_t target_ticks, int64_t foreign_ticks, int64_t limit_ticks, const Params *params,
    int64_t now_ns
) noexcept nogil
cdef bint out_of_patience(Pin *pin, double ratio, const Params *params, int64_t now_ns) noexcept nogil
cdef double far_mid(Pin *pin, double mid_ticks, const Params *params) noexcept nogil
cdef int64_t far_price(int side, double mid_ticks, int layer, const Params *params) noexcept nogil
