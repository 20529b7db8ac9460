"""Listen keys: one per account, the same while it lives, an hour from the last time it was asked for."""

import pytest

from phx.sim.exchange.account import Account
from phx.sim.keys.listen_keys import LIFE_MS, ListenKeys
from phx.sim.refusals import Refused

ONE, OTHER = (Account(owner, 0, ["USDC"], 0, 0) for owner in (1, 2))


@pytest.fixture
def keys():
    return ListenKeys()


def refused(function, *arguments) -> int:
    try:
        function(*arguments)
    except Refused as refusal:
        return refusal.code
    return 0


def test_a_key_is_64_letters_and_digits_and_of_one_account(keys):
    first, second = keys.start(ONE, 0), keys.start(OTHER, 0)
    assert first != second
    assert all(len(key) == 64 and key.isalnum() and key.isascii() for key in (first, second))
    assert (keys.key_of(ONE), keys.key_of(OTHER)) == (first, second)


def test_asking_again_returns_and_extends_it(keys):
    first = keys.start(ONE, 0)
    assert keys.start(ONE, LIFE_MS - 1) == first
    assert keys.expire(LIFE_MS) == []
    assert keys.extend(ONE, 2 * LIFE_MS - 2) == first
    assert keys.expire(3 * LIFE_MS - 3) == []
    assert keys.expire(3 * LIFE_MS - 2) == [first]
    assert keys.key_of(ONE) is None


def test_what_is_over_is_not_extended_and_not_returned(keys):
    first = keys.start(ONE, 0)
    # Over by the clock, whether or not it was noticed.
    assert refused(keys.extend, ONE, LIFE_MS) == -1125
    second = keys.start(ONE, LIFE_MS)
    assert second != first
    assert keys.expire(LIFE_MS) == [first]
    assert (keys.key_of(ONE), keys.extend(ONE, LIFE_MS)) == (second, second)
    assert keys.expire(2 * LIFE_MS) == [second]


def test_nobody_else_is_touched(keys):
    mine, theirs = keys.start(ONE, 0), keys.start(OTHER, 5)
    keys.close(ONE)
    assert refused(keys.extend, ONE, 10) == -1125
    assert keys.extend(OTHER, 10) == theirs
    keys.close(ONE)  # closing what is closed is no fault
    assert keys.start(ONE, 10) != mine
    assert keys.key_of(OTHER) == theirs


def test_the_refusal_says_how_to_get_one(keys):
    with pytest.raises(Refused, match="Please use `POST /fapi/v1/listenKey` to recreate"):
        keys.extend(ONE, 0)
