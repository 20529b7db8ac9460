"""The synthetic market at work: agents' actions go into a matching engine, where accounts trade as well."""

import heapq
import time
from collections.abc import Mapping

from phx._core.engine import Engine
from phx._core.enums import TradeOrigin
from phx._core.matching import Event, EventKind, TimeInForce
from phx.sim.contracts import Contract
from phx.sim.markets.flows import LEAD_MS, order_flows
from phx.sim.markets.latent import AUTO
from phx.sim.markets.market import FIRST_ORDER_ID, FIRST_TRADE_ID, FIRST_UPDATE_ID, NEVER_NS, first_id
from phx.sim.markets.synthetic import ActionKind, OrderFlow
from phx.sim.streams.streams import Hub, SymbolStreams

AGENTS = 0
WHOLE_BOOK = 10**6  # levels
NOTHING: list[Event] = []


class SyntheticMarket:
    """One symbol. Agent orders are known by the flow's number n and the engine's order id."""

    def __init__(self, contract: Contract, flow: OrderFlow, hub: Hub, speed: float):
        self.contract = contract
        self.streams = SymbolStreams(contract, hub)
        bases = (FIRST_ORDER_ID, FIRST_TRADE_ID, FIRST_UPDATE_ID)
        self.book = Engine(*(first_id(base, time.time_ns()) for base in bases))
        self.speed = speed
        self.flow = flow
        self._ids: dict[int, int] = {}  # n → order id of resting agent orders
        self._numbers: dict[int, int] = {}  # order id → n
        self._action = None
        self.due_ns = NEVER_NS
        self._account_events: list[Event] = []
        self._changed: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self._first_id = 0
        self._prev_id = 0
        self._best = None
        self._ts_ms = 0  # of the newest message

    def start(self, now_ns: int) -> None:
        for n, (side, price_ticks, lots) in enumerate(self.flow.seed_book()):
            self._place(n, side, price_ticks, lots)
        self.book.drain()
        bids, asks = self.book.top(1, WHOLE_BOOK), self.book.top(-1, WHOLE_BOOK)
        self.streams.on_book(self.book.update_id, bids, asks, self._stamp(now_ns))
        self._prev_id = self.book.update_id
        self._best = (*self.book.top(1), *self.book.top(-1))
        self._plan(now_ns)

    def _stamp(self, now_ns: int) -> int:
        """Return the time to print, ms: an agent may act a little late, but printed times never go back."""
        self._ts_ms = max(self._ts_ms, now_ns // 1_000_000)
        return self._ts_ms

    def _plan(self, now_ns: int) -> None:
        bid, ask = self.book.top(1), self.book.top(-1)
        wait_ns, self._action = self.flow.next(bid[0][0] if bid else 0, ask[0][0] if ask else 0)
        self.due_ns = now_ns + int(wait_ns / self.speed)

    def act(self) -> None:
        """Do the planned action at its time and plan the next one."""
        action, at_ns = self._action, self.due_ns
        if action.kind == ActionKind.PLACE:
            self._place(action.n, action.side, action.price_ticks, action.qty_lots)
        elif action.kind == ActionKind.CANCEL:
            self.book.cancel_order(self._ids.get(action.n, 0))
            self._closed(self._ids.get(action.n, 0))
        else:
            far = action.price_ticks or (2**40 if action.side > 0 else 1)
            self.book.place_order(AGENTS, action.side, far, action.qty_lots, TimeInForce.TIF_MARKET)
        self._publish(at_ns)
        self._plan(at_ns)

    def _place(self, n: int, side: int, price_ticks: int, lots: int) -> None:
        order_id = self.book.place_order(AGENTS, side, price_ticks, lots)
        if self.book.order(order_id) is None:
            self.flow.on_closed(n)
            return
        self._ids[n] = order_id
        self._numbers[order_id] = n

    def _closed(self, order_id: int) -> None:
        n = self._numbers.pop(order_id, None)
        if n is not None:
            del self._ids[n]
            self.flow.on_closed(n)

    def _publish(self, now_ns: int) -> None:
        """Tell the streams trades and a new best price at once; depth changes wait for flush()."""
        events = self.book.drain()
        if not events:
            return
        ts_ms = self._stamp(now_ns)
        changed = False
        for event in events:
            if event.kind == EventKind.EVENT_LEVEL:
                changed = True
                self._first_id = self._first_id or event.update_id
                self._changed[event.side][event.price_ticks] = event.qty_lots
                continue
            if event.kind == EventKind.EVENT_TRADE:
                origin = TradeOrigin.ORIGIN_MARKET
                traded = event.trade_id, event.price_ticks, event.qty_lots, event.side
                self.streams.on_trade(*traded, origin, ts_ms, ts_ms)
                if event.maker_owner == AGENTS:
                    self.flow.on_made(-event.side, event.qty_lots)
                    if event.maker_remaining_lots == 0:
                        self._closed(event.maker_id)
            if event.owner or event.maker_owner:
                self._account_events.append(event)
        if changed:
            best = (*self.book.top(1), *self.book.top(-1))
            if best != self._best and len(best) == 2:
                self._best = best
                self.streams.on_top(self.book.update_id, *best, ts_ms, ts_ms)

    def flush(self, now_ns: int) -> None:
        """Publish the depth changes since the last flush as one diff; there are some."""
        bids, asks = (sorted(self._changed[side].items()) for side in (1, -1))
        ts_ms = self._stamp(now_ns)
        last_id = self.book.update_id
        self.streams.on_diff(self._first_id, last_id, self._prev_id, bids, asks, ts_ms, ts_ms)
        self._first_id, self._prev_id = 0, last_id
        self._changed = {1: {}, -1: {}}

    def drain(self, now_ns: int) -> list[Event]:
        self._publish(now_ns)
        if self._first_id:
            self.flush(now_ns)
        if not self._account_events:
            return NOTHING
        events, self._account_events = self._account_events, []
        return events


class SyntheticPlayer:
    """All synthetic markets of the venue; each plans its own next action. Raises ValueError for an unknown regime.

    regime, lead_ms, start_prices: see order_flows.
    """

    def __init__(
        self,
        contracts: list[Contract],
        hub: Hub,
        seed: int,
        speed: float,
        regime: str = AUTO,
        lead_ms: float = LEAD_MS,
        start_prices: Mapping[str, float] | None = None,
    ):
        instruments = [contract.instrument for contract in contracts]
        flows = order_flows(instruments, seed, regime=regime, lead_ms=lead_ms, start_prices=start_prices)
        self.markets = {c.symbol: SyntheticMarket(c, flows[c.symbol], hub, speed) for c in contracts}
        self._queue: list[tuple[int, int, SyntheticMarket]] = []  # (due, place, market): a heap

    def start(self, now_ns: int) -> None:
        for market in self.markets.values():
            market.start(now_ns)
        self._queue = [(market.due_ns, i, market) for i, market in enumerate(self.markets.values())]
        heapq.heapify(self._queue)

    def force(self, regime: str, symbol: str = "") -> None:
        """Keep an asset's markets, or all, in a regime; "auto" lets them switch. ValueError for unknown names."""
        if symbol and symbol not in self.markets:
            raise ValueError(f"symbol {symbol!r}: expected one of {', '.join(self.markets)}")
        for market in [self.markets[symbol]] if symbol else self.markets.values():
            market.flow.latent.force(regime)

    def regimes(self) -> dict[str, str]:
        """Return the regime each market is in."""
        return {symbol: market.flow.regime for symbol, market in self.markets.items()}

    def due_ns(self) -> int:
        return self._queue[0][0] if self._queue else NEVER_NS

    def postpone(self, by_ns: int) -> None:
        for market in self.markets.values():
            market.due_ns += by_ns
        self._queue = [(due_ns + by_ns, place, market) for due_ns, place, market in self._queue]

    def advance(self, now_ns: int, until_ns: int) -> None:
        queue = self._queue
        while queue and queue[0][0] <= now_ns and time.time_ns() <= until_ns:
            _, place, market = queue[0]
            market.act()
            heapq.heapreplace(queue, (market.due_ns, place, market))
