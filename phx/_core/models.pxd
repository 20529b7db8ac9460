# Which quoting model a symbol's parameters ask for.
from phx._core.model cimport Model
from phx._core.records cimport Params

cdef Model model_of(const Params *params) noexcept nogil
