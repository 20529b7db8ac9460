"""The real gateway's shell and the simulated venue in one loop, between neighbours that the test plays.

The venue counts with its rate limits on, and everything it refused for them is kept; the test is the feed, the
guardian (with its real dead man's switch), ops, and a quoter of each symbol.
"""

import asyncio
import contextlib
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np

from phx import config as configuration
from phx._core import records
from phx._core.enums import TapeKind
from phx._core.ring import RingReader, RingWriter
from phx.gateway.process import Gateway
from phx.guardian.deadman import DeadMan
from phx.ops.publish import OperatorPublisher, ParamsPublisher
from phx.process import Process
from phx.sim.api.request import Endpoint
from phx.sim.api.rest import ENDPOINTS
from phx.sim.api.ws_api import METHODS
from phx.sim.process import Servers, build
from phx.venue.binance import keys
from phx.venue.binance.endpoints import endpoints
from phx.venue.binance.rest import Rest
from phx.venue.binance.silence import shared

SECOND_NS = 1_000_000_000
# Prices of the synthetic market at its start, so that sizes can be given beforehand.
PRICES = {
    "BTCUSDC": 65_000, "ETHUSDC": 3_400, "SOLUSDC": 160, "XRPUSDC": 0.6, "DOGEUSDC": 0.125, "ADAUSDC": 0.5,
    "LINKUSDC": 15, "BNBUSDC": 600, **{f"T{i:02}USDC": 100 for i in range(12)},
}  # fmt: skip
ORDER_VALUE = 100  # USDC
LAYERS = 12  # of each side
FAR = 0.004  # of the price, from the market to the nearest layer: nothing is filled by chance
STEP = 0.0008
BESIDE_S = 0.01  # how often the neighbours of the gateway do a turn


def storm_config(folder: Path, instance: str, port: int, symbols: int, **venue):
    """Return a configuration of so many symbols that trades on a venue at `port`."""
    text = {
        "global": {"instance": instance, "run_dir": str(folder / "run")},
        "symbols": {
            symbol: {
                "net_max": rounded(100 * ORDER_VALUE / price),
                "ladder": {
                    "near": {"size": rounded(ORDER_VALUE / price)},
                    "far": {"size": rounded(ORDER_VALUE / price)},
                },
                "throttle": {"cycles": 1000},
            }
            for symbol, price in list(PRICES.items())[:symbols]
        },
        "limits": {"max_gross_notional": 1_000_000, "max_daily_loss": 50_000},
        "venue": venue,
        "sim": {
            "port": port, "wallet": 1_000_000, "latency_ms": 0, "regime": "calm",
            "start_prices": {symbol: PRICES[symbol] for symbol in list(PRICES)[:symbols]},
        },
        "ops": {"metrics_port": 0},
    }  # fmt: skip
    path = folder / "config.yaml"
    path.write_bytes(msgspec.json.encode(text))  # JSON is YAML
    return configuration.load(path)


def rounded(qty: float) -> float:
    return float(f"{qty:.3g}")


class Counts:
    """What the venue counted, as it came: every order request, weight by what cost it, every refusal for a limit."""

    def __init__(self, venue):
        self.limits, self.exchange = venue.exchange.limits, venue.exchange
        self.orders: list[list] = []  # time, of 10 s, of the minute, whether it adds
        self.weights: list[tuple[float, int]] = []
        self.by_endpoint: Counter[str] = Counter()  # weight
        self._asked = "handshake"
        self.takes: list[float] = []
        self.cancelled: list[float] = []
        self.refusals: list[tuple[float, str]] = []
        self._wrap(self.limits, "use_orders", self._on_orders)
        self._wrap(self.limits, "use_weight", self._on_weight)
        self._wrap(self.exchange, "place", self._on_place)
        self._wrap(self.exchange, "cancel", lambda *_: self.cancelled.append(now()))

    def _wrap(self, owner, name: str, note) -> None:
        real = getattr(owner, name)

        def counted(*arguments):
            note(*arguments)
            try:
                return real(*arguments)
            except Exception as refusal:
                if getattr(refusal, "code", 0) in (-1003, -1015) or getattr(refusal, "status", 0) in (403, 418, 429):
                    self.refusals.append((now(), f"{name}: {refusal}"))
                raise

        setattr(owner, name, counted)

    def _on_orders(self, now_ms: int, owner: int, in_10s: int = 1, in_1m: int = 1) -> None:
        self.orders.append([now(), in_10s, in_1m, False])

    @contextlib.contextmanager
    def naming_endpoints(self):
        """Learn on the way of each request what it is: its weight is looked up just before it is counted."""
        names = {id(endpoint): " ".join(key) for key, endpoint in ENDPOINTS.items()}
        names |= {id(endpoint): name for name, endpoint in METHODS.items()}
        real = Endpoint.weight_of

        def named(endpoint, params):
            self._asked = names.get(id(endpoint), "others")
            return real(endpoint, params)

        Endpoint.weight_of = named
        try:
            yield
        finally:
            Endpoint.weight_of = real

    def _on_weight(self, now_ms: int, weight: int) -> None:
        self.weights.append((now(), weight))
        self.by_endpoint[self._asked] += weight
        self._asked = "handshake"

    def _on_place(self, account, params: dict, *_) -> None:
        if params.get("type") == "MARKET" or params.get("timeInForce") == "IOC":
            self.takes.append(now())
        # Every position is long. Without latency an order is carried out as it is counted.
        self.orders[-1][3] |= params.get("side") == "BUY"


