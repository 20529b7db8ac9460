"""Quoter and gateway joined by their rings, and a tiny exchange around them: what they decide is what happens.

The exchange is ten rules, not a matching engine: a resting order fills, wholly or in part, when the market trades
through it; a taking order meets a book of known depth; reduce-only is enforced. Time is the test's.

With a latency, requests and answers travel, each for its own time, so that answers overtake one another; and what the
gateway says reaches the quoter a moment later, as if the two had crossed: so ladders come that have not seen it.
"""

import heapq
import random

import numpy as np
from gateway_rig import PARAMS, RULES, Ring
from quoting import SECOND_NS, bbo, book

from phx._core import records
from phx._core.account import Account
from phx._core.action import ActionKind, TimeInForce
from phx._core.amend_answers import on_amend_reject, on_amended
from phx._core.desk import Desk
from phx._core.enums import Mode, OperatorState, TapeKind
from phx._core.gateway import GatewayCore
from phx._core.quoter import QuoterCore

MS = 1_000_000
EPOCH = 7
LEVELS = 20


class Loop:
    """One symbol. params: a PARAMS array of one record. depth: lots on each level of the book.

    fees: maker's and taker's, fractions. latency_ns: of a request or an answer, half to one and a half times that.
    post_only_refused: share of the resting orders that the venue refuses. slots: of the rings, to be read afterwards.
    """

    def __init__(
        self, params, mid: int = 650_000, depth: int = 40, seed: int = 0, fees=(0.0, 0.0004), latency_ns: int = 0,
        post_only_refused: float = 0.0, slots: int = 64,
    ):  # fmt: skip
        self.params, self.mid, self.depth, self.fees = params, mid, depth, fees
        self.latency_ns, self.post_only_refused, self.slots = latency_ns, post_only_refused, slots
        self.under_way, self.sent = [], 0  # requests and answers: (arrival, number, what then)
        self.stream_ns = self.told_ns = 0  # the newest arrivals of the user stream and of `own`, which keep their order
        self.held_lots, self.cost_ticklots = 0, 0.0  # by the venue's books, which are ahead of the gateway's
        self.random = random.Random(seed)
        self.now_ns = 1000 * SECOND_NS
        self.rings = {
            name: Ring(dtype, slots)
            for name, dtype, slots in (
                ("bbo", records.BBO, slots),
                ("book", records.BOOK, slots),
                ("tape", records.TAPE, slots),
                ("own", records.OWN, slots),
                ("exec", records.EXEC, max(slots, 1024)),
                ("params", records.PARAMS, 4),
                ("operator", records.OPERATOR, slots),
                ("ladder", records.LADDER, slots),
                ("state", records.QUOTER_STATE, 4),
                ("decisions", records.DECISION, slots),
            )
        }
        # What the gateway says, on its way to the quoter's `own`.
        self.said = Ring(records.OWN, slots) if latency_ns else self.rings["own"]
        self.counters = np.zeros(1, records.QUOTER_COUNTERS)
        self.gateway_counters = np.zeros(1, records.GATEWAY_COUNTERS)
        self.journal = Ring(records.JOURNAL, 65536)
        self.account = Account(EPOCH, self.journal.writer, 65536)
        self.gateway = GatewayCore(self.account, Ring(records.ACCOUNT, 8).writer, self.now_ns)
        self.desk = self._desk()
        self.gateway.add(self.desk)
        self.gateway.wallet_e8 = 100_000_000 * 10**8
        self.gateway.ready = True
        self.epoch = 0
        self.quoter = None
        self.transitions, self.ladders, self.orders, self.resting = [], [], {}, {}
        self.trade_id, self.lost_ticklots = 0, []
        self.feed_alive, self.flags = True, 0
        self.answers, self.hungry = True, True  # cancels are done and confirmed; takes find somebody
        self.params["params_version"] = 1
        self.rings["params"].writer.write(self.params)
        self.market()
        self.restart_quoter()

    def _desk(self) -> Desk:
        rings = self.rings
        desk = Desk(
            self.account, "SYM0", 0, RULES, own=self.said.writer, exec_=rings["exec"].writer,
            counters=self.gateway_counters.data,
        )  # fmt: skip
        desk.market.attach(*(rings[name].reader() for name in ("bbo", "book", "tape")))
        desk.attach_ladder(rings["ladder"].reader())
        desk.attach_params(rings["params"].reader())
        desk.set_fees(*(round(fee * 1e8) for fee in self.fees))
        desk.quoter_alive = desk.user_stream_up = True
        desk.operator_state, desk.proof_period_ns = OperatorState.OPERATOR_RUN, SECOND_NS
        return desk

    # ---- the processes ----

    def restart_quoter(self) -> None:
        """A new life of the quoter, that goes on from what the last one left in its state."""
        self.epoch += 1
        left = self.rings["state"].newest()
        self.rings["ladder"], self.rings["state"] = Ring(records.LADDER, self.slots), Ring(records.QUOTER_STATE, 4)
        self.rings["decisions"] = Ring(records.DECISION, self.slots)
        written = (self.rings[name].memory for name in ("ladder", "state", "decisions"))
        self.desk.attach_ladder(self.rings["ladder"].reader())
        self.quoter = QuoterCore(0, self.epoch, *written, self.counters)
        for source in ("bbo", "book", "tape", "own", "exec", "params", "operator"):
            self.quoter.attach(source, self.rings[source].memory)
        if left is not None:
            self.quoter.restore(np.array([left]))
        if self.epoch > 1:
            self.desk.lose_quoter()
            self.desk.quoter_alive = True

    def market(self, move: int = 0) -> None:
        self.mid += move
        stamps = {
            "recv_mono_ns": self.now_ns,
            "ts_event_ns": self.now_ns,
            "update_id": self.now_ns,
            "flags": self.flags,
        }
        bids = [(self.mid - 1 - i, self.depth) for i in range(LEVELS)]
        asks = [(self.mid + 1 + i, self.depth) for i in range(LEVELS)]
        self.rings["book"].writer.write(book(bids, asks, **stamps))
        self.rings["bbo"].writer.write(bbo(bids[0], asks[0], **stamps))
        self.rings["tape"].write(kind=TapeKind.TAPE_MARK, price_ticks=self.mid, recv_mono_ns=self.now_ns)

    def want(self, state: OperatorState) -> None:
        """The operator's will, for both."""
        self.rings["operator"].write(wanted=np.full(records.OPERATOR["wanted"].shape, int(state), np.uint8))
        self.desk.operator_state = state

    def turn(self) -> None:
        """Quoter, gateway, exchange, and the answers, until nobody has anything to say."""
        for _ in range(1 if self.latency_ns else 6):
            self.quoter.feed_heartbeat_mono_ns = self.now_ns if self.feed_alive else 0
            if self.quoter.step_at(self.now_ns):
                self.ladders.append(self.ladder)
            self.transitions += self.quoter.take_transitions()
            self.step_gateway()

    def step_gateway(self) -> None:
        """Let the gateway send until it has nothing more to say: each order belongs to the ladder in force."""
        self.desk.proof_deadline_mono_ns = self.now_ns + 3 * SECOND_NS
        self.account.set_journal_drained(self.journal.writer.published)
        while self.gateway.step(self.now_ns):
            while (action := self.gateway.pop_action()) is not None:
                if action["kind"] != ActionKind.ACTION_CANCEL:
                    row = self.account.table.order(action["intent_id"])
                    take = (int(self.ladder["quoter_epoch"]), row["take_n"])
                    action |= {"remaining": row["qty_lots"], "filled": 0, "mode": row["mode"], "take": take}
                    self.orders.setdefault(action["intent_id"], action)["mode"] = row["mode"]
                    self.on_order(action)
                self.send(self.exchange, action)
        while self.latency_ns and (own := self.said.test_reader.read_record()[1]) is not None:
            self.told_ns = max(self.told_ns, self.now_ns + int(self.latency_ns * self.random.uniform(0, 3)))
            self.sent += 1
            heapq.heappush(self.under_way, (self.told_ns, self.sent, self.rings["own"].writer.write, (own,)))

    def send(self, arrive, *what, stream: bool = False) -> None:
        """Let it arrive after the latency, whatever is under way already; only the user stream keeps its order."""
        if not self.latency_ns:
            arrive(*what)
            return
        self.sent += 1
        at_ns = self.now_ns + int(self.latency_ns * self.random.uniform(0.5, 1.5))
        if stream:
            at_ns = self.stream_ns = max(at_ns, self.stream_ns)
        heapq.heappush(self.under_way, (at_ns, self.sent, arrive, what))

    def pass_until(self, end_ns: int) -> None:
        """Go to this time; what is under way arrives meanwhile."""
        while self.under_way and self.under_way[0][0] <= end_ns:
            self.now_ns, _, arrive, what = heapq.heappop(self.under_way)
            arrive(*what)
            self.turn()
        self.now_ns = end_ns

    def pass_time(self, ns: int, every_ns: int = 100 * MS, move: int = 0) -> None:
        """Let time pass in steps, the market alive."""
        for _ in range(max(1, ns // every_ns)):
            self.pass_until(self.now_ns + every_ns)
            self.market(move)
            self.trade_through()
            self.turn()

    # ---- what can be seen ----

    @property
    def ladder(self):
        return self.rings["ladder"].newest()

    @property
    def state(self):
        return self.rings["state"].newest()

    @property
    def position(self) -> int:
        return self.desk.position_lots

    def hold(self, lots: int, cost: int | None = None) -> None:
        """A trade from outside brings the position to `lots`."""
        change = lots - self.held_lots
        if change:
            self.book_fill(0, 1 if change > 0 else -1, cost or self.mid, abs(change), foreign=True)

    def live_lots(self, side: int) -> int:
        return sum(row["remaining"] for row in self.resting.values() if row["side"] == side)

    # ---- the exchange ----

    def on_order(self, order: dict) -> None:
        """For the test: look at every order as it leaves."""

    def exchange(self, action: dict) -> None:
        intent = action["intent_id"]
        if action["kind"] == ActionKind.ACTION_CANCEL:
            order = self.resting.pop(intent, None) if self.answers else None
            if order is not None:
                self.say_end(order, False)
            return
        if action["kind"] == ActionKind.ACTION_AMEND:
            self.amend(action)
            return
        resting = action["time_in_force"] == TimeInForce.GTX
        takes = action["side"] * (action["price_ticks"] - self.mid - action["side"]) >= 0
        if resting and (takes or self.random.random() < self.post_only_refused):
            self.send(lambda: self.gateway.on_reject(intent, -5022, self.now_ns))
            return
        self.send(lambda: self.gateway.on_accept(intent, 5_000 + intent, 1, self.now_ns))
        if resting:
            self.resting[intent] = action
        else:
            self.take(action)

    def amend(self, change: dict) -> None:
        intent, price, lots = change["intent_id"], change["price_ticks"], change["qty_lots"]
        order = self.resting.get(intent)
        if order is None:
            self.send(lambda: on_amend_reject(self.gateway, intent, -2013, self.now_ns))
            return
        takes = order["side"] * (price - self.mid - order["side"]) >= 0
        if takes or lots <= order["filled"]:
            del self.resting[intent]
            self.say_end(order, False)
            return
        order |= {"price_ticks": price, "qty_lots": lots, "remaining": lots - order["filled"]}
        ts_ns = self.now_ns
        self.send(lambda: on_amended(self.gateway, intent, price, lots, ts_ns, self.now_ns))

    def take(self, order: dict) -> None:
        """Meet the book level by level; what is left of an order that may not rest expires."""
        intent, side = order["intent_id"], order["side"]
        for level in range(LEVELS if order["price_ticks"] != records.ABSENT_PRICE_TICKS else 10**6):
            price = self.mid + side * (1 + level)
            beyond = order["price_ticks"] != records.ABSENT_PRICE_TICKS and side * (price - order["price_ticks"]) > 0
            room = max(0, -side * self.held_lots) if order["reduce_only"] else order["remaining"]
            lots = min(order["remaining"], self.depth, room)
            if beyond or not lots or not self.hungry:
                break
            self.book_fill(intent, side, price, lots, maker=False)
        self.say_end(order, True)

    def say_end(self, order: dict, expired: bool) -> None:
        intent, filled = order["intent_id"], order["filled"]
        self.send(lambda: self.gateway.on_end(intent, expired, filled, 1, self.now_ns), stream=True)

    def trade_through(self) -> None:
        """Fill resting orders that the market has come through, some of them only in part."""
        for intent, order in list(self.resting.items()):
            if order["side"] * (order["price_ticks"] - self.mid) <= 0:
                continue
            lots = order["remaining"]
            if self.random.random() < 0.3:
                lots = max(1, lots // 2)
            if order["reduce_only"]:
                lots = min(lots, max(0, -order["side"] * self.held_lots))
            if lots:
                self.book_fill(intent, order["side"], order["price_ticks"], lots)
            if order["remaining"] == 0 or (order["reduce_only"] and not lots):
                del self.resting[intent]
                if order["remaining"]:
                    self.say_end(order, True)

    def book_fill(self, intent: int, side: int, price: int, lots: int, maker: bool = True, foreign=False) -> None:
        fee_ticklots = self.fees[0 if maker else 1] * price * lots
        if not foreign:
            order = self.orders[intent]
            order["remaining"] -= lots
            order["filled"] += lots
            if order["mode"] == Mode.MODE_GRINDING and self.held_lots * side < 0:
                cost = self.cost_ticklots / self.held_lots
                lost = max(0.0, (1 if self.held_lots > 0 else -1) * (cost - price)) * lots + fee_ticklots
                self.lost_ticklots.append((self.now_ns, lost))
        self.hold_more(side * lots, price)
        self.trade_id += 1
        fill = (0, 0 if foreign else EPOCH, intent, self.trade_id, side, price, lots)
        fee_e8 = int(fee_ticklots * RULES["ticklot_e8"])
        self.send(lambda: self.gateway.on_fill(*fill, fee_e8, maker, 1, self.now_ns), stream=True)

    def hold_more(self, lots: int, price: int) -> None:
        """Book at average cost, as the gateway does."""
        held = self.held_lots
        if held * lots < 0:
            closed = min(abs(lots), abs(held))
            self.cost_ticklots -= self.cost_ticklots * closed / abs(held)
            opened = lots + (closed if held > 0 else -closed)
        else:
            opened = lots
        self.held_lots += lots
        self.cost_ticklots += opened * price

    def lost_in_window(self) -> float:
        window_ns = int(self.params["grind_budget_window_ns"][0])
        return sum(lost for at_ns, lost in self.lost_ticklots if self.now_ns - at_ns < window_ns)


__all__ = ["EPOCH", "MS", "PARAMS", "Loop"]
