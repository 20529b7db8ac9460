"""The modes that bring inventory down, quoter and gateway together against a tiny exchange; then on random paths."""

import random

import pytest
from closed_loop import MS, Loop
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from quoting import SECOND_NS, params, sides

from phx._core import records
from phx._core.action import TimeInForce
from phx._core.enums import BookFlag, Mode, OperatorState, Reason

NO_PRICE = records.ABSENT_PRICE_TICKS
RISKY = (Mode.MODE_GRINDING, Mode.MODE_FLATTENING)


@pytest.fixture
def plain(tmp_path):
    """net_max 300 lots, near 6, far 12; a daily loss that no test reaches by itself."""
    return params(tmp_path, max_daily_loss_e8=10**14)


def held(plain, lots: int, **options) -> Loop:
    """A loop that was quoting and now holds so much."""
    loop = Loop(plain, **options)
    loop.turn()
    loop.hold(lots)
    loop.pass_time(300 * MS)
    return loop


def asks(loop) -> list[tuple[int, int]]:
    return sides(loop.ladder)[-1]


def takes(loop) -> list[dict]:
    return [order for order in loop.orders.values() if order["time_in_force"] != TimeInForce.GTX]


# ---- PINNING


def test_pinning_shows_one_order_at_the_touch_and_protection_far_away(plain):
    loop = held(plain, 200)
    assert loop.quoter.mode == Mode.MODE_PINNING
    ladder = loop.ladder
    assert sides(ladder)[1] == []
    # 2.3 x 6 lots at the best ask, 12 lots at 4.8, 7.2, 9.6 and 12 % from the mid.
    far = [(681_200, 12), (696_800, 12), (712_400, 12), (728_000, 12)]
    assert asks(loop) == [(650_001, 13), *far]
    assert ladder["ask_reduce_only"] == 0b11111
    loop.pass_time(SECOND_NS)
    # What was cut while the asks of NORMAL were leaving stays as it is, within qty_tolerance.
    assert sorted(o["price_ticks"] for o in loop.resting.values()) == [price for price, _ in asks(loop)]
    assert all(o["reduce_only"] for o in loop.resting.values())


def test_a_short_is_pinned_on_the_bid(plain):
    loop = held(plain, -200)
    assert sides(loop.ladder)[-1] == []
    assert sides(loop.ladder)[1][:2] == [(649_999, 13), (618_800, 12)]


def test_layers_never_add_up_to_more_than_the_inventory(plain):
    plain["net_max_lots"], plain["pin_enter"], plain["pin_exit"] = 40, 0.5, 0.4
    loop = held(plain, 24)
    assert loop.quoter.mode == Mode.MODE_PINNING
    assert [lots for _, lots in asks(loop)] == [13, 11]


def test_far_layers_of_the_adding_side_only_when_wanted_and_within_the_worst_case(plain):
    plain["pin_far_adding"] = 1
    loop = held(plain, 200)  # 0.9 x 300 = 270: room for 70 lots, five layers of 12 would fit
    assert sides(loop.ladder)[1] == [(618_800, 12), (603_200, 12), (587_600, 12), (572_000, 12)]
    assert loop.ladder["bid_reduce_only"] == 0
    plain["worst_case"] = 0.75  # 225: room for 25
    loop = held(plain, 200)
    assert [lots for _, lots in sides(loop.ladder)[1]] == [12, 12]


# ---- GRINDING


def test_grinding_cuts_with_slices_and_two_maker_orders(plain):
    loop = held(plain, 240)
    assert loop.quoter.mode == Mode.MODE_GRINDING
    (first,) = takes(loop)
    # 7.5 % of 240 is 18 lots, more than one order may have; 5 bps through the best bid of 649,999, rounded inward.
    most = min(18, int(plain["max_order_lots"][0]))
    assert (first["side"], first["qty_lots"], first["price_ticks"]) == (-1, most, 649_675)
    assert first["reduce_only"] and first["time_in_force"] == TimeInForce.IOC
    loop.pass_time(9500 * MS)
    assert len(takes(loop)) == 1
    loop.pass_time(SECOND_NS)
    assert len(takes(loop)) == 2
    assert sides(loop.ladder)[1] == []
    pinned, resting = asks(loop)
    assert pinned == (650_001, 13)
    # |ratio| 214 / 300 after two slices of 13: (0.287 / 0.4) x 1 x 0.9 = 0.645 -> all of 2.1 x 6 = 12.6
    assert resting == (650_273, 12)


