"""The venue's limits as they are now: adopted while trading, shared with the other processes, kept over restarts."""

import time
from types import SimpleNamespace

import pytest
from gateway_rig import Rig, cancels, places

from phx import limits_file
from phx._core.enums import JournalKind, RejectReason
from phx.config import Limits
from phx.gateway.budgets import TOLD_NS, Budgets
from phx.venue.binance.errors import limits_told
from phx.venue.binance.messages import RateLimit
from phx.venue.binance.silence import Silence
from phx.venue.binance.weights import FIREWALL_NS, MINUTE_NS, Weights

FUNDING = b'{"e":"ACCOUNT_UPDATE","E":2,"T":1,"a":{"m":"FUNDING_FEE","B":[],"P":[]}}'


def rows(ten=300, sixty=1200, weight=2400):
    return [
        RateLimit("REQUEST_WEIGHT", "MINUTE", 1, weight),
        RateLimit("ORDERS", "MINUTE", 1, sixty),
        RateLimit("ORDERS", "SECOND", 10, ten),
    ]


async def nothing(*_, **__) -> bytes:
    return b"[]"


@pytest.fixture
def made():
    rig, told = Rig(), []
    rest = SimpleNamespace(weights=Weights(0.4), tell_weight_limit=told.append, ask=nothing)
    shares = Limits(max_gross_notional=1, max_daily_loss=1)
    return rig, Budgets(rig.core, rest, {}, shares), told


def test_a_lowered_order_count_holds_from_the_next_order_on(made):
    rig, budgets, _ = made
    budgets.adopt(rows(ten=20, sixty=40))
    assert len(places(rig.quote([(99_990 - i, 10) for i in range(8)], [(100_010 + i, 10) for i in range(8)]))) == 8
    assert RejectReason.REJECT_MESSAGE_RATE in rig.reasons()


def test_what_a_reply_does_not_say_changes_nothing(made):
    rig, budgets, told = made
    budgets.adopt(rows(ten=20, sixty=40))
    budgets.adopt([RateLimit("REQUEST_WEIGHT", "MINUTE", 1, -1)])
    rig.step()
    own = rig.symbols[0].own.newest()
    assert (own["orders_10s_limit"], own["orders_60s_limit"], told) == (20, 40, [])


def test_a_lowered_weight_is_told_to_all_and_a_higher_one_than_phx_needs_is_not_used(made):
    rig, budgets, told = made
    budgets.adopt(rows(weight=1200))
    assert (rig.core.weight_limit, told) == (1200, [1200])
    budgets.adopt(rows(weight=6000))
    assert (rig.core.weight_limit, told) == (2400, [1200, 2400])


@pytest.mark.parametrize(
    ("msg", "row"),
    [
        ("Too many new orders; current limit is 150 orders per 10 SECOND.", ("ORDERS", 10, 150)),
        ("Too many new orders; current limit is 600 orders per 1 MINUTE.", ("ORDERS", 60, 600)),
        ("Too many requests; current limit is 1200 requests per minute. Please", ("REQUEST_WEIGHT", 60, 1200)),
        ("Way too many requests; IP banned until 1790000000000.", None),
        ("current limit is many orders per 10 SECOND", None),
        ("", None),
    ],
)
def test_a_refusal_names_the_limit_it_met(msg, row):
    assert [(r.rate_limit_type, r.window_s, r.limit) for r in limits_told(msg)] == ([row] if row else [])


async def test_what_was_told_while_counting_outranks_what_is_listed_unless_that_is_less(made, monkeypatch):
    _, budgets, _ = made
    listed = rows()

    async def rate_limits():
        return listed

    async def in_force():
        await budgets.learn()
        return budgets.orders[10], budgets.orders[60], budgets.core.weight_limit

    budgets.rest.rate_limits = rate_limits
    budgets.told(limits_told("Too many new orders; current limit is 150 orders per 10 SECOND."))
    assert await in_force() == (150, 1200, 2400)
    listed = rows(ten=100, weight=1200)
    assert await in_force() == (100, 1200, 1200)
    listed = rows()
    budgets.told(rows(ten=200))
    assert await in_force() == (200, 1200, 2400)
    later_ns = time.monotonic_ns() + TOLD_NS + 10**9
    monkeypatch.setattr(time, "monotonic_ns", lambda: later_ns)
    assert await in_force() == (300, 1200, 2400)


def test_orders_refused_together_for_a_limit_are_one_refusal(made):
    rig, _, _ = made
    for turn in range(2):
        actions = rig.quote([(99_990 - i - turn, 10) for i in range(30)])
        assert len(places(actions)) == 30
        for action in actions:
            rig.core.on_reject(action["intent_id"], -1015, rig.now_ns)
        rig.wait(11 * 10**9)
        rig.step()
    assert not rig.symbols[0].desk.latch_wanted
    for _ in range(18):
        (action,) = rig.quote([(99_990, 10)])
        rig.core.on_reject(action["intent_id"], -1015, rig.now_ns)
        rig.wait(11 * 10**9)
        rig.step()
    assert rig.symbols[0].desk.latch_wanted  # again and again is another matter


