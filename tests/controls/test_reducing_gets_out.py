"""Whatever limit is reached, unset or broken, a take that can only reduce leaves; none of it can add."""

import pytest
from gateway_rig import MS_NS, NO_PRICE, RULES, SECOND_NS, Rig, places
from hypothesis import given, settings
from hypothesis import strategies as st
from test_risk import INTENT, LIMITS, SITUATION, verdict

from phx._core.enums import OperatorState, RejectReason

EXTREME = st.sampled_from([0, 1, -1, 2**31, 2**62, -(2**62), 2**63 - 1, -(2**63)])
# What a take needs: start-up is over, it is sane, the venue takes it, no own order in its way, no wait after a refusal.
NEEDED = {
    "ready": 1, "same_order_live": 0, "opposite_best_ticks": NO_PRICE, "backing_off": 0, "order_rate_full": 0,
    "open_orders": 0,
}  # fmt: skip
FLAGS = {
    "book_usable", "operator_state", "latched", "user_stream_up", "quoter_alive", "ladder_fresh", "journal_room",
}  # fmt: skip
UNSIGNED = {"proof": 0, "must_see_seq": 0, "ladder_own_seq": 0, "ladder_params_version": 0, "in_flight": 0}


@st.composite
def situations(draw):
    found = dict(SITUATION)
    for name in SITUATION:
        if name in NEEDED:
            found[name] = NEEDED[name]
        elif name in FLAGS:
            found[name] = draw(st.integers(0, 4))
        elif name in UNSIGNED:
            found[name] = draw(st.integers(0, 2**32 - 1))
        else:
            found[name] = draw(st.one_of(st.integers(-(10**6), 10**6), EXTREME))
    # A fresh market with a mark still holds a priced take to the collar.
    return found | {"mark_price_ticks": NO_PRICE} if draw(st.booleans()) else found


@given(situations(), st.sampled_from([1, -1]), st.sampled_from([NO_PRICE, 99_990]), st.integers(1, 5000), st.data())
@settings(max_examples=150, deadline=None)
def test_no_situation_and_no_limit_holds_a_way_out(situation, side, price, lots, data):
    limits = {
        name: data.draw(st.one_of(st.just(value), st.just(0))) if name != "params_version" else 1
        for name, value in LIMITS.items()
    }
    if price != NO_PRICE:
        situation = situation | {"book_usable": 0}
    take = {**INTENT, "side": side, "price_ticks": price, "qty_lots": lots, "adding_lots": 0}
    take |= {"layer": 255, "post_only": 0, "reduce_only": 1}
    assert verdict(take, situation, limits) == RejectReason.REJECT_NONE
    # The same with a single lot that could add is held by something that is out of order here.
    assert verdict({**take, "adding_lots": 1, "reduce_only": 0}, situation | {"latched": 1}, limits)


def taking(rig: Rig, n: int = 1, **fields) -> list:
    rig.ladder(**{
        "take_n": n, "take_side": -1, "take_qty_lots": 400, "take_limit_ticks": NO_PRICE,
        "take_deadline_mono_ns": rig.now_ns + 60 * SECOND_NS,
    } | fields)  # fmt: skip
    return places(rig.step())


def long_rig(**params) -> Rig:
    rig = Rig(**params)
    rig.quote()  # a take of the first ladder might be one that a former life has carried out
    rig.hold(400)
    rig.step()
    return rig


@pytest.mark.parametrize("limit_ticks", [NO_PRICE, 99_500])
def test_it_leaves_on_a_stale_market(limit_ticks):
    rig = long_rig()
    rig.now_ns += 30 * SECOND_NS  # nothing new of book or mark for half a minute, no proof either
    assert taking(rig, take_limit_ticks=limit_ticks) == [(-1, limit_ticks, 400)]


