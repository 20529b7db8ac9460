"""The IP-weight budget: what this process may still send this minute.

All processes at one address share the venue's limit. Each keeps its own share, and each reads in the headers how much
all of them used. Urgent requests (cancels, dead-man refreshes) keep a reserve and are all that may be sent after a
429; after a 418 nothing is sent until the ban ends. Pure: it is given the venue's time.
"""

WEIGHT_PER_MINUTE = 2400  # production; the test network allows more, which phx does not need
RESERVE = 0.15  # of the limit: only urgent requests use the last of it
MINUTE_NS = 60_000_000_000
SHORTEST_BAN_NS = 120_000_000_000  # the venue's shortest, when a 418 names no end
FIREWALL_NS = 300_000_000_000  # its firewall's, when a 403 shuts the door before anything is read


def routine_cancels_60s(limits, weight_per_minute: int = WEIGHT_PER_MINUTE) -> int:
    """Return how many routine cancels, of weight 1 each, the IP weight allows a minute: what the others leave.

    limits: the configuration's.
    """
    others = limits.weight_share_guardian + limits.weight_share_reconciliation + limits.weight_share_snapshots
    return int(weight_per_minute * (1 - others))


class Weights:
    """share: of the venue's limit, what this process may use for what is not urgent."""

    def __init__(self, share: float, limit: int = WEIGHT_PER_MINUTE):
        self.share = share
        self.limit = limit
        self.limited_until_ns = 0  # after a 429: only urgent requests before this
        self.banned_until_ns = 0  # after a 418: nothing before this
        self._minute = -1
        self.own = 0  # used by this process in this minute for what is not urgent
        self.all = 0  # used by all, as the venue last said in this minute

    def _turn(self, now_ns: int) -> None:
        minute = now_ns // MINUTE_NS
        if minute != self._minute:
            self._minute, self.own, self.all = minute, 0, 0

    def wait_ns(self, weight: int, urgent: bool, now_ns: int) -> int:
        """Return how long a request has to wait, 0 = send it now."""
        self._turn(now_ns)
        if now_ns < self.banned_until_ns:
            return self.banned_until_ns - now_ns
        if not urgent and now_ns < self.limited_until_ns:
            return self.limited_until_ns - now_ns
        next_minute_ns = (self._minute + 1) * MINUTE_NS - now_ns
        if weight and self.all + weight > self.limit * (1.0 if urgent else 1.0 - RESERVE):
            return next_minute_ns
        if weight and not urgent and self.own + weight > self.limit * self.share:
            return next_minute_ns
        return 0

    def scarce(self, now_ns: int) -> bool:
        """Return whether only the reserve of what is urgent is left of this minute."""
        self._turn(now_ns)
        return self.all >= self.limit * (1.0 - RESERVE)

    def left(self, now_ns: int) -> int:
        """Return what may still be spent this minute on what is not urgent."""
        self._turn(now_ns)
        if self.silence_ns(now_ns):
            return 0
        return max(0, int(min(self.limit * self.share - self.own, self.limit * (1.0 - RESERVE) - self.all)))

    def silence_ns(self, now_ns: int) -> int:
        """Return for how long a limit of the venue forbids whatever is not urgent."""
        return max(0, self.limited_until_ns - now_ns, self.banned_until_ns - now_ns)

    def spend(self, weight: int, urgent: bool, now_ns: int) -> None:
        """Count a request before its bytes leave."""
        self._turn(now_ns)
        self.own += 0 if urgent else weight
        self.all += weight

    def used(self, weight: int, now_ns: int) -> None:
        """Take note of the used-weight header of an answer: it counts every process at this address."""
        self._turn(now_ns)
        self.all = weight

    def refused(self, banned: bool, retry_after_ns: int, banned_until_ns: int, now_ns: int) -> int:
        """Take note of a 429 or 418; return how long to be silent, ns.

        retry_after_ns, banned_until_ns: 0 when the answer does not say. Then wait for the next full window.
        """
        until_ns = max(banned_until_ns, now_ns + retry_after_ns if retry_after_ns else 0)
        if banned:
            self.banned_until_ns = max(self.banned_until_ns, until_ns or now_ns + SHORTEST_BAN_NS)
            return self.banned_until_ns - now_ns
        until_ns = until_ns or (now_ns // MINUTE_NS + 1) * MINUTE_NS
        self.limited_until_ns = max(self.limited_until_ns, until_ns)
        return self.limited_until_ns - now_ns
