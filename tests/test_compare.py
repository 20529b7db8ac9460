"""The comparison: every variant differs where it says so, on the same market, and the table is made of backtests."""

import importlib.util
from decimal import Decimal
from pathlib import Path

import pytest
from invented_market import write

from phx import config as configuration
from phx.recording import RecordingError, symbols
from phx.replay import backtest, compare
from phx.replay.session import Session

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "config.yaml.example"
SHARE = Decimal("0.1")


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tapes")
    return [
        write(folder / f"{symbol}.jsonl.gz", seconds=6, seed=i, symbol=symbol)
        for i, symbol in enumerate(("BTCUSDC", "BTCUSDT"))
    ]


@pytest.fixture(scope="module")
def example():
    return configuration.load(EXAMPLE, {})


@pytest.fixture(scope="module")
def rows(example, tapes):
    return compare.compared(example, ["+".join(map(str, tapes))], SHARE, processes=1)


def test_every_mode_model_and_signal_has_its_row(rows):
    assert [row.variant for row in rows] == [
        *(f"{model}, {mode}" for model in compare.MODELS for mode in ("normal only", "+ pinning", "+ grinding")),
        "asmm, + grinding, vpin",
        "asmm, + grinding, leader",
        "asmm, + grinding, vpin, leader",
    ]
    assert [row.refused for row in rows] == [""] * 12
    assert all(result.ladders for row in rows for result in row.results)


def test_a_row_is_the_backtest_of_its_parameters(example, tapes, rows):
    market = compare.surveyed(example, "+".join(map(str, tapes)))
    for row in rows[::4]:
        made = compare.varied(example, market, compare.variants(market)[row.variant], SHARE)
        session = Session(made, backtest.recorded_instruments(made, tapes), tapes)
        assert backtest.run(session)[0] == row.results


def test_a_variant_changes_what_it_says_and_nothing_else(example, tapes):
    market = compare.surveyed(example, "+".join(map(str, tapes)))
    assert market.leaders == {"BTCUSDC": "BTCUSDT"} and market.volume["BTCUSDC"] > 0
    changed = compare.variants(market)["asmm, + grinding, vpin, leader"]
    found, plain = (compare.varied(example, market, c, SHARE).symbols["BTCUSDC"] for c in (changed, {}))
    assert (found.leader.symbol, found.leader.weight, found.quoting.fair) == ("BTCUSDT", 0.5, "leader")
    assert found.vpin.enabled and abs(found.vpin.bucket_qty * 150 - market.volume["BTCUSDC"]) < Decimal("1e-20")
    assert plain.net_max == example.symbols["BTCUSDC"].net_max * SHARE
    for section in ("ladder", "vol", "skew", "keep", "stop", "risk", "pin", "grind", "as_", "glft"):
        assert getattr(found, section) == getattr(plain, section) == getattr(example.symbols["BTCUSDC"], section)
    only = compare.varied(example, market, compare.variants(market)["glft, normal only"], SHARE).symbols["BTCUSDC"]
    assert (only.quoting.model, only.pin.enabled, only.grind.enabled) == ("glft", False, False)


def test_without_a_leader_s_recording_nobody_is_led(example, tapes):
    for tape in tapes:  # BTCUSDT alone is played as BTCUSDC
        market = compare.surveyed(example, str(tape))
        assert market.leaders == {} and set(market.volume) == {"BTCUSDC"} and market.volume["BTCUSDC"] > 0
        assert not any("leader" in name for name in compare.variants(market))


def test_the_table_has_a_line_for_each_row_and_says_what_was_refused(example, rows):
    refused = compare.Row(rows[0].market, "odd", [], "no such model")
    lines = compare.table(example, [*rows, refused], SHARE)
    assert lines[0] == "### BTCUSDC on BTCUSDC+BTCUSDT"
    body = [line for line in lines if line.startswith("| asmm") or line.startswith("| glft")]
    assert len(body) == 9 and all(line.count("|") == lines[2].count("|") - 2 for line in body)
    assert lines[-1] == "- odd on BTCUSDC+BTCUSDT: refused: no such model"


def test_a_variant_that_breaks_a_rule_is_a_line_and_not_the_end(example, tapes):
    market = compare.surveyed(example, str(tapes[0]))
    row = compare.played(example, market, "too small", {"quoting.model": "asmm"}, Decimal("0.001"))
    assert row.results == [] and "risk.worst_case" in row.refused


def test_the_page_keeps_what_people_wrote_above_the_tables(example, tapes, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(f"# Words\n\n{compare.TABLES}\nold\n")
    one = {"asmm, normal only": compare.MODES["normal only"]}
    monkeypatch.setattr(compare, "variants", lambda market: one)
    monkeypatch.setattr(compare, "PROCESSES", 1)
    assert compare.main(example, [str(tapes[0])], "0.1", str(page)) == 0
    text = page.read_text()
    assert text.startswith("# Words\n\n## Tables\n\n### BTCUSDC") and "old" not in text


def test_a_market_that_cannot_be_played_is_refused_in_a_line(example, tmp_path, capsys):
    with pytest.raises(RecordingError):
        compare.surveyed(example, str(write(tmp_path / "xrp.jsonl.gz", seconds=1, symbol="XRPUSDT")))
    assert compare.main(example, [str(tmp_path / "none")], "0.1", None) == 1
    assert capsys.readouterr().err.count("\n") == 1


# ---- tapes of the synthetic market


def recorder():
    spec = importlib.util.spec_from_file_location("record_synthetic", ROOT / "scripts" / "record_synthetic.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_synthetic_tape_is_the_same_for_a_seed_and_can_be_traded(tmp_path, example):
    made = {n: recorder().record(["BTCUSDC", "BTCUSDT"], 6, seed, tmp_path / n) for n, seed in (("a", 3), ("b", 3))}
    from phx.recording import Recording

    assert [list(Recording(path)) for path in made["a"]] == [list(Recording(path)) for path in made["b"]]
    assert [symbols(path) for path in made["a"]] == [["BTCUSDC"], ["BTCUSDT"]]
    session = Session(example, backtest.recorded_instruments(example, made["a"]), made["a"])
    (found,), _ = backtest.run(session)
    counted = session.traders["BTCUSDC"].market.counters[0]
    assert found.orders > 10 and found.both_sides > 0.9
    assert counted["top_checked"] > 100 and counted["gaps"] == counted["top_different"] == 0
