"""Every limit is reached with the numbers of config.yaml.example: the last order that passes, the first that does not.

Nothing is made by hand but the market and the ladders: parameters are what ops publishes of the example, contracts
what the venue lists. Where no ladder of phx's own would come so far, the ladder is a wrong one.
"""

from contextlib import nullcontext

import pytest
from gateway_rig import MS_NS, SECOND_NS, TimeInForce, cancels, places
from shipped import BTC, CONFIG, LIMITS, PRICE, Shipped, changed
from test_risk import SITUATION, verdict

from phx._core.enums import OrderState
from phx._core.enums import RejectReason as R
from phx.gateway.surroundings import why_latched
from phx.params import ParamsError
from phx.sim.keys.signing import check_time
from phx.sim.refusals import Refused

MID = PRICE * 10  # in ticks of 0.1
NEAR, FAR = 6, 12  # lots of a layer
LARGEST = 13  # lots of 0.001: 2.3 near layers


@pytest.fixture
def rig() -> Shipped:
    return Shipped()


def refused(rig: Shipped, bids=(), asks=(), **fields) -> list[int]:
    """Quote what must not leave; return why it did not."""
    rig.reasons()
    assert places(rig.quote(bids, asks, **fields)) == []
    return rig.reasons()


def outward(side: int, count: int, lots: int, first: int = 100) -> list[tuple[int, int]]:
    return [(MID - side * (first + i), lots) for i in range(count)]


def fill_all(rig: Shipped, orders) -> None:
    for order in orders:
        if order["kind"] == 1:
            rig.fill(order)


def test_these_are_the_shipped_numbers(rig):
    assert (rig.limits["max_position_lots"], rig.limits["max_order_lots"]) == (300, LARGEST)
    assert rig.limits["params_version"] == 1 and CONFIG.venue.environment == "sim"


# ---- C01 ----


def test_c01_no_layer_lies_farther_away_than_the_outer_collar():
    edge = int(MID * (1 - BTC.risk.collar_far))
    assert places(Shipped().quote([(edge, FAR)], bid_layer=[20] + 31 * [0])) == [(1, edge, FAR)]
    rig = Shipped()
    assert refused(rig, [(edge - 1, FAR)], bid_layer=[20] + 31 * [0]) == [R.REJECT_PRICE_COLLAR]


@pytest.mark.parametrize("side", [1, -1])
def test_c01_towards_the_market_it_ends_at_the_inner_collars(side):
    def at(price, **market):
        rig = Shipped()
        rig.market(**market)
        bids, asks = ([(price, NEAR)], []) if side > 0 else ([], [(price, NEAR)])
        return places(rig.quote(bids, asks)) or rig.reasons()

    # A book so wide that post-only leaves room beyond it.
    wide = {"bid": int(MID * 0.95), "ask": int(MID * 1.05), "mark": MID}
    edge = round(MID * (1 + side * BTC.risk.collar_mid))
    assert at(edge, **wide) == [(side, edge, NEAR)] and at(edge + side, **wide) == [R.REJECT_PRICE_COLLAR]
    # A book that has run away from the mark price.
    mark = round(MID / (1 + side * 0.045))
    edge = int(mark * (1 + side * BTC.risk.collar_mark)) + (side < 0)
    assert at(edge, mark=mark) == [(side, edge, NEAR)] and at(edge + side, mark=mark) == [R.REJECT_PRICE_COLLAR]


# ---- C02, C03 ----


def test_c02_one_order_is_worth_no_more():
    price = int(BTC.risk.max_order_notional) * 1000 // 10 * 10  # in ticks: ten lots are worth the limit
    lots = 10
    rig = Shipped(mid=price + 1)
    assert places(rig.quote([(price, lots)])) == [(1, price, lots)]
    rig = Shipped(mid=price + 1)
    assert refused(rig, [(price, lots + 1)]) == [R.REJECT_ORDER_VALUE]


def test_c03_one_order_has_no_more_lots(rig):
    assert refused(rig, [(MID - 10, LARGEST + 1)]) == refused(rig, [(MID - 10, LARGEST * 1000)])
    assert refused(rig, [(MID - 10, LARGEST + 1)]) == [R.REJECT_ORDER_VOLUME]
    assert places(rig.quote([(MID - 10, LARGEST)])) == [(1, MID - 10, LARGEST)]


