"""The keep rule at work: a quoter, a gateway of ten lines and the simulator's matching, on scripted tapes.

What others quote is laid down level by level; our orders stand in the simulator's overlay, whose fills are the truth.
"""

import numpy as np
import pytest
from quoting import SECOND_NS, Rig, bbo, book, own, params, sides

from phx._core import records
from phx._core.enums import ExecKind, Side, TapeKind, TradeOrigin
from phx._core.matching import EventKind
from phx._core.matching import TimeInForce as Tif
from phx._core.overlay import Overlay

MS = 1_000_000
MID = 650_000
DISTANCE = 10
LOTS = 6
DEEP = 500  # of others, at every price


class Exchange:
    """The venue, the feed and the gateway around a quoter with one layer a side."""

    def __init__(self, settings):
        self.rig, self.overlay = Rig(), Overlay("power3", 3.0)
        self.now_ns, self.update_id = 100 * SECOND_NS, 0
        self.open: dict[int, dict] = {}
        self.filled = {1: 0, -1: 0}
        self.cancels = self.refused = self.must_see = 0
        self.refuse = lambda side, price: False
        self.levels: dict[int, dict[int, int]] = {}
        self.rig.write("params", settings)
        self.show(MID)
        self.tell_own()
        self.settle()

    def show(self, mid: int, **others: int) -> None:
        """Let everybody else quote DEEP lots around a mid; others: lots at odd prices, as bid_649990=0."""
        self.now_ns += 100 * MS
        self.update_id += 1
        self.mid = mid
        self.levels = {s: {mid - s * i: DEEP for i in range(1, 31)} for s in (1, -1)}
        for name, lots in others.items():
            side, price = name.split("_")
            self.levels[1 if side == "bid" else -1][int(price)] = lots
        self.overlay.snapshot(self.update_id, *([x for x in self.levels[s].items() if x[1]] for s in (1, -1)))
        self.publish_book()
        self.settle()

    def walk(self, mid: int) -> None:
        """Go there in steps that our quotes can follow, so that nobody runs into them."""
        while abs(mid - self.mid) > 4:
            self.show(self.mid + (4 if mid > self.mid else -4))
        self.show(mid)

    def publish_book(self) -> None:
        two = []
        for side in (1, -1):
            lots = dict(self.levels[side])
            for order in self.open.values():
                if order["side"] == side:
                    lots[order["price_ticks"]] = lots.get(order["price_ticks"], 0) + order["remaining_lots"]
            two.append(sorted(((p, q) for p, q in lots.items() if q), reverse=side > 0)[:20])
        stamps = {"update_id": self.update_id, "sync_id": 1, "recv_mono_ns": self.now_ns, "ts_event_ns": self.now_ns}
        self.rig.write("book", book(*two, **stamps))
        self.rig.write("bbo", bbo(two[0][0], two[1][0], **stamps))

    def trade(self, price: int, lots: int, aggressor: int) -> None:
        """A taker meets the queue at one price."""
        self.now_ns += 10 * MS
        record = np.zeros(1, records.TAPE)
        record["kind"], record["origin"], record["aggressor"] = (
            TapeKind.TAPE_TRADE,
            TradeOrigin.ORIGIN_MARKET,
            aggressor,
        )
        record["price_ticks"], record["qty_lots"] = price, lots
        record["ts_event_ns"] = record["recv_mono_ns"] = self.now_ns
        self.overlay.trade(price, lots, aggressor, TradeOrigin.ORIGIN_MARKET)
        self.rig.write("tape", record)
        self.settle()

    def settle(self) -> None:
        """Let quoter and gateway answer each other until nothing changes any more."""
        for _ in range(6):
            self.hear()
            self.now_ns += 60 * MS
            self.rig.step(self.now_ns)
            if not self.follow(self.rig.newest_ladder()):
                break

    def follow(self, ladder) -> bool:
        wanted = {(side, price): qty for side in (1, -1) for price, qty in sides(ladder)[side]}
        stale = [i for i, o in self.open.items() if wanted.pop((o["side"], o["price_ticks"]), 0) < o["remaining_lots"]]
        for order_id in stale:
            self.cancels += 1
            self.overlay.cancel_order(order_id)
            del self.open[order_id]
        for (side, price), lots in wanted.items():
            self.place(side, price, lots)
        if stale or wanted:
            self.tell_own()
        return bool(stale or wanted)

    def place(self, side: int, price: int, lots: int) -> None:
        order_id = -1 if self.refuse(side, price) else self.overlay.place_order(1, side, price, lots, Tif.TIF_GTX)
        if order_id < 0:
            event = np.zeros(1, records.EXEC)
            event["kind"], event["venue_code"], event["side"] = ExecKind.EXEC_REJECT, -5022, side
            event["recv_mono_ns"] = self.now_ns
            self.refused += 1
            self.must_see += 1
            self.rig.write("exec", event)
            return
        self.open[order_id] = {
            "side": side, "price_ticks": price, "remaining_lots": lots, "intent_id": order_id, "ts_ack_ns": self.now_ns
        }  # fmt: skip

    def hear(self) -> None:
        filled = False
        for event in self.overlay.drain():
            if event.kind == EventKind.EVENT_TRADE and event.maker_id:
                order = self.open[event.maker_id]
                order["remaining_lots"] -= event.qty_lots
                self.filled[order["side"]] += event.qty_lots
                filled = True
        self.open = {i: o for i, o in self.open.items() if o["remaining_lots"]}
        if filled:
            self.tell_own()

    def tell_own(self) -> None:
        position = self.filled[1] - self.filled[-1]
        seen = {"must_see_seq": self.rig.writers["own"].published if self.must_see else 0}
        self.rig.write("own", own(list(self.open.values()), position=position, **seen))
        self.must_see = 0

    def price(self, side: int) -> int:
        (order,) = [o for o in self.open.values() if o["side"] == side]
        return order["price_ticks"]

    def front(self, side: int) -> tuple[int, float]:
        """Return the quoter's estimate and the truth of the lots ahead of our order."""
        self.now_ns += 200 * MS
        self.rig.step(self.now_ns)
        state = self.rig.states.read_newest()
        (order_id,) = [i for i, o in self.open.items() if o["side"] == side]
        return int(state["front_buy_lots" if side > 0 else "front_sell_lots"]), self.overlay.front_lots(order_id)


