"""Windows, refusals, bans that grow, and the door that closes; both sides of every limit."""

import pytest
from still_market import code

from phx.sim.exchange.ban import BLOCKED_MS, FIRST_BAN_MS, HAMMERING, LONGEST_BAN_MS, TOLERATED, Ban
from phx.sim.exchange.limits import Limits
from phx.sim.refusals import Blocked, Refused

NOW_MS = 1_780_000_020_000


def status(call, *arguments) -> int:
    try:
        call(*arguments)
    except Refused as refusal:
        return refusal.status
    return 200


def banned(limits: Limits, now_ms: int) -> Refused:
    """Return the refusal with which a client that goes on is banned."""
    limits.use_weight(now_ms, 2400 - limits.weight.count(now_ms))
    for _ in range(TOLERATED):
        assert status(limits.use_weight, now_ms, 1) == 429
    with pytest.raises(Refused) as refused:
        limits.use_weight(now_ms, 1)
    return refused.value


def test_weight_is_refused_beyond_its_limit_and_free_in_the_next_minute():
    limits = Limits()
    limits.use_weight(NOW_MS, 2399)
    assert code(limits.use_weight, NOW_MS, 1) == 0
    with pytest.raises(Refused, match="current limit is 2400 requests per minute") as refused:
        limits.use_weight(NOW_MS, 1)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 60 - NOW_MS // 1000 % 60)
    assert code(limits.use_weight, NOW_MS - NOW_MS % 60_000 + 60_000, 1) == 0


def test_who_goes_on_is_banned_whatever_he_asks():
    limits = Limits()
    refusal = banned(limits, NOW_MS)
    until_ms = NOW_MS + FIRST_BAN_MS
    assert (refusal.status, refusal.code, refusal.retry_after_s) == (418, -1003, 120)
    assert refusal.message == (
        f"Way too many requests; IP banned until {until_ms}. Please use the websocket for live updates to avoid bans."
    )
    assert status(limits.use_weight, until_ms - 1, 0) == 418
    assert status(limits.use_weight, until_ms, 1) == 200


def test_bans_grow_up_to_three_days_and_are_forgotten():
    ban, now_ms, lengths = Ban(), NOW_MS, []
    for _ in range(13):
        for _ in range(TOLERATED):
            ban.refused(now_ms)
        with pytest.raises(Refused):
            ban.refused(now_ms)
        lengths.append(ban.until_ms - now_ms)
        now_ms = ban.until_ms + 60_000
    assert lengths[:4] == [FIRST_BAN_MS * 2**i for i in range(4)]
    assert lengths[-1] == LONGEST_BAN_MS
    now_ms = ban.until_ms + 24 * 3_600_000
    for _ in range(TOLERATED):
        ban.refused(now_ms)
    with pytest.raises(Refused):
        ban.refused(now_ms)
    assert ban.until_ms - now_ms == FIRST_BAN_MS


def test_who_hammers_during_a_ban_finds_the_door_closed():
    limits = Limits()
    banned(limits, NOW_MS)
    for _ in range(HAMMERING):
        assert status(limits.use_weight, NOW_MS, 1) == 418
    with pytest.raises(Blocked):
        limits.use_weight(NOW_MS, 1)
    with pytest.raises(Blocked):
        limits.use_weight(NOW_MS + BLOCKED_MS - 1, 1)
    assert status(limits.use_weight, NOW_MS + BLOCKED_MS, 1) == 200


@pytest.mark.parametrize(
    ("in_10s", "in_1m", "fits", "unit"),
    [(1, 1, 300, "300 orders per 10 SECOND"), (0, 1, 1200, "1200 orders per 1 MINUTE")],
)
def test_orders_have_two_windows_per_account(in_10s, in_1m, fits, unit):
    limits = Limits()
    for _ in range(fits):
        limits.use_orders(NOW_MS, 1, in_10s, in_1m)
    with pytest.raises(Refused, match=unit) as refused:
        limits.use_orders(NOW_MS, 1, in_10s, in_1m)
    assert (refused.value.code, refused.value.status) == (-1015, 429)
    assert code(limits.use_orders, NOW_MS, 2) == 0


def test_a_batch_of_five_costs_five_and_one_and_may_be_given_back():
    limits = Limits()
    limits.use_orders(NOW_MS, 1, 5, 1)
    assert [row["count"] for row in limits.order_rows(NOW_MS, 1)] == [-1, 5, 1]
    limits.return_orders(NOW_MS, 1, 5, 1)
    limits.return_orders(NOW_MS, 1, 5, 1)
    assert [row["count"] for row in limits.order_rows(NOW_MS, 1)] == [-1, 0, 0]


def test_only_what_failed_for_the_venues_load_uses_no_count():
    assert [Refused(c).uses_order_count for c in (-1008, -5022, -2019)] == [False, True, True]


def test_limits_that_are_not_enforced_only_count():
    limits = Limits(enforced=False)
    for _ in range(200):
        limits.use_weight(NOW_MS, 100)
        limits.use_orders(NOW_MS, 1, 5, 5)
    assert limits.weight.count(NOW_MS) == 20_000
