"""What everybody sees of a recorded book with the accounts' orders in it.

Method: a small market is invented as the venue tells it (best prices at once, depth changes in batches, later), random
orders of two accounts are laid over it, and a client rebuilds the book from what is told. The oracle is plain
arithmetic: recorded quantity and resting orders, added up.
"""

import random
from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.matching import TimeInForce
from phx._core.overlay import Overlay
from phx.overlaid import MAX_JUMPS, OverlaidView, SeenDelta, SeenTop, UpdateIds

GTC, IOC, GTX = TimeInForce.TIF_GTC, TimeInForce.TIF_IOC, TimeInForce.TIF_GTX
MARKET_TRADE = 1
BIDS, ASKS = [(1000 - i, 50 + i) for i in range(8)], [(1001 + i, 40 + i) for i in range(8)]


class Client:
    """Rebuilds the book from depth changes, and checks what must hold of every message by itself."""

    def __init__(self, view, update_id, bids, asks):
        view.book(update_id, bids, asks)
        self.sides, self.id = {1: dict(bids), -1: dict(asks)}, update_id
        self.tops = [SeenTop(update_id, bids[0], asks[0])]

    def take(self, seen):
        for one in seen:
            if isinstance(one, SeenTop):
                assert one.update_id > self.tops[-1].update_id
                assert not one.bid[0] or not one.ask[0] or one.bid[0] < one.ask[0], "never crossed"
                self.tops.append(one)
                continue
            assert one.prev_id == self.id < one.first_id <= one.last_id
            self.id = one.last_id
            for side, rows in ((1, one.bids), (-1, one.asks)):
                assert [price for price, _ in rows] == sorted({price for price, _ in rows})
                self.sides[side].update(rows)
            assert not self.best(1)[0] or not self.best(-1)[0] or self.best(1)[0] < self.best(-1)[0], "never crossed"

    def rows(self, side):
        return sorted(((p, q) for p, q in self.sides[side].items() if q), reverse=side > 0)

    def best(self, side):
        return next(iter(self.rows(side)), (0, 0))

    def top_of_depth(self):
        """Return the newest best prices that are not newer than the depth."""
        ids = [top.update_id for top in self.tops]
        return self.tops[bisect_right(ids, self.id) - 1]


