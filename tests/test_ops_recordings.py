"""What `phx run --recording` makes of a configuration, and what it refuses before any process starts."""

import gzip
import json

import pytest
from hard_recordings import START_MS, InventedMarket, put, write

from phx import config as configuration
from phx.ops import recordings
from phx.ops.recordings import check, resolved, restriction, surveyed
from phx.recording import Frame, RecordingError

CONFIG = """
symbols:
  BTCUSDC: {net_max: 0.3, ladder: {near: {size: 0.006}, far: {size: 0.012}}}
  ETHUSDC: {net_max: 6, ladder: {near: {size: 0.12}, far: {size: 0.24}}}
limits: {max_gross_notional: 60000, max_daily_loss: 500}
watch: [BTCUSDT]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def record(tmp_path):
    """Write a small recording of a symbol; return its path."""

    def written(symbol, name="", frames=300, **options):
        made = InventedMarket(symbol=symbol, **options).run(frames)
        return made.write(tmp_path / (name or f"{symbol.lower()}.jsonl.gz"))

    return written


def played(file, *paths, text=CONFIG, extra=""):
    """Return (the configuration of a run on these recordings, the lines it says)."""
    file.write_text(text + extra)
    config = configuration.load(file, {})
    found = restriction(config, surveyed(resolved(map(str, paths))))
    return configuration.load(file, found.environ), found.lines


def test_what_is_recorded_and_configured_is_played_as_it_is(file, record):
    config, lines = played(file, record("BTCUSDT"), record("ETHUSDT"))
    assert config == configuration.load(file, {}) and lines == []


def test_what_is_not_recorded_is_left_out_and_said(file, record):
    extra = "feeds: {main: [BTCUSDC, BTCUSDT], second: [ETHUSDC]}\nsim: {relabel: {BTCUSDT: BTCUSDC}}\n"
    config, lines = played(file, record("ETHUSDT"), extra=extra)
    assert config.traded() == ["ETHUSDC"] and config.watch == [] and config.feeds == {"second": ["ETHUSDC"]}
    assert config.sim.relabel == {}
    assert lines == ["BTCUSDC, BTCUSDT: configured but not recorded, left out of this run"]


def test_the_configuration_file_still_rules_the_symbols_that_stay(file, record):
    config = configuration.load(file, {})
    overrides = restriction(config, surveyed([record("BTCUSDT")])).environ
    file.write_text(CONFIG.replace("net_max: 0.3,", "net_max: 0.2,"))
    changed = configuration.load(file, overrides)
    assert str(changed.symbols["BTCUSDC"].net_max) == "0.2" and changed.traded() == ["BTCUSDC"]


def test_a_leader_that_is_not_recorded_leads_no_more(file, record):
    leader = "{quoting: {fair: leader}, leader: {symbol: BTCUSDT, weight: 0.5}, net_max: 6,"
    file.write_text(CONFIG.replace("ETHUSDC: {net_max: 6,", f"ETHUSDC: {leader}"))
    config = configuration.load(file, {})
    found = restriction(config, surveyed([record("ETHUSDT")]))
    config = configuration.load(file, found.environ)
    assert config.leader_of("ETHUSDC") == "" and config.symbols["ETHUSDC"].quoting.fair == "micro"
    assert found.lines[1] == "ETHUSDC: its leader BTCUSDT is not recorded, it is quoted without one"


@pytest.mark.parametrize(
    ("symbol", "price_ticks", "tick", "lot", "line"),
    [
        ("SOLUSDT", 8019, "0.01", "0.01", "SOLUSDC: {net_max: 250.0, ladder: {near: {size: 5.0}, far: {size: 10.0}}}"),
        ("DOGEUSDT", 12345, "0.00001", "1",
         "DOGEUSDC: {net_max: 165000, ladder: {near: {size: 3300}, far: {size: 6600}}}"),
        ("BTCUSD1", 1180001, "0.1", "0.001",
         "BTCUSD1: {net_max: 0.200, ladder: {near: {size: 0.004}, far: {size: 0.008}}}"),
    ],
)  # fmt: skip
def test_an_unconfigured_symbol_is_traded_with_values_that_are_shown(
    file, record, symbol, price_ticks, tick, lot, line
):
    path = record(symbol, price_ticks=price_ticks, tick=tick, lot=lot)
    config, lines = played(file, path, record("BTCUSDT"))
    assert lines[0] == f"{symbol}: not configured, traded as {line}"
    name = line.partition(":")[0]
    assert config.traded() == ["BTCUSDC", name]
    # The line is what stands in a configuration file: with it there, nothing is adopted any more.
    again, lines = played(file, path, text=CONFIG.replace("  BTCUSDC:", f"  {line}\n  BTCUSDC:"))
    assert again.traded() == [name] and again.symbols[name] == config.symbols[name]
    assert not any("not configured" in line for line in lines)


def test_a_recording_that_is_only_watched_is_traded_when_nothing_else_is(file, record):
    config, lines = played(file, record("BTCUSDT"), text=CONFIG.replace("BTCUSDC", "XRPUSDC"))
    assert config.traded() == ["BTCUSDC"]
    assert lines[0].startswith("BTCUSDT: not configured, traded as BTCUSDC: {net_max:")


def test_symbols_without_configuration_join_the_first_feed(file, record):
    extra = "feeds: {a: [BTCUSDC], b: [ETHUSDC, BTCUSDT]}\n"
    config, _ = played(file, record("SOLUSDT"), record("BTCUSDT"), extra=extra)
    assert config.feed_of("SOLUSDC") == "feed.a" and config.traded() == ["BTCUSDC", "SOLUSDC"]


def test_unconfigured_symbols_beside_configured_ones_are_traded_too(file, record, tmp_path):
    both = InventedMarket(symbol="BTCUSDT").run(200).items + InventedMarket(symbol="KSMUSDT").run(200).items
    config, lines = played(file, write(sorted(both, key=lambda i: i.recv_ns), tmp_path / "two.ws.txt.gz"))
    assert config.traded() == ["BTCUSDC", "KSMUSDC"]
    assert lines[0].startswith("KSMUSDT: not configured, traded as KSMUSDC: {")


def refused(*paths) -> str:
    with pytest.raises(RecordingError) as found:
        surveyed(resolved(map(str, paths)))
    return str(found.value)


def test_files_that_are_no_recordings_are_named(tmp_path, record):
    assert refused(tmp_path / "nope.gz") == f"{tmp_path / 'nope.gz'}: no such file"
    assert refused(tmp_path) == f"{tmp_path}: a folder; name the recordings in it"
    path = record("BTCUSDT", "b.ws.txt")
    rest = tmp_path / "b.rest.txt"
    assert "holds answers of REST; give the recording of the streams beside it" in refused(rest)
    assert resolved([str(path), str(rest)]) == [path]
    assert resolved([str(tmp_path / "b.*")]) == [path]
    assert refused(path, path) == f"{path}: given twice"


def test_what_cannot_be_played_as_a_market_is_said(tmp_path):
    items = InventedMarket(symbol="SOLUSDT").run(200).items
    frames = [i for i in items if isinstance(i, Frame)]
    tops = [i for i in frames if "bookTicker" in i.stream]
    lines = {name: [b"%d %b" % (i.recv_ns, i.raw) for i in kept] for name, kept in (("a", frames), ("b", tops))}
    path = put(tmp_path / "a.jsonl", lines["a"])
    assert refused(path).startswith(f"{path}: holds SOLUSDT, but no answer of REST /depth to begin a book with")
    path = put(tmp_path / "b.jsonl", lines["b"])
    assert refused(path).startswith(f"{path}: holds SOLUSDT, but no depth changes")
    path = put(tmp_path / "c.jsonl", [b"%d %b" % (tops[0].recv_ns, tops[0].raw), b"12 {"])
    (tmp_path / "d.jsonl").write_bytes(path.read_bytes() + b"13 {}\n")
    assert refused(tmp_path / "d.jsonl").startswith(f"{tmp_path / 'd.jsonl'}:2: ")


def test_recordings_are_never_joined(record):
    first, again = record("BTCUSDT", "a.jsonl.gz"), record("BTCUSDT", "b.jsonl.gz", seed=3)
    assert refused(first, again).startswith(f"BTCUSDT is in {first} and in {again}; recordings are never joined")
    other_day = record("ETHUSDT", start_ms=START_MS + 86_400_000)
    assert refused(other_day, first) == (
        f"{first} ends 2025-10-09 08:53:21 UTC, before {other_day} begins 2025-10-10 08:53:20 UTC; "
        "recordings of different times are never joined: play one at a time"
    )


def test_a_recording_cut_off_is_played_up_to_there(tmp_path, file):
    whole = InventedMarket(symbol="BTCUSDT").run(1500).write(tmp_path / "w.jsonl")
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(whole.read_bytes()[:60_000])
    zipped = tmp_path / "cut.jsonl.gz"
    zipped.write_bytes(gzip.compress(whole.read_bytes())[:40_000])
    for path in (cut, zipped):
        assert played(file, path)[0].traded() == ["BTCUSDC"]
    cut.write_bytes(whole.read_bytes()[:300])
    assert "it cannot be played as a market" in refused(cut)


def test_a_snapshot_far_into_a_recording_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "PROBED_ITEMS", 500)
    path = InventedMarket(symbol="BTCUSDT").run(3000, snapshot_at=2500).write(tmp_path / "late.jsonl")
    (held,) = surveyed([path])
    assert held.begin_ms > START_MS + 2000


def test_configured_recordings_are_checked_before_a_start(file, record, monkeypatch):
    path = record("ETHUSDT")
    environ = {"PHX__SIM__MARKET": "recorded", "PHX__SIM__RECORDINGS": json.dumps([str(path)])}
    with pytest.raises(RecordingError, match=r"BTCUSDC is in none of sim\.recordings, which hold ETHUSDT"):
        check(configuration.load(file, environ))
    monkeypatch.setattr(recordings, "surveyed", lambda paths: pytest.fail("no recording is played"))
    check(configuration.load(file, {}))
