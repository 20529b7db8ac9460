"""The loss budget of grinding: losses of the last hour; gains never refill it."""

from libc.math cimport floor
from libc.stdint cimport int64_t


cdef int64_t affordable_lots(int64_t lots, double per_lot, double room) noexcept nogil:
    if room <= 0:
        return lots if per_lot <= 0 else 0
    if per_lot * lots <= room:
        return lots
    return <int64_t>floor(room / per_lot)


cdef class LossBudget:
    """Losses in tick-lots by the time they were made."""

    cdef void add(self, double loss_ticklots, int64_t now_ns) noexcept nogil:
        cdef long newest = (self.oldest + self.count - 1) % LOSSES
        if loss_ticklots <= 0:
            return
        self.used_ticklots += loss_ticklots
        if self.count == LOSSES:
            # Full: it joins the newest, so that nothing leaves the window too early.
            self.at_ns[newest] = now_ns
            self.loss_ticklots[newest] += loss_ticklots
            return
        newest = (self.oldest + self.count) % LOSSES
        self.at_ns[newest], self.loss_ticklots[newest] = now_ns, loss_ticklots
        self.count += 1

    cdef double used(self, int64_t now_ns, int64_t window_ns) noexcept nogil:
        """Return the losses of the window that ends now; one exactly as old as the window is over."""
        while self.count and now_ns - self.at_ns[self.oldest] >= window_ns:
            self.used_ticklots -= self.loss_ticklots[self.oldest]
            self.oldest = (self.oldest + 1) % LOSSES
            self.count -= 1
        if self.count == 0:
            self.used_ticklots = 0           # no dust of subtraction
        return self.used_ticklots

    def add_at(self, double loss_ticklots, int64_t now_ns):
        """Add a loss; from Python, for tests and research."""
        self.add(loss_ticklots, now_ns)

    def used_at(self, int64_t now_ns, int64_t window_ns):
        """Return the losses of the window; from Python, for tests and research."""
        return self.used(now_ns, window_ns)


def loss_of_lot(int inventory_side, double cost_ticks, double price_ticks, double fee):
    """Return what one lot filled at a price loses, in ticks; for tests and research."""
    return loss_per_lot(inventory_side, cost_ticks, price_ticks, fee)


def affordable(int64_t lots, double per_lot, double room):
    """Return how many of `lots` may be lost on; for tests and research."""
    return affordable_lots(lots, per_lot, room)
