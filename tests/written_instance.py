"""An instance whose segments are written by hand, for tests of what reads them."""

from decimal import Decimal

import numpy as np

from phx._core.enums import Mode, OrderState, TapeKind
from phx._core.histogram import count_into
from phx._core.mark_outs import table
from phx._core.ring import RingWriter
from phx.instruments import Instrument, write_table
from phx.ops.instance import Instance
from phx.segment import Segment
from phx.topology import kind_of


def instrument(symbol: str, symbol_id: int, tick: str, lot: str) -> Instrument:
    """Return an instrument with a grid; its other filters never bind."""
    prices, quantities = (Decimal(tick), Decimal(10**6)), (Decimal(lot), Decimal(1000))
    return Instrument(symbol, symbol_id, Decimal(tick), Decimal(lot), *prices, *quantities, Decimal(5), 2, 3)


TABLE = [instrument("BTCUSDC", 0, "0.1", "0.001"), instrument("ETHUSDC", 1, "0.01", "0.001")]


class Written:
    """Makes segments of an instance's folder and publishes records in them."""

    def __init__(self, config):
        self.config = config
        self.folder = config.shm_folder()
        self.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        write_table(self.folder / "instruments.main.json", TABLE)
        self.instance = Instance(config)
        self.segments = {}
        self.writers = {}

    def segment(self, name: str, anew: bool = False) -> Segment:
        if anew or name not in self.segments:
            row = kind_of(name)
            self.segments[name] = Segment.create(self.folder, name, row.record, row.slots)
            self.writers.pop(name, None)
        return self.segments[name]

    def publish(self, name: str, **fields) -> None:
        """Publish a record; a field given as (index, value) pairs is set there."""
        segment = self.segment(name)
        if name not in self.writers:
            self.writers[name] = RingWriter(segment.memory, segment.dtype)
        record = np.zeros(1, segment.dtype)
        for field, value in fields.items():
            if isinstance(value, list):
                record[field][0, : len(value)] = value
            else:
                record[field] = value
        self.writers[name].write(record)

    def count(self, name: str, **fields) -> None:
        """Set fields of a counter block; a list is durations for a histogram."""
        block = self.segment(name).records
        for field, value in fields.items():
            if isinstance(value, list):
                for duration_ns in value:
                    count_into(block[field][0], duration_ns)
            else:
                block[field] = value

    def judge(self, symbol: str, mode: Mode, layer: int, horizon: int, fills: int, half_ticklots: int, ticklots: int):
        """Set a cell of the mark-outs."""
        block = self.segment(f"counters.quoter.{symbol}").records[0]
        for field, value in {
            "fills": fills,
            "lots": fills,
            "half_ticklots": half_ticklots,
            "ticklots": ticklots,
        }.items():
            table(block, field)[mode, layer, horizon] = value

    def quoting(self, symbol: str = "BTCUSDC") -> None:
        """Publish a symbol that quotes: long 30 lots bought at 600000 ticks, mid 600100.5, two buys and a sell."""
        self.publish(f"bbo.{symbol}", bid_price_ticks=600100, ask_price_ticks=600101)
        self.publish(
            f"own.{symbol}",
            ready=1,
            position_lots=30,
            open_cost_ticklots=30 * 600000,
            realised_ticklots=5000,
            fees_e8=2 * 10**8,
            funding_e8=10**8,
            volume_ticklots=10 * 600000,
            taker_volume_ticklots=4 * 600000,
            fills=3,
            orders=3,
            side=[1, 1, -1],
            price_ticks=[600000, 599900, 600200],
            remaining_lots=[6, 6, 5],
            state=[OrderState.ORDER_OPEN, OrderState.ORDER_UNKNOWN, OrderState.ORDER_OPEN],
        )
        self.publish(
            f"state.{symbol}",
            mode=Mode.MODE_NORMAL,
            ratio=0.1,
            vol_scale=1.25,
            skew_ticks=-12.0,
            funding_ema=0.0001,
            quotable_ns=100 * 10**9,
            quoted_both_ns=99 * 10**9,
            worst_buy_lots=42,
        )
        self.publish(f"tape.{symbol}", kind=TapeKind.TAPE_MARK, price_ticks=600090)
        self.publish(f"tape.{symbol}", kind=TapeKind.TAPE_TRADE, price_ticks=600777)
        self.count(f"counters.quoter.{symbol}", ladders=7, tick_to_ladder_ns=[10_000] * 99 + [1_000_000])
        self.count(f"counters.gateway.{symbol}", places=4, cancels=1, placed_near_lots=100, filled_near_lots=40)
        self.count(f"counters.feed.{symbol}", gaps=1, resyncs=2)
