"""Record the synthetic market in virtual time: one file per symbol, the same bytes for the same seed.

    record_synthetic.py --seconds 1200 --seed 1 --into run/tapes BTCUSDC BTCUSDT

Symbols of one asset share a latent price. Nobody of ours trades in it. A funding time passes after a third of the tape.
"""

import argparse
from pathlib import Path

from phx._core.engine import Engine
from phx.recording import Frame, RecordingWriter, Snapshot
from phx.sim.api.answers import depth_answer
from phx.sim.contracts import Contract
from phx.sim.markets.flows import order_flows
from phx.sim.markets.mark import INTERVAL_MS, Mark
from phx.sim.markets.market import FIRST_ORDER_ID, FIRST_TRADE_ID, FIRST_UPDATE_ID
from phx.sim.markets.synthetic_market import SyntheticMarket
from phx.sim.streams.streams import Hub
from phx.venue.binance.listed import entries

FUNDING_MS = 1_772_294_400_000 // INTERVAL_MS * INTERVAL_MS  # some funding time
FLUSH_NS, SECOND_NS = 10_000_000, 1_000_000_000
STREAMS = ("bookTicker", "depth@0ms", "trade", "markPrice@1s")
SNAPSHOT_LEVELS = 1000


class Tape:
    """Listens to the streams of one symbol and writes them down, received as soon as sent."""

    def __init__(self, path: Path):
        path.unlink(missing_ok=True)
        self.writer = RecordingWriter(path)
        self.now_ns = 0

    def send(self, stream: str, payload: bytes) -> None:
        self.writer.write(
            Frame(self.now_ns, stream, payload, b'{"stream":"%b","data":%b}' % (stream.encode(), payload))
        )


def record(symbols: list[str], seconds: float, seed: int, into: Path) -> list[Path]:
    """Write a recording of each symbol; return their paths."""
    listed = {entry["symbol"]: entry for entry in entries()}
    contracts = [Contract(listed[symbol], i) for i, symbol in enumerate(symbols)]
    flows = order_flows([contract.instrument for contract in contracts], seed)
    begin_ns = FUNDING_MS * 1_000_000 - int(seconds / 3 * SECOND_NS)
    into.mkdir(parents=True, exist_ok=True)
    hub, markets, tapes, marks, paths = Hub(), [], [], [], []
    for contract in contracts:
        market = SyntheticMarket(contract, flows[contract.symbol], hub, speed=1.0)
        market.book = Engine(FIRST_ORDER_ID, FIRST_TRADE_ID, FIRST_UPDATE_ID)  # the same ids each time
        paths.append(into / f"{contract.symbol.lower()}-synthetic-{seed}.jsonl.gz")
        tape = Tape(paths[-1])
        for stream in STREAMS:
            hub.subscribe(f"{contract.symbol.lower()}@{stream}", tape)
        market.start(begin_ns)
        markets.append(market)
        tapes.append(tape)
        marks.append(Mark(market, begin_ns // 1_000_000))
    for step in range(int(seconds * SECOND_NS) // FLUSH_NS):
        now_ns = begin_ns + (step + 1) * FLUSH_NS
        while (market := min(markets, key=lambda m: m.due_ns)).due_ns <= now_ns:
            tapes[markets.index(market)].now_ns = market.due_ns
            market.act()
        for market, tape, mark in zip(markets, tapes, marks, strict=True):
            tape.now_ns = now_ns
            market.flush(now_ns)
            if now_ns % SECOND_NS == 0:
                tell_mark(market, mark, now_ns // 1_000_000)
            if step in (10, 200):
                tape.writer.write(snapshot_of(market, now_ns))
    for tape in tapes:
        tape.writer.close()
    return paths


def tell_mark(market: SyntheticMarket, mark: Mark, now_ms: int) -> None:
    mark.update(now_ms)
    mark.funding_due(now_ms)
    market.streams.on_mark(mark.mark_e8, mark.index_e8, mark.rate_e8, mark.funding_ms, now_ms, every_3s=False)


def snapshot_of(market: SyntheticMarket, now_ns: int) -> Snapshot:
    now_ms = now_ns // 1_000_000
    sides = (market.book.top(side, SNAPSHOT_LEVELS) for side in (1, -1))
    body = depth_answer(market.contract, market.book.update_id, *sides, now_ms, now_ms)
    return Snapshot(now_ns, market.contract.symbol, body)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seconds", type=float, default=1200)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--into", type=Path, default=Path("run/tapes"))
    asked.add_argument("symbols", nargs="+")
    wanted = asked.parse_args()
    for path in record(wanted.symbols, wanted.seconds, wanted.seed, wanted.into):
        print(path)


if __name__ == "__main__":
    main()
