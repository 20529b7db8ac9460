#!/usr/bin/env python3
"""Fit the micro-price of Stoikov (2018) to the best prices of recordings and write its table.

    scripts/fit_micro_price.py RECORDING [RECORDING …] -o btc.json [--symbol BTCUSDT] [--buckets 10] [--spreads 4]

The state of the top of book is its imbalance, in equal buckets, and its spread in ticks. From one bookTicker to the
next the mid either stays, and the state moves with the probabilities Q, or it jumps by K with the probabilities R1
(and into a new state with R2). Then, with the paper's names,

    G1 = (1 - Q)^-1 R1 K            the expected next jump of the mid
    B  = (1 - Q)^-1 R2              the state after that jump
    G* = G1 + B G1 + B^2 G1 + …     all jumps to come: micro-price = mid + G*

Every observation is counted together with its mirror image (sides exchanged, jump reversed), so that the table has no
drift and the sum converges. Cells that were never seen stay at the mid. Name the file in `quoting.micro_price_file`.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from phx.instruments import Instrument
from phx.micro_price import MicroPriceTable, problem_of
from phx.recording import Recording, RecordingTruncated, symbols
from phx.sim.markets.fitted import asset_of, load_fitted

CONVERGED_TICKS = 1e-12
MOST_JUMPS = 100_000  # powers of B before the sum is given up
ABOUT = (
    "Written by scripts/fit_micro_price.py; do not edit, run it again. Micro-price = mid + fair_minus_mid_ticks, in "
    "ticks of tick_size. Rows: spreads of 1, 2, ... ticks, the last one holds all wider; columns: equal buckets of "
    "best bid quantity / (best bid + best ask quantity). Method: Stoikov (2018), symmetrised."
)


class FitError(ValueError):
    """Observations that a table cannot be fitted to."""


class Top(NamedTuple):
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


class _TopEvent(msgspec.Struct):
    b: str
    B: str
    a: str
    A: str


class Chain(NamedTuple):
    """Probabilities of one step from each state, and how often each state was seen."""

    q: np.ndarray  # (states, states): the mid stays, the state moves
    r1: np.ndarray  # (states, jumps): the mid jumps
    jumps: np.ndarray  # K, ticks
    r2: np.ndarray  # (states, states): the mid jumps, and the state after it
    seen: np.ndarray


def tops(path: Path, symbol: str, instrument: Instrument) -> Iterator[Top]:
    """Yield the two-sided tops of book of one symbol in a recording."""
    decode, stream = msgspec.json.Decoder(_TopEvent).decode, f"{symbol.lower()}@bookTicker"
    recording = Recording(path)
    try:
        for item in recording:
            if getattr(item, "stream", "") != stream:
                continue
            event = decode(item.payload)
            bid_lots, ask_lots = instrument.lots(event.B), instrument.lots(event.A)
            if bid_lots and ask_lots:
                yield Top(instrument.ticks(event.b), bid_lots, instrument.ticks(event.a), ask_lots)
    except RecordingTruncated as error:
        print(f"{error}; used up to there", file=sys.stderr)


def state_of(top: Top, buckets: int, spreads: int) -> int:
    """Return spread row * buckets + imbalance bucket, as the quoter does."""
    bucket = min(int(top.bid_lots / (top.bid_lots + top.ask_lots) * buckets), buckets - 1)
    row = min(max(top.ask_ticks - top.bid_ticks, 1), spreads) - 1
    return row * buckets + bucket


def count(histories: Iterable[Iterable[Top]], buckets: int, spreads: int) -> Chain:
    """Return the symmetrised chain of some recordings; nothing connects the end of one with the next."""
    stays, moves = {}, {}
    for history in histories:
        for before, after in pairwise(history):
            state, after_state = (state_of(top, buckets, spreads) for top in (before, after))
            jump = (after.bid_ticks + after.ask_ticks - before.bid_ticks - before.ask_ticks) / 2
            counted, key = (moves, (state, after_state, jump)) if jump else (stays, (state, after_state))
            counted[key] = counted.get(key, 0) + 1

    def mirror(state):
        return state + buckets - 1 - 2 * (state % buckets)

    states = buckets * spreads
    jumps = np.array(sorted({sign * jump for _, _, jump in moves for sign in (1, -1)}))
    q, r2, r1 = np.zeros((states, states)), np.zeros((states, states)), np.zeros((states, len(jumps)))
    for (state, after), times in stays.items():
        q[state, after] += times
        q[mirror(state), mirror(after)] += times
    for (state, after, jump), times in moves.items():
        for one, next_one, by in ((state, after, jump), (mirror(state), mirror(after), -jump)):
            r2[one, next_one] += times
            r1[one, np.searchsorted(jumps, by)] += times
    seen = q.sum(axis=1) + r2.sum(axis=1)
    per = np.maximum(seen, 1)[:, None]
    return Chain(q / per, r1 / per, jumps, r2 / per, seen.astype(int))


def solve(q, r1, jumps, r2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return G1, B and G* of a chain, in the units of its jumps. Raises FitError."""
    stays = np.eye(len(q)) - np.asarray(q)
    if np.linalg.cond(stays) > 1e13:
        raise FitError("the mid never moves from some states: record for longer, or use fewer buckets and spreads")
    g1, b = np.linalg.solve(stays, np.asarray(r1) @ np.asarray(jumps)), np.linalg.solve(stays, np.asarray(r2))
    total, term = np.zeros_like(g1), g1
    for _ in range(MOST_JUMPS):
        total, term = total + term, b @ term
        if np.abs(term).max(initial=0) < CONVERGED_TICKS:
            return g1, b, total
    raise FitError("the jumps to come do not add up: the imbalance never changes sides; record for longer")


