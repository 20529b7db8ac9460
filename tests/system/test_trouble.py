"""Silence, half-open connections, clocks that jump, contracts that change: a running phx notices, and goes on.

One phx that quotes at the touch lives through the whole file. The judge is the venue's own history, whose times are
compared with the moment at which the venue was told to misbehave; three times the bounds are allowed.
"""

import time

import pytest
from conftest import isolated

from phx._core.enums import Mode
from phx.latches import Latches

from .hurt import Hurt, campaign_config
from .judgement import Lives, mistakes_in
from .kills import Killer
from .running import wait_until, yaml_of
from .stages import BTC

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

ETH = "ETHUSDC"
OLDEST_MS = 1000  # market data that is quoted on (quoting.max_data_age_ms)
SEEN_MS = 100  # from too old to cancelled at the venue
STREAM_FOUND_S = 3.0  # a user stream that says nothing although orders are placed
CLOCK_S = 2.0  # until the venue's time is learnt anew
TOLERANCE = 3


@pytest.fixture(scope="module")
def phx(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trouble")
    with isolated(folder) as config, Hurt(folder, yaml_of(campaign_config(config))) as phx:
        phx.wait_quoting()
        yield phx


@pytest.fixture(autouse=True)
def quoting_and_exact_afterwards(request, phx):
    """Every test begins while both symbols are quoted, and ends with books that are the venue's."""
    phx.wait_quoting()
    yield
    if request.node.name != "test_another_grid_latches_the_symbol_and_says_what_changed":
        phx.wait_quoting()
    assert Killer(phx, 1).books_wrong() == []
    assert mistakes_in(phx.history(), {}, phx.instruments(), phx.config) == []


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def pulled_ms(phx, symbol: str, since_ms: int) -> int:
    """Wait until no order of ours is open on a symbol; return how long that took."""
    found = []

    def gone() -> bool:
        found[:] = [Lives.of(phx.history()).none_open_ms((symbol,), since_ms)]
        return found[0] is not None

    wait_until(gone, 15, f"{symbol} to be pulled")
    return found[0] - since_ms


@pytest.mark.parametrize(
    ("fault", "settings", "symbols"),
    [
        ("silence", {"stream": "btcusdc@depth"}, [BTC]),  # the top moves on: what is behind it is old
        ("silence", {}, [BTC, ETH]),  # nothing comes, pings do
        ("half_open", {"route": "public"}, [BTC, ETH]),
    ],
    ids=["depth", "everything", "half_open"],
)
def test_quotes_on_data_that_stopped_are_pulled_however_alive_the_connection_looks(phx, fault, settings, symbols):
    at_ms = now_ms()
    with phx.fault(fault, **settings):
        for symbol in symbols:
            assert pulled_ms(phx, symbol, at_ms) <= TOLERANCE * (OLDEST_MS + SEEN_MS)
        if ETH not in symbols:
            assert phx.quoting(ETH)


@pytest.mark.parametrize(
    ("fault", "settings"),
    [("key_expired", {}), ("key_lost", {}), ("silent_user_stream", {}), ("half_open", {"route": "private"})],
    ids=["told", "lost", "silent", "half_open"],
)
def test_a_dead_user_stream_is_found_and_nothing_it_did_not_tell_is_missed(phx, fault, settings):
    connects = int(phx.counters("process.gateway")["connects"])
    with phx.fault(fault, **settings):
        wait_until(
            lambda: int(phx.counters("process.gateway")["connects"]) > connects,
            TOLERANCE * STREAM_FOUND_S,
            "another connection",
        )


@pytest.mark.parametrize("skew_ms", [5000, -5000])
def test_a_step_of_the_venues_clock_is_followed(phx, skew_ms):
    at_ms = now_ms()
    with phx.fault("clock_skew", skew_ms=skew_ms):
        wait_until(
            lambda: any(o["time"] > at_ms + CLOCK_S * 1000 for o in Lives.of(phx.history()).orders),
            TOLERANCE * CLOCK_S + 5,
            "orders accepted at the new time",
        )
    assert not Latches(phx.config.run_folder()).all()


def test_every_connection_closed_as_after_a_day_is_made_anew(phx):
    before = phx.pids()
    at_ms = now_ms()
    phx.switch_on("end_of_life")
    wait_until(
        lambda: Lives.of(phx.history()).placed((BTC, ETH), at_ms + 100, now_ms()), 10, "orders after the connections"
    )
    phx.wait_quoting()
    assert phx.pids() == before


def test_a_halted_symbol_is_left_alone_and_resumed_when_it_trades_again(phx):
    refused = phx.refused()
    with phx.fault("halt", symbol=BTC):
        at_ms = now_ms()
        assert pulled_ms(phx, BTC, at_ms) <= TOLERANCE * 1000
        time.sleep(2.5)
        assert phx.open_ids(BTC) == set()
        wait_until(lambda: phx.quoting(ETH), 10, "the other symbol quoted")
    symbol_closed = phx.refused().get("-4140", 0) - refused.get("-4140", 0)
    assert symbol_closed <= 16  # what was on its way; not one try after another
    phx.wait_quoting(20)
    assert not Latches(phx.config.run_folder()).all()


def test_another_grid_latches_the_symbol_and_says_what_changed(phx):
    with phx.fault("filters", symbol=BTC, tick=10):
        wait_until(lambda: Latches(phx.config.run_folder()).all(), TOLERANCE * 5, "a latch")
        (latch,) = Latches(phx.config.run_folder()).all()
        assert latch.symbol == BTC and "tick_size 0.1 -> 1.0" in latch.reason
        wait_until(lambda: phx.open_ids(BTC) == set(), 5, "no order of the old grid")
        wait_until(lambda: Mode(phx.newest(f"state.{BTC}")["mode"]) == Mode.MODE_HALTED, 5, "HALTED")
        wait_until(lambda: phx.quoting(ETH), 10, "the other symbol quoted")