def test_no_slice_while_an_adding_order_may_still_be_there(plain):
    loop = Loop(plain)
    loop.turn()
    loop.pass_time(300 * MS)
    assert loop.live_lots(1) > 0
    loop.answers = False
    loop.hold(240)
    loop.pass_time(3 * SECOND_NS)
    assert loop.quoter.mode == Mode.MODE_GRINDING and takes(loop) == []
    loop.answers = True
    loop.pass_time(2 * SECOND_NS)
    assert len(takes(loop)) == 1


def test_a_slice_takes_no_more_than_its_limit_shows(plain):
    loop = held(plain, 240, depth=0)
    assert takes(loop) == []
    loop.depth = 1  # 20 levels of one lot
    loop.pass_time(200 * MS)
    assert [order["qty_lots"] for order in takes(loop)] == [min(13, int(plain["max_order_lots"][0]))]


def test_an_empty_budget_falls_back_to_pinning_and_the_loss_stays_within(plain):
    loop = Loop(plain)
    loop.turn()
    loop.hold(240, cost=665_000)  # 2.3 % under water
    loop.pass_time(60 * SECOND_NS)
    assert loop.quoter.mode == Mode.MODE_PINNING and loop.quoter.reason == Reason.REASON_LOSS_BUDGET
    budget = 0.0025 * 300 * 650_000
    assert 0.9 * budget < loop.lost_in_window() <= budget
    assert asks(loop)[0][1] == 13, "the pinned order goes on outside the budget"


def test_a_restarted_quoter_remembers_what_grinding_has_lost(plain):
    loop = Loop(plain)
    loop.turn()
    loop.hold(240, cost=665_000)
    for _ in range(8):
        loop.pass_time(3 * SECOND_NS)
        loop.restart_quoter()
    loop.pass_time(60 * SECOND_NS)
    assert loop.lost_in_window() <= 0.0025 * 300 * 650_000


# ---- FLATTENING


def test_a_stop_closes_the_whole_position_then_cools_and_begins_anew(plain):
    loop = Loop(plain)
    loop.turn()
    loop.hold(150, cost=690_000)  # 6.2 % under water
    loop.pass_time(3 * SECOND_NS)
    assert loop.position == 0
    assert [(t["new"], t["reason"]) for t in loop.transitions[-2:]] == [
        (Mode.MODE_FLATTENING, Reason.REASON_STOP_LOSS),
        (Mode.MODE_COOLING, Reason.REASON_FLAT),
    ]
    assert loop.resting == {} and all(order["reduce_only"] for order in takes(loop))
    loop.pass_time(290 * SECOND_NS, SECOND_NS)
    assert loop.quoter.mode == Mode.MODE_COOLING
    loop.pass_time(15 * SECOND_NS, SECOND_NS)
    assert (loop.quoter.mode, loop.quoter.reason) == (Mode.MODE_NORMAL, Reason.REASON_COOLED)
    assert sides(loop.ladder)[1] and sides(loop.ladder)[-1]


def test_limits_go_deeper_step_by_step_to_market(plain):
    loop = held(plain, 150)
    loop.hungry = False
    loop.want(OperatorState.OPERATOR_FLATTEN)
    loop.pass_time(2 * SECOND_NS)
    # 5, 20 and 100 bps through the best bid of 649,999, two empty slices each.
    assert [order["price_ticks"] for order in takes(loop)][:7] == [
        649_675, 649_675, 648_700, 648_700, 643_500, 643_500, NO_PRICE,
    ]  # fmt: skip
    assert loop.position == 150
    loop.hungry = True
    loop.pass_time(5 * SECOND_NS)
    assert loop.position == 0
    assert loop.counters["escalations"][0] == 3 and loop.counters["stops"][0] == 1


def test_a_book_without_anybody_is_no_book(plain):
    loop = held(plain, 150)
    loop.depth = 0
    loop.want(OperatorState.OPERATOR_FLATTEN)
    loop.pass_time(1900 * MS)
    assert takes(loop) == []
    loop.pass_time(300 * MS)
    assert {order["price_ticks"] for order in takes(loop)} == {NO_PRICE}


@pytest.mark.parametrize("blind", ["flags", "feed"])
def test_blind_it_goes_to_market_after_its_time_and_not_before(plain, blind):
    loop = held(plain, 100)
    loop.flags = BookFlag.BOOK_UNSYNCED if blind == "flags" else 0
    loop.feed_alive = blind == "flags"
    loop.want(OperatorState.OPERATOR_FLATTEN)
    loop.pass_time(1900 * MS)
    assert loop.quoter.mode == Mode.MODE_FLATTENING and takes(loop) == []
    loop.pass_time(5 * SECOND_NS)
    assert loop.position == 0 and {order["price_ticks"] for order in takes(loop)} == {NO_PRICE}


