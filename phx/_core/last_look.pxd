# The quoter's own limits on a ladder it is about to show: other code than the gateway's, and its own view of things.
from phx._core.live cimport Live
from phx._core.model cimport Market
from phx._core.records cimport Ladder, Params

# Drops every layer that breaks a limit; returns how many.
cdef int look_last(Ladder *ladder, const Market *market, const Live *live, const Params *params) noexcept nogil