def test_c02_a_mistyped_size_sends_nothing():
    """The largest order follows the ladder's sizes; what it may be worth does not."""
    with pytest.raises(ParamsError, match="less than one near layer of 6000"):
        Shipped(changed("ladder.near.size", 6))
    rig = Shipped(changed("ladder.near.size", 0.12))
    assert rig.limits["max_order_lots"] == 276
    assert refused(rig, [(MID - 10, 120)]) == [R.REJECT_ORDER_VALUE]


# ---- C04 ----


def test_c04_orders_stay_within_our_share_of_the_venue_s_counts(rig):
    sent = []
    for turn in range(600):
        rig.wait(50 * MS_NS)
        orders = rig.quote(outward(1, 16, NEAR, 100 + turn % 400), outward(-1, 16, NEAR, 100 + turn % 397))
        sent += [rig.now_ns] * len(places(orders))
        rig.accept(orders)
    assert R.REJECT_MESSAGE_RATE in rig.reasons()
    for seconds, share in ((1, 120), (10, int(300 * LIMITS.adding_share)), (60, int(1200 * LIMITS.adding_share))):
        windows = [sum(t - seconds * SECOND_NS < s <= t for s in sent) for t in sorted(set(sent))]
        assert max(windows) <= share
    assert len(sent) > 300 * LIMITS.adding_share * 2, "it is not just silent"


# ---- C05, C07 ----


def test_c05_c07_orders_count_before_a_byte_has_left(rig):
    rig.reasons()
    rig.ladder(outward(1, 30, LARGEST))
    rig.core.step(rig.now_ns)  # nothing is taken from the queue
    decided = rig.symbols[0].own.newest()["remaining_lots"].sum()
    assert decided == 23 * LARGEST == 299, "of net_max, 300 lots"
    assert set(rig.reasons()) == {R.REJECT_POSITION}


@pytest.mark.parametrize("side", [1, -1])
def test_c07_position_and_orders_together_reach_net_max_and_no_more(side):
    for held, passes in ((300 - NEAR, True), (300 - NEAR + 1, False)):
        rig = Shipped()
        rig.hold(side * held, MID)
        quote = outward(side, 1, NEAR)
        placed = places(rig.quote(*((quote, []) if side > 0 else ([], quote))))
        assert bool(placed) == passes and rig.reasons() == ([] if passes else [R.REJECT_POSITION])


# ---- C06 ----


def test_c06_fills_and_new_orders_again_and_again_latch(rig):
    placed = []
    for i in range(BTC.throttle.cycles + 2):
        rig.wait(900 * MS_NS)
        orders = rig.quote([(MID - 10 - i % 2, NEAR)])
        rig.accept(orders)
        placed.append(len(places(orders)))
        fill_all(rig, orders)
        rig.hold(0)
        rig.step()
    # The first order follows no fill.
    assert placed == [1] * (BTC.throttle.cycles + 1) + [0]
    assert rig.symbols[0].desk.latch_wanted and rig.symbols[0].desk.latch_reason == R.REJECT_THROTTLE
    assert why_latched(rig.symbols[0].desk) == "execution throttle: too many fills with new orders after them"


def test_c06_refusals_in_a_row_latch(rig):
    for i in range(BTC.throttle.rejects):
        assert not rig.symbols[0].desk.latch_wanted
        rig.wait(15 * SECOND_NS)
        (order,) = rig.quote([(MID - 10 - i % 2, NEAR)])
        rig.core.on_reject(order["intent_id"], -5022, rig.now_ns)
        rig.step()
    assert rig.symbols[0].desk.latch_wanted and rig.symbols[0].desk.latch_reason == R.REJECT_THROTTLE
    assert why_latched(rig.symbols[0].desk) == "execution throttle: too many refusals of the venue in a row"


# ---- C08 ----


