"""The process of the simulated venue: markets, servers and the venue's clock in one asyncio loop."""

import asyncio
import hashlib
import logging
from pathlib import Path
from typing import NamedTuple

from phx import process
from phx.instruments import ONE_E8
from phx.process import Process, StayDown
from phx.recording import RecordingError
from phx.sim.api import rest, ws
from phx.sim.api.door import Door
from phx.sim.contracts import Contract, listed
from phx.sim.exchange.account import Account
from phx.sim.exchange.exchange import Exchange
from phx.sim.faults import script
from phx.sim.faults.switchboard import FaultError
from phx.sim.keys.key_list import listed_keys
from phx.sim.keys.signing import Key, Keys
from phx.sim.latency import Latency, LatencyError, measured
from phx.sim.markets.market import Player
from phx.sim.markets.recorded import RecordedMarket
from phx.sim.markets.recorded_market import RecordedPlayer
from phx.sim.markets.synthetic_market import SyntheticPlayer
from phx.sim.markets.unlisted import invented, refined, unlisted
from phx.sim.streams.streams import Hub
from phx.sim.venue import Venue
from phx.venue.binance import keys as key_files

MIN_TURN_S = 0.001
MAX_TURN_S = 0.008  # heartbeats and countdowns want a turn within 10 ms
HOUSEKEEPING_S = 1.0
BEHIND_S = 0.005

log = logging.getLogger("phx.sim")


class Credentials(NamedTuple):
    """What a client signs with."""

    api_key: str
    secret: str


def contracts_of(sim, ids: dict[str, int]) -> dict[str, Contract]:
    """Return the contracts of the symbols in `ids`: listed ones, refined by their recording or made from it."""
    contracts = listed(ids)
    missing = [symbol for symbol in ids if symbol not in contracts]
    try:
        if sim.market == "recorded":
            wanted = {symbol: contracts[symbol] for symbol in ids if symbol in contracts}
            contracts |= refined(wanted, sim.recordings, sim.relabel)
            contracts |= unlisted(missing, sim.recordings, sim.relabel, ids)
        elif missing:
            contracts |= {symbol: invented(symbol, ids[symbol], sim.start_prices.get(symbol)) for symbol in missing}
            log.warning("%s: not listed by the simulated venue: grid and price are invented", ", ".join(missing))
    except (ValueError, OSError) as error:
        raise StayDown(str(error)) from None
    return contracts


def player_of(sim, wanted: list[Contract], hub: Hub) -> Player:
    """Return the configured market. Raises StayDown when it cannot be played."""
    try:
        if sim.market == "synthetic":
            return SyntheticPlayer(wanted, hub, sim.seed, sim.speed, sim.regime, sim.lead_ms, sim.start_prices)
        instruments = {contract.symbol: contract.instrument for contract in wanted}
        records = RecordedMarket(sim.recordings, instruments, sim.relabel, sim.loop)
        return RecordedPlayer(wanted, hub, records, sim.speed, sim.queue_model, sim.queue_power)
    except (RecordingError, OSError) as error:
        raise StayDown(str(error)) from None


def latency_of(sim) -> Latency:
    """Return the configured latencies. Raises StayDown when their file cannot be used."""
    request_ns, ack_ns, feed_ns = (round(ms * 1e6) for ms in (sim.latency_ms, sim.ack_latency_ms, sim.feed_latency_ms))
    constants = {"place": request_ns, "cancel": request_ns, "ack": ack_ns, "feed": feed_ns}
    try:
        return Latency(constants, measured(sim.latency_file) if sim.latency_file else None, sim.seed)
    except (LatencyError, OSError) as error:
        raise StayDown(f"sim.latency_file: {error}") from None


def planned_faults(sim) -> list[tuple[str, dict]]:
    """Return the faults of the configured file. Raises StayDown when it cannot be used."""
    try:
        return script.read(sim.faults) if sim.faults else []
    except (FaultError, OSError) as error:
        raise StayDown(f"sim.faults: {error}") from None


def configured_key(config) -> Credentials:
    """Return the key of account 1: the configured file's, else the one made on the spot."""
    path = config.venue.key_file or key_files.sim_key_file(config.run_folder())
    found = key_files.read_key_file(Path(path))
    return Credentials(found.api_key, found.secret)


