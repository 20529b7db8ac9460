"""The six finishing steps, each against a small reference and for what it promises."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quoting import own, params

from phx._core.enums import OrderState
from phx._core.ladder_finish import Draft, capacity
from phx._core.records import ABSENT_PRICE_TICKS

SIDES = (1, -1)
WIDE = {
    "reservation_ticks": 1e9,
    "tolerance_ticks": 5.0,
    "growth": 1.2,
    "queue_ticks": 0.0,
    "nearest_ticks": 0.0,
    "limit_ticks": 10**9,
}


def band(side, **changes):
    """A keep band that leaves everything to the tolerance."""
    return WIDE | {"reservation_ticks": side * 1e9, "limit_ticks": side * 10**9} | changes


def shown(draft):
    return [(price, qty) for _, price, qty, _ in draft.layers]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return params(
        tmp_path_factory.mktemp("params"),
        near_size_lots=6,
        far_size_lots=12,
        near_layers=8,
        far_layers=8,
        min_qty_lots=1,
        min_notional_ticklots=0,
        net_max_lots=100,
        worst_case=0.9,
    )


# ---- our live orders, by side


@given(st.lists(st.tuples(st.sampled_from(SIDES), st.integers(1, 50), st.integers(0, 9)), max_size=128))
def test_live_orders_stand_nearest_first_and_closed_or_filled_ones_not_at_all(orders):
    for side in SIDES:
        expected = sorted((side * price, lots) for s, price, lots in orders if s == side and lots)
        found = [(side * price, lots) for price, lots, _ in Draft(side, own(orders)).live_orders]
        assert sorted(found) == expected
        assert [price for price, _ in found] == sorted((price for price, _ in expected), reverse=True)


def test_a_market_order_counts_but_has_no_price():
    take = {"side": 1, "price_ticks": ABSENT_PRICE_TICKS, "remaining_lots": 5, "layer": 255}
    draft = Draft(1, own([take]), [(100, 6)])
    assert draft.live_orders == []
    draft.trim_worst_case(6)
    assert shown(draft) == [(100, 1)]


# ---- 1. round away


def test_bids_are_rounded_down_and_asks_up(plain):
    bids, asks = Draft(1, own()), Draft(-1, own())
    bids.round_away(100.5, [1.0, 2.2], plain)
    asks.round_away(100.5, [1.0, 2.2], plain)
    assert [price for price, _ in shown(bids)] == [99, 98]
    assert [price for price, _ in shown(asks)] == [102, 103]


def test_near_layers_have_the_near_size_and_far_layers_the_far_size(plain):
    draft = Draft(1, own())
    draft.round_away(1000, [float(i) for i in range(10)], plain)
    assert [qty for _, qty in shown(draft)] == [6] * 8 + [12] * 2


@pytest.mark.parametrize("reservation", [math.nan, math.inf, -math.inf])
def test_a_price_that_is_no_number_makes_no_layer(plain, reservation):
    for side in SIDES:
        draft = Draft(side, own())
        draft.round_away(reservation, [1.0], plain)
        assert draft.layers == []


@given(st.floats(1, 1e7), st.lists(st.floats(0.5, 1e6), min_size=1, max_size=32))
def test_no_layer_is_nearer_than_its_distance_nor_a_whole_tick_farther(plain, reservation, distances):
    distances.sort()
    for side in SIDES:
        draft = Draft(side, own())
        draft.round_away(reservation, distances, plain)
        for rung, price, _, _ in draft.layers:
            assert price >= 1
            off = side * (reservation - price) - distances[rung]
            assert -1e-9 <= off < 1 + 1e-9


# ---- 2. post-only clamp


def test_a_side_that_would_cross_is_shifted_whole():
    draft = Draft(1, own(), [(105, 6), (104, 6), (101, 6)])
    assert draft.clamp_post_only(100) == 5
    assert [price for price, _ in shown(draft)] == [100, 99, 96]
    draft = Draft(-1, own(), [(95, 6), (97, 6)])
    assert draft.clamp_post_only(101) == 6
    assert [price for price, _ in shown(draft)] == [101, 103]


@pytest.mark.parametrize("side", SIDES)
def test_a_side_at_its_limit_is_not_touched(side):
    draft = Draft(side, own(), [(100, 6), (100 - side, 6)])
    assert draft.clamp_post_only(100) == 0
    assert [price for price, _ in shown(draft)] == [100, 100 - side]


# ---- refused layers


@pytest.mark.parametrize("side", SIDES)
def test_a_refused_layer_goes_farther_out_and_the_side_is_in_order_again(side):
    draft = Draft(side, own(), [(1000, 6), (1000 - side, 7), (1000 - 5 * side, 8)])
    draft.widen_refused([3])
    assert [(rung, price, qty) for rung, price, qty, _ in draft.layers] == [
        (1, 1000 - side, 7),
        (0, 1000 - 3 * side, 6),
        (2, 1000 - 5 * side, 8),
    ]


def test_widening_beyond_zero_leaves_no_layer_without_a_price():
    draft = Draft(1, own(), [(5, 6), (4, 6), (3, 6)])
    draft.widen_refused([0, 4, 2])
    assert shown(draft) == [(5, 6), (1, 6)]


@given(
    st.sampled_from(SIDES),
    st.lists(st.integers(0, 30), min_size=1, max_size=32),
    st.lists(st.integers(0, 40), min_size=32, max_size=32),
)
def test_widening_moves_every_layer_by_its_own_ticks_and_never_inward(side, offsets, ticks):
    prices = [1000 - side * offset for offset in sorted(offsets)]
    draft = Draft(side, own(), [(price, 1 + rung) for rung, price in enumerate(prices)])
    draft.widen_refused(ticks)
    found = draft.layers
    assert sorted(rung for rung, *_ in found) == list(range(len(prices)))
    assert all(price == prices[rung] - side * ticks[rung] and qty == 1 + rung for rung, price, qty, _ in found)
    assert [side * price for _, price, *_ in found] == sorted((side * price for _, price, *_ in found), reverse=True)


# ---- 3. merge, minima


def test_layers_on_one_tick_become_one_up_to_the_largest_size():
    draft = Draft(1, own(), [(100, 6), (100, 6), (100, 6), (99, 6), (98, 12), (98, 12)])
    assert draft.merge_ticks(13) == 3
    assert [(rung, price, qty) for rung, price, qty, _ in draft.layers] == [(0, 100, 13), (3, 99, 6), (4, 98, 13)]


def test_merging_never_cuts_a_layer_that_was_larger_alone():
    draft = Draft(1, own(), [(100, 20), (100, 20)])
    draft.merge_ticks(13)
    assert shown(draft) == [(100, 20)]


def test_layers_below_a_minimum_go_and_those_at_it_stay():
    draft = Draft(1, own(), [(100, 5), (99, 5), (98, 4), (97, 6)])
    assert draft.drop_small(5, 0) == 1
    assert draft.drop_small(0, 500) == 1
    assert shown(draft) == [(100, 5), (97, 6)]


# ---- 4. the worst case


@pytest.mark.parametrize(
    ("side", "position", "allowance", "expected"),
    [
        (1, 0, 1000, 90),
        (1, 60, 1000, 30),
        (-1, 60, 1000, 150),
        (1, 95, 1000, 0),  # beyond the worst case already: nothing that adds
        (-1, 95, 1000, 185),
        (-1, -60, 1000, 30),
        (1, 0, 40, 40),  # the account's limits are nearer
        (-1, 60, 40, 100),  # they bind only what adds
        (-1, 60, 0, 60),
        (-1, 60, -5, 60),
        (1, 0, 0, 0),
    ],
)
def test_capacity_is_the_room_to_the_worst_case_and_reducing_is_always_allowed(
    plain, side, position, allowance, expected
):
    assert capacity(side, position, allowance, plain) == expected


def trimmed(side, layers, room, live=(), match=None, min_ticklots=0):
    draft = Draft(side, own([(side, *order) for order in live]), layers)
    draft.match_orders(match or band(side, tolerance_ticks=0.0))
    gone = draft.trim_worst_case(room, 1, min_ticklots)
    return draft, gone


def test_trimming_begins_at_the_far_end_and_cuts_the_last_one_in_part():
    draft, gone = trimmed(1, [(100, 6), (99, 6), (98, 6), (97, 6)], 15)
    assert shown(draft) == [(100, 6), (99, 6), (98, 3)]
    assert gone == 1


def test_all_may_go():
    draft, gone = trimmed(1, [(100, 6), (99, 6)], 0)
    assert shown(draft) == []
    assert gone == 2


def test_an_order_on_its_way_out_still_counts():
    leaving = {"side": 1, "price_ticks": 90, "remaining_lots": 10, "state": OrderState.ORDER_PENDING_CANCEL}
    draft = Draft(1, own([leaving]), [(100, 6), (99, 6)])
    draft.match_orders(band(1))
    draft.trim_worst_case(18)
    assert shown(draft) == [(100, 6), (99, 2)]


@pytest.mark.parametrize("state", [OrderState.ORDER_UNKNOWN, OrderState.ORDER_PENDING_CANCEL])
def test_unknown_and_leaving_orders_serve_no_layer_and_count_in_full(state):
    order = {"side": 1, "price_ticks": 100, "remaining_lots": 6, "state": state}
    draft = Draft(1, own([order]), [(100, 6)])
    draft.match_orders(band(1))
    draft.trim_worst_case(6)
    assert shown(draft) == []


@pytest.mark.parametrize("state", [OrderState.ORDER_OPEN, OrderState.ORDER_PENDING_NEW, OrderState.ORDER_PENDING_AMEND])
def test_an_order_that_serves_a_layer_counts_once(state):
    order = {"side": 1, "price_ticks": 100, "remaining_lots": 6, "state": state}
    draft = Draft(1, own([order]), [(100, 6)])
    draft.match_orders(band(1))
    draft.trim_worst_case(6)
    assert shown(draft) == [(100, 6)]


def test_a_near_layer_waits_until_the_far_order_it_displaces_has_gone():
    # The far order is no longer wanted, but it is live: the near layer gets its room a decision later.
    draft, _ = trimmed(1, [(100, 6), (90, 6)], 6, live=[(90, 6)])
    assert shown(draft) == []
    draft, _ = trimmed(1, [(100, 6), (90, 6)], 6)
    assert shown(draft) == [(100, 6)]


def test_a_part_below_the_venues_minimum_is_dropped_unless_the_venue_exempts_it():
    layers = [(100, 6), (99, 6)]
    assert shown(trimmed(1, layers, 9, min_ticklots=400)[0]) == [(100, 6)]
    assert shown(trimmed(1, layers, 9, min_ticklots=297)[0]) == [(100, 6), (99, 3)]
    # What only reduces has no smallest value: its caller asks for none.
    assert shown(trimmed(1, layers, 9)[0]) == [(100, 6), (99, 3)]


layer_lists = st.lists(st.integers(1, 20), min_size=1, max_size=16).map(
    lambda sizes: [(1000 - 10 * i, size) for i, size in enumerate(sizes)]
)
live_lists = st.lists(st.tuples(st.integers(800, 1000), st.integers(1, 20)), max_size=10)


@settings(max_examples=300, deadline=None)
@given(layer_lists, live_lists, st.integers(0, 400), st.floats(0, 30))
def test_wanted_and_live_together_never_exceed_the_room(layers, live, room, tolerance):
    draft, _ = trimmed(1, layers, room, live, band(1, tolerance_ticks=tolerance))
    remaining = [lots for _, lots, _ in draft.live_orders]
    added = sum(qty - (min(qty, remaining[order]) if order >= 0 else 0) for _, _, qty, order in draft.layers)
    assert sum(qty for _, qty in shown(draft)) <= room
    assert added == 0 or sum(remaining) + added <= room


@settings(max_examples=200, deadline=None)
@given(layer_lists, st.integers(0, 400))
def test_without_live_orders_what_is_left_is_the_near_end_of_what_was_wanted(layers, room):
    draft, _ = trimmed(1, layers, room)
    expected, left = [], room
    for price, qty in layers:
        if min(qty, left) > 0:
            expected.append((price, min(qty, left)))
        left -= min(qty, left)
    assert shown(draft) == expected


# ---- 5. own cross


@pytest.mark.parametrize("side", SIDES)
def test_layers_at_or_through_our_own_order_of_the_other_side_go(side):
    draft = Draft(side, own([(-side, 100, 5), (-side, 100 + side * 3, 5)]), [(100 - side * i, 6) for i in range(-1, 3)])
    assert draft.drop_own_cross() == 2
    assert [price for price, _ in shown(draft)] == [100 - side, 100 - 2 * side]


def test_an_order_of_the_other_side_counts_until_it_is_gone():
    leaving = {"side": -1, "price_ticks": 100, "remaining_lots": 5, "state": OrderState.ORDER_PENDING_CANCEL}
    draft = Draft(1, own([leaving]), [(100, 6)])
    assert draft.drop_own_cross() == 1


# ---- 6. keep


def kept(side, layers, live, places=(), **changes):
    draft = Draft(side, own([(side, *order) for order in live]), layers)
    draft.match_orders(band(side, **changes), places)
    draft.keep_prices()
    return draft


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("off", "stays"), [(-5, True), (-6, False), (5, True), (6, False), (0, True)])
def test_a_layer_reuses_a_live_price_within_the_tolerance_outward_and_inward(side, off, stays):
    draft = kept(side, [(1000, 6)], [(1000 + off, 6)])
    assert shown(draft) == [(1000 + off if stays else 1000, 6)]


@pytest.mark.parametrize(("rung", "off", "stays"), [(0, 6, False), (1, 6, True), (3, 8, True), (3, 9, False)])
def test_the_tolerance_grows_with_the_rung(rung, off, stays):
    layers = [(1000 - 100 * i, 6) for i in range(4)]
    draft = kept(1, layers, [(1000 - 100 * rung + off, 6)])
    assert ((1000 - 100 * rung + off, 6) in shown(draft)) == stays


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("distance", "stays"), [(10, True), (9, False)])
def test_a_kept_order_is_never_nearer_the_reservation_than_allowed(side, distance, stays):
    layers = [(1000 - side * 12, 6)]
    draft = kept(side, layers, [(1000 - side * distance, 6)], reservation_ticks=1000.0, nearest_ticks=10.0)
    assert (draft.layers[0][3] >= 0) == stays


@pytest.mark.parametrize("side", SIDES)
def test_a_kept_order_never_lies_beyond_the_post_only_limit(side):
    assert kept(side, [(1000, 6)], [(1000 + side, 6)], limit_ticks=1000).layers[0][3] == -1
    assert kept(side, [(1000, 6)], [(1000 + side, 6)], limit_ticks=1000 + side).layers[0][3] == 0


def test_one_order_serves_one_layer():
    draft = kept(1, [(1000, 6), (998, 6)], [(999, 6)])
    assert shown(draft) == [(999, 6), (998, 6)]


def test_the_closest_order_is_kept():
    assert shown(kept(1, [(1000, 6)], [(1003, 6), (999, 6), (997, 6)])) == [(999, 6)]


def test_an_order_larger_than_its_layer_is_not_kept_since_it_would_be_replaced():
    assert shown(kept(1, [(1000, 6)], [(999, 7)])) == [(1000, 6)]


def test_takes_and_reduce_only_orders_serve_no_layer():
    for odd in ({"layer": 255}, {"reduce_only": 1}):
        draft = Draft(1, own([{"side": 1, "price_ticks": 999, "remaining_lots": 6} | odd]), [(1000, 6)])
        draft.match_orders(band(1))
        assert draft.layers[0][3] == -1


# What a place in the queue is worth, with a tolerance of 5 ticks and 8 for the very front.


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("off", "place", "stays"),
    [(5, 0.0, True), (6, 0.0, False), (9, 0.5, True), (10, 0.5, False), (13, 1.0, True), (14, 1.0, False)],
)
@pytest.mark.parametrize("way", [1, -1], ids=["outward", "inward"])
def test_beyond_the_tolerance_an_edge_is_held_against_the_place_in_the_queue(side, off, place, stays, way):
    draft = kept(side, [(1000, 6)], [(1000 - side * way * off, 6)], [place], queue_ticks=8.0)
    assert (draft.layers[0][3] >= 0) == stays


def test_the_best_placed_of_two_orders_is_kept_where_the_edge_between_them_is_smaller():
    live = [(1002, 6), (998, 6)]
    assert shown(kept(1, [(1000, 6)], live, [0.0, 0.5], queue_ticks=4.0)) == [(998, 6)]
    assert shown(kept(1, [(1000, 6)], live, [0.5, 0.0], queue_ticks=4.0)) == [(1002, 6)]
    assert shown(kept(1, [(1000, 6)], [(1001, 6), (996, 6)], [0.0, 0.5], queue_ticks=4.0)) == [(1001, 6)]


def test_only_layers_kept_for_their_place_alone_are_counted():
    draft = Draft(1, own([(1, 1000, 6), (1, 987, 6), (1, 977, 6)]), [(1000, 6), (995, 6), (980, 6)])
    assert draft.match_orders(band(1, tolerance_ticks=5.0, growth=1.0, queue_ticks=8.0), [1.0, 1.0, 1.0]) == 1
    assert [order for *_, order in draft.layers] == [0, 1, 2]


@pytest.mark.parametrize("side", SIDES)
def test_no_place_is_worth_coming_too_near_taking_or_being_too_large(side):
    worth = {"places": [1.0], "queue_ticks": 100.0, "reservation_ticks": 1000.0 + 12 * side}
    assert kept(side, [(1000, 6)], [(1000 + side * 2, 6)], nearest_ticks=10.0, **worth).layers[0][3] == 0
    assert kept(side, [(1000, 6)], [(1000 + side * 3, 6)], nearest_ticks=10.0, **worth).layers[0][3] == -1
    assert kept(side, [(1000, 6)], [(1000 + side, 6)], limit_ticks=1000, **worth).layers[0][3] == -1
    assert kept(side, [(1000, 6)], [(1000 - side, 7)], **worth).layers[0][3] == -1


def matched_slowly(side, layers, live, places, band):
    """The keep rule as a trader says it; returns which live order serves each layer, in the order of the layers."""
    free = [i for i, (price, lots) in enumerate(live)]
    found = {}
    for n, (price, qty) in enumerate(layers):
        at_it = [i for i in free if live[i][0] == price]
        fitting = [i for i in at_it if live[i][1] <= qty]
        if fitting:
            found[n] = fitting[0]
        free = [i for i in free if live[i][0] != price]
    for n, (price, qty) in enumerate(layers):
        tolerance = band["tolerance_ticks"]
        for _ in range(n):
            tolerance *= band["growth"]
        costs = {
            i: abs(price - live[i][0]) - places[i] * band["queue_ticks"]
            for i in free
            if live[i][1] <= qty
            and side * (live[i][0] - band["limit_ticks"]) <= 0
            and side * (band["reservation_ticks"] - live[i][0]) >= band["nearest_ticks"]
        }
        costs = {i: cost for i, cost in costs.items() if cost <= tolerance}
        if n not in found and costs:
            found[n] = min(costs, key=lambda i: (costs[i], i))
            free = [i for i in free if live[i][0] != live[found[n]][0]]
    return [found.get(n, -1) for n in range(len(layers))]


wanted_lists = st.lists(
    st.tuples(st.integers(1, 40), st.integers(1, 12)), min_size=1, max_size=16, unique_by=lambda x: x[0]
).map(sorted)
queued_lists = st.lists(
    st.tuples(st.integers(1, 60), st.integers(1, 12), st.sampled_from([0, 0.2, 0.75, 1])), max_size=16
)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(SIDES), wanted_lists, queued_lists, st.floats(0, 15), st.floats(1, 1.3), st.floats(0, 20))
def test_the_keep_rule_is_what_a_trader_would_do_order_by_order(side, wanted, live, tolerance, growth, queue_ticks):
    layers = [(1000 - side * distance, qty) for distance, qty in wanted]
    live = sorted(live, key=lambda x: x[0])
    orders = [(1000 - side * distance, qty) for distance, qty, _ in live]
    places = [place for *_, place in live]
    limits = {
        "reservation_ticks": 1000.0 + side * 2,
        "tolerance_ticks": tolerance,
        "growth": growth,
        "queue_ticks": queue_ticks,
        "nearest_ticks": 5.0,
        "limit_ticks": 1000 - side * 4,
    }
    draft = Draft(side, own([(side, *order) for order in orders]), layers)
    draft.match_orders(limits, places)
    assert [order for *_, order in draft.layers] == matched_slowly(side, layers, orders, places, limits)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SIDES), wanted_lists, queued_lists, st.floats(0, 15), st.floats(0, 20))
def test_valuing_the_queue_keeps_its_own_result(side, wanted, live, tolerance, queue_ticks):
    layers = [(1000 - side * distance, qty) for distance, qty in wanted]
    place_at = {1000 - side * distance: place for distance, _, place in live}
    changes = {
        "reservation_ticks": 1000.0,
        "tolerance_ticks": tolerance,
        "nearest_ticks": float(wanted[0][0]),
        "queue_ticks": queue_ticks,
    }

    def again(orders):
        orders = sorted(orders, key=lambda order: -side * order[0])
        return kept(side, layers, orders, [place_at.get(price, 0) for price, _ in orders], **changes)

    first = again([(1000 - side * distance, qty) for distance, qty, _ in live])
    second = again(shown(first))
    assert [layer[:3] for layer in second.layers] == [layer[:3] for layer in first.layers]
    assert all(order >= 0 for _, _, _, order in second.layers)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(SIDES),
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 12)), min_size=1, max_size=16, unique_by=lambda x: x[0]),
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 12)), max_size=16),
    st.floats(0, 15),
    st.floats(1, 1.3),
)
def test_keeping_again_what_was_kept_changes_nothing(side, wanted, live, tolerance, growth):
    wanted = sorted(wanted)
    layers = [(1000 - side * distance, qty) for distance, qty in wanted]
    changes = {
        "reservation_ticks": 1000.0,
        "tolerance_ticks": tolerance,
        "growth": growth,
        "nearest_ticks": float(wanted[0][0]),
    }
    first = kept(side, layers, [(1000 - side * distance, qty) for distance, qty in live], **changes)
    prices = [price for price, _ in shown(first)]
    assert prices == sorted(set(prices), reverse=side == 1), "nearest first, one layer per price"
    second = kept(side, layers, shown(first), **changes)
    assert [layer[:3] for layer in second.layers] == [layer[:3] for layer in first.layers]
    assert all(order >= 0 for _, _, _, order in second.layers)