def test_an_operators_flatten_stays_paused_until_resume(plain):
    loop = held(plain, 100)
    loop.want(OperatorState.OPERATOR_FLATTEN)
    loop.pass_time(10 * SECOND_NS)
    assert loop.position == 0 and (loop.quoter.mode, loop.quoter.reason) == (Mode.MODE_PAUSED, Reason.REASON_OPERATOR)
    loop.want(OperatorState.OPERATOR_RUN)
    loop.pass_time(2 * SECOND_NS)
    assert loop.quoter.mode == Mode.MODE_NORMAL


def test_the_daily_loss_closes_the_position_before_it_stays_down(plain):
    plain["max_daily_loss_e8"] = 100 * 10**8
    loop = Loop(plain)
    loop.turn()
    loop.hold(100, cost=665_000)  # a loss of 150 quote, no stop of the symbol
    loop.pass_time(100 * MS)
    assert loop.quoter.reason == Reason.REASON_DAILY_LOSS, "the gateway's own record says so"
    loop.desk.latched = loop.quoter.loss_latched = True  # what the shells say once the latch is set
    loop.pass_time(5 * SECOND_NS)
    assert loop.position == 0
    assert (loop.quoter.mode, loop.quoter.reason) == (Mode.MODE_HALTED, Reason.REASON_DAILY_LOSS)
    assert loop.quoter.latch_wanted == Reason.REASON_DAILY_LOSS


def test_a_new_life_goes_on_flattening_and_cooling(plain):
    loop = Loop(plain)
    loop.turn()
    loop.hold(150, cost=690_000)
    loop.hungry = False
    loop.pass_time(700 * MS)
    loop.hungry = True
    assert loop.quoter.mode == Mode.MODE_FLATTENING and loop.position > 0
    loop.restart_quoter()
    loop.turn()
    assert (loop.quoter.mode, loop.quoter.reason) == (Mode.MODE_FLATTENING, Reason.REASON_STOP_LOSS)
    loop.pass_time(20 * SECOND_NS)
    assert loop.position == 0 and loop.quoter.mode == Mode.MODE_COOLING
    until = loop.state["cooling_until_mono_ns"]
    loop.restart_quoter()
    loop.pass_time(SECOND_NS)
    assert loop.quoter.mode == Mode.MODE_COOLING and loop.state["cooling_until_mono_ns"] == until


def test_books_that_are_still_being_restored_close_nothing_and_forget_nothing(plain):
    plain["stop_latches"] = 1
    loop = Loop(plain)
    loop.turn()
    loop.hold(150, cost=690_000)
    loop.hungry = False
    loop.pass_time(700 * MS)
    totals = loop.desk.totals()
    loop.gateway.ready = False
    loop.desk.restore(dict.fromkeys(totals, 0), 0)
    loop.pass_time(SECOND_NS)
    assert loop.rings["own"].newest()["position_lots"] == 0
    assert loop.quoter.mode == Mode.MODE_FLATTENING and not loop.quoter.latch_wanted
    loop.desk.restore(totals, loop.trade_id)
    loop.gateway.ready = loop.hungry = True
    loop.pass_time(5 * SECOND_NS)
    assert loop.position == 0 and loop.quoter.latch_wanted == Reason.REASON_STOP_LOSS


def test_an_inventory_beyond_all_limits_is_closed(plain):
    loop = held(plain, 301)
    assert loop.transitions[-1]["reason"] in (Reason.REASON_EMERGENCY, Reason.REASON_FLAT)
    loop.pass_time(5 * SECOND_NS)
    assert loop.position == 0


@pytest.mark.parametrize("lots, mode", [(200, Mode.MODE_PINNING), (240, Mode.MODE_GRINDING)])
def test_a_new_life_that_begins_in_a_pause_ends_it_where_the_last_one_was(plain, lots, mode):
    """Between the exit and the enter threshold only the past says which mode it is."""
    loop = held(plain, lots)
    assert loop.quoter.mode == mode
    loop.hungry = False
    loop.want(OperatorState.OPERATOR_PAUSE)
    loop.pass_time(SECOND_NS)
    loop.hold({200: 160, 240: 190}[lots])
    loop.pass_time(SECOND_NS)
    left = loop.state
    assert (loop.quoter.mode, left["level"]) == (Mode.MODE_PAUSED, mode)
    loop.restart_quoter()
    loop.pass_time(SECOND_NS)
    assert loop.state["patience_mono_ns"] == left["patience_mono_ns"]
    loop.want(OperatorState.OPERATOR_RUN)
    loop.pass_time(3 * SECOND_NS)
    assert loop.quoter.mode == mode


