# What one symbol's fills add up to, exact: integers in tick·lot, fees and funding in 1e-8 of the quote currency.
from libc.stdint cimport int64_t, uint64_t

cdef struct Position:
    int64_t position_lots               # signed
    int64_t open_cost_ticklots          # what the position cost: average cost times lots, signed like it
    int64_t realised_ticklots           # closed profit before fees
    int64_t fees_e8                     # paid, positive; rebates negative
    int64_t funding_e8                  # received positive, paid negative
    int64_t volume_ticklots             # filled notional, both sides
    int64_t taker_volume_ticklots       # of it: filled as taker
    uint64_t fills                      # count

cdef void add_fill(Position *position, int side, int64_t price_ticks, int64_t qty_lots, bint maker) noexcept nogil
cdef int64_t unrealised_ticklots(const Position *position, int64_t mark_price_ticks) noexcept nogil
cdef int64_t pnl_e8(const Position *position, int64_t mark_price_ticks, int64_t ticklot_e8) noexcept nogil
