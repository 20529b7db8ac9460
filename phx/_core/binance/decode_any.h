/* The any-order reader: keys in any order, with white space, with keys that nobody knows; names what it refuses.
 *
 * It first walks the object and remembers where each value stands, then reads the values that the kind of event
 * needs. A key that comes twice is refused: which one counts is nobody's to guess.
 */
#ifndef PHX_DECODE_ANY_H
#define PHX_DECODE_ANY_H

#include "decode_fast.h"
#include "json.h"

/* Our keys are one letter long, but for these; a snapshot's long names stand for the letters of a delta. */
enum { KEY_pu = 58, KEY_COUNT = 59 };

typedef struct {
    uint64_t seen;               /* bit per key */
    int control;                 /* "result", "error" or "id" was there */
    const char *end;             /* of the document */
    phx_span value[KEY_COUNT];   /* letters at `letter - 'A'` */
} phx_fields;

#define PHX_KEY(letter) ((letter) - 'A')

static inline int phx_is(phx_span text, const char *word) {
    size_t length = strlen(word);
    return (size_t)(text.end - text.p) == length && memcmp(text.p, word, length) == 0;
}

static inline int phx_key_of(phx_span name, int snapshot) {
    size_t length = (size_t)(name.end - name.p);
    if (length == 1 && *name.p >= 'A' && *name.p <= 'z')
        return PHX_KEY(*name.p);
    if (length == 2 && name.p[0] == 'p' && name.p[1] == 'u')
        return KEY_pu;
    if (snapshot && phx_is(name, "lastUpdateId"))
        return PHX_KEY('u');
    if (snapshot && phx_is(name, "bids"))
        return PHX_KEY('b');
    if (snapshot && phx_is(name, "asks"))
        return PHX_KEY('a');
    return -1;
}

enum { WALK_EVENT = 0, WALK_ENVELOPE = 1, WALK_SNAPSHOT = 2 };

/* A key whose opening quote was read, and its colon. An escaped key may be any key: refused. */
static inline int phx_walk_key(phx_span *c, phx_span *name) {
    name->p = c->p;
    if (c->end - c->p > 2 && c->p[1] == '"' && c->p[2] == ':' && *c->p >= 'A' && *c->p <= 'z' && *c->p != '\\') {
        name->end = c->p + 1;
        c->p += 3;               /* one letter, as nearly all of ours are */
        return REFUSED_NONE;
    }
    int reason = phx_json_string(c, name);
    if (reason)
        return reason;
    if (memchr(name->p, '\\', (size_t)(name->end - name->p)))
        return REFUSED_SYNTAX;
    return phx_json_take(c, ':') ? REFUSED_NONE : REFUSED_SYNTAX;
}

/* Walk an object whose opening brace was read. In an envelope the object under "data" is the event. */
static int phx_walk(phx_span *c, phx_fields *fields, int what) {
    phx_span name, ignored;
    int reason, unwrapped = 0;
    if (phx_json_take(c, '}'))
        return REFUSED_NONE;
    do {
        if (!phx_json_take(c, '"'))
            return REFUSED_SYNTAX;
        if ((reason = phx_walk_key(c, &name)))
            return reason;
        if (what == WALK_ENVELOPE && phx_is(name, "data")) {
            if (unwrapped)
                return REFUSED_DUPLICATE_KEY;
            if (phx_json_peek(c) == '{') {
                unwrapped = 1;
                c->p++;
                fields->seen = 0;
                if ((reason = phx_walk(c, fields, WALK_EVENT)))
                    return reason;
                continue;
            }
        }
        int key = unwrapped ? -1 : phx_key_of(name, what == WALK_SNAPSHOT);
        if (key >= 0 && fields->seen >> key & 1)
            return REFUSED_DUPLICATE_KEY;
        /* Written where it stays: a copy of what was just written would wait for the store. */
        if ((reason = phx_json_skip(c, DECODE_DEPTH, key < 0 ? &ignored : &fields->value[key])))
            return reason;
        if (key >= 0)
            fields->seen |= 1ull << key;
        else if (!unwrapped)
            fields->control |= phx_is(name, "result") || phx_is(name, "error") || phx_is(name, "id");
    } while (phx_json_take(c, ','));
    return phx_json_take(c, '}') ? REFUSED_NONE : REFUSED_SYNTAX;
}

