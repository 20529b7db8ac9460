"""What becomes of an address that does not back off: a ban that grows each time, then a closed door.

The venue says how long bans are (two minutes to three days) and that one follows on many refusals, not on how many:
the numbers of requests here are ours.
"""

from phx.sim.refusals import Blocked, Refused

TOLERATED = 30  # refusals for a limit within a minute; the next one bans
FIRST_BAN_MS = 2 * 60_000
LONGEST_BAN_MS = 3 * 24 * 3_600_000
FORGOTTEN_AFTER_MS = 24 * 3_600_000  # without a ban the next one is short again
HAMMERING = 200  # requests during a ban before nothing is answered any more
BLOCKED_MS = 5 * 60_000


class Ban:
    """The standing of one address. check() before a request is looked at, refused() when it exceeds a limit."""

    def __init__(self):
        self.until_ms = 0
        self.length_ms = 0  # of the newest ban
        self.blocked_until_ms = 0
        self._minute = -1
        self._refusals = 0
        self._hammering = 0

    def check(self, now_ms: int) -> None:
        """Refuse a request of a banned address."""
        if now_ms < self.blocked_until_ms:
            raise Blocked
        if now_ms >= self.until_ms:
            return
        self._hammering += 1
        if self._hammering > HAMMERING:
            self._hammering, self.blocked_until_ms = 0, now_ms + BLOCKED_MS
            raise Blocked
        raise self._told(now_ms)

    def refused(self, now_ms: int) -> None:
        """Take note of a request beyond a limit; refuse it with a ban when there were too many of them."""
        if now_ms // 60_000 != self._minute:
            self._minute, self._refusals = now_ms // 60_000, 0
        self._refusals += 1
        if self._refusals > TOLERATED:
            recent = self.length_ms and now_ms < self.until_ms + FORGOTTEN_AFTER_MS
            self.length_ms = min(2 * self.length_ms, LONGEST_BAN_MS) if recent else FIRST_BAN_MS
            self.until_ms = now_ms + self.length_ms
            self._refusals = self._hammering = 0
            raise self._told(now_ms)

    def _told(self, now_ms: int) -> Refused:
        message = (
            f"Way too many requests; IP banned until {self.until_ms}. "
            "Please use the websocket for live updates to avoid bans."
        )
        left_s = -(-(self.until_ms - now_ms) // 1000)
        return Refused(-1003, message=message, retry_after_s=left_s, status=418)
