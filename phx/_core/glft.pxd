# Gueant, Lehalle & Fernandez-Tapia, the asymptotic closed form.
from phx._core.model cimport Market, ModelQuote
from phx._core.records cimport Params

cdef double c1(double xi, double k) noexcept nogil
cdef double c2(double gamma, double xi, double a, double k) noexcept nogil
cdef void glft(const Market *market, double d_0_ticks, const Params *params, ModelQuote *quote) noexcept nogil
