/* Floor of an order on its way out: WS-API JSON with its HMAC-SHA-256, by plain C and OpenSSL's block function.
 * One symbol, one shape of order; the key is hashed once and its two states are copied for each order. */
#include <openssl/sha.h>
#include <stdint.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static SHA256_CTX inner, outer;

void order_key(const char *secret, uint64_t size) {
    unsigned char block[64] = {0};
    memcpy(block, secret, size);
    for (int i = 0; i < 64; i++)
        block[i] ^= 0x36;
    SHA256_Init(&inner);
    SHA256_Update(&inner, block, 64);
    for (int i = 0; i < 64; i++)
        block[i] ^= 0x36 ^ 0x5c;
    SHA256_Init(&outer);
    SHA256_Update(&outer, block, 64);
}

static void sign(const char *text, uint64_t size, char *out) {
    unsigned char digest[32];
    SHA256_CTX context = inner;
    SHA256_Update(&context, text, size);
    SHA256_Final(digest, &context);
    context = outer;
    SHA256_Update(&context, digest, 32);
    SHA256_Final(digest, &context);
    for (int i = 0; i < 32; i++) {
        out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
}

static char *put(char *at, const char *text, uint64_t size) { memcpy(at, text, size); return at + size; }

#define PUT(text) (at = put(at, text, sizeof(text) - 1))

static char *number(char *at, uint64_t value, int digits) {
    char reversed[20];
    int count = 0;
    while (value || count < digits) {
        reversed[count++] = (char)('0' + value % 10);
        value /= 10;
    }
    while (count)
        *at++ = reversed[--count];
    return at;
}

static char *decimal(char *at, uint64_t value, uint64_t scale, int places) {
    at = number(at, value / scale, 1);
    *at++ = '.';
    return number(at, value % scale, places);
}

/* One order; the signed text is gathered from the same pieces as the JSON. Returns the size. */
static uint64_t order(const char *key, uint64_t id, uint64_t ticks, uint64_t lots, uint64_t ms, int is_signed, char *out) {
    char text[512], *t = text, *at = out, *from;
#define FIELD(name, quote, write) do { \
    PUT("\"" name "\":"); if (quote) *at++ = '"'; \
    from = at; write; t = put(t, name "=", sizeof(name)); t = put(t, from, (uint64_t)(at - from)); *t++ = '&'; \
    if (quote) *at++ = '"'; *at++ = ','; } while (0)
    PUT("{\"id\":");
    at = number(at, id * 4 + 1, 1);
    PUT(",\"method\":\"order.place\",\"params\":{");
    if (is_signed)
        FIELD("apiKey", 1, at = put(at, key, 64));
    FIELD("newClientOrderId", 1, (PUT("phxs-00-1-"), at = number(at, id, 1)));
    FIELD("price", 1, at = decimal(at, ticks, 10, 1));
    FIELD("quantity", 1, at = decimal(at, lots, 1000, 3));
    FIELD("recvWindow", 0, PUT("2000"));
    FIELD("side", 1, PUT("BUY"));
    FIELD("symbol", 1, PUT("BTCUSDC"));
    FIELD("timeInForce", 1, PUT("GTX"));
    FIELD("timestamp", 0, at = number(at, ms, 1));
    FIELD("type", 1, PUT("LIMIT"));
    if (is_signed) {
        PUT("\"signature\":\"");
        sign(text, (uint64_t)(t - text - 1), at);
        at += 64;
        PUT("\"}}");
    } else {
        at--;
        PUT("}}");
    }
    return (uint64_t)(at - out);
}

uint64_t orders(const char *key, uint64_t count, int is_signed) {
    char out[1024];
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < count; i++)
        bytes += order(key, i + 1, 645000 + (i & 255), 5 + (i & 15), 1790526538939u + i, is_signed, out);
    return bytes;
}

void signatures(const char *text, uint64_t size, uint64_t count, char *out) {
    char copy[512];
    memcpy(copy, text, size);
    for (uint64_t i = 0; i < count; i++) {
        copy[0] = (char)('a' + (i & 15));
        sign(copy, size, out);
    }
}