def test_c08_all_symbols_together_stay_below_the_account_s_cap():
    rig = Shipped(symbols=("BTCUSDC", "ETHUSDC"), mid=1_000_000)
    rig.account.set_leverage(0, 20)
    rig.account.set_leverage(1, 20)
    # Valued at the ask: a lot of BTCUSDC is worth 100, one of ETHUSDC 10, since its ticks are smaller.
    rig.hold(5_500, 1_000_000, symbol=1)
    rig.step()
    room = (int(LIMITS.max_gross_notional) * 10**8 - 5_500 * rig.ask * 1_000) // (rig.ask * 10_000)
    assert 241 < room < 252
    rig.reasons()
    orders = rig.quote([(999_000 - i, FAR if i < 20 else 1) for i in range(32)])
    assert sum(lots for _, _, lots in places(orders)) == room
    assert set(rig.reasons()) == {R.REJECT_GROSS_NOTIONAL}


@pytest.mark.parametrize(
    ("leverage", "equity"),
    [(20, 5_000 / LIMITS.max_leverage), (1, 5_000 / LIMITS.max_margin)],
    ids=["leverage", "margin"],
)
def test_c08_what_is_lost_of_the_equity_shrinks_the_cap(rig, leverage, equity):
    rig.account.set_leverage(0, leverage)
    rig.core.wallet_e8 = int(equity * 10**8)
    orders = rig.quote(outward(1, 6, LARGEST) + outward(1, 1, 1, 200))
    # Of 79 lots of 64 each, 78 are worth less than 5,000.
    assert sum(lots for _, _, lots in places(orders)) == 78
    assert set(rig.reasons()) == {R.REJECT_MARGIN}


# ---- C09 ----


def test_c09_a_ladder_twice_is_orders_once(rig):
    bids, asks = outward(1, 16, NEAR), outward(-1, 16, NEAR)
    assert len(places(rig.quote(bids, asks))) == 32
    for _ in range(3):
        rig.wait(SECOND_NS)
        assert places(rig.quote(bids, asks)) == []


# ---- C10 ----


def test_c10_a_day_s_loss_beyond_its_limit_stops_everything(rig):
    rig.account.set_leverage(0, 20)
    rig.hold(300, MID)
    orders = rig.placed([], [(MID + 100, NEAR)])
    # 300 lots lose 0.03 with every tick.
    ticks = int(float(LIMITS.max_daily_loss) / 0.03)
    rig.market(MID - ticks - 1, MID - ticks + 1, MID - ticks)
    rig.step()
    assert not rig.symbols[0].desk.loss_stop
    rig.market(mark=MID - ticks - 1)
    assert cancels(rig.step()) == [orders[0]["intent_id"]] and rig.symbols[0].desk.loss_stop
    assert places(rig.quote([(MID - 20_000, NEAR)], [(MID + 200, NEAR)])) == []


# ---- C14 ----


def test_c14_nothing_leaves_without_the_venue_s_promise_to_cancel_it(rig):
    """P is 2 s with two symbols: the countdown must be armed for at least so long."""
    rig.symbols[0].desk.proof_period_ns = 2 * SECOND_NS
    rig.prove(ahead_ns=2 * SECOND_NS - 1)
    assert places(rig.quote([(MID - 10, NEAR)])) == []
    assert rig.symbols[0].own.newest()["blocked"] == R.REJECT_NO_PROOF
    rig.prove(ahead_ns=2 * SECOND_NS)
    assert len(places(rig.quote([(MID - 10, NEAR)]))) == 1


def test_c14_the_check_of_a_single_order_asks_again(rig):
    """The gateway pulls its quotes before it comes to that: two places, and each is enough."""
    assert verdict(limits=rig.limits) == R.REJECT_NONE
    late = {"proof_deadline_mono_ns": SITUATION["now_ns"] + SITUATION["proof_period_ns"] - 1}
    assert verdict(situation=late, limits=rig.limits) == R.REJECT_NO_PROOF


# ---- C15 ----


