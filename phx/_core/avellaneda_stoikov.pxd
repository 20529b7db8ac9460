# Avellaneda & Stoikov (2008) with a rolling horizon.
from phx._core.model cimport Market, ModelQuote
from phx._core.records cimport Params

cdef double fill_term(double risk_aversion, double k) noexcept nogil
cdef double risk_term(double gamma, double sigma, double horizon_s) noexcept nogil
cdef void avellaneda_stoikov(
    const Market *market, double d_0_ticks, const Params *params, ModelQuote *quote
) noexcept nogil
