"""The table of segments: one writer each, somebody reads it, its names and bells fit the configuration."""

import collections
import re
from pathlib import Path

import msgspec
import pytest

from phx import config as configuration
from phx import topology
from phx._core import records

PHX = Path(topology.__file__).parent
CONFIG = """
symbols:
  BTCUSDC: {net_max: 0.3, ladder: {near: {size: 0.006}, far: {size: 0.012}}, leader: {symbol: BTCUSDT, weight: 0.5}}
  ETHUSDC: {net_max: 6, ladder: {near: {size: 0.12}, far: {size: 0.24}}}
watch: [BTCUSDT]
feeds: {one: [BTCUSDC, BTCUSDT], two: [ETHUSDC]}
limits: {max_gross_notional: 60000, max_daily_loss: 500}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return configuration.load(path)


def test_every_segment_has_exactly_one_writer(config):
    """Also per name: two processes that both list a segment would tear it."""
    written = collections.Counter(
        name for process in topology.processes(config) for name in topology.writes(process, config)
    )
    assert {name: count for name, count in written.items() if count != 1} == {}
    kinds = {process.partition(".")[0] for process in topology.processes(config)}
    for row in topology.SEGMENTS.values():
        assert row.writer in kinds or row.writer == "itself", row.name
        assert row.writer not in row.readers, f"{row.name}: its writer reads it back through shared memory"


def test_every_row_of_the_table_is_written_for_every_symbol_or_process_it_is_for(config):
    written = {name for process in topology.processes(config) for name in topology.writes(process, config)}
    wanted = set()
    for row in topology.SEGMENTS.values():
        several = {
            "one": [""],
            "symbol": config.traded(),
            "instrument": [*config.traded(), *config.watch],
            "process": topology.processes(config),
        }[row.per]
        wanted |= {f"{row.name}.{which}" if which else row.name for which in several}
    assert written == wanted


def test_every_ring_record_has_a_segment_and_every_segment_a_record():
    in_segments = {row.record for row in topology.SEGMENTS.values()}
    assert set(records.RING_RECORDS.values()) | set(records.COUNTER_BLOCKS.values()) == in_segments


def test_every_segment_has_a_reader_and_capacity_is_a_power_of_two():
    for row in topology.SEGMENTS.values():
        assert row.readers, f"{row.name}: nobody reads it"
        assert row.slots & (row.slots - 1) == 0
        assert row.slots >= 2 or row.record in records.COUNTER_BLOCKS.values(), f"{row.name}: a ring has two slots"
        assert set(row.bells) <= set(row.readers), f"{row.name}: a bell for somebody who does not read"
        assert set(row.bells) <= set(topology.BELLS)


def sources(kind: str) -> str:
    """Return what the process of a kind is made of, its hot half in _core included."""
    files = list((PHX / kind).rglob("*.py"))
    files += [path for path in (PHX / "_core").rglob("*.pyx") if path.stem.startswith(kind)]
    return "\n".join(path.read_text() for path in files)


@pytest.mark.parametrize("name", list(topology.SEGMENTS))
def test_the_code_of_its_writer_and_readers_names_a_segment_and_nobody_elses_does(name):
    """A row that the code does not follow is a lie in the table."""
    row = topology.SEGMENTS[name]
    mention = re.compile(rf"""["'](?:{re.escape(name)})(?:["'.])""")
    naming = {kind for kind in ("feed", "quoter", "gateway", "guardian", "ops") if mention.search(sources(kind))}
    if row.writer == "itself":
        assert mention.search((PHX / "process.py").read_text())
        return
    assert naming - {row.writer} == set(row.readers) - {topology.RECORDER}
    assert row.writer in naming, f"{name}: {row.writer} never names it"


def test_a_bell_wakes_the_symbols_own_quoter_and_those_it_leads(config):
    assert topology.bells("bbo.BTCUSDC", config) == ["quoter.BTCUSDC"]
    assert topology.bells("bbo.BTCUSDT", config) == ["quoter.BTCUSDC"]
    assert topology.bells("bbo.ETHUSDC", config) == ["quoter.ETHUSDC"]
    assert topology.bells("ladder.ETHUSDC", config) == ["gateway"]
    assert topology.bells("operator", config) == ["quoter.BTCUSDC", "quoter.ETHUSDC"]
    assert topology.bells("counters.feed.BTCUSDC", config) == []


def test_a_full_name_leads_to_its_row_and_an_unknown_one_to_an_error():
    assert topology.kind_of("bbo.BTCUSDC").name == "bbo"
    assert topology.kind_of("counters.feed.BTCUSDC").name == "counters.feed"
    assert topology.kind_of("process.feed.main").name == "process"
    with pytest.raises(KeyError, match="no such segment"):
        topology.kind_of("nothing.BTCUSDC")


def test_symbol_ids_fit_the_arrays_indexed_by_them_and_watched_ones_move_nobody(config):
    ids = config.instrument_ids()
    assert ids == {"BTCUSDC": 0, "ETHUSDC": 1, "BTCUSDT": topology.WATCHED_FROM}
    assert max(ids.values()) < records.SYMBOLS
    more = msgspec.structs.replace(config, watch=["BTCUSDT", "ETHUSDT"])
    assert {symbol: more.instrument_ids()[symbol] for symbol in ids} == ids


def test_processes_come_in_the_order_of_the_data(config):
    kinds = [process.partition(".")[0] for process in topology.processes(config)]
    assert list(dict.fromkeys(kinds)) == ["sim", "feed", "quoter", "gateway", "guardian", "ops"]
    alone = msgspec.structs.replace(config, sim=None)
    assert topology.processes(alone)[0] == "feed.one"