def test_it_leaves_without_a_mark_and_on_an_unsynced_book():
    rig = long_rig()
    rig.now_ns += 30 * SECOND_NS
    rig.market(mark=None)
    assert taking(rig, take_limit_ticks=99_500) == [(-1, 99_500, 400)]
    rig = long_rig()
    rig.market(flags=1)
    assert taking(rig, take_limit_ticks=99_500) == [(-1, 99_500, 400)]


def test_on_a_market_that_is_known_its_price_is_still_held_to_the_collar():
    rig = long_rig()
    assert taking(rig, take_limit_ticks=90_000) == []
    assert rig.reasons() == [RejectReason.REJECT_PRICE_COLLAR]


@pytest.mark.parametrize(
    ("limits", "lots"),
    [({"max_order_lots": 30}, 30), ({"max_order_notional_e8": 30 * 100_001 * 10_000}, 30), ({"max_order_lots": 0}, 1),
     ({"max_order_notional_e8": 0}, 1), ({"net_max_lots": 0}, 400), ({"max_gross_notional_e8": 0}, 400),
     ({"max_leverage_e6": 0}, 400), ({"throttle_cycles": 0}, 400), ({"protect_lots": 0}, 400), ({"enabled": 0}, 400),
     ({"max_open_orders": 0}, 400), ({"max_in_flight": 0}, 400)],
)  # fmt: skip
def test_a_limit_cuts_it_but_never_stops_it(limits, lots):
    assert taking(long_rig(**limits)) == [(-1, NO_PRICE, lots)]


def test_it_is_cut_to_what_the_venue_takes():
    rig = long_rig(rules={"max_qty_lots": 120})
    assert taking(rig) == [(-1, NO_PRICE, 120)]


@pytest.mark.parametrize(
    "state", [OperatorState.OPERATOR_PAUSE, OperatorState.OPERATOR_FLATTEN, OperatorState.OPERATOR_KILL]
)
def test_it_leaves_whatever_the_operator_or_a_latch_says(state):
    rig = long_rig()
    rig.symbols[0].desk.operator_state, rig.symbols[0].desk.latched = state, True
    assert taking(rig) == [(-1, NO_PRICE, 400)]


def test_a_refused_quote_does_not_hold_it_up():
    rig = long_rig()
    (quote,) = rig.quote([], [(100_010, 10)])
    rig.core.on_reject(quote["intent_id"], -2019, rig.now_ns)
    rig.step()
    assert taking(rig) == [(-1, NO_PRICE, 400)]


def test_when_the_venue_lets_the_account_only_reduce_quotes_pause_and_it_leaves():
    rig = long_rig()
    (quote,) = rig.quote([(99_990, 10)])
    rig.core.on_reject(quote["intent_id"], -4400, rig.now_ns)
    rig.step()
    assert rig.symbols[0].own.newest()["blocked"] == RejectReason.REJECT_VENUE_RULE
    rig.wait(300 * MS_NS)
    assert taking(rig) == [(-1, NO_PRICE, 400)]
    assert places(rig.quote([(99_980, 10)])) == []
    rig.wait(601 * SECOND_NS)
    rig.hold(0)
    rig.step()
    assert places(rig.quote([(99_980, 10)])) == [(1, 99_980, 10)]


def test_its_own_refusal_makes_it_wait():
    rig = long_rig()
    rig.ladder(take_n=1, take_side=-1, take_qty_lots=400, take_limit_ticks=NO_PRICE,
               take_deadline_mono_ns=rig.now_ns + SECOND_NS)  # fmt: skip
    (take,) = rig.step()
    rig.core.on_reject(take["intent_id"], -2022, rig.now_ns)
    rig.step()
    assert taking(rig, n=2) == []
    rig.wait(2 * SECOND_NS)
    assert taking(rig, n=3) == [(-1, NO_PRICE, 400)]


def test_the_rules_here_are_those_of_a_venue():
    assert RULES["min_qty_lots"] == 1  # else the smallest cut above would be another
