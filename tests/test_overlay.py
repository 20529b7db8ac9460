"""Orders laid over a scripted tape: when they fill, by how much, and when they must not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.enums import TradeOrigin
from phx._core.matching import EventKind as Kind
from phx._core.matching import Expiry, Refusal, SelfTrade, TimeInForce
from phx._core.overlay import Overlay

GTC, IOC, FOK, GTX, MARKET = (
    TimeInForce.TIF_GTC,
    TimeInForce.TIF_IOC,
    TimeInForce.TIF_FOK,
    TimeInForce.TIF_GTX,
    TimeInForce.TIF_MARKET,
)
BUY, SELL, OURS = 1, -1, 1
MARKET_TRADE = TradeOrigin.ORIGIN_MARKET


def book(model="risk_averse", bids=((100, 50), (99, 40)), asks=((101, 30), (102, 60))):
    overlay = Overlay(model)
    overlay.snapshot(1000, bids, asks)
    return overlay


def trades(overlay):
    """Return (taker, maker, price, lots) of the trades since the last call."""
    return [(e.order_id, e.maker_id, e.price_ticks, e.qty_lots) for e in overlay.drain() if e.kind == Kind.EVENT_TRADE]


def resting(overlay, side, price, lots, tif=GTX):
    order_id = overlay.place_order(OURS, side, price, lots, tif)
    overlay.drain()
    return order_id


def test_a_trade_at_our_price_fills_us_only_beyond_the_queue_ahead():
    overlay = book()
    ours = resting(overlay, BUY, 100, 10)
    assert overlay.front_lots(ours) == 50
    overlay.trade(100, 45, SELL, MARKET_TRADE)
    assert trades(overlay) == []
    overlay.trade(100, 8, SELL, MARKET_TRADE)
    assert trades(overlay) == [(0, ours, 100, 3)]
    overlay.trade(100, 100, SELL, MARKET_TRADE)
    assert trades(overlay) == [(0, ours, 100, 7)]
    assert overlay.order(ours) is None


def test_cancels_ahead_move_us_forward_as_the_model_says():
    pessimist, optimist = book("risk_averse"), book("power1")
    orders = [resting(overlay, BUY, 100, 10) for overlay in (pessimist, optimist)]
    for overlay, order_id in zip((pessimist, optimist), orders, strict=True):
        overlay.delta(1001, [(100, 80)], [])  # thirty join behind us
        overlay.delta(1002, [(100, 60)], [])  # twenty leave
        assert overlay.front_lots(order_id) <= 50
    assert pessimist.front_lots(orders[0]) == 50
    assert optimist.front_lots(orders[1]) < 50


def test_a_trade_is_taken_off_the_queue_once_although_best_price_and_depth_tell_of_it_too():
    overlay = book("power1")
    ours = resting(overlay, BUY, 100, 10)
    overlay.best(1001, 100, 45, 101, 30)
    overlay.trade(100, 5, SELL, MARKET_TRADE)
    assert overlay.front_lots(ours) == 45
    overlay.delta(1002, [(100, 45)], [])
    assert overlay.front_lots(ours) == 45


def test_a_best_price_behind_ours_leaves_nobody_ahead():
    overlay = book()
    ours = resting(overlay, BUY, 100, 10)
    overlay.best(1001, 99, 40, 101, 30)
    assert overlay.front_lots(ours) == 0
    overlay.trade(100, 3, SELL, MARKET_TRADE)
    assert trades(overlay) == [(0, ours, 100, 3)]


def test_a_trade_through_our_price_fills_us_up_to_its_quantity():
    overlay = book()
    ours = resting(overlay, BUY, 100, 10)
    overlay.trade(99, 4, SELL, MARKET_TRADE)
    assert trades(overlay) == [(0, ours, 100, 4)]
    overlay.trade(98, 500, SELL, MARKET_TRADE)
    assert trades(overlay) == [(0, ours, 100, 6)]


def test_the_better_price_is_filled_first_and_one_trade_is_spent_once():
    overlay = book(bids=((99, 5),), asks=((105, 5),))
    low, high = resting(overlay, BUY, 100, 6), resting(overlay, BUY, 101, 6)
    overlay.trade(100, 8, SELL, MARKET_TRADE)
    assert trades(overlay) == [(0, high, 101, 6), (0, low, 100, 2)]


def test_of_two_own_orders_at_one_price_the_older_fills_first():
    overlay = book(bids=((99, 5),))
    first, second = resting(overlay, BUY, 100, 6), resting(overlay, BUY, 100, 6)
    overlay.trade(100, 8, SELL, MARKET_TRADE)
    assert trades(overlay) == [(0, first, 100, 6), (0, second, 100, 2)]


@pytest.mark.parametrize(
    "origin",
    [
        TradeOrigin.ORIGIN_NONE,
        TradeOrigin.ORIGIN_RPI,
        TradeOrigin.ORIGIN_LIQUIDATION,
        TradeOrigin.ORIGIN_INSURANCE,
        TradeOrigin.ORIGIN_UNKNOWN,
    ],
)
def test_trades_that_never_met_the_book_fill_nothing(origin):
    overlay = book()
    resting(overlay, BUY, 100, 10)
    overlay.trade(50, 1000, SELL, origin)
    assert trades(overlay) == []


def test_a_trade_without_price_or_quantity_fills_nothing():
    overlay = book()
    resting(overlay, BUY, 100, 10)
    overlay.trade(0, 0, SELL, MARKET_TRADE)
    overlay.trade(0, 10, SELL, MARKET_TRADE)
    assert trades(overlay) == []


def test_a_buyer_does_not_fill_our_bid():
    overlay = book()
    resting(overlay, BUY, 100, 10)
    overlay.trade(100, 1000, BUY, MARKET_TRADE)
    assert trades(overlay) == []


@pytest.mark.parametrize("by", ["best", "delta"])
def test_the_opposite_side_crossing_us_fills_us_at_our_price(by):
    overlay = book()
    ours = resting(overlay, BUY, 100, 10)
    if by == "best":
        overlay.best(1001, 98, 5, 99, 30)
    else:
        overlay.delta(1001, [(100, 0), (99, 0)], [(99, 30)])
    assert trades(overlay) == [(0, ours, 100, 10)]


def test_crossing_quantity_is_used_once_until_the_recording_changes_it():
    overlay = book()
    ours = resting(overlay, BUY, 100, 10)
    overlay.best(1001, 98, 5, 99, 4)
    assert trades(overlay) == [(0, ours, 100, 4)]
    overlay.best(1002, 98, 6, 99, 4)
    assert trades(overlay) == []
    overlay.best(1003, 98, 6, 99, 5)
    assert trades(overlay) == [(0, ours, 100, 5)]


def test_a_taker_walks_the_recorded_depth_and_what_it_took_is_gone_until_refreshed():
    overlay = book()
    taker = overlay.place_order(OURS, BUY, 102, 50, IOC)
    assert trades(overlay) == [(taker, 0, 101, 30), (taker, 0, 102, 20)]
    again = overlay.place_order(OURS, BUY, 102, 50, IOC)
    assert trades(overlay) == [(again, 0, 102, 40)]
    overlay.delta(1001, [], [(101, 31)])
    third = overlay.place_order(OURS, BUY, 101, 50, IOC)
    assert trades(overlay) == [(third, 0, 101, 31)]


def test_what_does_not_trade_expires_for_ioc_and_market_and_rests_for_gtc():
    overlay = book()
    for tif, reason in ((IOC, Expiry.EXPIRY_IOC), (MARKET, Expiry.EXPIRY_MARKET)):
        overlay.place_order(OURS, BUY, 100, 5, tif)
        events = overlay.drain()
        assert [(e.kind, e.reason) for e in events] == [(Kind.EVENT_ACCEPTED, 0), (Kind.EVENT_EXPIRED, reason)]
    ours = overlay.place_order(OURS, BUY, 101, 40, GTC)
    assert trades(overlay) == [(ours, 0, 101, 30)]
    assert overlay.order(ours) == (OURS, BUY, 101, 10, 30)


def test_post_only_is_refused_by_the_recording_and_by_own_orders():
    overlay = book()
    assert overlay.place_order(OURS, BUY, 101, 1, GTX) == Refusal.REFUSED_POST_ONLY
    wide = book(asks=((110, 5),))
    resting(wide, SELL, 105, 5)
    assert wide.place_order(OURS, BUY, 105, 1, GTX) == Refusal.REFUSED_POST_ONLY
    assert wide.place_order(OURS, BUY, 104, 1, GTX) > 0


def test_fill_or_kill_needs_the_whole_quantity_at_once():
    overlay = book()
    assert overlay.place_order(OURS, BUY, 101, 31, FOK) == Refusal.REFUSED_FILL_OR_KILL
    assert overlay.drain() == []
    taker = overlay.place_order(OURS, BUY, 101, 30, FOK)
    assert trades(overlay) == [(taker, 0, 101, 30)]
    assert overlay.place_order(OURS, BUY, 101, 1, FOK) == Refusal.REFUSED_FILL_OR_KILL


@pytest.mark.parametrize(
    ("mode", "expired"),
    [
        (SelfTrade.SELF_TRADE_EXPIRE_MAKER, {"maker"}),
        (SelfTrade.SELF_TRADE_EXPIRE_TAKER, {"taker"}),
        (SelfTrade.SELF_TRADE_EXPIRE_BOTH, {"maker", "taker"}),
    ],
)
def test_an_own_order_in_the_way_expires_as_the_taker_chose(mode, expired):
    overlay = book(asks=((110, 5),))
    maker = resting(overlay, SELL, 105, 5)
    taker = overlay.place_order(OURS, BUY, 106, 5, GTC, mode)
    names = {maker: "maker", taker: "taker"}
    events = overlay.drain()
    assert {names[e.order_id] for e in events if e.kind == Kind.EVENT_EXPIRED} == expired
    assert not [e for e in events if e.kind == Kind.EVENT_TRADE]


def test_an_amended_order_goes_to_the_end_of_the_queue():
    overlay = book()
    ours = resting(overlay, BUY, 100, 10)
    overlay.trade(100, 45, SELL, MARKET_TRADE)
    assert overlay.front_lots(ours) == 5
    overlay.amend_order(ours, 100, 8)
    assert overlay.front_lots(ours) == 50
    overlay.amend_order(ours, 101, 8)  # would take: a post-only order is cancelled
    assert overlay.order(ours) is None


def test_an_old_depth_change_does_not_undo_newer_best_prices():
    overlay = book()
    overlay.best(1010, 100, 50, 103, 7)
    overlay.delta(1005, [], [(101, 25), (103, 9)])
    assert overlay.top(SELL) == [(103, 7)]
    overlay.delta(1010, [], [(103, 8)])
    assert overlay.top(SELL) == [(103, 8)]


def expired(overlay):
    """Return (order, reason, lots filled before) of what expired since the last call."""
    return [
        (e.order_id, e.reason, e.qty_lots - e.remaining_lots) for e in overlay.drain() if e.kind == Kind.EVENT_EXPIRED
    ]


def reducing(overlay, side, price, lots, tif=GTC):
    return overlay.place_order(OURS, side, price, lots, tif, position=3, reduces=True)


@pytest.mark.parametrize("by", ["trade", "best"])
def test_the_recording_fills_a_reduce_only_order_down_to_flat_and_no_further(by):
    overlay = book()
    overlay.set_position(3, 4)
    ours = reducing(overlay, SELL, 101, 10)
    overlay.drain()
    if by == "trade":
        overlay.trade(102, 60, BUY, MARKET_TRADE)
    else:
        overlay.best(1001, 102, 60, 103, 5)
    assert expired(overlay) == [(ours, Expiry.EXPIRY_REDUCE_ONLY, 4)]
    assert overlay.position_lots(3) == 0


def test_a_reduce_only_taker_stops_at_flat_and_leaves_the_rest_of_the_level():
    overlay = book()
    overlay.set_position(3, -12)
    taker = reducing(overlay, BUY, 101, 20)
    assert expired(overlay) == [(taker, Expiry.EXPIRY_REDUCE_ONLY, 12)]
    assert (overlay.top(SELL), overlay.standing(SELL)) == ([(101, 30)], [(101, 18)])


def test_fill_or_kill_counts_accounts_orders_and_is_left_alone_by_self_trade_prevention():
    overlay = book()
    overlay.set_position(3, 5)
    reducing(overlay, SELL, 101, 9)
    assert overlay.place_order(2, BUY, 101, 36, FOK) == Refusal.REFUSED_FILL_OR_KILL
    overlay.drain()
    ours = overlay.place_order(OURS, BUY, 101, 35, FOK, SelfTrade.SELF_TRADE_EXPIRE_BOTH)
    assert [lots for taker, _, _, lots in trades(overlay) if taker == ours] == [30, 5]


def test_a_taker_finds_the_recording_less_what_was_taken_and_the_accounts_orders():
    overlay = book()
    overlay.place_order(OURS, BUY, 101, 30, IOC)
    overlay.place_order(OURS, SELL, 102, 5, GTC)
    overlay.place_order(OURS, SELL, 104, 7, GTC)
    assert overlay.standing(SELL, 5) == [(102, 65), (104, 7)]
    assert overlay.standing(SELL) == [(102, 65)]
    assert overlay.top(SELL, 5) == [(101, 30), (102, 60)]
    assert overlay.standing(BUY, 2) == [(100, 50), (99, 40)]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nothing_fills_worse_than_its_price_or_more_than_its_quantity_or_its_position(data):
    overlay = book("power3")
    placed, filled = {}, {}
    positions = {1: 0, 2: 0}  # numbered as their owners
    for update_id in range(1001, 1041):
        what = data.draw(st.sampled_from(["place", "place", "trade", "delta", "best", "cancel", "amend"]))
        if what == "place":
            side, price = data.draw(st.sampled_from([BUY, SELL])), data.draw(st.integers(95, 106))
            lots, tif = data.draw(st.integers(1, 30)), data.draw(st.sampled_from([GTC, GTC, IOC, GTX, FOK, MARKET]))
            owner, stp, reduces = data.draw(st.integers(1, 2)), data.draw(st.integers(0, 3)), data.draw(st.booleans())
            order_id = overlay.place_order(owner, side, price, lots, tif, stp, owner, reduces)
            if order_id > 0:
                placed[order_id] = [owner, side, price, lots, reduces]
        elif what == "trade":
            lots, side = data.draw(st.integers(1, 60)), data.draw(st.sampled_from([BUY, SELL]))
            overlay.trade(data.draw(st.integers(95, 106)), lots, side, MARKET_TRADE)
        elif what == "delta":
            bid = data.draw(st.integers(95, 104))
            overlay.delta(update_id, [(bid, data.draw(st.integers(0, 50)))], [(bid + 2, data.draw(st.integers(0, 50)))])
        elif what == "best":
            bid = data.draw(st.integers(95, 104))
            overlay.best(update_id, bid, data.draw(st.integers(1, 50)), bid + 1, data.draw(st.integers(1, 50)))
        elif placed:
            order_id = data.draw(st.sampled_from(sorted(placed)))
            if what == "cancel":
                overlay.cancel_order(order_id)
            else:
                price, lots = data.draw(st.integers(95, 106)), data.draw(st.integers(1, 30))
                if overlay.amend_order(order_id, price, lots) > 0:
                    placed[order_id][2:4] = price, max(lots, filled.get(order_id, 0))
        for event in overlay.drain():
            if event.kind != Kind.EVENT_TRADE:
                continue
            assert event.qty_lots > 0
            for order_id in filter(None, (event.order_id, event.maker_id)):
                owner, side, price, _, reduces = placed.get(order_id, (0, 0, 0, 0, False))
                assert side * (price - event.price_ticks) >= 0
                assert not reduces or -side * positions[owner] >= event.qty_lots
                positions[owner] += side * event.qty_lots
                filled[order_id] = filled.get(order_id, 0) + event.qty_lots
                assert filled[order_id] <= placed[order_id][3]
        assert {owner: overlay.position_lots(owner) for owner in positions} == positions
