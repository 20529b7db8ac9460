"""C10: a day's loss beyond its limit cancels everything and nothing is added afterwards."""

from gateway_rig import NO_PRICE, SECOND_NS, Rig, cancels, places

from phx._core.enums import RejectReason

LOSS_E8 = 100 * 10**8


def losing(ticks_below: int) -> Rig:
    """A long position of 500 lots that loses 500 x ticks_below tick lots, that is 0.05 quote per tick."""
    rig = Rig(max_daily_loss_e8=LOSS_E8, max_order_lots=1000)
    rig.hold(500)
    rig.orders = rig.placed([(98_000, 10)])
    rig.market(100_000 - ticks_below - 1, 100_000 - ticks_below + 1, 100_000 - ticks_below)
    rig.step()
    return rig


def test_at_the_limit_quoting_goes_on():
    rig = losing(2_000)
    assert not rig.symbols[0].desk.loss_stop
    assert places(rig.quote([(97_500, 10)])) == [(1, 97_500, 10)]


def test_beyond_the_limit_everything_is_cancelled_and_nothing_added():
    rig = losing(2_001)
    actions = rig.step()
    assert rig.symbols[0].desk.loss_stop
    assert cancels(list(rig.sent)) == [rig.orders[0]["intent_id"]]
    assert places(actions) == [] and rig.quote([(97_500, 10)]) == []
    assert rig.symbols[0].own.newest()["blocked"] == RejectReason.REJECT_DAILY_LOSS


def test_the_position_can_still_be_closed():
    rig = losing(2_001)
    rig.step()
    rig.core.on_end(rig.orders[0]["intent_id"], False, 0, 1, rig.now_ns)
    rig.ladder(
        take_n=1,
        take_side=-1,
        take_qty_lots=500,
        take_limit_ticks=NO_PRICE,
        take_deadline_mono_ns=rig.now_ns + SECOND_NS,
    )
    assert places(rig.step()) == [(-1, NO_PRICE, 500)]


def test_a_human_who_enables_it_again_is_stopped_again_while_the_loss_stands():
    rig = losing(2_001)
    rig.step()
    rig.symbols[0].desk.enable()
    rig.step()
    assert rig.symbols[0].desk.loss_stop