def now() -> float:
    return time.monotonic()


def most_in(events: list[tuple[float, int]], seconds: float, ends=None) -> int:
    """Return the most that any window of so many seconds holds. events: (time, amount), oldest first.

    ends: only of windows that end with an event of one of these times.
    """
    start = used = most = 0
    for time_s, amount in events:
        used += amount
        while time_s - events[start][0] >= seconds:
            used -= events[start][1]
            start += 1
        most = max(most, used) if ends is None or time_s in ends else most
    return most


class Quoter:
    """A quoter's place: its lock and heartbeat, its ladders, and what `own` says."""

    def __init__(self, process: Process, symbol: str, instrument, mid_ticks: int):
        self.process, self.symbol, self.instrument, self.mid_ticks = process, symbol, instrument, mid_ticks
        segment = process.segments[f"ladder.{symbol}"]
        self.writer = RingWriter(segment.memory, segment.dtype)
        self.ringers = process.ringers(f"ladder.{symbol}")
        self.reader = None
        self.own = None
        self.lots = instrument.lots_floor(process.config.symbols[symbol].ladder.near.size)
        self.ladders = 0
        self.take_n = 0
        self.take_asked = 0  # at which ladder
        self.take_ladders: list[int] = []  # how many ladders each take waited

    def read_own(self) -> None:
        if self.reader is None:
            segment = self.process.try_attach(f"own.{self.symbol}")
            self.reader = None if segment is None else RingReader(segment.memory, segment.dtype)
            self.segment = segment
        if self.reader is not None:
            found = self.reader.read_newest()
            self.own = self.own if found is None else found
        if self.take_asked and self.own["last_take_n"] == self.take_n:
            self.take_ladders.append(self.ladders - self.take_asked)
            self.take_asked = 0

    def ask_take(self) -> None:
        """Want a little of the position sold, from the next ladder on."""
        if not self.take_asked:
            self.take_n += 1
            self.take_asked = self.ladders + 1

    def publish(self, shift: int, version: int, layers: int = LAYERS) -> None:
        """Publish a ladder; every price moves with `shift`, a small number."""
        if self.own is None:
            return
        now_ns = time.monotonic_ns()
        record = np.zeros(1, records.LADDER)
        step = max(2, int(self.mid_ticks * STEP))
        near = int(self.mid_ticks * FAR) + shift * step // 10
        for name, side in (("bid", -1), ("ask", 1)):
            record[f"{name}_layers"] = layers
            for i in range(layers):
                record[f"{name}_price_ticks"][0, i] = self.mid_ticks + side * (near + i * step)
                record[f"{name}_qty_lots"][0, i] = self.lots
                record[f"{name}_layer"][0, i] = i
        fields = {
            "decided_mono_ns": now_ns, "cause_recv_mono_ns": now_ns, "own_seq": self.own["seq"],
            "own_epoch": self.own["epoch"], "params_version": version, "quoter_epoch": 1, "mode": 1,
            "symbol_id": self.instrument.symbol_id,
        }  # fmt: skip
        if self.take_asked:
            fields |= {
                "take_n": self.take_n, "take_side": -1, "take_qty_lots": self.lots,
                "take_limit_ticks": records.ABSENT_PRICE_TICKS, "take_deadline_mono_ns": now_ns + 5 * SECOND_NS,
                "take_own_seq": self.own["seq"],
            }  # fmt: skip
        for name, value in fields.items():
            record[name] = value
        self.writer.write(record)
        self.ladders += 1
        for ringer in self.ringers:
            ringer.ring_now()


