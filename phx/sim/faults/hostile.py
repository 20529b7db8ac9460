"""What no client should have to read: texts, frames and bodies that are none, numbers that are none."""

import re
from collections.abc import Callable

from phx.sim.faults.wire import Raw, Torn

HTML = "<html><body><h1>403 Forbidden</h1></body></html>"
HUGE = b'{"e":"depthUpdate","b":[' + b'["1","1"],' * 200_000 + b'["1","1"]]}'
DEEP = b"[" * 100_000 + b"]" * 100_000
NOT_UTF8 = b'{"e":"depthUpdate","s":"\xff\xfe\x00"}'


# Texts in a frame that is right. They are JSON of a depth diff where they are JSON at all.
PAYLOADS = {
    "huge": HUGE,
    "deep": DEEP,
    "cut": b'{"e":"depthUpdate","E":17',
    "not_utf8": NOT_UTF8,
    "numbers": b'{"e":"bookTicker","u":1,"s":"BTCUSDC","b":"NaN","B":"1e400","a":"-Infinity","A":"-1","T":1,"E":1}',
    "null": b'{"e":"depthUpdate","E":null,"T":null,"s":null,"U":null,"u":null,"pu":null,"b":null,"a":null}',
    "lines": '{"e":"错误","s":"测试USDT","m":"\\r\\n2026-01-01 I gateway all is well\\u001b[31m"}'.encode(),
    "empty": b"",
    "html": HTML.encode(),
}

# Frames of WebSockets as a server may not send them.
FRAMES = {
    "deflate": Raw(b"\xc1\x05\xcaH\xcd\xc9\x07"),  # compressed, which nobody agreed to
    "oversized": Raw(b"\x81\x7f" + (2**40).to_bytes(8) + b"{"),
    "binary": Raw(b"\x82\x02\x00\xff"),
    "fragment": Raw(b"\x80\x02{}"),  # the end of a message that never began
    "opcode": Raw(b"\x83\x02{}"),
    "masked": Raw(b"\x81\x82\x00\x00\x00\x00{}"),
    "not_utf8": Raw(b"\x81" + bytes([len(NOT_UTF8)]) + NOT_UTF8),
}

# Bodies of answers: (what is sent of an answer, its content type). The status stays.
BODIES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut": (lambda answer: answer[: len(answer) // 2], "application/json"),
    "empty": (lambda answer: b"", "application/json"),
    "html": (lambda answer: HTML.encode(), "text/html"),
    "text": (lambda answer: answer, "text/plain"),
    "huge": (lambda answer: HUGE, "application/json"),
    "deep": (lambda answer: DEEP, "application/json"),
    "not_utf8": (lambda answer: NOT_UTF8, "application/json"),
    "numbers": (lambda answer: spoiled(answer.decode(), "NaN").encode(), "application/json"),
}

NUMBER = re.compile(r'"-?[0-9]+(?:\.[0-9]+)?"(?!:)')
TORN_ANSWER = Torn(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{"orderId":17')


def spoiled(text: str, number: str) -> str:
    """Return a message with another text, or null, for all numbers it prints as texts."""
    replaced = "null" if number == "null" else f'"{"" if number == "empty" else number}"'
    return NUMBER.sub(replaced, text)


def torn(payload: bytes) -> Torn:
    """Return a frame that breaks off within its text."""
    return Torn(b"\x81\x7e" + min(len(payload) + 100, 65_535).to_bytes(2) + payload[:60])
