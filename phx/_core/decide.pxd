# decide(market, own, params, now_ns) → Ladder: the whole strategy in one pure function.
from libc.stdint cimport int64_t, uint64_t

from phx._core.live cimport Live
from phx._core.model cimport Market, ModelQuote
from phx._core.records cimport Ladder, Params

cdef struct Verdict:                         # why the ladder looks as it does: for counters, state and decisions
    ModelQuote quote
    double ratio                             # inventory over net_max, unclamped
    int64_t worst_buy_lots                   # position if every live and wanted buy fills
    int64_t worst_sell_lots
    int clamped_layers
    int merged_layers
    int dropped_layers                       # below a minimum
    int trimmed_layers                       # by the worst case
    int crossing_layers                      # through our own orders
    int kept_layers
    bint bids_trimmed_away                   # the worst case left nothing of a side
    bint asks_trimmed_away

cdef void decide(
    const Market *market, const Live *live, const Params *params, int64_t now_ns, Ladder *ladder, Verdict *verdict
) noexcept nogil
cdef uint64_t ladder_hash(const Ladder *ladder) noexcept nogil
