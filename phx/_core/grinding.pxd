# GRINDING: how safe it is, where its maker order rests, how large its taker slices are and how far they reach.
from libc.stdint cimport int64_t

from phx._core.records cimport Book, Params

cdef double safety(double ratio, double loss_share, double sigma_30m, const Params *params) noexcept nogil
cdef double safety_scale(double safety) noexcept nogil
cdef int64_t grind_maker_price(
    int side, double fair_ticks, int64_t limit_ticks, int64_t before_ticks, const Params *params
) noexcept nogil
cdef int64_t slice_lots(int64_t inventory_lots, const Params *params) noexcept nogil
cdef int64_t slice_limit(int side, int64_t touch_ticks, double slip) noexcept nogil
cdef int64_t depth_lots(const Book *book, int side, int64_t limit_ticks) noexcept nogil
