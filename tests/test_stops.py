"""The stops: each side of each limit, in numbers worked out by hand."""

import pytest
from quoting import own, params

from phx._core.enums import Reason, RejectReason
from phx._core.stops import stop_of


def struck(tmp_path, position, cost, mark, peak=None, **fields):
    """net_max 300 lots, loss 5 %, drawdown 1.5, smallest position 5 % of net_max, emergency 1.0."""
    record = own(position=position, open_cost_ticklots=position * cost, **fields)
    return stop_of(record, mark, params(tmp_path, ticklot_e8=10_000), peak)


@pytest.mark.parametrize(
    ("position", "cost", "mark", "reason"),
    [
        (100, 10_000, 9_524, Reason.REASON_NONE),  # 476 of 9524 = 4.998 %
        (100, 10_000, 9_523, Reason.REASON_STOP_LOSS),  # 477 of 9523 = 5.009 %
        (-100, 10_000, 10_526, Reason.REASON_NONE),  # 526 of 10526 = 4.997 %
        (-100, 10_000, 10_527, Reason.REASON_STOP_LOSS),
        (15, 10_000, 9_000, Reason.REASON_STOP_LOSS),
        (14, 10_000, 9_000, Reason.REASON_NONE),  # smaller than 5 % of net_max
        (300, 10_000, 10_000, Reason.REASON_NONE),
        (301, 10_000, 10_000, Reason.REASON_EMERGENCY),
        (-301, 10_000, 10_000, Reason.REASON_EMERGENCY),
        (0, 0, 10_000, Reason.REASON_NONE),
    ],
)
def test_stop_loss_and_emergency(tmp_path, position, cost, mark, reason):
    assert stop_of_reason(struck(tmp_path, position, cost, mark)) == reason


def stop_of_reason(found):
    return Reason(found[0])


def test_drawdown_counts_everything_below_the_peak(tmp_path):
    # 1.5 · 0.05 · 300 lots · 10,000 ticks = 225,000 tick-lots. Net: 1000 realised − 500 fees + 200 funding = 700.
    totals = {"realised_ticklots": 1000, "fees_e8": 500 * 10_000, "funding_e8": 200 * 10_000}
    for peak, reason in ((225_700, Reason.REASON_NONE), (225_701, Reason.REASON_DRAWDOWN)):
        found, gains = struck(tmp_path, 0, 0, 10_000, peak=peak, **totals)
        assert (found, gains["net_ticklots"]) == (reason, 700)


def test_the_peak_follows_the_profit_up_only(tmp_path):
    assert struck(tmp_path, 10, 100, 150, peak=400)[1]["peak_ticklots"] == 500
    assert struck(tmp_path, 10, 100, 150, peak=600)[1]["peak_ticklots"] == 600


def test_the_first_value_is_the_first_peak_also_when_it_is_a_loss(tmp_path):
    assert struck(tmp_path, 10, 150, 100)[1]["peak_ticklots"] == -500


def test_the_daily_loss_comes_before_all_others_and_needs_no_price(tmp_path):
    blocked = {"blocked": RejectReason.REJECT_DAILY_LOSS}
    assert struck(tmp_path, 301, 10_000, 0, **blocked)[0] == Reason.REASON_DAILY_LOSS


def test_without_a_price_only_the_inventory_is_judged(tmp_path):
    assert struck(tmp_path, 100, 10_000, 0)[0] == Reason.REASON_NONE
    assert struck(tmp_path, 301, 10_000, 0)[0] == Reason.REASON_EMERGENCY
