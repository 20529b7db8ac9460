"""What costs money when it is missed: exposure nobody counts, a ladder of another life, a loss that is forgotten."""

from functools import partial

import gateway_rig
import pytest
from gateway_rig import EPOCH, MS_NS, SECOND_NS, Rig, cancels, places

from phx._core import questions
from phx._core.enums import OrderState, RejectReason

# ---- an order ends before its fills are booked ---------------------------------------------------------------------


@pytest.mark.parametrize("reported", [4, 10])
def test_an_ended_order_counts_until_its_fills_are_booked(reported):
    rig = Rig(net_max_lots=10)
    (order,) = rig.placed([(99_990, 10)])
    # The answer to the cancel is faster than the fill on the account's stream.
    rig.core.on_end(order["intent_id"], False, reported, 1, rig.now_ns)
    assert rig.live()[order["intent_id"]]["state"] == OrderState.ORDER_UNKNOWN
    assert places(rig.quote([(99_980, 10)])) == []
    rig.fill(order, reported)
    assert rig.live() == {} and rig.core.desk(0).position_lots == reported
    rig.step()
    assert places(rig.quote([(99_980, 10 - reported)] if reported < 10 else [])) == [(1, 99_980, 6)][: reported < 10]


def test_fills_that_never_come_free_the_order_after_a_while():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    rig.core.on_end(order["intent_id"], False, 4, 1, rig.now_ns)
    questions.fills_accounted(rig.core, 0, rig.now_ns + SECOND_NS)
    assert rig.live()
    assert questions.missing_fills(rig.core, rig.now_ns + SECOND_NS) == {0: [(order["intent_id"], 4)]}
    questions.fills_accounted(rig.core, 0, rig.now_ns + 6 * SECOND_NS)
    assert rig.live() == {} and questions.missing_fills(rig.core, rig.now_ns + 6 * SECOND_NS) == {}


def test_what_is_left_of_an_order_that_was_thought_absent_is_cancelled_when_it_fills():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    rig.core.on_unknown(order["intent_id"], rig.now_ns)
    rig.step()
    rig.core.on_absent(order["intent_id"], rig.now_ns)
    rig.quote([])
    rig.fill(order, 4)
    assert cancels(rig.step()) == [order["intent_id"]]


def test_a_cancel_that_overtook_its_order_is_sent_again_as_soon_as_the_order_is_there():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    assert cancels(rig.quote([])) == [order["intent_id"]]
    rig.core.on_cancel_reject(order["intent_id"], -2011, rig.now_ns)  # nothing there to cancel, yet
    assert cancels(rig.step()) == []
    rig.core.on_accept(order["intent_id"], 77, 1, rig.now_ns)
    assert cancels(rig.step()) == [order["intent_id"]]
    rig.core.on_accept(order["intent_id"], 77, 1, rig.now_ns)  # the same told by the other channel
    assert cancels(rig.step()) == []


# ---- lives ---------------------------------------------------------------------------------------------------------


def test_a_ladder_that_saw_only_another_life_adds_nothing_even_before_the_first_event():
    rig = Rig()
    assert rig.quote([(99_990, 10)], own_seq=10**6, own_epoch=EPOCH - 1) == []
    assert RejectReason.REJECT_OLD_LADDER in rig.reasons()
    assert places(rig.quote([(99_990, 10)])) == [(1, 99_990, 10)]


def test_a_fill_heard_before_the_books_were_restored_is_booked_on_top_of_them():
    rig = Rig()
    fill = (0, EPOCH - 1, 3, 501, 1, 99_990, 4, 7, True, 1, rig.now_ns)
    rig.core.on_fill(*fill)
    desk = rig.core.desk(0)
    desk.restore(dict.fromkeys(desk.totals(), 0) | {"position_lots": 10, "open_cost_ticklots": 999_900}, 500)
    rig.core.on_fill(*fill)
    assert desk.position_lots == 14 and desk.totals()["fees_e8"] == 7


def test_a_position_counts_as_exposure_before_its_market_is_there():
    rig = Rig(symbols=2, max_gross_notional_e8=1_100 * 10**8)
    for symbol in rig.symbols:
        symbol.desk.market.attach(None, None, None)
    rig.hold(-100, symbol=1)  # 1000 quote at its cost of 10000
    rig.step()
    first = rig.symbols[0]
    first.desk.market.attach(first.bbo.reader(), first.book.reader(), first.tape.reader())
    assert places(rig.quote([(99_990, 20)])) == []
    assert RejectReason.REJECT_GROSS_NOTIONAL in rig.reasons()


