"""scripts/record_synthetic.py: tapes that the feed's own check finds whole, and the same ones from the same seed."""

import gzip
import importlib.util
from pathlib import Path

from phx.replay.check import check

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "record_synthetic.py"
spec = importlib.util.spec_from_file_location("record_synthetic", SCRIPT)
record_synthetic = importlib.util.module_from_spec(spec)
spec.loader.exec_module(record_synthetic)


def test_its_tapes_are_whole_and_the_same_each_time(tmp_path):
    tapes = [record_synthetic.record(["BTCUSDC", "BTCUSDT"], 15, 3, tmp_path / name) for name in ("one", "two")]
    first, second = ([gzip.decompress(path.read_bytes()) for path in paths] for paths in tapes)
    assert first == second
    for path in tapes[0]:
        (found,) = check(path)
        assert found.problems == () and found.diffs > 100 and found.equal_share == 1
