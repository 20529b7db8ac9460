/* The fixed-order reader: knows today's key order and the one before 2026-06-30 (without `ps` and `st`), and reads
 * eight bytes at a time. Whatever surprises it is left to the any-order reader (decode_any.h), with equal results.
 *
 * It looks up to DECODE_SLACK bytes past the end of the frame before it notices the end: the caller vouches for them.
 */
#ifndef PHX_DECODE_FAST_H
#define PHX_DECODE_FAST_H

#include "event.h"
#include "swar.h"

/* Decimal text of 1 to 15 characters, with or without a dot: sixteen digits at a time. */
static const char *phx_fast_long_decimal(const char *p, int length, int decimals, int64_t units, int64_t *out) {
    typedef unsigned __int128 wide;
    const wide one = 1, zeros = ((wide)PHX_EACH('0') << 64) | PHX_EACH('0');
    const char *dot = (const char *)memchr(p, '.', (size_t)length);
    int whole = dot ? (int)(dot - p) : length, digits = dot ? length - 1 : length, keep = whole + decimals;
    if (whole == 0 || whole == length - 1 || keep > 16)
        return NULL;
    wide text = ((wide)phx_load8(p + 8) << 64) | phx_load8(p);
    wide before = (one << (8 * whole)) - 1;
    if (dot)
        text = (text & before) | ((text >> 8) & ~before);
    wide t = (text ^ zeros) & ((one << (8 * digits)) - 1);
    if (keep < 16 && t >> (8 * keep))
        return NULL;
    t <<= 8 * (16 - keep);
    uint64_t first = (uint64_t)t, last = (uint64_t)(t >> 64);
    if (phx_not_digits(first) | phx_not_digits(last))
        return NULL;
    int64_t value = phx_eight_digits(first) * 100000000 + phx_eight_digits(last);
    return phx_in_units(value, units, out) ? p + length + 1 : NULL;
}

/* Decimal text up to its closing quote, as a number of units of 10^-decimals; returns what follows the quote, or
 * NULL when it is not plainly that: then the any-order reader finds out why. */
static inline const char *phx_fast_decimal(const char *p, int decimals, int64_t units, int64_t *out) {
    uint64_t low = phx_load8(p), high = phx_load8(p + 8);
    uint64_t quote = phx_zero_bytes(low ^ PHX_EACH('"')), high_quote = phx_zero_bytes(high ^ PHX_EACH('"'));
    uint64_t dot = phx_zero_bytes(low ^ PHX_EACH('.'));
    if (!(quote | high_quote))
        return NULL;
    int length = quote ? phx_first(quote) : 8 + phx_first(high_quote);
    int whole = dot ? phx_first(dot) : 8, keep = whole + decimals;
    /* The usual case: at most eight digits around a dot. */
    if (!PHX_LIKELY(length <= 9 && whole < length - 1 && keep <= 8)) {
        if (length == 0 || length > 15)
            return NULL;
        return phx_fast_long_decimal(p, length, decimals, units, out);
    }
    if (whole == 0)
        return NULL;
    uint64_t before = (1ull << (8 * whole)) - 1;
    uint64_t text = (low & before) | ((low >> 8 | high << 56) & ~before);
    uint64_t t = (text ^ PHX_EACH('0')) & (~0ull >> (8 * (9 - length)));
    if (phx_not_digits(t) || (t >> 1 >> (8 * keep - 1)))
        return NULL;
    return phx_in_units(phx_eight_digits(t << (8 * (8 - keep))), units, out) ? p + length + 1 : NULL;
}

