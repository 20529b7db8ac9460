"""Recorded frames into overlays: the same book as by hand, holes and doubled trades included."""

import json

from phx._core.matching import EventKind
from phx._core.overlay import Overlay
from phx._core.playback import Playback

SCALE = (1, 1, 3, 1)  # tick 0.1, lot 0.001
NOW_NS = 1_000_000_000
BUY = 1


def texts(levels):
    return [[f"{ticks / 10:.1f}", f"{lots / 1000:.3f}"] for ticks, lots in levels]


def delta(first, last, previous, bids=(), asks=()):
    ids = {"U": first, "u": last, "pu": previous}
    event = {"e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", **ids, "b": texts(bids), "a": texts(asks)}
    return json.dumps(event, separators=(",", ":")).encode()


def trade(kind, trade_id, price, lots, maker_buys=True):
    body = {"e": kind, "E": 1, "T": 1, "s": "BTCUSDT", "p": f"{price / 10:.1f}", "q": f"{lots / 1000:.3f}"}
    body |= {"t": trade_id} if kind == "trade" else {"a": trade_id, "f": trade_id, "l": trade_id}
    return json.dumps(body | {"X": "MARKET", "m": maker_buys}, separators=(",", ":")).encode()


def snapshot(update_id, bids, asks):
    return json.dumps({"lastUpdateId": update_id, "E": 1, "T": 1, "bids": texts(bids), "asks": texts(asks)}).encode()


def playing(bids=((1000, 50), (990, 40)), asks=((1010, 30), (1020, 60))):
    playback, overlay = Playback(), Overlay("risk_averse")
    index = playback.add("BTCUSDT", SCALE, overlay)
    playback.frame(delta(101, 110, 100, [(1000, 55)]), NOW_NS)
    assert overlay.top(1, 9) == [] and playback.book(index, 9) is None  # nothing to apply it to yet
    assert playback.snapshot(index, snapshot(105, bids, asks), NOW_NS)
    return playback, overlay


def test_deltas_that_came_before_the_snapshot_are_joined_to_it():
    playback, overlay = playing()
    assert overlay.top(1, 9) == [(1000, 55), (990, 40)] and overlay.top(-1, 9) == [(1010, 30), (1020, 60)]
    assert playback.book(0, 1) == (110, [(1000, 55)], [(1010, 30)])


def test_a_delta_moves_the_book_and_our_place_in_its_queue():
    playback, overlay = playing()
    ours = overlay.place_order(1, BUY, 990, 7)
    assert playback.frame(delta(111, 120, 110, [(1000, 0), (990, 10)], [(1005, 5)]), NOW_NS) == 0
    assert overlay.top(1, 9) == [(990, 10)] and overlay.top(-1, 2) == [(1005, 5), (1010, 30)]
    assert overlay.front_lots(ours) == 10


def test_over_a_hole_the_last_book_stands_until_a_snapshot_joins_the_deltas():
    playback, overlay = playing()
    playback.frame(delta(131, 140, 130, [(1000, 1)]), NOW_NS)
    assert overlay.top(1) == [(1000, 55)] and playback.book(0, 9) is None
    assert not playback.snapshot(0, snapshot(120, [(980, 1)], [(1010, 1)]), NOW_NS)  # older than the hole
    assert playback.snapshot(0, snapshot(135, [(1000, 9), (980, 2)], [(1010, 3)]), NOW_NS)
    assert overlay.top(1, 9) == [(1000, 1), (980, 2)] and overlay.top(-1, 9) == [(1010, 3)]


def test_a_trade_fills_once_whichever_streams_carry_it():
    playback, overlay = playing()
    overlay.place_order(1, BUY, 1000, 100)
    overlay.drain()
    for frame in (trade("trade", 7, 1000, 60), trade("trade", 7, 1000, 60), trade("aggTrade", 8, 1000, 60)):
        playback.frame(frame, NOW_NS)
    fills = [event.qty_lots for event in overlay.drain() if event.kind == EventKind.EVENT_TRADE]
    assert fills == [5]  # 55 were ahead of us


def test_frames_of_other_instruments_and_kinds_move_nothing():
    playback, overlay = playing()
    assert playback.frame(delta(111, 120, 110, [(1000, 0)]).replace(b"BTCUSDT", b"ETHUSDT"), NOW_NS) == -1
    assert playback.frame(b'{"result":null,"id":1}', NOW_NS) == -1
    assert playback.frame(b"nonsense", NOW_NS) == -1
    assert overlay.top(1) == [(1000, 55)]
