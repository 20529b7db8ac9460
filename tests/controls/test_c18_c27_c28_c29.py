"""C18 allow list, C27 open orders, C28 post-only, C29 requests in flight."""

from gateway_rig import Rig, TimeInForce, places

from phx._core.enums import RejectReason

LADDER = [(99_990 - i, 10) for i in range(12)]


def test_c18_a_symbol_without_parameters_or_not_enabled_is_not_traded():
    rig = Rig(enabled=0)
    assert rig.quote(LADDER) == []
    assert rig.symbols[0].own.newest()["blocked"] == RejectReason.REJECT_NOT_ALLOWED


def test_c27_no_more_open_orders_than_allowed():
    rig = Rig(max_open_orders=5)
    assert len(places(rig.quote(LADDER))) == 5
    assert rig.reasons() == [RejectReason.REJECT_OPEN_ORDERS] * 7
    rig = Rig(rules={"max_orders": 3})
    assert len(places(rig.quote(LADDER))) == 3


def test_c28_every_quote_is_post_only():
    rig = Rig(symbols=2)
    actions = rig.quote(LADDER) + rig.quote([], [(100_010 + i, 10) for i in range(12)], symbol=1)
    assert len(actions) == 24 and {a["time_in_force"] for a in actions} == {TimeInForce.GTX}


def test_c28_a_quote_that_would_take_is_not_sent():
    rig = Rig()
    assert rig.quote([(100_001, 10)], [(99_999, 10)]) == []
    assert set(rig.reasons()) == {RejectReason.REJECT_POST_ONLY}


def test_c29_no_more_unanswered_requests_than_allowed_and_the_rest_follows_the_answers():
    rig = Rig(max_in_flight=4)
    first = rig.quote(LADDER)
    assert len(places(first)) == 4
    assert places(rig.step()) == []
    rig.accept(first[:3])
    assert [p for _, p, _ in places(rig.step())] == [99_986, 99_985, 99_984]