def test_while_weight_is_scarce_orders_stay_where_they_are_unless_they_are_too_near(made):
    rig, budgets, _ = made
    rig.placed([(99_990, 10), (99_980, 10)])
    budgets.rest.weights.used(2039, 0)
    budgets.mind_weight(0)
    assert places(rig.quote([(99_991, 10), (99_980, 10)])) == [(1, 99_991, 10)]
    rig.accept(rig.sent)
    rig.wait(2 * 10**9)
    budgets.rest.weights.used(2040, 0)
    budgets.mind_weight(0)
    assert rig.quote([(99_991, 10), (99_970, 10)]) == []  # the far one stays, so no other is put there
    too_near = rig.quote([(99_985, 10), (99_980, 10)])  # nearer than anything that is wanted: it goes
    assert (len(cancels(too_near)), places(too_near)) == (1, [(1, 99_985, 10)])
    rig.accept(too_near)
    budgets.adopt(rows(weight=2000))  # a new limit lifts nothing
    rig.wait(2 * 10**9)
    assert rig.quote([(99_985, 10), (99_970, 10)]) == []
    budgets.mind_weight(MINUTE_NS)
    assert len(cancels(rig.quote([(99_985, 10), (99_970, 10)]))) == 1


def test_other_processes_hear_of_the_weight_and_forget_no_ban(tmp_path):
    one, other = Silence(tmp_path / "s"), Silence(tmp_path / "s")
    one.tell(5, 9)
    one.tell(0, 0, 1200)
    heard = other.heard(0)
    assert (heard.limited_until_ns, heard.banned_until_ns, heard.weight) == (5, 9, 1200)


def test_the_firewall_s_silence_is_five_minutes():
    weights = Weights(1.0)
    assert weights.refused(True, FIREWALL_NS, 0, 10**18) == 300 * 10**9
    assert weights.wait_ns(0, True, 10**18 + FIREWALL_NS - 1) == 1
    assert weights.wait_ns(0, True, 10**18 + FIREWALL_NS) == 0


# ---- limits over restarts


def restarted(rig: Rig, folder, **params) -> Rig:
    limits_file.write(folder, {"SYM0": rig.symbols[0].desk.limits_in_force})
    later = Rig(**params)
    later.symbols[0].desk.restore_limits(limits_file.read(folder)["SYM0"])
    return later


def test_a_raised_limit_that_nobody_confirmed_is_not_adopted_by_the_next_life(tmp_path):
    first = Rig(max_order_lots=20)
    first.step()
    later = restarted(first, tmp_path, max_order_lots=500, params_version=2)
    assert places(later.quote([(99_990, 21)], params_version=2)) == []
    assert later.symbols[0].desk.limits_in_force["max_order_lots"] == 20
    confirmed = restarted(first, tmp_path, max_order_lots=500, params_version=2, raised_limits_by=1000)
    assert places(confirmed.quote([(99_990, 21)], params_version=2)) == [(1, 99_990, 21)]


def test_a_lowered_one_is_adopted_at_once_by_the_next_life(tmp_path):
    first = Rig(max_order_lots=500)
    first.step()
    later = restarted(first, tmp_path, max_order_lots=20, params_version=2)
    assert places(later.quote([(99_990, 21)], params_version=2)) == []


def test_limits_that_cannot_be_read_are_none(tmp_path):
    assert limits_file.read(tmp_path) == {}
    (tmp_path / "limits.json").write_bytes(b"{")
    assert limits_file.read(tmp_path) == {}
    with pytest.raises(ValueError):
        Rig().symbols[0].desk.restore_limits({"max_order_lots": 5})


def test_the_longer_a_window_counts_the_stricter_it_is():
    rig = Rig(protect_window_ns=10**9, protect_frozen_ns=5 * 10**9)
    rig.step()
    for version, frozen, in_force in ((2, 4 * 10**9, 5 * 10**9), (3, 6 * 10**9, 6 * 10**9), (4, 0, 0), (5, 10**9, 0)):
        changed = rig.params | {"params_version": version, "protect_frozen_ns": frozen, "protect_window_ns": version}
        rig.symbols[0].params.write(symbol_id=0, **changed)
        rig.step()
        limits = rig.symbols[0].desk.limits_in_force
        assert (limits["protect_frozen_ns"], limits["protect_window_ns"]) == (in_force, 10**9)


def test_every_order_in_the_journal_says_which_limits_it_was_checked_against():
    rig = Rig(params_version=41)
    rig.quote([(99_990, 10)])
    rig.symbols[0].params.write(symbol_id=0, **(rig.params | {"params_version": 42}))
    rig.quote([(99_980, 10)])
    found = [e for e in rig.journal.all() if e["kind"] == JournalKind.JOURNAL_PLACE]
    assert [int(e["params_version"]) for e in found] == [41, 42]
