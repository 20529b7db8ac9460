"""C09: the same ladder twice makes no order twice; an honest quote at the same price later passes."""

from gateway_rig import SECOND_NS, Rig, places

from phx._core.enums import RejectReason


def test_every_ladder_replayed_twice_makes_no_duplicate():
    rig = Rig()
    bids, asks = [(99_990 - i, 10) for i in range(8)], [(100_010 + i, 10) for i in range(8)]
    first = places(rig.quote(bids, asks))
    assert len(first) == 16
    assert rig.quote(bids, asks) == [] and rig.step() == []
    assert len(set(first)) == len(first)


def test_a_layer_that_stands_twice_in_one_ladder_is_one_order():
    rig = Rig()
    assert places(rig.quote([(99_990, 10), (99_990, 10)], bid_layer=[3] * 32)) == [(1, 99_990, 10)]
    assert rig.reasons() == [RejectReason.REJECT_DUPLICATE]


def test_the_same_price_again_waits_until_the_former_order_is_gone():
    rig = Rig()
    (old,) = rig.placed([(99_990, 10)])
    rig.quote([])
    assert places(rig.quote([(99_990, 10)])) == []
    rig.core.on_end(old["intent_id"], False, 0, 1, rig.now_ns)
    assert places(rig.step()) == [(1, 99_990, 10)]


def test_intent_ids_are_never_used_twice():
    rig = Rig()
    seen = set()
    for i in range(30):
        rig.wait(SECOND_NS)
        actions = rig.placed([(99_900 + i, 10)], [(100_100 + i, 10)])
        new = {a["intent_id"] for a in actions if a["kind"] == 1}
        assert not new & seen
        seen |= new
