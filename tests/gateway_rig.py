"""A gateway core between rings of this process: the test is the market, the quoter, the guardian and the venue."""

from collections import deque

import numpy as np

from phx._core import records
from phx._core.account import Account
from phx._core.action import ActionKind, TimeInForce
from phx._core.desk import Desk
from phx._core.enums import OperatorState, TapeKind
from phx._core.gateway import GatewayCore
from phx._core.ring import LAPPED, OK, RingReader, RingWriter
from phx.segment import private_memory

SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
NO_PRICE = records.ABSENT_PRICE_TICKS
EPOCH = 7
RULES = {
    "ticklot_e8": 10_000,  # tick 0.1, lot 0.001
    "min_qty_lots": 1,
    "max_qty_lots": 1_000_000,
    "min_notional_ticklots": 500_000,
    "min_price_ticks": 1,
    "price_step_ticks": 1,
    "qty_step_lots": 1,
    "max_price_ticks": 10_000_000,
    "percent_up_e6": 1_050_000,
    "percent_down_e6": 950_000,
    "max_orders": 200,
}
PARAMS = {
    "params_version": 1,
    "enabled": 1,
    "net_max_lots": 1000,
    "max_order_lots": 500,
    "max_order_notional_e8": 100_000 * 10**8,
    "max_gross_notional_e8": 1_000_000 * 10**8,
    "max_daily_loss_e8": 10_000 * 10**8,
    "book_max_age_ns": SECOND_NS,
    "republish_ns": 500 * MS_NS,
    "near_layers": 8,
    "max_open_orders": 64,
    "max_in_flight": 64,
    "max_leverage_e6": 20 * 10**6,
    "max_margin_e6": 900_000,
    "throttle_window_ns": 60 * SECOND_NS,
    "throttle_cycles": 1000,
    "throttle_rejects": 20,
    "protect_window_ns": SECOND_NS,
    "protect_lots": 1_000_000,
    "protect_delta_lots": 1_000_000,
    "protect_frozen_ns": 5 * SECOND_NS,
    "collar_mid": 0.03,
    "collar_mark": 0.04,
    "collar_far": 0.05,
    "qty_tolerance": 0.5,
}


class Ring:
    """A ring with its writer and a reader for the test."""

    def __init__(self, dtype, slots: int = 1024):
        self.dtype = dtype
        self.memory = private_memory(dtype, slots)
        self.writer = RingWriter(self.memory, dtype)
        self.test_reader = self.reader()

    def reader(self) -> RingReader:
        reader = RingReader(self.memory, self.dtype)
        reader.attach(self.memory, self.dtype, True)
        return reader

    def write(self, **fields) -> int:
        record = np.zeros(1, self.dtype)
        for name, value in fields.items():
            record[name] = value
        return self.writer.write(record)

    def newest(self):
        return self.reader().read_newest()

    def all(self) -> list:
        """Everything the ring still holds that the test has not read."""
        found = []
        while True:
            code, record = self.test_reader.read_record()
            if code == OK:
                found.append(record)
            elif code != LAPPED:
                return found


class Symbol:
    """One symbol's rings and desk."""

    def __init__(self, account: Account, name: str, symbol_id: int, rules: dict):
        self.id = symbol_id
        self.bbo, self.book, self.tape = Ring(records.BBO), Ring(records.BOOK, 256), Ring(records.TAPE)
        self.ladder, self.params = Ring(records.LADDER, 64), Ring(records.PARAMS, 4)
        self.own, self.exec = Ring(records.OWN, 8), Ring(records.EXEC, 4096)
        self.counters = np.zeros(1, records.GATEWAY_COUNTERS)
        self.desk = Desk(
            account, name, symbol_id, rules, own=self.own.writer, exec_=self.exec.writer, counters=self.counters.data
        )
        self.desk.market.attach(self.bbo.reader(), self.book.reader(), self.tape.reader())
        self.desk.attach_ladder(self.ladder.reader())
        self.desk.attach_params(self.params.reader())
        self.desk.quoter_alive = True
        self.desk.operator_state = OperatorState.OPERATOR_RUN
        self.desk.proof_period_ns = SECOND_NS
        self.desk.user_stream_up = True


