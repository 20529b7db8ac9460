"""Write and sign an order: from an intent to the bytes that go to the socket.

Topology: one thread, Cython nogil, one place order per operation, WS-API JSON of about 360 bytes. Measure: ns per
order. Floor: plain C for this one shape with OpenSSL's block function (skipped without its headers). Rivals: json and
hmac of the standard library. A regression means that each order leaves later.
"""

import ctypes
import hashlib
import hmac
import json
import subprocess

import pytest
from compiled import floor, loops
from timing import per_operation_ns

from phx._core.binance.encode import OrderEncoder
from phx._core.binance.sign import Signer

COUNT = 20_000
PYTHON_COUNT = 1_000
KEY = b"vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
TEXT = b"symbol=BTCUSDC&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.006&price=64500.10&recvWindow=2000" * 2


@pytest.fixture(scope="module")
def in_c():
    try:
        library = floor("order", "-lcrypto")
    except subprocess.CalledProcessError:
        pytest.skip("the floor needs OpenSSL's headers (libssl-dev)")
    library.order_key(SECRET, ctypes.c_uint64(len(SECRET)))
    library.orders.argtypes = [ctypes.c_char_p, ctypes.c_uint64, ctypes.c_int]
    library.orders.restype = ctypes.c_uint64
    library.signatures.argtypes = [ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_void_p]
    return library


def encoder(signer) -> OrderEncoder:
    made = OrderEncoder("s", KEY, signer, 2000)
    made.add_symbol(0, "BTCUSDC", 1, 1, 3, 1)
    return made


def standard_library() -> None:
    for i in range(PYTHON_COUNT):
        values = {
            "apiKey": KEY.decode(),
            "newClientOrderId": f"phxs-00-1-{i}",
            "price": f"{(645000 + i % 256) / 10:.1f}",
            "quantity": f"{(5 + i % 16) / 1000:.3f}",
            "recvWindow": 2000,
            "side": "BUY",
            "symbol": "BTCUSDC",
            "timeInForce": "GTX",
            "timestamp": 1790526538939 + i,
            "type": "LIMIT",
        }
        text = "&".join(f"{name}={values[name]}" for name in sorted(values))
        values["signature"] = hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()
        json.dumps({"id": i, "method": "order.place", "params": values})


@pytest.mark.parametrize("is_signed", [True, False], ids=["signed", "unsigned"])
def bench_order_encode_1p(side_by_side, in_c, is_signed):
    """Aim: at most 1.3 x the floor; unsigned (after session.logon) at most 0.3 x signed."""
    module, ours = loops("order_loops"), encoder(Signer(SECRET) if is_signed else None)
    others = {
        "C floor": lambda: per_operation_ns(lambda: in_c.orders(KEY, COUNT, is_signed), COUNT),
        "json + hmac.new": lambda: per_operation_ns(standard_library, PYTHON_COUNT),
    }
    side_by_side(lambda: per_operation_ns(lambda: module.orders(ours, COUNT), COUNT), others)


def bench_order_sign_1p(side_by_side, in_c):
    """HMAC-SHA-256 of 194 bytes with the key hashed before. Aims: 1.4 x OpenSSL; 7 x faster than hmac.new."""
    module, signer, out = loops("order_loops"), Signer(SECRET), ctypes.create_string_buffer(64)
    text = b"p" + TEXT[1:]
    in_c.signatures(text, len(text), 16, out)
    assert module.signatures(signer, text, 16) == out.raw, "floor and subject sign differently"

    def python():
        for _ in range(PYTHON_COUNT):
            hmac.new(SECRET, text, hashlib.sha256).hexdigest()

    others = {
        "OpenSSL, key hashed before": lambda: per_operation_ns(
            lambda: in_c.signatures(text, len(text), COUNT, out), COUNT
        ),
        "hmac.new": lambda: per_operation_ns(python, PYTHON_COUNT),
    }
    side_by_side(lambda: per_operation_ns(lambda: module.signatures(signer, text, COUNT), COUNT), others)
