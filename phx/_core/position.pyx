"""Position, average cost and profit of one symbol in integers: nothing is ever rounded away.

The cost of the closed part of a position is rounded towards zero to a whole tick·lot and leaves the open cost by the
same amount, so realised + unrealised is always the exact cash flow plus the value of what is held.
"""

from libc.stdint cimport int64_t

cdef extern from *:
    ctypedef long long int128_t "__int128"


cdef void add_fill(Position *position, int side, int64_t price_ticks, int64_t qty_lots, bint maker) noexcept nogil:
    cdef int64_t held = position.position_lots
    cdef int64_t closing = 0, cost
    if held * side < 0:
        closing = min(qty_lots, -held * side)
        cost = <int64_t>(<int128_t>position.open_cost_ticklots * closing // (-held * side))
        position.realised_ticklots += -side * closing * price_ticks - cost
        position.open_cost_ticklots -= cost
    # What is left after a flip opens a position of its own.
    position.open_cost_ticklots += side * (qty_lots - closing) * price_ticks
    position.position_lots += side * qty_lots
    position.volume_ticklots += qty_lots * price_ticks
    if not maker:
        position.taker_volume_ticklots += qty_lots * price_ticks
    position.fills += 1


cdef int64_t unrealised_ticklots(const Position *position, int64_t mark_price_ticks) noexcept nogil:
    return position.position_lots * mark_price_ticks - position.open_cost_ticklots


cdef int64_t pnl_e8(const Position *position, int64_t mark_price_ticks, int64_t ticklot_e8) noexcept nogil:
    cdef int64_t gained = position.realised_ticklots + unrealised_ticklots(position, mark_price_ticks)
    return gained * ticklot_e8 - position.fees_e8 + position.funding_e8


cdef class PositionBook:
    """One symbol's position for tools and tests; the gateway embeds the struct."""

    cdef Position position
    cdef readonly int64_t ticklot_e8

    def __init__(self, int64_t ticklot_e8=1):
        self.ticklot_e8 = ticklot_e8

    def fill(self, int side, int64_t price_ticks, int64_t qty_lots, int64_t fee_e8=0, bint maker=True):
        """Apply one fill."""
        if side not in (1, -1) or price_ticks <= 0 or qty_lots <= 0:
            raise ValueError(f"fill: side {side}, price {price_ticks} ticks, quantity {qty_lots} lots")
        add_fill(&self.position, side, price_ticks, qty_lots, maker)
        self.position.fees_e8 += fee_e8

    def fund(self, int64_t amount_e8):
        """Book a funding payment: received positive."""
        self.position.funding_e8 += amount_e8

    def pnl_e8(self, int64_t mark_price_ticks):
        """Return realised + unrealised - fees + funding, 1e-8 of the quote currency."""
        return pnl_e8(&self.position, mark_price_ticks, self.ticklot_e8)

    def state(self):
        """Return the fields by name."""
        return self.position
