"""C13: who falls silent has his orders cancelled: a quoter's by the gateway, all of them by the quoters without a feed.

Here the deciding, to the nanosecond; with real processes it is measured by tests/system and `make campaign`.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from gateway_rig import MS_NS, SECOND_NS, cancels, places
from quoting import Rig as Quoter
from quoting import sides
from shipped import PRICE, Shipped, published

from phx._core.enums import Mode, Reason, RejectReason
from phx.gateway.surroundings import Surroundings
from phx.process import HUNG_NS

MID = PRICE * 10


class Watched(Shipped):
    """Two symbols whose quoters are as alive as the test says."""

    def __init__(self):
        super().__init__(symbols=("BTCUSDC", "ETHUSDC"))
        self.age_ns, self.locked = {"SYM0": 0, "SYM1": 0}, {"SYM0": True, "SYM1": True}
        self.around = Surroundings.__new__(Surroundings)
        self.around.desks = {s.desk.symbol: s.desk for s in self.symbols}
        self.around.quoter_was_alive = dict.fromkeys(self.age_ns, True)

    def look(self) -> None:
        for symbol in self.age_ns:
            peer = SimpleNamespace(
                heartbeat_age_ns=lambda now_ns, s=symbol: self.age_ns[s], alive=lambda s=symbol: self.locked[s]
            )
            self.around._look_at_quoter(symbol, peer, self.now_ns)

    def quoted(self) -> list[list[int]]:
        """Have both symbols quoted; return the intents of each."""
        lots = (6, 120)
        return [
            [o["intent_id"] for o in self.placed([(MID - 10, lots[s])], [(MID + 10, lots[s])], symbol=s)]
            for s in (0, 1)
        ]


@pytest.fixture
def gateway() -> Watched:
    return Watched()


def test_a_heartbeat_counts_until_it_is_older_than_a_quarter_of_a_second(gateway):
    assert HUNG_NS == 250 * MS_NS
    ours, others = gateway.quoted()
    gateway.age_ns["SYM0"] = HUNG_NS
    gateway.look()
    assert cancels(gateway.step()) == []
    gateway.age_ns["SYM0"] = HUNG_NS + 1
    gateway.look()
    assert sorted(cancels(gateway.step())) == sorted(ours), "and none of the other symbol's"
    assert set(gateway.live(1)) == set(others)


@pytest.mark.parametrize("age_ns", [0, None])
def test_a_lock_that_is_lost_is_a_death_whatever_the_heartbeat_says(gateway, age_ns):
    ours, _ = gateway.quoted()
    gateway.locked["SYM0"], gateway.age_ns["SYM0"] = False, age_ns
    gateway.look()
    assert sorted(cancels(gateway.step())) == sorted(ours)


def test_what_it_wanted_before_it_was_lost_is_never_followed(gateway):
    gateway.quoted()
    gateway.ladder([(MID - 20, 6)])  # published just before it hung
    gateway.locked["SYM0"] = False
    gateway.look()
    gateway.accept(gateway.step())
    gateway.locked["SYM0"] = True
    gateway.look()
    assert places(gateway.step()) == []
    assert gateway.symbols[0].own.newest()["blocked"] == RejectReason.REJECT_STALE_LADDER
    assert places(gateway.quote([(MID - 20, 6)])) == [(1, MID - 20, 6)]


@pytest.mark.parametrize("ladder_age_ns", [2 * SECOND_NS, 2 * SECOND_NS + 1])
def test_a_quoter_that_beats_and_says_nothing_is_not_followed_for_long(gateway, ladder_age_ns):
    """Four of its own intervals of half a second."""
    gateway.quoted()
    gateway.wait(ladder_age_ns)
    assert len(cancels(gateway.step())) == (0 if ladder_age_ns == 2 * SECOND_NS else 4)


def test_without_its_feed_a_quoter_pulls_its_quotes():
    quoter, now_ns = Quoter(), 100 * SECOND_NS
    quoter.tick(now_ns, MID - 1, MID + 1)
    quoter.begin(np.array([published()["BTCUSDC"]]), now_ns)
    quoter.core.feed_heartbeat_mono_ns = now_ns
    quoter.core.step_at(now_ns + HUNG_NS)
    assert quoter.core.mode == Mode.MODE_NORMAL and len(sides(quoter.newest_ladder())[1]) == 16
    assert quoter.core.step_at(now_ns + HUNG_NS + 1)
    assert quoter.core.reason == Reason.REASON_FEED_LOST and sides(quoter.newest_ladder()) == {1: [], -1: []}


def test_the_ladder_it_pulls_them_with_cancels_everything(gateway):
    ours, _ = gateway.quoted()
    assert sorted(cancels(gateway.quote())) == sorted(ours)
