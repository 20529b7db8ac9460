"""The gateway's core against a scripted venue, without a socket: the contract with the quoter and the venue's races."""

import itertools

import pytest
from gateway_rig import EPOCH, MS_NS, NO_PRICE, SECOND_NS, Rig, TimeInForce, cancels, places
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core import questions
from phx._core.enums import BookFlag, ExecKind, JournalKind, OperatorState, OrderState, RejectReason, Side
from phx._core.records import fnv1a

BUY, SELL = Side.BUY, Side.SELL


def test_a_ladder_becomes_post_only_orders_near_before_far_on_both_sides():
    rig = Rig()
    actions = rig.quote([(99_990, 10), (99_980, 20)], [(100_010, 10), (100_020, 20)])
    assert places(actions) == [(1, 99_990, 10), (-1, 100_010, 10), (1, 99_980, 20), (-1, 100_020, 20)]
    assert {a["time_in_force"] for a in actions} == {TimeInForce.GTX}


def test_every_order_is_in_the_journal_and_in_own_before_its_action_is_handed_out():
    rig = Rig()
    rig.ladder([(99_990, 10)])
    rig.core.step(rig.now_ns)
    kinds = [int(e["kind"]) for e in rig.journal.all()]
    assert kinds == [JournalKind.JOURNAL_EPOCH, JournalKind.JOURNAL_PLACE]
    own = rig.symbols[0].own.newest()
    assert own["orders"] == 1 and own["state"][0] == OrderState.ORDER_PENDING_NEW


def test_a_torn_journal_entry_can_be_told_by_its_check():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    rig.fill(order)
    entries = rig.journal.all()
    assert len(entries) == 3
    for entry in entries:
        assert fnv1a(entry.tobytes()[:-8]) == int(entry["check"])


def test_without_room_in_the_journal_nothing_is_added_and_cancels_still_go():
    rig = Rig()
    (old,) = rig.placed([(99_990, 10)])
    rig.hold(10)
    for _ in range(62_000):
        rig.core.on_funding(0, 1, 1, rig.now_ns)
    actions = rig.quote([(99_980, 10)], [(100_010, 10)])
    assert cancels(actions) == [old["intent_id"]] and places(actions) == [(-1, 100_010, 10)]
    rig.account.set_journal_drained(62_000)
    assert places(rig.quote([(99_980, 10)], [(100_010, 10)])) == [(1, 99_980, 10)]


def test_an_unchanged_ladder_sends_nothing():
    rig = Rig()
    rig.placed([(99_990, 10)], [(100_010, 10)])
    assert rig.quote([(99_990, 10)], [(100_010, 10)]) == []


def test_a_moved_layer_is_cancelled_before_the_new_one_is_placed():
    rig = Rig()
    (old,) = rig.placed([(99_990, 10)])
    actions = rig.quote([(99_991, 10)])
    assert cancels(actions) == [old["intent_id"]]
    assert places(actions) == [(1, 99_991, 10)]
    assert actions[0]["intent_id"] == old["intent_id"]


def test_reducing_orders_go_before_adding_ones():
    rig = Rig()
    rig.hold(50)
    actions = rig.quote([(99_990, 10), (99_980, 10)], [(100_010, 10), (100_020, 10)])
    assert [side for side, _, _ in places(actions)] == [-1, -1, 1, 1]


def test_each_layer_of_a_ladder_is_tried_once():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    rig.core.on_accept(order["intent_id"], 1, 1, rig.now_ns)
    rig.core.on_end(order["intent_id"], False, 0, 1, rig.now_ns)
    rig.wait(MS_NS)
    assert rig.step() == []
    assert places(rig.quote([(99_990, 10)])) == [(1, 99_990, 10)]


def test_after_a_fill_nothing_adding_is_placed_until_a_ladder_has_seen_it():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    seen = rig.symbols[0].own.writer.published
    rig.fill(order)
    rig.step()
    own = rig.symbols[0].own.newest()
    assert own["must_see_seq"] > seen
    assert rig.quote([(99_990, 10)], [(100_010, 30)], own_seq=seen) == []
    # The part that only reduces is free of the rule.
    assert places(rig.quote([], [(100_010, 10)], own_seq=seen)) == [(-1, 100_010, 10)]
    assert places(rig.quote([(99_990, 10)], [(100_010, 10)])) == [(1, 99_990, 10)]


