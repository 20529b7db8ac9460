"""C05: an order counts from before its bytes leave, and an unknown one in full until evidence."""

from gateway_rig import Rig, places

from phx._core.enums import JournalKind, RejectReason


def test_an_order_that_was_only_decided_counts():
    rig = Rig(net_max_lots=20)
    rig.ladder([(99_990, 10), (99_980, 10), (99_970, 10)])
    rig.core.step(rig.now_ns)  # nothing is taken from the queue: no byte has left
    assert rig.symbols[0].own.newest()["remaining_lots"].sum() == 20
    assert rig.reasons() == [RejectReason.REJECT_POSITION]
    journalled = [e for e in rig.journal.all() if e["kind"] == JournalKind.JOURNAL_PLACE]
    assert len(journalled) == 2
    assert len(places(rig.step())) == 2


def test_an_unknown_order_counts_against_the_whole_account():
    rig = Rig(symbols=2, max_gross_notional_e8=2_000 * 10**8)
    (order,) = rig.quote([(99_990, 190)])
    rig.core.on_unknown(order["intent_id"], rig.now_ns)
    rig.step()
    assert places(rig.quote([(99_990, 20)], symbol=1)) == []
    assert rig.reasons(1) == [RejectReason.REJECT_GROSS_NOTIONAL]
    assert places(rig.quote([(99_990, 9)], symbol=1)) == [(1, 99_990, 9)]


def test_an_unknown_order_counts_in_full():
    rig = Rig(net_max_lots=20)
    orders = rig.quote([(99_990, 10), (99_980, 10)])
    for order in orders:
        rig.core.on_unknown(order["intent_id"], rig.now_ns)
    rig.step()
    assert rig.symbols[0].own.newest()["remaining_lots"].sum() == 20
