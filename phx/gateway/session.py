"""Keeping an order session: connect, log on, reconnect; and REST in its place while it is down."""

import asyncio
import logging
import random
import time
from collections.abc import Callable

import msgspec
from picows import WSError

from phx._core.action import ActionKind, TimeInForce
from phx._core.binance.encode import OrderEncoder
from phx._core.binance.sign import Signer
from phx._core.coid import format_coid
from phx._core.edge.order_session import OrderSession
from phx._core.gateway import GatewayCore
from phx._core.records import ABSENT_PRICE_TICKS
from phx.gateway.batches import batched, quote_kind
from phx.gateway.replies import Replies
from phx.instruments import Instrument, InstrumentError
from phx.venue.binance import websocket
from phx.venue.binance.errors import limits_told
from phx.venue.binance.messages import FrameRefused, api_reply
from phx.venue.binance.rest import Rest
from phx.venue.interface import AccountRest, Order, Placement, VenueError

BACK_OFF_S = (0.05, 5.0)  # first and longest wait before connecting again
LOGON_S = 3.0
SILENT_NS = 1_000_000_000  # requests were sent and nothing at all came back for so long: the connection is dead
PING_IDLE_S = 10.0
QUOTES_AT_ONCE = 8  # by REST: so many at most meet a limit that nobody told of; the rest hears of it and stays
LATE_NS = 500_000_000  # a quote that waited so long to be sent is not sent: its ladder is old
LOGON_ID = "logon"
TIME_IN_FORCE = {TimeInForce.GTX: "GTX", TimeInForce.IOC: "IOC", TimeInForce.MARKET: ""}

log = logging.getLogger("phx.gateway")