class Market:
    """A true book that changes at random; best prices are told at once, its changes when `batch` is asked for."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.sides, self.id, self.told_id = {1: dict(BIDS), -1: dict(ASKS)}, 100, 100
        self.changed = {1: {}, -1: {}}

    def best(self, side):
        price = max(self.sides[1]) if side > 0 else min(self.sides[-1])
        return price, self.sides[side][price]

    def step(self):
        """Change something; return (update id, bid, ask) when the best prices changed, None otherwise."""
        before = self.best(1), self.best(-1)
        side = self.random.choice((1, -1))
        price = self.best(side)[0] + side * self.random.randint(-6, 3)
        self.id += self.random.choice((1, 1, 3))
        lots = self.random.choice((0, 0, 7, 20, 60))
        through = [other for other in self.sides[-side] if lots and side * (price - other) >= 0]
        if len(through) == len(self.sides[-side]):
            return None
        for other in through:
            self.set(-side, other, 0)
        if lots or len(self.sides[side]) > 2:
            self.set(side, price, lots)
        after = self.best(1), self.best(-1)
        return (self.id, *after) if after != before else None

    def set(self, side, price, lots):
        if lots:
            self.sides[side][price] = lots
        elif self.sides[side].pop(price, None) is None:
            return
        self.changed[side][price] = lots

    def batch(self):
        """Return (U, u, bids, asks) since the last batch."""
        first_id, self.told_id = self.told_id + 1, self.id
        bids, asks = (sorted(self.changed[side].items()) for side in (1, -1))
        self.changed = {1: {}, -1: {}}
        return first_id, self.id, bids, asks


class Stage:
    """A market, the overlay it moves, and the client that hears of both. Depth comes `late` steps after its time."""

    def __init__(self, seed, late):
        self.market, self.overlay = Market(seed), Overlay("power3")
        self.overlay.snapshot(100, BIDS, ASKS)
        self.view = OverlaidView(self.overlay)
        self.client = Client(self.view, 100, BIDS, ASKS)
        self.late, self.due, self.now_ms, self.depth = late, [], 0, {1: dict(BIDS), -1: dict(ASKS)}
        self.recorded = []
        self.tainted_id = 0  # best prices up to it were told while something was taken, by a book older than they are

    def tell(self, seen):
        self.client.take(seen)
        if self.view.took:
            self.tainted_id = self.client.tops[-1].update_id

    def pass_time(self, ms):
        self.now_ms += ms
        top = self.market.step()
        if top:
            self.recorded.append(top)
            self.overlay.best(top[0], *top[1], *top[2])
            self.tell(self.view.top(*top, self.now_ms))
        if self.market.id - self.market.told_id > 4:
            self.due.append((self.now_ms + self.late, self.market.batch()))
        while self.due and self.due[0][0] <= self.now_ms:
            self.hear(self.due.pop(0)[1])

    def hear(self, delta):
        first_id, last_id, bids, asks = delta
        self.recorded.append((first_id, last_id, bids, asks))
        for side, rows in ((1, bids), (-1, asks)):
            self.depth[side].update(rows)
        self.overlay.delta(last_id, bids, asks)
        self.tell(self.view.delta(*delta, self.now_ms))

    def act(self):
        self.tell(self.view.changed(self.now_ms))

    def settle(self):
        """Let the depth catch up."""
        for _, delta in self.due:
            self.hear(delta)
        self.due.clear()
        if self.market.id > self.market.told_id:
            self.hear(self.market.batch())
        self.now_ms += 100
        self.act()

    def standing(self, side):
        return self.overlay.standing(side, 10**6)


def random_order(rng, stage, placed, passive):
    """Place, cancel or amend at random. passive: nothing is ever taken, nor is anybody filled at once."""
    what = rng.choice(("place", "place", "place", "cancel", "amend", "trade"))
    side = rng.choice((1, -1))
    if what == "place":
        away = rng.randint(-2, 5) * side
        best = stage.overlay.standing(side) or [(1000, 0)]
        tif = GTX if passive else rng.choice((GTC, GTX, GTX, IOC))
        order_id = stage.overlay.place_order(rng.randint(1, 2), side, best[0][0] - away, rng.randint(1, 90), tif)
        if order_id > 0:
            placed.append(order_id)
    elif what == "trade":
        touch = stage.market.best(side)
        stage.overlay.trade(touch[0] - rng.choice((0, 0, 1)) * side, rng.randint(1, 60), -side, MARKET_TRADE)
    elif placed and what == "cancel":
        stage.overlay.cancel_order(rng.choice(placed))
    elif placed and not passive:
        order_id = rng.choice(placed)
        order = stage.overlay.order(order_id)
        if order:
            stage.overlay.amend_order(order_id, order[2] + rng.randint(-3, 3), rng.randint(1, 90))
    stage.act()


@pytest.mark.parametrize("late", [0, 15, 70])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_the_book_of_a_client_is_the_recorded_one_and_the_accounts_orders(late, seed):
    rng, stage, placed = random.Random(seed), Stage(seed, late), []
    for _ in range(120):
        stage.pass_time(rng.choice((1, 5, 40)))
        if rng.random() < 0.4:
            random_order(rng, stage, placed, passive=False)
            told = stage.client.tops[-1]
            assert (told.bid, told.ask) == tuple(next(iter(stage.standing(side)), (0, 0)) for side in (1, -1))
        if rng.random() < 0.05:
            stage.settle()
            for side in (1, -1):
                assert stage.client.rows(side) == stage.standing(side)
    for order_id in placed:
        stage.overlay.cancel_order(order_id)
    stage.act()
    stage.settle()
    for side in (1, -1):
        assert stage.client.rows(side) == stage.standing(side)


@pytest.mark.parametrize("late", [0, 15, 70])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_after_every_depth_change_the_best_prices_are_those_of_the_newest_ticker_not_after_it(late, seed):
    rng, stage, placed = random.Random(seed), Stage(seed, late), []
    for _ in range(120):
        before = stage.client.id
        stage.pass_time(rng.choice((1, 5, 40)))
        if rng.random() < 0.4:
            random_order(rng, stage, placed, passive=True)
        told = stage.client.top_of_depth()
        if stage.client.id != before and told.update_id > stage.tainted_id:
            assert (told.bid, told.ask) == (stage.client.best(1), stage.client.best(-1))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**9), late=st.integers(0, 80))
def test_without_orders_everything_is_told_as_it_was_recorded(seed, late):
    stage, told = Stage(seed, late), []
    take = stage.client.take
    stage.client.take = lambda seen: (take(seen), told.extend(seen))
    for _ in range(150):
        stage.pass_time(5)
        stage.act()
    expected, last_id = [], 100
    for record in stage.recorded:
        if len(record) == 4:
            first_id, u, bids, asks = record
            expected.append(SeenDelta(first_id, u, last_id, bids, asks))
            last_id = u
        else:
            expected.append(SeenTop(*record))
    assert told == expected


def still(bids=BIDS, asks=ASKS):
    overlay = Overlay("risk_averse")
    overlay.snapshot(100, bids, asks)
    view = OverlaidView(overlay)
    return overlay, view, Client(view, 100, bids, asks)


def test_an_order_that_improves_the_price_is_the_touch_at_once_and_in_the_depth_within_a_batch():
    overlay, view, _ = still([(1000, 50)], [(1005, 40)])
    overlay.place_order(1, 1, 1002, 7, GTX)
    assert view.changed(0) == [SeenTop(101, (1002, 7), (1005, 40))]
    assert view.changed(99) == []
    assert view.changed(100) == [SeenDelta(101, 101, 100, [(1002, 7)], [])]
    assert not view.waits


def test_a_change_goes_out_with_the_next_recorded_depth_and_later_ids_make_room():
    overlay, view, _ = still()
    overlay.place_order(1, 1, 995, 7, GTX)
    assert view.changed(0) == []  # not at the touch
    overlay.delta(104, [(998, 9)], [])
    assert view.delta(101, 104, [(998, 9)], [], 10) == [SeenDelta(101, 105, 100, [(995, 62), (998, 9)], [])]
    overlay.delta(110, [], [(1003, 1)])
    assert view.delta(105, 110, [], [(1003, 1)], 20) == [SeenDelta(106, 111, 105, [], [(1003, 1)])]


def test_depth_older_than_the_best_prices_tells_of_no_order_that_came_after_them():
    overlay, view, client = still()
    overlay.best(110, 1000, 50, 1004, 3)
    client.take(view.top(110, (1000, 50), (1004, 3), 0))
    overlay.place_order(1, 1, 1002, 7, GTX)  # where the depth still shows asks
    client.take(view.changed(1))
    assert client.tops[-1] == SeenTop(111, (1002, 7), (1004, 3))
    overlay.delta(105, [(990, 1)], [])
    (old,) = view.delta(101, 105, [(990, 1)], [], 2)
    assert (old.last_id, old.bids, old.asks) == (105, [(990, 1)], [])
    assert view.changed(1000) == []
    gone = [(1001, 0), (1002, 0), (1003, 0), (1004, 3)]
    overlay.delta(112, [], gone)
    (new,) = view.delta(106, 112, [], gone, 1001)
    assert (new.last_id, new.bids, new.asks) == (113, [(1002, 7)], gone)


def test_what_a_taker_took_is_not_seen_until_the_recording_changes_that_level():
    overlay, view, client = still([(1000, 50)], [(1001, 40), (1002, 8)])
    overlay.place_order(1, 1, 1001, 40, IOC)
    assert view.changed(0) == [SeenTop(101, (1000, 50), (1002, 8))]
    client.take(view.changed(100))
    assert client.rows(-1) == [(1002, 8)]
    overlay.delta(103, [], [(1001, 41)])
    client.take(view.delta(101, 103, [], [(1001, 41)], 150))
    assert client.rows(-1) == [(1001, 41), (1002, 8)] and client.tops[-1].ask == (1001, 41)


def test_a_recorded_quote_at_our_order_fills_it_and_what_it_did_not_reach_is_still_seen():
    overlay, view, client = still([(1000, 50)], [(1005, 40)])
    overlay.place_order(1, 1, 1003, 30, GTX)
    client.take(view.changed(0))
    overlay.best(102, 1000, 50, 1003, 12)
    client.take(view.top(102, (1000, 50), (1003, 12), 1))
    assert client.tops[-1] == SeenTop(103, (1003, 18), (1005, 40))
    overlay.delta(102, [], [(1003, 12)])
    client.take(view.delta(101, 102, [], [(1003, 12)], 2))
    assert (client.rows(1), client.rows(-1)) == ([(1003, 18), (1000, 50)], [(1005, 40)])
    overlay.best(104, 1000, 50, 1003, 40)  # enough for the rest
    client.take(view.top(104, (1000, 50), (1003, 40), 3))
    assert client.tops[-1] == SeenTop(105, (1000, 50), (1003, 22))


def test_old_levels_through_our_order_are_not_seen_and_come_back_with_its_end():
    overlay, view, client = still([(1000, 50)], [(1005, 40)])
    overlay.best(120, 1000, 50, 1006, 4)
    client.take(view.top(120, (1000, 50), (1006, 4), 0))
    overlay.delta(110, [], [(1005, 0), (1006, 9)])
    client.take(view.delta(101, 110, [], [(1005, 0), (1006, 9)], 0))
    overlay.delta(120, [], [(1006, 4)])
    client.take(view.delta(111, 120, [], [(1006, 4)], 0))
    order = overlay.place_order(1, 1, 1004, 5, GTX)
    client.take(view.changed(0))
    client.take(view.changed(100))
    overlay.best(140, 1000, 50, 1006, 5)
    client.take(view.top(140, (1000, 50), (1006, 5), 101))
    old = [(1003, 2), (1006, 4)]  # an ask that was never a best price here
    overlay.delta(130, [], old)
    client.take(view.delta(121, 130, [], old, 101))
    assert client.best(1) == (1004, 5) and client.best(-1) == (1006, 4)
    overlay.cancel_order(order)
    client.take(view.changed(102))
    overlay.delta(150, [], [(1006, 5)])
    client.take(view.delta(131, 150, [], [(1006, 5)], 150))
    assert client.best(1) == (1000, 50)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=200))
def test_ids_keep_their_order_whatever_is_put_between_them(counts):
    ids, given_, recorded = UpdateIds(), [], 10
    for inserted in counts:
        recorded += 1 + inserted % 2
        given_.append(ids.record(recorded))
        assert ids.of(recorded) == given_[-1]
        given_ += [ids.insert() for _ in range(inserted)]
    assert given_ == sorted(set(given_))


def test_ids_make_room_for_ever():
    ids = UpdateIds()
    for recorded in range(10, 10 + 3 * MAX_JUMPS):
        before = ids.newest_id
        assert ids.record(recorded) > before
        assert ids.insert() == ids.newest_id == recorded + recorded - 9
