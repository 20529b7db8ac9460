"""Doubt that is settled: everything compared with the venue, once after each doubt, with few questions and words."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

from phx.gateway import doubt
from phx.venue.interface import VenueDown, VenueLimited

LIMITED = VenueLimited("/fapi/v1/userTrades: not sent", 6.2)


class Comparing:
    """A reconciliation that does as its script says, and a clock that only sleeping moves."""

    def __init__(self, monkeypatch, *outcomes):
        self.outcomes = list(outcomes)
        self.begun_s: list[float] = []
        self.now_s = 1000.0
        monkeypatch.setattr(doubt.time, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(doubt.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now_s += max(0.0, seconds)

    async def everything(self) -> None:
        self.begun_s.append(self.now_s)
        if self.outcomes and (error := self.outcomes.pop(0)) is not None:
            raise error


def settled(comparing: Comparing, doubts: int = 1) -> doubt.Doubt:
    """Let a working gateway of two symbols doubt so often, one doubt after the other is settled."""
    desks = [SimpleNamespace(user_stream_up=True) for _ in range(2)]
    started = []
    core, stream = SimpleNamespace(desks=desks, user_stream_up=True), SimpleNamespace(up=True)
    found = doubt.Doubt(core, stream, SimpleNamespace(), comparing, started.append, lambda: None)
    found.working = True
    for _ in range(doubts):
        found.begin()
        assert not any(desk.user_stream_up for desk in desks)
        asyncio.run(started.pop())
    assert all(desk.user_stream_up for desk in desks)
    return found


def test_a_first_doubt_is_settled_at_once(monkeypatch):
    comparing = Comparing(monkeypatch)
    settled(comparing)
    assert comparing.begun_s == [1000.0]


def test_a_stream_that_flaps_leaves_time_between_comparisons_but_no_more_than_three_seconds(monkeypatch):
    comparing = Comparing(monkeypatch)
    settled(comparing, doubts=5)
    apart_s = [after - before for before, after in zip(comparing.begun_s, comparing.begun_s[1:], strict=False)]
    assert len(apart_s) == 4 and all(0.5 <= gap_s <= 3.0 for gap_s in apart_s)


def test_a_rate_limit_is_waited_out_and_told_once(monkeypatch, caplog):
    comparing = Comparing(monkeypatch, LIMITED, LIMITED)
    with caplog.at_level(logging.WARNING):
        settled(comparing)
    assert comparing.begun_s == pytest.approx([1000.0, 1006.2, 1012.4])
    assert caplog.text.count("reconciling") == 1


def test_a_venue_that_is_away_is_asked_less_and_less_but_found_within_two_seconds(monkeypatch, caplog):
    comparing = Comparing(monkeypatch, *[VenueDown("timeout")] * 5)
    settled(comparing)
    apart_s = [after - before for before, after in zip(comparing.begun_s, comparing.begun_s[1:], strict=False)]
    assert apart_s[-1] == 2.0 and apart_s == sorted(apart_s)
    assert caplog.text.count("reconciling") == 1
