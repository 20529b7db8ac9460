"""What a refusal by the venue costs: no code may be answered by trying again at once."""

import pytest

from phx._core.back_off import BackOffScope, back_off_after
from phx.venue.binance.errors import ADVICE, Advice

MS_NS = 1_000_000


@pytest.mark.parametrize(
    ("code", "wait_ms", "scope"),
    [
        (-5022, 200, BackOffScope.BACK_OFF_SIDE),
        (-2019, 5_000, BackOffScope.BACK_OFF_SIDE),
        (-2022, 2_000, BackOffScope.BACK_OFF_SIDE),
        (-1015, 10_000, BackOffScope.BACK_OFF_ACCOUNT),
        (-1021, 1_000, BackOffScope.BACK_OFF_ACCOUNT),
        (-4400, 600_000, BackOffScope.BACK_OFF_ADDING),
        (-2015, 60_000, BackOffScope.BACK_OFF_LATCH),
        (-99999, 10_000, BackOffScope.BACK_OFF_SIDE),
    ],
)
def test_each_kind_of_refusal_has_its_wait_and_its_reach(code, wait_ms, scope):
    assert back_off_after(code) == (wait_ms * MS_NS, scope)


def test_every_code_the_venue_documents_makes_the_gateway_wait():
    assert all(back_off_after(code)[0] >= 200 * MS_NS for code in ADVICE)


def test_refusals_that_need_a_human_latch():
    for code, advice in ADVICE.items():
        if advice is Advice.NOT_ALLOWED:
            assert back_off_after(code)[1] == BackOffScope.BACK_OFF_LATCH, code
