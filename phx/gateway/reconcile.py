"""Comparing with the venue's truth and correcting ours: open questions, open orders, fills, positions.

Every loop asks, and only evidence changes anything: an order is absent only when the venue denies it after the moment
until which its bytes could have been accepted; a fill is booked by its trade id, whoever brings it.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from phx._core.coid import format_coid
from phx._core.gateway import GatewayCore
from phx.gateway.account import Orders, e8, open_cost_ticklots
from phx.gateway.replies import Replies
from phx.instruments import Instrument, InstrumentError
from phx.venue.interface import AccountRest, Order, VenueError, VenueLimited, VenueReject

QUESTIONS_S = 0.25
QUESTIONS_AT_ONCE = 8
OPEN_ORDERS_S = 10.0
POSITIONS_S = 10.0
TRADES_S = 30.0
NO_SUCH_ORDER = -2013
PROOF_MARGIN_NS = 1_000_000_000  # an order is absent after recvWindow plus this
SETTLE_NS = 1_000_000_000  # a difference younger than this may still be on its way
OVERLAP_MS = 60_000  # trades are read again from so long before they were last read
PAGE = 1000  # trades in one answer
STRIKES = 2  # looks at a position that must differ before the venue's is taken

log = logging.getLogger("phx.gateway")


class Reconciliation:
    """venue_positions: what the account's stream said last (user_events.py)."""

    def __init__(
        self,
        core: GatewayCore,
        rest: AccountRest,
        instruments: dict[str, Instrument],
        orders: Orders,
        replies: Replies,
        environment: str,
        recv_window_ms: int,
        venue_positions: dict,
    ):
        self.core = core
        self.rest = rest
        self.instruments = instruments
        self.orders = orders
        self.replies = replies
        self.environment = environment
        self.absent_after_ns = recv_window_ms * 1_000_000 + PROOF_MARGIN_NS
        self.venue_positions = venue_positions
        self.strikes = dict.fromkeys(instruments, 0)
        self.entry_prices: dict[str, str] = {}
        self.read_until_ms = dict.fromkeys(instruments, rest.clock.timestamp_ms())
        self.names = {i.symbol_id: symbol for symbol, i in instruments.items()}
        # Told of a symbol on which an order had ended and the account's stream had not said so.
        self.on_untold: Callable[[str], None] = lambda symbol: None

    async def run(self) -> None:
        """Run every loop until cancelled."""
        await asyncio.gather(
            self._every(QUESTIONS_S, self.ask_questions),
            self._every(OPEN_ORDERS_S, self.compare_open_orders),
            self._every(POSITIONS_S, self.compare_positions),
            self._every(TRADES_S, self.read_all_trades),
        )

    async def _every(self, period_s: float, work) -> None:
        while True:
            await asyncio.sleep(period_s)
            try:
                await work()
            except VenueLimited as error:
                log.warning("reconciliation: %s", error)
                await asyncio.sleep(min(error.retry_after_s, 60.0))
            except (VenueError, InstrumentError) as error:
                log.warning("reconciliation: %s", error)

    async def everything(self) -> None:
        """Compare all at once: after the account's stream was down, or this process froze."""
        await self.read_all_trades()
        await self.compare_open_orders()
        await self.compare_positions()

    # ---- orders ----

    async def ask_questions(self) -> None:
        """Ask about orders with an unknown outcome and those that will not go; and fetch fills that are missing."""
        for intent_id, symbol_id in self.core.open_questions(time.monotonic_ns())[:QUESTIONS_AT_ONCE]:
            await self._ask(intent_id, symbol_id)
        missing = self.core.missing_fills(time.monotonic_ns()) | self._drifting()
        for symbol_id in missing:
            await self.read_trades(self.names[symbol_id])

    async def _ask(self, intent_id: int, symbol_id: int) -> None:
        symbol = self.names[symbol_id]
        coid = format_coid(self.environment, symbol_id, self.core.account.epoch, intent_id)
        asked_ns = time.monotonic_ns()
        try:
            order = await self.rest.order_status(symbol, coid)
        except VenueReject as error:
            if error.code == NO_SUCH_ORDER and await self._is_absent(symbol, coid, intent_id, asked_ns):
                log.warning("%s: order %s is not at the venue", symbol, coid)
                self.core.on_absent(intent_id, time.monotonic_ns())
        else:
            self.replies.stated(order, time.monotonic_ns())

    async def _is_absent(self, symbol: str, coid: str, intent_id: int, asked_ns: int) -> bool:
        """Return whether "no such order" is to be believed: asked late enough, with a stream that would have told."""
        known = self.core.account.table.order(intent_id)
        if known is None or asked_ns - known["sent_mono_ns"] < self.absent_after_ns:
            return False
        if not self.core.desk(known["symbol_id"]).user_stream_up:
            return False
        if known["ts_ack_ns"] == 0:
            return True
        # It was acknowledged, so it did exist: the list and the history of trades must agree that it is gone.
        listed = {order.coid for order in await self.rest.open_orders(symbol)}
        await self.read_trades(symbol)
        return coid not in listed

    async def compare_open_orders(self) -> None:
        """Cancel orders of ours that the table does not hold; ask about those that the venue does not list."""
        for symbol, instrument in self.instruments.items():
            before_ns = time.monotonic_ns()
            listed = {order.coid: order for order in await self.rest.open_orders(symbol)}
            ours = {c: o for c, o in listed.items() if self.orders.intent(symbol, c) != (0, 0)}
            live = self.core.live_orders(instrument.symbol_id)
            for coid in ours:
                epoch, intent_id = self.orders.intent(symbol, coid)
                known = self.core.account.table.order(intent_id) if epoch == self.orders.epoch else None
                if known is None or (intent_id not in live and known["since_mono_ns"] < before_ns - SETTLE_NS):
                    await self.cancel_zombie(symbol, coid)
            listed_intents = {self.orders.intent(symbol, coid)[1] for coid in ours}
            for intent_id, order in live.items():
                if intent_id not in listed_intents and order["since_mono_ns"] < before_ns - SETTLE_NS:
                    await self._ask(intent_id, instrument.symbol_id)
                    if intent_id not in self.core.live_orders(instrument.symbol_id):
                        self.on_untold(symbol)

    async def cancel_zombie(self, symbol: str, coid: str) -> None:
        """Cancel an order of ours that should not be there."""
        log.error("%s: order %s should not be open; cancelling", symbol, coid)
        try:
            await self.rest.cancel(symbol, coid)
        except VenueError as error:
            log.warning("%s: %s: %s", symbol, coid, error)

    # ---- fills and positions ----

    async def read_all_trades(self) -> None:
        for symbol in self.instruments:
            await self.read_trades(symbol)

    async def read_trades(self, symbol: str) -> None:
        """Book what the venue's history holds and the stream did not bring, since it was last read and a bit more."""
        instrument = self.instruments[symbol]
        asked_ms = self.rest.clock.timestamp_ms()
        booked = 0
        trades = await self.rest.user_trades(symbol, start_ms=self.read_until_ms[symbol] - OVERLAP_MS, limit=PAGE)
        while trades:
            trades.sort(key=lambda trade: trade.trade_id)
            booked += sum(self.book(instrument, trade) for trade in trades)
            if len(trades) < PAGE:
                break
            trades = await self.rest.user_trades(symbol, from_id=trades[-1].trade_id + 1, limit=PAGE)
        self.read_until_ms[symbol] = asked_ms
        if booked:
            log.warning("%s: %d fills were missing from the account's stream", symbol, booked)
        self.core.fills_accounted(instrument.symbol_id, time.monotonic_ns())

    def book(self, instrument: Instrument, trade) -> bool:
        """Book one trade of the history unless it is booked already."""
        fee_e8 = e8(trade.commission) if trade.commission_asset in (instrument.quote_asset, "") else 0
        intent_id = self.core.intent_of(instrument.symbol_id, trade.venue_order_id)
        return self.core.on_fill(
            instrument.symbol_id,
            self.orders.epoch if intent_id else 0,
            intent_id,
            trade.trade_id,
            trade.side,
            instrument.ticks(trade.price),
            instrument.lots(trade.qty),
            fee_e8,
            trade.maker,
            trade.ts_event_ns,
            time.monotonic_ns(),
        )

    def _drifting(self) -> set[int]:
        """Return the symbols whose position the stream reported differently for longer than a fill may take."""
        now_ns = time.monotonic_ns()
        found = set()
        for symbol, (qty, _, heard_ns) in self.venue_positions.items():
            instrument = self.instruments[symbol]
            desk = self.core.desk(instrument.symbol_id)
            if now_ns - heard_ns > SETTLE_NS and instrument.lots(qty) != desk.position_lots:
                self.venue_positions[symbol] = (qty, _, now_ns)
                found.add(instrument.symbol_id)
        return found

    async def compare_positions(self) -> None:
        """Take the venue's position where ours stays different although every fill was read."""
        for symbol, difference in (await self._differences()).items():
            await self.read_trades(symbol)
            self.strikes[symbol] += 1
            log.warning("%s: position %d lots, the venue says %d", symbol, *difference)
        still = await self._differences() if any(self.strikes.values()) else {}
        for symbol, instrument in self.instruments.items():
            if symbol not in still:
                self.strikes[symbol] = 0
            elif self.strikes[symbol] >= STRIKES:
                _, lots = still[symbol]
                entry = self.entry_prices.get(symbol, "0")
                cost = open_cost_ticklots(instrument, lots, entry)
                log.error("%s: taking the venue's position of %d lots", symbol, lots)
                self.core.on_position(instrument.symbol_id, lots, cost, time.monotonic_ns())
                self.strikes[symbol] = 0

    async def _differences(self) -> dict[str, tuple[int, int]]:
        before = {s: self.core.desk(i.symbol_id).position_lots for s, i in self.instruments.items()}
        found = {p.symbol: p for p in await self.rest.positions() if p.symbol in self.instruments and p.side == "BOTH"}
        self.entry_prices = {symbol: p.entry_price for symbol, p in found.items()}
        differences = {}
        for symbol, instrument in self.instruments.items():
            ours = self.core.desk(instrument.symbol_id).position_lots
            lots = instrument.lots(found[symbol].qty) if symbol in found else 0
            # A fill while the question was on its way makes the answer worthless.
            if ours == before[symbol] and ours != lots:
                differences[symbol] = (ours, lots)
        return differences


