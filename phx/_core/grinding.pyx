"""GRINDING: the arithmetic of cutting inventory actively. Safety scales the maker order only, never the exit slice."""

from libc.math cimport fabs, floor
from libc.stdint cimport int64_t

from phx._core.records cimport BOOK_LEVELS, Book, Params

cdef double MAKER_STAYS = 0.9                # of its distance from fair: a resting maker order is left alone so far


cdef inline double clamp(double value, double low, double high) noexcept nogil:
    return low if value < low else high if value > high else value


cdef double safety(double ratio, double loss_share, double sigma_30m, const Params *params) noexcept nogil:
    """Return how safe resting is, 0..1, by inventory, loss and volatility.

    ratio: |inventory / net_max|. loss_share: unrealised loss over the position's value, >= 0.
    """
    return (
        clamp((1 - ratio) / (1 - params.grind_exit), 0, 1)
        * clamp(1 - 0.5 * loss_share / params.stop_loss, 0.5, 1)
        * clamp(1 - 100 * sigma_30m, 0.5, 1)
    )


cdef double safety_scale(double safety) noexcept nogil:
    return 0.5 if safety < 0.3 else 0.75 if safety < 0.6 else 1.0


cdef int64_t grind_maker_price(
    int side, double fair_ticks, int64_t limit_ticks, int64_t before_ticks, const Params *params
) noexcept nogil:
    """Return the maker order's price: grind_maker_offset from fair, rounded away, post-only.

    before: its price so far, kept while near enough to where it should be; 0 = none.
    """
    cdef double offset = params.grind_maker_offset * fair_ticks
    cdef int64_t price = <int64_t>(side * floor(side * fair_ticks - offset))
    if before_ticks > 0 and fabs(<double>(before_ticks - price)) <= MAKER_STAYS * offset:
        price = before_ticks
    return side * min(side * price, side * limit_ticks)


cdef int64_t slice_lots(int64_t inventory_lots, const Params *params) noexcept nogil:
    """Return a taker slice: a share of the inventory, at least the venue's smallest order, at most all of it."""
    cdef int64_t lots = <int64_t>floor(params.grind_slice * inventory_lots + 1e-9)
    return min(inventory_lots, max(lots, params.min_qty_lots))


cdef int64_t slice_limit(int side, int64_t touch_ticks, double slip) noexcept nogil:
    """Return the worst price of a take: `slip` through the opposite touch, rounded towards it."""
    return <int64_t>(side * floor(side * touch_ticks + slip * touch_ticks + 1e-9))


cdef int64_t depth_lots(const Book *book, int side, int64_t limit_ticks) noexcept nogil:
    """Return the quantity that a take with this limit can meet, of what is visible."""
    cdef const int64_t *price_ticks = &book.ask_price_ticks[0] if side > 0 else &book.bid_price_ticks[0]
    cdef const int64_t *qty_lots = &book.ask_qty_lots[0] if side > 0 else &book.bid_qty_lots[0]
    cdef int levels = min(book.ask_levels if side > 0 else book.bid_levels, BOOK_LEVELS)
    cdef int64_t lots = 0
    cdef int i
    for i in range(levels):
        if side * (price_ticks[i] - limit_ticks) > 0:
            break
        lots += qty_lots[i]
    return lots


# For tests and research: the same arithmetic on plain values.

def safety_of(double ratio, double loss_share, double sigma_30m, const Params[::1] params):
    """Return (safety, the scale of the maker order's size)."""
    cdef double found = safety(ratio, loss_share, sigma_30m, &params[0])
    return found, safety_scale(found)


def maker_price(int side, double fair_ticks, int64_t limit_ticks, const Params[::1] params, int64_t before_ticks=0):
    """Return the maker order's price."""
    return grind_maker_price(side, fair_ticks, limit_ticks, before_ticks, &params[0])


def slice_of(int64_t inventory_lots, const Params[::1] params):
    """Return a slice in lots."""
    return slice_lots(inventory_lots, &params[0])


def limit_of(int side, int64_t touch_ticks, double slip):
    """Return a take's worst price."""
    return slice_limit(side, touch_ticks, slip)


def depth_within(const Book[::1] book, int side, int64_t limit_ticks):
    """Return the visible quantity within a take's limit."""
    return depth_lots(&book[0], side, limit_ticks)
