"""The number of a gateway's life: on disk before anything is sent under it, and never used twice."""

import os

import numpy as np
import pytest

from phx import durable
from phx._core import records
from phx._core.records import fnv1a
from phx.gateway import epoch as lives


def steps_of(monkeypatch) -> list[str]:
    """Have every step towards the disk noted."""
    noted: list[str] = []
    for name in ("write", "fsync", "rename"):
        real = getattr(os, name)

        def step(*args, name=name, real=real):
            noted.append(name)
            return real(*args)

        monkeypatch.setattr(durable.os, name, step)
    return noted


def test_the_file_and_its_folder_are_synchronised_in_that_order(tmp_path, monkeypatch):
    noted = steps_of(monkeypatch)
    assert lives.next_epoch(tmp_path) == 1
    assert noted == ["write", "fsync", "rename", "fsync"]


def test_a_number_that_cannot_be_read_is_never_guessed(tmp_path):
    (tmp_path / "epoch").write_text("4x")
    with pytest.raises(RuntimeError, match="number of the last life"):
        lives.next_epoch(tmp_path)
    assert (tmp_path / "epoch").read_text() == "4x"


def test_torn_journal_entries_are_not_used():
    entries = np.zeros(3, records.JOURNAL)
    entries["trade_id"] = 11, 12, 13
    for i in range(3):
        entries["check"][i] = fnv1a(entries[i].tobytes()[:-8])
    entries["qty_lots"][1] = 5  # written when the process died
    assert list(lives.whole(entries)["trade_id"]) == [11, 13]
    assert len(lives.whole(entries[:0])) == 0