/* Plain decimal text without quotes as a number of 10^-decimals. Digits beyond must be zero. */
static inline int phx_plain_decimal(phx_span text, int decimals, int64_t *out) {
    const char *p = text.p;
    int64_t value = 0;
    int fraction = 0, dot = 0, digits = 0, off_grid = 0;
    for (; p < text.end; p++) {
        if (*p == '.' && !dot && digits) {
            dot = 1;
            continue;
        }
        if (*p < '0' || *p > '9')
            return REFUSED_NUMBER;
        digits++;
        fraction += dot;
        if (fraction > decimals) {
            off_grid |= *p != '0';
            continue;
        }
        if (value >= PHX_POW10[17])
            return REFUSED_RANGE;
        value = value * 10 + (*p - '0');
    }
    if (!digits || (dot && !fraction))
        return REFUSED_NUMBER;
    if (off_grid)
        return REFUSED_OFF_GRID;
    for (; fraction < decimals; fraction++) {
        if (value >= PHX_POW10[17])
            return REFUSED_RANGE;
        value *= 10;
    }
    *out = value;
    return REFUSED_NONE;
}

static inline int phx_quoted(phx_span value, phx_span *text) {
    if (*value.p != '"')
        return REFUSED_TYPE;
    text->p = value.p + 1;
    text->end = value.end - 1;
    return REFUSED_NONE;
}

/* The fixed-order reader's leaves serve here too, where so many bytes of the document are left. */
enum { LOOKS_AHEAD = 17 };

static inline int phx_any_decimal(phx_span value, const char *end, int decimals, int64_t units, int64_t *out) {
    phx_span text;
    int64_t plain = 0;
    if (end - value.p >= LOOKS_AHEAD && *value.p == '"'
        && phx_fast_decimal(value.p + 1, decimals, units, out) == value.end)
        return REFUSED_NONE;
    int reason = phx_quoted(value, &text);
    if (!reason)
        reason = phx_plain_decimal(text, decimals, &plain);
    if (!reason && !phx_in_units(plain, units, out))
        reason = REFUSED_OFF_GRID;
    return reason;
}

static inline int phx_any_integer(phx_span value, const char *end, int64_t *out) {
    if (end - value.p >= LOOKS_AHEAD && phx_fast_integer(value.p, out) == value.end)
        return REFUSED_NONE;
    if (*value.p < '0' || *value.p > '9')
        return *value.p == '-' ? REFUSED_NUMBER : REFUSED_TYPE;
    int64_t number = 0;
    for (const char *p = value.p; p < value.end; p++) {
        if (*p < '0' || *p > '9')
            return REFUSED_NUMBER;
        if (number >= PHX_POW10[17])
            return REFUSED_RANGE;
        number = number * 10 + (*p - '0');
    }
    *out = number;
    return REFUSED_NONE;
}

static inline int phx_any_time(phx_span value, const char *end, int64_t *out_ns) {
    int64_t ms = 0;
    int reason = phx_any_integer(value, end, &ms);
    if (reason || ms > INT64_MAX / 1000000)
        return reason ? reason : REFUSED_RANGE;
    *out_ns = ms * 1000000;
    return REFUSED_NONE;
}

/* The levels of one side: [["price","qty"], ...], more than two texts in a level are none of ours. */
static inline int phx_any_levels(phx_span c, const phx_scale *scale, phx_level *level, uint32_t *count) {
    phx_span price, qty;
    int reason;
    *count = 0;
    if (!phx_json_take(&c, '['))
        return REFUSED_TYPE;
    if (phx_json_take(&c, ']'))
        return REFUSED_NONE;
    do {
        if (*count == DECODE_LEVELS)
            return REFUSED_LEVELS;
        if (!phx_json_take(&c, '['))
            return REFUSED_TYPE;
        if (phx_json_skip(&c, 0, &price) || !phx_json_take(&c, ',') || phx_json_skip(&c, 0, &qty)
            || !phx_json_take(&c, ']'))
            return REFUSED_TYPE;
        phx_level *out = &level[*count];
        if ((reason = phx_any_decimal(price, c.end, scale->price_decimals, scale->price_units, &out->price_ticks)))
            return reason;
        if ((reason = phx_any_decimal(qty, c.end, scale->qty_decimals, scale->qty_units, &out->qty_lots)))
            return reason;
        if (out->price_ticks == 0)
            return REFUSED_RANGE;
        ++*count;
    } while (phx_json_take(&c, ','));
    return REFUSED_NONE;
}

/* Leave the function with the reason as soon as one is found. */
#define PHX_NEED(step) do { int reason_ = (step); if (reason_) return reason_; } while (0)
#define PHX_NEED_KEY(key) do { if (!(fields->seen >> (key) & 1)) return REFUSED_MISSING_KEY; } while (0)
#define PHX_READ_INTEGER(letter, out) do { \
    PHX_NEED_KEY(PHX_KEY(letter)); PHX_NEED(phx_any_integer(fields->value[PHX_KEY(letter)], fields->end, &(out))); } while (0)
#define PHX_READ_TIME(letter, out) do { \
    PHX_NEED_KEY(PHX_KEY(letter)); PHX_NEED(phx_any_time(fields->value[PHX_KEY(letter)], fields->end, &(out))); } while (0)
