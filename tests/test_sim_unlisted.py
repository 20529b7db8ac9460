"""Contracts made from a recording: the grid is what the texts say."""

import gzip

import msgspec
import pytest

from phx.recording import RecordingError
from phx.sim.markets.unlisted import Step, unlisted


@pytest.mark.parametrize(
    ("texts", "step", "decimals"),
    [
        (["1.10", "2.20", "3.50"], "0.10", 2),
        (["80.1900", "80.2000"], "0.0100", 4),
        (["5", "7"], "1", 0),
        (["1000", "0.001"], "0.001", 3),
        (["0.0044478", "0.0044480"], "0.0000002", 7),
    ],
)
def test_the_step_is_the_greatest_common_one(texts, step, decimals):
    found = Step()
    for text in texts:
        found.add(text)
    assert (found.text(), found.decimals) == (step, decimals)


def recording(path, symbol="sandusdt"):
    frames = [
        {"lastUpdateId": 5, "bids": [["0.4511", "3"], ["0.4506", "12"]], "asks": [["0.4512", "7"]]},
        {"e": "bookTicker", "u": 6, "s": symbol.upper(), "b": "0.4511", "B": "3", "a": "0.4513", "A": "40"},
    ]
    lines = [f"1 {msgspec.json.encode(frames[0]).decode()}"]
    for number in range(3):
        wrapped = {"stream": f"{symbol}@bookTicker", "data": frames[1] | {"u": 6 + number}}
        lines.append(f"{number + 2} {msgspec.json.encode(wrapped).decode()}")
    path.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))
    return path


def test_a_contract_takes_its_grid_from_the_recording_it_is_played_from(tmp_path):
    path = recording(tmp_path / "sand.jsonl.gz")
    contracts = unlisted(["SANDUSDC"], [path], {}, {"SANDUSDC": 3})
    contract = contracts["SANDUSDC"]
    instrument = contract.instrument
    assert (str(instrument.tick_size), str(instrument.lot_size), instrument.symbol_id) == ("0.0001", "1", 3)
    assert (contract.price(4511), contract.qty(3)) == ("0.4511", "3")
    assert (instrument.base_asset, contract.margin_asset) == ("SAND", "USDC")


def test_a_symbol_in_no_recording_is_named(tmp_path):
    with pytest.raises(RecordingError, match="LINAUSDC"):
        unlisted(["LINAUSDC"], [recording(tmp_path / "sand.jsonl.gz")], {}, {"LINAUSDC": 3})
