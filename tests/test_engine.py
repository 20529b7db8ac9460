"""The matching engine against a model of lists: same trades, same books, same ends of orders, whatever happens."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.engine import Engine
from phx._core.matching import EventKind as Kind
from phx._core.matching import Expiry, Refusal, SelfTrade, TimeInForce

GTC, IOC, FOK, GTX, MARKET = (
    TimeInForce.TIF_GTC,
    TimeInForce.TIF_IOC,
    TimeInForce.TIF_FOK,
    TimeInForce.TIF_GTX,
    TimeInForce.TIF_MARKET,
)
BUY, SELL = 1, -1


class Model:
    """A book as a list of orders in the order of arrival; slow and plain. Positions are numbered as their owners."""

    def __init__(self):
        self.orders = []  # dicts, oldest first
        self.ids = 0
        self.trades = []  # taker, maker, price, lots
        self.ended = []  # id, kind, reason
        self.positions = {1: 0, 2: 0}

    def opposite(self, side, price):
        found = [o for o in self.orders if o["side"] == -side and side * (price - o["price"]) >= 0]
        return sorted(found, key=lambda o: side * o["price"])  # stable: time order within a price

    def most(self, order):
        if not order["reduces"]:
            return order["left"]
        return min(order["left"], max(0, -order["side"] * self.positions[order["owner"]]))

    def place(self, owner, side, price, lots, tif, stp, position=0, reduces=False):
        path = self.opposite(side, price)
        if tif == GTX and path:
            return Refusal.REFUSED_POST_ONLY
        if tif == FOK:
            stp = 0
        order = dict(owner=owner, side=side, price=price, left=lots, filled=0, tif=tif, stp=stp, reduces=reduces)
        if tif == FOK:  # would it fill? try with everything copied
            trial = copy.deepcopy(self)
            trial.ids, tried = trial.ids + 1, dict(order, id=0)
            trial.run(tried)
            if tried["left"]:
                return Refusal.REFUSED_FILL_OR_KILL
        self.ids += 1
        order["id"] = self.ids
        self.run(order)
        return order["id"]

    def end(self, order, kind, reason):
        if order in self.orders:
            self.orders.remove(order)
        if order["owner"]:
            self.ended.append((order["id"], kind, reason))

    def run(self, order):
        ended = 0
        for maker in self.opposite(order["side"], order["price"]):
            if not order["left"]:
                break
            if not self.most(maker):
                self.end(maker, Kind.EVENT_EXPIRED, Expiry.EXPIRY_REDUCE_ONLY)
                continue
            if not self.most(order):
                break
            if order["owner"] and maker["owner"] == order["owner"] and order["stp"]:
                if order["stp"] != SelfTrade.SELF_TRADE_EXPIRE_TAKER:
                    self.end(maker, Kind.EVENT_EXPIRED, Expiry.EXPIRY_SELF_TRADE)
                if order["stp"] != SelfTrade.SELF_TRADE_EXPIRE_MAKER:
                    ended = Expiry.EXPIRY_IOC_SELF_TRADE if order["tif"] == IOC else Expiry.EXPIRY_SELF_TRADE
                    break
                continue
            lots = min(self.most(order), self.most(maker))
            for party in (order, maker):
                party["left"] -= lots
                party["filled"] += lots
                if party["owner"]:
                    self.positions[party["owner"]] += party["side"] * lots
            self.trades.append((order["id"], maker["id"], maker["price"], lots))
            if not maker["left"]:
                self.orders.remove(maker)
            elif not self.most(maker):
                self.end(maker, Kind.EVENT_EXPIRED, Expiry.EXPIRY_REDUCE_ONLY)
        if not order["left"]:
            return
        if not ended and not self.most(order):
            ended = Expiry.EXPIRY_REDUCE_ONLY
        if not ended and order["tif"] not in (GTC, GTX):
            ended = Expiry.EXPIRY_MARKET if order["tif"] == MARKET else Expiry.EXPIRY_IOC
        if ended:
            self.end(order, Kind.EVENT_EXPIRED, ended)
        else:
            self.orders.append(order)

    def cancel(self, order_id):
        order = next((o for o in self.orders if o["id"] == order_id), None)
        if order is None:
            return Refusal.REFUSED_UNKNOWN
        self.orders.remove(order)
        if order["owner"]:
            self.ended.append((order_id, Kind.EVENT_CANCELED, 0))
        return order_id

    def amend(self, order_id, price, lots):
        order = next((o for o in self.orders if o["id"] == order_id), None)
        if order is None:
            return Refusal.REFUSED_UNKNOWN
        if lots <= order["filled"] or (order["tif"] == GTX and self.opposite(order["side"], price)):
            return self.cancel(order_id)
        self.orders.remove(order)
        order["price"], order["left"] = price, lots - order["filled"]
        self.run(order)
        return order_id

    def levels(self, side):
        totals = {}
        for o in self.orders:
            if o["side"] == side:
                totals[o["price"]] = totals.get(o["price"], 0) + o["left"]
        return sorted(totals.items(), key=lambda level: -side * level[0])


def new_order(owner, side, price, lots, tif, stp, reduces):
    """Return a place step; the agents (owner 0) have no position to reduce."""
    return "place", owner, side, price, lots, tif, stp, owner, reduces and owner > 0


step = st.one_of(
    st.builds(
        new_order,
        st.integers(0, 2),
        st.sampled_from([BUY, SELL]),
        st.integers(95, 105),
        st.integers(1, 20),
        st.sampled_from([GTC, GTC, GTC, IOC, FOK, GTX, MARKET]),
        st.integers(0, 3),
        st.booleans(),
    ),
    st.tuples(st.just("cancel"), st.integers(1, 60)),
    st.tuples(st.just("amend"), st.integers(1, 60), st.integers(95, 105), st.integers(1, 20)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(step, max_size=60))
def test_the_engine_does_what_the_model_does(steps):
    engine, model = Engine(), Model()
    depth = {BUY: {}, SELL: {}}  # rebuilt from level events alone
    last_id = 0
    for name, *arguments in steps:
        expected = getattr(model, name)(*arguments)
        assert getattr(engine, f"{name}_order")(*arguments) == expected
        trades, ended = [], []
        for event in engine.drain():
            if event.kind == Kind.EVENT_TRADE:
                trades.append((event.order_id, event.maker_id, event.price_ticks, event.qty_lots))
            elif event.kind in (Kind.EVENT_CANCELED, Kind.EVENT_EXPIRED):
                ended.append((event.order_id, event.kind, event.reason))
            elif event.kind == Kind.EVENT_LEVEL:
                assert event.update_id > last_id
                last_id = event.update_id
                depth[event.side][event.price_ticks] = event.qty_lots
        assert trades == model.trades
        assert ended == model.ended
        model.trades, model.ended = [], []
        for side in (BUY, SELL):
            assert engine.top(side, 100) == model.levels(side)
            rebuilt = {price: lots for price, lots in depth[side].items() if lots}
            assert rebuilt == dict(model.levels(side))
            best = [level[0] for level in (model.levels(BUY)[:1] + model.levels(SELL)[:1])]
            assert best == sorted(set(best))  # never crossed, never locked
        assert engine.live == len(model.orders)
        assert {owner: engine.position_lots(owner) for owner in (1, 2)} == model.positions


def test_ten_thousand_orders_are_found_again_after_the_pool_has_grown():
    engine = Engine()
    ids = [engine.place_order(0, BUY if i % 2 else SELL, 1000 - 1 - i % 300 if i % 2 else 1000 + i % 300, 1 + i % 7)
           for i in range(10_000)]  # fmt: skip
    engine.drain()
    for i, order_id in enumerate(ids):
        assert engine.order(order_id)[3] == 1 + i % 7
    for order_id in ids[::3]:
        assert engine.cancel_order(order_id) == order_id
    assert [engine.order(order_id) is None for order_id in ids] == [i % 3 == 0 for i in range(10_000)]
    assert engine.live == 10_000 - len(ids[::3])


def test_time_decides_between_equal_prices_and_an_amended_order_goes_last():
    engine = Engine()
    first, second = (engine.place_order(1, BUY, 100, 5) for _ in range(2))
    engine.amend_order(first, 100, 4)
    engine.drain()
    engine.place_order(0, SELL, 100, 6)
    makers = [(e.maker_id, e.qty_lots) for e in engine.drain() if e.kind == Kind.EVENT_TRADE]
    assert makers == [(second, 5), (first, 1)]


def test_a_post_only_order_that_would_take_is_refused_and_leaves_no_trace():
    engine = Engine()
    engine.place_order(0, SELL, 101, 5)
    engine.drain()
    assert engine.place_order(1, BUY, 101, 1, GTX) == Refusal.REFUSED_POST_ONLY
    assert engine.drain() == []
    assert engine.place_order(1, BUY, 100, 1, GTX) > 0


def test_amending_a_post_only_order_across_the_touch_cancels_it():
    engine = Engine()
    engine.place_order(0, SELL, 101, 5)
    order_id = engine.place_order(1, BUY, 100, 1, GTX)
    engine.drain()
    engine.amend_order(order_id, 101, 1)
    assert [e.kind for e in engine.drain() if e.owner] == [Kind.EVENT_CANCELED]
    assert engine.top(SELL) == [(101, 5)]


def test_amending_below_what_is_filled_cancels_the_rest():
    engine = Engine()
    order_id = engine.place_order(1, BUY, 100, 10)
    engine.place_order(0, SELL, 100, 4)
    engine.drain()
    engine.amend_order(order_id, 100, 4)
    assert [e.kind for e in engine.drain() if e.owner] == [Kind.EVENT_CANCELED]


def ended(events):
    return [(e.order_id, e.reason, e.qty_lots - e.remaining_lots) for e in events if e.kind == Kind.EVENT_EXPIRED]


def test_a_reduce_only_maker_behind_another_of_its_account_never_crosses_zero():
    engine = Engine()
    engine.set_position(3, 10)
    engine.place_order(1, SELL, 100, 8, position=3)
    reducing = engine.place_order(1, SELL, 101, 10, position=3, reduces=True)
    engine.drain()
    engine.place_order(0, BUY, 101, 30)
    events = engine.drain()
    assert sum(e.qty_lots for e in events if e.kind == Kind.EVENT_TRADE) == 10
    assert ended(events) == [(reducing, Expiry.EXPIRY_REDUCE_ONLY, 2)]
    assert engine.position_lots(3) == 0


def test_a_reduce_only_taker_stops_at_zero():
    engine = Engine()
    engine.set_position(3, -4)
    engine.place_order(0, SELL, 100, 10)
    engine.drain()
    taking = engine.place_order(1, BUY, 100, 9, GTC, position=3, reduces=True)
    events = engine.drain()
    assert ended(events) == [(taking, Expiry.EXPIRY_REDUCE_ONLY, 4)]
    assert (engine.position_lots(3), engine.top(SELL)) == (0, [(100, 6)])


def test_fill_or_kill_counts_only_what_reduce_only_orders_may_trade():
    engine = Engine()
    engine.set_position(3, 5)
    engine.place_order(1, SELL, 100, 9, position=3, reduces=True)
    assert engine.place_order(0, BUY, 100, 6, FOK) == Refusal.REFUSED_FILL_OR_KILL
    assert engine.place_order(0, BUY, 100, 5, FOK) > 0


def test_fill_or_kill_is_left_alone_by_self_trade_prevention():
    engine = Engine()
    engine.place_order(1, SELL, 100, 5)
    assert engine.place_order(1, BUY, 100, 5, FOK, SelfTrade.SELF_TRADE_EXPIRE_BOTH) > 0
    assert [e.qty_lots for e in engine.drain() if e.kind == Kind.EVENT_TRADE] == [5]


@pytest.mark.parametrize(
    ("stp", "gone", "traded", "rests"),
    [
        (SelfTrade.SELF_TRADE_EXPIRE_TAKER, [("taker", Expiry.EXPIRY_SELF_TRADE)], 3, "maker"),
        (SelfTrade.SELF_TRADE_EXPIRE_MAKER, [("maker", Expiry.EXPIRY_SELF_TRADE)], 3 + 4, "taker"),
        (
            SelfTrade.SELF_TRADE_EXPIRE_BOTH,
            [("maker", Expiry.EXPIRY_SELF_TRADE), ("taker", Expiry.EXPIRY_SELF_TRADE)],
            3,
            None,
        ),
    ],
)
def test_the_taker_decides_what_gives_way_and_foreign_fills_stand(stp, gone, traded, rests):
    engine = Engine()
    engine.place_order(0, SELL, 100, 3)
    maker = engine.place_order(1, SELL, 101, 5, GTC, SelfTrade.SELF_TRADE_EXPIRE_TAKER)
    engine.place_order(0, SELL, 102, 4)
    engine.drain()
    taker = engine.place_order(1, BUY, 102, 20, GTC, stp)
    events = engine.drain()
    names = {maker: "maker", taker: "taker"}
    assert [(names[order_id], reason) for order_id, reason, _ in ended(events)] == gone
    assert sum(e.qty_lots for e in events if e.kind == Kind.EVENT_TRADE) == traded
    assert [names[i] for i in (maker, taker) if engine.order(i)] == ([rests] if rests else [])


@pytest.mark.parametrize(
    "arguments",
    [(1, 0, 100, 1), (1, 1, 0, 1), (1, 1, 100, 0), (-1, 1, 100, 1), (1, 1, 1, 1, 9), (1, 1, 1, 1, 1, 2, 0, True)],
)
def test_nonsense_is_refused_at_the_door(arguments):
    with pytest.raises(ValueError, match="order owner"):
        Engine().place_order(*arguments)
