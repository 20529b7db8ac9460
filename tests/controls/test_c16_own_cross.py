"""C16: no order of ours can ever meet another, live or on its way out, whatever ladders come."""

from gateway_rig import MS_NS, Rig, cancels
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.enums import Side

sides = st.lists(st.integers(99_900, 100_100), max_size=4, unique=True)


@given(st.lists(st.tuples(sides, sides, st.booleans()), min_size=1, max_size=10))
@settings(max_examples=300, deadline=None)
def test_own_bids_stay_below_own_asks_at_every_moment(steps):
    rig = Rig()
    for bids, asks, confirm in steps:
        rig.wait(50 * MS_NS)
        # A market wide enough that only our own orders stand in the way.
        rig.market(99_000, 101_000)
        actions = rig.quote([(p, 10) for p in sorted(bids, reverse=True)], [(p, 10) for p in sorted(asks)])
        live = rig.live().values()
        own_bids = [o["price_ticks"] for o in live if o["side"] == Side.BUY]
        own_asks = [o["price_ticks"] for o in live if o["side"] == Side.SELL]
        assert not own_bids or not own_asks or max(own_bids) < min(own_asks)
        for action in actions:
            if action["kind"] == 1:
                rig.core.on_accept(action["intent_id"], 1, 1, rig.now_ns)
        if confirm:
            for intent in cancels(actions):
                rig.core.on_end(intent, False, 0, 1, rig.now_ns)
