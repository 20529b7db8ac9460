"""C08: two symbols that race to the account's cap never exceed it together."""

from gateway_rig import SECOND_NS, Rig, cancels, places
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.enums import RejectReason

CAP_E8 = 2_000 * 10**8
LOT_E8 = 100_001 * 10_000  # value of a lot at the ask
ladders = st.lists(
    st.tuples(st.integers(0, 1), st.lists(st.integers(6, 60), max_size=4), st.lists(st.integers(6, 60), max_size=4)),
    min_size=1,
    max_size=12,
)


@given(ladders)
@settings(max_examples=200, deadline=None)
def test_the_sum_of_worst_cases_stays_below_the_cap(steps):
    rig = Rig(symbols=2, max_gross_notional_e8=CAP_E8)
    for symbol, bids, asks in steps:
        rig.wait(SECOND_NS)
        actions = rig.quote(
            [(99_990 - i, lots) for i, lots in enumerate(bids)],
            [(100_010 + i, lots) for i, lots in enumerate(asks)],
            symbol=symbol,
        )
        total = 0
        for s in range(2):
            live = rig.live(s).values()
            buys = sum(o["qty_lots"] for o in live if o["side"] > 0)
            sells = sum(o["qty_lots"] for o in live if o["side"] < 0)
            total += max(buys, sells) * LOT_E8
        assert total <= CAP_E8
        rig.accept(actions)
        for intent in cancels(rig.step()):
            rig.core.on_end(intent, False, 0, 1, rig.now_ns)


def test_the_second_symbol_is_refused_and_told_its_allowance():
    rig = Rig(symbols=2, max_gross_notional_e8=CAP_E8)
    rig.placed([(99_990, 190)])
    assert places(rig.quote([(99_990, 20)], symbol=1)) == []
    assert rig.reasons(1) == [RejectReason.REJECT_GROSS_NOTIONAL]
    rig.wait(SECOND_NS)
    rig.step()
    assert rig.symbols[1].own.newest()["allowance_buy_lots"] == (CAP_E8 - 190 * LOT_E8) // LOT_E8


def test_an_order_that_only_reduces_is_never_stopped_by_the_cap():
    rig = Rig(max_gross_notional_e8=CAP_E8)
    rig.hold(400)
    assert places(rig.quote([(99_990, 10)], [(100_010, 300)])) == [(-1, 100_010, 300)]
