"""The whole of phx in one process and in virtual time: recorded frames in, orders and fills out.

Composed are the very cores that live processes run: FeedCore, QuoterCore, GatewayCore and the overlay, joined by rings
in private memory. What the other processes do for them is done here in a line each: the parameters and the operator's
will (ops), the dead man's proof (guardian), the drained journal (ops). Everything that travels takes the configured
latency: market data, requests, answers. No clock is read, so the same recording gives the same bytes.
"""

import heapq
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path

import numpy as np

from phx import topology
from phx._core import records
from phx._core.account import Account
from phx._core.desk import Desk
from phx._core.enums import OperatorState
from phx._core.feed import FeedCore
from phx._core.gateway import GatewayCore
from phx._core.quoter import QuoterCore
from phx._core.ring import RingReader, RingWriter
from phx.config import Config, Sim
from phx.instruments import Instrument
from phx.params import params_record
from phx.recording import Frame, RecordingError, sources, symbols, up_to_cut
from phx.replay.check import KINDS, kind_of
from phx.replay.venue import Venue
from phx.replay.virtual_time import VirtualTime
from phx.segment import private_memory
from phx.venue.binance.weights import routine_cancels_60s

GATEWAY_TURN_NS = 5_000_000  # as often as the live gateway turns without a bell
QUOTER_TURN_NS = 10_000_000  # as long as a live quoter sleeps without one
SECOND_NS = 1_000_000_000
ONE_E8 = 100_000_000
EPOCH = 1  # of the one life that gateway and quoters have here
PARAMS_VERSION = 1


class Ring:
    """One segment of the topology in private memory."""

    def __init__(self, kind: str):
        row = topology.SEGMENTS[kind]
        self.dtype, self.slots = row.record, row.slots
        self.memory = private_memory(row.record, row.slots)

    def writer(self) -> RingWriter:
        return RingWriter(self.memory, self.dtype)

    def reader(self) -> RingReader:
        return RingReader(self.memory, self.dtype)


class Market:
    """One recorded symbol as the feed publishes it."""

    def __init__(self, feed: FeedCore, symbol: str, instrument: Instrument):
        self.symbol = symbol
        self.bbo, self.book, self.tape = Ring("bbo"), Ring("book"), Ring("tape")
        self.counters = np.zeros(1, records.FEED_COUNTERS)
        writers = (ring.writer() for ring in (self.bbo, self.book, self.tape))
        self.index = feed.add(symbol, instrument.symbol_id, instrument.scale, *writers, self.counters)
        self.readers: list[Trader] = []  # those who quote on it


class Trader:
    """One traded symbol: its quoter, its desk in the gateway, and the rings between them."""

    def __init__(self, account: Account, instrument: Instrument, market: Market, leader: Market | None, params):
        self.instrument = instrument
        self.market = market
        self.ladder, self.state, self.decisions = Ring("ladder"), Ring("state"), Ring("decisions")
        self.own, self.exec, self.params = Ring("own"), Ring("exec"), Ring("params")
        self.quoter_counters = np.zeros(1, records.QUOTER_COUNTERS)
        self.gateway_counters = np.zeros(1, records.GATEWAY_COUNTERS)
        self.quoter = self._quoter(leader)
        self.desk = self._desk(account)
        self.params.writer().write(params)
        market.readers.append(self)
        if leader not in (None, market):
            leader.readers.append(self)

    def _quoter(self, leader: Market | None) -> QuoterCore:
        written = (self.ladder.memory, self.state.memory, self.decisions.memory)
        quoter = QuoterCore(self.instrument.symbol_id, EPOCH, *written, self.quoter_counters)
        for source, ring in (
            ("bbo", self.market.bbo),
            ("book", self.market.book),
            ("tape", self.market.tape),
            ("own", self.own),
            ("exec", self.exec),
            ("params", self.params),
        ):
            quoter.attach(source, ring.memory)
        if leader is not None:
            quoter.attach("leader", leader.bbo.memory)
        return quoter

    def _desk(self, account: Account) -> Desk:
        desk = Desk(
            account,
            self.instrument.symbol,
            self.instrument.symbol_id,
            self.instrument.order_rules(),
            own=self.own.writer(),
            exec_=self.exec.writer(),
            counters=self.gateway_counters.data,
        )
        desk.market.attach(*(ring.reader() for ring in (self.market.bbo, self.market.book, self.market.tape)))
        desk.attach_ladder(self.ladder.reader())
        desk.attach_params(self.params.reader())
        desk.quoter_alive = True
        return desk


