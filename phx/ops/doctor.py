"""`phx doctor`: everything that must be right before money is at stake, in one table.

The account's checks are those that the gateway makes before its first order (phx/gateway/checks.py).
"""

import asyncio
import contextlib
import os
import time

import msgspec

from phx import hardening, key_handover
from phx.config import Config
from phx.findings import Finding, Verdict, exit_status, judged, table
from phx.gateway import checks
from phx.ops import host_checks
from phx.ops.instance import Instance
from phx.ops.supervisor import living
from phx.process import StayDown
from phx.venue.binance import keys
from phx.venue.binance.endpoints import endpoints
from phx.venue.binance.rest import Rest
from phx.venue.binance.silence import shared
from phx.venue.interface import VenueError, VenueReject

TRIAL_COUNTDOWN_MS = 60_000
WEIGHT_SHARE = 0.25  # of the venue's limit: room for 20 symbols beside a running instance


def main(config: Config, as_json: bool) -> int:
    """Print the findings; return 0 when all is well, 1 for warnings alone, 78 for failures."""
    findings = examine(config)
    if as_json:
        print(msgspec.json.encode(findings).decode())
    else:
        print("\n".join(table(findings)))
    return exit_status(findings)


def examine(config: Config) -> list[Finding]:
    """Return what was found out about host, instance and account."""
    findings = [check(config) for check in host_checks.CHECKS]
    hardening.harden()  # from here on this process holds a key
    try:
        where = endpoints(config)
        given = key_handover.path(config)
        if given.exists():  # what `phx up` was given in its environment; ours may have none
            os.environ.setdefault(key_handover.PATH_VARIABLE, str(given))
        rest_of = (where, keys.load(config))
    except StayDown as error:
        return [*findings, Finding("venue", Verdict.FAIL, str(error))]
    return findings + asyncio.run(of_the_account(config, *rest_of))


async def of_the_account(config: Config, where, credentials) -> list[Finding]:
    rest = Rest(
        where,
        credentials,
        share=WEIGHT_SHARE,
        recv_window_ms=config.venue.recv_window_ms,
        silence=shared(config),
    )
    ids = {symbol: config.instrument_ids()[symbol] for symbol in config.traded()}
    try:
        try:
            await rest.server_time()
            instruments = await rest.exchange_info(ids)
        except (VenueError, ValueError) as error:
            if config.venue.environment == "sim" and "sim" not in living(config):
                shown = "the simulated venue is not running: its account was not looked at"
                return [Finding("venue", Verdict.WARN, shown, "running", "`phx up` starts it")]
            return [Finding("venue", Verdict.FAIL, f"{where.rest}: {error}", "an answer")]
        found = [Finding("venue", Verdict.OK, f"{config.venue.environment}, {where.rest}")]
        found += await checks.examine(rest, config, instruments, where, thorough=True)
        return found + [await dead_mans_switch(config, rest, symbol) for symbol in instruments]
    finally:
        await rest.close()


async def dead_mans_switch(config: Config, rest: Rest, symbol: str) -> Finding:
    """Judge whether the venue's countdown can be armed: by the guardian's proof, else by arming and disarming it.

    Tried only where nothing is open and no gateway lives: the countdown is the symbol's, whoever armed it.
    """
    name = f"dead man's switch {symbol}"
    if {"gateway", "guardian"} & set(living(config)):
        proof = Instance(config).newest("proof")
        deadline = 0 if proof is None else int(proof["deadline_mono_ns"][config.instrument_ids()[symbol]])
        left_s = (deadline - time.monotonic_ns()) / 1e9
        shown = f"armed, {left_s:.1f} s left" if left_s > 0 else "not armed"
        return judged(name, left_s > 0, shown, "armed", "see the guardian's log", heals=True)
    try:
        if await rest.open_orders(symbol):
            advice = "cancel them, then ask again"
            return Finding(name, Verdict.WARN, "not tried: orders are open", "no open order", advice)
        await rest.countdown(symbol, TRIAL_COUNTDOWN_MS)
        with contextlib.suppress(VenueReject):
            await rest.countdown(symbol, 0)
    except VenueError as error:
        return Finding(name, Verdict.FAIL, str(error), "can be armed", "nothing is quoted without it")
    return Finding(name, Verdict.OK, "can be armed")
