"""Waiting for a venue that is not there: for as long as it takes, without crowding it, ended only by the wish to stop.

An outage is no fault of this process: to end and begin anew would not help, and five such ends would latch it.
"""

import asyncio
import logging
import random
import time

from phx.instruments import InstrumentError
from phx.process import StayDown
from phx.venue.binance.errors import BAD_SIGNATURE, KEY_REFUSED
from phx.venue.binance.messages import FrameRefused
from phx.venue.interface import AccountRest, VenueError, VenueLimited, VenueReject

FIRST_PAUSE_S = 0.1  # at first a venue may be about to start beside us,
PAUSE_S = 1.0  # then it is asked at most once a second,
LONGEST_PAUSE_S = 3.0  # and often enough to begin soon after it is back
AFTER_ANSWER_S = 3.0  # one question of three attempts in this time, when only this question gets no answer
LONGEST_LIMIT_S = 60.0
STOP_LOOK_S = 0.1

log = logging.getLogger("phx.gateway")


async def pause(seconds: float, stopping) -> None:
    """Sleep so long, or until asked to stop."""
    until_s = time.monotonic() + seconds
    while not stopping() and (left_s := until_s - time.monotonic()) > 0:
        await asyncio.sleep(min(left_s, STOP_LOOK_S))


async def reach(rest: AccountRest, stopping, pause_s: float = PAUSE_S) -> None:
    """Synchronise with the venue's clock, waiting for a venue that is not there."""
    said = ""
    while not stopping():
        try:
            await rest.server_time()
            if said:
                log.info("gateway: the venue answers")
            return
        except VenueError as error:
            said = tell("its clock", error, said)
            await pause(max(limit_s(error), pause_s * random.uniform(1.0, 1.5)), stopping)
            pause_s = min(LONGEST_PAUSE_S / 1.5, 2 * pause_s)


async def patiently(rest: AccountRest, what: str, question, stopping):
    """Return what `await question()` returns, asked anew until the venue answers; None when asked to stop.

    Raises StayDown when the venue refuses the key: that lasts.
    """
    said = ""
    while not stopping():
        try:
            return await question()
        except (VenueError, FrameRefused, InstrumentError) as error:
            if isinstance(error, VenueReject) and error.code in (*KEY_REFUSED, BAD_SIGNATURE):
                raise StayDown(f"{what}: {error}; check key, secret and the address it is restricted to") from None
            said = tell(what, error, said)
            await pause(max(limit_s(error), AFTER_ANSWER_S * random.uniform(0.8, 1.2)), stopping)
        # One small question stands for all of them until something answers.
        await reach(rest, stopping)
    return None


def tell(what: str, error: Exception, said: str) -> str:
    """Log why we wait, unless that is what was said last; return what is said now."""
    kind = f"{type(error).__name__} {getattr(error, 'code', '')}"
    if kind != said:
        log.warning("gateway: waiting for the venue: %s: %s", what, error)
    return kind


def limit_s(error: Exception) -> float:
    """Return how long a rate limit wants us to be silent, 0 for other failures."""
    return min(error.retry_after_s, LONGEST_LIMIT_S) if isinstance(error, VenueLimited) else 0.0