/* An integer of at most 15 digits without leading zeros; returns what follows it, or NULL. */
static inline const char *phx_fast_integer(const char *p, int64_t *out) {
    uint64_t t = phx_load8(p) ^ PHX_EACH('0');
    uint64_t stop = phx_not_digits(t);
    if (stop) {
        int length = phx_first(stop);
        if (length == 0 || (*p == '0' && length > 1))
            return NULL;
        *out = phx_eight_digits(t << (8 * (8 - length)));
        return p + length;
    }
    uint64_t u = phx_load8(p + 8) ^ PHX_EACH('0');
    stop = phx_not_digits(u);
    if (!stop || *p == '0')
        return NULL;
    int length = phx_first(stop);
    *out = phx_eight_digits(t) * PHX_POW10[length] + (length ? phx_eight_digits(u << (8 * (8 - length))) : 0);
    return p + 8 + length;
}

/* A symbol's name up to its closing quote; returns what follows the quote, or NULL. */
static inline const char *phx_fast_symbol(const char *p, const phx_symbols *symbols, int32_t *out) {
    uint64_t name[3] = {0, 0, 0};
    for (int i = 0; i < 3; i++, p += 8) {
        uint64_t w = phx_load8(p);
        uint64_t quote = phx_zero_bytes(w ^ PHX_EACH('"'));
        if (quote) {
            int length = phx_first(quote);
            name[i] = w & ((1ull << (8 * length)) - 1);
            *out = phx_find_symbol(symbols, name);
            /* A name with zero bytes behind it is another one. */
            return *out < 0 || symbols->symbol[*out].length != 8 * i + length ? NULL : p + length + 1;
        }
        name[i] = w;
    }
    return NULL;
}

/* The known name again, up to its closing quote; returns what follows the quote, or NULL. */
static inline const char *phx_fast_pair(const char *p, const phx_symbol *symbol) {
    if (PHX_LIKELY(symbol->length < 8)) {
        int spare = 8 * (8 - (int)symbol->length);
        if ((phx_load8(p) ^ symbol->name[0]) << spare)
            return NULL;
    } else if (memcmp(p, symbol->name, (size_t)symbol->length)) {
        return NULL;
    }
    p += symbol->length;
    return *p == '"' ? p + 1 : NULL;
}

/* Each step leaves the function as soon as the text is not what it expects or the frame has ended. */
#define PHX_LITERAL(text) do { if (memcmp(p, text, sizeof(text) - 1)) return NULL; p += sizeof(text) - 1; } while (0)
#define PHX_OPTION(text) (memcmp(p, text, sizeof(text) - 1) == 0 ? (p += sizeof(text) - 1, 1) : 0)
#define PHX_INTEGER(out) do { p = phx_fast_integer(p, &(out)); if (!p || p >= end) return NULL; } while (0)
#define PHX_PRICE(out) do { \
    p = phx_fast_decimal(p, scale->price_decimals, scale->price_units, &(out)); if (!p || p >= end) return NULL; } while (0)
#define PHX_QTY(out) do { \
    p = phx_fast_decimal(p, scale->qty_decimals, scale->qty_units, &(out)); if (!p || p >= end) return NULL; } while (0)
#define PHX_SYMBOL() do { \
    p = phx_fast_symbol(p, symbols, &event->symbol); if (!p || p >= end) return NULL; \
    scale = &symbols->symbol[event->symbol].scale; } while (0)
/* The pair `ps` is read over: a perpetual's is its name. */
#define PHX_PAIR() do { \
    if (PHX_OPTION("\"ps\":\"")) { p = phx_fast_pair(p, &symbols->symbol[event->symbol]); \
        if (!p || p >= end || *p++ != ',') return NULL; } } while (0)
/* The end of the event, with or without `st`. */
#define PHX_CLOSE() do { \
    if (PHX_OPTION(",\"st\":")) { if (*p < '0' || *p > '9') return NULL; p++; } \
    if (p >= end || *p++ != '}') return NULL; } while (0)