def test_after_a_venue_reject_nothing_adding_is_placed_until_a_ladder_has_seen_it():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    seen = rig.symbols[0].own.writer.published
    rig.core.on_reject(order["intent_id"], -5022, rig.now_ns)
    rig.step()
    rig.wait(SECOND_NS)
    assert rig.quote([(99_990, 10)], own_seq=seen) == []
    assert places(rig.quote([(99_990, 10)])) == [(1, 99_990, 10)]


def test_an_own_sequence_of_another_life_counts_as_not_seen():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    rig.fill(order)
    rig.step()
    assert rig.quote([(99_980, 10)], own_seq=10**6, own_epoch=EPOCH - 1) == []


# ---- fills: any order of the channels gives the same end ----------------------------------------------------------


def channel_events(rig: Rig, order: dict):
    """One order that fills in two trades and ends, as reply, TRADE_LITE and ORDER_TRADE_UPDATE tell it."""
    core, intent, now = rig.core, order["intent_id"], rig.now_ns

    def fill(trade_id, lots, fee):
        return lambda: core.on_fill(0, EPOCH, intent, trade_id, 1, 99_990, lots, fee, True, 1, now)

    reply = [lambda: core.on_accept(intent, 9, 1, now)]
    lite = [fill(1, 4, None), fill(2, 3, None)]
    updates = [lambda: core.on_accept(intent, 9, 1, now), fill(1, 4, 11), fill(2, 3, 13)]
    updates += [lambda: core.on_end(intent, True, 7, 1, now)]
    return [reply, lite, updates]


def merges(channels):
    """All ways to merge the channels that keep the order within each."""
    labels = [i for i, channel in enumerate(channels) for _ in channel]
    for way in set(itertools.permutations(labels)):
        streams = [iter(channel) for channel in channels]
        yield [next(streams[i]) for i in way]


def end_of(events_of) -> tuple:
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    for event in events_of(rig, order):
        event()
    rig.step()
    known = rig.account.table.order(order["intent_id"])
    return known["state"], known["filled_lots"], tuple(rig.core.desk(0).totals().values()), rig.live()


def test_reply_trade_lite_and_update_in_any_order_give_the_same_end():
    ways = list(merges([[0], [0, 0], [0, 0, 0, 0]]))
    ends = set()
    for way in range(len(ways)):
        state, filled, totals, live = end_of(lambda rig, o, way=way: list(merges(channel_events(rig, o)))[way])
        ends.add((state, filled, totals))
        assert live == {}
    assert len(ends) == 1
    ((state, filled, totals),) = ends
    assert (state, filled) == (OrderState.ORDER_CLOSED, 7)
    assert totals[0] == 7 and totals[3] == 24  # position, fees


@given(st.permutations(range(8)), st.lists(st.integers(0, 7), max_size=12))
@settings(max_examples=150, deadline=None)
def test_fills_repeated_in_any_order_are_booked_once(order_of, again):
    rig = Rig()
    (order,) = rig.placed([(99_990, 80)])
    for i in [*order_of, *again]:
        rig.core.on_fill(0, EPOCH, order["intent_id"], 1 + i, 1, 99_990, 1 + i, 1, True, 1, rig.now_ns)
    totals = rig.core.desk(0).totals()
    assert totals["position_lots"] == 36 and totals["fills"] == 8 and totals["fees_e8"] == 8
    assert rig.live()[order["intent_id"]]["filled_lots"] == 36


def test_a_closed_order_still_takes_late_fills():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    rig.core.on_end(order["intent_id"], False, 4, 1, rig.now_ns)
    rig.wait(SECOND_NS)
    assert set(questions.missing_fills(rig.core, rig.now_ns)) == {0}
    rig.fill(order, 4)
    assert rig.core.desk(0).position_lots == 4
    assert questions.missing_fills(rig.core, rig.now_ns) == {}


def test_a_foreign_fill_moves_the_position_and_is_counted():
    rig = Rig()
    rig.core.on_fill(0, 0, 0, 1, -1, 100_000, 5, 0, False, 1, rig.now_ns)
    rig.step()
    assert rig.symbols[0].own.newest()["position_lots"] == -5
    assert rig.symbols[0].counters["fills_foreign"][0] == 1