def test_patience_goes_on_in_the_next_life(plain):
    plain["pin_patience_ns"] = 20 * SECOND_NS
    loop = held(plain, 200)
    loop.pass_time(15 * SECOND_NS)
    loop.restart_quoter()
    loop.pass_time(3 * SECOND_NS)
    assert loop.quoter.mode == Mode.MODE_PINNING
    loop.pass_time(3 * SECOND_NS)
    assert (loop.quoter.mode, loop.quoter.reason) == (Mode.MODE_GRINDING, Reason.REASON_PATIENCE)


def test_the_reason_of_a_stop_that_cools_is_known_to_the_next_life(plain):
    loop = Loop(plain)
    loop.turn()
    loop.hold(150, cost=690_000)
    loop.pass_time(20 * SECOND_NS)
    assert (loop.quoter.mode, loop.state["stop"]) == (Mode.MODE_COOLING, Reason.REASON_STOP_LOSS)
    loop.restart_quoter()
    loop.turn()
    plain["stop_latches"] = 1
    loop.rings["params"].writer.write(plain)
    loop.pass_time(SECOND_NS)
    assert loop.quoter.latch_wanted == Reason.REASON_STOP_LOSS


@pytest.mark.parametrize("fees", [(0.0, 0.0), (0.0002, 0.0005)])
def test_what_a_slice_may_lose_counts_the_fees_of_the_account(plain, fees):
    """At the budget's edge: a slice through 5 bps of a position held at the touch."""
    loop = Loop(plain, fees=fees)
    loop.turn()
    loop.hold(240)
    loop.pass_time(300 * MS)
    (slice_,) = takes(loop)
    state = loop.state
    lost = float(state["grind_loss_ticklots"])
    price = loop.mid - 1
    assert lost == pytest.approx(slice_["qty_lots"] * (1 + fees[1] * price), rel=1e-6)
    limit = slice_["qty_lots"] * (0.0005 + fees[1]) * price  # the next slice through its limit, as big
    makers = fees[0] * sum(price * lots for price, lots in asks(loop))
    assert float(state["grind_reserved_ticklots"]) == pytest.approx(makers, rel=1e-3)
    assert lost + limit + makers < float(state["grind_budget_ticklots"])


# ---- random paths

EVENTS = st.lists(
    st.tuples(
        st.integers(50, 4000),  # ms
        st.one_of(st.integers(-60, 60), st.integers(-6000, 6000), st.integers(-30_000, 30_000)),  # ticks
        st.sampled_from(["", "", "", "", "", "outside", "restart", "blind", "sees", "thin", "deep", "deaf", "hears"]),
        st.integers(-330, 330),
    ),
    min_size=20,
    max_size=60,
)


def may_fill(row: dict) -> int:
    return max(row["qty_lots"], row["amend_qty_lots"]) - row["filled_lots"]


