"""C17: a market that jumps is quoted wider, one that is blown apart, crossed, stale or unsynced is not quoted at all.

With the shipped parameters: what the quoter itself does; the gateway's own look at the market is at the end.
"""

import numpy as np
import pytest
from gateway_rig import MS_NS, places
from quoting import SECOND_NS, Rig, sides
from shipped import BTC, PRICE, Shipped, published

from phx._core.enums import BookFlag, Mode, Reason, RejectReason

MID = PRICE * 10
T = 100 * SECOND_NS


@pytest.fixture
def quoter() -> Rig:
    rig = Rig()
    rig.tick(T, MID - 1, MID + 1)
    rig.begin(np.array([published()["BTCUSDC"]]), T)
    rig.tick(T + MS_NS, MID - 1, MID + 1)
    rig.step(T + MS_NS)
    assert rig.core.mode == Mode.MODE_NORMAL
    return rig


def distance_after(rig: Rig, jump_ticks: int) -> int:
    """Quote through as many seconds as the volatility wants, the mid jumping to and fro; return the nearest layer's."""
    now_ns = T
    for i in range(BTC.vol.min_samples + 2):
        now_ns += SECOND_NS
        mid = MID + jump_ticks * (i % 2)
        rig.tick(now_ns, mid - 1, mid + 1)
        rig.step(now_ns)
    rig.step(now_ns + 600 * MS_NS)
    return mid - sides(rig.newest_ladder())[1][0][0]


def test_a_volatility_that_rises_widens_the_ladder(quoter):
    calm = distance_after(quoter, 0)
    again = Rig()
    again.begin(np.array([published()["BTCUSDC"]]), T)
    wild = distance_after(again, MID // 20)
    # Without any volatility distances are as configured; more than scale_max times that they never are.
    assert calm * 0.95 * BTC.vol.scale_max <= wild <= calm * 1.05 * BTC.vol.scale_max


def test_a_spread_wider_than_the_collar_is_no_market(quoter):
    half = int(MID * BTC.risk.collar_mid / 2)
    quoter.tick(T + 60 * MS_NS, MID - half, MID + half)
    quoter.step(T + 60 * MS_NS)
    assert quoter.core.mode == Mode.MODE_NORMAL
    quoter.tick(T + 120 * MS_NS, MID - half - 1, MID + half)
    quoter.step(T + 120 * MS_NS)
    assert (quoter.core.mode, quoter.core.reason) == (Mode.MODE_PAUSED, Reason.REASON_VOLATILITY)
    assert sides(quoter.newest_ladder()) == {1: [], -1: []}
    # It comes back once the market did, after the dwell of every pause.
    for ms in range(200, 1300, 100):
        quoter.tick(T + ms * MS_NS, MID - 1, MID + 1)
        quoter.step(T + ms * MS_NS)
    assert quoter.core.mode == Mode.MODE_NORMAL


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        (BookFlag.BOOK_CROSSED, Reason.REASON_BOOK_CROSSED),
        (BookFlag.BOOK_ONE_SIDED, Reason.REASON_BOOK_ONE_SIDED),
        (BookFlag.BOOK_UNSYNCED, Reason.REASON_BOOK_UNSYNCED),
    ],
)
def test_a_book_that_is_not_whole_is_not_quoted_on(quoter, flag, reason):
    quoter.tick(T + 60 * MS_NS, MID - 1, MID + 1, flags=flag)
    assert quoter.step(T + 60 * MS_NS)
    assert quoter.core.reason == reason and sides(quoter.newest_ladder()) == {1: [], -1: []}


def test_a_book_as_old_as_allowed_is_quoted_on_and_one_older_is_not(quoter):
    at_ns = T + MS_NS + BTC.quoting.max_data_age_ms * MS_NS
    quoter.step(at_ns)
    assert quoter.core.mode == Mode.MODE_NORMAL
    quoter.step(at_ns + 1)
    assert quoter.core.reason == Reason.REASON_BOOK_STALE and sides(quoter.newest_ladder()) == {1: [], -1: []}


@pytest.mark.parametrize("flags", [BookFlag.BOOK_CROSSED, BookFlag.BOOK_ONE_SIDED, BookFlag.BOOK_UNSYNCED])
def test_the_gateway_believes_its_own_eyes(flags):
    rig = Shipped()
    rig.market(flags=flags)
    assert places(rig.quote([(MID - 10, 6)])) == [] and rig.reasons() == [RejectReason.REJECT_STALE_MARKET]


def test_the_gateway_holds_the_age_of_the_market_to_the_same_limit():
    for late_ns, placed in ((0, 1), (1, 0)):
        rig = Shipped()
        rig.now_ns += BTC.quoting.max_data_age_ms * MS_NS + late_ns
        rig.prove()
        assert len(places(rig.quote([(MID - 10, 6)]))) == placed
        assert rig.reasons() == ([] if placed else [RejectReason.REJECT_STALE_MARKET])
