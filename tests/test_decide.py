"""decide as a whole: golden ladders, and what holds for every market, inventory and table of live orders."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quoting import market, own, params, sides

from phx._core.asmm import anchored_ratio
from phx._core.decide import decide_ladder
from phx._core.enums import Mode, OrderState, QuotingModel, Reason

NOW = 5_000_000_000
LEAVING = OrderState.ORDER_PENDING_CANCEL


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return params(tmp_path_factory.mktemp("params"), min_notional_ticklots=5_000)


@pytest.fixture
def golden(tmp_path):
    """The strategy's ladder at 3000: ticks of 0.0001, so that rounding does not blur the printed digits."""
    sizes = {"near_size_lots": 100, "net_max_lots": 10_000, "max_order_lots": 10_000, "max_order_notional_e8": 2**60}
    return params(tmp_path, far_layers=0, vol_gain=0.0, **sizes)


def distances(ladder, reservation):
    return {side: [side * (reservation - price) / 10_000 for price, _ in sides(ladder)[side]] for side in (1, -1)}


@pytest.mark.parametrize(("min_spread", "expected"), [(0.0002, [0.99, 1.1385]), (0.0007, [1.05, 1.1985])])
def test_the_golden_distances_at_3000(golden, min_spread, expected):
    golden["min_spread"] = min_spread
    ladder, verdict = decide_ladder(market(30_000_000.0), own(), golden, NOW)
    assert verdict["quote"]["reservation_ticks"] == 30_000_000
    for side in (1, -1):
        assert distances(ladder, 30_000_000)[side][:2] == pytest.approx(expected, abs=1.01e-4)


def test_volatility_stretches_the_whole_ladder(golden):
    golden["vol_gain"] = 50.0
    ladder, _ = decide_ladder(market(30_000_000.0, sigma_30m=0.01), own(), golden, NOW)
    assert distances(ladder, 30_000_000)[1][:2] == pytest.approx([1.5 * 0.99, 1.5 * 1.1385], abs=1.01e-4)


def test_a_quiet_flat_quoter_shows_all_layers_symmetrically(plain):
    ladder, _ = decide_ladder(market(), own(), plain, NOW)
    bids, asks = sides(ladder)[1], sides(ladder)[-1]
    assert len(bids) == len(asks) == 16
    assert [650_000 - p for p, _ in bids] == [p - 650_000 for p, _ in asks]
    assert [q for _, q in bids] == [q for _, q in asks] == [6] * 8 + [12] * 8
    assert (ladder["mode"][0], ladder["reason"][0]) == (Mode.MODE_NORMAL, Reason.REASON_NONE)
    assert (ladder["decided_mono_ns"][0], ladder["params_version"][0]) == (NOW, 1)


def test_inventory_skews_both_sides_and_thins_the_adding_one(plain):
    flat, _ = decide_ladder(market(), own(), plain, NOW)
    long, verdict = decide_ladder(market(skew_anchor=0.5), own(position=150), plain, NOW)
    assert verdict["ratio"] == 0.5
    assert len(sides(long)[1]) == 11 and len(sides(long)[-1]) == 16
    assert all(b[0] < a[0] for side in (1, -1) for a, b in zip(sides(flat)[side], sides(long)[side], strict=False))


def test_inventory_at_the_worst_case_leaves_only_the_reducing_side(plain):
    ladder, verdict = decide_ladder(market(skew_anchor=0.9), own(position=270), plain, NOW)
    assert sides(ladder)[1] == []
    assert len(sides(ladder)[-1]) == 16
    assert ladder["reason"][0] == Reason.REASON_WORST_CASE
    assert verdict["bids_trimmed_away"] and not verdict["asks_trimmed_away"]


def test_a_position_beyond_every_limit_still_has_its_exits(plain):
    ladder, _ = decide_ladder(market(skew_anchor=-1.0), own(position=-900, allowance=0), plain, NOW)
    assert sides(ladder)[-1] == []
    assert sum(qty for _, qty in sides(ladder)[1]) == 144


def test_layers_on_one_tick_are_merged_when_the_tick_is_coarse(plain):
    ladder, verdict = decide_ladder(market(2_000.0), own(), plain, NOW)
    assert verdict["merged_layers"] > 0
    prices = [price for price, _ in sides(ladder)[1]]
    assert len(prices) == len(set(prices))
    assert max(qty for _, qty in sides(ladder)[1][:2]) <= 13


