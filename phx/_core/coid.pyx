"""Client order ids: who sent an order, in which life, for which symbol; written and read without a table."""

from libc.stdint cimport uint16_t, uint64_t

cdef const char *DIGITS = b"0123456789abcdefghijklmnopqrstuvwxyz"


cdef int write_base36(char *out, uint64_t value, int least_digits) noexcept nogil:
    cdef char reversed_digits[13]       # 36**13 > 2**64
    cdef int count = 0, i
    while value or count < least_digits:
        reversed_digits[count] = DIGITS[value % 36]
        value //= 36
        count += 1
    for i in range(count):
        out[i] = reversed_digits[count - 1 - i]
    return count


cdef int read_base36(const char *text, int size, uint64_t *out) noexcept nogil:
    # Returns how many digits were read; 0 when there is none or the number does not fit.
    cdef uint64_t value = 0, digit
    cdef int i = 0
    while i < size:
        if c'0' <= text[i] <= c'9':
            digit = <uint64_t>(text[i] - c'0')
        elif c'a' <= text[i] <= c'z':
            digit = <uint64_t>(text[i] - c'a' + 10)
        else:
            break
        if value > (<uint64_t>0xffffffffffffffff - digit) // 36:
            return 0
        value = value * 36 + digit
        i += 1
    out[0] = value
    return i


cdef int write_coid(char *out, const Coid *coid) noexcept nogil:
    cdef int at = 5
    out[0], out[1], out[2], out[3], out[4] = c'p', c'h', c'x', coid.environment, c'-'
    at += write_base36(out + at, coid.symbol_id % 1296, 2)
    out[at] = c'-'
    at += 1
    at += write_base36(out + at, coid.epoch, 1)
    out[at] = c'-'
    at += 1
    return at + write_base36(out + at, coid.intent_id, 1)


cdef bint read_coid(const char *text, int size, Coid *out) noexcept nogil:
    cdef uint64_t symbol_id = 0
    cdef int digits, at = 8
    if size < 11 or size > COID_BYTES or text[0] != c'p' or text[1] != c'h' or text[2] != c'x':
        return False
    if text[3] not in (c's', c't', c'p') or text[4] != c'-' or text[7] != c'-':
        return False
    if read_base36(text + 5, 2, &symbol_id) != 2:
        return False
    digits = read_base36(text + at, size - at, &out.epoch)
    at += digits
    if digits == 0 or at >= size or text[at] != c'-':
        return False
    at += 1
    digits = read_base36(text + at, size - at, &out.intent_id)
    if digits == 0 or at + digits != size:
        return False
    out.environment = text[3]
    out.symbol_id = <uint16_t>symbol_id
    return True


ENVIRONMENTS = {"sim": "s", "testnet": "t", "production": "p"}


def own_prefix(str environment):
    """Return what every client order id of this environment begins with."""
    return f"phx{ENVIRONMENTS[environment]}-"


def format_coid(str environment, int symbol_id, uint64_t epoch, uint64_t intent_id):
    """Return the client order id of an intent."""
    if not 0 <= symbol_id < 1296:
        raise ValueError(f"symbol id {symbol_id} does not fit two base-36 digits")
    cdef char text[COID_BYTES]
    cdef Coid coid
    coid.environment = <char>ord(ENVIRONMENTS[environment])
    coid.symbol_id = <uint16_t>symbol_id
    coid.epoch = epoch
    coid.intent_id = intent_id
    return text[:write_coid(text, &coid)].decode("ascii")


def parse_coid(str text):
    """Return (environment letter, symbol_id, epoch, intent_id), or None for an order that is not ours."""
    cdef bytes raw = text.encode("utf-8")
    cdef Coid coid
    if not read_coid(raw, <int>len(raw), &coid):
        return None
    return chr(coid.environment), coid.symbol_id, coid.epoch, coid.intent_id
