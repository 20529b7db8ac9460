"""The place of our orders in their queues: against the model told the same, and what must hold for any sequence."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quoting import bbo, book, own, params

from phx._core import records
from phx._core.enums import OrderState, TapeKind, TradeOrigin
from phx._core.own_queue import OrdersInQueue
from phx._core.queue_position import front_after

SIDES = (1, -1)
ACK = 1_000
PRICE = 500


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return params(tmp_path_factory.mktemp("params"), queue_model=3, queue_power=3.0)


@dataclass
class Line:
    """One side's orders and the levels of that side, both by price; the other side stands far away."""

    params: object
    side: int = 1

    def __post_init__(self):
        self.queue = OrdersInQueue()
        self.at = ACK
        self.sync_id = 1

    def follow(self, *orders, epoch=1):
        rows = [{"ts_ack_ns": ACK, **order, "side": self.side} for order in orders]
        self.queue.follow(own(rows, epoch=epoch))

    def book(self, *levels, ts=None, whole=False):
        """levels: (price, lots), best first. whole: fewer levels than a record holds, so nothing lies beyond."""
        self.at = self.at + 10 if ts is None else ts
        best = levels[0][0] if levels else PRICE
        if not whole:
            worst = levels[-1][0] if levels else PRICE
            levels = [*levels, *((worst - self.side * (i + 1), 9) for i in range(20 - len(levels)))]
        far = [(best + self.side * (100 + i), 7) for i in range(20)]
        two = (levels, far) if self.side == 1 else (far, levels)
        self.queue.book(book(*two, ts_event_ns=self.at, sync_id=self.sync_id), self.params)

    def trade(self, price, lots, ts=None, aggressor=None, origin=TradeOrigin.ORIGIN_MARKET):
        record = trade_record(price, lots, -self.side if aggressor is None else aggressor, origin)
        record["ts_event_ns"] = self.at + 5 if ts is None else ts
        self.queue.trade(record)

    def top(self, price, lots, ts=None):
        mine, other = (price, lots), (price + self.side * 10, 1)
        two = (mine, other) if self.side == 1 else (other, mine)
        self.queue.top(bbo(*two, ts_event_ns=self.at + 5 if ts is None else ts))

    @property
    def front(self):
        return self.queue.rows(self.side)[0][1]

    @property
    def place(self):
        return self.queue.rows(self.side)[0][2]


def trade_record(price, lots, aggressor, origin):
    record = np.zeros(1, records.TAPE)
    record["kind"], record["origin"] = TapeKind.TAPE_TRADE, origin
    record["price_ticks"], record["qty_lots"], record["aggressor"] = price, lots, aggressor
    return record


@pytest.fixture(params=SIDES, ids=["bid", "ask"])
def line(plain, request):
    return Line(plain, request.param)


def order(price=PRICE, lots=6, intent=1, **fields):
    return {"price_ticks": price, "remaining_lots": lots, "intent_id": intent, **fields}


# ---- beginning


def test_an_order_begins_behind_everybody_who_is_there_and_its_own_lots_are_nobodys_queue(line):
    line.follow(order(lots=6))
    assert line.queue.front(line.side) == -1
    line.book((PRICE, 106))
    assert line.front == 100
    assert line.place == 0, "the last one has no place to lose"


@pytest.mark.parametrize(("ts", "known"), [(ACK - 1, False), (ACK, True)])
def test_a_book_older_than_the_acknowledgement_says_nothing_about_the_order(line, ts, known):
    line.follow(order())
    line.book((PRICE, 106), ts=ts)
    assert (line.front is not None) == known


def test_an_order_without_an_acknowledgement_has_no_place(line):
    line.follow(order(ts_ack_ns=0, state=OrderState.ORDER_PENDING_NEW))
    line.book((PRICE, 106))
    line.trade(PRICE, 10)
    assert line.front is None and line.queue.front(line.side) == -1


def test_all_our_orders_at_a_price_are_taken_out_of_its_level(line):
    line.follow(order(lots=6, intent=1), order(lots=4, intent=2))
    line.book((PRICE, 110))
    assert [row[1] for row in line.queue.rows(line.side)] == [100, 100]


def test_alone_at_a_price_we_are_first(line):
    line.follow(order(lots=6))
    line.book((PRICE, 6))
    assert line.front == 0 and line.place == 0


@pytest.mark.parametrize(("ack", "front"), [(1000, 40), (1001, 46), (1005, 70), (1010, 100)])
def test_of_those_who_came_around_the_acknowledgement_a_share_of_the_time_was_faster(line, ack, front):
    line.follow(order(ts_ack_ns=0, state=OrderState.ORDER_PENDING_NEW))
    line.book((PRICE, 40), ts=1000)
    line.follow(order(ts_ack_ns=ack))
    line.book((PRICE, 106), ts=1010)
    assert line.front == front


