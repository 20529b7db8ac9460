"""A venue behind a faulty transport, in virtual time: every way in which the outcome of an order may stay unknown.

The real gateway core, replies, user events and reconciliation work against the matching engine of the simulated venue.
Requests, answers and events are delayed, lost, doubled and reordered by a seeded generator; what the engine holds is
the truth that everything is compared with.
"""

import asyncio
import random
import selectors
from bisect import bisect_left
from collections import defaultdict
from decimal import Decimal
from types import SimpleNamespace

from gateway_rig import EPOCH, MS_NS, SECOND_NS, Rig

from phx._core.action import ActionKind
from phx._core.coid import format_coid
from phx._core.engine import Engine
from phx._core.enums import ExecKind, OrderState
from phx._core.matching import EventKind
from phx._core.matching import TimeInForce as Tif
from phx.gateway.account import Orders
from phx.gateway.reconcile import Reconciliation
from phx.gateway.replies import Replies
from phx.gateway.user_events import UserEvents
from phx.instruments import Instrument
from phx.venue.binance.messages import OrderFields, OrderTradeUpdate, TradeLite
from phx.venue.interface import Order, Position, UserTrade, VenueDown, VenueReject, VenueUnknown

RECV_WINDOW_NS = 2 * SECOND_NS
ZOMBIE_NS = 100 * MS_NS  # a late order must be on its way out so soon after the first word of it
START_NS = 1000 * SECOND_NS


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer instead of waiting for it."""

    def __init__(self):
        self.now_s = START_NS / 1e9
        loop, selector = self, selectors.DefaultSelector()

        class Jump:
            def select(self, timeout=None):
                loop.now_s += timeout or 0.0
                return selector.select(0) if timeout is None else []

            def __getattr__(self, name):
                return getattr(selector, name)

        super().__init__(Jump())

    def time(self) -> float:
        return self.now_s

    def now_ns(self) -> int:
        return round(self.now_s * 1e9)

    def after(self, delay_ns: int, happen, *arguments) -> None:
        self.call_later(delay_ns / 1e9, happen, *arguments)


class VenueOrder:
    def __init__(self, instrument, action: dict, coid: str, order_id: int, now_ns: int):
        self.instrument, self.coid, self.order_id, self.since_ns = instrument, coid, order_id, now_ns
        self.side, self.price_ticks, self.lots = action["side"], action["price_ticks"], action["qty_lots"]
        self.filled, self.status = 0, "NEW"
        self.intent_id = action["intent_id"]
        self.changed_ms = now_ns // MS_NS
        self.told_ns = 0  # when phx first heard of it
        self.late = False

    def row(self) -> Order:
        i = self.instrument
        price, qty, filled = i.price_text(self.price_ticks), i.qty_text(self.lots), i.qty_text(self.filled)
        return Order(
            i.symbol, self.coid, self.order_id, self.side, self.status, price, qty, filled, "LIMIT", "GTX", False,
            self.changed_ms * MS_NS,
        )  # fmt: skip


class FaultyVenue:
    """calm: no faults any more. `unknown`: intent → when its outcome became unknown."""

    def __init__(self, loop: VirtualLoop, rig: Rig, seed: int, fault_share: float = 0.5):
        self.loop, self.rig, self.core = loop, rig, rig.core
        self.random = random.Random(seed)
        self.fault_share, self.calm = fault_share, False
        self.instruments = {s.desk.symbol: instrument(s.desk.symbol, s.id) for s in rig.symbols}
        self.by_id = {i.symbol_id: i for i in self.instruments.values()}
        self.engines = {i: Engine(1 + i * 10**9, 1) for i in self.by_id}
        self.orders: dict[str, VenueOrder] = {}
        self.by_order_id: dict[int, VenueOrder] = {}
        self.open: dict[int, dict[str, VenueOrder]] = {i: {} for i in self.by_id}
        self.trades: dict[int, list[tuple[int, UserTrade]]] = {i: [] for i in self.by_id}
        self.held, self.fees_e8 = dict.fromkeys(self.by_id, 0), dict.fromkeys(self.by_id, 0)
        self.session, self.stream_up, self.stream_back_ns = 0, True, 0
        self.clock = SimpleNamespace(timestamp_ms=lambda: loop.now_ns() // MS_NS)
        self.asked = defaultdict(int)
        self.places = defaultdict(int)  # by client id: how often one arrived
        self.duplicates = self.outcomes = self.late = self.amends = 0
        self.problems: list[str] = []
        self.latencies: dict[bool, list[int]] = {True: [], False: []}  # by whether the venue had the order
        self.unknown: dict[tuple[int, int], int] = {}
        self.wanted_turn = False
        self.slow: list[tuple] = []
        self.exec_seen = dict.fromkeys(self.by_id, 0)
        orders = Orders("s", {s: i.symbol_id for s, i in self.instruments.items()}, EPOCH)
        self.replies = Replies(self.core, self.instruments, orders, lambda: None, lambda *_: None)
        self.events = UserEvents(
            self.core, self.instruments, orders, self._cancel_zombie, lambda *_: self.problems.append("forced")
        )
        self.reconciliation = Reconciliation(
            self.core, self, self.instruments, orders, self.replies, "sim", 2000, self.events.venue_positions
        )
        self.tasks: set[asyncio.Task] = set()

    # ---- chance ----

    def chance(self, share: float) -> bool:
        return not self.calm and self.random.random() < share

    def delay(self) -> int:
        """One way: mostly milliseconds, at times much more."""
        return self.random.randint(MS_NS, 20 * MS_NS) if not self.chance(0.02) else self.random.randint(0, SECOND_NS)

    # ---- the gateway's turn ----

    def turn(self) -> None:
        self.wanted_turn = False
        now_ns = self.loop.now_ns()
        self.rig.now_ns = now_ns
        self.core.step(now_ns)
        while (action := self.core.pop_action()) is not None:
            self.core.sent(action["intent_id"], action["kind"], action["symbol_id"], 0, 0, now_ns)
            self.send(action)
        for symbol in self.rig.symbols:
            published = symbol.exec.writer.published
            if published == self.exec_seen[symbol.id]:
                continue
            self.exec_seen[symbol.id] = published
            for event in symbol.exec.all():
                self._note(symbol.id, int(event["kind"]), int(event["intent_id"]), now_ns)

    def want_turn(self) -> None:
        if not self.wanted_turn:
            self.wanted_turn = True
            self.loop.call_soon(self.turn)

    def _note(self, symbol_id: int, kind: int, intent_id: int, now_ns: int) -> None:
        key = symbol_id, intent_id
        if kind == ExecKind.EXEC_UNKNOWN:
            if key not in self.unknown:
                self.outcomes += 1
                self.unknown[key] = now_ns
        elif kind != ExecKind.EXEC_NONE:
            self._resolved(key, now_ns)

    def _resolved(self, key: tuple[int, int], now_ns: int) -> None:
        symbol_id, intent_id = key
        if key in self.unknown:
            order = self.orders.get(self.coid(symbol_id, intent_id))
            exists = order is not None
            # It counts from when there is something to find; and without the account's stream nothing is ever proven
            # absent, so then from the stream's return.
            since_ns = max(self.unknown.pop(key), order.since_ns if exists else self.stream_back_ns)
            self.latencies[exists].append(now_ns - since_ns)
            if now_ns - since_ns > 5 * SECOND_NS:
                self.slow.append((self.coid(symbol_id, intent_id), exists, since_ns, now_ns))

    def coid(self, symbol_id: int, intent_id: int) -> str:
        return format_coid("sim", symbol_id, EPOCH, intent_id)

    # ---- requests ----

    def send(self, action: dict) -> None:
        place = action["kind"] != ActionKind.ACTION_CANCEL
        signed_ns, session, fault = self.loop.now_ns(), self.session, ""
        if self.chance(self.fault_share if place else 0.2):
            fault = self.random.choice(("lost", "mute", "error", "error not done", "late" if place else "lost"))
        delay_ns = self.delay()
        if fault == "late":  # accepted long after it can be: the venue's clock and ours are not the only ones
            if not self.chance(0.05):
                fault = "mute"
                delay_ns = self.random.randint(0, RECV_WINDOW_NS)
            else:
                delay_ns = self.random.randint(RECV_WINDOW_NS + SECOND_NS, 4 * RECV_WINDOW_NS)
        if fault not in ("lost", "error not done"):
            self.loop.after(delay_ns, self.receive, action, signed_ns, session, fault)
        elif fault == "error not done":
            self.loop.after(delay_ns, self.reply, session, self._fail, action)

    def receive(self, action: dict, signed_ns: int, session: int, fault: str) -> None:
        if action["kind"] == ActionKind.ACTION_PLACE:
            said = self._place(action, signed_ns, fault == "late")
        elif action["kind"] == ActionKind.ACTION_AMEND:
            said = self._amend(action, signed_ns, fault == "late")
        else:
            said = self._cancel(action)
        if fault == "error":
            self.reply(session, self._fail, action)
        elif fault not in ("mute", "late"):
            self.reply(session, *said)

    def reply(self, session: int, tell, *arguments) -> None:
        self.loop.after(self.delay(), self._hear, session, tell, arguments)

    def _hear(self, session: int, tell, arguments) -> None:
        if session == self.session:
            tell(*arguments)
            self.want_turn()

    def _fail(self, action: dict) -> None:
        code, status = self.random.choice(((-1007, 408), (-1006, 400), (-1008, 503), (-1000, 503), (-1001, 503)))
        error = VenueUnknown("campaign", code, status)
        self.replies.failed(action["kind"], action["intent_id"], error, self.loop.now_ns())

    def _refuse(self, action: dict, code: int) -> None:
        self.replies.failed(action["kind"], action["intent_id"], VenueReject(code, "", 400), self.loop.now_ns())

    def _done(self, action: dict, row: Order) -> None:
        self.replies.done(action["kind"], action["intent_id"], row, self.loop.now_ns())

    def _place(self, action: dict, signed_ns: int, late: bool) -> tuple:
        now_ns, symbol_id = self.loop.now_ns(), action["symbol_id"]
        coid = self.coid(symbol_id, action["intent_id"])
        self.places[coid] += 1
        self.duplicates += self.places[coid] > 1
        if now_ns - signed_ns > RECV_WINDOW_NS and not late:
            return self._refuse, action, -1021
        if self.chance(0.02):
            return self._refuse, action, -5022
        engine = self.engines[symbol_id]
        order_id = engine.place_order(1, action["side"], action["price_ticks"], action["qty_lots"], Tif.TIF_GTX)
        order = VenueOrder(self.by_id[symbol_id], action, coid, order_id, now_ns)
        order.late = late
        self.late += late
        self.orders[coid] = self.by_order_id[order_id] = self.open[symbol_id][coid] = order
        engine.drain()
        self.tell(order, "NEW", sure=late)
        return self._done, action, order.row()

    def _amend(self, action: dict, signed_ns: int, late: bool) -> tuple:
        now_ns, price_ticks, lots = self.loop.now_ns(), action["price_ticks"], action["qty_lots"]
        order = self.orders.get(self.coid(action["symbol_id"], action["intent_id"]))
        if now_ns - signed_ns > RECV_WINDOW_NS and not late:
            return self._refuse, action, -1021
        if order is None or order.status not in ("NEW", "PARTIALLY_FILLED"):
            return self._refuse, action, -2013
        if (price_ticks, lots) == (order.price_ticks, order.lots):
            return self._refuse, action, -5027
        if self.chance(0.05):
            return self._refuse, action, self.random.choice((-5026, -5043, -2022))
        if lots <= order.filled or self.chance(0.02):  # or it would take
            self._end(order)
            return self._done, action, order.row()
        engine = self.engines[action["symbol_id"]]
        engine.amend_order(order.order_id, price_ticks, lots)
        engine.drain()
        order.price_ticks, order.lots, order.changed_ms = price_ticks, lots, now_ns // MS_NS
        self.amends += 1
        self.tell(order, "AMENDMENT")
        return self._done, action, order.row()

    def _cancel(self, action: dict) -> tuple:
        order = self.orders.get(self.coid(action["symbol_id"], action["intent_id"]))
        if order is None or order.status not in ("NEW", "PARTIALLY_FILLED"):
            return self._refuse, action, -2011
        self._end(order)
        return self._done, action, order.row()

    def _end(self, order: VenueOrder) -> None:
        engine = self.engines[order.instrument.symbol_id]
        engine.cancel_order(order.order_id)
        engine.drain()
        order.status = "CANCELED"
        del self.open[order.instrument.symbol_id][order.coid]
        self.tell(order, "CANCELED")

    def hit(self, symbol_id: int) -> None:
        """Somebody takes from our best orders."""
        side, lots = self.random.choice((1, -1)), self.random.randint(1, 15)
        price_ticks = 200_000 if side > 0 else 1
        engine = self.engines[symbol_id]
        engine.place_order(0, side, price_ticks, lots, Tif.TIF_IOC)
        for event in engine.drain():
            if event.kind == EventKind.EVENT_TRADE:
                self._fill(self.by_order_id[event.maker_id], event)

    def _fill(self, order: VenueOrder, event) -> None:
        i, now_ns = order.instrument, self.loop.now_ns()
        order.filled += event.qty_lots
        order.status = "FILLED" if order.filled == order.lots else "PARTIALLY_FILLED"
        if order.status == "FILLED":
            del self.open[i.symbol_id][order.coid]
        fee_e8 = 7 * event.qty_lots
        self.held[i.symbol_id] += order.side * event.qty_lots
        self.fees_e8[i.symbol_id] += fee_e8
        fee, qty = f"{Decimal(fee_e8) / 10**8:.8f}", i.qty_text(event.qty_lots)
        price = i.price_text(event.price_ticks)
        trade = UserTrade(
            i.symbol, event.trade_id, order.order_id, order.side, price, qty, fee, "USDC", "0", True, now_ns
        )
        self.trades[i.symbol_id].append((now_ns // MS_NS, trade))
        self.tell(order, "TRADE", trade)
        lite = TradeLite(
            event_ms=1, symbol=i.symbol, qty=i.qty_text(order.lots), price=price, maker=True, coid=order.coid,
            side_word="BUY" if order.side > 0 else "SELL", last_price=price, last_qty=qty, trade_id=event.trade_id,
            venue_order_id=order.order_id,
        )  # fmt: skip
        self.stream(lite, order)

    # ---- the account's stream ----

    def tell(self, order: VenueOrder, execution: str, trade: UserTrade | None = None, sure: bool = False) -> None:
        i = order.instrument
        fields = OrderFields(
            symbol=i.symbol, coid=order.coid, side_word="BUY" if order.side > 0 else "SELL", type="LIMIT",
            time_in_force="GTX", qty=i.qty_text(order.lots), price=i.price_text(order.price_ticks), average_price="0",
            execution=execution, status=order.status, venue_order_id=order.order_id,
            last_qty=trade.qty if trade else "0", filled_qty=i.qty_text(order.filled),
            last_price=trade.price if trade else "0", trade_time_ms=1, trade_id=trade.trade_id if trade else 0,
            maker=True, reduce_only=False, commission=trade.commission if trade else "0", commission_asset="USDC",
        )  # fmt: skip
        now_ms = self.loop.now_ns() // MS_NS
        self.stream(OrderTradeUpdate(event_ms=now_ms, matching_ms=now_ms, order=fields), order, sure)

    def stream(self, event, order: VenueOrder, sure: bool = False) -> None:
        """Send an event on its way: lost, doubled or overtaken, unless it is the one word of an order that is late."""
        if not sure and (not self.stream_up or self.chance(0.02)):
            return
        for _ in range(1 + self.chance(0.03)):
            self.loop.after(self.delay(), self._listen, event, order)

    def _listen(self, event, order: VenueOrder) -> None:
        now_ns = self.loop.now_ns()
        known = self.core.account.table.order(order.intent_id)
        if order.late and order.told_ns == 0 and known is not None and known["absent"]:
            self.loop.after(ZOMBIE_NS, self._check_zombie, order)
        order.told_ns = order.told_ns or now_ns
        self.events.handle(event, now_ns)
        self.want_turn()

    def _check_zombie(self, order: VenueOrder) -> None:
        known = self.core.account.table.order(order.intent_id)
        if order.status in ("NEW", "PARTIALLY_FILLED") and known["cancel_mono_ns"] < order.told_ns:
            self.problems.append(f"{order.coid}: late, and not cancelled within {ZOMBIE_NS // MS_NS} ms")

    def _cancel_zombie(self, symbol: str, coid: str) -> None:
        task = self.loop.create_task(self.reconciliation.cancel_zombie(symbol, coid))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # ---- questions by REST ----

    async def _answer(self, name: str) -> None:
        self.asked[name] += 1
        await asyncio.sleep(self.delay() / 1e9)
        if self.chance(0.03):
            raise VenueDown("campaign")

    async def order_status(self, symbol: str, coid: str) -> Order:
        await self._answer("order_status")
        order = self.orders.get(coid)
        # What the venue accepted just now may not be found yet.
        if order is None or self.loop.now_ns() - order.since_ns < (
            0 if self.calm else self.random.randint(0, SECOND_NS)
        ):
            raise VenueReject(-2013, "Order does not exist.", 400)
        row = order.row()
        await asyncio.sleep(self.delay() / 1e9)
        return row

    async def order_by_id(self, symbol: str, venue_order_id: int) -> Order:
        await self._answer("order_by_id")
        return self.by_order_id[venue_order_id].row()

    async def balances(self) -> list:
        await self._answer("balances")
        return []

    async def income(self, kind: str, start_ms: int, end_ms: int) -> list:
        await self._answer("income")
        return []

    async def open_orders(self, symbol: str) -> list[Order]:
        await self._answer("open_orders")
        return [order.row() for order in self.open[self.instruments[symbol].symbol_id].values()]

    async def user_trades(self, symbol: str, start_ms=None, from_id=None, limit=1000) -> list[UserTrade]:
        await self._answer("user_trades")
        history = self.trades[self.instruments[symbol].symbol_id]
        first = (
            bisect_left(history, start_ms, key=lambda row: row[0])
            if from_id is None
            else bisect_left(history, from_id, key=lambda row: row[1].trade_id)
        )
        return [trade for _, trade in history[first : first + limit]]

    async def positions(self) -> list[Position]:
        await self._answer("positions")
        return [Position(i.symbol, i.qty_text(self.held[i.symbol_id]), "0", "BOTH", 1) for i in self.by_id.values()]

    async def position_mode(self) -> bool:
        await self._answer("position_mode")
        return False

    async def cancel(self, symbol: str, coid: str) -> Order:
        await self._answer("cancel")
        order = self.orders[coid]
        if coid not in self.open[order.instrument.symbol_id]:
            raise VenueReject(-2011, "Unknown order sent.", 400)
        self._end(order)
        return order.row()

    async def cancel_all(self, symbol: str) -> None:
        await self._answer("cancel_all")
        for order in list(self.open[self.instruments[symbol].symbol_id].values()):
            self._end(order)

    # ---- the truth ----

    def check_tracked(self) -> None:
        """Every order that can fill is counted in full, unless it came after its absence was proven."""
        now_ns = self.loop.now_ns()
        for key in list(self.unknown):  # an order may also end without a word of its own: by fills known before it
            if self.core.account.table.order(key[1])["state"] == OrderState.ORDER_CLOSED:
                self._resolved(key, now_ns)
        for orders in self.open.values():
            for order in orders.values():
                known = self.core.account.table.order(order.intent_id)
                live = known is not None and known["state"] not in (OrderState.ORDER_NONE, OrderState.ORDER_CLOSED)
                if not live and not (order.late and now_ns - order.since_ns < 15 * SECOND_NS):
                    state = known and known["state"]
                    self.problems.append(f"{order.coid}: at the venue since {now_ns - order.since_ns} ns, here {state}")
                elif live and max(known["qty_lots"], known["amend_qty_lots"]) - known["filled_lots"] < (
                    order.lots - order.filled
                ):
                    self.problems.append(f"{order.coid}: {known['filled_lots']} filled here, {order.filled} there")
                elif live and order.price_ticks not in (known["price_ticks"], known["amend_price_ticks"]):
                    self.problems.append(f"{order.coid}: at {order.price_ticks}, here {known['price_ticks']}")


def instrument(symbol: str, symbol_id: int) -> Instrument:
    d = Decimal
    return Instrument(
        symbol, symbol_id, tick_size=d("0.1"), lot_size=d("0.001"), min_price=d("0.1"), max_price=d("1000000"),
        min_qty=d("0.001"), max_qty=d("1000"), min_notional=d("50"), price_precision=1, qty_precision=3,
    )  # fmt: skip
