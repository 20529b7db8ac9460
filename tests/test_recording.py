"""Recordings: every known form is read to the byte, what is malformed is named by file and line."""

import gzip

import pytest

from phx.recording import Frame, Recording, RecordingError, RecordingWriter, Snapshot, symbols

TOP = b'{"e":"bookTicker","u":7,"s":"BTCUSDT","b":"63943.90","B":"46.371","a":"63944.00","A":"0.095","T":5,"E":5}'
TOP_FRAME = b'{"stream":"btcusdt@bookTicker","data":' + TOP + b"}"
ODD = b'{ "stream" : "btcusdt@trade", "data" : {"e":"trade",  "x":[1, "}"], "s":"BTCUSDT" } }'
ETH_FRAME = b'{"stream":"ethusdt@trade","data":{"e":"trade","s":"ETHUSDT"}}'
DEPTH = b'{"lastUpdateId":6,"E":4,"T":4,"bids":[["63943.90","46.371"]],"asks":[]}'
ANSWER = b'{"result":null,"id":1}'
URL = b"wss://fstream.binance.com/stream?streams=btcusdt@bookTicker <-> 1618677447.2908978"


def write(path, *lines, end=b"\n"):
    data = b"\n".join(lines) + end
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture(params=["", ".gz"])
def zipped(request):
    return request.param


def test_jsonl_is_read_in_file_order_to_the_byte(tmp_path, zipped):
    path = write(tmp_path / f"a.jsonl{zipped}", b"17 " + TOP_FRAME, b"19 " + DEPTH, b"18 " + ODD, b"20 " + ANSWER)
    assert list(Recording(path)) == [
        Frame(17, "btcusdt@bookTicker", TOP, TOP_FRAME),
        Snapshot(19, "BTCUSDT", DEPTH),
        Frame(18, "btcusdt@trade", b'{"e":"trade",  "x":[1, "}"], "s":"BTCUSDT" }', ODD),
    ]


def test_text_form_merges_the_answers_of_its_sibling_by_receive_time(tmp_path, zipped):
    path = write(
        tmp_path / f"a.ws.txt{zipped}",
        URL,
        b"1618677448.110592: " + TOP_FRAME,
        b"1618677448.2: " + ETH_FRAME,
        b"1618677449: " + ANSWER,
    )
    depth = b"https://fapi.binance.com/fapi/v1/depth?symbol=ETHUSDT&limit=1000 -> 1618677448.15: " + DEPTH
    late = b"https://fapi.binance.com/fapi/v1/depth?limit=1000&symbol=BTCUSDT -> 1618677448.2: " + DEPTH
    other = b"https://fapi.binance.com/fapi/v1/exchangeInfo -> 1618677448.12: {}"
    write(tmp_path / f"a.rest.txt{zipped}", other, b"", depth, late)
    assert [(item.recv_ns, item.symbol, type(item)) for item in Recording(path)] == [
        (1618677448_110592000, "BTCUSDT", Frame),
        (1618677448_150000000, "ETHUSDT", Snapshot),
        (1618677448_200000000, "BTCUSDT", Snapshot),
        (1618677448_200000000, "ETHUSDT", Frame),
    ]


def test_text_form_without_a_sibling_has_frames_only(tmp_path):
    path = write(tmp_path / "a.ws.txt", URL, b"1.5: " + TOP_FRAME)
    assert list(Recording(path)) == [Frame(1_500_000_000, "btcusdt@bookTicker", TOP, TOP_FRAME)]


def test_bare_events_have_no_time_and_get_the_name_of_their_stream(tmp_path, zipped):
    path = write(tmp_path / f"a.jsonl{zipped}", ANSWER, TOP)
    assert list(Recording(path)) == [Frame(0, "btcusdt@bookTicker", TOP, TOP)]


def test_events_without_envelope_may_have_a_time(tmp_path):
    path = write(tmp_path / "a.jsonl", b"7 " + TOP)
    assert list(Recording(path)) == [Frame(7, "btcusdt@bookTicker", TOP, TOP)]


def test_a_snapshot_before_the_first_frame_gets_its_symbol(tmp_path):
    path = write(tmp_path / "a.jsonl", b"1 " + DEPTH, b'2 {"stream":"!ticker@arr","data":[]}', b"3 " + TOP_FRAME)
    assert [item.symbol for item in Recording(path)] == ["BTCUSDT", "", "BTCUSDT"]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
def test_a_snapshot_amid_streams_of_two_symbols_is_refused(tmp_path, order):
    lines = (b"1 " + TOP_FRAME, b"2 " + ETH_FRAME, b"3 " + DEPTH)
    path = write(tmp_path / "a.jsonl", *(lines[i] for i in order))
    snapshot_line = order.index(2) + 1
    with pytest.raises(RecordingError, match=rf"a\.jsonl:\d: streams of BTCUSDT and ETHUSDT .* line {snapshot_line}\?"):
        list(Recording(path))


