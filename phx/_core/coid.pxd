# Client order ids: `phx<e>-<symbol, 2>-<epoch>-<counter>`, numbers in base 36, at most 36 characters.
from libc.stdint cimport uint16_t, uint64_t

cdef enum:
    COID_BYTES = 36                     # the venue's limit

cdef struct Coid:
    uint64_t epoch                      # the gateway's life
    uint64_t intent_id                  # counter, unique in an epoch
    uint16_t symbol_id                  # index into the instrument table
    char environment                    # s sim, t testnet, p production

cdef int write_coid(char *out, const Coid *coid) noexcept nogil            # length; out has COID_BYTES
cdef bint read_coid(const char *text, int size, Coid *out) noexcept nogil  # false: not one of ours