static inline const char *phx_fast_book_ticker(const char *p, const char *end, const phx_symbols *symbols,
                                               phx_event *event) {
    const phx_scale *scale;
    PHX_LITERAL("\"u\":"); PHX_INTEGER(event->update_id);
    PHX_LITERAL(",\"s\":\""); PHX_SYMBOL();
    if (*p++ != ',') return NULL;
    PHX_PAIR();
    PHX_LITERAL("\"b\":\""); PHX_PRICE(event->price_ticks[0]);
    PHX_LITERAL(",\"B\":\""); PHX_QTY(event->qty_lots[0]);
    PHX_LITERAL(",\"a\":\""); PHX_PRICE(event->price_ticks[1]);
    PHX_LITERAL(",\"A\":\""); PHX_QTY(event->qty_lots[1]);
    PHX_LITERAL(",\"T\":"); PHX_INTEGER(event->ts_event_ns);
    PHX_LITERAL(",\"E\":"); PHX_INTEGER(event->ts_push_ns);
    PHX_CLOSE();
    /* An empty side is printed as price zero: the any-order reader knows what to make of it. */
    if (event->price_ticks[0] == 0 || event->price_ticks[1] == 0)
        return NULL;
    event->kind = EVENT_BOOK_TICKER;
    return p;
}

/* Levels from behind the opening bracket to behind the closing one. */
static inline const char *phx_fast_levels(const char *p, const char *end, const phx_scale *scale, phx_level *level,
                                          uint32_t *count) {
    uint32_t n = 0;
    *count = 0;
    if (*p == ']')
        return p + 1;
    if (p[0] != '[' || p[1] != '"')
        return NULL;
    for (p += 2; n < DECODE_LEVELS; p += 4, n++) {
        PHX_PRICE(level[n].price_ticks);
        if (p[0] != ',' || p[1] != '"' || level[n].price_ticks == 0)
            return NULL;
        p += 2;
        PHX_QTY(level[n].qty_lots);
        if (phx_load4(p) != phx_load4("],[\""))
            break;
    }
    if (p[0] != ']' || p[1] != ']')
        return NULL;
    *count = n + 1;
    return p + 2;
}

static inline const char *phx_fast_depth(const char *p, const char *end, const phx_symbols *symbols,
                                         phx_event *event) {
    const phx_scale *scale;
    PHX_LITERAL("\"E\":"); PHX_INTEGER(event->ts_push_ns);
    PHX_LITERAL(",\"T\":"); PHX_INTEGER(event->ts_event_ns);
    PHX_LITERAL(",\"s\":\""); PHX_SYMBOL();
    if (*p++ != ',') return NULL;
    PHX_PAIR();
    PHX_LITERAL("\"U\":"); PHX_INTEGER(event->first_update_id);
    PHX_LITERAL(",\"u\":"); PHX_INTEGER(event->update_id);
    PHX_LITERAL(",\"pu\":"); PHX_INTEGER(event->previous_update_id);
    PHX_LITERAL(",\"b\":[");
    if (!(p = phx_fast_levels(p, end, scale, event->level[0], &event->levels[0])) || p >= end) return NULL;
    PHX_LITERAL(",\"a\":[");
    if (!(p = phx_fast_levels(p, end, scale, event->level[1], &event->levels[1])) || p >= end) return NULL;
    PHX_CLOSE();
    event->kind = EVENT_DEPTH;
    return p;
}

/* The taker sold when the buyer was the maker (`m`). */
#define PHX_AGGRESSOR() do { \
    if (PHX_OPTION("true")) event->aggressor = -1; \
    else if (PHX_OPTION("false")) event->aggressor = 1; \
    else return NULL; } while (0)

static inline const char *phx_fast_trade(const char *p, const char *end, const phx_symbols *symbols,
                                         phx_event *event) {
    const phx_scale *scale;
    PHX_LITERAL("\"E\":"); PHX_INTEGER(event->ts_push_ns);
    PHX_LITERAL(",\"T\":"); PHX_INTEGER(event->ts_event_ns);
    PHX_LITERAL(",\"s\":\""); PHX_SYMBOL();
    PHX_LITERAL(",\"t\":"); PHX_INTEGER(event->trade_id);
    PHX_LITERAL(",\"p\":\""); PHX_PRICE(event->price_ticks[0]);
    PHX_LITERAL(",\"q\":\""); PHX_QTY(event->qty_lots[0]);
    PHX_LITERAL(",\"X\":\"MARKET\",\"m\":"); PHX_AGGRESSOR();
    PHX_CLOSE();
    if (event->price_ticks[0] == 0 || event->qty_lots[0] == 0)
        return NULL;
    event->origin = 1;           /* ORIGIN_MARKET */
    event->kind = EVENT_TRADE;
    return p;
}