def test_several_symbols_without_a_snapshot_are_fine(tmp_path):
    path = write(tmp_path / "a.jsonl", b"1 " + TOP_FRAME, b"2 " + ETH_FRAME)
    assert symbols(path) == ["BTCUSDT", "ETHUSDT"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (TOP_FRAME, "expected `<receive time, ns> {…}`"),
        (b"12:" + TOP_FRAME, "expected `<receive time, ns> {…}`"),
        (b"12 " + TOP_FRAME[:-9], "truncated"),
        (b"12 " + TOP_FRAME + b"x", "trailing characters"),
        (b'12 {"stream":1,"data":{}}', "Expected `str`"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, problem):
    path = write(tmp_path / "a.jsonl", b"11 " + TOP_FRAME, b"", line)
    with pytest.raises(RecordingError) as refused:
        list(Recording(path))
    assert str(refused.value).startswith(f"{path}:3: ") and problem in str(refused.value)


def test_a_malformed_rest_answer_is_named(tmp_path):
    path = write(tmp_path / "a.ws.txt", URL, b"1.5: " + TOP_FRAME)
    rest = write(tmp_path / "a.rest.txt", b"no answer")
    with pytest.raises(RecordingError) as refused:
        list(Recording(path))
    assert str(refused.value).startswith(f"{rest}:1: ")


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x00\xff"])
def test_an_unknown_form_is_refused(tmp_path, content):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="no known form"):
        list(Recording(path))


def test_a_truncated_gzip_gives_what_it_holds_and_then_says_so(tmp_path):
    frames = b"".join(b"%d %b\n" % (i, TOP_FRAME) for i in range(20_000))
    path = tmp_path / "a.jsonl.gz"
    data = gzip.compress(frames)
    path.write_bytes(data[: len(data) // 2])
    read = []
    with pytest.raises(RecordingError) as refused:
        for item in Recording(path):
            read.append(item)
    assert len(read) > 5000 and f"{path}:{len(read) + 1}: " in str(refused.value) and "truncated" in str(refused.value)


def test_a_damaged_gzip_is_refused(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    data = bytearray(gzip.compress(b"1 " + TOP_FRAME + b"\n"))
    data[-6] ^= 1
    path.write_bytes(data)
    with pytest.raises(RecordingError, match="damaged gzip data"):
        list(Recording(path))


def test_what_is_written_reads_back_equal(tmp_path):
    items = [
        Snapshot(3, "BTCUSDT", DEPTH),
        Frame(5, "btcusdt@bookTicker", TOP, TOP_FRAME),
        Frame(4, "btcusdt@trade", b'{"e":"trade",  "x":[1, "}"], "s":"BTCUSDT" }', ODD),
    ]
    path = tmp_path / "a.jsonl.gz"
    with RecordingWriter(path) as writer:
        for item in items:
            writer.write(item)
    assert list(Recording(path)) == items


def test_what_was_flushed_survives_the_writer(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    writer = RecordingWriter(path)
    writer.write(Frame(5, "btcusdt@bookTicker", TOP, TOP_FRAME))
    writer.flush()
    copy = tmp_path / "b.jsonl.gz"
    copy.write_bytes(path.read_bytes())
    read = []
    with pytest.raises(RecordingError, match="truncated"):
        for item in Recording(copy):
            read.append(item)
    assert read == [Frame(5, "btcusdt@bookTicker", TOP, TOP_FRAME)]
    writer.close()


def test_the_writer_refuses_a_second_symbol_and_an_existing_file(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    with RecordingWriter(path) as writer:
        writer.write(Snapshot(3, "BTCUSDT", DEPTH))
        with pytest.raises(RecordingError, match="records BTCUSDT, refused an item of ETHUSDT"):
            writer.write(Frame(4, "ethusdt@trade", b"{}", ETH_FRAME))
    with pytest.raises(FileExistsError):
        RecordingWriter(path)


def test_the_recordings_at_hand_are_read_whole(recordings):
    counts = {}
    for name in ("btcusdt-2024-07-18T2357.jsonl.gz", "alts-2021-04-17T1637.ws.txt.gz"):
        recording = Recording(recordings / name)
        items = list(recording)
        counts[name] = (sum(isinstance(item, Frame) for item in items), len(items), recording.line)
    assert counts == {
        "btcusdt-2024-07-18T2357.jsonl.gz": (71_983, 71_984, 71_984),
        "alts-2021-04-17T1637.ws.txt.gz": (3_259, 3_263, 3_262),
    }
    assert len(symbols(recordings / "bookticker-15perps-2025-06-15.jsonl.gz", 5000)) == 15