def test_nobody_of_a_book_told_before_but_of_a_time_after_the_acknowledgement_is_faster(line):
    line.follow(order(ts_ack_ns=0, state=OrderState.ORDER_PENDING_NEW))
    line.book((PRICE, 40), ts=1010)
    line.follow(order(ts_ack_ns=1005))
    line.book((PRICE, 106), ts=1020)
    assert line.front == 40


def test_an_order_that_is_new_is_looked_for_in_the_book_in_hand_and_nobody_else_is(line):
    there = book([(PRICE, 60)], [(PRICE + 1, 60)] if line.side == 1 else [(PRICE, 60)], ts_event_ns=ACK - 5)
    line.follow(order(PRICE, intent=1))
    line.book((PRICE, 106))
    line.follow(order(PRICE, intent=1), order(PRICE, intent=2, ts_ack_ns=0))
    line.queue.look_for_new(there, line.params)
    assert line.front == 100
    line.follow(order(PRICE, intent=1), order(PRICE, intent=2, ts_ack_ns=ACK))
    line.book((PRICE, 172), ts=ACK + 5)
    assert line.queue.rows(line.side)[1][1] == 110, "60, and half of the 100 that came in twice the time"


# ---- moving


def test_the_estimate_is_what_the_simulators_model_says_of_the_same_changes(line):
    line.follow(order(lots=6))
    line.book((PRICE, 76))
    changes = []
    for what, lots in [("level", 116), ("trade", 13), ("level", 103), ("level", 71), ("trade", 9), ("level", 40)]:
        if what == "trade":
            line.trade(PRICE, lots)
            changes.append(("trade", lots))
        else:
            before = 70 if not changes else next((c[2] for c in reversed(changes) if c[0] == "level"), 70)
            line.book((PRICE, lots + 6))
            changes.append(("level", before, lots))
        assert line.front == pytest.approx(front_after("power3", 3.0, 70, changes))


def test_a_book_that_does_not_change_our_level_leaves_its_trades_waiting_for_the_one_that_does(line):
    line.follow(order())
    line.book((PRICE, 106))
    line.trade(PRICE, 30)
    line.book((PRICE, 106))
    line.book((PRICE, 76))
    assert line.front == 70, "the trade explains the whole change: nobody cancelled"


def test_a_trade_that_is_told_after_its_depth_is_not_taken_off_twice(line):
    line.follow(order())
    line.book((PRICE, 206))
    line.book((PRICE, 256))
    line.book((PRICE, 226))
    as_a_cancel = line.front
    assert 170 <= as_a_cancel < 200
    line.trade(PRICE, 30, ts=line.at - 1)
    assert line.front == pytest.approx(170), "all of it came off the front, once"


@pytest.mark.parametrize(
    "odd",
    [
        {"origin": TradeOrigin.ORIGIN_INSURANCE},
        {"aggressor": 0},
        {"lots": 0},
        {"ts": ACK - 1},
    ],
    ids=["insurance", "no side", "nothing", "older than us"],
)
def test_a_trade_that_did_not_meet_our_queue_moves_nobody(line, odd):
    line.follow(order())
    line.book((PRICE, 106))
    line.trade(PRICE, **({"lots": 10} | odd))
    assert line.front == 100


def test_takers_of_our_own_side_and_trades_at_better_prices_move_nobody(line):
    line.follow(order())
    line.book((PRICE, 106))
    line.trade(PRICE, 10, aggressor=line.side)
    line.trade(PRICE + line.side, 10)
    assert line.front == 100


def test_a_trade_through_our_price_and_a_fill_of_ours_put_us_first(line):
    line.follow(order())
    line.book((PRICE, 106))
    line.trade(PRICE - line.side, 1)
    assert line.front == 0
    line.follow(order(intent=2))
    line.book((PRICE, 106))
    line.follow(order(intent=2, lots=5))
    assert line.front == 0


# ---- levels that go, come, or are out of sight


def test_a_level_that_vanishes_inside_the_book_is_empty_and_who_comes_back_stands_behind(line):
    line.follow(order())
    line.book((PRICE + line.side, 50), (PRICE, 106))
    line.book((PRICE + line.side, 50), (PRICE - line.side, 40))
    assert line.front == 0
    line.book((PRICE + line.side, 50), (PRICE, 306))
    assert line.front == 0 and line.place == pytest.approx(300 / 306)


def test_beyond_the_last_level_shown_nothing_is_known_and_nothing_is_forgotten(line):
    far = PRICE - line.side * 30
    line.follow(order(far))
    line.book((PRICE, 10))
    assert line.front is None
    line.book((far + line.side, 9), (far, 106))
    assert line.front == 100
    line.book((far, 206))
    in_sight = line.place
    line.book((PRICE, 10))
    assert line.front == 100 and in_sight > 0 and line.place == 0
    assert line.queue.front(line.side) == -1
    line.book((far, 156))
    assert 50 <= line.front <= 100 and line.place > 0


