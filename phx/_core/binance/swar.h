/* Eight bytes of text at a time, in a plain register: find a byte, check digits, turn them into a number. */
#ifndef PHX_SWAR_H
#define PHX_SWAR_H

#include <stdint.h>
#include <string.h>

#define PHX_EACH(byte) (0x0101010101010101ull * (uint64_t)(byte))

static inline uint64_t phx_load8(const char *p) { uint64_t w; memcpy(&w, p, 8); return w; }
static inline uint32_t phx_load4(const char *p) { uint32_t w; memcpy(&w, p, 4); return w; }

/* Flag (0x80) each zero byte; only the lowest flag is exact, and it is the one that is used. */
static inline uint64_t phx_zero_bytes(uint64_t w) { return (w - PHX_EACH(1)) & ~w & PHX_EACH(0x80); }

/* Flag each byte above 9; again the lowest flag is exact: carries only travel upwards. */
static inline uint64_t phx_not_digits(uint64_t t) { return ((t + PHX_EACH(0x76)) | t) & PHX_EACH(0x80); }

static inline int phx_first(uint64_t flags) { return __builtin_ctzll(flags) >> 3; }

/* Eight digit values, most significant in the lowest byte, as a number. (D. Lemire, "Quickly parsing eight digits".) */
static inline int64_t phx_eight_digits(uint64_t t) {
    t = t * 10 + (t >> 8);
    return (int64_t)((((t & 0x000000FF000000FFull) * 0x000F424000000064ull)
                      + (((t >> 16) & 0x000000FF000000FFull) * 0x0000271000000001ull)) >> 32);
}

#endif
