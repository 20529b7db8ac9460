"""The fitted micro-price: counting and solving by scripts/fit_micro_price.py, its file, what the quoter makes of it."""

import importlib.util
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hard_recordings import InventedMarket
from quoting import CONFIG, INSTRUMENT, SECOND_NS, bbo, book, config, own, params

from phx import micro_price
from phx._core.signals import Signals
from phx.config_source import ConfigError
from phx.params import ParamsError, params_record

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "fit_micro_price.py"
spec = importlib.util.spec_from_file_location("fit_micro_price", SCRIPT)
fit_micro_price = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fit_micro_price)
Top, FitError = fit_micro_price.Top, fit_micro_price.FitError

T = 1_000 * SECOND_NS


# ---- solving


def test_the_published_toy_is_solved_exactly():
    q = [[0.5, 0.2, 0.05], [0.15, 0.5, 0.15], [0.05, 0.2, 0.5]]
    r1, jumps = [[0.22, 0.03], [0.1, 0.1], [0.03, 0.22]], [-0.5, 0.5]
    r2 = [[0.05, 0.1, 0.1], [0.06, 0.08, 0.06], [0.1, 0.1, 0.05]]
    g1, b, total = fit_micro_price.solve(q, r1, jumps, r2)
    assert g1 == pytest.approx([-0.1727272727, 0, 0.1727272727], abs=1e-9)
    assert b.sum(axis=1) == pytest.approx([1, 1, 1])
    assert total == pytest.approx([-0.1583333333, 0, 0.1583333333], abs=1e-9)


def test_one_step_by_hand():
    """A mid that always jumps up from above and down from below, and then may be anywhere: G* is the first jump."""
    g1, b, total = fit_micro_price.solve(np.zeros((2, 2)), [[0, 1], [1, 0]], [-1.0, 1.0], [[0.5, 0.5], [0.5, 0.5]])
    assert g1.tolist() == [1, -1] and b.tolist() == [[0.5, 0.5], [0.5, 0.5]] and total.tolist() == [1, -1]


def test_a_mid_that_never_moves_has_no_micro_price():
    with pytest.raises(FitError, match="never moves"):
        fit_micro_price.solve([[1.0, 0.0], [0.0, 0.5]], [[0, 0], [0.25, 0.25]], [-1, 1], [[0, 0], [0.25, 0.25]])


def test_an_imbalance_that_never_changes_sides_has_none():
    with pytest.raises(FitError, match="never changes sides"):
        fit_micro_price.solve(np.zeros((2, 2)), [[0, 1], [1, 0]], [-1.0, 1.0], np.eye(2))


# ---- counting


def test_states_are_spread_rows_of_imbalance_buckets():
    def state(bid_lots, ask_lots, spread):
        return fit_micro_price.state_of(Top(100, bid_lots, 100 + spread, ask_lots), 4, 3)

    assert [state(b, 100 - b, 1) for b in (1, 24, 25, 50, 74, 75, 99)] == [0, 0, 1, 2, 2, 3, 3]
    assert [state(1, 99, spread) for spread in (1, 2, 3, 9)] == [0, 4, 8, 8]


def test_each_observation_is_counted_with_its_mirror_image():
    history = [Top(100, 9, 101, 1), Top(100, 8, 101, 2), Top(101, 1, 102, 9)]
    chain = fit_micro_price.count([history], 2, 1)
    # State 1 stays in 1, then jumps by +1 into 0; mirrored: 0 stays in 0, then jumps by -1 into 1.
    assert chain.jumps.tolist() == [-1, 1]
    assert chain.q.tolist() == [[0.5, 0], [0, 0.5]]
    assert chain.r1.tolist() == [[0.5, 0], [0, 0.5]]
    assert chain.r2.tolist() == [[0, 0.5], [0.5, 0]]
    assert chain.seen.tolist() == [2, 2]


def test_nothing_connects_two_recordings():
    one, other = [Top(100, 9, 101, 1)] * 2, [Top(200, 9, 201, 1)] * 2
    assert len(fit_micro_price.count([one, other], 2, 1).jumps) == 0


def test_a_known_chain_is_recovered_from_what_it_does():
    """Three buckets: every step the mid jumps with probability 0.2, upwards with the bid's share of the quantity."""
    random = np.random.default_rng(3)
    shares, after = (0.1, 0.5, 0.9), ([0.5, 0.3, 0.2], [0.25, 0.5, 0.25], [0.2, 0.3, 0.5])
    history, mid, state = [], 10_000, 1
    for _ in range(60_000):
        history.append(Top(mid, round(shares[state] * 100), mid + 1, round((1 - shares[state]) * 100)))
        if random.random() < 0.2:
            mid += 1 if random.random() < shares[state] else -1
        state = random.choice(3, p=after[state])
    q, r2 = np.array(after) * 0.8, np.array(after) * 0.2
    r1 = np.array([[0.2 * (1 - p), 0.2 * p] for p in shares])
    expected = fit_micro_price.solve(q, r1, [-1, 1], r2)[2]
    found = fit_micro_price.solve(*fit_micro_price.count([history], 3, 1)[:4])[2]
    assert expected[2] > 0.2
    assert found == pytest.approx(expected, abs=0.02)