@pytest.fixture
def exchange(tmp_path):
    def begun(**changes):
        plain = {
            "near_layers": 1, "far_layers": 0, "near_size_lots": LOTS, "min_spread": 0.0,
            "near_start": (DISTANCE - 0.01) / MID,
            "vol_gain": 0.0, "fair_source": 0, "keep_tolerance": 0.35, "keep_queue_value": 0.5, "queue_model": 3,
            "queue_power": 3.0, "skew_coeff": 0.0, "min_requote_ns": 0, "book_max_age_ns": 10 * SECOND_NS,
            "net_max_lots": 300,
        }  # fmt: skip
        return Exchange(params(tmp_path, **(plain | changes)))

    return begun


BID = MID - DISTANCE


def in_line(exchange, ahead, **changes):
    """Our bid came to a price with so many lots; then others joined behind it."""
    there, level = exchange(**changes), {f"bid_{BID}": ahead}
    there.walk(MID - 60)
    there.walk(MID - 24)
    for mid in (MID - 18, MID - 9, MID, MID):
        there.show(mid, **level)
    there.show(MID)
    assert there.price(1) == BID
    assert there.front(1) == (ahead, ahead)
    return there


def first_in_line(exchange, **changes):
    return in_line(exchange, 0, **changes)


@pytest.mark.parametrize(("valued", "filled"), [(True, LOTS), (False, 0)])
def test_a_place_in_front_survives_an_excursion_of_the_price_and_is_filled(exchange, valued, filled):
    there = first_in_line(exchange, queue_valued=valued)
    there.show(MID + 6)
    assert there.price(1) == (BID if valued else BID + 6)
    there.show(MID)
    there.trade(BID, 100, Side.SELL)
    assert there.filled[1] == filled
    assert (there.rig.counters["queue_kept"][0] > 0) == valued


