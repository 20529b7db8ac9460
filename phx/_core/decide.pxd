# decide(market, own, learned, params, now_ns) → Ladder: the whole strategy in one pure function.
from libc.stdint cimport int64_t, uint64_t

from phx._core.live cimport Live
from phx._core.model cimport Market, ModelQuote
from phx._core.records cimport Ladder, Params

cdef struct Learned:                         # of our own orders, beyond what exists; all zero = nothing
    const double *place[2]                   # by side_index: each live order's place in its queue, 0..1, or NULL
    const int64_t *refused_ticks[2]          # by side_index: how much farther out each rung goes, or NULL
    bint scarce                              # little is left of the account's order budget

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
    int queue_kept_layers                    # of them outside the tolerance, for their place in the queue
    int64_t top_target_ticks[2]              # by side_index: nearest layer's price before the keep rule, or NO_PRICE
    double top_tolerance_ticks               # how far from it the order that serves it may lie
    bint bids_trimmed_away                   # the worst case left nothing of a side
    bint asks_trimmed_away

cdef void decide(
    const Market *market, const Live *live, const Learned *learned, const Params *params, int64_t now_ns,
    Ladder *ladder, Verdict *verdict
) noexcept nogil
cdef uint64_t ladder_hash(const Ladder *ladder) noexcept nogil