@pytest.mark.parametrize(("sides", "allowed"), [((1, -1), 135), ((1,), 105)], ids=["filled", "moved"])
def test_c15_too_much_filled_at_once_pulls_both_sides(rig, sides, allowed):
    """0.45 of net_max filled on both sides together, or 0.35 of it moved, is the most."""
    rig.placed(outward(1, 16, FAR), outward(-1, 16, FAR))
    left = {side: [o | {"symbol_id": 0} for o in rig.live().values() if o["side"] == side] for side in (1, -1)}
    for i in range(allowed // 3):
        order = left[sides[i % len(sides)]][0]
        rig.fill(order, lots=3)
        order["qty_lots"] -= 3
        if not order["qty_lots"]:
            left[order["side"]].pop(0)
    rig.step()
    assert rig.symbols[0].own.newest()["frozen_until_mono_ns"] == 0
    rig.fill(left[1][0], lots=1)
    rig.step()
    assert {o["state"] for o in rig.live().values()} == {OrderState.ORDER_PENDING_CANCEL}
    frozen_ns = rig.symbols[0].own.newest()["frozen_until_mono_ns"] - rig.now_ns
    assert frozen_ns == BTC.protect.frozen_ms * MS_NS
    assert places(rig.quote(outward(1, 4, NEAR, 900))) == []


# ---- C16 ----


@pytest.mark.parametrize("side", [1, -1])
def test_c16_no_order_may_meet_one_of_ours(rig, side):
    rig.market(bid=MID - 2_000, ask=MID + 2_000)
    ours = [(MID, NEAR)]
    rig.placed(*(([], ours) if side > 0 else (ours, [])))

    def quote(price):
        return ([(price, NEAR)], ours) if side > 0 else (ours, [(price, NEAR)])

    assert refused(rig, *quote(MID)) == [R.REJECT_SELF_CROSS]
    assert places(rig.quote(*quote(MID - side))) == [(side, MID - side, NEAR)]


# ---- C18 ----


def test_c18_a_symbol_that_is_switched_off_is_not_traded():
    rig = Shipped(changed("enabled", False))
    assert places(rig.quote([(MID - 10, NEAR)])) == []
    assert rig.symbols[0].own.newest()["blocked"] == R.REJECT_NOT_ALLOWED


def test_c18_the_check_of_a_single_order_asks_again(rig):
    assert verdict(limits=rig.limits | {"enabled": 0}) == R.REJECT_NOT_ALLOWED


# ---- C26 ----


@pytest.mark.parametrize(("late_ms", "in_time"), [(0, True), (2000, True), (2001, False), (-999, True), (-1001, False)])
def test_c26_a_request_is_taken_for_as_long_as_recv_window_says(late_ms, in_time):
    now_ms = 1_700_000_000_000
    request = {"timestamp": str(now_ms - late_ms), "recvWindow": str(CONFIG.venue.recv_window_ms)}
    with nullcontext() if in_time else pytest.raises(Refused):
        check_time(request, now_ms)


# ---- C27, C28, C29 ----


def test_c27_the_last_open_order_and_the_first_that_is_too_many(rig):
    rig.placed(outward(1, 24, NEAR), [])
    rig.wait(SECOND_NS)
    rig.placed(outward(1, 24, NEAR), outward(-1, 24, NEAR))
    rig.wait(SECOND_NS)
    assert len(rig.live()) == 48
    rig.reasons()
    orders = rig.quote(outward(1, 32, NEAR), outward(-1, 32, NEAR))
    assert len(places(orders)) == BTC.risk.max_open_orders - 48 and rig.reasons() == []
    rig.accept(orders)
    rig.wait(SECOND_NS)
    # One more on top of 64 while its predecessor is still on its way out.
    orders = rig.quote([*outward(1, 31, NEAR), (MID - 500, NEAR)], outward(-1, 32, NEAR))
    assert places(orders) == [] and len(cancels(orders)) == 1
    assert rig.reasons() == [R.REJECT_OPEN_ORDERS]


def test_c28_quotes_are_post_only_and_never_take(rig):
    orders = rig.quote(outward(1, 16, NEAR), outward(-1, 16, NEAR))
    assert {o["time_in_force"] for o in orders} == {TimeInForce.GTX}
    assert refused(rig, [(rig.ask, NEAR)]) == [R.REJECT_POST_ONLY]


def test_c29_requests_without_an_answer_are_limited_before_open_orders_are(rig):
    orders = rig.quote(outward(1, 32, NEAR), outward(-1, 32, NEAR))
    assert len(places(orders)) == BTC.risk.max_in_flight < BTC.risk.max_open_orders
    assert set(rig.reasons()) == {R.REJECT_IN_FLIGHT}
    rig.accept(orders[:1])
    assert len(places(rig.step())) == 1