async def own_open_orders(rest: AccountRest, symbol: str, prefix: str) -> tuple[list[Order], list[Order]]:
    """Return (ours, others') open orders of a symbol."""
    listed = await rest.open_orders(symbol)
    return [o for o in listed if o.coid.startswith(prefix)], [o for o in listed if not o.coid.startswith(prefix)]


async def cancel_own(rest: AccountRest, symbol: str, prefix: str) -> int:
    """Cancel every order of ours on a symbol; return how many there were. Orders of others are left alone."""
    ours, others = await own_open_orders(rest, symbol, prefix)
    if ours and not others:
        await rest.cancel_all(symbol)
    elif ours:
        for order in ours:
            try:
                await rest.cancel(symbol, order.coid)
            except VenueReject as error:
                log.info("%s: %s: %s", symbol, order.coid, error)
    return len(ours)


async def prove_none_open(rest: AccountRest, symbols, prefix: str, until_mono_ns: int, give_up_mono_ns: int) -> bool:
    """Cancel and ask until no order of ours is open on any symbol and `until_mono_ns` has passed."""
    wait_s = 0.05
    while True:
        try:
            left = sum([await cancel_own(rest, symbol, prefix) for symbol in symbols])
            if left == 0 and time.monotonic_ns() >= until_mono_ns:
                return True
            wait_s = 0.05 if left else 0.25
        except VenueError as error:
            log.warning("cancelling own orders: %s", error)
            wait_s = min(2.0, 2 * wait_s)
        if time.monotonic_ns() > give_up_mono_ns:
            return False
        await asyncio.sleep(wait_s)
