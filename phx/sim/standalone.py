"""The venue on its own: `phx sim`, without configuration, shared memory or any other process."""

import asyncio
import hashlib
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

from phx import config as configuration
from phx.config import ConfigError, Sim
from phx.process import EXIT_AGAIN, EXIT_OK, EXIT_STAY_DOWN, StayDown, configure_logging
from phx.recording import RecordingError, symbols
from phx.sim.markets.recorded import PROBED_FRAMES
from phx.sim.process import Credentials, Servers, assembled, configured_key, credentials_of

SYMBOLS = ("BTCUSDC", "ETHUSDC")
MAX_ACCOUNTS = 1000
# Everybody may know them: behind them is only invented money.
FIRST = Credentials(*(hashlib.sha256(f"phx sim {name}".encode()).hexdigest() for name in ("key", "secret")))


class Chosen(NamedTuple):
    """The venue that was asked for: section sim, symbols with their ids, the key of account 1."""

    sim: Sim
    ids: dict[str, int]
    first: Credentials


def chosen(asked) -> Chosen:
    """Return what the options ask for. Raises StayDown, ConfigError or RecordingError."""
    sim, ids, first = Sim(), None, FIRST
    if asked.venue_config:
        config = configuration.load(Path(asked.venue_config), os.environ)
        if config.sim is None:
            raise StayDown(f"{asked.venue_config}: has no section sim")
        sim, ids, first = config.sim, config.instrument_ids(), configured_key(config)
    sim = changed(sim, asked)
    if asked.symbols:
        ids = {symbol.upper(): i for i, symbol in enumerate(asked.symbols)}
    elif ids is None or asked.recording:
        found = [symbol for path in sim.recordings for symbol in symbols(path, PROBED_FRAMES)]
        ids = {symbol: i for i, symbol in enumerate(dict.fromkeys(found) or SYMBOLS)}
    return Chosen(sim, ids, first)


def changed(sim: Sim, asked) -> Sim:
    """Return the section with the options in place of its values."""
    for name, least, most in (("port", 0, 65534), ("accounts", 1, MAX_ACCOUNTS), ("speed", 1e-6, 1e6)):
        value = getattr(asked, name)
        if value is not None and not least <= value <= most:
            raise StayDown(f"--{name} {value}: expected {least} to {most}")
    given = {name: getattr(asked, name) for name in ("port", "seed", "speed", "regime", "accounts")}
    changes = {name: value for name, value in given.items() if value is not None}
    if asked.no_rate_limits:
        changes["rate_limits"] = False
    if asked.any_path:
        changes["strict_paths"] = False
    if asked.recording:
        changes |= {"market": "recorded", "recordings": asked.recording}
    return msgspec.structs.replace(sim, **changes)


def banner(wanted: Chosen, port: int) -> str:
    """Return what a user needs to know to connect."""
    sim, names = wanted.sim, list(wanted.ids)
    shown = ", ".join(names if len(names) <= 6 else [*names[:6], f"and {len(names) - 6} more"])
    how = f"seed {sim.seed}, regime {sim.regime}" if sim.market == "synthetic" else ", ".join(sim.recordings)
    rows = [
        f"phx sim: {sim.market} market of {shown} ({how})",
        f"  REST        http://127.0.0.1:{port}",
        f"  streams     ws://127.0.0.1:{port}  (/public, /market, /private)",
        f"  WS-API      ws://127.0.0.1:{port}/ws-fapi/v1",
    ]
    for credentials in credentials_of(wanted.first, sim.accounts):
        rows += [f"  API key     {credentials.api_key}", f"  secret      {credentials.secret}"]
    return "\n".join([*rows, "  Ctrl-C ends it"])


async def serve(wanted: Chosen) -> None:
    """Run the venue until SIGINT or SIGTERM."""
    venue = assembled(*wanted)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Servers(venue, wanted.sim.port, one_port=True) as servers:
        print(banner(wanted, servers.port), flush=True)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((stopped, servers.clock), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if servers.clock.done():
            servers.clock.result()


def main(asked) -> int:
    """Run the venue that was asked for; return the exit status."""
    configure_logging("sim", asked.log or "warning")
    try:
        asyncio.run(serve(chosen(asked)))
    except ConfigError as error:
        print("\n".join(f"phx: configuration: {line}" for line in error.errors), file=sys.stderr)
        return EXIT_STAY_DOWN
    except (StayDown, RecordingError) as error:
        print(f"phx: {error}", file=sys.stderr)
        return EXIT_STAY_DOWN
    except OSError as error:
        print(f"phx: {error.filename or 'sim'}: {error.strerror or error}", file=sys.stderr)
        return EXIT_AGAIN
    return EXIT_OK
