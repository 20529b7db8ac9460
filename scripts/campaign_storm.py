"""Storm the real gateway with eight symbols' ladders at the venue's own limits, for minutes: make campaign-storm.

SECONDS by the WebSocket API and as many by REST (default 150), judged by what the venue counted; then half a minute
with its limits halved without a word. Exit status 1 when it refused anything for a limit before that, more than one
burst after it, or a take waited.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from conftest import free_ports
from storming import Storm, judge, storm_config

from phx.gateway.session import QUOTES_AT_ONCE


async def storm(folder: Path, orders_by: str, seconds: float) -> int:
    config = storm_config(folder, f"storm-{os.getpid()}", free_ports(2), 8, orders_by=orders_by)
    try:
        async with Storm(config) as made:
            await made.blow(seconds, take_every=5)
            print(f"{orders_by}: {judge(made, 300, 1200)}", flush=True)
            made.venue.trouble.switch_on("limits", {"what": "orders", "share": "0.5"})
            await made.blow(30, take_every=5)
            refusals = made.counts.refusals
            print(f"{orders_by}, limits halved without a word: {len(refusals)} refused", flush=True)
            assert len(refusals) <= QUOTES_AT_ONCE, refusals
            assert made.venue.exchange.limits.ban.until_ms == 0, "banned"
            await made.calm()
        return 0
    except AssertionError as failure:
        print(f"{orders_by}: FAILED: {failure}", flush=True)
        return 1


def main(seconds: float) -> int:
    failed = 0
    for orders_by in ("ws_api", "rest"):
        with tempfile.TemporaryDirectory() as folder:
            failed |= asyncio.run(storm(Path(folder), orders_by, seconds))
    return failed


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:] or [150])))