static inline const char *phx_fast_agg_trade(const char *p, const char *end, const phx_symbols *symbols,
                                             phx_event *event) {
    const phx_scale *scale;
    int64_t ignored;
    PHX_LITERAL("\"E\":"); PHX_INTEGER(event->ts_push_ns);
    PHX_LITERAL(",\"a\":"); PHX_INTEGER(event->trade_id);
    PHX_LITERAL(",\"s\":\""); PHX_SYMBOL();
    PHX_LITERAL(",\"p\":\""); PHX_PRICE(event->price_ticks[0]);
    PHX_LITERAL(",\"q\":\""); PHX_QTY(event->qty_lots[0]);
    if (PHX_OPTION(",\"nq\":\"")) PHX_QTY(ignored);
    PHX_LITERAL(",\"f\":"); PHX_INTEGER(ignored);
    PHX_LITERAL(",\"l\":"); PHX_INTEGER(ignored);
    PHX_LITERAL(",\"T\":"); PHX_INTEGER(event->ts_event_ns);
    PHX_LITERAL(",\"m\":"); PHX_AGGRESSOR();
    PHX_CLOSE();
    if (event->price_ticks[0] == 0 || event->qty_lots[0] == 0)
        return NULL;
    event->origin = 1;           /* ORIGIN_MARKET */
    event->kind = EVENT_AGG_TRADE;
    return p;
}

/* The name of a combined stream up to its closing quote, in letters, digits, `@` and `_`; returns what follows the
 * quote, or NULL. */
static inline const char *phx_fast_stream_name(const char *p, const char *end) {
    for (; p < end; p += 8) {
        uint64_t w = phx_load8(p);
        /* Flag what is below '0', as a quote is, not ASCII, or a backslash. */
        uint64_t stop = ~((w | PHX_EACH(0x80)) - PHX_EACH('0')) | w;
        stop = (stop & PHX_EACH(0x80)) | phx_zero_bytes(w ^ PHX_EACH('\\'));
        if (stop) {
            p += phx_first(stop);
            return *p == '"' ? p + 1 : NULL;
        }
    }
    return NULL;
}

/* Read a frame of the expected form; 0 = it is not of that form. */
static inline int phx_decode_fast(const phx_symbols *symbols, const char *p, const char *end, phx_event *event) {
    int wrapped = PHX_OPTION("{\"stream\":\"");
    if (wrapped && (!(p = phx_fast_stream_name(p, end)) || p >= end || !PHX_OPTION(",\"data\":")))
        return 0;
    if (PHX_OPTION("{\"e\":\"bookTicker\","))
        p = phx_fast_book_ticker(p, end, symbols, event);
    else if (PHX_OPTION("{\"e\":\"depthUpdate\","))
        p = phx_fast_depth(p, end, symbols, event);
    else if (PHX_OPTION("{\"e\":\"trade\","))
        p = phx_fast_trade(p, end, symbols, event);
    else if (PHX_OPTION("{\"e\":\"aggTrade\","))
        p = phx_fast_agg_trade(p, end, symbols, event);
    else
        return 0;
    if (!p)
        return 0;
    if (wrapped && (p >= end || *p++ != '}'))
        return 0;
    if (p != end)
        return 0;
    /* At most 15 digits were read: milliseconds up to 10^12 fit as nanoseconds, more is for the other reader. */
    const int64_t most_ms = INT64_MAX / 1000000;
    if (event->ts_event_ns > most_ms || event->ts_push_ns > most_ms)
        return 0;
    event->ts_event_ns *= 1000000;
    event->ts_push_ns *= 1000000;
    return 1;
}

#endif