@pytest.mark.parametrize(("value", "filled"), [(0.5, LOTS), (9.0, 0)])
def test_a_market_that_went_is_followed_though_the_place_was_good(exchange, value, filled):
    there = first_in_line(exchange, keep_queue_value=value)
    there.show(MID + 5, **{f"bid_{BID + 9}": 0})
    there.show(MID + 9, **{f"bid_{BID + 9}": 0})
    assert there.price(1) == (BID + 9 if filled else BID), "held on when a place is worth the world"
    there.show(MID + 9, **{f"bid_{BID + 9}": 0})
    there.show(MID + 9)
    there.trade(BID + 9, 100, Side.SELL)
    assert there.filled[1] == filled


def test_the_last_in_line_moves_like_one_without_a_queue(exchange):
    there = exchange()
    there.show(MID)
    assert there.price(1) == BID and there.front(1) == (DEEP, DEEP)
    there.show(MID + 6)
    assert there.price(1) == BID + 6
    assert there.rig.counters["queue_kept"][0] == 0


def test_a_place_is_not_worth_coming_nearer_than_allowed(exchange):
    # Inward the bound is half the first distance, wherever in the queue we stand.
    there = first_in_line(exchange, keep_queue_value=9.0)
    there.show(MID - 5)
    assert there.price(1) == BID
    there.show(MID - 6)
    assert there.price(1) == BID - 6


def test_the_estimate_follows_the_simulators_own_through_trades_and_cancels(exchange):
    there = first_in_line(exchange)
    side, errors = 1, []
    there.show(MID + 30)
    there.show(MID + 30 + 1)
    assert there.price(1) == BID + 30
    for lots in (420, 260, 300, 90, 400):
        there.show(MID + 31, **{f"bid_{BID + 30}": lots})
        there.trade(BID + 30, 13, Side.SELL)
        estimate, truth = there.front(side)
        errors.append(abs(estimate - truth))
    assert max(errors) <= 1, "the estimate is told in whole lots"


def test_what_a_restarted_feed_did_not_see_is_not_split_by_the_model(exchange):
    there = in_line(exchange, 400)
    for source in ("book", "bbo"):
        there.rig.attach(source, fresh=True)
    there.show(MID, **{f"bid_{BID}": DEEP - 20})
    assert there.front(1)[0] == 400, "twenty went while nobody looked: perhaps all of them behind us"


# ---- refusals


@pytest.mark.parametrize(("step", "most"), [(1.0, 6), (0.0, 10**9)])
def test_a_market_that_refuses_does_not_make_a_loop_of_refusals(exchange, step, most):
    """The venue refuses bids nearer than 20 ticks from its mid; the quoter would like to stand at 10."""
    there = exchange(post_only_step_ticks=step, post_only_half_life_s=30.0)
    there.refuse = lambda side, price: side > 0 and there.mid - price < 20
    there.walk(MID - 60)
    there.walk(MID)
    for i in range(100):
        there.show(MID + i % 2)
    stands = [o["price_ticks"] for o in there.open.values() if o["side"] == 1]
    if step:
        assert 3 <= there.refused <= most
        assert stands and there.mid - stands[0] >= 20
        assert there.rig.counters["post_only_learned"][0] == there.refused
        assert there.price(-1) == pytest.approx(there.mid + DISTANCE, abs=4), "the other side learned nothing"
    else:
        assert there.refused > 50, "without learning each turn is refused again"
    there.refuse = lambda side, price: False
    there.now_ns += 600 * SECOND_NS
    there.walk(MID + 100)
    there.show(MID + 108)
    assert there.price(1) == pytest.approx(there.mid - DISTANCE, abs=4), "forgotten"
