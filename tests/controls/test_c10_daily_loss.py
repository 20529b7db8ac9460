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


def test_totals_that_are_still_being_restored_stop_nothing():
    rig = losing(0)
    rig.core.ready = False
    rig.hold(500, 110_000)
    rig.step()
    assert rig.core.profit_e8() < -LOSS_E8 and not rig.symbols[0].desk.loss_stop
    rig.core.ready = True
    rig.step()
    assert rig.symbols[0].desk.loss_stop


def test_a_life_without_a_mark_price_yet_counts_what_earlier_days_realised():
    rig = Rig(max_daily_loss_e8=LOSS_E8)
    desk = rig.core.desk(0)
    desk.market.attach(None, None, None)
    for profit, base, stopped in ((300, -300, False), (-300, 300, False), (-300, 199, True)):
        ticklots = profit * 10**4
        desk.restore(dict.fromkeys(desk.totals(), 0) | {"realised_ticklots": ticklots}, 0)
        rig.core.day_base_e8 = base * 10**8
        rig.step()
        rig.step()
        assert desk.loss_stop == stopped


def test_a_new_day_begins_at_zero():
    rig = losing(1_500)
    assert rig.core.turn_day(86_400 * 20_000 + 5)
    assert not rig.core.turn_day(86_400 * 20_001 - 1)
    assert not rig.core.turn_day(86_400 * 20_000 - 1)  # a clock set back begins no other day
    assert (rig.core.day_start_s, rig.core.day_base_e8) == (86_400 * 20_000, 75 * 10**8)
    for mark, stopped in ((96_500, False), (96_499, True)):  # 2000 and 2001 ticks below where the day began
        rig.market(mark - 1, mark + 1, mark)
        rig.step()
        rig.step()
        assert rig.core.profit_e8() < -LOSS_E8 and rig.symbols[0].desk.loss_stop == stopped


def test_a_human_who_enables_it_again_is_stopped_again_while_the_loss_stands():
    rig = losing(2_001)
    rig.step()
    rig.symbols[0].desk.enable()
    rig.step()
    assert rig.symbols[0].desk.loss_stop
