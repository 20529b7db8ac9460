"""The stops of one symbol: loss of the position, drawdown of its profit, inventory beyond what quoting can reach."""

from libc.math cimport fabs
from libc.stdint cimport uint8_t

from phx._core.enums cimport (
    REASON_DAILY_LOSS, REASON_DRAWDOWN, REASON_EMERGENCY, REASON_NONE, REASON_STOP_LOSS, REJECT_DAILY_LOSS,
)
from phx._core.records cimport Own, Params


cdef void value_gains(Gains *gains, const Own *own, double mark_ticks, const Params *params) noexcept nogil:
    """Value the symbol at the mark price and move the peak up to it."""
    cdef double cash_ticklots = (own.funding_e8 - own.fees_e8) / <double>max(1, params.ticklot_e8)
    cdef double net
    gains.unrealised_ticklots = own.position_lots * mark_ticks - own.open_cost_ticklots
    net = own.realised_ticklots + gains.unrealised_ticklots + cash_ticklots
    if not gains.known:
        gains.peak_ticklots = net
    elif own.fills < gains.fills:
        # The gateway's totals began anew: what was lost since the peak is still lost.
        gains.peak_ticklots += net - gains.net_ticklots
    gains.known, gains.fills, gains.net_ticklots = True, own.fills, net
    gains.peak_ticklots = max(gains.peak_ticklots, net)


cdef void forget_peak(Gains *gains) noexcept nogil:
    gains.peak_ticklots = gains.net_ticklots


cdef uint8_t stop_reason(const Gains *gains, const Own *own, double mark_ticks, const Params *params) noexcept nogil:
    """Return the stop that strikes now; the account's daily loss before all of the symbol's own."""
    cdef double held = fabs(<double>own.position_lots)
    cdef double most = <double>params.net_max_lots
    if own.blocked == REJECT_DAILY_LOSS:
        return REASON_DAILY_LOSS
    if most <= 0:
        return REASON_NONE
    if mark_ticks > 0 and gains.known:
        if (held >= params.stop_min_notional * most
                and -gains.unrealised_ticklots > params.stop_loss * held * mark_ticks):
            return REASON_STOP_LOSS
        if gains.peak_ticklots - gains.net_ticklots > params.stop_drawdown * params.stop_loss * most * mark_ticks:
            return REASON_DRAWDOWN
    return REASON_EMERGENCY if held > params.stop_emergency * most else REASON_NONE


def stop_of(const Own[::1] own, double mark_ticks, const Params[::1] params, peak_ticklots=None):
    """Return (Reason, gains as a dict) of an own record at a mark price, after a peak; for tests and research."""
    cdef Gains gains
    gains.known, gains.fills = peak_ticklots is not None, 0
    gains.peak_ticklots = peak_ticklots or 0
    gains.net_ticklots = 0
    value_gains(&gains, &own[0], mark_ticks, &params[0])
    return stop_reason(&gains, &own[0], mark_ticks, &params[0]), gains
