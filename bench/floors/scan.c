/* Floors of reading market data: the same frames by plain C that knows every byte in advance.
 * One instrument, today's key order, decimals scaled to integers of 1e-8 one digit at a time. It checks each literal,
 * as any honest reader must; it has no other key order, no other symbol, no refusal with a reason. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LITERAL(text) do { if (memcmp(p, text, sizeof(text) - 1)) return 0; p += sizeof(text) - 1; } while (0)

enum { MOST_LEVELS = 4096, WINDOW = 65536 };

typedef struct { int64_t price, qty; } level;
typedef struct {
    int64_t update_id, event_ms, push_ms, first_id, previous_id;
    int64_t price[2], qty[2];
    uint32_t levels[2];
    level level[2][MOST_LEVELS];
} event;

static inline const char *integer(const char *p, int64_t *out) {
    uint64_t value = 0;
    for (; (unsigned char)(*p - '0') < 10; p++)
        value = value * 10 + (uint64_t)(*p - '0');
    *out = (int64_t)value;
    return p;
}

static inline const char *decimal(const char *p, int64_t *out) {
    static const int64_t scale[9] = {100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1};
    uint64_t value = 0;
    int places = 0;
    for (; (unsigned char)(*p - '0') < 10; p++)
        value = value * 10 + (uint64_t)(*p - '0');
    if (*p == '.')
        for (p++; (unsigned char)(*p - '0') < 10 && places < 8; p++, places++)
            value = value * 10 + (uint64_t)(*p - '0');
    *out = (int64_t)value * scale[places];
    return p;
}

static int book_ticker(const char *p, event *e) {
    LITERAL("{\"stream\":\"btcusdc@bookTicker\",\"data\":{\"e\":\"bookTicker\",\"u\":");
    p = integer(p, &e->update_id);
    LITERAL(",\"s\":\"BTCUSDC\",\"ps\":\"BTCUSDC\",\"b\":\"");
    p = decimal(p, &e->price[0]);
    LITERAL("\",\"B\":\"");
    p = decimal(p, &e->qty[0]);
    LITERAL("\",\"a\":\"");
    p = decimal(p, &e->price[1]);
    LITERAL("\",\"A\":\"");
    p = decimal(p, &e->qty[1]);
    LITERAL("\",\"T\":");
    p = integer(p, &e->event_ms);
    LITERAL(",\"E\":");
    p = integer(p, &e->push_ms);
    LITERAL(",\"st\":1}}");
    return 1;
}

static const char *side(const char *p, uint32_t *count, level *levels) {
    uint32_t n = 0;
    if (*p == ']') {
        *count = 0;
        return p + 1;
    }
    do {
        if (memcmp(p, "[\"", 2) || n == MOST_LEVELS)
            return 0;
        p = decimal(p + 2, &levels[n].price);
        if (memcmp(p, "\",\"", 3))
            return 0;
        p = decimal(p + 3, &levels[n].qty);
        if (memcmp(p, "\"]", 2))
            return 0;
        p += 2;
        n++;
    } while (*p++ == ',');
    *count = n;
    return p;
}

static int depth(const char *p, event *e) {
    LITERAL("{\"stream\":\"btcusdc@depth@0ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":");
    p = integer(p, &e->push_ms);
    LITERAL(",\"T\":");
    p = integer(p, &e->event_ms);
    LITERAL(",\"s\":\"BTCUSDC\",\"ps\":\"BTCUSDC\",\"U\":");
    p = integer(p, &e->first_id);
    LITERAL(",\"u\":");
    p = integer(p, &e->update_id);
    LITERAL(",\"pu\":");
    p = integer(p, &e->previous_id);
    LITERAL(",\"b\":[");
    if (!(p = side(p, &e->levels[0], e->level[0])))
        return 0;
    LITERAL(",\"a\":[");
    if (!(p = side(p, &e->levels[1], e->level[1])))
        return 0;
    LITERAL(",\"st\":1}}");
    return 1;
}

/* A side of the book: quantities by tick in a window, a bit per occupied tick. */
typedef struct { int64_t qty[WINDOW]; uint64_t used[WINDOW / 64]; } book_side;
static book_side sides[2];

static inline void apply(book_side *s, int64_t tick, int64_t qty) {
    uint64_t slot = (uint64_t)tick & (WINDOW - 1), bit = 1ull << (slot & 63);
    s->qty[slot] = qty;
    s->used[slot >> 6] = qty ? s->used[slot >> 6] | bit : s->used[slot >> 6] & ~bit;
}

/* Read each of `count` frames `passes` times; return how many were understood. starts[i] is the frame's offset. */
uint64_t scan_book_tickers(const char *blob, const uint64_t *starts, uint64_t count, uint64_t passes) {
    static event e;
    uint64_t good = 0;
    for (uint64_t pass = 0; pass < passes; pass++)
        for (uint64_t i = 0; i < count; i++)
            good += (uint64_t)book_ticker(blob + starts[i], &e);
    return good;
}

/* The same for depth updates; with_book: also apply their levels. A tick is 0.1. */
uint64_t scan_depths(const char *blob, const uint64_t *starts, uint64_t count, uint64_t passes, int with_book) {
    static event e;
    uint64_t good = 0;
    for (uint64_t pass = 0; pass < passes; pass++)
        for (uint64_t i = 0; i < count; i++) {
            good += (uint64_t)depth(blob + starts[i], &e);
            for (int s = 0; with_book && s < 2; s++)
                for (uint32_t n = 0; n < e.levels[s]; n++)
                    apply(&sides[s], e.level[s][n].price / 10000000, e.level[s][n].qty);
        }
    return good;
}
