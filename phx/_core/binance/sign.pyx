"""HMAC-SHA-256 signatures of requests: the key is hashed once, a signature costs about a quarter of a microsecond."""

from libc.stdint cimport uint8_t

cdef extern from "binance/sha256.h" nogil:
    void phx_sha256_blocks_portable(unsigned int *, const uint8_t *, size_t) noexcept
    void phx_sha256_blocks_sha_ni(unsigned int *, const uint8_t *, size_t) noexcept
    bint phx_has_sha_ni()
    void phx_hmac_set_key(phx_sha256_blocks_fn, phx_hmac_key *, const uint8_t *, size_t)
    void phx_hmac_hex(phx_sha256_blocks_fn, const phx_hmac_key *, const uint8_t *, size_t, char *)


cdef class Signer:
    """Signs with one secret, of which it keeps only the hashed form. portable: do without the CPU's SHA extensions."""

    def __init__(self, const uint8_t[::1] secret, bint portable=False):
        if secret.shape[0] == 0:
            raise ValueError("the secret is empty")
        self.uses_sha_ni = phx_has_sha_ni() and not portable
        if self.uses_sha_ni:
            self.blocks = <phx_sha256_blocks_fn>phx_sha256_blocks_sha_ni
        else:
            self.blocks = <phx_sha256_blocks_fn>phx_sha256_blocks_portable
        phx_hmac_set_key(self.blocks, &self.key, &secret[0], secret.shape[0])

    cdef void sign(self, const char *text, size_t size, char *out) noexcept nogil:
        phx_hmac_hex(self.blocks, &self.key, <const uint8_t *>text, size, out)

    def signature(self, bytes text):
        """Return the signature of a text as 64 lower-case hex characters."""
        cdef char out[SIGNATURE_BYTES]
        self.sign(text, len(text), out)
        return out[:SIGNATURE_BYTES].decode("ascii")
