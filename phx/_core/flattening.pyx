"""FLATTENING: slices ever deeper through the touch, then market orders, until nothing is left."""

from libc.stdint cimport int64_t
from libc.string cimport memset

from phx._core.records cimport FLATTEN_STEPS, Params


MARKET_STEP = FLATTEN_STEPS                  # the last step: market orders


cdef void begin_flattening(Flattening *flattening, int step, int64_t now_ns) noexcept nogil:
    """Begin, or go on at the step that an earlier life had reached."""
    memset(flattening, 0, sizeof(Flattening))
    flattening.since_mono_ns = flattening.step_mono_ns = now_ns
    flattening.step = min(max(step, 0), FLATTEN_STEPS)


cdef void note_slice(Flattening *flattening, int64_t filled_lots, int64_t now_ns) noexcept nogil:
    if filled_lots > 0:
        flattening.empty = 0
    else:
        flattening.empty += 1
        flattening.empty_mono_ns = now_ns


cdef bint escalate(Flattening *flattening, bint sees, const Params *params, int64_t now_ns) noexcept nogil:
    """Go a step further if it is time; return whether it did. sees: there is a good book.

    Without one a limit means nothing: after flatten_blind only the last step is left.
    """
    cdef int before = flattening.step
    cdef bint over = now_ns - flattening.step_mono_ns >= params.flatten_step_ns
    if sees:
        flattening.blind_mono_ns = 0
    elif flattening.blind_mono_ns == 0:
        flattening.blind_mono_ns = now_ns
    if not sees and now_ns - flattening.blind_mono_ns >= params.flatten_blind_ns:
        flattening.step = FLATTEN_STEPS
    elif sees and before < FLATTEN_STEPS and (flattening.empty >= params.flatten_empty_slices or over):
        flattening.step += 1
    if flattening.step == before:
        return False
    flattening.step_mono_ns, flattening.empty = now_ns, 0
    return True


cdef bint slice_due(
    const Flattening *flattening, bint quotes_gone, const Params *params, int64_t now_ns
) noexcept nogil:
    """Return whether a slice may go: the quotes are gone or had their time to go, and it does not hammer in vain."""
    if not quotes_gone and now_ns - flattening.since_mono_ns < params.flatten_cancel_wait_ns:
        return False
    if flattening.blind_mono_ns and flattening.step < FLATTEN_STEPS:
        return False
    # The last step has no next one: after market orders that filled nothing it waits instead.
    return flattening.empty < params.flatten_empty_slices or (
        now_ns - flattening.empty_mono_ns >= params.flatten_step_ns
    )


cdef class Steps:
    """A flattening over time, for tests and research."""

    cdef Flattening flattening

    def __init__(self, int64_t now_ns, int step=0):
        begin_flattening(&self.flattening, step, now_ns)

    def escalate(self, bint sees, const Params[::1] params, int64_t now_ns):
        """Return the step after this look."""
        escalate(&self.flattening, sees, &params[0], now_ns)
        return self.flattening.step

    def due(self, bint quotes_gone, const Params[::1] params, int64_t now_ns):
        """Return whether a slice may go."""
        return bool(slice_due(&self.flattening, quotes_gone, &params[0], now_ns))

    def note(self, int64_t filled_lots, int64_t now_ns):
        """Take a slice's answer."""
        note_slice(&self.flattening, filled_lots, now_ns)