#define PHX_READ_PRICE(letter, out) do { PHX_NEED_KEY(PHX_KEY(letter)); PHX_NEED(phx_any_decimal( \
    fields->value[PHX_KEY(letter)], fields->end, scale->price_decimals, scale->price_units, &(out))); } while (0)
#define PHX_READ_QTY(letter, out) do { PHX_NEED_KEY(PHX_KEY(letter)); PHX_NEED(phx_any_decimal( \
    fields->value[PHX_KEY(letter)], fields->end, scale->qty_decimals, scale->qty_units, &(out))); } while (0)

static int phx_any_book_ticker(const phx_fields *fields, const phx_scale *scale, phx_event *event) {
    PHX_READ_INTEGER('u', event->update_id);
    PHX_READ_PRICE('b', event->price_ticks[0]);
    PHX_READ_QTY('B', event->qty_lots[0]);
    PHX_READ_PRICE('a', event->price_ticks[1]);
    PHX_READ_QTY('A', event->qty_lots[1]);
    PHX_READ_TIME('T', event->ts_event_ns);
    PHX_READ_TIME('E', event->ts_push_ns);
    for (int side = 0; side < 2; side++) {
        if (event->price_ticks[side] != 0)
            continue;
        if (event->qty_lots[side] != 0)
            return REFUSED_RANGE;
        event->price_ticks[side] = INT64_MIN;   /* NO_PRICE: the side is empty */
    }
    event->kind = EVENT_BOOK_TICKER;
    return REFUSED_NONE;
}

static int phx_any_sides(const phx_fields *fields, const phx_scale *scale, phx_event *event) {
    PHX_NEED_KEY(PHX_KEY('b'));
    PHX_NEED_KEY(PHX_KEY('a'));
    PHX_NEED(phx_any_levels(fields->value[PHX_KEY('b')], scale, event->level[0], &event->levels[0]));
    PHX_NEED(phx_any_levels(fields->value[PHX_KEY('a')], scale, event->level[1], &event->levels[1]));
    return REFUSED_NONE;
}

static int phx_any_depth(const phx_fields *fields, const phx_scale *scale, phx_event *event) {
    PHX_READ_TIME('E', event->ts_push_ns);
    PHX_READ_TIME('T', event->ts_event_ns);
    PHX_READ_INTEGER('U', event->first_update_id);
    PHX_READ_INTEGER('u', event->update_id);
    PHX_NEED_KEY(KEY_pu);
    PHX_NEED(phx_any_integer(fields->value[KEY_pu], fields->end, &event->previous_update_id));
    PHX_NEED(phx_any_sides(fields, scale, event));
    event->kind = EVENT_DEPTH;
    return REFUSED_NONE;
}

/* `X`: who the print came from. NA is no trade at all, with price and quantity zero. */
static int phx_any_origin(const phx_fields *fields, phx_event *event) {
    phx_span word;
    PHX_NEED_KEY(PHX_KEY('X'));
    PHX_NEED(phx_quoted(fields->value[PHX_KEY('X')], &word));
    event->origin = phx_is(word, "MARKET") ? 1 : phx_is(word, "RPI") ? 2 : phx_is(word, "ADL") ? 3
        : phx_is(word, "INSURANCE_FUND") ? 4 : phx_is(word, "NA") ? 0 : 255;
    return REFUSED_NONE;
}

static int phx_any_trade(const phx_fields *fields, const phx_scale *scale, phx_event *event, int aggregated) {
    PHX_READ_TIME('E', event->ts_push_ns);
    PHX_READ_TIME('T', event->ts_event_ns);
    if (aggregated) {
        PHX_READ_INTEGER('a', event->trade_id);
        event->origin = 1;       /* ORIGIN_MARKET: liquidations and insurance trades are never aggregated */
    } else {
        PHX_READ_INTEGER('t', event->trade_id);
        PHX_NEED(phx_any_origin(fields, event));
    }
    PHX_READ_PRICE('p', event->price_ticks[0]);
    PHX_READ_QTY('q', event->qty_lots[0]);
    if (event->price_ticks[0] == 0 || event->qty_lots[0] == 0)
        event->origin = 0;       /* ORIGIN_NONE: nothing changed hands */
    PHX_NEED_KEY(PHX_KEY('m'));
    if (phx_is(fields->value[PHX_KEY('m')], "true"))
        event->aggressor = -1;
    else if (phx_is(fields->value[PHX_KEY('m')], "false"))
        event->aggressor = 1;
    else
        return REFUSED_TYPE;
    event->kind = aggregated ? EVENT_AGG_TRADE : EVENT_TRADE;
    return REFUSED_NONE;
}

