"""Cancel everything on a symbol and prove it: ask the venue until it lists no order of ours."""

import asyncio
import logging
import time
from collections.abc import Callable

from phx.venue.interface import AccountRest, VenueError, VenueLimited

AGAIN_S = 0.02  # first wait while an order of ours is still listed; doubled each time: a hot loop earns a ban
RECHECK_S = 0.4  # nothing is listed, but a late acceptance is still possible
FAILED_S = 0.1  # first wait after a failed request
LONGEST_WAIT_S = 2.0

log = logging.getLogger("phx.guardian")


def never() -> bool:
    return False


class Sweep:
    """coid_prefix: how client order ids of ours begin. The cancel is symbol-wide, the proof is about our own."""

    def __init__(self, rest: AccountRest, coid_prefix: str):
        self.rest = rest
        self.coid_prefix = coid_prefix

    async def own_orders(self, symbol: str) -> int:
        """Return how many open orders of ours the venue lists."""
        return sum(order.coid.startswith(self.coid_prefix) for order in await self.rest.open_orders(symbol))

    async def symbol(self, symbol: str, until_mono_ns: int, give_up: Callable[[], bool] = never) -> bool:
        """Cancel and verify until nothing is left and `until_mono_ns` has passed; return whether that is proven.

        give_up: asked before each round; true ends the sweep without a proof.
        """
        wait_s, again_s, said = FAILED_S, AGAIN_S, None
        while not give_up():
            try:
                await self.rest.cancel_all(symbol)
                left = await self.own_orders(symbol)
            except VenueError as error:
                if type(error) is not said:  # the same failure again is no news
                    log.warning("guardian: cancelling %s: %s", symbol, error)
                    said = type(error)
                pause_s, wait_s = wait_s, min(LONGEST_WAIT_S, 2 * wait_s)
                if isinstance(error, VenueLimited):
                    pause_s = min(LONGEST_WAIT_S, max(pause_s, error.retry_after_s))
            else:
                wait_s, said = FAILED_S, None
                if left == 0 and time.monotonic_ns() >= until_mono_ns:
                    return True
                if left:
                    pause_s, again_s = again_s, min(LONGEST_WAIT_S, 2 * again_s)
                else:
                    again_s = AGAIN_S
                    pause_s = min(RECHECK_S, max(0.0, (until_mono_ns - time.monotonic_ns()) / 1e9))
            await asyncio.sleep(pause_s)
        return False

    async def all(self, symbols, until_mono_ns: int, give_up: Callable[[], bool] = never) -> bool:
        """Sweep several symbols at once; return whether every one is proven."""
        return all(await asyncio.gather(*(self.symbol(symbol, until_mono_ns, give_up) for symbol in symbols)))
