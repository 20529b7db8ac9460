"""Funding of a backtest, by hand: paid once, when a mark names a later funding time, at what was said before it."""

import json
from decimal import Decimal

import pytest
from written_instance import instrument

from phx.replay.funding import Funding

BTC = instrument("BTCUSDC", 0, "0.1", "0.001")


def mark(price: str, rate: str | None, next_ms: int) -> bytes:
    event = {"e": "markPriceUpdate", "s": "BTCUSDT", "p": price, "r": rate, "T": next_ms}
    return json.dumps({key: value for key, value in event.items() if value is not None}).encode()


def test_nothing_is_due_before_a_later_funding_time_is_named():
    funding = Funding(BTC)
    assert funding.due(mark("64000", "0.0001", 8)) is None
    assert funding.due(mark("64001", "0.0001", 8)) is None
    due = funding.due(mark("65000", "0.0005", 16))
    assert (due.price, due.rate) == (Decimal(64001), Decimal("0.0001"))
    assert funding.due(mark("65000", "0.0005", 16)) is None


@pytest.mark.parametrize(
    ("lots", "rate", "amount_e8"),
    [
        (30, "0.0001", -19_200_300),  # 0.030 at 64 001: 1920.03, of it a ten-thousandth
        (-30, "0.0001", 19_200_300),
        (30, "-0.00003", 5_760_090),
        (1, "0.00000001", -64),  # 64.001 cut off towards zero
        (-1, "0.00000001", 64),
    ],
)
def test_longs_pay_shorts_at_a_positive_rate(lots, rate, amount_e8):
    funding = Funding(BTC)
    funding.due(mark("64001", rate, 8))
    assert funding.due(mark("1", "1", 16)).amount_e8(lots) == amount_e8


@pytest.mark.parametrize("first", [mark("64001", None, 8), mark("64001", "", 8), mark("64001", "0.0001", 0)])
def test_without_a_rate_or_a_time_nothing_is_paid(first):
    funding = Funding(BTC)
    assert funding.due(first) is None and funding.due(mark("64001", "0.0001", 16)) is None
