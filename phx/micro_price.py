"""The fitted micro-price: a small file of corrections to the mid, by spread and imbalance, that `fair: stoikov` uses.

Written by scripts/fit_micro_price.py, read where parameters are made. Stoikov (2018), "The micro-price: a
high-frequency estimator of future prices": micro-price = mid + G*(imbalance, spread).
"""

import math
from decimal import Decimal
from pathlib import Path

import msgspec

from phx._core.records import PARAMS

CELLS = PARAMS["stoikov_ticks"].shape[0]
FURTHEST_TICKS = 1000.0  # a correction beyond this is no correction
LARGEST_BYTES = 100_000


class MicroPriceError(ValueError):
    """A table that cannot be used; names the file and what is wrong with it."""


class MicroPriceTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One symbol's table. Rows: spreads of 1, 2, … ticks, the last one also holds all wider; columns: the imbalance.

    The imbalance is best bid quantity / (best bid + best ask quantity), its buckets are equally wide from 0 to 1.
    """

    about: str
    symbol: str
    tick_size: Decimal
    recordings: list[str]
    observed: list[list[int]]  # tops that each cell was fitted to, each counted with its mirror image
    fair_minus_mid_ticks: list[list[float]]

    @property
    def spreads(self) -> int:
        return len(self.fair_minus_mid_ticks)

    @property
    def buckets(self) -> int:
        return len(self.fair_minus_mid_ticks[0])

    def cells(self) -> list[float]:
        """Return the corrections in the order of Params.stoikov_ticks, padded with zeros."""
        flat = [cell for row in self.fair_minus_mid_ticks for cell in row]
        return flat + [0.0] * (CELLS - len(flat))


def load(path: Path | str, tick_size: Decimal) -> MicroPriceTable:
    """Return the table of a file, for an instrument with this tick size. Raises MicroPriceError."""
    try:
        with open(path, "rb") as file:
            text = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise MicroPriceError(f"{path}: {error.strerror}") from None
    if len(text) > LARGEST_BYTES:
        raise MicroPriceError(f"{path}: more than {LARGEST_BYTES} bytes, expected a table of fit_micro_price.py")
    try:
        table = msgspec.json.decode(text, type=MicroPriceTable)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MicroPriceError(f"{path}: expected a table of fit_micro_price.py: {error}") from None
    problem = problem_of(table, tick_size)
    if problem:
        raise MicroPriceError(f"{path}: {problem}")
    return table


def problem_of(table: MicroPriceTable, tick_size: Decimal) -> str:
    """Return what is wrong with a table, "" for nothing."""
    rows = table.fair_minus_mid_ticks
    widths = {len(row) for row in rows}
    if len(widths) != 1 or 0 in widths:
        return f"fair_minus_mid_ticks has rows of {sorted(widths) or 'no'} cells, expected at least one row, all alike"
    if table.spreads * table.buckets > CELLS:
        return f"{table.spreads} spreads and {table.buckets} buckets are more than {CELLS} cells"
    for spread, row in enumerate(rows, 1):
        for bucket, cell in enumerate(row):
            if not (math.isfinite(cell) and abs(cell) <= FURTHEST_TICKS):
                return f"spread {spread}, bucket {bucket} is {cell}, expected within ±{FURTHEST_TICKS:.0f} ticks"
    if table.tick_size != tick_size:
        return f"fitted with tick size {table.tick_size}, the instrument's is {tick_size}"
    return ""
