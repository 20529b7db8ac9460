/* What a frame of market data becomes: an event in ticks, lots and nanoseconds, of an instrument from a small table. */
#ifndef PHX_EVENT_H
#define PHX_EVENT_H

#include <stdint.h>
#include <string.h>

#include "level.h"

#define PHX_LIKELY(x) __builtin_expect(!!(x), 1)

enum {
    DECODE_SLACK = 64,           /* how far the fixed-order reader looks past the end before it notices it */
    DECODE_SYMBOLS = 64,
    DECODE_LEVELS = 16384,       /* levels of one side in one frame; the longest recorded frame has under 1,000 */
    DECODE_FRAME_BYTES = 1 << 20,
    DECODE_DEPTH = 32            /* nesting in values that nobody asked for */
};

enum EventKind {
    EVENT_NONE = 0,              /* refused: see the reason */
    EVENT_BOOK_TICKER = 1,
    EVENT_DEPTH = 2,
    EVENT_TRADE = 3,
    EVENT_AGG_TRADE = 4,
    EVENT_MARK = 5,
    EVENT_SNAPSHOT = 6,
    EVENT_CONTROL = 7,           /* the answer to a SUBSCRIBE */
    EVENT_UNKNOWN = 255          /* sound JSON of a kind we do not know */
};

enum RefuseReason {
    REFUSED_NONE = 0,
    REFUSED_SYNTAX = 1,          /* not JSON, or cut off */
    REFUSED_UTF8 = 2,
    REFUSED_NESTING = 3,
    REFUSED_DUPLICATE_KEY = 4,
    REFUSED_MISSING_KEY = 5,
    REFUSED_TYPE = 6,            /* a number where text was expected, or the reverse */
    REFUSED_NUMBER = 7,          /* no plain decimal: negative, exponent, NaN, empty */
    REFUSED_RANGE = 8,           /* too many digits, or a price of zero where there must be one */
    REFUSED_OFF_GRID = 9,        /* no multiple of tick or lot */
    REFUSED_LEVELS = 10,         /* more than DECODE_LEVELS */
    REFUSED_SYMBOL = 11,         /* an instrument that we do not follow */
    REFUSED_LENGTH = 12
};

typedef struct {
    int64_t price_units;         /* the tick in units of 10^-price_decimals */
    int64_t qty_units;           /* the lot in units of 10^-qty_decimals */
    int32_t price_decimals;
    int32_t qty_decimals;
} phx_scale;

typedef struct {
    uint64_t name[3];            /* zero padded */
    int64_t length;              /* of the name */
    phx_scale scale;
} phx_symbol;

typedef struct {
    phx_symbol symbol[DECODE_SYMBOLS];
    uint32_t count;
    uint8_t slot[256];           /* open addressing by name_hash: index + 1, 0 = free */
} phx_symbols;

typedef struct {
    uint8_t kind;                /* EventKind */
    uint8_t reason;              /* RefuseReason */
    uint8_t slow;                /* 1 = the fixed-order reader gave up */
    uint8_t origin;              /* TradeOrigin */
    int8_t aggressor;            /* Side of the taker */
    int32_t symbol;              /* index of the instrument, -1 = none */
    int64_t update_id;           /* `u`; a snapshot's lastUpdateId */
    int64_t first_update_id;     /* `U` */
    int64_t previous_update_id;  /* `pu` */
    int64_t ts_event_ns;         /* `T`: matching engine, UTC epoch; mark prices: `E` */
    int64_t ts_push_ns;          /* `E`: sent, UTC epoch */
    int64_t price_ticks[2];      /* best bid and ask; INT64_MIN = the side is empty. Trade and mark: [0] */
    int64_t qty_lots[2];         /* likewise */
    int64_t trade_id;
    int64_t next_funding_s;
    int64_t funding_rate_e8;
    uint32_t levels[2];          /* valid in level[0] (bids) and level[1] (asks) */
    phx_level level[2][DECODE_LEVELS];
} phx_event;

static const int64_t PHX_POW10[19] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000,
    1000000000000, 10000000000000, 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000,
    1000000000000000000};

static inline int phx_in_units(int64_t value, int64_t units, int64_t *out) {
    if (PHX_LIKELY(units == 1)) {
        *out = value;
        return 1;
    }
    *out = value / units;
    return value % units == 0;
}

static inline uint32_t phx_name_hash(const uint64_t *name) {
    return (uint32_t)((name[0] * 0x9E3779B97F4A7C15ull ^ name[1] * 0xC2B2AE3D27D4EB4Full ^ name[2]) >> 56);
}

static inline int phx_find_symbol(const phx_symbols *symbols, const uint64_t *name) {
    for (uint32_t i = phx_name_hash(name); symbols->slot[i]; i = (i + 1) & 255) {
        const uint64_t *known = symbols->symbol[symbols->slot[i] - 1].name;
        if (known[0] == name[0] && known[1] == name[1] && known[2] == name[2])
            return symbols->slot[i] - 1;
    }
    return -1;
}

/* Add an instrument; returns its index, or -1: full, known already, or a name or scale that does not fit. */
static inline int phx_add_symbol(phx_symbols *symbols, const char *text, size_t length, phx_scale scale) {
    uint64_t name[3] = {0, 0, 0};
    if (length == 0 || length >= sizeof name || symbols->count == DECODE_SYMBOLS || scale.price_units < 1
        || scale.price_units > PHX_POW10[9] || scale.qty_units < 1 || scale.qty_units > PHX_POW10[9]
        || scale.price_decimals < 0 || scale.price_decimals > 8 || scale.qty_decimals < 0
        || scale.qty_decimals > 8)
        return -1;
    memcpy(name, text, length);
    if (phx_find_symbol(symbols, name) >= 0)
        return -1;
    uint32_t i = phx_name_hash(name);
    while (symbols->slot[i])
        i = (i + 1) & 255;
    memcpy(symbols->symbol[symbols->count].name, name, sizeof name);
    symbols->symbol[symbols->count].length = (int64_t)length;
    symbols->symbol[symbols->count].scale = scale;
    symbols->slot[i] = (uint8_t)++symbols->count;
    return (int)symbols->count - 1;
}

#endif
