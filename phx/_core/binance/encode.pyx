"""Orders as WS-API requests: JSON with its signature, written straight into the buffer the socket sends.

What is signed is the list of parameters sorted by name, `name=value` joined by `&`, without the signature. Both texts
are written in one pass, in that order. After session.logon a request needs neither key nor signature.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from phx._core.action cimport ACTION_AMEND, ACTION_CANCEL, ACTION_PLACE, GTX, IOC, MARKET, Action
from phx._core.binance.sign cimport SIGNATURE_BYTES, Signer
from phx._core.coid cimport Coid, write_coid
from phx._core.records cimport MAX_SYMBOLS

cdef struct Request:                    # one request in the making
    char *json                          # where the next byte of the request goes
    char *signed_text                   # where the next byte of what is signed goes
    char[512] signed_bytes

cdef struct Text:                       # a short value
    char[48] bytes
    int size


cdef inline char *put(char *at, const char *text, size_t size) noexcept nogil:
    memcpy(at, text, size)
    return at + size


cdef char *put_number(char *at, uint64_t value, int least_digits) noexcept nogil:
    cdef char reversed_digits[20]
    cdef int count = 0
    while value or count < least_digits:
        reversed_digits[count] = <char>(c'0' + value % 10)
        value //= 10
        count += 1
    while count:
        count -= 1
        at[0] = reversed_digits[count]
        at += 1
    return at


cdef void write_number(Text *out, uint64_t value) noexcept nogil:
    out.size = <int>(put_number(out.bytes, value, 1) - out.bytes)


cdef void write_decimal(Text *out, int64_t count, int64_t units, int decimals) noexcept nogil:
    # count steps of `units` each, in units of 10**-decimals.
    cdef uint64_t value = <uint64_t>(count * units), scale = 1
    cdef int _i
    cdef char *at
    for _i in range(decimals):
        scale *= 10
    at = put_number(out.bytes, value // scale, 1)
    if decimals:
        at[0] = c'.'
        at = put_number(at + 1, value % scale, decimals)
    out.size = <int>(at - out.bytes)


cdef inline void add(Request *request, const char *name, size_t name_size, const char *value, size_t size,
                     bint quoted) noexcept nogil:
    # One parameter, with a comma behind it in both texts' own way.
    cdef char *at = request.json
    at[0] = c'"'
    at = put(at + 1, name, name_size)
    at[0], at[1] = c'"', c':'
    at += 2
    if quoted:
        at[0] = c'"'
        at += 1
    at = put(at, value, size)
    if quoted:
        at[0] = c'"'
        at += 1
    at[0] = c','
    request.json = at + 1
    at = put(request.signed_text, name, name_size)
    at[0] = c'='
    at = put(at + 1, value, size)
    at[0] = c'&'
    request.signed_text = at + 1


cdef class OrderEncoder:
    """Writes the requests of one connection. signer: None for a connection that logs on and then sends unsigned."""

    def __init__(self, str environment_letter, bytes api_key, Signer signer, int recv_window_ms):
        if environment_letter not in ("s", "t", "p"):
            raise ValueError(f"environment letter {environment_letter!r}, expected s, t or p")
        if not 0 < len(api_key) <= sizeof(self.api_key) or any(c in b'"\\&=' or c < 33 for c in api_key):
            raise ValueError("the API key is empty, too long or holds characters that cannot be sent")
        self.environment = <char>ord(environment_letter)
        memcpy(self.api_key, <const char *>api_key, len(api_key))
        self.api_key_size = <int>len(api_key)
        self.signer = signer
        self.signs = signer is not None
        self.recv_window_ms = recv_window_ms

    def add_symbol(self, int symbol_id, str name, int price_decimals, int64_t price_units, int qty_decimals,
                   int64_t qty_units):
        """Learn how an instrument's ticks and lots are written."""
        cdef bytes raw = name.encode("ascii")
        if not 0 <= symbol_id < MAX_SYMBOLS or not 0 < len(raw) <= 20 or not raw.isalnum():
            raise ValueError(f"symbol {name!r} with id {symbol_id} cannot be encoded")
        if not 0 <= price_decimals <= 12 or not 0 <= qty_decimals <= 12 or price_units < 1 or qty_units < 1:
            raise ValueError(f"{name}: {price_decimals} and {qty_decimals} decimals cannot be encoded")
        cdef WireSymbol *symbol = &self.symbols[symbol_id]
        memcpy(symbol.name, <const char *>raw, len(raw))
        symbol.name_size = <int>len(raw)
        symbol.price_decimals, symbol.price_units = price_decimals, price_units
        symbol.qty_decimals, symbol.qty_units = qty_decimals, qty_units

    cdef int encode(self, const Action *action, int64_t timestamp_ms, char *out) noexcept nogil:
        # The parameters come in alphabetical order, as the signature wants them.
        cdef const WireSymbol *symbol = &self.symbols[action.symbol_id]
        cdef bint place = action.kind == ACTION_PLACE
        cdef bint limit = place and action.time_in_force != MARKET
        cdef Request request
        cdef Text value, id_text
        cdef Coid coid
        cdef char *at
        if symbol.name_size == 0:
            return 0
        at = put(out, b'{"id":', 6)
        at = put_number(at, action.intent_id * ID_KINDS + action.kind, 1)
        if place:
            at = put(at, b',"method":"order.place","params":{', 34)
        elif action.kind == ACTION_AMEND:
            at = put(at, b',"method":"order.modify","params":{', 35)
        elif action.kind == ACTION_CANCEL:
            at = put(at, b',"method":"order.cancel","params":{', 35)
        else:
            return 0
        request.json, request.signed_text = at, request.signed_bytes
        coid.environment, coid.symbol_id = self.environment, action.symbol_id
        coid.epoch, coid.intent_id = action.epoch, action.intent_id
        id_text.size = write_coid(id_text.bytes, &coid)

        if self.signs:
            add(&request, b"apiKey", 6, self.api_key, self.api_key_size, True)
        if place:
            add(&request, b"newClientOrderId", 16, id_text.bytes, id_text.size, True)
        else:
            add(&request, b"origClientOrderId", 17, id_text.bytes, id_text.size, True)
        if limit or action.kind == ACTION_AMEND:
            write_decimal(&value, action.price_ticks, symbol.price_units, symbol.price_decimals)
            add(&request, b"price", 5, value.bytes, value.size, True)
        if action.kind != ACTION_CANCEL:
            write_decimal(&value, action.qty_lots, symbol.qty_units, symbol.qty_decimals)
            add(&request, b"quantity", 8, value.bytes, value.size, True)
        write_number(&value, self.recv_window_ms)
        add(&request, b"recvWindow", 10, value.bytes, value.size, False)
        if action.kind != ACTION_CANCEL and action.reduce_only:
            add(&request, b"reduceOnly", 10, b"true", 4, True)
        if place and action.time_in_force != GTX:
            # The venue's default would let our own taking order kill the quote it meets.
            add(&request, b"selfTradePreventionMode", 23, b"EXPIRE_TAKER", 12, True)
        if action.kind != ACTION_CANCEL:
            if action.side > 0:
                add(&request, b"side", 4, b"BUY", 3, True)
            else:
                add(&request, b"side", 4, b"SELL", 4, True)
        add(&request, b"symbol", 6, symbol.name, symbol.name_size, True)
        if limit:
            add(&request, b"timeInForce", 11, b"IOC" if action.time_in_force == IOC else b"GTX", 3, True)
        write_number(&value, timestamp_ms)
        add(&request, b"timestamp", 9, value.bytes, value.size, False)
        if place:
            if limit:
                add(&request, b"type", 4, b"LIMIT", 5, True)
            else:
                add(&request, b"type", 4, b"MARKET", 6, True)

        at = request.json
        if self.signs:
            at = put(at, b'"signature":"', 13)
            self.signer.sign(request.signed_bytes, request.signed_text - request.signed_bytes - 1, at)
            at += SIGNATURE_BYTES
            at = put(at, b'"}}', 3)
        else:
            at = put(at - 1, b"}}", 2)      # in the place of the last comma
        return <int>(at - out)

    def request(self, dict action, int64_t timestamp_ms):
        """Return the request for an action given as a dict of all its fields; for tools and tests."""
        cdef Action given = action
        cdef char[REQUEST_BYTES] out
        cdef int size = self.encode(&given, timestamp_ms, out)
        if size == 0:
            raise ValueError(f"action of kind {given.kind} on symbol {given.symbol_id} cannot be encoded")
        return out[:size]
