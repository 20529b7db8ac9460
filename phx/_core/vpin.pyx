"""VPIN, the volume-synchronised probability of informed trading: toxicity of the flow that hits our quotes.

Trades are cut into buckets of equal quantity. A bucket's share is |buys - sells| over its quantity; VPIN is the mean
over the last n full buckets. Source: Easley, Lopez de Prado & O'Hara (2012), "Flow Toxicity and Liquidity in a
High-Frequency World", Rev. Financ. Stud. 25(5), VPIN = sum |V_buy - V_sell| / (n V). They infer who was the aggressor
from price changes; the venue says it, so here it is exact.
"""

cimport cython
from libc.math cimport fabs
from libc.stdint cimport int64_t

from phx._core.records cimport Params, QuoterState

cdef double UNKNOWN = 0.5                    # the value while too few buckets are full
cdef double ONE_E9 = 1e9


@cython.final
cdef class Vpin:
    """The buckets of one symbol, and what follows from them: widening, and pauses."""

    cdef void on_trade(self, int aggressor, int64_t qty_lots, int64_t now_ns, const Params *params) noexcept nogil:
        """Add one trade. aggressor: Side of the taker."""
        cdef int64_t most_lots, beyond_lots
        self.adopt(params)
        if self.bucket_lots == 0 or qty_lots <= 0:
            return
        # Whole buckets in the middle of a huge trade leave the mean again, so they need not be walked.
        most_lots = (self.buckets + 1) * self.bucket_lots
        beyond_lots = max(qty_lots - most_lots, 0)
        self.fill(aggressor, qty_lots - beyond_lots // self.bucket_lots * self.bucket_lots)
        self.judge(now_ns, params)

    cdef double value(self) noexcept nogil:
        """Return VPIN, 0..1."""
        return self.sum_e9 / (ONE_E9 * self.full) if self.full >= VPIN_FULL_ENOUGH else UNKNOWN

    cdef double scale(self, const Params *params) noexcept nogil:
        """Return by how much distances are stretched, at least 1."""
        return 1 + params.vpin_multiplier * self.value() if params.vpin_enabled and self.widening else 1

    cdef bint toxic(self, int64_t now_ns) noexcept nogil:
        """Whether quotes are to be pulled now: for vpin_pause_ns, once each time VPIN rises above its threshold."""
        return now_ns < self.toxic_until_mono_ns

    cdef void adopt(self, const Params *params) noexcept nogil:
        # Buckets of another size, or another number of them, are another clock: begin anew. What an earlier life left
        # does not say its size, so the first size that can hold its open bucket takes it over.
        cdef int64_t bucket_lots = params.vpin_bucket_lots if params.vpin_enabled else 0
        cdef int buckets = min(<int>params.vpin_buckets, VPIN_BUCKETS)
        if bucket_lots == self.bucket_lots and buckets == self.buckets:
            return
        if self.bucket_lots == 0 and bucket_lots > self.filled_lots:
            self.full = min(self.full, buckets)
            self.sum_e9 = self.full * self.share_e9[0]
        else:
            self.clear()
        self.bucket_lots, self.buckets = bucket_lots, buckets
        self.newest = self.full % buckets if buckets else 0

    cdef void fill(self, int aggressor, int64_t qty_lots) noexcept nogil:
        cdef int64_t taken_lots
        while qty_lots > 0:
            taken_lots = min(qty_lots, self.bucket_lots - self.filled_lots)
            qty_lots -= taken_lots
            self.filled_lots += taken_lots
            self.imbalance_lots += aggressor * taken_lots
            if self.filled_lots == self.bucket_lots:
                self.close_bucket()

    cdef void close_bucket(self) noexcept nogil:
        if self.full == self.buckets:
            self.sum_e9 -= self.share_e9[self.newest]
        else:
            self.full += 1
        self.share_e9[self.newest] = <int64_t>(fabs(<double>self.imbalance_lots) / self.bucket_lots * ONE_E9 + 0.5)
        self.sum_e9 += self.share_e9[self.newest]
        self.newest = (self.newest + 1) % self.buckets
        self.filled_lots = self.imbalance_lots = 0

    cdef void judge(self, int64_t now_ns, const Params *params) noexcept nogil:
        cdef double vpin = self.value()
        if vpin > params.vpin_widen:
            self.widening = True
        elif vpin < params.vpin_narrow:
            self.widening = False
        if vpin > params.vpin_pause and not self.disarmed:
            self.disarmed = True
            self.toxic_until_mono_ns = now_ns + params.vpin_pause_ns
        elif vpin < params.vpin_resume:
            self.disarmed = False

    cdef void clear(self) noexcept nogil:
        self.full = self.newest = 0
        self.sum_e9 = self.filled_lots = self.imbalance_lots = self.toxic_until_mono_ns = 0
        self.widening = self.disarmed = False

    cdef void restore(self, const QuoterState *state) noexcept nogil:
        """Begin with an earlier life's mean and open bucket. A flow above the pause threshold pauses anew."""
        cdef int bucket
        self.clear()
        self.bucket_lots = 0
        if 0 <= state.vpin <= 1 and VPIN_FULL_ENOUGH <= state.vpin_full <= VPIN_BUCKETS:
            self.full = state.vpin_full
            for bucket in range(self.full):
                self.share_e9[bucket] = <int64_t>(state.vpin * ONE_E9 + 0.5)
            self.sum_e9 = self.full * self.share_e9[0]
            self.widening = state.widening
        if fabs(state.vpin_imbalance_lots) <= state.vpin_filled_lots:
            self.filled_lots = <int64_t>state.vpin_filled_lots
            self.imbalance_lots = <int64_t>state.vpin_imbalance_lots
