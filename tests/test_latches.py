"""Latches: stops that survive."""

import os
import stat

import pytest

from phx.latches import Latches, NotConfirmed


@pytest.fixture
def latches(tmp_path):
    return Latches(tmp_path / "run")


def test_a_latch_is_there_for_every_later_reader(latches, tmp_path):
    latches.set("gateway", "daily loss", who="test")
    (latch,) = Latches(tmp_path / "run").all()
    assert (latch.process, latch.symbol, latch.reason, latch.who) == ("gateway", "", "daily loss", "test")
    path = tmp_path / "run" / "latches" / "gateway.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["gateway.json"]


def test_the_first_reason_stays(latches):
    latches.set("quoter", "first", "BTCUSDC")
    latches.set("quoter", "second", "BTCUSDC")
    assert [latch.reason for latch in latches.all()] == ["first"]


def test_a_latch_stops_its_symbol_or_all(latches):
    latches.set("quoter", "x", "BTCUSDC")
    assert latches.stops("BTCUSDC") is not None and latches.stops("ETHUSDC") is None
    latches.set("guardian", "kill")
    assert latches.stops("ETHUSDC").process == "guardian"


def test_clearing_takes_all_or_one_symbol(latches):
    latches.set("quoter", "x", "BTCUSDC")
    latches.set("quoter", "x", "ETHUSDC")
    latches.set("guardian", "kill")
    assert [latch.name for latch in latches.clear("ETHUSDC")] == ["quoter.ETHUSDC"]
    assert [latch.name for latch in latches.clear()] == ["guardian", "quoter.BTCUSDC"]
    assert latches.all() == [] == latches.clear()


def test_an_unreadable_latch_stops_everything(latches):
    (latches.folder / "gateway.BTCUSDC.json").write_bytes(b"\xff{")
    assert "unreadable" in latches.stops("ETHUSDC").reason
    latches.clear()
    assert list(latches.folder.iterdir()) == []


def test_a_half_written_latch_of_a_killed_process_is_none(latches):
    (latches.folder / f"gateway.tmp{os.getpid()}").write_bytes(b"{")
    assert latches.all() == []


def test_releasing_takes_the_word_of_exactly_the_latches_that_are_set(latches):
    latches.set("gateway", "one")
    with pytest.raises(NotConfirmed) as shown:
        latches.release("", "")
    latches.set("quoter", "two", "BTCUSDC")  # set after the human looked
    with pytest.raises(NotConfirmed) as anew:
        latches.release("", shown.value.word)
    assert anew.value.word != shown.value.word and len(latches.all()) == 2
    assert [latch.reason for latch in latches.release("", anew.value.word)] == ["one", "two"]
    assert latches.release("", "") == []  # nothing set, nothing to confirm
