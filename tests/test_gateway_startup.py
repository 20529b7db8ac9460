"""Before anything trades: a stop loss must be bearable for the account, and what it pays must be known."""

import asyncio
from types import SimpleNamespace

import msgspec
import pytest
from gateway_rig import Rig
from quoting import INSTRUMENT, config

from phx.gateway.checks import check_equity
from phx.gateway.startup import clear, learn_fees
from phx.process import StayDown
from phx.venue.interface import Balance, CommissionRate, Position, VenueDown


class Venue:
    """An account with one balance and at most one position, mark price 64,000."""

    def __init__(self, wallet: str, qty: str = "0", entry: str = "0"):
        self.wallet, self.qty, self.entry = wallet, qty, entry

    async def mark_price(self, symbol):
        return "64000.0"

    async def balances(self):
        return [Balance("USDT", "1000000", "0"), Balance("USDC", self.wallet, "0")]

    async def positions(self):
        return [Position("BTCUSDC", self.qty, self.entry, "BOTH", 0), Position("XRPUSDC", "5", "2", "BOTH", 0)]


def checked(tmp_path, venue: Venue, **stop) -> None:
    loaded = config(tmp_path)
    entry = loaded.symbols["BTCUSDC"]
    entry = msgspec.structs.replace(entry, stop=msgspec.structs.replace(entry.stop, **stop))
    asyncio.run(
        check_equity(venue, msgspec.structs.replace(loaded, symbols={"BTCUSDC": entry}), {"BTCUSDC": INSTRUMENT})
    )


# 5 % of 0.30 x 64,000 is 960; a tenth of the equity may go.
def test_at_the_limit_it_starts(tmp_path):
    checked(tmp_path, Venue("9600"))


def test_beyond_it_the_gateway_stays_down_with_one_clear_line(tmp_path):
    with pytest.raises(StayDown) as refused:
        checked(tmp_path, Venue("9599.99"))
    assert str(refused.value) == (
        "BTCUSDC: a stop at full inventory loses 960.00 (stop.loss 0.05 x net_max 0.30 x 64000.0), more than "
        "risk.max_equity_loss 0.1 of the equity 9599.99 USDC: lower net_max or stop.loss, or add funds"
    )


def test_a_smaller_stop_needs_less(tmp_path):
    checked(tmp_path, Venue("1920"), loss=0.01)


def test_what_is_lost_already_counts(tmp_path):
    checked(tmp_path, Venue("9700", qty="0.1", entry="65000"))
    with pytest.raises(StayDown):
        checked(tmp_path, Venue("9699", qty="0.1", entry="65000"))


def test_another_assets_money_does_not_count(tmp_path):
    with pytest.raises(StayDown, match=r"equity 0\.00 USDC"):
        checked(tmp_path, Venue("0"))


class Rates:
    async def commission_rate(self, symbol):
        return CommissionRate(symbol, "-0.00005", "0.000432")


def test_the_commission_rates_of_the_account_reach_the_quoter():
    rig = Rig()
    venue, instruments = Rates(), {"SYM0": msgspec.structs.replace(INSTRUMENT, symbol_id=0)}
    asyncio.run(learn_fees(venue, rig.core, instruments, {}))
    rig.core.step(rig.now_ns)
    own = rig.symbols[0].own.newest()
    assert (own["maker_fee_e8"], own["taker_fee_e8"]) == (-5_000, 43_200)


def test_commission_rates_that_the_checks_have_read_are_not_asked_again():
    rig, known = Rig(), {"SYM0": CommissionRate("SYM0", "0.00001", "0.0002")}
    asyncio.run(learn_fees(None, rig.core, {"SYM0": msgspec.structs.replace(INSTRUMENT, symbol_id=0)}, known))
    rig.core.step(rig.now_ns)
    own = rig.symbols[0].own.newest()
    assert (own["maker_fee_e8"], own["taker_fee_e8"]) == (1_000, 20_000)


class Left:
    """A venue with an order of ours on each symbol; one symbol's list cannot be had."""

    def __init__(self):
        self.cancelled = []

    async def open_orders(self, symbol):
        if symbol == "BTCUSDC":
            raise VenueDown("no answer")
        return [SimpleNamespace(coid="phxs-00-1-1")]

    async def cancel_all(self, symbol):
        self.cancelled.append(symbol)


def test_what_a_dead_life_left_is_cancelled_on_every_symbol_that_answers_and_the_proof_does_the_rest():
    venue = Left()
    asyncio.run(clear(venue, ["BTCUSDC", "ETHUSDC"], "phxs-"))
    assert venue.cancelled == ["ETHUSDC"]