class Watched(Loop):
    """A loop that checks what must hold on any path."""

    def other_lots(self, order):
        """The side's other orders: at the exchange, on their way there, or gone but not known to be."""
        side, intent, table = order["side"], order["intent_id"], self.account.table
        if not self.latency_ns:
            return sum(row["remaining"] for i, row in self.resting.items() if i != intent and row["side"] == side)
        rows = [table.order(other) for other in table.live_intents(0) if other != intent]
        return sum(may_fill(row) for row in rows if row["side"] == side)

    def on_order(self, order):
        mode, side, position = order["mode"], order["side"], self.position
        taking = order["time_in_force"] != TimeInForce.GTX
        if mode in RISKY or (mode == Mode.MODE_PINNING and not self.params["pin_far_adding"][0]):
            assert order["reduce_only"] and side * position < 0, "an order that adds"
        if order["reduce_only"]:
            lots = may_fill(self.account.table.order(order["intent_id"]))
            assert self.other_lots(order) + lots <= abs(position), "more than there is"
        if taking:
            assert order["reduce_only"] and order["take"] not in self.taken, "a take ran twice"
            self.taken.add(order["take"])
            assert self.latency_ns or not any(-side == o["side"] and side * (self.bound(order) - o["price_ticks"]) >= 0
                           for o in self.resting.values()), "it could meet our own quote"  # fmt: skip

    def bound(self, order):
        return order["price_ticks"] if order["price_ticks"] != NO_PRICE else order["side"] * 10**9

    def __init__(self, *args, **options):
        self.taken = set()
        self.highest = 0
        super().__init__(*args, **options)

    def check(self):
        ladder = self.ladder
        mode, position = ladder["mode"], self.position
        shown = sides(ladder)
        if mode in (*RISKY, Mode.MODE_COOLING, Mode.MODE_PAUSED, Mode.MODE_HALTED) or mode == Mode.MODE_PINNING:
            assert not (position and shown[1 if position > 0 else -1])
        if mode == Mode.MODE_PINNING and position and not self.live_lots(-1 if position > 0 else 1):
            assert shown[-1 if position > 0 else 1], "inventory without an exit"
        self.check_budget()

    def check_budget(self):
        self.highest = max(self.highest, self.mid)
        budget = float(self.params["grind_loss_budget"][0]) * int(self.params["net_max_lots"][0]) * self.highest
        assert self.lost_in_window() <= budget * (1 + 1e-9)

    def check_dwell(self):
        dwell_ns = int(self.params["mode_dwell_ns"][0])
        entered = {}
        for change in self.transitions:
            old, new, at_ns = change["old"], change["new"], change["at_mono_ns"]
            if new == Mode.MODE_GRINDING and "left" in entered:
                assert at_ns - entered["left"] >= dwell_ns or entered["stopped"], "grinding came back too soon"
            if old in (Mode.MODE_PINNING, Mode.MODE_GRINDING) and change["reason"] == Reason.REASON_RATIO_FELL:
                assert at_ns - entered[old] >= dwell_ns, "left too soon"
            if old == Mode.MODE_GRINDING and change["reason"] in (Reason.REASON_LOSS_BUDGET, Reason.REASON_VOLATILITY):
                entered["left"], entered["stopped"] = at_ns, False
            if new in (Mode.MODE_FLATTENING, Mode.MODE_COOLING):
                entered["stopped"] = True
            if old != new:
                entered[new] = at_ns


@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(events=EVENTS, seed=st.integers(0, 10**6), start=st.integers(-290, 290))
def test_on_any_path_of_price_inventory_and_time(tmp_path_factory, events, seed, start):
    plain = params(tmp_path_factory.mktemp("any"), halt_ns=5 * SECOND_NS)
    loop = Watched(plain, seed=seed, fees=(0.0002, 0.0004))
    loop.turn()
    loop.hold(start)
    for ms, move, event, lots in events:
        if event == "outside":
            loop.hold(lots)
        elif event == "restart":
            loop.restart_quoter()
            loop.transitions.clear()
        elif event in ("blind", "sees"):
            loop.flags = BookFlag.BOOK_UNSYNCED if event == "blind" else 0
        elif event in ("thin", "deep"):
            loop.depth = 1 if event == "thin" else 60
        elif event in ("deaf", "hears"):
            loop.answers = event == "hears"
        loop.now_ns += ms * MS
        loop.market(move)
        loop.trade_through()
        loop.turn()
        loop.check()
        if seed % 3 == 0:
            loop.pass_time(ms * MS, 250 * MS, move=move // 50)
            loop.check()
    loop.check_dwell()


@pytest.mark.parametrize("seed", range(28, 56))
def test_with_answers_that_are_late_the_loss_stays_within_its_budget(tmp_path, seed):
    """Prices that jump up and down, a pin that follows at once: orders on their way out fill beside their successors.

    So an order from a ladder that has not seen the newest order would overdraw the budget (in 3 of these runs).
    """
    chance = random.Random(seed)
    budget = chance.uniform(0.0002, 0.0012)
    side, step = 1 if seed % 2 else -1, chance.choice((10, 60, 150, 400))
    plain = params(tmp_path, grind_interval_ns=SECOND_NS, pin_min_requote_ns=40 * MS, grind_maker_offset=0.00005)
    plain["grind_loss_budget"] = budget
    loop = Watched(plain, seed=seed, fees=(0.0002, 0.0004), latency_ns=100 * MS, post_only_refused=0.05)
    loop.turn()
    loop.hold(side * chance.randint(226, 290), cost=loop.mid + side * chance.randint(-200, 2500))
    loop.pass_until(loop.now_ns + 200 * MS)
    for _ in range(480):
        loop.pass_time(40 * MS, 40 * MS, move=chance.randint(-step, step))
        loop.check_budget()
    loop.check_dwell()
    assert Mode.MODE_GRINDING in {change["new"] for change in loop.transitions}
