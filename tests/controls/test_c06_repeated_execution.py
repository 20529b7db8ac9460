"""C06: fills followed by new orders again and again, or refusals in a row, latch the symbol until a human says so."""

import pytest
from gateway_rig import MS_NS, SECOND_NS, Rig, cancels, places

from phx._core.enums import RejectReason

CYCLES = 5


def cycle(rig: Rig, times: int, every_ns: int = SECOND_NS) -> list[int]:
    """Be filled on the bid and quote it again; return how many orders each round placed."""
    placed = []
    for i in range(times):
        rig.wait(every_ns)
        orders = rig.quote([(99_990 - i % 2, 10)])
        rig.accept(orders)
        placed.append(len(places(orders)))
        for order in orders:
            if order["kind"] == 1:
                rig.fill(order)
                rig.hold(0)
        rig.step()
    return placed


def test_the_last_cycle_allowed_and_the_first_that_is_not():
    rig = Rig(throttle_cycles=CYCLES)
    assert cycle(rig, CYCLES + 1) == [1] * (CYCLES + 1)  # the first order follows no fill
    assert not rig.symbols[0].desk.latch_wanted
    assert cycle(rig, 1) == [0]
    assert rig.symbols[0].desk.latch_wanted
    assert rig.symbols[0].desk.latch_reason == RejectReason.REJECT_THROTTLE
    assert rig.symbols[0].own.newest()["blocked"] == RejectReason.REJECT_THROTTLE
    assert rig.symbols[0].counters["cycles"][0] == CYCLES + 1


def test_what_stands_when_it_strikes_is_pulled_and_nothing_follows():
    rig = Rig(throttle_cycles=CYCLES)
    (ask,) = rig.placed([], [(100_500, 10)])
    for i in range(CYCLES + 2):
        rig.wait(SECOND_NS)
        orders = rig.quote([(99_990 - i % 2, 10)], [(100_500, 10)])
        rig.accept(orders)
        for order in orders:
            if order["kind"] == 1:
                rig.fill(order)
                rig.hold(0)
        rig.step()
    assert ask["intent_id"] in cancels(rig.sent)
    rig.wait(600 * SECOND_NS)
    assert places(rig.quote([(99_990, 10)], [(100_500, 10)])) == []


def test_cycles_as_far_apart_as_the_window_never_add_up():
    rig = Rig(throttle_cycles=CYCLES, throttle_window_ns=10 * SECOND_NS)
    assert all(cycle(rig, 40, 2 * SECOND_NS))
    rig = Rig(throttle_cycles=CYCLES, throttle_window_ns=10 * SECOND_NS)
    assert not all(cycle(rig, 40, 2 * SECOND_NS - 400 * MS_NS))


def test_sides_are_counted_apart():
    rig = Rig(throttle_cycles=CYCLES)
    for i in range(CYCLES + 1):
        rig.wait(SECOND_NS)
        orders = rig.quote([(99_990 - i % 2, 10)], [(100_010 + i % 2, 10)])
        rig.accept(orders)
        for order in [o for o in orders if o["kind"] == 1]:
            rig.fill(order)
        rig.step()
    assert rig.symbols[0].counters["cycles"][0] == 2 * CYCLES and not rig.symbols[0].desk.latch_wanted


def test_several_fills_before_one_new_order_are_one_cycle():
    rig = Rig(throttle_cycles=CYCLES)
    for _ in range(CYCLES + 1):
        rig.wait(SECOND_NS)
        orders = rig.quote([(99_990 - i, 10) for i in range(8)])
        rig.accept(orders)
        for order in [o for o in orders if o["kind"] == 1]:
            rig.fill(order)
        rig.hold(0)
        rig.step()
    assert rig.symbols[0].counters["cycles"][0] == CYCLES and not rig.symbols[0].desk.latch_wanted


@pytest.mark.parametrize(("refusals", "latched"), [(4, False), (5, True)])
def test_refusals_in_a_row(refusals, latched):
    rig = Rig(throttle_rejects=5)
    for i in range(refusals):
        rig.wait(15 * SECOND_NS)
        (order,) = rig.quote([(99_990 - i % 2, 10)])
        rig.core.on_reject(order["intent_id"], -5022, rig.now_ns)
        rig.step()
    assert rig.symbols[0].desk.latch_wanted == latched


def test_an_accepted_order_ends_the_row():
    rig = Rig(throttle_rejects=5)
    for i in range(20):
        rig.wait(15 * SECOND_NS)
        orders = rig.quote([(99_990 - i % 2, 10)])
        if i % 4 == 3:
            rig.accept(orders)
        else:
            for order in orders:
                if order["kind"] == 1:
                    rig.core.on_reject(order["intent_id"], -5022, rig.now_ns)
        rig.step()
    assert not rig.symbols[0].desk.latch_wanted


@pytest.mark.parametrize("name", ["throttle_cycles", "throttle_rejects", "throttle_window_ns"])
def test_unset_it_lets_nothing_through(name):
    assert places(Rig(**{name: 0}).quote([(99_990, 10)])) == []


def test_a_human_who_enables_it_begins_anew():
    rig = Rig(throttle_cycles=CYCLES)
    cycle(rig, CYCLES + 2)
    rig.symbols[0].desk.enable()
    rig.wait(SECOND_NS)
    assert len(places(rig.quote([(99_980, 10)]))) == 1
