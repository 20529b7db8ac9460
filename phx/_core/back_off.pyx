"""How long to add nothing after the venue refused an order, and on how much of the account.

Meanings of the codes: Binance USDⓈ-M error codes. A refusal costs an order count, so none may be repeated in a loop.
"""

cdef enum:
    MS = 1_000_000


cdef BackOff back_off(int venue_code) noexcept nogil:
    cdef BackOff out
    out.scope = BACK_OFF_SIDE
    if venue_code in (-5021, -5022):                            # would have taken: at most five tries a second
        out.wait_ns = <long long>200 * MS
    elif venue_code in (-2018, -2019, -2025, -2027, -2028):     # margin, position cap, too many open orders
        out.wait_ns = <long long>5_000 * MS
    elif venue_code in (-2022, -4118):                          # reduce-only: reconcile before the second try
        out.wait_ns = <long long>2_000 * MS
    elif venue_code in (-4016, -4024, -4131):                   # outside the price band
        out.wait_ns = <long long>1_000 * MS
    elif venue_code in (-1015, -1003):                          # rate limits
        out.wait_ns, out.scope = <long long>10_000 * MS, BACK_OFF_ACCOUNT
    elif venue_code in (-1021, -5028):                          # clock: wait for its synchronisation
        out.wait_ns, out.scope = <long long>1_000 * MS, BACK_OFF_ACCOUNT
    elif venue_code in (-4400, -4401):                          # the venue allows only reduce-only orders
        out.wait_ns, out.scope = <long long>600_000 * MS, BACK_OFF_ADDING
    elif venue_code in (-1016, -1122, -4105, -4106, -4107, -4140, -4141):   # the symbol does not trade
        out.wait_ns, out.scope = <long long>60_000 * MS, BACK_OFF_SYMBOL
    elif venue_code in (-1002, -1022, -2014, -2015, -2017, -4060, -4061, -4087, -4088, -4109, -4189, -4192):
        out.wait_ns, out.scope = <long long>60_000 * MS, BACK_OFF_LATCH     # key, permission or account mode
    else:                                                       # a rounding fault of ours, or a code not known yet
        out.wait_ns = <long long>10_000 * MS
    return out


def back_off_after(int venue_code):
    """Return (wait_ns, BackOffScope) for a venue's error code."""
    cdef BackOff out = back_off(venue_code)
    return out.wait_ns, BackOffScope(out.scope)
