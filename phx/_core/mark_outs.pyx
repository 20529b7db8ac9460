"""Mark-outs: what each fill was worth 1, 10 and 60 s later, against the mid then; positive is good for us.

A fill is judged at the first trusted mid at or after its horizon, no later than SLACK_NS after it: a market that cannot
be trusted for so long leaves it unjudged, and counted. One step judges at one mid, so live trading and a backtest that
see the same records agree to the bit.
"""

cimport cython
from libc.stdint cimport int8_t, int64_t, uint8_t
from libc.string cimport memset

from phx._core.enums cimport EXEC_FILL
from phx._core.records cimport MARK_OUT_HORIZONS, MARK_OUT_LAYERS, MODES, ExecEvent, QuoterCounters

cdef int64_t SECOND_NS = 1_000_000_000
cdef int64_t SLACK_NS = SECOND_NS            # of the shortest horizon: a judgement later than that is another one

cdef int64_t[MARK_OUT_HORIZONS] HORIZON_NS
HORIZON_NS[:] = [SECOND_NS, 10 * SECOND_NS, 60 * SECOND_NS]

HORIZONS_S = (1, 10, 60)


cdef inline int cell(int mode, int layer, int horizon) noexcept nogil:
    return (mode * MARK_OUT_LAYERS + layer) * MARK_OUT_HORIZONS + horizon


@cython.final
cdef class MarkOuts:
    """The fills of one symbol that wait for their judgement, oldest first."""

    cdef void add(self, const ExecEvent *event, QuoterCounters *counters) noexcept nogil:
        """Take in an event of ours; only fills matter. With no room left the oldest fill is given up."""
        cdef Pending *fill
        cdef int h
        if event.kind != EXEC_FILL:
            return
        for h in range(MARK_OUT_HORIZONS):
            if self.fills - self.judged[h] == PENDING_FILLS:
                self.judged[h] += 1
                counters.mark_outs_dropped += 1
        fill = &self.pending[self.fills & (PENDING_FILLS - 1)]
        fill.at_ns = event.recv_mono_ns
        fill.price_ticks, fill.qty_lots, fill.side = event.price_ticks, event.qty_lots, event.side
        # A fill of an order that nobody here knows has no mode; it stands in a row of its own.
        fill.mode = event.mode if event.mode < MODES else <uint8_t>0
        fill.layer = event.layer if event.layer < MARK_OUT_LAYERS - 1 else <uint8_t>(MARK_OUT_LAYERS - 1)
        self.fills += 1

    cdef bint due(self, int64_t now_ns) noexcept nogil:
        """Whether any fill has reached a horizon."""
        cdef int h
        for h in range(MARK_OUT_HORIZONS):
            if self.judged[h] != self.fills:
                if now_ns - self.pending[self.judged[h] & (PENDING_FILLS - 1)].at_ns >= HORIZON_NS[h]:
                    return True
        return False

    cdef void judge(
        self, int64_t now_ns, int64_t mid_half_ticks, bint trusted, QuoterCounters *counters
    ) noexcept nogil:
        """Judge what is due at this mid (best bid plus best ask), if it can be trusted."""
        cdef Pending *fill
        cdef int64_t late_ns
        cdef int h
        for h in range(MARK_OUT_HORIZONS):
            while self.judged[h] != self.fills:
                fill = &self.pending[self.judged[h] & (PENDING_FILLS - 1)]
                late_ns = now_ns - fill.at_ns - HORIZON_NS[h]
                if late_ns < 0 or (late_ns <= SLACK_NS and not trusted):
                    break
                self.judged[h] += 1
                if late_ns > SLACK_NS:
                    counters.mark_outs_dropped += 1
                else:
                    count(fill, cell(fill.mode, fill.layer, h), mid_half_ticks, counters)

    # ---- for tests

    def add_fill(self, QuoterCounters[::1] counters, int64_t at_ns, int side, int64_t price_ticks, int64_t qty_lots,
                 int mode=1, int layer=0):
        """Add a fill; at_ns is when it was heard of, layer 255 stands for a take."""
        cdef ExecEvent event
        memset(&event, 0, sizeof(event))
        event.kind, event.recv_mono_ns, event.side = EXEC_FILL, at_ns, <int8_t>side
        event.price_ticks, event.qty_lots = price_ticks, qty_lots
        event.mode, event.layer = <uint8_t>mode, <uint8_t>layer
        self.add(&event, &counters[0])

    def judge_at(self, QuoterCounters[::1] counters, int64_t now_ns, int64_t mid_half_ticks, bint trusted=True):
        """Judge what is due; return whether anything was."""
        cdef bint due = self.due(now_ns)
        self.judge(now_ns, mid_half_ticks, trusted, &counters[0])
        return due


cdef inline void count(const Pending *fill, int at, int64_t mid_half_ticks, QuoterCounters *counters) noexcept nogil:
    counters.mark_out_fills[at] += 1
    counters.mark_out_lots[at] += fill.qty_lots
    counters.mark_out_half_ticklots[at] += fill.side * (mid_half_ticks - 2 * fill.price_ticks) * fill.qty_lots
    counters.mark_out_ticklots[at] += fill.price_ticks * fill.qty_lots


def table(counters, field):
    """Return a table of a QUOTER_COUNTERS record, `mark_out_` and this field, shaped [mode][layer][horizon]."""
    return counters[f"mark_out_{field}"].reshape(MODES, MARK_OUT_LAYERS, MARK_OUT_HORIZONS)
