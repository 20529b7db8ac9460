"""The process of the simulated venue: markets, servers and the venue's clock in one asyncio loop."""

import asyncio
import logging
from decimal import Decimal

from phx import process
from phx.instruments import ONE_E8, InstrumentError
from phx.process import Process, StayDown
from phx.recording import RecordingError
from phx.sim import rest, ws
from phx.sim.account import Account
from phx.sim.contracts import Contract, listed
from phx.sim.exchange import Exchange
from phx.sim.market import Player
from phx.sim.recorded import RecordedMarket
from phx.sim.recorded_market import RecordedPlayer
from phx.sim.signing import Key, Keys
from phx.sim.streams import Hub
from phx.sim.synthetic_market import SyntheticPlayer
from phx.sim.unlisted import invented, refined, unlisted
from phx.sim.venue import Venue
from phx.venue.binance import keys as key_files

MIN_TURN_S = 0.001
MAX_TURN_S = 0.008  # heartbeats and countdowns want a turn within 10 ms
HOUSEKEEPING_S = 1.0

log = logging.getLogger("phx.sim")


def contracts_of(config) -> dict[str, Contract]:
    """Return the contracts of the configuration's symbols: listed ones, refined by their recording or made from it."""
    ids = config.instrument_ids()
    contracts = listed(ids)
    missing = [symbol for symbol in ids if symbol not in contracts]
    if missing and config.sim.market == "synthetic":
        log.warning("%s: not listed by the simulated venue, so grid and price are invented", ", ".join(missing))
        try:
            prices = config.sim.start_prices
            contracts |= {symbol: invented(symbol, ids[symbol], prices.get(symbol)) for symbol in missing}
        except ValueError as error:
            raise StayDown(str(error)) from None
    if config.sim.market == "recorded":
        recordings, relabel = config.sim.recordings, config.sim.relabel
        try:
            wanted = {symbol: contracts[symbol] for symbol in ids if symbol in contracts}
            contracts |= refined(wanted, recordings, relabel)
            contracts |= unlisted(missing, recordings, relabel, ids)
        except (RecordingError, InstrumentError, OSError) as error:
            raise StayDown(str(error)) from None
    return contracts


def player_of(config, contracts: dict[str, Contract], hub: Hub) -> Player:
    """Return the configured market. Raises StayDown when it cannot be played."""
    sim = config.sim
    wanted = [contracts[symbol] for symbol in config.instrument_ids()]
    try:
        if sim.market == "synthetic":
            return SyntheticPlayer(wanted, hub, sim.seed, sim.speed, sim.regime, sim.lead_ms, sim.start_prices)
        instruments = {contract.symbol: contract.instrument for contract in wanted}
        records = RecordedMarket(sim.recordings, instruments, sim.relabel, sim.loop)
        return RecordedPlayer(wanted, hub, records, sim.speed, sim.queue_model, sim.queue_power)
    except (RecordingError, OSError) as error:
        raise StayDown(str(error)) from None


def keys_of(config, account: Account) -> Keys:
    """Return the one key the venue accepts: the configured file's, else the one made on the spot."""
    path = config.venue.key_file or key_files.sim_key_file(config.run_folder())
    found = key_files.read_key_file(key_files.Path(path))
    return Keys([Key(found.api_key, found.secret, account)])


def build(config) -> Venue:
    """Return the venue of a configuration, its markets begun."""
    sim = config.sim
    contracts = contracts_of(config)
    hub = Hub()
    player = player_of(config, contracts, hub)
    now_ns = Venue.now_ns()
    player.start(now_ns)
    exchange = Exchange(player, contracts, hub, now_ns // 1_000_000)
    assets = sorted({contract.margin_asset for contract in exchange.contracts.values()})
    wallet_e8 = int(Decimal(sim.wallet) * ONE_E8)
    account = Account(1, wallet_e8, assets, sim.maker_fee, sim.taker_fee)
    exchange.accounts[account.owner] = account
    return Venue(exchange, keys_of(config, account), sim.latency_ms / 1000, sim.strict_paths)


class Servers:
    """Both servers of a venue and the task that lets its time pass. Use as `async with`."""

    def __init__(self, venue: Venue, port: int, beat=lambda: None):
        self.venue = venue
        self.port = port
        self.beat = beat

    async def __aenter__(self) -> "Servers":
        self.rest = await rest.serve(self.venue, self.port)
        self.ws = await ws.serve(self.venue, self.port + 1)
        self.clock = asyncio.create_task(self._pass_time())
        return self

    async def __aexit__(self, kind, value, traceback) -> None:
        self.clock.cancel()
        self.ws.close()
        await self.rest.cleanup()

    async def _pass_time(self) -> None:
        exchange = self.venue.exchange
        housekeeping_ns = 0
        while True:
            now_ns = self.venue.now_ns()
            exchange.turn(now_ns)
            self.beat()
            if now_ns >= housekeeping_ns:
                housekeeping_ns = now_ns + int(HOUSEKEEPING_S * 1e9)
                self.venue.expire_listen_keys()
            wait_s = (exchange.player.due_ns() - self.venue.now_ns()) / 1e9
            await asyncio.sleep(min(MAX_TURN_S, max(MIN_TURN_S, wait_s)))


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