def test_a_fill_is_told_with_position_and_fee():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    rig.symbols[0].exec.all()
    rig.fill(order, 4, fee_e8=-7)
    (event,) = rig.symbols[0].exec.all()
    assert event["kind"] == ExecKind.EXEC_FILL and event["position_lots"] == 4 and event["fee_e8"] == -7
    assert event["remaining_lots"] == 6 and event["intent_id"] == order["intent_id"]


# ---- waiting ------------------------------------------------------------------------------------------------------


def test_what_only_waits_is_told_once_and_goes_by_itself():
    rig = Rig()
    counters = rig.symbols[0].counters
    rig.market(flags=BookFlag.BOOK_UNSYNCED)
    for _ in range(3):
        assert rig.quote([(99_990, 10), (99_980, 10)], [(100_010, 10)]) == []
        assert rig.step() == []
    assert rig.reasons() == [RejectReason.REJECT_STALE_MARKET]
    assert counters["waits"][0] == 1 and counters["rejects_own"][0] == 0
    rig.market()
    assert len(places(rig.step())) == 3
    # Another time is another wait.
    rig.market(flags=BookFlag.BOOK_UNSYNCED)
    rig.quote([(99_970, 10)])
    assert rig.reasons() == [RejectReason.REJECT_STALE_MARKET] and counters["waits"][0] == 2


def test_a_refused_layer_is_told_once_per_ladder():
    rig = Rig()
    rig.ladder([(100_001, 10)])
    for _ in range(3):
        assert rig.step() == []
    assert rig.reasons() == [RejectReason.REJECT_POST_ONLY]
    counters = rig.symbols[0].counters
    assert counters["rejects_own"][0] == 1 and counters["waits"][0] == 0


def test_a_side_that_backs_off_goes_on_with_the_same_ladder():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    rig.core.on_reject(order["intent_id"], -5022, rig.now_ns)
    rig.step()
    assert rig.quote([(99_989, 10)]) == []
    rig.wait(250 * MS_NS)
    assert places(rig.step()) == [(1, 99_989, 10)]


# ---- stops ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (lambda rig: setattr(rig.core, "ready", False), RejectReason.REJECT_NOT_READY),
        (lambda rig: setattr(rig.symbols[0].desk, "cancel_all", True), RejectReason.REJECT_NOT_READY),
        (lambda rig: rig.symbols[0].desk.lose_quoter(), RejectReason.REJECT_STALE_LADDER),
        (lambda rig: setattr(rig.symbols[0].desk, "latched", True), RejectReason.REJECT_LATCHED),
        (
            lambda rig: setattr(rig.symbols[0].desk, "operator_state", OperatorState.OPERATOR_PAUSE),
            RejectReason.REJECT_OPERATOR,
        ),
        (lambda rig: rig.prove(SECOND_NS - 1), RejectReason.REJECT_NO_PROOF),
        (lambda rig: rig.core.desk(0).void_ladder(), RejectReason.REJECT_STALE_LADDER),
        (
            lambda rig: rig.symbols[0].params.write(symbol_id=0, **(rig.params | {"enabled": 0})),
            RejectReason.REJECT_NOT_ALLOWED,
        ),
    ],
)
def test_a_stop_cancels_everything_and_says_why(stop, reason):
    rig = Rig()
    orders = rig.placed([(99_990, 10)], [(100_010, 10)])
    stop(rig)
    assert sorted(cancels(rig.step())) == sorted(o["intent_id"] for o in orders)
    assert rig.symbols[0].own.newest()["blocked"] == reason


def test_a_ladder_that_is_not_renewed_is_not_followed():
    rig = Rig()
    (order,) = rig.placed([(99_990, 10)])
    rig.wait(1_900 * MS_NS)
    assert rig.step() == []
    rig.wait(200 * MS_NS)
    assert cancels(rig.step()) == [order["intent_id"]]


def test_a_quoter_that_came_back_must_publish_again():
    rig = Rig()
    rig.accept(rig.placed([(99_990, 10)]))
    rig.symbols[0].desk.lose_quoter()
    rig.step()
    rig.symbols[0].desk.quoter_alive = True
    assert places(rig.step()) == []
    rig.wait(MS_NS)
    assert places(rig.quote([(99_980, 10)])) == [(1, 99_980, 10)]


def test_one_symbol_without_a_quoter_does_not_stop_the_other():
    rig = Rig(symbols=2)
    rig.placed([(99_990, 10)])
    rig.placed([(99_990, 10)], symbol=1)
    rig.symbols[0].desk.lose_quoter()
    assert {a["symbol_id"] for a in rig.step()} == {0}


