"""The quoting models by their word in the parameters. All have one shape (model.pxd); the ladder knows none of them."""

from phx._core.asmm cimport asmm
from phx._core.avellaneda_stoikov cimport avellaneda_stoikov
from phx._core.enums cimport MODEL_AVELLANEDA_STOIKOV, MODEL_GLFT
from phx._core.glft cimport glft
from phx._core.model cimport Market, Model, ModelQuote
from phx._core.records cimport Params


cdef Model model_of(const Params *params) noexcept nogil:
    if params.model == MODEL_AVELLANEDA_STOIKOV:
        return avellaneda_stoikov
    if params.model == MODEL_GLFT:
        return glft
    return asmm


# For tests and research: the same models on plain values.

def quote(Market market, double d_0_ticks, const Params[::1] params):
    """Return what the model answers as a dict, given a market as a dict and a PARAMS array of one record."""
    cdef ModelQuote answer
    model_of(&params[0])(&market, d_0_ticks, &params[0], &answer)
    return answer


def quote_many(
    Market market, const double[::1] mid_ticks, const double[::1] inventory_sizes, const Params[::1] params,
    double[::1] bid_ticks, double[::1] ask_ticks,
):
    """Fill in the nearest bid and ask of many paths; path i has its own mid, which is its fair price, and inventory."""
    cdef ModelQuote answer
    cdef Model model = model_of(&params[0])
    cdef Py_ssize_t i, paths = mid_ticks.shape[0]
    if not paths == inventory_sizes.shape[0] == bid_ticks.shape[0] == ask_ticks.shape[0]:
        raise ValueError("quote_many: arrays of different lengths")
    with nogil:
        for i in range(paths):
            market.mid_ticks = market.fair_ticks = mid_ticks[i]
            market.inventory_sizes = inventory_sizes[i]
            model(&market, 0, &params[0], &answer)
            bid_ticks[i] = answer.reservation_ticks - answer.distance_0_ticks
            ask_ticks[i] = answer.reservation_ticks + answer.distance_0_ticks