def test_a_strong_skew_shifts_the_side_instead_of_piling_it_up(plain):
    ladder, verdict = decide_ladder(market(skew_anchor=1.0), own(position=270), plain, NOW)
    asks = [price for price, _ in sides(ladder)[-1]]
    assert verdict["clamped_layers"] == 16
    assert asks[0] == 650_000
    assert len(set(asks)) == 16


def test_decide_refuses_what_it_cannot_divide_by(plain):
    broken = plain.copy()
    broken["net_max_lots"] = 0
    with pytest.raises(ValueError, match="net_max_lots"):
        decide_ladder(market(), own(), broken, NOW)


# ---- what is learned of our own orders


def test_a_scarce_order_budget_follows_the_market_half_as_closely(plain):
    calm, _ = decide_ladder(market(), own(), plain, NOW)
    rows = [(side, price, qty) for side in (1, -1) for price, qty in sides(calm)[side]]
    # The tolerance of the first layer is 0.9 of 214.5 ticks; what lies outward is a matter of edge alone.
    for moved, scarce, stays in [(190, False, True), (200, False, False), (200, True, True), (390, True, False)]:
        ladder, _ = decide_ladder(market(650_000.0 + moved), own(rows), plain, NOW, scarce=scarce)
        assert (sides(ladder)[1][0][0] == sides(calm)[1][0][0]) == stays, (moved, scarce)


def test_scarce_or_not_an_order_that_is_too_near_moves(plain):
    calm, _ = decide_ladder(market(), own(), plain, NOW)
    rows = [(side, price, qty) for side in (1, -1) for price, qty in sides(calm)[side]]
    ladder, _ = decide_ladder(market(650_000.0 - 120), own(rows), plain, NOW, scarce=True)
    assert sides(calm)[1][0][0] not in [price for price, _ in sides(ladder)[1]]


def test_a_models_order_that_came_nearer_rests_down_to_half_its_distance(plain):
    """A model's half spread moves with every breath of its estimates; the smallest configured spread does not."""
    wide = plain.copy()
    wide["near_layers"], wide["far_layers"] = 1, 0
    wide["model"], wide["min_spread"], wide["as_gamma"] = QuotingModel.MODEL_AVELLANEDA_STOIKOV, 0.0001, 0.001
    seen = {"intensity_k_per_tick": 0.01, "intensity_a_per_s": 1.0, "sigma_1s_ticks": 5.0}
    calm, verdict = decide_ladder(market(**seen), own(), wide, NOW)
    distance = verdict["quote"]["distance_0_ticks"]
    assert distance == verdict["quote"]["half_spread_ticks"] > 2 * 32.5
    rows = [(side, price, qty) for side in (1, -1) for price, qty in sides(calm)[side]]
    for moved, stays in [(-0.4, True), (-0.6, False)]:
        ladder, _ = decide_ladder(market(650_000.0 + moved * distance, **seen), own(rows), wide, NOW)
        assert (sides(calm)[1][0][0] in [price for price, _ in sides(ladder)[1]]) == stays, moved


def test_a_refused_rung_goes_out_even_where_the_clamp_holds_the_side_at_the_touch(plain):
    free, _ = decide_ladder(market(skew_anchor=1.0), own(position=270), plain, NOW)
    ladder, verdict = decide_ladder(market(skew_anchor=1.0), own(position=270), plain, NOW, refused={-1: [7]})
    assert verdict["clamped_layers"] == 16
    assert sides(free)[-1][0][0] == 650_000
    assert sides(ladder)[-1][0][0] == 650_007
    assert sides(ladder)[-1][1:] == sides(free)[-1][1:]
    assert sides(ladder)[1] == sides(free)[1]


def test_the_target_of_the_top_is_told_from_before_the_keep_rule(plain):
    rows = [(1, 649_800, 6), (-1, 650_300, 6)]
    ladder, verdict = decide_ladder(market(), own(rows), plain, NOW)
    assert sides(ladder)[1][0][0] == 649_800
    assert verdict["top_target_ticks"] == [649_785, 650_215]
    assert verdict["top_tolerance_ticks"] == pytest.approx(0.9 * 214.5)


def test_a_place_in_the_queue_is_valued_only_when_configured(plain):
    changed = plain.copy()
    changed["near_layers"], changed["far_layers"] = 1, 0
    calm, _ = decide_ladder(market(), own(), changed, NOW)
    rows = [(side, price, qty) for side in (1, -1) for price, qty in sides(calm)[side]]
    for valued in (1, 0):
        changed["queue_valued"] = valued
        ladder, verdict = decide_ladder(market(650_250.0), own(rows), changed, NOW, places={1: [0.9]})
        assert (sides(ladder)[1] == sides(calm)[1]) == bool(valued)
        assert verdict["queue_kept_layers"] == valued