class Rig:
    """A ready gateway with a market of 99999 / 100001 and mark 100000 on every symbol.

    rules: changes to RULES, or the rules of each symbol. budgets: of the account, as Account takes them.
    """

    def __init__(self, symbols: int = 1, rules: dict | list[dict] | None = None, budgets: dict | None = None, **params):
        self.now_ns = 1000 * SECOND_NS
        self.journal = Ring(records.JOURNAL, 65536)
        self.account_ring = Ring(records.ACCOUNT, 8)
        self.account = Account(EPOCH, self.journal.writer, 65536, **(budgets or {}))
        self.core = GatewayCore(self.account, self.account_ring.writer, self.now_ns)
        if not isinstance(rules, list):
            rules = [RULES | (rules or {})] * symbols
        self.symbols = [Symbol(self.account, f"SYM{i}", i, rules[i]) for i in range(symbols)]
        self.params = PARAMS | params
        for symbol in self.symbols:
            self.core.add(symbol.desk)
            symbol.params.write(symbol_id=symbol.id, **self.params)
        self.core.wallet_e8 = 10_000_000 * 10**8
        self.core.ready = self.core.user_stream_up = True
        self.sent = deque()
        self.trade_id = 100
        self.market()
        self.prove()

    # ---- what surrounds it ----

    def market(self, bid: int = 99_999, ask: int = 100_001, mark: int | None = 100_000, flags: int = 0):
        """New market data on every symbol."""
        for s in self.symbols:
            s.bbo.write(bid_price_ticks=bid, ask_price_ticks=ask, recv_mono_ns=self.now_ns, flags=flags)
            s.book.write(recv_mono_ns=self.now_ns, flags=flags)
            if mark is not None:
                s.tape.write(kind=TapeKind.TAPE_MARK, price_ticks=mark, recv_mono_ns=self.now_ns)

    def prove(self, ahead_ns: int = 3 * SECOND_NS):
        for s in self.symbols:
            s.desk.proof_deadline_mono_ns = self.now_ns + ahead_ns

    def ladder(self, bids=(), asks=(), symbol: int = 0, **fields):
        """Publish a ladder of (price, lots) or (price, lots, reduce_only), nearest first."""
        s = self.symbols[symbol]
        record = {
            "decided_mono_ns": self.now_ns,
            "cause_recv_mono_ns": self.now_ns - 1000,
            "own_seq": s.own.writer.published,
            "own_epoch": EPOCH,
            "params_version": 1,
            "quoter_epoch": 1,
            "mode": 1,
        }
        for name, side in (("bid", bids), ("ask", asks)):
            prices, lots, rungs = np.zeros(32, int), np.zeros(32, int), np.zeros(32, int)
            reduce_only = 0
            for i, layer in enumerate(side):
                prices[i], lots[i], rungs[i] = layer[0], layer[1], i
                reduce_only |= bool(len(layer) > 2 and layer[2]) << i
            record |= {
                f"{name}_price_ticks": prices,
                f"{name}_qty_lots": lots,
                f"{name}_layer": rungs,
                f"{name}_layers": len(side),
                f"{name}_reduce_only": reduce_only,
            }
        return s.ladder.write(**(record | fields))

    def wait(self, ns: int):
        """Let time pass with a living market and guardian."""
        self.now_ns += ns
        self.market()
        self.prove()

    # ---- the gateway's turn ----

    def step(self) -> list[dict]:
        """One turn; return the actions it wants sent."""
        self.core.step(self.now_ns)
        found = []
        while (action := self.core.pop_action()) is not None:
            found.append(action)
        self.sent.extend(found)
        return found

    def quote(self, bids=(), asks=(), **fields) -> list[dict]:
        """A ladder that has seen everything, and the turn that follows it."""
        self.ladder(bids, asks, **fields)
        return self.step()

    # ---- the venue ----

    def accept(self, actions) -> None:
        """The venue accepts what is placed and does what is cancelled."""
        for action in actions:
            if action["kind"] == ActionKind.ACTION_PLACE:
                self.core.on_accept(action["intent_id"], 5_000 + action["intent_id"], 1, self.now_ns)
            else:
                self.core.on_end(action["intent_id"], False, 0, 1, self.now_ns)

    def placed(self, bids=(), asks=(), **fields) -> list[dict]:
        """Quote and have the venue accept it."""
        actions = self.quote(bids, asks, **fields)
        self.accept(actions)
        self.step()
        return actions

    def fill(self, action: dict, lots: int | None = None, price: int | None = None, fee_e8=0, trade_id=None) -> int:
        """Fill an order; return the trade id."""
        self.trade_id += 1
        trade_id = trade_id or self.trade_id
        self.core.on_fill(
            action["symbol_id"],
            EPOCH,
            action["intent_id"],
            trade_id,
            action["side"],
            price or action["price_ticks"],
            lots or action["qty_lots"],
            fee_e8,
            True,
            1,
            self.now_ns,
        )
        return trade_id

    def hold(self, lots: int, price: int = 100_000, symbol: int = 0) -> None:
        """Have a position from before."""
        desk = self.symbols[symbol].desk
        totals = dict.fromkeys(desk.totals(), 0) | {"position_lots": lots, "open_cost_ticklots": lots * price}
        desk.restore(totals, 0)

    def reasons(self, symbol: int = 0) -> list[int]:
        """The reject reasons told since last asked."""
        return [int(e["reason"]) for e in self.symbols[symbol].exec.all() if e["reason"]]

    def live(self, symbol: int = 0) -> dict[int, dict]:
        return self.core.live_orders(symbol)


def places(actions) -> list[tuple[int, int, int]]:
    """(side, price, lots) of what is placed."""
    return [(a["side"], a["price_ticks"], a["qty_lots"]) for a in actions if a["kind"] == ActionKind.ACTION_PLACE]


def cancels(actions) -> list[int]:
    """Intent ids of what is cancelled."""
    return [a["intent_id"] for a in actions if a["kind"] == ActionKind.ACTION_CANCEL]


__all__ = ["EPOCH", "MS_NS", "NO_PRICE", "SECOND_NS", "Rig", "TimeInForce", "cancels", "places"]
