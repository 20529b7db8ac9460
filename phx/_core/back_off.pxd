# What a refusal by the venue means for the orders to come.
from libc.stdint cimport int64_t

cpdef enum BackOffScope:
    BACK_OFF_SIDE = 0
    BACK_OFF_SYMBOL = 1
    BACK_OFF_ACCOUNT = 2
    BACK_OFF_ADDING = 4                 # the venue lets the account only reduce
    BACK_OFF_LATCH = 3                  # stop adding until a human has looked

cdef struct BackOff:
    int64_t wait_ns
    int scope                           # BackOffScope

cdef BackOff back_off(int venue_code) noexcept nogil