def fit(paths: list[Path], symbol: str, tick_size: Decimal, lot_size: Decimal, buckets: int, spreads: int):
    """Return the table of one symbol of some recordings. Raises FitError, RecordingError."""
    instrument = Instrument(
        symbol, 0, tick_size, lot_size, tick_size, Decimal(10**9), lot_size, Decimal(10**9), Decimal(5), 8, 8
    )
    chain = count((tops(path, symbol, instrument) for path in paths), buckets, spreads)
    if not len(chain.jumps):
        raise FitError(f"no jump of {symbol}'s mid in {', '.join(path.name for path in paths)}")
    *_, fair = solve(*chain[:4])
    shape = (spreads, buckets)
    table = MicroPriceTable(
        ABOUT,
        symbol,
        tick_size,
        [path.name for path in paths],
        chain.seen.reshape(shape).tolist(),
        [[round(cell, 6) for cell in row] for row in fair.reshape(shape).tolist()],
    )
    if problem := problem_of(table, tick_size):
        raise FitError(problem)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--symbol", help="needed when the recordings hold several")
    parser.add_argument("--buckets", type=int, default=10, help="of the imbalance")
    parser.add_argument("--spreads", type=int, default=4, help="rows; the last one holds all wider spreads")
    parser.add_argument("--tick-size", type=Decimal, help="needed for assets the synthetic market does not know")
    parser.add_argument("--lot-size", type=Decimal, help="likewise")
    given = parser.parse_args()
    found = sorted({symbol for path in given.recordings for symbol in symbols(path)})
    symbol = given.symbol or (found[0] if len(found) == 1 else "")
    if symbol not in found:
        raise SystemExit(f"--symbol {given.symbol or 'is missing'}: the recordings hold {', '.join(found)}")
    known = load_fitted().get(asset_of(symbol))
    tick_size = given.tick_size or (known and Decimal(str(known.tick_size)))
    lot_size = given.lot_size or (known and Decimal(str(known.lot_size)))
    if not tick_size or not lot_size:
        raise SystemExit(f"--tick-size and --lot-size of {symbol} are needed")
    try:
        table = fit(given.recordings, symbol, tick_size, lot_size, given.buckets, given.spreads)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    given.output.write_bytes(msgspec.json.format(msgspec.json.encode(table), indent=1) + b"\n")
    for spread, row in enumerate(table.fair_minus_mid_ticks, 1):
        print(f"spread {spread}: " + " ".join(f"{cell:+.3f}" for cell in row))


if __name__ == "__main__":
    main()
