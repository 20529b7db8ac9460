"""Silence, half-open connections, clocks that jump, contracts that change: a running phx notices, and goes on.

One phx that quotes at the touch lives through the whole file. The judge is the venue's own history, whose times are
compared with the moment at which the venue was told to misbehave; three times the bounds are allowed.
"""

import time
from decimal import Decimal

import msgspec
import pytest
from conftest import isolated

from phx.instruments import read_table, write_table
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
REQUANTISED_S = 5.0  # from other filters to quotes by them
TOLERANCE = 3
LAYERS = 6  # a side has in campaign_config


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
    phx.wait_quoting()
    if request.node.name == "test_a_finer_grid_begins_a_new_life_in_finer_units_with_the_same_books":
        wait_until(lambda: same_cash(Killer(phx, 1)), 15, "the venue's books, but for where costs were rounded")
    else:
        assert Killer(phx, 1).books_wrong() == []
    assert mistakes_in(phx.history(), {}, phx.instruments(), phx.config) == []


def same_cash(killer: Killer) -> bool:
    """Return whether our books are the venue's. What a part of a position cost was rounded in the units of its time; it
    left the open cost and went into the profit, so the difference of both is exact in all units."""
    truth, booked = killer.truth(BTC, killer.phx.instruments()[BTC]), killer.booked(BTC)
    exact = [
        (b.position_lots, b.realised_ticklots - b.open_cost_ticklots, b.volume_ticklots, b.fees_e8, b.fills)
        for b in (truth, booked)
    ]
    return exact[0] == exact[1]


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


def on_grid(phx, price_grid: str, qty_grid: str) -> bool:
    """Return whether both sides are quoted and every open order of ours lies on a grid."""
    rows = phx.ledger()["symbols"][BTC]["open"]
    prices, sizes = (all(Decimal(o[name]) % Decimal(grid) == 0 for o in rows) for name, grid in (
        ("price", price_grid), ("origQty", qty_grid)))  # fmt: skip
    return prices and sizes and {o["side"] for o in rows} == {"BUY", "SELL"}


def test_other_filters_are_quoted_by_while_it_runs(phx):
    refused, pids = phx.refused(), phx.pids()
    with phx.fault("filters", symbol=BTC, tick=10, step=2, notional=2):
        wait_until(lambda: on_grid(phx, "1", "0.002"), TOLERANCE * REQUANTISED_S, "quotes on the new grid")
        assert Killer(phx, 1).books_wrong() == []
    grid = {code: phx.refused().get(code, 0) - refused.get(code, 0) for code in ("-1111", "-4014", "-4023", "-4164")}
    # No more than one ladder: what was on its way when the first refusal came.
    assert sum(grid.values()) <= 2 * (LAYERS + 1)
    assert phx.pids() == pids and not Latches(phx.config.run_folder()).all()


def test_a_finer_grid_begins_a_new_life_in_finer_units_with_the_same_books(phx):
    """A feed's word that the market is on a finer grid: the same way as when the venue says so."""
    table_path = phx.config.shm_folder() / "instruments.main.json"
    table, pids, before = read_table(table_path), phx.pids(), phx.refused()
    btc = table[BTC]
    units = {"tick_size": btc.tick_size / 5, "lot_size": btc.lot_size / 2}
    steps = {"price_step": btc.price_step * 5, "qty_step": btc.qty_step * 2}
    write_table(table_path, (table | {BTC: msgspec.structs.replace(btc, **units, **steps)}).values())
    concerned = ("feed.main", f"quoter.{BTC}", "gateway")
    for name in concerned:
        wait_until(lambda name=name: phx.is_back(name, pids[name]), 40, f"another {name}")
    wait_until(lambda: phx.quoting(BTC) and phx.quoting(ETH), 40, "quotes of the new lives")
    assert phx.pids() == pids | {name: phx.pid(name) for name in concerned}
    assert phx.instruments()[BTC].lot_size == units["lot_size"]
    assert {code for code in phx.refused() if phx.refused()[code] != before.get(code)} <= {"-5022"}
    assert not Latches(phx.config.run_folder()).all()
