/* Just enough JSON to walk an object: values are checked and passed over, never built. Never reads past `end`. */
#ifndef PHX_JSON_H
#define PHX_JSON_H

#include "swar.h"

enum { JSON_OK = 0, JSON_SYNTAX = 1, JSON_UTF8 = 2, JSON_NESTING = 3 };   /* the first of RefuseReason */

typedef struct {
    const char *p;
    const char *end;
} phx_span;                      /* some text; for a cursor: what is still to be read */

static inline int phx_json_peek(phx_span *c) {
    if (c->p < c->end && (unsigned char)*c->p > ' ')
        return (unsigned char)*c->p;
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' || *c->p == '\r'))
        c->p++;
    return c->p < c->end ? (unsigned char)*c->p : -1;
}

static inline int phx_json_take(phx_span *c, char wanted) {
    if (phx_json_peek(c) != wanted)
        return 0;
    c->p++;
    return 1;
}

/* One character above ASCII: well-formed, no overlong form, no surrogate. (Unicode 15, table 3-7.) */
static inline int phx_json_utf8(phx_span *c) {
    const unsigned char *p = (const unsigned char *)c->p;
    int more = *p >= 0xC2 && *p <= 0xDF ? 1 : *p >= 0xE0 && *p <= 0xEF ? 2 : *p >= 0xF0 && *p <= 0xF4 ? 3 : 0;
    if (!more || c->end - c->p <= more)
        return JSON_UTF8;
    unsigned char least = *p == 0xE0 ? 0xA0 : *p == 0xF0 ? 0x90 : 0x80;
    unsigned char most = *p == 0xED ? 0x9F : *p == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < least || p[1] > most)
        return JSON_UTF8;
    for (int i = 2; i <= more; i++)
        if (p[i] < 0x80 || p[i] > 0xBF)
            return JSON_UTF8;
    c->p += more + 1;
    return JSON_OK;
}

static inline int phx_json_hex4(const char *p) {
    for (int i = 0; i < 4; i++)
        if (!((p[i] >= '0' && p[i] <= '9') || ((p[i] | 32) >= 'a' && (p[i] | 32) <= 'f')))
            return 0;
    return 1;
}

/* A string whose opening quote was read; `text` becomes what is between the quotes, escapes as they stand. */
static inline int phx_json_string(phx_span *c, phx_span *text) {
    text->p = c->p;
    while (c->p < c->end) {
        if (c->end - c->p >= 8) {    /* plain text, as most is, eight bytes at a time */
            uint64_t w = phx_load8(c->p);
            uint64_t special = phx_zero_bytes(w ^ PHX_EACH('"')) | phx_zero_bytes(w ^ PHX_EACH('\\'))
                | phx_zero_bytes(w & PHX_EACH(0xE0)) | (w & PHX_EACH(0x80));
            if (!special) {
                c->p += 8;
                continue;
            }
            c->p += phx_first(special);
        }
        unsigned char byte = (unsigned char)*c->p;
        if (byte == '"') {
            text->end = c->p++;
            return JSON_OK;
        }
        if (byte >= 0x80) {
            int reason = phx_json_utf8(c);
            if (reason)
                return reason;
        } else if (byte < 0x20) {
            return JSON_SYNTAX;
        } else if (byte == '\\') {
            if (c->end - c->p < 2)
                return JSON_SYNTAX;
            char escaped = c->p[1];
            int hex = escaped == 'u';
            if (!escaped || (!hex && !strchr("\"\\/bfnrt", escaped)))
                return JSON_SYNTAX;
            if (hex && (c->end - c->p < 6 || !phx_json_hex4(c->p + 2)))
                return JSON_SYNTAX;
            c->p += hex ? 6 : 2;
        } else {
            c->p++;
        }
    }
    return JSON_SYNTAX;
}

static inline const char *phx_json_digits(const char *p, const char *end) {
    while (end - p >= 8) {
        uint64_t stop = phx_not_digits(phx_load8(p) ^ PHX_EACH('0'));
        if (stop)
            return p + phx_first(stop);
        p += 8;
    }
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static inline int phx_json_number(phx_span *c) {
    const char *p = c->p + (*c->p == '-');
    const char *whole = p;
    p = phx_json_digits(p, c->end);
    if (p == whole || (*whole == '0' && p - whole > 1))
        return JSON_SYNTAX;
    if (p < c->end && *p == '.') {
        const char *fraction = ++p;
        if ((p = phx_json_digits(p, c->end)) == fraction)
            return JSON_SYNTAX;
    }
    if (p < c->end && (*p | 32) == 'e') {
        p++;
        if (p < c->end && (*p == '+' || *p == '-'))
            p++;
        const char *exponent = p;
        if ((p = phx_json_digits(p, c->end)) == exponent)
            return JSON_SYNTAX;
    }
    c->p = p;
    return JSON_OK;
}

static inline int phx_json_word(phx_span *c, const char *word, size_t length) {
    if ((size_t)(c->end - c->p) < length || memcmp(c->p, word, length))
        return JSON_SYNTAX;
    c->p += length;
    return JSON_OK;
}

/* Pass over one value; `value` becomes its text, quotes and brackets included. */
static int phx_json_skip(phx_span *c, int levels, phx_span *value) {
    phx_span inner;
    int reason, next = phx_json_peek(c);
    value->p = c->p;
    if (next == '"') {
        c->p++;
        reason = phx_json_string(c, &inner);
    } else if (next == '{' || next == '[') {
        const char closing = next == '{' ? '}' : ']';
        if (levels == 0)
            return JSON_NESTING;
        c->p++;
        if (!phx_json_take(c, closing)) {
            do {
                if (next == '{') {
                    if (!phx_json_take(c, '"'))
                        return JSON_SYNTAX;
                    if ((reason = phx_json_string(c, &inner)))
                        return reason;
                    if (!phx_json_take(c, ':'))
                        return JSON_SYNTAX;
                }
                if ((reason = phx_json_skip(c, levels - 1, &inner)))
                    return reason;
            } while (phx_json_take(c, ','));
            if (!phx_json_take(c, closing))
                return JSON_SYNTAX;
        }
        reason = JSON_OK;
    } else if (next == 't') {
        reason = phx_json_word(c, "true", 4);
    } else if (next == 'f') {
        reason = phx_json_word(c, "false", 5);
    } else if (next == 'n') {
        reason = phx_json_word(c, "null", 4);
    } else if (next == '-' || (next >= '0' && next <= '9')) {
        reason = phx_json_number(c);
    } else {
        reason = JSON_SYNTAX;
    }
    value->end = c->p;
    return reason;
}

#endif
