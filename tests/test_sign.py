"""Signatures against hashlib, with the CPU's SHA extensions and without, and the vector of the venue's documents."""

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.binance.sign import Signer

# Verified by hand: the documents' own example for a mixed request does not verify.
SECRET = b"2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
QUERY = (
    b"symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943"
)
SIGNATURE = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"


@pytest.mark.parametrize("portable", [False, True])
def test_the_documented_vector_verifies(portable):
    assert Signer(SECRET, portable).signature(QUERY) == SIGNATURE


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=700), st.booleans())
@settings(max_examples=400, deadline=None)
def test_it_signs_like_hashlib(secret, text, portable):
    assert Signer(secret, portable).signature(text) == hmac.new(secret, text, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("size", range(0, 260))
def test_every_length_around_the_block_borders(size):
    text = bytes(i * 7 & 255 for i in range(size))
    wanted = hmac.new(b"key", text, hashlib.sha256).hexdigest()
    assert Signer(b"key").signature(text) == Signer(b"key", True).signature(text) == wanted


def test_an_empty_secret_is_refused():
    with pytest.raises(ValueError, match="empty"):
        Signer(b"")