def test_a_book_with_few_levels_shows_everything(line):
    line.follow(order(PRICE - line.side * 30))
    line.book((PRICE, 10), whole=True)
    assert line.front == 0
    line.follow(order(PRICE - line.side * 30, intent=2))
    line.book(whole=True)
    assert line.front is None, "a side without a level is no sight of it"


def test_after_a_resync_only_the_bound_holds(line):
    line.follow(order())
    line.book((PRICE, 106))
    line.book((PRICE, 206))
    line.sync_id += 1
    line.book((PRICE, 126))
    assert line.front == 100, "80 lots went, whoever they were"
    line.sync_id += 1
    line.book((PRICE, 66))
    assert line.front == 60


def test_a_newer_top_only_bounds(line):
    line.follow(order(), order(PRICE - line.side, intent=2))
    line.book((PRICE, 106), (PRICE - line.side, 206))
    line.top(PRICE, 40)
    assert line.front == 40
    line.top(PRICE - line.side, 300)
    assert [row[1] for row in line.queue.rows(line.side)] == [0, 200]
    line.top(PRICE - line.side, 1, ts=ACK - 1)
    assert line.queue.rows(line.side)[1][1] == 200


# ---- orders that change


@pytest.mark.parametrize(
    "changed",
    [{"price": PRICE + 1}, {"lots": 9}, {"ts_ack_ns": ACK + 7}, {"intent": 9}],
    ids=["price", "more lots", "acknowledged again", "another"],
)
def test_an_amended_order_begins_anew(line, changed):
    line.follow(order())
    line.book((PRICE, 106))
    line.follow(order(**changed))
    assert line.front is None


def test_an_order_in_amendment_has_no_place_until_a_book_after_it(line):
    line.follow(order())
    line.book((PRICE, 106))
    line.follow(order(state=OrderState.ORDER_PENDING_AMEND))
    line.book((PRICE, 106))
    assert line.front is None
    line.follow(order())
    line.book((PRICE, 206))
    assert line.front == 200


def test_what_is_known_follows_the_order_through_the_table(line):
    line.follow(order(intent=1))
    line.book((PRICE, 106), (PRICE - line.side, 56))
    line.follow(order(PRICE + line.side, intent=3), order(intent=1), order(PRICE - line.side, intent=2))
    assert [row[1] for row in line.queue.rows(line.side)] == [None, 100, None]
    line.book((PRICE, 106), (PRICE - line.side, 56))
    line.follow(order(PRICE - line.side, intent=2), order(intent=1))
    assert [row[1] for row in line.queue.rows(line.side)] == [100, 50]
    line.follow(order(intent=1), epoch=2)
    assert line.front is None, "another life of the gateway numbers its intents anew"


def test_a_full_table_is_followed(line):
    orders = [order(PRICE - line.side * (i // 7), intent=i + 1) for i in range(128)]
    line.follow(*orders)
    line.book(*[(PRICE - line.side * i, 1000) for i in range(20)])
    line.follow(*reversed(orders))
    assert all(row[1] is not None for row in line.queue.rows(line.side))


# ---- for any sequence

steps = st.lists(
    st.one_of(
        st.tuples(st.just("book"), st.lists(st.integers(0, 400), min_size=4, max_size=4)),
        st.tuples(st.just("trade"), st.integers(-1, 3), st.integers(1, 150)),
        st.tuples(st.just("away"), st.just(0)),
        st.tuples(st.just("resync"), st.just(0)),
        st.tuples(st.just("top"), st.integers(0, 3), st.integers(1, 300)),
        st.tuples(st.just("fill"), st.integers(0, 3)),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SIDES), steps)
def test_nobody_ever_falls_back_and_places_are_shares(plain, side, steps):
    line = Line(plain, side)
    lots = [9, 9, 9, 9]

    def follow():
        line.follow(*[order(PRICE - side * i, lots=lots[i], intent=i + 1) for i in range(4) if lots[i]])

    follow()
    before = {}
    for what, *arguments in steps:
        if what == "book":
            shown = [(PRICE - side * i, q + lots[i]) for i, q in enumerate(arguments[0]) if q + lots[i]]
            line.book(*shown, (PRICE - side * 4, 5))
        elif what == "trade":
            line.trade(PRICE - side * arguments[0], arguments[1])
        elif what == "away":
            line.book((PRICE + side * 40, 5))
        elif what == "resync":
            line.sync_id += 1
        elif what == "top":
            line.top(PRICE - side * arguments[0], arguments[1])
        else:
            lots[arguments[0]] = max(lots[arguments[0]] - 4, 0)
            follow()
        fronts = {price: front for price, front, _ in line.queue.rows(side)}
        for price, front in fronts.items():
            assert before.get(price) is None or front <= before[price] + 1e-9
            assert front is None or front >= 0
        assert all(0 <= place < 1 for _, _, place in line.queue.rows(side))
        before = fronts
