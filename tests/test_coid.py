"""Client order ids carry environment, symbol, life and counter, and nothing else looks like one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phx._core.coid import format_coid, own_prefix, parse_coid

VENUE_RULE = re.compile(r"^[\.A-Z\:/a-z0-9_-]{1,36}$")


@given(
    st.sampled_from(["sim", "testnet", "production"]),
    st.integers(0, 1295),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
)
def test_what_is_written_is_read_back_and_fits_the_venues_rule(environment, symbol_id, epoch, intent_id):
    coid = format_coid(environment, symbol_id, epoch, intent_id)
    assert VENUE_RULE.match(coid) and coid.startswith(own_prefix(environment))
    assert parse_coid(coid) == (environment[0], symbol_id, epoch, intent_id)


@given(st.text(max_size=40))
def test_no_other_text_is_taken_for_ours_unless_it_reads_back_the_same(text):
    parsed = parse_coid(text)
    if parsed is not None:
        environment = {"s": "sim", "t": "testnet", "p": "production"}[parsed[0]]
        assert parse_coid(format_coid(environment, *parsed[1:])) == parsed


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "web_coin_px06wttcjgaebeca9w5ijo3",
        "phxs",
        "phxs-00-1",
        "phxs-00-1-",
        "phxs-00--1",
        "phxx-00-1-1",
        "phxs-0-1-1",
        "phxs-00-1-1-",
        "phxs-00-1-A",
        "phxs-00-zzzzzzzzzzzzzz-1",
        "PHXS-00-1-1",
    ],
)
def test_foreign_ids_are_refused(foreign):
    assert parse_coid(foreign) is None


def test_ids_of_two_lives_never_meet():
    first = {format_coid("sim", s, 41, i) for s in range(4) for i in range(500)}
    second = {format_coid("sim", s, 42, i) for s in range(4) for i in range(500)}
    assert len(first) == 2000 and not first & second


def test_a_symbol_id_beyond_two_digits_is_refused():
    with pytest.raises(ValueError, match="1296"):
        format_coid("sim", 1296, 1, 1)