class Storm:
    """Everything around a gateway. Use as `async with`; then it is ready, and holds a long position in each symbol."""

    def __init__(self, config, prepare=lambda venue: None):
        self.config = config
        self.symbols = config.traded()
        self.prepare = prepare
        self.stack = contextlib.AsyncExitStack()
        self.journal = None
        self.turns = 0

    async def __aenter__(self) -> "Storm":
        await self.stack.__aenter__()
        self.stack.callback(shutil.rmtree, self.config.shm_folder(), ignore_errors=True)
        self.signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        self.stack.callback(lambda: [signal.signal(*kept) for kept in self.signals.items()])
        self.stack.callback(shutil.rmtree, self.config.shm_folder(), ignore_errors=True)
        keys.load(self.config)  # makes the simulator's
        self.venue = venue = build(self.config)
        self.prepare(venue)
        self.servers = await self.stack.enter_async_context(Servers(venue, self.config.sim.port))
        await self._buy()
        self.counts = Counts(venue)
        self.stack.enter_context(self.counts.naming_endpoints())
        await self._neighbours()
        self.process = self.stack.enter_context(Process("gateway", self.config))
        self.gateway = Gateway(self.process, {})
        self.life = asyncio.create_task(self.gateway.live())
        async with asyncio.timeout(60):
            while not (self.gateway.core.ready and all(self.quoters[s].own is not None for s in self.symbols)):
                assert not self.life.done(), self.life.result()
                await asyncio.sleep(0.02)
        return self

    async def __aexit__(self, *error) -> None:
        self.process.stopping = True
        try:
            async with asyncio.timeout(30):
                await self.life
        finally:
            self.beside.cancel()
            await asyncio.gather(self.beside, return_exceptions=True)
            await self.stack.__aexit__(*error)

    async def _buy(self) -> None:
        account = self.venue.exchange.accounts[1]
        for symbol in self.symbols:
            contract, mid = self.venue.exchange.contracts[symbol], PRICES[symbol]
            lots = contract.instrument.lots_floor(rounded(20 * ORDER_VALUE / mid))
            params = {
                "symbol": symbol, "side": "BUY", "type": "MARKET", "quantity": contract.instrument.qty_text(lots),
            }  # fmt: skip
            self.venue.exchange.place(account, params, self.venue.now_ns())

    async def _neighbours(self) -> None:
        enter = self.stack.enter_context
        self.feed = enter(Process("feed.main", self.config))
        self.guardian = enter(Process("guardian", self.config))
        self.ops = enter(Process("ops", self.config))
        share = self.config.limits.weight_share_guardian
        rest = Rest(endpoints(self.config), keys.load(self.config), share=share, silence=shared(self.config))
        self.stack.push_async_callback(rest.close)
        await rest.server_time()
        ids = {symbol: self.config.instrument_ids()[symbol] for symbol in self.symbols}
        self.instruments = await rest.exchange_info(ids)
        proof = self.guardian.segments["proof"]
        self.deadman = DeadMan(rest, ids, proof, self.guardian.ringers("proof"), self.guardian.counters)
        self.quoters = {}
        for symbol, instrument in self.instruments.items():
            process = enter(Process(f"quoter.{symbol}", self.config))
            mid_ticks = instrument.ticks(f"{PRICES[symbol]}")
            self.quoters[symbol] = Quoter(process, symbol, instrument, mid_ticks)
        self.market = {
            name: RingWriter(segment.memory, segment.dtype)
            for name, segment in self.feed.segments.items()
            if name.partition(".")[0] in ("bbo", "book", "tape")
        }
        for process in self._beating():
            for name, segment in process.segments.items():
                if (instrument := self.instruments.get(name.rpartition(".")[2])) is not None:
                    segment.count_in(instrument.units_hash)
        self.params = ParamsPublisher(self.ops)
        self.params.publish(self.config, self.instruments, {})
        OperatorPublisher(self.ops)
        for process in self._beating():
            process.ready()
        self.beside = asyncio.create_task(self._live_beside())

    def _beating(self) -> list[Process]:
        return [self.feed, self.guardian, self.ops, *(quoter.process for quoter in self.quoters.values())]

    async def _live_beside(self) -> None:
        marked_s = 0.0
        while True:
            for process in self._beating():
                process.beat()
            now_ns = time.monotonic_ns()
            self.deadman.keep(now_ns)
            if now() - marked_s > 0.05:
                marked_s = now()
                self._tell_market(now_ns)
            for quoter in self.quoters.values():
                quoter.read_own()
            self._drain_journal()
            await asyncio.sleep(BESIDE_S)

    def _drain_journal(self) -> None:
        if self.journal is None and (segment := self.ops.try_attach("journal")) is not None:
            self.journal = RingReader(segment.memory, segment.dtype)
        newest = None if self.journal is None else self.journal.read_newest()
        if newest is not None:
            self.ops.counters["journal_seq"] = newest["seq"]

    def _tell_market(self, now_ns: int) -> None:
        for symbol, quoter in self.quoters.items():
            mid = quoter.mid_ticks
            told = {
                "bbo": (records.BBO, {"bid_price_ticks": mid - 1, "ask_price_ticks": mid + 1}),
                "book": (records.BOOK, {}),
                "tape": (records.TAPE, {"kind": TapeKind.TAPE_MARK, "price_ticks": mid}),
            }
            for kind, (dtype, fields) in told.items():
                record = np.zeros(1, dtype)
                record["recv_mono_ns"] = now_ns
                for name, value in fields.items():
                    record[name] = value
                self.market[f"{kind}.{symbol}"].write(record)

    async def blow(self, seconds: float, every_s: float = 0.2, take_every: int = 0) -> None:
        """Move every price of every ladder again and again; every so many rounds one symbol wants to sell a little."""
        until_s = now() + seconds
        symbols = list(self.quoters.values())
        while now() < until_s:
            self.turns += 1
            if take_every and self.turns % take_every == 0:
                symbols[self.turns // take_every % len(symbols)].ask_take()
            for quoter in symbols:
                quoter.publish(self.turns % 7, self.params.version)
                await asyncio.sleep(every_s / len(symbols))

    async def calm(self) -> None:
        """Want nothing any more, and wait until the venue has no order left."""
        async with asyncio.timeout(30):
            while self.venue.exchange.accounts[1].all_open():
                for quoter in self.quoters.values():
                    quoter.publish(0, self.params.version, layers=0)
                await asyncio.sleep(0.05)


def tightened(venue, in_10s: int, in_1m: int) -> None:
    """Have a venue allow so many orders, and say so."""
    limits = venue.exchange.limits
    limits.orders[1].in_10s.limit, limits.orders[1].in_1m.limit = in_10s, in_1m
    told = {("SECOND", 10): in_10s, ("MINUTE", 1): in_1m}
    limits.listed = [
        row | {"limit": told[row["interval"], row["intervalNum"]]} if row["rateLimitType"] == "ORDERS" else row
        for row in limits.listed
    ]


def judge(storm: Storm, in_10s: int, in_1m: int) -> str:
    """Check what the venue counted against its limits; return it in words.

    Requests arrive a little nearer to one another, or farther apart, than they were sent: so windows a second shorter
    are looked at.
    """
    counts = storm.counts
    assert counts.refusals == [], counts.refusals[:5]
    said = []
    for seconds, limit, column in ((10, in_10s, 1), (60, in_1m, 2)):
        events = [(row[0], row[column]) for row in counts.orders]
        most = most_in(events, seconds - 1)
        adding = most_in(events, seconds - 1, ends={row[0] for row in counts.orders if row[3]})
        assert most <= 0.9 * limit, (seconds, most, limit)
        assert adding <= 0.8 * limit, (seconds, adding, limit)
        said.append(f"{most} of {limit} orders in {seconds} s, {adding} when one was added")
    weight = most_in(counts.weights, 59)
    assert weight <= 0.95 * storm.venue.exchange.limits.weight.limit, weight
    waited = [ladders for quoter in storm.quoters.values() for ladders in quoter.take_ladders]
    asked = sum(quoter.take_n for quoter in storm.quoters.values())
    # Sent on the turn that saw its ladder, or on the one after its own quotes were out of the way.
    assert len(waited) >= asked - 1 and max(waited, default=0) <= 2, (asked, waited)
    batches = sum(row[1] > 1 for row in counts.orders)
    said.append(f"weight {weight} in 60 s, {len(waited)} takes, {len(counts.cancelled)} cancels, {batches} batches")
    return "; ".join(said)
