"""The default configuration on real recordings: how still its quotes are, how near their targets, and how well the
quoter knows its place in the queue. The venue's overlay is the truth.
"""

from pathlib import Path
from statistics import mean, median

import pytest

from phx import config as configuration
from phx.replay.backtest import recorded_instruments
from phx.replay.session import Session

ROOT = Path(__file__).resolve().parents[1]
MINUTE_NS = 60 * 10**9
RECORDED = {"BTCUSDC": "btcusdt-2024-07-18T2357.jsonl.gz", "ETHUSDC": "ethusdt-2024-07-18T2357.jsonl.gz"}
OUR_LOTS = {"BTCUSDC": 6, "ETHUSDC": 120}  # of a near layer: recorded books do not hold them


def session_of(recordings: Path, symbol: str, **changes: str) -> Session:
    environ = {f"PHX__SYMBOLS__{symbol}__{name}": value for name, value in changes.items()}
    config = configuration.load(ROOT / "config.yaml.example", environ)
    files = [recordings / RECORDED[symbol]]
    return Session(config, recorded_instruments(config, files), files)


@pytest.mark.parametrize("symbol", RECORDED)
def test_quotes_stand_still_and_near_their_targets(recordings, symbol):
    session = session_of(recordings, symbol)
    session.run()
    trader = session.traders[symbol]
    minutes = (session.time.now_ns - session.began_ns) / MINUTE_NS
    counted = trader.quoter_counters[0]
    assert trader.gateway_counters["cancels"][0] / minutes < 50
    assert counted["top_ns"] > 15 * MINUTE_NS  # two sides of eight minutes, but for the start
    assert counted["top_within_ns"] / counted["top_ns"] > 0.99


@pytest.mark.parametrize("symbol", RECORDED)
def test_the_estimated_places_in_the_queue_are_near_the_venues(recordings, symbol):
    """Quotes so close that the book shows their levels; compared with each state the quoter publishes."""
    session = session_of(recordings, symbol, LADDER__NEAR__START="0.00005", QUOTING__MIN_SPREAD="0.00005")
    trader = session.traders[symbol]
    states, overlay = trader.state.reader(), session.venue.overlay(session.venue.traded[trader.instrument.symbol_id])
    errors, unknown = [], 0
    for _ in session.steps():
        state = states.read_record()[1]
        if state is None:
            continue
        for side, name in ((1, "front_buy_lots"), (-1, "front_sell_lots")):
            mine = sorted((-side * o.price_ticks, i) for i, o in session.venue.open.items() if o.side == side)
            if not mine or (len(mine) > 1 and mine[0][0] == mine[1][0]):
                continue
            estimate, truth = int(state[name]), overlay.front_lots(mine[0][1])
            if estimate < 0:
                unknown += 1
            else:
                errors.append(abs(estimate - truth) / max(estimate, truth, OUR_LOTS[symbol]))
    assert len(errors) > 4000 and unknown < len(errors)
    assert median(errors) <= 0.01
    assert mean(errors) <= 0.25