class OrderConnection:
    """`up` says whether requests go by WebSocket; `down_since_ns` since when not. counters: a PROCESS_COUNTERS row."""

    def __init__(
        self, core: GatewayCore, url: str, credentials, rest: Rest, recv_window_ms: int, letter: str, counters
    ):
        self.core = core
        self.url = url
        self.credentials = credentials
        self.rest = rest  # knows of limits at this address, and is told of those that a handshake meets
        self.clock = rest.clock
        self.recv_window_ms = recv_window_ms
        self.letter = letter
        self.counters = counters
        self.instruments: dict[str, Instrument] = {}
        self.replies: Replies | None = None
        self.turn = lambda: None
        self.on_limits = lambda limits: None  # what a reply states of the venue's limits
        self.session: OrderSession | None = None
        self.down_since_ns = time.monotonic_ns()
        self._ended: asyncio.Event | None = None
        self._logon: asyncio.Future | None = None

    @property
    def up(self) -> bool:
        return self.session is not None and self.session.open

    def _encoder(self) -> OrderEncoder:
        by_hmac = self.credentials.key_type == "hmac"
        signer = Signer(self.credentials.secret.reveal()) if by_hmac else None
        encoder = OrderEncoder(self.letter, self.credentials.api_key.reveal(), signer, self.recv_window_ms)
        for symbol, i in self.instruments.items():
            encoder.add_symbol(i.symbol_id, symbol, i.price_decimals, i.price_units, i.qty_decimals, i.qty_units)
        return encoder

    async def run(self) -> None:
        """Connect and reconnect until cancelled."""
        wait_s = BACK_OFF_S[0]
        try:
            while True:
                await self.rest.wait_out()
                try:
                    await self._connect()
                    wait_s = BACK_OFF_S[0]
                    await self._ended.wait()
                    why = "disconnected"
                except (VenueError, WSError, OSError, TimeoutError) as error:
                    self.rest.handshake_failed(error)
                    why = type(error).__name__
                self._lost()
                log.warning("order session: %s; connecting again in %.2f s", why, wait_s)
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
                wait_s = min(BACK_OFF_S[1], 2 * wait_s)
        finally:
            if self.session is not None:
                self.session.disconnect()

    async def _connect(self) -> None:
        self._ended = asyncio.Event()
        encoder = self._encoder()
        session = OrderSession(self.core, encoder, self._on_reply, self._on_end, self.clock.ahead_of_mono_ns)
        await websocket.connect(lambda: session, self.url, enable_auto_ping=True, auto_ping_idle_timeout=PING_IDLE_S)
        self.counters["connects"] += 1
        self.session = session
        if not encoder.signs:
            await self._log_on(session)
        session.open = True
        self.core.order_session_up = True
        log.info("order session: open")
        self.turn()

    async def _log_on(self, session: OrderSession) -> None:
        params = {
            "apiKey": self.credentials.api_key.reveal().decode(),
            "recvWindow": self.recv_window_ms,
            "timestamp": self.clock.timestamp_ms(),
        }
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = self.credentials.sign(text.encode())
        self._logon = asyncio.get_running_loop().create_future()
        session.send_text(msgspec.json.encode({"id": LOGON_ID, "method": "session.logon", "params": params}))
        try:
            reply = await asyncio.wait_for(self._logon, LOGON_S)
        finally:
            self._logon = None
        if reply.status != 200:
            session.disconnect()
            raise ConnectionError(f"session.logon refused: {reply.error}")

    def _on_reply(self, frame: bytes) -> None:
        self.counters["frames"] += 1
        try:
            reply = api_reply(frame)
            if reply.id == LOGON_ID and self._logon is not None:
                self._logon.set_result(reply)
            elif self.replies is not None:
                self.replies.handle(reply, time.monotonic_ns())
                self._note_budgets(reply)
        except (FrameRefused, InstrumentError) as error:
            # The order it was about gets no answer: its outcome becomes unknown by itself.
            self.counters["frames_refused"] += 1
            log.error("order session: %s", error)
        self.turn()

    def _note_budgets(self, reply) -> None:
        self.on_limits(reply.rate_limits if reply.error is None else reply.rate_limits + limits_told(reply.error.msg))
        weight, orders = reply.weight_used(), reply.order_counts()
        if weight is not None:
            self.counters["weight_60s"] = weight
            self.rest.weights.used(weight, self.clock.venue_ns(time.monotonic_ns()))
        if orders:
            self.core.account.note_venue_counts(orders.get(10, 0), orders.get(60, 0), time.monotonic_ns())

    def _on_end(self, why: str) -> None:
        self._lost()
        if self._ended is not None:
            self._ended.set()

    def _lost(self) -> None:
        if self.core.order_session_up:
            self.core.order_session_up = False
            self.down_since_ns = time.monotonic_ns()
            self.counters["disconnects"] += 1
            self.core.on_session_lost(self.down_since_ns)

    def suspect_silence(self, now_ns: int) -> None:
        """Leave a connection that takes requests and answers none: its cancels would go nowhere."""
        if self.up and self.session.waiting_since_mono_ns and now_ns - self.session.waiting_since_mono_ns > SILENT_NS:
            log.error("order session: no answer for %d ms", SILENT_NS // 1_000_000)
            self.session.disconnect(graceful=False)
            self._on_end("silent")

    def send(self) -> int:
        """Send what the core wants sent; 0 while the session is not open."""
        if not self.up:
            return 0
        self.session.venue_ahead_of_mono_ns = self.clock.ahead_of_mono_ns
        try:
            return self.session.send_actions()
        except OSError as error:
            # The request in hand gets no answer: its outcome becomes unknown by itself.
            log.error("order session: sending: %s", type(error).__name__)
            self.session.disconnect()
            return 0


class Fallback:
    """Sends the core's actions by REST, one task for each request.

    place_batches(): how many batches of orders pay now (batches.py).
    """

    def __init__(
        self,
        core: GatewayCore,
        rest: AccountRest,
        instruments: dict[str, Instrument],
        replies: Replies,
        environment: str,
        turn,
    ):
        self.core = core
        self.rest = rest
        self.replies = replies
        self.environment = environment
        self.turn = turn
        self.place_batches: Callable[[], int] = lambda: 0
        self.by_id = {i.symbol_id: i for i in instruments.values()}
        self.quoting = asyncio.Semaphore(QUOTES_AT_ONCE)
        self.tasks: set[asyncio.Task] = set()

    def send(self) -> int:
        """Start sending everything the core wants sent; return how many."""
        actions = list(iter(self.core.pop_action, None))
        now_ns = time.monotonic_ns()
        for group in batched(actions, self.place_batches()):
            task = asyncio.create_task(self._send(group) if quote_kind(group) is None else self._quote(group, now_ns))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        return len(actions)

    async def _quote(self, actions: list[dict], wanted_ns: int) -> None:
        async with self.quoting:
            now_ns = time.monotonic_ns()
            if now_ns - wanted_ns < LATE_NS:
                await self._send(actions)
                return
            for action in actions:
                self.core.on_absent(action["intent_id"], now_ns)  # no byte of it has left

    async def _send(self, actions: list[dict]) -> None:
        """Send what shares a request, and pass on what became of each."""
        for action in actions:
            self.core.sent(
                action["intent_id"],
                action["kind"],
                action["symbol_id"],
                action["cause_recv_mono_ns"],
                action["decided_mono_ns"],
                time.monotonic_ns(),
            )
        try:
            answers = await self._request(actions)
        except VenueError as error:
            answers = [error] * len(actions)
        now_ns = time.monotonic_ns()
        for action, answer in zip(actions, answers, strict=True):
            tell = self.replies.failed if isinstance(answer, VenueError) else self.replies.done
            try:
                tell(action["kind"], action["intent_id"], answer, now_ns)
            except InstrumentError as error:
                # The order it was about gets no answer: its outcome becomes unknown by itself.
                log.error("order by REST: %s", error)
        self.turn()

    async def _request(self, actions: list[dict]) -> list[Order | VenueError]:
        """Send one request; return what became of each action. Raises VenueError when it is the same for all."""
        instrument = self.by_id[actions[0]["symbol_id"]]
        symbol, alone = instrument.symbol, len(actions) == 1
        if actions[0]["kind"] == ActionKind.ACTION_CANCEL:
            coids = [self._coid(action) for action in actions]
            return [await self.rest.cancel(symbol, *coids)] if alone else await self.rest.cancel_batch(symbol, coids)
        placements = [self._placement(instrument, action) for action in actions]
        if actions[0]["kind"] == ActionKind.ACTION_AMEND:
            (to,) = placements
            return [await self.rest.amend(symbol, to.coid, to.side, to.qty, to.price, to.reduce_only)]
        if alone:
            return [await self.rest.place(symbol, *msgspec.structs.astuple(placements[0]))]
        self.core.account.note_batch(len(actions), time.monotonic_ns())
        return await self.rest.place_batch(symbol, placements)

    def _coid(self, action: dict) -> str:
        return format_coid(self.environment, action["symbol_id"], action["epoch"], action["intent_id"])

    def _placement(self, instrument: Instrument, action: dict) -> Placement:
        priced = action["price_ticks"] != ABSENT_PRICE_TICKS
        return Placement(
            self._coid(action),
            action["side"],
            instrument.qty_text(action["qty_lots"]),
            instrument.price_text(action["price_ticks"]) if priced else None,
            TIME_IN_FORCE[action["time_in_force"]],
            bool(action["reduce_only"]),
        )
