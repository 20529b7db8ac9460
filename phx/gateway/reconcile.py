"""Comparing with the venue's truth and correcting ours: open questions, open orders, fills, positions.

Every loop asks, and only evidence changes anything: an order is absent only when the venue denies it after the moment
until which its bytes could have been accepted; a fill is booked by its trade id, whoever brings it.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from phx._core import questions
from phx._core.coid import format_coid, own_prefix
from phx._core.gateway import GatewayCore
from phx.gateway import patience
from phx.gateway.account import Orders, e8, open_cost_ticklots
from phx.gateway.funding import FundingBooks
from phx.gateway.replies import Replies
from phx.gateway.user_events import FORCED
from phx.instruments import Instrument, InstrumentError
from phx.venue.binance.rest import CANCEL_BATCH
from phx.venue.interface import AccountRest, Order, VenueDown, VenueError, VenueLimited, VenueReject

QUESTIONS_S = 0.25
QUESTIONS_AT_ONCE = 32
STRANGERS_S = 0.25
STRANGERS = 256  # orders to be asked about because the history holds fills of them
ROUND_S = 0.5  # questions without an answer for so long are left behind, the next ones asked
SILENT_ROUNDS = 3  # in a row without any answer: then the venue is down,
PROBE_NS = 1_000_000_000  # and gets one question in this time
OPEN_ORDERS_S = 7.0  # what others do on the account is found within ten seconds, also when no event told it
POSITIONS_S = 5.0
TRADES_S = 30.0
TRADES_SYMBOLS = 8  # with more than these in proportion: the history of each weighs 5
NO_SUCH_ORDER = -2013
PROOF_MARGIN_NS = 1_000_000_000  # an order is absent after recvWindow plus this
SETTLE_NS = 1_000_000_000  # a difference younger than this may still be on its way
OVERLAP_MS = 60_000  # trades are read again from so long before they were last read
PAGE = 1000  # trades in one answer
STRIKES = 2  # looks at a position that must differ before the venue's is taken
FILLS_AGAIN_NS = 1_000_000_000  # fills that are missing are looked for so often, an answer weighs 5;
FILLS_LATER_NS = 4_000_000_000  # after looks in vain ever less, down to this
CLEAR_S = 3.0  # symbols with a stuck order are cleared so often: within ten seconds after the first cancel

log = logging.getLogger("phx.gateway")


class Reconciliation:
    """venue_positions: what the account's stream said last (user_events.py). on_foreign(symbol, coid): an open order
    is not ours."""

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
        on_foreign=lambda symbol, coid: None,
    ):
        self.core = core
        self.rest = rest
        self.instruments = instruments
        self.orders = orders
        self.replies = replies
        self.environment = environment
        self.absent_after_ns = recv_window_ms * 1_000_000 + PROOF_MARGIN_NS
        self.venue_positions = venue_positions
        self.funding = FundingBooks(core, rest, instruments)
        self.strikes = dict.fromkeys(instruments, 0)
        self.entry_prices: dict[str, str] = {}
        self.wallets: tuple[int, int] = (0, 0)  # ours and the venue's where they differed at the last look
        self.untold_fills = False  # since the wallets were one: such fills have moved the venue's
        self.read_until_ms = dict.fromkeys(instruments, rest.clock.timestamp_ms())
        self.names = {i.symbol_id: symbol for symbol, i in instruments.items()}
        self.looked_ns = dict.fromkeys(self.names, 0)  # for missing fills, by symbol id
        self.look_again_ns = dict.fromkeys(self.names, FILLS_AGAIN_NS)
        self.on_foreign = on_foreign
        self.on_forced: Callable[[str, str], None] = lambda symbol, coid: None  # the venue acted on the position
        self.on_hedge_mode: Callable[[], None] = lambda: None  # positions are not one-way any more: none was taken
        self.strangers: dict[tuple[str, int], None] = {}  # symbol and venue's id of orders nobody knows, in order
        self.looks: dict[str, tuple[int, asyncio.Task[set[str]]]] = {}  # when it began, the ids of the open orders
        self.asking: set[asyncio.Task] = set()
        self.asked_ns = 0
        self.silent_rounds = 0  # of questions without any answer
        # Told of a symbol on which an order had ended and the account's stream had not said so.
        self.on_untold: Callable[[str], None] = lambda symbol: None

    async def run(self) -> None:
        """Run every loop until cancelled."""
        try:
            await asyncio.gather(
                self._every(QUESTIONS_S, self.ask_questions),
                self._every(CLEAR_S, self.clear_stuck),
                self._every(STRANGERS_S, self.attribute),
                self._every(OPEN_ORDERS_S, self.compare_open_orders),
                self._every(POSITIONS_S, self.compare_positions),
                self._every(POSITIONS_S, self.compare_wallet),
                self._every(TRADES_S * max(1.0, len(self.instruments) / TRADES_SYMBOLS), self.read_all_trades),
                self.funding.run(),
            )
        finally:
            for task in self.asking:
                task.cancel()

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
        """Compare all at once: after the account's stream was down, or this process froze.

        The history of funding weighs more than all of this: it is read if no fill says what moved the wallet.
        """
        await self.read_all_trades()
        await self.compare_open_orders()
        await self.compare_positions()
        _, venue_e8 = await self._venue_wallet()
        if venue_e8 != self.core.wallet_e8 and not self.untold_fills:
            self.funding.wanted.set()

    # ---- orders ----

    async def ask_questions(self) -> None:
        """Ask about orders with an unknown outcome and those that will not go; then fetch fills that are missing."""
        now_ns = time.monotonic_ns()
        questions.chase_zombies(self.core, now_ns)
        silent = self.silent_rounds >= SILENT_ROUNDS
        if silent and now_ns - self.asked_ns < PROBE_NS:
            return
        at_most = 1 if silent else QUESTIONS_AT_ONCE
        due = questions.due_questions(self.core, now_ns, self.absent_after_ns, at_most)
        if due:
            self.asked_ns = now_ns
            await self._ask_all(due)
        await self._fetch_missing()

    async def _ask_all(self, due: list[tuple[int, int]]) -> None:
        """Ask side by side; a slow answer keeps nobody else from theirs, and none at all is tried again soon."""
        tasks = {asyncio.create_task(self.ask(*question)) for question in due}
        self.asking |= tasks
        for task in tasks:
            task.add_done_callback(self._answered)
        done, _ = await asyncio.wait(tasks, timeout=ROUND_S)
        failures = [task.exception() for task in done if task.exception() is not None]
        self.silent_rounds = self.silent_rounds + 1 if len(failures) == len(due) else 0
        if failures:
            raise failures[0]

    def _answered(self, task: asyncio.Task) -> None:
        self.asking.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.info("reconciliation: %s", task.exception())

    async def _fetch_missing(self) -> None:
        """Read the history of symbols with fills, or fees of fills, that the stream did not bring."""
        now_ns = time.monotonic_ns()
        missing = questions.missing_fills(self.core, now_ns)
        wanted = missing.keys() | self._drifting() | questions.missing_fees(self.core, now_ns)
        self.look_again_ns |= dict.fromkeys(self.names.keys() - wanted, FILLS_AGAIN_NS)
        for symbol_id in wanted:
            if now_ns - self.looked_ns[symbol_id] < self.look_again_ns[symbol_id]:
                continue
            self.looked_ns[symbol_id] = now_ns
            for intent_id, lots in missing.get(symbol_id, ()):
                coid = self._coid(symbol_id, intent_id)
                log.warning("%s: order %s: %d lots filled are missing", self.names[symbol_id], coid, lots)
            booked = await self.read_trades(self.names[symbol_id])
            in_vain_ns = min(2 * self.look_again_ns[symbol_id], FILLS_LATER_NS)
            self.look_again_ns[symbol_id] = FILLS_AGAIN_NS if booked else in_vain_ns

    async def clear_stuck(self) -> None:
        """Cancel everything of ours on symbols where an order will not go, whether or not questions are answered."""
        for symbol_id in questions.stuck(self.core, time.monotonic_ns()):
            log.error("%s: an order does not go; cancelling all of ours", self.names[symbol_id])
            await cancel_own(self.rest, self.names[symbol_id], own_prefix(self.environment))

    def _coid(self, symbol_id: int, intent_id: int) -> str:
        return format_coid(self.environment, symbol_id, self.core.account.epoch, intent_id)

    async def ask(self, intent_id: int, symbol_id: int) -> None:
        """Ask what became of an order, and take the answer for what it proves."""
        symbol = self.names[symbol_id]
        coid = self._coid(symbol_id, intent_id)
        asked_ns = time.monotonic_ns()
        try:
            order = await self.rest.order_status(symbol, coid)
        except VenueReject as error:
            if error.code != NO_SUCH_ORDER:
                raise
            self.core.on_denied(intent_id, time.monotonic_ns())
            if await self._is_absent(symbol, coid, intent_id, asked_ns):
                log.warning("%s: order %s is not at the venue", symbol, coid)
                self.core.on_absent(intent_id, time.monotonic_ns())
        except VenueError:
            questions.no_answer(self.core, intent_id)
            raise
        else:
            self.replies.stated(order, time.monotonic_ns())

    async def _is_absent(self, symbol: str, coid: str, intent_id: int, asked_ns: int) -> bool:
        """Return whether "no such order" is to be believed: asked late enough, with a stream that would have told."""
        known = self.core.account.table.order(intent_id)
        if known is None or asked_ns - known["sent_mono_ns"] < self.absent_after_ns:
            return False
        if not self.core.user_stream_up:
            return False
        if known["ts_ack_ns"] == 0 and known["filled_lots"] == 0:
            return True
        # It was acknowledged or filled, so it did exist: the list and the history of trades must agree that it is gone.
        # A list that was asked for when it could no longer come tells so for ever after.
        listed = await self._listed(symbol, known["sent_mono_ns"] + self.absent_after_ns)
        return coid not in listed or coid not in await self._listed(symbol, asked_ns)

    async def _listed(self, symbol: str, since_ns: int) -> set[str]:
        """Return the ids of the open orders with every trade read, both asked for later than a moment.

        One look serves all who wait for it: together they weigh six times a question, and after an outage of the venue
        every order that was open is asked about.
        """
        begun_ns, looking = self.looks.get(symbol, (0, None))
        failed = looking is not None and looking.done() and (looking.cancelled() or looking.exception() is not None)
        if looking is None or failed or begun_ns < since_ns:
            looking = asyncio.create_task(self._look(symbol))
            self.looks[symbol] = time.monotonic_ns(), looking
        return await asyncio.shield(looking)

    async def _look(self, symbol: str) -> set[str]:
        listed = {order.coid for order in await self.rest.open_orders(symbol)}
        await self.read_trades(symbol)
        return listed

    async def compare_open_orders(self) -> None:
        """Cancel orders of ours that the table does not hold; ask about those that the venue does not list.

        Of all others take what it says: an order that somebody amended while nobody listened is open as ever.
        """
        for symbol, instrument in self.instruments.items():
            before_ns = time.monotonic_ns()
            listed = {order.coid: order for order in await self.rest.open_orders(symbol)}
            ours = {c: o for c, o in listed.items() if self.orders.intent(symbol, c) != (0, 0)}
            for coid in listed.keys() - ours.keys():
                self.on_foreign(symbol, coid)
            live = self.core.live_orders(instrument.symbol_id)
            for coid, order in ours.items():
                epoch, intent_id = self.orders.intent(symbol, coid)
                known = self.core.account.table.order(intent_id) if epoch == self.orders.epoch else None
                if known is not None and intent_id in live:
                    self.replies.stated(order, time.monotonic_ns())
                elif known is None or known["since_mono_ns"] < before_ns - SETTLE_NS:
                    await self.cancel_zombie(symbol, coid)
            listed_intents = {self.orders.intent(symbol, coid)[1] for coid in ours}
            for intent_id, order in live.items():
                if intent_id not in listed_intents and order["since_mono_ns"] < before_ns - SETTLE_NS:
                    await self.ask(intent_id, instrument.symbol_id)
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

    async def read_trades(self, symbol: str) -> int:
        """Book what the venue's history holds and the stream did not bring, since it was last read and a bit more.

        Returns how many fills that were.
        """
        instrument = self.instruments[symbol]
        asked_ms = self.rest.clock.timestamp_ms()
        booked = 0
        for trade in await trades_since(self.rest, symbol, self.read_until_ms[symbol] - OVERLAP_MS):
            if self.book(instrument, trade):
                booked += 1
                log.warning("%s: fill %d was missing from the account's stream", symbol, trade.trade_id)
        self.read_until_ms[symbol] = asked_ms
        if booked:
            log.warning("%s: %d fills booked from the history", symbol, booked)
        questions.fills_accounted(self.core, instrument.symbol_id, time.monotonic_ns())
        return booked

    def book(self, instrument: Instrument, trade) -> bool:
        """Book one trade of the history unless it is booked already."""
        fee_e8 = e8(trade.commission) if trade.commission_asset in (instrument.quote_asset, "") else 0
        intent_id = questions.intent_of(self.core, instrument.symbol_id, trade.venue_order_id)
        lots = instrument.lots(trade.qty)
        booked = self.core.on_fill(
            instrument.symbol_id,
            self.orders.epoch if intent_id else 0,
            intent_id,
            trade.trade_id,
            trade.side,
            instrument.ticks(trade.price),
            lots,
            fee_e8,
            trade.maker,
            trade.ts_event_ns,
            time.monotonic_ns(),
        )
        self.untold_fills |= booked
        if booked and not intent_id:
            self.core.note_unattributed(instrument.symbol_id, trade.venue_order_id, lots)
            if len(self.strangers) < STRANGERS:
                self.strangers[instrument.symbol, trade.venue_order_id] = None
        return booked

    async def attribute(self) -> None:
        """Ask whose orders they were whose fills only the history told: ours after all, others', or the venue's own."""
        for symbol, venue_order_id in list(self.strangers):
            try:
                order = await self.rest.order_by_id(symbol, venue_order_id)
            except VenueReject as error:
                log.warning("%s: whose order %d was is not to be had: %s", symbol, venue_order_id, error)
            else:
                if order.coid.startswith(FORCED):
                    self.on_forced(symbol, order.coid)
                elif self.orders.intent(symbol, order.coid) == (0, 0):
                    self.on_foreign(symbol, order.coid)
                else:
                    self.replies.stated(order, time.monotonic_ns())
            del self.strangers[symbol, venue_order_id]

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
            newest = self.core.desk(self.instruments[symbol].symbol_id).newest_trade_id
            missing = questions.missing_fills(self.core, time.monotonic_ns()).get(
                self.instruments[symbol].symbol_id, []
            )
            log.error(
                "%s: position %d lots, the venue says %d; newest fill booked %d, orders with fills missing %s",
                symbol,
                *difference,
                newest,
                [self._coid(self.instruments[symbol].symbol_id, intent_id) for intent_id, _ in missing],
            )
        still = await self._differences() if any(self.strikes.values()) else {}
        if any(self.strikes[symbol] >= STRIKES for symbol in still) and await self.rest.position_mode():
            # Its list names long and short positions then, and what is ours is none of them.
            self.on_hedge_mode()
            self.strikes = dict.fromkeys(self.strikes, 0)
            return
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

    async def compare_wallet(self) -> None:
        """Take the venue's wallet where ours stays different: what moved it was not told.

        It may have been funding, whose history is read then, unless fills that were not told explain it.
        """
        ours_e8 = self.core.wallet_e8
        asset, venue_e8 = await self._venue_wallet()
        # What we were told meanwhile, or only later, is no difference.
        if ours_e8 != venue_e8 and self.wallets == (ours_e8, venue_e8) and self.core.wallet_e8 == ours_e8:
            log.warning("wallet: %.8f %s, the venue says %.8f", ours_e8 / 1e8, asset, venue_e8 / 1e8)
            self.core.wallet_e8 = venue_e8
            if not self.untold_fills:
                self.funding.wanted.set()
        self.wallets = (ours_e8, venue_e8)
        self.untold_fills &= self.core.wallet_e8 != venue_e8

    async def _venue_wallet(self) -> tuple[str, int]:
        """Return the quote asset and what the venue says we have of it; what we hold if it does not say."""
        found = {balance.asset: e8(balance.wallet) for balance in await self.rest.balances()}
        *_, asset = (instrument.quote_asset for instrument in self.instruments.values())
        return asset, found.get(asset, self.core.wallet_e8)

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


async def trades_since(rest: AccountRest, symbol: str, start_ms: int) -> list:
    """Return every fill since then, oldest first, page by page. VenueDown when the pages do not end."""
    trades = sorted(await rest.user_trades(symbol, start_ms=start_ms, limit=PAGE), key=lambda t: t.trade_id)
    size = len(trades)
    while size == PAGE:
        next_id = trades[-1].trade_id + 1
        page = sorted(await rest.user_trades(symbol, from_id=next_id, limit=PAGE), key=lambda t: t.trade_id)
        if page and page[0].trade_id < next_id:
            raise VenueDown(f"{symbol}: fills from {next_id} on asked for, the venue's begin at {page[0].trade_id}")
        trades += page
        size = len(page)
    return trades


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
        coids = [order.coid for order in ours]
        for first in range(0, len(coids), CANCEL_BATCH):
            batch = coids[first : first + CANCEL_BATCH]
            for coid, answer in zip(batch, await rest.cancel_batch(symbol, batch), strict=True):
                if isinstance(answer, VenueError):
                    log.info("%s: %s: %s", symbol, coid, answer)
    return len(ours)


async def prove_none_open(rest: AccountRest, symbols, prefix: str, until_mono_ns: int, give_up_mono_ns: int) -> bool:
    """Cancel and ask until no order of ours is open on any symbol and `until_mono_ns` has passed."""
    wait_s, said = 0.05, ""
    while True:
        try:
            left = sum([await cancel_own(rest, symbol, prefix) for symbol in symbols])
            if left == 0 and time.monotonic_ns() >= until_mono_ns:
                return True
            wait_s = 0.05 if left else 0.25
        except VenueError as error:
            said = patience.tell("cancelling own orders", error, said)
            wait_s = min(2.0, 2 * wait_s)
        if time.monotonic_ns() > give_up_mono_ns:
            return False
        await asyncio.sleep(wait_s)