# ---- the whole way, from a recording to a quote


@pytest.fixture
def table_file(tmp_path):
    """A table of 2 spreads and 4 buckets; `change` rewrites it."""
    path = tmp_path / "table.json"
    content = {
        "about": "", "symbol": "BTCUSDT", "tick_size": "0.1", "recordings": ["a.jsonl.gz"],
        "observed": [[1, 2, 2, 1], [1, 1, 1, 1]],
        "fair_minus_mid_ticks": [[-3.0, -1.0, 1.0, 3.0], [-5.0, -2.0, 2.0, 5.5]],
    }  # fmt: skip
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def change(table_file):
    def changed(**fields):
        content = json.loads(table_file.read_text()) | fields
        table_file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
        return table_file

    return changed


def with_table(path):
    return CONFIG.replace("BTCUSDC:\n", f"BTCUSDC:\n    quoting: {{fair: stoikov, micro_price_file: {path}}}\n")


def record(tmp_path, text):
    loaded = config(tmp_path, text)
    return params_record(loaded.symbols["BTCUSDC"], loaded, INSTRUMENT, 1).reshape(1)


def test_a_recording_is_fitted_and_the_file_is_what_the_parameters_take(tmp_path):
    recording = InventedMarket(seed=5, symbol="BTCUSDT").run(3000).write(tmp_path / "btc.jsonl.gz")
    out = tmp_path / "btc.json"
    command = [sys.executable, str(SCRIPT), str(recording), "-o", str(out), "--buckets", "4", "--spreads", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = micro_price.load(out, Decimal("0.1"))
    assert (table.symbol, table.recordings, table.spreads, table.buckets) == ("BTCUSDT", ["btc.jsonl.gz"], 3, 4)
    cells = np.array(table.fair_minus_mid_ticks)
    assert cells == pytest.approx(-cells[:, ::-1]), "mirrored, so antisymmetric in the imbalance"
    assert np.abs(cells).max() > 0
    observed = np.array(table.observed)
    assert (observed == observed[:, ::-1]).all() and observed.sum() > 1000
    found = record(tmp_path, with_table(out))
    assert (found["stoikov_spreads"][0], found["stoikov_buckets"][0]) == (3, 4)
    assert found["stoikov_ticks"][0][:12] == pytest.approx(cells.ravel())


def test_a_cut_recording_is_used_up_to_there(tmp_path):
    path = InventedMarket(seed=5, symbol="BTCUSDT").run(2000).write(tmp_path / "btc.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-1000])
    table = fit_micro_price.fit([path], "BTCUSDT", Decimal("0.1"), Decimal("0.001"), 2, 1)
    assert table.fair_minus_mid_ticks[0][1] == -table.fair_minus_mid_ticks[0][0] != 0


def test_a_recorded_market_leans_towards_the_thinner_side(recordings):
    path = recordings / "btcusdt-2024-07-18T2357.jsonl.gz"
    table = fit_micro_price.fit([path], "BTCUSDT", Decimal("0.1"), Decimal("0.001"), 10, 4)
    narrow = table.fair_minus_mid_ticks[0]
    assert narrow == sorted(narrow) and narrow[-1] > 0.5, "more bids than asks: the next jumps go up"


def test_without_the_symbol_a_recording_of_several_is_not_fitted(tmp_path):
    items = InventedMarket(symbol="BTCUSDT").run(200).items + InventedMarket(symbol="ETHUSDT").run(200).items
    path = tmp_path / "two.jsonl"
    tops = [item for item in items if "@bookTicker" in getattr(item, "stream", "")]
    path.write_bytes(b"".join(b"%d %b\n" % (item.recv_ns, item.raw) for item in tops))
    command = [sys.executable, str(SCRIPT), str(path), "-o", str(tmp_path / "out.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "hold BTCUSDT, ETHUSDT" in done.stderr
    assert not (tmp_path / "out.json").exists()


def test_more_cells_than_the_record_holds_are_not_fitted(tmp_path):
    path = InventedMarket(seed=5, symbol="BTCUSDT").run(2000).write(tmp_path / "btc.jsonl.gz")
    with pytest.raises(FitError, match="more than 40 cells"):
        fit_micro_price.fit([path], "BTCUSDT", Decimal("0.1"), Decimal("0.001"), 2, 21)


# ---- the file


def test_forty_cells_fit_and_one_more_does_not(change):
    assert micro_price.load(change(fair_minus_mid_ticks=[[0.5] * 10] * 4), Decimal("0.1")).cells() == [0.5] * 40
    with pytest.raises(micro_price.MicroPriceError, match="1 spreads and 41 buckets are more than 40 cells"):
        micro_price.load(change(fair_minus_mid_ticks=[[0.5] * 41]), Decimal("0.1"))


BAD = [
    ({"fair_minus_mid_ticks": []}, "rows of no cells"),
    ({"fair_minus_mid_ticks": [[]]}, "rows of [0] cells"),
    ({"fair_minus_mid_ticks": [[1.0], [1.0, 2.0]]}, "rows of [1, 2] cells"),
    ({"fair_minus_mid_ticks": [[1.0, 1e6]]}, "spread 1, bucket 1 is 1000000.0"),
    ({"fair_minus_mid_ticks": [["a"]]}, "expected a table of fit_micro_price.py"),
    ({"fair_minus_mid_ticks": None}, "missing required field `fair_minus_mid_ticks`"),
    ({"tick_size": "0.01"}, "fitted with tick size 0.01, the instrument's is 0.1"),
    ({"tock_size": "0.01"}, "unknown field `tock_size`"),
]


@pytest.mark.parametrize(("fields", "sentence"), BAD)
def test_a_bad_file_is_one_error_that_names_it(tmp_path, change, fields, sentence):
    path = change(**fields)
    with pytest.raises(ParamsError) as caught:
        record(tmp_path, with_table(path))
    (error,) = caught.value.errors
    assert error.startswith(f"symbols.BTCUSDC.quoting.micro_price_file: {path}: ") and sentence in error


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "No such file"),
        (b"", "expected a table"),
        (b"\xff\xfe", "expected a table"),
        (b"[1, 2]", "expected a table"),
        (b" " * 200_000, "more than 100000 bytes"),
    ],
)
def test_so_is_a_file_that_is_no_table(tmp_path, table_file, content, sentence):
    table_file.unlink() if content is None else table_file.write_bytes(content)
    with pytest.raises(ParamsError) as caught:
        record(tmp_path, with_table(table_file))
    (error,) = caught.value.errors
    assert str(table_file) in error and sentence in error


def test_a_fair_price_of_a_table_needs_one(tmp_path):
    with pytest.raises(ConfigError, match=r"stoikov needs quoting\.micro_price_file"):
        config(tmp_path, with_table('""'))


# ---- in the quoter


@pytest.mark.parametrize(
    ("bid_lots", "ask_lots", "spread", "expected"),
    [
        (10, 90, 1, -3.0),
        (24, 76, 1, -3.0),
        (25, 75, 1, -1.0),
        (50, 50, 1, 1.0),
        (75, 25, 1, 3.0),
        (1000, 1, 1, 3.0),
        (10, 90, 2, -5.0),
        (90, 10, 2, 5.5),
        (90, 10, 300, 5.5),
    ],
)
def test_fair_is_the_mid_plus_the_cell_of_imbalance_and_spread(
    tmp_path, table_file, bid_lots, ask_lots, spread, expected
):
    found = record(tmp_path, with_table(table_file))
    # Deeper levels have no say, although the imbalance signal sees five.
    b = book([(1000, bid_lots), (999, 10**6)], [(1000 + spread, ask_lots)], update_id=1)
    market = Signals().market(b, bbo((1, 1), (2, 1)), own(), found, T)
    assert market["stoikov_ticks"] == expected
    assert market["fair_ticks"] == 1000 + spread / 2 + expected


def test_the_fit_and_the_quoter_agree_on_every_state(tmp_path, table_file):
    found = record(tmp_path, with_table(table_file))
    cells = found["stoikov_ticks"][0]
    for bid_lots in range(1, 40):
        for spread in range(1, 5):
            top = Top(1000, bid_lots, 1000 + spread, 40 - bid_lots)
            b = book([(1000, bid_lots)], [(1000 + spread, 40 - bid_lots)], update_id=1)
            market = Signals().market(b, bbo((1, 1), (2, 1)), own(), found, T)
            assert market["stoikov_ticks"] == cells[fit_micro_price.state_of(top, 4, 2)]


def test_without_a_table_the_microprice_counts(tmp_path):
    plain = params(tmp_path, fair_source=3)
    b = book([(100, 30)], [(102, 10)], update_id=1)
    market = Signals().market(b, bbo((1, 1), (2, 1)), own(), plain, T)
    assert (market["fair_ticks"], market["stoikov_ticks"]) == (101.5, 0)


def test_a_table_that_is_named_but_not_the_fair_price_is_shown_only(tmp_path, table_file):
    found = record(tmp_path, with_table(table_file).replace("fair: stoikov", "fair: mid"))
    b = book([(100, 30)], [(101, 10)], update_id=1)
    market = Signals().market(b, bbo((1, 1), (2, 1)), own(), found, T)
    assert (market["fair_ticks"], market["stoikov_ticks"]) == (100.5, 3.0)
