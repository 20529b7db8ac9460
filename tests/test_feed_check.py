"""`phx feed check`: sound recordings pass; a lost delta, a wrong quantity, a missing snapshot do not."""

import gzip
import json

import pytest

from phx.replay.check import check, decimals, main


def recording(tmp_path, name="one", lose=(), wrong=(), snapshot=True, late=0, also=()):
    """Write a small recording of 50 deltas with their bookTickers; `late` lets tickers trail the deltas."""
    lines, tickers = [], []
    stamp = 1_721_347_020_000_000_000

    def put(event: dict | str):
        nonlocal stamp
        stamp += 1_000_000
        lines.append(f"{stamp} {json.dumps(event, separators=(',', ':'))}")

    for n in range(1, 51):
        update_id = 100 + 10 * n
        qty = f"{n}.500"
        head = {"e": "depthUpdate", "E": stamp // 10**6, "T": stamp // 10**6, "s": "BTCUSDT"}
        ids = {"U": update_id - 9, "u": update_id, "pu": update_id - 10}
        side = [["63943.90", qty if n not in wrong else "7.000"], ["17000.00", "1.000"]]
        if n not in lose:
            data = {**head, **ids, "b": side, "a": [["63944.00", "2.000"]]}
            put({"stream": "btcusdt@depth@0ms", "data": data})
        top = {"b": "63943.90", "B": qty, "a": "63944.00", "A": "2.000", "T": 1, "E": 1}
        tickers.append(
            {"stream": "btcusdt@bookTicker", "data": {"e": "bookTicker", "u": update_id, "s": "BTCUSDT", **top}}
        )
        if len(tickers) > late:
            put(tickers.pop(0))
        if n == 3 and snapshot:
            put({"lastUpdateId": 125, "E": 1, "T": 1, "bids": [["63943.80", "9.000"]], "asks": [["63944.00", "2.000"]]})
    for event in (*tickers, *also):
        put(event)
    path = tmp_path / f"{name}.jsonl.gz"
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return path


def only(path):
    (result,) = check(path)
    return result


@pytest.mark.parametrize("late", [0, 4])
def test_a_sound_recording_passes_however_its_streams_interleave(tmp_path, late, capsys):
    path = recording(tmp_path, late=late)
    result = only(path)
    assert (result.symbol, result.messages, result.diffs) == ("BTCUSDT", 100, 47)
    assert (result.gaps, result.crossed, result.different, result.problems) == (0, 0, 0, ())
    assert result.tops == 48 and result.equal_share == 1.0  # each delta and the snapshot
    assert main([path]) == 0
    assert "100.000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "problem"),
    [({"lose": (20,)}, "1 gaps"), ({"wrong": (30,)}, "1 tops unlike bookTicker"), ({"snapshot": False}, "no snapshot")],
)
def test_any_difference_fails_and_is_named(tmp_path, damage, problem, capsys):
    sound, damaged = recording(tmp_path, "sound"), recording(tmp_path, "damaged", **damage)
    assert main([sound, damaged]) == 1
    assert problem in capsys.readouterr().out


def test_what_is_no_delta_and_what_trades_nothing_does_no_harm(tmp_path):
    partial = {"e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", "U": 1, "u": 2, "pu": 0, "b": [["1.00", "1.000"]]}
    trade = {"e": "trade", "E": 1, "T": 1, "s": "BTCUSDT", "t": 1, "p": "63000.12345", "q": "0.001", "m": True}
    also = [
        {"stream": "btcusdt@depth5@100ms", "data": {**partial, "a": []}},
        {"stream": "btcusdt@trade", "data": {**trade, "X": "INSURANCE_FUND"}},
        {"stream": "btcusdt@trade", "data": {**trade, "t": 2, "p": "0", "q": "0", "X": "NA"}},
        {"stream": "btcusdt@kline_1m", "data": {"e": "kline", "E": 1, "s": "BTCUSDT", "k": {}}},
    ]
    path = recording(tmp_path, also=also)
    assert only(path).problems == () and only(path).messages == 104
    broken = {"stream": "btcusdt@depth@0ms", "data": {**partial, "a": "none"}}
    assert only(recording(tmp_path, "broken", also=[*also, broken])).problems == ("1 frames refused",)


def test_an_unreadable_file_fails_with_one_line(tmp_path, capsys):
    path = tmp_path / "text.jsonl"
    path.write_text("no recording\n")
    assert main([path, tmp_path / "absent.jsonl"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize(("text", "found"), [("84551.00", 0), ("0.10", 1), ("45277", 0), ("0.012341", 6)])
def test_decimals_are_counted_without_padding(text, found):
    assert decimals(text) == found


@pytest.mark.parametrize(
    "name",
    [
        "btcusdt-2024-07-18T2357.jsonl.gz",
        "ethusdt-2024-07-18T2357.jsonl.gz",
        "alts-2021-04-17T1637.ws.txt.gz",
        "bookticker-15perps-2025-06-15.jsonl.gz",
    ],
)
def test_recorded_books_always_equal_book_ticker(recordings, name):
    results = check(recordings / name)
    for result in results:
        assert result.problems == ()
        assert result.tops >= result.diffs
    assert sum(result.messages for result in results) > 3_000
