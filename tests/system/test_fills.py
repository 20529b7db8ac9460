"""Fills, end to end: what the gateway books is what the venue's own history says, fill by fill, whatever dies.

A real phx quotes at the touch, so that the market fills it dozens of times in seconds. The judge is the simulated
venue: its ledger, its whole history of orders, its trade history by REST.
"""

import asyncio
import os
import signal

import pytest

from phx.instruments import read_table
from phx.venue.binance import keys
from phx.venue.binance.endpoints import endpoints
from phx.venue.binance.rest import Rest

from .running import Running, tight, wait_until, yaml_of
from .venue_truth import Books, books_of, fills_of, largest_worst_cases

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

FILLS = 24


def history(phx, symbol: str) -> list[dict]:
    """Return every order the venue ever accepted for a symbol, with its fills."""
    return phx.venue_says(f"orders?symbol={symbol}")


def fill_count(phx) -> int:
    return sum(row["fills"] for row in phx.ledger()["symbols"].values())


def instrument_of(phx, symbol: str):
    return read_table(phx.config.shm_folder() / "instruments.main.json")[symbol]


def pause(phx) -> None:
    """Have every order taken away, so that the history stands still."""
    phx.phx("pause")
    wait_until(lambda: phx.ledger()["open_orders"] == 0, 10, "no open order while paused")


def booked(phx, symbol: str) -> Books:
    """Return what the gateway says it has booked."""
    own = phx.newest(f"own.{symbol}")
    return Books(*(int(own[name]) for name in Books.__dataclass_fields__))


def trade_history(phx, symbol: str) -> list:
    """Return the account's trades as the REST query lists them."""

    async def ask():
        rest = Rest(endpoints(phx.config), keys.load(phx.config), share=1.0)
        try:
            return await rest.user_trades(symbol, limit=1000)
        finally:
            await rest.close()

    return asyncio.run(ask())


def assert_nothing_forbidden(phx, symbol: str) -> None:
    """Only post-only orders, none meeting another of ours, none without an armed countdown, none beyond the limit."""
    row = phx.ledger()["symbols"][symbol]
    assert (row["not_post_only"], row["self_trades"], row["unprotected"]) == (0, 0, 0)
    assert row["maker_fills"] == row["fills"]
    config, instrument = phx.config.symbols[symbol], instrument_of(phx, symbol)
    limit_lots = int(instrument.lots(config.net_max) * config.risk.worst_case)
    largest = largest_worst_cases(history(phx, symbol), instrument)
    assert max(largest.values()) <= limit_lots, (symbol, largest)


def assert_books_are_the_venues(phx, symbol: str) -> Books:
    """The gateway's totals are those of the venue's fills: each booked once, none lost, every amount exact."""
    instrument = instrument_of(phx, symbol)
    orders = history(phx, symbol)
    truth = books_of(orders, instrument)
    wait_until(lambda: booked(phx, symbol) == truth, 5, f"{symbol}: {booked(phx, symbol)} to become {truth}")
    trades = trade_history(phx, symbol)
    assert [t.trade_id for t in trades] == [fill["id"] for _, fill in fills_of(orders)]
    assert sum(t.side * instrument.lots(t.qty) for t in trades) == truth.position_lots
    # The venue rounds what it realises by itself; the account's profit altogether leaves no room for that.
    position = phx.ledger()["symbols"][symbol]["position"]
    assert instrument.lots(position["qty"]) == truth.position_lots
    closings = truth.fills
    venue_e8 = round(float(position["realised"]) * 1e8)
    assert abs(venue_e8 - truth.realised_ticklots * instrument.ticklot_e8) <= closings * instrument.ticklot_e8
    assert round(float(position["fees"]) * 1e8) == truth.fees_e8
    if truth.position_lots:
        cost = float(position["entry"]) / float(instrument.tick_size) * truth.position_lots
        assert abs(cost - truth.open_cost_ticklots) <= closings
    return truth


@pytest.fixture
def filling(instance_config, tmp_path):
    """A phx that quotes at the touch of the synthetic market."""
    with Running(tmp_path, yaml_of(tight(instance_config, ["BTCUSDC", "ETHUSDC"], seed=1))) as phx:
        phx.wait_quoting()
        yield phx


def test_every_fill_is_booked_once_and_exactly_also_those_of_a_dead_time(filling):
    phx = filling
    wait_until(lambda: fill_count(phx) >= FILLS, 90, f"{FILLS} fills")

    # Killed in the middle of it, twice; its orders stay at the venue for a moment and go on being filled.
    for _ in range(2):
        seen, old = fill_count(phx), phx.pid("gateway")
        wait_until(lambda s=seen: fill_count(phx) > s, 60, "another fill", every_s=0.005)
        os.kill(old, signal.SIGKILL)
        wait_until(lambda o=old: phx.alive("gateway") and phx.pid("gateway") != o, 20, "the gateway to come back")
        phx.wait_quoting()

    pause(phx)
    for symbol in phx.config.traded():
        assert_books_are_the_venues(phx, symbol)
        assert_nothing_forbidden(phx, symbol)
        counters = phx.counters(f"counters.gateway.{symbol}")
        assert counters["position_drift"] == 0
        assert counters["unknown_resolved"] <= counters["unknown_outcomes"]
    assert int(phx.newest("own.BTCUSDC")["epoch"]) == 3


def test_on_a_recorded_market_our_place_in_the_queue_fills_us(instance_config, tmp_path, recordings):
    path = str(recordings / "btcusdt-2024-07-18T2357.jsonl.gz")
    config = tight(instance_config, ["BTCUSDC"], market="recorded", recordings=[path], speed=6.0)
    with Running(tmp_path, yaml_of(config)) as phx:
        phx.wait_quoting()
        wait_until(lambda: fill_count(phx) >= 5, 60, "5 fills")
        pause(phx)
        assert_books_are_the_venues(phx, "BTCUSDC")
        assert_nothing_forbidden(phx, "BTCUSDC")