class Session:
    """One run. instruments: what is traded, and what leads it, of the configuration; by symbol.

    Recorded USDT pairs stand in for USDC pairs as in the simulated venue, whose settings (fees, latency, queue model,
    relabel) are those of the configuration's `sim`. A recording that is cut off is used up to there; then `said` is
    called with the error. Raises RecordingError, ParamsError.
    """

    def __init__(
        self,
        config: Config,
        instruments: dict[str, Instrument],
        paths: Iterable[Path | str],
        said=lambda error: None,
    ):
        self.said, self.config = said, config
        settings = config.sim or Sim()
        self.paths = [Path(path) for path in paths]
        self.latency_ns = int(settings.latency_ms * 1_000_000)
        source_of = self._sources(instruments, settings.relabel)
        grids = {source_of[symbol]: instrument for symbol, instrument in instruments.items()}
        traded = [symbol for symbol in config.traded() if symbol in instruments]
        self.time, self.began_ns = VirtualTime(0), 0
        self.feed = FeedCore()
        self.markets = {source: Market(self.feed, source, instrument) for source, instrument in grids.items()}
        self.venue = Venue(grids, {instruments[symbol].symbol_id: source_of[symbol] for symbol in traded}, settings)
        self.journal = Ring("journal")
        self.journal_writer = self.journal.writer()
        account = Account(
            EPOCH,
            self.journal_writer,
            self.journal.slots,
            adding_share=config.limits.adding_share,
            reducing_share=config.limits.reducing_share,
            cancels_60s=routine_cancels_60s(config.limits),
        )
        self.gateway = GatewayCore(account, Ring("account").writer(), 0)
        self.gateway.wallet_e8 = int(settings.wallet * ONE_E8)
        self.traders: dict[str, Trader] = {}
        for symbol in traded:
            leading = config.leader_of(symbol)
            leader = self.markets[source_of[leading]] if leading else None
            params = params_record(config.symbols[symbol], config, instruments[symbol], PARAMS_VERSION)
            market = self.markets[source_of[symbol]]
            self.traders[symbol] = trader = Trader(account, instruments[symbol], market, leader, params)
            trader.desk.set_fees(*settings.fees_e8(instruments[symbol].quote_asset))
            self.gateway.add(trader.desk)
        self.by_id = {trader.instrument.symbol_id: trader for trader in self.traders.values()}
        operator = np.zeros((), records.OPERATOR)
        operator["wanted"] = OperatorState.OPERATOR_RUN
        self.gateway.take_operator(operator)
        self.gateway.ready = self.gateway.user_stream_up = self.gateway.order_session_up = True

    def _sources(self, wanted: Iterable[str], relabel) -> dict[str, str]:
        """Return wanted symbol → the one recorded symbol that is played as it."""
        recorded = [symbol for path in self.paths for symbol in symbols(path)]
        found = sources(recorded, wanted, relabel)
        for name, serving in found.items():
            if len(serving) != 1:
                problem = "twice in the recordings" if serving else "in none of the recordings"
                raise RecordingError(f"{name} is {problem}, which hold {', '.join(recorded) or 'nothing'}")
        return {name: serving[0] for name, serving in found.items()}

    # ---- time ----

    def run(self) -> None:
        """Run to the end of the recordings."""
        for _ in self.steps():
            pass

    def steps(self) -> Iterator[int]:
        """Run to the end of the recordings; yield the time after each event, so that a caller can look around."""
        for item in heapq.merge(*(up_to_cut(path, self.said) for path in self.paths), key=attrgetter("recv_ns")):
            if not item.recv_ns:
                raise RecordingError(f"{', '.join(map(str, self.paths))}: no receive times, so nothing to run by")
            if not self.time.now_ns:
                self._begin(item.recv_ns)
            yield from self.time.run_until(item.recv_ns)
            self._hear(self.venue.play(item, self.time.now_ns))
            if isinstance(item, Frame) and item.symbol in self.markets and kind_of(item) in KINDS:
                self._send(self.venue.heard(item, self.time.now_ns))
            yield self.time.now_ns
        # What is on its way arrives: an answer to the last request, and what the gateway makes of it.
        yield from self.time.run_until(self.time.now_ns + 2 * self.latency_ns)

    def _begin(self, now_ns: int) -> None:
        self.time.now_ns = self.began_ns = now_ns
        self.time.every(SECOND_NS, self._prove)
        self.time.every(SECOND_NS, self._mark)
        self.time.every(GATEWAY_TURN_NS, self._turn_gateway)
        self.time.every(QUOTER_TURN_NS, self._turn_quoters)

    # ---- the feed ----

    def _send(self, frames: Iterable[bytes]) -> None:
        for frame in frames:
            self.time.after(self.latency_ns, self._receive, frame)

    def _receive(self, frame: bytes) -> None:
        published = self.feed.frame(frame, self.time.now_ns, self.time.now_ns)
        if published:
            self._wake(market for market in self.markets.values() if published >> market.index & 1)

    def _ask_snapshots(self) -> None:
        for index in self.feed.ask_snapshots(self.time.now_ns):
            self.time.after(self.latency_ns, self._answer_snapshot, index)

    def _answer_snapshot(self, index: int) -> None:
        body = self.venue.depth(self.feed.instruments[index].symbol, self.time.now_ns)
        self.time.after(self.latency_ns, self._take_snapshot, index, body)

    def _take_snapshot(self, index: int, body: bytes | None) -> None:
        if body is None:
            self.feed.no_snapshot(index, self.time.now_ns)
        else:
            self.feed.snapshot(index, body, self.time.now_ns, self.time.now_ns)
            self._wake(market for market in self.markets.values() if market.index == index)

    def _mark(self) -> None:
        for symbol in self.markets:
            event = self.venue.mark(symbol, self.time.now_ns)
            if event is not None:
                self.time.after(self.latency_ns, self._receive, event)

    # ---- quoters and gateway: each publication rings the other's bell ----

    def _wake(self, markets: Iterable[Market]) -> None:
        if any([self._step_quoter(trader) for market in markets for trader in market.readers]):
            self._turn_gateway()

    def _turn_quoters(self) -> None:
        self._ask_snapshots()
        self._wake(self.markets.values())

    def _step_quoter(self, trader: Trader) -> bool:
        trader.quoter.feed_heartbeat_mono_ns = self.time.now_ns
        return trader.quoter.step_at(self.time.now_ns)

    def _turn_gateway(self) -> None:
        woken = True
        while woken:
            self._step_gateway()
            woken = any([self._step_quoter(self.by_id[symbol_id]) for symbol_id in self.gateway.published()])

    def _step_gateway(self) -> None:
        gateway, now_ns = self.gateway, self.time.now_ns
        gateway.turn_day(now_ns // SECOND_NS)
        gateway.account.set_journal_drained(self.journal_writer.published)
        gateway.step(now_ns)
        while (action := gateway.pop_action()) is not None:
            self.time.after(self.latency_ns, self._ask_venue, action)

    def _prove(self) -> None:
        """Say what the guardian says while all is well: the countdown of every symbol was just refreshed."""
        proof = np.zeros((), records.PROOF)
        proof["period_ns"], proof["countdown_ns"] = SECOND_NS, 3 * SECOND_NS
        proof["deadline_mono_ns"] = self.time.now_ns + 3 * SECOND_NS
        self.gateway.take_proof(proof)

    # ---- the venue ----

    def _ask_venue(self, action: dict) -> None:
        self._hear(self.venue.ask(action))
        self._send(self.venue.changed(action["symbol_id"], self.time.now_ns))

    def _hear(self, said: list) -> None:
        for word in said:
            self.time.after(self.latency_ns, self._tell, word, self.venue.ts_ns(self.time.now_ns))

    def _tell(self, word, ts_ns: int) -> None:
        word.tell(self.gateway, ts_ns, self.time.now_ns)
        self._turn_gateway()