# ---- the guardian, a ban -------------------------------------------------------------------------------------------


def test_without_a_guardian_nothing_is_added_though_the_timer_still_runs():
    rig = Rig()
    kept = rig.placed([(99_990, 10)])
    rig.symbols[0].desk.guardian_alive = False
    assert rig.quote([(99_990, 10), (99_980, 10)]) == []
    assert RejectReason.REJECT_NO_PROOF in rig.reasons()
    assert set(rig.live()) == {kept[0]["intent_id"]}
    rig.hold(-50)
    assert places(rig.quote([(99_990, 10), (99_970, 10)])) == [(1, 99_970, 10)]  # it only reduces


def test_what_may_not_be_sent_is_known_not_to_exist():
    rig = Rig()
    rig.placed([(99_990, 10)])
    rig.ladder([], [(100_010, 10)])
    rig.core.step(rig.now_ns)
    rig.core.drop_actions(rig.now_ns)
    assert [order["state"] for order in rig.live().values()] == [OrderState.ORDER_PENDING_CANCEL]
    rig.now_ns += 1_100 * MS_NS
    assert len(cancels(rig.step())) == 1  # asked again


# ---- cancels when their budget is used up --------------------------------------------------------------------------


@pytest.fixture
def starved(monkeypatch) -> Rig:
    """A rig with the budget of routine cancels used up: two bids at 99970, 99960 and one ask stand."""
    monkeypatch.setattr(gateway_rig, "Account", partial(gateway_rig.Account, cancels_60s=8))
    rig = Rig()
    for price in (99_900, 99_910):
        rig.placed([(price, 10)], [])
        rig.accept(rig.quote([(99_950, 10)], []))  # leaves the farther one: routine
        rig.accept(rig.quote([], []))
        rig.wait(100 * MS_NS)
    rig.now_ns += 100 * MS_NS
    rig.placed([(99_970, 10), (99_960, 10)], [(100_030, 10)])
    assert cancels(rig.quote([(99_980, 10)], [(100_030, 10)])) == []  # farther than wanted: they may wait
    return rig


def test_quotes_that_are_not_wanted_at_all_are_cancelled_whatever_the_budget(starved):
    assert len(cancels(starved.quote([], [(100_030, 10)]))) == 2
    assert len(cancels(starved.quote([], []))) == 1


def test_a_quote_nearer_to_the_market_than_wanted_is_cancelled_whatever_the_budget(starved):
    prices = {intent: order["price_ticks"] for intent, order in starved.live().items()}
    assert [prices[i] for i in cancels(starved.quote([(99_965, 10)], [(100_040, 10)]))] == [99_970, 100_030]


# ---- the market ----------------------------------------------------------------------------------------------------


def test_a_mark_price_that_has_stopped_is_none():
    rig = Rig()
    for _ in range(101):
        rig.now_ns += 100 * MS_NS
        rig.market(mark=None)
        rig.prove()
    assert rig.quote([(99_990, 10)]) == []
    assert RejectReason.REJECT_STALE_MARKET in rig.reasons()
    rig.market()
    assert places(rig.quote([(99_990, 10)])) == [(1, 99_990, 10)]


# ---- C10 -----------------------------------------------------------------------------------------------------------


def test_the_loss_of_earlier_days_stops_nothing_while_the_books_are_being_restored():
    rig = Rig(max_daily_loss_e8=100 * 10**8)
    rig.core.ready = False
    desk = rig.core.desk(0)
    desk.restore(dict.fromkeys(desk.totals(), 0) | {"fees_e8": 500 * 10**8}, 0)
    rig.step()
    rig.step()
    rig.core.day_base_e8 = 450 * 10**8
    rig.core.ready = True
    rig.step()
    assert not desk.loss_stop
    rig.core.day_base_e8 = 350 * 10**8
    rig.step()
    assert desk.loss_stop


def test_an_unset_daily_limit_is_no_loss_allowed():
    rig = Rig(max_daily_loss_e8=0)
    rig.step()
    assert not rig.core.desk(0).loss_stop
    rig.core.day_base_e8 = -1
    rig.step()
    assert rig.core.desk(0).loss_stop