# ---- for every input

STATES = [
    OrderState.ORDER_PENDING_NEW,
    OrderState.ORDER_OPEN,
    OrderState.ORDER_PENDING_AMEND,
    OrderState.ORDER_PENDING_CANCEL,
    OrderState.ORDER_UNKNOWN,
]
markets = st.builds(
    lambda mid, spread, lean, anchor, sigma, funding: market(
        mid + (spread % 2) / 2,
        spread,
        fair_ticks=mid + lean * spread / 2,
        skew_anchor=anchor,
        sigma_30m=sigma,
        funding=funding,
    ),
    st.integers(5_000, 700_000).map(float),
    st.integers(1, 400),
    st.floats(-1, 1),
    st.floats(-1, 1),
    st.floats(0, 0.03),
    st.floats(-0.001, 0.001),
)
# Live orders as distances from the mid in 1/10,000 of it, so that many lie near a layer.
live = st.lists(
    st.tuples(st.sampled_from([1, -1]), st.integers(2, 300), st.integers(1, 14), st.sampled_from(STATES)), max_size=24
)
positions = st.integers(-400, 400)
shapes = st.sampled_from([{}, {"ladder_shape": 1}, {"far_shape": 1}, {"min_spread": 0.002}, {"near_ratio": 1.01}])


def live_orders(seen, orders):
    mid = seen["mid_ticks"]
    return [
        {
            "side": side,
            "price_ticks": int(mid - side * mid * distance / 10_000),
            "remaining_lots": lots,
            "state": state,
        }
        for side, distance, lots, state in orders
    ]


learned = st.builds(
    lambda place, refused, scarce: {"place": place, "refused": refused, "scarce": scarce},
    st.lists(st.sampled_from([0.0, 0.3, 0.99]), min_size=7, max_size=7),
    st.lists(st.sampled_from([0, 0, 0, 1, 40]), min_size=5, max_size=5),
    st.booleans(),
)


def decided(plain, seen, table, changes, known=None):
    """known: places in the queue, told by an order's price, and how far out the nearest rungs of both sides go."""
    changed = plain.copy()
    for name, value in changes.items():
        changed[name] = value
    if known is None:
        return decide_ladder(seen, table, changed, NOW)
    row, places = table[0], {}
    for side in (1, -1):
        prices = [int(p) for s, p in zip(row["side"], row["price_ticks"], strict=True) if s == side]
        distances = sorted((abs(p - seen["mid_ticks"]), side * p) for p in prices)
        # By distance, so that a mirrored market has mirrored places.
        places[side] = [known["place"][int(2 * distance) % 7] for distance, _ in sorted(distances, key=lambda x: -x[1])]
    refused = {side: known["refused"] for side in (1, -1)}
    return decide_ladder(seen, table, changed, NOW, places, refused, known["scarce"])


@settings(max_examples=400, deadline=None)
@given(markets, live, positions, shapes, learned)
def test_what_holds_for_every_ladder(plain, seen, orders, position, changes, known):
    rows = live_orders(seen, orders)
    ladder, verdict = decided(plain, seen, own(rows, position=position), changes, known)
    by_side = sides(ladder)
    limit = {1: seen["ask_price_ticks"] - 1, -1: seen["bid_price_ticks"] + 1}
    ratio = abs(position) / 300
    for side in (1, -1):
        prices = [price for price, _ in by_side[side]]
        assert all(side * price <= side * limit[side] for price in prices), "post-only"
        assert all(side * (a - b) > 0 for a, b in pairwise(prices)), "nearest first, distinct"
        assert all(price > 0 and qty >= 1 and price * qty >= 5_000 for price, qty in by_side[side]), "minima"
        # The worst case, counted here by hand: what is live stays, what is wanted beyond an order at its price is new.
        of_side = [row for row in rows if row["side"] == side]
        standing = sum(row["remaining_lots"] for row in of_side)
        added = verdict["worst_buy_lots" if side == 1 else "worst_sell_lots"] * side - side * position - standing
        room = max(270 - side * position, -side * position, 0)
        assert added >= 0
        assert added == 0 or standing + added <= room
        assert sum(qty for _, qty in by_side[side]) <= room
        if side * position > 0:
            assert len(prices) <= max(1, int(16 * (1 - 0.6 * ratio) + 1e-9)), "the adding side is thinned"
        opposite = [side * row["price_ticks"] for row in rows if row["side"] == -side]
        if opposite and prices:
            assert side * prices[0] < min(opposite), "never through our own order"
    if by_side[1] and by_side[-1]:
        assert by_side[1][0][0] < by_side[-1][0][0]


