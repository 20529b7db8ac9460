"""Takes and reduce-only layers between a quoter's ladder and the gateway's orders: what runs, what waits, what goes."""

import pytest
from gateway_rig import EPOCH, MS_NS, NO_PRICE, SECOND_NS, Rig, cancels, places

from phx._core.enums import BookFlag, Mode, RejectReason

BUY, SELL = 1, -1


def wanted(rig: Rig, n: int = 1, lots: int = 20, limit: int = 99_900, asks=(), bids=(), **ladder) -> list[dict]:
    take = {"take_n": n, "take_side": SELL, "take_qty_lots": lots, "take_limit_ticks": limit}
    deadline = {"take_deadline_mono_ns": rig.now_ns + SECOND_NS}
    return rig.quote(bids=bids, asks=asks, **(take | deadline | ladder))


def long(lots: int = 100) -> Rig:
    rig = Rig()
    rig.hold(lots)
    rig.quote()
    return rig


def answered(rig: Rig) -> tuple[int, int]:
    own = rig.symbols[0].own.newest()
    return int(own["last_take_n"]), int(own["last_take_filled_lots"])


def test_reduce_only_orders_beside_it_stay_while_all_fit_the_position():
    rig = long(100)
    asks = [(100_010, 30, True), (100_020, 50, True)]
    rig.accept(rig.quote(asks=asks, mode=Mode.MODE_GRINDING))
    assert places(wanted(rig, lots=20, asks=asks)) == [(SELL, 99_900, 20)]
    assert len(rig.live()) == 3


def test_orders_beside_it_that_leave_it_nothing_go_first():
    rig = long(100)
    asks = [(100_010, 90, False)]
    (ask,) = rig.placed(asks=asks)
    actions = wanted(rig, lots=20)
    assert cancels(actions) == [ask["intent_id"]] and places(actions) == []
    rig.core.on_end(ask["intent_id"], False, 0, 1, rig.now_ns)
    assert places(rig.step()) == [(SELL, 99_900, 20)]


def test_a_book_that_cannot_be_trusted_holds_up_no_way_out():
    rig = long()
    rig.market(flags=BookFlag.BOOK_UNSYNCED)
    assert places(wanted(rig)) == [(SELL, 99_900, 20)]


def test_what_only_has_to_wait_is_not_refused_but_sent_when_it_can_be():
    rig = long()
    (bid,) = rig.placed(bids=[(99_990, 10)])
    assert places(wanted(rig)) == [] and answered(rig) == (0, 0), "it could meet our own bid"
    rig.core.on_end(bid["intent_id"], False, 0, 1, rig.now_ns)
    assert places(rig.step()) == [(SELL, 99_900, 20)]


def test_what_waited_too_long_is_dropped_and_answered():
    rig = long()
    rig.placed(bids=[(99_990, 10)])
    wanted(rig)
    rig.wait(1001 * MS_NS)
    assert places(rig.step()) == [] and answered(rig) == (1, 0)


def test_what_can_never_be_sent_is_answered_at_once():
    rig = long()
    assert places(wanted(rig, limit=90_000)) == []  # far outside the collar
    assert answered(rig) == (1, 0)
    assert rig.reasons() == [RejectReason.REJECT_PRICE_COLLAR]


def test_a_market_order_that_only_reduces_needs_no_book():
    rig = long()
    rig.market(flags=BookFlag.BOOK_UNSYNCED)
    assert places(wanted(rig, limit=NO_PRICE)) == [(SELL, NO_PRICE, 20)]


def test_a_symbol_that_is_traded_no_more_can_still_be_left():
    rig = long()
    rig.symbols[0].params.write(symbol_id=0, **(rig.params | {"enabled": 0, "params_version": 2}))
    assert places(wanted(rig, params_version=2)) == [(SELL, 99_900, 20)]
    assert places(rig.quote([(99_990, 10)], params_version=2)) == []


def test_a_ladder_of_another_life_of_the_gateway_runs_nothing():
    rig = long()
    assert places(wanted(rig, own_epoch=EPOCH - 1, own_seq=10**6)) == []
    assert places(wanted(rig)) == [(SELL, 99_900, 20)]


def test_another_quoter_takes_only_after_the_first_ones_take_is_over():
    rig = long()
    (first,) = wanted(rig)
    assert places(wanted(rig, quoter_epoch=2)) == []
    rig.core.on_accept(first["intent_id"], 1, 1, rig.now_ns)
    rig.core.on_end(first["intent_id"], True, 0, 1, rig.now_ns)
    assert places(wanted(rig, quoter_epoch=2)) == [(SELL, 99_900, 20)]


@pytest.mark.parametrize(("mode", "goes"), [(Mode.MODE_PINNING, True), (Mode.MODE_GRINDING, False)])
def test_in_grinding_a_ladder_must_know_of_every_order_before_it_may_place(mode, goes):
    rig = long(100)
    seen = rig.symbols[0].own.writer.published
    rig.accept(rig.quote(asks=[(100_010, 30, True)], mode=mode))
    old = {"asks": [(100_010, 30, True), (100_020, 30, True)], "mode": mode, "own_seq": seen}
    assert bool(places(rig.quote(**old))) == goes
    if not goes:
        assert places(rig.quote(**(old | {"own_seq": rig.symbols[0].own.writer.published}))) == [(SELL, 100_020, 30)]


def test_all_layers_and_the_take_of_one_ladder_were_reckoned_together():
    rig = long(100)
    asks = [(100_010, 30, True), (100_020, 30, True)]
    assert len(places(wanted(rig, asks=asks, mode=Mode.MODE_GRINDING))) == 1, "the take first"
    assert len(rig.live()) == 1


def test_a_fill_tells_the_mode_of_the_ladder_that_asked_for_the_order():
    rig = long(100)
    (action,) = rig.placed(asks=[(100_010, 30, True)], mode=Mode.MODE_GRINDING)
    rig.quote(asks=[(100_010, 30, True)], mode=Mode.MODE_PINNING)
    rig.fill(action)
    (fill,) = [event for event in rig.symbols[0].exec.all() if event["trade_id"]]
    assert fill["mode"] == Mode.MODE_GRINDING


def test_a_lost_quoters_take_never_runs():
    rig = long()
    rig.market(flags=BookFlag.BOOK_UNSYNCED)
    wanted(rig)
    rig.symbols[0].desk.lose_quoter()
    rig.market()
    assert places(rig.step()) == []
