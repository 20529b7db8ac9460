/* SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104) with the key hashed once.
 *
 * The compression function uses the CPU's SHA extensions where there are any, found out at run time, else portable C.
 * A keyed state is two hash states of 32 bytes: no copy of the key itself remains.
 */
#ifndef PHX_SHA256_H
#define PHX_SHA256_H

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

typedef struct {
    uint32_t inner[8]; /* after the block key ^ 0x36… */
    uint32_t outer[8]; /* after the block key ^ 0x5c… */
} phx_hmac_key;

typedef void (*phx_sha256_blocks_fn)(uint32_t *state, const uint8_t *data, size_t blocks);

static const uint32_t phx_sha256_start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static const uint32_t phx_sha256_k[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint32_t phx_rotr(uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }
static inline uint32_t phx_load_be32(const uint8_t *p) {
    uint32_t value;
    memcpy(&value, p, 4);
    return __builtin_bswap32(value);
}

static void phx_sha256_blocks_portable(uint32_t *state, const uint8_t *data, size_t blocks) {
    uint32_t w[64], s[8];
    for (; blocks; blocks--, data += 64) {
        for (int i = 0; i < 16; i++)
            w[i] = phx_load_be32(data + 4 * i);
        for (int i = 16; i < 64; i++) {
            uint32_t s0 = phx_rotr(w[i - 15], 7) ^ phx_rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
            uint32_t s1 = phx_rotr(w[i - 2], 17) ^ phx_rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        memcpy(s, state, sizeof s);
        for (int i = 0; i < 64; i++) {
            uint32_t e1 = phx_rotr(s[4], 6) ^ phx_rotr(s[4], 11) ^ phx_rotr(s[4], 25);
            uint32_t t1 = s[7] + e1 + ((s[4] & s[5]) ^ (~s[4] & s[6])) + phx_sha256_k[i] + w[i];
            uint32_t e0 = phx_rotr(s[0], 2) ^ phx_rotr(s[0], 13) ^ phx_rotr(s[0], 22);
            uint32_t t2 = e0 + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t1;
            s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++)
            state[i] += s[i];
    }
}

#if defined(__x86_64__)
/* Method: Intel, "New Instructions Supporting the Secure Hash Algorithm on Intel Architecture Processors" (2013). */
__attribute__((target("sha,sse4.1,ssse3"))) static void phx_sha256_blocks_sha_ni(uint32_t *state, const uint8_t *data,
                                                                                 size_t blocks) {
    const __m128i byte_order = _mm_set_epi64x(0x0c0d0e0f08090a0bULL, 0x0405060700010203ULL);
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
    __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
    for (; blocks; blocks--, data += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i m[4];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            if (i < 4) {
                m[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), byte_order);
            } else {
                __m128i next = _mm_sha256msg1_epu32(m[i & 3], m[(i + 1) & 3]);
                next = _mm_add_epi32(next, _mm_alignr_epi8(m[(i + 3) & 3], m[(i + 2) & 3], 4));
                m[i & 3] = _mm_sha256msg2_epu32(next, m[(i + 3) & 3]);
            }
            __m128i wk = _mm_add_epi32(m[i & 3], _mm_load_si128((const __m128i *)(phx_sha256_k + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0e));
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
    __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

static int phx_has_sha_ni(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1) || !(c & bit_SSSE3))
        return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
}
#else
static int phx_has_sha_ni(void) { return 0; }
#define phx_sha256_blocks_sha_ni phx_sha256_blocks_portable
#endif

/* Hash what is left of a message after `before` bytes (a multiple of 64) went into the state; write 32 bytes. */
static void phx_sha256_finish(phx_sha256_blocks_fn blocks, uint32_t *state, uint64_t before, const uint8_t *data,
                              size_t size, uint8_t *out) {
    uint8_t tail[128] = {0};
    size_t whole = size / 64, rest = size % 64, tail_size = rest < 56 ? 64 : 128;
    uint64_t bits = __builtin_bswap64((before + size) * 8);
    blocks(state, data, whole);
    memcpy(tail, data + 64 * whole, rest);
    tail[rest] = 0x80;
    memcpy(tail + tail_size - 8, &bits, 8);
    blocks(state, tail, tail_size / 64);
    for (int i = 0; i < 8; i++) {
        uint32_t word = __builtin_bswap32(state[i]);
        memcpy(out + 4 * i, &word, 4);
    }
}

static void phx_hmac_set_key(phx_sha256_blocks_fn blocks, phx_hmac_key *key, const uint8_t *secret, size_t size) {
    uint8_t padded[64] = {0}, pad[64];
    if (size > 64) {
        uint32_t state[8];
        memcpy(state, phx_sha256_start, sizeof state);
        phx_sha256_finish(blocks, state, 0, secret, size, padded);
    } else {
        memcpy(padded, secret, size);
    }
    for (int i = 0; i < 64; i++)
        pad[i] = padded[i] ^ 0x36;
    memcpy(key->inner, phx_sha256_start, sizeof key->inner);
    blocks(key->inner, pad, 1);
    for (int i = 0; i < 64; i++)
        pad[i] = padded[i] ^ 0x5c;
    memcpy(key->outer, phx_sha256_start, sizeof key->outer);
    blocks(key->outer, pad, 1);
    explicit_bzero(padded, sizeof padded);
    explicit_bzero(pad, sizeof pad);
}

/* Write the 64 lower-case hex characters of the message's HMAC. */
static void phx_hmac_hex(phx_sha256_blocks_fn blocks, const phx_hmac_key *key, const uint8_t *data, size_t size,
                         char *out) {
    static const char digits[] = "0123456789abcdef";
    uint32_t state[8];
    uint8_t digest[32];
    memcpy(state, key->inner, sizeof state);
    phx_sha256_finish(blocks, state, 64, data, size, digest);
    memcpy(state, key->outer, sizeof state);
    phx_sha256_finish(blocks, state, 64, digest, 32, digest);
    for (int i = 0; i < 32; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
}

#endif
