# HMAC-SHA-256 with the key hashed once.
from libc.stdint cimport uint8_t

cdef extern from "binance/sha256.h" nogil:
    ctypedef struct phx_hmac_key:
        pass
    ctypedef void (*phx_sha256_blocks_fn)(unsigned int *, const uint8_t *, size_t)

cdef enum:
    SIGNATURE_BYTES = 64                # lower-case hex

cdef class Signer:
    cdef phx_hmac_key key
    cdef phx_sha256_blocks_fn blocks
    cdef readonly bint uses_sha_ni
    cdef void sign(self, const char *text, size_t size, char *out) noexcept nogil     # writes SIGNATURE_BYTES
