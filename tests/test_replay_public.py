"""What the feed of a session hears: the recording byte by byte until we have orders, then both in one sound book."""

import numpy as np
from invented_market import write
from test_replay_session import configured, session_of

from phx.recording import Frame, Recording
from phx.replay.check import KINDS, kind_of
from phx.replay.session import Session


class Watched(Session):
    """Keeps the frames that the feed was sent, and looks at its book after each event."""

    def __init__(self, *of):
        self.sent = []
        super().__init__(*of)

    def _send(self, frames):
        frames = list(frames)
        self.sent += frames
        super()._send(frames)


class Idle(Watched):
    """Asks the venue for nothing."""

    def _ask_venue(self, action):
        pass


def test_without_orders_the_feed_hears_the_recording(tmp_path):
    recording = write(tmp_path / "a.jsonl.gz", seconds=4)
    session = session_of(configured(tmp_path), recording, kind=Idle)
    session.run()
    heard = [item.raw for item in Recording(recording) if isinstance(item, Frame) and kind_of(item) in KINDS]
    assert session.sent == heard != []


def test_our_orders_are_in_the_book_of_the_feed_and_it_stays_sound(tmp_path):
    session = session_of(configured(tmp_path), write(tmp_path / "a.jsonl.gz", seconds=10), kind=Watched)
    (market,) = session.markets.values()
    overlay = session.venue.overlay(market.symbol)
    compared = with_ours = 0
    for _ in session.steps():
        book = session.feed.instruments[market.index].sequencer.book
        told = session.venue.public[market.symbol].view
        if told.waits or not overlay.resting() or session.feed.instruments[market.index].sequencer.update_id == 0:
            continue
        for side in (1, -1):
            recorded, own = dict(overlay.top(side, 10**6)), dict(overlay.standing(side, 10**6))
            if book.deep_levels(side, 10**6) == list(own.items()):
                compared += 1
                with_ours += own != recorded
    assert compared > 20 and with_ours > 20
    counted = np.copy(market.counters)[0]
    assert (counted["gaps"], counted["crossed"], counted["resyncs"]) == (0, 0, 1)
    assert counted["top_checked"] > 50 and counted["top_different"] == 0


def test_a_depth_answer_is_the_book_of_who_heard_every_change(tmp_path):
    session = session_of(configured(tmp_path), write(tmp_path / "a.jsonl.gz", seconds=6), kind=Watched)
    session.run()
    (market,) = session.markets.values()
    public, heard = session.venue.public[market.symbol], session.feed.instruments[market.index].sequencer
    assert public.view.ids.jumped
    expected = (heard.update_id, heard.book.deep_levels(1, 10**6), heard.book.deep_levels(-1, 10**6))
    assert public.depth(10**6) == expected