@settings(max_examples=400, deadline=None)
@given(markets, live, positions, shapes, learned)
def test_deciding_again_on_what_a_decision_brought_about_changes_nothing(plain, seen, orders, position, changes, known):
    def placed(ladder):
        rows = [(side, price, qty) for side in (1, -1) for price, qty in sides(ladder)[side]]
        return own(rows, position=position)

    first, _ = decided(plain, seen, own(live_orders(seen, orders), position=position), changes, known)
    # Orders that were on their way out are gone now, so what had to wait for their room gets it, once.
    second, _ = decided(plain, seen, placed(first), changes, known)
    third, verdict = decided(plain, seen, placed(second), changes, known)
    assert sides(third) == sides(second)
    assert verdict["kept_layers"] == len(sides(third)[1]) + len(sides(third)[-1])
    if not orders:
        assert sides(second) == sides(first)


@settings(max_examples=200, deadline=None)
@given(markets, live, positions, learned)
def test_the_mirror_image_of_a_market_gets_the_mirror_image_of_a_ladder(plain, seen, orders, position, known):
    """Side symmetry, in absolute distances: prices mirrored at a mid, shapes taken of the same mid."""
    centre = 2 * seen["mid_ticks"]
    mirrored = seen | {
        "bid_price_ticks": int(centre - seen["ask_price_ticks"]),
        "ask_price_ticks": int(centre - seen["bid_price_ticks"]),
        "fair_ticks": centre - seen["fair_ticks"],
        "skew_anchor": -seen["skew_anchor"],
        "funding": -seen["funding"],
    }
    rows = live_orders(seen, orders)
    turned = [row | {"side": -row["side"], "price_ticks": int(centre - row["price_ticks"])} for row in rows]
    free = {"min_notional_ticklots": 0}  # a value is no distance: its minimum does not mirror
    one, _ = decided(plain, seen, own(rows, position=position), free, known)
    other, _ = decided(plain, mirrored, own(turned, position=-position), free, known)
    for side in (1, -1):
        assert sides(other)[-side] == [(int(centre - price), qty) for price, qty in sides(one)[side]]


@settings(max_examples=100, deadline=None)
@given(st.floats(-2, 2))
def test_reducing_quantity_up_to_the_inventory_is_never_trimmed(plain, ratio):
    position = int(300 * ratio)
    seen = market(skew_anchor=anchored_ratio(0.0, position / 300, 0.05))
    ladder, _ = decide_ladder(seen, own(position=position, allowance=0), plain, NOW)
    reducing = sides(ladder)[-1 if position > 0 else 1]
    assert sum(qty for _, qty in reducing) == min(144, abs(position))


# ---- through time


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_worst_case_holds_at_every_moment_of_a_wild_market(plain, seed):
    """A gateway in ten lines: cancels take a while to confirm, fills come at any time, also on orders that leave."""
    random = Random(seed)
    mid, position, table = 650_000.0, 0, []  # the table's rows: [side, price, lots, rounds until a cancel confirms]
    for _ in range(60):
        mid += random.choice((-1500, -90, -3, 0, 3, 90, 1500))
        rows = [
            {"side": s, "price_ticks": p, "remaining_lots": lots, "state": LEAVING if left else OrderState.ORDER_OPEN}
            for s, p, lots, left in table
        ]
        anchor = anchored_ratio(0.0, position / 300, 0.0)
        ladder, _ = decide_ladder(market(mid, skew_anchor=anchor), own(rows, position=position), plain, NOW)
        wanted = {(side, price): qty for side in (1, -1) for price, qty in sides(ladder)[side]}
        for row in table:
            stays = row[3] == 0 and 0 < row[2] <= wanted.get((row[0], row[1]), 0)
            if not stays and row[3] == 0:
                row[3] = random.randint(1, 3)
        standing = {(row[0], row[1]) for row in table}
        table += [[side, price, qty, 0] for (side, price), qty in wanted.items() if (side, price) not in standing]
        assert all(side * position + sum(row[2] for row in table if row[0] == side) <= 270 for side in (1, -1)), (
            "filled at once, all orders of a side would break the worst case"
        )
        for row in random.sample(table, min(len(table), random.randint(0, 4))):
            lots = random.randint(1, row[2])
            row[2] -= lots
            position += row[0] * lots
        for row in table:
            row[3] -= row[3] > 1
        table = [row for row in table if row[2] and not (row[3] == 1 and random.random() < 0.7)]