def credentials_of(first: Credentials, accounts: int) -> list[Credentials]:
    """Return one key for each account; those after the first are derived from it."""
    derived = [[hashlib.sha256(f"{text} {i}".encode()).hexdigest() for text in first] for i in range(2, accounts + 1)]
    return [first, *(Credentials(*texts) for texts in derived)]


def assembled(sim, ids: dict[str, int], first: Credentials) -> Venue:
    """Return the venue of a section sim with the given symbols, its markets begun. first: the key of account 1."""
    contracts = contracts_of(sim, ids)
    hub = Hub()
    player = player_of(sim, [contracts[symbol] for symbol in ids], hub)
    now_ns = Venue.now_ns()
    player.start(now_ns)
    exchange = Exchange(player, contracts, hub, now_ns // 1_000_000)
    exchange.limits.enforced = sim.rate_limits
    assets = sorted({contract.margin_asset for contract in exchange.contracts.values()})
    wallet_e8 = int(sim.wallet * ONE_E8)
    for owner in range(1, sim.accounts + 1):
        usdt_fees = sim.usdt_maker_fee, sim.usdt_taker_fee
        exchange.accounts[owner] = Account(owner, wallet_e8, assets, sim.maker_fee, sim.taker_fee, usdt_fees)
    own = zip(credentials_of(first, sim.accounts), exchange.accounts.values(), strict=True)
    keys = [Key(*texts, account) for texts, account in own] + listed_keys(sim.keys, exchange.accounts)
    try:
        return Venue(exchange, Keys(keys), latency_of(sim), sim.strict_paths, sim.older_acks, planned_faults(sim))
    except FaultError as error:
        raise StayDown(f"sim.faults: {error}") from None


def build(config) -> Venue:
    """Return the venue of a configuration, its markets begun."""
    return assembled(config.sim, config.instrument_ids(), configured_key(config))


class Servers:
    """The servers of a venue and the task that lets its time pass. Use as `async with`.

    Both kinds of connections are served on `port`; WebSockets also on the next one, unless one_port.
    """

    def __init__(self, venue: Venue, port: int, beat=lambda: None, one_port: bool = False):
        self.venue = venue
        self.port = port
        self.beat = beat
        self.one_port = one_port

    async def __aenter__(self) -> "Servers":
        self.ws = await ws.serve(self.venue, 0 if self.one_port else self.port + 1)
        if self.one_port:
            self.ws.close()
        self.rest = await rest.prepare(self.venue, self.ws._protocol_factory)
        self.door = Door(self.port, self.rest.server, self.ws._protocol_factory, self._refuses_rest)
        try:
            await self.door.__aenter__()
        except OSError:
            self.ws.close()
            await self.rest.cleanup()
            raise
        self.port = self.door.port
        # To fill many books took a while, which the market need not catch up with.
        player = self.venue.exchange.player
        player.postpone(max(0, self.venue.now_ns() - player.due_ns()))
        self.clock = asyncio.create_task(self._pass_time())
        return self

    async def __aexit__(self, kind, value, traceback) -> None:
        self.clock.cancel()
        await self.door.__aexit__(kind, value, traceback)
        self.ws.close()
        await self.rest.cleanup()

    def _refuses_rest(self) -> bool:
        return self.venue.trouble.handshake("rest") != ""

    async def _pass_time(self) -> None:
        exchange = self.venue.exchange
        housekeeping_ns = 0
        while True:
            now_ns = self.venue.now_ns()
            exchange.turn(now_ns)
            self.venue.trouble.turn(now_ns)
            self.beat()
            if now_ns >= housekeeping_ns:
                housekeeping_ns = now_ns + int(HOUSEKEEPING_S * 1e9)
                self.venue.expire_listen_keys()
            wait_s = (exchange.player.due_ns() - self.venue.now_ns()) / 1e9
            # A market that is behind gives requests their turn, but does not rest.
            await asyncio.sleep(0 if wait_s < -BEHIND_S else min(MAX_TURN_S, max(MIN_TURN_S, wait_s)))


async def live(own: Process) -> None:
    venue = build(own.config)
    async with Servers(venue, own.config.sim.port, own.beat) as servers:
        log.info("sim: REST on 127.0.0.1:%d, WebSockets on %d", servers.port, servers.port + 1)
        own.ready()
        while not own.stopping:
            await asyncio.sleep(0.05)
            if servers.clock.done():
                servers.clock.result()


def main(config) -> int:
    return process.run("sim", config, lambda own: asyncio.run(live(own)))
