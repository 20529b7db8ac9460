"""C15: filled too much too fast, both sides are pulled at once and stay away for a while, or until a human says so."""

from collections import deque

import pytest
from gateway_rig import MS_NS, NO_PRICE, SECOND_NS, Rig, cancels, places
from hypothesis import given, settings
from hypothesis import strategies as st

from phx._core.enums import RejectReason
from phx._core.protection import RollingFills

BIDS, ASKS = [(99_990 - i, 10) for i in range(8)], [(100_010 + i, 10) for i in range(8)]


def quoted(**params) -> tuple[Rig, list, list]:
    rig = Rig(**params)
    orders = rig.placed(BIDS, ASKS)
    return rig, [o for o in orders if o["side"] > 0], [o for o in orders if o["side"] < 0]


def sweep(rig: Rig, orders) -> None:
    """Fill them all within a millisecond."""
    for order in orders:
        rig.now_ns += MS_NS // 16
        rig.fill(order)


def test_at_the_limit_it_quotes_on_and_beyond_it_both_sides_are_pulled_in_the_same_turn():
    rig, bids, _ = quoted(protect_lots=50)
    sweep(rig, bids[:5])
    assert cancels(rig.step()) == []
    rig, bids, asks = quoted(protect_lots=50)
    sweep(rig, bids[:6])
    assert sorted(cancels(rig.step())) == sorted(o["intent_id"] for o in bids[6:] + asks)
    own = rig.symbols[0].own.newest()
    assert own["blocked"] == RejectReason.REJECT_PROTECTION
    assert own["frozen_until_mono_ns"] == rig.now_ns + 5 * SECOND_NS
    assert rig.symbols[0].counters["protections"][0] == 1


def test_the_position_may_move_only_so_far():
    rig, bids, asks = quoted(protect_delta_lots=20)
    for bid, ask in zip(bids, asks, strict=True):  # 160 lots in and out, never more than 10 apart
        sweep(rig, [bid, ask])
    assert cancels(rig.step()) == []
    rig, bids, _ = quoted(protect_delta_lots=20)
    sweep(rig, bids[:2])
    assert cancels(rig.step()) == []
    sweep(rig, bids[2:3])
    assert len(cancels(rig.step())) == 13


def test_no_quote_while_frozen_and_quotes_again_afterwards():
    rig, bids, _ = quoted(protect_lots=50)
    sweep(rig, bids[:6])
    struck_ns = rig.now_ns
    for intent in cancels(rig.step()):
        rig.core.on_end(intent, False, 0, 1, rig.now_ns)
    while rig.now_ns + 100 * MS_NS < struck_ns + 5 * SECOND_NS:
        rig.wait(100 * MS_NS)
        assert places(rig.quote(BIDS, ASKS)) == []
    rig.wait(struck_ns + 5 * SECOND_NS - rig.now_ns - 1)
    assert places(rig.quote(BIDS, ASKS)) == []
    rig.wait(1)
    assert len(places(rig.quote(BIDS, ASKS))) == 16
    assert rig.symbols[0].own.newest()["frozen_until_mono_ns"] == 0


def test_frozen_for_nothing_means_until_a_human_enables_it():
    rig, bids, _ = quoted(protect_lots=50, protect_frozen_ns=0)
    sweep(rig, bids[:6])
    for intent in cancels(rig.step()):
        rig.core.on_end(intent, False, 0, 1, rig.now_ns)
    assert rig.symbols[0].desk.latch_wanted
    assert rig.symbols[0].desk.latch_reason == RejectReason.REJECT_PROTECTION
    rig.wait(3600 * SECOND_NS)
    assert places(rig.quote(BIDS, ASKS)) == []
    rig.symbols[0].desk.enable()
    rig.wait(SECOND_NS)
    assert len(places(rig.quote(BIDS, ASKS))) == 16


def test_a_take_goes_while_frozen_and_does_not_strike_itself():
    rig, bids, _ = quoted(protect_lots=50)
    sweep(rig, bids[:6])
    for intent in cancels(rig.step()):
        rig.core.on_end(intent, False, 0, 1, rig.now_ns)
    until_ns = rig.symbols[0].own.newest()["frozen_until_mono_ns"]
    rig.ladder(take_n=1, take_side=-1, take_qty_lots=60, take_limit_ticks=NO_PRICE,
               take_deadline_mono_ns=rig.now_ns + SECOND_NS)  # fmt: skip
    (take,) = rig.step()
    assert places([take]) == [(-1, NO_PRICE, 60)]
    rig.fill(take, price=99_990)
    rig.step()
    assert rig.symbols[0].own.newest()["frozen_until_mono_ns"] == until_ns
    assert rig.symbols[0].counters["protections"][0] == 1


def test_what_others_did_on_the_account_does_not_strike():
    rig, _, asks = quoted(protect_lots=50)
    rig.core.on_fill(0, 0, 0, 900, 1, 100_000, 500, 0, False, 1, rig.now_ns)
    assert cancels(rig.step()) == [] and len(asks) == 8


@pytest.mark.parametrize("name", ["protect_lots", "protect_delta_lots", "protect_window_ns"])
def test_unset_it_lets_nothing_through(name):
    assert places(Rig(**{name: 0}).quote(BIDS)) == []


@given(
    st.lists(st.tuples(st.integers(0, 400 * MS_NS), st.sampled_from([1, -1]), st.integers(1, 40)), max_size=200),
    st.integers(1, 200),
    st.integers(1, 100),
)
@settings(max_examples=200, deadline=None)
def test_it_counts_exactly_what_a_list_of_fills_counts(fills, allowed, allowed_delta):
    rolling, window, now = RollingFills(SECOND_NS, allowed, allowed_delta), deque(), 0
    for gap, side, lots in fills:
        now += gap
        window.append((now, side * lots))
        while now - window[0][0] >= SECOND_NS:
            window.popleft()
        total, delta = sum(abs(n) for _, n in window), sum(n for _, n in window)
        assert rolling.fill(side, lots, now) == (total > allowed or abs(delta) > allowed_delta)
        assert rolling.lots == (total, delta)


def test_more_fills_than_it_remembers_are_too_many():
    rolling = RollingFills(SECOND_NS, 10**12, 10**12)
    assert [rolling.fill(1, 1, i) for i in range(1025)] == [False] * 1024 + [True]