def test_twenty_refusals_in_a_row_ask_for_a_latch():
    rig = Rig()
    for i in range(20):
        rig.wait(SECOND_NS)
        assert not rig.symbols[0].desk.latch_wanted
        (order,) = rig.quote([(99_000 + i, 10)])
        rig.core.on_reject(order["intent_id"], -5022, rig.now_ns)
        rig.step()
    assert rig.symbols[0].desk.latch_wanted
    rig.wait(SECOND_NS)
    assert rig.quote([(98_000, 10)]) == []


def test_a_ladder_that_is_refused_as_one_is_one_refusal():
    rig = Rig()
    desk = rig.symbols[0].desk
    for _ in range(3):  # a whole ladder each time, before the first refusal is heard
        rig.wait(6 * SECOND_NS)
        orders = rig.quote([(99_900 - i, 10) for i in range(8)], [(100_100 + i, 10) for i in range(8)])
        assert len(orders) == 16
        for order in orders:
            rig.core.on_reject(order["intent_id"], -2019, rig.now_ns)
        rig.step()
    assert not desk.latch_wanted


def test_a_young_ladder_that_expires_as_one_is_one_refusal():
    rig = Rig()
    orders = rig.placed([(99_900 - i, 10) for i in range(12)], [(100_100 + i, 10) for i in range(12)])
    assert len(orders) == 24
    for order in orders:
        rig.core.on_end(order["intent_id"], True, 0, 1, rig.now_ns)
    rig.step()
    assert not rig.symbols[0].desk.latch_wanted


def test_a_side_waits_after_a_margin_refusal_and_the_other_goes_on():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    rig.core.on_reject(order["intent_id"], -2019, rig.now_ns)
    rig.step()
    rig.wait(4 * SECOND_NS)
    assert places(rig.quote([(99_990, 10)], [(100_010, 10)])) == [(-1, 100_010, 10)]
    rig.wait(1_100 * MS_NS)
    assert places(rig.quote([(99_990, 10)], [(100_010, 10)])) == [(1, 99_990, 10)]


def test_an_account_in_order_again_is_quoted_on_as_soon_as_a_human_says_so():
    rig = Rig()
    (order,) = rig.quote([(99_990, 10)])
    rig.core.on_reject(order["intent_id"], -2015, rig.now_ns)
    rig.step()
    assert rig.symbols[0].desk.latch_wanted and rig.quote([(99_980, 10)]) == []
    rig.symbols[0].desk.enable()
    rig.wait(100 * MS_NS)
    assert places(rig.quote([(99_990, 10)])) == [(1, 99_990, 10)]


# ---- takes ---------------------------------------------------------------------------------------------------------


def take(rig: Rig, n: int, side: int, lots: int, limit: int = NO_PRICE, ahead_ns: int = SECOND_NS, **ladder) -> list:
    return rig.quote(
        take_n=n,
        take_side=side,
        take_qty_lots=lots,
        take_limit_ticks=limit,
        take_deadline_mono_ns=rig.now_ns + ahead_ns,
        **ladder,
    )


def test_the_take_found_at_start_is_marked_done_without_running_it():
    rig = Rig()
    rig.hold(50)
    assert take(rig, 3, SELL, 20) == []
    assert rig.symbols[0].own.newest()["last_take_n"] == 3
    assert places(take(rig, 4, SELL, 20)) == [(-1, NO_PRICE, 20)]


def test_a_take_is_sent_once_reduce_only_and_answered_with_what_it_filled():
    rig = Rig()
    rig.hold(50)
    rig.quote()
    actions = take(rig, 1, SELL, 20, limit=99_990)
    (action,) = actions
    assert (action["time_in_force"], action["reduce_only"], action["price_ticks"]) == (TimeInForce.IOC, 1, 99_990)
    assert take(rig, 1, SELL, 20, limit=99_990) == []
    assert rig.symbols[0].own.newest()["last_take_n"] == 0
    rig.core.on_accept(action["intent_id"], 1, 1, rig.now_ns)
    rig.fill(action, 15, price=99_999)
    rig.core.on_end(action["intent_id"], True, 15, 1, rig.now_ns)
    rig.step()
    own = rig.symbols[0].own.newest()
    assert (own["last_take_n"], own["last_take_filled_lots"], own["position_lots"]) == (1, 15, 35)
    assert take(rig, 1, SELL, 20, limit=99_990) == []
    assert JournalKind.JOURNAL_TAKE_DONE in [int(e["kind"]) for e in rig.journal.all()]


