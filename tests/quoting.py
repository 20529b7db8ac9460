"""Records a quoter reads, made from a few plain values, and a quoter between rings of this process."""

from decimal import Decimal

import numpy as np

from phx import config as configuration
from phx._core import records
from phx._core.enums import OrderState, Side, TapeKind
from phx._core.quoter import QuoterCore
from phx._core.ring import RingReader, RingWriter
from phx.instruments import Instrument
from phx.params import params_record
from phx.segment import private_memory

SECOND_NS = 1_000_000_000
PLENTY = 10**9

INSTRUMENT = Instrument(
    symbol="BTCUSDC",
    symbol_id=0,
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    min_price=Decimal("0.1"),
    max_price=Decimal("1000000"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal("1000"),
    min_notional=Decimal("50"),
    price_precision=1,
    qty_precision=3,
)

CONFIG = """
symbols:
  BTCUSDC:
    net_max: 0.30
    ladder: {near: {size: 0.006, start: 0.00033}, far: {size: 0.012}}
limits: {max_gross_notional: 60000, max_daily_loss: 500}
"""


def config(tmp_path, text: str = CONFIG):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return configuration.load(path)


def params(tmp_path, **changes) -> np.ndarray:
    """PARAMS of the plain configuration above, as an array of one record, with some fields changed."""
    loaded = config(tmp_path)
    record = params_record(loaded.symbols["BTCUSDC"], loaded, INSTRUMENT, 1).reshape(1)
    for name, value in changes.items():
        record[name] = value
    return record


def own(orders=(), position: int = 0, allowance: int = PLENTY, **fields) -> np.ndarray:
    """OWN with live orders, each (side, price_ticks, remaining_lots) or a dict of OWN's row fields."""
    record = np.zeros(1, records.OWN)
    record["allowance_buy_lots"] = record["allowance_sell_lots"] = allowance
    record["position_lots"], record["ready"], record["orders"] = position, 1, len(orders)
    for name, value in fields.items():
        record[name] = value
    for row, order in enumerate(orders):
        if not isinstance(order, dict):
            order = dict(zip(("side", "price_ticks", "remaining_lots"), order, strict=True))
        for name, value in {"state": OrderState.ORDER_OPEN, "intent_id": row + 1, **order}.items():
            record[name][0, row] = value
    return record


def market(mid: float = 650_000.0, spread: int = 2, **fields) -> dict:
    """The Market a model is given, quiet and symmetric unless fields say otherwise."""
    plain = {
        "bid_price_ticks": int(mid - spread / 2),
        "ask_price_ticks": int(mid + spread / 2),
        "spread_ticks": float(spread),
        "mid_ticks": mid,
        "micro_ticks": mid,
        "imbalance": 0.0,
        "fair_ticks": mid,
        "sigma_30m": 0.0,
        "sigma_1s_ticks": 0.0,
        "funding": 0.0,
        "tox_scale": 1.0,
        "skew_anchor": 0.0,
        "inventory_sizes": 0.0,
        "vpin": 0.5,
        "stoikov_ticks": 0.0,
        "intensity_a_per_s": 0.0,
        "intensity_k_per_tick": 0.0,
    }
    return plain | fields


def sides(ladder) -> dict[int, list[tuple[int, int]]]:
    """A ladder's (price_ticks, qty_lots) per side, nearest first."""
    row = ladder[0] if ladder.ndim else ladder
    n, m = int(row["bid_layers"]), int(row["ask_layers"])
    return {
        1: list(zip(row["bid_price_ticks"][:n].tolist(), row["bid_qty_lots"][:n].tolist(), strict=True)),
        -1: list(zip(row["ask_price_ticks"][:m].tolist(), row["ask_qty_lots"][:m].tolist(), strict=True)),
    }


def book(bids, asks, **fields) -> np.ndarray:
    """BOOK from (price_ticks, qty_lots) levels, best first."""
    record = np.zeros(1, records.BOOK)
    for side, levels in (("bid", bids), ("ask", asks)):
        record[f"{side}_levels"] = len(levels)
        for i, (price, qty) in enumerate(levels):
            record[f"{side}_price_ticks"][0, i], record[f"{side}_qty_lots"][0, i] = price, qty
    for name, value in fields.items():
        record[name] = value
    return record


def bbo(bid, ask, **fields) -> np.ndarray:
    """BBO from two (price_ticks, qty_lots)."""
    record = np.zeros(1, records.BBO)
    record["bid_price_ticks"], record["bid_qty_lots"] = bid
    record["ask_price_ticks"], record["ask_qty_lots"] = ask
    for name, value in fields.items():
        record[name] = value
    return record


def mark(rate_e8: int, next_funding_s: int, now_ns: int) -> np.ndarray:
    record = np.zeros(1, records.TAPE)
    record["kind"], record["funding_rate_e8"] = TapeKind.TAPE_MARK, rate_e8
    record["next_funding_s"], record["recv_mono_ns"] = next_funding_s, now_ns
    return record


class Rig:
    """A quoter between rings of this process, with hands to write what it reads and eyes on what it writes."""

    def __init__(self, epoch: int = 7):
        self.memory = {
            "bbo": private_memory(records.BBO, 1024),
            "book": private_memory(records.BOOK, 256),
            "tape": private_memory(records.TAPE, 8192),
            "leader": private_memory(records.BBO, 1024),
            "own": private_memory(records.OWN, 8),
            "exec": private_memory(records.EXEC, 4096),
            "params": private_memory(records.PARAMS, 4),
            "operator": private_memory(records.OPERATOR, 4),
            "ladder": private_memory(records.LADDER, 64),
            "state": private_memory(records.QUOTER_STATE, 4),
            "decisions": private_memory(records.DECISION, 65536),
        }
        self.counters = np.zeros(1, records.QUOTER_COUNTERS)
        self.core = QuoterCore(
            0, epoch, self.memory["ladder"], self.memory["state"], self.memory["decisions"], self.counters
        )
        self.ladders = RingReader(self.memory["ladder"], records.LADDER)
        self.decisions = RingReader(self.memory["decisions"], records.DECISION)
        self.states = RingReader(self.memory["state"], records.QUOTER_STATE)
        self.writers = {}
        for source in ("bbo", "book", "tape", "own", "exec", "params", "operator"):
            self.attach(source)
        self.update_id = 0

    def attach(self, source: str, fresh: bool = False):
        dtype = records.BBO if source == "leader" else records.RING_RECORDS[source]
        if fresh:
            self.memory[source] = private_memory(dtype, 8)
        self.writers[source] = RingWriter(self.memory[source], dtype)
        self.core.attach(source, self.memory[source])

    def core_reads(self, source: str):
        """The newest record of a source."""
        return RingReader(self.memory[source], records.RING_RECORDS[source]).read_newest()

    def write(self, source: str, record) -> int:
        return self.writers[source].write(record)

    def tick(self, now_ns: int, bid: int = 649_999, ask: int = 650_001, qty: int = 5000, **fields) -> None:
        """One more state of the market: a book of 20 levels and its top."""
        self.update_id += 1
        stamps = {"update_id": self.update_id, "recv_mono_ns": now_ns, "ts_event_ns": now_ns} | fields
        levels = range(20)
        self.write("book", book([(bid - i, qty) for i in levels], [(ask + i, qty) for i in levels], **stamps))
        self.write("bbo", bbo((bid, qty), (ask, qty), **stamps))

    def step(self, now_ns: int, feed_alive: bool = True) -> bool:
        self.core.feed_heartbeat_mono_ns = now_ns if feed_alive else 0
        return self.core.step_at(now_ns)

    def newest_ladder(self):
        return self.ladders.read_newest()

    def placed(self, ladder, **fields) -> np.ndarray:
        """OWN as it is when the gateway has made exactly what a ladder wants."""
        orders = [(side, price, qty) for side in (Side.BUY, Side.SELL) for price, qty in sides(ladder)[int(side)]]
        return own(orders, **fields)

    def all_decisions(self) -> list:
        found = []
        while (record := self.decisions.read_record()[1]) is not None:
            found.append(record)
        return found

    def begin(self, params_array, now_ns: int = 100 * SECOND_NS, **own_fields) -> int:
        """Warm up until it quotes; return the time."""
        self.write("params", params_array)
        self.write("own", own(**own_fields))
        self.tick(now_ns)
        self.step(now_ns)
        return now_ns
