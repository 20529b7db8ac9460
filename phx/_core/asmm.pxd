# ASMM, adaptive skewed market making: reservation price, half spread and scale.
from phx._core.model cimport Market, ModelQuote
from phx._core.records cimport Params

cdef double anchored(double anchor, double ratio, double dead_band) noexcept nogil
cdef void asmm(const Market *market, double d_0_ticks, const Params *params, ModelQuote *quote) noexcept nogil