def test_a_take_is_capped_at_the_position_and_never_adds():
    rig = Rig()
    rig.hold(5)
    rig.quote()
    assert places(take(rig, 1, SELL, 20)) == [(-1, NO_PRICE, 5)]
    rig = Rig()
    rig.hold(5)
    rig.quote()
    assert take(rig, 1, BUY, 20) == []
    assert rig.symbols[0].own.newest()["last_take_n"] == 1


def test_a_take_past_its_deadline_is_dropped_and_answered():
    rig = Rig()
    rig.hold(50)
    rig.quote()
    assert take(rig, 1, SELL, 20, ahead_ns=-1) == []
    own = rig.symbols[0].own.newest()
    assert (own["last_take_n"], own["last_take_filled_lots"]) == (1, 0)


def test_own_quotes_that_a_take_could_meet_leave_first():
    rig = Rig()
    rig.hold(50)
    (bid, far) = rig.placed([(99_990, 10), (99_000, 10)])
    actions = take(rig, 1, SELL, 20, limit=99_900, bids=[(99_990, 10), (99_000, 10)])
    assert cancels(actions) == [bid["intent_id"]] and places(actions) == []
    rig.core.on_end(bid["intent_id"], False, 0, 1, rig.now_ns)
    actions = rig.step()
    assert places(actions) == [(-1, 99_900, 20)] and cancels(actions) == []
    assert far["intent_id"] in rig.live()


def test_a_take_needs_no_proof_and_no_quoting_operator():
    rig = Rig()
    rig.hold(50)
    rig.quote()
    rig.prove(0)
    rig.symbols[0].desk.operator_state = OperatorState.OPERATOR_FLATTEN
    rig.symbols[0].desk.latched = True
    assert places(take(rig, 1, SELL, 20)) == [(-1, NO_PRICE, 20)]


# ---- what it publishes ---------------------------------------------------------------------------------------------


def test_account_adds_up_over_symbols():
    rig = Rig(symbols=2)
    rig.hold(10)
    rig.hold(-20, symbol=1)
    rig.placed([(99_990, 10)])
    rig.wait(200 * MS_NS)
    rig.step()
    row = rig.account_ring.newest()
    assert row["open_orders"] == 1 and row["ready"] == 1 and row["epoch"] == EPOCH
    assert row["gross_notional_e8"] == 30 * 100_001 * 10_000
    assert row["worst_notional_e8"] == (20 + 20) * 100_001 * 10_000


def test_latencies_are_counted_from_the_tick_and_from_the_ladder():
    rig = Rig()
    (action,) = rig.quote([(99_990, 10)])
    rig.core.sent(action["intent_id"], action["kind"], 0, action["cause_recv_mono_ns"], rig.now_ns, rig.now_ns + 500)
    rig.now_ns += 1000
    rig.core.on_accept(action["intent_id"], 1, 1, rig.now_ns)
    counters = rig.symbols[0].counters[0]
    for name in ("tick_to_wire_ns", "ladder_to_wire_ns", "ack_ns"):
        assert counters[name].sum() == 1, name


def test_funding_and_a_corrected_position_are_booked_and_told():
    rig = Rig()
    rig.core.on_funding(0, -500, 1, rig.now_ns)
    rig.core.on_position(0, 12, 12 * 100_000, rig.now_ns)
    rig.step()
    own = rig.symbols[0].own.newest()
    assert own["funding_e8"] == -500 and own["position_lots"] == 12
    assert rig.symbols[0].counters["position_drift"][0] == 1
    kinds = [int(e["kind"]) for e in rig.symbols[0].exec.all()]
    assert kinds == [ExecKind.EXEC_FUNDING, ExecKind.EXEC_POSITION]


def test_a_broken_fill_is_refused_loudly():
    rig = Rig()
    with pytest.raises(ValueError, match="fill 0"):
        rig.core.on_fill(0, EPOCH, 1, 0, 1, 100, 1, 0, True, 1, rig.now_ns)
    with pytest.raises(KeyError):
        rig.core.on_fill(5, EPOCH, 1, 1, 1, 100, 1, 0, True, 1, rig.now_ns)
