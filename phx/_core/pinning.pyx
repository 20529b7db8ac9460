"""PINNING: where the pinned order stands, where the protective layers lie, and when patience is over."""

from libc.math cimport fabs, floor, pow
from libc.stdint cimport int64_t

from phx._core.records cimport Params

cdef double PROGRESS = 0.05                  # |ratio| that must be gained within pin_patience
cdef double FAR_FOLLOWS = 0.1                # of pin_far_start: the far layers follow the mid in steps of this


cdef int64_t pin_target(
    int side, int64_t foreign_ticks, int64_t foreign_opposite_ticks, int64_t limit_ticks, int64_t improve_ticks
) noexcept nogil:
    """Return the price that joins the best of others, or improves it; never beyond the post-only limit.

    foreign: best prices without our own orders, on the order's side and opposite. limit: one tick short of the
    venue's best opposite price. improve: 0 = join.
    """
    cdef int64_t price = foreign_ticks
    if side * (foreign_opposite_ticks - foreign_ticks) >= 2 * improve_ticks:
        price += side * improve_ticks
    return side * min(side * price, side * limit_ticks)


cdef int64_t pin_price(
    Pin *pin, int side, int64_t target_ticks, int64_t foreign_ticks, int64_t limit_ticks, const Params *params,
    int64_t now_ns
) noexcept nogil:
    """Return the pinned order's price: inward at the allowed rate, outward only when it stands out by too much."""
    cdef bint inward = side * (target_ticks - pin.price_ticks) > 0
    cdef bint stands_out = side * (pin.price_ticks - foreign_ticks) > <int64_t>params.pin_back_ticks
    cdef bint crosses = side * (pin.price_ticks - limit_ticks) > 0       # it is filled, or it could not be placed
    cdef bint due = now_ns - pin.priced_mono_ns >= params.pin_min_requote_ns
    if pin.side != side or crosses or (due and (inward or stands_out)):
        if pin.side != side or pin.price_ticks != target_ticks:
            pin.priced_mono_ns = now_ns
        pin.side, pin.price_ticks = side, target_ticks
    return pin.price_ticks


cdef bint out_of_patience(Pin *pin, double ratio, const Params *params, int64_t now_ns) noexcept nogil:
    """Return whether |ratio| fell by less than PROGRESS since patience began or was last rewarded."""
    if pin.patience_mono_ns == 0 or ratio <= pin.patience_ratio - PROGRESS:
        pin.patience_ratio, pin.patience_mono_ns = ratio, now_ns
    return now_ns - pin.patience_mono_ns >= params.pin_patience_ns


cdef double far_mid(Pin *pin, double mid_ticks, const Params *params) noexcept nogil:
    """Return the mid that the far layers lie around; it follows the true one in steps, so that they can rest."""
    if fabs(mid_ticks - pin.far_mid_ticks) > FAR_FOLLOWS * params.pin_far_start * mid_ticks:
        pin.far_mid_ticks = mid_ticks
    return pin.far_mid_ticks


cdef int64_t far_price(int side, double mid_ticks, int layer, const Params *params) noexcept nogil:
    """Return a protective layer's price: far_start to far_end of the mid, in equal steps or ratios, rounded away."""
    cdef double start = params.pin_far_start, end = params.pin_far_end, offset = start
    cdef int gaps = <int>params.pin_far_layers - 1
    if gaps > 0 and params.pin_far_shape:
        offset = start * pow(end / start, layer / <double>gaps)
    elif gaps > 0:
        offset = start + (end - start) * layer / gaps
    return <int64_t>(side * floor(side * mid_ticks - offset * mid_ticks))


# For tests and research: the same arithmetic on plain values.

def target(int side, int64_t foreign_ticks, int64_t foreign_opposite_ticks, int64_t limit_ticks, bint improve=False):
    """Return the price a pinned order would join."""
    return pin_target(side, foreign_ticks, foreign_opposite_ticks, limit_ticks, improve)


def far_prices(int side, double mid_ticks, const Params[::1] params):
    """Return the protective layers' prices, nearest first."""
    return [far_price(side, mid_ticks, layer, &params[0]) for layer in range(params[0].pin_far_layers)]


cdef class Pinned:
    """A pinned order over time."""

    cdef Pin pin

    def price(self, int side, int64_t target_ticks, int64_t foreign_ticks, int64_t limit_ticks,
              const Params[::1] params, int64_t now_ns):
        """Return its price now."""
        return pin_price(&self.pin, side, target_ticks, foreign_ticks, limit_ticks, &params[0], now_ns)

    def impatient(self, double ratio, const Params[::1] params, int64_t now_ns):
        """Return whether patience is over."""
        return bool(out_of_patience(&self.pin, ratio, &params[0], now_ns))