static int phx_any_mark(const phx_fields *fields, const phx_scale *scale, phx_event *event) {
    int64_t mark_e8, next_funding_ms;
    phx_span rate;
    PHX_READ_TIME('E', event->ts_event_ns);
    event->ts_push_ns = event->ts_event_ns;
    PHX_NEED_KEY(PHX_KEY('p'));
    PHX_NEED(phx_any_decimal(fields->value[PHX_KEY('p')], fields->end, 8, 1, &mark_e8));
    if (mark_e8 == 0)
        return REFUSED_RANGE;
    /* The mark price lies between ticks: the nearest one. */
    int64_t tick_e8 = scale->price_units * PHX_POW10[8 - scale->price_decimals];
    event->price_ticks[0] = (mark_e8 + tick_e8 / 2) / tick_e8;
    PHX_READ_INTEGER('T', next_funding_ms);
    event->next_funding_s = next_funding_ms / 1000;
    PHX_NEED_KEY(PHX_KEY('r'));
    PHX_NEED(phx_quoted(fields->value[PHX_KEY('r')], &rate));
    event->funding_rate_e8 = 0;
    if (rate.p < rate.end) {     /* delivery contracts have none */
        int negative = *rate.p == '-';
        rate.p += negative;
        PHX_NEED(phx_plain_decimal(rate, 8, &event->funding_rate_e8));
        if (event->funding_rate_e8 > INT32_MAX)
            return REFUSED_RANGE;
        if (negative)
            event->funding_rate_e8 = -event->funding_rate_e8;
    }
    event->kind = EVENT_MARK;
    return REFUSED_NONE;
}

static inline int phx_any_symbol(const phx_symbols *symbols, phx_span value, int32_t *out) {
    phx_span text;
    uint64_t name[3] = {0, 0, 0};
    PHX_NEED(phx_quoted(value, &text));
    size_t length = (size_t)(text.end - text.p);
    if (length == 0 || length >= sizeof name)
        return REFUSED_SYMBOL;
    memcpy(name, text.p, length);
    *out = phx_find_symbol(symbols, name);
    return *out < 0 ? REFUSED_SYMBOL : REFUSED_NONE;
}

static int phx_any_event(const phx_symbols *symbols, const phx_fields *fields, phx_event *event) {
    phx_span kind;
    if (!(fields->seen >> PHX_KEY('e') & 1)) {
        event->kind = fields->control ? EVENT_CONTROL : EVENT_UNKNOWN;
        return REFUSED_NONE;
    }
    PHX_NEED(phx_quoted(fields->value[PHX_KEY('e')], &kind));
    int book_ticker = phx_is(kind, "bookTicker"), depth = phx_is(kind, "depthUpdate"), trade = phx_is(kind, "trade");
    int aggregated = phx_is(kind, "aggTrade"), mark = phx_is(kind, "markPriceUpdate");
    if (!(book_ticker | depth | trade | aggregated | mark)) {
        event->kind = EVENT_UNKNOWN;
        return REFUSED_NONE;
    }
    PHX_NEED_KEY(PHX_KEY('s'));
    PHX_NEED(phx_any_symbol(symbols, fields->value[PHX_KEY('s')], &event->symbol));
    const phx_scale *scale = &symbols->symbol[event->symbol].scale;
    if (book_ticker)
        return phx_any_book_ticker(fields, scale, event);
    if (depth)
        return phx_any_depth(fields, scale, event);
    if (mark)
        return phx_any_mark(fields, scale, event);
    return phx_any_trade(fields, scale, event, aggregated);
}

static inline int phx_any_document(phx_span *c, phx_fields *fields, int what) {
    fields->seen = 0;
    fields->control = 0;
    fields->end = c->end;
    if (!phx_json_take(c, '{'))
        return REFUSED_SYNTAX;
    PHX_NEED(phx_walk(c, fields, what));
    return phx_json_peek(c) == -1 ? REFUSED_NONE : REFUSED_SYNTAX;
}

/* Read a frame; the reason is 0 when the event is whole. */
static int phx_decode_any(const phx_symbols *symbols, const char *p, const char *end, phx_event *event) {
    phx_fields fields;
    phx_span c = {p, end};
    PHX_NEED(phx_any_document(&c, &fields, WALK_ENVELOPE));
    return phx_any_event(symbols, &fields, event);
}

/* Read the answer to GET /fapi/v1/depth. */
static int phx_decode_depth_answer(const phx_scale *scale, const char *p, const char *end, phx_event *event) {
    phx_fields whole, *fields = &whole;
    phx_span c = {p, end};
    PHX_NEED(phx_any_document(&c, fields, WALK_SNAPSHOT));
    PHX_READ_INTEGER('u', event->update_id);
    PHX_READ_TIME('T', event->ts_event_ns);
    PHX_READ_TIME('E', event->ts_push_ns);
    PHX_NEED(phx_any_sides(fields, scale, event));
    event->kind = EVENT_SNAPSHOT;
    return REFUSED_NONE;
}

#endif
